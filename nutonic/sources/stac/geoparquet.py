"""STAC items as GeoParquet, in the columns of stac-geoparquet, and back without a loss.

Columns have one type each, so items of several kinds do not survive them: what an item does not say comes back as null
(and hides what is said elsewhere), numbers beside text are refused, times lose digits, polygons become collections of one.
Hence one more column, in which each item stands as it was; files of others have to do without it.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import shapely
from shapely.geometry import mapping, shape

from nutonic.core.model import Json
from nutonic.core.times import parse_moment, utc_text
from nutonic.errors import InputError
from nutonic.io.files import open_regular

#: The column that holds whole items as JSON.
WHOLE = "nutonic:item"

#: Columns that are no properties.
_HEAD = ("type", "stac_version", "stac_extensions", "id", "collection", "geometry", "bbox", "links", "assets")

_TIMES = ("datetime", "start_datetime", "end_datetime", "created", "updated")
_LINK, _ASSET = ("href", "rel", "type", "title"), ("href", "type", "title", "description")
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)  # what odd values in columns come to
_SIDES = {4: ("xmin", "ymin", "xmax", "ymax"), 6: ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")}


def read_geoparquet(path: str | Path) -> Iterator[Json]:
    """The items of a stac-geoparquet file: as they were if :func:`geoparquet_bytes` wrote it, else as columns tell.

    Columns do not tell null from missing: both come back as missing, but for a ``datetime``, which is then null.

    Raises
    ------
    InputError
        If the file is missing, is no stac-geoparquet, or its columns were changed since it was written.
    """
    pa, pq = _pyarrow()

    try:
        with open_regular(path) as stream, pq.ParquetFile(stream, page_checksum_verification=True) as file:
            missing = sorted({"id", "geometry", "assets"} - set(file.schema_arrow.names))
            if missing:
                raise InputError(f"{path} is no stac-geoparquet: it has no column {missing[0]!r}")
            for batch in file.iter_batches(batch_size=256):
                yield from _items(_plain(pa.Table.from_batches([batch])).to_pylist(), path)
    except InputError:
        raise
    except (OSError, pa.ArrowException, shapely.errors.ShapelyError, *_ODD) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise InputError(f"cannot read {path} as GeoParquet: {' '.join(reason.split())[:200].lower()}") from None


def raw_rows(content: bytes) -> Iterator[Json]:
    """The rows of a file that :func:`geoparquet_bytes` made, each column as it is, and the whole item parsed.

    Raises
    ------
    InputError
        If it is no such file.
    """
    pa, pq = _pyarrow()
    try:
        with pq.ParquetFile(io.BytesIO(content)) as file:
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    yield {**row, WHOLE: orjson.loads(row[WHOLE]) if row.get(WHOLE) else None}
    except (OSError, pa.ArrowException, *_ODD) as error:
        raise InputError(f"cannot be read as GeoParquet: {type(error).__name__}") from None


def geoparquet_bytes(items: Sequence[Json]) -> bytes:
    """Items as a stac-geoparquet file; equal items in equal order give equal bytes.

    Raises
    ------
    InputError
        If there is no item: columns are made of what items say.
    """
    pa, pq = _pyarrow()

    if not items:
        raise InputError("there are no items to write as GeoParquet")
    columns = {**_head(items), **_properties(items)}
    columns[WHOLE] = pa.array([orjson.dumps(item).decode() for item in items], pa.string())
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": sorted({i["geometry"]["type"] for i in items})}},
    }
    metadata = {b"geo": orjson.dumps(geo), b"stac-geoparquet": orjson.dumps({"version": "1.0.0"})}
    sink = io.BytesIO()
    pq.write_table(
        pa.table(columns).replace_schema_metadata(metadata), sink, compression="zstd", write_page_checksum=True
    )
    return sink.getvalue()


def _pyarrow() -> tuple[Any, Any]:
    """Imported where it is needed: it takes a while."""
    import pyarrow
    import pyarrow.parquet

    return pyarrow, pyarrow.parquet


# Writing


def _head(items: Sequence[Json]) -> dict[str, Any]:
    """The columns that every item has."""
    pa, _ = _pyarrow()

    def text(key: str) -> Any:
        return pa.array([None if item.get(key) is None else str(item[key]) for item in items], pa.string())

    def record(keys: Iterable[str]) -> Any:
        return pa.struct([(key, pa.string()) for key in keys])

    shapes = [shape(item["geometry"]) for item in items]
    names = sorted({name for item in items for name in item.get("assets") or {}})
    asset = pa.struct([*record(_ASSET), ("roles", pa.list_(pa.string()))])
    assets = [{name: _asset(content) for name, content in (item.get("assets") or {}).items()} for item in items]
    return {
        "type": pa.array(["Feature"] * len(items), pa.string()),
        "stac_version": text("stac_version"),
        "stac_extensions": pa.array([_texts(item.get("stac_extensions")) for item in items], pa.list_(pa.string())),
        "id": text("id"),
        "collection": text("collection"),
        "geometry": pa.array([shapely.to_wkb(one, output_dimension=2) for one in shapes], pa.binary()),
        "bbox": pa.array(
            [dict(zip(_SIDES[4], map(float, one.bounds), strict=True)) for one in shapes],
            pa.struct([(side, pa.float64()) for side in _SIDES[4]]),
        ),
        "links": pa.array(
            [[_subset(link, _LINK) for link in item.get("links") or []] for item in items], pa.list_(record(_LINK))
        ),
        "assets": pa.array(assets, pa.struct([(name, asset) for name in names])) if names else text("assets"),
    }


def _asset(content: Json) -> Json:
    return {**_subset(content, _ASSET), "roles": _texts(content.get("roles"))}


def _subset(content: Json, keys: Iterable[str]) -> Json:
    return {key: content[key] for key in keys if isinstance(content.get(key), str)}


def _texts(values: Any) -> list[str]:
    return [value for value in values or () if isinstance(value, str)]


def _properties(items: Sequence[Json]) -> dict[str, Any]:
    """A column for each property that is of one simple type in all items that say it, by name."""
    pa, _ = _pyarrow()

    columns = {}
    names = {"datetime", *(name for item in items for name in item.get("properties") or {})} - {*_HEAD, WHOLE}
    types = {str: pa.string(), bool: pa.bool_(), float: pa.float64()}
    for name in sorted(names):
        values = [(item.get("properties") or {}).get(name) for item in items]
        if name in _TIMES:
            columns[name] = pa.array([_time(value) for value in values], pa.timestamp("us", "UTC"))
        elif (kind := _kind(values)) in types:
            columns[name] = pa.array([None if v is None else kind(v) for v in values], types[kind])
    return columns


def _kind(values: Iterable[Any]) -> type:
    """The one simple type of values that are not null, all numbers being floats; ``type(None)`` if there is none."""
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    return kinds.pop() if len(kinds) == 1 else type(None)


def _time(text: Any) -> dt.datetime | None:
    try:
        return parse_moment(text)
    except (TypeError, ValueError):
        return None


# Reading


def _plain(table: Any) -> Any:
    """A table whose times are no finer than Python's, so that they become its own."""
    pa, _ = _pyarrow()

    fields = [
        field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields), safe=False)


