"""Earth Engine's images of a collection, listed and told as STAC items tell theirs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import shapely
import shapely.geometry

from nutonic.core.catalogs import IMAGED
from nutonic.core.footprints import Snapping, footprint_of
from nutonic.core.globe import Box
from nutonic.core.model import Asset, Band, Json
from nutonic.core.times import Interval, shifted, utc_text
from nutonic.errors import InputError, ReadFailed, Unreachable
from nutonic.sources.earthengine.account import Account, signed_in
from nutonic.sources.earthengine.versions import note
from nutonic.sources.item import Item

#: Before an image's id and its band in what a plan calls the address of an asset.
SCHEME = "ee://"

#: Reasons of errors that a recipe is to blame for.
OF_THE_RECIPE = ("no such asset", "no such band", "bad request", "too large")

#: Degrees more on each side of what is asked for: Earth Engine draws the edges of a box as great circles, which lie up
#: to 0.002° beside the parallels of a box one degree wide.
_BULGE = 0.01

#: Days that an image may end after it begins, where it is not known: one may stand for a year. Listings ask when it ends.
_LONGEST = 400

#: Where collections tell of clouds, in percent, unless it is known of them.
_CLOUDS = ("CLOUDY_PIXEL_PERCENTAGE", "CLOUD_COVER")

#: What overpasses are told by, in the words of STAC.
_WORDS = {
    "SPACECRAFT_NAME": "platform",
    "SPACECRAFT_ID": "platform",
    "SENSING_ORBIT_NUMBER": "sat:relative_orbit",
    "MGRS_TILE": "s2:mgrs_tile",
    "DATASTRIP_ID": "s2:datastrip_id",
    "PROCESSING_BASELINE": "s2:processing_baseline",
    "GENERATION_TIME": "s2:generation_time",
}


#: Images in a page of a listing: each takes tens of kilobytes until it is an item.
_PAGE = 200

#: An image that cannot be used, by its id, and why.
UnusableImage = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """What to list."""

    collection: str
    bands: frozenset[str]
    """Of each image no others are kept."""
    time: Interval | None
    """Both ends included; None for all time."""
    max_cloud_cover: float
    """Percent."""


def images_in(account: Account, query: ImageQuery, boxes: Iterable[Box]) -> tuple[list[Item], list[UnusableImage]]:
    """The images of a collection in one or two boxes and a time, each once; and those that cannot be used.

    Others may be among them: time, cloud and footprint are still to be checked.

    Raises
    ------
    InputError
        If there is no such collection.
    Refused
        If there are no credentials or no project, or they are refused.
    Unreachable
        If Earth Engine does not answer.
    """
    items: dict[str, Item] = {}
    unusable: dict[str, str] = {}
    try:
        for image in (image for box in boxes for image in _images(account, query, box)):
            note(account, image)
            item = item_of_image(image, query)
            if isinstance(item, str):
                unusable[str(image.get("id"))] = item
            else:
                items[image["id"]] = item
    except ReadFailed as error:
        if error.reason in OF_THE_RECIPE:
            raise InputError(f"{error}\nimagery.collection is {query.collection}") from None
        raise Unreachable(str(error)) from None
    return list(items.values()), list(unusable.items())


def _images(account: Account, query: ImageQuery, box: Box) -> Iterator[Json]:
    """The images of a box, page by page."""
    request = {"parent": query.collection, "filter": " AND ".join(_filters(query, box)), "pageSize": _PAGE}
    while True:
        with signed_in(account):
            import ee

            page = ee.data.listImages(request)
        yield from page["images"] or ()
        if not page.get("nextPageToken"):
            return
        request = {**request, "pageToken": page["nextPageToken"]}


def _filters(query: ImageQuery, box: Box) -> list[str]:
    """What a listing is asked for."""
    known = IMAGED.get(query.collection)
    west, south, east, north = box
    wide = shapely.box(
        max(west - _BULGE, -180.0), max(south - _BULGE, -90.0), min(east + _BULGE, 180.0), min(north + _BULGE, 90.0)
    )
    area = orjson.dumps(shapely.geometry.mapping(wide)).decode().replace('"', "'")
    parts = [f'intersects("{area}")']
    if known is not None and known.clouds:
        parts.append(f"properties.{known.clouds}<={query.max_cloud_cover}")
    if query.time is not None:
        days = _LONGEST if known is None else known.days
        last = shifted(query.time.end, dt.timedelta(days=days, milliseconds=1))
        parts += [f'startTime >= "{_stamp(query.time.start)}"', f'endTime < "{_stamp(last)}"']
    return parts


def _stamp(moment: dt.datetime) -> str:
    return utc_text(moment, "milliseconds")


def item_of_image(image: Json, query: ImageQuery) -> Item | str:
    """An image as an item, whose assets are the bands that are wanted; or why it is none."""
    known, properties = IMAGED.get(query.collection), dict(image.get("properties") or {})
    clouds = _CLOUDS if known is None else (known.clouds,) if known.clouds else ()
    called = {**_WORDS, **dict.fromkeys(clouds, "eo:cloud_cover")}
    words = {word: properties[name] for name, word in called.items() if name in properties}
    try:
        content: Json = {
            "id": str(image["id"]).rpartition("/")[2],
            "image": str(image["id"]),
            "properties": {"datetime": image["startTime"], **words},
            "assets": {band["id"]: _asset(band) for band in image["bands"] if band["id"] in query.bands},
        }
        return Item(content=content, footprint=footprint_of(_polygon(image["geometry"])), base=SCHEME)
    except (LookupError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        return f"has no time, no footprint or no bands ({type(error).__name__} {error})"


def _polygon(geometry: Json) -> Json:
    """A footprint as a polygon: Earth Engine tells some as rings."""
    if geometry["type"] in ("LinearRing", "LineString"):
        return {"type": "Polygon", "coordinates": [geometry["coordinates"]]}
    return geometry


def _asset(band: Mapping[str, Any]) -> Json:
    """A band's grid and what it may hold. Numbers that are 0 are left out of what is told of a transform."""
    grid, kind = band.get("grid") or {}, band.get("dataType") or {}
    place, size = grid.get("affineTransform") or {}, grid.get("dimensions") or {}
    names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    limits = kind.get("range") or {}
    return {
        "proj:code": grid.get("crsCode"),
        "proj:transform": [float(place.get(name, 0.0)) for name in names],
        "proj:shape": [int(size.get("height", 0)), int(size.get("width", 0))],
        "precision": str(kind.get("precision", "")).lower(),
        "range": [float(limits.get("min", 0.0)), float(limits.get("max", 0.0))],
    }


