"""Undo xarray's decoding of cubes that were read back from files.

xarray decodes by default: whole numbers become floats with NaN for nodata, and the file's nodata value moves from
``attrs`` to ``encoding``. Nothing is lost by that, so functions that take a cube undo it first.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr


def digital_numbers(cube: xr.Dataset) -> xr.Dataset:
    """A cube whose variables hold what their files hold: whole numbers, and in ``attrs`` which of them means nodata.

    Parameters
    ----------
    cube
        As opened by nutonic, or by xarray from a saved cube, lazily or not.

    Returns
    -------
    xarray.Dataset
        The same cube if nothing of it was decoded. Lazy variables stay lazy and keep their chunks.
    """
    if not isinstance(cube, xr.Dataset):
        raise _no_cube(cube)
    encoded = {str(name): stored(variable) for name, variable in cube.data_vars.items() if _is_decoded(variable)}
    return cube.assign(encoded) if encoded else cube


def _no_cube(what: object) -> TypeError:
    more = ": select with a list, cube[['red']], to have one" if isinstance(what, xr.DataArray) else ""
    return TypeError(f"a cube is an xarray.Dataset, and this is a {type(what).__name__}{more}")


def stored(variable: xr.DataArray) -> xr.DataArray:
    """A variable with its file's values and dtype; unchanged if it was not decoded."""
    if not _is_decoded(variable):
        return variable
    nodata, dtype = variable.encoding["_FillValue"], _stored_dtype(variable)
    attrs: dict[str, Any] = {"_FillValue": int(nodata) if dtype.kind in "iu" else float(nodata), **variable.attrs}
    if "grid_mapping" in variable.encoding:
        attrs["grid_mapping"] = variable.encoding["grid_mapping"]
    if variable.dtype != dtype:
        encode = partial(_encoded, nodata=nodata, dtype=dtype)
        variable = xr.apply_ufunc(encode, variable, dask="parallelized", output_dtypes=[dtype])
    else:
        variable = variable.copy(deep=False).drop_encoding()
    return variable.assign_attrs(attrs)


def _is_decoded(variable: xr.DataArray) -> bool:
    """Whether xarray replaced nodata by NaN; a variable that was scaled as well is not from nutonic."""
    scaled = {"scale_factor", "add_offset"} & set(variable.encoding)
    return "_FillValue" in variable.encoding and "_FillValue" not in variable.attrs and not scaled


def _stored_dtype(variable: xr.DataArray) -> np.dtype[Any]:
    """The file's integer dtype if whole numbers were decoded to floats, else the variable's own."""
    dtype = np.dtype(variable.encoding.get("dtype", variable.dtype))
    return dtype if variable.dtype.kind == "f" and dtype.kind in "iu" else variable.dtype


def _encoded(pixels: np.ndarray, *, nodata: float, dtype: np.dtype[Any]) -> np.ndarray:
    return np.where(np.isnan(pixels), nodata, pixels).astype(dtype)
