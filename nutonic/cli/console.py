"""Results for people: plans, summaries and verdicts. They go to stdout, unless that is for JSON."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

from nutonic._version import __version__
from nutonic.cli import logs
from nutonic.cli.paths import in_python, in_shell
from nutonic.cli.screen import say
from nutonic.core.model import Json, Reject
from nutonic.core.units import IS, counted, counted_of, duration, size
from nutonic.dataset.reasons import BY_PLAN, WHAT_TO_DO, LeftOutCounts, of_what
from nutonic.dataset.report.values import Report, Section, Table
from nutonic.inert import inert
from nutonic.io.buckets.address import AnyPath
from nutonic.planning.pins import missing_line
from nutonic.run.results import Failure, examples_of

if TYPE_CHECKING:
    from nutonic.dataset.catalogue.overlap import Overlap
    from nutonic.dataset.verify import Verdict
    from nutonic.run.packs.pack import Packed
    from nutonic.run.packs.push import Pushed
    from nutonic.run.results import Summary

#: Lines of a kind that are shown one by one: of a verdict, and failures of a pack.
_MOST, _SHOWN = 20, 5


def show_plan(header: Json, rejects: Sequence[Reject], missing: Sequence[str] = ()) -> None:
    """Print a plan, with its warnings and what is left out; `missing` are local files."""
    say(_plan_lines(header, rejects, missing))


def _plan_lines(header: Json, rejects: Sequence[Reject], missing: Sequence[str]) -> Iterator[str]:
    from nutonic.planning.cost import START_S, START_WORKERS_S, pace

    cost, seconds = header["cost"], pace()
    starts = f"{duration(START_S * seconds)} to start, {duration(START_WORKERS_S * seconds)} with workers"
    for name, value in (
        *(_of_patches(header) if header.get("of") == "patches" else _of_places(header)),
        ("splits", ", ".join(f"{name} {share:.1%}" for name, share in header["shares"].items())),
        ("requests", f"about {cost['requests']}" if cost["requests"] else "none, all files are here"),
        ("to read", f"about {size(cost['bytes_read'])}"),
        ("to write", f"about {size(cost['bytes_written'])}"),
        ("memory", f"up to {size(cost['peak_bytes'])} a worker"),
        (
            "time",
            f"very roughly {duration(cost['cpu_seconds'] * seconds)} of one core like this machine's, after {starts}",
        ),
    ):
        yield f"{name:<10}{value}"
    yield from (f"note: {warning}" for warning in header["warnings"])
    if missing:
        yield f"note: {missing_line(missing)}"
    yield from _rejects(header["rejects"], examples_of(rejects))
    if len(rejects) > len(header["rejects"]):
        yield "--json lists all that are left out"


def _of_places(header: Json) -> Iterator[tuple[str, str]]:
    """What a plan of places tells, line by line."""
    rows, cols = header["margin_px"]
    over = f", {counted(rows, 'row')} and {counted(cols, 'column')} of each square left over" if rows or cols else ""
    yield "places", f"{counted_of(header['places'], header['rows'], 'row')}, in {_batches(header)}"
    yield "scenes", f"{header['scenes']:,}"
    chips = f", and {header['chips']:,} chips with their views" if header.get("chips", 0) > header["tiles"] else ""
    yield "tiles", f"{header['tiles']:,}{chips}{over}"
    yield "quality", header["judging"]
    yield from _of_requests(header["captions"]) if "captions" in header else ()


def _of_patches(header: Json) -> Iterator[tuple[str, str]]:
    """What a plan of patches tells, line by line."""
    captions, osm = header["captions"], header.get("osm")
    yield "patches", f"{header['places']:,} of {header['rows']:,}, in {_batches(header)}"
    yield "images", f"{header['scenes']:,}"
    if osm:
        of_day = f", of {osm['date']}" if osm["date"] else ""
        lost = f"; {osm['broken']:,} could not be drawn" if osm["broken"] else ""
        yield "map", f"{counted(osm['elements'], 'element')}{of_day}{lost}"
    yield from _of_requests(captions)


def _batches(header: Json) -> str:
    return counted(header["batches"], "batch", "batches")


def _of_requests(captions: Json) -> Iterator[tuple[str, str]]:
    """What a plan tells of captions, and of those who write them."""
    asked = f", {counted(captions['requests'], 'request')} of models" if captions["requests"] else ", by templates"
    yield "captions", f"about {captions['captions']}{asked}"
    if captions["requests"]:
        tokens = f"{captions['input_tokens']} to ask, {captions['output_tokens']} to answer"
        money = f"; {captions['money']:.2f} by the recipe's prices" if captions["money"] else ""
        yield "tokens", f"about {tokens}{money}; answers that are kept cost nothing"


def show_start(recipe: Path, out: AnyPath) -> None:
    """Write that a build begins; only as JSON, for programs."""
    if logs.is_json():
        logs.emit("start", recipe=str(recipe), out=str(out), version=__version__)


def show_summary(summary: Summary, out: AnyPath, *, aside: bool = False, then: bool = False) -> None:
    """Print what a build made, what it left out and what failed.

    Parameters
    ----------
    summary, out
        Of the build, and the folder of its tree.
    aside
        Whether stdout is for JSON, so that this goes to stderr.
    then
        Whether to say what to do next, if the build is done.
    """
    if logs.is_json():
        logs.emit("done", **{**summary_json(summary), "failures": len(summary.failures)})
        return
    say(_summary_lines(summary, out), aside=aside)
    if then and summary.finished and summary.succeeded:
        say(_next_steps(out, of_patches="captions" in summary.captions), aside=aside)


def _summary_lines(summary: Summary, out: AnyPath) -> Iterator[str]:
    if not (summary.finished or summary.failures or summary.rows or summary.by_others):
        if not summary.complete:
            yield f"{_nothing_made(summary)}: {' and '.join(_open(summary))} in {out}"
            return
        told = _what_is_done(summary, out)
        told = (
            f"{told}: data/ and what tells of it were put together now" if summary.remade else f"nothing to do: {told}"
        )
        yield f"{told}{_by_plan(summary)}"
        if not summary.succeeded:
            yield from _not_let_through(summary)
            yield from _left_out(summary)
        return
    yield _of_captions(summary, out) if "captions" in summary.captions else _of_chips(summary, out)
    if "polished" in summary.captions:
        yield _of_polished(summary.captions)
    if summary.requests:
        faults = ", ".join(f"{count} × {name}" for name, count in summary.faults.items())
        yield f"{counted(summary.requests, 'request')}, {size(summary.bytes_read)} read" + (
            f"; faults: {faults}" if faults else ""
        )
    if summary.done_before:
        one, several = _noun(summary)
        yield f"{counted(summary.done_before, f'{one} was', f'{several} were')} done before"
    if summary.by_others:
        one, several = _noun(summary)
        yield f"{counted(summary.by_others, f'{one} was', f'{several} were')} done by another build meanwhile"
    yield from _left_out(summary)
    yield from _not_let_through(summary)
    yield from (f"{name}: {_used(used)}" for name, used in summary.captions.get("usage", {}).items())
    if summary.complete and not summary.succeeded:
        made = "patch has a caption, of" if "captions" in summary.captions else "chip was made of"
        yield f"no {made} {counted(summary.wanted, 'place')}: see what was left out, and change the recipe"
    yield from _failures(summary)


def _what_is_done(summary: Summary, out: AnyPath) -> str:
    """What became of the places of a build that has nothing to do: how many are built, and how many are left out."""
    wanted, (one, several), of_patches = summary.wanted, _noun(summary), "captions" in summary.captions
    everything = f"the {one} is" if wanted == 1 else f"all {wanted:,} {several} are"
    bare = summary.captions["uncaptioned"] if of_patches else 0
    left_out = wanted - summary.places_with_chips - bare
    if not summary.succeeded:
        return f"{everything} looked at, and none has a {'caption' if of_patches else 'chip'}, in {out}"
    if summary.places_done != wanted:  # what is built beyond the limit is counted with the rest
        return f"{everything} done that --limit asks for, in {out}"
    if not (left_out or bare):
        return f"{everything} built in {out}"
    told = f"{counted_of(summary.places_with_chips, wanted, one, several, verb=IS)} built in {out}"
    told += f", {counted(left_out, *IS)} left out" if left_out else ""
    return f"{told}, {counted(bare, 'has', 'have')} no caption that was let through" if bare else told


def _by_plan(summary: Summary) -> str:
    """How many places the plan left out, of a build that wants all."""
    count = 0 if summary.limit is not None else sum(summary.left_out.get(BY_PLAN, {}).values())
    return f"; {counted(count, 'more was', 'more were')} left out by the plan" if count else ""


def _noun(summary: Summary) -> tuple[str, str]:
    """What a build is of, one and several."""
    return ("patch", "patches") if "captions" in summary.captions else ("place", "places")


def _not_let_through(summary: Summary) -> Iterator[str]:
    return _rejects(summary.captions.get("rejected", {}), {}, "captions not let through:")


def _nothing_made(summary: Summary) -> str:
    """That nothing came of a build: what waits for captions alone is built."""
    return "no caption was written" if summary.captions.get("waiting") == summary.still_open else "nothing was built"


def _open(summary: Summary) -> Iterator[str]:
    """What is left to do: places, and what is built and waits for captions."""
    waiting = summary.captions.get("waiting", 0)
    if summary.still_open > waiting:
        yield f"{counted(summary.still_open - waiting, 'place is', 'places are')} still to be done"
    yield from _waiting(summary)


def _waiting(summary: Summary) -> Iterator[str]:
    """What waits for captions: patches, or places whose captions are to be polished."""
    waiting = summary.captions.get("waiting", 0)
    noun = ("place waits", "places wait") if "polished" in summary.captions else ("patch waits", "patches wait")
    if waiting:
        yield f"{counted(waiting, *noun)} for captions"


def _next_steps(out: AnyPath, *, of_patches: bool) -> Iterator[str]:
    """What a person may do with a dataset."""
    where = in_shell(out)
    load = f"nutonic.open_dataset({in_python(out)})" if not of_patches else "README.md there has the lines that load it"
    look = [("look at it", f"nutonic report {where}")] if isinstance(out, Path) else []
    for name, what in (*look, ("prove it", f"nutonic verify {where} --deep"), ("load it", load)):
        yield f"{name:<12}{what}"


def _left_out(summary: Summary) -> Iterator[str]:
    """What was left out, of how many tiles and of what: a patch is a place and a tile in one."""
    if "captions" in summary.captions:
        yield from _rejects(summary.rejects, summary.examples)
        return
    of_now = f" {counted_of(summary.tiles_left_out, summary.tiles_done, 'tile')} of the places done now"
    title = f"left out:{of_now if summary.tiles_done else ''}"
    yield from _rejects(summary.rejects, summary.examples, title, summary.left_out)


def _rejects(
    counts: Mapping[str, int],
    examples: Mapping[str, str],
    title: str = "left out:",
    kinds: LeftOutCounts | None = None,
) -> Iterator[str]:
    """Each reason with its count, the first place or tile that it was, and what may be done about it."""
    if counts:
        yield title
    for reason, count in _most_first(counts):
        yield f"  {count:>6}  {reason}" + (f": {of_what(kinds, reason)}" if kinds else "")
        if reason in examples:
            yield f"          such as {examples[reason]}"
        if reason in WHAT_TO_DO:
            yield f"          {WHAT_TO_DO[reason]}"


def show_preview(report: Report, path: AnyPath) -> None:
    """Print what a preview gave, where its page is, and what there is no chip of, with why."""
    said = [report.state, *(line for section in report.sections for line in _of_section(section))]
    say([*said, f"wrote {path}: open it in a browser"])


def _of_section(section: Section) -> Iterator[str]:
    """What a page's section says of things that are not there: the first of each reason."""
    tables = [block for block in section.blocks if isinstance(block, Table)]
    if section.id == "left-out" and any(table.rows for table in tables):
        cells = [cells for table in tables for cells in _texts(table)]
        counts = {reason: int(many.replace(",", "")) for reason, many, *_ in cells}
        yield from _rejects(counts, {reason: such.partition(" · ")[0] for reason, _, such, *_ in cells})
    if section.id == "failures":
        for table in tables:
            yield from (f"{place} failed for now, {reason}: {error}" for place, reason, error in _texts(table)[:_SHOWN])


