"""Nearest neighbour that does not depend on the window: the source pixel that contains the target pixel's centre.

A warp that approximates coordinates over whatever window it is given answers differently for a tile and for the square
around it. Here coordinates in the source CRS are exact (pyproj) at knots on absolute multiples of 64 pixels in the
target CRS, and quadratic Lagrange polynomials between them (Abramowitz & Stegun, 25.2.11), so a pixel has one coordinate
whatever window asks.

How wrong a polynomial can be, its knots tell themselves: its error is a sixteenth of a third difference, wherever
coordinates run smoothly. Where they jump (at 180°, at the interruptions of a map), bend (at a pole) or end, the third
differences are large. Where a coordinate is closer to a source pixel's edge than several times that error, pyproj is
asked for that pixel itself. The answer is therefore pyproj's, everywhere, for any projection and any size of pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from affine import Affine
from pyproj import Transformer

from nutonic.core.globe import Turn, turn_of
from nutonic.core.grid import coordinates, crs_name, poles, transformer

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

#: Distance between knots, in pixels of the target grid: 640 m at 10 m.
KNOT_PIXELS = 64

#: What a third difference of the knots is multiplied by to bound the error. A smooth coordinate is wrong by a sixteenth of
#: it at most, one with a kink or a jump between the knots by less than this.
_SAFETY = 0.5

#: Relative error of a coordinate that PROJ computes, with much to spare: micrometres, where it is a globe's radius.
_ROUNDING, _RADIUS = 2.0**-40, 2.0**23

#: Distance from a pole, in metres of the target CRS, within which PROJ's own rounding is larger than that: of the sine of
#: a latitude there, half the digits are ones.
_POLAR = 2000.0

#: Row and column of a point that cannot be transformed.
_NOWHERE = -1

#: Where polynomials are wrong by less, in pixels, and pixels are no more and no further away than this, 31 bits will do.
_SMOOTH, _MOST_PIXELS, _FAR_AWAY = 2.0**-8, 2.0**14, 2.0**30

#: Pixels further than this from a raster's corner are not counted.
_FAR = 2.0**52


def source_pixels(
    geobox: GeoBox, crs: str, transform: Affine, shape: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, in a raster with `crs` and `transform`, of the pixel that contains each of the grid's centres.

    Parameters
    ----------
    geobox
        Target grid, in any CRS.
    crs, transform
        CRS and (north-up) affine transform of the source raster.
    shape
        Height and width of the raster. With them a raster that counts longitudes otherwise (0 to 360, or on beyond 180°)
        is known wherever it lies; without them columns are those of the coordinates as PROJ gives them.

    Returns
    -------
    rows, cols
        Each (height, width) int32, or int64 where these take more care. They may lie outside the raster, as those of points
        do that PROJ cannot transform. A centre exactly on an edge belongs to the pixel right of it or below it.
    """
    raster = _Raster(transform, None if shape is None else shape[1], turn_of(crs))
    x, y = coordinates(geobox)
    if crs_name(geobox) == crs:
        rows, cols = _whole(raster.rows(y)[:, None]), _whole(raster.columns(x)[None, :])
        return np.broadcast_to(rows, (y.size, x.size)), np.broadcast_to(cols, (y.size, x.size))
    to_source = transformer(crs_name(geobox), crs)
    spacing = KNOT_PIXELS * abs(geobox.affine.a), KNOT_PIXELS * abs(geobox.affine.e)
    with np.errstate(invalid="ignore", over="ignore"):  # infinite where PROJ has no answer
        knots = _Knots.of(_Axis.of(x, spacing[0]), _Axis.of(y, spacing[1]), to_source, raster)
        near = _near_poles(x, y, crs_name(geobox))
        rows, cols, uncertain = (knots.in_fixed_point() if near is False else None) or knots.interpolated()
        i, j = np.divmod(np.flatnonzero(uncertain if near is False else uncertain | near), x.size)
        if i.size:
            u, v = to_source.transform(x[j], y[i])
            rows[i, j], cols[i, j] = _whole(raster.rows(v)), _whole(raster.columns(u))
        return rows, cols


