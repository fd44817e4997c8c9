"""Places from a dataset on the Hugging Face Hub: only the needed columns of its Parquet files are fetched.

The token comes from the environment (``HF_TOKEN``) alone, and is in no message: what a service says is never repeated.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from nutonic.errors import MissingExtra, PoiError, Unreachable
from nutonic.io.access import is_loopback
from nutonic.io.limits import begun
from nutonic.planning.places.parquet import parquet_values
from nutonic.planning.places.rows import Row
from nutonic.recipe.inputs import Pois

T = TypeVar("T")

_SCHEME = "hf://"
_ADDRESS = re.compile(
    r"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)"
    r"(@(?P<revision>refs/(?:convert|pr)/[^/@\s]+|[^/@\s]+))?(/(?P<path>[^@?#]*))?",
    re.ASCII,
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = 20.0

#: Statuses of what was asked that may be others the next time.
_TRY_LATER = (408, 425, 429)

#: Seconds that what the Hub's library does at a time may take, its own attempts included; and how many bytes of a file
#: are worth another second.
_LONGEST_S, _SLOWEST = 300.0, 10_000


def is_address(path: str) -> bool:
    """Whether a places path is on the Hub."""
    return path.startswith(_SCHEME)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset at one commit."""

    repo: str
    commit: str
    path: str
    """Folder or file within it; empty for all of it."""

    def address(self) -> str:
        """Address of this commit, as a recipe can name it."""
        return f"{_SCHEME}{self.root()}".rstrip("/")

    def root(self) -> str:
        """Path in the Hub's file system."""
        return f"datasets/{self.repo}@{self.commit}/{self.path}"

    def sha256(self) -> str:
        """SHA-256 (hex) of the address: the commit in it fixes the files and their content."""
        return hashlib.sha256(self.address().encode()).hexdigest()


def resolve(address: str) -> Dataset:
    """The dataset of an address ``hf://datasets/OWNER/NAME[@REVISION][/PATH]``, at the commit its revision is now.

    This takes one request, or none if the revision is a commit.

    Raises
    ------
    PoiError
        If the address is malformed, or there is no such dataset, or it may not be read.
    Unreachable
        If the Hub does not answer, or fails.
    """
    match = _ADDRESS.fullmatch(address)
    path = (match["path"] or "").strip("/") if match else ".."
    if match is None or ".." in path.split("/"):
        raise PoiError(f"{address} is no dataset: write hf://datasets/OWNER/NAME, with @REVISION and /PATH as you need")
    revision = unquote(match["revision"]) if match["revision"] else None
    if revision is None or not _COMMIT.fullmatch(revision):
        with _explained(address):
            api, name = _hub().HfApi(**_access()), match["repo"]
            found = _within(lambda: api.repo_info(name, repo_type="dataset", revision=revision, timeout=_SECONDS))
            commit = str(found.sha)
    else:
        commit = revision
    return Dataset(match["repo"], commit, path)


def rows(dataset: Dataset, pois: Pois) -> Iterator[Row]:
    """The rows of all its Parquet files, in the order of their names."""
    number, address = 0, dataset.address()
    with _explained(address):
        # The instance must not be cached: it holds listings and the token.
        files = _hub().HfFileSystem(**_access(), skip_instance_cache=True)
        found = _within(lambda: files.find(dataset.root().rstrip("/")))
        names = [name for name in sorted(found) if name.endswith(".parquet")]
        if not names:
            raise PoiError(f"{address} has no .parquet file: name a dataset, folder or file that has, or a local file")
        for name in names:
            opened = _within(partial(files.open, name, "rb", cache_type="none"))  # no read-ahead
            with opened, _File(opened) as file:
                for values in parquet_values(cast("BinaryIO", file), f"{_SCHEME}{name}", pois):
                    number += 1
                    yield Row(number, *values)


def _within(call: Callable[[], T], size: int = 0) -> T:
    """What a call gives, made in a thread of its own, which is left where it is once it has taken too long.

    The Hub's library gives up where nothing comes for a while, but not where little comes for ever.
    """
    return begun(call, "nutonic-hub").result(_LONGEST_S + size / _SLOWEST)


class _File(io.RawIOBase):
    """A file of the Hub's library, each read of which has an end."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def read(self, size: int = -1) -> bytes:
        return bytes(_within(partial(self._file.read, size), max(size, 0)))


def _hub() -> Any:
    try:
        import huggingface_hub.errors
    except ImportError:
        raise MissingExtra("places on the Hugging Face Hub need a package: pip install 'nutonic[hub]'") from None
    return huggingface_hub


def _access() -> dict[str, Any]:
    """Endpoint and token of the Hub; a token of False means anonymous, even if there is a token file."""
    token, endpoint = os.environ.get("HF_TOKEN") or False, urlsplit(_endpoint())
    if token and endpoint.scheme != "https" and not is_loopback(endpoint.hostname or ""):
        raise PoiError(
            f"HF_ENDPOINT is {_endpoint()}, plain http, and would show HF_TOKEN to all on the way: use https, "
            "or unset HF_TOKEN"
        )
    return {"endpoint": _endpoint(), "token": token}


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Turn the errors of the Hub's library into a :class:`PoiError` of one line, or Unreachable where it failed itself."""
    errors = _hub().errors
    try:
        yield
    except (PoiError, MissingExtra):
        raise
    except errors.GatedRepoError:
        raise PoiError(f"{address} is gated: accept its terms on its page, and set HF_TOKEN to your token") from None
    except errors.RepositoryNotFoundError:
        raise PoiError(f"{address}: no such dataset, or a private one: check the name, or set HF_TOKEN") from None
    except errors.RevisionNotFoundError:
        raise PoiError(f"{address}: the dataset has no such revision: check what follows the @") from None
    except (FileNotFoundError, errors.EntryNotFoundError):
        raise PoiError(
            f"{address}: no such dataset, revision or file, or a private one: check it, or set HF_TOKEN"
        ) from None
    except (
        *errors.HfHubHTTPError.__bases__,
        OSError,
        ValueError,
    ) as error:  # the HTTP library's own are among the bases
        raise _failure(f"cannot read {address} from {urlsplit(_endpoint()).hostname}", error) from None


def _failure(what: str, error: Exception) -> PoiError | Unreachable:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return PoiError(f"{what}: status {status}: set HF_TOKEN to a token that may read it")
    if status is not None and 400 <= status < 500 and status not in _TRY_LATER:
        return PoiError(f"{what}: status {status}")
    if status is not None:
        return Unreachable(f"{what}: status {status}: try again later")
    told = f"{what}: no answer ({type(error).__name__})"
    return Unreachable(f"{told}: check the network, or download its Parquet files and name one in pois.path")
