"""What an item says of its pixels and what its file says: pixels are right, or one line tells both."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import shapely.geometry
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

import nutonic as nt
from nutonic.core.classes import ClassTable
from nutonic.core.grid import grid_around, same_crs, transformer
from nutonic.errors import BadPixels, FileMissing, Gone, GridError, InputError, OffLattice, SourceError
from nutonic.io.raster import header
from nutonic.recipe.outputs import Grid
from nutonic.sources.raster import RasterSource
from nutonic.sources.stac.labels import StacLabels

TABLE = ClassTable(name="any", labels={k: f"class {k}" for k in range(1, 255)}, unknown=0, colors={})
SIDE = 300
UTM = ("EPSG:32633", (13.5, 52.3), 10.0)
DEGREES = ("EPSG:4326", (13.5, 52.3), 1 / 12_000)
SINUSOIDAL = ("+proj=sinu +lon_0=0 +R=6371007.181 +units=m", (13.5, 52.3), 10.0)
BRAZIL = (
    "+proj=aea +lat_0=-12 +lon_0=-54 +lat_1=-2 +lat_2=-22 +x_0=5e6 +y_0=1e7 +ellps=GRS80 +units=m",
    (-54.5, -12.3),
    10.0,
)
AUSTRALIA = ("EPSG:3577", (118.69, -23.0), 25.0)
KNOWN = {"ESRI:54009": ((13.5, 52.3), 10.0), "ESRI:102003": ((-99.9, 39.9), 10.0), "ESRI:54052": ((13.5, 52.3), 10.0)}


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 250, (SIDE, SIDE)).astype(np.uint8)


def placed(crs: str, lonlat: tuple[float, float], side: float) -> Affine:
    """A transform of a raster around a place, its corners on multiples of a pixel."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*lonlat)
    left, top = (round(v / side) * side for v in (x - side * SIDE / 2, y + side * SIDE / 2))
    return Affine(side, 0, left, 0, -side, top)


def raster(path: Path, pixels: np.ndarray, crs: Any, transform: Affine | None, dtype: str = "uint8") -> Path:
    where = {} if transform is None else {"transform": transform}
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype=dtype, height=SIDE, width=SIDE, crs=crs, **where
    ) as out:
        out.write(pixels.astype(dtype), 1)
    return path


def outline(crs: str, transform: Affine) -> dict[str, Any]:
    box = shapely.segmentize(shapely.box(*rasterio.transform.array_bounds(SIDE, SIDE, transform)), transform.a * 50)
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return shapely.geometry.mapping(shapely.transform(box, lambda p: np.stack(to_degrees.transform(*p.T), -1)))


def catalogue(folder: Path, footprint: Any, keys: tuple[str, ...], said: dict[str, Any], **properties: Any) -> str:
    item = {
        "type": "Feature", "stac_version": "1.0.0", "id": "x", "collection": "c", "geometry": footprint, "links": [],
        "properties": {"datetime": "2021-06-01T00:00:00Z", "eo:cloud_cover": 1, **properties},
        "assets": {key: {"href": "m.tif", **said} for key in keys},
    }  # fmt: skip
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    return str(folder / "items.json")


def labels(folder: Path, where: tuple[str, tuple[float, float], float], said: dict[str, Any]) -> StacLabels:
    crs, _, _ = where
    transform = placed(*where)
    raster(folder / "m.tif", noise(), crs, transform)
    url = catalogue(folder, outline(crs, transform), ("map",), said)
    return StacLabels(url=url, collection="c", asset="map", classes=TABLE)


def truth(path: Path, geobox: Any) -> np.ndarray:
    """The pixel that holds each centre, by pyproj and rasterio alone; 0 beyond the raster."""
    x = geobox.affine.c + geobox.affine.a * (np.arange(geobox.shape.x) + 0.5)
    y = geobox.affine.f + geobox.affine.e * (np.arange(geobox.shape.y) + 0.5)
    with rasterio.open(path) as file:
        u, v = Transformer.from_crs(str(geobox.crs), file.crs, always_xy=True).transform(*np.meshgrid(x, y))
        t, values = file.transform, file.read(1)
    cols, rows = np.floor((u - t.c) / t.a).astype(int), np.floor((v - t.f) / t.e).astype(int)
    inside = (cols >= 0) & (cols < SIDE) & (rows >= 0) & (rows < SIDE)
    return np.where(inside, values[rows.clip(0, SIDE - 1), cols.clip(0, SIDE - 1)], 0)


