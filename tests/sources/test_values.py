"""What the numbers in a file mean, however they are kept: observed or not, in which unit, and as which class."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
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
from nutonic.core.classes import ClassTable
from nutonic.errors import BadPixels, InputError, NoScene, RecipeError
from nutonic.io import raster as rasters
from nutonic.io.access import Access
from nutonic.recipe.yaml import parse_recipe
from nutonic.testing import FileServer

SIDE = 64
CRS, LIES = "EPSG:32633", Affine(10, 0, 600_000, 0, -10, 5_800_000)
GRID = GeoBox((SIDE, SIDE), LIES, CRS)
#: The same pixels hold its centres, and none of it is native: what is read by nearest neighbour.
BESIDE = GeoBox((SIDE - 1, SIDE - 1), Affine(10, 0, 600_003, 0, -10, 5_799_997), CRS)
ENGINES = ["stackstac", *(["odc-stac"] if find_spec("odc.stac") else [])]
WEST = np.arange(SIDE) < SIDE // 2
#: A mask that leaves out the western half.
MASK = np.tile(np.where(WEST, 0, 255).astype(np.uint8), (SIDE, 1))
TABLE = ClassTable(name="mine", labels={1: "water", 2: "forest", 3: "town"}, unknown=0, colors={})


def numbers(dtype: str, low: float, high: float, seed: int = 0) -> np.ndarray:
    """A square of numbers."""
    drawn = np.random.default_rng(seed).uniform(low, high, (SIDE, SIDE))
    return drawn.astype(dtype) if np.dtype(dtype).kind == "f" else np.rint(drawn).astype(dtype)


def write(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """A GeoTIFF of (height, width) or (bands, height, width).

    Options are GDAL's, and `mask` with `beside`, `scale`, `offset` and `tags`.
    """
    mask, beside = options.pop("mask", None), options.pop("beside", False)
    units = {key: options.pop(key) for key in ("scale", "offset") if key in options}
    tags = options.pop("tags", {})
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    profile = {"driver": "GTiff", "crs": CRS, "transform": LIES, "tiled": True, "blockxsize": 32, "blockysize": 32}
    profile |= {"height": SIDE, "width": SIDE, "count": len(pixels), "dtype": pixels.dtype, **options}
    with rasterio.open(path, "w", **profile) as out:
        out.write(pixels)
        out.update_tags(**tags)
        if "scale" in units:
            out.scales = [units["scale"]] * len(pixels)
        if "offset" in units:
            out.offsets = [units["offset"]] * len(pixels)
    if mask is not None:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not beside), rasterio.open(path, "r+") as out:
            out.write_mask(mask)
    return path


def outline() -> dict[str, Any]:
    """The square in degrees."""
    to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    box = shapely.box(*rasterio.transform.array_bounds(SIDE, SIDE, LIES))
    return shapely.geometry.mapping(shapely.transform(box, lambda p: np.stack(to_degrees.transform(*p.T), -1)))


def catalogue(folder: Path, assets: dict[str, Any], **properties: Any) -> Path:
    """A catalogue of one item; its grid is told, so that nothing is read before pixels are."""
    where = {"proj:code": CRS, "proj:transform": LIES[:6], "proj:shape": [SIDE, SIDE]}
    properties = {"datetime": "2024-06-01T10:00:00Z", "eo:cloud_cover": 0, **where, **properties}
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "i", "collection": "c", "geometry": outline()}
    item |= {"properties": properties, "links": [], "assets": assets}
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    return path


def imagery(folder: Path, **options: Any) -> nt.StacSource:
    return nt.StacSource(url=str(folder / "items.json"), collection="c", **options)


def everywhere(source: Any, band: str) -> dict[str, np.ndarray]:
    """The same square by every way there is: one scene, a cube over time, and pixels that are not the grid's."""
    scene, cube = nt.open_scene(GRID, [source], chunks=40), nt.open_cube(GRID, [source], chunks=40)
    beside = nt.open_cube(BESIDE, [source], chunks=40)
    return {"scene": scene[band].values, "cube": cube[band].values[..., :, :].reshape(SIDE, SIDE),
            "beside": beside[band].values.reshape(SIDE - 1, SIDE - 1)}  # fmt: skip


def assert_everywhere(source: Any, band: str, right: np.ndarray) -> None:
    for way, found in everywhere(source, band).items():
        expected = right[: found.shape[0], : found.shape[1]]
        assert found.dtype == expected.dtype, way
        assert np.array_equal(found, expected), (way, np.argwhere(found != expected)[:3], found, expected)


# Imagery


