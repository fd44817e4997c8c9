"""Splits cannot leak: 200 crowded worlds, every square drawn in every zone its scene could have."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely
from support import oracle
from support.groups import brute_groups, transformer, zone_of

from nutonic.planning.places.columns import Places, with_variants
from nutonic.planning.splits import group_by_block, group_by_overlap, group_keys, split_of
from nutonic.recipe.inputs import Jitter
from nutonic.recipe.outputs import Splits

SHARES = Splits(train=0.5, validation=0.25, test=0.25)

#: Longitude, latitude of where worlds are crowded: borders of zones at several latitudes, the equator, the
#: antimeridian, the exceptions around Norway, and the ends of UTM.
SPOTS = {
    "border": (18.0, 46.7), "border and equator": (12.0, 0.0), "middle and equator": (9.0, 0.0),
    "far north": (24.0, 83.8),
    "far south": (-66.0, -79.8), "antimeridian": (180.0, -17.0), "antimeridian far north": (-180.0, 71.0),
    "32V": (6.0, 60.3), "Svalbard": (9.0, 78.2), "Greenwich": (0.0, 51.5), "middle": (-69.0, -33.0),
    "south": (30.0, -60.0),
}  # fmt: skip


def wrapped(lon):
    return (np.asarray(lon) + 180.0) % 360.0 - 180.0


def places_at(lon, lat, ids=None) -> Places:
    count = len(lon)
    return Places(
        ordinal=np.arange(count),
        variant=np.zeros(count, np.int16),
        lon=wrapped(lon),
        lat=np.asarray(lat, float),
        ids=ids,
    )


def crowd(random: np.random.Generator, spot: tuple[float, float], extent_m: float) -> Places:
    """Up to 40 places: some in clumps a square or two wide, some strewn over about thirty squares, some astride."""
    count, (lon, lat) = int(random.integers(2, 41)), spot
    spread = extent_m * random.choice([0.3, 1.5, 6.0, 30.0], (count, 1))
    east, north = (random.uniform(-1, 1, (count, 2)) * spread).T
    lats = np.clip(lat + north / 111_000, -79.99, 83.99)
    return places_at(lon + east / 111_000 / np.cos(np.radians(lat)), lats)


def variants_of(random: np.random.Generator, places: Places, extent_m: float) -> Places:
    """With jitter of anything from a tenth of a square to six squares, so that some variants lie apart."""
    jitter = Jitter(
        variants=int(random.integers(0, 4)),
        max_offset_m=float(extent_m * random.choice([0.1, 0.6, 6.0])),
        seed=int(random.integers(99)),
    )
    return with_variants(places, jitter)[0]


def squares(places: Places, extent_m: float, target: str, steps: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Every square in its standard zone and both neighbours, snapped as a build snaps them: place numbers and polygons.

    Edges have points between their corners, so that a straight line in one projection stays where it is in another.
    """
    ring = np.concatenate([np.linspace(a, b, steps, endpoint=False) for a, b in pairwise(_CORNERS)])
    numbers, polygons = [], []
    for shift in (-1, 0, 1):
        zones = np.array([(zone_of(lon) - 1 + shift) % 60 + 1 for lon in places.lon])
        for zone in np.unique(zones):
            here = np.flatnonzero(zones == zone)
            crs = f"EPSG:{32600 + zone}"
            x, y = transformer("EPSG:4326", crs).transform(places.lon[here], places.lat[here])
            left = 10 * np.floor((np.asarray(x) - extent_m / 2) / 10 + 0.5)
            top = 10 * np.floor((np.asarray(y) + extent_m / 2) / 10 + 0.5)
            edge_x, edge_y = left[:, None] + ring[:, 0] * extent_m, top[:, None] - ring[:, 1] * extent_m
            lon, lat = transformer(crs, "EPSG:4326").transform(edge_x, edge_y)
            numbers.append(here)
            polygons.append(shapely.polygons(np.stack(transformer("EPSG:4326", target).transform(lon, lat), -1)))
    return np.concatenate(numbers), np.concatenate(polygons)


_CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)], float)


def shared_ground(places: Places, extent_m: float, spot: tuple[float, float]) -> set[tuple[int, int]]:
    """Pairs of places that have ground in common in any choice of zones, on an equal-area map around the spot."""
    numbers, polygons = squares(places, extent_m, f"+proj=laea +lon_0={spot[0]} +lat_0={spot[1]} +ellps=WGS84")
    a, b = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    a, b = a[numbers[a] < numbers[b]], b[numbers[a] < numbers[b]]
    deep = shapely.area(shapely.intersection(polygons[a], polygons[b])) > 0.01
    return set(zip(numbers[a[deep]].tolist(), numbers[b[deep]].tolist(), strict=True))


