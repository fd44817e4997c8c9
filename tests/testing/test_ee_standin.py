"""The stand-in for Earth Engine, asked by the real client and the real xee: its pixels, masks, errors and faults."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import rasterio
import requests
import xarray as xr
from affine import Affine
from pyproj import Transformer

from nutonic.testing.earthengine import (
    EarthEngineFault,
    EarthEngineImage,
    EarthEngineServer,
    image_of_function,
    image_of_raster,
)
from nutonic.testing.earthengine.faults import Problem
from nutonic.testing.earthengine.images import constant
from nutonic.testing.earthengine.service import MAX_BYTES, check_limits

ee = pytest.importorskip("ee")
pytest.importorskip("xee")
anonymous = pytest.importorskip("google.auth.credentials").AnonymousCredentials
oauth = pytest.importorskip("google.oauth2.credentials").Credentials

UTM, WEST, NORTH = "EPSG:32633", 500_000.0, 5_200_000.0


@contextmanager
def signed_in(server: EarthEngineServer, project: str = "standin-project", credentials: Any = None) -> Iterator[None]:
    """The real client, talking to the stand-in and trying nothing twice."""
    catalogue, ee.deprecation._DEPRECATED_ASSETS_URL = ee.deprecation._DEPRECATED_ASSETS_URL, server.deprecated_url
    ee.Reset()
    try:
        ee.Initialize(credentials or anonymous(), url=server.url, project=project)
        ee.data.setMaxRetries(0)
        yield
    finally:
        ee.Reset()
        ee.deprecation._DEPRECATED_ASSETS_URL = catalogue


def row_of(
    id: str, start: str | None = None, properties: dict[str, Any] | None = None, **bands: list[int | None]
) -> EarthEngineImage:
    """An image of one row of 10 m; None is masked."""

    def told(values: list[int | None]) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        known = np.array([0 if value is None else value for value in values])

        def function(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            col = np.floor((x - WEST) / 10).astype(int)
            return known[col], np.array([value is not None for value in values])[col]

        return function

    width = len(next(iter(bands.values())))
    return image_of_function(
        id, bands={name: ("u1", told(values)) for name, values in bands.items()}, crs=UTM,
        transform=Affine(10, 0, WEST, 0, -10, NORTH), shape=(1, width), start=start, properties=properties,
    )  # fmt: skip


def asked(width: int, height: int = 1, x: float = WEST, y: float = NORTH) -> dict[str, Any]:
    """A grid of 10 m from a corner."""
    transform = dict(zip(("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY"),
                         (10, 0, x, 0, -10, y), strict=True))  # fmt: skip
    return {"dimensions": {"width": width, "height": height}, "affineTransform": transform, "crsCode": UTM}


def pixels(image: Any, width: int, height: int = 1, **more: Any) -> np.ndarray:
    """What the real client makes of the answer."""
    told = {"expression": image, "fileFormat": "NUMPY_NDARRAY", "grid": asked(width, height, **more)}
    return ee.data.computePixels(told)


def shown(image: Any, width: int) -> dict[str, list[float | None]]:
    """Values of the first row by band; None where it is masked."""
    values, masks = pixels(image, width), pixels(image.mask(), width)
    return {
        name: [None if not masks[name][0, k] else float(values[name][0, k]) for k in range(width)]
        for name in values.dtype.names
    }


# ---------------------------------------------------------------------------------------------- pixels


@pytest.fixture(scope="module")
def label_raster(tmp_path_factory) -> Path:
    """Land cover in degrees, noise with holes, wider than high; it ends before the grids that are asked for."""
    rng = np.random.default_rng(7)
    values = rng.integers(0, 9, (90, 140)).astype("u1") * 10 + 10
    values[20:31, 40:77] = 0
    path = tmp_path_factory.mktemp("standin") / "map.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="uint8", nodata=0, width=140, height=90, crs="EPSG:4326",
        transform=Affine(1 / 8000, 0, 15.0027, 0, -1 / 9000, 46.9511),
    ) as out:  # fmt: skip
        out.write(values, 1)
    return path


def sampled(path: Path, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What rasterio reads at points, one after the other; NaN where there is nothing."""
    lon, lat = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(x.ravel(), y.ravel())
    with rasterio.open(path) as raster:
        found = [each[0] for each in raster.sample(zip(lon, lat, strict=True))]
    return np.where(np.equal(found, 0), np.nan, found).reshape(x.shape)


def opened(collection: Any, width: int, height: int, x: float, y: float, **more: Any) -> xr.Dataset:
    return xr.open_dataset(
        collection, engine="ee", crs=UTM, crs_transform=(10.0, 0.0, x, 0.0, -10.0, y), shape_2d=(width, height),
        executor_kwargs={"max_workers": 1}, getitem_kwargs={"max_retries": 0, "initial_delay": 1}, **more,
    )  # fmt: skip


