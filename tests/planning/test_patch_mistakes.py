"""What is told of recipes of patches that name the wrong ground, or say it wrongly: before anything is built."""

from __future__ import annotations

import json
import re

import pytest
from affine import Affine
from support.aerial import NOBODY, Flown, catalogue, planted, recipe, rectangle
from support.cli import nutonic
from support.maps import write_pbf

import nutonic as nt
from nutonic import load_recipe
from nutonic.errors import InputError, NoScene, NutonicError, PoiError, RecipeError
from nutonic.planning.patches.plan import patches_planned
from nutonic.planning.patches.spec import resolve_patches
from nutonic.planning.plan import Plan

IMAGE = Flown(id="a", corner=(500_000.0, 4_980_000.0), shape=(320, 320))
#: Its west, south, east and north in degrees; it has five by five patches.
WEST, SOUTH, EAST, NORTH = IMAGE.item()["bbox"]


def planned(folder, **parts) -> Plan:
    catalogue(folder, [IMAGE])
    return patches_planned(resolve_patches(load_recipe(recipe(folder, **parts))))


def extract(folder, box):
    field = ("area", rectangle(499_000, 4_979_000, 501_000, 4_981_000), {"landuse": "farmland"})
    return write_pbf(folder / "map.osm.pbf", planted(26915, field), box=box)


@pytest.mark.parametrize(
    ("box", "told"),
    [
        (None, []),
        ((WEST - 0.001, SOUTH - 0.001, EAST + 0.001, NORTH + 0.001), []),
        ((WEST + 0.5 * (EAST - WEST), SOUTH - 0.001, EAST + 0.001, NORTH + 0.001), ["15 patches reach beyond the map"]),
        (
            (WEST - 0.001, SOUTH + 0.3 * (NORTH - SOUTH), EAST + 0.001, NORTH + 0.001),
            ["10 patches reach beyond the map"],
        ),
    ],
    ids=["untold", "around", "the east alone", "the north alone"],
)
def test_patches_that_reach_beyond_an_extract_are_told_of(tmp_path, box, told):
    extract(tmp_path, box)
    plan = planned(tmp_path, osm={"source": "pbf", "path": "map.osm.pbf", "url": None})
    assert len(plan.places) == 25
    assert [re.match("[0-9]+ patch(?:es)? reach(?:es)? beyond the map", each)[0] for each in plan.of_places] == told
    assert str(tmp_path) not in str(plan.of_places), "where a file lies is no part of a plan"


@pytest.mark.long
def test_a_tree_whose_patches_reach_beyond_the_map_is_whole(tmp_path):
    extract(tmp_path, (WEST - 0.001, SOUTH + 0.3 * (NORTH - SOUTH), EAST + 0.001, NORTH + 0.001))
    catalogue(tmp_path, [IMAGE])
    IMAGE.write(tmp_path)
    path = recipe(tmp_path, osm={"source": "pbf", "path": "map.osm.pbf", "url": None})
    nt.build(load_recipe(path), tmp_path / "out", workers=0)
    assert nt.verify(tmp_path / "out", deep=True).problems == ()


def test_what_a_server_of_the_map_is_asked_is_planned(tmp_path):
    plan = planned(tmp_path, osm={**NOBODY, "requests_per_minute": 2})
    batches = len(plan.starts) - 1
    assert plan.cost.requests == batches > 1, "no more than sixteen patches are in one"
    assert [each for each in plan.of_places if "asking for the map takes" in each] == [
        f"asking for the map takes {batches / 2:.0f} min or more, by osm.requests_per_minute, which is 2"
    ]


def test_an_extract_that_is_not_there_is_told_with_its_key(tmp_path):
    with pytest.raises(InputError, match=r"map\.osm\.pbf cannot be read: no such file or directory; see osm\.path"):
        planned(tmp_path, osm={"source": "pbf", "path": "map.osm.pbf", "url": None})


def test_a_places_file_is_told_by_its_own_name_whatever_that_is(tmp_path):
    with pytest.raises(PoiError) as error:
        planned(tmp_path, patches={"around": {"path": "pois.csv", "side_m": 150}})
    assert str(error.value).startswith(
        f"cannot read the places file {tmp_path / 'pois.csv'}: no such file or directory"
    )
    assert str(error.value).endswith("see patches.around.path")


def test_a_build_of_which_no_patch_is_left_speaks_of_patches(tmp_path):
    extract(tmp_path, None)
    catalogue(tmp_path, [IMAGE])
    IMAGE.write(tmp_path)
    path = recipe(tmp_path, osm={"source": "pbf", "path": "map.osm.pbf", "url": None}, patches={"min_elements": 9})
    said = nutonic("build", path, "--out", tmp_path / "out", "--workers", 0)
    assert said.code == 1
    assert "no patch has a caption, of 25 places: see what was left out" in said.told
    assert "chip" not in said.told


