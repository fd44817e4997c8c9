"""Images as Earth Engine has them: bands, which give values and masks at points, and properties.

Images are resampled only by nearest neighbour, Earth Engine's default: a point has the value of the pixel that contains
it. Assumed: a point on the edge of two pixels belongs to the right or the lower one. Masks are true or false here. Earth
Engine's may be fractions, but they are 0 or 1 too as long as nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import local
from typing import Any, Literal, NamedTuple

import numpy as np
import shapely
from affine import Affine
from numpy.typing import DTypeLike
from pyproj import Transformer

Json = dict[str, Any]

_INTEGERS = tuple(np.dtype(f"{sign}{size}") for size in (1, 2, 4, 8) for sign in "ui")
_OF_THREAD = local()


class Pixels(NamedTuple):
    """Values at points, and where they are valid; arrays of one shape."""

    values: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True, eq=False)
class Points:
    """The points at which pixels are requested: coordinates in a CRS. `cache` holds what was computed for them."""

    crs: str
    x: np.ndarray
    y: np.ndarray
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def to(self, crs: str) -> Points:
        """The same points in another CRS; pyproj transforms each of them."""
        if crs == self.crs:
            return self
        if crs not in self.cache:
            self.cache[crs] = Points(crs, *_transformer(self.crs, crs).transform(self.x, self.y))
        transformed: Points = self.cache[crs]
        return transformed


def _transformer(source: str, target: str) -> Transformer:
    """A transformer of this thread, since pyproj's must not be shared between threads."""
    transformers: dict[tuple[str, str], Transformer] = _OF_THREAD.__dict__.setdefault("transformers", {})
    if (source, target) not in transformers:
        transformers[source, target] = Transformer.from_crs(source, target, always_xy=True)
    return transformers[source, target]