def test_pixels_through_xee_are_those_of_the_raster(label_raster: Path):
    image = image_of_raster(label_raster, "ESA/WorldCover/v200/2021", bands=("Map",), start="2021-01-01")
    x0, y0, width, height = WEST + 3.3, 5_199_976.4, 170, 110
    with EarthEngineServer({"ESA/WorldCover/v200": [image]}) as server, signed_in(server):
        chunk = {"time": 1, "y": 60, "x": 70}
        found = opened(ee.ImageCollection("ESA/WorldCover/v200"), width, height, x0, y0, io_chunks=chunk)
        assert server.count("compute") == 1
        values = found.Map.isel(time=0).values
        assert server.count("pixels") == 6
    centres = np.meshgrid(x0 + 10 * (np.arange(width) + 0.5), y0 - 10 * (np.arange(height) + 0.5))
    expected = sampled(label_raster, *centres)
    assert 0.2 < np.isnan(expected).mean() < 0.6
    np.testing.assert_array_equal(values, expected)
    assert found.time.values.astype("datetime64[D]").tolist() == [np.datetime64("2021-01-01").item()]


def test_a_collection_through_xee_is_its_images_in_order():
    rows = ([1, 2, None], [4, 5, 6], [7, None, 9])
    names = ("c", "a", "b")
    images = [row_of(f"A/B/{names[k]}", f"2024-05-0{k + 1}", label=row) for k, row in enumerate(rows)]
    with EarthEngineServer({"A/B": images}) as server, signed_in(server):
        found = opened(ee.ImageCollection("A/B"), 3, 1, WEST, NORTH, ee_mask_value=255).label
        everything, some = found.values[:, 0], found[1:].values[:, 0]
        fast = opened(ee.ImageCollection("A/B"), 3, 1, WEST, NORTH, ee_mask_value=255, fast_time_slicing=True).label
        expected = np.array([[np.nan if value is None else value for value in row] for row in rows])
        np.testing.assert_array_equal(everything, expected)
        np.testing.assert_array_equal(some, expected[1:])
        np.testing.assert_array_equal(fast.values[:, 0], expected)


def test_an_image_of_a_function_is_told_of_the_centres_of_its_own_pixels():
    def told(x, y):
        return (x + 2 * y) % 251, x % 4 < 3

    own = Affine(7, 0, WEST + 1, 0, -5, NORTH + 3)
    image = image_of_function("F/G/h", bands={"n": ("f8", told)}, crs=UTM, transform=own, shape=(40, 60))
    with EarthEngineServer({"F/G": [image]}) as server, signed_in(server):
        found = pixels(ee.Image("F/G/h").unmask(-1, False), 30, 20, x=WEST - 20, y=NORTH + 20)["n"]
    for row in range(20):
        for col in range(30):
            x, y = WEST - 20 + 10 * col + 5, NORTH + 20 - 10 * row - 5
            j, i = (x - own.c) // 7, (own.f - y) // 5
            centre = own.c + 7 * (j + 0.5), own.f - 5 * (i + 0.5)
            value, valid = told(*centre)
            assert found[row, col] == (value if 0 <= j < 60 and 0 <= i < 40 and valid else -1)


def test_reprojected_pixels_are_those_of_the_other_grid():
    image = row_of("F/G/h", label=[1, 2, 3, 4, 5, 6])
    with EarthEngineServer({"F/G": [image]}) as server, signed_in(server):
        coarse = ee.Image("F/G/h").reproject(UTM, [30, 0, WEST, 0, -10, NORTH])
        assert pixels(coarse, 6)["label"].tolist() == [[2, 2, 2, 5, 5, 5]]
        told = ee.Image("F/G/h").setDefaultProjection(UTM, [30, 0, WEST, 0, -10, NORTH])
        assert pixels(told, 6)["label"].tolist() == [[1, 2, 3, 4, 5, 6]]
        assert told.projection().getInfo()["transform"] == [30, 0, WEST, 0, -10, NORTH]


# ---------------------------------------------------------------------------------------------- functions

#: Four pixels: `a` and `b` differ in values and in what is masked.
A, B = [3, 0, None, 7], [3, 5, 1, None]

