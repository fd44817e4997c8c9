"""Splits cannot leak, and keep apart what shares no ground: crowded worlds, every square drawn as it would be built."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from support import oracle
from support.groups import brute_groups, ground, transformer, zone_of

from nutonic.core.model import SPLITS as NAMES
from nutonic.core.model import Asset, Scene
from nutonic.planning.ground.squares import patch_squares, squares_of
from nutonic.planning.places.columns import Places, with_variants
from nutonic.planning.scenes import SceneTable
from nutonic.planning.splits import group_by_block, group_by_overlap, group_keys, of_groups, split_of
from nutonic.recipe.inputs import Jitter
from nutonic.recipe.outputs import Grid, Splits

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


def scene_in(crs: str, transform=(10.0, 0.0, 0.0, 0.0, -10.0, 0.0)) -> Scene:
    name = f"{crs} {transform}"
    asset = Asset(name="red", href=name, written=name, crs=crs, transform=transform, shape=(9, 9), nodata=0)
    return Scene(id=name, collection="c", source="stac", datetime=None, cloud_cover=None, assets=(asset,))


def built_from(zones) -> SceneTable:
    """A scene in each of the zones of each place."""
    scenes = {name: scene_in(name) for name in {name for some in zones for name in some}}
    known: dict[tuple[str, ...], tuple[Scene, ...]] = {}
    return SceneTable.of([known.setdefault(tuple(some), tuple(scenes[n] for n in some)) for some in zones])


def grouped(places: Places, extent_m: float, zones=None) -> np.ndarray:
    table = None if zones is None else built_from(zones)
    return group_by_overlap(places, squares_of(places, Grid(extent_m=extent_m), table))


def some_zones(random: np.random.Generator, places: Places) -> list[list[str]]:
    """Of each place the zones of its scenes: mostly its own, at times a neighbour's, two of them, or no scene at all."""
    found = []
    for lon, lat in zip(places.lon, places.lat, strict=True):
        near = [(zone_of(lon) - 1 + step) % 60 + 1 for step in (0, 0, 0, -1, 1)]
        names = [f"EPSG:{(32600 if lat >= 0 or random.random() < 0.3 else 32700) + zone}" for zone in near]
        found.append(list(dict.fromkeys(random.choice(names, random.choice([1, 1, 1, 2, 0])).tolist())))
    return found


def zones_or_standard(places: Places, zones):
    """What counts: where there is no scene, the standard zone."""
    own = [f"EPSG:{(32600 if b >= 0 else 32700) + zone_of(a)}" for a, b in zip(places.lon, places.lat, strict=True)]
    return [some or [name] for some, name in zip(zones, own, strict=True)]


def first_members(groups: np.ndarray) -> list[int]:
    first: dict[int, int] = {}
    return [first.setdefault(int(group), i) for i, group in enumerate(groups)]


WORLDS = [(name, number) for number in range(17) for name in SPOTS][:200]


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("name", SPOTS)
def test_groups_are_the_squares_that_share_ground_and_no_others(name):
    groups_met = together = across = 0
    for number in [number for spot, number in WORLDS if spot == name]:
        random = np.random.default_rng([number, len(name), 5])
        extent_m = float(random.choice([160, 640, 1280, 5120, 10240]))
        places = variants_of(random, crowd(random, SPOTS[name], extent_m), extent_m)
        zones = some_zones(random, places)
        right = brute_groups(places.lon, places.lat, extent_m, places.ordinal, zones_or_standard(places, zones))
        groups = grouped(places, extent_m, zones)
        assert first_members(groups) == right
        groups_met += len(set(right))
        together += len(right) - len(set(right))
        across += len({name for some in zones for name in some}) > 1
        # What a build does with the groups: one split each, by the smallest base id; variants go with their place.
        keys = list(group_keys(places, groups))
        assert keys == [min(places.base_id(i) for i in np.flatnonzero(groups == g)) for g in range(len(keys))]
    assert groups_met > 40
    assert together > 100
    assert across > 5


