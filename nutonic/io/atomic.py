"""Files and folders that appear whole, in one step; and why one could not be written, in a sentence."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nutonic.errors import InputError, NotNutonic, NutonicError, StoreError, StoreRefused
from nutonic.inert import inert
from nutonic.io.files import make_folders, real_path

#: What cannot be written because no more fits, and what to do; by the system's error code.
_FULL = {
    errno.ENOSPC: "no space left in {root}, writing {path}: make room",
    errno.EDQUOT: "the disk quota is used up in {root}, writing {path}: make room",
    errno.EFBIG: "{path} is larger than a file may be in {root}: raise that limit (ulimit -f)",
}

#: What a system says where a path cannot be used until somebody changes something: trying again is no use.
_REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}

#: What Windows and file systems that do not tell allow, in bytes: of a name, and of a whole path.
_LONGEST_NAME, _LONGEST_PATH = 255, 4096

#: Bytes that names below an output folder take at most, such as ``/_nutonic/commits/…``.
_BELOW = 160

#: Bytes that a temporary's name has more than the name that it stands for: ``.NAME.nutonic-partial-XXXXXXXX``.
BESIDE = 32


def refuse_unusable(path: Path, *, beside: int = 0) -> None:
    """Raise where nothing can ever be made at a path, whatever is on the disk otherwise; nothing is written.

    Parameters
    ----------
    path
        Where a file or a folder is to be made.
    beside
        Bytes that the names of temporaries beside it have more than its own.

    Raises
    ------
    InputError
        If it is a drive's root, has control characters in it, has a name that is too long, or is a link to nowhere.
    NotNutonic
        If it leads through a file.
    """
    path, text = path.absolute(), str(path)
    if path.name in ("", ".."):
        raise InputError(f"{text!r} is no name for an output: name a folder of its own")
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise InputError(f"{text[-_SHOWN:]!r} has control characters in it: name another path")
    parent = next((folder for folder in path.parents if _mode(folder) is not None), path.parent)
    _refuse_long(path, parent, beside)
    refuse_nowhere(path)
    if not stat.S_ISDIR(_mode(parent) or stat.S_IFDIR):
        raise NotNutonic(f"{parent} is a file: nothing can be made below it, name another path")


def refuse_no_text(path: Path) -> None:
    """Raise :class:`InputError` for a path with bytes that are no text, at which GDAL opens nothing."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{inert(str(path))} has bytes in its name that are no text (UTF-8): name another path"
        ) from None


#: Letters of a path that are shown where it is too long to be shown as a whole.
_SHOWN = 100

#: The file by which a folder is a dataset of nutonic's, its content, and what alone has a place in one beside its own.
MARKER, MARKER_BYTES, REPORT = "_nutonic/tree.json", b'{"nutonic":"tree","format":1}\n', "report.html"

#: The files by which a folder is a Zarr store, or a part of one.
_ZARR = ("zarr.json", ".zgroup", ".zarray")


def has_marker(folder: Path) -> bool:
    """Whether a folder has the marker of a dataset. Links are followed."""
    file = folder / MARKER
    try:
        status = file.stat()
        fits = stat.S_ISREG(status.st_mode) and status.st_size == len(MARKER_BYTES)
        return fits and file.read_bytes() == MARKER_BYTES
    except OSError:
        return False


def refuse_within(path: Path) -> None:
    """Raise :class:`NotNutonic` if an output would lie in a dataset or a Zarr store, which would not be what it is any more.

    Links are followed, to where the output would come to be. Of a dataset only its report has a place in it.
    """
    real = real_path(path)
    for folder in dict.fromkeys((*path.absolute().parents, *real.parents)):
        if has_marker(folder) and real != real_path(folder) / REPORT:
            raise NotNutonic(
                f"{path} lies in the dataset {folder}, which would not be whole with it: name a path outside of it"
            )
        if any((folder / mark).is_file() for mark in _ZARR):
            raise NotNutonic(f"{path} lies in {folder}, which is a Zarr store: name a path outside of it")


def refuse_nowhere(path: Path) -> None:
    """Raise :class:`InputError` if nothing can be at a path: it is too long, or a link on it is, or links go in a circle."""
    try:
        path.lstat()
        path.stat()
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            return
        length = len(os.fsencode(path))
        if length > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
            raise InputError(f"the path {str(path)[:_SHOWN]!r}… is too long: {length} bytes, name another") from None
        why = "links lead to each other" if error.errno == errno.ELOOP else "a link leads to a name that is too long"
        raise InputError(f"nothing can be at {path}: {why}; name another path") from None


