"""Object stores, opened by the credentials of this process; and what they answer, in a sentence."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeVar

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from nutonic.errors import InputError, StoreError, StoreRefused
from nutonic.io.buckets.address import CREDENTIALS, Address

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config, S3CredentialProvider

T = TypeVar("T")

#: How often a request is tried again by the client itself, which obeys what a store answers, and for how long at most.
_RETRY: RetryConfig = {"max_retries": 8, "retry_timeout": timedelta(seconds=90)}

#: How long the services are asked that know a machine's credentials: one that has none is told so soon.
_SOON: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}

#: A request that takes longer fails, and is tried again. Nothing that is sent or read at once is larger than 16 MB.
_CLIENT: ClientConfig = {"connect_timeout": timedelta(seconds=10), "timeout": timedelta(seconds=120)}

#: How often a request is made anew that was cut off, or whose answer was, which the client does not always try again.
_ATTEMPTS = 4

#: Files that are sent at once: each takes a round trip, and little else.
AT_ONCE = 16

_LASTING = (PermissionDeniedError, UnauthenticatedError, InvalidPathError, NotSupportedError, PreconditionError)


@lru_cache(maxsize=32)
def opened(address: Address) -> ObjectStore:
    """The store below an address; one for each process, which keeps its connections. Nothing is asked yet.

    Raises
    ------
    InputError
        If the environment says of it what cannot be.
    """
    prefix = address.path or None
    try:
        match address.scheme:
            case "s3":
                return _s3(address.bucket, prefix, {}, _RETRY)
            case "gs":
                return GCSStore(
                    address.bucket, prefix=prefix, client_options=_client(("GOOGLE_BASE_URL",)), retry_config=_RETRY
                )
            case "az":
                emulator = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
                return AzureStore(address.bucket, prefix=prefix, client_options=_client(emulator), retry_config=_RETRY)
            case _:
                return _memory(str(address))
    except BaseError as error:
        raise InputError(f"{address} cannot be opened: {in_words(error, address)}") from None


def signing(
    scheme: str, bucket: str, *, requester_pays: bool = False, region: str | None = None
) -> S3Store | GCSStore | AzureStore:
    """The store of a bucket, to sign addresses of its objects: they are asked for by another client.

    obstore's errors are as they come.
    """
    if scheme != "s3":
        store = GCSStore if scheme == "gs" else AzureStore
        return store(bucket, client_options=_CLIENT, retry_config=_SOON)
    config: S3Config = {"request_payer": True} if requester_pays else {}
    return _s3(bucket, None, {**config, "region": region} if region else config, _SOON)


def _s3(bucket: str, prefix: str | None, more: S3Config, retry: RetryConfig) -> S3Store:
    options = _client(("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3")
    config: S3Config = {**more, "endpoint": endpoint} if endpoint else more
    provider = _profile() if os.environ.get("AWS_PROFILE") and not os.environ.get("AWS_ACCESS_KEY_ID") else None
    return S3Store(
        bucket,
        prefix=prefix,
        config=config,
        client_options=options,
        retry_config=retry,
        credential_provider=provider,
    )


def _profile() -> S3CredentialProvider:
    """The credentials of a profile, which boto3 knows how to find and to renew."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return Boto3CredentialProvider()
    except Exception as error:  # botocore has a class for each mistake of a profile
        what = "boto3 is not installed" if isinstance(error, ImportError) else str(error).partition("\n")[0]
        raise InputError(f"AWS_PROFILE is set, and its credentials cannot be had: {what}") from None


def _client(endpoints: tuple[str, ...]) -> ClientConfig:
    """Plain HTTP is spoken only where the environment names an endpoint that has no other, such as a server at hand."""
    endpoint = next((value for name in endpoints if (value := os.environ.get(name))), "")
    return {**_CLIENT, "allow_http": True} if endpoint.startswith("http://") else _CLIENT


@cache
def _memory(_: str) -> MemoryStore:
    return MemoryStore()


