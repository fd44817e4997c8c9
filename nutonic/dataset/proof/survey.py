"""One walk through the commits of a tree: what each says is held against the plan, and what all say is added up.

Each commit is read once, and what stays of it are a few bytes a place. What is wrong with it stays whole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, chain, islice

import numpy as np

from nutonic.core.model import Json
from nutonic.dataset.commits import CAPTION, Committed, CommittedPlace, committed, entries_of, read_commit
from nutonic.dataset.duplicates import Likenesses
from nutonic.dataset.index import NamedFiles, Records, Spans
from nutonic.dataset.parts.each import Each, here
from nutonic.dataset.parts.sums import SomeCommits, parts_of
from nutonic.dataset.proof.findings import CommitFiles, Finding
from nutonic.dataset.proof.shapes import wrong_commit
from nutonic.errors import Corrupt
from nutonic.io.objects import Store, unsealed
from nutonic.planning.layout import CommitName
from nutonic.planning.ownership import files_of, may_be_committed
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.planned import PlaceKey, PlaceTable, short


@dataclass(frozen=True, slots=True)
class Wanted:
    """What each commit of a tree is held against."""

    recipe_digest: str
    plan_digest: str
    polished: bool
    """Whether the recipe wants polished captions."""


@dataclass(slots=True)
class Surveyed:
    """What some commits say."""

    names: list[CommitName] = field(default_factory=list)
    """Of those that can be read, and count."""
    counts: list[int] = field(default_factory=list)
    """Places of each of these."""
    records: Records = field(default_factory=Records.none)
    """Where the rows of their places lie."""
    ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    """Of their places, as hashes."""
    named: NamedFiles = field(default_factory=NamedFiles)
    likenesses: Likenesses = field(default_factory=Likenesses)
    tiles: int = 0
    recipes: set[str] = field(default_factory=set)
    """Digests of the recipes that they were made from."""
    unreadable: list[Finding] = field(default_factory=list)
    foreign: list[Finding] = field(default_factory=list)
    """Commits of another recipe or plan."""
    captions: list[Finding] = field(default_factory=list)
    """Commits whose captions are not polished, or should not be."""


@dataclass(frozen=True, slots=True)
class _Some:
    """A part of a tree's commits."""

    commits: SomeCommits
    counting: tuple[bool, ...]
    """Which of them count."""


def _parts(store: Store, done: Committed) -> Iterator[_Some]:
    return (_Some(some, tuple(map(done.takes_effect, some.names))) for some in parts_of(store, done.all_names()))


def surveyed(some: _Some, wanted: Wanted) -> Surveyed:
    """Read commits, and hold each against the plan and its recipe."""
    found, places = Surveyed(), list[CommittedPlace]()
    for name, content in _contents(some, found):
        found.names.append(name)
        found.recipes.add(content["recipe_digest"])
        found.named.note(files_of(content))
        _hold(found, name, content, wanted)
        entries = entries_of(name, content)
        found.counts.append(len(entries))
        places += entries
    for entry in places:
        found.tiles += entry["tiles"]
        found.likenesses.add(entry)
    found.records = Records.of(places)
    found.ids = np.array([short(entry["poi_id"]) for entry in places], np.uint64)
    return found


def _contents(some: _Some, found: Surveyed) -> Iterator[tuple[CommitName, Json]]:
    """Name and content of every commit that counts; all others are looked at too."""
    store = some.commits.store
    for name, counts in zip(some.commits.names, some.counting, strict=True):
        if not store.is_file(name.path):
            continue
        try:
            data = store.get(name.path)
            content = unsealed(data, name.path)
        except Corrupt as error:
            found.unreadable.append(Finding(str(error), path=name.path))
            continue
        problem = _unlike(content, name, data)
        if problem is not None:
            found.unreadable.append(Finding(f"{name.path} {problem}", path=name.path))
        elif counts:
            yield name, content


def _hold(found: Surveyed, name: CommitName, content: Json, wanted: Wanted) -> None:
    """Hold a commit against the plan and its recipe."""
    path, recipe = name.path, content["recipe_digest"]
    if recipe != wanted.recipe_digest:
        found.foreign.append(Finding(f"{path} was written for another recipe, {recipe[:12]}", path=path))
    elif content.get("plan") != wanted.plan_digest:
        other = str(content.get("plan"))[:12]
        found.foreign.append(Finding(f"{path} was written for another plan, {other}", path=path))
    captions = any(CAPTION in place["rows"]["tasks"] for place in content["places"])
    if wanted.polished and captions and not name.polished:
        text = f"the captions of commit {name.text} are not polished yet: build again"
        found.captions.append(Finding(text, to_build=True))
    elif name.polished and not wanted.polished:
        found.captions.append(Finding(f"{path} has polished captions, and the recipe wants none", path=path))