IMAGES: dict[str, tuple[Callable[[Any, Any], Any], dict[str, list[float | None]]]] = {
    "add": (lambda a, b: a.add(b), {"a": [6, 5, None, None]}),
    "add a number": (lambda a, b: a.add(250), {"a": [253, 250, None, 257]}),
    "subtract": (lambda a, b: a.subtract(b), {"a": [0, -5, None, None]}),
    "multiply": (lambda a, b: a.multiply(b), {"a": [9, 0, None, None]}),
    "divide": (lambda a, b: b.divide(a), {"b": [1, 0, None, None]}),  # by zero is zero
    "eq": (lambda a, b: a.eq(b), {"a": [1, 0, None, None]}),
    "neq": (lambda a, b: a.neq(b), {"a": [0, 1, None, None]}),
    "lt": (lambda a, b: a.lt(b), {"a": [0, 1, None, None]}),
    "gte": (lambda a, b: a.gte(b), {"a": [1, 0, None, None]}),
    "and": (lambda a, b: a.And(b), {"a": [1, 0, None, None]}),
    "or": (lambda a, b: a.Or(b), {"a": [1, 1, None, None]}),
    "not": (lambda a, b: a.Not(), {"a": [0, 1, None, 0]}),
    "mask": (lambda a, b: a.mask(), {"a": [1, 1, 0, 1]}),
    "selfMask": (lambda a, b: a.selfMask(), {"a": [3, None, None, 7]}),
    "updateMask": (lambda a, b: b.updateMask(a), {"b": [3, None, None, None]}),
    "set a mask": (lambda a, b: a.mask(b), {"a": [3, 0, 0, None]}),
    "unmask": (lambda a, b: a.unmask(), {"a": [3, 0, 0, 7]}),
    "unmask by an image": (lambda a, b: b.unmask(a), {"b": [3, 5, 1, 7]}),
    "unmask by what is masked": (lambda a, b: a.unmask(b), {"a": [3, 0, 1, 7]}),
    "where": (lambda a, b: a.where(b.gt(2), 9), {"a": [9, 9, None, 7]}),
    "where by what is masked": (lambda a, b: b.where(1, a), {"b": [3, 0, 1, None]}),
    "blend": (lambda a, b: a.blend(b), {"a": [3, 5, 1, 7]}),
    "rename": (lambda a, b: a.rename("c"), {"c": A}),
    "addBands": (lambda a, b: a.addBands(b), {"a": A, "b": B}),
    "addBands of the same name": (lambda a, b: a.addBands(b.rename("a")), {"a": A, "a_1": B}),
    "addBands over": (lambda a, b: a.addBands(b.rename("a"), overwrite=True), {"a": B}),
    "clamp": (lambda a, b: a.clamp(1, 5), {"a": [3, 1, None, 5]}),
    "mod": (lambda a, b: b.mod(2), {"b": [1, 1, 1, None]}),
    "pow": (lambda a, b: a.pow(2), {"a": [9, 0, None, 49]}),
    "abs": (lambda a, b: a.subtract(b).abs(), {"a": [0, 5, None, None]}),
    "bitwiseAnd": (lambda a, b: a.bitwiseAnd(b), {"a": [3, 0, None, None]}),
    "rightShift": (lambda a, b: a.rightShift(1), {"a": [1, 0, None, 3]}),
    "sqrt": (lambda a, b: a.add(2).sqrt(), {"a": [5**0.5, 2**0.5, None, 3]}),
    "cast": (lambda a, b: a.divide(2).cast({"a": "uint8"}), {"a": [1, 0, None, 3]}),
    "normalizedDifference": (lambda a, b: a.addBands(b).normalizedDifference(), {"nd": [0, -1, None, None]}),
    "cat": (lambda a, b: ee.Image.cat(a, 4), {"a": A, "constant": [4, 4, 4, 4]}),
    "select by pattern": (lambda a, b: a.addBands(b).select("[b-z]"), {"b": B}),
    "select by index": (lambda a, b: a.addBands(b).select([1, 0], ["x", "y"]), {"x": B, "y": A}),
    "constants": (lambda a, b: ee.Image.constant([5, 6]).updateMask(a), {"constant_0": [5, None, None, 5],
                                                               "constant_1": [6, None, None, 6]}),
    "remap": (lambda a, b: a.remap([3, 7], [30, 70]), {"remapped": [30, None, None, 70]}),
    "remap with a default": (lambda a, b: a.remap([3], [30], 1), {"remapped": [30, 1, None, 1]}),
    "casts end at the range": (lambda a, b: a.multiply(100).subtract(10).toByte(), {"a": [255, 0, None, 255]}),
    "casts lose fractions": (lambda a, b: a.divide(4).subtract(1.5).toInt8(), {"a": [0, -1, None, 0]}),
    "mosaic": (lambda a, b: ee.ImageCollection([a, b.rename("a")]).mosaic(), {"a": [3, 5, 1, 7]}),
    "mosaic the other way": (lambda a, b: ee.ImageCollection([b.rename("a"), a]).mosaic(), {"a": [3, 0, 1, 7]}),
    "firstNonNull": (lambda a, b: ee.ImageCollection([a, b.rename("a")]).reduce(ee.Reducer.firstNonNull()),
                     {"a_first": [3, 0, 1, 7]}),
    "first": (lambda a, b: ee.ImageCollection([a, b.rename("a")]).reduce(ee.Reducer.first()), {"a_first": A}),
    "mode": (lambda a, b: ee.ImageCollection([b.rename("a"), a, a.add(2)]).mode(), {"a": [3, 0, 1, 7]}),
    "mode by a reducer": (lambda a, b: ee.ImageCollection([b.rename("a"), a]).reduce(ee.Reducer.mode()),
                          {"a_mode": [3, 0, 1, 7]}),
    "max": (lambda a, b: ee.ImageCollection([a, b.rename("a")]).max(), {"a": [3, 5, 1, 7]}),
    "mean": (lambda a, b: ee.ImageCollection([a, b.rename("a")]).mean(), {"a": [3, 2.5, 1, 7]}),
    "count": (lambda a, b: ee.ImageCollection([a, b.rename("a")]).count(), {"a": [2, 2, 1, 1]}),
    "qualityMosaic": (lambda a, b: ee.ImageCollection([a.addBands(ee.Image(1).rename("q")).updateMask(a.mask()),
                                                       b.rename("a").addBands(ee.Image(2).rename("q"))])
                      .qualityMosaic("q"), {"a": [3, 5, 1, None], "q": [2, 2, 2, 2]}),
    "toBands": (lambda a, b: ee.ImageCollection([a, b]).toBands(), {"one_a": A, "one_b": B}),
    "reduce bands": (lambda a, b: a.addBands(b).reduce(ee.Reducer.max()), {"max": [3, 5, 1, 7]}),
    "clip": (lambda a, b: a.clip(ee.Geometry.Rectangle([15.0, 46.9, 15.0 + 0.00034, 47.0])), {"a": [3, 0, None, None]}),
    "metadata": (lambda a, b: a.set("n", 4).metadata("n").updateMask(a), {"n": [4, None, None, 4]}),
    "map": (lambda a, b: ee.ImageCollection([a, a.add(1)]).map(lambda i: i.add(b)).mosaic(), {"a": [7, 6, None, None]}),
    "iterate": (lambda a, b: ee.Image(ee.ImageCollection([a, a]).iterate(lambda i, t: ee.Image(t).add(i), ee.Image(1))),
                {"constant": [7, 1, None, 15]}),
    "a condition": (lambda a, b: ee.Image(ee.Algorithms.If(ee.Number(2).gt(1), a, b)), {"a": A}),
}  # fmt: skip


