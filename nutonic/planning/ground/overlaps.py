"""Which places share ground: whose squares overlap, on one map or across two.

Squares of one CRS are compared by their centres. Those of two, as on either side of a border between UTM zones, are turned
against each other: the outline of one is drawn in the CRS of the other, with points along its edges.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from nutonic.core.areas import connected
from nutonic.core.globe import TURNS, east_of
from nutonic.core.grid import transformer
from nutonic.planning.ground.squares import Squares

#: Metres by which two squares must overlap: less is rounding, and no pixel.
SLIVER_M = 0.01

#: Points along an edge are no further apart than this, in metres, so that between them an edge that is straight in one
#: zone bends by less than a millimetre in the next; and there are no more and no fewer than these.
_STEP_M, _FEWEST, _MOST = 1000.0, 4, 64

#: Radius of the globe in metres, for distances of which a percent does not matter.
_RADIUS = 6_371_000.0

#: Squares whose outlines are held at a time: a hundred bytes or so are kept of each.
_DRAWN = 1 << 14

#: Squares that are compared with all others at a time.
_AT_A_TIME = 512


def sharing(squares: Squares) -> np.ndarray:
    """(n, 2) int64: pairs of places whose squares overlap, enough to connect all that do so directly or through others."""
    one_map = np.concatenate(_on_one_map(squares.x, squares.y, squares.crs, squares.side - SLIVER_M))
    pairs = [squares.place[one_map]]
    if len(squares.names) > 1 and (near := _near_another(squares)).size:
        pairs += _across(squares, near, connected(pairs[0], squares.count))
    return np.concatenate(pairs)


# Across two maps


def _near_another(squares: Squares) -> np.ndarray:
    """Positions of the squares that may overlap with one of another CRS: with one within a few sides, in cells of space."""
    size = max(4.0 * squares.side, 10_000.0)  # a metre of a map may be almost two on the ground
    cells = np.floor(_in_space(squares.lon, squares.lat) / size).astype(np.int64) + _OFFSET
    codes, which = np.unique(_code(cells), return_inverse=True)
    lowest, highest = np.full(len(codes), len(squares.names)), np.full(len(codes), -1)
    np.minimum.at(lowest, which.ravel(), squares.crs)
    np.maximum.at(highest, which.ravel(), squares.crs)
    low, high = lowest.copy(), highest.copy()
    for step in np.ndindex(3, 3, 3):
        beside = codes + _code(np.array(step) - 1)
        at = np.minimum(np.searchsorted(codes, beside), len(codes) - 1)
        there = codes[at] == beside
        low[there] = np.minimum(low[there], lowest[at[there]])
        high[there] = np.maximum(high[there], highest[at[there]])
    return np.flatnonzero((low < high)[which.ravel()])


def _code(cells: np.ndarray) -> np.ndarray:
    """One number (int64) for three of a cell."""
    return np.asarray((cells[..., 0] << 40) + (cells[..., 1] << 20) + cells[..., 2])


#: Added to the numbers of cells so that they are positive: a side of 10 km is 1,300 cells across the globe.
_OFFSET = 1 << 12


def _in_space(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """(…, 3) metres from the globe's centre."""
    along, up = np.radians(lon), np.radians(lat)
    return np.asarray(_RADIUS * np.stack([np.cos(up) * np.cos(along), np.cos(up) * np.sin(along), np.sin(up)], -1))


