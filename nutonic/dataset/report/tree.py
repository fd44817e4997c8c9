"""What reports of trees of either kind have in common: the plan's places, what was left out, versions, the last run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nutonic.core.model import SPLITS, Json, Reject
from nutonic.core.units import IS, counted_of
from nutonic.dataset.commits import Committed
from nutonic.dataset.reasons import BY_PLAN, CAPTIONS, WHAT_TO_DO, kind_of, of_what
from nutonic.dataset.report.values import Block, Cell, Dots, Note, Section, Table, count, number, text
from nutonic.errors import Corrupt
from nutonic.inert import inert
from nutonic.io.objects import Store, unsealed
from nutonic.planning.layout import SUMMARY
from nutonic.planning.plan_file import PlanFile

#: So many examples of each reason are shown, so many failures, and so many files that cannot be read.
_EXAMPLES, _FAILURES, _UNREADABLE = 3, 20, 5


@dataclass(slots=True)
class LeftOut:
    """What was left out, by reason, with the first examples in the order of the dataset."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Name of the place or the tile, and what was found."""
    kinds: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """The counts apart, by what was left out."""

    def add(self, reject: Reject, *, by_plan: bool = False) -> None:
        """Count a place or a tile."""
        self.counts[reject.reason] += 1
        self.kinds[BY_PLAN if by_plan else kind_of(reject.reason, reject.tile_id)][reject.reason] += 1
        shown = self.examples[reject.reason]
        if len(shown) < _EXAMPLES:
            shown.append((f"{reject.tile_id or reject.poi_id}{reject.where}", reject.detail))

    def section(self, also: Sequence[Block] = (), *, of_patches: bool = False) -> Section:
        """A table of all reasons, which says of what each count is; a patch is a place and a tile in one."""
        ranked = sorted(self.counts.items(), key=lambda entry: (-entry[1], entry[0]))
        most = max(self.counts.values(), default=1)
        rows = tuple(
            (
                text(inert(reason)),
                count(found, found / most),
                text(" · ".join(inert(f"{name}: {detail}"[:300]) for name, detail in self.examples[reason])),
                text(WHAT_TO_DO.get(reason, "")),
                *(() if of_patches else (text(of_what(self.kinds, reason)),)),
            )
            for reason, found in ranked
        )
        table = Table(
            caption="Places and tiles that are left out for good, by reason",
            heads=("reason", "how many", "such as", "what to do", *(() if of_patches else ("of what",))),
            rows=rows,
            empty="Nothing was left out.",
        )
        return Section(id="left-out", title="Left out", blocks=(table, *also))


def summary_of(store: Store) -> Json:
    """What the last build says of itself; nothing where none has finished, or where it cannot be read."""
    try:
        return unsealed(store.get(SUMMARY), SUMMARY)
    except (FileNotFoundError, Corrupt):
        return {}


def dots(plan: PlanFile, done: Committed) -> Mapping[str, Dots]:
    """Where the plan's places lie: by split, and apart those that no commit names. Every batch of the plan is read."""
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in (*SPLITS, "not built")}
    for batch in plan.batches():
        for position, place in enumerate(batch.places):
            lon, lat = found[place.split if done.has(batch.index, position) else "not built"]
            lon.append(place.poi.lon)
            lat.append(place.poi.lat)
    return {name: Dots(lon=lon, lat=lat) for name, (lon, lat) in found.items() if lon}


def state(plan: PlanFile, built: int, summary: Json) -> tuple[bool, str]:
    """Whether everything is there, and that in words."""
    planned, limit = int(plan.header["places"]), summary.get("limit")
    if built >= planned and summary:
        return True, "All places are done."
    if limit is not None and not summary.get("still_open"):
        return True, f"{counted_of(built, planned, 'place', verb=IS)} done, as --limit {limit} asked."
    if built >= planned:
        return False, "All places are done, but not what is made of all of them. The same build command makes it."
    missing = counted_of(planned - built, planned, "place", verb=IS)
    return False, f"Not finished: {missing} not done. The same build command goes on."