@dataclass(frozen=True)
class Case:
    """A file with its item, and what comes of a pixel."""

    pixels: np.ndarray
    right: Callable[[np.ndarray], Any]
    """Digital numbers of the pixels, float64; those that are below 1 count as 1."""
    seen: Callable[[np.ndarray], Any] = lambda p: p != 0
    """Where there is data."""
    file: dict[str, Any] = field(default_factory=dict)
    item: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    def truth(self) -> np.ndarray:
        """What is right, by numpy on the whole array."""
        pixels = self.pixels if self.pixels.ndim == 2 else self.pixels[0]
        seen = np.broadcast_to(self.seen(pixels), pixels.shape)
        values = np.rint(self.right(np.where(seen, pixels, 0).astype(np.float64)))
        return np.where(seen, np.clip(values, 1, 65535), 0).astype(np.uint16)


def same(pixels: np.ndarray) -> np.ndarray:
    return pixels


def with_holes(pixels: np.ndarray, value: float) -> np.ndarray:
    """Pixels with nodata in the west, and a few zeros that are data or not."""
    pixels = pixels.copy()
    pixels[:, WEST] = value
    pixels[5, 40:44] = 0
    return pixels


def said(**values: Any) -> dict[str, Any]:
    """What an item of STAC 1.0 says of a band."""
    return {"raster:bands": [values]}


