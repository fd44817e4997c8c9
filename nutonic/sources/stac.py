"""Imagery from a STAC catalogue: scenes by search, pixels as a lazy stackstac cube on each scene's own grid."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import dask.array as da
import numpy as np
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.errors import InputError, OffLattice
from nutonic.grid import corners, offset_in, transformer
from nutonic.model import Asset, Band, Json, Scene
from nutonic.recipe import interval
from nutonic.sources import rasters
from nutonic.sources.catalogue import Item, read_items
from nutonic.sources.lazy import dataset, difference

#: How many scenes are ranked for a place.
RANKED = 3

#: A footprint's corners are rounded in its item: this much of a square may be missing and it still counts as covered.
_COVERED = 1.0 - 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class StacSource:
    """Single-band assets of the items of one collection.

    Pixels are digital numbers of reflectance (1e-4) as uint16, 0 where nothing was observed. The offset that Sentinel-2
    baselines from 04.00 on carry is added once; a valid pixel is never below 1, so that dark water stays valid.
    """

    url: str
    """Path of a local catalogue."""
    collection: str
    assets: tuple[str, ...] = ("red", "green", "blue")
    max_cloud_cover: float = 100.0
    """Percent; items that do not state their cloud cover count as 100."""
    min_valid_fraction: float = 0.35
    """The share of a square that a scene must cover where none covers it all."""

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band per asset: uint16, nodata 0."""
        return tuple(Band(name=name, kind="reflectance", dtype="uint16", nodata=0) for name in self.assets)

    def search(
        self, lon: np.ndarray, lat: np.ndarray, extent_m: float, when: str | None = None
    ) -> list[tuple[Scene, ...]]:
        """Up to three scenes for each square: those that cover it whole, else those that cover the largest share.

        Among equals least cloud first, then newest, then by id: nothing but the place and the catalogue decides.
        """
        items = [item for item in read_items(self.url) if self._fits(item, when)]
        ranked: list[list[tuple[tuple[Any, ...], int]]] = [[] for _ in range(len(lon))]
        for k, item in enumerate(items):
            for i, share in _shares(item, lon, lat, extent_m):
                if share >= self.min_valid_fraction and share > 0:
                    whole = share >= _COVERED
                    key = (not whole, 0.0 if whole else -share, _cloud(item), -_time(item).timestamp(), item.id)
                    ranked[i].append((key, k))
        scene = lru_cache(maxsize=None)(lambda k: self._scene(items[k]))
        return [tuple(scene(k) for _, k in _best(candidates)) for candidates in ranked]

    def _fits(self, item: Item, when: str | None) -> bool:
        if item.content.get("collection", self.collection) != self.collection or _cloud(item) > self.max_cloud_cover:
            return False
        if not all(name in item.content["assets"] for name in self.assets):
            return False
        start, end = interval(when) if when else (None, None)
        return start is None or end is None or start <= _time(item) <= end

    def _scene(self, item: Item) -> Scene:
        return Scene(
            id=item.id,
            collection=self.collection,
            source="stac",
            datetime=_time(item).isoformat().replace("+00:00", "Z"),
            cloud_cover=item.properties.get("eo:cloud_cover"),
            assets=tuple(_asset(item, name) for name in self.assets),
        )

    def open(self, grid: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """One variable (y, x) per asset, uint16, lazily: the first scene's own pixels, nodata beyond its edge.

        Raises
        ------
        OffLattice
            If the scene is in another CRS or its pixels do not lie on the grid's lattice: they are read, never resampled.
        """
        assets = {asset.name: asset for asset in scenes[0].assets}
        return dataset(grid, {band: _stacked(scenes[0].id, assets[band.name], grid, chunks or 1024) for band in self.bands})


def _best(candidates: list[tuple[tuple[Any, ...], int]]) -> list[tuple[tuple[Any, ...], int]]:
    """The first three; scenes that cover the square in part only count where none covers it whole."""
    best = sorted(candidates)[:RANKED]
    return [entry for entry in best if entry[0][0] == best[0][0][0]]


def _shares(item: Item, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> list[tuple[int, float]]:
    """Share of each square that an item's footprint covers, for the squares it can touch."""
    near = _near(item.footprint, lon, lat, extent_m)
    if not near.size:
        return []
    crs = _crs(item)
    to_scene = transformer("EPSG:4326", crs)
    footprint = shapely.make_valid(shapely.transform(item.footprint, lambda p: np.stack(to_scene.transform(*p.T), -1)))
    x, y = to_scene.transform(lon[near], lat[near])
    left, top = corners(np.asarray(x), np.asarray(y), extent_m, 10.0)
    squares = shapely.box(left, top - extent_m, left + extent_m, top)
    shares = shapely.area(shapely.intersection(squares, footprint)) / extent_m**2
    return list(zip(near.tolist(), shares.tolist(), strict=True))


def _near(footprint: shapely.Geometry, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> np.ndarray:
    """Positions of the squares whose centres lie near a footprint, counting round the antimeridian."""
    reach = extent_m / 110_000.0
    reach_lon = reach / math.cos(math.radians(min(float(np.abs(lat).max(initial=0.0)) + reach, 89.0)))
    near = np.zeros(len(lon), bool)
    for part in shapely.get_parts(footprint):
        west, south, east, north = part.bounds
        within = (lon - west + reach_lon) % 360.0 <= east - west + 2 * reach_lon
        near |= within & (lat >= south - reach) & (lat <= north + reach)
    return np.flatnonzero(near)


def _cloud(item: Item) -> float:
    cover = item.properties.get("eo:cloud_cover")
    return 100.0 if cover is None else float(cover)


def _time(item: Item) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(item.moment)
    except ValueError:
        raise InputError(f"item {item.id} has the datetime {item.moment!r}, which is no ISO 8601 time") from None
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _crs(item: Item, asset: Json | None = None) -> str:
    """CRS of an asset or its item, by either version of the projection extension; else from the first file."""
    for holder in (asset or {}, item.properties):
        if holder.get("proj:code"):
            return str(holder["proj:code"])
        if holder.get("proj:epsg"):
            return f"EPSG:{holder['proj:epsg']}"
    name, first = next(iter(item.content["assets"].items())) if asset is None else ("", asset)
    return rasters.header(_href(item, first, name)[0]).crs


def _asset(item: Item, name: str) -> Asset:
    """An asset with its grid: from the item where it says it, else from the file."""
    content = item.content["assets"][name]
    href, written = _href(item, content, name)
    crs, transform, shape = _crs(item, content), *(_either(item, content, f"proj:{key}") for key in ("transform", "shape"))
    nodata = _band(content).get("nodata", content.get("nodata"))
    if transform is None or shape is None:
        found = rasters.header(href)
        crs, transform, shape, nodata = found.crs, found.transform[:6], found.shape, found.nodata
    return Asset(
        name=name,
        href=href,
        written=written,
        crs=crs,
        transform=tuple(float(v) for v in transform[:6]),  # type: ignore[arg-type]
        shape=(int(shape[0]), int(shape[1])),
        nodata=None if nodata is None else float(nodata),
        offset=boa_offset(item.properties, content),
    )


def _href(item: Item, asset: Json, name: str) -> tuple[str, str]:
    """Where to read an asset, and the href as a sidecar may show it."""
    href = str(asset.get("href") or "")
    if not href:
        raise InputError(f"asset {name!r} of item {item.id} has no href")
    if "://" in href:
        return href, href.partition("?")[0]
    return str(item.folder / href), href.rsplit("/", 1)[-1] if href.startswith("/") else href


def _either(item: Item, asset: Json, key: str) -> Any:
    return asset.get(key, item.properties.get(key))


def _band(asset: Json) -> Json:
    """What an asset says of its one band: ``raster:bands`` (STAC 1.0) or ``bands`` (1.1)."""
    bands = asset.get("raster:bands") or asset.get("bands") or [{}]
    return dict(bands[0])


def boa_offset(properties: Json, asset: Json) -> int:
    """Digital numbers to add to an asset's valid pixels: -1000 or 0 for Sentinel-2.

    Three fields are read together, since any of them alone misleads: where ``earthsearch:boa_offset_applied`` is true
    the offset is in the pixels already, whatever ``raster:bands`` declares; where it is false, the processing baseline
    decides; without it, a declared offset counts, and without that the baseline again. From baseline 04.00 on
    (25 January 2022) products carry 1000 too much: Sentinel-2 Products Specification 14.9, section 4.
    """
    applied = properties.get("earthsearch:boa_offset_applied")
    band = _band(asset)
    declared = band.get("offset", asset.get("raster:offset", band.get("raster:offset")))
    if applied is True:
        return 0
    if applied is None and declared is not None:
        scale = band.get("scale", asset.get("raster:scale", band.get("raster:scale"))) or 1.0
        return round(float(declared) / float(scale))
    baseline = str(properties.get("s2:processing_baseline", properties.get("processing:version", "0")))
    return -1000 if _number(baseline) >= 4.0 and _is_reflectance(asset) else 0


def _is_reflectance(asset: Json) -> bool:
    """Class and quality assets (SCL, visual) carry no offset."""
    return not {"visual", "overview", "thumbnail"} & set(asset.get("roles") or ())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _stacked(scene_id: str, asset: Asset, grid: GeoBox, chunks: int) -> da.Array:
    """One asset as a lazy stackstac array on a grid, told everything, so that it has nothing to guess or to snap."""
    import stackstac

    if str(grid.crs) != asset.crs:
        raise OffLattice(f"{asset.written} is in {asset.crs:.60}, the grid in {grid.crs}: use a grid in the scene's own zone")
    offset = offset_in(Affine(*asset.transform), grid)
    item = {
        "id": scene_id,
        "properties": {"datetime": "2000-01-01T00:00:00Z", "proj:epsg": grid.crs.epsg},
        "assets": {asset.name: {"href": asset.href, "proj:transform": asset.transform, "proj:shape": asset.shape}},
    }
    stack = stackstac.stack(
        [item],
        assets=[asset.name],
        epsg=grid.crs.epsg,
        bounds=tuple(grid.boundingbox),
        resolution=(grid.affine.a, -grid.affine.e),
        snap_bounds=False,
        xy_coords=False,
        properties=False,
        band_coords=False,
        chunksize=chunks,
        dtype=np.dtype("uint16"),
        fill_value=np.uint16(0),
        rescale=False,
        errors_as_nodata=(),
        reader=partial(ReflectanceReader, asset=asset, offset=offset),
    )
    array: da.Array = stack.data[0, 0]
    if array.shape != tuple(grid.shape):
        raise OffLattice(f"{asset.written} came out as {array.shape} pixels on a grid of {tuple(grid.shape)}")
    return array


class ReflectanceReader:
    """What stackstac reads an asset with: the file's own pixels, its header checked against the catalogue.

    stackstac's own reader would quietly warp a file that is not on the grid its item claims.
    """

    def __init__(self, *, url: str, asset: Asset, offset: tuple[int, int], **ignored: Any) -> None:
        self._asset, self._offset = asset, offset

    def read(self, window: Any, **ignored: Any) -> np.ndarray:
        """Pixels of a window of the grid, (rows, columns) uint16, harmonised; nodata beyond the file's edge."""
        asset, (rows, cols) = self._asset, window.toslices()
        found = rasters.header(asset.href)
        wrong = difference(asset, found)
        if wrong:
            raise OffLattice(f"{asset.written} is not what its item says: {wrong}")
        down, across = _inside(rows, self._offset[0], asset.shape[0]), _inside(cols, self._offset[1], asset.shape[1])
        out = np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.uint16)
        if down.stop > down.start and across.stop > across.start:
            at = (_shifted(down, -self._offset[0] - rows.start), _shifted(across, -self._offset[1] - cols.start))
            out[at] = harmonised(rasters.read(asset.href, (down, across)), asset.offset, (asset.nodata, found.nodata))
        return out

    def close(self) -> None:
        """Nothing to close: handles belong to the process."""

    def __getstate__(self) -> tuple[Asset, tuple[int, int]]:
        return self._asset, self._offset

    def __setstate__(self, state: tuple[Asset, tuple[int, int]]) -> None:
        self._asset, self._offset = state


def _inside(part: slice, offset: int, limit: int) -> slice:
    """Part of a grid's axis as pixels of the file, cut to those it has."""
    return slice(max(part.start + offset, 0), min(part.stop + offset, limit))


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def harmonised(pixels: np.ndarray, offset: int = 0, nodata: tuple[float | None, ...] = ()) -> np.ndarray:
    """Digital numbers as uint16: 0 for nodata, otherwise pixel plus offset within 1 to 65535.

    0 and the given nodata values mean nodata. Negative reflectance, which the offset and some processors give, becomes
    the darkest valid value, so that water and shadow stay valid.
    """
    observed = pixels != 0
    for value in nodata:
        if value is not None and not math.isnan(value):
            observed &= pixels != value
    if pixels.dtype == np.uint16 and not offset:
        return np.where(observed, pixels, np.uint16(0))
    values = np.clip(np.rint(pixels).astype(np.int64) + offset, 1, 65535)
    return np.where(observed, values, 0).astype(np.uint16)
