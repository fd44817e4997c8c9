"""Items that are given in Python instead of a catalogue; and paths, lists and labels as people write them there."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pystac
import pytest
from support.rasters import catalogue, item, middle, nearest, tif

import nutonic as nt
from nutonic.core.classes import ClassTable
from nutonic.core.grid import grid_around
from nutonic.errors import InputError, Refused
from nutonic.sources.stac.given import given

RGB = ("red", "green", "blue")


@pytest.fixture
def scene(tmp_path, monkeypatch) -> dict:
    """An item of three bands, with hrefs relative to the current folder."""
    for k, band in enumerate(RGB):
        tif(tmp_path / f"{band}.tif", np.random.default_rng(k).integers(1, 4000, (200, 200)).astype(np.uint16))
    monkeypatch.chdir(tmp_path)
    return item(tmp_path / "red.tif", {band: {"href": f"{band}.tif"} for band in RGB})


class Search:
    """What pystac-client's ``Client.search`` gives."""

    def __init__(self, items: list[pystac.Item]) -> None:
        self._items = items

    def items(self):
        yield from self._items


FORMS = {
    "a dict": lambda item: item,
    "a list of dicts": lambda item: [item],
    "a collection as JSON": lambda item: {"type": "FeatureCollection", "features": [item]},
    "a pystac item": pystac.Item.from_dict,
    "pystac items": lambda item: [pystac.Item.from_dict(item)],
    "an ItemCollection": lambda item: pystac.ItemCollection([pystac.Item.from_dict(item)]),
    "a generator": lambda item: (each for each in [item]),
    "a search": lambda item: Search([pystac.Item.from_dict(item)]),
    "numpy in it": lambda item: {**item, "bbox": np.array([16.0, 52.0, 17.0, 53.0])},
}


@pytest.mark.parametrize("form", FORMS)
def test_items_in_any_form_are_the_same_source(form, scene, tmp_path):
    given_, local = (
        nt.StacSource(items=FORMS[form](copy.deepcopy(scene))),
        nt.StacSource(url=catalogue(tmp_path, scene), collection="c"),
    )
    grid = grid_around(*middle(tmp_path / "red.tif"), extent_m=640)
    assert (given_.collection, given_.url) == ("c", "")
    for one, other in (
        (nt.open_scene(grid, [given_], time="2024"), nt.open_scene(grid, [local])),
        (nt.open_cube(grid, [given_], time=slice("2024-06", None)), nt.open_cube(grid, [local])),
    ):
        assert one.identical(other)
    assert np.array_equal(nt.open_scene(grid, [given_]).green.values, nearest(tmp_path / "green.tif", grid))
    assert pickle.loads(pickle.dumps(given_)) == given_
    assert hash(given_) == hash(pickle.loads(pickle.dumps(given_)))


