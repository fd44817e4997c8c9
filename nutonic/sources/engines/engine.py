"""Which engine opens the assets of items, and whether it is installed."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from nutonic.errors import InputError, MissingExtra

Engine = Literal["stackstac", "odc-stac"]

#: The oldest odc-loader whose lazy arrays hold pixels: with today's dask those of 0.6.2 and before are nodata throughout,
#: and no error says so.
_OLDEST_LOADER = (0, 6, 3)


def require_engine(engine: str) -> None:
    """Raise if an engine cannot be used.

    Raises
    ------
    MissingExtra
        If the engine is not installed, or too old.
    InputError
        If there is no such engine.
    """
    if engine == "stackstac":
        return
    if engine != "odc-stac":
        raise InputError(f"no engine {engine!r}: use stackstac or odc-stac")
    installed = _odc_loader()
    if installed is None or installed < _OLDEST_LOADER:
        old = ".".join(map(str, installed or ()))
        what = "not installed" if installed is None else f"too old: its odc-loader is {old}"
        raise MissingExtra(f"the engine odc-stac is {what}: pip install 'nutonic[odc]', or use the engine stackstac")


def packages_of(engine: str) -> tuple[str, ...]:
    """The distributions that an engine adds to what nutonic always needs."""
    return () if engine == "stackstac" else (engine,)


@lru_cache(maxsize=1)
def _odc_loader() -> tuple[int, ...] | None:
    """The version of what odc-stac loads with, or None where odc-stac is not installed."""
    try:
        version("odc-stac")
        return tuple(int(part) for part in version("odc-loader").split(".")[:3] if part.isdigit())
    except PackageNotFoundError:
        return None
