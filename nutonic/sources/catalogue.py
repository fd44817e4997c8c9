"""A STAC catalogue on disk, as items with footprints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import shapely

from nutonic.errors import InputError
from nutonic.model import Json
from nutonic.sources.footprints import footprint_of
from nutonic.sources.geoparquet import read_geoparquet


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A STAC item as written, with what a search needs of it."""

    content: Json
    footprint: shapely.Geometry
    """In degrees; a polygon or several."""
    base: str
    """What its relative hrefs are relative to: the folder of its catalogue, or the item's own URL."""

    @property
    def is_remote(self) -> bool:
        """Whether it came over the network; such an item may not name local files."""
        return "://" in self.base

    @property
    def id(self) -> str:
        """The item's id."""
        return str(self.content["id"])

    @property
    def properties(self) -> Json:
        """The item's properties."""
        return dict(self.content.get("properties") or {})

    @property
    def moment(self) -> str:
        """``datetime``, or ``start_datetime`` where that is null; ISO 8601."""
        return str(self.properties.get("datetime") or self.properties["start_datetime"])


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


def item_of(content: Any, base: str, where: str) -> Item:
    """A document as an item; raises :class:`InputError`, naming it, if it is none."""
    name = content.get("id") if isinstance(content, dict) else None
    try:
        item = Item(content=content, footprint=footprint_of(content["geometry"]), base=base)
        if not (item.id and item.moment and not item.footprint.is_empty):
            raise ValueError("it is empty")
        dict(content["assets"])
    except (LookupError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        raise InputError(f"item {name!r} of {where} is no STAC item: {type(error).__name__} {error}") from None
    return item