@pytest.fixture(scope="module")
def standing() -> Iterator[EarthEngineServer]:
    """One server for many questions."""
    one = row_of("T/U/one", "1970-01-01T00:00:01", {"name": "first", "cloud": 20}, a=A, b=B)
    two = row_of("T/U/two", "1970-01-02T01:00:00Z", {"cloud": 5}, a=B, b=A)
    with EarthEngineServer({"T/U": [one, two], "T/EMPTY": []}) as server:
        yield server


@pytest.fixture
def talking(standing: EarthEngineServer) -> Iterator[EarthEngineServer]:
    with signed_in(standing):
        yield standing


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("name", IMAGES)
def test_functions_of_images(talking: EarthEngineServer, name: str):
    function, expected = IMAGES[name]
    image = ee.Image("T/U/one")
    assert shown(function(image.select("a"), image.select("b")), 4) == expected


@pytest.mark.parametrize(
    ("make", "values", "inside"),
    [
        (lambda a: a.unmask(9), [3, 0, 9, 7, 0, 0], [1, 1, 1, 1, 0, 0]),
        (lambda a: a.unmask(9, False), [3, 0, 9, 7, 9, 9], [1, 1, 1, 1, 1, 1]),
        (lambda a: ee.ImageCollection([a]).mosaic().unmask(9), [3, 0, 9, 7, 9, 9], [1, 1, 1, 1, 1, 1]),
    ],
)
def test_what_lies_outside_stays_masked_unless_it_is_told_otherwise(talking, make, values, inside):
    image = make(ee.Image("T/U/one").select("a"))
    assert pixels(image, 6)["a"][0].tolist() == values
    assert pixels(image.mask(), 6)["a"][0].tolist() == inside


@pytest.mark.parametrize(
    ("make", "precision", "low", "high", "dtype"),
    [
        (lambda a: a, "int", 0, 255, "u1"),
        (lambda a: a.add(a), "int", 0, 510, "u2"),
        (lambda a: a.subtract(1), "int", -1, 254, "i2"),
        (lambda a: a.eq(1), "int", 0, 1, "u1"),
        (lambda a: a.toUint16(), "int", 0, 65535, "u2"),
        (lambda a: a.unmask(2**31 - 1, False), "int", 0, 2**31 - 1, "u4"),  # xee's default: no cast cuts it off
        (lambda a: a.unmask(255, False), "int", 0, 255, "u1"),
        (lambda a: a.toFloat(), "float", None, None, "f4"),
        (lambda a: a.add(0.5), "double", None, None, "f8"),
        (lambda a: a.divide(2), "float", None, None, "f4"),
        (lambda a: ee.ImageCollection([a]).mean(), "double", None, None, "f8"),
    ],
)
def test_types_are_told_and_sent(talking, make, precision, low, high, dtype):
    image = make(ee.Image("T/U/one").select("a"))
    told = image.getInfo()["bands"][0]["data_type"]
    assert (told["type"], told["precision"], told.get("min"), told.get("max")) == ("PixelType", precision, low, high)
    assert pixels(image, 4)["a"].dtype == dtype