def source_axes(geobox: GeoBox, crs: str, transform: Affine) -> tuple[np.ndarray, np.ndarray] | None:
    """The rows (height,) and columns (width,) of :func:`source_pixels` where they depend on one axis each.

    That is, in a raster of the grid's own CRS; None of another, and where longitudes come round again.
    """
    if crs_name(geobox) != crs or turn_of(crs) is not None:
        return None
    raster, (x, y) = _Raster(transform, None, None), coordinates(geobox)
    return _whole(raster.rows(y)), _whole(raster.columns(x))


def _near_poles(x: np.ndarray, y: np.ndarray, crs: str) -> np.ndarray | bool:
    """Which points are so near a pole that PROJ's rounding is not known, (height, width) bool; False if none is."""
    near: np.ndarray | bool = False
    for _, pole_x, pole_y in poles(crs):
        across, down = np.abs(x - pole_x) < _POLAR, np.abs(y - pole_y) < _POLAR
        if across.any() and down.any():
            near = near | (down[:, None] & across[None, :])
    return near


def _whole(positions: np.ndarray) -> np.ndarray:
    """Positions as whole rows or columns; what is nowhere, or absurdly far, is outside every raster."""
    here = np.abs(positions) < _FAR
    whole: np.ndarray = np.floor(positions if here.all() else np.where(here, positions, _NOWHERE)).astype(np.int64)
    return whole


@dataclass(frozen=True, slots=True)
class _Raster:
    """Where a raster's pixels lie in its CRS. Rows and columns have fractions here."""

    transform: Affine
    width: int | None
    turn: Turn | None
    """Of its CRS, where longitudes come round again."""

    def rows(self, v: np.ndarray) -> np.ndarray:
        """Rows of coordinates."""
        return np.asarray((v - self.transform.f) / self.transform.e)

    def columns(self, u: np.ndarray) -> np.ndarray:
        """Columns of coordinates; on another turn of the globe where the raster lies there."""
        here, *there = self.on_turns(u)
        return np.where(self.has(there[0]) & ~self.has(here), there[0], here) if there else here

    def on_turns(self, u: np.ndarray) -> list[np.ndarray]:
        """Columns on PROJ's turn of the globe and, if some lie outside the raster, on the one that the raster begins on."""
        here = np.asarray((u - self.transform.c) / self.transform.a)
        if self.turn is None or self.width is None or self.has(here).all():
            return [here]
        west = min(self.transform.c, self.transform.c + self.width * self.transform.a)
        return [here, (self.turn.at_or_after(u, west) - self.transform.c) / self.transform.a]

    def rounding(self, coordinates: np.ndarray) -> np.ndarray:
        """How far coordinates may be off since numbers have so many digits."""
        scale = _RADIUS if self.turn is None else self.turn.length
        return np.asarray(
            _ROUNDING * np.maximum(np.abs(coordinates), max(scale, abs(self.transform.c), abs(self.transform.f)))
        )

    def has(self, cols: np.ndarray) -> np.ndarray:
        """Which columns are the raster's; all where its width is not known."""
        return np.asarray((cols >= 0) & (cols < (np.inf if self.width is None else self.width)))


