"""A cube as its numbers are: xarray's decoding undone, and nothing in its attributes that holds no more.

xarray decodes by default: whole numbers become floats with NaN for nodata, and the file's nodata value moves from
``attrs`` to ``encoding``. Nothing is lost by that, so functions that take a cube undo it first.

And xarray keeps attributes: what was computed of whole numbers still says that 0 means nodata, and a cube of every tenth
pixel that its pixels are as small as before. Neither holds, so functions that take a cube put it right first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


def digital_numbers(cube: xr.Dataset) -> xr.Dataset:
    """A cube whose variables hold what their files hold: whole numbers, and in ``attrs`` which of them means nodata.

    Of floats it is NaN, unless they say otherwise by a float; of truth values none. The transform is the coordinates' own.

    Parameters
    ----------
    cube
        As opened by nutonic, or by xarray from a saved cube, lazily or not.

    Returns
    -------
    xarray.Dataset
        The same cube if nothing of it is to be changed. Lazy variables stay lazy and keep their chunks.
    """
    if not isinstance(cube, xr.Dataset):
        raise _no_cube(cube)
    pairs = ((str(name), variable, stored(variable)) for name, variable in cube.data_vars.items())
    changed = {name: new for name, variable, new in pairs if new is not variable}
    return with_own_transform(cube.assign(changed) if changed else cube, moved=False)


def _no_cube(what: object) -> TypeError:
    more = ": select with a list, cube[['red']], to have one" if isinstance(what, xr.DataArray) else ""
    return TypeError(f"a cube is an xarray.Dataset, and this is a {type(what).__name__}{more}")


def stored(variable: xr.DataArray) -> xr.DataArray:
    """A variable with its file's values and dtype, and its own nodata; the same one if that is what it has."""
    if not _is_decoded(variable):
        dtype = _unsigned(variable, variable.dtype)
        return _with_own_nodata(variable if dtype == variable.dtype else variable.astype(dtype, keep_attrs=True))
    nodata, dtype = variable.encoding["_FillValue"], _unsigned(variable, _stored_dtype(variable))
    attrs: dict[str, Any] = {"_FillValue": int(nodata) if dtype.kind in "iu" else float(nodata), **variable.attrs}
    if "grid_mapping" in variable.encoding:
        attrs["grid_mapping"] = variable.encoding["grid_mapping"]
    if variable.dtype != dtype:
        encode = partial(_encoded, nodata=nodata, dtype=dtype)
        variable = xr.apply_ufunc(encode, variable, dask="parallelized", output_dtypes=[dtype])
    else:
        variable = variable.copy(deep=False).drop_encoding()
    return variable.assign_attrs(attrs)


def _with_own_nodata(variable: xr.DataArray) -> xr.DataArray:
    """A variable without the nodata value of the whole numbers that it was computed of; of floats it is NaN."""
    kind, nodata = variable.dtype.kind, variable.attrs.get("_FillValue")
    of_others = nodata is not None and np.asarray(nodata).dtype.kind in "iub"
    if kind not in "fb" or not (of_others or (kind == "f" and nodata is None)):
        return variable
    changed = variable.copy(deep=False)
    changed.attrs = {key: value for key, value in variable.attrs.items() if key != "_FillValue"}
    changed.encoding = {key: value for key, value in variable.encoding.items() if key != "_FillValue"}
    return changed.assign_attrs({"_FillValue": np.nan}) if kind == "f" else changed


#: By how much of a pixel a transform may be beside the coordinates, which are rounded.
_ROUNDED = 1e-6

#: By how much of a pixel steps between centres may differ, and still be of one size.
_NEAR_STEP = 1e-3


