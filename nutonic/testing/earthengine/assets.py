"""The catalogue: collections and images by id, as the REST API's methods for assets describe and list them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import shapely
import shapely.geometry

from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import Band, Collection, EarthEngineImage, Json
from nutonic.testing.earthengine.values import date

#: Images in a page of a listing.
_PAGE = 1000

_PREFIX = re.compile(r"^projects/earthengine-(public|legacy)/assets/")
_CLAUSE = re.compile(r'(?P<field>[\w.:]+)\s*(?P<how>>=|<=|!=|>|<|=)\s*(?P<value>"[^"]*"|[^\s"]+)')
_AREA = re.compile(r'intersects\("(?P<area>[^"]*)"\)')
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, "<": lambda a, b: a < b,
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip


class Catalogue:
    """The collections with their images, in order. An image can also be loaded by its own id."""

    def __init__(self, collections: Mapping[str, Sequence[EarthEngineImage]]) -> None:
        self.collections = {id: tuple(images) for id, images in collections.items()}
        self.images = {image.id: image for images in self.collections.values() for image in images}

    def replace(self, image: EarthEngineImage) -> None:
        """Put another version in the place of an image, under its id, as ingesting it anew does."""
        before = self.images[image.id]
        changed = replace(image, version=(before.version or 0) + 1)
        self.images[image.id] = changed
        self.collections = {
            name: tuple(changed if each is before else each for each in images)
            for name, images in self.collections.items()
        }

    def load_collection(self, id: str, version: int | None = None) -> Collection:
        """The result of ``ImageCollection.load``."""
        name = _PREFIX.sub("", id)
        if name not in self.collections:
            raise _not_found("ImageCollection", id)
        return Collection(self.collections[name], {"system:id": name}, name)

    def load_image(self, id: str, version: int | None = None) -> EarthEngineImage:
        """The result of ``Image.load``. Assumed: of versions only the latest can be loaded, whose number may be given."""
        image = self.images.get(_PREFIX.sub("", id))
        if image is None or version not in (None, -1, image.version):
            raise _not_found("Image", id)
        return image

    def asset(self, id: str) -> Json:
        """An asset, as ``assets.get`` describes it."""
        name = _PREFIX.sub("", id)
        if name in self.collections:
            return {"type": "IMAGE_COLLECTION", "name": _full(name), "id": name, "properties": {}}
        if name in self.images:
            return _asset_json(self.images[name])
        # Assumed: the sentence. The client expects a 404.
        raise Problem(f"Asset '{id}' not found.", 404)

    def page(self, id: str, query: Mapping[str, str]) -> Json:
        """A page of a collection's images, as ``assets.listAssets`` lists them, with a token for the next page.

        Assumed: the images are in the collection's order, 1000 on a page if the request does not give a number.
        """
        name = _PREFIX.sub("", id)
        if name not in self.collections:
            raise Problem(f"Asset '{id}' not found.", 404)
        passes = _filter_test(query.get("filter", ""))
        images = [image for image in self.collections[name] if passes(image)]
        first, size = int(query.get("pageToken") or 0), int(query.get("pageSize") or 0) or _PAGE
        brief = query.get("view") == "BASIC"
        page = [_asset_json(image, brief=brief) for image in images[first : first + size]]
        next_page = {"nextPageToken": str(first + size)} if first + size < len(images) else {}
        return ({"assets": page} if page else {}) | next_page


def _not_found(kind: str, id: str) -> Problem:
    """The error for an expression with an unknown asset, in Earth Engine's words, with status 400."""
    return Problem(f"{kind}.load: {kind} asset '{id}' not found (does not exist or caller does not have access).", 400)


def _full(id: str) -> str:
    return id if id.startswith("projects/") else f"projects/earthengine-public/assets/{id}"


def _asset_json(image: EarthEngineImage, *, brief: bool = False) -> Json:
    """An image asset. If `brief`, as in the view BASIC: without bands, properties and geometry (assumed)."""
    assert image.id is not None
    properties = image.properties
    times = {
        name: _timestamp(properties[f"system:time_{name.removesuffix('Time')}"])
        for name in ("startTime", "endTime")
        if f"system:time_{name.removesuffix('Time')}" in properties
    }
    if image.version is not None:
        updated = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=image.version)
        times["updateTime"] = f"{updated:%Y-%m-%dT%H:%M:%S.%fZ}"
    asset: Json = {"type": "IMAGE", "name": _full(image.id), "id": image.id, **times}
    if brief:
        return asset
    shape = {} if image.geometry is None else {"geometry": shapely.geometry.mapping(image.geometry)}
    own_properties = {name: value for name, value in properties.items() if not name.startswith("system:")}
    return {**asset, **shape, "properties": own_properties, "bands": [_band(band) for band in image.bands]}


def _band(band: Band) -> Json:
    """A band with its grid. As in Google's JSON, a transform leaves out numbers that are 0 (assumed)."""
    a, kind = band.projection.transform, band.type
    numbers = {"scaleX": a.a, "shearX": a.b, "translateX": a.c, "shearY": a.d, "scaleY": a.e, "translateY": a.f}
    size = {} if band.shape is None else {"dimensions": {"width": band.shape[1], "height": band.shape[0]}}
    transform = {name: number for name, number in numbers.items() if number}
    place = {"crsCode": band.projection.crs, **size, "affineTransform": transform}
    bounds = {"range": {"min": kind.low, "max": kind.high}} if kind.precision == "int" else {}
    return {"id": band.id, "dataType": {"precision": kind.precision.upper(), **bounds}, "grid": place}


def _timestamp(ms: float) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _filter_test(text: str) -> Callable[[EarthEngineImage], bool]:
    """The test of a filter's text: comparisons and areas, joined by AND."""
    clauses = [_clause(part.strip()) for part in re.split(r"\s+AND\s+", text)] if text.strip() else []
    return lambda image: all(clause(image) for clause in clauses)


def _clause(text: str) -> Callable[[EarthEngineImage], bool]:
    if match := _AREA.fullmatch(text):
        area = shapely.geometry.shape(json.loads(match["area"].replace("'", '"')))
        return lambda image: image.geometry is None or bool(shapely.intersects(image.geometry, area))
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise unsupported(f"listing with the filter {text!r}")
    field, test, text_value = match["field"], _TESTS[match["how"]], match["value"].strip('"')
    if field in ("startTime", "endTime"):
        # By the documentation of listing, endTime is compared with an image's end, or with its start if it has no end.
        names = (f"system:time_{field.removesuffix('Time')}", "system:time_start")
        limit = date(text_value).ms
        return lambda image: (ms := _first(image, names)) is not None and test(ms, limit)
    name, value = field.removeprefix("properties."), _literal(match["value"])
    return lambda image: name in image.properties and test(image.properties[name], value)


def _first(image: EarthEngineImage, names: Sequence[str]) -> Any:
    return next((image.properties[name] for name in names if name in image.properties), None)


def _literal(text: str) -> Any:
    if text.startswith('"'):
        return text.strip('"')
    try:
        return float(text)
    except ValueError:
        return text
