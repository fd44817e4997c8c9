"""Local files that somebody names: read only if they are files, and no further than they may be long; and their handles."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from nutonic.errors import StoreError


def open_regular(path: str | Path) -> BinaryIO:
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


def read_regular(path: str | Path, most: int) -> bytes:
    """All of a regular file of at most so many bytes.

    Raises
    ------
    OSError
        As by :func:`open_regular`, or if the file is longer.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EINVAL, f"it is larger than {most:,} bytes")
    return content


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
