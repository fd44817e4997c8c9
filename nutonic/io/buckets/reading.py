"""Objects as files that are open for reading."""

from __future__ import annotations

import io
from collections.abc import Callable


class ObjectFile(io.RawIOBase):
    """An object that is read piece by piece, each by a request.

    Parameters
    ----------
    size
        Its bytes.
    read
        Some of them, by where they begin and how many they are.
    """

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._read, self._at = size, read, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on from elsewhere."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where the next byte is read from."""
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as there is something; the number of bytes."""
        length = max(0, min(len(buffer), self._size - self._at))
        buffer[:length] = self._read(self._at, length) if length else b""
        self._at += length
        return length