def snapping_of(item: Item, band: str) -> Snapping:
    """By which squares are measured: a band's own pixels."""
    grid = item.content["assets"][band]
    a, _, c, _, _, f = grid["proj:transform"]
    return Snapping(grid["proj:code"], a, (c, f))


def lacks(item: Item, band: str, most: int, resolution_m: float | None = None) -> str | None:
    """What is wrong with a band that should hold whole numbers up to `most` in pixels of this size, in words, or None."""
    asset = item.content["assets"].get(band)
    if asset is None:
        return f"has no band {band}"
    if asset["precision"] != "int" or asset["range"][1] > most:
        return f"holds {asset['precision']} numbers up to {asset['range'][1]:g} in {band}, not whole ones up to {most}"
    if not str(asset["proj:code"]).startswith("EPSG:") or not all(asset["proj:shape"]):
        return f"has no pixels in a CRS with an EPSG code in {band}"
    side = asset["proj:transform"][0]
    if resolution_m is not None and abs(side - resolution_m) > 1e-6 * resolution_m:
        return f"has pixels of {side:g} m in {band}, not of {resolution_m:g} m"
    return None


def asset_of_band(item: Item, band: str, shown: Band) -> Asset:
    """A band of an image as an asset, named as what it becomes."""
    grid, href = item.content["assets"][band], f"{SCHEME}{item.content['image']}/{band}"
    return Asset(
        name=shown.name,
        href=href,
        written=href,
        crs=grid["proj:code"],
        transform=tuple(grid["proj:transform"]),
        shape=tuple(grid["proj:shape"]),
        nodata=None,
        classified=shown.kind == "class",
    )


def image_and_band(href: str) -> tuple[str, str]:
    """The ids of the image and the band of an asset's address."""
    image, _, band = href.removeprefix(SCHEME).rpartition("/")
    return image, band
