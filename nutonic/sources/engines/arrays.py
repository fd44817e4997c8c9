"""Engines: what builds an asset's lazy array. All read with the same function, so their pixels are the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

import dask.array as da
import numpy as np
from affine import Affine
from dask.base import tokenize
from odc.geo.geobox import GeoBox
from xarray.core.indexing import LazilyIndexedArray

from nutonic.core.grid import epsg, offset_in
from nutonic.core.model import Asset, Band
from nutonic.errors import OffLattice
from nutonic.io.access import LOCAL, Access
from nutonic.sources.backend import Window, Windowed
from nutonic.sources.engines.engine import require_engine
from nutonic.sources.mosaic import Part, span_grid, touched
from nutonic.sources.pixels import read_reflectance
from nutonic.sources.placing import Offset, placed


def opener(engine: str) -> Callable[[str, Asset, GeoBox, int, Access], da.Array]:
    """What makes a lazy array of a scene's id, an asset, a grid, the side of chunks and what may be read.

    Raises what :func:`nutonic.sources.engines.engine.require_engine` does.
    """
    require_engine(engine)
    return stackstac_array if engine == "stackstac" else odc_array


def opener_of_many(engine: str) -> Callable[[Sequence[Named], GeoBox, int, Access], list[Part]]:
    """The same of several assets on one grid, each with its scene's id: a picture of each."""
    require_engine(engine)
    return stackstac_parts if engine == "stackstac" else odc_parts


#: A scene's id, and its asset.
Named = tuple[str, Asset]

#: The name of the one asset that an engine is shown; its own names could hold a dot, which odc-stac takes for a band's.
_BAND = "reflectance"


def odc_array(scene_id: str, asset: Asset, geobox: GeoBox, chunks: int, access: Access = LOCAL) -> da.Array:
    """One asset as a lazy odc-stac array on a grid, told everything, so that no file is opened for it."""
    import odc.stac  # an optional dependency

    offset = placed(asset, geobox)
    if _is_beside(asset, offset, geobox):
        return _beside(asset, offset, geobox, chunks, access)
    driver = ReflectanceDriver(asset, offset, geobox.affine, access)
    cube = odc.stac.load(
        [_item(scene_id, asset, epsg(geobox))],
        bands=[_BAND],
        geobox=geobox,
        chunks={"y": chunks, "x": chunks},
        dtype="uint16",
        nodata=0,
        resampling="nearest",
        fail_on_error=True,
        driver=driver,
    )
    array: da.Array = cube[_BAND].data[0]
    return array


def odc_parts(named: Sequence[Named], geobox: GeoBox, chunks: int, access: Access = LOCAL) -> list[Part]:
    """Several assets, each as a lazy odc-stac array of no more chunks than it touches, since all are written out."""
    parts = []
    for scene_id, asset in named:
        rows, cols = touched(asset, geobox, chunks)
        array = odc_array(scene_id, asset, span_grid((rows, cols), geobox, chunks), chunks, access)
        parts.append(Part(array, first=(rows.start, cols.start)))
    return parts


def _item(scene_id: str, asset: Asset, code: int) -> Any:
    """The least that odc-stac needs to know of a scene: where one asset's pixels lie."""
    import pystac
    from pystac.extensions.projection import ProjectionExtension

    item = pystac.Item(scene_id, geometry=None, bbox=None, datetime=datetime(2000, 1, 1, tzinfo=UTC), properties={})
    fields = {"proj:transform": list(asset.transform), "proj:shape": list(asset.shape)}
    item.add_asset(_BAND, pystac.Asset(asset.href, roles=["data"], extra_fields=fields))
    ProjectionExtension.ext(item, add_if_missing=True).apply(epsg=code)  # as proj:epsg or proj:code, as pystac has it
    return item


@dataclass(frozen=True)
class ReflectanceDriver:
    """What odc-stac reads an asset with, in place of a warp: see `odc.loader.types.ReaderDriver`."""

    asset: Asset
    offset: Offset
    """Where the grid's first pixel lies in the file."""
    lattice: Affine
    """The grid's transform."""
    access: Access

    md_parser: ClassVar[None] = None
    dask_reader: ClassVar[None] = None
    aux_reader: ClassVar[None] = None

    def new_load(self, geobox: GeoBox, **ignored: Any) -> dict[str, Any]:
        """Nothing to share between the reads of one load; odc-stac will not have None."""
        return {}

    def finalise_load(self, load_state: Any) -> None:
        """Nothing to end."""

    def capture_env(self) -> dict[str, Any]:
        """What odc-stac names its tasks by, besides the address: arrays that differ must not share a name."""
        return {"driver": self}

    def restore_env(self, env: dict[str, Any], load_state: Any) -> AbstractContextManager[None]:
        """Nothing to set: GDAL's options belong to each read."""
        return nullcontext()

    def open(self, src: Any, ctx: Any) -> ReflectanceDriver:
        """A reader of the asset, which is this driver: no file is opened before it reads."""
        return self

    def read(self, cfg: Any, dst_geobox: GeoBox, **ignored: Any) -> tuple[tuple[slice, slice], np.ndarray]:
        """Pixels of a chunk of the grid, and where in the chunk they belong: everywhere."""
        (row, col), (height, width) = offset_in(self.lattice, dst_geobox), dst_geobox.shape
        rows, cols = slice(row, row + height), slice(col, col + width)
        pixels = read_reflectance(self.asset, self.offset, rows, cols, self.access)
        return (slice(0, height), slice(0, width)), pixels