def _texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def _failures(summary: Summary) -> Iterator[str]:
    """The first failure of each reason, how many more are like it, and what is open for them."""
    failures = summary.failures
    counts = Counter(failure.reason for failure in failures)
    first = {failure.reason: failure for failure in reversed(failures)}
    for reason, count in _most_first(counts):
        more = f" (and {count - 1} more)" if count > 1 else ""
        yield f"{_failure_line(first[reason])}{more}"
        if reason in WHAT_TO_DO:
            yield f"  {WHAT_TO_DO[reason]}"
    if len(failures) > len(first):
        yield "_nutonic/summary.json lists all of them"
    failed = sum(not failure.is_of_captions for failure in failures)
    left = [f"{counted(failed, 'place failed and stays', 'places failed and stay')} open"] if failed else []
    if failures and (left := [*left, *_waiting(summary)]):
        yield f"{' and '.join(left)}: run the same command again"


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def _of_chips(summary: Summary, out: AnyPath) -> str:
    rate = summary.tiles / summary.seconds if summary.seconds else 0.0
    return (
        f"built {counted(summary.built, 'place')}, {counted(summary.tiles, 'chip')}, {counted(summary.rows, 'row')} "
        f"({size(summary.bytes_written)}) "
        f"in {summary.seconds:.1f} s, {rate:.1f} chips/s, into {out}"
    )


