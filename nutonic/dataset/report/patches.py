"""What there is to tell of a tree of patches: from its commits and captions; pictures are read of a sample alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nutonic.chips.scene.description import SceneDescription
from nutonic.core.model import SPLITS, Json, Reject
from nutonic.core.units import counted
from nutonic.dataset.commits import CommittedPlace, committed, entries_of, read_commits
from nutonic.dataset.report import tree
from nutonic.dataset.report.drawing import SEED, Drawn, Pictures
from nutonic.dataset.report.values import (
    Cell,
    Gallery,
    Histogram,
    Limits,
    Report,
    Sample,
    Section,
    Table,
    count,
    number,
    percent,
    text,
)
from nutonic.dataset.shards.captions import read_captions
from nutonic.dataset.shards.records import PatchRecord, records_of
from nutonic.dataset.shards.statistics import CountedPatch, Lengths, Statistics
from nutonic.dataset.shards.statistics import count as count_captions
from nutonic.inert import inert, inert_lines
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.yaml import parse_recipe_text
from nutonic.rows.annotation.values import Annotation, PatchCaptions

_TASKS = {1: "1: area", 2: "2: line", 3: "3: revision"}
_BIN_WORDS = 5
#: Of a thing that the map has in pieces so many others are named; a shard names all.
_MOST_PIECES = 3


class _Patch(NamedTuple):
    """A committed patch, with what captioning made of it."""

    entry: CommittedPlace
    captions: PatchCaptions


@dataclass(slots=True)
class _Found:
    """What one pass over commits and captions finds."""

    cards: Drawn[_Patch]
    rows: Drawn[tuple[_Patch, int]]
    left_out: tree.LeftOut = field(default_factory=tree.LeftOut)
    done: int = 0
    patches: int = 0
    waiting: int = 0
    """Patches whose captions are not there yet."""
    bare: int = 0
    """Patches of whose captions none was let through."""

    def add(self, entry: CommittedPlace, captions: PatchCaptions | None) -> Iterator[CountedPatch]:
        """Take a committed patch; gives it to be counted once it has captions."""
        self.done += 1
        for reject in entry["rejects"]:
            self.left_out.add(Reject(poi_id=entry["poi_id"], **reject))
        if not entry["rows"]["length"]:
            return
        self.patches += 1
        if captions is None:
            self.waiting += 1
            return
        patch = _Patch(entry, captions)
        self.bare += not captions.annotations
        if captions.annotations:
            self.cards.add(captions.patch_id, patch)
        for position in range(len(captions.annotations)):
            self.rows.add(f"{captions.patch_id} {position}", (patch, position))
        yield CountedPatch(split=entry["split"], longitude=0.0, latitude=0.0, captions=captions, tags=())


def report_of_patches(store: Store, plan: PlanFile, limits: Limits) -> Report:
    """Gather the report of a tree of patches.

    Raises
    ------
    Corrupt
        If a commit, its patches or their captions are not what was written.
    """
    recipe = parse_recipe_text(plan.recipe)
    assert isinstance(recipe, PatchRecipe), "the plan says that it is of patches"
    found, done, summary = _Found(Drawn(limits.cards), Drawn(limits.rows)), committed(store), tree.summary_of(store)
    for reject in plan.rejects:
        found.left_out.add(reject, by_plan=True)
    patches = (
        patch
        for name, content in read_commits(store, done)
        for patch in _of_commit(found, entries_of(name, content), _captions(store, name))
    )
    statistics = count_captions(patches, recipe.captions.annotators)
    complete, said = tree.state(plan, found.done, summary)
    if found.waiting:
        complete, said = False, f"{said} {counted(found.waiting, 'patch waits', 'patches wait')} for captions."
    pictures = Pictures(limits.picture_bytes)
    read = _Reader(store)
    sample = [_judged(read, patch, position, pictures) for patch, position in found.rows.values()]
    cards = list(_cards(read, found.cards.values(), pictures))
    failed, unreadable = tree.failures(summary), tree.unreadable(pictures.unreadable, "patches")
    versions = [
        ("images", number(len(plan.scenes))),
        ("map", str((plan.header.get("osm") or {}).get("date") or "of no told day")),
    ]
    return Report(
        name=inert(recipe.name),
        kind="patches",
        state=said,
        complete=complete,
        figures=_figures(found, statistics, plan),
        places=tree.dots(plan, done),
        sections=(
            *([failed] if failed else []),
            *([unreadable] if unreadable else []),
            _tasks(statistics),
            _lengths(statistics),
            _tags(cards, found.cards.of),
            _refused(statistics),
            found.left_out.section(of_patches=True),
            tree.provenance(plan, summary, versions),
        ),
        gallery=Gallery(
            cards=tuple(cards),
            of=found.cards.of,
            filters=(("split", "split"), ("labels", "tag"), ("tasks", "task"), ("annotators", "annotator")),
            noun=("patch", "patches"),
        ),
        sample=Sample(rows=tuple(sample), of=found.rows.of, seed=SEED),
        pictures=pictures.urls,
        recipe=plan.recipe,
        digest=str(plan.header["recipe_digest"]),
    )


def _captions(store: Store, name: CommitName) -> dict[str, PatchCaptions]:
    """Captions of a commit's patches by id; none where they are not there yet."""
    try:
        return {patch.patch_id: patch for patch in read_captions(store, name).patches}
    except FileNotFoundError:
        return {}