@dataclass(slots=True)
class Survey:
    """What a walk through the commits brought."""

    plan: PlanFile
    whole: Surveyed = field(default_factory=Surveyed)
    """What all commits say, but for records and ids."""
    spans: Spans = field(init=False)
    misplaced: list[Finding] = field(default_factory=list)
    """Places that are not as they were planned, or twice."""

    @classmethod
    def of(cls, plan: PlanFile, *, polished: bool, each: Each = here) -> Survey:
        """Walk through the commits of a plan's tree, part by part by whoever does `each`."""
        survey, done = cls(plan), committed(plan.store)
        wanted = Wanted(plan.header["recipe_digest"], plan.digest, polished)
        parts = each(partial(surveyed, wanted=wanted), _parts(plan.store, done))
        survey.spans = Spans.joined(map(survey._taken, parts))
        survey.misplaced += survey._twice()
        survey.misplaced.sort(key=_order)
        return survey

    def alike(self) -> list[Finding]:
        """A note if chips in different splits look alike: no fault of the tree, but one of a comparison of models.

        Asked for once: what it is made of is dropped then.
        """
        likenesses, self.whole.likenesses = self.whole.likenesses, Likenesses()
        text = likenesses.near_duplicates().in_words()
        return [] if text is None else [Finding(text, note=True)]

    @property
    def commits(self) -> CommitFiles:
        """The commits that count."""
        return CommitFiles(self.plan.store, self.whole.names)

    def _taken(self, some: Surveyed) -> Records:
        """Take what some commits say, in their order; their places are held against the plan: each is as it was planned."""
        whole = self.whole
        for name in ("names", "counts", "unreadable", "foreign", "captions"):
            getattr(whole, name).extend(getattr(some, name))
        whole.named.add(some.named)
        whole.likenesses.extend(some.likenesses)
        whole.tiles += some.tiles
        whole.recipes |= some.recipes
        table = some.records.table
        for at in self.plan.planned.by_id.unlike(some.ids, table["ordinal"], table["variant"], table["split"]).tolist():
            entry = self._entry(some, at)
            place = PlaceKey(*entry.order, entry["split"])
            planned = self.plan.planned.by_id.get(entry["poi_id"])
            text = f"the commits hold {entry['poi_id']} as {_place_text(place)}, the plan {_place_text(planned)}"
            self.misplaced.append(Finding(text, place=entry))
        return some.records

    def _entry(self, some: Surveyed, at: int) -> CommittedPlace:
        """A place of some commits by its position among all of theirs."""
        ends = list(accumulate(some.counts))
        number = bisect_right(ends, at)
        name = some.names[number]
        return entries_of(name, read_commit(self.plan.store, name))[at - (ends[number] - some.counts[number])]

    def _twice(self) -> Iterator[Finding]:
        """A finding for each place but the first of those that say that they are the same one."""
        ordinals, variants = self.spans.column("ordinal"), self.spans.column("variant")
        again = np.flatnonzero((ordinals[1:] == ordinals[:-1]) & (variants[1:] == variants[:-1]))
        orders = set(zip(ordinals[again].tolist(), variants[again].tolist(), strict=True))
        seen, names = set[tuple[int, int]](), self.whole.names
        store = self.plan.store
        entries = chain.from_iterable(entries_of(name, read_commit(store, name)) for name in names if orders)
        for entry in (entry for entry in entries if entry.order in orders):
            place = PlaceKey(*entry.order, entry["split"])
            if entry.order in seen and self.plan.planned.by_id.get(entry["poi_id"]) == place:
                yield Finding(f"{entry['poi_id']} is committed twice", place=entry)
            seen.add(entry.order)


@dataclass(frozen=True, slots=True)
class Missing:
    """Places that are wanted and not committed."""

    count: int
    first: str | None
    """The id of the first of them, in the order of the plan."""


def missing_of(planned: PlaceTable, done: Spans, limit: int | None) -> Missing:
    """The places within a limit that are not committed."""
    ordinals = planned.ordinals
    wanted = np.ones(len(ordinals), bool)
    if limit is not None:
        different = np.unique(ordinals)
        wanted = ordinals <= (different[limit - 1] if limit <= len(different) else ordinals.max(initial=0))
    have = _numbers(done.column("ordinal"), done.column("variant"))  # ascending, as spans are
    asked = _numbers(ordinals, planned.variants)
    at = np.minimum(np.searchsorted(have, asked), max(0, len(have) - 1))
    missing = wanted & (have[at] != asked) if len(have) else wanted
    count = int(np.count_nonzero(missing))
    return Missing(count, next(islice(planned, int(np.argmax(missing)), None)) if count else None)


def _numbers(ordinals: np.ndarray, variants: np.ndarray) -> np.ndarray:
    """Each place as one number."""
    return np.asarray(ordinals * 2**20 + variants)


def _order(finding: Finding) -> tuple[int, int]:
    assert finding.place is not None, "it is about a place"
    return finding.place.order


def _place_text(place: PlaceKey | None) -> str:
    return "no place" if place is None else f"row {place.ordinal}, variant {place.variant}, in {place.split}"


def _unlike(content: Json, name: CommitName, data: bytes) -> str | None:
    """Why content cannot be that of a commit of this name, or None."""
    if content.get("commit") != name.text:
        return f"holds commit {str(content.get('commit'))[:40]}: it was copied or renamed"
    problem = wrong_commit(data)
    if problem is not None:
        return f"is no commit: {problem}"
    strange = next((path for path in files_of(content) if not may_be_committed(path)), None)
    if strange is not None:
        return f"names {strange[:200]}, where nutonic writes nothing of a place"
    rows = [name.part] if any(place["rows"]["length"] for place in content["places"]) else []
    return None if list(content["part"]) == rows else "names no rows of its own"
