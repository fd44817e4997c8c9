"""A STAC catalogue of files, on disk or in an object store, as items with footprints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from nutonic.core.model import Json
from nutonic.errors import InputError, SourceError
from nutonic.io.access import ANYBODY, Identity
from nutonic.io.buckets.address import is_object, joined
from nutonic.io.buckets.fetched import copy_of
from nutonic.io.files import read_regular, real_path
from nutonic.sources.item import Item, Sieve
from nutonic.sources.stac.documents import JSONError, loads
from nutonic.sources.stac.geoparquet import read_geoparquet

#: Files of one catalogue, and their bytes together: as JSON half a million items, which take ten times the memory.
MOST_FILES, MOST_BYTES = 100_000, 2**30

#: Catalogues below the first.
_DEEPEST = 8


def is_api(url: str) -> bool:
    """Whether a catalogue is asked, as an API over HTTP is, and not read whole, as files are."""
    return "://" in url and not is_object(url)


def read_items(path: str, identity: Identity = ANYBODY) -> list[Item]:
    """All items of a catalogue of files: an ItemCollection, NDJSON, one item, or a catalog.json with links.

    It lies on a disk, or in an object store, where `identity` asks for it.

    Items without an id, a time, a footprint or assets are left out; see :class:`nutonic.sources.item.Sieve`.

    Raises
    ------
    InputError
        If a file is missing, is no file or no catalogue, if there are too many or too large ones, or none of what they hold
        is an item; the message names one.
    """
    sieve = Sieve(path)
    walk = _Walk(identity)
    documents = walk.documents(path if is_object(path) else Path(path))
    items = list(sieve.items((content, _base(place)) for content, place in documents))
    sieve.close()
    return items


#: A file of a catalogue: on disk, or the address of an object.
_Place = Path | str


def _base(place: _Place) -> str:
    """What hrefs in a file are relative to."""
    return place if isinstance(place, str) else str(place.parent)


@dataclass(slots=True)
class _Walk:
    """The files of one catalogue: each is read once, and there are only so many of them, of so many bytes."""

    identity: Identity
    seen: set[str] = field(default_factory=set)
    bytes_left: int = field(default_factory=lambda: MOST_BYTES)

    def read(self, place: _Place) -> bytes:
        """The content of a file."""
        try:
            content = read_regular(self.here(place), self.bytes_left)
        except OSError as error:
            raise _unreadable(place, error) from None
        self.bytes_left -= len(content)
        return content

    def here(self, place: _Place) -> Path:
        """The file on this disk; an object is fetched."""
        if isinstance(place, Path):
            return place
        try:
            return copy_of(place, self.identity, self.bytes_left)
        except SourceError as error:
            raise InputError(f"cannot read the catalogue: {error}; see imagery.url") from None

    def documents(self, place: _Place, depth: int = 0) -> Iterator[tuple[Json, _Place]]:
        """The items of a file and of those that it links to, with the files that they are in."""
        real = place if isinstance(place, str) else str(real_path(place))
        if real in self.seen:
            return
        if len(self.seen) >= MOST_FILES:
            raise InputError(
                f"the catalogue links to more than {MOST_FILES:,} files: write its items into one, as NDJSON"
            )
        self.seen.add(real)
        for document in _json(place, self):
            yield from self._items(document, place, depth)

    def _items(self, document: Any, place: _Place, depth: int) -> Iterator[tuple[Json, _Place]]:
        if isinstance(document, list) and all(isinstance(item, dict) for item in document):
            yield from ((item, place) for item in document)
            return
        kind = document.get("type") if isinstance(document, dict) else None
        if kind == "FeatureCollection":
            items = document.get("features")
            if not isinstance(items, list):
                raise InputError(f"{place} has no list of features: it is not a STAC ItemCollection")
            yield from ((item, place) for item in items)
        elif kind == "Feature":
            yield document, place
        elif kind in ("Catalog", "Collection"):
            yield from self._linked(document, place, depth)
        else:
            raise InputError(
                f"{place} is not a STAC catalogue: its type is {kind!r:.80}, not FeatureCollection, Feature or Catalog"
            )

    def _linked(self, document: Json, place: _Place, depth: int) -> Iterator[tuple[Json, _Place]]:
        links = document.get("links")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("rel") in ("item", "child"):
                if depth > _DEEPEST:
                    raise InputError(f"{place} is more than {_DEEPEST} catalogues deep: name one of those below it")
                yield from self.documents(_beside(place, str(link.get("href", ""))), depth + 1)


def _beside(place: _Place, href: str) -> _Place:
    """The file that a catalogue links to: one of its own disk, or of its own bucket."""
    if isinstance(place, Path):
        if "://" not in href:
            return place.parent / href
    elif (at := joined(place, href)).startswith(place[: place.index("/", len("az://")) + 1]):
        return at
    raise InputError(f"{place} links to {href}: a catalogue of files can only link to files beside it")


def _json(place: _Place, walk: _Walk) -> list[Any]:
    """The JSON document of a file, or one per line; the items of a GeoParquet file."""
    if PurePath(place).suffix.lower() in (".parquet", ".geoparquet"):
        return list(read_geoparquet(walk.here(place)))
    content = walk.read(place)
    try:
        return [loads(content)]
    except JSONError as whole:
        try:
            return [loads(line) for line in content.splitlines() if line.strip()]
        except JSONError:
            raise InputError(f"{place} is neither JSON nor NDJSON: {whole}") from None


def _unreadable(place: _Place, error: OSError) -> InputError:
    return InputError(
        f"cannot read the catalogue {place}: {(error.strerror or 'unreadable').lower()}; see imagery.url (an address begins "
        "with https://)"
    )
