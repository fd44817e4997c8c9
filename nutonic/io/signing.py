"""Signed addresses, made where they are used, and nowhere kept but in the memory of that process."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

from nutonic.errors import MissingExtra, ReadFailed
from nutonic.secrets import redact

_lock = threading.Lock()


def sign(url: str, how: str | None) -> str:
    """A URL with its signature, if it is one that needs it; renewed by the signer before it expires."""
    container = _container(url) if how else None
    return f"{url}?{_token(*container)}" if container else url


def forget(url: str, how: str) -> None:  # noqa: ARG001  there is one way
    """Drop the signature that a URL would get, which its server no longer takes."""
    from planetary_computer import sas

    container = _container(url)
    if container:
        account, name = container
        with _lock:
            for key in [key for key in sas.TOKEN_CACHE if key.endswith(f"/{account}/{name}")]:
                del sas.TOKEN_CACHE[key]


def require(how: str | None) -> None:
    """Raise :class:`MissingExtra` if what signing needs is not installed."""
    if how:
        try:
            import planetary_computer  # noqa: F401
        except ImportError:
            raise MissingExtra(
                "sign: planetary-computer needs the package: pip install 'nutonic[planetary-computer]'"
            ) from None


def _token(account: str, container: str) -> str:
    from planetary_computer import sas

    with _lock:
        try:
            return str(sas.get_token(account, container, retry_total=5, retry_backoff_factor=0.5).token)
        except Exception as error:
            raise ReadFailed(
                f"no signature for {account}/{container}: {type(error).__name__} {redact(str(error))[:200]}"
            ) from None


def _container(url: str) -> tuple[str, str] | None:
    """Storage account and container of an Azure blob; by host, or as the storage emulator writes it, by path."""
    parts = urlsplit(url)
    first, _, rest = parts.path.lstrip("/").partition("/")
    if (parts.hostname or "").endswith(".blob.core.windows.net"):
        return str(parts.hostname).split(".", 1)[0], first
    if _is_emulator(url) and "/" in rest:
        return first, rest.split("/", 1)[0]
    return None


def _is_emulator(url: str) -> bool:
    """Whether signatures come from the very host, as they never do from the real one."""
    from planetary_computer.settings import Settings

    return bool(urlsplit(Settings.get().sas_url).netloc == urlsplit(url).netloc)
