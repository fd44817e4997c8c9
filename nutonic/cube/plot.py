"""A cube as a picture: its colours, and its classes by name; of what is drawn alone is anything computed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nutonic.core.encoding import digital_numbers, uneven, uneven_axis
from nutonic.core.units import counted
from nutonic.cube.cog import colors_of
from nutonic.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Percentiles of a picture's valid pixels that are drawn black and white.
_LOW, _HIGH = 2, 98

#: Inches of a part: a plot of a hundred dots an inch has no room for more.
MOST_SIDE = 300.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a cube is to be drawn, as :meth:`.CubeAccessor.plot` takes it."""

    bands: Sequence[str] | str | None
    time: int
    robust: bool
    vmin: float | Sequence[float] | None
    vmax: float | Sequence[float] | None
    cmap: str | None
    ax: Axes | Sequence[Axes] | None
    size: float


def plot(cube: xr.Dataset, look: Look) -> tuple[Axes, ...]:
    """Draw a step of a cube; see :meth:`.CubeAccessor.plot`."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingExtra("a plot needs matplotlib: pip install 'nutonic[notebook]'") from None
    if not isinstance(look.size, int | float | np.number) or not 0 < look.size < MOST_SIDE:
        raise InputError(f"size is {look.size!r:.40}: give the side of each part in inches, such as 5")
    step = _step(digital_numbers(cube), look.time)
    if (name := uneven_axis(step)) is not None:
        raise InputError(uneven(name))
    shown, classes = _parts(step, look.bands)
    limits = zip(_limits("vmin", look.vmin, shown), _limits("vmax", look.vmax, shown), strict=True)
    if not isinstance(look.robust, bool | np.bool_):
        raise InputError(
            f"robust is {look.robust!r:.40}: give True, for percentiles, or False, for the least and the most"
        )
    if look.cmap is not None and len(shown) != 1:
        raise InputError(f"cmap is {look.cmap!r:.40}, which is for a single band: give one, such as bands='red'")
    count = bool(shown) + len(classes)
    given = _axes(look.ax, count)
    pixels = _as_a_map(step[[*shown, *classes]].compute())
    stretches = list(zip(shown, limits, strict=True))
    layers = [_stretched(pixels[name], *pair, robust=look.robust) for name, pair in stretches]
    colours = plt.get_cmap(_known_cmap(look.cmap)) if len(layers) == 1 else None
    width = look.size * count * 1.2
    axes = given or tuple(plt.subplots(1, count, squeeze=False, figsize=(width, look.size), layout="constrained")[1][0])
    if layers:
        _draw_picture(axes[0], pixels[shown], layers, colours)
    for axis, name in zip(axes[bool(shown) :], classes, strict=True):
        _draw_classes(axis, pixels[name])
    for axis in axes:
        axis.set(xlabel=_label(pixels, "x"), ylabel=_label(pixels, "y"))
        axis.locator_params(nbins=5)
    return axes


def _as_a_map(pixels: xr.Dataset) -> xr.Dataset:
    """Pixels with north up and west on the left, whichever way their coordinates go."""
    turned = {"x": slice(None, None, -1)} if _goes(pixels, "x") < 0 else {}
    turned |= {"y": slice(None, None, -1)} if _goes(pixels, "y") > 0 else {}
    return pixels.isel(turned)


def _goes(pixels: xr.Dataset, name: str) -> float:
    values = np.atleast_1d(pixels[name].values.astype(float))
    return float(values[-1] - values[0])


def _known_cmap(cmap: str | None) -> str:
    """The colours of a single band."""
    from matplotlib import colormaps

    name = "gray" if cmap is None else cmap
    if not isinstance(name, str) or name not in colormaps:
        raise InputError(f"cmap is {cmap!r:.40}: give the name of a colour map of matplotlib, such as 'viridis'")
    return name


def _axes(ax: Axes | Sequence[Axes] | None, count: int) -> tuple[Axes, ...]:
    """The axes to draw in that are given, one for each part; none if none are."""
    from matplotlib.axes import Axes

    if ax is None:
        return ()
    given: list[Any] = [ax] if isinstance(ax, Axes) else np.ravel(np.asarray(ax, dtype=object)).tolist()
    strange = next((each for each in given if not isinstance(each, Axes)), None)
    if strange is not None:
        raise InputError(f"ax is {strange!r:.40}: give axes of matplotlib, such as plt.gca()")
    if len(given) != count:
        raise InputError(
            f"ax has {_axes_in_words(len(given))}, and there {'is 1 part' if count == 1 else f'are {count} parts'} to draw: "
            "give as many, or fewer parts, such as bands=['red', 'green', 'blue'] or bands='label'"
        )
    return tuple(given)


def _axes_in_words(count: int) -> str:
    """How many axes those are."""
    return f"{count} {'axis' if count == 1 else 'axes'}"


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


def _parts(cube: xr.Dataset, bands: Sequence[str] | str | None) -> tuple[list[str], list[str]]:
    """The bands of the picture, one or three or none, and the variables of classes; those that are asked for, or all."""
    flat = {str(name): variable for name, variable in cube.data_vars.items() if set(variable.dims) == {"y", "x"}}
    if bands is not None:
        return _wanted(cube, flat, [bands] if isinstance(bands, str) else bands)
    classes = [name for name, variable in flat.items() if colors_of(variable)]
    others = [name for name in flat if name not in classes]
    imagery = [name for name in others if flat[name].attrs.get("kind", "reflectance") == "reflectance"]
    shown = ["red", "green", "blue"] if {"red", "green", "blue"} <= {*others} else imagery[:1]
    if not shown and not classes:
        raise InputError(
            f"nothing to draw: {', '.join(map(str, cube.data_vars)) or 'no variable'} lie on no grid of y and x"
        )
    return shown, classes


def _wanted(cube: xr.Dataset, flat: Mapping[str, xr.DataArray], bands: Sequence[str]) -> tuple[list[str], list[str]]:
    """The bands that are asked for; what they are tells whether they are classes."""
    names = list(bands) if isinstance(bands, Iterable) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"bands is {bands!r:.60}: give names, such as ['nir', 'red', 'green'], or one")
    missing = [name for name in names if name not in flat]
    if missing:
        has = "has other dims than y and x" if missing[0] in cube.data_vars else "is not in the cube"
        raise InputError(f"bands has {missing[0]!r:.40}, which {has}: there are {', '.join(flat) or 'none'}")
    classes = list(dict.fromkeys(name for name in names if colors_of(flat[name])))
    shown = [name for name in names if name not in classes]
    if len(shown) not in (0, 1, 3):
        raise InputError(f"bands has {len(shown)} for the picture: give one, or three, for red, green and blue")
    return shown, classes


def _limits(key: str, value: Any, shown: Sequence[str]) -> list[float | None]:
    """The number that is drawn black, or white, of each band; None where it is to be found."""
    if value is None or isinstance(value, int | float | np.number):
        values: list[Any] = [value] * len(shown)
    else:
        values = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    odd = next((v for v in values if v is not None and not _is_number(v)), None)
    if odd is not None or len(values) != len(shown):
        raise InputError(
            f"{key} is {value!r:.40}: give a number of the cube's own, or one for each of {', '.join(shown)}"
        )
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.isfinite(value))


def _draw_picture(axis: Axes, bands: xr.Dataset, layers: Sequence[np.ndarray], colours: Any) -> None:
    """One band in colours, where it was observed; or three as red, green and blue."""
    if colours is None:
        picture = np.stack([np.nan_to_num(layer) for layer in layers], axis=-1)
    else:
        picture = np.where(np.isnan(layers[0])[..., None], (0, 0, 0, 1), colours(np.nan_to_num(layers[0])))[..., :3]
    axis.imshow(picture, extent=_extent(bands), interpolation="none")
    axis.set_title(", ".join(map(str, bands.data_vars)))


def _stretched(band: xr.DataArray, low: float | None, high: float | None, *, robust: bool) -> np.ndarray:
    """A band from 0 to 1, by limits or by percentiles of its valid pixels; NaN where it was not observed."""
    values = band.transpose("y", "x").values.astype(float)
    nodata = band.attrs.get("_FillValue")
    valid = np.isfinite(values) if nodata is None else np.isfinite(values) & (values != nodata)
    found = np.percentile(values[valid], [_LOW, _HIGH] if robust else [0, 100]) if valid.any() else (0.0, 1.0)
    black, white = found[0] if low is None else low, found[1] if high is None else high
    if low is not None and high is not None and low >= high:
        raise InputError(f"vmin is {low:g} and vmax {high:g} of {band.name}: give a vmin below vmax")
    return np.where(valid, np.clip((values - black) / max(white - black, 1e-9), 0, 1), np.nan)


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
