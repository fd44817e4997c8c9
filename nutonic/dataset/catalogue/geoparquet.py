"""Footprints of any GeoParquet file in degrees, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from nutonic.core.globe import on_the_globe
from nutonic.errors import InputError
from nutonic.io.files import open_regular

#: What the longitudes and latitudes of a file may be called, by the codes that PROJJSON gives.
_DEGREES = {("OGC", "CRS84"), ("OGC", "CRS84h"), ("EPSG", "4326"), ("EPSG", "4979")}

#: Columns that name a row, the first that is there.
_IDS = ("id", "name", "item_id", "tile_id", "product_id", "grid_cell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """Some rows of a file."""

    ids: list[str]
    """What names each; ``row 7`` where nothing does."""
    splits: list[str]
    """The split of each; empty where the file tells none."""
    outlines: np.ndarray
    """Their geometries, in degrees."""
    without: int
    """Rows that have no geometry, which are none of these."""

    @property
    def middles(self) -> tuple[np.ndarray, np.ndarray]:
        """Longitude and latitude of the middle of each; of what lies on both sides of 180°, of its larger part."""
        largest = np.array([_largest(outline) for outline in self.outlines], object)
        points = shapely.get_coordinates(shapely.centroid(largest))
        return points[:, 0], points[:, 1]


def _largest(outline: Any) -> Any:
    west, _, east, _ = outline.bounds
    across = east - west > 180.0 and outline.geom_type == "MultiPolygon"
    return max(shapely.get_parts(outline), key=lambda part: part.area) if across else outline


def outlines_in(path: Path, block: int) -> Iterator[Outlines]:
    """The footprints of a file, `block` rows at a time.

    Raises
    ------
    InputError
        If it is not there, no Parquet, has no geometry that can be read, or is in another CRS than degrees.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_regular(path) as handle, pq.ParquetFile(handle) as file:
            schema = file.schema_arrow
            column = _geometry_of(path, schema.metadata or {}, schema.names)
            texts = {f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)}
            name = next((name for name in _IDS if name in texts), None)
            some = [each for each in (column, name, "split") if each in schema.names]
            first = 0
            for batch in file.iter_batches(batch_size=block, columns=some):
                yield _outlines(path, batch, column, name, first)
                first += batch.num_rows
    except FileNotFoundError:
        raise InputError(f"{path} is not there: name a GeoParquet file") from None
    except (pa.ArrowException, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no Parquet, or is cut short"
        raise InputError(f"{path} cannot be read: {why}; name a GeoParquet file") from None


def _geometry_of(path: Path, metadata: dict[bytes, bytes], names: list[str]) -> str:
    """The column of the geometry, of a file in degrees."""
    if b"geo" not in metadata:
        raise InputError(
            f"{path} has no geometry column: it is no GeoParquet (its columns are {', '.join(names)[:120]})"
        )
    try:
        about = orjson.loads(metadata[b"geo"])
        column = str(about["primary_column"])
        told = about["columns"][column]
        encoding = str(told.get("encoding"))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path} does not tell which column its geometry is: write it as GeoParquet 1.0 or later"
        ) from None
    if column not in names:
        raise InputError(f"{path} has no geometry column: {column[:60]!r}, which it names, is not there")
    if encoding != "WKB":
        raise InputError(f"{path} has its geometry as {encoding[:40]!r}: write it as WKB")
    _refuse_other_crs(path, told.get("crs", {"id": {"authority": "OGC", "code": "CRS84"}}))
    return column


def _refuse_other_crs(path: Path, crs: Any) -> None:
    """Raise where coordinates are no longitudes and latitudes of WGS 84."""
    if crs is None:
        raise InputError(f"{path} does not tell its CRS (crs is null): write it in degrees, as OGC:CRS84")
    known = (crs.get("id") or {}) if isinstance(crs, dict) else {}
    if (str(known.get("authority")), str(known.get("code"))) in _DEGREES:
        return
    if isinstance(crs, dict) and str(crs.get("name", "")).startswith("WGS 84 (CRS84)"):
        return
    called = crs.get("name", "another CRS") if isinstance(crs, dict) else crs
    raise InputError(f"{path} is in {str(called)[:60]}: catalogues are compared in degrees, write it as OGC:CRS84")


def _outlines(path: Path, batch: Any, column: str, name: str | None, first: int) -> Outlines:
    raw = batch.column(column).to_pylist()
    try:
        shapes = shapely.from_wkb(np.array([None if each is None else bytes(each) for each in raw], object))
    except (shapely.errors.GEOSException, TypeError):
        raise InputError(f"{path} has a geometry that is no WKB, in rows {first + 1} to {first + len(raw)}") from None
    there = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    names: list[str | None] = batch.column(name).to_pylist() if name is not None else [None] * len(raw)
    splits = batch.column("split").to_pylist() if "split" in batch.schema.names else [""] * len(raw)
    return Outlines(
        ids=[names[k] or f"row {first + k + 1}" for k in there.tolist()],
        splits=[str(splits[k] or "") for k in there.tolist()],
        outlines=_on_the_globe(shapes[there]),
        without=len(raw) - len(there),
    )


def _on_the_globe(shapes: np.ndarray) -> np.ndarray:
    """Geometries that are valid; what is drawn on beyond 180° is where it is."""
    shapes = np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes))
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    for k in np.flatnonzero((bounds[:, 0] < -180.0) | (bounds[:, 2] > 180.0)).tolist():
        shapes[k] = shapely.union_all(on_the_globe(shapes[k]))
    return shapes
