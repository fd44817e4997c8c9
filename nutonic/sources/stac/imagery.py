"""Imagery from a STAC catalogue: scenes by search, pixels as a lazy cube on each scene's own grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine

from nutonic.core.catalogs import KNOWN_HOSTS, Catalogue, catalogue_at
from nutonic.core.footprints import Snapping
from nutonic.core.grid import centre, lonlat_bounds, repeats
from nutonic.core.model import Asset, Band, Json, Scene, Timeline
from nutonic.core.showing import ShortRepr, short_address
from nutonic.core.times import Interval, Time, as_interval, utc_text
from nutonic.errors import InputError
from nutonic.io import signing
from nutonic.io.access import Access, access_for, identity_of
from nutonic.io.buckets.inputs import Credentials, credentials_of
from nutonic.recipe.inputs import AssetBand, Imagery
from nutonic.sources.cost import SourceCost, Workload, files_cost
from nutonic.sources.engines.engine import Engine, packages_of, require_engine
from nutonic.sources.grids import is_whole
from nutonic.sources.item import Item, cloud_cover, moment, period, stated_cloud_cover, taken_in
from nutonic.sources.missing import Found, Miss
from nutonic.sources.passes import absent, sifted, timeline
from nutonic.sources.pixels import imagery_bands, in_digital_numbers, refuse_masks_nodata, refuse_scale
from nutonic.sources.ranking import Ranking, ranked
from nutonic.sources.source import Needs, Settings, SourceDefaults, local_files
from nutonic.sources.stac.assets import asset_of, crs_of, pinned
from nutonic.sources.stac.bands import VISUAL, Located, located, names_of, shown_by_visual, wanted_bands
from nutonic.sources.stac.given import as_names, settled
from nutonic.sources.stac.search import METRES_NEAR, Search, items_around, items_at_hand, neighbourhoods, unlimited
from nutonic.sources.stac.values import dtype_of, holds_classes, holds_quality

if TYPE_CHECKING:
    import dask.array as da
    import shapely
    import xarray as xr
    from odc.geo.geobox import GeoBox
    from xarray.core.indexing import LazilyIndexedArray

    from nutonic.sources.backend import Windowed
    from nutonic.sources.mosaic import Opener, Part

# What opens files, and xarray with it, is imported by who opens one: a plan opens none.


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StacSource(ShortRepr, SourceDefaults):
    """Single-band assets of the items of one collection.

    Pixels are digital numbers of reflectance (1e-4) as uint16, 0 where nothing was observed: by nodata values, masks and
    alpha bands. They are made of the numbers in the files with the scale and offset that the item declares, or else the
    file. Whole numbers of which neither says anything are digital numbers; of fractions the unit must be told. The offset
    that Sentinel-2 baselines from 04.00 on carry is added once; a valid pixel is never below 1, so that dark water stays
    valid. Of an item that lacks one of the assets but has a `visual`, that picture's bands 1, 2 and 3 are taken as they
    are.
    """

    url: str = ""
    """Of a STAC API, or the path of a local catalogue."""
    collection: str = ""
    """Which of its collections; of items that are given it is known, if they are all of one."""
    items: Any = None
    """Items themselves instead of a catalogue; see :func:`nutonic.sources.stac.given.given`."""
    assets: Sequence[str | AssetBand | Mapping[str, Any]] = ("red", "green", "blue")
    """Names of the variables, and of the assets, or what their bands are commonly called; see :func:`.bands.located`.
    A band of a file that holds several is ``{"asset": "image", "band": 1}``, and called ``image_1`` unless it has a
    ``name`` as well."""
    max_cloud_cover: float = 100.0
    """Percent; items that do not state their cloud cover count as 100."""
    min_valid_fraction: float = 0.35
    """The share of a square that a scene must cover where none covers it all."""
    engine: Engine = "stackstac"
    """What builds the lazy arrays; the pixels are the same. ``"odc-stac"`` needs the extra ``odc``."""
    sign: str | None = None
    """``"planetary-computer"``: sign addresses where they are read. Of the Planetary Computer itself that is known."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts, and buckets (``s3://bucket``), that files may be read from besides the catalogue's own; see
    :class:`nutonic.io.access.Access`."""
    keep_query: tuple[str, ...] = ()
    """Keys of queries in hrefs that anybody may know, such as ``versionId``; an href with any other is refused."""
    unsigned: bool = False
    """Whether objects of stores are read without credentials, as those of public buckets."""
    requester_pays: bool = False
    """Whether who reads pays for it, as S3's buckets want it of which the reader pays."""
    bearer: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Hosts that want a token, and the environment variable that holds it."""
    masks: tuple[str, ...] = ()
    """Assets of classes beside the bands, such as ``scl``: uint8, 0 where there is none, by nearest neighbour."""
    masks_nodata: tuple[int, ...] = ()
    """Of each mask what it has where there is no class, if not 0, as where 0 means clear."""
    judged_by: Band | None = None
    """Classes that scenes bring along where their items have an asset of this name, and that `open` then reads beside
    the bands: what builds judge tiles by. Other than masks, an item may lack it."""
    scale: float | None = None
    """Reflectance of a number 1 in the files, such as 0.0001, or 1 where they hold reflectance; by default as declared."""
    offset: float | None = None
    """Reflectance of a number 0 in the files, such as -0.2 for Landsat; by default as declared, or none."""
    nodata: float | None = None
    """The number that means nodata in the files, where items do not tell it, such as -9999."""
    record: bool = False
    """Whether a cube over time tells in a variable ``scene`` (uint16) which scene the first asset's pixel comes from:
    its row in ``cube.nutonic.scenes``, from 1; 0 for none."""

    def _facts(self) -> Json:
        where = {"url": short_address(self.url)} if self.items is None else {"items": len(self.items)}
        return {**where, "collection": self.collection, "assets": names_of(self.assets), "masks": self.masks}

    def __post_init__(self) -> None:
        url, collection, items = settled(self.url, self.collection, self.items)
        object.__setattr__(self, "url", url)
        object.__setattr__(self, "collection", collection)
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "assets", wanted_bands(self.assets))
        object.__setattr__(self, "masks", as_names(self.masks, "masks"))
        object.__setattr__(self, "masks_nodata", tuple(self.masks_nodata))
        refuse_masks_nodata(self.masks, self.masks_nodata)
        require_engine(self.engine)
        signing.require(self.access.sign)
        refuse_scale(self.scale)

    @classmethod
    def from_recipe(cls, settings: Settings[Imagery]) -> StacSource:
        """The items that a recipe's imagery is of."""
        imagery = settings.part
        return cls(
            url=imagery.url or "",
            collection=imagery.collection,
            assets=imagery.assets,
            max_cloud_cover=imagery.max_cloud_cover,
            min_valid_fraction=settings.min_valid_fraction,
            judged_by=settings.judged_by,
            scale=imagery.scale,
            offset=imagery.offset,
            nodata=imagery.nodata,
            engine=imagery.engine,
            sign=imagery.sign,
            allow_hosts=imagery.allow_hosts,
            keep_query=imagery.keep_query,
            unsigned=imagery.unsigned,
            requester_pays=imagery.requester_pays,
            bearer=imagery.bearer,
        )

    def with_masks(self, names: Sequence[str], nodata: Sequence[int] = ()) -> StacSource:
        """The same with these assets of classes beside the bands, and no others."""
        return replace(self, masks=tuple(names), masks_nodata=tuple(nodata), judged_by=None)

    @property
    def access(self) -> Access:
        """What may be read, and how it is signed."""
        sign, identity = self.sign or self._catalogue.sign, identity_of(self)
        return access_for(self.url, self.allow_hosts, KNOWN_HOSTS, sign, self.keep_query, identity)

    @property
    def account(self) -> Credentials | None:
        """What stores and hosts want of who reads their files; None for nothing."""
        return credentials_of(self.access)

    @property
    def _catalogue(self) -> Catalogue:
        """What is known of the catalogue, or of the one that the items come from."""
        return catalogue_at(self.url if self.items is None else self.items.home)

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band per asset: uint16, nodata 0; then one per mask: uint8, nodata by `masks_nodata`."""
        return imagery_bands(names_of(self.assets), self.masks, self.masks_nodata)

    def search(self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Time = None) -> Found:
        """Up to three scenes for each square, the best first; see :func:`.ranking.ranked`."""
        wanted = as_interval(time)
        ranking = Ranking(
            miss=lambda item: self._miss(item, wanted) or self._without_masks(item),
            snapping=lambda item: Snapping(crs_of(item, self._keys(item)[0], self.access)),
            scene=self._scene,
            least=self.min_valid_fraction,
        )
        search = self._search(wanted)
        found = ranked(neighbourhoods(search, lon, lat, extent_m), lon, lat, extent_m, ranking)
        if any(found) or search.is_local:
            return found
        return Found(found, found.why, unlimited(search, lon, lat, extent_m, ranking.miss))

    def _search(self, time: Interval | None) -> Search:
        return Search(
            url=self.url,
            collection=self.collection,
            time=time,
            max_cloud_cover=self.max_cloud_cover,
            access=self.access,
            given=self.items,
        )

    def timeline(self, geobox: GeoBox, time: Time = None) -> Timeline:
        """Every scene that touches a grid, as overpasses in order of time; see :func:`.overpasses.timeline`."""
        search = replace(self._search(as_interval(time)), max_cloud_cover=None)  # those with more are told
        items = items_around(search, lonlat_bounds(geobox))
        matches, odd = sifted(items, partial(self._miss, time=search.time), geobox, self.max_cloud_cover)
        lacking = [(item.id, why) for item in matches if (why := self._lacks(item))]
        overpasses = timeline([item for item in matches if not self._lacks(item)], geobox, self._scene)
        left_out = (*overpasses.left_out, *sorted([*odd, *lacking]))
        why = "" if overpasses.steps else self._absent(search, items, geobox)
        return replace(overpasses, left_out=left_out, why=why)

    def _absent(self, search: Search, items: Sequence[Item], geobox: GeoBox) -> str:
        """Why there is nothing over a grid."""

        def miss(item: Item) -> Miss | None:
            known = self._miss(item, search.time) or self._without_masks(item)
            lack = None if known else self._lacks(item)
            return Miss("item", f"{item.called} {lack}") if lack else known

        lon, lat = (np.array([degrees]) for degrees in centre(geobox))
        told = absent(items, geobox, miss, is_whole=search.is_local)
        at_any_time = unlimited(search, lon, lat, METRES_NEAR, miss) if not items else ""
        return f"{told}; {at_any_time}" if at_any_time else told

    def _lacks(self, item: Item) -> str | None:
        """What an item lacks for a cube over time, in words, or None; a cube does not take rendered pictures."""
        missing = [name for name in self.masks if self._at(item, name) is None]
        if missing:
            return f"has no asset {', '.join(missing)}"
        return None if all(self._at(item, each) for each in self.assets) else "has no bands but a rendered picture"

    def _miss(self, item: Item, time: Interval | None) -> Miss | None:
        """Why an item does not serve, wherever it lies; None if it may. One that names no collection is of any."""
        collection = item.content.get("collection") or self.collection
        if collection != self.collection:
            return Miss("collection", str(collection))
        if not item.footprint.area:
            return Miss(
                "item", f"item {item.id} has a {item.content['geometry'].get('type')} for its geometry: no ground"
            )
        if not taken_in(item, time):
            return Miss("time", period(item))
        if cloud_cover(item) > self.max_cloud_cover:
            return Miss("cloud", stated_cloud_cover(item))
        return None if self._places(item) else self._without(item, self.assets)

    def _without_masks(self, item: Item) -> Miss | None:
        """That an item lacks a band of classes; None if it lacks none."""
        return None if all(self._at(item, name) for name in self.masks) else self._without(item, self.masks)

    def _without(self, item: Item, wanted: Sequence[Any]) -> Miss:
        """That an item lacks some of these bands, and what it has instead."""
        missing = [name for name, each in zip(names_of(wanted), wanted, strict=True) if not self._at(item, each)]
        return Miss("assets", (tuple(missing), tuple(item.content["assets"])))

    def _at(self, item: Item, wanted: Any) -> Located | None:
        """Where a band is in an item; None if it is not there."""
        return located(item, wanted, self._catalogue.assets)

    def _places(self, item: Item) -> list[Located]:
        """Where the bands of an item are; in the provider's picture where one is missing; nowhere, if there is none."""
        places = [self._at(item, each) for each in self.assets]
        if None not in places:
            return [place for place in places if place is not None]
        visual = self._catalogue.assets.get(VISUAL, VISUAL)
        usable = visual in item.content["assets"] and shown_by_visual(self.assets)
        return [Located(visual, number) for number in (1, 2, 3)] if usable else []

    def _keys(self, item: Item) -> tuple[str, ...]:
        """Names of the assets to read of an item, one per band; or none."""
        return tuple(place.key for place in self._places(item))

    def _scene(self, item: Item) -> Scene:
        places, classes = self._places(item), self._classes(item)
        rendered = not all(self._at(item, each) for each in self.assets)
        return Scene(
            id=item.id,
            collection=self.collection,
            source="stac",
            datetime=utc_text(moment(item)),
            cloud_cover=stated_cloud_cover(item),
            assets=(
                *(
                    self._pictured(item, at, name, rendered=rendered)
                    for name, at in zip(names_of(self.assets), places, strict=True)
                ),
                *(
                    replace(asset_of(item, at, self.access, name=name), offset=0, classified=True)
                    for name, at in classes.items()
                ),
            ),
            rendered=rendered,
            item=pinned(item, (at.key for at in (*places, *classes.values())), self.keep_query),
        )

    def _classes(self, item: Item) -> dict[str, Located]:
        """Where an item has the bands of classes, by name: those it must have, and that which it may."""
        names = (*self.masks, *(band.name for band in self._judging))
        return {name: at for name in names if (at := self._at(item, name)) is not None}

    def _opened(self, scene: Scene) -> tuple[Band, ...]:
        """The bands that `open` reads of a scene."""
        return (*self.bands, *(band for band in self._judging if scene.has(band.name)))

    @property
    def _judging(self) -> tuple[Band, ...]:
        return () if self.judged_by is None else (self.judged_by,)

    def _pictured(self, item: Item, at: Located, name: str, *, rendered: bool) -> Asset:
        """An asset of imagery. Classes are refused: read as reflectance they would be others, without a word."""
        content = item.content["assets"][at.key]
        if rendered or not isinstance(content, dict):
            return asset_of(item, at, self.access, name=name, rendered=rendered)
        if holds_classes(content, at.band, at.key, name):
            raise InputError(
                f"asset {at.key!r} of item {item.called} holds classes, which are no reflectance: take {name} out of assets "
                f"and name it in masks, StacSource(masks=({name!r},)); in a recipe as cube.mask or quality.classes"
            )
        if holds_quality(content, at.band, at.key, name) and not dtype_of(content, at.band).startswith("float"):
            return asset_of(item, at, self.access, name=name)
        return self._in_units(asset_of(item, at, self.access, name=name, scale=self.scale))

    def _in_units(self, asset: Asset) -> Asset:
        """An asset of imagery whose numbers mean what was said here, or else what its item says."""
        return replace(
            asset,
            offset=asset.offset if self.offset is None else in_digital_numbers(self.offset),
            nodata=asset.nodata if self.nodata is None else self.nodata,
        )

    def cost(self, work: Workload) -> SourceCost:
        """Of files in blocks, a file for each asset."""
        return files_cost(work, len(self.assets), [asset for asset in work.scene.assets if asset.classified])

    def needs(self, scenes: Sequence[Scene] = ()) -> Needs:
        """The engine and the signer, where they are packages of their own, and the files that scenes lie in."""
        packages, variables = signing.needs(self.access.sign)
        packages = (*packages_of(self.engine), *packages)
        return Needs(packages=packages, variables=variables, files=local_files(scenes, self.collection))

    def footprints(self) -> tuple[shapely.Geometry, ...] | None:
        """Of the items of a local catalogue, or of those that were given, that serve at any time; None of a server."""
        items = items_at_hand(self._search(None))
        return None if items is None else tuple(item.footprint for item in items if self._miss(item, None) is None)

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """One variable (y, x) per asset, uint16, lazily: the first scene's own pixels, nodata beyond its edge.

        With chunks it is the engine's array; without them it waits to be sliced, and only the slice is read.

        Classes, of masks and of what tiles are judged by, are uint8 and by nearest neighbour.

        Raises
        ------
        OffLattice
            If the scene is in another CRS or its pixels do not lie on the grid's lattice: they are read, never resampled.
        """
        from nutonic.sources.backend import dataset

        first = scenes[0]
        assets = {band: first.asset(band.name) for band in self._opened(first)}
        arrays = {band: self._strict(band, first.id, asset, geobox, chunks) for band, asset in assets.items()}
        return _told(dataset(geobox, arrays, rendered=first.rendered), geobox, [first])

    def cube(
        self, geobox: GeoBox, time: np.ndarray, steps: Sequence[Sequence[Scene]], *, chunks: int = 1024
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
        chunks
            Side of chunks in pixels.
        """
        from nutonic.sources.mosaic import over_time

        cube = over_time(self.bands, geobox, time, steps, chunks, self._opener, record=self.record)
        return _told(cube, geobox, [scene for step in steps for scene in step])

    def _opener(self, band: Band) -> Opener:
        return partial(self._parts, band)

    def _parts(self, band: Band, scenes: Sequence[Scene], geobox: GeoBox, chunk: int) -> list[Part | Windowed]:
        """A band of a cube's scenes: as it is where its pixels make up the grid's, else by nearest neighbour."""
        from nutonic.sources.backend import NearestMosaic
        from nutonic.sources.engines.arrays import opener_of_many

        named = [(scene.id, scene.asset(band.name)) for scene in scenes]
        native = [band.kind == "reflectance" and is_whole(asset, geobox) for _, asset in named]
        opened = iter(opener_of_many(self.engine)(list(compress(named, native)), geobox, chunk, self.access))

        def nearest(asset: Asset) -> NearestMosaic:
            return NearestMosaic(geobox=geobox, assets=(asset,), band=band, access=self.access, of_scene=True)

        return [next(opened) if own else nearest(asset) for (_, asset), own in zip(named, native, strict=True)]

    def _strict(
        self, band: Band, scene: str, asset: Asset, geobox: GeoBox, chunk: int | None
    ) -> da.Array | LazilyIndexedArray:
        """An asset of one scene: reflectance is never resampled."""
        from nutonic.sources.backend import NearestMosaic
        from nutonic.sources.engines.arrays import native, opener

        if band.kind == "reflectance":
            engine = opener(self.engine)
            return (
                native(asset, geobox, band, self.access)
                if chunk is None
                else engine(scene, asset, geobox, chunk, self.access)
            )
        if chunk is None:
            return NearestMosaic(geobox=geobox, assets=(asset,), band=band, access=self.access, of_scene=True).lazy()
        from nutonic.sources.mosaic import nearest_array

        return nearest_array(asset, geobox, chunk, band, self.access)


def _told(ds: xr.Dataset, geobox: GeoBox, scenes: Sequence[Scene]) -> xr.Dataset:
    """A dataset whose imagery says what its numbers are, and how often its file's pixels are repeated along a side."""
    from nutonic.sources.backend import with_meaning

    assets = [asset for scene in scenes for asset in scene.pictured if is_whole(asset, geobox)]
    times = repeats(((asset.name, Affine(*asset.transform)) for asset in assets), geobox)
    for name, count in times.items():
        ds[name].attrs["repeated"] = count
    return with_meaning(ds, scenes)