U16, I16 = numbers("uint16", 0, 9000), numbers("int16", -300, 9000)
FLOAT = numbers("float32", 0.0005, 0.6)
EAST = np.broadcast_to(~WEST, (SIDE, SIDE))
LANDSAT = {"scale": 2.75e-5, "offset": -0.2}
IMAGERY = {
    "numbers that nobody declares": Case(U16, same),
    "uint8": Case(numbers("uint8", 0, 100), same),
    "uint32": Case(numbers("uint32", 0, 90_000), same),
    "int64": Case(numbers("int64", 0, 9000), same),
    "int16 without nodata": Case(I16, same),
    "int16, -9999 by the file": Case(with_holes(I16, -9999), same, lambda p: p != -9999, {"nodata": -9999}),
    "int16, -32768 by the item": Case(with_holes(I16, -32768), same, lambda p: p != -32768, item=said(nodata=-32768)),
    "nodata as text": Case(with_holes(I16, -9999), same, lambda p: p != -9999, item=said(nodata="-9999")),
    "nodata of STAC 1.1": Case(with_holes(I16, -9999), same, lambda p: p != -9999, item={"bands": [{"nodata": -9999}]}),
    "nodata of the asset": Case(with_holes(I16, -9999), same, lambda p: p != -9999, item={"nodata": -9999}),
    "nodata of the recipe": Case(with_holes(I16, -9999), same, lambda p: p != -9999, source={"nodata": -9999}),
    "nodata that uint8 cannot hold": Case(numbers("uint8", 0, 255), same, item=said(nodata=-9999)),
    "nodata that uint16 cannot hold": Case(U16, same, item=said(nodata=65536.5)),
    "nodata that is none": Case(U16, same, item=said(nodata="none")),
    "uint16, 65535 by the item": Case(with_holes(U16, 65535), same, lambda p: (p != 65535) & (p != 0),
                                      item=said(nodata=65535)),
    "a mask inside": Case(U16, same, lambda p: EAST, {"mask": MASK}),
    "a mask beside": Case(U16, same, lambda p: EAST, {"mask": MASK, "beside": True}),
    "a mask and a nodata value": Case(U16, same, lambda p: EAST & (p != 0), {"mask": MASK, "nodata": 0}),
    "a mask, offset by the item": Case(U16, lambda p: p - 1000, lambda p: EAST, {"mask": MASK},
                                       said(scale=1e-4, offset=-0.1)),
    "gray and alpha": Case(np.stack([U16, np.where(EAST, 65535, 0).astype("uint16")]), same, lambda p: EAST,
                           {"alpha": "yes"}),
    "alpha and a nodata value": Case(np.stack([U16, np.where(EAST, 1, 0).astype("uint16")]), same,
                                     lambda p: EAST & (p != 0), {"alpha": "yes", "nodata": 0}),
    "nodata of all bands together": Case(np.stack([with_holes(U16, 7)] * 3), same, lambda p: p != 7,
                                         {"tags": {"NODATA_VALUES": "7 7 7"}}),
    "fourth band of a sensor, taken for alpha": Case(
        np.stack([numbers("uint8", 1, 250, k) for k in range(3)] + [numbers("uint8", 0, 3)]), same, lambda p: p > -1,
        item={"eo:bands": [{"name": n, "common_name": n} for n in ("red", "green", "blue", "nir")]}),
    "Landsat by the item": Case(numbers("uint16", 1, 60_000), lambda p: p * 0.275 - 2000, item=said(nodata=0, **LANDSAT)),
    "Landsat by STAC 1.1": Case(numbers("uint16", 1, 60_000), lambda p: p * 0.275 - 2000,
                                item={"raster:scale": 2.75e-5, "raster:offset": -0.2, "nodata": 0}),
    "Landsat by the file": Case(numbers("uint16", 1, 60_000), lambda p: p * 0.275 - 2000, file=LANDSAT),
    "Landsat by the recipe": Case(numbers("uint16", 1, 60_000), lambda p: p * 0.275 - 2000, source=LANDSAT),
    "scale by the item, offset by the file": Case(
        numbers("uint16", 1, 60_000), lambda p: p * 0.275 - 2000, file=LANDSAT, item=said(scale=2.75e-5)),
    "item before file": Case(U16, same, file=LANDSAT, item=said(scale=1e-4, offset=0)),
    "recipe before item": Case(U16, lambda p: p * 0.5 + 100, item=said(**LANDSAT), source={"scale": 5e-5, "offset": 0.01}),
    "scale 1 of whole numbers": Case(U16, same, item=said(scale=1, offset=0)),
    "MODIS": Case(with_holes(I16, -28672), same, lambda p: p != -28672, {"nodata": -28672}, said(scale=0.0001)),
    "HLS by the file": Case(with_holes(I16, -9999), same, lambda p: p != -9999, {"nodata": -9999, "scale": 0.0001}),
    "percent as uint8": Case(numbers("uint8", 0, 100), lambda p: p * 100, item=said(scale=0.01)),
    "float of scale 1": Case(with_holes(FLOAT, np.nan), lambda p: p * 1e4, lambda p: ~np.isnan(p), {"nodata": np.nan},
                             said(scale=1.0, offset=0.0, nodata="nan")),
    "float without nodata": Case(with_holes(FLOAT, 0), lambda p: p * 1e4, item=said(scale=1)),
    "float of unit reflectance": Case(FLOAT, lambda p: p * 1e4, item=said(unit="reflectance")),
    "float by the recipe": Case(FLOAT, lambda p: p * 1e4, source={"scale": 1}),
    "float with an offset": Case(FLOAT, lambda p: p * 1e4 - 1000, item=said(scale=1, offset=-0.1, data_type="float32")),
    "float, -9999": Case(with_holes(FLOAT, -9999), lambda p: p * 1e4, lambda p: p != -9999, {"nodata": -9999},
                         said(scale=1)),
    "float, least float as text": Case(with_holes(FLOAT, np.finfo("f4").min), lambda p: p * 1e4,
                                       lambda p: p != np.finfo("f4").min, item=said(scale=1, nodata="-3.4028235e+38")),
    "float, least float as a short text": Case(
        with_holes(FLOAT, np.finfo("f4").min), lambda p: p * 1e4, lambda p: p != np.finfo("f4").min,
        item=said(scale=1, nodata="-3.40282e+38")),
    "float with infinity": Case(with_holes(FLOAT, np.inf), lambda p: p * 1e4, lambda p: np.isfinite(p) & (p != 0),
                                item=said(scale=1)),
    "float with a mask": Case(with_holes(FLOAT, 0.3), lambda p: p * 1e4, lambda p: EAST, {"mask": MASK}, said(scale=1)),
    "float digital numbers": Case(numbers("float64", 1, 9000), same, source={"scale": 1e-4}),
    "Sentinel-2, whatever its file says": Case(
        U16, lambda p: p - 1000, file={"scale": 1e-4, "offset": -0.1}, properties={"s2:processing_baseline": "05.11"}),
    "Sentinel-2 as reflectance": Case(
        FLOAT, lambda p: p * 1e4, item=said(scale=1), properties={"s2:processing_baseline": "05.11"}),
    "Sentinel-2 as reflectance by the recipe": Case(
        FLOAT, lambda p: p * 1e4, source={"scale": 1}, properties={"s2:processing_baseline": "05.11"}),
    "Sentinel-2 as reflectance with an offset": Case(
        FLOAT, lambda p: p * 1e4 - 1000, item=said(scale=1, offset=-0.1), properties={"s2:processing_baseline": "05.11"}),
    "Sentinel-2 in another unit by the recipe": Case(
        U16, lambda p: p * 0.5, source={"scale": 5e-5}, properties={"s2:processing_baseline": "05.11"}),
    "Sentinel-2, whole numbers of scale 1": Case(
        U16, lambda p: p - 1000, item=said(scale=1), properties={"s2:processing_baseline": "05.11"}),
    "Sentinel-2, digital numbers as float": Case(
        numbers("float32", 1, 9000), lambda p: p - 1000, source={"scale": 1e-4},
        properties={"s2:processing_baseline": "05.11"}),
    "Sentinel-2, applied, whatever its file says": Case(
        U16, same, file={"scale": 1e-4, "offset": -0.1},
        properties={"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.11"}),
}  # fmt: skip


