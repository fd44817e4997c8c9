"""Statistics as pictures, for a dataset's card: PNG whose bytes are those of the numbers, and tell neither time nor maker.

Matplotlib draws them (extra ``notebook``), by its own defaults whatever a user's are. Others' words are drawn as they are:
no dollar makes them formulas, and what the font does not have is written as a code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from nutonic.core.classes import PALETTE
from nutonic.core.units import counted
from nutonic.dataset.shards.statistics import Lengths, Statistics
from nutonic.errors import as_installed
from nutonic.inert import inert

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What is told where there are no figures.
MISSING = as_installed("figures are left out: they need a package, pip install 'nutonic[notebook]'")

#: What tasks are called in figures and tables.
TASKS: Mapping[int, str] = {1: "1: area", 2: "2: line", 3: "3: revision"}

_DPI, _LETTERS, _TAGS, _ANNOTATORS = 120, 44, 25, 6

#: From so many captions in a cell on, colours are of the logarithm.
_MANY = 20

#: Bars of annotators; the last colour is of all others together. The palette without yellow and white, which paper swallows.
_COLOURS = (*(PALETTE[k] for k in (4, 0, 2, 6, 1, 5)), "#888888")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was drawn."""

    files: Mapping[str, bytes]
    """PNG by name, such as ``tasks.png``, in the order of a card."""
    note: str | None = None
    """What is to be told, where nothing was drawn."""


def figures(statistics: Statistics) -> Figures:
    """Draw the figures of a dataset; without matplotlib there are none, and `note` says so. None are of no caption."""
    try:
        import matplotlib.figure  # noqa: F401 - it takes a second, and most never draw
    except ImportError:
        return Figures(files={}, note=MISSING)
    if not statistics.total:
        return Figures(files={})
    drawn: dict[str, Callable[[Statistics], Figure]] = {
        "tasks.png": _tasks,
        "lengths.png": _lengths,
        "tags.png": _tags,
        "density.png": _density,
    }
    if not statistics.tags.top:
        del drawn["tags.png"]
    with _plain():
        return Figures(files={name: _png(draw(statistics)) for name, draw in drawn.items()})


