"""Imagery from Google Earth Engine: scenes listed, and read in their own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.core.catalogs import IMAGED, refuse_jumping
from nutonic.core.globe import Box
from nutonic.core.grid import lonlat_bounds
from nutonic.core.model import Asset, Band, Json, RemotePin, Scene, Timeline
from nutonic.core.showing import ShortRepr
from nutonic.core.times import Interval, Time, as_interval, utc_text
from nutonic.errors import GridError, InputError
from nutonic.recipe.inputs import Imagery
from nutonic.sources.backend import Windowed, dataset, with_meaning
from nutonic.sources.cost import SourceCost, Workload
from nutonic.sources.earthengine import credentials as ee_credentials
from nutonic.sources.earthengine.account import NEEDS, Account
from nutonic.sources.earthengine.blocks import BAND_BYTES, NativeBlock, NearestBlock, band_groups
from nutonic.sources.earthengine.items import (
    ImageQuery,
    UnusableImage,
    asset_of_band,
    image_and_band,
    images_in,
    lacks,
    snapping_of,
)
from nutonic.sources.earthengine.versions import listed_pin, pin_of
from nutonic.sources.earthengine.windows import cost_of
from nutonic.sources.grids import is_native
from nutonic.sources.item import Item, cloud_cover, moment, period, stated_cloud_cover, taken_in
from nutonic.sources.missing import Found, Miss
from nutonic.sources.mosaic import Opener, over_time
from nutonic.sources.neighbourhoods import around, searched
from nutonic.sources.passes import absent, sifted, timeline
from nutonic.sources.pixels import imagery_bands, refuse_masks_nodata
from nutonic.sources.placing import offset_of
from nutonic.sources.ranking import Ranking, ranked
from nutonic.sources.source import Needs, Settings, SourceDefaults


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EarthEngineImagery(ShortRepr, SourceDefaults):
    """Images of one collection, such as NAIP (``USDA/NAIP/DOQQ``) or Sentinel-2 (``COPERNICUS/S2_SR_HARMONIZED``).

    Pixels are the image's own numbers as uint16, 0 where it is masked; a valid pixel is never below 1. Images of 8 bits,
    as NAIP's, are pictures already and are not stretched again.
    """

    collection: str
    """Id in Earth Engine's catalogue, or of an asset of your own."""
    assets: tuple[str, ...] = ("red", "green", "blue")
    """Names of the variables, and of the bands; where a known collection calls its bands otherwise, that is known."""
    max_cloud_cover: float = 100.0
    """Percent; images that do not state their cloud cover count as 100, but for NAIP's, which never do."""
    min_valid_fraction: float = 0.35
    """The share of a square that a scene must cover where none covers it all."""
    resolution_m: float | None = None
    """Side of a pixel: images of others are passed over, as NAIP has been flown at 1, 0.6 and 0.3 m; None takes all."""
    masks: tuple[str, ...] = ()
    """Bands of classes beside the others, such as ``scl``: uint8, 0 where there is none, by nearest neighbour."""
    masks_nodata: tuple[int, ...] = ()
    """Of each mask what it has where there is no class, if not 0; as of :class:`nutonic.StacSource`."""
    judged_by: Band | None = None
    """Classes that `open` reads beside the bands of images that have them; as of :class:`nutonic.StacSource`."""
    record: bool = False
    """Whether a cube over time tells in a variable ``scene`` which scene a pixel comes from; as of
    :class:`nutonic.StacSource`."""
    project: str | None = None
    """Cloud project that asks; by default as the environment says."""
    url: str | None = None
    """Of the REST API; by default the high-volume endpoint."""

    def _facts(self) -> Json:
        return {"collection": self.collection, "assets": self.assets, "masks": self.masks}

    def __post_init__(self) -> None:
        refuse_jumping(self.collection)
        ee_credentials.require()
        refuse_masks_nodata(self.masks, self.masks_nodata)
        _ = self.account

    @classmethod
    def from_recipe(cls, settings: Settings[Imagery]) -> EarthEngineImagery:
        """The collection that a recipe's imagery is of, its images in the grid's pixel size."""
        imagery = settings.part
        return cls(
            collection=imagery.collection,
            assets=imagery.bands,
            max_cloud_cover=imagery.max_cloud_cover,
            min_valid_fraction=settings.min_valid_fraction,
            resolution_m=settings.resolution_m,
            judged_by=settings.judged_by,
            project=imagery.project,
            url=imagery.url,
        )

    def with_masks(self, names: Sequence[str], nodata: Sequence[int] = ()) -> EarthEngineImagery:
        """The same with these bands of classes beside the others, and none that tiles are judged by."""
        return replace(self, masks=tuple(names), masks_nodata=tuple(nodata), judged_by=None)

    @property
    def account(self) -> Account:
        """Where to ask, and as whom."""
        return Account(self.url, self.project)

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band per asset: uint16, nodata 0; then one per mask: uint8, nodata by `masks_nodata`."""
        return imagery_bands(self.assets, self.masks, self.masks_nodata)

    def search(self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Time = None) -> Found:
        """Up to three scenes for each square, the best first; see :func:`.ranking.ranked`. One listing a neighbourhood.

        Raises
        ------
        InputError
            If there is no such collection, or none of the images found has the bands.
        Refused
            If there are no credentials or no project, or they are refused.
        Unreachable
            If Earth Engine does not answer.
        """
        tally, wanted = _ImageTally(), as_interval(time)

        def find(boxes: list[Box]) -> list[Item]:
            items, unusable = self._images(boxes, wanted)
            return tally.without([(item, self._lacks(item)) for item in items], unusable)

        ranking = Ranking(
            miss=partial(self._miss, time=wanted),
            snapping=lambda item: snapping_of(item, self._key(self.assets[0])),
            scene=self._scene,
            least=self.min_valid_fraction,
        )
        scenes = ranked(searched(find, lon, lat, extent_m), lon, lat, extent_m, ranking)
        tally.check(self.collection)
        return scenes

    def timeline(self, geobox: GeoBox, time: Time = None) -> Timeline:
        """Every scene that touches a grid, as overpasses in order of time; see :func:`.overpasses.timeline`."""
        wanted = as_interval(time)
        all_clouds = replace(self, max_cloud_cover=100.0)  # those with more than is wanted are told
        items, unusable = around((all_clouds, wanted), lonlat_bounds(geobox), partial(all_clouds._images, time=wanted))
        matches, odd = sifted(items, partial(self._miss, time=wanted), geobox, self.max_cloud_cover)
        lacking = [(item.id, why) for item in matches if (why := self._lacks(item))]
        overpasses = timeline([item for item in matches if not self._lacks(item)], geobox, self._scene)
        left_out = (*overpasses.left_out, *sorted([*unusable, *odd, *lacking]))
        why = "" if overpasses.steps or left_out else absent(items, geobox, partial(self._miss, time=wanted))
        return replace(overpasses, left_out=left_out, why=why)

    def _images(self, boxes: list[Box], time: Interval | None) -> tuple[list[Item], list[UnusableImage]]:
        bands = frozenset(map(self._key, (*self.assets, *self.masks, *(band.name for band in self._judging))))
        query = ImageQuery(collection=self.collection, bands=bands, time=time, max_cloud_cover=self.max_cloud_cover)
        return images_in(self.account, query, boxes)

    def _miss(self, item: Item, time: Interval | None) -> Miss | None:
        """Why an image does not serve, wherever it lies; None if it may."""
        known = IMAGED.get(self.collection)
        if not taken_in(item, time):
            return Miss("time", period(item))
        if (known is None or known.clouds) and cloud_cover(item) > self.max_cloud_cover:
            return Miss("cloud", stated_cloud_cover(item))
        return None

    def _lacks(self, item: Item) -> str | None:
        """What an image lacks, in words, or None."""
        pixels = [lacks(item, self._key(name), 65535, self.resolution_m) for name in self.assets]
        classes = [lacks(item, self._key(name), 255) for name in self.masks]
        return next(filter(None, (*pixels, *classes)), None)

    def _key(self, name: str) -> str:
        """The name of a band in this collection."""
        known = IMAGED.get(self.collection)
        return known.bands.get(name, name) if known else name

    @property
    def _judging(self) -> tuple[Band, ...]:
        return () if self.judged_by is None else (self.judged_by,)

    def _scene(self, item: Item) -> Scene:
        assets = item.content["assets"]
        judging = [band for band in self._judging if lacks(item, self._key(band.name), 255) is None]
        return Scene(
            id=item.id,
            collection=self.collection,
            source="earthengine",
            datetime=utc_text(moment(item)),
            cloud_cover=stated_cloud_cover(item),
            assets=tuple(asset_of_band(item, self._key(band.name), band) for band in (*self.bands, *judging)),
            rendered=all(assets[self._key(name)]["range"][1] <= 255 for name in self.assets),
        )

    def cost(self, work: Workload) -> SourceCost:
        """A request for all bands of a square, and one for its classes."""
        cost = cost_of(work, BAND_BYTES * len(self.assets))
        classes = sum(asset.classified for asset in work.scene.assets)
        return replace(
            cost,
            requests=cost.requests + classes * work.places,
            bytes_read=cost.bytes_read + classes * work.places * work.side**2 * BAND_BYTES,
        )

    def pin(self, href: str, *, listed: bool = False) -> RemotePin | None:
        """When the image of an asset was changed last, as a pin: one request; none if `listed` in this session."""
        image, _ = image_and_band(href)
        return listed_pin(self.account, image) if listed else pin_of(self.account, image)

    def needs(self, scenes: Sequence[Scene] = ()) -> Needs:
        """Earth Engine's clients."""
        return NEEDS

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """One variable (y, x) per asset, uint16, lazily: the first scene's own pixels, nodata beyond its edge.

        A window of all bands that have the same pixels is one request.

        Raises
        ------
        OffLattice
            If the scene is in another CRS or its pixels do not lie on the grid's lattice: they are read, never resampled.
        """
        bands = [*self.bands, *(band for band in self._judging if scenes[0].has(band.name))]
        pairs = [(band, scenes[0].asset(band.name)) for band in bands]
        arrays: dict[Band, Windowed] = {}
        for band, (group, index) in band_groups(pairs, self._pictures(scenes[0]), self.account).items():
            asset = group.assets[index]
            if band.kind == "reflectance":
                offset = offset_of(asset, geobox)
                arrays[band] = NativeBlock(geobox=geobox, band=band, group=group, index=index, offset=offset)
            else:
                arrays[band] = NearestBlock(geobox=geobox, band=band, group=group, index=index)
        ds = dataset(geobox, {band: arrays[band].lazy() for band in bands}, rendered=scenes[0].rendered)
        ds = with_meaning(ds, scenes[:1])
        return ds if chunks is None else ds.chunk(chunks)

    def cube(
        self, geobox: GeoBox, time: np.ndarray, steps: Sequence[Sequence[Scene]], *, chunks: int = 1024
    ) -> xr.Dataset:
        """One variable (time, y, x) per asset, lazily: in a step a pixel comes from the first scene that has one.

        A chunk of a scene is one request, whichever worker asks for it: bands are not asked for together here. Scenes
        whose pixels are not the grid's are read by nearest neighbour; parameters are those of
        :meth:`nutonic.StacSource.cube`.
        """
        cube = over_time(self.bands, geobox, time, steps, chunks, self._opener, record=self.record)
        return with_meaning(cube, [scene for step in steps for scene in step])

    def _pictures(self, scene: Scene) -> tuple[Asset, ...]:
        """The assets of reflectance: where all of them are 0, a scene shows nothing."""
        return tuple(scene.asset(name) for name in self.assets)

    def _opener(self, band: Band) -> Opener:
        return partial(self._blocks, band)

    def _blocks(self, band: Band, scenes: Sequence[Scene], geobox: GeoBox, chunk: int) -> list[Windowed]:
        return [self._block(band, scene, geobox) for scene in scenes]

    def _block(self, band: Band, scene: Scene, geobox: GeoBox) -> Windowed:
        """A band of a scene: as it is where its pixels are the grid's, else by nearest neighbour."""
        asset = scene.asset(band.name)
        _refuse_coarse(asset, geobox)
        group, index = band_groups([(band, asset)], self._pictures(scene), self.account)[band]
        if is_native(asset, geobox):
            return NativeBlock(geobox=geobox, band=band, group=group, index=index, offset=offset_of(asset, geobox))
        return NearestBlock(geobox=geobox, band=band, group=group, index=index)