def test_an_extract_of_elsewhere_is_refused_before_anything_is_built(tmp_path):
    extract(tmp_path, (24.9, 60.1, 25.0, 60.2))
    with pytest.raises(InputError) as told:
        planned(tmp_path, osm={"source": "pbf", "path": "map.osm.pbf", "url": None})
    assert "map.osm.pbf covers 24.9000 to 25.0000 east and 60.1000 to 60.2000 north" in str(told.value)
    assert "osm.path" in str(told.value)


POINT = {"type": "Point", "coordinates": [-92.999, 44.973]}
SWAPPED = {"type": "Polygon", "coordinates": [[[44.9, -93.1], [45.1, -93.1], [45.1, -92.9], [44.9, -93.1]]]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (POINT, "has no polygon: draw one around the ground, or use patches.around"),
        ({"type": "FeatureCollection", "features": []}, "has no polygon"),
        ({"type": "LineString", "coordinates": [[-93, 44], [-92, 45]]}, "has no polygon"),
        (SWAPPED, "has latitudes of -93.1 to -92.9: longitude comes first"),
        (
            {"type": "Polygon", "coordinates": [[[5e5, 4e6], [6e5, 4e6], [6e5, 5e6], [5e5, 4e6]]]},
            "goes from (500000, 4e+06)",
        ),
    ],
    ids=["a point", "nothing", "a line", "swapped", "metres"],
)
def test_an_area_that_is_none_is_told_with_its_file(tmp_path, content, told):
    (tmp_path / "area.geojson").write_text(json.dumps(content))
    with pytest.raises(NutonicError) as error:
        planned(tmp_path, patches={"area": "area.geojson"})
    assert f"the area {tmp_path / 'area.geojson'} {told}" in str(error.value)


@pytest.mark.parametrize("area", [[-93, 44, -92], [-93, 44, -92, "x"], [-93, 44, -92, 91], 5, {"west": -93}])
def test_bounds_that_are_none_are_told_without_types_of_python(tmp_path, area):
    with pytest.raises(
        RecipeError, match=r"patches\.area: write \[west, south, east, north\] in degrees, or the name of"
    ) as told:
        planned(tmp_path, patches={"area": area})
    assert "tuple" not in str(told.value)
    assert "constrained" not in str(told.value)


def test_keys_that_are_counts_are_called_counts(tmp_path):
    with pytest.raises(RecipeError, match=r"captions\.revisions: its keys are counts, whole numbers, not 'some'"):
        planned(tmp_path, captions={"revisions": {"some": 1}})


def test_places_that_are_not_there_are_told_by_their_own_key(tmp_path):
    with pytest.raises(PoiError, match=r"no such file or directory; see patches\.around\.path"):
        planned(tmp_path, patches={"around": {"path": "places.csv"}})


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"imagery": {"datetime": "2012"}}, "of 1 item near the area, 1 is of another time (2021-09-01)"),
        ({"imagery": {"collection": "other"}}, "its catalogue has no item of this collection"),
        ({"patches": {"area": [24.9, 60.1, 25.0, 60.2]}}, "the catalogue's only item lies between longitude -93"),
    ],
    ids=["another year", "another collection", "elsewhere"],
)
def test_where_no_image_is_it_is_told_what_there_is(tmp_path, parts, told):
    with pytest.raises(NoScene) as error:
        planned(tmp_path, **parts)
    assert "is there: " in str(error.value)
    assert told in str(error.value)


# Images and places without patches


def spoilt(item, **told):
    """An item that says other things of its pixels."""
    item["properties"] |= told
    return item


def put(folder, *items):
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    for item in items:
        (folder / item["assets"]["image"]["href"]).touch()


