"""What a person sees of a build while it runs: a bar in a terminal or a notebook, lines in a log, JSON for programs."""

from __future__ import annotations

import math
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, NamedTuple

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nutonic.cli import logs
from nutonic.cli.screen import console, note
from nutonic.core.callbacks import TilesSaved
from nutonic.core.units import counted, counted_of, duration
from nutonic.dataset.reasons import PLACES, TILES
from nutonic.run.callbacks import (
    BatchFinished,
    BuildEnded,
    BuildStarted,
    Callback,
    CaptionsFinished,
    Note,
    StageBegun,
    WorkersChanged,
)

#: The least number of seconds between two lines of progress, and between two pictures of a notebook's bar.
_LINES_APART_S, _PICTURES_APART_S = 1.0, 0.25

#: Seconds of the past that the time left is told by; seconds and batches before it is told at all.
_WINDOW_S, _SOONEST_S, _LEAST = 120.0, 3.0, 4

#: What is built, one and several.
_PLACES, _PATCHES = ("place", "places"), ("patch", "patches")

#: Columns of a bar: words for a million places that wait for workers stand beside it, in 80.
_BAR = 24


class Progress(Callback):
    """Shows a build's notes, and that workers came or are lost; its subclasses show its batches too."""

    there = -1
    """How many workers there are; -1 where nobody has told."""

    def on_note(self, event: Note, /) -> None:
        """Print the note."""
        note(event.text)

    def on_workers(self, event: WorkersChanged, /) -> None:
        """Print that workers came or are lost, or that there is none."""
        if self._is_news(event):
            note(workers_line(event))
        self.there = event.there

    def _is_news(self, event: WorkersChanged) -> bool:
        """Whether a line is to be told; none of those that are there at the beginning."""
        return bool(event.lost or not event.there or (event.joined and self.there >= 0))


def workers_line(event: WorkersChanged) -> str:
    """Which workers are lost, joined and there, in words."""
    lost = {0: "", 1: "worker lost, "}.get(event.lost, f"{counted(event.lost, 'worker')} lost, ")
    joined = {0: "", 1: "worker joined, "}.get(event.joined, f"{counted(event.joined, 'worker')} joined, ")
    if not event.there:
        return f"{lost}none left: waiting for workers" if event.lost else "there are no workers yet: waiting for some"
    return f"{lost}{joined}{event.there} {'there now' if event.joined else 'left'}"


@contextmanager
def progress() -> Iterator[Callback]:
    """A callback that shows how a build goes; the block around the build is where it is shown.

    In a terminal or a notebook a bar of places, with what is being done, chips, rows, rejects, workers, the time that has
    gone and, once it can be told, the time that is left. Elsewhere lines, which are at least a second apart; the last batch
    always has one. As JSON, each batch has one.

    Examples
    --------
    >>> with nt.progress() as bar:  # doctest: +SKIP
    ...     nt.build(recipe, "dataset", callbacks=[bar])
    """
    if logs.is_json():
        yield JsonProgress()
    elif is_notebook():
        yield NotebookProgress()
    elif _can_move():
        board = BarProgress()
        with Live(board, console=console, refresh_per_second=4, transient=True):
            yield board
    else:
        lines = LineProgress()
        try:
            yield lines
        finally:
            lines.flush()


def _can_move() -> bool:
    """Whether a line can be redrawn; pipes and dumb terminals take new lines only."""
    return console.is_terminal and not console.is_dumb_terminal and console.file.isatty()


