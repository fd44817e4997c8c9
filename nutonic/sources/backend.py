"""Lazy variables on a grid: rasters in any CRS, by window-independent nearest neighbour."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from xarray.backends import BackendArray
from xarray.core import indexing

from nutonic.core.catalogs import AERIAL
from nutonic.core.grid import coordinates
from nutonic.core.model import Asset, Band, Json, Scene
from nutonic.core.nearest import source_axes, source_pixels
from nutonic.errors import BadPixels, Gone, GridError, ReadFailed
from nutonic.io import raster as rasters
from nutonic.io.access import LOCAL, Access
from nutonic.sources.pixels import as_in_file, checked_header, decoded, refuse_several


def dataset(
    geobox: GeoBox,
    arrays: Mapping[Band, da.Array | indexing.LazilyIndexedArray],
    time: np.ndarray | None = None,
    *,
    rendered: bool = False,
) -> xr.Dataset:
    """Arrays (height, width) on a grid as a dataset with the grid's coordinates, CRS and nodata values.

    With the times of their first axis, (steps,) datetime64, arrays are (steps, height, width). Imagery that is rendered
    already says so, as an attribute.
    """
    dims = ("y", "x") if time is None else ("time", "y", "x")
    variables = {band.name: xr.Variable(dims, array, _attributes(band, rendered)) for band, array in arrays.items()}
    coords = {} if time is None else {"time": ("time", time, {"standard_name": "time", "axis": "T"})}
    return xr.Dataset(variables, coords={**coords, **_pixel_centres(geobox)})


def _attributes(band: Band, rendered: bool) -> dict[str, Any]:
    rendering = {"rendered": 1} if rendered and band.kind == "reflectance" else {}
    return {"_FillValue": band.nodata, "grid_mapping": "spatial_ref", "kind": band.kind, **rendering, **_flags(band)}


def with_meaning(ds: xr.Dataset, scenes: Sequence[Scene]) -> xr.Dataset:
    """A dataset whose imagery says in CF's words what its numbers are, as far as its scenes tell without being opened.

    Units are ``1`` of either: they hold of what is computed of two bands too, which xarray leaves what these have in common.
    """
    for name in (str(name) for name, variable in ds.data_vars.items() if variable.attrs.get("kind") == "reflectance"):
        assets = [(scene, scene.asset(name)) for scene in scenes if scene.has(name)]
        if assets:
            ds[name].attrs |= {"units": "1", **_meaning(name, assets), **_wavelength(assets)}
    return ds


def _meaning(name: str, assets: Sequence[tuple[Scene, Asset]]) -> dict[str, Any]:
    if all(asset.rendered for _, asset in assets):
        return {"long_name": f"{name}, digital number of a picture, 0 to 255"}
    if all(_is_declared(scene, asset) for scene, asset in assets):
        return {"long_name": f"{name}, reflectance in ten-thousandths"}
    several = any(_is_declared(scene, asset) or asset.rendered for scene, asset in assets)
    return {
        "long_name": f"{name}, digital number",
        "comment": f"{'of some scenes' if several else 'of its scenes'} no item declares a scale; one that a file declares "
        "is applied, to ten-thousandths of reflectance",
    }


def _is_declared(scene: Scene, asset: Asset) -> bool:
    """Whether a catalogue, or the user, says what an asset's numbers are, or everybody knows, as of Sentinel-2."""
    if asset.rendered or scene.collection in AERIAL:
        return asset.scale is not None and not asset.rendered
    return asset.scale is not None or asset.offset is not None


def _wavelength(assets: Sequence[tuple[Scene, Asset]]) -> dict[str, Any]:
    """The middle of a band in micrometres, where all items that are at hand say the same."""
    told = {_centre(scene.item, asset) for scene, asset in assets if scene.item is not None}
    centre = told.pop() if len(told) == 1 else None
    return {} if centre is None else {"center_wavelength": centre, "center_wavelength_units": "um"}


def _centre(item: Json, asset: Asset) -> float | None:
    address = asset.href.partition("?")[0]  # as items that are kept have it, but for harmless queries
    content: Json = next(
        (each for each in item.get("assets", {}).values() if str(each.get("href")).partition("?")[0] == address), {}
    )
    for bands, key in ((content.get("eo:bands"), "center_wavelength"), (content.get("bands"), "eo:center_wavelength")):
        if isinstance(bands, list) and asset.band <= len(bands) and isinstance(bands[asset.band - 1], Mapping):
            centre = bands[asset.band - 1].get(key)
            if isinstance(centre, int | float) and not isinstance(centre, bool):
                return float(centre)
    return None


