"""Land cover from a STAC catalogue: several items under one square, seen as one raster."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from nutonic.core.catalogs import KNOWN_HOSTS, PRODUCTS, catalogue_at
from nutonic.core.classes import AnyTable, ClassTable, refuse_unknown_classes, table_of
from nutonic.core.footprints import near
from nutonic.core.globe import reach, turned
from nutonic.core.grid import lonlat_bounds
from nutonic.core.model import Band, Json, Scene, Step, Timeline
from nutonic.core.showing import ShortRepr, short_address
from nutonic.core.times import Interval, Time, as_interval
from nutonic.errors import FileMissing, Gone, InputError
from nutonic.io import signing
from nutonic.io.access import Access, access_for, identity_of
from nutonic.io.buckets.inputs import Credentials, credentials_of
from nutonic.io.session import current
from nutonic.recipe.inputs import Labels
from nutonic.sources.item import Item, Unusable, period, year_of
from nutonic.sources.missing import Bare, Found, Miss, passed_over, reasons
from nutonic.sources.neighbourhoods import Neighbourhood
from nutonic.sources.passes import absent, sifted
from nutonic.sources.source import Needs, Settings, SourceDefaults, local_files
from nutonic.sources.stac.assets import asset_of, pinned
from nutonic.sources.stac.bands import Located
from nutonic.sources.stac.given import settled
from nutonic.sources.stac.search import Search, items_around, neighbourhoods

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

# What opens files, and xarray with it, is imported by who opens one.


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StacLabels(ShortRepr, SourceDefaults):
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
    or the newest where no time is given. An item is of the year of its ``datetime``, or else of the middle between its start
    and its end; where none is of this year, those of several years that hold its middle are."""
    remap: Mapping[int, int] = field(default_factory=dict)
    """Codes of the files that are no ids of the class table, and what each is: a class, or the unknown value."""
    sign: str | None = None
    """As of :class:`nutonic.StacSource`."""
    allow_hosts: tuple[str, ...] = ()
    keep_query: tuple[str, ...] = ()
    unsigned: bool = False
    requester_pays: bool = False
    bearer: Mapping[str, str] = field(default_factory=dict)
    """As of :class:`nutonic.StacSource`."""

    def _facts(self) -> Json:
        where = {"url": short_address(self.url)} if self.items is None else {"items": len(self.items)}
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
            keep_query=labels.keep_query,
            unsigned=labels.unsigned,
            requester_pays=labels.requester_pays,
            bearer=labels.bearer,
        )

    @property
    def access(self) -> Access:
        """What may be read, and how it is signed."""
        home = self.url if self.items is None else self.items.home
        sign, identity = self.sign or catalogue_at(home).sign, identity_of(self)
        return access_for(self.url, self.allow_hosts, KNOWN_HOSTS, sign, self.keep_query, identity)

    @property
    def account(self) -> Credentials | None:
        """What stores and hosts want of who reads their files; None for nothing."""
        return credentials_of(self.access)

    @property
    def table(self) -> ClassTable:
        """What the values mean."""
        assert isinstance(self.classes, ClassTable)
        return self.classes

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band, ``label``: class ids as uint8, the table's unknown value where there is none."""
        return (self.table.band_of(self.remap),)

    def search(self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Time = None) -> Found:
        """All the items of one year under each square, by id; none where no item touches it."""
        scenes: list[tuple[Scene, ...]] = [()] * len(lon)
        why: dict[int, str] = {}
        problems: list[InputError | Gone | FileMissing] = []
        for group in neighbourhoods(self._search, lon, lat, extent_m):
            members = group.members
            usable = [item for item in group.items if passed_over(item, self._miss) is None]
            under = _under(usable, lon[members], lat[members], extent_m)
            scene = lru_cache(maxsize=None)(lambda k, items=group.items: self._usable(items[k], problems))
            number = {id(item): k for k, item in enumerate(group.items)}
            for i, items in zip(members.tolist(), under, strict=True):
                chosen = sorted(_of_one_year(items, self.year, as_interval(time)), key=_order)
                scenes[i] = tuple(filter(None, (scene(number[id(item)]) for item in chosen)))
            why |= self._reasons(group, [i for i in members.tolist() if not scenes[i]], (lon, lat, extent_m))
        if problems and not any(scenes):
            raise problems[0]
        return Found(scenes, why)

    def timeline(self, geobox: GeoBox, time: Time = None) -> Timeline:
        """The items of one year under a grid, as one step without a time."""
        items = items_around(self._search, lonlat_bounds(geobox))
        matches, odd = sifted(items, self._miss, geobox)
        chosen = sorted(_of_one_year(matches, self.year, as_interval(time)), key=_order)
        problems: list[InputError | Gone | FileMissing] = []
        scenes = tuple(filter(None, (self._usable(item, problems) for item in chosen)))
        if problems and not scenes:
            raise problems[0]
        if scenes:
            return Timeline(steps=(Step(time=None, scenes=scenes),), left_out=tuple(odd))
        why = absent(items, geobox, self._miss_of_year, is_whole=self._search.is_local)
        return Timeline(steps=(), left_out=tuple(odd), why=why)

    @property
    def _search(self) -> Search:
        """Of all times and clouds."""
        everything = Search(
            url=self.url, collection=self.collection, time=None, max_cloud_cover=None, access=self.access
        )
        return replace(everything, given=self.items)

    def _reasons(
        self, group: Neighbourhood, bare: Sequence[int], squares: tuple[np.ndarray, np.ndarray, float]
    ) -> dict[int, str]:
        """Why squares have no labels, by their position."""
        if not bare:
            return {}
        lon, lat, extent_m = squares[0][bare], squares[1][bare], squares[2]
        where = Bare(
            lon=lon, lat=lat, extent_m=extent_m, most=np.zeros(len(bare)), items=group.items, is_whole=group.is_whole
        )
        words, _ = reasons(where, lambda item, _: passed_over(item, self._miss_of_year) or Miss("place"))
        return dict(zip(bare, words, strict=True))

    def _usable(self, item: Item, problems: list[InputError | Gone | FileMissing]) -> Scene | None:
        """The scene of an item; None where it cannot be one, such as where its file is gone, which is kept and told."""
        try:
            return self._scene(item)
        except (InputError, Gone, FileMissing) as error:
            problems.append(error)
            current().resource(Unusable).add([(item.id, str(error))])
            return None

    def _miss(self, item: Item) -> Miss | None:
        """Why an item does not serve, wherever it lies; None if it may. One that names no collection is of any."""
        collection = item.content.get("collection") or self.collection
        if collection != self.collection:
            return Miss("collection", str(collection))
        names = tuple(item.content["assets"])
        return None if self.asset in names else Miss("assets", ((self.asset,), names))

    def _miss_of_year(self, item: Item) -> Miss | None:
        """The same, where items of the year that is asked for were looked for, and none was found."""
        year = year_of(item)
        return self._miss(item) or (None if self.year in (None, year) else Miss("year", year))

    def _scene(self, item: Item) -> Scene:
        return Scene(
            id=item.id,
            collection=self.collection,
            source="stac",
            datetime=item.moment,
            cloud_cover=None,
            assets=(asset_of(item, Located(self.asset), self.access, name="label"),),
            item=pinned(item, [self.asset], self.keep_query),
        )

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """The variable ``label`` (y, x), uint8, lazily, on exactly this grid; a slice of it reads only that slice."""
        from nutonic.sources.backend import NearestMosaic, dataset

        (band,) = self.bands
        assets = tuple(scene.asset("label") for scene in scenes)
        mosaic = NearestMosaic(geobox=geobox, assets=assets, band=band, access=self.access, single=True)
        ds = dataset(geobox, {band: mosaic.lazy()})
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


def _of_one_year(items: Sequence[Item], year: int | None, time: Interval | None) -> list[Item]:
    """The items of the year that was asked for, or else of the nearest there is.

    Where none is of the year that was asked for, those of several years that hold its middle are.
    """
    years = [year_of(item) for item in items]
    if not years:
        return []
    if year is None:
        middle = math.inf if time is None else time.middle.year
        year = max(years) if middle == math.inf else min(years, key=lambda y: (abs(y - middle), y))
    if year in years:
        return [item for item, its in zip(items, years, strict=True) if its == year]
    return [item for item in items if period(item).contains(dt.datetime(year, 7, 2, tzinfo=dt.UTC))]


def _order(item: Item) -> tuple[str, str]:
    """What the items of a mosaic are sorted by."""
    return item.id, item.moment