def _of_commit(
    found: _Found, entries: list[CommittedPlace], captions: dict[str, PatchCaptions]
) -> Iterator[CountedPatch]:
    for entry in entries:
        yield from found.add(entry, captions.get(entry["poi_id"]))


class _Reader:
    """Committed patches with their pictures, a few of them kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, PatchRecord] = {}

    def of(self, patch: _Patch) -> PatchRecord:
        name = patch.captions.patch_id
        if name not in self._kept:
            if len(self._kept) >= 64:
                self._kept.clear()
            (self._kept[name],) = records_of(self._store, [patch.entry])
        return self._kept[name]


def _cards(read: _Reader, patches: list[_Patch], pictures: Pictures) -> Iterator[Json]:
    """Cards of as many patches as fit, in the order of the dataset."""
    fit = [patch for patch in patches if _pictured(read, patch, pictures)]
    for patch in sorted(fit, key=lambda each: each.entry.order):
        yield patch_card(read.of(patch), patch.captions)


def _pictured(read: _Reader, patch: _Patch, pictures: Pictures) -> bool:
    return pictures.take(patch.captions.patch_id, lambda: read.of(patch).picture)


def patch_card(record: PatchRecord, captions: PatchCaptions) -> Json:
    """A patch as the page shows it."""
    said, image = captions.annotations, record.image
    spoken = {annotation.task.element for annotation in said}
    tags = sorted(
        {f"{key}={value}" for each in record.described.elements if each.element in spoken for key, value in each.tags}
    )
    return {
        "id": inert(image.patch_id),
        "picture": image.patch_id,
        "split": image.split,
        "caption": inert_lines(said[0].text) if said else "",
        "labels": [inert(tag) for tag in tags],
        "shares": [[inert(tag), None, None] for tag in tags],
        "boxes": [],
        "facts": [
            ["image", inert(image.image_name)],
            ["date", inert(image.datetime or "not told")[:10]],
            ["side", f"{record.described.side_m:.1f} m"],
            ["on the map", counted(len(record.described.elements), "element")],
        ],
        "rejects": sorted({f"{each.annotator}: {inert(each.reason)}" for each in captions.rejections}),
        "tasks": sorted({_TASKS[annotation.task.number] for annotation in said}),
        "annotators": sorted({inert(annotation.annotator) for annotation in said}),
        "rows": [_row(image.patch_id, at, annotation, record.described) for at, annotation in enumerate(said)],
    }


def _row(patch: str, position: int, annotation: Annotation, described: SceneDescription | None) -> Json:
    """A caption as the page shows it, of which elements of the map it is; templates are not asked anything."""
    return {
        "id": inert(f"{patch} caption {position}"),
        "task": _TASKS[annotation.task.number],
        "prompt": inert(f"Of {_elements(annotation.task.element, described)}, by {annotation.annotator}"),
        "answer": inert_lines(annotation.text),
        "boxes": [],
    }


def _elements(key: str, described: SceneDescription | None) -> str:
    """A thing by its key, and the other elements that it is, as far as the description is at hand."""
    things = () if described is None else described.elements
    others = [part for each in things if each.element == key for part, _ in each.traced if part != key]
    more = f" with {', '.join(others[:_MOST_PIECES])}" if others else ""
    return (
        f"{key}{more} and {counted(len(others) - _MOST_PIECES, 'other')}" if len(others) > _MOST_PIECES else key + more
    )


def _judged(read: _Reader, patch: _Patch, position: int, pictures: Pictures) -> Json:
    name, shown = patch.captions.patch_id, _pictured(read, patch, pictures)
    described = read.of(patch).described if shown else None
    row = _row(name, position, patch.captions.annotations[position], described)
    return {**row, "split": patch.entry["split"], "pictures": [name] if shown else []}


def _figures(found: _Found, statistics: Statistics, plan: PlanFile) -> tuple[tuple[str, str], ...]:
    return (
        ("patches", f"{number(found.patches)} of {number(plan.header['places'])}"),
        ("captions", number(statistics.total)),
        ("images", number(len(plan.scenes))),
        ("without a caption", number(found.bare)),
        ("left out", number(sum(found.left_out.counts.values()))),
    )


def _tasks(statistics: Statistics) -> Section:
    per_split, patches = statistics.by_split_and_task(), dict(statistics.patches)
    splits = tuple(
        (text(split), count(patches.get(split, 0)), *(count(per_split.get((split, task), 0)) for task in _TASKS))
        for split in SPLITS
    )
    crossed = tuple(
        (text(_TASKS[task]), text(inert(name)), count(each, statistics.share(each)), percent(statistics.share(each)))
        for (task, name), each in statistics.by_task_and_annotator().items()
    )
    return Section(
        id="tasks",
        title="Splits, tasks and annotators",
        blocks=(
            Table(
                caption="Patches with captions, and captions by task",
                heads=("split", "patches", *_TASKS.values()),
                rows=splits,
            ),
            Table(
                caption="Captions by task and annotator",
                heads=("task", "annotator", "captions", "share"),
                rows=crossed,
                empty="No captions yet.",
            ),
        ),
    )


def _lengths(statistics: Statistics) -> Section:
    blocks = tuple(_histogram(task, lengths) for task, lengths in statistics.lengths)
    return Section(id="lengths", title="Words of captions", blocks=blocks)


def _histogram(task: int, lengths: Lengths) -> Histogram:
    longest = max((words for words, _ in lengths.counts), default=0)
    counts = [0] * (longest // _BIN_WORDS + 1)
    for words, found in lengths.counts:
        counts[words // _BIN_WORDS] += found
    return Histogram(
        caption=f"Captions of task {_TASKS[task]} by their words",
        low=0,
        high=len(counts) * _BIN_WORDS,
        counts=tuple(counts),
        percent=False,
    )


def _tags(cards: list[Json], of: int) -> Section:
    """Which tags the elements have that captions speak of; of the patches of the gallery."""
    found = Counter(tag for card in cards for tag in card["labels"])
    ranked = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:40]
    most = max(found.values(), default=1)
    rows: tuple[tuple[Cell, ...], ...] = tuple((text(tag), count(each, each / most)) for tag, each in ranked)
    sampled = f", drawn at random from {number(of)}" if len(cards) < of else ""
    table = Table(
        caption=f"The most frequent tags of what captions speak of, in {counted(len(cards), 'patch', 'patches')}{sampled}",
        heads=("tag of OpenStreetMap", "patches"),
        rows=rows,
    )
    return Section(id="tags", title="Tags", blocks=(table,))


def _refused(statistics: Statistics) -> Section:
    """Answers that the gate did not let through."""
    rows = tuple(
        (
            text(inert(reason)),
            count(refused.count),
            text(" · ".join(inert(f"{each.annotator}, {each.patch_id}: {each.detail}") for each in refused.examples)),
            text(inert(refused.examples[0].text) if refused.examples else ""),
        )
        for reason, refused in statistics.rejections
    )
    table = Table(
        caption="Answers of models that were not let through, by reason",
        heads=("reason", "how many", "such as", "what was answered"),
        rows=rows,
        empty="All answers were let through.",
    )
    return Section(id="refused", title="Answers not let through", blocks=(table,))
