"""Places as Parquet: only the columns that are needed are read, row group by row group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import shapely

from nutonic.errors import PoiError
from nutonic.planning.places.coordinates import Axis, point_of, shape_point
from nutonic.planning.places.crs import ToDegrees, degrees_of
from nutonic.planning.places.geojson import refuse_named_coordinates
from nutonic.planning.places.names import Columns, Found, Role, refuse_contradiction
from nutonic.planning.places.rows import Row
from nutonic.recipe.inputs import Pois

_BATCH = 1 << 16
_AXES: tuple[Role, Role] = ("lon", "lat")
#: Rows that any file may have; above it a place takes at least a byte.
_HARMLESS = 1_000_000


def parquet_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The rows of a Parquet file with columns of coordinates, or of a GeoParquet with points."""
    yield from (Row(number, *values) for number, values in enumerate(parquet_values(file, path, pois), 1))


def parquet_values(file: BinaryIO, path: str, pois: Pois) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples without their number: id, lon, lat, keep_values, wrong."""
    arrow, parquet = _pyarrow()
    try:
        table = parquet.ParquetFile(file, pre_buffer=True)  # the needed columns of a row group in one read
        _refuse_bomb(table.metadata.num_rows, file, path)
        schema = table.schema_arrow
        geometry = _geometry(table, path, pois)
        columns = Columns(pois, path, geometry=geometry is not None)
        found = columns.find(schema.names)
        if error := columns.missing([found], schema.names, "its columns are"):
            raise error
        if geometry is None and found.point is not None:
            geometry = _Geometry(schema.names[found.point], None, found.first)
        positions = [found.id, *(() if geometry else (found.lon, found.lat)), *found.keep]
        roles: list[Role] = ["id", *_AXES[: 0 if geometry else 2]] + ["keep"] * len(found.keep)
        _refuse_nested(roles, positions, schema, path)
        needed = [schema.names[at] for at in positions if at is not None] + ([geometry.name] if geometry else [])
        needed += [] if geometry else [schema.names[other.at] for other in found.others]
        rows = 0
        for group in range(table.num_row_groups):
            for batch in table.iter_batches(_BATCH, row_groups=[group], columns=list(dict.fromkeys(needed))):
                if found.others and not geometry:
                    _refuse_contradictions(batch, found, schema.names, path, rows)
                rows += batch.num_rows
                values = [repeat(None) if at is None else _values(batch, schema.names[at]) for at in positions]
                yield from _with_points(values, batch, geometry) if geometry else _with_columns(values)
    except arrow.ArrowException as error:
        raise PoiError(f"{path} is no Parquet file that can be read: {_one_line(error)}") from None
    except OSError as error:  # Arrow's own errors have no errno; those of a disk or a network are raised as they are
        if type(error) is not OSError or error.errno is not None:
            raise
        raise PoiError(f"{path} is no Parquet file that can be read: {_one_line(error)}") from None


def _pyarrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet, imported late since that takes a while."""
    import pyarrow
    import pyarrow.parquet

    return pyarrow, pyarrow.parquet


def _values(batch: Any, name: str) -> list[Any]:
    column = batch.column(batch.schema.names.index(name))
    if _kind(column.type) == "number" and not column.null_count:
        return list(column.to_numpy(zero_copy_only=False).tolist())
    return list(column.to_pylist())


def _refuse_bomb(rows: int, file: BinaryIO, path: str) -> None:
    """Raise :class:`PoiError` for a file that claims more rows than it can hold places: one value, repeated."""
    size = file.seek(0, 2)
    if rows > max(_HARMLESS, size):
        raise PoiError(
            f"{path} says it has {rows:,} rows in {size:,} bytes: it holds no places, but one value repeated"
        )


def _refuse_contradictions(batch: Any, found: Found, names: Sequence[str], path: str, rows: int) -> None:
    at = sorted({i for other in found.others for i in (other.taken, other.at)})
    row: list[Any] = [None] * len(names)
    for number, values in enumerate(zip(*(_values(batch, names[i]) for i in at), strict=True), rows + 1):
        for i, value in zip(at, values, strict=True):
            row[i] = value
        refuse_contradiction(path, found, names, row, f"row {number}")


