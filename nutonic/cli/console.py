"""Text for people: progress, plans, summaries and verdicts. It goes to stderr, so that stdout is free for JSON."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from nutonic._version import __version__
from nutonic.cli import logs
from nutonic.cli.lacks import silence
from nutonic.core.callbacks import TilesSaved
from nutonic.core.model import Json, Reject
from nutonic.core.units import size
from nutonic.dataset.reasons import WHAT_TO_DO
from nutonic.inert import inert
from nutonic.io.buckets.address import Place
from nutonic.planning.pins import missing_line
from nutonic.run.callbacks import BatchFinished, Callback, CaptionsFinished, Note
from nutonic.run.results import Failure, examples_of

if TYPE_CHECKING:
    from nutonic.dataset.verify import Verdict
    from nutonic.run.packs.pack import Packed
    from nutonic.run.results import Summary


class _Console(Console):
    """Writes text, in notebooks too. Once nobody reads it, or has room for it, it is silent, and the work goes on.

    What others may have written, such as ids and reasons, cannot move its cursor or begin a line of its own.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """A line as it is shown."""
        return super().render_str(inert(text), **options)

    def on_broken_pipe(self) -> None:
        """Stay silent from now on."""
        self.quiet = True

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; see :meth:`rich.console.Console.print`."""
        try:
            super().print(*objects, **options)
        except OSError:
            self.quiet = True
            silence(2)


console = _Console(stderr=True, highlight=False, soft_wrap=True, force_jupyter=False, emoji=False)
if not console.width:  # COLUMNS=0, as where a terminal has no size, shows nothing
    console.width = 80

#: The least number of seconds between two lines of progress.
_LINES_APART_S = 1.0

#: How many failures of a pack are shown one by one.
_SHOWN = 5


class Progress(Callback):
    """Shows a build's notes; its subclasses show its batches too."""

    def on_note(self, event: Note, /) -> None:
        """Print the note."""
        note(event.text)


@contextmanager
def progress() -> Iterator[Callback]:
    """Show a bar of places, with tiles, rows, rejects and the time left; where there is no terminal, print lines.

    Lines are at least a second apart, and the last batch always has one. As JSON, each batch has one.
    """
    if logs.is_json():
        yield JsonProgress()
    elif _can_move():
        with Bar(*_columns(), console=console) as bar:
            yield BarProgress(bar)
    else:
        lines = LineProgress()
        try:
            yield lines
        finally:
            lines.flush()


def _can_move() -> bool:
    """Whether a line can be redrawn; notebooks, pipes and dumb terminals take new lines only."""
    return console.is_terminal and not console.is_dumb_terminal and console.file.isatty()


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


class BarProgress(Progress):
    """A bar of places, with the tiles, rows and rejects so far."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._counts: Counter[str] = Counter()
        self._task = bar.add_task("places", total=None, counts=self._text())
        self._captions: TaskID | None = None

    def on_batch(self, event: BatchFinished, /) -> None:
        """Advance the bar; captions have one of their own, of patches."""
        result = event.result
        if isinstance(event, CaptionsFinished):
            if self._captions is None:
                self._captions = self._bar.add_task("captions", total=event.to_do, counts="")
            self._counts.update(captions=result.rows, refused=sum(result.rejects.values()))
            told = f"{self._counts['captions']} captions, {self._counts['refused']} answers not let through"
            self._bar.update(self._captions, advance=result.finished, counts=told)
            return
        self._counts.update(tiles=result.tiles, rows=result.rows, rejects=sum(result.rejects.values()))
        self._bar.update(self._task, total=event.to_do, advance=result.finished, counts=self._text())

    def _text(self) -> str:
        counts = self._counts
        return f"{counts['tiles']} tiles, {counts['rows']} rows, {counts['rejects']} rejected"


class LineProgress(Progress):
    """A line for each batch, unless the last line is less than a second old."""

    def __init__(self) -> None:
        self._finished, self._captioned, self._printed_s, self._pending = 0, 0, -math.inf, ""

    def on_batch(self, event: BatchFinished, /) -> None:
        """Print a line, or keep it for the end."""
        result = event.result
        if isinstance(event, CaptionsFinished):
            self._captioned += result.finished
            counts = f"{result.rows} captions of {result.places} patches"
            self._pending = f"batch {result.index}: {counts}; {self._captioned} of {event.to_do} captioned"
        else:
            self._finished += result.finished
            counts = f"{result.places} places, {result.tiles} tiles, {result.rows} rows"
            self._pending = f"batch {result.index}: {counts}; {self._finished} of {event.to_do} done"
        if time.monotonic() - self._printed_s >= _LINES_APART_S:
            self.flush()

    def flush(self) -> None:
        """Print the last batch's line, unless it has been printed."""
        if self._pending:
            console.print(self._pending, markup=False)
            self._printed_s, self._pending = time.monotonic(), ""


