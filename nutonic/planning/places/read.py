"""Places files: rows in, places and rejects out, whatever the format."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from nutonic.core.model import Reject
from nutonic.errors import PoiError
from nutonic.planning.places import hub as pois_hub
from nutonic.planning.places.columns import Places
from nutonic.planning.places.geojson import geojson_rows
from nutonic.planning.places.parquet import parquet_rows
from nutonic.planning.places.rows import Collector, Row, kept_columns
from nutonic.planning.places.text import csv_rows, jsonl_rows
from nutonic.recipe.inputs import Pois

_Reader = Callable[[BinaryIO, str, Pois], Iterator[Row]]
_LINES: dict[str, _Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), csv_rows),
    **dict.fromkeys((".jsonl", ".ndjson"), jsonl_rows),
}
_READERS: dict[str, _Reader] = {
    **_LINES,
    **{f"{suffix}.gz": reader for suffix, reader in _LINES.items()},
    **dict.fromkeys((".geojson", ".json"), geojson_rows),
    **dict.fromkeys((".parquet", ".geoparquet", ".pq"), parquet_rows),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoiFile:
    """The places of a file, and the rejects of its bad rows."""

    places: Places
    rejects: list[Reject]
    sha256: str
    """SHA-256 (hex) of the file's bytes; for a dataset on the Hub, that of its address: see :func:`file_sha256`."""
    rows: int
    """Number of data rows, bad ones included."""
    origin: str | None = None
    """Address of a dataset on the Hub, with the commit that was read; None for a local file."""


def read_pois(pois: Pois) -> PoiFile:
    """Read the places that a recipe names.

    Coordinates are columns ``lon`` or ``longitude`` and ``lat`` or ``latitude``, ids a column ``id`` if there is one, or
    what ``columns`` names; GeoJSON and GeoParquet also have them as points. A bad row is a reject with its line and what
    is wrong, never an exception; it keeps its ordinal.

    Raises
    ------
    PoiError
        If the file cannot be read, or lacks a column.
    MissingExtra
        If reading it needs a package that is not installed.
    """
    if pois_hub.is_address(pois.path):
        dataset = pois_hub.resolve(pois.path)
        collector = _collect(pois_hub.rows(dataset, pois), pois, "row")
        return _file(collector, dataset.sha256(), dataset.address())
    with _opened(pois.path) as file:
        suffix, reader = _reader(pois.path)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if suffix.endswith(".gz") else file
        lined = suffix.removesuffix(".gz") in _LINES
        return _file(_collect(reader(content, pois.path, pois), pois, "line" if lined else "row"), sha256)


def file_sha256(path: str) -> str:
    """SHA-256 (hex) that changes with a places file.

    For a dataset on the Hub it covers repository, commit and path, since a commit fixes its files and their content. That
    takes one small request, or none if the address names a commit.
    """
    if pois_hub.is_address(path):
        return pois_hub.resolve(path).sha256()
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _collect(rows: Iterator[Row], pois: Pois, line_is: str) -> Collector:
    collector = Collector(pois.path, kept_columns(pois), line_is)
    for row in islice(rows, pois.limit):
        collector.add(row)
    return collector


def _file(collector: Collector, sha256: str, origin: str | None = None) -> PoiFile:
    return PoiFile(
        places=collector.places(), rejects=collector.rejects, sha256=sha256, rows=collector.rows, origin=origin
    )


@contextmanager
def _opened(path: str) -> Iterator[BufferedReader]:
    """The open file; errors while it is read become a :class:`PoiError` that names it."""
    if "://" in path:
        raise PoiError(f"pois.path is {path}, and can only be a local file or hf://datasets/OWNER/NAME")
    try:
        with Path(path).open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise PoiError(f"{path} is no whole gzip file: is it cut off?") from None
    except OSError as error:
        raise PoiError(
            f"cannot read the places file {path}: {(error.strerror or 'unreadable').lower()}; see pois.path"
        ) from None


def _reader(path: str) -> tuple[str, _Reader]:
    name = Path(path).name.lower()
    for suffix in sorted(_READERS, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix, _READERS[suffix]
    raise PoiError(
        f"the suffix of {path} does not say what it is: .csv, .tsv, .txt, .jsonl or .ndjson (also with .gz), "
        ".geojson, .json, .parquet, .geoparquet or .pq are known"
    )
