"""Imagery from a STAC catalogue: scenes by search, pixels as a lazy cube on each scene's own grid."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.grid import lonlat_bounds
from nutonic.model import Asset, Band, Scene, Timeline
from nutonic.moments import interval
from nutonic.presets import KNOWN_HOSTS, catalogue_at
from nutonic.sources import signing
from nutonic.sources.access import Access, access_for
from nutonic.sources.catalogue import Item
from nutonic.sources.engines import Engine, opener
from nutonic.sources.footprints import near, shares
from nutonic.sources.items import asset_of, cloud_cover, crs_of, moment, pinned
from nutonic.sources.lazy import dataset
from nutonic.sources.neighbourhoods import Search, items_around, neighbourhoods
from nutonic.sources.overpasses import timeline, touches
from nutonic.sources.stacking import First, Piece, Which, assembled, fits, nearest, piece

#: How many scenes are ranked for a place.
RANKED = 3

#: A footprint is rounded, and drawn with straight edges: this much of a square may be missing and it still counts as
#: covered; half a pixel along one side of 5 km.
_COVERED = 1.0 - 1e-4

#: The asset with the provider's own picture, which serves where a scene lacks a band.
_VISUAL = "visual"


@dataclass(frozen=True, slots=True, kw_only=True)
class StacSource:
    """Single-band assets of the items of one collection.

    Pixels are digital numbers of reflectance (1e-4) as uint16, 0 where nothing was observed. The offset that Sentinel-2
    baselines from 04.00 on carry is added once; a valid pixel is never below 1, so that dark water stays valid. Of an
    item that lacks one of the assets but has a `visual`, that picture's bands 1, 2 and 3 are taken as they are.
    """

    url: str
    """Of a STAC API, or the path of a local catalogue."""
    collection: str
    assets: tuple[str, ...] = ("red", "green", "blue")
    """Names of the variables, and of the assets; where a known catalogue calls its assets otherwise, that is known."""
    max_cloud_cover: float = 100.0
    """Percent; items that do not state their cloud cover count as 100."""
    min_valid_fraction: float = 0.35
    """The share of a square that a scene must cover where none covers it all."""
    engine: Engine = "stackstac"
    """What builds the lazy arrays; the pixels are the same. ``"odc-stac"`` needs the extra ``odc``."""
    sign: str | None = None
    """``"planetary-computer"``: sign addresses where they are read. Of the Planetary Computer itself that is known."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts that files may be read from besides the catalogue's own; see :class:`nutonic.sources.access.Access`."""
    masks: tuple[str, ...] = ()
    """Assets of classes beside the bands, such as ``scl``: uint8, 0 where there is none, by nearest neighbour."""
    record: bool = False
    """Whether a cube over time tells in a variable ``scene`` (uint16) which scene the first asset's pixel comes from:
    its row in ``cube.nutonic.scenes``, from 1; 0 for none."""

    def __post_init__(self) -> None:
        opener(self.engine)
        signing.require(self.access.sign)

    @property
    def access(self) -> Access:
        """What may be read, and how it is signed."""
        return access_for(self.url, self.allow_hosts, KNOWN_HOSTS, self.sign or catalogue_at(self.url).sign)

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band per asset: uint16, nodata 0; then one per mask: uint8, nodata 0."""
        pixels = [Band(name=name, kind="reflectance", dtype="uint16", nodata=0) for name in self.assets]
        return (*pixels, *(Band(name=name, kind="class", dtype="uint8", nodata=0) for name in self.masks))

    def search(
        self, lon: np.ndarray, lat: np.ndarray, extent_m: float, when: str | None = None
    ) -> list[tuple[Scene, ...]]:
        """Up to three scenes for each square: those that cover it whole, else those that cover the largest share.

        Among equals least cloud first, then newest, then by id: nothing but the place and the catalogue decides.
        """
        found: list[tuple[Scene, ...]] = [()] * len(lon)
        for group in neighbourhoods(self._search(when), lon, lat, extent_m):
            members = group.members
            ranked = self._ranked(group.items, lon[members], lat[members], extent_m, when)
            for i, scenes in zip(members.tolist(), ranked, strict=True):
                found[i] = scenes
        return found

    def _search(self, when: str | None) -> Search:
        return Search(
            url=self.url,
            collection=self.collection,
            when=when,
            max_cloud_cover=self.max_cloud_cover,
            access=self.access,
        )

    def timeline(self, grid: GeoBox, when: str | None = None) -> Timeline:
        """Every scene that touches a grid, as overpasses in order of time; see :func:`.overpasses.timeline`."""
        items = items_around(self._search(when), lonlat_bounds(grid))
        here = [item for item in items if self._fits(item, when) and touches(item, grid)]
        lacking = [(item.id, why) for item in here if (why := self._lacks(item))]
        found = timeline([item for item in here if not self._lacks(item)], grid, self._scene)
        return replace(found, left_out=(*found.left_out, *sorted(lacking)))

    def _lacks(self, item: Item) -> str | None:
        """What a cube over time needs and an item has not; a rendered picture does not go with reflectance."""
        there = (*self._keys(item), *map(self._key, self.masks))
        missing = [key for key in there if key not in item.content["assets"]]
        if missing:
            return f"has no asset {', '.join(missing)}"
        return None if len(self._keys(item)) == len(self.assets) else "has no bands but a rendered picture"

    def _ranked(
        self, items: Iterable[Item], lon: np.ndarray, lat: np.ndarray, extent_m: float, when: str | None
    ) -> list[tuple[Scene, ...]]:
        """The best scenes of each square among these items; equal ones are one tuple, not many."""
        usable = sorted((item for item in items if self._fits(item, when)), key=_merit)
        best = np.full((len(lon), RANKED), _NONE)
        for k, item in enumerate(usable):
            where = near(item.footprint, lon, lat, extent_m)
            if not where.size:
                continue
            crs = crs_of(item, self._keys(item)[0], self.access)
            for some in np.array_split(where, -(-where.size // _AT_ONCE)):
                covered = shares(item.footprint, crs, lon[some], lat[some], extent_m)
                rank = np.where(covered >= max(self.min_valid_fraction, 1e-12), _rank(covered) + k, _NONE)
                best[some] = np.sort(np.column_stack([best[some], rank]), axis=1)[:, :RANKED]
        # Scenes that cover the square in part only count where none covers it whole.
        best[(best >= _PART) & (best[:, :1] < _PART)] = _NONE
        best = np.where(best < _NONE, best % _ITEMS, -1).astype(np.int32)
        unique, which = np.unique(best, axis=0, return_inverse=True)
        scene = lru_cache(maxsize=None)(lambda k: self._scene(usable[k]))
        found = [tuple(scene(k) for k in row[row >= 0].tolist()) for row in unique]
        return [found[i] for i in which.ravel().tolist()]

    def _fits(self, item: Item, when: str | None) -> bool:
        if item.content.get("collection", self.collection) != self.collection:
            return False
        if cloud_cover(item) > self.max_cloud_cover or not self._keys(item):
            return False
        start, end = interval(when) if when else (None, None)
        return start is None or end is None or start <= moment(item) <= end

    def _keys(self, item: Item) -> tuple[str, ...]:
        """Names of the assets to read of an item, one per band; the picture alone where a band is missing; or none."""
        there = item.content["assets"]
        keys = tuple(self._key(name, there) for name in self.assets)
        if all(key in there for key in keys):
            return keys
        visual = self._key(_VISUAL)
        return (visual,) if visual in there and len(self.assets) == 3 else ()

    def _key(self, name: str, there: Container[str] = ()) -> str:
        """What an asset is called in this catalogue."""
        return name if name in there else catalogue_at(self.url).assets.get(name, name)

    def _scene(self, item: Item) -> Scene:
        keys = self._keys(item)
        rendered, there = len(keys) < len(self.assets), item.content["assets"]
        each = keys * len(self.assets) if rendered else keys
        return Scene(
            id=item.id,
            collection=self.collection,
            source="stac",
            datetime=moment(item).isoformat().replace("+00:00", "Z"),
            cloud_cover=item.properties.get("eo:cloud_cover"),
            assets=(
                *(
                    asset_of(item, key, self.access, name=name, band=k if rendered else None)
                    for k, (name, key) in enumerate(zip(self.assets, each, strict=True), 1)
                ),
                *(asset_of(item, self._key(name, there), self.access, name=name) for name in self.masks),
            ),
            rendered=rendered,
            item=pinned(item, (*keys, *(self._key(name, there) for name in self.masks))),
        )

    def open(self, grid: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """One variable (y, x) per asset, uint16, lazily: the first scene's own pixels, nodata beyond its edge.

        Raises
        ------
        OffLattice
            If the scene is in another CRS or its pixels do not lie on the grid's lattice: they are read, never resampled.
        """
        first, side = scenes[0], chunks or 1024
        assets = {band: first.asset(band.name) for band in self.bands}
        return dataset(grid, {band: self._strict(band, first.id, assets[band], grid, side) for band in self.bands})

    def cube(
        self, grid: GeoBox, time: np.ndarray, steps: Sequence[Sequence[Scene]], *, chunk: int = 1024
    ) -> xr.Dataset:
        """One variable (time, y, x) per asset, lazily: in a step a pixel comes from the first scene that has one.

        Scenes whose pixels are the grid's are read as they are; of others, such as those of another zone, the pixel that
        contains the centre is taken, whatever window asks.

        Parameters
        ----------
        grid
            Of the cube.
        time
            (steps,) datetime64.
        steps
            The scenes of each, in mosaic order; none means nodata throughout.
        chunk
            Side of chunks in pixels.
        """
        numbers = _numbered(steps)
        pieces = {band: [self._pieces(band, grid, chunk, scenes, numbers) for scenes in steps] for band in self.bands}
        arrays = {
            band: assembled(band.name, found, grid.shape.yx, chunk, First(band)) for band, found in pieces.items()
        }
        if self.record:
            first = self.bands[0]
            arrays[_RECORD] = assembled(_RECORD.name, pieces[first], grid.shape.yx, chunk, Which(first))
        return dataset(grid, arrays, time)

    def _pieces(
        self, band: Band, grid: GeoBox, chunk: int, scenes: Sequence[Scene], numbers: Mapping[Scene, int]
    ) -> list[Piece]:
        found = [
            piece(scene.asset(band.name), grid, chunk, partial(self._nearest, band, scene.id), numbers[scene])
            for scene in scenes
        ]
        return [one for one in found if one is not None]

    def _nearest(self, band: Band, scene: str, asset: Asset, grid: GeoBox, chunk: int) -> da.Array:
        """An asset of a cube: as it is where its pixels are the grid's, else by nearest neighbour."""
        if band.kind == "reflectance" and fits(asset, grid):
            return opener(self.engine)(scene, asset, grid, chunk, self.access)
        return nearest(asset, grid, chunk, band, self.access)

    def _strict(self, band: Band, scene: str, asset: Asset, grid: GeoBox, chunk: int) -> da.Array:
        """An asset of one scene: reflectance is never resampled."""
        if band.kind == "reflectance":
            return opener(self.engine)(scene, asset, grid, chunk, self.access)
        return nearest(asset, grid, chunk, band, self.access)


_RECORD = Band(name="scene", kind="index", dtype="uint16", nodata=0)


def _numbered(steps: Iterable[Sequence[Scene]]) -> dict[Scene, int]:
    """Each scene's number, from 1, in the order of steps."""
    return {scene: k for k, scene in enumerate(dict.fromkeys(scene for step in steps for scene in step), 1)}


#: A rank is one number: whether the square is covered in part, by how little, and the item's place by merit.
_ITEMS, _PART, _NONE = 2**32, 2**60, 2**62

#: Squares that are compared with a footprint at a time: each takes several hundred bytes meanwhile.
_AT_ONCE = 10_000


def _merit(item: Item) -> tuple[float, float, str]:
    """What items are sorted by, whatever the place: least cloud, newest, id."""
    return cloud_cover(item), -moment(item).timestamp(), item.id


def _rank(covered: np.ndarray) -> np.ndarray:
    """The part of a rank that depends on the place; shares are compared as far as footprints are exact."""
    missing = 10_000 - np.rint(covered * 10_000).astype(np.int64)
    return np.where(covered >= _COVERED, 0, _PART + missing * _ITEMS)
