"""GDAL's variables, which another program may need: the same header and pixels with any, and damage that is told."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.rasters import CORNER, CRS, tif

PIXELS = np.random.default_rng(7).integers(1, 250, (64, 64)).astype(np.uint8)


def plain(path: Path) -> None:
    tif(path, PIXELS)


def points(path: Path) -> None:
    """Placed by the middle of its first pixel."""
    tif(path, PIXELS)
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(AREA_OR_POINT="Point")


def upward(path: Path) -> None:
    """With a height of pixels below 0, as some programs write it without meaning it."""
    tif(path, PIXELS)
    content = path.read_bytes()
    assert content.count(struct.pack("<3d", 10, 10, 0)) == 1
    path.write_bytes(content.replace(struct.pack("<3d", 10, 10, 0), struct.pack("<3d", 10, -10, 0)))


def feet(path: Path) -> None:
    tif(path, PIXELS, corner=(980_000, 200_000), crs="EPSG:2263")


def colours(path: Path) -> None:
    tif(path, np.stack([PIXELS] * 3), compress="jpeg", photometric="YCBCR", interleave="pixel")


def damaged(path: Path) -> None:
    tif(path, PIXELS, compress="deflate")
    content = bytearray(path.read_bytes())
    content[-2000:-1000] = bytes(1000)
    path.write_bytes(content)


def beside(path: Path) -> None:
    """With a world file that says something else."""
    tif(path, PIXELS)
    path.with_suffix(".tfw").write_text("20\n0\n0\n-20\n500010\n5000000\n")


def codestream(path: Path) -> None:
    profile = {"driver": "JP2OpenJPEG", "height": 64, "width": 64, "count": 1, "dtype": "uint8", "crs": CRS,
               "transform": rasterio.Affine(10, 0, CORNER[0], 0, -10, CORNER[1])}  # fmt: skip
    with rasterio.open(path, "w", **profile, QUALITY="100", REVERSIBLE="YES") as out:
        out.write(PIXELS, 1)


VARIABLES = (
    "GDAL_GEOREF_SOURCES=NONE", "GDAL_GEOREF_SOURCES=WORLDFILE,INTERNAL", "GTIFF_POINT_GEO_IGNORE=YES",
    "GTIFF_HONOUR_NEGATIVE_SCALEY=YES", "GTIFF_LINEAR_UNITS=BROKEN", "GTIFF_IGNORE_READ_ERRORS=YES",
    "CONVERT_YCBCR_TO_RGB=NO", "GDAL_JP2K_ALT_OFFSETVECTOR_ORDER=YES", "GDAL_IGNORE_AXIS_ORIENTATION=YES",
    "GDAL_DISABLE_READDIR_ON_OPEN=FALSE", "GDAL_PAM_ENABLED=YES", "GDAL_TIFF_INTERNAL_MASK_TO_8BIT=NO",
    "OSR_DEFAULT_AXIS_MAPPING_STRATEGY=AUTHORITY_COMPLIANT", "GTIFF_SRS_SOURCE=GEOKEYS", "GTIFF_DIRECT_IO=YES",
    "GTIFF_VIRTUAL_MEM_IO=YES", "GDAL_CACHEMAX=1", "GDAL_NUM_THREADS=ALL_CPUS", "GTIFF_IMPORT_FROM_EPSG=NO",
)  # fmt: skip

#: Tells of each file its header and pixels, or what is told in their place.
READER = """
import sys
import numpy as np
from nutonic.errors import NutonicError
from nutonic.io import raster
for path in sys.argv[1:]:
    try:
        header = raster.header(path)
        text = repr(header).replace("\\n", "")
        print(path, header.crs, tuple(header.transform)[:6], text, raster.read(path, np.s_[0:64, 0:64]).tobytes())
    except NutonicError as error:
        print(path, type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    for make in (plain, points, upward, feet, colours, damaged, beside):
        make(folder / f"{make.__name__}.tif")
    codestream(folder / "codestream.jp2")
    return sorted([*folder.glob("*.tif"), *folder.glob("*.jp2")])


def seen(files: list[Path], *variables: str) -> list[str]:
    """What a process with such variables says of the files. rasterio would keep them beyond their time in this one."""
    environment = {**os.environ, **dict(variable.split("=") for variable in variables)}
    done = subprocess.run(
        [sys.executable, "-c", READER, *map(str, files)], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def expected(files) -> list[str]:
    """What is right: what was written, with GDAL as it comes."""
    lines = seen(files)
    assert len(lines) == len(files) == 8
    for path, line in zip(files, lines, strict=True):
        if path.stem in ("plain", "points", "upward", "beside", "codestream"):
            assert f"{CRS} (10.0, 0.0, {CORNER[0]:.1f}, 0.0, -10.0, {CORNER[1]:.1f})" in line
            assert line.endswith(str(PIXELS.tobytes()))
        if path.stem == "damaged":
            assert "damaged.tif Damaged cannot read rows 0 to 63" in line
    return lines


@pytest.mark.long
def test_all_variables_together_move_and_change_nothing(files, expected):
    assert seen(files, *VARIABLES) == expected


@pytest.mark.exhaustive
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_of_gdal_moves_and_changes_nothing(files, expected, variable):
    assert seen(files, variable) == expected