@pytest.mark.parametrize(
    ("extent_m", "spacing"), [(1280, 1290), (1280, 1300), (1280, 1420), (540, 560), (160, 180), (1280, 1280)]
)
@pytest.mark.parametrize("corner", [(330_700, 5_821_340), (500_000, 20_000), (640_000, 9_200_000)])
def test_squares_on_a_lattice_that_do_not_overlap_are_groups_of_their_own(extent_m, spacing, corner):
    x, y = (
        lines.ravel() for lines in np.meshgrid(corner[0] + np.arange(8) * spacing, corner[1] - np.arange(5) * spacing)
    )
    places = places_at(*transformer("EPSG:32633", "EPSG:4326").transform(x, y))
    zones = [["EPSG:32633"]] * len(places)
    assert len(set(grouped(places, extent_m, zones).tolist())) == 40
    closer = places_at(
        *transformer("EPSG:32633", "EPSG:4326").transform(x, corner[1] + (y - corner[1]) * (extent_m - 10) / spacing)
    )
    assert len(set(grouped(closer, extent_m, zones).tolist())) == 8


def test_a_row_of_squares_across_a_border_is_one_group_where_they_overlap_on_the_ground_alone():
    """West of 12° E in zone 32, east of it in 33, the two turned against each other by 4.8°."""
    for gap in (900, 960, 1000, 1040, 1080, 1110, 1150, 1300):
        lon = 12 + (np.arange(12) - 5.5) * gap / 111_320 / np.cos(np.radians(52.5))
        places = places_at(lon, np.full(12, 52.5))
        zones = [["EPSG:32632" if value < 12 else "EPSG:32633"] for value in lon]
        right = brute_groups(lon, places.lat, 1000.0, zones=zones)
        assert first_members(grouped(places, 1000.0, zones)) == right
    # 200 m west and 200 m east of 18° E: squares of 1 km overlap, and 5 km further east they do not.
    lon = 18 + np.array([-200, 200, 5200]) / 111_000 / np.cos(np.radians(46.7))
    groups = grouped(places_at(lon, [46.7, 46.701, 46.7]), 1000.0)
    assert groups[0] == groups[1] != groups[2]
    # The same on the antimeridian, where longitudes jump, and at exactly 180, which is -180.
    groups = grouped(places_at([179.999, -179.999, 180.0, -179.9], [10.0] * 4), 1000.0)
    assert groups[0] == groups[1] == groups[2] != groups[3]


@pytest.mark.parametrize("pair", [("EPSG:32633", "EPSG:3857"), ("EPSG:25833", "EPSG:3035"), ("EPSG:3857", "EPSG:2056")])
def test_of_other_maps_what_lies_on_the_ground_decides(pair):
    """A metre of Mercator is 0.6 on the ground at 53° N; and maps are turned against each other."""
    for seed in range(8):
        random = np.random.default_rng(seed)
        east, north = random.uniform(-4000, 4000, (2, 30))
        places = places_at(9.5 + east / 68_000, 47.0 + north / 111_000)
        zones = [[pair[k]] for k in random.integers(0, 2, 30)]
        right = brute_groups(places.lon, places.lat, 640.0, zones=zones)
        assert first_members(grouped(places, 640.0, zones)) == right
        assert 2 < len(set(right)) < 30


def test_squares_of_a_lattice_of_its_own_lie_on_it():
    """Pixels of 3 m from (1, 2): a square of 300 m is snapped to them, so that 297 m apart share a pixel, 300 m do not."""
    table = SceneTable.of([(scene_in("EPSG:32633", (3.0, 0.0, 500_001.0, 0.0, -3.0, 5_000_002.0)),)] * 3)
    for gap, count in ((297, 1), (300, 3), (298.4, 1), (298.6, 3)):
        x = 500_001 + 150 + gap * np.arange(3) - (0.0 if gap != 298.6 else 0.2)
        places = places_at(*transformer("EPSG:32633", "EPSG:4326").transform(x, np.full(3, 5_000_002.0)))
        grid = Grid(extent_m=300, resolution_m=3, lattice="source")
        right = brute_groups(
            places.lon, places.lat, 300.0, zones=[["EPSG:32633"]] * 3, pixel=3, origin=(500_001.0, 5_000_002.0)
        )
        assert first_members(group_by_overlap(places, squares_of(places, grid, table))) == right, gap
        assert len(set(right)) == count or gap in (298.4, 298.6)