def is_notebook() -> bool:
    """Whether this is a notebook's own process, which shows pictures; no notebook, where IPython was never imported."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class _Mark(NamedTuple):
    """What was done at a time."""

    at_s: float
    places: int
    chips: int
    worked_s: float
    """Seconds that workers were there, of all together."""


class Board(Progress):
    """What is known of a build: its stage, its counts and its workers.

    The time left is told by what a worker has done of late. The first batch of each does not count: in it lie its start and
    all that is read once.
    """

    def __init__(self) -> None:
        self._began_s = self._stage_began_s = time.monotonic()
        self.stage, self.unit = "starting", _PLACES
        self.done, self.to_do = 0, 0
        self.waits = False
        self._counts: Counter[str] = Counter()
        self._past: deque[_Mark] = deque()
        self._batches, self._worked_s, self._looked_s = 0, 0.0, self._began_s

    def on_stage(self, event: StageBegun, /) -> None:
        """Take up what is done now."""
        self.stage = event.text
        self._start(0, _PLACES)

    def on_start(self, event: BuildStarted, /) -> None:
        """Batches begin."""
        self.stage = "building"
        self._start(event.to_do, _PLACES)

    def on_batch(self, event: BatchFinished, /) -> None:
        """Count a batch, of places or of patches that are captioned."""
        result, captions = event.result, isinstance(event, CaptionsFinished)
        if captions and self.stage != "captioning":
            self.stage = "captioning"
            self._start(event.to_do, _PATCHES)
        self.done += result.finished
        of_captions = {"captions": result.rows, "not let through": sum(result.rejects.values())}
        left_out = {f"{kind} left out": sum(result.left_out.get(kind, {}).values()) for kind in (PLACES, TILES)}
        of_batch = {"patches": result.tiles} if result.of_patches else {"chips": result.tiles, "rows": result.rows}
        self._counts.update(of_captions if captions else {**of_batch, **left_out})
        self._counts.update(failed=len(result.failures))
        self.to_do = event.to_do
        self._batches += 1
        self._look()
        chips = self._counts[self._made]
        if self._batches <= self._round:
            self._past.clear()
        self._past.append(_Mark(self._looked_s, self.done, chips, self._worked_s))
        while len(self._past) > max(_LEAST, self._round) + 1 and self._past[0].at_s < self._looked_s - _WINDOW_S:
            self._past.popleft()

    def on_workers(self, event: WorkersChanged, /) -> None:
        """Take up how many there are; what is lost is told in a line that stays."""
        if self._is_news(event):
            self._tell_workers(event)
        self._look()
        self.there, self.waits = event.there, not event.there

    def _tell_workers(self, event: WorkersChanged) -> None:
        note(workers_line(event))

    def _look(self) -> None:
        """Add up how long workers were there until now; where nobody has told of any, it is one."""
        now, there = time.monotonic(), self._there
        self._worked_s += there * (now - self._looked_s)
        self._looked_s = now

    @property
    def _there(self) -> int:
        return 1 if self.there < 0 else self.there

    @property
    def _round(self) -> int:
        """As many batches as there are workers."""
        return max(1, self.there)

    def _start(self, to_do: int, unit: tuple[str, str]) -> None:
        self._stage_began_s = time.monotonic()
        self.done, self.to_do, self.unit = 0, to_do, unit
        self._past.clear()
        self._batches = 0
        self._counts.clear()

    @property
    def _made(self) -> str:
        """What is made of what is done."""
        return "captions" if self.stage == "captioning" else "patches" if "patches" in self._counts else "chips"

    def counts(self) -> str:
        """Chips, rows and what was left out, in words; empty before there are any."""
        of_captions = self.stage == "captioning"
        always = (
            ("captions", "not let through")
            if of_captions
            else (("chips", "rows") if self._made == "chips" else ("patches",))
        )
        names = [*always, *(name for name in ("places left out", "tiles left out", "failed") if self._counts[name])]
        parts = [
            counted(self._counts[name], re.sub(r"(?:(?<=ch)e)?s( left out)?$", r"\1", name), name) for name in names
        ]
        rate = self.rate()
        if rate is not None:
            digits = 0 if rate >= 100 else 1
            parts.insert(0, f"{rate:.{digits}f} {self._made}/s")
        return ", ".join(parts) if self.to_do else ""

    def rate(self) -> float | None:
        """Chips a second of late; None while too little is done to tell."""
        first = self._first()
        return None if first is None else (self._past[-1].chips - first.chips) / (time.monotonic() - first.at_s)

    def _first(self) -> _Mark | None:
        """Where what was done of late begins; None while workers have not done one batch each since their first ones."""
        if len(self._past) <= max(_LEAST, self._round) or time.monotonic() - self._stage_began_s < _SOONEST_S:
            return None
        return self._past[0]

    def times(self) -> str:
        """The time that has gone, and about how much is left if that can be told."""
        seconds = int(time.monotonic() - self._began_s)
        gone = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} elapsed"
        left = self.left_s()
        return gone if left is None else f"{gone}, about {duration(left)} left"

    def left_s(self) -> float | None:
        """About how many seconds are left, by what workers did of late; None while that is not known, or nobody works."""
        first = self._first()
        if first is None or self.waits:
            return None
        self._look()
        done = self._past[-1].places - first.places
        return (self.to_do - self.done) * (self._worked_s - first.worked_s) / (done * self._there) if done else None

    def workers(self) -> str:
        """How many workers there are; nothing without a cluster."""
        if self.waits:
            return "waiting for workers"
        return "" if self.there < 0 else counted(self.there, "worker")

    def rows(self) -> tuple[str, str]:
        """What stands beside the bar, and below it."""
        of_all = counted_of(self.done, self.to_do, *self.unit) if self.to_do else ""
        beside = ", ".join(filter(None, (of_all, self.workers())))
        return beside, "; ".join(filter(None, (self.times(), self.counts())))


class BarProgress(Board):
    """A bar in a terminal, of two rows that fit into 80 columns."""

    def __rich__(self) -> Group:
        """The two rows as they are now."""
        beside, below = self.rows()
        row = Table.grid(padding=(0, 1))
        bar = [ProgressBar(total=self.to_do, completed=self.done, width=_BAR)] if self.to_do else []
        row.add_row(Text(self.stage, style="bold"), *bar, Text(beside, no_wrap=True, overflow="ellipsis"))
        return Group(row, Text(f"  {below}", style="dim", no_wrap=True, overflow="ellipsis"))


class NotebookProgress(Board):
    """A bar in a notebook's output, drawn anew in its place."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn_s, self._lines = -math.inf, list[str]()
        self._handle: Any = None

    def on_note(self, event: Note, /) -> None:
        """Show the note below the bar."""
        self._lines.append(event.text)
        self._draw(at_once=True)

    def on_stage(self, event: StageBegun, /) -> None:
        """Show what is done now."""
        super().on_stage(event)
        self._draw(at_once=True)

    def on_start(self, event: BuildStarted, /) -> None:
        """Show that batches begin."""
        super().on_start(event)
        self._draw(at_once=True)

    def on_batch(self, event: BatchFinished, /) -> None:
        """Advance the bar."""
        super().on_batch(event)
        self._draw(at_once=self.done >= self.to_do)

    def on_workers(self, event: WorkersChanged, /) -> None:
        """Show how many there are; who came or is lost stays below the bar."""
        super().on_workers(event)
        self._draw(at_once=True)

    def _tell_workers(self, event: WorkersChanged) -> None:
        self._lines.append(workers_line(event))

    def on_end(self, event: BuildEnded, /) -> None:
        """Show what was built."""
        summary = event.summary
        self.stage = "done" if summary.complete else "stopped"
        self.done = self.to_do = summary.finished
        of_patches = "captions" in summary.captions
        self._counts = Counter({"patches" if of_patches else "chips": summary.tiles, "rows": summary.rows})
        self._draw(at_once=True)

    def _draw(self, *, at_once: bool) -> None:
        if not at_once and time.monotonic() - self._drawn_s < _PICTURES_APART_S:
            return
        self._drawn_s = time.monotonic()
        picture = {"text/html": self._html(), "text/plain": self._text()}
        if self._handle is None:
            from IPython.display import display

            self._handle = display(picture, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(picture, raw=True)

    def _text(self) -> str:
        beside, below = self.rows()
        return "\n".join([f"{self.stage}  {beside}", below, *self._lines])

    def _html(self) -> str:
        beside, below = self.rows()
        bar = f'<progress value="{self.done}" max="{self.to_do}"></progress> ' if self.to_do else ""
        lines = "".join(f"<br>{escape(line)}" for line in (below, *self._lines))
        return f"<div><b>{escape(self.stage)}</b> {bar}{escape(beside)}{lines}</div>"


#: Nouns with a plural of their own.
_NOUNS = {"patch": ("patch", "patches")}


class LineProgress(Progress):
    """A line for each batch, or for several where the last line is less than a second old; numbered as they end, from 1."""

    def __init__(self) -> None:
        self._finished, self._captioned, self._printed_s, self._pending = 0, 0, -math.inf, ""
        self._made, self._batches, self._told, self._captions = Counter[str](), 0, 0, False

    def on_batch(self, event: BatchFinished, /) -> None:
        """Print a line, or keep it for the end."""
        result, captions = event.result, isinstance(event, CaptionsFinished)
        if captions and not self._captions:  # these are counted anew
            self.flush()
            self._captions, self._batches, self._told = True, 0, 0
        self._batches += 1
        if captions:
            self._captioned += result.finished
            self._made.update(caption=result.rows)
            done = f"{self._captioned} of {event.to_do} captioned"
        else:
            self._finished += result.finished
            of_batch = {"patch": result.tiles} if result.of_patches else {"chip": result.tiles, "row": result.rows}
            self._made.update({"place": result.places, **of_batch} if not result.of_patches else of_batch)
            done = f"{self._finished} of {event.to_do} done"
        first, last = self._told + 1, self._batches
        which = f"batch {last}" if first == last else f"batches {first:,} to {last:,}"
        made = ", ".join(counted(count, *_NOUNS.get(noun, (noun,))) for noun, count in self._made.items())
        self._pending = f"{which}: {made}; {done}"
        if time.monotonic() - self._printed_s >= _LINES_APART_S:
            self.flush()

    def flush(self) -> None:
        """Print the line of the batches since the last one, if there are any."""
        if self._pending:
            console.print(self._pending, markup=False)
            self._printed_s, self._pending, self._told = time.monotonic(), "", self._batches
            self._made.clear()


class JsonProgress(Board):
    """An event of JSON for each batch, and where workers came or were lost."""

    def _tell_workers(self, event: WorkersChanged) -> None:
        logs.emit("workers", there=event.there, lost=event.lost, joined=event.joined)

    def on_batch(self, event: BatchFinished, /) -> None:
        """Write the event: ``batch``, of places; or ``captions``, of patches."""
        super().on_batch(event)
        result, is_captions = event.result, isinstance(event, CaptionsFinished)
        counts: dict[str, Any] = {n: getattr(result, n) for n in ("places", "rows", "bytes_written")}
        left = self.left_s()
        logs.emit(
            "captions" if is_captions else "batch",
            index=result.index,
            done=self.done,
            to_do=event.to_do,
            **{"patches" if result.of_patches else "chips": result.tiles},
            elapsed_s=round(time.monotonic() - self._began_s, 1),
            left_s=None if left is None else round(left),
            failures=len(result.failures),
            rejects=dict(result.rejects),
            left_out=dict(result.left_out),
            bytes_read=result.network.get("bytes", 0),
            bytes_read_local=result.network.get("local bytes", 0),
            workers=None if self.there < 0 else self.there,
            **counts,
        )


@contextmanager
def tile_progress() -> Iterator[Callback]:
    """Show a bar of tiles; where there is no terminal, print lines that are at least a second apart."""
    if logs.is_json() or not _can_move():
        yield TileLines()
        return
    columns = (TextColumn("tiles"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("elapsed"))
    with Bar(*columns, console=console, transient=True) as bar:
        yield TileBar(bar)


class TileLines(Callback):
    """A line with the number of saved tiles, at most every second, and one at the end."""

    def __init__(self) -> None:
        self._printed_s = -math.inf

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Print a line if the last one is old enough, or if all tiles are saved."""
        if event.done == event.total or time.monotonic() - self._printed_s >= _LINES_APART_S:
            note(counted_of(event.done, event.total, "tile"))
            self._printed_s = time.monotonic()


class TileBar(Callback):
    """A bar of tiles."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._task = bar, bar.add_task("tiles", total=None)

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Advance the bar."""
        self._bar.update(self._task, completed=event.done, total=event.total)
