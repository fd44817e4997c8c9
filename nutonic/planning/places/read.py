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
    """The places of a file, and what was wrong with the rest of it."""

    places: Places
    rejects: list[Reject]
    sha256: str
    """Of the file's bytes, hex; of a dataset on the Hub, of what names its bytes: see :func:`file_sha256`."""
    rows: int
    """Data rows seen, bad ones included."""
    origin: str | None = None
    """Of a dataset on the Hub, its address with the commit it was read at."""


def read_pois(wanted: Pois) -> PoiFile:
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
    if pois_hub.is_address(wanted.path):
        dataset = pois_hub.resolve(wanted.path)
        found = _collect(pois_hub.rows(dataset, wanted), wanted, "row")
        return _file(found, dataset.sha256(), dataset.address())
    with _opened(wanted.path) as file:
        suffix, reader = _reader(wanted.path)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if suffix.endswith(".gz") else file
        lined = suffix.removesuffix(".gz") in _LINES
        return _file(_collect(reader(content, wanted.path, wanted), wanted, "line" if lined else "row"), sha256)


def file_sha256(path: str) -> str:
    """SHA-256 (hex) that changes with a places file.

    Of a dataset on the Hub it covers repository, commit and path, as a commit names its files and their content: that is
    one small request, and none at all where the address names the commit itself.
    """
    if pois_hub.is_address(path):
        return pois_hub.resolve(path).sha256()
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _collect(rows: Iterator[Row], wanted: Pois, line_is: str) -> Collector:
    collector = Collector(wanted.path, kept_columns(wanted), line_is)
    for row in islice(rows, wanted.limit):
        collector.add(row)
    return collector


def _file(found: Collector, sha256: str, origin: str | None = None) -> PoiFile:
    return PoiFile(places=found.places(), rejects=found.rejects, sha256=sha256, rows=found.rows, origin=origin)


@contextmanager
def _opened(path: str) -> Iterator[BufferedReader]:
    """The file; what goes wrong while it is read says where it is named."""
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
