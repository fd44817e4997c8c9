"""Putting a pack, or a tree, on the Hugging Face Hub: what is there already is not sent, and all is compared at the end.

The Hub's own library does the sending. The token comes from the environment (``HF_TOKEN``) alone, and what a service says is
never repeated.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from nutonic.core.model import Json
from nutonic.core.showing import ShortRepr
from nutonic.core.units import IS, counted, counted_of
from nutonic.dataset.packs.layout import is_pack
from nutonic.errors import Corrupt, InputError, MissingExtra, NutonicError, Refused, StoreError, Unreachable
from nutonic.io.access import is_loopback
from nutonic.io.buckets.address import path_of
from nutonic.io.http import retry_after
from nutonic.run.callbacks import Callback, CallbackGroup, LogCallback, Note
from nutonic.run.packs.outgoing import Cargo, Outgoing, batches, cargo_of, count_up_to
from nutonic.run.packs.pack import pack

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Files of a tree from which on it is packed before it is pushed: the Hub advises fewer than 100,000.
MOST_FILES = 50_000

#: What may pass, how often it is tried, and the longest pause, in seconds.
_MAY_PASS = (408, 409, 412, 425, 429, 500, 502, 503, 504)
_ATTEMPTS, _LONGEST_S = 6, 300.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pushed(ShortRepr):
    """What is on the Hub now."""

    repo: str
    folder: str
    """What was pushed: the folder that was named, or the pack that was made of it."""
    revision: str
    files: int
    """Files that are there."""
    bytes: int
    sent: int
    """Of them, those that were not there before."""
    sent_bytes: int
    dry: bool = False
    """Whether nothing was sent, and nobody asked."""

    def _facts(self) -> Json:
        return {"repo": self.repo, "files": self.files, "bytes": self.bytes, "sent": self.sent}


def push(
    folder: str | Path,
    repo: str,
    *,
    private: bool = False,
    revision: str = "main",
    dry_run: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Pushed:
    """Put a pack or a tree on the Hugging Face Hub as a dataset, or go on with that.

    A tree with more than 50,000 files is packed as Parquet into a folder beside it first, which is then pushed. Files go in
    commits of 90; what the repository has already is not sent again, whoever was interrupted when. Files of others in it
    stay.

    Parameters
    ----------
    folder
        A finished pack or tree. What lies below ``_nutonic/`` stays here.
    repo, private
        ``OWNER/NAME``; made if there is none, and then private or not.
    revision
        The branch; made from main if there is none.
    dry_run
        Say what would be sent, and ask nobody.
    callbacks
        What hears of it: notes.

    Raises
    ------
    InputError
        If the repository has no such name, or the folder is not finished; nothing was sent.
    Refused
        If ``HF_TOKEN`` is not set, or may not write there.
    Corrupt, StoreError
        If a file is not what was written, or changes while it is sent.
    Unreachable, MissingExtra
        If the Hub fails for too long: the same call goes on; if ``huggingface_hub`` is not installed.
    """
    _refuse_names(repo, revision)
    group = CallbackGroup([LogCallback(), *callbacks])
    hub = None if dry_run else _Hub(_library(), *_access(), repo=repo, revision=revision)
    cargo = cargo_of(_pushable(path_of(folder), group, dry=dry_run))
    sent = [] if hub is None else _put(hub, cargo, group, private=private)
    return Pushed(
        repo=repo,
        folder=str(cargo.root),
        revision=revision,
        files=len(cargo.files),
        bytes=cargo.size,
        sent=len(sent),
        sent_bytes=sum(file.size for file in sent),
        dry=dry_run,
    )


def _put(hub: _Hub, cargo: Cargo, callback: Callback, *, private: bool) -> list[Outgoing]:
    """Send what is not there, and compare; the files that were sent."""
    with _quiet(hub.library):
        hub.make(private=private)
        sent = _send(hub, cargo, callback)
        _compare(hub, cargo)
    return sent


def _refuse_names(repo: str, revision: str) -> None:
    plain = re.fullmatch(r"[A-Za-z0-9]([\w.-]*\w)?/[A-Za-z0-9]([\w.-]*\w)?", repo, re.ASCII) and len(repo) <= 96
    if not plain or "--" in repo or ".." in repo or repo.endswith(".git"):  # the Hub takes none of these
        raise InputError(f"{repo!r:.100} is no name of a repository: write OWNER/NAME")
    plain = re.fullmatch(r"[A-Za-z0-9][\w./-]*", revision, re.ASCII) and len(revision) <= 255
    if not plain or ".." in revision or "//" in revision or revision.endswith((".lock", "/", ".")):  # nor does git
        raise InputError(f"{revision!r:.100} is no name of a branch")


def _pushable(folder: Path, callback: Callback, *, dry: bool) -> Path:
    """The folder, or the pack of a tree that has too many files."""
    if is_pack(folder) or count_up_to(folder, MOST_FILES + 1) <= MOST_FILES:
        return folder
    packed = folder.with_name(f"{folder.name}-parquet")
    why = f"{folder} has more than {MOST_FILES:,} files, and the Hub advises fewer than 100,000"
    if dry:
        callback.on_note(
            Note(text=f"{why}: it would be packed as Parquet into {packed}, which would be pushed instead")
        )
        return folder
    callback.on_note(Note(text=f"{why}: it is packed as Parquet into {packed}, which is pushed instead"))
    made = pack(folder, packed, callbacks=[callback])
    if not made.complete:
        raise StoreError(f"{packed} is not finished: {'; '.join(made.failures)[:300] or 'run the same command again'}")
    return packed


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise MissingExtra("pushing to the Hugging Face Hub needs a package: pip install 'nutonic[hub]'") from None
    return huggingface_hub


def _access() -> tuple[str, str]:
    """Endpoint and token."""
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    token, parts = os.environ.get("HF_TOKEN", "").strip(), urlsplit(endpoint)
    if not token:
        raise Refused(
            "HF_TOKEN is not set: put a token that may write in the environment, or look first with --dry-run"
        )
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InputError(f"HF_ENDPOINT is {endpoint}, plain http, and would show HF_TOKEN to all on the way: use https")
    return endpoint, token


class _Hub:
    """One branch of one repository."""

    def __init__(self, library: Any, endpoint: str, token: str, *, repo: str, revision: str) -> None:
        self.library, self.repo, self.revision = library, repo, revision
        self._api = library.HfApi(endpoint=endpoint, token=token)
        self._host = urlsplit(endpoint).hostname

    def make(self, *, private: bool) -> None:
        """The repository and the branch, unless they are there."""
        made = partial(self._api.create_repo, self.repo, repo_type="dataset", private=private, exist_ok=True)
        self.tried(made)
        if self.revision != "main":
            branch = partial(
                self._api.create_branch, self.repo, branch=self.revision, repo_type="dataset", exist_ok=True
            )
            self.tried(branch)

    def files(self) -> dict[str, tuple[int, str]]:
        """Size and hash of each file: SHA-256 of those in large storage, git's own of others."""

        def listed() -> dict[str, tuple[int, str]]:
            entries = self._api.list_repo_tree(self.repo, recursive=True, revision=self.revision, repo_type="dataset")
            return {
                entry.path: (entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
                for entry in entries
                if hasattr(entry, "blob_id")
            }

        return self.tried(listed)

    def commit(self, batch: Sequence[Outgoing], root: Path, message: str) -> None:
        """Send files, then commit them; that none changed meanwhile is looked at before."""
        before = [_stamp(root / file.path) for file in batch]
        additions = [self._addition(file, root) for file in batch]
        about = {"repo_type": "dataset", "revision": self.revision}
        self._api.preupload_lfs_files(self.repo, additions=additions, **about)
        for file, stamp in zip(batch, before, strict=True):
            if _stamp(root / file.path) != stamp:
                raise StoreError(
                    f"{file.path} changed while it was sent, and was not committed: run the same command again"
                )
        self._api.create_commit(self.repo, operations=additions, commit_message=message, **about)

    def _addition(self, file: Outgoing, root: Path) -> Any:
        addition = self.library.CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=str(root / file.path))
        if file.sha256 is not None and addition.upload_info.sha256.hex() != file.sha256:
            raise Corrupt(f"{file.path} is not what was written: run nutonic verify, or pack again")
        return addition

    def tried(self, call: Callable[[], T]) -> T:
        """What a call gives, tried again where it may pass."""
        for attempt in range(_ATTEMPTS):
            try:
                return call()
            except NutonicError:
                raise
            except Exception as error:
                pause = self._pause(error, attempt)
                if pause is None:
                    raise self._explained(error) from None
                _log.debug("the Hub: %s, again in %.0f s", _kind(error), pause)
                time.sleep(pause)
        raise AssertionError("the last attempt raises")

    def _pause(self, error: Exception, attempt: int) -> float | None:
        """Seconds before another attempt; None for none."""
        response = getattr(_cause(error), "response", None)
        if response is None:
            passing = isinstance(_cause(error), (OSError, *self.library.errors.HfHubHTTPError.__bases__))
        else:
            passing = response.status_code in _MAY_PASS
        if not passing or attempt == _ATTEMPTS - 1:
            return None
        told = None if response is None else retry_after(response.headers)
        return min(_LONGEST_S, 2.0**attempt if told is None else told)

    def _explained(self, error: Exception) -> NutonicError:
        """An error of one line, without a word of the service's, nor an address."""
        cause = _cause(error)
        response = getattr(cause, "response", None)
        where = f"{self.repo} on {self._host}"
        if response is None:
            return Unreachable(f"{where} cannot be written: no answer ({type(cause).__name__})")
        status = response.status_code
        if status in (401, 403):
            return Refused(
                f"{where} may not be written (status {status}): set HF_TOKEN to a token that may write there"
            )
        if status in _MAY_PASS:
            return Unreachable(f"{where} cannot be written: status {status}: run the same command again later")
        return InputError(f"{where} cannot be written: status {status}: check its name and the branch")


