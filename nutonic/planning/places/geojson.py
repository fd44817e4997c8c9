"""Places as JSON in one document: GeoJSON of any form, arrays of objects, and what the Overpass API answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from nutonic.errors import PoiError
from nutonic.planning.places.coordinates import Point, geometry_point, transformed
from nutonic.planning.places.crs import degrees_of
from nutonic.planning.places.names import Columns
from nutonic.planning.places.rows import Objects, Row, Unit
from nutonic.planning.places.text import encoding_of, not_text
from nutonic.recipe.inputs import Pois

#: A document is one value, so its text is in memory as a whole.
MAX_DOCUMENT = 512 << 20
_GEOMETRIES = (
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection",
)  # fmt: skip
_WHITE = " \t\r\n\x1e"


def geojson_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The members of a document in their order; one that is not a point is a bad row.

    It may be a FeatureCollection, a Feature, several of them one after the other, an array of Features or of objects with
    coordinates, or an answer of the Overpass API.

    Raises
    ------
    PoiError
        If it is none of these, or not JSON.
    """
    features = Features(pois, path, "row")
    number = 0
    for document in _documents(_text(file, path), path, features):
        crs, members = _members(document, path)
        features.refuse_missing()
        for member in members:
            number += 1
            row = features.row(number, member)
            if crs is not None and row.wrong is None:
                lon, lat, wrong = transformed(row.lon, row.lat, crs)
                row = row._replace(lon=lon, lat=lat, wrong=wrong)
            yield row
    features.refuse_missing()


def _members(document: Any, path: str) -> tuple[Any, list[Any]]:
    """The CRS of a document, None for degrees, and its members."""
    if isinstance(document, list):
        return None, document
    if isinstance(document, _Feature):
        return None, [document]
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "FeatureCollection":
        members = document.get("features")
        return _crs(document.get("crs"), path), members if isinstance(members, list) else []
    if isinstance(document, dict) and isinstance(document.get("elements"), list):
        return None, document["elements"]
    what = f"a bare {kind}" if kind in _GEOMETRIES else "no FeatureCollection"
    raise PoiError(f"{path} is {what}: places are Features of Points, or an array of objects with lon and lat")


def _crs(crs: Any, path: str) -> Any:
    if crs is None:
        return None
    try:
        return crs if degrees_of(crs) else None
    except ValueError as error:
        raise PoiError(f"{path}: {error}: reproject it, for instance with ogr2ogr -t_srs EPSG:4326") from None


def refuse_named_coordinates(pois: Pois, path: str, kind: str) -> None:
    """Raise :class:`PoiError` if the recipe names columns of coordinates where geometries hold them."""
    for key in ("lon", "lat", "point"):
        if getattr(pois.columns, key) is not None:
            raise PoiError(f"{path} is {kind}, whose points say where they are: leave pois.columns.{key} out")


class _Feature(NamedTuple):
    """The values of a feature that make a row, without the row's number."""

    id: object
    lon: object
    lat: object
    keep_values: tuple[object, ...]
    wrong: tuple[str, str] | None


class Features:
    """Turns members of GeoJSON, of arrays and of Overpass answers into rows.

    As a hook of the JSON parser it does so with features while the text is read, so that there is never a tree of all of
    them.
    """

    def __init__(self, pois: Pois, path: str, unit: Unit) -> None:
        self._pois, self._path = pois, path
        self._own_id = pois.columns.id is None
        self._properties = Objects(Columns(pois, path, geometry=True), path, unit)
        self._objects = Objects(Columns(pois, path), path, unit)

    def hook(self, obj: dict[str, Any]) -> Any:
        """A feature's values in place of a feature; any other object as it is."""
        if obj.get("type") != "Feature" or "geometry" not in obj:
            return obj
        refuse_named_coordinates(self._pois, self._path, "GeoJSON")
        properties = obj.get("properties")
        point = geometry_point(obj["geometry"])
        return self._with_point(properties if isinstance(properties, dict) else {}, obj.get("id"), point)

    def row(self, number: int, value: Any) -> Row:
        """The row of a member."""
        feature = self.hook(value) if isinstance(value, dict) else value
        if isinstance(feature, _Feature):
            return Row(number, *feature)
        if not isinstance(feature, dict):
            return Row(number, wrong=("bad row", f"{repr(feature)[:40]} is no GeoJSON Feature"))
        kind = feature.get("type")
        if kind in ("node", "way", "relation") and "id" in feature:
            return Row(number, *self._element(feature))
        if kind in _GEOMETRIES and ("coordinates" in feature or "geometries" in feature):
            return Row(number, wrong=("bad row", f"a bare {kind} is no GeoJSON Feature"))
        return self._objects.row(number, feature)

    def refuse_missing(self) -> None:
        """Raise :class:`PoiError` if a column is in none of the members so far."""
        self._properties.refuse_missing()
        self._objects.refuse_missing()

    def _element(self, element: dict[str, Any]) -> _Feature:
        """A node of OpenStreetMap, or the centre of a way or a relation."""
        tags, centre = element.get("tags"), element.get("center")
        at = centre if isinstance(centre, dict) and "lat" not in element else element
        point: Point = (at.get("lon"), at.get("lat"), None)
        if "lon" not in at or "lat" not in at:
            point = (
                None,
                None,
                ("no point", f"the {element['type']} has no centre: ask Overpass for it by: out center;"),
            )
        values = {**element, **(tags if isinstance(tags, dict) else {})}
        return self._with_point(values, f"{element['type']}/{element['id']}", point)

    def _with_point(self, values: dict[str, Any], own_id: object, point: Point) -> _Feature:
        found_id, (lon, lat, wrong), keep = self._properties.with_point(values, point)
        return _Feature(own_id if self._own_id and own_id is not None else found_id, lon, lat, keep, wrong)


def _text(file: BinaryIO, path: str) -> str:
    content = file.read(MAX_DOCUMENT + 1)
    if len(content) > MAX_DOCUMENT:
        raise PoiError(
            f"{path} is larger than {MAX_DOCUMENT >> 20} MiB, and GeoJSON is read whole: convert it to JSONL or Parquet"
        )
    encoding = encoding_of(content[: 1 << 16], path)
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError:
        raise not_text(file, encoding, path) from None


def _documents(text: str, path: str, features: Features) -> Iterator[Any]:
    """The values of a text: one as a rule, or a sequence of them."""
    decoder, at = json.JSONDecoder(object_hook=features.hook), 0
    try:
        while True:
            while at < len(text) and text[at] in _WHITE:
                at += 1
            if at and at == len(text):
                return
            value, at = decoder.raw_decode(text, at)
            yield value
    except json.JSONDecodeError as error:
        raise PoiError(f"{path} is not JSON (line {error.lineno}): {error.msg}: is it cut off?") from None
    except PoiError:
        raise
    except (ValueError, RecursionError) as error:
        raise PoiError(f"{path} is no GeoJSON: {str(error)[:80]}") from None