def stackstac_array(scene_id: str, asset: Asset, geobox: GeoBox, chunks: int, access: Access = LOCAL) -> da.Array:
    """One asset as a lazy stackstac array on a grid."""
    (part,) = stackstac_parts([(scene_id, asset)], geobox, chunks, access)
    array: da.Array = part.array[part.index]
    return array


def stackstac_parts(named: Sequence[Named], geobox: GeoBox, chunks: int, access: Access = LOCAL) -> list[Part]:
    """Several assets, each in a lazy stackstac array on a grid: one for all of which some pixels are the grid's."""
    placings = [Placed(asset, placed(asset, geobox), access) for _, asset in named]
    parts = {
        k: Part(_beside(each.asset, each.offset, geobox, chunks, access))
        for k, each in enumerate(placings)
        if _is_beside(each.asset, each.offset, geobox)
    }
    within = [k for k in range(len(named)) if k not in parts]
    if within:
        array = _stacked([(named[k][0], placings[k]) for k in within], geobox, chunks)
        parts |= {k: Part(array, (position, 0)) for position, k in enumerate(within)}
    return [parts[k] for k in range(len(named))]


@dataclass(frozen=True, slots=True)
class Placed:
    """An asset, where a grid's first pixel lies in its file, and what may be read: all that reading it takes."""

    asset: Asset
    offset: Offset
    access: Access


def _stacked(within: Sequence[tuple[str, Placed]], geobox: GeoBox, chunks: int) -> da.Array:
    """Assets as one lazy stackstac array (assets, 1, y, x), told everything: it has nothing to guess, to sort or to snap."""
    import stackstac  # a second to import, and only needed here

    code = epsg(geobox)
    items = [
        {
            "id": scene_id,
            "properties": {"datetime": "2000-01-01T00:00:00Z", "proj:epsg": code},
            # stackstac hands this on to the reader as it is.
            "assets": {_BAND: {"href": each, "proj:transform": each.asset.transform, "proj:shape": each.asset.shape}},
        }
        for scene_id, each in within
    ]
    stack = stackstac.stack(
        items,
        assets=[_BAND],
        epsg=code,
        bounds=tuple(geobox.boundingbox),
        resolution=(geobox.affine.a, -geobox.affine.e),
        snap_bounds=False,
        xy_coords=False,
        properties=False,
        band_coords=False,
        sortby_date=False,
        chunksize=chunks,
        dtype=np.dtype("uint16"),
        fill_value=np.uint16(0),
        rescale=False,
        errors_as_nodata=(),
        reader=ReflectanceReader,
    )
    array: da.Array = stack.data
    if array.shape[2:] != tuple(geobox.shape):
        first = within[0][1].asset.written
        raise OffLattice(f"{first} came out as {array.shape[2:]} pixels on a grid of {tuple(geobox.shape)}")
    return array


@dataclass(frozen=True, kw_only=True)
class _Native(Windowed):
    """One asset on a grid of its own pixels, read window by window."""

    asset: Asset
    offset: Offset
    access: Access

    def read(self, window: Window) -> np.ndarray:
        """Pixels of a window, (rows, columns) uint16, harmonised; nodata beyond the file's edge."""
        return read_reflectance(self.asset, self.offset, *window, self.access)


def native(asset: Asset, geobox: GeoBox, band: Band, access: Access = LOCAL) -> LazilyIndexedArray:
    """One asset as an array that waits to be sliced: as an engine's without chunks, and without a graph."""
    return _Native(geobox=geobox, band=band, asset=asset, offset=placed(asset, geobox), access=access).lazy()


def _is_beside(asset: Asset, offset: Offset, geobox: GeoBox) -> bool:
    """Whether no pixel of a grid is an asset's, by its item's word."""
    pairs = zip(offset[:2], geobox.shape, (side * offset.times for side in asset.shape), strict=True)
    return any(first >= there or first + wanted <= 0 for first, wanted, there in pairs)


def _beside(asset: Asset, offset: Offset, geobox: GeoBox, chunks: int, access: Access) -> da.Array:
    """Such an asset as a lazy array that looks at the file's header all the same, which engines would not."""
    sizes = da.core.normalize_chunks((chunks, chunks), tuple(geobox.shape))
    read = partial(_read_beside, asset=asset, offset=offset, access=access)
    name = f"beside-{tokenize(asset, offset, geobox, chunks, access)}"
    array: da.Array = da.map_blocks(read, chunks=sizes, dtype=np.uint16, meta=np.empty((0, 0), np.uint16), name=name)
    return array


def _read_beside(block_info: Any, asset: Asset, offset: Offset, access: Access) -> np.ndarray:
    rows, cols = (slice(*span) for span in block_info[None]["array-location"])
    return read_reflectance(asset, offset, rows, cols, access)


class ReflectanceReader:
    """What stackstac reads an asset with: the file's own pixels, its header checked against the catalogue.

    stackstac's own reader would quietly warp a file that is not on the grid its item claims.
    """

    def __init__(self, *, url: Placed, **ignored: Any) -> None:
        self._placed = url

    def read(self, window: Any, **ignored: Any) -> np.ndarray:
        """Pixels of a window of the grid, (rows, columns) uint16, harmonised; nodata beyond the file's edge."""
        rows, cols = window.toslices()
        return read_reflectance(self._placed.asset, self._placed.offset, rows, cols, self._placed.access)

    def close(self) -> None:
        """Nothing to close: handles belong to the process."""

    def __getstate__(self) -> Placed:
        return self._placed

    def __setstate__(self, state: Placed) -> None:
        self._placed = state