VALUES: dict[str, tuple[Callable[[], Any], Any]] = {
    "size": (lambda: ee.ImageCollection("T/U").size(), 2),
    "aggregate_array": (lambda: ee.ImageCollection("T/U").aggregate_array("name"), ["first"]),
    "toList of columns": (lambda: ee.ImageCollection("T/U").reduceColumns(ee.Reducer.toList(), ["cloud"]),
                          {"list": [20, 5]}),
    "sort": (lambda: ee.ImageCollection("T/U").sort("cloud").aggregate_array("system:index"), ["two", "one"]),
    "sort down": (lambda: ee.ImageCollection("T/U").sort("cloud", False).limit(1).aggregate_array("cloud"), [20]),
    "filterDate": (lambda: ee.ImageCollection("T/U").filterDate("1970-01-01", "1970-01-02").aggregate_array("cloud"),
                   [20]),
    "an end is excluded": (lambda: ee.ImageCollection("T/U").filterDate(1_000, 90_000_000).size(), 1),
    "a filter": (lambda: ee.ImageCollection("T/U").filter(ee.Filter.lt("cloud", 20)).aggregate_array("cloud"), [5]),
    "both filters": (lambda: ee.ImageCollection("T/U").filter(ee.Filter.And(ee.Filter.gt("cloud", 1),
                     ee.Filter.eq("name", "first"))).size(), 1),
    "inList": (lambda: ee.ImageCollection("T/U").filter(ee.Filter.inList("cloud", [5, 6])).aggregate_array("cloud"), [5]),
    "not in the list": (lambda: ee.ImageCollection("T/U").filter(ee.Filter.inList("cloud", [5, 6]).Not())
                        .aggregate_array("cloud"), [20]),
    "here": (lambda: ee.ImageCollection("T/U").filterBounds(ee.Geometry.Point(15.0002, 46.95346)).size(), 2),
    "elsewhere": (lambda: ee.ImageCollection("T/U").filterBounds(ee.Geometry.Point(15.2, 46.9)).size(), 0),
    "merge": (lambda: ee.ImageCollection("T/U").merge(ee.ImageCollection("T/U").limit(1))
              .aggregate_array("system:index"), ["1_one", "1_two", "2_one"]),
    "first of none": (lambda: ee.ImageCollection("T/EMPTY").first(), None),
    "bands of none": (lambda: ee.ImageCollection("T/EMPTY").mosaic().bandNames(), []),
    "bandNames": (lambda: ee.Image("T/U/one").bandNames(), ["a", "b"]),
    "distinct": (lambda: ee.ImageCollection("T/U").merge(ee.ImageCollection("T/U")).distinct("cloud").size(), 2),
    "its date": (lambda: ee.Image("T/U/two").date().format(), "1970-01-02T01:00:00"),
    "its id": (lambda: ee.Image("T/U/two").id(), "two"),
    "a property": (lambda: ee.Image("T/U/one").get("cloud"), 20),
    "properties": (lambda: ee.Image("T/U/one").toDictionary(), {"name": "first", "cloud": 20}),
    "copied properties": (lambda: ee.Image(ee.Image(1).copyProperties(ee.Image("T/U/one"), ["cloud"])).toDictionary(),
                          {"cloud": 20}),
    "arithmetic forgets the time": (lambda: ee.Image("T/U/one").add(1).get("system:time_start"), None),
    "a mask does not": (lambda: ee.Image("T/U/one").updateMask(1).get("system:time_start"), 1_000),
    "a list of images": (lambda: ee.List(ee.ImageCollection("T/U").toList(5, 1)
                         .map(lambda i: ee.Image(i).get("cloud"))), [5]),
    "dates": (lambda: ee.Date("2024-01-31").advance(1, "month").format("YYYY-MM-dd"), "2024-02-29"),
    "days between": (lambda: ee.Date("2024-03-01").difference(ee.Date("2024-02-01T12:00:00Z"), "day"), 28.5),
    "numbers": (lambda: ee.Number(7).subtract(9.5).abs().ceil(), 3),
}  # fmt: skip


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("name", VALUES)
def test_functions_of_values(talking: EarthEngineServer, name: str):
    make, expected = VALUES[name]
    assert make().getInfo() == expected


def test_where_a_pixel_is(talking: EarthEngineServer):
    found = pixels(ee.Image.pixelLonLat(), 2, 3)
    to_degrees = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    for row, col in np.ndindex(3, 2):
        there = to_degrees.transform(WEST + 10 * col + 5, NORTH - 10 * row - 5)
        assert (found["longitude"][row, col], found["latitude"][row, col]) == there


def test_a_collection_is_told_with_its_images(talking: EarthEngineServer):
    told = ee.ImageCollection("T/U").getInfo()
    assert told["type"], told["id"] == ("ImageCollection", "T/U")
    assert [(each["id"], [band["id"] for band in each["bands"]]) for each in told["features"]] == [
        ("T/U/one", ["a", "b"]), ("T/U/two", ["a", "b"]),
    ]  # fmt: skip
    band = told["features"][0]["bands"][1]
    assert (band["crs"], band["crs_transform"]) == (UTM, [10, 0, WEST, 0, -10, NORTH])
    assert band["dimensions"] == [4, 1]
    assert told["features"][0]["properties"]["system:time_start"] == 1_000


# ---------------------------------------------------------------------------------------------- Dynamic World

DAY, WINDOWS = "2024-06-15", (7, 14, 30, 60, 120)


def narrowest(collection: Any) -> Any:
    """Labels of the narrowest window that has any, and which window that is."""
    day, made = ee.Date(DAY), []
    for days in WINDOWS:
        window = collection.filterDate(day.advance(-days, "day"), day.advance(days, "day")).select("label")
        nothing = ee.Image.constant(0).toByte().rename("label").updateMask(0)
        label = window.merge(ee.ImageCollection([nothing])).mode().toByte()
        made.append(label.addBands(ee.Image.constant(days).toByte().rename("days").updateMask(label.mask())))
    return ee.ImageCollection(made[::-1]).mosaic().set("system:time_start", day.millis())