WORLDS = [(name, number) for number in range(17) for name in SPOTS][:200]


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("name", SPOTS)
def test_no_ground_is_in_two_groups(name):
    pairs_met = groups_met = across = 0
    for number in [number for spot, number in WORLDS if spot == name]:
        random = np.random.default_rng([number, len(name), 5])
        # From half a kilometre, as small as squares get for which 12 % hold the snapping to the lattice as well.
        extent_m = float(random.choice([640, 1280, 5120, 10240]))
        places = variants_of(random, crowd(random, SPOTS[name], extent_m), extent_m)
        groups = group_by_overlap(places, extent_m)
        pairs = shared_ground(places, extent_m, SPOTS[name])
        assert [pair for pair in pairs if groups[pair[0]] != groups[pair[1]]] == []
        pairs_met += len(pairs)
        groups_met += len(np.unique(groups))
        across += sum(zone_of(places.lon[i]) != zone_of(places.lon[j]) for i, j in pairs)
        # What a build does with the groups: one split each, by the smallest base id; variants go with their place.
        keys = list(group_keys(places, groups))
        assert keys == [min(places.base_id(i) for i in np.flatnonzero(groups == g)) for g in range(len(keys))]
        for ordinal in np.unique(places.ordinal):
            assert len(set(groups[places.ordinal == ordinal])) == 1
    assert pairs_met > 500
    assert groups_met > 40
    assert (across > 50) == (name not in ("middle", "middle and equator", "Svalbard"))


@pytest.mark.long
def test_the_smallest_squares_do_not_leak_either():
    """A square of 16 pixels is snapped by up to half a pixel and turned by up to 6°: more than 12 % of it allow for."""
    random, leaks, met = np.random.default_rng(3), [], 0
    for spot in ((24.0, 83.5), (-66.0, -79.5), (18.0, 70.0), (18.0, 10.0)):
        for _ in range(10):
            east, north = random.uniform(-1200, 1200, (2, 150))
            places = places_at(spot[0] + east / 111_000 / np.cos(np.radians(spot[1])), spot[1] + north / 111_000)
            groups = group_by_overlap(places, 160.0)
            pairs = shared_ground(places, 160.0, spot)
            leaks += [(spot, pair) for pair in pairs if groups[pair[0]] != groups[pair[1]]]
            met += len(pairs)
    assert met > 5000
    assert leaks == []


def test_across_a_border_a_square_is_not_seen_as_one_zone_alone():
    # 200 m west and 200 m east of 18° E: squares of 1 km overlap, and 5 km further east they do not.
    lon = 18 + np.array([-200, 200, 5200]) / 111_000 / np.cos(np.radians(46.7))
    groups = group_by_overlap(places_at(lon, [46.7, 46.701, 46.7]), 1000.0)
    assert groups[0] == groups[1] != groups[2]
    # The same on the antimeridian, where longitudes jump, and at exactly 180, which is -180.
    groups = group_by_overlap(places_at([179.999, -179.999, 180.0, -179.9], [10.0] * 4), 1000.0)
    assert groups[0] == groups[1] == groups[2] != groups[3]


# The rule itself


def first_members(groups: np.ndarray) -> list[int]:
    first: dict[int, int] = {}
    return [first.setdefault(int(group), i) for i, group in enumerate(groups)]


@pytest.mark.parametrize("seed", range(60))
def test_groups_equal_a_comparison_of_every_pair(seed):
    random = np.random.default_rng([seed, 11])
    spot = SPOTS[["middle", "middle and equator", "border", "antimeridian"][seed % 4]]
    extent_m = float(random.choice([320, 5120]))
    # Anything from one clump to squares that seldom touch, so that chains of all lengths occur.
    count, reach = int(random.integers(2, 35)), extent_m * float(random.choice([0.8, 2, 4, 8]))
    east, north = random.uniform(-reach, reach, (2, count))
    places = places_at(spot[0] + east / 111_000 / np.cos(np.radians(spot[1])), spot[1] + north / 111_000)
    if seed % 3 == 0:
        places = variants_of(random, places, extent_m)
    expected = brute_groups(places.lon, places.lat, extent_m, places.ordinal)
    assert first_members(group_by_overlap(places, extent_m)) == expected


def test_squares_that_overlap_by_a_decimetre_are_one_group_and_a_decimetre_apart_are_two():
    # On the central meridian of zone 33 northings are metres of the grid; 1.12 · 1000 m is the enlarged side.
    to_degrees = transformer("EPSG:32633", "EPSG:4326")
    for dx, dy in ((1120, 0), (0, 1120), (1120, 1120), (-1120, 1120), (1120, 7), (-300, 1120)):
        for step, together in ((-0.1, True), (0.1, False)):
            moved = np.array([dx, dy]) + step * np.sign([dx, dy]) * (np.abs([dx, dy]) == 1120)
            lon, lat = to_degrees.transform(*(np.array([[500_000, 5_000_000]] * 2) + [[0, 0], moved]).T)
            groups = group_by_overlap(places_at(lon, lat), 1000.0)
            assert (groups[0] == groups[1]) == together, (dx, dy, step)