@dataclass(frozen=True, slots=True)
class Projection:
    """A CRS and the affine transform of its pixels."""

    crs: str = "EPSG:4326"
    transform: Affine = Affine.identity()  # noqa: RUF009, it is immutable

    def pixels(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Column and row (int64) of the pixel that contains each point."""
        own, a = points.to(self.crs), self.transform
        if a.b == a.d == 0.0:
            col, row = (own.x - a.c) / a.a, (own.y - a.f) / a.e
        else:
            inverse = ~a
            col = inverse.a * own.x + inverse.b * own.y + inverse.c
            row = inverse.d * own.x + inverse.e * own.y + inverse.f
        finite = np.isfinite(col) & np.isfinite(row)  # where pyproj gives no coordinates, there is no pixel
        return tuple(np.where(finite, np.floor(index), -1).astype(np.int64) for index in (col, row))  # type: ignore[return-value]

    def centres(self, col: np.ndarray, row: np.ndarray) -> Points:
        """The centres of pixels."""
        a, u, v = self.transform, col + 0.5, row + 0.5
        return Points(self.crs, a.c + a.a * u + a.b * v, a.f + a.d * u + a.e * v)

    def json(self) -> Json:
        """The value as Earth Engine's JSON."""
        return {"type": "Projection", "crs": self.crs, "transform": list(self.transform)[:6]}


@dataclass(frozen=True, slots=True)
class PixelType:
    """The type of a band's values: floating point numbers, or integers from `low` to `high`."""

    precision: Literal["int", "float", "double"]
    low: float = -np.inf
    high: float = np.inf

    @classmethod
    def of(cls, dtype: DTypeLike) -> PixelType:
        """The type of all values that a dtype can hold."""
        kind = np.dtype(dtype)
        if kind.kind == "f":
            return cls("double" if kind.itemsize == 8 else "float")
        return cls("int", int(np.iinfo(kind).min), int(np.iinfo(kind).max))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype in which pixels are sent. Assumed: integers use the smallest dtype that holds their range."""
        if self.precision != "int":
            return np.dtype("f8" if self.precision == "double" else "f4")
        fitting = (dtype for dtype in _INTEGERS if np.iinfo(dtype).min <= self.low and self.high <= np.iinfo(dtype).max)
        return next(fitting, np.dtype("i8"))

    def union(self, other: PixelType) -> PixelType:
        """The smallest type that holds both."""
        order = ("int", "float", "double")
        precision = max(self.precision, other.precision, key=order.index)
        if precision == "int":
            return PixelType("int", min(self.low, other.low), max(self.high, other.high))
        return PixelType(precision)

    def cast(self, values: np.ndarray) -> np.ndarray:
        """Values as this type. Integers lose their fraction, and values out of range become the range's end."""
        if self.precision == "int" and values.dtype != self.dtype:
            truncated = np.trunc(values) if values.dtype.kind == "f" else values
            values = np.clip(np.nan_to_num(truncated), self.low, self.high)
        return values.astype(self.dtype, copy=False)

    def json(self) -> Json:
        """The value as Earth Engine's JSON."""
        bounds = {"min": self.low, "max": self.high} if self.precision == "int" else {}
        return {"type": "PixelType", "precision": self.precision, **bounds}


def everywhere(points: Points) -> np.ndarray:
    """The footprint of an image without bounds."""
    return np.ones(points.x.shape, bool)


@dataclass(frozen=True)
class Band:
    """One band. `read` gives its values (in the type's dtype) and mask at points."""

    id: str
    type: PixelType
    read: Callable[[Points], Pixels] = field(repr=False)
    projection: Projection = Projection()
    shape: tuple[int, int] | None = None
    """Height and width, if it has bounds."""
    footprint: Callable[[Points], np.ndarray] = everywhere
    """Where the image is, valid or not."""

    def at(self, points: Points) -> Pixels:
        """Values and mask at points, computed once; masked pixels hold 0."""
        if self.read not in points.cache:
            values, valid = self.read(points)
            points.cache[self.read] = Pixels(np.where(valid, values, np.zeros((), values.dtype)), valid)
        pixels: Pixels = points.cache[self.read]
        return pixels

    def computed(self, type: PixelType, read: Callable[[Points], Pixels]) -> Band:
        """A band with this name, projection and footprint, and with other values."""
        return replace(self, type=type, read=read)

    def json(self) -> Json:
        """The band as in the answer to ``Image.getInfo``."""
        size = {"dimensions": list(self.shape[::-1])} if self.shape else {}
        place = {"crs": self.projection.crs, "crs_transform": list(self.projection.transform)[:6]}
        return {"id": self.id, "data_type": self.type.json(), **size, **place}


@dataclass(frozen=True)
class EarthEngineImage:
    """An image: bands and properties. Its times are properties, in milliseconds."""

    bands: tuple[Band, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    version: int | None = 0
    """Of an asset: when it was changed last, microseconds since 1970; None has it not told."""

    @cached_property
    def geometry(self) -> shapely.Geometry | None:
        """Its footprint in longitude and latitude; None if it has no bounds."""
        return self.properties.get("system:footprint")

    def with_bands(self, bands: tuple[Band, ...]) -> EarthEngineImage:
        """An image with other bands and this image's properties. Assumed: a computed image has no id."""
        return replace(self, bands=bands, id=None)

    def computed(self, bands: tuple[Band, ...]) -> EarthEngineImage:
        """The result of arithmetic on this image. Assumed: it keeps the index and the footprint, but not the time."""
        names = ("system:index", "system:footprint")
        return EarthEngineImage(bands, {name: self.properties[name] for name in names if name in self.properties})


@dataclass(frozen=True)
class Collection:
    """A sequence of images, with properties."""

    images: tuple[EarthEngineImage, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


def constant(value: float | bool, name: str = "constant") -> Band:
    """A band of one value, everywhere."""
    number = int(value) if isinstance(value, bool) else value
    kind = PixelType("int", number, number) if isinstance(number, int) else PixelType("double")

    def read(points: Points) -> Pixels:
        return Pixels(np.full(points.x.shape, number, kind.dtype), everywhere(points))

    return Band(name, kind, read)
