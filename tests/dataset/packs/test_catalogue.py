"""Catalogues of chips, opened by the libraries that maps, queries and catalogues are made with."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from support.cli import nutonic

import nutonic as nt
from nutonic.core.classes import ClassTable
from nutonic.core.grid import describe
from nutonic.dataset.catalogue.cells import major_tom_cell
from nutonic.dataset.catalogue.entries import bounds_of, entry_of, footprint_of, fraction_columns

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def sidecars(few):
    """By the path of the chip."""
    found = [json.loads(path.read_bytes()) for path in few.out.glob("metadata/*/*.json")]
    chips = {path.stem: path.relative_to(few.out).as_posix() for path in few.out.glob("images/*/*.png")}
    return {chips[one["tile_id"]]: one for one in found}


@pytest.fixture(scope="module")
def rows(few):
    """Number of rows by chip."""
    lines = [line for split in SPLITS for line in (few.out / "data" / f"{split}.jsonl").read_bytes().splitlines()]
    ids = [json.loads(line)["tile_id"] for line in lines]
    return {name: ids.count(name) for name in ids}


def by_hand(sidecar: dict) -> shapely.Polygon:
    """The corners of the window on the place's grid, in metres, and then in degrees."""
    a, _, left, _, e, top = sidecar["grid"]["transform"][:6]
    window = sidecar["window"]
    west, north = left + a * window["col"], top + e * window["row"]
    east, south = west + a * window["width"], north + e * window["height"]
    degrees = Transformer.from_crs(sidecar["grid"]["crs"], "EPSG:4326", always_xy=True)
    ring = ((west, south), (west, north), (east, north), (east, south))
    return shapely.Polygon([degrees.transform(x, y) for x, y in ring])


def compared(frame, sidecars, rows) -> None:
    assert sorted(frame["path"]) == sorted(sidecars)
    for row in frame.to_dict("records"):
        sidecar = sidecars[row["path"]]
        assert (row["split"], row["lon"], row["lat"]) == (sidecar["split"], sidecar["longitude"], sidecar["latitude"])
        assert row["rows"] == rows[row["id"]]
        assert row["item_id"] == sidecar["imagery"]["item_id"]
        assert row["datetime"].strftime("%Y-%m-%dT%H:%M") == sidecar["imagery"]["datetime"][:16]
        shares = [value for name, value in row.items() if name.startswith("fraction_") and value]
        assert sorted(shares) == sorted(sidecar["class_fractions"].values())
        right = by_hand(sidecar)
        assert shapely.hausdorff_distance(row["geometry"], right) < 1e-6
        assert row["geometry"].symmetric_difference(right).area < 1e-4 * right.area


def test_geopandas_opens_a_pack_and_a_dataset_gives_the_same(few, packs, sidecars, rows):
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.read_parquet(packs(few.out, "geoparquet") / "chips.parquet")
    assert frame.crs.equals("OGC:CRS84")
    compared(frame, sidecars, rows)
    whole = nt.open_dataset(few.out)
    own = whole.catalogue()
    compared(own, sidecars, rows)
    assert own["cell"].tolist() == frame["cell"].tolist()
    some = whole.of(split="train", task="grounding").catalogue(cells="major-tom")
    assert set(some["split"]) == {"train"}
    assert set(some["rows"]) == {1}
    assert some["cell"].tolist() == [major_tom_cell(*at) for at in zip(some["lon"], some["lat"], strict=True)]


def test_without_geopandas_a_dataset_gives_a_table(few, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "geopandas", None)
    table = nt.open_dataset(few.out).catalogue()
    assert type(table).__module__.startswith("pyarrow")
    assert table.num_rows == len(list((few.out / "images").rglob("*.png")))
    assert json.loads(table.schema.metadata[b"geo"])["version"] == "1.1.0"


def test_duckdb_asks_it_in_sql(few, packs, sidecars):
    duckdb = pytest.importorskip("duckdb")
    path = packs(few.out, "geoparquet") / "chips.parquet"
    asked = (
        "select id, bbox.xmin, bbox.ymax, geometry from read_parquet(?) where split = 'train' and fraction_water > 0"
    )
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as base:
        found = base.execute(asked, [str(path)]).fetchall()
    right = [one for one in sidecars.values() if one["split"] == "train" and water(one)]
    assert sorted(name for name, *_ in found) == sorted(one["tile_id"] for one in right)
    for _, west, north, geometry in found:
        outline = shapely.from_wkb(bytes(geometry))
        assert (outline.bounds[0], outline.bounds[3]) == pytest.approx((west, north))


def water(sidecar: dict) -> bool:
    return any(region["label"] == "water" for region in sidecar["regions"]) or bool(sidecar["class_fractions"].get("0"))


@pytest.mark.long
def test_readers_of_stac_find_items_in_it(few, packs, sidecars):
    rustac, pystac = pytest.importorskip("rustac"), pytest.importorskip("pystac")
    import asyncio

    async def read(path: Path) -> dict:
        return await rustac.read(str(path))

    found = asyncio.run(read(packs(few.out, "geoparquet") / "chips.parquet"))
    assert len(found["features"]) == len(sidecars)
    for feature in found["features"]:
        item = pystac.Item.from_dict(feature)
        assert item.assets["image"].href in sidecars
        assert item.properties["split"] == sidecars[item.assets["image"].href]["split"]
    item.validate()


