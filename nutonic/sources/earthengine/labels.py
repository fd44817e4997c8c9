"""Land cover from Google Earth Engine, computed there and read through xee."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.core.catalogs import COLLECTED, Collected, Rule, refuse_windows, refuse_year
from nutonic.core.classes import DAYS, ClassTable, table_of
from nutonic.core.model import Band, Json, Scene, Step, Timeline
from nutonic.core.showing import ShortRepr
from nutonic.core.times import Interval, Time, as_interval, shifted
from nutonic.errors import BadPixels, InputError, NoScene, ReadFailed, Unreachable
from nutonic.recipe.inputs import Labels
from nutonic.sources.backend import Windowed, dataset
from nutonic.sources.cost import SourceCost, Workload
from nutonic.sources.earthengine import credentials as ee_credentials
from nutonic.sources.earthengine.account import NEEDS, Account, signed_in
from nutonic.sources.earthengine.expressions import MASKED, STRANGE, LabelImage
from nutonic.sources.earthengine.items import OF_THE_RECIPE
from nutonic.sources.earthengine.windows import PIXEL_BYTES, cost_of, packed, placed
from nutonic.sources.source import Needs, Settings, SourceDefaults

#: Half-widths of the windows around a scene's date, in days: Dynamic World is sparse by day.
WINDOWS_DAYS = (7, 14, 30, 60, 120)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EarthEngineLabels(ShortRepr, SourceDefaults):
    """Class ids of an image collection, on any grid in a CRS with an EPSG code, nearest neighbour.

    By `rule` a pixel takes

    - ``mode``: the most frequent class in the narrowest window around the scene's date that has one there;
    - ``nearest``: the class of the image nearest to the scene's date that reaches there, whose holes stay holes;
    - ``mosaic``: the class of the last image that has one there, whatever its date.

    A scene that :meth:`search` finds has no date: that of the picture which the labels are for is put in, see
    :func:`.source.with_dates`.
    """

    classes: ClassTable | str = "dynamic-world"
    """What the values mean: a class table, or the name of one; of ``"dynamic-world"`` and ``"esa-worldcover"`` the next
    three are known."""
    collection: str = ""
    """Id in Earth Engine's catalogue, or of an asset of your own."""
    band: str = ""
    """Name of the band that holds the classes, whole numbers from 0 to 255."""
    rule: Rule | None = None
    """One of the above; of a table that is not known ``mosaic``."""
    windows_days: tuple[int, ...] = WINDOWS_DAYS
    """Half-widths of the windows, ascending; `nearest` looks as far as the last."""
    year: int | None = None
    """Of the images of a mosaic; by default all of them."""
    project: str | None = None
    """Cloud project that asks; by default as the environment says."""
    url: str | None = None
    """Of the REST API; by default the high-volume endpoint."""

    def _facts(self) -> Json:
        classes = self.classes if isinstance(self.classes, str) else self.classes.name
        return {"collection": self.collection, "classes": classes, "rule": self.rule, "year": self.year}

    def __post_init__(self) -> None:
        self._complete()
        refuse_windows(self.windows_days)
        refuse_year(self.year, self.rule or "mosaic")
        ee_credentials.require()
        _ = self.account

    @classmethod
    def from_recipe(cls, settings: Settings[Labels]) -> EarthEngineLabels:
        """The collection that a recipe's labels are of."""
        labels = settings.part
        return cls(
            classes=labels.table,
            collection=labels.collection or "",
            band=labels.band or "",
            rule=labels.rule,
            windows_days=labels.windows_days or WINDOWS_DAYS,
            year=labels.year,
            project=labels.project,
            url=labels.url,
        )

    def _complete(self) -> None:
        """Fill in what is known of the table."""
        table = table_of(self.classes)
        known = COLLECTED.get(table.name, Collected(collection="", band="", rule="mosaic"))
        object.__setattr__(self, "classes", table)
        for name in ("collection", "band", "rule"):
            object.__setattr__(self, name, getattr(self, name) or getattr(known, name))
        if not self.collection or not self.band:
            raise InputError(
                f"labels of {table.name} need a collection and a band: only those of {', '.join(COLLECTED)} are known"
            )

    @property
    def account(self) -> Account:
        """Where to ask, and as whom."""
        return Account(self.url, self.project)

    @property
    def table(self) -> ClassTable:
        """What the values mean."""
        assert isinstance(self.classes, ClassTable)
        return self.classes

    @property
    def is_dated(self) -> bool:
        """Whether pixels depend on the date of the scene."""
        return self.rule != "mosaic"

    @property
    def bands(self) -> tuple[Band, ...]:
        """``label``: class ids as uint8, the table's unknown value where there is none; if dated also ``days``, uint8."""
        return (self.table.band, DAYS) if self.is_dated else (self.table.band,)

    def search(self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Time = None) -> list[tuple[Scene, ...]]:
        """The collection, as one scene without a date for all places; one request makes sure that it can be used.

        A place that no image reaches, or none without clouds, is told by its pixels.

        Raises
        ------
        InputError
            If there is no such collection or band, or its pixels cannot be the table's classes.
        NoScene
            If it has no image in the time that is searched.
        Refused
            If there are no credentials or no project, or they are refused.
        Unreachable
            If Earth Engine does not answer.
        """
        period = as_interval(time)
        self._check(self._first(period), period)
        scene = Scene(
            id=self.collection,
            collection=self.table.name,
            source="earthengine",
            datetime=None,
            cloud_cover=None,
            assets=(),
        )
        return [(scene,)] * len(lon)

    def timeline(self, geobox: GeoBox, time: Time = None) -> Timeline:
        """The collection as one step without a time; where pixels depend on a date, that is the middle of `time`."""
        period = as_interval(time)
        ((scene,),) = self.search(np.zeros(1), np.zeros(1), 0.0, period)
        if self.is_dated and period is not None:
            scene = replace(scene, datetime=period.middle.isoformat())
        return Timeline(steps=(Step(time=None, scenes=(scene,)),))

    def _first(self, time: Interval | None) -> Json | None:
        """What Earth Engine tells of an image of the collection in the time; None if there is none."""
        try:
            with signed_in(self.account):
                import ee

                images = ee.ImageCollection(self.collection)
                period = self._period(time)
                images = images.filterDate(*period) if period else images
                collection = images.limit(1).getInfo()
        except ReadFailed as error:
            if error.reason in OF_THE_RECIPE:
                raise InputError(f"{error}\nlabels.collection is {self.collection}") from None
            raise Unreachable(str(error)) from None
        features: list[Any] = (collection or {}).get("features") or []
        return dict(features[0]) if features else None

    def _period(self, time: Interval | None) -> tuple[str, str] | None:
        """First day, and the day after the last, of the images that may be used."""
        if self.year is not None:
            return f"{self.year}-01-01", f"{self.year + 1}-01-01"
        if time is None or not self.is_dated:
            return None
        reach = timedelta(days=self.windows_days[-1])
        first, last = shifted(time.start, -reach), shifted(time.end, reach + timedelta(days=1))
        return first.date().isoformat(), last.date().isoformat()

    def _check(self, image: Json | None, time: Interval | None) -> None:
        if image is None:
            period = self._period(time)
            span = f"between {period[0]} and {period[1]}" if period else "at all"
            raise NoScene(f"{self.collection} has no image {span}: see labels.collection and imagery.datetime")
        bands = {band["id"]: band for band in image["bands"]}
        if self.band not in bands:
            raise InputError(
                f"labels.band is {self.band!r}, which {self.collection} has not: use one of {', '.join(bands)[:200]}"
            )
        kind = bands[self.band]["data_type"]
        if kind.get("precision") != "int":
            raise InputError(
                f"{self.collection} holds {kind.get('precision')} numbers in {self.band}, which are no classes"
            )
        listed = image.get("properties", {}).get(f"{self.band}_class_values")
        table = self.table
        strange = sorted(set(listed or ()) - set(table.labels) - {table.unknown, *table.masked})
        if strange:
            raise InputError(
                f"{self.collection} has classes {strange[:8]} in {self.band}, which {table.name} does not list: "
                "see labels.dataset"
            )

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """The variable ``label`` and, if dated, ``days``, (y, x) uint8, lazily, on exactly this grid.

        A slice of them asks for only that slice, once for both.

        Raises
        ------
        NoScene
            If the scene has no date, and the rule needs one.
        GridError
            If the grid's CRS has no EPSG code.
        """
        placed(geobox)
        image = self._image(scenes)
        arrays = {
            band: _Unpacked(geobox=geobox, band=band, image=image, account=self.account, classes=self.table).lazy()
            for band in self.bands
        }
        ds = dataset(geobox, dict(arrays))
        return ds if chunks is None else ds.chunk(chunks)

    def cost(self, work: Workload) -> SourceCost:
        """A request for a square's classes, and their days with them."""
        return cost_of(work, PIXEL_BYTES)

    def needs(self, scenes: Sequence[Scene] = ()) -> Needs:
        """Earth Engine's clients."""
        return NEEDS

    def _image(self, scenes: Sequence[Scene]) -> LabelImage:
        (scene,) = scenes
        when = None
        if self.is_dated:
            if scene.datetime is None:
                raise NoScene(
                    f"labels of {self.collection} are those around a date: open them with a picture that has one, or "
                    "give a scene with a datetime"
                )
            when = round(Interval.parse(scene.datetime).start.timestamp() * 1000)
        windows = self.windows_days if self.is_dated else ()
        return LabelImage(
            collection=self.collection,
            band=self.band,
            rule=self.rule or "mosaic",
            windows_days=windows,
            when_ms=when,
            year=self.year,
        )


@dataclass(frozen=True, kw_only=True)
class _Unpacked(Windowed):
    """Classes, or their days, of an image on a grid."""

    image: LabelImage
    account: Account
    classes: ClassTable

    def read(self, window: tuple[slice, slice]) -> np.ndarray:
        """The pixels of a window, (rows, columns) uint8."""
        part = self.geobox[window]
        if not all(part.shape):
            return np.empty(part.shape, np.uint8)
        pixels = packed(self.image, self.account, part)
        if (pixels == STRANGE).any():
            raise BadPixels(f"{self.image.collection} holds numbers in {self.image.band} that are not from 0 to 255")
        labels, no_label = pixels & 255, [self.classes.unknown, *self.classes.masked]
        values = labels if self.band.name == "label" else pixels >> 8
        unseen = (pixels == MASKED) | np.isin(labels, no_label)
        return np.where(unseen, self.band.nodata, values).astype(np.uint8)