@pytest.mark.long
def test_the_mode_of_the_narrowest_labelled_window(tmp_path: Path):
    rng = np.random.default_rng(11)
    days = (
        "2024-02-20",
        "2024-03-02",
        "2024-04-25",
        "2024-05-20",
        "2024-06-03",
        "2024-06-09",
        "2024-06-12",
        "2024-08-30",
    )
    stack = rng.choice([0, 1, 2, 255], (len(days), 33, 47), p=[0.15, 0.1, 0.1, 0.65]).astype("u1")
    images = []
    for day, values in zip(days, stack, strict=True):
        with rasterio.open(
            tmp_path / f"{day}.tif", "w", driver="GTiff", count=1, dtype="uint8", nodata=255, width=47, height=33, crs=UTM,
            transform=Affine(10, 0, WEST, 0, -10, NORTH),
        ) as out:  # fmt: skip
            out.write(values, 1)
        images.append(image_of_raster(tmp_path / f"{day}.tif", f"GOOGLE/DYNAMICWORLD/V1/{day}", start=day, end=day))

    with EarthEngineServer({"GOOGLE/DYNAMICWORLD/V1": images}) as server, signed_in(server):
        collection = ee.ImageCollection([narrowest(ee.ImageCollection("GOOGLE/DYNAMICWORLD/V1"))])
        found = opened(collection, 47, 33, WEST, NORTH, ee_mask_value=255).isel(time=0)
        label, window = (found[name].fillna(255).astype("u1").values for name in ("label", "days"))

    away = (np.array(days, "datetime64[D]") - np.datetime64(DAY)).astype(int)
    seen = set()
    for row, col in np.ndindex(33, 47):
        expected = (255, 255)
        for width in WINDOWS:
            counted = Counter(int(v) for v in stack[(away >= -width) & (away < width), row, col] if v != 255)
            if counted:
                most = max(counted.values())
                expected = min(value for value, times in counted.items() if times == most), width
                break
        assert (label[row, col], window[row, col]) == expected
        seen.add(expected[1])
    assert seen == {7, 14, 30, 60, 120, 255}


# ---------------------------------------------------------------------------------------------- assets


def test_images_are_listed_with_the_grids_of_their_bands(talking: EarthEngineServer):
    told = ee.data.listImages({"parent": "T/U", "properties": ["cloud<10"]})["images"]
    assert [image["id"] for image in told] == ["T/U/two"]
    band = told[0]["bands"][1]
    assert (band["id"], band["dataType"]) == ("b", {"precision": "INT", "range": {"min": 0, "max": 255}})
    assert band["grid"] == {
        "crsCode": UTM, "dimensions": {"width": 4, "height": 1},
        "affineTransform": {"scaleX": 10, "translateX": WEST, "scaleY": -10, "translateY": NORTH},
    }  # fmt: skip
    assert told[0]["startTime"] == "1970-01-02T01:00:00.000Z"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, ["T/U/one", "T/U/two"]),
        ({"startTime": "1970-01-02T00:00:00Z"}, ["T/U/two"]),
        ({"endTime": "1970-01-02T00:00:00Z"}, ["T/U/one"]),
        ({"properties": ['name="first"', "cloud>=20"]}, ["T/U/one"]),
        ({"region": {"type": "Point", "coordinates": [15.0002, 46.95346]}}, ["T/U/one", "T/U/two"]),
        ({"region": {"type": "Point", "coordinates": [15.2, 46.9]}}, []),
        ({"pageSize": 1}, ["T/U/one"]),
        ({"view": "BASIC"}, ["T/U/one", "T/U/two"]),
    ],
)
def test_listings_are_filtered(talking: EarthEngineServer, query: dict[str, Any], ids: list[str]):
    told = ee.data.listImages({"parent": "T/U", **query})
    assert [image["id"] for image in told["images"]] == ids
    assert ("nextPageToken" in told) == ("pageSize" in query)
    assert all(("bands" in image) == ("view" not in query) for image in told["images"])