def test_a_static_catalogue_is_valid_and_shows_its_chips(few, packs, sidecars):
    pystac = pytest.importorskip("pystac")
    out = packs(few.out, "stac")
    collection = pystac.Collection.from_file(str(out / "collection.json"))
    collection.validate()
    items = list(collection.get_items())
    assert sorted(item.id for item in items) == sorted(one["tile_id"] for one in sidecars.values())
    west, south, east, north = collection.extent.spatial.bboxes[0]
    items[-1].validate()
    for item in items:
        path = item.properties["path"]
        picture = Path(item.assets["image"].get_absolute_href())
        assert picture.read_bytes() == (few.out / path).read_bytes()
        assert shapely.geometry.shape(item.geometry).bounds == pytest.approx(tuple(item.bbox))
        assert west <= item.bbox[0] <= item.bbox[2] <= east
        assert south <= item.bbox[1] <= item.bbox[3] <= north
        assert collection.extent.temporal.intervals[0][0] <= item.datetime <= collection.extent.temporal.intervals[0][1]


def test_one_file_of_geojson(few, packs, sidecars, rows):
    geopandas = pytest.importorskip("geopandas")
    path = packs(few.out, "geojson", cells="h3") / "chips.geojson"
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(sidecars) + 2
    frame = geopandas.read_file(path)
    compared(frame, sidecars, rows)
    h3 = pytest.importorskip("h3")
    assert frame["cell"].tolist() == [
        h3.latlng_to_cell(y, x, 7) for x, y in zip(frame["lon"], frame["lat"], strict=True)
    ]


@pytest.mark.parametrize("lon", [-179.999, -179.9, -122.4, -0.00001, 0.05, 12.5483, 179.96])
@pytest.mark.parametrize("lat", [-84.9, -33.9, -0.05, 0.02, 52.482, 84.99])
def test_major_toms_cells_are_those_of_its_own_rule(lon: float, lat: float):
    """Its rule, on whole lists of edges: the last edge below a place, from south and from west."""

    def edges(length: float, count: int) -> np.ndarray:
        return np.sort(np.mod(np.linspace(-length / 2, length / 2, count + 1)[:-1], length) - length / 2)

    def named(values: np.ndarray, at: float, names: str) -> tuple[str, float]:
        zero, k = int(np.argmin(np.abs(values))), int(np.searchsorted(values, at)) - 1
        k %= len(values)
        return (f"{k - zero}{names[0]}" if k >= zero else f"{zero - k}{names[1]}"), float(values[k])

    row, south = named(edges(180.0, math.ceil(math.pi * 6378.137 / 10)), lat, "UD")
    around = 2 * math.pi * 6378.137 * math.cos(math.radians(south))
    column, _ = named(edges(360.0, math.ceil(around / 10)), lon, "RL")
    assert major_tom_cell(lon, lat) == f"{row}_{column}"


def test_a_chip_across_180_degrees_is_in_two_parts():
    def sidecar(left: float) -> dict:
        return {
            "grid": describe(GeoBox((256, 256), Affine(10, 0, left, 0, -10, 7_000_000), "EPSG:32660")),
            "window": {"row": 0, "col": 0, "height": 256, "width": 256}, "split": "train", "class_fractions": {},
            "longitude": 0.0, "latitude": 0.0, "poi_id": "p",
            "imagery": {"collection": "c", "item_id": "i", "datetime": None, "cloud_cover": None},
        }  # fmt: skip

    assert footprint_of(sidecar(640_000)).geom_type == "Polygon"
    assert -180 <= footprint_of(sidecar(660_000)).bounds[0] < footprint_of(sidecar(660_000)).bounds[2] < -179
    outline = footprint_of(sidecar(651_000))
    assert outline.geom_type == "MultiPolygon"
    west, _, east, _ = bounds_of(outline)
    assert 179 < west <= 180
    assert -180 <= east < -179
    entry = entry_of("images/s00000/p.png", sidecar(651_000), 1, None, lambda lon, lat: None)
    assert entry["bbox"]["xmin"] > entry["bbox"]["xmax"]


def test_cells_are_chosen_by_name(few, tmp_path):
    said = nutonic("pack", few.out, "--format", "geojson", "--cells", "s2", "--out", tmp_path / "a", "--workers", 0)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "'s2' is no way to name cells: there are utm, major-tom, h3" in said.err
    said = nutonic("pack", few.out, "--format", "coco", "--cells", "h3", "--out", tmp_path / "a", "--workers", 0)
    assert "coco names no cells: leave out --cells" in said.err


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        ({1: "Öd-Land (bare)", 2: "water/lake"}, ["fraction_öd_land_bare", "fraction_water_lake"]),
        ({1: "水", 2: "森林", 3: "जंगल", 4: "غابة"}, ["fraction_水", "fraction_森林", "fraction_जंगल", "fraction_غابة"]),
        ({1: "o\u0308d", 2: "od"}, ["fraction_öd", "fraction_od"]),
        ({1: "d-1", 2: "d_1", 7: "%"}, ["fraction_1", "fraction_2", "fraction_7"]),
        ({1: "42", 42: "%", 3: "crops"}, ["fraction_1", "fraction_crops", "fraction_42"]),
    ],
)
def test_columns_of_shares_keep_the_letters_of_names(labels, columns):
    found = fraction_columns(ClassTable(name="mine", labels=labels, unknown=0, colors={}))
    assert list(found.values()) == columns
    assert list(found) == sorted(labels)
