"""Splits that cannot leak: places whose squares overlap, directly or through others, share a split.

Two ways to split keep something else apart, by time and by column; how many places share ground across them is told.

Squares are drawn 12 % larger, in each place's standard UTM zone. They still cover the real square if its scene is in a
neighbouring zone, where it is turned by up to 6° and scaled by up to 1.3 %.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator

import numpy as np
import shapely

from nutonic.core.areas import connected
from nutonic.core.globe import east_of
from nutonic.core.grid import standard_zone, transformer
from nutonic.core.model import SPLITS, Reject, Scalar, Scene, Split
from nutonic.core.times import parse_moment
from nutonic.planning.places.columns import Places
from nutonic.planning.scenes import SceneTable
from nutonic.recipe.outputs import Splits

#: Factor by which squares are drawn larger.
_MARGIN = 1.12

#: Cylindrical equal area on the whole Earth (EASE-Grid 2.0 Global), in metres.
_EQUAL_AREA = "EPSG:6933"


def drawn_side(extent_m: float) -> float:
    """Side of a square as it is drawn, in metres: 12 % larger.

    Below a kilometre that is too little for the half pixels by which two squares are snapped: there, 10 % and 20 m.
    """
    return max(_MARGIN * extent_m, 1.1 * extent_m + 20.0)


def split_of(key: str, splits: Splits) -> Split:
    """The split of a group: its key's hash, as a number in [0, 1), against the cumulative shares."""
    u = int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) / 2.0**64
    shares = [splits.train, splits.validation, splits.test]
    last = max(i for i, share in enumerate(shares) if share > 0)
    for i, below in enumerate(np.cumsum(shares)):
        if u < below or i == last:
            return SPLITS[i]
    raise AssertionError("unreachable: the last share above zero takes the rest")


def group_by_overlap(places: Places, extent_m: float) -> np.ndarray:
    """Group number (int64, from 0) of each place: the transitive overlap of all squares, variants with their place."""
    side = drawn_side(extent_m)
    zone = standard_zone(places.lon, places.lat) % 100
    x, y = _project(places, zone)
    edges = [_same_place(places), *_same_zone(x, y, zone, side), *_across_zones(places, x, y, zone, side)]
    return connected(np.concatenate(edges), len(places))


def group_keys(places: Places, groups: np.ndarray) -> Iterator[str]:
    """The key of each group: the smallest base id in it."""
    smallest = np.full(int(groups.max(initial=-1)) + 1, -1)
    for i, group in enumerate(groups.tolist()):
        first = int(smallest[group])
        if first < 0 or places.base_id(i) < places.base_id(first):
            smallest[group] = i
    return (places.base_id(i) for i in smallest.tolist() if i >= 0)


def group_by_block(places: Places, extent_m: float, block_km: float) -> tuple[np.ndarray, list[str], list[Reject]]:
    """Group places by cells of an equal-area lattice, not by overlap.

    Returns
    -------
    groups
        Group number of each place (int64), -1 where its square crosses a cell's border.
    keys
        The key of each group: ``"column_row"`` of its cell.
    rejects
        One for each square that crosses a border.
    """
    zone = standard_zone(places.lon, places.lat) % 100
    x, y = _project(places, zone)
    cells, half = np.zeros((4, len(places), 2), np.int64), drawn_side(extent_m) / 2
    for k, (dx, dy) in enumerate(_CORNERS):
        lon, lat = _unproject(x + dx * half, y + dy * half, zone)
        u, v = transformer("EPSG:4326", _EQUAL_AREA).transform(lon, lat)
        cells[k] = np.floor(np.stack([u, v], -1) / (block_km * 1000)).astype(np.int64)
    whole = (cells == cells[0]).all(axis=(0, 2))
    unique, inverse = np.unique(cells[0][whole], axis=0, return_inverse=True)
    groups = np.full(len(places), -1, np.int64)
    groups[whole] = inverse
    rejects = [
        Reject(
            poi_id=places[i].id,
            reason="crosses a block",
            detail=f"its square crosses the border of a {block_km:g} km cell",
        )
        for i in np.flatnonzero(~whole).tolist()
    ]
    return groups, [f"{column}_{row}" for column, row in unique.tolist()], rejects


def group_by_column(places: Places, column: str) -> tuple[np.ndarray, list[str], list[Reject]]:
    """Group places by what their rows say in a column that they keep.

    Returns
    -------
    groups
        Group number of each place (int64), -1 where its row says nothing.
    keys
        The value of each group, as text.
    rejects
        One for each place whose row says nothing.
    """
    at, numbers = places.keep.index(column), dict[str, int]()
    groups = np.full(len(places), -1, np.int64)
    for i, kept in enumerate(places.keep_values):
        if (text := said(kept[at])) is not None:
            groups[i] = numbers.setdefault(text, len(numbers))
    rejects = [
        Reject(poi_id=places[i].id, reason="no split", detail=f"its row has no {column}, by which splits are made")
        for i in np.flatnonzero(groups < 0).tolist()
    ]
    return groups, list(numbers), rejects


