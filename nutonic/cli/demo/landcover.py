"""Land cover of a whole scene: polygons of a map, and between them what a classifier learnt from those very polygons.

Everything is in whole numbers (:mod:`nutonic.cli.demo.classify`). What neither tells stays 0, unknown: clouds and their
shadows, classes that the classifier cannot tell, and pixels whose polygon says one thing and whose picture plainly another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rasterio.features import sieve
from scipy.ndimage import label, maximum_filter, minimum_filter

from nutonic.cli.demo.classify import fit

#: The class that is told by the rules below, too.
WATER = 1

#: Polygons are held out in so many parts, by their number and this seed, and every so-manieth of their pixels is counted.
PARTS, SEED, _STEP = 5, 7, 3

#: A class is predicted only if on this share of its held-out pixels it is found.
LEAST_FOUND = 0.7

#: The normalised difference of green and near infrared (in thousandths, over windows of 3 pixels) that water has at least:
#: if its score is the best, if another's is, and in the shadow of a cloud or against a polygon. Wet soil, blue roofs and
#: shaded streets have less. Last the pixels of its smallest patch.
_WET, _WETTER, _WETTEST, _LEAST_WATER = 80, 120, 200, 8

#: Fewer pixels of a class on land are a speck, and become what lies around them.
_SPECK = 25

#: A window of so many pixels whose mean is brighter than this in red and near infrared is sand or a roof, and no class.
_SAND, _GLARING = 9, 2000

#: Digital numbers of blue and of near infrared above which the mean of a window of so many pixels is cloud, and how wide its
#: edge is. Snow on ice is bright in blue alone.
_CLOUD_BLUE, _CLOUD_INFRARED, _CLOUD, _CLOUD_EDGE = 1650, 1900, 41, 33

#: Scores are added up over a window of so many pixels, where one counts at most so far behind the best class's. A polygon's
#: class whose mean lies farther behind than the last is contradicted by the picture.
_SMOOTHED, _CAPPED, _PLAINLY = 5, 640, 400

#: Brighter than this (digital number) is all the same.
_BRIGHTEST = 6000


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How well a class is told on polygons that the classifier did not learn from.

    Attributes
    ----------
    found
        Of its pixels, the share that is predicted as it, 0 to 1.
    right
        Of the pixels that are predicted as it, the share that is it, 0 to 1.
    """

    found: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LandCover:
    """What :func:`land_cover` makes.

    Attributes
    ----------
    labels
        Class ids, (height, width) uint8; 0 is unknown.
    clouds
        Where cloud is, or near, (height, width) bool.
    accuracies
        Of each class that is predicted, by id.
    overall
        The share of all pixels held out on which the class of the polygon is predicted, 0 to 1.
    untold
        The classes that were not predicted, with the accuracy that was not enough.
    """

    labels: np.ndarray
    clouds: np.ndarray
    accuracies: dict[int, Accuracy]
    overall: float
    untold: dict[int, Accuracy]


def land_cover(
    bands: Mapping[str, np.ndarray], polygons: np.ndarray, classes: np.ndarray, shadows: np.ndarray
) -> LandCover:
    """Land cover from four bands and polygons.

    Parameters
    ----------
    bands
        ``blue``, ``green``, ``red`` and ``nir`` as digital numbers, each (height, width) uint16.
    polygons
        The number of the polygon on each pixel, (height, width); 0 is none.
    classes
        The class id of each polygon by its number, beginning with 0 for none.
    shadows
        Where clouds throw their shadow, (height, width) bool. Water there is still told: it is dark in any light.
    """
    clouds, features, known = cloudy(bands), _features(bands), classes[polygons]
    # A polygon's margin is half its neighbour: nothing is learnt there, but it is counted.
    inner = minimum_filter(polygons, 3) == maximum_filter(polygons, 3)
    clear = ~(clouds | shadows).ravel()
    table = _Table(features=features, polygons=polygons.ravel(), known=known.ravel(), clear=clear, inner=inner.ravel())
    accuracies, untold, overall = _told_apart(table)
    told = np.array(list(accuracies))
    behind = _behind(table, told, polygons.shape)
    ndwi = _ndwi(bands)
    predicted = _predicted(known, told, behind, np.where(shadows, ndwi - (_WETTEST - _WETTER), ndwi))
    labels = np.where(known > 0, _uncontradicted(known, told, behind, ndwi), predicted)
    hidden = clouds | _glaring(bands) | (shadows & (labels != WATER))
    labels = np.where(hidden, 0, labels).astype(np.uint8)
    return LandCover(labels=labels, clouds=clouds, accuracies=accuracies, overall=overall, untold=untold)


