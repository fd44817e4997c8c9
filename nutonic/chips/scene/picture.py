"""Native pixels of a patch to a picture of 8 bits, and to JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from nutonic.chips.chip import apply_stretch, limits_from_counts
from nutonic.errors import BadPixels
from nutonic.recipe.outputs import Stretch


def observed(rgb: np.ndarray) -> np.ndarray:
    """Where a picture was taken, (height, width) bool, of (3, height, width) uint16.

    Nodata is 0 in all bands: one band of deep water or of a dark roof may well be 0.
    """
    return np.asarray((rgb != 0).any(axis=0))


def picture_of(rgb: np.ndarray, stretch: Stretch | None, *, rendered: bool) -> np.ndarray:
    """A patch as a picture, (height, width, 3) uint8, of (3, height, width) uint16 with 0 for nodata.

    Without a stretch, or of a picture that is stretched already, numbers stay what they are.

    Raises
    ------
    BadPixels
        If numbers are beyond 8 bits and nothing says how they become 8 bits; or if a patch is of one tone throughout.
    """
    seen = observed(rgb)
    if stretch is None or rendered:
        if rgb.max(initial=0) > 255:
            raise BadPixels(
                f"numbers of up to {int(rgb.max())} are no picture of 8 bits: say how, with patches.stretch"
            )
        picture = np.moveaxis(rgb, 0, -1).astype(np.uint8)
    else:
        limits = limits_from_counts([np.bincount(band[seen], minlength=1) for band in rgb], stretch)
        if any(low == high for low, high in limits):
            raise BadPixels("a band of the patch is of one value throughout")
        picture = apply_stretch(rgb, seen, limits)
    if (picture == picture[:1, :1]).all():
        raise BadPixels("the patch is of one tone throughout")
    return np.ascontiguousarray(picture)


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """A picture as JPEG, with colours at full resolution and no other words in it; the same bytes each time."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=0, optimize=True)
    return file.getvalue()
