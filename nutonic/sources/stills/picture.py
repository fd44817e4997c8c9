"""What a still is as a file: a whole PNG or JPEG of a size that was asked for, kept byte for byte as it was delivered."""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

#: First bytes of the two kinds, by the suffix of their files.
_KINDS = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}
_FORMATS = {"png": "PNG", "jpg": "JPEG"}

#: No still is a larger file: a PNG of 2560 × 2560 in colours that do not compress has 20 MB.
MOST_BYTES = 32 * 2**20

#: Most pixels along a side of a still that is opened, and the memory that one takes while it is.
MOST_SIDE = 8192


class TooLarge(ValueError):
    """A picture of so many pixels that nobody has a look at any."""


def suffix_of(data: bytes) -> str | None:
    """``png`` or ``jpg`` by the first bytes of a file; None for anything else."""
    return next((suffix for suffix, first in _KINDS.items() if data.startswith(first)), None)


def measured(data: bytes) -> tuple[int, int]:
    """Width and height, as a PNG or JPEG says at its beginning; nothing is unpacked.

    Raises
    ------
    TooLarge
        If that is more than any still, or any other picture, has.
    ValueError
        If it is neither, so that the text fits behind the name of a file.
    """
    with _opened(data) as picture:
        return picture.size


def texts_in(data: bytes) -> tuple[str, ...]:
    """Decode all pixels of a PNG or JPEG; what it says beside them, unpacked: names and values of comments and the like.

    Raises
    ------
    ValueError
        If it is neither, has more than MOST_SIDE pixels a side or MOST_BYTES bytes, or cannot be decoded to its end.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES // 2**20} MB")
    with _opened(data) as picture:
        if max(picture.size) > MOST_SIDE:
            raise ValueError(f"has {picture.width} × {picture.height} pixels, more than {MOST_SIDE} a side")
        try:
            picture.load()
        except _BROKEN as error:
            raise ValueError(f"cannot be decoded ({type(error).__name__})") from None
        told = {**picture.info, **getattr(picture, "text", {})}
    values = [each for entry in told.items() for each in entry]
    return tuple(each.decode("latin-1") if isinstance(each, bytes) else str(each) for each in values)


#: What Pillow raises at a file that is not what it begins as.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, MemoryError, OverflowError, TypeError, IndexError, struct.error)


def _opened(data: bytes) -> Image.Image:
    """A picture whose head was read; as no other format than the one that its first bytes are of."""
    from PIL import Image

    suffix = suffix_of(data)
    if suffix is None:
        raise ValueError("is neither PNG nor JPEG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels: they are counted here, before any is unpacked
            return Image.open(io.BytesIO(data), formats=[_FORMATS[suffix]])
    except Image.DecompressionBombError:
        raise TooLarge("has too many pixels for any still") from None
    except _BROKEN as error:
        raise ValueError(f"cannot be decoded ({type(error).__name__})") from None