def _of_captions(summary: Summary, out: AnyPath) -> str:
    captions = summary.captions
    bare = f", {_patches(captions['uncaptioned'])} without one" if captions["uncaptioned"] else ""
    return (
        f"read {_patches(summary.tiles)}, wrote {counted(summary.rows, 'caption')} in {summary.seconds:.1f} s; {out} has "
        f"{_patches(summary.chips)} with {counted(captions['captions'], 'caption')} in its shards{bare}"
    )


def _patches(count: int) -> str:
    return counted(count, "patch", "patches")


def _of_polished(captions: Json) -> str:
    waiting = f"; those of {counted(captions['waiting'], 'place')} wait" if captions["waiting"] else ""
    polished = counted(captions["polished"], "caption is", "captions are")
    stay = counted(captions["stayed"], "stays as a template wrote it", "stay as templates wrote them")
    return f"{polished} polished, {stay}{waiting}"


def _used(used: Json) -> str:
    money = f", {used['money']:.2f} by the recipe's prices" if used["money"] else ""
    answers, asked = counted(used["answers"], "answer"), counted(used["input_tokens"], "token")
    return f"{answers}, {asked} asked and {used['output_tokens']:,} answered{money}"


def _failure_line(failure: Failure) -> str:
    asset = f" ({failure.asset})" if failure.asset else ""
    attempts = f", tried by {failure.attempts} builds" if failure.attempts > 1 else ""
    return f"failed {failure.poi_id}: {failure.reason}{asset}{attempts}: {failure.error}"


