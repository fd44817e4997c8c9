"""Functions on collections, on the properties of elements, and filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import shapely

from nutonic.testing.earthengine.expressions import Function
from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import Collection, EarthEngineImage
from nutonic.testing.earthengine.values import Date, DateRange, Feature, Filter, Reducer, date, geometry
from nutonic.testing.earthengine.values import collection as collection_of

Image = EarthEngineImage
Element = EarthEngineImage | Collection | Feature


def value_of(element: Any, name: str) -> Any:
    """A property of an element, or its id; None if it has none."""
    if not isinstance(element, Element):
        raise Problem(f"Element.get: {type(element).__name__} has no properties.")
    if name == "system:id" and not isinstance(element, Feature):
        return element.id
    return element.properties.get(name)


def _set(element: Any, properties: Mapping[str, Any]) -> Any:
    """An element with other properties. Assumed: its id stays."""
    present = {name: value for name, value in {**element.properties, **properties}.items() if value is not None}
    return replace(element, properties=present)


def _ordinary(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that are not the system's."""
    return {name: value for name, value in properties.items() if not name.startswith("system:")}


def to_dictionary(element: Element, names: Sequence[str] | None) -> dict[str, Any]:
    """Some properties, or all that are not the system's."""
    if names is None:
        return _ordinary(element.properties)
    return {name: value_of(element, name) for name in names}


def copy_properties(
    element: Element, source: Element | None, names: Sequence[str] | None, excluded: Sequence[str] | None
) -> Any:
    """An element with the properties of another one, which replace its own."""
    if source is None:
        return element
    if names is not None:
        return _set(element, {name: value_of(source, name) for name in names})
    return _set(
        element, {name: value for name, value in _ordinary(source.properties).items() if name not in (excluded or ())}
    )


def sort_and_limit(collection: Collection, limit: int | None, key: str | None, ascending: bool) -> Collection:
    """A collection sorted by a property, with at most `limit` images.

    Assumed: images without the property come last, and ties keep their order.
    """
    images = list(collection.images)
    if key is not None:
        with_key = [image for image in images if value_of(image, key) is not None]
        without_key = [image for image in images if value_of(image, key) is None]
        images = sorted(with_key, key=lambda image: value_of(image, key), reverse=not ascending) + without_key
    return replace(collection, images=tuple(images[:limit]))


def map_images(collection: Collection, function: Function, drop: bool) -> Collection:
    """The collection of a function's results, one for each image; with `drop`, without nulls."""
    results = []
    for image in collection.images:
        try:
            results.append(function(image))
        except Problem as problem:
            raise Problem(
                f"Error in map(ID={image.properties.get('system:index')}):\n{problem}", problem.code
            ) from None
    if not drop and None in results:
        raise Problem("Collection.map: A mapped algorithm returned null.")
    return replace(collection, images=tuple(result for result in results if result is not None), id=None)


def iterate(collection: Collection, function: Function, state: Any) -> Any:
    """The last result of a function that takes an image and the result for the image before."""
    for image in collection.images:
        state = function(image, state)
    return state


def merge(one: Collection, two: Collection) -> Collection:
    """The images of both collections; by the documentation, their indices begin with 1_ and 2_."""
    images = [
        _set(image, {"system:index": f"{number}_{image.properties.get('system:index', index)}"})
        for number, member in enumerate((one, two), 1)
        for index, image in enumerate(member.images)
    ]
    return Collection(tuple(images), one.properties)


def reduce_columns(
    collection: Collection, reducer: Reducer, selectors: Sequence[str], _: Sequence[str] | None
) -> dict[str, Any]:
    """Lists of the images' properties. Assumed: a list leaves out the images without its property."""
    if reducer.name != "toList":
        raise unsupported(f"Collection.reduceColumns with Reducer.{reducer.name}")
    if len(selectors) != (reducer.count or 1):
        raise Problem(
            f"Collection.reduceColumns: Need {reducer.count or 1} input selectors for Reducer, got {len(selectors)}."
        )
    columns = [_column(collection, name) for name in selectors]
    return {"list": columns[0] if reducer.count is None else columns}


def _column(collection: Collection, name: str) -> list[Any]:
    return [value for image in collection.images if (value := value_of(image, name)) is not None]


def _to_list(collection: Collection, number: int, offset: int | None) -> list[Image]:
    start = int(offset or 0)
    return list(collection.images[start : start + number])


def _test(name: str, holds: Callable[[Any, Any], bool]) -> Function:
    """A filter that compares a property with a value. Assumed: an image without the property does not pass."""

    def function(left_field: Any, right_value: Any, right_field: Any, left_value: Any, *_: Any) -> Filter:
        if left_field is not None and right_field is None:
            return Filter(lambda image: _holds(holds, value_of(image, left_field), right_value))
        if right_field is not None and left_field is None:
            return Filter(lambda image: _holds(holds, left_value, value_of(image, right_field)))
        raise unsupported(f"{name} of two properties")

    return function