MERCATOR = Flown(id="m", corner=(-10_352_800.0, 5_621_500.0), shape=(320, 320), epsg=3857)  # at 45 degrees north
SMALL = Flown(id="s", corner=(500_300.0, 4_980_000.0), shape=(320, 60))


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (MERCATOR.item(), "m is in EPSG:3857, whose metres are 29% off those on the ground: take it to its UTM zone"),
        (spoilt(IMAGE.item() | {"id": "f"}, **{"proj:epsg": 26851}), "f is in EPSG:26851, not in metres"),
        (SMALL.item(), "s has 320 × 60 pixels, fewer than a patch's 64: see patches.size"),
        (Flown(id="g", corner=(500_300.0, 4_980_000.0), shape=(320, 320), pixel=0.3).item(), "g has pixels of 0.3 m"),
    ],
    ids=["Web Mercator", "feet", "too small", "other pixels"],
)
def test_an_image_that_no_patch_is_cut_from_is_left_out_by_name(tmp_path, item, told):
    put(tmp_path, IMAGE.item(), item)
    plan = patches_planned(resolve_patches(load_recipe(recipe(tmp_path))))
    assert [each for each in plan.warnings() if "left out" in each] == [
        next(each for each in plan.of_places if each.startswith(f"1 image is left out of the search: {told}"))
    ]
    assert {scene.id for scene in plan.scenes()} == {"a"}
    put(tmp_path, item)
    with pytest.raises(NoScene, match=re.escape(told)):
        patches_planned(resolve_patches(load_recipe(recipe(tmp_path))))


def test_images_that_are_alike_are_left_out_in_one_line(tmp_path):
    put(tmp_path, IMAGE.item(), *(Flown(id=f"s{k}", corner=SMALL.corner, shape=(90, 50 + k)).item() for k in range(3)))
    plan = patches_planned(resolve_patches(load_recipe(recipe(tmp_path))))
    assert (
        "3 images are left out of the search; the first: s0 has 90 × 50 pixels, fewer than a patch's 64: see "
        in str(plan.warnings())
    )


def rotated(folder):
    """An item that says truly that its image is turned."""
    turned = IMAGE.grid.affine @ Affine.rotation(30)
    image = Flown(id="r", corner=IMAGE.corner, shape=IMAGE.shape)
    image.write(folder, transform=turned)
    return spoilt(image.item(), **{"proj:transform": [*turned][:6]})


@pytest.mark.parametrize("beside", [(), (IMAGE.item(),)], ids=["alone", "beside another"])
def test_a_rotated_image_is_told_as_what_it_is(tmp_path, beside):
    item = rotated(tmp_path)
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [*beside, item]}))
    for other in beside:
        (tmp_path / other["assets"]["image"]["href"]).touch()
    path = recipe(tmp_path)
    said = nutonic("plan", path)
    assert "item r, whose file is asked where its pixels lie: r.tif is rotated" in said.told + said.out
    assert "does not say" not in said.told + said.out
    assert said.code == (0 if beside else 2)
    if beside:
        assert "1 item is left out of the search; the first: r cannot be used" in said.out


@pytest.mark.long
def test_a_tree_whose_plan_leaves_images_and_places_out_is_whole(tmp_path):
    extract(tmp_path, None)
    IMAGE.write(tmp_path)
    item = rotated(tmp_path)
    (tmp_path / "m.tif").touch()
    features = [IMAGE.item(), MERCATOR.item(), item]
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    places(tmp_path, 2)
    path = recipe(
        tmp_path, osm={"source": "pbf", "path": "map.osm.pbf", "url": None},
        patches={"around": {"path": "places.csv", "side_m": 150}},
    )  # fmt: skip
    nt.build(load_recipe(path), tmp_path / "out", workers=0)
    assert nt.verify(tmp_path / "out", deep=True).problems == ()


def places(folder, far):
    """The middle of the image, and places where there is none."""
    lines = [f"near,{(WEST + EAST) / 2},{(SOUTH + NORTH) / 2}", *(f"far{k},{k},0" for k in range(far))]
    (folder / "places.csv").write_text("\n".join(["id,lon,lat", *lines]))


@pytest.mark.parametrize(
    ("far", "told"),
    [
        (0, []),
        (1, ["1 of 2 places has no patch of any image in the square of 150 m around it: far0"]),
        (
            7,
            [
                "7 of 8 places have no patch of any image in the square of 150 m around them: "
                "far0, far1, far2, far3, far4, …"
            ],
        ),
    ],
)
def test_places_without_a_patch_are_told(tmp_path, far, told):
    places(tmp_path, far)
    plan = planned(tmp_path, patches={"around": {"path": "places.csv", "side_m": 150}})
    assert [each for each in plan.warnings() if "no patch of" in each] == told
    assert len(plan.places) > 0


@pytest.mark.parametrize(
    ("of", "told"),
    [(2, "2 patches of 6 that were drawn at random from 25."), (20, "20 patches of 25, all that there are.")],
)
def test_a_preview_tells_of_how_many_patches_it_drew(tmp_path, of, told):
    extract(tmp_path, None)
    catalogue(tmp_path, [IMAGE])
    IMAGE.write(tmp_path)
    made = nt.preview(load_recipe(recipe(tmp_path, osm={"source": "pbf", "path": "map.osm.pbf", "url": None})), of)
    assert made.report.state == f"A preview: {told} Nothing is built yet."
