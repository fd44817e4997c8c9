"""Tools for tests: a synthetic planet whose right answers are known, and a file server that fails on purpose.

Names are imported when they are first used, because the server's own process needs neither numpy nor rasterio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nutonic.testing.faults import ENDLESS, LIES, Fault
    from nutonic.testing.planet import BANDS, COLLECTION, SyntheticGrid, SyntheticPlanet, SyntheticScene
    from nutonic.testing.series import SyntheticSeries
    from nutonic.testing.server import FileServer, Request, remote_catalogue

_HOME = {
    "BANDS": "nutonic.testing.planet",
    "COLLECTION": "nutonic.testing.planet",
    "SyntheticGrid": "nutonic.testing.planet",
    "SyntheticPlanet": "nutonic.testing.planet",
    "SyntheticScene": "nutonic.testing.planet",
    "SyntheticSeries": "nutonic.testing.series",
    "ENDLESS": "nutonic.testing.faults",
    "Fault": "nutonic.testing.faults",
    "LIES": "nutonic.testing.faults",
    "FileServer": "nutonic.testing.server",
    "Request": "nutonic.testing.server",
    "remote_catalogue": "nutonic.testing.server",
}

__all__ = [
    "BANDS",
    "COLLECTION",
    "ENDLESS",
    "LIES",
    "Fault",
    "FileServer",
    "Request",
    "SyntheticGrid",
    "SyntheticPlanet",
    "SyntheticScene",
    "SyntheticSeries",
    "remote_catalogue",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nutonic.testing' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
