"""The real Earth Engine, where there are credentials: what is asserted of the stand-in holds of it too.

Run by hand with ``-m live``, and with ``EE_PROJECT`` set.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.core.classes import DYNAMIC_WORLD, ESA_WORLDCOVER
from nutonic.core.model import Scene
from nutonic.errors import InputError, NoScene
from nutonic.io.session import current
from nutonic.recipe.outputs import Grid
from nutonic.sources.earthengine.credentials import GOOGLE_KEY, KEY, PROJECTS
from nutonic.sources.earthengine.imagery import EarthEngineImagery
from nutonic.sources.earthengine.labels import EarthEngineLabels
from nutonic.sources.grids import place_grid
from nutonic.sources.source import with_dates

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not any(os.environ.get(name) for name in PROJECTS)
        or not any(os.environ.get(name) for name in (KEY, GOOGLE_KEY)),
        reason=f"needs an account: set {PROJECTS[0]}, and {KEY} or {GOOGLE_KEY}",
    ),
]

#: The Beetzsee, west of Berlin: water, woods, fields and villages.
GRID = GeoBox((256, 256), Affine(10, 0, 336_000, 0, -10, 5_818_000), "EPSG:32633")
PLACE = (np.array([12.6]), np.array([52.49]), 2560.0)
SUMMER = "2023-06-01/2023-08-31"
PICTURE = Scene(
    id="picture", collection="any", source="stac", datetime="2023-07-08T10:16:01Z", cloud_cover=0.0, assets=()
)
SOURCES = {
    "mode": EarthEngineLabels(collection="GOOGLE/DYNAMICWORLD/V1", band="label", classes=DYNAMIC_WORLD),
    "nearest": EarthEngineLabels(
        collection="GOOGLE/DYNAMICWORLD/V1", band="label", classes=DYNAMIC_WORLD, rule="nearest"
    ),
    "mosaic": EarthEngineLabels(collection="ESA/WorldCover/v200", band="Map", classes=ESA_WORLDCOVER, rule="mosaic"),
}


@pytest.fixture(params=SOURCES)
def source(request) -> EarthEngineLabels:
    return SOURCES[request.param]


def opened(source: EarthEngineLabels, geobox: GeoBox = GRID, chunks: int | None = None) -> xr.Dataset:
    _, scenes = with_dates((source, source), ((PICTURE,), source.search(*PLACE, SUMMER)[0]))
    return source.open(geobox, scenes, chunks=chunks)


def test_pixels_are_classes_on_exactly_this_grid(source):
    found = opened(source).load()
    table = source.table
    assert set(np.unique(found.label)) <= {*table.labels, table.unknown}
    assert (found.label != table.unknown).mean() > 0.5
    water = {"dynamic-world": 0, "esa-worldcover": 80}[table.name]
    assert (found.label == water).mean() > 0.02
    assert found.label.dtype == np.uint8
    for name in "xy":
        np.testing.assert_array_equal(found[name], GRID.coords[name].values)


def test_days_are_those_of_the_windows(source):
    if not source.is_dated:
        pytest.skip("a mosaic has no dates")
    found = opened(source).load()
    days = set(np.unique(found.days).tolist()) - {255}
    assert days <= (set(source.windows_days) if source.rule == "mode" else set(range(121)))
    np.testing.assert_array_equal(found.days == 255, found.label == 255)


def test_a_window_is_a_window_of_the_whole(source):
    whole = opened(source, chunks=256).compute()
    for window in (np.s_[17:93, 101:250], np.s_[200:3:-7, 5:250:3]):
        part = opened(source).isel(y=window[0], x=window[1]).load()
        for name in whole:
            np.testing.assert_array_equal(part[name], whole[name].values[window])
    tile = opened(source, GRID[64:128, 32:96]).load()
    for name in whole:
        np.testing.assert_array_equal(tile[name], whole[name].values[64:128, 32:96])


def test_a_place_is_one_request(source):
    opened(source, GRID[:10, :10]).load()
    current().take_counts()
    opened(source, GRID[10:90, 10:90]).load()
    assert current().take_counts()["requests"] == 2  # the search, and the pixels of both variables


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"collection": "GOOGLE/DYNAMICWORLD/V0"}, InputError, "not found"),
        ({"band": "lable"}, InputError, "labels.band is 'lable'"),
    ],
)
def test_what_cannot_work_is_told_by_a_search(how, error, said):
    told = {"collection": "GOOGLE/DYNAMICWORLD/V1", "band": "label", "classes": DYNAMIC_WORLD, **how}
    with pytest.raises(error, match=said):
        EarthEngineLabels(**told).search(*PLACE, SUMMER)


def test_a_time_before_the_first_image_is_told():
    with pytest.raises(NoScene, match="has no image between"):
        SOURCES["mode"].search(*PLACE, "2010-06-01/2010-06-30")


# Imagery


@pytest.mark.parametrize(
    ("collection", "place", "when", "extent_m"),
    [
        ("COPERNICUS/S2_SR_HARMONIZED", (12.6, 52.49), "2023-06-01/2023-08-31", 2560),
        ("USDA/NAIP/DOQQ", (-84.28, 30.44), "2018-01-01/2023-12-31", 153.6),
    ],
)
def test_a_place_is_one_request_of_the_scenes_own_pixels(collection, place, when, extent_m):
    source = EarthEngineImagery(collection=collection, max_cloud_cover=30)
    (scenes,) = source.search(*(np.array([value]) for value in place), extent_m, when)
    assert scenes
    resolution = scenes[0].assets[0].transform[0]
    grid = place_grid(*place, scenes[0], Grid(extent_m=256 * resolution, resolution_m=resolution, lattice="source"))
    current().take_counts()
    whole = source.open(grid, scenes, chunks=None).load()
    assert current().take_counts()["requests"] == 1
    assert all((whole[name] > 0).mean() > 0.9 for name in source.assets)
    part = source.open(grid[40:90, 11:200], scenes, chunks=None).load()
    for name in source.assets:
        np.testing.assert_array_equal(part[name], whole[name][40:90, 11:200])
    assert scenes[0].rendered == (collection == "USDA/NAIP/DOQQ")