class JsonProgress(Progress):
    """An event of JSON for each batch."""

    def __init__(self) -> None:
        self._started_s, self._done = time.monotonic(), Counter[str]()

    def on_batch(self, event: BatchFinished, /) -> None:
        """Write the event: ``batch``, of places; or ``captions``, of patches."""
        result, is_captions = event.result, isinstance(event, CaptionsFinished)
        name = "captions" if is_captions else "batch"
        self._done[name] += result.finished
        logs.emit(
            name,
            index=result.index,
            done=self._done[name],
            to_do=event.to_do,
            elapsed_s=round(time.monotonic() - self._started_s, 1),
            failures=len(result.failures),
            rejects=dict(result.rejects),
            **{name: getattr(result, name) for name in ("places", "tiles", "rows", "bytes_written")},
        )


@contextmanager
def tile_progress() -> Iterator[Callback]:
    """Show a bar of tiles; where there is no terminal, print lines that are at least a second apart."""
    if logs.is_json() or not _can_move():
        yield TileLines()
        return
    with Bar(TextColumn("tiles"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console) as bar:
        yield TileBar(bar)


class TileLines(Callback):
    """A line with the number of saved tiles, at most every second, and one at the end."""

    def __init__(self) -> None:
        self._printed_s = -math.inf

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Print a line if the last one is old enough, or if all tiles are saved."""
        if event.done == event.total or time.monotonic() - self._printed_s >= _LINES_APART_S:
            note(f"{event.done} of {event.total} tiles")
            self._printed_s = time.monotonic()


class TileBar(Callback):
    """A bar of tiles."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._task = bar, bar.add_task("tiles", total=None)

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Advance the bar."""
        self._bar.update(self._task, completed=event.done, total=event.total)


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def show_plan(header: Json, rejects: Sequence[Reject], missing: Sequence[str] = ()) -> None:
    """Print a plan as a table, with its warnings and the places that are left out; `missing` are local files."""
    cost = header["cost"]
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in (
        *(_of_patches(header) if header.get("of") == "patches" else _of_places(header)),
        ("splits", ", ".join(f"{name} {share:.1%}" for name, share in header["shares"].items())),
        ("requests", f"about {cost['requests']}" if cost["requests"] else "none, all files are here"),
        ("to read", f"about {size(cost['bytes_read'])}"),
        ("to write", f"about {size(cost['bytes_written'])}"),
        ("memory", f"up to {size(cost['peak_bytes'])} a worker"),
        ("time", f"very roughly {duration(cost['cpu_seconds'])} of one core"),
    ):
        table.add_row(f"{name}  ", escape(value))
    console.print(table)
    for warning in header["warnings"]:
        console.print(f"[yellow]note[/] {escape(warning)}")
    if missing:
        console.print(f"[yellow]note[/] {escape(missing_line(missing))}")
    _show_rejects(header["rejects"], examples_of(rejects))
    if len(rejects) > len(header["rejects"]):
        console.print("--json lists all that are left out")


def _of_places(header: Json) -> Iterator[tuple[str, str]]:
    """What a plan of places tells, line by line."""
    rows, cols = header["margin_px"]
    over = f", {rows} rows and {cols} columns of each square left over" if rows or cols else ""
    yield "places", f"{header['places']} of {header['rows']} rows, in {header['batches']} batches"
    yield "scenes", f"{header['scenes']}"
    yield "tiles", f"{header['tiles']}{over}"
    yield "quality", header["judging"]


def _of_patches(header: Json) -> Iterator[tuple[str, str]]:
    """What a plan of patches tells, line by line."""
    captions, osm = header["captions"], header.get("osm")
    yield "patches", f"{header['places']} of {header['rows']}, in {header['batches']} batches"
    yield "images", f"{header['scenes']}"
    if osm:
        of_day = f", of {osm['date']}" if osm["date"] else ""
        lost = f"; {osm['broken']} could not be drawn" if osm["broken"] else ""
        yield "map", f"{osm['elements']} elements{of_day}{lost}"
    asked = f", {captions['requests']} requests of models" if captions["requests"] else ", by templates"
    yield "captions", f"about {captions['captions']}{asked}"
    if captions["requests"]:
        tokens = f"{captions['input_tokens']} to ask, {captions['output_tokens']} to answer"
        money = f"; {captions['money']:.2f} by the recipe's prices" if captions["money"] else ""
        yield "tokens", f"about {tokens}{money}; answers that are kept cost nothing"


def show_start(recipe: Path, out: Place) -> None:
    """Write that a build begins; only as JSON, for programs."""
    if logs.is_json():
        logs.emit("start", recipe=str(recipe), out=str(out), version=__version__)


def show_summary(summary: Summary, out: Place) -> None:
    """Print what a build made, what it left out, and what failed."""
    if logs.is_json():
        logs.emit("done", **{**summary_json(summary), "failures": len(summary.failures)})
        return
    if not (summary.finished or summary.failures):
        state = "built" if summary.succeeded else "looked at, and none has a chip,"
        console.print(f"nothing to do: all {summary.wanted} places are {state} in {out}", markup=False)
        if not summary.succeeded:
            _show_rejects(summary.rejects, summary.examples)
        return
    console.print(_of_chips(summary, out) if not summary.captions else _of_captions(summary, out), markup=False)
    _show_network(summary)
    if summary.done_before:
        console.print(f"{summary.done_before} places were built before")
    _show_rejects(summary.rejects, summary.examples)
    _show_counts("captions not let through", summary.captions.get("rejected", {}))
    for name, used in summary.captions.get("usage", {}).items():
        console.print(f"{name}: {_used(used)}", markup=False)
    if summary.complete and not summary.succeeded:
        console.print(f"no chip was made of {summary.wanted} places: see what was left out, and change the recipe")
    _show_failures(summary.failures)


def _show_rejects(counts: Mapping[str, int], examples: Mapping[str, str]) -> None:
    """Print each reason with its count, the first place or tile that it was, and what may be done about it."""
    if not counts:
        return
    console.print("left out")
    for reason, count in _most_first(counts):
        console.print(f"  {count:>6}  {reason}", markup=False)
        if reason in examples:
            console.print(f"          such as {examples[reason]}", markup=False)
        if reason in WHAT_TO_DO:
            console.print(f"          {WHAT_TO_DO[reason]}", markup=False)


def _show_failures(failures: Sequence[Failure]) -> None:
    """Print the first failure of each reason, and how many more are like it."""
    if not failures:
        return
    counts = Counter(failure.reason for failure in failures)
    first = {failure.reason: failure for failure in reversed(failures)}
    for reason, count in _most_first(counts):
        more = f" (and {count - 1} more)" if count > 1 else ""
        console.print(f"{_failure_line(first[reason])}{more}", markup=False)
        if reason in WHAT_TO_DO:
            console.print(f"  {WHAT_TO_DO[reason]}", markup=False)
    console.print(f"{len(failures)} places failed and stay open: run the same command again", markup=False)
    if len(failures) > len(first):
        console.print("_nutonic/summary.json lists all")


def _show_network(summary: Summary) -> None:
    if summary.requests:
        faults = ", ".join(f"{count} × {name}" for name, count in summary.faults.items())
        console.print(
            f"{summary.requests} requests, {size(summary.bytes_read)} read" + (f"; faults: {faults}" if faults else "")
        )


def _of_chips(summary: Summary, out: Place) -> str:
    rate = summary.tiles / summary.seconds if summary.seconds else 0.0
    return (
        f"built {summary.built} places, {summary.tiles} tiles, {summary.rows} rows ({size(summary.bytes_written)}) "
        f"in {summary.seconds:.1f} s, {rate:.1f} tiles/s, into {out}"
    )


def _of_captions(summary: Summary, out: Place) -> str:
    captions = summary.captions
    bare = f", {captions['uncaptioned']} patches without one" if captions["uncaptioned"] else ""
    return (
        f"read {summary.tiles} patches, wrote {summary.rows} captions in {summary.seconds:.1f} s; {out} has "
        f"{summary.chips} patches with {captions['captions']} captions in its shards{bare}"
    )


def _used(used: Json) -> str:
    money = f", {used['money']:.2f} by the recipe's prices" if used["money"] else ""
    return f"{used['answers']} answers, {used['input_tokens']} tokens asked and {used['output_tokens']} answered{money}"


def _failure_line(failure: Failure) -> str:
    asset = f" ({failure.asset})" if failure.asset else ""
    attempts = f", tried by {failure.attempts} builds" if failure.attempts > 1 else ""
    return f"failed {failure.poi_id}: {failure.reason}{asset}{attempts}: {failure.error}"


def note(line: str) -> None:
    """Print a line; with JSON, write an event."""
    if logs.is_json():
        logs.emit("note", message=line)
    else:
        console.print(line, markup=False)


def summary_json(summary: Summary) -> Json:
    """A summary as values for JSON."""
    return {**asdict(summary), "complete": summary.complete, "succeeded": summary.succeeded}


def show_packed(packed: Packed, out: Path) -> None:
    """Print what is in a pack, and what is left to do."""
    for line in packed.failures[:_SHOWN]:
        note(f"failed {line}")
    before = f"; {packed.done_before} of its {packed.shards} shards were there before" if packed.done_before else ""
    rows = ", ".join(f"{count} {split}" for split, count in packed.rows.items())
    note(f"{out} has {rows} rows as {packed.format} ({size(packed.bytes)}), in {packed.seconds:.1f} s{before}")
    if packed.still_open:
        note(f"{packed.still_open} of {packed.shards} shards are left: run the same command again")


def show_verdict(verdict: Verdict, directory: Place) -> None:
    """Print whether a tree is whole, and what is wrong with it."""
    _show_lines("[yellow]removed[/]", verdict.removed)
    _show_lines("[red]wrong[/]", verdict.problems)
    _show_lines("[dim]note[/]", verdict.notes)
    state = "whole" if verdict.whole else "not whole"
    depth = "every byte read" if verdict.deep else "counts and sizes; --deep reads every byte"
    depth += f"; {verdict.rebuilt} places made again from their sources" if verdict.rebuilt else ""
    console.print(
        f"{directory} is {state}: {verdict.done} of {verdict.planned} places, {verdict.tiles} tiles, {verdict.rows} rows, "
        f"{verdict.files} files ({depth})",
        markup=False,
    )
    if verdict.removed and not verdict.whole:
        open_places = {0: "no place is", 1: "1 place is"}.get(verdict.open, f"{verdict.open} places are")
        console.print(
            f"run nutonic build with the same recipe and --out {directory}: {open_places} to be built again",
            markup=False,
        )


def _show_lines(word: str, lines: Sequence[str]) -> None:
    for line in lines[:20]:
        console.print(f"{word} {escape(line)}")
    if len(lines) > 20:
        console.print(f"… and {len(lines) - 20} more; --json lists all")


def duration(seconds: float) -> str:
    """A number of seconds in words: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _show_counts(title: str, counts: Mapping[str, int]) -> None:
    if counts:
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("reason")
        table.add_column("count", justify="right")
        for reason, count in _most_first(counts):
            table.add_row(escape(reason), str(count))
        console.print(table)