def test_pixels_of_an_asset_come_on_its_own_grid_and_as_a_geotiff(talking: EarthEngineServer):
    found = ee.data.getPixels({"assetId": "T/U/one", "fileFormat": "NUMPY_NDARRAY", "bandIds": ["b"]})
    assert found["b"].tolist() == [[3, 5, 1, 0]]
    body = ee.data.computePixels({"expression": ee.Image("T/U/two").toInt16(), "fileFormat": "GEO_TIFF",
                                  "grid": asked(5, 2, x=WEST - 10)})  # fmt: skip
    with rasterio.open(io.BytesIO(body)) as raster:
        assert raster.read().tolist() == [[[0, 3, 5, 1, 0], [0] * 5], [[0, 3, 0, 0, 7], [0] * 5]]
        assert (raster.crs.to_string(), raster.descriptions, raster.dtypes) == (UTM, ("a", "b"), ("int16", "int16"))
        assert raster.transform == Affine(10, 0, WEST - 10, 0, -10, NORTH)
    assert ee.data.getAsset("T/U")["type"] == "IMAGE_COLLECTION"
    with pytest.raises(ee.EEException, match="Asset 'projects/earthengine-public/assets/T/NOT' not found"):
        ee.data.getAsset("T/NOT")


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize(
    ("ask", "code", "words"),
    [
        (lambda: ee.Image("T/U/one").select("c").getInfo(), 400,
         "Image.select: Band pattern 'c' did not match any bands. Available bands: [a, b]"),
        (lambda: ee.ImageCollection("T/U").select("c").mosaic().getInfo(), 400,
         "Error in map(ID=one):\nImage.select: Band pattern 'c' did not match any bands. Available bands: [a, b]"),
        (lambda: ee.ImageCollection("T/EMPTY").mosaic().select("a").getInfo(), 400,
         "Image.select: Band pattern 'a' was applied to an Image with no bands. "
         "See https://developers.google.com/earth-engine/guides/debugging#no-bands"),
        (lambda: ee.ImageCollection("T/NOT").size().getInfo(), 400, "ImageCollection.load: ImageCollection asset "
         "'T/NOT' not found (does not exist or caller does not have access)."),
        (lambda: pixels(ee.Image("T/NOT/x"), 4), 400,
         "Image.load: Image asset 'T/NOT/x' not found (does not exist or caller does not have access)."),
        (lambda: ee.data.listImages("T/NOT"), 404, "Asset 'projects/earthengine-public/assets/T/NOT' not found."),
        (lambda: ee.Image("T/U/one").entropy(ee.Kernel.square(1)).getInfo(), 501,
         "the stand-in for Earth Engine has no function Kernel.square"),
        (lambda: pixels(ee.Image("T/U/one").sin(), 4), 501, "the stand-in for Earth Engine has no function Image.sin"),
        (lambda: pixels(ee.Image("T/U/one"), 40_000), 400,
         "Pixel grid dimensions (40000x1) must be less than or equal to 32768."),
        (lambda: pixels(ee.Image("T/U/one"), 4097, 4096), 400,
         "Total request size (67125248 bytes) must be less than or equal to 50331648 bytes."),
        (lambda: pixels(ee.Image.constant([0] * 1025), 1), 400,
         "Number of bands (1025) must be less than or equal to 1024."),
    ],
)  # fmt: skip
def test_errors_are_those_of_earth_engine(talking: EarthEngineServer, ask, code: int, words: str):
    talking.clear()
    with pytest.raises(ee.EEException) as caught:
        ask()
    assert str(caught.value) == words
    assert [each.status for each in talking.requests] == [code]


def test_a_request_of_exactly_the_limit_is_taken():
    band = constant(200)
    check_limits([band], (4096, 6144))
    assert MAX_BYTES == 4096 * 6144 * 2
    with pytest.raises(Problem, match="Total request size"):
        check_limits([band], (4096, 6145))
    with pytest.raises(Problem, match="Total request size"):
        check_limits([constant(256)], (4096, 6144))  # two bytes, and one of the mask


def test_another_project_is_refused():
    with EarthEngineServer({}, projects=("standin-project",)) as server:
        with signed_in(server):
            assert ee.Number(1).add(1).getInfo() == 2
        refused = pytest.raises(ee.EEException, match="does not have required permission to use project other")
        with refused, signed_in(server, project="other"):
            pass
        assert server.requests[-1].status == 403


def test_a_revoked_token_is_refused():
    image = row_of("T/U/one", a=A)
    with EarthEngineServer({"T/U": [image]}, token="good") as server:
        with signed_in(server, credentials=oauth("good")):
            assert pixels(ee.Image("T/U/one"), 2)["a"].tolist() == [[3, 0]]
            server.token = "other"
            with pytest.raises(Exception, match="refresh"):  # google-auth tries to renew what was answered 401
                pixels(ee.Image("T/U/one"), 2)
        url = f"{server.url}/v1/projects/standin-project/value:compute"
        answers = [requests.post(url, headers=each, timeout=9) for each in ({}, {"Authorization": "Bearer good"})]
        assert [each.status_code for each in answers] == [401, 401]
        told = [each.json()["error"] for each in answers]
        assert {each["status"] for each in told} == {"UNAUTHENTICATED"}
        assert "missing required authentication credential." in told[0]["message"]
        assert "had invalid authentication credentials." in told[1]["message"]
        assert server.count("pixels", 401) == 1
        assert server.count("pixels", 200) == 1


def test_a_refresh_token_is_exchanged_and_may_be_refused():
    faults = [EarthEngineFault(kind="401", on="token", first=1)]
    with EarthEngineServer({}, token="good", faults=faults) as server:
        key = oauth(None, refresh_token="r", client_id="c", client_secret="s", token_uri=server.token_uri)
        with signed_in(server, credentials=key):
            assert ee.Number(1).add(1).getInfo() == 2
            server.token = "other"
            with pytest.raises(Exception, match="invalid_grant"):
                ee.Number(2).add(2).getInfo()
        assert server.count("token") == 2


