"""Areas in any form and CRS: the same grid, or a sentence that says what is wrong with it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from odc.geo.geom import Geometry
from pyproj import Transformer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely.geometry import mapping

from nutonic.core.areas import area_grid, connected
from nutonic.errors import GridError

#: A field of 3 by 2 km on the ten-metre lattice of UTM zone 33.
FIELD = shapely.box(401_000, 5_801_000, 404_000, 5_803_000)
WANT = (400_990, 5_800_990, 404_010, 5_803_010)


def lonlat(shape: shapely.Geometry, crs: int = 32633) -> shapely.Geometry:
    there = Transformer.from_crs(crs, 4326, always_xy=True)
    return shapely.transform(shape, lambda points: np.stack(there.transform(*points.T), -1))


def in_crs(code: int) -> shapely.Geometry:
    there = Transformer.from_crs(32633, code, always_xy=True)
    return shapely.transform(FIELD, lambda points: np.stack(there.transform(*points.T), -1))


@pytest.mark.parametrize("code", [32633, 32632, 3857, 25833, 4326, 4258])
@pytest.mark.parametrize("form", ["GeoDataFrame", "GeoSeries", "odc", "GeoJSON with a crs", "file with a crs"])
def test_an_area_is_where_its_crs_says(form, code, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    shape = in_crs(code)
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{code}"}}
    told = {"type": "FeatureCollection", "crs": crs, "features": [{"type": "Feature", "geometry": mapping(shape)}]}
    if form == "file with a crs":
        (tmp_path / "area.geojson").write_text(json.dumps(told))
    area = {
        "GeoDataFrame": lambda: geopandas.GeoDataFrame(geometry=[shape], crs=code),
        "GeoSeries": lambda: geopandas.GeoSeries([shape], crs=code),
        "odc": lambda: Geometry(shape, f"EPSG:{code}"),
        "GeoJSON with a crs": lambda: told,
        "file with a crs": lambda: tmp_path / "area.geojson",
    }[form]()
    left, bottom, right, top = area_grid(area, crs="EPSG:32633").boundingbox
    # A hundredth of a pixel beyond it takes one more, and edges that are straight elsewhere bulge by less than one.
    assert WANT[0] <= left <= 401_000
    assert WANT[1] <= bottom <= 5_801_000
    assert 404_000 <= right <= WANT[2]
    assert 5_803_000 <= top <= WANT[3]


def test_a_long_edge_is_where_its_crs_has_it():
    # Straight in UTM it is 1.4 km off the line between its ends in degrees: the grid holds all of it.
    geopandas = pytest.importorskip("geopandas")
    belt = shapely.box(300_000, 6_600_000, 700_000, 6_610_000)
    left, bottom, right, top = area_grid(geopandas.GeoSeries([belt], crs=32633)).boundingbox
    assert left <= 300_000
    assert bottom <= 6_600_000
    assert right >= 700_000
    assert 6_610_000 <= top <= 6_610_100


@pytest.mark.parametrize(
    "area",
    [
        FIELD,
        mapping(FIELD),
        {"type": "Feature", "properties": {}, "geometry": mapping(FIELD)},
        shapely.box(361, 1, 362, 2),
    ],
    ids=["shapely", "GeoJSON", "feature", "longitude"],
)
def test_numbers_that_are_no_degrees_are_told(area):
    with pytest.raises(GridError, match=r"which are no degrees: reproject it to EPSG:4326, or give it with its CRS"):
        area_grid(area)


def test_latitudes_first_are_told():
    with pytest.raises(GridError, match=r"the area has latitudes of 100 to 101: longitude comes first"):
        area_grid(shapely.box(12, 100, 13, 101))


def test_a_crs_that_nobody_knows_is_told():
    with pytest.raises(GridError, match="is no CRS that PROJ"):
        area_grid({**mapping(FIELD), "crs": {"type": "name", "properties": {"name": "my own"}}})


def test_degrees_without_a_crs_are_taken_as_they_are():
    west, south, east, north = lonlat(FIELD).bounds
    box = shapely.box(west, south, east, north)
    crs84 = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}  # as GDAL writes it
    assert area_grid(box) == area_grid((west, south, east, north)) == area_grid(mapping(box))
    assert area_grid({**mapping(box), "crs": crs84}) == area_grid(box)


@pytest.mark.parametrize("count", [1, 2, 30, 2_000])
@pytest.mark.parametrize("density", [0, 0.3, 0.5, 1, 3])
def test_what_is_connected_is_one_numbered_by_its_first(count, density):
    rng = np.random.default_rng([count, int(10 * density)])
    pairs = rng.integers(0, count, (int(count * density), 2))
    found = connected(pairs, count)
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(count, count))
    _, want = connected_components(graph, directed=False)
    assert found.dtype == np.int64
    assert (
        len(set(zip(found.tolist(), want.tolist(), strict=True))) == len(set(found.tolist())) == len(set(want.tolist()))
    )
    _, first = np.unique(found, return_index=True)
    assert first.tolist() == sorted(first.tolist())


@pytest.mark.parametrize("order", ["as it runs", "backwards", "from both ends", "at random"])
def test_a_long_chain_is_one_in_whatever_order_it_is_told(order):
    count = 100_000
    chain = np.stack([np.arange(count - 1), np.arange(1, count)], 1)
    turned = {
        "as it runs": chain,
        "backwards": chain[::-1, ::-1],
        "from both ends": np.concatenate([chain[::2], chain[1::2, ::-1]]),
        "at random": np.random.default_rng(0).permutation(chain),
    }[order]
    assert not connected(turned, count).any()


def test_nothing_is_connected_with_nothing():
    assert connected(np.empty((0, 2), np.int64), 0).tolist() == []
    assert connected(np.array([[2, 2], [3, 1], [1, 3]]), 4).tolist() == [0, 1, 2, 1]
