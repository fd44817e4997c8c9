"""Lattices of patches: which patches there are, on whose pixels, how often ground is taken, and in which split it is."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from support.aerial import Flown, catalogue, plant, recipe, rectangle

import nutonic as nt
from nutonic import load_recipe
from nutonic.core.grid import offset_in
from nutonic.core.model import SPLITS, Asset, Scene
from nutonic.errors import InputError, NoScene, PlanError, RecipeError
from nutonic.planning.patches.lattice import drawn, lattice_of, taken_once
from nutonic.planning.patches.plan import patches_planned
from nutonic.planning.patches.spec import resolve_patches
from nutonic.planning.plan import Plan
from nutonic.recipe.patches import Patches
from nutonic.sources.grids import place_grid

#: Left and top of images in zone 15 north, near 93° west, 45° north.
X, Y = 500_000.0, 4_980_000.0


def scene(image: Flown) -> Scene:
    """The image as a catalogue's scene."""
    told = [*image.grid.affine][:6]
    asset = Asset(
        name="red", href="", written="", nodata=None, crs=f"EPSG:{image.epsg}", transform=tuple(told), shape=image.shape
    )
    return Scene(id=image.id, collection="naip", source="stac", datetime=image.day, cloud_cover=None, assets=(asset,))


def planned(folder, images, name="recipe.yaml", **parts) -> Plan:
    catalogue(folder, images)
    return patches_planned(resolve_patches(load_recipe(recipe(folder, name=name, **parts))))


def windows(plan: Plan, patches: Patches) -> Counter[tuple[str, int, int]]:
    """Image, first row and first column of each patch, by the grid that a build reads."""
    found: Counter[tuple[str, int, int]] = Counter()
    for lon, lat, number in zip(plan.places.lon, plan.places.lat, plan.imagery.numbers, strict=True):
        (image,) = plan.imagery.values[number]
        grid = place_grid(float(lon), float(lat), image, patches.grid)
        found[image.id, *offset_in(image_affine(image), grid)] += 1
    return found


def image_affine(image: Scene):
    return Affine(*image.lead.transform)


def every(image: Flown, size: int, stride: int | None = None) -> set[tuple[str, int, int]]:
    """All full patches of an image, written down without the code."""
    height, width = image.shape
    step = stride or size
    return {
        (image.id, row, col)
        for row in range(0, height, step)
        for col in range(0, width, step)
        if row + size <= height and col + size <= width
    }


def metres(image: Flown, row: int, col: int, size: int) -> shapely.Polygon:
    """A patch in its image's CRS."""
    left, top = image.corner[0] + col * image.pixel, image.corner[1] - row * image.pixel
    return shapely.box(left, top - size * image.pixel, left + size * image.pixel, top)


# One image


@settings(max_examples=30)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    size=st.integers(16, 90),
    stride=st.integers(1, 120),
    pixel=st.sampled_from([0.3, 0.6, 1.0, 0.6 * (1 + 4e-7)]),
    epsg=st.sampled_from([26910, 26919, 32615, 32733]),
    corner=st.tuples(st.floats(200_000, 800_000), st.floats(1_000_000, 6_000_000)),
)
def test_a_patch_is_read_where_it_was_laid(height, width, size, stride, pixel, epsg, corner):
    """Planned by longitude and latitude of its centre, read on the pixels that it was laid on: no half pixel is lost."""
    image = Flown(id="a", corner=corner, shape=(height, width), epsg=epsg, pixel=pixel)
    lattice, settings_ = lattice_of(scene(image), size, stride), Patches(size=size, resolution_m=round(pixel, 1))
    assert {("a", r, c) for r, c in zip(lattice.rows.tolist(), lattice.cols.tolist(), strict=True)} == every(
        image, size, stride
    )
    to_map = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    few = slice(0, None, max(1, len(lattice) // 6))
    for row, col, quad, lon, lat in zip(
        lattice.rows[few].tolist(), lattice.cols[few].tolist(), lattice.quads[few], lattice.lon[few], lattice.lat[few],
        strict=True,
    ):  # fmt: skip
        grid = place_grid(float(lon), float(lat), scene(image), settings_.grid)
        assert grid.shape == (size, size)
        assert offset_in(image.grid.affine, grid) == (row, col)
        drawn_again = shapely.transform(quad, lambda p: np.stack(to_map.transform(*p.T), -1))
        assert shapely.hausdorff_distance(drawn_again, metres(image, row, col, size)) < 1e-3


def test_what_is_left_over_is_in_no_patch(tmp_path):
    image = Flown(id="a", corner=(X, Y), shape=(64 * 3 + 63, 64 * 2 + 1))
    plan = planned(tmp_path, [image])
    assert windows(plan, Patches(size=64)) == Counter(every(image, 64))
    assert len(plan.places) == 6
    with pytest.raises(NoScene, match="1 is left out: a has 255 × 129 pixels, fewer than a patch's 512"):
        planned(tmp_path, [image], patches={"size": 512})


# Ground that images share


@settings(max_examples=25)
@given(
    size=st.sampled_from([16, 30]),
    images=st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(10, 140), st.integers(10, 140)),
        min_size=1,
        max_size=5,
    ),
    apart=st.booleans(),
)
def test_ground_is_taken_once_and_from_the_first(size, images, apart):
    """Images of one zone, newest first, against all pairs of rectangles in metres; `apart`: their pixels do not meet."""
    flown = [
        Flown(
            id=f"i{k}",
            corner=(X + 0.6 * col + 0.23 * k * apart, Y - 0.6 * row - 0.11 * k * apart),
            shape=(height, width),
        )
        for k, (row, col, height, width) in enumerate(images)
    ]
    found = taken_once([scene(each) for each in flown], lambda image: lattice_of(image, size, size))
    kept: list[tuple[int, shapely.Polygon]] = []
    for k, (image, lattice, free) in enumerate(found):
        assert image.id == flown[k].id
        boxes = [
            metres(flown[k], r, c, size) for r, c in zip(lattice.rows.tolist(), lattice.cols.tolist(), strict=True)
        ]
        expected = [all(number == k or box.intersection(other).area < 1e-4 for number, other in kept) for box in boxes]
        assert free.tolist() == expected
        kept += [(k, box) for box, is_free in zip(boxes, expected, strict=True) if is_free]


