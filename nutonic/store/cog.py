"""Cloud-optimised GeoTIFFs, written strip by strip in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window

from nutonic.errors import StoreError

#: Side of the blocks, in pixels: what GDAL's COG driver takes by default.
BLOCK = 512


#: What tells the files that nutonic wrote from all others: their TIFFTAG_SOFTWARE.
_SOFTWARE = "nutonic"


def is_nutonics(path: Path) -> bool:
    """Whether a file, and no link to one, was written by :func:`write_cog`."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with rasterio.open(path) as raster:
            return bool(raster.tags().get("TIFFTAG_SOFTWARE") == _SOFTWARE)
    except (RasterioError, OSError):
        return False


def write_cog(
    path: Path,
    strips: Iterable[tuple[int, np.ndarray]],
    grid: GeoBox,
    *,
    dtype: str,
    nodata: float | None,
    classes: bool,
) -> None:
    """Write one band, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    strips
        First row, and pixels (rows, width), of parts that make the whole.
    grid
        Where the pixels lie.
    dtype, nodata
        Of the file; nodata None for none.
    classes
        Whether values are classes: overviews then take the nearest pixel, otherwise the average of the valid ones.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    height, width = grid.shape
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": dtype, "count": 1, "height": height, "width": width}
    lies = {"crs": str(grid.crs), "transform": grid.affine, "nodata": nodata}
    how = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "bigtiff": "if_safer"}
    predictor = {"compress": "deflate", "predictor": "floating_point" if dtype.startswith("float") else "standard"}
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
            plain, done = Path(folder) / "plain.tif", Path(folder) / path.name
            with rasterio.open(plain, "w", **profile, **lies, **how, compress="deflate", zlevel=1) as raster:
                raster.update_tags(TIFFTAG_SOFTWARE=_SOFTWARE)
                for row, pixels in strips:
                    raster.write(pixels, 1, window=Window(0, row, width, len(pixels)))
            averaged = {"overview_resampling": "nearest" if classes else "average"}
            rasterio.shutil.copy(
                plain, done, driver="COG", blocksize=BLOCK, bigtiff="if_safer", **predictor, **averaged
            )
            done.replace(path)
    except (RasterioError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise StoreError(f"cannot write {path}: {reason}") from None
