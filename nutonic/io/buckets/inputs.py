"""Objects as inputs: over which HTTP address one is read, signed by the credentials of this process.

So what lies in an object store goes the way of all that is remote: one client with its retries, limits and counts, one
cache of ranges, one reader of blocks. A signature is made where it is used, and kept nowhere but in the memory of that
process.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from nutonic.errors import InputError, Refused
from nutonic.io.access import Access, Identity
from nutonic.io.buckets.address import CREDENTIALS, Address, is_object

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

# The clients of stores are imported by who reads from one.

#: How long a signature is good, and for how many seconds one is used again whose making may itself take a request.
_GOOD_FOR, _KEPT_S = timedelta(hours=1), 15 * 60

#: Signatures that are kept.
_MOST_KEPT = 4096

#: By scheme, variables that name an endpoint of the user's own, as for trees.
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}

#: By scheme, variables by which GDAL and others are told to ask without credentials.
_UNSIGNED = {
    "s3": ("AWS_NO_SIGN_REQUEST", "AWS_SKIP_SIGNATURE"),
    "gs": ("GS_NO_SIGN_REQUEST",),
    "az": ("AZURE_NO_SIGN_REQUEST",),
}

#: How S3 says where a bucket is, whatever else it answers.
_REGION = "x-amz-bucket-region"

#: Statuses with which S3 says that a bucket is in another region than was thought.
_ELSEWHERE = frozenset({301, 307, 400, 403})

#: What a store says of an answer that is none, in XML; and of credentials that no longer hold, with the status 400.
_CODE = re.compile(rb"<Code>(\w{1,60})</Code>")
_STALE = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})


@dataclass(frozen=True, slots=True)
class Located:
    """An object as it is asked for."""

    url: str
    """Over HTTP, with its signature."""
    is_named: bool
    """Whether the environment names the endpoint, which then may be a private one, and speak plain HTTP."""


class Objects:
    """Where objects are read, by their stores' addresses; what it learns of regions holds as long as it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget signatures, credentials and regions."""
        with self._lock:
            self._stores: dict[tuple[str, str, Identity, str | None], S3Store | GCSStore | AzureStore] = {}
            self._regions: dict[str, str] = {}
            self._kept: dict[tuple[str, Identity], tuple[float, str]] = {}

    def located(self, url: str, access: Access) -> Located:
        """The address of an object now.

        Raises
        ------
        Refused
            If this process has no credentials for it.
        InputError
            If the environment says of the store what cannot be, or its store knows no requester that pays.
        """
        scheme, bucket, key = _parts(url)
        named = _endpoint(scheme)
        if access.identity.requester_pays and scheme != "s3":
            raise InputError(f"{url}: requester_pays is known of s3:// alone")
        if access.identity.unsigned or (_is_unsigned(scheme) and not access.identity.requester_pays):
            return Located(_public(scheme, bucket, key, named, self._regions.get(bucket)), bool(named))
        return Located(self._signed(url, access.identity), bool(named))

    def is_elsewhere(self, url: str, status: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer tells that the bucket is in another region than was thought, where it then is asked for."""
        scheme, bucket, _ = _parts(url)
        told = headers.get(_REGION)
        with self._lock:
            if scheme != "s3" or status not in _ELSEWHERE or not told or told == self._regions.get(bucket, _region()):
                return False
            self._regions[bucket] = told
        return True

    def _signed(self, url: str, identity: Identity) -> str:
        import obstore
        from obstore.exceptions import BaseError

        from nutonic.io.buckets.bucket import in_words

        scheme, bucket, key = _parts(url)
        now = time.monotonic()
        made, kept = self._kept.get((url, identity), (0.0, ""))
        if kept and now - made < _KEPT_S:
            return kept
        try:
            signed = str(obstore.sign(self._store(scheme, bucket, identity), "GET", key, _GOOD_FOR))
        except BaseError as error:
            raise Refused(
                f"{scheme}://{bucket}: {in_words(error, Address(scheme, bucket, ''))}; {_if_public(scheme)}",
                reason="no credentials",
            ) from None
        if scheme != "s3":  # S3's is made from what this process has, and new ones may have come meanwhile
            with self._lock:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[url, identity] = now, signed
        return signed

    def _store(self, scheme: str, bucket: str, identity: Identity) -> S3Store | GCSStore | AzureStore:
        from nutonic.io.buckets.bucket import signing

        with self._lock:
            key = (scheme, bucket, identity, self._regions.get(bucket))
            if key not in self._stores:
                self._stores[key] = signing(scheme, bucket, requester_pays=identity.requester_pays, region=key[3])
            return self._stores[key]


def _parts(url: str) -> tuple[str, str, str]:
    """Scheme, bucket and key."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return scheme.lower(), bucket, key


def _endpoint(scheme: str) -> str:
    named = (os.environ.get(name) for name in _ENDPOINTS.get(scheme, ()))
    return next((value.rstrip("/") for value in named if value), "")


def _is_unsigned(scheme: str) -> bool:
    """Whether the environment says that objects are asked for without credentials."""
    return any(os.environ.get(name, "").lower() in ("yes", "true", "on", "1") for name in _UNSIGNED[scheme])


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _public(scheme: str, bucket: str, key: str, endpoint: str, region: str | None) -> str:
    """The address of an object that anybody may read."""
    path = quote(key, safe="/-._~")
    if endpoint:
        return f"{endpoint}/{bucket}/{path}"
    if scheme == "gs":
        return f"https://storage.googleapis.com/{bucket}/{path}"
    if scheme == "az":
        account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        if not account:
            raise Refused(f"az://{bucket}: no account is named: set AZURE_STORAGE_ACCOUNT_NAME", reason="no account")
        return f"https://{account}.blob.core.windows.net/{bucket}/{path}"
    if "." in bucket or region:  # the certificate is of one level of names
        return f"https://s3.{region or _region()}.amazonaws.com/{bucket}/{path}"
    return f"https://{bucket}.s3.amazonaws.com/{path}"


def _if_public(scheme: str) -> str:
    """What is said of a store that wants credentials, after where they are looked for."""
    where_readers_pay = "; where readers pay, set requester_pays: true" if scheme == "s3" else ""
    return f"a public bucket needs none: set unsigned: true{where_readers_pay}"


def refusal(url: str, status: int, body: bytes) -> str | None:
    """Why a store does not let an object be read, where neither another attempt nor another object would help."""
    if status not in (301, 307, 400, 401, 403, 404):
        return None
    scheme, bucket, _ = _parts(url)
    found = _CODE.search(body)
    code = found[1].decode() if found else ""
    if status in (301, 307):
        return f"{url}: the bucket {bucket} lies in another region: set AWS_REGION"
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return f"{url}: there is no bucket {bucket}"
    if status == 404 or (status == 400 and code not in _STALE):
        return None
    more = f", {code}" if code else ""
    where = f"credentials are taken from {CREDENTIALS[scheme]}"
    return f"{url}: access is denied ({status}{more}); {where}; {_if_public(scheme)}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What stores and hosts of inputs want of each process that reads them; holds no secret, and travels."""

    access: Access

    @property
    def service(self) -> str:
        """What it is called."""
        return "object stores" if self._buckets else "hosts with tokens"

    @property
    def most_requests(self) -> None:
        """As many as anybody."""
        return

    @property
    def _buckets(self) -> tuple[str, ...]:
        return tuple(host for host in self.access.hosts if is_object(host))

    def environment(self) -> Mapping[str, str]:
        """Nothing: where a store is, and who asks it, each process knows itself."""
        return {}

    def check(self) -> None:
        """Raise unless this process could ask for an object of each bucket, and has each token; asks no store.

        Raises
        ------
        Refused
            If it has no credentials, in a line that says where they are looked for.
        InputError, MissingExtra
            If the environment says what cannot be, or names what is not installed.
        """
        for _, name in self.access.identity.bearer:
            token_of(name)
        objects = Objects()
        for bucket in self._buckets:
            objects.located(f"{bucket}/any", self.access)

    def sign_in(self) -> None:
        """As :meth:`check`: stores let nobody in beforehand."""
        self.check()


def credentials_of(access: Access) -> Credentials | None:
    """What is wanted of each process that reads so; None for nothing."""
    wanted = access.identity.bearer or any(map(is_object, access.hosts))
    return Credentials(access) if wanted else None


def token_of(variable: str) -> str:
    """The token in a variable of the environment.

    Raises
    ------
    Refused
        If there is none, or none that can be sent.
    """
    token = os.environ.get(variable, "").strip()
    if not token:
        raise Refused(
            f"no token is in the environment: set {variable}, which the recipe names in bearer", reason="no token"
        )
    if not token.isprintable() or " " in token or not token.isascii():
        raise Refused(
            f"what {variable} holds is no token: it has blanks or characters that none has", reason="no token"
        )
    return token
