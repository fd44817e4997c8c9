"""A STAC catalogue on disk, as items with footprints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nutonic.core.model import Json
from nutonic.errors import InputError
from nutonic.sources.item import Item, Sieve
from nutonic.sources.stac.documents import JSONError, loads
from nutonic.sources.stac.geoparquet import read_geoparquet


def read_items(path: str) -> list[Item]:
    """All items of a local catalogue: an ItemCollection, NDJSON, one item, or a catalog.json with links.

    Items without an id, a time, a footprint or assets are left out; see :class:`nutonic.sources.item.Sieve`.

    Raises
    ------
    InputError
        If the file is missing or not a catalogue, or none of what it holds is an item; the message names one.
    """
    sieve = Sieve(path)
    items = list(sieve.items((content, str(folder)) for content, folder in _documents(Path(path), depth=0)))
    sieve.close()
    return items


def _documents(path: Path, depth: int) -> Iterator[tuple[Json, Path]]:
    for document in _json(path):
        if isinstance(document, list) and all(isinstance(item, dict) for item in document):
            yield from ((item, path.parent) for item in document)
            continue
        kind = document.get("type") if isinstance(document, dict) else None
        if kind == "FeatureCollection":
            items = document.get("features")
            if not isinstance(items, list):
                raise InputError(f"{path} has no list of features: it is not a STAC ItemCollection")
            yield from ((item, path.parent) for item in items)
        elif kind == "Feature":
            yield document, path.parent
        elif kind in ("Catalog", "Collection"):
            yield from _linked(document, path, depth)
        else:
            raise InputError(
                f"{path} is not a STAC catalogue: its type is {kind!r}, not FeatureCollection, Feature or Catalog"
            )


def _json(path: Path) -> list[Any]:
    """The JSON document of a file, or one per line; the items of a GeoParquet file."""
    if path.suffix.lower() in (".parquet", ".geoparquet"):
        return list(read_geoparquet(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the catalogue {path}: {(error.strerror or 'unreadable').lower()}; see imagery.url"
        ) from None
    try:
        return [loads(content)]
    except JSONError as whole:
        try:
            return [loads(line) for line in content.splitlines() if line.strip()]
        except JSONError:
            raise InputError(f"{path} is neither JSON nor NDJSON: {whole}") from None


def _linked(document: Json, path: Path, depth: int) -> Iterator[tuple[Json, Path]]:
    if depth > 8:
        raise InputError(f"{path} is more than 8 catalogues deep: do its links run in a circle?")
    links = document.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") in ("item", "child"):
            href = str(link.get("href", ""))
            if "://" in href:
                raise InputError(f"{path} links to {href}: a local catalogue can only link to files beside it")
            yield from _documents(path.parent / href, depth + 1)