def _cause(error: BaseException) -> BaseException:
    """What the Hub's library wraps while it sends a file."""
    while error.__cause__ is not None and not hasattr(error, "response"):
        error = error.__cause__
    return error


def _kind(error: Exception) -> str:
    response = getattr(_cause(error), "response", None)
    return f"status {response.status_code}" if response is not None else type(_cause(error)).__name__


def _stamp(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _send(hub: _Hub, cargo: Cargo, callback: Callback) -> list[Outgoing]:
    """Send what is not there, a commit after the other; the files that were sent."""
    sent: list[Outgoing] = []
    there = hub.files()
    left = [file for file in cargo.files if not _has(there, file, cargo.root)]
    for batch in batches(left):
        sent += _commit(hub, batch, cargo.root)
        done = len(cargo.files) - len(left) + len(sent)
        callback.on_note(Note(text=f"{counted_of(done, len(cargo.files), 'file', verb=IS)} on the Hub"))
    return sent


def _commit(hub: _Hub, batch: list[Outgoing], root: Path) -> list[Outgoing]:
    """Commit a batch. An attempt whose answer was lost may have gone well: what is there then is not sent again."""
    left, first = batch, True

    def attempt() -> None:
        nonlocal left, first
        if not first:
            there = hub.files()
            left = [file for file in batch if not _has(there, file, root)]
        first = False
        if left:
            hub.commit(left, root, f"Add {counted(len(batch), 'file')} with nutonic")

    hub.tried(attempt)
    return batch


def _has(there: dict[str, tuple[int, str]], file: Outgoing, root: Path) -> bool:
    """Whether the repository has just this file."""
    size, digest = there.get(file.path, (-1, ""))
    if size != file.size:
        return False
    if len(digest) == 64:
        return digest == (file.sha256 or _sha256(root / file.path))
    return digest == _git_hash(root / file.path, file.size)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_hash(path: Path, size: int) -> str:
    found = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(2**20):
            found.update(piece)
    return found.hexdigest()


def _compare(hub: _Hub, cargo: Cargo) -> None:
    """Raise where the repository does not have all, byte for byte by its own hashes."""
    there = hub.files()
    wrong = [file.path for file in cargo.files if not _has(there, file, cargo.root)]
    if wrong:
        some = counted(
            len(wrong), "file on the Hub is not the one that was", "files on the Hub are not those that were"
        )
        raise StoreError(
            f"{some} sent, such as {wrong[0]}: somebody else writes there, "
            "or the folder changed; run the same command again"
        )


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Neither bars nor words of the library's: what it logs may have addresses with signatures."""
    logger = logging.getLogger("huggingface_hub")
    level, bars = logger.level, library.utils.are_progress_bars_disabled()
    logger.setLevel(logging.CRITICAL)
    library.utils.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if not bars:
            library.utils.enable_progress_bars()