def flat_map(plan: Plan) -> CRS:
    lon, lat = float(plan.places.lon[0]), float(plan.places.lat[0])
    return CRS.from_proj4(f"+proj=laea +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m")


def to_flat_of(plan: Plan) -> Transformer:
    return Transformer.from_crs("EPSG:4326", flat_map(plan), always_xy=True)


def flat(plan: Plan, patches: Patches) -> list[tuple[str, int, shapely.Polygon]]:
    """Image, split and ground of each patch, in one projection of equal areas about the first of them."""
    about = flat_map(plan)
    found = []
    for number, (image,) in enumerate(plan.imagery.values):
        here = np.flatnonzero(plan.imagery.numbers == number)
        grids = [place_grid(float(plan.places.lon[at]), float(plan.places.lat[at]), image, patches.grid) for at in here]
        boxes = np.array([shapely.segmentize(shapely.box(*grid.boundingbox), grid.affine.a * 8) for grid in grids])
        to_flat = Transformer.from_crs(image.lead.crs, about, always_xy=True)
        shapes = shapely.transform(boxes, lambda p, t=to_flat: np.stack(t.transform(*p.T), -1))
        found += [(image.id, int(plan.split[at]), shape) for at, shape in zip(here, shapes, strict=True)]
    return found


def shared(ground: list[tuple[str, int, shapely.Polygon]]):
    """Pairs of patches that lie on the same ground, more than a square decimetre of it."""
    tree = shapely.STRtree([each[2] for each in ground])
    for i, k in tree.query([each[2] for each in ground], predicate="intersects").T.tolist():
        if i < k and ground[i][2].intersection(ground[k][2]).area > 0.01:
            yield ground[i], ground[k]


#: Where two zones meet: longitude of the border, latitude, and the zones to the west and the east of it.
MEETINGS = {
    "14 and 15 north": (-96.0, 41.3, 26914, 26915),
    "10 and 11 north": (-120.0, 47.0, 26910, 26911),
    "60 and 1 south": (180.0, -17.0, 32760, 32701),
    "60 and 1 north": (-180.0, 52.0, 32660, 32601),
}


#: Of these, two are in the default run.
FEW = [pytest.param(name, marks=pytest.mark.exhaustive if k % 2 else ()) for k, name in enumerate(MEETINGS)]


def astride(where: str, *, pixels: int = 640, newer: str = "east") -> list[Flown]:
    """Two images, each in its own zone, that lie over the border of zones and share half of their ground."""
    lon, lat, west, east = MEETINGS[where]
    images = []
    for name, epsg, shift in (("west", west, -0.75), ("east", east, -0.25)):
        x, y = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True).transform(lon, lat)
        corner = (round(x + shift * pixels * 0.6, 1), round(y + pixels * 0.3, 1))
        day = "2022-06-01" if name == newer else "2021-06-01"
        images.append(Flown(id=name, corner=corner, shape=(pixels, pixels), epsg=epsg, day=day))
    return images


