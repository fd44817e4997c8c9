"""Earth Engine's images of a collection, listed and told as STAC items tell theirs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import shapely
import shapely.geometry

from nutonic.errors import InputError, ReadFailed, Unreachable
from nutonic.model import Asset, Json
from nutonic.moments import interval
from nutonic.presets import IMAGED, Imaged
from nutonic.sources.catalogue import Item
from nutonic.sources.ee_session import Session, signed_in
from nutonic.sources.footprints import footprint_of
from nutonic.sources.neighbourhoods import Box

#: Before an image's id and its band in what a plan calls the address of an asset.
SCHEME = "ee://"

#: Reasons of errors that a recipe is to blame for.
OF_THE_RECIPE = ("no such asset", "no such band", "bad request", "too large")

#: Degrees more on each side of what is asked for: Earth Engine draws the edges of a box as great circles, which lie up
#: to 0.002° beside the parallels of a box one degree wide.
_BULGE = 0.01

#: Days that an image may end after it begins: a flight of NAIP ends the day after. Listings ask when it ends.
_LONGEST = 2

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


def listed(
    session: Session, collection: str, boxes: Iterable[Box], when: str | None, max_cloud_cover: float
) -> list[Item]:
    """The images of a collection in one or two boxes and a time, each once.

    Others may be among them: time, cloud and footprint are still to be checked.

    Raises
    ------
    InputError
        If there is no such collection, or an image is not told of as it should be.
    Refused
        If there are no credentials or no project, or they are refused.
    Unreachable
        If Earth Engine does not answer.
    """
    known = IMAGED.get(collection)
    clouds = [f"properties.{known.clouds} <= {max_cloud_cover}"] if known and known.clouds else []
    found: dict[str, Item] = {}
    try:
        with signed_in(session):
            import ee

            for box in boxes:
                told = ee.data.listImages({"parent": collection, "filter": " AND ".join(_filters(box, when) + clouds)})
                found.update((image["id"], item_of_image(image, known)) for image in told["images"] or ())
    except ReadFailed as error:
        if error.reason in OF_THE_RECIPE:
            raise InputError(f"{error}\nimagery.collection is {collection}") from None
        raise Unreachable(str(error)) from None
    return list(found.values())


def _filters(box: Box, when: str | None) -> list[str]:
    """What a listing is asked for."""
    west, south, east, north = box
    wide = shapely.box(
        max(west - _BULGE, -180.0), max(south - _BULGE, -90.0), min(east + _BULGE, 180.0), min(north + _BULGE, 90.0)
    )
    area = orjson.dumps(shapely.geometry.mapping(wide)).decode().replace('"', "'")
    parts = [f'intersects("{area}")']
    if when is not None:
        start, end = interval(when)
        last = end + dt.timedelta(days=_LONGEST, milliseconds=1)
        parts += [f'startTime >= "{_stamp(start)}"', f'endTime < "{_stamp(last)}"']
    return parts


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def item_of_image(image: Json, known: Imaged | None) -> Item:
    """An image as an item: its bands are assets.

    Raises
    ------
    InputError
        If it has no time, no footprint, or is not told of in full.
    """
    properties = dict(image.get("properties") or {})
    clouds = _CLOUDS if known is None else (known.clouds,) if known.clouds else ()
    called = {**_WORDS, **dict.fromkeys(clouds, "eo:cloud_cover")}
    words = {word: properties[name] for name, word in called.items() if name in properties}
    try:
        content: Json = {
            "id": str(image["id"]).rpartition("/")[2],
            "image": str(image["id"]),
            "properties": {"datetime": image["startTime"], **words},
            "assets": {band["id"]: _asset(band) for band in image["bands"]},
        }
        return Item(content=content, footprint=footprint_of(_polygon(image["geometry"])), base=SCHEME)
    except (LookupError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        why = f"{type(error).__name__} {error}"
        raise InputError(
            f"image {image.get('id')!r} of Earth Engine cannot be used: it has no time, no footprint or no bands ({why})"
        ) from None


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


def lacks(item: Item, band: str, most: int) -> str | None:
    """What is wrong with a band that should hold whole numbers up to `most`, in words, or None."""
    asset = item.content["assets"].get(band)
    if asset is None:
        return f"has no band {band}"
    if asset["precision"] != "int" or asset["range"][1] > most:
        return f"holds {asset['precision']} numbers up to {asset['range'][1]:g} in {band}, not whole ones up to {most}"
    if not str(asset["proj:code"]).startswith("EPSG:") or not all(asset["proj:shape"]):
        return f"has no pixels in a CRS with an EPSG code in {band}"
    return None


def asset_of_band(item: Item, band: str, name: str) -> Asset:
    """A band of an image as an asset with a name of its own."""
    told, href = item.content["assets"][band], f"{SCHEME}{item.content['image']}/{band}"
    return Asset(
        name=name,
        href=href,
        written=href,
        crs=told["proj:code"],
        transform=tuple(told["proj:transform"]),
        shape=tuple(told["proj:shape"]),
        nodata=None,
    )


def image_and_band(asset: Asset) -> tuple[str, str]:
    """The ids of an asset's image and band."""
    image, _, band = asset.href.removeprefix(SCHEME).rpartition("/")
    return image, band
