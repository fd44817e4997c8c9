"""Which items are one granule, and which are one overpass: by what vendors declare, and by no name of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import shapely.geometry
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

import nutonic as nt
from nutonic.core.model import Asset, Scene
from nutonic.sources.item import item_of
from nutonic.sources.passes import timeline

GRID = GeoBox((200, 200), Affine(10, 0, 600_000, 0, -10, 5_800_000), "EPSG:32633")
TAKEN = "2025-03-30T10:00:51.025Z"
NORTH, SOUTH = (0, 120), (100, 200)  # rows of the grid
STRIPS = ("S2C_OPER_MSI_L2A_DS_2CPS_20250330T145914_S20250330T100435_N05.11",
          "S2C_OPER_MSI_L2A_DS_2CPS_20250330T150233_S20250330T100620_N05.11")  # fmt: skip


def ring(rows: tuple[int, int]) -> dict[str, Any]:
    """The footprint of some rows of the grid, in degrees."""
    to_degrees = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    box = shapely.box(600_000, 5_800_000 - 10 * rows[1], 602_000, 5_800_000 - 10 * rows[0])
    return shapely.geometry.mapping(shapely.transform(box, lambda p: np.stack(to_degrees.transform(*p.T), -1)))


def item(name: str, rows: tuple[int, int] = (0, 200), when: str | None = TAKEN, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "c", "links": [], "geometry": ring(rows),
        "properties": {"datetime": when, **properties}, "assets": {},
    }  # fmt: skip


def steps_of(*items: dict[str, Any]) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Ids of each step, and what is left out."""

    def scene(of):
        asset = Asset(
            name="red", href="", written="", crs="EPSG:32633", transform=GRID.affine[:6], shape=(200, 200), nodata=0
        )
        return Scene(id=of.id, collection="c", source="stac", datetime=of.moment, cloud_cover=None, assets=(asset,))

    line = timeline([item_of(each, "/", "test") for each in items], GRID, scene)
    return [[scene.id for scene in step.scenes] for step in line.steps], list(line.left_out)


def vendor(
    fields: dict[str, Any], strip: str | None = None, version: str = "05.11", prefix: str = "s2"
) -> dict[str, Any]:
    """What a vendor's item declares: the tile as given, its datastrip and its baseline."""
    told = {"platform": "sentinel-2c", f"{prefix}:processing_baseline": version, **fields}
    return told if strip is None else {**told, f"{prefix}:datastrip_id": strip}


TILES = {
    "grid:code": {"grid:code": "MGRS-33UXU"},
    "s2:mgrs_tile": {"s2:mgrs_tile": "33UXU"},
    "with a T": {"s2:mgrs_tile": "T33UXU"},
    "sentinel:": {"sentinel:utm_zone": 33, "sentinel:latitude_band": "U", "sentinel:grid_square": "XU"},
    "mgrs:": {"mgrs:utm_zone": 33, "mgrs:latitude_band": "U", "mgrs:grid_square": "XU"},
    "product": {"s2:product_uri": "S2C_MSIL2A_20250330T100051_N0511_R122_T33UXU_20250330T145914.SAFE"},
    "another product": {"sentinel:product_id": "S2C_MSIL2A_20250330T100051_N0511_R122_T33UXU_20250330T145914"},
}


@pytest.mark.parametrize("prefix", ["s2", "eopf", "sentinel", "somebody"])
@pytest.mark.parametrize("tile", TILES)
def test_a_granule_is_known_by_what_any_vendor_declares(tile, prefix):
    old, new, south = (
        item("b-old", **vendor(TILES[tile], STRIPS[0], "04.00", prefix)),
        item("a-new", **vendor(TILES[tile], STRIPS[0], "05.11", prefix)),
        item("c-south", **vendor(TILES[tile], STRIPS[1], "05.11", prefix)),
    )
    assert steps_of(new, south, old) == ([["a-new", "c-south"]], [("b-old", "processed again as a-new")])


def test_vendors_that_write_a_tile_otherwise_mean_the_same():
    items = [item(f"{k}", **vendor(fields, STRIPS[0], f"0{k}.00")) for k, fields in enumerate(TILES.values())]
    steps, left_out = steps_of(*items)
    assert steps == [["6"]]
    assert len(left_out) == 6
    assert steps_of(item("a", **vendor({"grid:code": "MGRS-4QFJ"})), item("b", **vendor({"s2:mgrs_tile": "04QFJ"}))) == (
        [["b"]], [("a", "processed again as b")],
    )  # fmt: skip


