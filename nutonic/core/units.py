"""Numbers for people."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes for people: ``1.4 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """A number of seconds in words: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things: "1 place", "3 places", "2 batches".

    >>> counted(1, "place"), counted(0, "place"), counted(2, "batch", "batches")
    ('1 place', '0 places', '2 batches')
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"
