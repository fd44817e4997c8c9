"""Blocks unpacked without GDAL are GDAL's own pixels, whatever the file; what is not known or is damaged is left to it."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from nutonic.errors import ReadFailed
from nutonic.io import raster as rasters
from nutonic.io.access import LOCAL
from nutonic.io.gdal import OpenRaster
from nutonic.io.session import current
from nutonic.io.tiff.blocks import added_by_numpy, fastest_adder

SHAPE = (150, 201)


def written(path: Path, pixels: np.ndarray, **how: object) -> Path:
    profile = {
        "driver": "GTiff", "height": SHAPE[0], "width": SHAPE[1], "count": len(pixels), "dtype": pixels.dtype,
        "crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000),
    }  # fmt: skip
    with rasterio.open(path, "w", **{**profile, "tiled": True, "blockxsize": 64, "blockysize": 32, **how}) as out:
        out.write(pixels)
    return path


def numbers(dtype: str, bands: int = 1) -> np.ndarray:
    """Values that use all of the dtype, so that differences wrap."""
    limits = np.iinfo(dtype)
    return np.random.default_rng(0).integers(limits.min, limits.max, (bands, *SHAPE), dtype, endpoint=True)


def is_plain(path: Path) -> bool:
    with current().rasters.borrow(str(path), LOCAL) as opened:
        return isinstance(opened, OpenRaster) and opened.plain is not None


KNOWN = [
    {"compress": "deflate", "predictor": predictor, "dtype": dtype, "bands": bands, "interleave": "band"}
    for predictor, dtype, bands in product((1, 2), ("uint8", "int16", "uint16", "uint32"), (1, 3))
]
UNKNOWN = [
    {"compress": "deflate", "predictor": 2, "dtype": "uint16", "bands": 3, "interleave": "pixel"},
    {"compress": "lzw", "predictor": 2, "dtype": "uint16"},
    {"compress": "zstd", "predictor": 2, "dtype": "uint16"},
    {"compress": None, "dtype": "uint16"},
    {"compress": "deflate", "predictor": 2, "dtype": "uint16", "endianness": "big"},
    {"compress": "deflate", "dtype": "uint16", "tiled": False, "blockxsize": None, "blockysize": 32},
]


@pytest.mark.parametrize(("how", "known"), [*((how, True) for how in KNOWN), *((how, False) for how in UNKNOWN)])
def test_windows_are_what_gdal_reads(how: dict, known: bool, tmp_path: Path):
    how = dict(how)
    pixels = numbers(how.pop("dtype"), how.pop("bands", 1))
    path = written(tmp_path / "a.tif", pixels, **how)
    assert is_plain(path) == known
    random = np.random.default_rng(1)
    for _ in range(25):
        (top, bottom), (left, right) = (np.sort(random.choice(side + 1, 2, replace=False)).tolist() for side in SHAPE)
        band = int(random.integers(len(pixels)))
        found = rasters.read(str(path), (slice(top, bottom), slice(left, right)), band=band + 1)
        assert found.dtype == pixels.dtype
        np.testing.assert_array_equal(found, pixels[band, top:bottom, left:right])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_differences_are_added_up_alike_with_and_without_the_extra(dtype: str):
    pytest.importorskip("imagecodecs")
    pixels = numbers(dtype)[0]
    stored = np.diff(pixels, axis=1, prepend=pixels.dtype.type(0))
    ways = (added_by_numpy, fastest_adder())
    assert ways[0] is not ways[1]
    for add_up in ways:
        bits = stored.copy()
        add_up(bits[16:80])  # some rows, as they are asked for
        np.testing.assert_array_equal(bits[16:80], pixels[16:80])
        np.testing.assert_array_equal(bits[:16], stored[:16])


def test_a_sparse_block_is_nodata(tmp_path: Path):
    pixels = np.full((1, *SHAPE), 7, np.uint16)
    pixels[:, 32:64, 64:128] = 9
    path = written(tmp_path / "a.tif", pixels, compress="deflate", nodata=7, SPARSE_OK=True)
    np.testing.assert_array_equal(rasters.read(str(path), (slice(0, 150), slice(0, 201))), pixels[0])


def test_a_damaged_block_is_told_and_others_are_read(tmp_path: Path):
    pixels = numbers("uint16")
    path = written(tmp_path / "a.tif", pixels, compress="deflate", predictor=2)
    with rasterio.open(path) as raster:
        at, size = (int(raster.get_tag_item(f"BLOCK_{what}_1_1", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    content = bytearray(path.read_bytes())
    content[at + size // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ReadFailed, match="cannot read rows 40 to 49"):
        rasters.read(str(path), (slice(40, 50), slice(70, 80)))
    np.testing.assert_array_equal(rasters.read(str(path), (slice(0, 30), slice(0, 60))), pixels[0, :30, :60])


def test_a_file_that_was_replaced_is_another(tmp_path: Path):
    one, other = numbers("uint16"), numbers("uint16")[:, ::-1]
    path = written(tmp_path / "a.tif", one, compress="deflate", predictor=2)
    window = (slice(0, 150), slice(0, 201))
    np.testing.assert_array_equal(rasters.read(str(path), window), one[0])
    written(tmp_path / "b.tif", np.ascontiguousarray(other), compress="deflate", predictor=2).replace(path)
    np.testing.assert_array_equal(rasters.read(str(path), window), other[0])