@pytest.mark.parametrize("newer", ["east", "west"])
@pytest.mark.parametrize("where", FEW)
def test_two_zones_share_no_ground(tmp_path, where, newer):
    images, patches = astride(where, newer=newer), Patches(size=64)
    plan = planned(tmp_path, images)
    found = windows(plan, patches)
    first = next(image for image in images if image.id == newer)
    (other,) = (image for image in images if image.id != newer)
    assert every(first, 64) <= set(found)  # the newer one is whole
    ground = flat(plan, patches)
    assert list(shared(ground)) == []
    left = sum(name == other.id for name, _, _ in ground)
    assert 20 <= left < 60  # of a hundred, half are on shared ground, and a few are cut by the turned edge
    assert any(f"{100 - left} patches lie on ground of newer images" in told for told in plan.warnings())


def test_the_newest_image_counts_and_of_one_time_the_first_by_id(tmp_path):
    same = {"corner": (X, Y), "shape": (128, 128)}
    days = {"old": "2019-06-01", "b": "2022-06-01", "a": "2022-06-01", "older": "2018-06-01"}
    images = [Flown(id=name, day=day, **same) for name, day in days.items()]
    plan = planned(tmp_path, images)
    assert windows(plan, Patches(size=64)) == Counter(every(images[2], 64))
    assert any("12 patches lie on ground of newer images" in told for told in plan.warnings())
    plan = planned(tmp_path, images, imagery={"datetime": "2018-01-01/2019-12-31"})
    assert {name for name, _, _ in windows(plan, Patches(size=64))} == {"old"}


# Fractions


