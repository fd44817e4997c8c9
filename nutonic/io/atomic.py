"""Files and folders that appear whole, in one step; and why one could not be written, in a sentence."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nutonic.errors import NutonicError, StoreError

#: What cannot be written because no more fits, and what to do; by the system's error code.
_FULL = {
    errno.ENOSPC: "no space left in {root}, writing {path}: make room",
    errno.EDQUOT: "the disk quota is used up in {root}, writing {path}: make room",
    errno.EFBIG: "{path} is larger than a file may be in {root}: raise that limit (ulimit -f)",
}


@contextmanager
def new_file(path: Path, *, prefix: str) -> Iterator[Path]:
    """A path to write a file at, by any writer; once the block ends without an error, it takes the place of `path`.

    It lies in a temporary folder beside `path`, `prefix` and eight letters, where the writer may have other files too.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        new = Path(folder) / path.name
        yield new
        new.replace(path)


@contextmanager
def new_folder(path: Path, *, prefix: str) -> Iterator[Path]:
    """An empty folder to fill; once the block ends without an error, it is called `path`, where there must be none.

    Until then it lies beside `path` as `prefix` and eight letters.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        yield folder
        folder.chmod(0o777 & ~_umask())
        folder.rename(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """What the system refuses to a writer of `path`, as :class:`StoreError`."""
    try:
        yield
    except NutonicError:
        raise
    except OSError as error:
        raise disk_error(error, path, path.parent) from None


def disk_error(error: Exception, path: Path | str, root: Path | None, verb: str = "write") -> StoreError:
    """Why `path`, below `root`, could not be written, in a sentence: of a full disk what to do, and that it then goes on.

    An error that says so already stays as it is.
    """
    if isinstance(error, StoreError):
        return error
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):  # of all that was copied; one will do
        error = OSError(error.args[0][0][-1])
    full = _FULL.get(_code(error))
    if full is not None:
        return StoreError(f"{full.format(root=root, path=path)} and run the same command again")
    reason = getattr(error, "strerror", None)
    return StoreError(f"cannot {verb} {path}: {reason.lower() if reason else str(error).partition(chr(10))[0]}")


def _code(error: Exception) -> int:
    """The operating system's error number, 0 if there is none; obstore and shutil give it only in the message."""
    match = re.search(r"\(os error (\d+)\)$|^\[Errno (\d+)\]", str(error).partition("\n")[0])
    return int(match[1] or match[2]) if match else getattr(error, "errno", None) or 0


def refusal_at(path: Path) -> OSError | None:
    """The error when a megabyte is appended to a temporary file, None if that works; the file is left longer."""
    try:
        with path.open("ab") as file:
            file.write(bytes(2**20))
    except OSError as error:
        return error
    return None