@dataclass(frozen=True, slots=True)
class _Knots:
    """A raster's rows and columns at the knots of a grid, and how wrong the polynomials between them may be."""

    across: _Axis
    down: _Axis
    raster: _Raster
    rows: np.ndarray
    u: np.ndarray
    """Coordinates across, as PROJ gives them."""
    unjumping: np.ndarray
    """The same without a jump where longitudes come round again."""
    wrong_by: np.ndarray
    """Pixels, around each knot that has two on either side."""

    @classmethod
    def of(cls, across: _Axis, down: _Axis, to_source: Transformer, raster: _Raster) -> _Knots:
        """What PROJ says of the knots of two axes."""
        u, v = (np.asarray(values) for values in to_source.transform(*np.meshgrid(across.knots, down.knots)))
        unjumping = u if raster.turn is None else raster.turn.unwrapped(u)
        error_u, error_v = (_error(values) + raster.rounding(values[2:-2, 2:-2]) for values in (unjumping, v))
        wrong_by = np.maximum(error_u / abs(raster.transform.a), error_v / abs(raster.transform.e))
        return cls(across, down, raster, raster.rows(v), u, unjumping, wrong_by)

    @property
    def _columns(self) -> np.ndarray:
        return np.asarray((self.unjumping - self.raster.transform.c) / self.raster.transform.a)

    def in_fixed_point(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Whole rows and columns, and where an edge is as near as they may be wrong; None where that takes more care.

        A coordinate is a number of 31 bits, of which the last are the fraction of a pixel: what a pixel is, and whether an
        edge is near, are a few operations on integers. It takes a fifth of the time, and is the answer wherever
        coordinates run smoothly and no turn of the globe matters.
        """
        unturned = self.raster.turn is None or (self.u is self.unjumping or np.array_equal(self.u, self.unjumping))
        if not (unturned and self.wrong_by.max() < _SMOOTH):
            return None
        axes = [_FixedPoint.of(values, self.across) for values in (self.rows, self._columns)]
        if any(axis is None for axis in axes):
            return None
        shape = len(self.down.cell), len(self.across.cell)
        found, uncertain = [np.empty(shape, np.int32) for _ in axes], np.zeros(shape, bool)
        scratch, weights = _Scratch.of(KNOT_PIXELS + 1, shape[1]), np.ascontiguousarray(self.down.weights.T)
        for cell, points in self.down.groups():
            wrong_by = float(self.wrong_by[cell].max())
            for axis, whole in zip(axes, found, strict=True):
                if axis is not None:
                    uncertain[points] |= axis.at(cell, weights[points], wrong_by, scratch, whole[points])
        has_all = self.raster.turn is None or self.raster.width is None or self.raster.has(_ends(found[1])).all()
        return (found[0], found[1], uncertain) if has_all else None

    def interpolated(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, whatever the coordinates do."""
        raster, across, down, unjumping = self.raster, self.across, self.down, self.unjumping
        rows, cols = _between(self.rows, across, down), _between(self._columns, across, down)
        candidates = [cols]
        if raster.turn is not None and not (np.array_equal(self.u, unjumping) and raster.has(cols).all()):
            at_points = raster.turn.wrapped(_between(unjumping, across, down))
            cols, candidates = raster.columns(at_points), raster.on_turns(at_points)
        distance = reduce(np.minimum, (np.abs(each - np.rint(each)) for each in (rows, *candidates)))
        return _whole(rows), _whole(cols), ~(distance > self.wrong_by[down.cell][:, across.cell])


@dataclass(frozen=True, slots=True)
class _FixedPoint:
    """Rows, or columns, as numbers of 31 bits."""

    first: int
    """The row that is zero."""
    bits: int
    """Of the fraction."""
    along: np.ndarray
    """At each row of knots, of all points across, (knots, points) float64."""

    @classmethod
    def of(cls, at_knots: np.ndarray, across: _Axis) -> _FixedPoint | None:
        """Of rows or columns at the knots; None if they are too many, or too far away."""
        low, high = float(at_knots.min()), float(at_knots.max())
        around = high - low + 2  # a polynomial goes no further beyond its knots
        if not (around < _MOST_PIXELS and abs(low) + abs(high) < _FAR_AWAY):
            return None
        first, bits = math.floor(low - around), 31 - math.ceil(math.log2(3 * around))
        scaled = (at_knots - first) * float(1 << bits)
        weights = across.weights
        along = sum(weights[k] * scaled[:, across.cell + 1 + k] for k in range(3))
        return cls(first, bits, np.ascontiguousarray(along))

    def at(self, cell: int, weights: np.ndarray, wrong_by: float, scratch: _Scratch, whole: np.ndarray) -> np.ndarray:
        """Write the whole numbers of a cell's points; gives whether the next one is as near as they may be wrong.

        `weights` are those down, (points, 3). What is given is good until `scratch` is used again.
        """
        numbers, fixed, uncertain = (
            each[: len(weights)] for each in (scratch.numbers, scratch.fixed, scratch.uncertain)
        )
        np.matmul(weights, self.along[cell + 1 : cell + 4], out=numbers)
        np.copyto(fixed, numbers, casting="unsafe")
        np.right_shift(fixed, self.bits, out=whole)
        whole += self.first
        near = math.ceil(wrong_by * (1 << self.bits)) + 2  # of the last bit, and of rounding
        fixed += near
        fixed &= (1 << self.bits) - 1
        np.less(fixed, 2 * near, out=uncertain)
        return uncertain


def _ends(numbers: np.ndarray) -> np.ndarray:
    """The least and the largest."""
    return np.array([numbers.min(), numbers.max()])


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Room for the points of a cell, used again for the next: to be given new memory takes longer than to compute."""

    numbers: np.ndarray
    fixed: np.ndarray
    uncertain: np.ndarray

    @classmethod
    def of(cls, *shape: int) -> _Scratch:
        """For so many points down and across."""
        return cls(np.empty(shape, np.float64), np.empty(shape, np.int32), np.empty(shape, bool))


@dataclass(frozen=True, slots=True)
class _Axis:
    """The knots along an axis, two to spare on either side of the points, and where the points lie between them.

    All of it depends on a point alone: its nearest knot is the middle of its stencil.
    """

    knots: np.ndarray
    """Coordinates."""
    cell: np.ndarray
    """Of each point: its nearest knot, counted from the first that has two before it."""
    t: np.ndarray
    """How far each point lies beyond its nearest knot, in distances of knots: -0.5 to 0.5."""

    @classmethod
    def of(cls, p: np.ndarray, spacing: float) -> _Axis:
        """The axis of points that rise or fall."""
        s = p / spacing
        middle = np.floor(s + 0.5)
        t = s - middle
        first, last = min(middle[0], middle[-1]), max(middle[0], middle[-1])
        return cls(np.arange(first - 2, last + 3) * spacing, (middle - first).astype(np.intp), t)

    @property
    def weights(self) -> np.ndarray:
        """Three Lagrange weights of each point, (3, points)."""
        return np.stack([self.t * (self.t - 1) / 2, 1 - self.t * self.t, self.t * (self.t + 1) / 2])

    def groups(self) -> Iterator[tuple[int, slice]]:
        """Each cell, with the points that lie in it."""
        begins = [*np.flatnonzero(np.diff(self.cell, prepend=-1)).tolist(), len(self.cell)]
        return ((int(self.cell[first]), slice(first, end)) for first, end in pairwise(begins))


def _between(values: np.ndarray, across: _Axis, down: _Axis) -> np.ndarray:
    """Values at the knots as values at the points, (height, width)."""
    rows = sum(down.weights[k][:, None] * values[down.cell + 1 + k] for k in range(3))
    return np.asarray(sum(across.weights[k] * rows[:, across.cell + 1 + k] for k in range(3)))


def _error(values: np.ndarray) -> np.ndarray:
    """How wrong the polynomials around each knot may be, from the third differences that reach over its stencil."""
    height, width = (n - 4 for n in values.shape)
    across, down = _third(values), _third(values.T).T
    along_x = np.maximum.reduce([across[k : k + height] for k in (1, 2, 3)])
    along_y = np.maximum.reduce([down[:, k : k + width] for k in (1, 2, 3)])
    return np.asarray(_SAFETY * (along_x + along_y))


def _third(values: np.ndarray) -> np.ndarray:
    """The larger of the third differences left and right of each knot that has two on either side."""
    differences = np.abs(np.diff(values, 3, axis=1))
    return np.maximum(differences[:, :-1], differences[:, 1:])
