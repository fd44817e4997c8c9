"""Signed addresses, made where they are used, and nowhere kept but in the memory of that process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from nutonic.errors import MissingExtra, ReadFailed, Refused, SourceError
from nutonic.io.access import is_loopback

#: Seconds before it expires that a token is no longer used.
_LEAST_S = 60


class Said(Protocol):
    """An answer."""

    @property
    def status(self) -> int:
        """Of HTTP."""

    @property
    def body(self) -> bytes:
        """All of it."""


Ask = Callable[[str, Mapping[str, str]], Said]


class Signer:
    """Signs addresses, with tokens that it keeps until shortly before they expire.

    Parameters
    ----------
    ask
        Gives the answer at an address, asked for with some headers, whatever its status.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask, self._lock = ask, threading.Lock()
        self._tokens: dict[tuple[str, str], Any] = {}

    def sign(self, url: str, signer: str | None) -> str:
        """A URL with its signature, if it is one that needs it.

        Raises
        ------
        Refused
            If it would be shown to all on the way.
        ReadFailed
            If there is no signature to be had.
        """
        container = _container(url) if signer else None
        if container and urlsplit(url).scheme != "https" and not is_loopback(urlsplit(url).hostname or ""):
            raise Refused(f"{url} is plain http, and would show its signature to all on the way: use https")
        mark = "&" if "?" in url else "?"
        return f"{url}{mark}{self._token(*container)}" if container else url

    def forget(self, url: str) -> None:
        """Drop the cached signature of a URL, for use when its server rejects it."""
        container = _container(url)
        if container:
            with self._lock:
                self._tokens.pop(container, None)

    def clear(self) -> None:
        """Drop all signatures."""
        with self._lock:
            self._tokens.clear()

    def _token(self, account: str, container: str) -> str:
        with self._lock:
            token = self._tokens.get((account, container))
            if token is None or token.ttl() < _LEAST_S:
                token = self._tokens[account, container] = _new_token(self._ask, account, container)
        return str(token.token)


def unsigned(url: str, signer: str | None) -> str:
    """A URL without its query, where that is made anew when it is read; as it is elsewhere."""
    return url.partition("?")[0] if signer and "?" in url and _container(url) else url


def require(signer: str | None) -> None:
    """Raise :class:`MissingExtra` if what signing needs is not installed."""
    if signer:
        try:
            import planetary_computer  # noqa: F401
        except ImportError:
            raise MissingExtra(
                "sign: planetary-computer needs the package: pip install 'nutonic[planetary-computer]'"
            ) from None


def needs(signer: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The distributions that signing needs, and the names of the environment variables that it reads."""
    return ((signer,), ("PC_SDK_SUBSCRIPTION_KEY", "PC_SDK_SAS_URL")) if signer else ((), ())


def reread_environment() -> None:
    """Make the signer read its environment variables again; by itself it reads them once."""
    settings = sys.modules.get("planetary_computer.settings")
    if settings is not None:
        settings.Settings.get.cache_clear()


def _new_token(ask: Ask, account: str, container: str) -> Any:
    """A token that was made just now, asked for by our own HTTP: the package's knows no time-out and keeps what it gets."""
    from planetary_computer.sas import SASToken
    from planetary_computer.settings import Settings

    settings = Settings.get()
    headers = {"Ocp-Apim-Subscription-Key": settings.subscription_key} if settings.subscription_key else {}
    name = f"no signature for {account}/{container}"
    try:
        answer = ask(f"{settings.sas_url}/{account}/{container}", headers)
    except SourceError as error:
        raise type(error)(f"{name}: {error}") from None
    if answer.status != 200:
        raise ReadFailed(f"{name}: {urlsplit(settings.sas_url).hostname} answers with status {answer.status}")
    try:
        return SASToken(**orjson.loads(answer.body))
    except (ValueError, TypeError) as error:
        raise ReadFailed(f"{name}: the answer is no token ({type(error).__name__})") from None


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
