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


#: A verb of :func:`counted_of`: of one, of several.
IS = ("is", "are")


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things, and what they do if `one` and `many` say so: the only place where one is told from several.

    >>> counted(1, "place"), counted(1200, "place"), counted(2, "batch", "batches")
    ('1 place', '1,200 places', '2 batches')
    >>> counted(1, "place is", "places are"), counted(0, "place is", "places are")
    ('1 place is', '0 places are')
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def counted_of(count: int, whole: int, one: str, many: str | None = None, *, verb: tuple[str, str] = ("", "")) -> str:
    """Some of a number. The noun goes with how many there are; `verb`, of one and of several, with how many of them.

    >>> counted_of(1, 3, "place", verb=IS), counted_of(2, 3, "place", verb=IS)
    ('1 of 3 places is', '2 of 3 places are')
    >>> counted_of(1, 1, "batch", "batches")
    '1 of 1 batch'
    """
    return f"{count:,} of {counted(whole, one, many)} {verb[count != 1]}".rstrip()
