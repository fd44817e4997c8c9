"""Values other than images and collections, such as dates and filters, and the casts from one type to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from affine import Affine
from pyproj import CRS

from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import Collection, EarthEngineImage, Json, Points, Projection, constant


@dataclass(frozen=True, slots=True)
class Date:
    """A time, in milliseconds since 1970."""

    ms: float

    def json(self) -> Json:
        """The value as Earth Engine's JSON."""
        return {"type": "Date", "value": round(self.ms)}

    @property
    def moment(self) -> datetime:
        """The time in UTC."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.ms)


@dataclass(frozen=True, slots=True)
class DateRange:
    """An interval from `start`, included, to `end`, excluded, in milliseconds since 1970."""

    start: float
    end: float

    def json(self) -> Json:
        """The value as Earth Engine's JSON."""
        return {"type": "DateRange", "dates": [round(self.start), round(self.end)]}


@dataclass(frozen=True, slots=True)
class Feature:
    """A geometry with properties."""

    geometry: shapely.Geometry | None
    properties: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> Json:
        """The value as Earth Engine's JSON."""
        shape = None if self.geometry is None else shapely.geometry.mapping(self.geometry)
        return {"type": "Feature", "geometry": shape, "properties": dict(self.properties)}


@dataclass(frozen=True, slots=True)
class Filter:
    """A test of the images of a collection."""

    passes: Callable[[EarthEngineImage], bool]


@dataclass(frozen=True, slots=True)
class Reducer:
    """A reduction of many values to one, by name; with `count`, so many copies of it side by side."""

    name: str
    count: int | None = None


def date(value: Any) -> Date:
    """A date, milliseconds, or an ISO string (in UTC unless it has an offset), as a date."""
    if isinstance(value, Date):
        return value
    if isinstance(value, Mapping) and value.get("type") == "Date":
        return Date(value["value"])
    if isinstance(value, int | float):
        return Date(float(value))
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Problem(f"Invalid date: {value!r}") from None
    return Date((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def image(value: Any) -> EarthEngineImage:
    """An image, or numbers, which become constant bands, as an image."""
    if isinstance(value, EarthEngineImage):
        return value
    if isinstance(value, int | float):
        return EarthEngineImage((constant(value),))
    if isinstance(value, Sequence) and all(isinstance(number, int | float) for number in value):
        return EarthEngineImage(tuple(constant(number, f"constant_{index}") for index, number in enumerate(value)))
    raise TypeError


def collection(value: Any) -> Collection:
    """A collection, an image, or a list of images, as a collection."""
    if isinstance(value, Collection):
        return value
    if isinstance(value, EarthEngineImage):
        return Collection((value,))
    return Collection(tuple(image(member) for member in value))


def geometry(value: Any) -> shapely.Geometry:
    """A geometry, or the geometry of an image or a feature."""
    if isinstance(value, EarthEngineImage | Feature):
        value = value.geometry
    if isinstance(value, Mapping):
        return shapely.geometry.shape(value)
    if not isinstance(value, shapely.Geometry):
        raise TypeError
    return value


def projection(value: Any) -> Projection:
    """A projection, or the code of a CRS, whose pixels are then one unit wide, as a projection."""
    if isinstance(value, Projection):
        return value
    if isinstance(value, Mapping):
        return Projection(value["crs"], Affine(*value.get("transform", Affine.identity())[:6]))
    try:
        return Projection(CRS.from_user_input(value).to_string())
    except RuntimeError:  # pyproj's CRSError is one
        raise Problem(f"Projection: The CRS of a projection could not be understood: {value!r}.") from None


def integer(value: Any) -> int:
    """A whole number as an int; raises TypeError for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError
    return int(value)


#: The casts of arguments, by Earth Engine's names of types.
CASTS: dict[str, Callable[[Any], Any]] = {
    "Image": image,
    "ImageCollection": collection,
    "FeatureCollection": collection,
    "Geometry": geometry,
    "Projection": projection,
    "Date": date,
    "Integer": integer,
    "Long": integer,
    "Float": float,
}


def json_of(value: Any) -> Any:
    """A value as in an answer of ``value:compute``. Assumed: collections are without bands and version."""
    if isinstance(value, EarthEngineImage):
        bands = [band.json() for band in value.bands]
        content = {"type": "Image", "bands": bands, "properties": json_of(value.properties)}
        return content | ({"id": value.id} if value.id else {})
    if isinstance(value, Collection):
        features = [json_of(item) for item in value.images]
        content = {
            "type": "ImageCollection",
            "bands": [],
            "features": features,
            "properties": json_of(value.properties),
        }
        return content | ({"id": value.id} if value.id else {})
    if isinstance(value, shapely.Geometry):
        return shapely.geometry.mapping(value)
    if isinstance(value, Mapping):
        return {name: json_of(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_of(item) for item in value]
    if isinstance(value, Filter | Reducer) or callable(value):
        raise unsupported(f"way to show a {type(value).__name__}")
    return value.json() if hasattr(value, "json") else value


def covers(shape: shapely.Geometry, points: Points) -> np.ndarray:
    """Which points lie in a geometry of longitude and latitude. Assumed: its edges are straight in degrees."""
    lonlat = points.to("EPSG:4326")
    inside: np.ndarray = shapely.contains_xy(shape, lonlat.x, lonlat.y)
    return inside