def opened(source: StacLabels, lonlat: tuple[float, float]) -> tuple[np.ndarray, Any]:
    geobox = grid_around(*lonlat, extent_m=1280)
    (scenes,) = source.search(np.array([lonlat[0]]), np.array([lonlat[1]]), 1280)
    return source.open(geobox, scenes)["label"].values, geobox


def six(where: tuple[str, tuple[float, float], float]) -> list[float]:
    return list(placed(*where))[:6]


def gdal(where: tuple[str, tuple[float, float], float]) -> list[float]:
    return list(placed(*where).to_gdal())


def shifted(pixels: float) -> list[float]:
    a, b, c, d, e, f = six(UTM)
    return [a, b, c + pixels * a, d, e, f]


def stretched(a: float, where: tuple[str, tuple[float, float], float] = UTM) -> list[float]:
    return [a, 0, six(where)[2], 0, -a, six(where)[5]]


def wkt(crs: str) -> str:
    return CRS.from_user_input(crs).to_wkt()


SHAPE = [SIDE, SIDE]


def whole(where: tuple[str, tuple[float, float], float]) -> dict[str, Any]:
    """Shape and transform of a raster, as they are."""
    return {"proj:shape": SHAPE, "proj:transform": six(where)}


WHOLE = whole(UTM)
COORDINATES = {"proj:epsg": 32633, "proj:shape": SHAPE}
RIGHT = {
    "what it is": (UTM, {**WHOLE, "proj:epsg": 32633}),
    "GDAL's order": (UTM, {**COORDINATES, "proj:transform": gdal(UTM)}),
    "GDAL's order in degrees": (DEGREES, {"proj:epsg": 4326, "proj:shape": SHAPE, "proj:transform": gdal(DEGREES)}),
    "nine numbers": (UTM, {**COORDINATES, "proj:transform": [*six(UTM), 0, 0, 1]}),
    "rows of numbers": (UTM, {**COORDINATES, "proj:transform": [six(UTM)[:3], six(UTM)[3:], [0, 0, 1]]}),
    "text for numbers": (UTM, {"proj:epsg": "32633", "proj:shape": ["300", "300"], "proj:transform": [*map(str, six(UTM))]}),
    "text that is none": (UTM, {**COORDINATES, "proj:transform": ["a", *six(UTM)[1:]]}),
    "NaN": (UTM, {**COORDINATES, "proj:transform": [float("nan"), *six(UTM)[1:]]}),
    "five numbers": (UTM, {**COORDINATES, "proj:transform": six(UTM)[:5]}),
    "no size of a pixel": (UTM, {**COORDINATES, "proj:transform": [0, 0, 1, 0, 0, 1]}),
    "a transform that is an object": (UTM, {**COORDINATES, "proj:transform": {"a": 1}}),
    "one side": (UTM, {**WHOLE, "proj:epsg": 32633, "proj:shape": [300]}),
    "half a pixel": (UTM, {**WHOLE, "proj:epsg": 32633, "proj:shape": [299.5, 300]}),
    "a shape of null": (UTM, {**WHOLE, "proj:epsg": 32633, "proj:shape": [None, 300]}),
    "a rounded transform that drifts by nothing": (
        DEGREES,
        {"proj:epsg": 4326, "proj:shape": SHAPE, "proj:transform": stretched(8.33333333e-05, DEGREES)},
    ),
    "code and epsg null, and WKT": (UTM, {**WHOLE, "proj:code": None, "proj:epsg": None, "proj:wkt2": wkt("EPSG:32633")}),
    "small letters": (UTM, {**WHOLE, "proj:code": "epsg:32633"}),
    "a URN": (UTM, {**WHOLE, "proj:code": "urn:ogc:def:crs:EPSG::32633"}),
    "an address": (UTM, {**WHOLE, "proj:code": "http://www.opengis.net/def/crs/EPSG/0/32633"}),
    "a bare number": (UTM, {**WHOLE, "proj:code": "32633"}),
    "a whole float": (UTM, {**WHOLE, "proj:epsg": 32633.0}),
    "epsg with its authority": (UTM, {**WHOLE, "proj:epsg": "EPSG:32633"}),
    "epsg in a list": (UTM, {**WHOLE, "proj:epsg": [32633]}),
    "epsg true": (UTM, {**WHOLE, "proj:epsg": True}),
    "a name": (UTM, {**WHOLE, "proj:code": "WGS 84 / UTM zone 33N"}),
    "heights too": (DEGREES, {"proj:code": "EPSG:9518", **whole(DEGREES)}),
    "no number that there is": (UTM, {**WHOLE, "proj:epsg": 999999}),
    "a number of Esri's": (UTM, {**WHOLE, "proj:epsg": 102003}),
    "EPSG:None": (SINUSOIDAL, {"proj:code": "EPSG:None", **whole(SINUSOIDAL)}),
    "null": (SINUSOIDAL, {"proj:epsg": None, **whole(SINUSOIDAL)}),
    "WKT without a code": (SINUSOIDAL, {"proj:wkt2": wkt(SINUSOIDAL[0]), **whole(SINUSOIDAL)}),
    "PROJJSON without a code": (
        SINUSOIDAL, {"proj:projjson": CRS.from_user_input(SINUSOIDAL[0]).to_json_dict(), **whole(SINUSOIDAL)},
    ),
    "PROJJSON that is none": (SINUSOIDAL, {"proj:projjson": {"type": "x"}, **whole(SINUSOIDAL)}),
    "WKT that is none": (SINUSOIDAL, {"proj:wkt2": 'PROJCRS["x"', **whole(SINUSOIDAL)}),
    "a number of a newer PROJ": (BRAZIL, {"proj:epsg": 10857, **whole(BRAZIL)}),
    "a number of a catalogue's own": (BRAZIL, {"proj:epsg": 100001, **whole(BRAZIL)}),
    "a zone at the other end of the world": (UTM, {**WHOLE, "proj:epsg": 32755}),
    "degrees, and numbers in metres": (UTM, {**WHOLE, "proj:epsg": 4326}),
    "metres, and numbers in degrees": (DEGREES, {"proj:epsg": 32633, **whole(DEGREES)}),
    "CRS84": (DEGREES, {"proj:code": "OGC:CRS84", **whole(DEGREES)}),
    "only a wrong CRS": (AUSTRALIA, {"proj:epsg": 4326}),
    **{
        code: ((code, *where), {"proj:code": code, **whole((code, *where))})
        for code, where in KNOWN.items()
    },
}  # fmt: skip


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("case", RIGHT)
def test_labels_lie_where_their_file_has_them(tmp_path, case):
    where, said = RIGHT[case]
    found, geobox = opened(labels(tmp_path, where, said), where[1])
    right = truth(tmp_path / "m.tif", geobox)
    assert np.array_equal(found, right)
    assert right.all()


