"""Who we are to Google: found in the environment of the process that asks, and kept in its memory alone."""

from __future__ import annotations

import ipaddress
import json
import os
import warnings
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from nutonic.errors import InputError, MissingExtra, Refused
from nutonic.io.files import read_regular

#: The endpoint for many automatic requests (developers.google.com/earth-engine/guides/processing_environments).
HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"

#: Where credentials may be sent.
_GOOGLE = ".googleapis.com"

#: Bytes of a file with a key: Google's have two thousand.
_LARGEST_KEY = 2**20


def address_of(url: str | None) -> str:
    """The address to ask, without a slash at its end.

    Raises
    ------
    InputError
        If it is neither Google's nor on this machine: credentials would be sent there.
    """
    if url is None:
        return HIGH_VOLUME
    parts = urlsplit(url)
    google = parts.scheme == "https" and (parts.hostname or "").endswith(_GOOGLE) and parts.port in (None, 443)
    if not (google or is_loopback(url)) or parts.username is not None or parts.query or parts.path.strip("/"):
        raise InputError(
            f"labels.url {url} is no address of Earth Engine: it gets your credentials, so it must be "
            f"https://….googleapis.com (by default {HIGH_VOLUME}), or http:// and an address of this machine"
        )
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine by its words alone: no name server is asked."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_SCOPES = (
    "https://www.googleapis.com/auth/earthengine",
    "https://www.googleapis.com/auth/cloud-platform",
)

#: Where a service account's key is looked for: its path, in the first also the key itself.
KEY, GOOGLE_KEY = "EE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"

#: Where the Cloud project is looked for.
PROJECTS = ("EE_PROJECT", "GOOGLE_CLOUD_PROJECT")

_HOW = (
    f"set {GOOGLE_KEY} to a service account's key file, or run  gcloud auth application-default login  or  "
    "earthengine authenticate"
)


def require() -> None:
    """Raise :class:`MissingExtra` unless what Earth Engine needs is installed."""
    try:
        import ee  # noqa: F401
        import xee  # noqa: F401
    except ImportError as error:
        raise MissingExtra(f"Earth Engine needs {error.name}: pip install 'nutonic[earthengine]'") from None


def project_of(named: str | None) -> str | None:
    """The Cloud project: as named in the recipe, or else as this process' environment names it."""
    return named or next((os.environ[name] for name in PROJECTS if os.environ.get(name)), None)


def find(url: str) -> Any:
    """Google credentials for requests to `url`; anonymous ones for an address on this machine.

    Looked for in this order: a service account's key in ``EE_SERVICE_ACCOUNT_KEY`` or a file of credentials that
    ``GOOGLE_APPLICATION_CREDENTIALS`` names, what ``earthengine authenticate`` has stored, and application default
    credentials. An address on this machine gets the first only, and only of a key whose tokens come from this machine:
    no token of Google's goes anywhere but to Google.

    Raises
    ------
    Refused
        If there are none, or they cannot be used. The message holds nothing of them.
    """
    if is_loopback(url):
        return _for_loopback()
    credentials = _from_key() or _stored() or _default()
    if credentials is None:
        raise Refused(f"no credentials for Earth Engine on this machine:\n{_HOW}", reason="no credentials")
    return credentials.with_quota_project(None) if getattr(credentials, "quota_project_id", None) else credentials


def _for_loopback() -> Any:
    from google.auth.credentials import AnonymousCredentials

    with suppress(Refused):  # what is meant for Google need not be good
        credentials = _from_key()
        if credentials is not None and is_loopback(str(getattr(credentials, "_token_uri", ""))):
            return credentials
    return AnonymousCredentials()


def _from_key() -> Any:
    """Credentials that the environment names; None if it names none."""
    name = next((name for name in (KEY, GOOGLE_KEY) if os.environ.get(name)), None)
    if name is None:
        return None
    from google.auth import exceptions, load_credentials_from_dict

    value = os.environ[name]
    try:
        content = value if name == KEY and value.lstrip().startswith("{") else read_regular(value, _LARGEST_KEY)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would have service accounts of its own choice
            return load_credentials_from_dict(json.loads(content), scopes=_SCOPES)[0]
    except OSError as error:
        raise _unusable(name, (error.strerror or "it cannot be read").lower()) from None
    except (ValueError, exceptions.GoogleAuthError):  # whose words may hold the key
        raise _unusable(name, "it is no key of a service account, nor another file of credentials") from None


def _unusable(name: str, why: str) -> Refused:
    return Refused(f"the credentials that {name} names cannot be used: {why}\n{_HOW}", reason="no credentials")


def _stored() -> Any:
    """What ``earthengine authenticate`` left; None if it has not been run."""
    from ee import oauth
    from google.oauth2.credentials import Credentials

    try:
        stored = oauth.get_credentials_arguments()
    except (OSError, ValueError):
        return None
    return Credentials(None, **stored) if stored.get("refresh_token") else None


def _default() -> Any:
    """Application default credentials; None if there are none."""
    import google.auth

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about projects, which are asked for here
            return google.auth.default(scopes=_SCOPES)[0]
    except google.auth.exceptions.GoogleAuthError:
        return None