def test_a_pystac_catalogue_and_items_with_addresses_of_their_own(scene, tmp_path):
    whole = pystac.Catalog("k", "d")
    whole.add_item(pystac.Item.from_dict(scene))
    whole.normalize_hrefs(str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere/scene").mkdir(parents=True)
    for band in RGB:  # relative hrefs are relative to the item's own
        (tmp_path / f"{band}.tif").rename(tmp_path / f"elsewhere/scene/{band}.tif")
    red = tmp_path / "elsewhere/scene/red.tif"
    grid = grid_around(*middle(red), extent_m=640)
    assert np.array_equal(nt.open_scene(grid, [nt.StacSource(items=whole)]).red.values, nearest(red, grid))


def test_what_is_done_to_the_items_afterwards_does_not_matter(scene, tmp_path):
    source = nt.StacSource(items=[scene])
    before = source.search(*np.array([middle(tmp_path / "red.tif")]).T, 640)
    scene["assets"].clear()
    assert source.search(*np.array([middle(tmp_path / "red.tif")]).T, 640) == before != [()]


def test_an_item_of_an_address_does_not_name_local_files(scene, tmp_path):
    remote = {**scene, "links": [{"rel": "self", "href": "https://example.org/items/scene"}]}
    remote["assets"] = {band: {"href": str(tmp_path / f"{band}.tif")} for band in RGB}
    place = np.array([middle(tmp_path / "red.tif")]).T
    with pytest.raises(Refused, match=r"example\.org.*not an allowed host"):
        nt.StacSource(items=[remote]).search(*place, 640)


def test_what_is_known_of_the_catalogue_that_items_come_from_holds_for_them():
    home = "https://planetarycomputer.microsoft.com/api/stac/v1/collections/x/items/y"
    item_ = {"id": "y", "links": [{"rel": "root", "href": "/"}, {"rel": "self", "href": home}], "assets": {},
             "properties": {"datetime": "2024-01-01T00:00:00Z"},
             "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}  # fmt: skip
    assert given([item_]).home == home
    assert given([{**item_, "links": []}]).home == ""
    assert given([{**item_, "links": None}]).home == ""


def test_items_of_two_collections_need_a_choice(scene, tmp_path):
    items = [scene, {**scene, "id": "other", "collection": "d"}]
    with pytest.raises(InputError, match="the items are of c, d: say which one by collection="):
        nt.StacSource(items=items)
    found = nt.StacSource(items=items, collection="d").search(*np.array([middle(tmp_path / "red.tif")]).T, 640)
    assert [each.id for each in found[0]] == ["other"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"items": []}, "holds no item: was the search that gave it empty?"),
        ({"items": 5}, "items=5 are no STAC items: give dicts or pystac items, or the path or address"),
        ({"items": "items.json"}, "items='items.json' are no STAC items"),
        ({"items": [object()]}, "are no STAC items"),
        ({"items": [{"id": "x"}]}, "item 'x' of items= is no STAC item"),
        ({"items": [{"id": {1, 2}}]}, "are no STAC items: Type is not JSON serializable: set"),
        ({"items": {"type": "FeatureCollection", "features": []}}, "holds no item"),
        ({"url": "items.json"}, "collection is not given"),
        (
            {"url": [{"id": "x"}], "collection": "c"},
            "url is .*: give the address or the path of a STAC",
        ),
        ({"url": None, "collection": "c"}, "url is None: give the address"),
        ({"url": "a.json", "collection": "c", "items": [{}]}, "url and items are given both: give one of them"),
        ({"url": "a.json", "collection": "c", "masks": "scl"}, r"masks is 'scl': write it as a list, masks=\['scl'\]"),
    ],
)
def test_arguments_that_say_too_little_or_too_much_are_told(arguments, told):
    with pytest.raises(InputError, match=told):
        nt.StacSource(**arguments)


def test_a_source_of_nothing_says_so_when_it_is_asked():
    with pytest.raises(InputError, match="no catalogue is given: give its address or its path as url=, or items="):
        nt.StacSource().search(np.zeros(1), np.zeros(1), 640)


def test_paths_lists_and_labels_as_people_write_them(scene, tmp_path):
    catalogue(tmp_path, scene)
    tif(tmp_path / "lc.tif", np.full((200, 200), 10, np.uint8))
    imagery = nt.StacSource(url=Path("items.json"), collection="c", assets=["red"], masks=[])
    labels = nt.RasterSource(Path("lc.tif"), {10: " Trees ", 20: "water"})
    grid = grid_around(*middle(tmp_path / "red.tif"), extent_m=640)
    cube = nt.open_scene(grid, [imagery, labels], time="2024-06")
    assert np.unique(cube.label.values).tolist() == [10]
    assert labels.table == ClassTable(name="classes", labels={10: "trees", 20: "water"}, unknown=0, colors={})
    assert hash(imagery) == hash(nt.StacSource(url="items.json", collection="c", assets=("red",)))
    layered = nt.StacLabels(
        items=[{**scene, "assets": {"map": {"href": "lc.tif"}}}], asset="map", classes={10: "trees"}
    )
    assert np.unique(nt.open_scene(grid, [imagery, layered]).label.values).tolist() == [10]


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        ({}, "classes has no class"),
        ({"10": "trees"}, "classes has '10' for a class id: write labels by whole numbers from 0 to 255"),
        ({256: "trees"}, "classes has 256 for a class id"),
        ({-1: "trees"}, "classes has -1 for a class id"),
        ({True: "trees"}, "classes has True for a class id"),
        ({1: "Trees", 2: " trees"}, "a label of its own for every class id"),
        ({1: ""}, "a label of its own"),
        (dict.fromkeys(range(256), "x") | {k: f"x{k}" for k in range(256)}, "one must be left for what is unknown"),
    ],
)
def test_labels_that_are_no_class_table_are_told(classes, told):
    with pytest.raises(InputError, match=told):
        nt.RasterSource("lc.tif", classes)


@pytest.mark.parametrize(("ids", "unknown"), [((1, 2), 0), ((0, 1), 255), ((0, 255), 1), (np.arange(3), 255)])
def test_the_unknown_value_is_one_that_no_class_has(ids, unknown):
    assert nt.RasterSource("lc.tif", {k: f"class {k}" for k in ids}).table.unknown == unknown