def _items(rows: Iterable[Json], path: str | Path) -> Iterator[Json]:
    for row in rows:
        yield _whole(row, path) if row.get(WHOLE) else _of_columns(row)


def _whole(row: Json, path: str | Path) -> Json:
    """The item as it was written; InputError if its columns were changed since."""
    item: Json = orjson.loads(row[WHOLE])
    columns, hrefs = (
        _of_columns(row),
        {name: _subset(asset, ("href",)) for name, asset in item.get("assets", {}).items()},
    )
    same_place = shape(columns["geometry"]).equals(shapely.force_2d(shape(item["geometry"])))
    if columns["id"] != str(item["id"]) or hrefs != _hrefs(columns) or not same_place:
        raise InputError(
            f"item {columns['id']!r} of {path} was changed since it was written: drop the column {WHOLE}, which still "
            "holds what it was"
        )
    return item


def _hrefs(item: Json) -> dict[str, Json]:
    return {name: _subset(asset, ("href",)) for name, asset in item["assets"].items()}


def _of_columns(row: Json) -> Json:
    """A row as an item."""
    fields = {key: _as_json(value) for key, value in row.items() if value is not None and key != WHOLE}
    head = {"type": "Feature", **{key: fields.pop(key) for key in _HEAD if key in fields}}
    if isinstance(row["geometry"], bytes):
        head["geometry"] = orjson.loads(orjson.dumps(mapping(shapely.from_wkb(row["geometry"]))))
    if isinstance(head.get("bbox"), dict):
        head["bbox"] = [head["bbox"][side] for side in _SIDES[len(head["bbox"])]]
    return {"links": [], "assets": {}, **head, "properties": {"datetime": None, **fields}}


def _as_json(value: Any) -> Any:
    """A value of a column as JSON, without the null fields of structures."""
    if isinstance(value, dict):
        return {key: _as_json(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_as_json(part) for part in value]
    if isinstance(value, dt.datetime):
        return utc_text(value) if value.utcoffset() == dt.timedelta(0) else value.isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    return orjson.loads(orjson.dumps(mapping(shapely.from_wkb(value)))) if isinstance(value, bytes) else value