def _flags(band: Band) -> dict[str, Any]:
    """What the values of classes mean, as CF says it; in their order colours, and names that CF has no letters for."""
    title = {"long_name": band.title} if band.title else {}
    if not band.flags:
        return title
    values, labels, colours = zip(*band.flags, strict=True)
    words = [re.sub(r"[^A-Za-z0-9_.+@-]+", "_", label).strip("_") or "class" for label in labels]
    lossy = any(word.replace("_", " ") != label.replace("_", " ") for word, label in zip(words, labels, strict=True))
    return {
        **title,
        "flag_values": np.array(values, band.dtype),
        "flag_meanings": " ".join(words),
        "flag_colors": " ".join(colours),
        **({"flag_names": json.dumps(labels, ensure_ascii=False)} if lossy else {}),
    }


def _pixel_centres(geobox: GeoBox) -> dict[Hashable, xr.DataArray]:
    """Coordinates as odc-geo writes them, of our own pixel centres.

    Its own are rounded otherwise where a pixel's size is no binary fraction, as NAIP's 0.6 m.
    """
    coords = dict(xr_coords(geobox, dims=("y", "x")))
    for name, values in zip(("x", "y"), coordinates(geobox), strict=True):
        coords[name] = xr.DataArray(values, dims=(name,), attrs=coords[name].attrs)
    return coords


Window = tuple[slice, slice]

#: Pixels that are read at a time, unless a block has more.
MOST_PIXELS = 2**26

#: Pixels that are gathered at a time.
_AT_A_TIME = 2**15


@dataclass(frozen=True, kw_only=True)
class Windowed(BackendArray):
    """An array on a grid that reads only the window it is asked for: whatever the index, a contiguous one."""

    geobox: GeoBox
    band: Band

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grid."""
        return self.geobox.shape.y, self.geobox.shape.x

    @property
    def dtype(self) -> np.dtype:
        """The band's dtype."""
        return np.dtype(self.band.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        if (window := _window(key.tuple, self.shape)) is not None:
            return self.read(window)
        return np.asarray(
            indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._outer)
        )

    def _outer(self, key: tuple[int | slice | np.ndarray, ...]) -> np.ndarray:
        """Read the window that holds all that is asked for, then take it from there."""
        window, within = zip(*(_split(k, n) for k, n in zip(key, self.shape, strict=True)), strict=True)
        rows, cols = within
        return np.asarray(self.read(window)[:, cols][rows])

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""
        raise NotImplementedError

    def lazy(self) -> indexing.LazilyIndexedArray:
        """This array, waiting to be sliced, chunked or loaded."""
        return indexing.LazilyIndexedArray(self)