TOLD = {
    "the neighbouring zone": ({**WHOLE, "proj:epsg": 32632}, "its CRS is EPSG:32633, the catalogue says EPSG:32632"),
    "another datum": ({**WHOLE, "proj:epsg": 25833}, "its CRS is EPSG:32633, the catalogue says EPSG:25833"),
    "the Moon": ({**WHOLE, "proj:code": "IAU_2015:30110"}, "its CRS is EPSG:32633, the catalogue says PROJCRS"),
    "half a pixel": ({**COORDINATES, "proj:transform": shifted(0.5)},
                     r"from \(\d+0, \d+0\).* from \(\d+5, \d+0\): 0.5 pixels apart"),
    "far away": ({**COORDINATES, "proj:transform": shifted(1000)}, "1000 pixels apart"),
    "a rounded side": ({**COORDINATES, "proj:transform": stretched(10.001)},
                       r"pixels of 10 m .* pixels of 10.001 m .*0.04243 pixels apart"),
    "a side with many digits": ({**COORDINATES, "proj:transform": stretched(10.0004567)}, r"of 10 m .* of 10.0004567 m"),
    "another size": ({**WHOLE, "proj:epsg": 32633, "proj:shape": [SIDE, SIDE + 1]},
                     "300 × 300 pixels .*, the catalogue says 300 × 301"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_what_differs_is_told_with_both_values(tmp_path, case):
    said, told = TOLD[case]
    source = labels(tmp_path, UTM, said)
    with pytest.raises(BadPixels, match=f"m.tif is not what its item says: .*{told}") as caught:
        opened(source, UTM[1])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ["stackstac", "odc-stac"])
def test_a_square_beside_an_asset_by_its_items_word_is_not_empty_unseen(tmp_path, engine):
    pytest.importorskip("odc.stac") if engine == "odc-stac" else None
    where, geobox = placed(*UTM), grid_around(*UTM[1], extent_m=1280)
    raster(tmp_path / "m.tif", noise(), UTM[0], where, "uint16")
    said = {**COORDINATES, "proj:transform": shifted(1000)}
    url = catalogue(tmp_path, outline(UTM[0], where), ("red",), said)
    source = nt.StacSource(url=url, collection="c", assets=("red",), engine=engine)
    (scenes,) = source.search(np.array([UTM[1][0]]), np.array([UTM[1][1]]), 1280)
    with pytest.raises(OffLattice, match="1000 pixels apart"):
        source.open(geobox, scenes)["red"].values  # noqa: B018
    with pytest.raises(OffLattice, match="1000 pixels apart"):
        nt.open_cube(geobox, [source])["red"].values  # noqa: B018
    with pytest.raises(SourceError, match="1000 pixels apart"):  # by nearest neighbour
        nt.open_cube(grid_around(*UTM[1], extent_m=1280, crs="EPSG:32632"), [source])["red"].values  # noqa: B018


def test_a_square_beside_an_asset_is_empty_where_its_file_agrees(tmp_path):
    where = placed(*UTM)
    raster(tmp_path / "m.tif", noise(), UTM[0], where, "uint16")
    wide = outline(UTM[0], where @ Affine.translation(-1000, 0) @ Affine.scale(5))
    source = nt.StacSource(
        url=catalogue(tmp_path, wide, ("red",), {**WHOLE, "proj:epsg": 32633}), collection="c", assets=("red",)
    )
    lon, lat = Transformer.from_crs(UTM[0], "EPSG:4326", always_xy=True).transform(where.c - 5000, where.f - 1500)
    geobox = grid_around(lon, lat, extent_m=1280)
    (scenes,) = source.search(np.array([lon]), np.array([lat]), 1280)
    lazy = pickle.loads(pickle.dumps(source.open(geobox, scenes, chunks=50)))  # it travels to workers
    assert lazy["red"].chunks == ((50, 50, 28), (50, 50, 28))
    assert not lazy["red"].values.any()
    cube = nt.open_cube(geobox, [source], chunks=50)
    assert cube["red"].sizes == {"time": 1, "y": 128, "x": 128}
    assert not cube["red"].values.any()


# Imagery


IMAGERY = {
    "GDAL's order": (UTM, {**COORDINATES, "proj:transform": gdal(UTM)}),
    "only a wrong CRS": (AUSTRALIA, {"proj:epsg": 4326}),
    "only the right CRS": (AUSTRALIA, {"proj:epsg": 3577}),
    "no CRS": (AUSTRALIA, {"proj:epsg": None}),
    "a CRS of the other end of the world": (AUSTRALIA, {"proj:epsg": 32619}),
    "an unknown CRS": (UTM, {**WHOLE, "proj:epsg": 100001}),
    "WKT": (UTM, {**WHOLE, "proj:wkt2": wkt("EPSG:32633")}),
    "PROJJSON": (UTM, {**WHOLE, "proj:projjson": CRS("EPSG:32633").to_json_dict()}),
}


@pytest.mark.parametrize("case", IMAGERY)
def test_a_places_square_is_laid_on_the_pixels_of_the_file(tmp_path, case):
    where, said = IMAGERY[case]
    crs, (lon, lat), side = where
    transform, pixels = placed(*where), noise(5)
    raster(tmp_path / "m.tif", pixels, crs, transform, "uint16")
    source = nt.StacSource(
        url=catalogue(tmp_path, outline(crs, transform), ("red", "green", "blue"), said), collection="c"
    )
    settings = Grid(resolution_m=side, extent_m=64 * side, lattice="source")
    cube = nt.open_scene((lon, lat), [source], grid_settings=settings)
    assert cube.odc.crs.epsg == int(crs[5:])
    row, col = (
        round((transform.f - cube.y.values[0]) / side - 0.5),
        round((cube.x.values[0] - transform.c) / side - 0.5),
    )
    assert np.array_equal(cube["red"].values, pixels[row : row + 64, col : col + 64])
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    assert abs(cube.x.values.mean() - x) <= side
    assert abs(cube.y.values.mean() - y) <= side


ODD_PIXELS = {
    "south up": (Affine(10, 0, 0, 0, 10, 0), "has south up"),
    "not square": (Affine(10, 0, 0, 0, -20, 0), "has pixels of 10 × 20, which are not square"),
    "west to the right": (Affine(-10, 0, 0, 0, -10, 0), "has west to the right"),
}


@pytest.mark.parametrize("lattice", ["source", "ten_metre"])
@pytest.mark.parametrize("case", ODD_PIXELS)
def test_imagery_that_is_no_map_is_told_in_a_line(tmp_path, case, lattice):
    turned, told = ODD_PIXELS[case]
    x, y = Transformer.from_crs("EPSG:4326", UTM[0], always_xy=True).transform(*UTM[1])
    transform = Affine.translation(round(x, -1), round(y, -1)) @ turned @ Affine.translation(-SIDE / 2, -SIDE / 2)
    raster(tmp_path / "m.tif", noise(), UTM[0], transform, "uint16")
    footprint = outline(UTM[0], Affine(20, 0, x - 3000, 0, -20, y + 3000))
    said = {**COORDINATES, "proj:transform": list(transform)[:6]}
    source = nt.StacSource(url=catalogue(tmp_path, footprint, ("red", "green", "blue"), said), collection="c")
    with pytest.raises(OffLattice, match=f"scene x {told}") as caught:
        nt.open_scene(UTM[1], [source], grid_settings=Grid(extent_m=640, lattice=lattice))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", ODD_PIXELS)
def test_labels_that_are_no_map_are_read_all_the_same(tmp_path, case):
    x, y = Transformer.from_crs("EPSG:4326", UTM[0], always_xy=True).transform(*UTM[1])
    turned, _ = ODD_PIXELS[case]
    transform = Affine.translation(x, y) @ turned @ Affine.translation(-SIDE / 2, -SIDE / 2)
    raster(tmp_path / "m.tif", noise(), UTM[0], transform)
    geobox = grid_around(*UTM[1], extent_m=1280)
    source = RasterSource(str(tmp_path / "m.tif"), TABLE)
    assert np.array_equal(source.open(geobox, [source.describe()])["label"].values, truth(tmp_path / "m.tif", geobox))


# Files that do not say where they are


def corners() -> list[GroundControlPoint]:
    return [GroundControlPoint(row, col, 13 + col / SIDE, 53 - row / SIDE) for row in (0, SIDE) for col in (0, SIDE)]


UNPLACED = {
    "no CRS": (None, placed(*UTM), "has no CRS: write one into the file"),
    "no geotransform": ("EPSG:32633", None, "has no geotransform"),
    "neither": (None, None, "has no geotransform"),
    "a building site": ('LOCAL_CS["x",UNIT["metre",1]]', placed(*UTM), "is in LOCAL_CS.*, in which no map is drawn"),
    "from the Earth's centre": ("EPSG:4978", placed(*UTM), "is in EPSG:4978, in which no map is drawn"),
    "ground control points": (corners(), None, "has ground control points in place of a geotransform: warp it"),
    "RPCs": ("rpcs", None, "has RPCs in place of a geotransform: warp it"),
    "rotated": ("EPSG:32633", placed(*UTM) @ Affine.rotation(5), "is rotated .*: warp it"),
    "turned by a right angle": ("EPSG:32633", Affine(0, 10, 6e5, 10, 0, 5e6), "is rotated .*: warp it"),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("case", UNPLACED)
def test_a_file_that_does_not_say_where_its_pixels_lie_is_told_in_a_line(tmp_path, case):
    crs, transform, told = UNPLACED[case]
    path = raster(
        tmp_path / "m.tif", noise(), crs if case not in ("ground control points", "RPCs") else None, transform
    )
    with rasterio.open(path, "r+") as file:
        if case == "ground control points":
            file.gcps = (crs, "EPSG:4326")
        if case == "RPCs":
            file.rpcs = RPC(0, 1, 0, 1, [1.0] * 20, [1.0] * 20, 0, 1, 0, 1, [1.0] * 20, [1.0] * 20, 0, 1, 0, 1)
    with pytest.raises(GridError, match=f"m.tif {told}") as caught:
        header(str(path))
    assert "\n" not in str(caught.value)
    url = catalogue(tmp_path, outline(UTM[0], placed(*UTM)), ("map",), {"proj:epsg": 32633})
    source = StacLabels(url=url, collection="c", asset="map", classes=TABLE)
    with pytest.raises((InputError, SourceError), match=f"m.tif {told}"):
        opened(source, UTM[1])
    believed = {**WHOLE, "proj:epsg": 32633}
    url = catalogue(tmp_path, outline(UTM[0], placed(*UTM)), ("map",), believed)
    with pytest.raises(BadPixels, match=told):  # not one that may pass
        opened(StacLabels(url=url, collection="c", asset="map", classes=TABLE), UTM[1])


def test_a_file_with_rpcs_beside_its_geotransform_is_one_that_says_where_it_is(tmp_path):
    path = raster(tmp_path / "m.tif", noise(), "EPSG:32633", placed(*UTM))
    with rasterio.open(path, "r+") as file:
        file.rpcs = RPC(0, 1, 0, 1, [1.0] * 20, [1.0] * 20, 0, 1, 0, 1, [1.0] * 20, [1.0] * 20, 0, 1, 0, 1)
    assert header(str(path)).transform == placed(*UTM)


@pytest.mark.long
@pytest.mark.parametrize(
    "odd", [{"href": "gone.tif"}, {"href": "bare.tif"}, {"raster:bands": [5]}, {"proj:shape": [0, 1]}]
)
def test_an_item_whose_labels_cannot_be_used_leaves_the_others(tmp_path, odd):
    source = labels(tmp_path, UTM, {})
    raster(tmp_path / "bare.tif", noise(1), None, placed(*UTM))
    content = json.loads(Path(source.url).read_text())
    first = json.loads(json.dumps(content["features"][0])) | {"id": "a"}
    first["assets"]["map"] |= odd
    content["features"].insert(0, first)
    Path(source.url).write_text(json.dumps(content))
    found, geobox = opened(source, UTM[1])
    assert np.array_equal(found, truth(tmp_path / "m.tif", geobox))
    cube = nt.open_cube(geobox, [source])
    assert np.array_equal(cube["label"].values, found)
    assert list(cube.nutonic.left_out["id"]) == ["a"]
    content["features"] = content["features"][:1]
    Path(source.url).write_text(json.dumps(content))
    with pytest.raises((InputError, Gone, FileMissing), match="asset 'map' of item a"):
        opened(source, UTM[1])


# Texts that PROJ would open files for


BOUND = (
    f"BOUNDCRS[SOURCECRS[{wkt('EPSG:4267')}],TARGETCRS[{wkt('EPSG:4326')}],"
    'ABRIDGEDTRANSFORMATION["x",METHOD["NTv2",ID["EPSG",9615]],'
    'PARAMETERFILE["Latitude and longitude difference file","/secret.gsb"]]]'
)
FILED = {
    "init": {"proj:code": "+init=/secret:x"},
    "init without a plus": {"proj:code": "init=epsg:4326"},
    "a PROJ string": {"proj:code": "+proj=utm +zone=33"},
    "grids": {"proj:code": "+proj=longlat +nadgrids=/secret"},
    "a pipeline": {"proj:code": "proj=pipeline step proj=hgridshift grids=/secret"},
    "grids as an EPSG number": {"proj:epsg": "+proj=longlat +nadgrids=/secret"},
    "a PROJ string as WKT": {"proj:wkt2": "+proj=utm +zone=33 +geoidgrids=/secret"},
    "a bound CRS": {"proj:wkt2": BOUND},
    "a bound CRS as PROJJSON": {"proj:projjson": CRS("+proj=utm +zone=33 +nadgrids=secret.gsb +type=crs").to_json_dict()},
    "grids in WKT": {"proj:wkt2": CRS("EPSG:4326").to_wkt("WKT1_GDAL")[:-1] + ',EXTENSION["PROJ4","+nadgrids=/secret"]]'},
}  # fmt: skip


@pytest.mark.parametrize("case", FILED)
def test_proj_strings_and_names_of_files_are_not_taken_from_an_item(tmp_path, case):
    with pytest.raises(
        InputError, match=r"asset 'map' of item x has the CRS .*a PROJ string or one that names files"
    ) as told:
        opened(labels(tmp_path, UTM, {**WHOLE, **FILED[case]}), UTM[1])
    assert "\n" not in str(told.value)


def test_web_mercator_as_gdal_writes_it_is_one_whose_file_says_it(tmp_path):
    where = ("EPSG:3857", (13.5, 52.3), 10.0)
    text = rasterio.crs.CRS.from_epsg(3857).to_wkt()
    assert "+nadgrids=@null" in text
    said = {"proj:wkt2": text, "proj:shape": SHAPE, "proj:transform": six(where)}
    found, geobox = opened(labels(tmp_path, where, said), where[1])
    assert np.array_equal(found, truth(tmp_path / "m.tif", geobox))


# CRSs


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("EPSG:32633", "EPSG:32633", True),
        ("EPSG:32633", wkt("EPSG:32633"), True),
        ("EPSG:32633", CRS("EPSG:32633").to_wkt("WKT1_GDAL"), True),
        ("EPSG:32633", CRS("EPSG:32633").to_wkt("WKT1_ESRI"), True),
        ("EPSG:32633", rasterio.crs.CRS.from_epsg(32633).to_wkt(), True),
        ("EPSG:4326", "OGC:CRS84", True),
        ("EPSG:4326", "EPSG:4979", True),
        ("EPSG:9518", "EPSG:4326", True),
        ("ESRI:54009", rasterio.crs.CRS.from_string("ESRI:54009").to_wkt(), True),
        ("ESRI:102003", rasterio.crs.CRS.from_string("ESRI:102003").to_wkt(), True),
        ("EPSG:32633", "EPSG:32632", False),
        ("EPSG:32633", "EPSG:25833", False),
        ("EPSG:4326", "EPSG:4258", False),
        ("EPSG:3857", "EPSG:3395", False),
    ],
)
def test_crss_are_compared_as_crss(one, other, same):
    assert same_crs(one, other) is same
    assert same_crs(other, one) is same


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("EPSG:4326", "EPSG:100001", "EPSG:100001 is no CRS that PROJ .* knows"),
        ("EPSG:4326", "nonsense", "nonsense is no CRS"),
        ("EPSG:4326", "IAU_2015:30110", "PROJ cannot transform from EPSG:4326 to IAU_2015:30110"),
    ],
)
def test_what_proj_cannot_do_is_no_error_that_may_pass(source, target, told):
    with pytest.raises(GridError, match=told) as caught:
        transformer(source, target)
    assert "\n" not in str(caught.value)


