"""What there is to tell of a tree of chips, gathered from its commits; of large trees much is told of a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nutonic.core.classes import ClassTable
from nutonic.core.model import SPLITS, Json, Reject
from nutonic.core.units import counted
from nutonic.dataset.commits import CommittedPlace, committed, entries_of, read_commits
from nutonic.dataset.index import Spans, Totals
from nutonic.dataset.parts.guesses import Guesses, guesses
from nutonic.dataset.reasons import account_of, tiles_in
from nutonic.dataset.report import cards, tree
from nutonic.dataset.report.drawing import SEED, Drawn, Pictures
from nutonic.dataset.report.values import (
    Cell,
    Gallery,
    Histogram,
    Limits,
    Note,
    Report,
    Sample,
    Section,
    Table,
    count,
    number,
    percent,
    text,
)
from nutonic.inert import inert
from nutonic.io.objects import Store
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.yaml import of_places, parse_recipe_text

_BINS = 20


@dataclass(slots=True)
class _Found:
    """What one pass over the commits finds."""

    totals: Totals
    chips: Drawn[tuple[CommittedPlace, str]]
    sidecars: Drawn[tuple[CommittedPlace, str]]
    rows: Drawn[tuple[CommittedPlace, int]]
    worded: Drawn[CommittedPlace]
    classes: dict[str, Counter[int]] = field(default_factory=lambda: {split: Counter() for split in SPLITS})
    left_out: tree.LeftOut = field(default_factory=tree.LeftOut)
    places: int = 0

    @classmethod
    def within(cls, limits: Limits, chip_pixels: int) -> _Found:
        """Nothing yet, and no more than these limits of what is drawn."""
        return cls(
            totals=Totals(chip_pixels),
            chips=Drawn(limits.cards),
            sidecars=Drawn(limits.sidecars),
            rows=Drawn(limits.rows),
            worded=Drawn(limits.places),
        )

    def add(self, entry: CommittedPlace) -> None:
        self.places += 1
        name = entry["poi_id"]
        self.classes[entry["split"]].update({int(key): pixels for key, pixels in entry["classes"].items()})
        for reject in entry["rejects"]:
            self.left_out.add(Reject(poi_id=name, **reject))
        for path in entry["files"]:
            if path.startswith("images/"):
                self.chips.add(path, (entry, path))
                self.sidecars.add(path, (entry, path))
        for position in range(entry.rows):
            self.rows.add(f"{name} {position}", (entry, position))
        if entry.rows:
            self.worded.add(name, entry)

    def adding(self, entries: Iterable[CommittedPlace]) -> Iterator[CommittedPlace]:
        """The same entries, each added as it passes."""
        for entry in entries:
            self.add(entry)
            yield entry


def report_of_places(store: Store, plan: PlanFile, limits: Limits) -> Report:
    """Gather the report of a tree of chips.

    Raises
    ------
    Corrupt
        If a commit or its rows are not what was written.
    """
    recipe = of_places(parse_recipe_text(plan.recipe))
    table, done, summary = recipe.labels.table, committed(store), tree.summary_of(store)
    found = _Found.within(limits, recipe.tiles.output_size**2)
    for reject in plan.rejects:
        found.left_out.add(reject, by_plan=True)
    commits = (entry for name, content in read_commits(store, done) for entry in entries_of(name, content))
    spans = Spans.of(found.adding(found.totals.counting(commits)))
    complete, said = tree.state(plan, found.places, summary)
    pictures, rows = Pictures(limits.picture_bytes), cards.RowsOf(store)
    sample = cards.judged(store, found.rows.values(), rows, pictures)
    shown = cards.gallery(store, found.chips.values(), rows, pictures, table)
    told = cards.sidecars(store, [image for _, image in found.sidecars.values()])
    measured = [known for known in told.values() if known is not None]
    pictures.unreadable.update(path for path, known in told.items() if known is None)
    failed, unreadable = tree.failures(summary), tree.unreadable(pictures.unreadable, "files of chips")
    sections = (
        *([failed] if failed else []),
        *([unreadable] if unreadable else []),
        _balance(found, table),
        _tasks(found.totals),
        *_guessed(guesses(store, spans, recipe.rows, table)),
        _labelled(found.totals),
        _quality(measured, found.sidecars.of),
        _wordings(found, rows, table),
        _duplicates(found.totals),
        found.left_out.section([_account(found, len(recipe.rows.augment), plan)]),
        tree.provenance(plan, summary, [("scenes", number(len(found.totals.scenes)))]),
    )
    return Report(
        name=inert(recipe.name),
        kind="chips",
        state=said,
        complete=complete,
        figures=_figures(found, plan),
        places=tree.dots(plan, done),
        sections=sections,
        gallery=Gallery(
            cards=tuple(shown),
            of=found.chips.of,
            filters=(("split", "split"), ("labels", "class"), ("tasks", "task"), ("rejects", "left out beside it")),
        ),
        sample=Sample(rows=tuple(sample), of=found.rows.of, seed=SEED),
        pictures=pictures.urls,
        recipe=plan.recipe,
        digest=str(plan.header["recipe_digest"]),
    )


def _account(found: _Found, views: int, plan: PlanFile) -> Note:
    """What became of each tile of each place that is done."""
    per_place = _tiles_per_place(plan)
    kept, left = found.totals.tiles // (1 + views), tiles_in(found.left_out.kinds, per_place)
    return Note(text=account_of(per_place, kept, left))


def _tiles_per_place(plan: PlanFile) -> int:
    return int(plan.header["tiles"]) // max(1, int(plan.header["places"]))


def _figures(found: _Found, plan: PlanFile) -> tuple[tuple[str, str], ...]:
    totals = found.totals
    return (
        ("places", f"{number(sum(totals.places.values()))} of {number(plan.header['places'])}"),
        ("chips", number(totals.tiles)),
        ("rows", number(sum(totals.rows.values()))),
        ("scenes", number(len(totals.scenes))),
        ("classes", number(sum(1 for found_ in totals.classes.values() if found_))),
        ("tiles left out", number(tiles_in(found.left_out.kinds, _tiles_per_place(plan)))),
    )


def _balance(found: _Found, table: ClassTable) -> Section:
    """Shares of classes by split: of the labelled pixels of original chips."""
    sums = {split: sum(found.classes[split].values()) for split in SPLITS}
    together = sum(found.classes.values(), Counter[int]())
    rows = tuple(
        (
            Cell(text=inert(table.labels[class_id]), colour=table.color(class_id)),
            *(percent(found.classes[split][class_id] / sums[split] if sums[split] else None) for split in SPLITS),
            percent(together[class_id] / max(1, sum(sums.values()))),
        )
        for class_id in sorted(table.labels, key=lambda each: (-together[each], each))
    )
    places, totals = found.totals.places, found.totals
    splits = tuple(
        (text(split), count(places[split]), count(totals.chips[split]), count(totals.rows[split])) for split in SPLITS
    )
    missing = [table.labels[each] for each in table.labels if not together[each]]
    absent = (Note(text=f"No pixel of {', '.join(map(inert, missing))}."),) if missing and together else ()
    return Section(
        id="balance",
        title="Splits and classes",
        blocks=(
            Table(caption="Places, chips and rows by split", heads=("split", "places", "chips", "rows"), rows=splits),
            Table(
                caption="Classes by split, as shares of the labelled pixels",
                heads=("class", *SPLITS, "all"),
                rows=rows,
            ),
            *absent,
        ),
    )


def _tasks(totals: Totals) -> Section:
    most = max(totals.tasks.values(), default=1)
    rows = tuple(
        (
            text(task),
            *(count(totals.split_tasks[split, task]) for split in SPLITS),
            count(found, found / most),
        )
        for task, found in sorted(totals.tasks.items(), key=lambda entry: (-entry[1], entry[0]))
    )
    table = Table(caption="Rows by task and split", heads=("task", *SPLITS, "all"), rows=rows, empty="No rows yet.")
    return Section(id="tasks", title="Tasks", blocks=(table,))


def _guessed(found: Guesses) -> Iterator[Section]:
    """How often each kind of question is answered right by somebody who sees no picture; nothing where none is asked."""
    if not found.kinds:
        return
    rows = tuple((text(each.kind), count(each.rows), percent(each.share), percent(each.chance)) for each in found.kinds)
    caption = "Questions with short answers, and how many are guessed"
    table = Table(caption=caption, heads=("question", "rows", "guessed right", "by chance"), rows=rows)
    warnings = (Note(text=inert(each), warns=True) for each in found.warnings)
    yield Section(
        id="guessable", title="Guessable without the picture", blocks=(*warnings, Note(text=found.told), table)
    )


def _labelled(totals: Totals) -> Section:
    """How far the masks are labelled; every original chip counts."""
    counts = [0] * _BINS
    for thousandths, found in totals.labelled.items():
        counts[min(_BINS - 1, thousandths * _BINS // 1000)] += found
    caption = "Chips by the share of their mask that has a class"
    return Section(
        id="labels", title="Label coverage", blocks=(Histogram(caption=caption, low=0, high=1, counts=tuple(counts)),)
    )


def _quality(sidecars: list[Json], of: int) -> Section:
    """How well chips were seen."""
    told = Note(text=f"Of {counted(len(sidecars), 'chip')}, drawn at random from {number(of)}.")
    blocks: list[Histogram | Note] = [told] if len(sidecars) < of else []
    blocks.append(
        _histogram("Chips by the share of their pixels with imagery", [each["valid_fraction"] for each in sidecars])
    )
    seen = [each["quality"] for each in sidecars if each.get("quality")]
    for name in ("cloud", "shadow", "snow") if seen else ():
        blocks.append(_histogram(f"Chips by their share of {name}", [each[name] for each in seen]))
    if not seen:
        blocks.append(Note(text="No scene says where its clouds are: of each the catalogue's figure is all there is."))
    clouds = [each["imagery"]["cloud_cover"] for each in sidecars]
    shares = [cover / 100 for cover in clouds if cover is not None]
    blocks.append(_histogram("Chips by the cloud cover of their whole scene", shares))
    return Section(id="quality", title="Clouds and valid pixels", blocks=tuple(blocks))


def _histogram(caption: str, shares: list[float]) -> Histogram:
    counts = [0] * _BINS
    for share in shares:
        counts[max(0, min(_BINS - 1, int(share * _BINS)))] += 1
    return Histogram(caption=caption, low=0, high=1, counts=tuple(counts))


def _wordings(found: _Found, rows: cards.RowsOf, table: ClassTable) -> Section:
    """In how many ways things are asked, once classes and numbers are taken out."""
    entries = found.worded.values()
    counts = cards.wordings(rows.all_of(entries), table)
    told = tuple(
        (text(task), count(sum(ways.values())), count(len(ways)), text(" · ".join(_most(ways))))
        for task, ways in sorted(counts.items())
    )
    heads = ("task", "rows", "wordings", "most frequent")
    caption = "Prompts, with … for classes and # for numbers"
    sampled = Note(
        text=f"Of the rows of {counted(len(entries), 'place')}, drawn at random from {number(found.worded.of)}."
    )
    blocks = (sampled,) if len(entries) < found.worded.of else ()
    return Section(id="wordings", title="Wordings", blocks=(*blocks, Table(caption=caption, heads=heads, rows=told)))


def _most(ways: Counter[str]) -> Iterator[str]:
    for way, found in sorted(ways.items(), key=lambda entry: (-entry[1], entry[0]))[:2]:
        yield inert(f"{way} ({found:,})")


def _duplicates(totals: Totals) -> Section:
    alike = totals.likenesses.near_duplicates()
    words = alike.in_words() or "No two chips in different splits look alike."
    plain = f" {counted(alike.plain, 'was', 'were')} too plain to compare." if alike.plain else ""
    note = Note(text=inert(f"{words[0].upper()}{words[1:]}")[:600], warns=bool(alike.pairs))
    compared = Note(text=f"{counted(alike.chips, 'chip was', 'chips were')} compared by difference hashes.{plain}")
    rows = tuple(
        (text(inert(one)), text(split), text(inert(other)), text(other_split))
        for (one, split), (other, other_split) in alike.examples
    )
    table = Table(caption="Pairs that look alike", heads=("chip", "split", "chip", "split"), rows=rows)
    return Section(id="duplicates", title="Near duplicates", blocks=(note, compared, *((table,) if rows else ())))