#: A cube's pixel may be so many of an image's a side: of more, most would be read to be left out.
_COARSEST = 4


def _refuse_coarse(asset: Asset, geobox: GeoBox) -> None:
    if geobox.affine.a > _COARSEST * asset.transform[0]:
        side = f"{asset.transform[0]:g}"
        raise GridError(
            f"{asset.written} has pixels of {side} m, the cube of {geobox.affine.a:g} m, and they are not averaged: open "
            f"it on nt.area_grid(area, resolution={side}), in a recipe by grid.resolution_m"
        )


class _ImageTally:
    """What a search met: that no image has the bands is a mistake in a recipe, that some have not is none."""

    def __init__(self) -> None:
        self.lacking: list[tuple[str, str]] = []
        self.useful = False

    def without(self, pairs: Sequence[tuple[Item, str | None]], unusable: Sequence[UnusableImage]) -> list[Item]:
        """The items that lack nothing; called by several threads."""
        self.lacking += [*unusable, *((item.id, why) for item, why in pairs if why)]
        items = [item for item, why in pairs if not why]
        if items:
            self.useful = True
        return items

    def check(self, collection: str) -> None:
        """Raise if there were images, and none that has all that is needed."""
        if self.lacking and not self.useful:
            name, why = min(self.lacking)
            raise InputError(
                f"no image of {collection} is of use: see imagery.assets and grid.resolution_m; {name}, for one, {why}"
            )
