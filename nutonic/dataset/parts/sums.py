"""What commits say together: each part of them is added up by itself, and the sums are put together in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from nutonic.dataset.commits import entries_of, read_commit
from nutonic.dataset.index import NamedFiles, PartDigests, Records, Spans, Totals
from nutonic.dataset.parts.each import Each
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.ownership import files_of

#: Commits of a part, of some two thousand places.
_COMMITS = 64


@dataclass(frozen=True, slots=True)
class SomeCommits:
    """A part of a tree's commits."""

    store: Store
    names: tuple[CommitName, ...]


@dataclass(slots=True)
class Sums:
    """What some commits say together."""

    totals: Totals
    records: Records
    """Where their rows lie."""
    named: NamedFiles = field(default_factory=NamedFiles)
    digests: PartDigests = field(default_factory=PartDigests)


@dataclass(frozen=True, slots=True)
class AddedUp:
    """What all commits say together."""

    totals: Totals
    spans: Spans
    named: NamedFiles
    digests: bytes
    """The SHA-256 of each part that the spans name, 32 bytes each."""


def parts_of(store: Store, names: Iterable[CommitName]) -> Iterator[SomeCommits]:
    """Commits in parts, in their order."""
    rest = iter(names)
    while some := tuple(islice(rest, _COMMITS)):
        yield SomeCommits(store, some)


def added_up(store: Store, names: Iterable[CommitName], chip_pixels: int, each: Each) -> AddedUp:
    """What commits say together, by whoever reads them.

    Raises
    ------
    Corrupt
        Where one is not what was written.
    """
    totals, named, digests = Totals(chip_pixels), NamedFiles(), PartDigests()

    def records() -> Iterator[Records]:
        for sums in each(partial(sums_of, chip_pixels=chip_pixels), parts_of(store, names)):
            totals.add(sums.totals)
            named.add(sums.named)
            digests.add(sums.digests)
            yield sums.records

    spans = Spans.joined(records())
    return AddedUp(totals, spans, named, digests.of(spans))


def sums_of(some: SomeCommits, chip_pixels: int) -> Sums:
    """Read commits and add up what they say."""
    sums, places = Sums(Totals(chip_pixels), Records.none()), []
    for name in some.names:
        content = read_commit(some.store, name)
        sums.digests.note(content)
        sums.named.note(files_of(content))
        sums.named.note({name.path: (0, "")})
        places += entries_of(name, content)
    sums.records = Records.of(sums.totals.counting(places))
    return sums
