"""Places as GeoJSON: the points of a FeatureCollection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from nutonic.errors import PoiError
from nutonic.planning.places.rows import Row, Shapes, columns_of
from nutonic.planning.places.text import first_bad_byte
from nutonic.recipe.inputs import Pois

#: GeoJSON is one value, so its text is in memory as a whole.
MAX_DOCUMENT = 512 << 20
_WGS84 = re.compile(r"(OGC\b.*\bCRS84|EPSG:+([0-9.]+:)?4326|WGS ?84)", re.IGNORECASE)


def geojson_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The features of a collection, in their order; a feature that is not a point is a bad row."""
    refuse_named_coordinates(pois, path, "GeoJSON")
    features = _Features(pois, path)
    document = _document(file, path, features)
    if not (isinstance(document, dict) and document.get("type") == "FeatureCollection"):
        kind = "a Feature" if isinstance(document, _Feature) else "no FeatureCollection"
        raise PoiError(
            f"{path} is {kind}: GeoJSON places are a FeatureCollection of Points; "
            "objects with lon and lat go into a .jsonl, one a line"
        )
    refuse_other_crs(document.get("crs"), path)
    features.shapes.refuse_missing()
    members = document.get("features")
    for number, feature in enumerate(members if isinstance(members, list) else [], 1):
        if isinstance(feature, _Feature):
            yield Row(number, *feature)
        else:
            yield Row(number, wrong=("bad row", f"{repr(feature)[:40]} is no GeoJSON Feature"))


def refuse_named_coordinates(pois: Pois, path: str, kind: str) -> None:
    """Raise :class:`PoiError` if the recipe names columns of coordinates where geometries hold them."""
    for key in ("lon", "lat"):
        if getattr(pois.columns, key) is not None:
            raise PoiError(f"{path} is {kind}, whose points say where they are: leave pois.columns.{key} out")


def refuse_other_crs(crs: Any, path: str) -> None:
    """Raise :class:`PoiError` for coordinates that are not longitude and latitude on WGS 84."""
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = str(properties.get("name") if isinstance(properties, dict) else crs)
    if not _WGS84.search(name):
        raise PoiError(
            f"{path} is in the CRS {name[:80]!r}: places are longitude and latitude (WGS 84, EPSG:4326); "
            "reproject it, for instance with ogr2ogr -t_srs EPSG:4326"
        )


class _Feature(NamedTuple):
    """The values of a feature that make a row, without the row's number."""

    id: object
    lon: object
    lat: object
    keep_values: tuple[object, ...]
    wrong: tuple[str, str] | None


class _Features:
    """Turns features into rows while the text is read, so that there is never a tree of all of them."""

    def __init__(self, pois: Pois, path: str) -> None:
        columns = columns_of(pois, ("id",))
        self._named_id = pois.columns.id is not None
        self.shapes = Shapes(columns, path)

    def __call__(self, obj: dict[str, Any]) -> Any:
        if obj.get("type") != "Feature" or "geometry" not in obj:
            return obj
        properties = obj.get("properties")
        own_id, *keep_values = self.shapes.values(properties if isinstance(properties, dict) else {})
        if not self._named_id and obj.get("id") is not None:
            own_id = obj["id"]
        lon, lat, wrong = _point(obj["geometry"])
        return _Feature(own_id, lon, lat, tuple(keep_values), wrong)


def _point(geometry: Any) -> tuple[object, object, tuple[str, str] | None]:
    """Longitude and latitude as they are written, and None; or two None, and reason and detail of the reject."""
    if not isinstance(geometry, dict):
        return None, None, ("no point", "the feature has no geometry")
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind != "Point":
        return None, None, ("no point", f"the geometry is a {str(kind)[:40]}, not a Point")
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return None, None, ("no point", f"the point has the coordinates {repr(coordinates)[:40]}, not two numbers")
    return coordinates[0], coordinates[1], None


def _document(file: BinaryIO, path: str, hook: _Features) -> Any:
    content = file.read(MAX_DOCUMENT + 1)
    if len(content) > MAX_DOCUMENT:
        raise PoiError(
            f"{path} is larger than {MAX_DOCUMENT >> 20} MiB, and GeoJSON is read whole: convert it to JSONL or Parquet"
        )
    try:
        return json.loads(content.decode("utf-8-sig"), object_hook=hook)
    except UnicodeDecodeError:
        raise PoiError(f"{path} is not UTF-8 text (byte {first_bad_byte(file)}): save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise PoiError(f"{path} is not JSON (line {error.lineno}): {error.msg}: is it cut off?") from None
    except (ValueError, RecursionError) as error:
        raise PoiError(f"{path} is no GeoJSON: {str(error)[:80]}") from None