def asked(ask: Callable[[], T], words: Callable[[Exception], StoreError]) -> T:
    """What a store answers.

    What may pass is asked again, after a pause that grows; what is not there, or there already, is passed on as it is.

    Raises
    ------
    FileNotFoundError, AlreadyExistsError
        As the store says.
    StoreError
        By `words`, of whatever else went wrong.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return ask()
        except (FileNotFoundError, AlreadyExistsError):
            raise
        except (BaseError, OSError) as error:
            if attempt == _ATTEMPTS or not _may_pass(error):
                raise words(error) from None
        time.sleep(_pause_s(attempt))
    raise AssertionError("unreachable")


async def asked_async(ask: Callable[[], Awaitable[T]], words: Callable[[Exception], StoreError]) -> T:
    """What :func:`asked` gives, of what is awaited."""
    import asyncio  # as whoever awaits something has done

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await ask()
        except (FileNotFoundError, AlreadyExistsError):
            raise
        except (BaseError, OSError) as error:
            if attempt == _ATTEMPTS or not _may_pass(error):
                raise words(error) from None
        await asyncio.sleep(_pause_s(attempt))
    raise AssertionError("unreachable")


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, _LASTING) and not _is_refused(error)


def _pause_s(attempt: int) -> float:
    return 0.2 * 4.0 ** (attempt - 1) * (0.5 + random.random() / 2)


def _is_refused(error: Exception) -> bool:
    """Whether the store answered that the request itself is wrong, which asking again does not change."""
    status = _STATUS.search(str(error))
    return status is not None and status[1][0] in "34" and status[1] not in ("408", "429")


_STATUS = re.compile(r"status code: (\d{3})(?: ([A-Za-z ]+))?")
_HALF = re.compile(r"Missing(?:AccessKeyId|SecretAccessKey|Account)\b|OpenCredentials")
_CODE = re.compile(r"<Code>(\w+)</Code>")


def failure(what: str, error: Exception, address: Address) -> StoreError:
    """Why a store did not do `what`: :class:`StoreRefused` where that stays so until a person changes something."""
    lasting = _lasting(error, address)
    return StoreError(f"{what}: {in_words(error, address)}") if lasting is None else StoreRefused(f"{what}: {lasting}")


def _lasting(error: Exception, address: Address) -> str | None:
    """Why a store refuses what it was asked until somebody changes something; None if it may do it the next time."""
    text = str(error)
    where = CREDENTIALS.get(address.scheme, "the environment")
    if "169.254." in text or _HALF.search(text):  # the former would know a machine's credentials
        return f"there are no credentials: they are taken from {where}"
    status, code = _STATUS.search(text), _CODE.search(text)
    told = code[1] if code else ""
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or (status and status[1] in ("401", "403")):
        more = f" ({told})" if told else ""
        return f"access to {address.scheme}://{address.bucket} is denied{more}; credentials are taken from {where}"
    if told == "NoSuchBucket" or isinstance(error, FileNotFoundError):
        return f"there is no bucket {address.bucket}: make it, or name another one"
    if status and status[1] in ("301", "307"):
        return f"the bucket {address.bucket} lies in another region: set AWS_REGION"
    if status is None and re.search(r"metadata|credential", text, re.IGNORECASE):
        return f"there are no credentials: they are taken from {where}"
    return None


def in_words(error: Exception, address: Address) -> str:
    """Why a store did not do what it was asked, without an address of it, a key or a token."""
    lasting = _lasting(error, address)
    if lasting is not None:
        return lasting
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    if status:
        return f"the store answered {status[1]}{f' ({code[1]})' if code else ''}"
    if re.search(r"timed out|deadline", text, re.IGNORECASE):
        return "the store did not answer in time"
    if re.search(r"dns|lookup|resolve", text, re.IGNORECASE):
        return "the store's host is not known: look at the network and at the endpoint in the environment"
    if re.search(r"connect|refused|sending request", text, re.IGNORECASE):
        return "the store cannot be reached: look at the network and at the endpoint in the environment"
    return f"the store failed ({type(error).__name__})"