def cloudy(bands: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where cloud is or is near, (height, width) bool: wide areas that are bright in blue and in near infrared."""
    blue, infrared = (_window_means(_capped(bands[name]), _CLOUD) for name in ("blue", "nir"))
    return np.asarray(maximum_filter((blue > _CLOUD_BLUE) & (infrared > _CLOUD_INFRARED), _CLOUD_EDGE))


def _glaring(bands: Mapping[str, np.ndarray]) -> np.ndarray:
    red, infrared = (_window_means(_capped(bands[name]), _SAND) for name in ("red", "nir"))
    return np.asarray(maximum_filter(np.minimum(red, infrared) > _GLARING, _SAND))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Table:
    """A row for each pixel: features, polygon's number, class, whether it is clear, and whether within its polygon."""

    features: np.ndarray
    polygons: np.ndarray
    known: np.ndarray
    clear: np.ndarray
    inner: np.ndarray


def _told_apart(table: _Table) -> tuple[dict[int, Accuracy], dict[int, Accuracy], float]:
    """The classes that can be told, those that cannot, and the accuracy over all: the worst is left out until all can."""
    classes = np.unique(table.known[table.known > 0]).tolist()
    untold: dict[int, Accuracy] = {}
    while True:
        truth, predicted = _held_out(table, classes)
        accuracies = {c: _accuracy(truth, predicted, c) for c in classes}
        worst = min(classes, key=lambda c: accuracies[c].found)
        if accuracies[worst].found >= LEAST_FOUND or len(classes) == 1:
            return accuracies, untold, float((truth == predicted).mean())
        untold[worst] = accuracies[worst]
        classes.remove(worst)


def _held_out(table: _Table, classes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The class and the predicted class of pixels, each predicted from other polygons than its own, class ids (pixels,)."""
    usable = table.clear & np.isin(table.known, classes)
    part_of = np.array([_part(number) for number in range(table.polygons.max() + 1)])[table.polygons]
    truths, predictions = [], []
    for part in range(PARTS):
        learnt = usable & table.inner & (part_of != part)
        held = np.flatnonzero(usable & (part_of == part))[::_STEP]
        if len(held):
            scores = fit(table.features[learnt], table.known[learnt]).scores(table.features[held])
            truths.append(table.known[held])
            predictions.append(np.unique(table.known[learnt])[scores.argmax(axis=0)])
    return np.concatenate(truths), np.concatenate(predictions)


def _part(polygon: int) -> int:
    return hashlib.sha256(f"{SEED}:{polygon}".encode()).digest()[0] % PARTS


def _accuracy(truth: np.ndarray, predicted: np.ndarray, class_id: int) -> Accuracy:
    both = int(((truth == class_id) & (predicted == class_id)).sum())
    found, right = both / max((truth == class_id).sum(), 1), both / max((predicted == class_id).sum(), 1)
    return Accuracy(found=float(found), right=float(right))


def _behind(table: _Table, told: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """How far each class lies behind the best, (classes, height, width) int64, summed over windows."""
    learnt = table.clear & table.inner & np.isin(table.known, told)
    scores = fit(table.features[learnt], table.known[learnt]).scores(table.features)
    behind = np.minimum(scores.max(axis=0) - scores, _CAPPED).reshape(-1, *shape)
    return np.stack([_window_sums(one, _SMOOTHED) for one in behind])


def _uncontradicted(known: np.ndarray, told: np.ndarray, behind: np.ndarray, ndwi: np.ndarray) -> np.ndarray:
    """The polygons' classes without those that cannot be told, and without pixels that plainly look like another class."""
    labels = np.zeros_like(known)
    for class_id, one in zip(told.tolist(), behind - behind.min(axis=0), strict=True):
        labels[(known == class_id) & (one <= _PLAINLY * _SMOOTHED**2)] = class_id
    return np.asarray(np.where((labels != WATER) & (ndwi >= _WETTEST), 0, labels))


def _predicted(known: np.ndarray, told: np.ndarray, behind: np.ndarray, ndwi: np.ndarray) -> np.ndarray:
    """The class that fits best in each window; water, down to small ponds, is what reflects like it."""
    dry = np.where((told == WATER)[:, None, None], np.iinfo(np.int64).max, behind)
    is_best = told[behind.argmin(axis=0)] == WATER
    is_wet = (ndwi >= _WETTER) | (is_best & (ndwi >= _WET))
    patches, _ = label(is_wet | (known == WATER))
    is_large = (np.bincount(patches.ravel()) >= _LEAST_WATER)[patches]
    is_water, land = is_wet & is_large, told[dry.argmin(axis=0)]
    cleaned = sieve(np.where(is_water, WATER, land).astype(np.uint8), _SPECK)
    return np.asarray(np.where(is_water, WATER, np.where(cleaned == WATER, land, cleaned)))


def _features(bands: Mapping[str, np.ndarray]) -> np.ndarray:
    """What the classifier sees of each pixel, (pixels, 12) int32: bands, indices, and its surroundings' means and unrest."""
    blue, green, red, infrared = (_capped(bands[name]) for name in ("blue", "green", "red", "nir"))
    ndvi, ndwi = _difference(infrared, red), _difference(green, infrared)
    layers = (green, infrared, ndvi, ndwi)
    means = [_window_means(layer, 5) for layer in (blue, infrared, ndvi)]
    unrest = (_unrest(infrared, 5), _unrest(red, 21), _unrest(infrared, 21))
    grain = [_window_means(10 * np.abs(layer - _window_means(layer, 3)), 15) for layer in (red, infrared)]
    return np.stack([layer.ravel() for layer in (*layers, *means, *unrest, *grain)], axis=1).astype(np.int32)


def _capped(band: np.ndarray) -> np.ndarray:
    return np.clip(band.astype(np.int64), 1, _BRIGHTEST)


def _ndwi(bands: Mapping[str, np.ndarray]) -> np.ndarray:
    return _window_means(_difference(_capped(bands["green"]), _capped(bands["nir"])), 3)


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The normalised difference, in thousandths."""
    return np.asarray(1000 * (one - other) // (one + other))


def _window_sums(layer: np.ndarray, width: int) -> np.ndarray:
    """Sums over a square window around each pixel, int64; beyond the edge lies the layer's mirror image."""
    mirrored = np.pad(layer.astype(np.int64), width // 2, mode="symmetric")
    sums = np.pad(mirrored.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    return np.asarray(sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width] + sums[:-width, :-width])


def _window_means(layer: np.ndarray, width: int) -> np.ndarray:
    return np.asarray(_window_sums(layer, width) // width**2)


def _unrest(layer: np.ndarray, width: int) -> np.ndarray:
    """A hundred times the root of the standard deviation around each pixel; roots are exact everywhere, logarithms not."""
    variance = _window_sums(layer**2, width) * width**2 - _window_sums(layer, width) ** 2
    return np.asarray((100 * np.sqrt(np.sqrt(variance / width**4))).astype(np.int64))
