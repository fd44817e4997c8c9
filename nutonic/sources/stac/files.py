"""A STAC catalogue on disk, as items with footprints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nutonic.core.model import Json
from nutonic.errors import InputError
from nutonic.io.files import read_regular
from nutonic.sources.item import Item, Sieve
from nutonic.sources.stac.documents import JSONError, loads
from nutonic.sources.stac.geoparquet import read_geoparquet

#: Files of one catalogue, and their bytes together: as JSON half a million items, which take ten times the memory.
MOST_FILES, MOST_BYTES = 100_000, 2**30

#: Catalogues below the first.
_DEEPEST = 8


def read_items(path: str) -> list[Item]:
    """All items of a local catalogue: an ItemCollection, NDJSON, one item, or a catalog.json with links.

    Items without an id, a time, a footprint or assets are left out; see :class:`nutonic.sources.item.Sieve`.

    Raises
    ------
    InputError
        If a file is missing, is no file or no catalogue, if there are too many or too large ones, or none of what they hold
        is an item; the message names one.
    """
    sieve = Sieve(path)
    items = list(sieve.items((content, str(folder)) for content, folder in _Walk().documents(Path(path))))
    sieve.close()
    return items


@dataclass(slots=True)
class _Walk:
    """The files of one catalogue: each is read once, and there are only so many of them, of so many bytes."""

    seen: set[str] = field(default_factory=set)
    bytes_left: int = field(default_factory=lambda: MOST_BYTES)

    def read(self, path: Path) -> bytes:
        """The content of a file."""
        try:
            content = read_regular(path, self.bytes_left)
        except OSError as error:
            raise _unreadable(path, error) from None
        self.bytes_left -= len(content)
        return content

    def documents(self, path: Path, depth: int = 0) -> Iterator[tuple[Json, Path]]:
        """The items of a file and of those that it links to, with the folders that their hrefs are relative to."""
        real = os.path.realpath(path)
        if real in self.seen:
            return
        if len(self.seen) >= MOST_FILES:
            raise InputError(
                f"the catalogue links to more than {MOST_FILES:,} files: write its items into one, as NDJSON"
            )
        self.seen.add(real)
        for document in _json(path, self):
            yield from self._items(document, path, depth)

    def _items(self, document: Any, path: Path, depth: int) -> Iterator[tuple[Json, Path]]:
        if isinstance(document, list) and all(isinstance(item, dict) for item in document):
            yield from ((item, path.parent) for item in document)
            return
        kind = document.get("type") if isinstance(document, dict) else None
        if kind == "FeatureCollection":
            items = document.get("features")
            if not isinstance(items, list):
                raise InputError(f"{path} has no list of features: it is not a STAC ItemCollection")
            yield from ((item, path.parent) for item in items)
        elif kind == "Feature":
            yield document, path.parent
        elif kind in ("Catalog", "Collection"):
            yield from self._linked(document, path, depth)
        else:
            raise InputError(
                f"{path} is not a STAC catalogue: its type is {kind!r:.80}, not FeatureCollection, Feature or Catalog"
            )

    def _linked(self, document: Json, path: Path, depth: int) -> Iterator[tuple[Json, Path]]:
        links = document.get("links")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("rel") in ("item", "child"):
                if depth > _DEEPEST:
                    raise InputError(f"{path} is more than {_DEEPEST} catalogues deep: name one of those below it")
                href = str(link.get("href", ""))
                if "://" in href:
                    raise InputError(f"{path} links to {href}: a local catalogue can only link to files beside it")
                yield from self.documents(path.parent / href, depth + 1)


def _json(path: Path, walk: _Walk) -> list[Any]:
    """The JSON document of a file, or one per line; the items of a GeoParquet file."""
    if path.suffix.lower() in (".parquet", ".geoparquet"):
        return list(read_geoparquet(path))
    content = walk.read(path)
    try:
        return [loads(content)]
    except JSONError as whole:
        try:
            return [loads(line) for line in content.splitlines() if line.strip()]
        except JSONError:
            raise InputError(f"{path} is neither JSON nor NDJSON: {whole}") from None


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot read the catalogue {path}: {(error.strerror or 'unreadable').lower()}; see imagery.url (an address begins "
        "with https://)"
    )