def failures(summary: Json) -> Section | None:
    """What failed for now: places, and apart from them captions of places that are built."""
    found: list[Json] = summary.get("failures") or []
    if not found:
        return None
    places = [each for each in found if each.get("asset") != CAPTIONS]
    captions = [each for each in found if each.get("asset") == CAPTIONS]
    tables = (
        _failed("Places that failed, and stay open", "place", places),
        _failed("Captions that failed, and are waited for", "of", captions),
    )
    unseen = sum(max(0, len(some) - _FAILURES) for some in (places, captions))
    more = f" {number(unseen)} more are in _nutonic/summary.json." if unseen else ""
    note = Note(text=f"They are tried again by the same build command.{more}", warns=True)
    return Section(id="failures", title="Failed for now", blocks=(note, *(table for table in tables if table.rows)))


def _failed(caption: str, what: str, found: Sequence[Json]) -> Table:
    rows = tuple(
        (text(_whose(each)), text(inert(each["reason"])), text(inert(str(each["error"])[:300])))
        for each in found[:_FAILURES]
    )
    return Table(caption=caption, heads=(what, "reason", "first error"), rows=rows)


def _whose(failure: Json) -> str:
    """What failed: a place, or all captions that wait, where nobody can be asked any more."""
    of_all = failure.get("asset") == failure["poi_id"] == CAPTIONS
    return "all that wait" if of_all else inert(failure["poi_id"])


def unreadable(names: Collection[str], noun: str) -> Section | None:
    """What is not shown, as it cannot be read, or is no picture."""
    if not names:
        return None
    some = ", ".join(map(inert, sorted(names)[:_UNREADABLE]))
    more = f" and {number(len(names) - _UNREADABLE)} more" if len(names) > _UNREADABLE else ""
    said = f"Of the {noun} that were to be shown, {number(len(names))} cannot be read: {some}{more}. "
    return Section(
        id="unreadable",
        title="Not to be read",
        blocks=(
            Note(text=f"{said}nutonic verify tells what is wrong with a tree, and mends it with --fix.", warns=True),
        ),
    )


def provenance(plan: PlanFile, summary: Json, more: Iterable[tuple[str, str]]) -> Section:
    """Versions and digests, and what the last run took."""
    header = plan.header
    facts = [
        ("nutonic", str(header["nutonic_version"])),
        ("recipe", str(header["recipe_digest"])),
        ("plan", plan.digest),
        *([("places file", header["places_sha256"])] if header.get("places_sha256") else []),
        *more,
    ]
    table = Table(caption="Versions", heads=("what", "version or SHA-256"), rows=_pairs(facts))
    warnings = tuple(Note(text=inert(warning), warns=True) for warning in header.get("warnings") or ())
    return Section(id="versions", title="Versions and recipe", blocks=(*warnings, table, *_run(summary)))


def _run(summary: Json) -> tuple[Block, ...]:
    """What the last run did. A tree holds no times but its length, so there is no course of it."""
    if not summary.get("seconds"):
        return ()
    seconds, tiles = float(summary["seconds"]), int(summary["tiles"])
    facts = [
        ("places finished", number(summary["finished"])),
        ("chips", f"{number(tiles)}, {tiles / seconds:.1f} a second"),
        ("seconds", f"{seconds:.1f}"),
        ("written", f"{summary['bytes_written'] / 1e6:,.1f} MB"),
        ("requests", number(summary["requests"])),
        ("read over the network", f"{summary['bytes_read'] / 1e6:,.1f} MB"),
        *((f"fault: {inert(name)}", number(found)) for name, found in (summary.get("faults") or {}).items()),
    ]
    return (Table(caption="The last run that did something", heads=("what", "how much"), rows=_pairs(facts)),)


def _pairs(facts: Iterable[tuple[str, str]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple((text(name), text(value)) for name, value in facts)
