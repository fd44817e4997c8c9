"""Functions on the masks of images, and functions that combine images by their masks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import shapely

from nutonic.testing.earthengine.arithmetic import pairs
from nutonic.testing.earthengine.expressions import Function
from nutonic.testing.earthengine.faults import Problem
from nutonic.testing.earthengine.images import Band, EarthEngineImage, Pixels, PixelType, Points, constant
from nutonic.testing.earthengine.values import covers, geometry

Image = EarthEngineImage


def _masked(name: str, image: Image, mask: Image, *, keep: bool) -> Image:
    """An image with another mask; with `keep`, its own mask holds too."""
    if len(mask.bands) not in (1, len(image.bands)):
        raise Problem(f"{name}: If one image has no bands, the other must also have no bands. "
                      f"Got {len(image.bands)} and {len(mask.bands)}.")  # fmt: skip

    def band(a: Band, m: Band) -> Band:
        def read(points: Points) -> Pixels:
            (values, valid), (mask_values, also) = a.at(points), m.at(points)
            is_open = also & (mask_values != 0)
            return Pixels(values, valid & is_open if keep else is_open)

        return a.computed(a.type, read)

    masks = mask.bands * len(image.bands) if len(mask.bands) == 1 else mask.bands
    return image.with_bands(tuple(map(band, image.bands, masks)))


def update_mask(image: Image, mask: Image) -> Image:
    """Mask where another image is 0 or masked."""
    return _masked("Image.updateMask", image, mask, keep=True)


def set_or_get_mask(image: Image, mask: Image | None) -> Image:
    """Replace the mask; pixels that were masked before hold 0. Without another mask: the image's own mask, 0 or 1."""
    if mask is not None:
        return _masked("Image.mask", image, mask, keep=False)

    def band(a: Band) -> Band:
        # By the documentation it is from 0 to 1, so it may be a fraction. Assumed: its type is float.
        def read(points: Points) -> Pixels:
            return Pixels(a.at(points).valid.astype("f4"), np.ones(points.x.shape, bool))

        return a.computed(PixelType("float"), read)

    return image.with_bands(tuple(map(band, image.bands)))


def unmask(image: Image, value: Image | None, same_footprint: bool) -> Image:
    """An image with values where it is masked: 0, or those of another image where it is valid.

    With `same_footprint` only within the image's footprint, otherwise everywhere.
    """
    other = value or Image((constant(0),))

    def band(a: Band, b: Band, _: Band) -> Band:
        kind = a.type.union(b.type)

        def read(points: Points) -> Pixels:
            (x, valid), (y, also) = a.at(points), b.at(points)
            is_filled = also & a.footprint(points) if same_footprint else also
            return Pixels(np.where(valid, x.astype(kind.dtype), y.astype(kind.dtype)), valid | is_filled)

        unmasked = a.computed(kind, read)
        return unmasked if same_footprint else replace(unmasked, footprint=partial(_either, a, b))

    return image.with_bands(tuple(band(*trio) for trio in pairs("Image.unmask", image, other)))


def where(image: Image, test: Image, value: Image) -> Image:
    """An image with the values of `value` where `test` is not 0 and both are valid. Masked pixels stay masked."""
    tests = test.bands * len(image.bands) if len(test.bands) == 1 else test.bands
    values = value.bands * len(image.bands) if len(value.bands) == 1 else value.bands

    def band(a: Band, t: Band, v: Band) -> Band:
        kind = a.type.union(v.type)

        def read(points: Points) -> Pixels:
            (x, valid), (test_values, test_valid), (y, value_valid) = a.at(points), t.at(points), v.at(points)
            take = (test_values != 0) & test_valid & value_valid
            return Pixels(np.where(take, y.astype(kind.dtype), x.astype(kind.dtype)), valid)

        return a.computed(kind, read)

    return image.with_bands(tuple(map(band, image.bands, tests, values)))


def blend(bottom: Image, top: Image) -> Image:
    """The top image where it is valid, else the bottom one."""

    def band(a: Band, b: Band, name_source: Band) -> Band:
        kind = a.type.union(b.type)

        def read(points: Points) -> Pixels:
            (x, valid), (y, top_valid) = a.at(points), b.at(points)
            return Pixels(np.where(top_valid, y.astype(kind.dtype), x.astype(kind.dtype)), valid | top_valid)

        # Assumed: the footprint is the union of both.
        both = partial(_either, a, b)
        return replace(a, id=name_source.id, type=kind, read=read, footprint=both)

    return bottom.with_bands(tuple(band(*trio) for trio in pairs("Image.blend", bottom, top)))


def _either(a: Band, b: Band, points: Points) -> np.ndarray:
    return np.asarray(a.footprint(points) | b.footprint(points))


def clip(image: Image, shape: Any) -> Image:
    """Mask an image outside of a geometry. Assumed: a pixel is inside if its centre is."""
    area = geometry(shape)
    shapely.prepare(area)

    def band(a: Band) -> Band:
        def within(points: Points) -> np.ndarray:
            return np.asarray(a.footprint(points) & covers(area, points))

        def read(points: Points) -> Pixels:
            values, valid = a.at(points)
            return Pixels(values, valid & covers(area, points))

        return replace(a, read=read, footprint=within)

    return image.with_bands(tuple(map(band, image.bands)))


#: By Earth Engine's names.
FUNCTIONS: dict[str, Function] = {
    "Image.updateMask": update_mask,
    "Image.selfMask": lambda image: update_mask(image, image),
    "Image.mask": set_or_get_mask,
    "Image.unmask": unmask,
    "Image.where": where,
    "Image.blend": blend,
    "Image.clip": clip,
}
