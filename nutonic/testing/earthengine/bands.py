"""Functions that select and arrange the bands of images, or change where their pixels lie."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from affine import Affine

from nutonic.testing.earthengine.expressions import Function
from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import Band, EarthEngineImage, Pixels, PixelType, Points, Projection, constant
from nutonic.testing.earthengine.values import image as as_image

Image = EarthEngineImage

#: Earth Engine's names of types that numpy has other names for.
_DTYPES = {"byte": "u1", "short": "i2", "int": "i4", "long": "i8", "float": "f4", "double": "f8"}

_NO_BANDS = "See https://developers.google.com/earth-engine/guides/debugging#no-bands"


def select_bands(name: str, image: Image, selectors: Sequence[Any]) -> Iterator[Band]:
    """The bands that match names, regular expressions or indices."""
    available = ", ".join(band.id for band in image.bands)
    for selector in selectors:
        if isinstance(selector, int | float):
            if not -len(image.bands) <= selector < len(image.bands):
                raise Problem(f"{name}: Band index {int(selector)} out of range. Available bands: [{available}].")
            yield image.bands[int(selector)]
            continue
        if not image.bands:
            raise Problem(f"{name}: Band pattern '{selector}' was applied to an Image with no bands. {_NO_BANDS}")
        matches = [band for band in image.bands if band.id == selector or re.fullmatch(selector, band.id)]
        if not matches:
            raise Problem(f"{name}: Band pattern '{selector}' did not match any bands. Available bands: [{available}]")
        yield from matches


def select(image: Image, selectors: Any, names: Sequence[str] | None) -> Image:
    """Some bands, with new names if any are given."""
    selected = tuple(select_bands("Image.select", image, selectors if isinstance(selectors, list) else [selectors]))
    return replace(image, bands=selected) if names is None else rename(replace(image, bands=selected), names)


def rename(image: Image, names: Sequence[str]) -> Image:
    """The same bands with other names."""
    if len(names) != len(image.bands):
        raise Problem(
            f"Image.rename: The number of names ({len(names)}) must match the number of bands ({len(image.bands)})."
        )
    bands = tuple(replace(band, id=name) for band, name in zip(image.bands, names, strict=True))
    return replace(image, bands=bands)


def unique(bands: Sequence[Band], names: set[str]) -> tuple[Band, ...]:
    """Bands with unique names, which are added to `names`: the second ``a`` becomes ``a_1``."""
    renamed = []
    for band in bands:
        free = (f"{band.id}_{number}" for number in count(1))
        name = band.id if band.id not in names else next(candidate for candidate in free if candidate not in names)
        names.add(name)
        renamed.append(replace(band, id=name))
    return tuple(renamed)


def add_bands(image: Image, other: Image, names: Sequence[Any] | None, overwrite: bool) -> Image:
    """The bands of one image, then those of another; with `overwrite` these replace bands of the same name."""
    added = other.bands if names is None else tuple(select_bands("Image.addBands", other, names))
    if not overwrite:
        return image.with_bands(image.bands + unique(added, {band.id for band in image.bands}))
    new = {band.id: band for band in added}
    bands = tuple(new.pop(band.id, band) for band in image.bands)
    return image.with_bands(bands + tuple(new.values()))


def concatenate(images: Sequence[Image]) -> Image:
    """The bands of all images, with the properties of the first image."""
    bands = unique([band for member in images for band in member.bands], set())
    return images[0].with_bands(bands) if images else Image(())


def remap(image: Image, old: Sequence[float], new: Sequence[float], default: Any, band: str | None) -> Image:
    """New values for some values of a band; all others become the default, or are masked."""
    if len(old) != len(new):
        raise Problem("Image.remap: 'from' and 'to' must have the same length.")
    (a,) = select_bands("Image.remap", image, [0 if band is None else band])
    is_integer = all(isinstance(number, int) for number in [*new, *([] if default is None else [default])])
    # Assumed: whole numbers become int32, others double.
    kind = PixelType.of("i4") if is_integer else PixelType("double")

    def read(points: Points) -> Pixels:
        values, valid = a.at(points)
        remapped, is_mapped = (
            np.full(values.shape, 0 if default is None else default, kind.dtype),
            np.zeros(valid.shape, bool),
        )
        for old_value, new_value in zip(old, new, strict=True):
            remapped[values == old_value], is_mapped = new_value, is_mapped | (values == old_value)
        return Pixels(remapped, valid & is_mapped if default is None else valid)

    return image.computed((replace(a, id="remapped", type=kind, read=read),))


def _of(projection: Projection, transform: Sequence[float] | None, scale: float | None) -> Projection:
    """A projection with another transform, or with pixels of `scale` metres."""
    if transform is not None:
        return replace(projection, transform=Affine(*transform))
    if scale is None:
        return projection
    if projection.crs == "EPSG:4326":
        raise unsupported("scale in degrees: give a crsTransform")
    a = projection.transform
    return replace(projection, transform=Affine(scale, 0, a.c, 0, math.copysign(scale, a.e), a.f))


def set_default_projection(
    image: Image, projection: Projection, transform: Sequence[float] | None, scale: float | None
) -> Image:
    """The same image, with another projection in its metadata."""
    target = _of(projection, transform, scale)
    return image.with_bands(tuple(replace(band, projection=target) for band in image.bands))


def reproject(image: Image, projection: Projection, transform: Sequence[float] | None, scale: float | None) -> Image:
    """An image that is computed at the centres of the given pixels, whatever pixels are requested."""
    target = _of(projection, transform, scale)

    def snapped(points: Points) -> Points:
        if target not in points.cache:
            points.cache[target] = target.centres(*target.pixels(points))
        snapped_points: Points = points.cache[target]
        return snapped_points

    def band(a: Band) -> Band:
        def within(points: Points) -> np.ndarray:
            return a.footprint(snapped(points))

        def read(points: Points) -> Pixels:
            return a.at(snapped(points))

        return replace(a, read=read, projection=target, shape=None, footprint=within)

    return image.with_bands(tuple(map(band, image.bands)))


def projection_of(image: Image) -> Projection:
    """The projection that all bands share."""
    projections = {band.projection for band in image.bands}
    if len(projections) != 1:
        raise Problem("Image.projection: The bands of the specified image contains different projections. Use .select "
                      "to pick exactly one band.")  # fmt: skip
    return projections.pop()


def metadata(image: Image, name: str, band: str | None) -> Image:
    """A property as a constant image of type double."""
    value = image.properties.get(name)
    if not isinstance(value, int | float):
        raise Problem(f"Image.metadata: Property '{name}' is not a number: {value!r}.")
    return Image((replace(constant(float(value)), id=band or name),))


def normalized_difference(image: Image, names: Sequence[str] | None) -> Image:
    """(a - b) / (a + b) of two bands, by default the first two.

    By the documentation it is masked where a band is negative or both are 0.
    """
    a, b = select_bands("Image.normalizedDifference", image, [0, 1] if names is None else names)

    def read(points: Points) -> Pixels:
        (x, valid), (y, also) = a.at(points), b.at(points)
        x, y = x.astype("f8"), y.astype("f8")
        is_defined = valid & also & (x >= 0) & (y >= 0) & (x + y != 0)
        return Pixels(np.divide(x - y, x + y, out=np.zeros(x.shape), where=is_defined).astype("f4"), is_defined)

    return image.computed((replace(a, id="nd", type=PixelType("float"), read=read),))


def cast(image: Image, types: Mapping[str, Any], order: Sequence[str] | None) -> Image:
    """Some bands, by name, as other types; a type is one of Earth Engine's names, or a PixelType."""
    if order is not None:
        image = select(image, list(order), None)
    return image.computed(tuple(_cast_to(types[band.id], band) if band.id in types else band for band in image.bands))


