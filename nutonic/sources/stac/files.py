"""A STAC catalogue on disk, as items with footprints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from nutonic.core.model import Json
from nutonic.errors import InputError
from nutonic.sources.item import Item, item_of
from nutonic.sources.stac.geoparquet import read_geoparquet


def read_items(path: str) -> list[Item]:
    """All items of a local catalogue: an ItemCollection, NDJSON, one item, or a catalog.json with links.

    Raises
    ------
    InputError
        If the file is missing or not a catalogue, or an item has no id, time or footprint; the message names it.
    """
    return [item_of(content, str(folder), path) for content, folder in _documents(Path(path), depth=0)]


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
        return [orjson.loads(content)]
    except orjson.JSONDecodeError as whole:
        try:
            return [orjson.loads(line) for line in content.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            raise InputError(f"{path} is neither JSON nor NDJSON: {whole}") from None


def _linked(document: Json, path: Path, depth: int) -> Iterator[tuple[Json, Path]]:
    if depth > 8:
        raise InputError(f"{path} is more than 8 catalogues deep: do its links run in a circle?")
    for link in document.get("links", []):
        if link.get("rel") in ("item", "child"):
            href = str(link.get("href", ""))
            if "://" in href:
                raise InputError(f"{path} links to {href}: a local catalogue can only link to files beside it")
            yield from _documents(path.parent / href, depth + 1)
