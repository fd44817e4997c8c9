"""Land cover from a STAC catalogue: several items under one square, seen as one raster."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.core.catalogs import KNOWN_HOSTS, PRODUCTS, catalogue_at
from nutonic.core.classes import AnyTable, ClassTable, refuse_unknown_classes, table_of
from nutonic.core.footprints import near
from nutonic.core.globe import reach, turned
from nutonic.core.grid import lonlat_bounds
from nutonic.core.model import Band, Json, Scene, Step, Timeline
from nutonic.core.showing import Shown, place
from nutonic.core.times import Interval, Time, as_interval
from nutonic.errors import Gone, InputError
from nutonic.io import signing
from nutonic.io.access import Access, access_for
from nutonic.io.session import current
from nutonic.recipe.inputs import Labels
from nutonic.sources.backend import NearestMosaic, dataset
from nutonic.sources.item import Item, Unusable, year_of
from nutonic.sources.overpasses import touches
from nutonic.sources.source import Needs, Settings, SourceDefaults, local_files
from nutonic.sources.stac.assets import asset_of, pinned
from nutonic.sources.stac.given import settled
from nutonic.sources.stac.search import Search, items_around, neighbourhoods


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StacLabels(Shown, SourceDefaults):
    """Class ids of the items of one collection and one year, read by window-independent nearest neighbour.

    Where items overlap, a pixel comes from the first, by id, that has a class there.
    """

    url: str = ""
    """Of a STAC API, or the path of a local catalogue."""
    collection: str = ""
    """As of :class:`nutonic.StacSource`."""
    items: Any = None
    """Items themselves instead of a catalogue, as of :class:`nutonic.StacSource`."""
    asset: str
    """Name of the asset that holds the classes."""
    classes: AnyTable
    """What its values mean; as of :class:`nutonic.RasterSource`."""
    year: int | None = None
    """Of the land cover; by default the one nearest to the middle of the time that is searched for, the earlier of two,
    or the newest where no time is given."""
    remap: Mapping[int, int] = field(default_factory=dict)
    """Codes of the files that are no ids of the class table, and what each is: a class, or the unknown value."""
    sign: str | None = None
    """As of :class:`nutonic.StacSource`."""
    allow_hosts: tuple[str, ...] = ()

    def _facts(self) -> Json:
        where = {"url": place(self.url)} if self.items is None else {"items": len(self.items.items())}
        return {**where, "collection": self.collection, "classes": self.table.name, "year": self.year}

    def __post_init__(self) -> None:
        url, collection, items = settled(self.url, self.collection, self.items)
        object.__setattr__(self, "url", url)
        object.__setattr__(self, "collection", collection)
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "classes", table_of(self.classes))
        signing.require(self.access.sign)
        refuse_unknown_classes(self.remap, self.table)

    @classmethod
    def from_recipe(cls, settings: Settings[Labels]) -> StacLabels:
        """The items that a recipe's labels are of; of known tables it is known where they lie."""
        labels = settings.part
        known = PRODUCTS.get(labels.table.name)
        return cls(
            url=labels.url or (known.url if known else ""),
            collection=labels.collection or (known.collection if known else ""),
            asset=labels.asset or (known.asset if known else ""),
            classes=labels.table,
            year=labels.year,
            remap=labels.remap,
            sign=labels.sign,
            allow_hosts=labels.allow_hosts,
        )

    @property
    def access(self) -> Access:
        """What may be read, and how it is signed."""
        home = self.url if self.items is None else self.items.home
        return access_for(self.url, self.allow_hosts, KNOWN_HOSTS, self.sign or catalogue_at(home).sign)

    @property
    def table(self) -> ClassTable:
        """What the values mean."""
        assert isinstance(self.classes, ClassTable)
        return self.classes

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band, ``label``: class ids as uint8, the table's unknown value where there is none."""
        return (self.table.band_of(self.remap),)

    def search(self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Time = None) -> list[tuple[Scene, ...]]:
        """All the items of one year under each square, by id; none where no item touches it."""
        search = self._search()
        scenes: list[tuple[Scene, ...]] = [()] * len(lon)
        problems: list[InputError | Gone] = []
        for group in neighbourhoods(search, lon, lat, extent_m):
            members = group.members
            under = _under([item for item in group.items if self._fits(item)], lon[members], lat[members], extent_m)
            scene = lru_cache(maxsize=None)(lambda k, items=group.items: self._usable(items[k], problems))
            number = {id(item): k for k, item in enumerate(group.items)}
            for i, items in zip(members.tolist(), under, strict=True):
                chosen = sorted(_of_one_year(items, self.year, as_interval(time)), key=lambda item: item.id)
                scenes[i] = tuple(filter(None, (scene(number[id(item)]) for item in chosen)))
        if problems and not any(scenes):
            raise problems[0]
        return scenes

    def timeline(self, geobox: GeoBox, time: Time = None) -> Timeline:
        """The items of one year under a grid, as one step without a time."""
        search = self._search()
        matches = [
            item for item in items_around(search, lonlat_bounds(geobox)) if self._fits(item) and touches(item, geobox)
        ]
        chosen = sorted(_of_one_year(matches, self.year, as_interval(time)), key=lambda item: item.id)
        problems: list[InputError | Gone] = []
        scenes = tuple(filter(None, (self._usable(item, problems) for item in chosen)))
        if problems and not scenes:
            raise problems[0]
        return Timeline(steps=(Step(time=None, scenes=scenes),) if scenes else ())

    def _usable(self, item: Item, problems: list[InputError | Gone]) -> Scene | None:
        """The scene of an item; None where it cannot be one, such as where its file is gone, which is kept and told."""
        try:
            return self._scene(item)
        except (InputError, Gone) as error:
            problems.append(error)
            current().resource(Unusable).add([(item.id, str(error))])
            return None

    def _search(self) -> Search:
        """Of all times and clouds."""
        everything = Search(
            url=self.url, collection=self.collection, time=None, max_cloud_cover=None, access=self.access
        )
        return replace(everything, given=self.items)

    def _fits(self, item: Item) -> bool:
        return (
            item.content.get("collection", self.collection) == self.collection and self.asset in item.content["assets"]
        )

    def _scene(self, item: Item) -> Scene:
        return Scene(
            id=item.id,
            collection=self.collection,
            source="stac",
            datetime=item.moment,
            cloud_cover=None,
            assets=(asset_of(item, self.asset, self.access, name="label"),),
            item=pinned(item, [self.asset]),
        )

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """The variable ``label`` (y, x), uint8, lazily, on exactly this grid; a slice of it reads only that slice."""
        (band,) = self.bands
        assets = tuple(scene.asset("label") for scene in scenes)
        ds = dataset(geobox, {band: NearestMosaic(geobox=geobox, assets=assets, band=band, access=self.access).lazy()})
        return ds if chunks is None else ds.chunk(chunks)

    def needs(self, scenes: Sequence[Scene] = ()) -> Needs:
        """The signer of addresses, if there is one, and the files that scenes lie in."""
        packages, variables = signing.needs(self.access.sign)
        return Needs(packages=packages, variables=variables, files=local_files(scenes, self.collection))


def _under(items: Sequence[Item], lon: np.ndarray, lat: np.ndarray, extent_m: float) -> list[list[Item]]:
    """The items whose footprints touch each square, or nearly do."""
    high, wide = reach(0.55 * extent_m, lat)
    squares = shapely.box(lon - wide, lat - high, lon + wide, lat + high)
    under: list[list[Item]] = [[] for _ in range(len(lon))]
    for item in items:
        where = near(item.footprint, lon, lat, extent_m)
        for shifted in turned(squares[where]):
            for i in where[shapely.intersects(shifted, item.footprint)].tolist():
                if item not in under[i][-1:]:
                    under[i].append(item)
    return under


def _of_one_year(items: Iterable[Item], year: int | None, time: Interval | None) -> list[Item]:
    """The items of the year that was asked for, or else of the nearest there is."""
    years = {item.id: year_of(item) for item in items}
    if not years:
        return []
    if year is None:
        middle = math.inf if time is None else time.middle.year
        year = max(years.values()) if middle == math.inf else min(years.values(), key=lambda y: (abs(y - middle), y))
    return [item for item in items if years[item.id] == year]
