"""Where elements of a map come from: what a build asks, whoever answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from nutonic.core.model import Element, RemotePin
from nutonic.errors import InputError, SourceError
from nutonic.io.access import identity_of
from nutonic.io.buckets.fetched import Fetched, fetched, is_fetched, offered
from nutonic.io.objects import Store
from nutonic.recipe.osm import Osm
from nutonic.sources.osm.index import elements_in, info_of, reading
from nutonic.sources.osm.overpass import Overpass
from nutonic.sources.osm.tags import ATTRIBUTION, Tags
from nutonic.sources.source import Account, Needs

Bounds = tuple[float, float, float, float]


@runtime_checkable
class Features(Protocol):
    """Elements of a map, by place. A frozen value that pickles; its constructor does no I/O.

    Laws:

    - an element is over a box if its shape touches it, borders included, and it comes whole, not cut;
    - what is over a box does not depend on the boxes that are asked for with it (but see a server's limits);
    - elements come by type and id, each once, and the same ground comes once.
    """

    @property
    def date(self) -> str | None:
        """The day of the map, ISO 8601; None where that is not known."""
        ...

    @property
    def attribution(self) -> str:
        """What must be said of it."""
        ...

    @property
    def account(self) -> Account | None:
        """The service that is asked; None for files."""
        ...

    def over(self, bounds: Sequence[Bounds]) -> list[tuple[Element, ...]]:
        """The elements over each box: west, south, east and north in degrees; west is above east across 180°."""
        ...

    def needs(self) -> Needs:
        """What every process must have that asks."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """The elements of an extract, of which an index was made: :func:`nutonic.sources.osm.index.build_index`."""

    index: Path

    attribution = ATTRIBUTION

    @property
    def date(self) -> str | None:
        """The day that the extract told. It is read from the index."""
        return info_of(self.index).date

    @property
    def account(self) -> Account | None:
        """Nobody is asked."""
        return None

    def over(self, bounds: Sequence[Bounds]) -> list[tuple[Element, ...]]:
        """The elements over each box.

        Raises
        ------
        InputError
            If the index is not there, or is damaged.
        """
        with reading(self.index) as connection:
            return [elements_in(connection, box) for box in bounds]

    def needs(self) -> Needs:
        """The index; osmium was needed to make it, and is not to read it."""
        return Needs(files=(str(self.index.absolute()),))


#: No extract is larger, in bytes: that of the whole planet has 90 GB.
_LARGEST = 2**37


def extract_of(osm: Osm) -> Path:
    """The extract that a recipe names, on this disk: one at an address is fetched, once in a session, which removes it.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    there = _fetched(osm)
    return Path(str(osm.path)) if there is None else there.path


def extract_pins(osm: Osm) -> dict[str, RemotePin]:
    """What an extract at an address was when it was fetched, by its address; nothing of others."""
    there = _fetched(osm)
    return {} if there is None else {str(osm.path): there.pin}


def _fetched(osm: Osm) -> Fetched | None:
    """The extract at an address; None of one on this disk, or where there is none."""
    path = str(osm.path)
    if not is_fetched(path):
        if "://" in path:
            raise InputError(f"osm.path is {path}: name a local file, or one of {offered()} and a path")
        return None
    try:
        return fetched(path, identity_of(osm), _LARGEST)
    except SourceError as error:
        raise InputError(f"cannot read the extract: {error}; see osm.path") from None


def features_of(
    osm: Osm, *, drops: Callable[[Tags], bool], index: Path | None = None, answers: Store | None = None
) -> Features:
    """The elements that a recipe names.

    Parameters
    ----------
    osm
        The recipe's part.
    drops
        Whether an element with these tags is none; of an extract its index knows already.
    index
        Of an extract: where its index is, or will be.
    answers
        Of a server: where its answers are kept; None for nowhere.
    """
    if osm.source == "pbf":
        if index is None:
            raise InputError("an extract of OpenStreetMap is read by its index: name where that is")
        return Extract(index=index)
    return Overpass(
        url=str(osm.url), drops=drops, date=osm.date, requests_per_minute=osm.requests_per_minute, answers=answers
    )