@dataclass(frozen=True, kw_only=True)
class NearestMosaic(Windowed):
    """Rasters seen through a grid: a pixel comes from the first, in the given order, that has data there."""

    assets: tuple[Asset, ...]
    access: Access = LOCAL
    single: bool = False
    """Whether each file must have one band, besides alpha: of several, nobody says which is meant."""
    of_scene: bool = False
    """Whether they are a scene's own: where one is gone, or unusable, another scene may serve."""

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""
        part = self.geobox[window]
        out = np.full(part.shape, self.band.nodata, self.dtype)
        for asset in self.assets:
            empty = out == self.band.nodata
            if not empty.any():
                break
            np.copyto(out, self._from(asset, part), where=empty)
        return out

    def _from(self, asset: Asset, geobox: GeoBox) -> np.ndarray:
        """One raster's part. That one is gone which is no scene's own is told as what may be back the next time."""
        try:
            return self._nearest(asset, geobox)
        except Gone as error:
            if self.of_scene:
                raise
            raise ReadFailed(str(error), band=error.band) from None
        except (GridError, BadPixels) as error:
            raise BadPixels(str(error), band=error.band or self.band.name) from None

    def _nearest(self, asset: Asset, geobox: GeoBox) -> np.ndarray:
        """One raster on a grid; outside the raster, and where it has no data, the band's nodata value.

        Its header is looked at first: whether the grid lies outside the raster, the file alone says.
        """
        header = checked_header(asset, self.access)
        if self.single:
            refuse_several(asset, header)
        asset = as_in_file(asset, header)
        axes = source_axes(geobox, asset.crs, Affine(*asset.transform))
        if axes is not None and (window := _window_of(axes, asset.shape)) is not None:
            return self._along(asset, header, axes, window)

        def pick(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
            pixels = gathered(rows, cols, header.block, lambda window: rasters.read_of(asset, window, self.access))
            return decoded(pixels, asset, self.band, header, self._observed(asset, header, rows, cols))

        return nearest_pixels(geobox, asset, self.band, pick)

    def _along(
        self, asset: Asset, header: rasters.Header, axes: tuple[np.ndarray, np.ndarray], window: Window
    ) -> np.ndarray:
        """One raster on a grid of its own CRS, whose pixels lie in a window of it: rows and columns of it, some repeated."""
        inside = tuple(_span((axis >= 0) & (axis < side)) for axis, side in zip(axes, asset.shape, strict=True))
        positions = (axis[here] - part.start for axis, here, part in zip(axes, inside, window, strict=True))
        used, repeats = zip(*(np.unique(each, return_inverse=True) for each in positions), strict=True)
        at, observed = np.ix_(*used), rasters.observed_of(asset, header, window, self.access)
        pixels = rasters.read_of(asset, window, self.access)[at]
        values = decoded(pixels, asset, self.band, header, None if observed is None else observed[at])
        out = np.full((len(axes[0]), len(axes[1])), self.band.nodata, self.dtype)
        out[inside] = values.take(repeats[1], axis=1).take(repeats[0], axis=0)
        return out

    def _observed(self, asset: Asset, header: rasters.Header, rows: np.ndarray, cols: np.ndarray) -> np.ndarray | None:
        """Where some pixels have data by the file's mask; None if it has none."""
        if not rasters.is_masked(asset, header):
            return None
        return gathered(rows, cols, header.block, lambda window: rasters.mask_of(asset, header, window, self.access))


def _span(inside: np.ndarray) -> slice:
    """Where an axis is inside of a raster: in one piece, since its pixels follow each other."""
    at = np.flatnonzero(inside)
    return slice(int(at[0]), int(at[-1]) + 1)


def _window_of(axes: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]) -> Window | None:
    """The window of a raster that holds rows and columns; None if none is in it, or most of a large one is not asked for."""
    spans = [axis[(axis >= 0) & (axis < side)] for axis, side in zip(axes, shape, strict=True)]
    if not all(span.size for span in spans):
        return None
    rows, cols = (slice(int(span.min()), int(span.max()) + 1) for span in spans)
    most = min(4 * axes[0].size * axes[1].size, MOST_PIXELS)
    return (rows, cols) if (rows.stop - rows.start) * (cols.stop - cols.start) <= most else None