def summary_json(summary: Summary) -> Json:
    """A summary as values for JSON."""
    return {**asdict(summary), "complete": summary.complete, "succeeded": summary.succeeded}


def show_packed(packed: Packed, out: AnyPath, *, aside: bool = False) -> None:
    """Print what is in a pack, and what is left to do."""
    if not logs.is_json():
        say(_packed_lines(packed, out), aside=aside)
        return
    for line in _packed_lines(packed, out):
        logs.emit("note", message=line)


def _packed_lines(packed: Packed, out: AnyPath) -> Iterator[str]:
    yield from (f"failed {line}" for line in packed.failures[:_SHOWN])
    there = counted_of(packed.done_before, packed.shards, "shard", verb=("was", "were"))
    before = f"; {there} there before" if packed.done_before else ""
    rows = ", ".join(f"{count:,} {split}" for split, count in packed.rows.items())
    rows = f"{counted(sum(packed.rows.values()), 'row')} ({rows})"
    yield f"{out} has {rows} as {packed.format} ({size(packed.bytes)}), in {packed.seconds:.1f} s{before}"
    if packed.still_open:
        left = counted_of(packed.still_open, packed.shards, "shard", verb=IS)
        yield f"{left} left: run the same command again"


def show_pushed(pushed: Pushed, *, aside: bool = False) -> None:
    """Print what is on the Hub, or would be."""
    all_of_it = f"{counted(pushed.files, 'file')} ({size(pushed.bytes)}) of {pushed.folder}"
    line = f"{all_of_it} would go to {pushed.repo}, branch {pushed.revision}; nothing was sent, and nobody asked"
    if not pushed.dry:
        sent = f"{pushed.sent:,} of them sent now ({size(pushed.sent_bytes)})"
        line = f"{pushed.repo}, branch {pushed.revision}, has the {all_of_it}: {sent}"
    if logs.is_json():
        logs.emit("note", message=line)
    else:
        say([line], aside=aside)


