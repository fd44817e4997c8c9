"""Places files: rows in, places and rejects out, whatever the format."""

from __future__ import annotations

import gzip
import hashlib
import stat
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from nutonic.core.model import Reject
from nutonic.errors import InputError, PoiError, SourceError
from nutonic.io.access import ANYBODY, Identity, identity_of
from nutonic.io.buckets.fetched import copy_of, is_fetched, offered
from nutonic.io.files import of_windows
from nutonic.planning.places import hub as pois_hub
from nutonic.planning.places.columns import Places
from nutonic.planning.places.geojson import geojson_rows
from nutonic.planning.places.jsonl import jsonl_rows
from nutonic.planning.places.names import kept_columns
from nutonic.planning.places.parquet import parquet_rows
from nutonic.planning.places.rows import Collector, Row, Unit
from nutonic.planning.places.tables import csv_rows
from nutonic.planning.places.text import Unpacked
from nutonic.planning.places.vector import VECTOR, files_of, vector_rows
from nutonic.recipe.inputs import Pois
from nutonic.secrets import redact

_Reader = Callable[[BinaryIO, str, Pois], Iterator[Row]]
_LINES: dict[str, _Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), csv_rows),
    **dict.fromkeys((".jsonl", ".ndjson", ".geojsonl", ".geojsons", ".geojsonseq"), jsonl_rows),
}
_TEXTS: dict[str, _Reader] = {**_LINES, **dict.fromkeys((".geojson", ".json"), geojson_rows)}
_READERS: dict[str, _Reader] = {
    **_TEXTS,
    **{f"{suffix}.gz": reader for suffix, reader in _TEXTS.items()},
    **dict.fromkeys((".parquet", ".geoparquet", ".pq"), parquet_rows),
    **dict.fromkeys(VECTOR, vector_rows),
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
    warnings: tuple[str, ...] = ()
    """What the user should know about the rows besides the rejects."""
    origin: str | None = None
    """Address of a dataset on the Hub, with the commit that was read; None for a local file."""


#: No places file is larger, in bytes: about a hundred million rows.
MOST_BYTES = 2**34


def read_pois(pois: Pois) -> PoiFile:
    """Read the places that a recipe names.

    Coordinates are columns such as ``lon`` and ``lat``, one column with both, or points where the format has them; ids a
    column ``id`` if there is one; or what ``columns`` names. Points in another CRS are transformed. A bad row is a reject
    with its line and what is wrong, never an exception; it keeps its ordinal.

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
    with _local(pois.path, identity_of(pois)) as path, _opened(path) as file:
        suffix, reader = _reader(path)
        sha256 = _digest(file, path)
        file.seek(0)
        content: BinaryIO = file
        if suffix.endswith(".gz"):
            content = BufferedReader(Unpacked(file, path), 1 << 16)
        unit: Unit = "line" if suffix.removesuffix(".gz") in _LINES else "row"
        return _file(_collect(reader(content, path, pois), pois, unit), sha256)


def file_sha256(path: str, identity: Identity = ANYBODY) -> str:
    """SHA-256 (hex) that changes with a places file; `identity` is who asks for one at an address, where it is fetched.

    For a dataset on the Hub it covers repository, commit and path, since a commit fixes its files and their content. That
    takes one small request, or none if the address names a commit.
    """
    if pois_hub.is_address(path):
        return pois_hub.resolve(path).sha256()
    with _local(path, identity) as here, _opened(here) as file:
        return _digest(file, here)


@contextmanager
def _local(path: str, identity: Identity) -> Iterator[str]:
    """The path on this disk of a places file, or of the copy of one at an address; errors name it as it was named."""
    if not is_fetched(path):
        if "://" in path:
            raise PoiError(
                f"pois.path is {path}: name a local file, hf://datasets/OWNER/NAME, or one of {offered()} and a path"
            )
        yield path
        return
    _reader(path.partition("?")[0])  # before anything is fetched
    if path.lower().endswith(".shp"):
        raise PoiError(f"{path} is one of several files: name a .zip of them, or a .gpkg")
    try:
        copy = str(copy_of(path, identity, MOST_BYTES))
    except (SourceError, InputError) as error:
        raise PoiError(f"cannot read the places file: {error}; see pois.path") from None
    try:
        yield copy
    except PoiError as error:
        raise PoiError(str(error).replace(copy, redact(path))) from None


def _digest(file: BufferedReader, path: str) -> str:
    """SHA-256 (hex) of a file; of a shapefile, whose coordinates and columns are in several, of all together."""
    digest = hashlib.file_digest(file, "sha256")
    for beside in files_of(path):
        digest.update(beside.read_bytes())
    return digest.hexdigest()


def _collect(rows: Iterator[Row], pois: Pois, unit: Unit) -> Collector:
    collector = Collector(pois.path, kept_columns(pois), unit)
    try:
        for row in islice(rows, pois.limit):
            collector.add(row)
    finally:
        if isinstance(rows, Generator):
            rows.close()  # before the file is
    return collector


def _file(collector: Collector, sha256: str, origin: str | None = None) -> PoiFile:
    return PoiFile(
        places=collector.places(),
        rejects=collector.rejects,
        sha256=sha256,
        rows=collector.rows,
        warnings=collector.warnings(),
        origin=origin,
    )


@contextmanager
def _opened(path: str) -> Iterator[BufferedReader]:
    """The open file; errors while it is read become a :class:`PoiError` that names it."""
    try:
        status = Path(path).stat()
        mode = status.st_mode
        if status.st_size > MOST_BYTES:
            raise PoiError(f"the places file {path} has {status.st_size:,} bytes, more than {MOST_BYTES:,}: divide it")
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise PoiError(f"the places file {path} is a pipe or a device, not a file; see pois.path")
        with Path(path).open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise PoiError(f"{path} is no whole gzip file: is it cut off?") from None
    except OSError as error:
        why = f"{(error.strerror or 'unreadable').lower()}{of_windows(path)}"
        raise PoiError(f"cannot read the places file {path}: {why}; see pois.path") from None


def _reader(path: str) -> tuple[str, _Reader]:
    name = Path(path).name.lower()
    for suffix in sorted(_READERS, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix, _READERS[suffix]
    raise PoiError(
        f"the suffix of {path} does not say what it is: .csv, .tsv, .txt, .jsonl, .ndjson, .geojson or .json (also with "
        f".gz), .parquet, .geoparquet, .pq, and {', '.join(VECTOR)} are known"
    )