def nearest_pixels(
    geobox: GeoBox, asset: Asset, band: Band, pick: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """A raster on a grid: the pixel that holds each centre, (height, width); the band's nodata value beyond its edge.

    `pick` gives some of the raster's pixels, in the band's dtype, by their rows and columns.
    """
    rows, cols = source_pixels(geobox, asset.crs, Affine(*asset.transform), asset.shape)
    height, width = asset.shape
    if rows.size and min(rows.min(), cols.min()) >= 0 and rows.max() < height and cols.max() < width:
        return pick(rows.ravel(), cols.ravel()).reshape(rows.shape)
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    out = np.full(rows.shape, band.nodata, band.dtype)
    if inside.any():
        out[inside] = pick(rows[inside], cols[inside])
    return out


def gathered(
    rows: np.ndarray, cols: np.ndarray, block: tuple[int, int], read: Callable[[Window], np.ndarray]
) -> np.ndarray:
    """Pixels of a raster, (n,), at rows and columns inside it.

    They are read in a window that holds them all; where it would be large, or hold hardly any, as on either side of 180°
    or around a pole, in several. Windows are cut between the blocks that a raster is stored in, so none is read twice.

    Parameters
    ----------
    rows, cols
        Of each pixel, (n,) whole numbers, at least one.
    block
        Height and width of a block.
    read
        Gives the pixels of a window, (rows, columns).
    """
    parts = [
        (where, _taken(read(window), rows[where], cols[where], window))
        for window, where in _windows((rows, cols), slice(None), block)
    ]
    if len(parts) == 1:
        return np.asarray(parts[0][1])
    out = np.empty(len(rows), parts[0][1].dtype)
    for where, pixels in parts:
        out[where] = pixels
    return out


def _taken(pixels: np.ndarray, rows: np.ndarray, cols: np.ndarray, window: Window) -> np.ndarray:
    """Some pixels of a window, by the raster's rows and columns; so many at a time as a processor's cache holds."""
    width, flat, out = pixels.shape[1], pixels.ravel(), np.empty(len(rows), pixels.dtype)
    first, room = window[0].start * width + window[1].start, np.empty(min(len(rows), _AT_A_TIME), np.int32)
    first = (first + 2**31) % 2**32 - 2**31  # 32 bits hold a place in the window: what goes beyond comes round again
    for start in range(0, len(rows), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        index = room[: len(rows[part])]
        np.multiply(rows[part], width, out=index, dtype=np.int32, casting="same_kind")
        np.add(index, cols[part], out=index, dtype=np.int32, casting="same_kind")
        index -= first
        flat.take(index, out=out[part], mode="clip")  # none is outside, and so nothing is copied
    return out


def _windows(
    at: tuple[np.ndarray, np.ndarray], where: slice | np.ndarray, block: tuple[int, int]
) -> Iterator[tuple[Window, slice | np.ndarray]]:
    """The windows that hold pixels, and which pixels each of them holds."""
    positions = [axis[where] for axis in at]
    spans = [(int(axis.min()), int(axis.max()) + 1) for axis in positions]
    cut = _cut(positions, spans, block)
    if cut is None:
        yield (slice(*spans[0]), slice(*spans[1])), where
        return
    axis, border = cut
    before = positions[axis] < border
    for side in (before, ~before):
        yield from _windows(at, np.flatnonzero(side) if isinstance(where, slice) else where[side], block)


def _cut(
    positions: Sequence[np.ndarray], spans: Sequence[tuple[int, int]], block: tuple[int, int]
) -> tuple[int, int] | None:
    """Axis and border by which a window is better read in two; None where it is fine as it is."""
    for axis in (0, 1):
        border = _after_gap(positions[axis], spans[axis], block[axis])
        if border is not None:
            return axis, border
    blocks = [-(-stop // side) - start // side for (start, stop), side in zip(spans, block, strict=True)]
    if max(blocks) == 1 or prod(stop - start for start, stop in spans) <= MOST_PIXELS:
        return None
    axis = int(blocks[1] > blocks[0])
    return axis, (spans[axis][0] // block[axis] + blocks[axis] // 2) * block[axis]


def _after_gap(positions: np.ndarray, span: tuple[int, int], side: int) -> int | None:
    """Where the first block lies after a gap of whole blocks that is most of a span; None if there is no such gap."""
    start, stop = span
    if stop - start <= 2 * side:
        return None
    for some in (positions[:: 1 + len(positions) // 4096], positions):  # a gap of all is one of a few
        found = np.unique(some)
        widest = int(np.diff(found, prepend=start, append=stop).argmax())
        before, after = (int(each) for each in np.r_[start, found, stop][widest : widest + 2])
        border = after // side * side
        if 2 * (after - before) <= stop - start or border - before <= side:
            return None
    return border


def _window(key: tuple[Any, ...], shape: tuple[int, int]) -> Window | None:
    """An index that is a window, as places are cut; None if it is anything else, or empty."""
    if not all(isinstance(part, slice) and part.step in (None, 1) for part in key):
        return None
    rows, cols = (slice(*part.indices(side)[:2]) for part, side in zip(key, shape, strict=True))
    return (rows, cols) if rows.start < rows.stop and cols.start < cols.stop else None


def _split(key: int | slice | np.ndarray, length: int) -> tuple[slice, int | slice | np.ndarray]:
    """An index along an axis as the contiguous span that holds it, and the index within that span."""
    positions = np.atleast_1d(np.arange(length)[key])
    start = int(positions.min(initial=length))
    within: int | slice | np.ndarray = positions - start
    if isinstance(key, int | np.integer):
        within = int(positions[0]) - start
    if isinstance(key, slice) and key.step in (None, 1):
        within = slice(None)
    return slice(start, int(positions.max(initial=start - 1)) + 1), within