# Builds


@pytest.mark.parametrize(
    ("said", "rejects", "built"),
    [
        ({"proj:epsg": 100001}, {}, 1),
        ({"proj:code": "EPSG:None"}, {}, 1),
        ({"proj:epsg": 32633, "proj:transform": gdal(UTM)}, {}, 1),
        ({"proj:epsg": 32632}, {"unusable labels": 1}, 0),
        ({"proj:epsg": 32633, "proj:transform": shifted(1000)}, {"unusable labels": 1}, 0),
        ({"proj:code": "IAU_2015:30110"}, {"unusable labels": 1}, 0),
    ],
)
def test_a_build_never_leaves_open_what_will_not_pass(tmp_path, said, rejects, built):
    where = placed(*UTM)
    raster(tmp_path / "m.tif", np.full((SIDE, SIDE), 10), UTM[0], where)
    (tmp_path / "lc").mkdir()
    (tmp_path / "lc/m.tif").hardlink_to(tmp_path / "m.tif")
    catalogue(tmp_path / "lc", outline(UTM[0], where), ("map",), {**WHOLE, **said})
    (tmp_path / "m.tif").unlink()
    raster(tmp_path / "m.tif", noise(), UTM[0], where, "uint16")
    catalogue(tmp_path, outline(UTM[0], where), ("red", "green", "blue"), {**WHOLE, "proj:epsg": 32633})
    (tmp_path / "pois.csv").write_text(f"id,lon,lat\np,{UTM[1][0]},{UTM[1][1]}\n")
    (tmp_path / "recipe.yaml").write_text(
        "name: t\npois: {path: pois.csv}\ngrid: {extent_m: 1280}\ntiles: {size: 128, stride: 128, output_size: 64}\n"
        "imagery: {url: items.json, collection: c, datetime: 2021-01-01/2021-12-31}\n"
        "labels: {source: stac, url: lc/items.json, collection: c, asset: map, dataset: esa-worldcover}\n"
    )
    summary = nt.build(nt.load_recipe(tmp_path / "recipe.yaml"), tmp_path / "out", workers=0)
    assert (summary.rejects, summary.built, summary.still_open, summary.failures) == (rejects, built, 0, ())
