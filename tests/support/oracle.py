"""What product.md says, computed the slow and obvious way, to compare nutonic with. Imports nothing from nutonic.

Arrays: ``rgb`` is (3, height, width) uint16 with 0 where nothing was observed, ``labels`` is (height, width) uint8
class ids, a picture is (height, width, 3) uint8, a mask is (height, width) uint8. Shares and thresholds are compared as
exact fractions; a number of a recipe means what is written there (0.35 is 35/100, not the nearest double).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from PIL import Image
from pyproj import Transformer

BAD_IMAGERY, BAD_LABELS, FLAT = "imagery valid fraction", "label valid fraction", "flat imagery"
CLOUD, SHADOW, SNOW, NODATA = "cloud", "shadow", "snow", "nodata"

#: What Sentinel-2's scene classification says, in the order in which tiles are rejected for it.
SCL = {CLOUD: (8, 9, 10), SHADOW: (3,), SNOW: (11,), NODATA: (0, 1)}


@dataclass(frozen=True)
class Rules:
    """The numbers of a recipe that determine pixels, boxes and rows; the defaults are product.md's."""

    size: int = 512
    stride: int = 512
    output_size: int = 224
    min_valid_fraction: float = 0.95
    min_label_fraction: float = 0.35
    max_cloud: float = 0.1
    max_shadow: float = 0.2
    max_snow: float = 1.0
    max_nodata: float | None = None
    low: float = 2
    high: float = 98
    scope: str = "tile"
    min_class_fraction: float = 0.05
    max_classes: int = 9
    min_region_px: int = 50
    max_regions_per_class: int = 24
    whole_image: float = 0.9
    max_boxes: int = 12
    min_box_fill: float = 0.3
    min_box_px: int = 6

    @classmethod
    def of(cls, recipe: Mapping) -> Rules:
        """The rules of a recipe given as a mapping; what it leaves out has product.md's default."""
        parts = {k: v for part in ("tiles", "quality", "stretch", "rows") for k, v in recipe.get(part, {}).items()}
        return cls(**{name: value for name, value in parts.items() if name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Region:
    """A patch of one class: half-open pixel box (x1, y1, x2, y2) and its area on the mask."""

    class_id: int
    bbox: tuple[int, int, int, int]
    area_px: int
    first: tuple[int, int]
    """Row and column of its first pixel in row-major order; of a view, that of the original."""


@dataclass(frozen=True)
class Answer:
    """All that follows from one tile. Where it is rejected, what comes after the reason is empty."""

    index: int
    row: int
    col: int
    imagery_fraction: Fraction
    label_fraction: Fraction
    rejected: str | None
    limits: tuple[tuple[int, int], ...] = ()
    rgb: np.ndarray | None = None
    mask: np.ndarray | None = None
    counts: dict[int, int] = field(default_factory=dict)
    """Class id to pixels of the mask, for classes that occur, unknown left out."""
    pieces: tuple[Region, ...] = ()
    """Every patch, down to single pixels, in no order that counts."""
    regions: tuple[Region, ...] = ()
    augmentation: str | None = None


def exactly(number: float) -> Fraction:
    """The number as it is written: 0.35 is 35/100."""
    return Fraction(str(number))


# Places, tiles, shards and splits


def square(lon: float, lat: float, crs: str, extent_m: int, pixel_m: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the pixel centres of a place's square in a UTM zone.

    Its corner is the lattice point nearest to that of the square that has the place exactly in its middle.
    """
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    left = pixel_m * math.floor((x - extent_m / 2) / pixel_m + 0.5)
    top = pixel_m * math.floor((y + extent_m / 2) / pixel_m + 0.5)
    steps = range(extent_m // pixel_m)
    return np.array([left + pixel_m * (i + 0.5) for i in steps]), np.array([top - pixel_m * (i + 0.5) for i in steps])


def tile_positions(height: int, width: int, size: int, stride: int) -> list[tuple[int, int, int]]:
    """(index, row, col) of every full tile, row by row."""
    found = []
    for row in range(0, height, stride):
        for col in range(0, width, stride):
            if row + size <= height and col + size <= width:
                found.append((len(found), row, col))
    return found


def place_id(ordinal: int, variant: int = 0) -> str:
    """Id of a place without an id of its own."""
    return f"poi_{ordinal:06d}" + (f"_g{variant:03d}" if variant else "")


def tile_id(place: str, index: int, augmentation: str | None = None) -> str:
    """Id of a tile, or of a view of it."""
    return f"{place}_t{index:04d}" + (f"_{augmentation}" if augmentation else "")


def shard(
    ordinal: int,
    *,
    positions: int,
    files_per_dir: int,
    variants: int = 0,
    variant: int = 0,
    views: int = 1,
    overlays: int = 0,
) -> str:
    """Name of a place's folder. `views` counts the original; `overlays` are overlay rows per view, if there are any."""
    places_per_shard = files_per_dir // (positions * views * (overlays or 1))
    if places_per_shard == 0:
        raise ValueError("not even one place fits into a folder")
    return f"s{(ordinal * (1 + variants) + variant) // places_per_shard:05d}"


def split_of(key: str, train: float, validation: float, test: float) -> str:
    """The split of the group that has this key."""
    u = Fraction(int(hashlib.sha256(key.encode()).hexdigest()[:16], 16), 2**64)
    assert exactly(train) + exactly(validation) + exactly(test) == 1
    if u < exactly(train):
        return "train"
    if u < exactly(train) + exactly(validation):
        return "validation"
    return "test"


# Labels from another grid


def exact_labels(
    xs: np.ndarray,
    ys: np.ndarray,
    crs_from: str,
    crs_to: str,
    transform: Sequence[float],
    array: np.ndarray,
    nodata: int,
) -> np.ndarray:
    """Labels (len(ys), len(xs)) at points of one CRS, from a north-up raster in another.

    That is the source pixel that contains the point, found by pyproj for every one; `nodata` beyond the raster. A point
    on an edge belongs to the pixel right of it or below it.
    """
    a, b, c, d, e, f = transform[:6]
    assert (b, d) == (0, 0)
    assert a > 0 > e
    transformer = Transformer.from_crs(crs_from, crs_to, always_xy=True)
    out = np.full((len(ys), len(xs)), nodata, array.dtype)
    for i, y in enumerate(ys):
        us, vs = transformer.transform(list(map(float, xs)), [float(y)] * len(xs))
        for j, (u, v) in enumerate(zip(us, vs, strict=True)):
            row, col = math.floor((v - f) / e), math.floor((u - c) / a)
            if 0 <= row < array.shape[0] and 0 <= col < array.shape[1]:
                out[i, j] = array[row, col]
    return out


# Imagery


def observed(rgb: np.ndarray) -> np.ndarray:
    """True where all bands have data."""
    return (rgb[0] != 0) & (rgb[1] != 0) & (rgb[2] != 0)


def percentile(values: Sequence[int], p: float) -> int:
    """The max(1, ⌈p·n/100⌉)-th smallest of the n values."""
    n = len(values)
    return int(sorted(values)[max(1, math.ceil(exactly(p) * n / 100)) - 1])


def stretch_limits(rgb: np.ndarray, low: float, high: float) -> tuple[tuple[int, int], ...]:
    """Low and high of each band, over the pixels that are valid in all bands."""
    valid = observed(rgb)
    return tuple((percentile(band[valid].tolist(), low), percentile(band[valid].tolist(), high)) for band in rgb)


def stretched(rgb: np.ndarray, limits: Sequence[tuple[int, int]]) -> np.ndarray:
    """The native picture: 0 to 255 between the limits, rounded, halves up; 0 in all bands where any has no data."""
    valid = observed(rgb)
    out = np.zeros((*rgb.shape[1:], 3), np.uint8)
    for k, (lo, hi) in enumerate(limits):
        clipped = np.minimum(np.maximum(rgb[k].astype(np.int64), lo), hi)
        out[:, :, k] = np.where(valid, ((clipped - lo) * 255 + (hi - lo) // 2) // (hi - lo), 0)
    return out


def downsampled(picture: np.ndarray, output_size: int) -> np.ndarray:
    """The picture by area, as Pillow's BOX filter has it."""
    resized = Image.fromarray(picture).resize((output_size, output_size), Image.Resampling.BOX)
    return np.asarray(resized)


def pixels_sha256(picture: np.ndarray) -> str:
    """Hash of the RGB bytes, row by row."""
    return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()


# Masks


def sampled_mask(labels: np.ndarray, output_size: int) -> np.ndarray:
    """The native label tile at floor((i + ½) · size / output_size), rows and columns."""
    size = labels.shape[0]
    at = [math.floor((i + Fraction(1, 2)) * size / output_size) for i in range(output_size)]
    return labels[at][:, at]


def class_counts(mask: np.ndarray, unknown: int) -> dict[int, int]:
    """Class id to pixels, for classes that occur."""
    counts: dict[int, int] = {}
    for value in mask.ravel().tolist():
        if value != unknown:
            counts[value] = counts.get(value, 0) + 1
    return dict(sorted(counts.items()))


def class_fractions(counts: Mapping[int, int]) -> dict[int, float]:
    """Class id to share of the mask's valid pixels."""
    return {class_id: count / sum(counts.values()) for class_id, count in counts.items()}


def patches(mask: np.ndarray, unknown: int) -> list[Region]:
    """Every 8-connected patch of every class but unknown, by flood fill, in row-major order of their first pixels."""
    bordered, step = np.pad(mask.astype(int), 1, constant_values=unknown), mask.shape[1] + 2
    values = bordered.ravel().tolist()  # a list's elements are found several times as fast as an array's
    left = [value != unknown for value in values]
    beside = [step * down + right for down in (-1, 0, 1) for right in (-1, 0, 1)]
    found = []
    for first, value in enumerate(values):
        if not left[first]:
            continue
        left[first] = False
        pixels, waiting = [], [first]
        while waiting:
            at = waiting.pop()
            pixels.append(divmod(at, step))
            for by in beside:
                if left[at + by] and values[at + by] == value:
                    left[at + by] = False
                    waiting.append(at + by)
        rows, cols = [row - 1 for row, _ in pixels], [col - 1 for _, col in pixels]
        box = (min(cols), min(rows), max(cols) + 1, max(rows) + 1)
        found.append(Region(value, box, len(pixels), (rows[0], cols[0])))
    return found


def smallest_region(rules: Rules) -> int:
    """Mask pixels that a region needs: ⌈px · (output_size / size)²⌉."""
    return math.ceil(rules.min_region_px * Fraction(rules.output_size, rules.size) ** 2)


def regions(mask: np.ndarray, unknown: int, rules: Rules) -> tuple[Region, ...]:
    """The regions of a chip: those large enough, the largest of each class, largest first."""
    return listed(patches(mask, unknown), rules)


def listed(pieces: Sequence[Region], rules: Rules) -> tuple[Region, ...]:
    """Of all patches those that are listed."""
    large = [region for region in pieces if region.area_px >= smallest_region(rules)]
    large.sort(key=lambda region: (-region.area_px, region.first))
    kept: list[Region] = []
    for region in large:
        if sum(other.class_id == region.class_id for other in kept) < rules.max_regions_per_class:
            kept.append(region)
    return tuple(kept)


def cells(mask: np.ndarray, class_id: int) -> list[int]:
    """A class's pixels in 6 × 6 cells, row by row; of a mask with an odd side, quarters of pixels."""
    if mask.shape[0] % 2 or mask.shape[1] % 2:
        mask = np.array([[value for value in row for _ in (0, 1)] for row in mask.tolist() for _ in (0, 1)])

    def cell(at: int, side: int) -> int:
        """Which of six: its lower edges are rounded down, the upper ones mirror them."""
        if 2 * at < side:
            return max(k for k in range(3) if side * k // 6 <= at)
        return 5 - cell(side - 1 - at, side)

    height, width = mask.shape
    found = [0] * 36
    for row, col in np.argwhere(mask == class_id).tolist():
        found[6 * cell(row, height) + cell(col, width)] += 1
    return found


# Rows


def fill(region: Region) -> Fraction:
    """The share of its box that a region fills."""
    x1, y1, x2, y2 = region.bbox
    return Fraction(region.area_px, (x2 - x1) * (y2 - y1))


def boxed(answer: Answer, rules: Rules, class_id: int | None = None) -> list[Region]:
    """The regions that get a box, of all classes or of one: the largest that are compact, not too thin, nor the picture."""
    chosen = []
    for region in answer.regions:
        x1, y1, x2, y2 = region.bbox
        thin = min(x2 - x1, y2 - y1) < rules.min_box_px
        wide = (x2 - x1) * (y2 - y1) > Fraction(95, 100) * rules.output_size**2
        if class_id in (None, region.class_id) and not (thin or wide) and fill(region) >= exactly(rules.min_box_fill):
            chosen.append(region)
    return chosen[: rules.max_boxes]


def normalised(bbox: Sequence[int], width: int, height: int) -> list[float]:
    """A box as shares of the chip's width and height, 4 decimals."""
    x1, y1, x2, y2 = bbox
    return [round(x1 / width, 4), round(y1 / height, 4), round(x2 / width, 4), round(y2 / height, 4)]


def grounding_text(answer: Answer, classes: Mapping[int, str], rules: Rules, class_id: int | None = None) -> str:
    """The answer of a grounding row, of all classes or of one."""
    assert answer.mask is not None
    height, width = answer.mask.shape
    found = boxed(answer, rules, class_id)
    objects = [{"label": classes[r.class_id], "bbox": normalised(r.bbox, width, height)} for r in found]
    return json.dumps(objects, separators=(",", ":"))


def by_share(counts: Mapping[int, int]) -> list[int]:
    """Class ids, the largest share first, ties by id."""
    return sorted(counts, key=lambda class_id: (-counts[class_id], class_id))


def row_classes(counts: Mapping[int, int], rules: Rules) -> list[int]:
    """The classes that have rows of their own."""
    total = sum(counts.values())
    large = [c for c in by_share(counts) if Fraction(counts[c], total) >= exactly(rules.min_class_fraction)]
    return large[: rules.max_classes]


def percent(count: int, total: int) -> int:
    """Whole percent, rounded, halves up."""
    return (200 * count + total) // (2 * total)


def dominant(counts: Mapping[int, int]) -> int | None:
    """The class that holds half of the valid pixels or more, if any: a caption may call it dominating."""
    first = by_share(counts)[0]
    return first if 2 * counts[first] >= sum(counts.values()) else None


# Quality


def quality(classes: np.ndarray, meaning: Mapping[str, Sequence[int]] = SCL) -> dict[str, Fraction]:
    """Shares of cloud, shadow, snow and nodata of a square, by its classes."""
    values = classes.ravel().tolist()
    return {kind: Fraction(sum(value in some for value in values), len(values)) for kind, some in meaning.items()}


def poor(found: Mapping[str, Fraction], rules: Rules) -> str | None:
    """What a tile has too much of, if anything."""
    rest = 1 - exactly(rules.min_valid_fraction)
    most = {
        CLOUD: exactly(rules.max_cloud),
        SHADOW: exactly(rules.max_shadow),
        SNOW: exactly(rules.max_snow),
        NODATA: rest if rules.max_nodata is None else exactly(rules.max_nodata),
    }
    return next((kind for kind in most if found[kind] > most[kind]), None)


# Tiles


def tile_answer(
    rgb: np.ndarray,
    labels: np.ndarray,
    unknown: int,
    rules: Rules,
    *,
    index: int = 0,
    row: int = 0,
    col: int = 0,
    limits: tuple[tuple[int, int], ...] | None = None,
) -> Answer:
    """All that follows from the native pixels of one tile; `limits` where they come from the whole place.

    The first that is wrong is the reason: imagery, labels, then flat imagery. A tile without any valid pixel, and one
    whose mask has none, is rejected whatever the recipe allows.
    """
    need, pixels = exactly(rules.min_valid_fraction), rules.size**2
    need_labels = exactly(rules.min_label_fraction)
    assert rgb.shape == (3, *labels.shape) == (3, rules.size, rules.size)
    seen, known = int(observed(rgb).sum()), int((labels != unknown).sum())
    answer = Answer(index, row, col, Fraction(seen, pixels), Fraction(known, pixels), None)
    mask = sampled_mask(labels, rules.output_size)
    if seen == 0 or answer.imagery_fraction < need:
        return replace(answer, rejected=BAD_IMAGERY)
    if not class_counts(mask, unknown) or answer.label_fraction < need_labels:
        return replace(answer, rejected=BAD_LABELS)
    limits = limits or stretch_limits(rgb, rules.low, rules.high)
    if any(lo == hi for lo, hi in limits):
        return replace(answer, rejected=FLAT)
    picture = downsampled(stretched(rgb, limits), rules.output_size)
    return _with_mask(replace(answer, limits=limits, rgb=picture), mask, unknown, rules)


def place_answers(rgb: np.ndarray, labels: np.ndarray, unknown: int, rules: Rules) -> list[Answer]:
    """The answers for all tiles of a place, kept or not, by position."""
    limits = None
    if rules.scope == "poi" and observed(rgb).any():
        limits = stretch_limits(rgb, rules.low, rules.high)
    found = []
    for index, row, col in tile_positions(*labels.shape, rules.size, rules.stride):
        down, across = slice(row, row + rules.size), slice(col, col + rules.size)
        tile = (rgb[:, down, across], labels[down, across])
        found.append(tile_answer(*tile, unknown, rules, index=index, row=row, col=col, limits=limits))
    return found


def turned(array: np.ndarray, augmentation: str) -> np.ndarray:
    """An array as a view shows it: ``flip`` swaps left and right, the others turn counter-clockwise."""
    if augmentation == "flip":
        return array[:, ::-1]
    return np.rot90(array, {"r90": 1, "r180": 2, "r270": 3}[augmentation])


def turned_box(box: Sequence[int], augmentation: str, side: int) -> tuple[int, int, int, int]:
    """A box as a view shows it: found again in an empty picture that holds nothing but the box."""
    x1, y1, x2, y2 = box
    alone = np.zeros((side, side), bool)
    alone[y1:y2, x1:x2] = True
    rows, cols = np.nonzero(turned(alone, augmentation))
    return (int(cols.min()), int(rows.min()), int(cols.max()) + 1, int(rows.max()) + 1)


def view(answer: Answer, augmentation: str) -> Answer:
    """An augmented view of a kept tile: all that is told of the original, turned or flipped. Nothing is found anew."""
    assert answer.rejected is None

    def moved(found: tuple[Region, ...]) -> tuple[Region, ...]:
        side = answer.mask.shape[0]
        return tuple(replace(region, bbox=turned_box(region.bbox, augmentation, side)) for region in found)

    return replace(
        answer,
        rgb=turned(answer.rgb, augmentation),
        mask=turned(answer.mask, augmentation),
        regions=moved(answer.regions),
        augmentation=augmentation,
    )


def _with_mask(answer: Answer, mask: np.ndarray, unknown: int, rules: Rules) -> Answer:
    pieces = tuple(patches(mask, unknown))
    return replace(answer, mask=mask, counts=class_counts(mask, unknown), pieces=pieces, regions=listed(pieces, rules))
