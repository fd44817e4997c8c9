"""Places as Parquet: only the columns that are needed are read, row group by row group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, BinaryIO

import shapely

from nutonic.errors import PoiError
from nutonic.planning.places.geojson import refuse_named_coordinates
from nutonic.planning.places.rows import Column, Row, columns_of, find_columns
from nutonic.recipe.inputs import Pois

_BATCH = 1 << 16


def parquet_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The rows of a Parquet file with columns of coordinates, or of a GeoParquet with points."""
    yield from (Row(number, *values) for number, values in enumerate(parquet_values(file, path, pois), 1))


def parquet_values(file: BinaryIO, path: str, pois: Pois) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples without their number: id, lon, lat, keep_values, wrong."""
    arrow, parquet = _pyarrow()
    try:
        table = parquet.ParquetFile(file, pre_buffer=True)  # the needed columns of a row group in one read
        schema = table.schema_arrow
        geometry = _geometry(schema, path, pois)
        columns = columns_of(pois, ("id",) if geometry else ("lon", "lat", "id"))
        positions = find_columns(columns, path, schema.names, "its columns are")
        _refuse_nested(columns, positions, schema, path)
        needed = [schema.names[at] for at in positions if at is not None] + ([geometry] if geometry else [])
        for group in range(table.num_row_groups):
            for batch in table.iter_batches(_BATCH, row_groups=[group], columns=list(dict.fromkeys(needed))):
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


def _with_columns(values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    lon, lat, own_id, *keep = values
    return zip(own_id, lon, lat, zip(*keep, strict=False) if keep else repeat(()), strict=False)


def _with_points(values: Sequence[Any], batch: Any, geometry: str) -> Iterator[tuple[Any, ...]]:
    own_id, *keep = values
    wkb = batch.column(batch.schema.names.index(geometry)).to_numpy(zero_copy_only=False)
    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    shapes[shapely.is_empty(shapes)] = None
    x, y = shapely.get_x(shapes).tolist(), shapely.get_y(shapes).tolist()
    wrong = [None if shape is not None and shape.geom_type == "Point" else _no_point(shape) for shape in shapes]
    return zip(own_id, x, y, zip(*keep, strict=False) if keep else repeat(()), wrong, strict=False)


def _no_point(shape: Any) -> tuple[str, str]:
    return (
        "no point",
        "the row has no geometry" if shape is None else f"the geometry is a {shape.geom_type}, not a Point",
    )


def _geometry(schema: Any, path: str, pois: Pois) -> str | None:
    """The column of points of a GeoParquet that has no columns of coordinates, or None."""
    lon, lat, *_ = columns_of(pois)
    if lon.index(schema.names) is not None and lat.index(schema.names) is not None:
        return None
    try:
        about = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
        name = about.get("primary_column", "geometry")
        about = about.get("columns", {}).get(name, {})
        encoding, crs = about.get("encoding", "WKB"), about.get("crs")
    except (ValueError, AttributeError, TypeError):
        raise PoiError(
            f"{path} describes its geometry in a way that is no GeoParquet: give it lon and lat columns"
        ) from None
    if name not in schema.names:
        return None
    refuse_named_coordinates(pois, path, "GeoParquet")
    if encoding != "WKB" or _kind(schema.field(name).type) != "binary":
        raise PoiError(
            f"{path} holds its geometry as {encoding}, not as WKB: write it as WKB, or give it lon and lat columns"
        )
    _refuse_other_crs(crs, path)
    return str(name)


def _refuse_other_crs(crs: Any, path: str) -> None:
    """Raise :class:`PoiError` unless the CRS, as PROJJSON, is WGS 84; None means longitude and latitude."""
    if crs is None:
        return
    identifier = crs.get("id") if isinstance(crs, dict) else None
    code = f"{identifier.get('authority')}:{identifier.get('code')}" if isinstance(identifier, dict) else None
    name = crs.get("name") if isinstance(crs, dict) else crs
    if code not in ("EPSG:4326", "OGC:CRS84") and not (code is None and str(name).startswith("WGS 84")):
        raise PoiError(
            f"{path} is in the CRS {str(code or name)[:80]!r}: places are longitude and latitude (WGS 84, EPSG:4326); "
            "reproject it, for instance with ogr2ogr -t_srs EPSG:4326"
        )


def _refuse_nested(columns: Sequence[Column], positions: Sequence[int | None], schema: Any, path: str) -> None:
    """Raise :class:`PoiError` if a column's type rules out its role; this needs the schema only, no data."""
    for column, at in zip(columns, positions, strict=True):
        kind = "text" if at is None else _kind(schema.field(at).type)
        if kind in ("nested", "binary") or (column.role == "keep" and kind == "other"):
            field = schema.field(at)
            what = "only text, numbers, true, false and null can be kept" if column.role == "keep" else (
                f"pois.columns.{column.role} must name numbers or text"
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
