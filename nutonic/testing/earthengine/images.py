"""Images as Earth Engine has them: bands that know their values and masks at points, and properties.

Nothing is resampled but by nearest neighbour, Earth Engine's default: a point has the value of the pixel that contains
it. Assumed: a point on the edge of two pixels belongs to the one right of it or below it. Masks are true or false here;
Earth Engine's, which may be fractions, are so too where nothing was averaged.
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
    """Where pixels are asked for: coordinates in a CRS. What was worked out for them is kept."""

    crs: str
    x: np.ndarray
    y: np.ndarray
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def to(self, crs: str) -> Points:
        """The same points in another CRS, each by pyproj itself."""
        if crs == self.crs:
            return self
        if crs not in self.cache:
            self.cache[crs] = Points(crs, *_transformer(self.crs, crs).transform(self.x, self.y))
        transformed: Points = self.cache[crs]
        return transformed


def _transformer(source: str, target: str) -> Transformer:
    """One of each kind for each thread: pyproj's are not to be shared."""
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
        finite = np.isfinite(col) & np.isfinite(row)  # where pyproj knows no coordinates there is no pixel
        return tuple(np.where(finite, np.floor(index), -1).astype(np.int64) for index in (col, row))  # type: ignore[return-value]

    def centres(self, col: np.ndarray, row: np.ndarray) -> Points:
        """The centres of pixels."""
        a, u, v = self.transform, col + 0.5, row + 0.5
        return Points(self.crs, a.c + a.a * u + a.b * v, a.f + a.d * u + a.e * v)

    def json(self) -> Json:
        """As Earth Engine tells it."""
        return {"type": "Projection", "crs": self.crs, "transform": list(self.transform)[:6]}


@dataclass(frozen=True, slots=True)
class PixelType:
    """What a band may hold: floating point numbers, or integers from `low` to `high`."""

    precision: Literal["int", "float", "double"]
    low: float = -np.inf
    high: float = np.inf

    @classmethod
    def of(cls, dtype: DTypeLike) -> PixelType:
        """Of all that a dtype can hold."""
        kind = np.dtype(dtype)
        if kind.kind == "f":
            return cls("double" if kind.itemsize == 8 else "float")
        return cls("int", int(np.iinfo(kind).min), int(np.iinfo(kind).max))

    @property
    def dtype(self) -> np.dtype[Any]:
        """What pixels are sent as. Assumed of integers: in the smallest dtype that holds their range."""
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
        """Values as this type: integers lose their fraction, and what is out of range becomes the range's end."""
        if self.precision == "int" and values.dtype != self.dtype:
            truncated = np.trunc(values) if values.dtype.kind == "f" else values
            values = np.clip(np.nan_to_num(truncated), self.low, self.high)
        return values.astype(self.dtype, copy=False)

    def json(self) -> Json:
        """As Earth Engine tells it."""
        bounds = {"min": self.low, "max": self.high} if self.precision == "int" else {}
        return {"type": "PixelType", "precision": self.precision, **bounds}


def everywhere(points: Points) -> np.ndarray:
    """The footprint of what has no bounds."""
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
        """Values and mask at points, worked out once; what is masked holds 0."""
        if self.read not in points.cache:
            values, valid = self.read(points)
            points.cache[self.read] = Pixels(np.where(valid, values, np.zeros((), values.dtype)), valid)
        pixels: Pixels = points.cache[self.read]
        return pixels

    def computed(self, type: PixelType, read: Callable[[Points], Pixels]) -> Band:
        """A band of this name, place and footprint that holds something else."""
        return replace(self, type=type, read=read)

    def json(self) -> Json:
        """As ``Image.getInfo`` tells it."""
        size = {"dimensions": list(self.shape[::-1])} if self.shape else {}
        place = {"crs": self.projection.crs, "crs_transform": list(self.projection.transform)[:6]}
        return {"id": self.id, "data_type": self.type.json(), **size, **place}


@dataclass(frozen=True)
class EarthEngineImage:
    """An image: bands and properties. Its times are properties, in milliseconds."""

    bands: tuple[Band, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None

    @cached_property
    def geometry(self) -> shapely.Geometry | None:
        """Its footprint in longitude and latitude; None if it has no bounds."""
        return self.properties.get("system:footprint")

    def with_bands(self, bands: tuple[Band, ...]) -> EarthEngineImage:
        """Other bands, with what this image says of itself. Assumed: what was computed has no id."""
        return replace(self, bands=bands, id=None)

    def computed(self, bands: tuple[Band, ...]) -> EarthEngineImage:
        """What arithmetic makes of it. Assumed: of its properties, index and footprint stay; its time does not."""
        names = ("system:index", "system:footprint")
        return EarthEngineImage(bands, {name: self.properties[name] for name in names if name in self.properties})


@dataclass(frozen=True)
class Collection:
    """Images in an order, and properties of their own."""

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