def test_the_split_of_a_key_is_its_hash():
    # printf poi_000000 | sha256sum: 59dce943… is 0.351 of all, poi_000001's 5a49e6ff… is 0.353.
    keys = [f"poi_{i:06d}" for i in range(500)] + ["a", "Z.9", "12_-3"]
    for shares in ((0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.0, 1.0, 0.0), (0.5, 0.5, 0.0), (0.0, 0.3, 0.7)):
        found = [split_of(key, Splits(train=shares[0], validation=shares[1], test=shares[2])) for key in keys]
        assert found == [oracle.split_of(key, *shares) for key in keys]


def test_the_key_of_a_group_is_its_smallest_base_id():
    # 9 and 10 compare as text, as ids do; the variants' own ids never count.
    lon, lat = [9.0, 9.001, 9.5], [45.0, 45.0, 45.0]
    places = with_variants(places_at(lon, lat, ids=("b9", "b10", "a")), Jitter(variants=2, max_offset_m=50))[0]
    groups = group_by_overlap(places, 1000.0)
    assert [list(group_keys(places, groups))[g] for g in groups] == ["b10"] * 6 + ["a"] * 3


def test_shares_of_ten_thousand_places():
    # Far apart, so every place is a group of its own: the deviation of a share of 0.8 is 0.004, of 0.1 is 0.003.
    lon, lat = (grid.ravel() for grid in np.meshgrid(np.linspace(-170, 170, 100), np.linspace(-60, 60, 100)))
    places = places_at(lon, lat)
    groups = group_by_overlap(places, 5120.0)
    assert len(set(groups.tolist())) == 10_000
    found = [split_of(key, Splits()) for key in group_keys(places, groups)]
    shares = {name: found.count(name) / 10_000 for name in ("train", "validation", "test")}
    assert shares == pytest.approx({"train": 0.8, "validation": 0.1, "test": 0.1}, abs=0.016)


@pytest.mark.parametrize("name", ["border", "antimeridian", "middle", "far north"])
def test_the_order_of_places_changes_no_split(name):
    random = np.random.default_rng(17)
    places = crowd(random, SPOTS[name], 2560.0)
    ids = tuple(f"site-{i}" for i in random.permutation(len(places)))

    def splits(order: np.ndarray) -> dict[str, str]:
        moved = places_at(places.lon[order], places.lat[order], tuple(ids[i] for i in order))
        every = with_variants(moved, Jitter(variants=2, max_offset_m=2000, seed=4))[0]
        groups = group_by_overlap(every, 2560.0)
        keys = list(group_keys(every, groups))
        return {every[i].id: split_of(keys[group], SHARES) for i, group in enumerate(groups)}

    expected = splits(np.arange(len(places)))
    assert len(expected) == 3 * len(places)
    for _ in range(5):
        assert splits(random.permutation(len(places))) == expected


# By block


@pytest.mark.parametrize("name", SPOTS)
def test_no_square_crosses_the_border_of_a_block(name):
    kept = crossing = 0
    for number in range(6):
        random = np.random.default_rng([number, 23])
        extent_m, block_km = 1280.0, 30.0
        places = crowd(random, SPOTS[name], extent_m * 3)
        groups, keys, rejects = group_by_block(places, extent_m, block_km)
        assert {reject.poi_id for reject in rejects} == {places[i].id for i in np.flatnonzero(groups < 0)}
        assert {reject.reason for reject in rejects} <= {"crosses a block"}
        assert sorted(set(groups[groups >= 0].tolist())) == list(range(len(keys)))
        # Every square as it could be built, in each zone, lies in the one cell that its group stands for.
        numbers, polygons = squares(places, extent_m, "EPSG:6933", steps=2)
        west, south, east, north = np.floor(shapely.bounds(polygons) / (block_km * 1000)).T.astype(int)
        inside = groups[numbers] >= 0
        assert (west[inside] == east[inside]).all()
        assert (south[inside] == north[inside]).all()
        cell_of = [keys[group] for group in groups[numbers[inside]]]
        assert cell_of == [f"{a}_{b}" for a, b in zip(west[inside], south[inside], strict=True)]
        # Whose own square crosses is rejected.
        crosses = numbers[(west != east) | (south != north)]
        assert set(crosses.tolist()) <= set(np.flatnonzero(groups < 0).tolist())
        kept, crossing = kept + int((groups >= 0).sum()), crossing + len(set(crosses.tolist()))
    assert kept > 10
    assert crossing > 5