def _cast_to(type_name: Any, band: Band) -> Band:
    try:
        kind = type_name if isinstance(type_name, PixelType) else PixelType.of(_DTYPES.get(type_name, type_name))
    except TypeError:
        raise unsupported(f"type of pixels {type_name!r}") from None
    return band.computed(kind, lambda points: Pixels(kind.cast(band.at(points).values), band.at(points).valid))


def pixel_lonlat() -> Image:
    """Longitude and latitude of each pixel's centre."""

    def read(axis: str, points: Points) -> Pixels:
        return Pixels(getattr(points.to("EPSG:4326"), axis), np.ones(points.x.shape, bool))

    names = {"longitude": "x", "latitude": "y"}
    return Image(tuple(Band(name, PixelType("double"), partial(read, axis)) for name, axis in names.items()))


#: By Earth Engine's names.
FUNCTIONS: dict[str, Function] = {
    "Image.constant": as_image,
    "Image.select": select,
    "Image.rename": rename,
    "Image.addBands": add_bands,
    "Image.cat": lambda images: concatenate([as_image(image) for image in images]),
    "Image.bandNames": lambda image: [band.id for band in image.bands],
    "Image.remap": remap,
    "Image.reproject": reproject,
    "Image.setDefaultProjection": set_default_projection,
    "Image.projection": projection_of,
    "Image.metadata": metadata,
    "Image.cast": cast,
    "Image.bandTypes": lambda image: {band.id: band.type for band in image.bands},
    "Image.normalizedDifference": normalized_difference,
    "Image.pixelLonLat": pixel_lonlat,
    "Image.geometry": lambda image, *_: image.geometry,
}
