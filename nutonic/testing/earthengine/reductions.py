"""One image of many: what is the most frequent, the first, on top."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce

import numpy as np

from nutonic.testing.earthengine.bands import unique
from nutonic.testing.earthengine.expressions import Function
from nutonic.testing.earthengine.faults import Problem, missing
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
    """The most frequent of the valid values, of several the smallest; masked where none is valid."""
    best, most = np.zeros(points.x.shape, kind.dtype), np.zeros(points.x.shape, np.int64)
    seen = [band.at(points) for band in bands]
    present = [np.unique(values[valid]) for values, valid in seen]
    for value in np.unique(np.concatenate(present)) if present else ():
        times = np.sum([valid & (values == value) for values, valid in seen], axis=0)
        best, most = np.where(times > most, value, best).astype(kind.dtype), np.maximum(times, most)
    return Pixels(best, most > 0)


def _topmost(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """The first valid value in the order of the bands."""
    values, valid = np.zeros(points.x.shape, kind.dtype), np.zeros(points.x.shape, bool)
    for band in bands:
        if valid.all():
            break
        here, shown = band.at(points)
        values, valid = np.where(shown & ~valid, here.astype(kind.dtype), values), valid | shown
    return Pixels(values, valid)


def _last(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    return _topmost(bands[::-1], kind, points)


def _first_of_all(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """The first band, masked where it is."""
    values, valid = bands[0].at(points)
    return Pixels(values.astype(kind.dtype), valid)


def _count(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """How many are valid. Assumed: masked nowhere, 0 where none is."""
    return Pixels(np.sum([band.at(points).valid for band in bands], axis=0).astype(kind.dtype), everywhere(points))


def _statistic(how: Callable[..., np.ndarray], bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
    """A statistic of the valid values; masked where none is."""
    seen = [band.at(points) for band in bands]
    valid = np.stack([shown for _, shown in seen])
    values = np.where(valid, np.stack([here.astype("f8") for here, _ in seen]), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where nothing is valid
        found = np.nan_to_num(how(values, axis=0))
    return Pixels(kind.cast(found), np.asarray(valid.any(axis=0)))


def _same(kind: PixelType, _: int) -> PixelType:
    return kind


def _double(*_: object) -> PixelType:
    return PixelType("double")


def _total(kind: PixelType, number: int) -> PixelType:
    """Assumed: integers stay integers, in whatever range their sum may have."""
    if kind.precision != "int":
        return kind
    return PixelType("int", min(kind.low, number * kind.low), max(kind.high, number * kind.high))


def _number(_: PixelType, number: int) -> PixelType:
    return PixelType("int", 0, number)


#: How each reduces, and the type of its result from that of all inputs and their number. Assumed: these types.
HOW: dict[str, tuple[Read, Callable[[PixelType, int], PixelType]]] = {
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


def _composite(name: str, bands: Sequence[Band], how: str, suffix: str = "") -> Band:
    """One band of many. It has no bounds, and says that its pixels are a degree wide, as Earth Engine's do."""
    read, type_of = HOW[how]
    kind = type_of(reduce(PixelType.union, (band.type for band in bands)), len(bands))
    return Band(f"{name}{suffix}", kind, partial(read, tuple(bands), kind), Projection())


def _matching(images: Sequence[Image]) -> dict[str, list[Band]]:
    """Bands by name. Assumed: in the order in which they are first met."""
    found: dict[str, list[Band]] = {}
    for image in images:
        for band in image.bands:
            found.setdefault(band.id, []).append(band)
    return found


def composite(how: str, suffix: str, collection: Collection) -> Image:
    """All images of a collection as one, band by band of the same name. It has no time and no other properties."""
    return Image(tuple(_composite(name, bands, how, suffix) for name, bands in _matching(collection.images).items()))


def reduce_collection(collection: Collection, reducer: Reducer, _: float) -> Image:
    """As a reducer says, whose name is added to the names of bands."""
    return composite(_known(reducer), f"_{_output(reducer)}", collection)


def reduce_bands(image: Image, reducer: Reducer) -> Image:
    """All bands of an image as one."""
    if not image.bands:
        raise Problem("Image.reduce: The input image must have at least one band.")
    made = _composite(_output(reducer), image.bands, _known(reducer))
    # It stays where its first band is.
    return image.computed((replace(image.bands[0], id=made.id, type=made.type, read=made.read),))


def _known(reducer: Reducer) -> str:
    if reducer.name not in HOW or reducer.count is not None:
        raise missing(f"reduction of pixels by Reducer.{reducer.name}")
    return reducer.name


def _output(reducer: Reducer) -> str:
    """The name of a reducer's output: "Where applicable, the output name is first", or last."""
    return reducer.name.removesuffix("NonNull")


def to_bands(collection: Collection) -> Image:
    """The bands of all images, named after their images' indices."""
    bands = [
        replace(band, id=f"{image.properties.get('system:index', number)}_{band.id}")
        for number, image in enumerate(collection.images)
        for band in image.bands
    ]
    return Image(unique(bands, set()))


def quality_mosaic(collection: Collection, quality: str) -> Image:
    """At each pixel, all bands of the image whose quality band is highest there; of several the first (assumed)."""
    named = _matching(collection.images)
    if quality not in named or any(len(bands) != len(collection.images) for bands in named.values()):
        raise Problem(f"ImageCollection.qualityMosaic: each image needs the same bands and '{quality}'.")

    def read(bands: Sequence[Band], kind: PixelType, points: Points) -> Pixels:
        ranks = [
            np.where(p.valid, p.values.astype("f8"), -np.inf) for p in (band.at(points) for band in named[quality])
        ]
        best = np.argmax(np.stack(ranks), axis=0)[None]
        seen = [band.at(points) for band in bands]
        values = np.take_along_axis(np.stack([each.values.astype(kind.dtype) for each in seen]), best, 0)[0]
        shown = np.take_along_axis(np.stack([each.valid for each in seen]), best, 0)[0]
        return Pixels(values, shown & np.isfinite(np.max(np.stack(ranks), axis=0)))

    made = (replace(_composite(name, bands, "first"), read=partial(read, bands, _composite(name, bands, "first").type))
            for name, bands in named.items())  # fmt: skip
    return Image(tuple(made))


#: By Earth Engine's names. Pixels of a mosaic are those of the last image that is valid there.
FUNCTIONS: dict[str, Function] = {
    **{
        f"reduce.{how}": partial(composite, how, "") for how in ("mode", "min", "max", "sum", "mean", "median", "count")
    },
    **{f"Reducer.{how}": lambda *_, how=how: Reducer(how) for how in (*HOW, "toList")},
    "Reducer.repeat": lambda reducer, count: replace(reducer, count=count),
    "ImageCollection.mosaic": partial(composite, "lastNonNull", ""),
    "ImageCollection.reduce": reduce_collection,
    "ImageCollection.toBands": to_bands,
    "ImageCollection.qualityMosaic": quality_mosaic,
    "Image.reduce": reduce_bands,
}