# ---------------------------------------------------------------------------------------------- faults


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize(
    ("kind", "status", "caught"),
    [
        ("429", 429, "concurrency limit"), ("503", 503, "currently unavailable"), ("500", 500, "internal error"),
        ("403", 403, "does not have permission"), ("404", 404, "not found"),
        ("drop", 0, "reset|aborted"), ("truncate", 200, "truncated|incomplete|more expected|cannot reshape|EOF"),
        ("short", 200, "truncated|incomplete|more expected|cannot reshape|EOF"),
    ],
)  # fmt: skip
def test_each_fault_happens_as_often_as_it_should_and_is_counted(kind: str, status: int, caught: str):
    faults = [EarthEngineFault(kind=kind, on="pixels", times=1)]
    with EarthEngineServer({"T/U": [row_of("T/U/one", a=A)]}, faults=faults) as server, signed_in(server):
        with pytest.raises(Exception, match=f"(?i){caught}"):
            pixels(ee.Image("T/U/one"), 4)
        assert pixels(ee.Image("T/U/one"), 4)["a"].tolist() == [[3, 0, 0, 7]]
        assert server.faults_served == {kind: 1}
        assert [(each.status, each.fault) for each in server.requests if each.kind == "pixels"] == [
            (status, kind), (200, None),
        ]  # fmt: skip


def post(server: EarthEngineServer, number: int, timeout: float = 9) -> requests.Response:
    """Ask what a number is, without a client that would try again."""
    body = json.dumps({"expression": {"result": "0", "values": {"0": {"constantValue": number}}}})
    return requests.post(f"{server.url}/v1/projects/p/value:compute", body, timeout=timeout)


def test_a_slow_answer_is_an_answer():
    faults = [EarthEngineFault(kind="slow", on="compute", after_s=0.3)]
    with EarthEngineServer({}, faults=faults) as server:
        with pytest.raises(requests.exceptions.ReadTimeout):
            post(server, 5, timeout=0.1)
        assert post(server, 5).json() == {"result": 5}
        assert server.faults_served == {"slow": 2}


@pytest.mark.long
def test_a_share_of_attempts_fails_the_same_whatever_the_order():
    def failed(order: list[int], workers: int, seed: int) -> set[tuple[int, int]]:
        faults = [EarthEngineFault(kind="503", on="compute", share=0.3, seed=seed)]
        with EarthEngineServer({}, faults=faults) as server, ThreadPoolExecutor(workers) as pool:

            def attempts(number: int) -> list[tuple[int, int]]:
                return [(number, attempt) for attempt in range(3) if post(server, number).status_code == 503]

            made = {each for found in pool.map(attempts, order) for each in found}
            assert server.faults_served == {"503": len(made)}
            assert server.count("compute", 503) == len(made)
            return made

    first = failed(list(range(40)), 1, 0)
    assert 20 <= len(first) <= 52  # of 120 attempts
    assert set(Counter(number for number, _ in first).values()) >= {1, 2}  # an attempt says nothing of the next
    assert failed(list(range(40))[::-1], 4, 0) == first
    assert failed(list(range(40)), 4, 1) != first


def test_no_more_than_the_limit_are_answered_at_once():
    with EarthEngineServer({}, max_concurrent=3, latency_s=0.5) as server:
        together = Barrier(8)

        def ask(number: int) -> requests.Response:
            together.wait()
            return post(server, number)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        assert Counter(each.status_code for each in answers) == {200: 3, 429: 5}
        refused = next(each.json()["error"] for each in answers if each.status_code == 429)
        assert refused["status"] == "RESOURCE_EXHAUSTED"
        assert server.peak_answered == 3
        assert server.peak >= 4


def test_as_many_as_the_limit_never_meet_it():
    with EarthEngineServer({}, max_concurrent=3, latency_s=0.02) as server, ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: post(server, number).status_code, range(60)))
    assert set(answers) == {200}
    assert server.peak == 3


# ---------------------------------------------------------------------------------------------- the rest


def test_every_request_is_logged_and_no_secret():
    server = EarthEngineServer({"T/U": [row_of("T/U/one", a=A)]}, token="sesame")
    with server, signed_in(server, credentials=oauth("sesame")):
        start = Counter(each.kind for each in server.requests)
        assert (start["algorithms"], start["deprecated"]) == (1, 1)
        server.clear()
        image = ee.Image("T/U/one")
        image.bandNames().getInfo()
        pixels(image.addBands(image.rename("z")), 3)
        ee.data.listImages("T/U")
        ee.data.getAsset("T/U/one")
    assert [(each.method, each.kind, each.status) for each in server.requests] == [
        ("POST", "compute", 200), ("POST", "pixels", 200), ("GET", "list", 200), ("GET", "assets", 200),
    ]  # fmt: skip
    sent = server.requests[1]
    assert sent.path == "/v1/projects/standin-project/image:computePixels"
    assert sent.bands == ("a", "z")
    assert sent.grid == asked(3)
    assert sent.bytes > 6
    assert "sesame" not in repr(server.requests)


def test_it_imports_without_the_client_and_then_says_what_is_missing():
    script = """
import sys
sys.modules["ee"] = None
from nutonic.testing.earthengine import EarthEngineServer
try:
    EarthEngineServer({})
except ImportError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "the stand-in for Earth Engine needs its client: pip install 'nutonic[earthengine]'"