def test_a_fraction_is_drawn_patch_by_patch(tmp_path):
    image = Flown(id="a", corner=(X, Y), shape=(64 * 60, 64 * 60))
    lattice = lattice_of(scene(image), 64, 64)
    half, tenth = (drawn(scene(image), lattice, share, 7) for share in (0.5, 0.1))
    for taken, share in ((half, 0.5), (tenth, 0.1)):
        assert abs(taken.sum() - 3600 * share) < 4 * (3600 * share * (1 - share)) ** 0.5
    assert (half | ~tenth).all()  # who takes less takes some of the same
    other = drawn(scene(image), lattice, 0.5, 8)
    assert 1500 < (half != other).sum() < 2100
    rows = np.bincount(lattice.rows[tenth] // 64, minlength=60)
    assert rows.max() < 18  # in no row, and so in no column either, are most of them
    assert np.bincount(lattice.cols[tenth] // 64, minlength=60).max() < 18
    assert drawn(scene(image), lattice, 1.0, 7).all()


def test_what_is_drawn_does_not_depend_on_what_else_is_there(tmp_path):
    one = Flown(id="a", corner=(X, Y), shape=(640, 640))
    far = Flown(id="b", corner=(X + 5000, Y), shape=(640, 640))
    patches = {"fraction": 0.3, "seed": 5, "size": 64}
    alone = windows(planned(tmp_path, [one], patches=patches), Patches(size=64))
    both = windows(planned(tmp_path, [far, one], patches=patches), Patches(size=64))
    assert alone == Counter({key: n for key, n in both.items() if key[0] == "a"})
    assert 10 < len(alone) < 55
    assert {(r, c) for _, r, c in alone} != {(r, c) for name, r, c in both if name == "b"}


# Areas and places


def corner_degrees(image: Flown, row: int, col: int, size: int) -> np.ndarray:
    """(4, 2) of a patch's corners in degrees."""
    to_degrees = Transformer.from_crs(f"EPSG:{image.epsg}", "EPSG:4326", always_xy=True)
    return np.stack(to_degrees.transform(*shapely.get_coordinates(metres(image, row, col, size))[:4].T), -1)


@pytest.mark.exhaustive
@settings(max_examples=20)
@given(sides=st.tuples(*[st.floats(0.0, 1.0)] * 4))
def test_bounds_hold_whole_patches_alone(tmp_path_factory, sides):
    image = Flown(id="a", corner=(X, Y), shape=(640, 640))
    whole = np.array([corner_degrees(image, r, c, 64) for _, r, c in sorted(every(image, 64))])
    low, high = whole.min(axis=(0, 1)), whole.max(axis=(0, 1))
    (left, right), (down, up) = sorted(sides[:2]), sorted(sides[2:])
    west, east = (low + (high - low) * np.array([[left, down], [right, up]]))[:, 0].tolist()
    south, north = (low + (high - low) * np.array([[left, down], [right, up]]))[:, 1].tolist()
    inside = {
        key
        for key, points in zip(sorted(every(image, 64)), whole, strict=True)
        if (points >= (west, south)).all() and (points <= (east, north)).all()
    }
    folder = tmp_path_factory.mktemp("bounds")
    if not inside:
        if south < north:
            with pytest.raises((PlanError, NoScene) if west < east else InputError):
                planned(folder, [image], patches={"area": [west, south, east, north]})
        return
    plan = planned(folder, [image], patches={"area": [west, south, east, north]})
    assert set(windows(plan, Patches(size=64))) == inside


def test_a_polygon_with_a_hole(tmp_path):
    image = Flown(id="a", corner=(X, Y), shape=(640, 640))
    outer = np.array([corner_degrees(image, *at, 64).mean(axis=0) for at in ((0, 0), (0, 576), (576, 0))])
    hole = corner_degrees(image, 150, 150, 100)
    content = {
        "type": "Polygon",
        "coordinates": [[*outer.tolist(), outer[0].tolist()], [*hole.tolist(), hole[0].tolist()]],
    }
    for shape in (content, {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": content}]}):
        (tmp_path / "area.geojson").write_text(json.dumps(shape))
        found = set(windows(planned(tmp_path, [image], patches={"area": "area.geojson"}), Patches(size=64)))
        area = shapely.Polygon(outer, [hole])
        expected = {
            key for key in every(image, 64) if area.covers(shapely.Polygon(corner_degrees(image, *key[1:], 64)))
        }
        assert found == expected
        assert len(expected) > 20
        assert {("a", 128, 128), ("a", 192, 192)} & found == set()


@pytest.mark.long
@pytest.mark.parametrize("where", FEW)
def test_an_area_across_a_border_of_zones_has_patches_on_both_sides(tmp_path, where):
    lon, lat, _, _ = MEETINGS[where]
    images, patches = astride(where), Patches(size=64)
    west, east = ((lon + by + 180.0) % 360.0 - 180.0 for by in (-0.003, 0.003))
    plan = planned(tmp_path, images, patches={"area": [west, lat - 0.0012, east, lat + 0.0012]})
    found = windows(plan, patches)
    assert {name for name, _, _ in found} == {"east", "west"}
    for image in images:
        for key in every(image, 64):
            points = corner_degrees(image, *key[1:], 64)
            away = (points[:, 0] - lon + 180.0) % 360.0 - 180.0
            inside = (abs(away) <= 0.003).all() and (abs(points[:, 1] - lat) <= 0.0012).all()
            if inside and image.id == "east":  # the newer one
                assert key in found
            assert inside or key not in found


def test_places_have_the_patches_that_lie_in_their_squares(tmp_path):
    image = Flown(id="a", corner=(X, Y), shape=(64 * 30, 64 * 30))
    to_degrees = Transformer.from_crs("EPSG:26915", "EPSG:4326", always_xy=True)
    middles = [(X + 300.0, Y - 300.0), (X + 800.0, Y - 777.0), (X + 900.0, Y - 777.0)]
    lines = [
        "id,lon,lat",
        *(f"p{k},{lon:.9f},{lat:.9f}" for k, (lon, lat) in enumerate(to_degrees.transform(*m) for m in middles)),
    ]
    (tmp_path / "places.csv").write_text("\n".join(lines))
    plan = planned(tmp_path, [image], patches={"around": {"path": "places.csv", "side_m": 200}})
    squares = shapely.union_all([shapely.box(x - 100, y - 100, x + 100, y + 100) for x, y in middles])
    expected = {key for key in every(image, 64) if squares.buffer(0.02).covers(metres(image, *key[1:], 64))}
    assert set(windows(plan, Patches(size=64))) == expected
    assert len(expected) > 12
    with pytest.raises(PlanError, match=r"patches\.around\.side_m"):
        planned(tmp_path, [image], patches={"around": {"path": "places.csv", "side_m": 30}})


@pytest.mark.parametrize("where", FEW)
def test_a_place_on_a_border_of_zones(tmp_path, where):
    lon, lat, _, _ = MEETINGS[where]
    (tmp_path / "places.csv").write_text(f"id,lon,lat\na,{lon},{lat}\n")
    plan = planned(tmp_path, astride(where), patches={"around": {"path": "places.csv", "side_m": 300}})
    ground = flat(plan, Patches(size=64))
    assert list(shared(ground)) == []
    x, y = to_flat_of(plan).transform(lon, lat)
    square = shapely.box(x - 150, y - 150, x + 150, y + 150).buffer(9)  # a zone is turned by a few degrees there
    assert all(square.covers(shape) for _, _, shape in ground)
    assert {name for name, _, _ in ground} == {"east", "west"}


# Resolutions


def test_images_of_other_pixels_are_left_out_and_counted(tmp_path):
    images = [
        Flown(id=f"i{k}", corner=(X + 1000 * k, Y), shape=(256, 256), pixel=pixel)
        for k, pixel in enumerate((0.3, 0.6, 1.0, 0.6, 0.3, 0.3))
    ]
    for resolution, ids in ((0.3, {"i0", "i4", "i5"}), (0.6, {"i1", "i3"}), (1.0, {"i2"})):
        patches = {"resolution_m": resolution, "size": 64}
        plan = planned(tmp_path, images, patches=patches)
        found = windows(plan, Patches(**patches))
        assert found == Counter(key for image in images if image.id in ids for key in every(image, 64))
        others = Counter(image.pixel for image in images if image.id not in ids)
        for pixel, count in others.items():
            assert any(told.startswith(f"{count} image") and f"{pixel:g} m" in told for told in plan.warnings())
    with pytest.raises(NoScene, match=r"3 .*0\.3 m.*2 .*0\.6 m.*1 .*1 m"):
        planned(tmp_path, images, patches={"resolution_m": 0.5, "size": 64})


# Splits


@pytest.mark.long
@pytest.mark.parametrize("where", ["14 and 15 north", "60 and 1 south"])
@pytest.mark.parametrize("by", ["block", "place"])
def test_no_ground_is_in_two_splits(tmp_path, where, by):
    """Patches that overlap, on images of two zones, cut into small blocks."""
    shares = {"train": 0.4, "validation": 0.3, "test": 0.3}
    plan = planned(
        tmp_path,
        astride(where),
        patches={"stride": 48, "size": 64},
        splits={"by": by, "block_km": 0.15, **shares} if by == "block" else {"by": by, **shares},
    )
    ground = flat(plan, Patches(size=64, stride=48))
    pairs = list(shared(ground))
    assert len(pairs) > 100  # they do overlap, within an image
    assert [(one, other) for one, other in pairs if one[1] != other[1]] == []
    if by == "block":
        assert {SPLITS[split] for _, split, _ in ground} == set(SPLITS)
        assert len(plan.rejects) > 20
        assert {reject.reason for reject in plan.rejects} == {"crosses a block"}


def test_every_patch_is_planned_or_told_of(tmp_path):
    plan = planned(tmp_path, astride("14 and 15 north"), splits={"by": "block", "block_km": 0.15})
    assert plan.rows == len(plan.places) + len(plan.rejects)
    ids = {plan.places.ids[i] for i in range(len(plan.places))} | {reject.poi_id for reject in plan.rejects}
    assert len(ids) == plan.rows


def test_how_an_area_is_said_wrongly(tmp_path):
    with pytest.raises(RecipeError, match=r"south .* above its north"):
        planned(tmp_path, [Flown(id="a", corner=(X, Y), shape=(64, 64))], patches={"area": [0, 2, 1, 1]})


def test_nothing_is_planned_twice(tmp_path):
    """Pairs of patches of one image touch, and do not overlap, where the stride is the size."""
    plan = planned(tmp_path, [Flown(id="a", corner=(X, Y), shape=(320, 320))])
    ground = [each[2] for each in flat(plan, Patches(size=64))]
    assert max(one.intersection(other).area for one, other in combinations(ground, 2)) < 0.01


@pytest.mark.long
@pytest.mark.parametrize("there", [False, True])
def test_an_extract_that_is_cut_short_leaves_nothing_behind(tmp_path, there):
    pytest.importorskip("osmium")
    image, out = Flown(id="a", corner=(X, Y), shape=(128, 128)), tmp_path / "new" / "tree"
    catalogue(tmp_path, [image])
    box = rectangle(X - 500, Y - 500, X + 500, Y + 500)
    extract = plant(tmp_path / "map.osm.pbf", image.epsg, *[("area", box, {"landuse": "forest"})] * 500)
    extract.write_bytes(extract.read_bytes()[: extract.stat().st_size // 2])
    if there:
        out.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    path = recipe(tmp_path, osm={"path": "map.osm.pbf"})
    with pytest.raises(InputError, match="no whole extract"):
        nt.build(load_recipe(path), out, workers=0)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, path])