def with_own_transform(cube: xr.Dataset, *, moved: bool = True) -> xr.Dataset:
    """A cube whose ``GeoTransform`` is that of its coordinates: where it is beside them it is written anew, or left out.

    Unless `moved`, one of pixels of the same size counts as its own wherever it starts, as of a slice: rioxarray takes no
    more of it than their size.
    """
    told = str(cube["spatial_ref"].attrs.get("GeoTransform", "")) if "spatial_ref" in cube.coords else ""
    if not told or not {"x", "y"} <= set(cube.coords) or cube["x"].ndim != 1 or cube["y"].ndim != 1:
        return cube
    left, width, turned, top, skewed, height = map(float, told.split())
    if turned or skewed:
        return cube
    axes = [_axis(cube[name].values, size, start) for name, size, start in (("x", width, left), ("y", height, top))]
    same = [axis is not None and axis[1] == size for axis, size in zip(axes, (width, height), strict=True)]
    if axes == [(left, width), (top, height)] or (all(same) and not moved):
        return cube
    here, attrs = cube["spatial_ref"].copy(deep=False), dict(cube["spatial_ref"].attrs)
    del attrs["GeoTransform"]
    if None not in axes:
        (left, width), (top, height) = (axis for axis in axes if axis is not None)
        attrs["GeoTransform"] = f"{left:.17g} {width:.17g} 0 {top:.17g} 0 {height:.17g}"
    here.attrs = attrs
    return cube.assign_coords(spatial_ref=here)


def own_geobox(cube: xr.Dataset) -> GeoBox | None:
    """The grid of a cube's pixels, by its coordinates; None for a cube without axes, or with pixels of several sizes."""
    import odc.geo.xr  # noqa: F401  registers cube.odc

    if uneven_axis(cube) is not None:
        return None
    geobox: GeoBox | None = cube.odc.geobox
    return geobox


def uneven_axis(cube: xr.Dataset | xr.DataArray) -> str | None:
    """Which of x and y has pixels of several sizes, as of a list of columns; None where both have pixels of one."""
    for name in ("x", "y"):
        if name in cube.coords and cube[name].ndim == 1 and cube[name].dtype.kind in "iuf":
            values = cube[name].values.astype(float)
            if values.size > 1 and _axis(values, 1.0, 0.0) is None:
                return name
    return None


def uneven(name: str) -> str:
    """What to say of such an axis, with what to do."""
    return (
        f"{name} has pixels of several sizes, which no picture has: take a slice, such as isel({name}=slice(0, 9, 3))"
    )


def _axis(centres: np.ndarray, size: float, start: float) -> tuple[float, float] | None:
    """Where an axis starts, and the size of its pixels: as told where that is right; None where they are of several."""
    if not centres.size:
        return start, size
    steps = np.diff(centres) if centres.size > 1 else np.array([size])
    own = float(centres[-1] - centres[0]) / (centres.size - 1) if centres.size > 1 else size
    if not own or np.abs(steps - own).max() > _NEAR_STEP * abs(own):
        return None
    size = size if abs(own - size) * centres.size <= _ROUNDED * abs(size) else own
    first = float(centres[0]) - size / 2
    return (start if abs(first - start) <= _ROUNDED * abs(size) else first), size


def _is_decoded(variable: xr.DataArray) -> bool:
    """Whether xarray replaced nodata by NaN; a variable that was scaled as well is not from nutonic."""
    scaled = {"scale_factor", "add_offset"} & set(variable.encoding)
    return "_FillValue" in variable.encoding and "_FillValue" not in variable.attrs and not scaled


def _stored_dtype(variable: xr.DataArray) -> np.dtype[Any]:
    """The file's integer dtype if whole numbers were decoded to floats, else the variable's own."""
    dtype = np.dtype(variable.encoding.get("dtype", variable.dtype))
    return dtype if variable.dtype.kind == "f" and dtype.kind in "iu" else variable.dtype


def _unsigned(variable: xr.DataArray, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that a variable of nutonic's had before a file took it that has no unsigned numbers, as netCDF 3."""
    nodata = variable.attrs.get("_FillValue", variable.encoding.get("_FillValue"))
    of_a_file = "dtype" in variable.encoding
    if not of_a_file or dtype.kind != "i" or nodata is None or int(nodata) < 0:
        return dtype
    of_kind = {"reflectance": "uint16", "index": "uint16", "class": "uint8"}
    return np.dtype(of_kind.get(variable.attrs.get("kind", ""), dtype))


def _encoded(pixels: np.ndarray, *, nodata: float, dtype: np.dtype[Any]) -> np.ndarray:
    return np.where(np.isnan(pixels), nodata, pixels).astype(dtype)
