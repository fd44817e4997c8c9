"""Splits that cannot leak: places whose squares overlap, directly or through others, share a split.

Two ways to split keep something else apart, by time and by column; how many places share ground across them is told.

By place, squares are those that a build cuts: on the pixels of each scene that a place may be built from. By block, of which
no scene is known yet, they are drawn larger, in each place's standard UTM zone. They still cover the real square if its
scene is in a neighbouring zone, where it is turned by up to 6° and scaled by up to 1.3 %.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from nutonic.core.areas import connected
from nutonic.core.grid import standard_zone, transformer
from nutonic.core.model import SPLITS, Reject, Scalar, Scene, Split
from nutonic.core.times import parse_moment
from nutonic.planning.ground.overlaps import sharing
from nutonic.planning.ground.squares import Squares
from nutonic.planning.places.columns import Places
from nutonic.planning.scenes import SceneTable
from nutonic.recipe.outputs import Splits

#: Factor by which squares are drawn larger that must lie in one block.
_MARGIN = 1.12

#: Cylindrical equal area on the whole Earth (EASE-Grid 2.0 Global), in metres.
_EQUAL_AREA = "EPSG:6933"


#: A group that holds more of all places than this is in the split with the largest share, whatever its key.
HALF = 0.5


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


def group_by_overlap(places: Places, squares: Squares) -> np.ndarray:
    """Group number (int64, from 0) of each place: the transitive overlap of their squares, variants with their place."""
    return connected(np.concatenate([_same_place(places), sharing(squares)]), len(places))


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
    margin = drawn_side(extent_m) / 2 - extent_m / 2
    detail = f"its square, and {margin:.4g} m around it, crosses the border of a {block_km:g} km cell"
    rejects = [
        Reject(poi_id=places[i].id, reason="crosses a block", detail=detail) for i in np.flatnonzero(~whole).tolist()
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


def sharing_ground(places: Places, split: np.ndarray, splits: Splits, squares: Callable[[], Squares]) -> int | None:
    """Places that share ground, directly or through others, with places of another split; None where none can."""
    if splits.keeps_ground_apart:
        return None
    groups = connected(sharing(squares()), len(places))
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
    """Edges between places that come from the same input row."""
    order = np.argsort(places.ordinal, kind="stable")
    i = np.flatnonzero(np.diff(places.ordinal[order]) == 0)
    return np.stack([order[i], order[i + 1]], 1)


def largest_share(groups: np.ndarray) -> float:
    """Share of all places of groups that the largest group holds, 0 to 1."""
    counts = np.bincount(groups[groups >= 0])
    return float(counts.max() / counts.sum()) if counts.size else 0.0


def main_split(splits: Splits) -> Split:
    """The split that is to have the most places, by its share: the first of such."""
    return max(SPLITS, key=lambda name: float(getattr(splits, name)))


def of_groups(keys: Iterable[str], groups: np.ndarray, splits: Splits) -> np.ndarray:
    """The split of each group, as its position among SPLITS (int8).

    That is what its key leads to. A group of more than half of all places is in the split with the largest share, so that
    none is left without what it is to be made of.
    """
    if splits.by == "column" and splits.values:
        return np.fromiter((SPLITS.index(split_of_value(key, splits)) for key in keys), np.int8)
    found = np.fromiter((SPLITS.index(split_of(key, splits)) for key in keys), np.int8)
    if largest_share(groups) > HALF:
        found[np.bincount(groups[groups >= 0]).argmax()] = SPLITS.index(main_split(splits))
    return found