def _refuse_long(path: Path, parent: Path, beside: int) -> None:
    longest_name, longest_path = (
        _allowed(parent, "PC_NAME_MAX", _LONGEST_NAME),
        _allowed(parent, "PC_PATH_MAX", _LONGEST_PATH),
    )
    long = next((part for part in path.parts if len(os.fsencode(part)) > longest_name), None)
    if long is None and len(os.fsencode(path.name)) + beside > longest_name:
        long, longest_name = path.name, longest_name - beside
    if long is not None:
        raise InputError(f"the name {long[:_SHOWN]!r}… is too long: {len(os.fsencode(long))} bytes of {longest_name}")
    length = len(os.fsencode(path))
    if length + _BELOW > longest_path:
        most = longest_path - _BELOW
        raise InputError(f"the path {str(path)[:_SHOWN]!r}… is too long: {length} bytes of {most}")


def _allowed(folder: Path, name: str, otherwise: int) -> int:
    """What the file system of a folder allows; Windows does not tell."""
    try:
        return os.pathconf(folder, name)
    except (AttributeError, OSError, ValueError):
        return otherwise


def _mode(path: Path) -> int | None:
    """A path's mode; None if nothing is there, or nobody may look."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None


def refuse_unwritable(path: Path) -> None:
    """Raise :class:`StoreRefused` where this user may not make a file at a path, before the work that it would hold."""
    folder = next((folder for folder in path.absolute().parents if folder.is_dir()), None)
    if path.is_dir():
        folder = path
    if folder is not None and not os.access(folder, os.W_OK | os.X_OK):
        why = "lies on a read-only file system" if _is_read_only(folder) else "may not be written by this user"
        raise StoreRefused(f"cannot write {path}: {folder} {why}: name another folder")


def _is_read_only(folder: Path) -> bool:
    """Whether nobody may write in a folder's file system; False where systems do not tell."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except (AttributeError, OSError):
        return False


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


def replace_file(path: str, data: bytes) -> None:
    """Write a small file, replacing one that is there; what a killed writer leaves is ``NAME#1``, as obstore's.

    Raises
    ------
    FileNotFoundError
        If somebody else removed it under its temporary name.
    OSError
        As the system says.
    """
    staged, handle = _staged(path)
    try:
        try:  # of millions of files, a file and paths as objects would take as long as writing
            written = os.write(handle, data)
            while written < len(data):
                written += os.write(handle, memoryview(data)[written:])
        finally:
            os.close(handle)
        os.replace(staged, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            Path(staged).unlink()
        raise


def create_file(path: str, pieces: Iterable[bytes]) -> bool:
    """Write a file of pieces unless it exists; whether it was written. Of two writers exactly one gets True."""
    staged, handle = _staged(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
        os.link(staged, path)
    except FileExistsError:
        return False
    finally:
        discard(staged)
    return True


def staged_file(path: str) -> str:
    """A new, empty file beside a path, to be written in parts by several; its path, which nobody else ever used.

    Whoever wakes up late writes into it then, wherever it is, or finds it gone.
    """
    staged, handle = _staged(path, secrets.randbelow(10**15) + 2)
    os.close(handle)
    return staged


def write_at(staged: str, first: int, pieces: Iterable[bytes]) -> None:
    """Write pieces into a file that is there, from a byte on; FileNotFoundError where it is gone."""
    with open(staged, "r+b", buffering=0) as file:  # noqa: PTH123
        file.seek(first)
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[file.write(rest) :]


def take(staged: str, path: str) -> bool:
    """Let a file that is whole take the place of another; False where somebody else removed it."""
    try:
        os.replace(staged, path)  # noqa: PTH105
    except FileNotFoundError:
        return False
    return True


def discard(staged: str) -> None:
    """Remove a file if it is still there."""
    with suppress(OSError):
        Path(staged).unlink()


def _staged(path: str, number: int = 1) -> tuple[str, int]:
    """A new file beside a path, and its handle; folders above it are made where there are none."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    made = False
    while True:
        staged = f"{path}#{number}"
        try:
            return staged, os.open(staged, flags, 0o666)
        except FileExistsError:
            number += 1
        except FileNotFoundError:
            if made:
                raise
            make_folders(Path(path).parent)
            made = True


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
    kind = StoreRefused if _code(error) in _REFUSED else StoreError
    return kind(f"cannot {verb} {path}: {reason.lower() if reason else str(error).partition(chr(10))[0]}")


def full_disk(message: str, path: Path | str, root: Path) -> StoreError | None:
    """That no more fits below `root`, where a library that tells no code says so in the system's words; else None."""
    code = next((code for code in _FULL if os.strerror(code) in message), None)
    return None if code is None else disk_error(OSError(code, os.strerror(code)), path, root)


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