def show_overlap(found: Overlap, other: Path) -> None:
    """Print which chips lie on ground that another catalogue holds."""
    say(_overlap_lines(found, other))


def _overlap_lines(found: Overlap, other: Path) -> Iterator[str]:
    if found.shared:
        yield f"{'chip':<32} {'split':<10} {'share':>6} {'others':>6} {'in cell':>7}  one of them"
    for one in found.shared[:_MOST]:
        name, theirs = inert(one.id), inert(one.other)
        yield f"{name:<32} {one.split:<10} {one.share:>6.1%} {one.footprints:>6} {one.in_cell:>7}  {theirs}"
    if len(found.shared) > _MOST:
        yield f"… and {len(found.shared) - _MOST} more; --csv and --json list all"
    if found.without:
        bare = counted(found.without, "row has no geometry and was", "rows have no geometry and were")
        yield f"note: of {other} {bare} left out"
    splits = "".join(f"{count:,} {split}, " for split, count in found.by_split.items() if split)
    told = counted_of(len(found.shared), found.chips, "chip", verb=("lies", "lie"))
    how = {"footprint": "by footprint", "cell": "by cell of 2,560 m", "either": "by footprint or cell of 2,560 m"}[
        found.by
    ]
    yield f"{told} on ground that {other} holds, {how} ({splits}{counted(found.others, 'footprint')} there)"


def overlap_csv(found: Overlap) -> Iterator[str]:
    """A line a chip on shared ground, the names of the columns first."""
    from nutonic.dataset.catalogue.overlap import Shared

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Shared)])
    writer.writerows(astuple(one) for one in found.shared)
    yield from text.getvalue().splitlines()


def show_verdict(verdict: Verdict, directory: AnyPath) -> None:
    """Print whether a tree is whole, and what is wrong with it."""
    say(_verdict_lines(verdict, directory))


def _verdict_lines(verdict: Verdict, directory: AnyPath) -> Iterator[str]:
    for word, lines in (("removed", verdict.removed), ("wrong", verdict.problems), ("note", verdict.notes)):
        yield from (f"{word} {line}" for line in lines[:_MOST])
        if len(lines) > _MOST:
            yield f"… and {len(lines) - _MOST} more; --json lists all"
    yield _looked_line(verdict, directory)
    if verdict.removed and not verdict.whole:
        open_places = counted(verdict.open, "place is", "places are") if verdict.open else "no place is"
        yield f"run nutonic build with the same recipe and --out {in_shell(directory)}: {open_places} to be built again"


def _looked_line(verdict: Verdict, directory: AnyPath) -> str:
    """Whether the tree is whole, and how much of it was looked at."""
    if not verdict.looked:
        return (
            f"{directory} is not whole, and no file was held against its plan: mend what is wrong, and verify it again"
        )
    state = "whole" if verdict.whole else "not whole"
    depth = "every byte read" if verdict.deep else "counts and sizes; --deep reads every byte"
    depth += f"; {counted(verdict.rebuilt, 'place')} made again from their sources" if verdict.rebuilt else ""
    return (
        f"{directory} is {state}: {counted_of(verdict.done, verdict.planned, 'place')}, {counted(verdict.tiles, 'chip')}, "
        f"{counted(verdict.rows, 'row')}, {counted(verdict.files, 'file')} ({depth})"
    )