def _across(squares: Squares, near: np.ndarray, one: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs of places of which squares of two CRSs overlap, where they are not `one` already.

    Those that are closer than their shorter halves together overlap for sure. Only others are drawn.
    """
    parts = [_outline(squares, near[k : k + _DRAWN]) for k in range(0, len(near), _DRAWN)]
    bounds, inner = (np.concatenate(column) for column in zip(*parts, strict=True))
    boxes, owner = _boxes(bounds)
    tree, centres = shapely.STRtree(boxes), _in_space(squares.lon[near], squares.lat[near])
    crs, place = squares.crs[near], squares.place[near]
    for first in range(0, len(near), _AT_A_TIME):
        a, b = tree.query(boxes[first : min(first + _AT_A_TIME, len(near))])
        a, b = a + first, owner[b]
        other = (crs[a] != crs[b]) & (one[place[a]] != one[place[b]])
        a, b = a[other], b[other]
        sure = np.linalg.norm(centres[a] - centres[b], axis=-1) < inner[a] + inner[b]
        found = np.stack([place[a[sure]], place[b[sure]]], 1)
        one = _joined(one, found)
        open_ = ~sure & (one[place[a]] != one[place[b]])
        a, b = a[open_], b[open_]
        drawn = overlapping(squares, near[a], near[b])
        found = np.concatenate([found, np.stack([place[a[drawn]], place[b[drawn]]], 1)])
        one = _joined(one, found)
        yield found


def _joined(one: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """What is one when these pairs are too."""
    return np.asarray(connected(one[pairs], int(one.max(initial=-1)) + 1)[one])


def _edge(squares: Squares) -> np.ndarray:
    """(points, 2) of the outline of a square around (0, 0), metres, in the order of a ring."""
    steps = 2 * int(
        np.clip(np.ceil(squares.side / 2 / _STEP_M), _FEWEST / 2, _MOST / 2)
    )  # even: middles are among them
    along, half = np.linspace(-1.0, 1.0, steps, endpoint=False), np.ones(steps)
    ring = [np.stack(side, -1) for side in ((along, half), (half, -along), (-along, -half), (-half, along))]
    return np.concatenate(ring) * squares.side / 2


def _rings(squares: Squares, which: np.ndarray, to: str = "EPSG:4326") -> np.ndarray:
    """(squares, points, 2): outlines in a CRS; in degrees by default, of which longitudes may jump at 180."""
    edge = _edge(squares)
    x, y = (centre[which, None] + edge[:, k] for k, centre in enumerate((squares.x, squares.y)))
    out = np.empty((len(which), len(edge), 2))
    for number in np.unique(squares.crs[which]).tolist():
        here = squares.crs[which] == number
        out[here] = np.stack(transformer(squares.names[number], to).transform(x[here], y[here]), -1)
    return out


def _inner(squares: Squares, which: np.ndarray, rings: np.ndarray) -> np.ndarray:
    """How far every square reaches on all sides of its place, metres, a little less than it does.

    A place is within a pixel of its square's centre.
    """
    centres = _in_space(squares.lon[which], squares.lat[which])
    lon, lat = np.moveaxis(rings, -1, 0)
    return np.asarray(0.99 * np.linalg.norm(_in_space(lon, lat) - centres[:, None], axis=-1).min(1))


def _outline(squares: Squares, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(squares, 4) west, south, east and north in degrees, on the turn of the globe of each; and :func:`_inner`."""
    rings, lon = _rings(squares, which), squares.lon[which, None]
    around = lon + east_of(rings[..., 0] - lon)
    low, high = (np.stack([edge(around, 1), edge(rings[..., 1], 1)], 1) for edge in (np.min, np.max))
    return np.concatenate([low - _BEND, high + _BEND], 1), _inner(squares, which, rings)


def _boxes(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in degrees, and whose each is: first one a square, then those on the turns of the globe beside it."""
    boxes, owner = [shapely.box(*bounds.T)], [np.arange(len(bounds))]
    for turn, beyond in ((TURNS[2], bounds[:, 0] < -180.0), (TURNS[0], bounds[:, 2] > 180.0)):
        west, south, east, north = bounds[beyond].T
        boxes.append(shapely.box(west + turn, south, east + turn, north))
        owner.append(np.flatnonzero(beyond))
    return np.concatenate(boxes), np.concatenate(owner)


#: Degrees by which boxes are larger than the points along their edges.
_BEND = 1e-6


def overlapping(squares: Squares, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether the squares at positions `a` and `b` overlap, pair by pair (bool), as drawn in the CRS of the first."""
    found, half = np.zeros(len(a), bool), (squares.side - SLIVER_M) / 2
    for number in np.unique(squares.crs[a]).tolist():
        here = np.flatnonzero(squares.crs[a] == number)
        rings = _rings(squares, b[here], squares.names[number])
        seen = np.isfinite(rings).all(axis=(1, 2))
        here, x, y = here[seen], squares.x[a[here[seen]]], squares.y[a[here[seen]]]
        squared = shapely.box(x - half, y - half, x + half, y + half)
        found[here] = shapely.intersects(squared, shapely.polygons(rings[seen]))
    return found


# On one map


def _on_one_map(x: np.ndarray, y: np.ndarray, crs: np.ndarray, side: float) -> list[np.ndarray]:
    """Edges between overlapping squares of one CRS, enough to give the right components.

    Points are binned to cells of half a side. Points of one cell, or of cells that touch, always overlap: a chain through
    each cell and one edge between the cells connect them. Of cells two apart on
    one axis the outermost points decide; of cells two apart on both, pairs are compared, unless they are connected already.
    """
    unique, cell_of = np.unique(_cell_codes(x, y, crs, side / 2), return_inverse=True)
    order = np.argsort(cell_of, kind="stable")
    starts = np.searchsorted(cell_of[order], np.arange(len(unique) + 1))
    chain = np.stack([order[:-1], order[1:]], 1)[cell_of[order][:-1] == cell_of[order][1:]]
    members = _Members(order=order, starts=starts, x=x, y=y)
    edges = [chain]
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        a, b = _neighbours(unique, dx, dy)
        edges.append(np.stack([order[starts[a]], order[starts[b]]], 1))
    for dx, dy in ((2, 0), (2, 1), (2, -1), (0, 2), (1, 2), (-1, 2)):
        a, b = _neighbours(unique, dx, dy)
        edges.append(members.outermost(a, b, axis=0 if dx == 2 else 1, side=side))
    one = connected(np.concatenate(edges), len(x))
    for dx, dy in ((2, 2), (2, -2)):
        a, b = _neighbours(unique, dx, dy)
        apart = one[order[starts[a]]] != one[order[starts[b]]]
        edges.extend(members.any_pair(int(i), int(j), side) for i, j in zip(a[apart], b[apart], strict=True))
    return edges


class _Members:
    """The points of each cell, and questions about them."""

    def __init__(self, *, order: np.ndarray, starts: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        self.order, self.starts, self.xy = order, starts, np.stack([x, y], 1)

    def outermost(self, a: np.ndarray, b: np.ndarray, *, axis: int, side: float) -> np.ndarray:
        """Edges between the last point of cells `a` and the first of cells `b` along an axis, where these overlap."""
        along = self.xy[self.order, axis]
        by_cell = np.lexsort((along, np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))))
        first, last = self.order[by_cell[self.starts[b]]], self.order[by_cell[self.starts[a + 1] - 1]]
        overlap = self.xy[first, axis] - self.xy[last, axis] < side
        return np.stack([last[overlap], first[overlap]], 1)

    def any_pair(self, a: int, b: int, side: float) -> np.ndarray:
        """One edge between cells `a` and `b` if any two of their points overlap, else none."""
        first, second = (self.order[self.starts[c] : self.starts[c + 1]] for c in (a, b))
        for i in first.tolist():
            near = (np.abs(self.xy[second] - self.xy[i]) < side).all(1)
            if near.any():
                return np.array([[i, second[int(near.argmax())]]])
        return np.empty((0, 2), np.int64)


def _cell_codes(x: np.ndarray, y: np.ndarray, crs: np.ndarray, size: float) -> np.ndarray:
    """One number (int64) for CRS, column and row of each point's cell; codes sort as these three do."""
    col, row = (np.floor(along / size).astype(np.int64) + _HALF for along in (x, y))
    return np.asarray((crs.astype(np.int64) << 56) + (col << 28) + row)


#: Added to columns and rows so that they are positive: cells may be as small as 10 cm.
_HALF = 1 << 27


def _neighbours(cells: np.ndarray, dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (a, b) of all pairs of cells with b = a + (dx, dy) in the same CRS; `cells` are sorted unique codes."""
    neighbours = cells + (dx << 28) + dy
    b = np.minimum(np.searchsorted(cells, neighbours), len(cells) - 1)
    there = cells[b] == neighbours
    return np.flatnonzero(there), b[there]