def test_patches_that_touch_are_apart_and_patches_that_overlap_are_one():
    table = SceneTable.of([(scene_in("EPSG:32633", (0.6, 0.0, 500_000.3, 0.0, -0.6, 5_000_000.1)),)] * 9)
    for stride, count in ((448, 9), (447, 1), (449, 9)):
        x, y = (0.6 * (stride * steps.ravel() + 224) for steps in np.meshgrid(np.arange(3), np.arange(3)))
        places = places_at(*transformer("EPSG:32633", "EPSG:4326").transform(500_000.3 + x, 5_000_000.1 - y))
        groups = group_by_overlap(places, patch_squares(places, 448 * 0.6, table))
        assert len(set(groups.tolist())) == count


@pytest.mark.long
def test_a_dense_crowd_on_a_border_is_grouped_at_once():
    random = np.random.default_rng(4)
    east, north = random.uniform(-20_000, 20_000, (2, 20_000))
    places = places_at(12 + east / 67_800, 52.5 + north / 111_000)
    zones = [("EPSG:32632",) if value < 12 else ("EPSG:32633",) for value in places.lon]
    groups = grouped(places, 5120.0, zones)
    assert len(set(groups.tolist())) == 1


# The rule itself


def test_squares_that_overlap_by_a_pixel_are_one_group_and_those_that_touch_are_two():
    # On the central meridian of zone 33 northings are metres of the grid.
    to_degrees = transformer("EPSG:32633", "EPSG:4326")
    for dx, dy in ((1000, 0), (0, 1000), (1000, 1000), (-1000, 1000), (1000, 70), (-300, 1000)):
        for step, together in ((-10, True), (0, False), (10, False)):
            moved = np.array([dx, dy]) + step * np.sign([dx, dy]) * (np.abs([dx, dy]) == 1000)
            lon, lat = to_degrees.transform(*(np.array([[500_000, 5_000_000]] * 2) + [[0, 0], moved] + [3.0, 3.0]).T)
            groups = grouped(places_at(lon, lat), 1000.0)
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
    groups = grouped(places, 1000.0)
    assert [list(group_keys(places, groups))[g] for g in groups] == ["b10"] * 6 + ["a"] * 3


def test_shares_of_ten_thousand_places():
    # Far apart, so every place is a group of its own: the deviation of a share of 0.8 is 0.004, of 0.1 is 0.003.
    lon, lat = (grid.ravel() for grid in np.meshgrid(np.linspace(-170, 170, 100), np.linspace(-60, 60, 100)))
    places = places_at(lon, lat)
    groups = grouped(places, 5120.0)
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
        groups = grouped(every, 2560.0)
        keys = list(group_keys(every, groups))
        return {every[i].id: split_of(keys[group], SHARES) for i, group in enumerate(groups)}

    expected = splits(np.arange(len(places)))
    assert len(expected) == 3 * len(places)
    for _ in range(5):
        assert splits(random.permutation(len(places))) == expected


@pytest.mark.parametrize("key", ["a", "b", "c", "d", "e", "f", "g", "h"])
def test_a_group_of_more_than_half_of_all_is_in_the_split_with_the_largest_share(key):
    one, half = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 2])
    for shares, largest in (((0.6, 0.2, 0.2), "train"), ((0.0, 0.3, 0.7), "test"), ((0.4, 0.4, 0.2), "train")):
        splits = Splits(train=shares[0], validation=shares[1], test=shares[2])
        keys = [key, f"{key}1", f"{key}2"]
        hashed = [oracle.split_of(name, *shares) for name in keys]
        assert [NAMES[k] for k in of_groups(keys, one, splits)] == [largest, *hashed[1:]]
        assert [NAMES[k] for k in of_groups(keys, half, splits)] == hashed


# By block


def in_every_zone(places: Places, extent_m: float, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Every square in its standard zone and both neighbours, snapped as a build snaps them: place numbers and polygons."""
    steps = (-1, 0, 1)
    zones = [f"EPSG:{32600 + (zone_of(lon) - 1 + step) % 60 + 1}" for step in steps for lon in places.lon]
    every = np.tile(np.arange(len(places)), len(steps))
    return every, ground(places.lon[every], places.lat[every], zones, extent_m, target)


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
        numbers, polygons = in_every_zone(places, extent_m, "EPSG:6933")
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
