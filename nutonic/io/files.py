"""Local files that somebody names, read only if they are files, and only so far; locks, handles, positions; free memory."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from nutonic.errors import StoreError

#: Bytes that are read at a time.
_PIECE = 2**20


def of_windows(path: str | Path) -> str:
    """What to say of a path that is one of Windows, on another system; nothing of others."""
    is_odd = os.name != "nt" and re.search(r"(^|/)[A-Za-z]:\\", str(path)) is not None
    return " (a path of Windows: here folders are set apart by /)" if is_odd else ""


def open_regular(path: str | Path) -> BufferedReader:
    """Open a file for reading, unless it is a pipe, a device or a folder, which may never end or never begin.

    Raises
    ------
    OSError
        If there is none, it cannot be read, or it is no regular file.
    """
    mode = Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return Path(path).open("rb")


def real_path(path: str | Path) -> Path:
    """A path with its links followed; of more links than any system follows, as it was written, where nothing can be.

    Other than :meth:`pathlib.Path.resolve` it ends for whatever path: links in a circle, or a thousand that lead on.
    """
    try:
        return Path(os.path.realpath(path))
    except RecursionError:
        return Path(os.path.abspath(path))  # noqa: PTH100  which follows none


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, however many, where there are none; :meth:`pathlib.Path.mkdir` ends at a thousand.

    Raises
    ------
    OSError
        If one of them cannot be made, or is a file.
    """
    missing = list[Path]()
    while True:
        try:
            folder.mkdir(exist_ok=True)
        except FileNotFoundError:
            if folder == folder.parent:
                raise
            missing.append(folder)
            folder = folder.parent
        else:
            break
    for each in reversed(missing):
        each.mkdir(exist_ok=True)


def below(root: Path, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Path and status of all that lies below a folder, links as themselves and not followed; in no order.

    What a user may not look into is as if it were empty.
    """
    folders = [prefix]  # not by way of itself: somebody's folders may lie in each other by the thousand
    while folders:
        folder = folders.pop()
        for entry in _entries(root / folder):
            with suppress(FileNotFoundError):  # another driver may sweep while this one looks
                status = entry.stat(follow_symlinks=False)
                path = f"{folder}/{entry.name}" if folder else entry.name
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    folders.append(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder; none if it does not exist or this user may not read it."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # it may be moved here from where its path was shorter
            return []
        raise


def obstacle_at(root: Path, path: str, *, folder: bool = False) -> str | None:
    """Why no file (or folder) may be made or removed at a path below a folder, in a line; None if it may.

    The folder itself may be reached through a link: that is the user's choice of a place.
    """
    parts, place = path.split("/"), str(root)
    for depth, part in enumerate(parts, start=1):
        place = f"{place}/{part}"
        try:
            mode = os.lstat(place).st_mode
        except (FileNotFoundError, NotADirectoryError):  # the root may be a file, which writing tells
            return None
        except OSError as error:
            return f"{place[:200]} cannot be looked at: {(error.strerror or 'unreadable').lower()}"
        is_folder = folder or depth < len(parts)
        if not (stat.S_ISDIR(mode) if is_folder else stat.S_ISREG(mode)):
            return _wrong(Path(place), mode, folder=is_folder)
    return None


def _wrong(place: Path, mode: int, *, folder: bool) -> str:
    """What is wrong with what lies where a file, or a folder, of nutonic's goes."""
    if stat.S_ISLNK(mode):
        kind = "folder" if os.path.isdir(place) else "file"  # noqa: PTH112  wherever it leads
        return f"{place} is a link to a {kind}: put the {kind} itself there, or move the link away"
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISREG, "a file"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((name for test, name in kinds if test(mode)), "a device")
    return f"{place} is {kind}, where nutonic has a {'folder' if folder else 'file'}: move it away"


def bytes_read_here() -> int:
    """Bytes that this thread has read of files since it began, by what Linux counts; 0 where nobody does."""
    try:
        handle = os.open("/proc/thread-self/io", os.O_RDONLY)  # for each window twice: files as objects took longer
        try:
            return int(os.read(handle, 64).split()[1])
        finally:
            os.close(handle)
    except (OSError, ValueError, IndexError):
        return 0


def read_regular(path: str | Path, most: int) -> bytes:
    """All of a regular file of at most so many bytes.

    Raises
    ------
    OSError
        As by :func:`open_regular`, or if the file is longer.
    """
    pieces, left = [], most + 1
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            left = 0
        while left and (piece := file.read(min(left, _PIECE))):  # what is asked for is allocated at once
            pieces.append(piece)
            left -= len(piece)
    if not left:  # some files, such as those of /proc, do not tell how long they are
        raise OSError(errno.EINVAL, f"it is larger than {most:,} bytes")
    return b"".join(pieces)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file that other processes on this machine cannot hold meanwhile; it is removed after.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    OSError
        If it cannot be created.
    """
    from filelock import FileLock, Timeout

    file_lock = FileLock(lock, blocking=False)
    try:
        file_lock.acquire()
    except Timeout:
        raise BlockingIOError(f"another process holds {lock.name}") from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it as it lets go
            lock.unlink()
        file_lock.release()


def require_handles(count: int) -> None:
    """Raise :class:`StoreError` where this process cannot open so many more files, pipes and sockets."""
    handles: list[int] = []
    try:
        handles.append(os.open(os.devnull, os.O_RDONLY))
        while len(handles) < count:
            handles.append(os.dup(handles[0]))
    except OSError as error:
        raise StoreError(
            f"too many open files, this takes {count} more: raise that limit (ulimit -n), or use fewer workers (--workers), "
            "and run the same command again"
        ) from error
    finally:
        for handle in handles:
            os.close(handle)


class PositionedFile(io.RawIOBase):
    """A file that is only read, by spans: it keeps the position. Whoever makes it has `size` and `_span`."""

    _at = 0

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        raise NotImplementedError

    def _span(self, start: int, end: int) -> bytes:
        """The bytes of a span that is not empty, within the file."""
        raise NotImplementedError

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as files do."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Bytes from here on."""
        end = self.size if size < 0 else min(self._at + size, self.size)
        content = self._span(self._at, end) if end > self._at else b""
        self._at += len(content)
        return content
