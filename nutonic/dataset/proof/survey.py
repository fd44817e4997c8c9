"""One walk through the commits of a tree: what each says is held against the plan, and what all say is added up.

Each commit is read once, and what stays of it are a few bytes a place. What is wrong with it stays whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np

from nutonic.core.model import Json
from nutonic.dataset.commits import CAPTION, CommittedPlace, committed, entries_of
from nutonic.dataset.duplicates import Likenesses
from nutonic.dataset.index import NamedFiles, Spans
from nutonic.dataset.proof.findings import CommitFiles, Finding
from nutonic.dataset.proof.shapes import wrong_commit
from nutonic.errors import Corrupt
from nutonic.io.objects import unsealed
from nutonic.planning.layout import CommitName
from nutonic.planning.ownership import files_of, may_be_committed
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.planned import PlaceKey, PlaceTable


@dataclass(slots=True)
class Survey:
    """What a walk through the commits brought."""

    plan: PlanFile
    polished: bool
    """Whether the recipe wants polished captions."""
    spans: Spans = field(init=False)
    named: NamedFiles = field(default_factory=NamedFiles)
    likenesses: Likenesses = field(default_factory=Likenesses)
    tiles: int = 0
    recipes: set[str] = field(default_factory=set)
    """Digests of the recipes that the commits were made from."""
    unreadable: list[Finding] = field(default_factory=list)
    foreign: list[Finding] = field(default_factory=list)
    """Commits of another recipe or plan."""
    misplaced: list[Finding] = field(default_factory=list)
    """Places that are not as they were planned, or twice."""
    captions: list[Finding] = field(default_factory=list)
    """Commits whose captions are not polished, or should not be."""
    _names: list[CommitName] = field(default_factory=list)

    @classmethod
    def of(cls, plan: PlanFile, *, polished: bool) -> Survey:
        """Walk through the commits of a plan's tree."""
        survey = cls(plan, polished)
        survey.spans = Spans.of(survey._places())
        survey.misplaced += survey._twice()
        survey.misplaced.sort(key=_order)
        return survey

    def alike(self) -> list[Finding]:
        """A note if chips in different splits look alike: no fault of the tree, but one of a comparison of models.

        Asked for once: what it is made of is dropped then.
        """
        likenesses, self.likenesses = self.likenesses, Likenesses()
        text = likenesses.near_duplicates().in_words()
        return [] if text is None else [Finding(text, note=True)]

    @property
    def commits(self) -> CommitFiles:
        """The commits that count."""
        return CommitFiles(self.plan.store, self._names)

    def _places(self) -> Iterator[CommittedPlace]:
        for name, content in self._contents():
            self._names.append(name)
            self.recipes.add(content["recipe_digest"])
            self.named.note(files_of(content))
            self._hold(name, content)
            for entry in entries_of(name, content):
                self._hold_place(entry)
                self.tiles += entry["tiles"]
                self.likenesses.add(entry)
                yield entry

    def _contents(self) -> Iterator[tuple[CommitName, Json]]:
        """Name and content of every commit that counts; all others are looked at too."""
        store = self.plan.store
        done = committed(store)
        for name in done.all_names():
            if not store.is_file(name.path):
                continue
            try:
                data = store.get(name.path)
                content = unsealed(data, name.path)
            except Corrupt as error:
                self.unreadable.append(Finding(str(error), path=name.path))
                continue
            problem = _unlike(content, name, data)
            if problem is not None:
                self.unreadable.append(Finding(f"{name.path} {problem}", path=name.path))
            elif done.counts(name):
                yield name, content

    def _hold(self, name: CommitName, content: Json) -> None:
        """Hold a commit against the plan and its recipe."""
        path, recipe = name.path, content["recipe_digest"]
        if recipe != self.plan.header["recipe_digest"]:
            self.foreign.append(Finding(f"{path} was written for another recipe, {recipe[:12]}", path=path))
        elif content.get("plan") != self.plan.digest:
            other = str(content.get("plan"))[:12]
            self.foreign.append(Finding(f"{path} was written for another plan, {other}", path=path))
        captions = any(CAPTION in place["rows"]["tasks"] for place in content["places"])
        if self.polished and captions and not name.polished:
            text = f"the captions of commit {name.text} are not polished yet: build again"
            self.captions.append(Finding(text, to_build=True))
        elif name.polished and not self.polished:
            self.captions.append(Finding(f"{path} has polished captions, and the recipe wants none", path=path))

    def _hold_place(self, entry: CommittedPlace) -> None:
        """Hold a place against the plan: it is there once, as it was planned."""
        name, place = entry["poi_id"], PlaceKey(*entry.order, entry["split"])
        planned = self.plan.planned.by_id.get(name)
        if planned != place:
            text = f"the commits hold {name} as {_place_text(place)}, the plan {_place_text(planned)}"
            self.misplaced.append(Finding(text, place=entry))

    def _twice(self) -> Iterator[Finding]:
        """A finding for each place but the first of those that say that they are the same one."""
        ordinals, variants = self.spans.column("ordinal"), self.spans.column("variant")
        again = np.flatnonzero((ordinals[1:] == ordinals[:-1]) & (variants[1:] == variants[:-1]))
        orders = set(zip(ordinals[again].tolist(), variants[again].tolist(), strict=True))
        seen = set[tuple[int, int]]()
        entries = chain.from_iterable(entries_of(name, self.commits[name]) for name in self._names if orders)
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