@pytest.mark.sampled(one_in=5)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", IMAGERY)
def test_imagery_becomes_digital_numbers_of_reflectance(name, engine, tmp_path):
    case = IMAGERY[name]
    write(tmp_path / "a.tif", case.pixels, **case.file)
    catalogue(tmp_path, {"red": {"href": "a.tif", **case.item}}, **case.properties)
    source = imagery(tmp_path, assets=("red",), engine=engine, **case.source)
    if engine == "stackstac":
        assert_everywhere(source, "red", case.truth())
    else:
        assert np.array_equal(nt.open_scene(GRID, [source], chunks=40)["red"].values, case.truth())


#: Of Sentinel-2 after its baseline 04.00, whose reflectance carries 1000 too much.
LATE = {"platform": "sentinel-2a", "s2:processing_baseline": "05.10", "earthsearch:boa_offset_applied": False}
SCL = numbers("uint8", 0, 11)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("scl", {}),
        ("SCL", {"raster:bands": [{"data_type": "uint8", "nodata": 0}]}),
        ("SCL_20m", {"roles": ["data", "reflectance"]}),
        ("oa_fmask", {}),
        ("mine", {"classification:classes": [{"value": 1, "name": "water"}]}),
        ("mine", {"bands": [{"classification:classes": [{"value": 1, "name": "water"}]}]}),
        ("mine", {"raster:bands": [{"classification:classes": [{"value": 1, "name": "water"}]}]}),
        ("mine", {"bands": [{"name": "scl"}]}),
        ("mine", {"file:values": [{"values": [1], "summary": "water"}]}),
    ],
    ids=[
        "scl",
        "SCL",
        "SCL_20m",
        "oa_fmask",
        "of the asset",
        "of bands",
        "of raster:bands",
        "by its band",
        "file:values",
    ],
)
def test_classes_are_never_taken_for_reflectance(name, item, engine, tmp_path):
    write(tmp_path / "r.tif", U16, nodata=0)
    write(tmp_path / "c.tif", SCL, nodata=0)
    catalogue(tmp_path, {"red": {"href": "r.tif"}, name: {"href": "c.tif", **item}}, **LATE)
    source = imagery(tmp_path, assets=("red", name), engine=engine)
    for opened in (nt.open_scene, nt.open_cube):
        with pytest.raises((InputError, NoScene), match=rf"holds classes.*masks=\('{name}',\)"):
            opened(GRID, [source])
    right = imagery(tmp_path, assets=("red",), masks=(name,), engine=engine)
    np.testing.assert_array_equal(nt.open_cube(GRID, [right])[name].values[0], SCL)


@pytest.mark.parametrize(
    ("name", "item", "dtype"),
    [
        *((name, {}, "uint8") for name in ("cloud", "snow", "Fmask", "dataMask", "udm", "other")),
        *((name, {}, "uint16") for name in ("qa_pixel", "QA60", "wvp", "AOT_20m", "MSK_CLDPRB")),
        ("flags", {"classification:bitfields": [{"offset": 0, "length": 1}]}, "uint16"),
        ("flags", {"raster:bands": [{"classification:bitfields": [{"offset": 0, "length": 1}]}]}, "uint16"),
        ("shadows", {"roles": ["data", "cloud-shadow"]}, "uint16"),
        ("eight", {"raster:bands": [{"data_type": "uint8"}]}, "uint8"),
    ],
)
def test_what_is_no_reflectance_has_its_offset_and_scale_no_more_than_classes(name, item, dtype, tmp_path):
    pixels = numbers(dtype, 0, 255 if dtype == "uint8" else 60_000)
    write(tmp_path / "r.tif", U16, nodata=0)
    write(tmp_path / "q.tif", pixels, nodata=0)
    catalogue(tmp_path, {"red": {"href": "r.tif"}, name: {"href": "q.tif", **item}}, **LATE)
    found = nt.open_cube(GRID, [imagery(tmp_path, assets=("red", name))])
    np.testing.assert_array_equal(found[name].values[0], pixels)
    np.testing.assert_array_equal(found["red"].values[0], np.where(U16 == 0, 0, np.maximum(U16.astype(int) - 1000, 1)))
    if name not in ("other", "eight"):
        told = imagery(tmp_path, assets=("red", name), scale=1e-3, offset=-0.2)
        np.testing.assert_array_equal(nt.open_cube(GRID, [told])[name].values[0], pixels)