def _holds(test: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    try:
        return bool(test(_plain(left), _plain(right)))
    except TypeError:  # such as a number and a string; assumed: this does not pass
        return False


def _plain(value: Any) -> Any:
    """A value that can be compared with properties: dates as milliseconds, all else as it is."""
    return value.ms if isinstance(value, Date) else value


def _intersects(left_field: Any, right_value: Any, right_field: Any, left_value: Any, *_: Any) -> Filter:
    """A filter for footprints that intersect a geometry. Assumed: an image without a footprint is everywhere."""
    if left_field not in (None, ".all", "system:footprint") or right_field not in (None, ".all", "system:footprint"):
        raise unsupported(f"Filter.intersects of the property {left_field or right_field}")
    area = geometry(left_value if right_value is None else right_value)
    return Filter(lambda image: image.geometry is None or bool(shapely.intersects(image.geometry, area)))


def _date_range(start: Any, end: Any, zone: Any) -> DateRange:
    if zone not in (None, "UTC"):
        raise unsupported(f"time zone {zone}")
    first = date(start).ms
    return DateRange(first, first + 1 if end is None else date(end).ms)


def filter_images(collection: Collection, test: Any) -> Collection:
    """The images that pass."""
    if not isinstance(test, Filter):
        raise unsupported(f"filter of kind {type(test).__name__}")
    return replace(collection, images=tuple(image for image in collection.images if test.passes(image)))


def _all_of(filters: Sequence[Filter]) -> Filter:
    return Filter(lambda image: all(test.passes(image) for test in filters))


def _any_of(filters: Sequence[Filter]) -> Filter:
    return Filter(lambda image: any(test.passes(image) for test in filters))


def distinct(collection: Collection, names: str | Sequence[str]) -> Collection:
    """The first image of each value of properties."""
    names = [names] if isinstance(names, str) else names
    first: dict[str, Image] = {}
    for image in collection.images:
        first.setdefault(repr([value_of(image, name) for name in names]), image)
    return replace(collection, images=tuple(first.values()))


def _date_of(image: Image) -> Date:
    start = image.properties.get("system:time_start")
    if start is None:
        raise Problem("Image.date: Image does not have a valid 'system:time_start' property.")
    return date(start)


def _footprints(collection: Collection) -> list[shapely.Geometry]:
    return [image.geometry for image in collection.images if image.geometry is not None]


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda a, b: a == b,
    "notEquals": lambda a, b: a != b,
    "lessThan": lambda a, b: a < b,
    "lessThanOrEquals": lambda a, b: a <= b,
    "greaterThan": lambda a, b: a > b,
    "greaterThanOrEquals": lambda a, b: a >= b,
    "listContains": lambda a, b: b in a,  # what the client sends for inList
    "stringContains": lambda a, b: b in a,
    "stringStartsWith": lambda a, b: a.startswith(b),
    "stringEndsWith": lambda a, b: a.endswith(b),
    "dateRangeContains": lambda a, b: a.start <= b < a.end,
}

#: By Earth Engine's names.
FUNCTIONS: dict[str, Function] = {
    **{f"Filter.{name}": _test(f"Filter.{name}", holds) for name, holds in _TESTS.items()},
    "Filter.intersects": _intersects,
    "Filter.and": _all_of,
    "Filter.or": _any_of,
    "Filter.not": lambda test: Filter(lambda image: not test.passes(image)),
    "Filter.notNull": lambda names: Filter(lambda image: all(value_of(image, name) is not None for name in names)),
    "DateRange": _date_range,
    "Collection.filter": filter_images,
    "Collection.size": lambda collection: len(collection.images),
    "Collection.first": lambda collection: collection.images[0] if collection.images else None,
    "Collection.limit": sort_and_limit,
    "Collection.merge": merge,
    "ImageCollection.merge": merge,
    "ImageCollection.fromImages": collection_of,
    "Collection.map": map_images,
    "Collection.iterate": iterate,
    "Collection.toList": _to_list,
    "Collection.reduceColumns": reduce_columns,
    "AggregateFeatureCollection.array": _column,
    "AggregateFeatureCollection.first": lambda collection, name: next(iter(_column(collection, name)), None),
    "AggregateFeatureCollection.min": lambda collection, name: min(_column(collection, name), default=None),
    "AggregateFeatureCollection.max": lambda collection, name: max(_column(collection, name), default=None),
    "AggregateFeatureCollection.count": lambda collection, name: len(_column(collection, name)),
    "Element.get": value_of,
    "Element.getNumber": value_of,
    "Element.getString": value_of,
    "Element.set": lambda element, name, value: _set(element, {name: value}),
    "Element.setMulti": _set,
    "Element.propertyNames": lambda element: sorted(element.properties),
    "Element.toDictionary": to_dictionary,
    "Element.copyProperties": copy_properties,
    "Image.copyProperties": copy_properties,
    "Image.id": lambda image: image.properties.get("system:index"),
    "Image.date": _date_of,
    "Collection.distinct": distinct,
    "Collection.geometry": lambda collection, _: shapely.union_all(_footprints(collection)),
    "Collection.bounds": lambda collection, *_: shapely.box(*shapely.total_bounds(_footprints(collection))),
    "Element.geometry": lambda element, *_: element.geometry,
}