PRODUCT = "S2C_MSIL2A_20250330T100051_N0511_R122_T33UXU_20250330T{}"
SAME = {"platform": "sentinel-2c", "grid:code": "MGRS-33UXU"}

#: Items, the ids of each step, and the ids of what is left out.
CASES: dict[str, tuple[list[dict[str, Any]], list[list[str]], list[str]]] = {
    "names of one's own that look like a tile": (
        [item("farm_15MAR_north", NORTH), item("farm_15MAR_south", SOUTH)],
        [["farm_15MAR_north", "farm_15MAR_south"]], [],
    ),
    "one's own, over the same ground": (
        [item("farm_15MAR_a"), item("farm_15MAR_b")], [["farm_15MAR_a", "farm_15MAR_b"]], [],
    ),
    "the names of products": (
        [item(PRODUCT.format("145914")), item(PRODUCT.format("200000"))],
        [[PRODUCT.format("200000")]], [PRODUCT.format("145914")],
    ),
    "the names of the Planetary Computer": (
        [item("S2C_MSIL2A_20250330T100051_R122_T33UXU_20250330T145914", NORTH),
         item("S2C_MSIL2A_20250330T100051_R122_T33UYU_20250330T145914", SOUTH)],
        [["S2C_MSIL2A_20250330T100051_R122_T33UXU_20250330T145914",
          "S2C_MSIL2A_20250330T100051_R122_T33UYU_20250330T145914"]], [],
    ),
    "Earth Search's names, of Sentinel-2": (
        [item(f"S2A_33UXU_20250330_{k}_L2A", constellation="sentinel-2", created=f"2025-03-3{k}T00:00:00Z") for k in (0, 1)],
        [["S2A_33UXU_20250330_1_L2A"]], ["S2A_33UXU_20250330_0_L2A"],
    ),
    "Earth Search's names, of something else": (
        [item(f"S2A_33UXU_20250330_{k}_L2A", constellation="mine") for k in (0, 1)],
        [["S2A_33UXU_20250330_0_L2A", "S2A_33UXU_20250330_1_L2A"]], [],
    ),
    "halves of a tile whose datastrips are not told": (
        [item("n", NORTH, **SAME), item("s", SOUTH, **SAME)], [["n", "s"]], [],
    ),
    "a half that was processed again, datastrips not told": (
        [item("n", NORTH, **SAME), item("n2", NORTH, created="2026-01-01T00:00:00Z", **SAME), item("s", SOUTH, **SAME)],
        [["n2", "s"]], ["n"],
    ),
    "baselines are numbers": (
        [item("a", **SAME, **{"processing:version": "5.9"}), item("b", **SAME, **{"processing:version": "05.11"})],
        [["b"]], ["a"],
    ),
    "times with other offsets": (
        [item("a", **SAME, created="2025-04-01T01:00:00+02:00"), item("b", **SAME, created="2025-03-31T23:30:00.5Z")],
        [["b"]], ["a"],
    ),
    "two orbits of a day": (
        [item("a", **SAME, **{"sat:relative_orbit": 122}),
         item("b", when="2025-03-30T11:40:51Z", **SAME, **{"sat:relative_orbit": 123})], [["a"], ["b"]], [],
    ),
    "an orbit as text": (
        [item("a", NORTH, platform="s", **{"sat:relative_orbit": "022"}),
         item("b", SOUTH, platform="s", **{"sat:relative_orbit": 22.0})], [["a", "b"]], [],
    ),
    "two absolute orbits": (
        [item("a", NORTH, platform="s", **{"sat:absolute_orbit": 1}),
         item("b", SOUTH, platform="s", **{"sat:absolute_orbit": 2})], [["a"], ["b"]], [],
    ),
    "Landsat's rows of a path": (
        [item("r23", NORTH, platform="landsat-8", **{"landsat:wrs_path": "190", "landsat:wrs_row": "023"}),
         item("r24", SOUTH, platform="landsat-8", **{"landsat:wrs_path": "190", "landsat:wrs_row": "024"}),
         item("rt", SOUTH, platform="landsat-8", created="2025-03-30T12:00:00Z",
              **{"landsat:wrs_path": 190, "landsat:wrs_row": 24}),
         item("t1", SOUTH, platform="landsat-8", created="2025-04-09T12:00:00Z",
              **{"landsat:wrs_path": 190, "landsat:wrs_row": 24})],
        [["r23", "t1"]], ["r24", "rt"],
    ),
    "composites of a month and of a year": (
        [item("y", when=None, start_datetime="2024-01-01T00:00:00Z", end_datetime="2024-12-31T23:59:59Z", **SAME),
         item("m", when=None, start_datetime="2024-01-01T00:00:00Z", end_datetime="2024-01-31T23:59:59Z", **SAME)],
        [["m", "y"]], [],
    ),
    "years of one file that share an id": (
        [item("tile", when="2020-01-01T00:00:00Z"), item("tile", when="2021-01-01T00:00:00Z")], [["tile"], ["tile"]], [],
    ),
    "an item that is listed twice": ([item("one"), item("one")], [["one"]], ["one"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_which_items_are_one(case):
    items, steps, left_out = CASES[case]
    for order in (items, items[::-1]):
        found, without = steps_of(*order)
        assert found == steps
        assert [name for name, _ in without] == left_out


def catalogue(folder: Path, *items: tuple[dict[str, Any], np.ndarray]) -> nt.StacSource:
    """Items on the grid, with one band each."""
    for number, (each, pixels) in enumerate(items):
        with rasterio.open(
            folder / f"{number}.tif", "w", driver="GTiff", height=200, width=200, count=1, dtype="uint16", nodata=0,
            crs="EPSG:32633", transform=GRID.affine,
        ) as out:  # fmt: skip
            out.write(pixels, 1)
        each["assets"] = {"red": {"href": f"{number}.tif"}}
    content = {"type": "FeatureCollection", "features": [each for each, _ in items]}
    (folder / "items.json").write_text(json.dumps(content))
    return nt.StacSource(url=str(folder / "items.json"), collection="c", assets=("red",))


def test_halves_of_a_tile_are_put_together_in_one_step_and_reprocessed_ones_count_once(tmp_path):
    north, south, old = (np.full((200, 200), value, np.uint16) for value in (1500, 1700, 1900))
    north[NORTH[1] :], south[: SOUTH[0]], old[NORTH[1] :] = 0, 0, 0
    tile = TILES["grid:code"]
    source = catalogue(
        tmp_path,
        (item("a-old", NORTH, **vendor(tile, STRIPS[0], "05.00", "eopf")), old),
        (item("b-north", NORTH, **vendor(tile, STRIPS[0], "05.11", "eopf")), north),
        (item("c-south", SOUTH, **vendor(tile, STRIPS[1], "05.11", "eopf")), south),
    )
    plan = nt.search(GRID, [source])
    assert plan.left_out.values.tolist() == [["a-old", "processed again as b-north"]]
    cube = nt.open_cube(plan, [source], chunks=64)
    assert cube["red"].shape == (1, 200, 200)
    # Baselines from 04.00 on carry 1000 too much.
    np.testing.assert_array_equal(cube["red"].values[0], np.where(north > 0, north, south) - 1000)


def test_an_item_that_cannot_be_used_is_told_and_the_others_are_steps(tmp_path):
    pixels = np.full((200, 200), 1500, np.uint16)
    good, bad = item("good", when="2024-05-01T10:00:00Z"), item("bad", when="2024-05-02T10:00:00Z")
    timeless = item("timeless", when="last spring")
    source = catalogue(tmp_path, (good, pixels), (bad, pixels), (timeless, pixels))
    (tmp_path / "1.tif").unlink()
    for time in (None, "2024-01-01/2024-12-31"):
        plan = nt.search(GRID, [source], time=time)
        assert list(plan.scenes["id"]) == ["good"]
        left_out = dict(plan.left_out.values.tolist())
        assert left_out["bad"].startswith("cannot be used: ")
        assert left_out["bad"].endswith("1.tif does not exist")
        assert left_out["timeless"] == (
            "cannot be used: item timeless has the datetime 'last spring', which is no ISO 8601 time"
        )
        assert int(nt.open_cube(plan, [source])["red"].min()) == 1500