@contextmanager
def _plain() -> Iterator[None]:
    """Matplotlib as it comes, whatever a user's settings are; letters are no formulas."""
    import matplotlib as mpl

    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    with mpl.rc_context(defaults):
        mpl.rcParams.update(
            {
                "text.parse_math": False,
                "font.family": "DejaVu Sans",
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.axisbelow": True,
                "axes.formatter.use_mathtext": False,
            }
        )
        yield


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _new(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    return figure, figure.subplots()


def label(text: str) -> str:
    """Others' words for a figure: on one line, not too long, in letters that its font has."""
    from matplotlib import font_manager

    known = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    shown = "".join(c if ord(c) in known else c.encode("unicode_escape").decode() for c in inert(text))
    return shown if len(shown) <= _LETTERS else f"{shown[: _LETTERS - 1]}…"


def _captions(number: int) -> str:
    return counted(number, "caption")


def _tasks(statistics: Statistics) -> Figure:
    crossed = statistics.by_task_and_annotator()
    tasks = list(statistics.by_task())
    names = sorted({name for _, name in crossed}, key=lambda name: (-_of(crossed, name), name))
    groups = [(label(name), [name]) for name in names[:_ANNOTATORS]]
    if names[_ANNOTATORS:]:
        groups.append((f"{len(names) - _ANNOTATORS} others", names[_ANNOTATORS:]))
    height = 0.8 / len(groups)
    figure, axes = _new(8, 1.6 + len(tasks) * max(0.6, 0.3 * len(groups)))
    most = 0
    for k, (name, members) in enumerate(groups):
        values = [sum(crossed.get((task, member), 0) for member in members) for task in tasks]
        most = max(most, *values)
        at = np.arange(len(tasks)) + (k - (len(groups) - 1) / 2) * height
        bars = axes.barh(at, values, height * 0.92, label=name, color=_COLOURS[k if k < _ANNOTATORS else -1])
        shares = [f" {value:,} ({100 * statistics.share(value):.1f}%)" if value else "" for value in values]
        axes.bar_label(bars, shares, fontsize=8)
    axes.set_yticks(range(len(tasks)), [TASKS.get(task, str(task)) for task in tasks])
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    _across(axes, "captions", most, room=1.28)
    axes.set_ylabel("task")
    axes.set_title(f"Captions by task and annotator ({_captions(statistics.total)})")
    columns = 3 if max(len(name) for name, _ in groups) <= 24 else 2
    figure.legend(
        loc="outside lower center", ncols=min(columns, len(groups)), frameon=False, title="annotator", fontsize=8
    )
    return figure


def _of(crossed: Mapping[tuple[int, str], int], name: str) -> int:
    return sum(count for (_, annotator), count in crossed.items() if annotator == name)


def _across(axes: Axes, what: str, most: int, room: float) -> None:
    """An axis of whole numbers from zero, along the bottom."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.set_xlim(0, most * room)
    axes.set_xlabel(what)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)


def _lengths(statistics: Statistics) -> Figure:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    found = dict(statistics.lengths)
    most = max(words for each in found.values() for words, _ in each.counts)
    step = max(1, -(-(most + 1) // 60))
    figure, _ = _new(8, 1.2 + 1.7 * len(found))
    figure.clear()
    rows: Any = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (task, each) in zip(rows, found.items(), strict=True):
        edges, heights = _binned(each, most, step)
        axes.bar(edges - 0.5, heights, step, align="edge", color=_COLOURS[0], edgecolor="white", linewidth=0.5)
        axes.axvline(each.mean, color=_COLOURS[1], linewidth=1.5)
        axes.set_title(
            f"task {TASKS.get(task, str(task))} · {_captions(each.captions)} · mean {each.mean:.1f} (line), "
            f"median {each.median:g} words",
            fontsize=9,
            loc="left",
        )
        axes.set_ylabel("captions")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    rows[-1].set_xlabel("words in a caption" + (f" (bars of {step} words)" if step > 1 else ""))
    rows[-1].set_xlim(-0.5, (most // step + 1) * step - 0.5)
    rows[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True))
    figure.suptitle("Lengths of captions by task")
    return figure


def _binned(lengths: Lengths, most: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower edges of bars of so many words each, and the captions in each."""
    heights = np.zeros(most // step + 1, np.int64)
    for words, count in lengths.counts:
        heights[words // step] += count
    return np.arange(len(heights)) * step, heights


def _tags(statistics: Statistics) -> Figure:
    top = statistics.tags.top[:_TAGS]
    figure, axes = _new(8, 1.4 + 0.26 * len(top))
    values = [count for _, count in top]
    bars = axes.barh(range(len(top)), values, 0.75, color=_COLOURS[0])
    axes.bar_label(bars, [f" {value:,}" for value in values], fontsize=8)
    axes.set_yticks(range(len(top)), [label(tag) for tag, _ in top], fontsize=8)
    axes.set_ylim(len(top) - 0.4, -0.6)
    _across(axes, "elements that captions speak of", max(values), room=1.14)
    axes.set_title(f"Tags of OpenStreetMap by frequency ({len(top)} of {statistics.tags.different:,})")
    return figure


def _density(statistics: Statistics) -> Figure:
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    density = statistics.density
    columns, rows, counts = (np.array(values) for values in zip(*density.cells, strict=True))
    low = int(rows.min())
    grid = np.zeros((int(rows.max()) - low + 1, int(columns.max()) + 1))
    grid[rows - low, columns] = counts
    west, south = density.corner(0, low)
    east, north = density.corner(grid.shape[1], low + len(grid))
    most = grid.max()
    figure, axes = _new(8, 6)
    mesh = axes.pcolormesh(
        np.linspace(west, east, grid.shape[1] + 1),
        np.linspace(south, north, grid.shape[0] + 1),
        np.ma.masked_equal(grid, 0),
        norm=LogNorm(1, most) if most >= _MANY else Normalize(0, most),
        cmap="viridis",
    )
    _framed(axes, density.side, (west, south, east, north))
    for axis, words in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _, words=words: _degrees(value, words)))
    axes.set_xlabel("longitude (WGS 84)")
    axes.set_ylabel("latitude (WGS 84)")
    ticks = LogLocator(10, (1, 2, 5)) if most >= _MANY else MaxNLocator(5, integer=True)
    bar = figure.colorbar(
        mesh, ax=axes, shrink=0.8, ticks=ticks, format=FuncFormatter(lambda value, _: f"{value:,.0f}")
    )
    bar.set_label(f"captions per cell{' (logarithmic)' if most >= _MANY else ''}")
    bar.ax.minorticks_off()
    axes.set_title(f"Where captions are ({_captions(statistics.total)}; cells of {density.side:.3g}°)")
    return figure


def _framed(axes: Axes, side: float, extent: tuple[float, float, float, float]) -> None:
    """A frame around an extent in degrees that is never a thin strip, with a kilometre as long upward as across."""
    west, south, east, north = extent
    upward = 1 / max(0.05, float(np.cos(np.radians((south + north) / 2))))
    across, along = max(east - west, 6 * side), max((north - south) * upward, 6 * side)
    wide, high = max(across, along / 2) + 2 * side, (max(along, across / 2) + 2 * side) / upward
    axes.set_xlim((west + east - wide) / 2, (west + east + wide) / 2)
    axes.set_ylim(max(-90.0, (south + north - high) / 2), min(90.0, (south + north + high) / 2))
    axes.set_aspect(upward)
    axes.set_facecolor("#f2f2f2")
    axes.grid(color="white", linewidth=0.8)


def _degrees(value: float, words: str) -> str:
    """``121.5° W``; a longitude beyond 180 comes round."""
    if words == "EW" and value > 180:
        value -= 360
    name = "" if not value else f" {words[0] if value > 0 else words[1]}"
    return f"{abs(value):.7g}°{name}"
