"""Items come back from GeoParquet as they were, ours and those of others."""

import asyncio
import copy
import json

import numpy as np
import pytest
import shapely
from shapely.geometry import shape
from support.paths import ROOT

from nutonic.errors import InputError
from nutonic.sources.item import cloud_cover, item_of, moment
from nutonic.sources.stac.assets import boa_offset
from nutonic.sources.stac.geoparquet import WHOLE, geoparquet_bytes, read_geoparquet
from nutonic.testing import SyntheticPlanet

DATA = ROOT.parent / "shared" / "data"
REAL = sorted(path for pattern in ("stac/*json", "s2_29rkh/*.json", "worldcover/*.json") for path in DATA.glob(pattern))
GLOBE = [[-180.0, 63.9], [180.0, 63.9], [180.0, 72.0], [-180.0, 72.0], [-180.0, 63.9]]


def items_in(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    return document if isinstance(document, list) else document.get("features", [document])


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    planet = SyntheticPlanet(neighbour=True)
    return items_in(planet.write(tmp_path_factory.mktemp("planet"), only=["west", "east-raw"]).parent / "items.json")


@pytest.fixture(scope="module")
def odd(synthetic):
    """Items that say less, more, and other than their neighbours do."""
    bare, full, mixed = (copy.deepcopy(synthetic[0]) for _ in range(3))
    bare |= {"id": "bare", "assets": {}, "geometry": {"type": "MultiPolygon", "coordinates": [[GLOBE], [GLOBE]]}}
    bare["properties"] = {
        "datetime": None,
        "start_datetime": "2024-01-01T00:00:00.123456Z",
        "end_datetime": "2024-02-01",
    }
    full |= {"id": "full", "bbox": [0, 0, 0, 1, 1, 1], "stac_version": "1.1.0", "other": {"members": [1]}}
    full["properties"] |= {"proj:code": None, "earthsearch:boa_offset_applied": None, "note": {}, "n": 2**63, "id": 3}
    mixed |= {"id": "mixed"}
    mixed["properties"] |= {
        "note": "text",
        "n": 0.5,
        "processing:version": "05.00",
        "datetime": "2024-01-01T00:00:00+02:00",
    }
    mixed["assets"]["red"] |= {"proj:shape": [1, 2], "raster:bands": [{"offset": -0.1, "scale": None}], "title": 5}
    return [bare, full, mixed, *synthetic]


def kept(items, tmp_path):
    (tmp_path / "items.parquet").write_bytes(geoparquet_bytes(items))
    return list(read_geoparquet(tmp_path / "items.parquet"))


def reading(content):
    """All that searches and cubes ask an item; what it does not say is None."""
    item = item_of(content, "base", "test")
    assets = {}
    for name, asset in content["assets"].items():
        codes = [holder.get(f"proj:{key}") for holder in (asset, item.properties) for key in ("code", "epsg")]
        grid = [asset.get(key, item.properties.get(key)) for key in ("proj:transform", "proj:shape")]
        band = (asset.get("raster:bands") or asset.get("bands") or [{}])[0]
        said = (
            asset["href"],
            asset.get("roles"),
            band.get("nodata", asset.get("nodata")),
            boa_offset(item.properties, asset),
        )
        assets[name] = (codes, grid, *said)
    return item.id, item.content.get("collection"), moment(item), cloud_cover(item), assets


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_items_come_back_as_they_were(path, tmp_path):
    assert kept(items_in(path), tmp_path) == items_in(path)


def test_all_kinds_of_items_in_one_file_come_back_as_they_were(synthetic, odd, tmp_path):
    items = [item for path in REAL for item in items_in(path)] + odd
    assert kept(items, tmp_path) == items


def test_equal_items_give_equal_bytes(odd):
    assert geoparquet_bytes(odd) == geoparquet_bytes(copy.deepcopy(odd))


def test_no_items_make_no_file():
    with pytest.raises(InputError, match="no items"):
        geoparquet_bytes([])


def test_a_file_of_rustac_says_what_searches_ask(synthetic, tmp_path):
    rustac = pytest.importorskip("rustac")
    items = synthetic + [item for path in REAL for item in items_in(path)]

    async def write():
        await rustac.write(str(tmp_path / "items.parquet"), items)

    asyncio.run(write())
    compare(items, read_geoparquet(tmp_path / "items.parquet"))


def test_a_file_of_stac_geoparquet_says_what_searches_ask(synthetic, tmp_path):
    arrow = pytest.importorskip("stac_geoparquet.arrow")
    items = synthetic + [item for path in REAL for item in items_in(path)]
    arrow.to_parquet(arrow.parse_stac_items_to_arrow(items).read_all(), tmp_path / "items.parquet")
    compare(items, read_geoparquet(tmp_path / "items.parquet"))


def compare(items, found):
    found = {(item["collection"], item["id"]): item for item in found}
    for item in items:
        other = found[item["collection"], item["id"]]
        mine, theirs = reading(item), reading(other)
        assert abs(mine[2] - theirs[2]).total_seconds() < 1e-3  # rustac keeps milliseconds
        assert (mine[:2], mine[3:]) == (theirs[:2], theirs[3:])
        assert shape(item["geometry"]).equals(shape(other["geometry"]))


def test_others_read_what_we_write(odd, tmp_path):
    rustac = pytest.importorskip("rustac")
    (tmp_path / "items.parquet").write_bytes(geoparquet_bytes(odd))

    async def read():
        return await rustac.read(str(tmp_path / "items.parquet"))

    found = {item["id"]: item for item in asyncio.run(read())["features"]}
    for item in odd:
        other = found[item["id"]]
        assert shape(item["geometry"]).equals(shape(other["geometry"]))
        assert {name: asset["href"] for name, asset in item["assets"].items()} == {
            name: asset["href"] for name, asset in other["assets"].items()
        }
        assert item["properties"].get("eo:cloud_cover") == other["properties"].get("eo:cloud_cover")


def test_columns_that_were_changed_are_not_overlooked(synthetic, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "items.parquet"
    path.write_bytes(geoparquet_bytes(synthetic))
    table = pq.read_table(path)
    geometry = pa.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))] * len(synthetic), pa.binary())
    changed = table.set_column(table.schema.get_field_index("geometry"), "geometry", geometry)
    pq.write_table(changed, path)
    with pytest.raises(InputError, match=f"drop the column {WHOLE}"):
        list(read_geoparquet(path))
    pq.write_table(changed.drop_columns([WHOLE]), path)
    assert {shape(item["geometry"]).bounds for item in read_geoparquet(path)} == {(0, 0, 1, 1)}


@pytest.mark.parametrize("content", [b"", b"PAR1 but no more", b'{"type": "FeatureCollection"}'])
def test_what_is_no_parquet_is_an_error_of_one_line(content, tmp_path):
    (tmp_path / "items.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"items\.parquet") as error:
        list(read_geoparquet(tmp_path / "items.parquet"))
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_table_of_something_else(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(InputError, match=r"nowhere\.parquet as GeoParquet: no such file or directory$"):
        list(read_geoparquet(tmp_path / "nowhere.parquet"))
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "places.parquet")
    with pytest.raises(InputError, match="no column 'assets'"):
        list(read_geoparquet(tmp_path / "places.parquet"))


@pytest.mark.long
def test_damage_is_not_read(synthetic, tmp_path):
    path, whole = tmp_path / "items.parquet", geoparquet_bytes(synthetic)
    rng, unnoticed = np.random.default_rng(0), 0
    for at in rng.integers(len(whole), size=200):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            unnoticed += list(read_geoparquet(path)) != synthetic
        except InputError:
            continue
    assert unnoticed == 0