def said(value: Scalar) -> str | None:
    """What a row says in a column, as text; None of nothing."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return None if value is None or not text.strip() else text


def split_of_value(text: str, splits: Splits) -> Split:
    """The split of places whose row says this."""
    if not splits.values:
        return split_of(text, splits)
    return next((split for split, texts in splits.values.items() if text in texts), "train")


def split_of_moment(moment: dt.datetime, splits: Splits) -> Split:
    """The split of a scene of a moment: the last that has begun by its day."""
    day = moment.astimezone(dt.UTC).date()
    if splits.test_from is not None and day >= splits.test_from:
        return "test"
    return "validation" if splits.validation_from is not None and day >= splits.validation_from else "train"


def by_time(imagery: SceneTable, splits: Splits) -> tuple[SceneTable, np.ndarray]:
    """Splits by the day of scenes: a place's is that of its best scene, and it keeps only scenes of that split.

    Returns
    -------
    imagery
        Without the scenes that would take a place into another split, and those that do not tell their day.
    split
        Of each place, as its position among SPLITS, int8; -1 where no scene tells its day.
    """
    values, of_value = list[tuple[Scene, ...]](), list[int]()
    for ranked in imagery.values:
        dated = [(split_of_moment(parse_moment(scene.datetime), splits), scene) for scene in ranked if scene.datetime]
        first = dated[0][0] if dated else None
        values.append(tuple(scene for split, scene in dated if split == first))
        of_value.append(-1 if first is None else SPLITS.index(first))
    return SceneTable(imagery.numbers, tuple(values)), np.array(of_value, np.int8)[imagery.numbers]


def sharing_ground(places: Places, split: np.ndarray, splits: Splits, extent_m: float) -> int | None:
    """Places that share ground, directly or through others, with places of another split; None where none can."""
    if splits.keeps_ground_apart:
        return None
    groups = group_by_overlap(places, extent_m)
    seen = np.zeros((int(groups.max(initial=-1)) + 1, len(SPLITS)), bool)
    seen[groups, split] = True
    return int((seen.sum(1) > 1)[groups].sum())


_CORNERS = ((-1, 1), (1, 1), (1, -1), (-1, -1))


def _project(places: Places, zone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eastings and northings in each place's zone; south of the equator northings are negative, so the two halves join."""
    x, y = np.empty(len(places)), np.empty(len(places))
    for number in np.unique(zone).tolist():
        here = zone == number
        x[here], y[here] = transformer("EPSG:4326", f"EPSG:{32600 + number}").transform(
            places.lon[here], places.lat[here]
        )
    return x, y


def _unproject(x: np.ndarray, y: np.ndarray, zone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lon, lat = np.empty(x.size), np.empty(x.size)
    for number in np.unique(zone).tolist():
        here = zone == number
        lon[here], lat[here] = transformer(f"EPSG:{32600 + number}", "EPSG:4326").transform(x[here], y[here])
    return lon, lat


def _same_place(places: Places) -> np.ndarray:
    """Edges between neighbours in the list that come from the same input row."""
    i = np.flatnonzero(places.ordinal[1:] == places.ordinal[:-1])
    return np.stack([i, i + 1], 1)


def _same_zone(x: np.ndarray, y: np.ndarray, zone: np.ndarray, side: float) -> list[np.ndarray]:
    """Edges between overlapping squares of one zone, enough to give the right components.

    Points are binned to cells of half a side. Points of one cell, or of cells that touch, always overlap: a chain through
    each cell and one edge between the cells connect them. Of cells two apart on
    one axis the outermost points decide; of cells two apart on both, pairs are compared, unless they are connected already.
    """
    unique, cell_of = np.unique(_cell_codes(x, y, zone, side / 2), return_inverse=True)
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


def _cell_codes(x: np.ndarray, y: np.ndarray, zone: np.ndarray, size: float) -> np.ndarray:
    """One number (int64) for zone, column and row of each point's cell; codes sort as these three do."""
    col, row = (np.floor(along / size).astype(np.int64) + _HALF for along in (x, y))
    return np.asarray((zone.astype(np.int64) << 56) + (col << 28) + row)


#: Added to columns and rows so that they are positive: cells may be as small as 10 cm.
_HALF = 1 << 27


def _neighbours(cells: np.ndarray, dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (a, b) of all pairs of cells with b = a + (dx, dy) in the same zone; `cells` are sorted unique codes."""
    neighbours = cells + (dx << 28) + dy
    b = np.minimum(np.searchsorted(cells, neighbours), len(cells) - 1)
    there = cells[b] == neighbours
    return np.flatnonzero(there), b[there]


def _across_zones(places: Places, x: np.ndarray, y: np.ndarray, zone: np.ndarray, side: float) -> list[np.ndarray]:
    """Edges between squares on either side of a border between two zones, compared as lon/lat polygons."""
    edges = []
    reach = np.degrees(side / 6_350_000.0 / np.cos(np.radians(np.minimum(np.abs(places.lat) + 0.5, 89.0))))
    for west in range(1, 61):
        border = -180.0 + 6.0 * west
        lon = east_of(places.lon, border)
        near = np.abs(lon) < reach
        western, eastern = (np.flatnonzero(near & (zone == z)) for z in (west, west % 60 + 1))
        if western.size and eastern.size:
            a, b = shapely.STRtree(_polygons(x, y, zone, eastern, side, border)).query(
                _polygons(x, y, zone, western, side, border), predicate="intersects"
            )
            edges.append(np.stack([western[a], eastern[b]], 1))
    return edges


def _polygons(
    x: np.ndarray, y: np.ndarray, zone: np.ndarray, which: np.ndarray, side: float, border: float
) -> np.ndarray:
    """Squares as polygons of degrees, longitudes counted from a zone border."""
    rings = np.empty((len(which), 4, 2))
    for k, (dx, dy) in enumerate(_CORNERS):
        lon, lat = _unproject(x[which] + dx * side / 2, y[which] + dy * side / 2, zone[which])
        rings[:, k] = np.stack([east_of(lon, border), lat], -1)
    return np.asarray(shapely.polygons(rings))


def largest_share(groups: np.ndarray) -> float:
    """Share of all places that the largest group holds, 0 to 1."""
    return float(np.bincount(groups[groups >= 0]).max() / len(groups)) if (groups >= 0).any() else 0.0