@pytest.mark.parametrize("suffix", ["mask", "rgba", "jpeg", "overviews"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_picture_is_observed_where_its_mask_says(suffix, engine, tmp_path):
    picture = np.stack([numbers("uint8", 0, 255, k) for k in range(3)])
    options: dict[str, Any] = {"photometric": "rgb", "interleave": "pixel", "mask": MASK}
    if suffix == "rgba":
        options = {"photometric": "rgb", "alpha": "yes"}
    if suffix == "jpeg":
        picture = np.repeat(np.repeat(picture[:, ::16, ::16], 16, 1), 16, 2)
        options |= {"compress": "jpeg", "photometric": "ycbcr"}
    pixels = np.concatenate([picture, MASK[None]]) if suffix == "rgba" else picture
    path = write(tmp_path / "v.tif", pixels, **options)
    if suffix == "overviews":  # in a file of their own, with a mask of theirs
        with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as raster:
            raster.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
        assert path.with_name("v.tif.ovr").exists()
    catalogue(tmp_path, {"visual": {"href": "v.tif"}})
    with rasterio.open(path) as raster:
        right = raster.read([1, 2, 3]).astype(int)  # black is black, and lossy compression is GDAL's matter
    cube = nt.open_scene(GRID, [imagery(tmp_path, engine=engine)], chunks=40)
    for k, name in enumerate(("red", "green", "blue")):
        assert np.array_equal(cube[name].values, np.where(WEST, 0, np.maximum(right[k], 1)))
        assert cube[name].attrs["rendered"] == 1


def test_a_picture_without_a_mask_has_nothing_where_a_band_is_0(tmp_path):
    picture = np.stack([numbers("uint8", 0, 5, k) for k in range(3)])
    write(tmp_path / "v.tif", picture, photometric="rgb", nodata=0)
    catalogue(tmp_path, {"visual": {"href": "v.tif"}})
    cube = nt.open_scene(GRID, [imagery(tmp_path)])
    assert np.array_equal(np.stack([cube[name].values for name in ("red", "green", "blue")]), picture)


REFUSED = {
    "float": (
        FLOAT,
        {},
        r"red: a\.tif is float32, and neither its item nor its file says in which unit: set imagery\.scale",
    ),
    "complex": (U16.astype("complex64"), {}, r"red: a\.tif holds complex numbers \(complex64\)"),
    "int16 with -9999": (
        with_holes(I16, -9999),
        {},
        r"red: a\.tif holds -9999, which is no reflectance.*imagery\.nodata",
    ),
    "float digital numbers": (FLOAT * 10_000, said(scale=1), r"red: a\.tif holds \d+.*, which is no.*imagery\.scale"),
    "unknown nodata": (
        with_holes(FLOAT, 1e20),
        said(scale=1),
        r"red: a\.tif holds 1\S*e\+20, which is no.*imagery\.nodata",
    ),
    "numbers as percents": (U16, said(scale=0.02), r"red: a\.tif holds \d+, which is no reflectance"),
    "ten times too much": (
        numbers("uint16", 1, 9000),
        said(scale=1e-3),
        r"red: a\.tif holds [\d,]+ of [\d,]+ pixels with a reflectance above 6\.5535 by the scale 0\.001.*imagery\.scale",
    ),
    "an offset too large": (
        numbers("uint16", 30_000, 60_000),
        said(scale=1e-4, offset=2),
        r"red: a\.tif holds [\d,]+ of [\d,]+ pixels with",
    ),
    "float with -9999": (with_holes(FLOAT, -9999), said(scale=1), r"red: a\.tif holds -9999, which is no reflectance"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_reflectance_is_refused_in_a_line(name, engine, tmp_path):
    pixels, item, message = REFUSED[name]
    write(tmp_path / "a.tif", pixels)
    catalogue(tmp_path, {"red": {"href": "a.tif", **item}})
    source = imagery(tmp_path, assets=("red",), engine=engine)
    for cube in (nt.open_scene(GRID, [source]), nt.open_cube(GRID, [source]), nt.open_cube(BESIDE, [source])):
        with pytest.raises(BadPixels, match=message) as caught:
            cube["red"].load()
        assert "\n" not in str(caught.value)
        assert caught.value.band == "red"


@pytest.mark.parametrize(("bright", "refused"), [(64, False), (65, True)])
def test_what_glints_is_no_reason_to_refuse_a_window(bright, refused, tmp_path):
    """Of 64² pixels one in a hundred is 40: up to 64 are let through, whatever the window."""
    pixels = numbers("uint16", 1, 6000)
    pixels.flat[:bright] = 9000
    write(tmp_path / "a.tif", pixels)
    catalogue(tmp_path, {"red": {"href": "a.tif", **said(scale=1e-3)}})
    cube = nt.open_cube(GRID, [imagery(tmp_path, assets=("red",))], chunks=SIDE)
    if refused:
        with pytest.raises(BadPixels, match=r"65 of 4,096 pixels"):
            cube["red"].load()
    else:
        np.testing.assert_array_equal(cube["red"].values[0], np.minimum(pixels.astype(int) * 10, 65535))


def test_complex_integers_are_told_as_well(tmp_path):
    write(tmp_path / "a.tif", U16.astype("complex64"), dtype="complex_int16")
    catalogue(tmp_path, {"red": {"href": "a.tif"}})
    with pytest.raises(BadPixels, match="complex numbers"):
        nt.open_scene(GRID, [imagery(tmp_path, assets=("red",))])["red"].load()
    with pytest.raises(InputError, match=r"a\.tif holds complex numbers \(complex_int16\)"):
        nt.RasterSource(str(tmp_path / "a.tif"), TABLE).describe()


@pytest.mark.parametrize("scale", [0, -1e-4, float("nan"), float("inf")])
def test_a_scale_that_makes_no_reflectance_is_refused(scale, tmp_path):
    with pytest.raises(InputError, match=r"scale is .*0\.0001"):
        imagery(tmp_path, scale=scale)


def test_a_file_is_asked_for_its_mask_only_where_it_has_one(tmp_path):
    for name, options in (("plain", {}), ("masked", {"mask": MASK})):
        write(tmp_path / f"{name}.tif", U16, **options)
    with FileServer(tmp_path) as server:
        access = Access(hosts=(server.address,))
        for name in ("plain", "masked"):
            header = rasters.header(f"{server.url}/{name}.tif", access)
            assert (header.masked, header.alpha) == (name == "masked", 0)
        assert [request.path for request in server.requests()] == [
            "/plain.tif",
            "/masked.tif",
        ]  # and nothing beside them


# Land cover

CLASSES = np.kron(np.random.default_rng(1).choice([1, 2, 3], (8, 8)), np.ones((8, 8), int))
CORINE = {111: 3, 112: 3, 311: 2, 512: 1, 999: 0}
CODES = np.kron(np.random.default_rng(2).choice(list(CORINE), (8, 8)), np.ones((8, 8), int))
UNKNOWN_WEST = np.where(WEST, 0, CLASSES)


def holes(dtype: str, value: float) -> np.ndarray:
    return np.where(WEST, value, CLASSES).astype(dtype)


@dataclass(frozen=True)
class Cover:
    """A raster of classes, and what is right."""

    pixels: np.ndarray
    right: np.ndarray
    file: dict[str, Any] = field(default_factory=dict)
    remap: dict[int, int] = field(default_factory=dict)
    item: dict[str, Any] = field(default_factory=dict)
    """Of its asset; a path says nothing of it."""


COVERS = {
    "uint8": Cover(CLASSES.astype("uint8"), CLASSES),
    "float with NaN": Cover(holes("float32", np.nan), UNKNOWN_WEST),
    "float with NaN as nodata": Cover(holes("float32", np.nan), UNKNOWN_WEST, {"nodata": np.nan}),
    "float64 with -9999": Cover(holes("float64", -9999), UNKNOWN_WEST, {"nodata": -9999}),
    "float, least float as text": Cover(
        holes("float32", np.finfo("f4").min), UNKNOWN_WEST, item=said(nodata="-3.4028235e+38")),
    "float, least float as a short text": Cover(
        holes("float32", np.finfo("f4").min), UNKNOWN_WEST, item=said(nodata=-3.40282e38)),
    "float with 0.1": Cover(holes("float32", 0.1), UNKNOWN_WEST, item=said(nodata=0.1)),
    "int8 with -1": Cover(holes("int8", -1), UNKNOWN_WEST, {"nodata": -1}),
    "int16 with -32768": Cover(holes("int16", -32768), UNKNOWN_WEST, {"nodata": -32768}),
    "int32": Cover(holes("int32", -(2**31)), UNKNOWN_WEST, {"nodata": -(2**31)}),
    "uint32": Cover(holes("uint32", 2**32 - 1), UNKNOWN_WEST, {"nodata": 2**32 - 1}),
    "int64": Cover(holes("int64", -9999), UNKNOWN_WEST, {"nodata": -9999}),
    "one bit": Cover((CLASSES > 1).astype("uint8"), (CLASSES > 1).astype(int), {"nbits": 1}),
    "a mask inside": Cover(CLASSES.astype("uint8"), UNKNOWN_WEST, {"mask": MASK}),
    "a mask beside": Cover(CLASSES.astype("uint8"), UNKNOWN_WEST, {"mask": MASK, "beside": True}),
    "a mask over what is no class": Cover(holes("int16", 4000), UNKNOWN_WEST, {"mask": MASK}),
    "classes and alpha": Cover(np.stack([CLASSES, MASK]).astype("uint8"), UNKNOWN_WEST, {"alpha": "yes"}),
    "a colour table": Cover(CLASSES.astype("uint8"), CLASSES, {"photometric": "palette"}),
    "CORINE": Cover(CODES.astype("uint16"), np.vectorize(CORINE.get)(CODES), {}, CORINE),
    "CORINE as float": Cover(np.where(WEST, np.nan, CODES).astype("float32"),
                             np.where(WEST, 0, np.vectorize(CORINE.get)(CODES)), {}, CORINE),
    "CORINE with nodata": Cover(np.where(WEST, -32768, CODES).astype("int16"),
                                np.where(WEST, 0, np.vectorize(CORINE.get)(CODES)), {"nodata": -32768}, CORINE),
    "one class for another": Cover(CLASSES.astype("uint8"), np.where(CLASSES == 3, 2, CLASSES), {}, {3: 2}),
    "classes exchanged": Cover(CLASSES.astype("uint8"), 4 - CLASSES, {}, {1: 3, 3: 1}),
    "a negative code": Cover(np.where(WEST, -7, CLASSES).astype("int16"), np.where(WEST, 3, CLASSES), {}, {-7: 3}),
}  # fmt: skip


def label_sources(folder: Path, cover: Cover) -> list[Any]:
    """The same raster by its path and by a catalogue."""
    path = write(folder / "lc.tif", cover.pixels, **cover.file)
    catalogue(folder, {"map": {"href": "lc.tif", **cover.item}})
    items = nt.StacLabels(url=str(folder / "items.json"), collection="c", asset="map", classes=TABLE, remap=cover.remap)
    return [items] if cover.item else [nt.RasterSource(str(path), TABLE, remap=cover.remap), items]


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("name", COVERS)
def test_land_cover_is_known_where_it_has_a_class(name, tmp_path):
    for source in label_sources(tmp_path, COVERS[name]):
        assert_everywhere(source, "label", COVERS[name].right.astype(np.uint8))


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_the_first_code_that_is_no_class_is_named(dtype, tmp_path):
    pixels = CLASSES.copy()
    pixels[9, 9] = 523
    for source in label_sources(tmp_path, Cover(pixels.astype(dtype), pixels)):
        with pytest.raises(BadPixels, match=r"lc\.tif holds 523.*no uint8 value.*labels\.remap.*\{523: 1\}"):
            nt.open_scene(GRID, [source])["label"].load()
    for value in (523, 77):
        pixels[9, 9] = value
        for source in label_sources(tmp_path, Cover(pixels.astype(dtype), pixels, remap={111: 1})):
            with pytest.raises(BadPixels, match=rf"lc\.tif holds {value}.*neither the class table nor labels\.remap"):
                nt.open_scene(GRID, [source])["label"].load()


@pytest.mark.parametrize(("count", "options"), [(2, {}), (3, {"photometric": "rgb"}), (3, {"alpha": "yes"})])
def test_of_several_bands_none_is_taken_for_the_classes(count, options, tmp_path):
    several = Cover(np.stack([CLASSES] * count).astype("uint8"), CLASSES, options)
    for source in label_sources(tmp_path, several):
        with pytest.raises(
            (BadPixels, InputError), match=rf"lc\.tif has {count} bands; labels need one band of class ids"
        ):
            nt.open_scene(GRID, [source])["label"].load()


def test_what_is_no_code_is_taken_for_nodata(tmp_path):
    for source in label_sources(tmp_path, Cover(holes("float32", np.finfo("f4").min), CLASSES)):
        with pytest.raises(
            BadPixels, match=r"holds -3\.40\d*e\+38.*if it means nodata, write it into the file"
        ) as error:
            nt.open_scene(GRID, [source])["label"].load()
        assert "remap" not in str(error.value)


def test_codes_become_only_what_the_class_table_has(tmp_path):
    with pytest.raises(InputError, match="remap makes 311 a 9, which mine does not list"):
        nt.RasterSource(str(tmp_path / "lc.tif"), TABLE, remap={311: 9})
    with pytest.raises(InputError, match="remap makes 311 a 9"):
        nt.StacLabels(url="x", collection="c", asset="a", classes=TABLE, remap={311: 9})


# Recipes and builds


def recipe(folder: Path, **changes: Any) -> Any:
    lon, lat = shapely.geometry.shape(outline()).centroid.coords[0]
    (folder / "pois.csv").write_text(f"id,lon,lat\np,{lon},{lat}\n")
    content: dict[str, Any] = {
        "name": "t",
        "pois": {"path": str(folder / "pois.csv")},
        "grid": {"extent_m": 320},
        "imagery": {"url": str(folder / "items.json"), "collection": "c", "datetime": "2024-01-01/2024-12-31"},
        "labels": {"source": "raster", "path": str(folder / "lc.tif"),
                   "dataset": {"name": "mine", "unknown": 0, "classes": dict(TABLE.labels)}},
        "tiles": {"size": 32, "stride": 32, "output_size": 32},
    }  # fmt: skip
    return parse_recipe({key: {**value, **changes.get(key, {})} if isinstance(value, dict) else value
                         for key, value in content.items()})  # fmt: skip


def three_bands(folder: Path, dtype: str, low: float, high: float, **options: Any) -> None:
    for k, name in enumerate(("red", "green", "blue")):
        write(folder / f"{name}.tif", numbers(dtype, low, high, k), **options)
    catalogue(folder, {name: {"href": f"{name}.tif"} for name in ("red", "green", "blue")})


def sidecar(tree: Path) -> dict[str, Any]:
    (path,) = (tree / "metadata").rglob("*.json")
    return dict(json.loads(path.read_text()))


def test_a_build_counts_what_the_masks_leave(tmp_path):
    three_bands(tmp_path, "uint16", 300, 4000, mask=MASK)
    write(tmp_path / "lc.tif", CLASSES.astype("uint8"), mask=MASK)
    done = nt.build(recipe(tmp_path, tiles={"min_valid_fraction": 0.35}), tmp_path / "out", workers=0)
    assert nt.verify(tmp_path / "out", deep=True).problems == ()
    assert (done.tiles, done.rejects) == (1, {})
    found, window = sidecar(tmp_path / "out"), CLASSES[16:48, 16:48][:, 16:]
    assert (found["valid_fraction"], found["land_cover_label_meta"]["valid_fraction"]) == (0.5, 0.5)
    values, counts = np.unique(window, return_counts=True)
    assert found["land_cover_label_meta"]["classes"] == dict(zip(map(str, values), counts.tolist(), strict=True))


def test_a_build_takes_units_and_codes_from_its_recipe(tmp_path):
    three_bands(tmp_path, "float32", 0.02, 0.5)
    write(tmp_path / "lc.tif", CODES.astype("uint16"))
    told = recipe(tmp_path, imagery={"scale": 1, "offset": 0.1}, labels={"remap": CORINE})
    done = nt.build(told, tmp_path / "out", workers=0)
    assert nt.verify(tmp_path / "out", deep=True).problems == ()
    assert (done.tiles, done.rejects) == (1, {})
    found = sidecar(tmp_path / "out")
    assert found["imagery"]["offset_applied"] == dict.fromkeys(("red", "green", "blue"), 1000)
    for k, name in enumerate(("red", "green", "blue")):
        band = np.sort(np.rint(numbers("float32", 0.02, 0.5, k)[16:48, 16:48].astype(float) * 1e4 + 1000).ravel())
        low, high = (band[int(np.ceil(share * band.size)) - 1] for share in (0.02, 0.98))
        assert (found["stretch"]["low"][name], found["stretch"]["high"][name]) == (low, high)


@pytest.mark.parametrize(
    ("dtype", "asset", "reason"),
    [
        ("float32", "red", "is float32, and neither"),
        ("uint16", "visual", "is uint16, and a rendered picture has 8 bits"),
    ],
)
def test_a_build_says_which_asset_it_cannot_use(dtype, asset, reason, tmp_path):
    three_bands(tmp_path, dtype, 0.02, 4000)
    if asset == "visual":
        write(tmp_path / "v.tif", np.stack([numbers(dtype, 300, 3000, k) for k in range(3)]))
        catalogue(tmp_path, {"visual": {"href": "v.tif"}})
    write(tmp_path / "lc.tif", CLASSES.astype("uint8"))
    done = nt.build(recipe(tmp_path), tmp_path / "out", workers=0)
    assert nt.verify(tmp_path / "out", deep=True).problems == ()
    assert (done.tiles, done.rejects, done.failures) == (0, {"unusable asset": 1}, ())
    (text,) = (path.read_text() for path in (tmp_path / "out/_nutonic/commits").glob("*.json"))
    assert reason in text


def test_recipes_that_say_no_units_keep_their_digest(tmp_path):
    plain = recipe(tmp_path)
    assert recipe(tmp_path, imagery={"scale": None, "nodata": None}, labels={"remap": {}}).digest() == plain.digest()
    others = [recipe(tmp_path, imagery={key: 1}) for key in ("scale", "offset", "nodata")]
    others.append(recipe(tmp_path, labels={"remap": {311: 1}}))
    assert len({plain.digest(), *(each.digest() for each in others)}) == 5


@pytest.mark.parametrize(
    ("part", "keys", "message"),
    [
        ("imagery", {"scale": 0}, "imagery.scale"),
        ("imagery", {"scale": 1, "source": "earthengine", "url": None}, "has scale, which a source earthengine"),
        ("labels", {"remap": {311: 9}}, "remap makes 311 a 9, which mine does not list"),
        ("labels", {"remap": {311: 300}}, "labels.remap.311"),
        ("labels", {"remap": {"forest": 1}}, "labels.remap: its keys are values of pixels"),
        (
            "labels",
            {"remap": {311: 1}, "source": "earthengine", "path": None, "collection": "x", "band": "b"},
            "has remap",
        ),
    ],
)
def test_units_and_codes_that_make_no_sense_are_refused(part, keys, message, tmp_path):
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path, **{part: keys})
