"""Earth Engine, signed in to once per process.

``ee`` keeps one session for a whole process. Here it is made when it is first needed, which may be in a worker that
knows nothing but an address and a project; and made anew, once nobody is using it, where another one is needed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nutonic.errors import Refused
from nutonic.sources.earthengine import credentials as ee_credentials
from nutonic.sources.earthengine.credentials import address_of
from nutonic.sources.earthengine.transport import MOST_REQUESTS, Transport
from nutonic.sources.source import Needs


@dataclass(frozen=True, slots=True)
class Account:
    """Where to ask, and as which project; all that travels. Holds no secret."""

    url: str | None = None
    """Of the REST API; the high-volume endpoint if None."""
    project: str | None = None
    """Cloud project; the environment's ``EE_PROJECT`` or ``GOOGLE_CLOUD_PROJECT`` if None."""

    def __post_init__(self) -> None:
        address_of(self.url)

    def resolved(self) -> Account:
        """The same with what this process' environment adds.

        Raises
        ------
        Refused
            If there is no project.
        """
        project = ee_credentials.project_of(self.project)
        if project is None:
            raise Refused(
                "Earth Engine needs a Cloud project:\n"
                f"set labels.project or imagery.project, or {' or '.join(ee_credentials.PROJECTS)} in the environment",
                reason="no project",
            )
        return Account(address_of(self.url), project)

    @property
    def service(self) -> str:
        """What it is called."""
        return "Earth Engine"

    @property
    def most_requests(self) -> int:
        """What a project may have in flight."""
        return MOST_REQUESTS

    def environment(self) -> dict[str, str]:
        """The project that this process would ask as; of credentials each process needs its own."""
        project = ee_credentials.project_of(self.project)
        return {ee_credentials.PROJECTS[0]: project} if project else {}

    def sign_in(self) -> None:
        """Raise unless Earth Engine lets this process in.

        Raises
        ------
        MissingExtra, Refused, ReadFailed
            If it does not.
        """
        with signed_in(self):
            pass

    def check(self) -> None:
        """Raise if this process has not what it takes: the packages, a project, credentials. Asks nobody at Earth Engine.

        Raises
        ------
        MissingExtra
            If ``ee`` or ``xee`` is not installed.
        Refused
            If there is no project, or there are no credentials.
        """
        ee_credentials.require()
        ee_credentials.find(str(self.resolved().url))


#: What reading from Earth Engine takes: its clients, of whose Python packages 25 MB were measured.
NEEDS = Needs(packages=("earthengine-api", "xee"), resident_bytes=40 * 2**20)


class _State:
    """What this process is signed in to."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start anew: a fork has its parent's memory, and none of its threads."""
        self.changed = threading.Condition()
        self.now: Account | None = None
        self.transport: Transport | None = None
        self.users = 0


_state = _State()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.begin)


@contextmanager
def signed_in(account: Account) -> Iterator[None]:
    """Have ``ee`` in this session for a while; whoever needs another one waits until nobody is in this.

    Raises
    ------
    MissingExtra, Refused, ReadFailed
        If that cannot be.
    """
    ee_credentials.require()
    target = account.resolved()
    with _state.changed:
        _state.changed.wait_for(lambda: not _state.users or _state.now == target)
        if _state.now != target or not _is_good(_state.transport):
            _state.now = None
            _state.transport = _sign_in(target)
            _state.now = target
        _state.users += 1
    try:
        yield
    finally:
        with _state.changed:
            _state.users -= 1
            _state.changed.notify_all()


def _is_good(transport: Transport | None) -> bool:
    """Whether what was signed in to still holds: nobody has reset ``ee``, and the credentials are taken."""
    import ee

    return bool(ee.data.is_initialized()) and transport is not None and not transport.denied


def _sign_in(account: Account) -> Transport:
    import ee
    from google.auth.credentials import AnonymousCredentials

    url = str(account.url)
    transport = Transport(url, ee_credentials.find(url))
    ee.data.setMaxRetries(0)  # all attempts are the transport's
    if not ee.deprecation.deprecated_assets:  # else it fetches a list of them from elsewhere, and waits for ever
        nothing: Any = {"": None}
        ee.deprecation.deprecated_assets = nothing
    # The transport signs, so that what it signs with is in one place.
    ee.Initialize(AnonymousCredentials(), url=url, project=account.project, http_transport=transport)
    return transport