def _with_columns(values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    own_id, lon, lat, *keep = values
    return zip(own_id, lon, lat, zip(*keep, strict=False) if keep else repeat(()), strict=False)


def _with_points(values: Sequence[Any], batch: Any, geometry: _Geometry) -> Iterator[tuple[Any, ...]]:
    own_id, *keep = values
    column = batch.column(batch.schema.names.index(geometry.name))
    column = getattr(column, "storage", column)
    x, y, wrong = _shapes(column) if _kind(column.type) == "binary" else _points(column, geometry.first)
    if geometry.to_degrees is not None:
        x, y = (axis.tolist() for axis in geometry.to_degrees(np.array(x, float), np.array(y, float)))
    return zip(own_id, x, y, zip(*keep, strict=False) if keep else repeat(()), wrong, strict=False)


def _shapes(column: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """x, y and what is wrong of a column of WKB."""
    shapes = shapely.from_wkb(column.to_numpy(zero_copy_only=False), on_invalid="ignore")
    shapes[shapely.is_empty(shapes)] = None
    x, y = shapely.get_x(shapes).tolist(), shapely.get_y(shapes).tolist()
    wrong: list[Any] = [None] * len(shapes)
    for at in np.flatnonzero(shapely.get_type_id(shapes) != 0).tolist():
        x[at], y[at], wrong[at] = shape_point(shapes[at])
    return x, y, wrong


def _points(column: Any, first: Axis) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    """x, y and what is wrong of a column of text or of objects."""
    points = [point_of(value, first) for value in column.to_pylist()]
    x, y, wrong = zip(*points, strict=True) if points else ((), (), ())
    return x, y, wrong


class _Geometry(NamedTuple):
    """The column that holds the points."""

    name: str
    to_degrees: ToDegrees | None
    """None where it holds longitude and latitude."""
    first: Axis = "lat"


def _geometry(table: Any, path: str, pois: Pois) -> _Geometry | None:
    """The column of points of a file that says where they are, unless it has columns of coordinates; or None."""
    schema = table.schema_arrow
    plain = Columns(pois, path, geometry=True).find(schema.names)
    if plain.is_located:
        return None
    name, encoding, crs = _geoparquet(schema, path) or _native(table, path) or (None, None, None)
    if name not in schema.names:
        return None
    refuse_named_coordinates(pois, path, "GeoParquet")
    kind = _kind(schema.field(name).type)
    if encoding not in ("WKB", "point") or kind != ("binary" if encoding == "WKB" else "nested"):
        raise PoiError(
            f"{path} holds its geometry as {encoding}, not as WKB: write it as WKB, or give it lon and lat columns"
        )
    try:
        return _Geometry(str(name), None if crs is None else degrees_of(crs))
    except ValueError as error:
        raise PoiError(f"{path}: {error}: reproject it, for instance with ogr2ogr -t_srs EPSG:4326") from None


def _geoparquet(schema: Any, path: str) -> tuple[str, str, Any] | None:
    """Name, encoding and CRS of the primary column as GeoParquet tells them."""
    metadata = schema.metadata or {}
    try:
        about = json.loads(metadata.get(b"geo", b"{}"))
        name = about.get("primary_column", "geometry")
        if b"geo" not in metadata and (name not in schema.names or _kind(schema.field(name).type) != "binary"):
            return None
        column = about.get("columns", {}).get(name, {})
        if b"geo" not in metadata and _extension(schema.field(name)):
            return None
        crs = column.get("crs", "OGC:CRS84") if column else None
        encoding = str(column.get("encoding", "WKB"))
    except (ValueError, AttributeError, TypeError):
        raise PoiError(
            f"{path} describes its geometry in a way that is no GeoParquet: give it lon and lat columns"
        ) from None
    if crs is None and column:
        raise PoiError(f"{path} says that the CRS of its geometry is unknown: write it with one, such as EPSG:4326")
    return str(name), encoding, crs


def _native(table: Any, path: str) -> tuple[str, str, Any] | None:
    """Name, encoding and CRS of a column of Parquet's own geometry types, or of Arrow's extension of WKB."""
    schema, found = table.schema_arrow, {}
    for at in range(len(table.schema)):
        column = table.schema.column(at)
        about = json.loads(column.logical_type.to_json())
        if about.get("Type") in ("Geometry", "Geography"):
            found[column.name] = about.get("crs") or None
    for field in schema:
        if (about := _extension(field)) and field.name not in found:
            found[field.name] = about.get("crs")
    if len(found) > 1:
        raise PoiError(f"{path} has several columns of geometries ({', '.join(found)}): write it with one")
    for name, crs in found.items():
        key = crs.removeprefix("projjson:") if isinstance(crs, str) and crs.startswith("projjson:") else None
        inner = (schema.metadata or {}).get((key or "").encode())
        return name, "WKB", inner.decode() if key and inner else crs
    return None


def _extension(field: Any) -> dict[str, Any]:
    """What Arrow's extension of WKB says of a field; empty if it is none."""
    metadata = field.metadata or {}
    name = metadata.get(b"ARROW:extension:name", b"").decode() or getattr(field.type, "extension_name", "")
    if name not in ("geoarrow.wkb", "ogc.wkb"):
        return {}
    said = metadata.get(b"ARROW:extension:metadata", b"").decode() or "{}"
    about = json.loads(said)
    return {"crs": about.get("crs")} if isinstance(about, dict) else {"crs": None}


def _refuse_nested(roles: Sequence[Role], positions: Sequence[int | None], schema: Any, path: str) -> None:
    """Raise :class:`PoiError` if a column's type rules out its role; this needs the schema only, no data."""
    for role, at in zip(roles, positions, strict=True):
        kind = "text" if at is None else _kind(schema.field(at).type)
        if kind in ("nested", "binary") or (role == "keep" and kind == "other"):
            field = schema.field(at)
            what = "only text, numbers, true, false and null can be kept" if role == "keep" else (
                f"pois.columns.{role} must name numbers or text"
            )  # fmt: skip
            raise PoiError(f"{path}: the column {field.name} holds {str(field.type)[:60]}: {what}")


def _kind(dtype: Any) -> str:
    """Kind of a column's type: number (plain integers and floats), text, other (such as dates), binary or nested."""
    types = _pyarrow()[0].types
    dtype = getattr(dtype, "storage_type", dtype)
    if types.is_dictionary(dtype):
        inner = _kind(dtype.value_type)
        return "text" if inner == "number" else inner
    if types.is_nested(dtype):
        return "nested"
    if types.is_integer(dtype) or types.is_floating(dtype):
        return "number"
    text = types.is_string(dtype) or types.is_large_string(dtype) or types.is_string_view(dtype)
    if text or types.is_boolean(dtype) or types.is_null(dtype) or types.is_decimal(dtype):
        return "text"
    is_binary = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return "binary" if any(is_one(dtype) for is_one in is_binary) else "other"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
