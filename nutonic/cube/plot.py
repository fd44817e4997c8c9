"""A cube as a picture: its colours, and its classes by name; of what is drawn alone is anything computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nutonic.core.encoding import digital_numbers
from nutonic.core.units import counted
from nutonic.cube.cog import colors_of
from nutonic.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Percentiles of a picture's valid pixels that are drawn black and white.
_LOW, _HIGH = 2, 98

#: Inches of a part: a plot of a hundred dots an inch has no room for more.
MOST_SIDE = 300.0


def plot(cube: xr.Dataset, *, time: int, size: float) -> tuple[Axes, ...]:
    """Draw a step of a cube; see :meth:`.CubeAccessor.plot`."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingExtra("a plot needs matplotlib: pip install 'nutonic[notebook]'") from None
    if not isinstance(size, int | float | np.number) or not 0 < size < MOST_SIDE:
        raise InputError(f"size is {size!r:.40}: give the side of each part in inches, such as 5")
    step = _step(digital_numbers(cube), time)
    shown, classes = _bands(step), [name for name, variable in step.data_vars.items() if colors_of(variable)]
    count = bool(shown) + len(classes)
    if not count:
        raise InputError(
            f"nothing to draw: {', '.join(map(str, cube.data_vars)) or 'no variable'} lie on no grid of y and x"
        )
    pixels = step[[*shown, *classes]].compute()
    _, (axes,) = plt.subplots(1, count, squeeze=False, figsize=(size * count * 1.2, size), layout="constrained")
    if shown:
        _draw_picture(axes[0], pixels[shown])
    for axis, name in zip(axes[bool(shown) :], classes, strict=True):
        _draw_classes(axis, pixels[name])
    for axis in axes:
        axis.set(xlabel=_label(pixels, "x"), ylabel=_label(pixels, "y"))
        axis.locator_params(nbins=5)
    return tuple(axes)


def _step(cube: xr.Dataset, time: int) -> xr.Dataset:
    if not isinstance(time, int | np.integer):
        raise InputError(
            f"time is {time!r:.40}: give the number of a step, from 0; of a day take cube.sel(time=..., method='nearest')"
        )
    if "time" not in cube.dims:
        return cube
    if not -cube.sizes["time"] <= time < cube.sizes["time"]:
        raise InputError(f"time is {time}, and the cube has {counted(cube.sizes['time'], 'step')}")
    return cube.isel(time=int(time))


def _bands(cube: xr.Dataset) -> list[str]:
    """Red, green and blue where they are there, else the first band of reflectance, else nothing."""
    flat = {str(name): v for name, v in cube.data_vars.items() if set(v.dims) == {"y", "x"} and not colors_of(v)}
    if {"red", "green", "blue"} <= flat.keys():
        return ["red", "green", "blue"]
    return [name for name, v in flat.items() if v.attrs.get("kind", "reflectance") == "reflectance"][:1]


def _draw_picture(axis: Axes, bands: xr.Dataset) -> None:
    layers = [_stretched(band) for band in bands.data_vars.values()]
    rgb = np.stack(layers if len(layers) == 3 else layers * 3, axis=-1)
    axis.imshow(rgb, extent=_extent(bands), interpolation="none")
    axis.set_title(", ".join(map(str, bands.data_vars)))


def _stretched(band: xr.DataArray) -> np.ndarray:
    """A band from 0 to 1, by percentiles of its valid pixels; what was not observed is 0."""
    values = band.transpose("y", "x").values.astype(float)
    nodata = band.attrs.get("_FillValue")
    valid = np.isfinite(values) if nodata is None else np.isfinite(values) & (values != nodata)
    if not valid.any():
        return np.zeros(values.shape)
    low, high = np.percentile(values[valid], [_LOW, _HIGH])
    return np.where(valid, np.clip((values - low) / max(high - low, 1e-9), 0, 1), 0)


def _draw_classes(axis: Axes, label: xr.DataArray) -> None:
    """Classes in their own colours, and a legend of those that are there, the most frequent first."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    colors = colors_of(label)
    meanings = str(label.attrs["flag_meanings"]).split()
    names = dict(zip(colors, json.loads(str(label.attrs.get("flag_names", json.dumps(meanings)))), strict=True))
    values = label.transpose("y", "x").values
    palette = np.zeros((256, 4))
    for value, color in colors.items():
        palette[value] = to_rgba(color)
    axis.imshow(palette[values], extent=_extent(label), interpolation="none")
    found, counts = np.unique(values, return_counts=True)
    there = [(value, count) for value, count in zip(found.tolist(), counts.tolist(), strict=True) if value in colors]
    there.sort(key=lambda entry: (-entry[1], entry[0]))
    handles: list[Any] = [
        Patch(
            facecolor=colors[value],
            edgecolor="black",
            label=f"{names[value].replace('_', ' ')} ({count / values.size:.0%})",
        )
        for value, count in there
    ]
    if handles:
        axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    axis.set_title(str(label.attrs.get("long_name", label.name)))


def _extent(data: xr.Dataset | xr.DataArray) -> tuple[float, float, float, float]:
    """West, east, south and north edges: of pixels, not of their centres."""
    edges = []
    for name in ("x", "y"):
        values = np.atleast_1d(data[name].values.astype(float))
        half = abs(values[-1] - values[0]) / max(1, len(values) - 1) / 2
        edges += [values.min() - half, values.max() + half]
    return edges[0], edges[1], edges[2], edges[3]


def _label(cube: xr.Dataset, name: str) -> str:
    units = cube[name].attrs.get("units")
    return f"{name} [{'m' if units == 'metre' else units}]" if units else name
