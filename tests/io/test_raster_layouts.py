"""Rasters of every layout, read over HTTP as from disk: where a header lies and how blocks are stored is their affair."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from affine import Affine

from nutonic.io import raster as rasters
from nutonic.io.access import Access
from nutonic.testing import FileServer

LAYOUTS = {
    "tiled": {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"},
    "predictor": {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "predictor": 2},
    "striped": {"compress": "lzw"},
    "uncompressed": {"tiled": True, "blockxsize": 64, "blockysize": 64},
    "big": {"tiled": True, "blockxsize": 128, "blockysize": 128, "BIGTIFF": "YES", "compress": "zstd"},
    "motorola": {"ENDIANNESS": "BIG", "tiled": True, "blockxsize": 128, "blockysize": 128},
    "cog": {"driver": "COG", "compress": "deflate", "blocksize": 128, "overviews": "AUTO"},
    "sparse": {"tiled": True, "blockxsize": 128, "blockysize": 128, "SPARSE_OK": "TRUE"},
    "jp2": {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "BLOCKXSIZE": "128", "BLOCKYSIZE": "128"},
}


def write(path, **layout) -> np.ndarray:
    """Asymmetric noise, 700 rows by 900 columns; sparse layouts leave a corner out."""
    pixels = np.random.default_rng(8).integers(0, 4000, (700, 900)).astype(np.uint16)
    if "SPARSE_OK" in layout:
        pixels[300:, 256:] = 0
    profile = {"driver": "GTiff", "height": 700, "width": 900, "count": 1, "dtype": "uint16", "nodata": 0,
               "crs": "EPSG:32633", "transform": Affine(10, 0, 500000, 0, -10, 5000000)}  # fmt: skip
    with rasterio.open(path, "w", **{**profile, **layout}) as out:
        out.write(pixels, 1)
    return pixels


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_are_those_of_the_file_and_no_byte_is_fetched_twice(tmp_path, layout):
    suffix = "jp2" if layout == "jp2" else "tif"
    pixels = write(tmp_path / f"a.{suffix}", **LAYOUTS[layout])
    windows = [np.s_[0:64, 0:64], np.s_[100:300, 130:400], np.s_[690:700, 890:900], np.s_[0:700, 0:900],
               np.s_[350:420, 300:800], np.s_[0:1, 0:900], np.s_[699:700, 0:1], np.s_[128:256, 128:256]]  # fmt: skip
    with FileServer(tmp_path) as server:
        url, access = f"{server.url}/a.{suffix}", Access(hosts=(server.address,))
        assert rasters.header(url, access) == rasters.header(str(tmp_path / f"a.{suffix}"))
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda window: rasters.read(url, window, access=access), windows))
        for window, values in zip(windows, found, strict=True):
            assert np.array_equal(values, pixels[window])
        requests = server.requests()
    assert {request.path for request in requests} == {f"/a.{suffix}"}
    spans = [request.span for request in requests]
    assert len(spans) == len(set(spans))  # by eight threads together


def test_a_window_fetches_its_blocks_only(tmp_path):
    write(tmp_path / "a.tif", **LAYOUTS["tiled"])
    size = (tmp_path / "a.tif").stat().st_size
    with FileServer(tmp_path) as server:
        rasters.read(f"{server.url}/a.tif", np.s_[130:250, 130:250], access=Access(hosts=(server.address,)))
        head, *blocks = server.requests()
        assert head.span == (0, 32 * 1024 - 1)
        assert len(blocks) == 1
        assert sum(request.sent for request in (head, *blocks)) < size / 10


def test_a_server_without_ranges_is_told_of(tmp_path, session):
    write(tmp_path / "a.tif", **LAYOUTS["tiled"])
    with FileServer(tmp_path, ranges=False) as server:
        with pytest.raises(rasters.ReadFailed, match=r"a\.tif: range ignored, 6 times"):
            rasters.header(f"{server.url}/a.tif", Access(hosts=(server.address,)))
        assert sum(request.sent for request in server.requests()) < 8 * 2**20
