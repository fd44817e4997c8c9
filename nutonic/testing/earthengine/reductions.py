"""Functions that make one image of many: reductions and mosaics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce

import numpy as np

from nutonic.testing.earthengine.bands import unique
from nutonic.testing.earthengine.expressions import Function
from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import (
    Band,
    Collection,
    EarthEngineImage,
    Pixels,
    PixelType,
    Points,
    Projection,
    everywhere,
)
from nutonic.testing.earthengine.values import Reducer

Image = EarthEngineImage
Read = Callable[[Sequence[Band], PixelType, Points], Pixels]


def _mode(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """The most frequent valid value; of several the smallest; masked where none is valid."""
    best, highest = np.zeros(points.x.shape, kind.dtype), np.zeros(points.x.shape, np.int64)
    reads = [band.at(points) for band in bands]
    present = [np.unique(values[valid]) for values, valid in reads]
    for value in np.unique(np.concatenate(present)) if present else ():
        times = np.sum([valid & (values == value) for values, valid in reads], axis=0)
        best, highest = np.where(times > highest, value, best).astype(kind.dtype), np.maximum(times, highest)
    return Pixels(best, highest > 0)


def _topmost(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """The first valid value in the order of the bands."""
    values, valid = np.zeros(points.x.shape, kind.dtype), np.zeros(points.x.shape, bool)
    for band in bands:
        if valid.all():
            break
        band_values, band_valid = band.at(points)
        values, valid = np.where(band_valid & ~valid, band_values.astype(kind.dtype), values), valid | band_valid
    return Pixels(values, valid)


def _last(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    return _topmost(bands[::-1], kind, points)


def _first_of_all(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """The values and the mask of the first band."""
    values, valid = bands[0].at(points)
    return Pixels(values.astype(kind.dtype), valid)


def _count(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """How many values are valid. Assumed: no pixel is masked, and the count may be 0."""
    return Pixels(np.sum([band.at(points).valid for band in bands], axis=0).astype(kind.dtype), everywhere(points))


def _statistic(statistic: Callable[..., np.ndarray], bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """A statistic of the valid values; masked where none is."""
    reads = [band.at(points) for band in bands]
    valid = np.stack([band_valid for _, band_valid in reads])
    values = np.where(valid, np.stack([band_values.astype("f8") for band_values, _ in reads]), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where nothing is valid
        result = np.nan_to_num(statistic(values, axis=0))
    return Pixels(kind.cast(result), np.asarray(valid.any(axis=0)))


def _same(kind: PixelType, _: int) -> PixelType:
    return kind


def _double(*_: object) -> PixelType:
    return PixelType("double")


def _total(kind: PixelType, number: int) -> PixelType:
    """The type of a sum. Assumed: integers stay integers, in the range that their sum may have."""
    if kind.precision != "int":
        return kind
    return PixelType("int", min(kind.low, number * kind.low), max(kind.high, number * kind.high))


def _number(_: PixelType, number: int) -> PixelType:
    return PixelType("int", 0, number)


#: Each reduction's function, and the type of its result by the inputs' type and number. These types are assumed.
REDUCTIONS: dict[str, tuple[Read, Callable[[PixelType, int], PixelType]]] = {
    "mode": (_mode, _same),
    "first": (_first_of_all, _same),
    "firstNonNull": (_topmost, _same),
    "lastNonNull": (_last, _same),
    "count": (_count, _number),
    "min": (partial(_statistic, np.nanmin), _same),
    "max": (partial(_statistic, np.nanmax), _same),
    "sum": (partial(_statistic, np.nansum), _total),
    "mean": (partial(_statistic, np.nanmean), _double),
    "median": (partial(_statistic, np.nanmedian), _double),
}


def _composite(name: str, bands: Sequence[Band], reduction: str, suffix: str = "") -> Band:
    """One band of many. As Earth Engine's, it has no bounds and a projection with pixels of one degree."""
    read, type_of = REDUCTIONS[reduction]
    kind = type_of(reduce(PixelType.union, (band.type for band in bands)), len(bands))
    return Band(f"{name}{suffix}", kind, partial(read, tuple(bands), kind), Projection())


def _matching(images: Sequence[Image]) -> dict[str, list[Band]]:
    """The bands of all images by name. Assumed: names are in the order of their first band."""
    by_name: dict[str, list[Band]] = {}
    for image in images:
        for band in image.bands:
            by_name.setdefault(band.id, []).append(band)
    return by_name


def composite(reduction: str, suffix: str, collection: Collection) -> Image:
    """All images of a collection as one, by the names of bands. It has no properties, and so no time."""
    return Image(
        tuple(_composite(name, bands, reduction, suffix) for name, bands in _matching(collection.images).items())
    )


def reduce_collection(collection: Collection, reducer: Reducer, _: float) -> Image:
    """A collection reduced by a reducer, whose name is appended to the names of bands."""
    return composite(_supported_name(reducer), f"_{_output(reducer)}", collection)


def reduce_bands(image: Image, reducer: Reducer) -> Image:
    """All bands of an image reduced to one."""
    if not image.bands:
        raise Problem("Image.reduce: The input image must have at least one band.")
    reduced = _composite(_output(reducer), image.bands, _supported_name(reducer))
    # It stays where its first band is.
    return image.computed((replace(image.bands[0], id=reduced.id, type=reduced.type, read=reduced.read),))


def _supported_name(reducer: Reducer) -> str:
    if reducer.name not in REDUCTIONS or reducer.count is not None:
        raise unsupported(f"reduction of pixels by Reducer.{reducer.name}")
    return reducer.name


def _output(reducer: Reducer) -> str:
    """The name of a reducer's output: "Where applicable, the output name is first", or last."""
    return reducer.name.removesuffix("NonNull")


def to_bands(collection: Collection) -> Image:
    """The bands of all images, with their images' indices in their names."""
    bands = [
        replace(band, id=f"{image.properties.get('system:index', number)}_{band.id}")
        for number, image in enumerate(collection.images)
        for band in image.bands
    ]
    return Image(unique(bands, set()))


def quality_mosaic(collection: Collection, quality: str) -> Image:
    """All bands, at each pixel from the image whose quality band is highest there; of several the first (assumed)."""
    by_name = _matching(collection.images)
    if quality not in by_name or any(len(bands) != len(collection.images) for bands in by_name.values()):
        raise Problem(f"ImageCollection.qualityMosaic: each image needs the same bands and '{quality}'.")

    def read(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
        ranks = [
            np.where(p.valid, p.values.astype("f8"), -np.inf) for p in (band.at(points) for band in by_name[quality])
        ]
        best = np.argmax(np.stack(ranks), axis=0)[None]
        reads = [band.at(points) for band in bands]
        values = np.take_along_axis(np.stack([pixels.values.astype(kind.dtype) for pixels in reads]), best, 0)[0]
        valid = np.take_along_axis(np.stack([pixels.valid for pixels in reads]), best, 0)[0]
        return Pixels(values, valid & np.isfinite(np.max(np.stack(ranks), axis=0)))

    composites = [_composite(name, bands, "first") for name, bands in by_name.items()]
    return Image(tuple(replace(band, read=partial(read, by_name[band.id], band.type)) for band in composites))


#: By Earth Engine's names. A mosaic has the pixels of the last image that is valid there.
FUNCTIONS: dict[str, Function] = {
    **{
        f"reduce.{name}": partial(composite, name, "")
        for name in ("mode", "min", "max", "sum", "mean", "median", "count")
    },
    **{f"Reducer.{name}": lambda *_, name=name: Reducer(name) for name in (*REDUCTIONS, "toList")},
    "Reducer.repeat": lambda reducer, count: replace(reducer, count=count),
    "ImageCollection.mosaic": partial(composite, "lastNonNull", ""),
    "ImageCollection.reduce": reduce_collection,
    "ImageCollection.toBands": to_bands,
    "ImageCollection.qualityMosaic": quality_mosaic,
    "Image.reduce": reduce_bands,
}
