"""What a report tells, before it is put on a page: tables, histograms, cards of chips, rows to be judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nutonic.core.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table."""

    text: str
    share: float | None = None
    """Length of the bar behind a number, 0 to 1."""
    colour: str | None = None
    """``"#rrggbb"`` of a patch before the text."""
    number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells; the first cell of each names its row."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "none"
    """What is told where there are no rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts in bins of equal width."""

    caption: str
    low: float
    high: float
    """Where the first bin begins and the last one ends."""
    counts: tuple[int, ...]
    percent: bool = True
    """Whether the axis is of shares, told in percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A sentence between tables."""

    text: str
    warns: bool = False


Block = Table | Histogram | Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page with a heading."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Where places lie."""

    lon: Sequence[float]
    lat: Sequence[float]
    """Degrees, WGS 84."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Chips that can be looked at."""

    cards: tuple[Json, ...]
    of: int
    """How many chips there are."""
    filters: tuple[tuple[str, str], ...]
    """Key of a card, and the name of the filter over it."""
    noun: tuple[str, str] = ("chip", "chips")
    """Of one, of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows to be judged, drawn at random."""

    rows: tuple[Json, ...]
    of: int
    """How many rows there are."""
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of how much a page tells, so that it stays light; beyond these, samples are drawn."""

    cards: int = 600
    """Chips in the gallery."""
    rows: int = 200
    """Rows to be judged."""
    sidecars: int = 4000
    """Sidecars that are read for histograms."""
    places: int = 1000
    """Places whose rows are read for wordings."""
    picture_bytes: int = 12_000_000
    """Bytes of the page that pictures take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a page shows."""

    name: str
    kind: str
    """``"chips"`` or ``"patches"``."""
    state: str
    """A sentence: whether the tree is whole."""
    complete: bool
    figures: tuple[tuple[str, str], ...]
    """The numbers at the top: what, and how many."""
    places: Mapping[str, Dots]
    """By split; ``"not built"`` for those that no commit names."""
    sections: tuple[Section, ...]
    gallery: Gallery
    sample: Sample | None
    """None on a page that is a preview."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """``data:`` addresses by the names that cards and rows use."""
    recipe: str
    digest: str
    """Of the recipe, hex; judgements are kept by it."""


def number(value: float) -> str:
    """A whole number with thousands apart."""
    return f"{value:,.0f}"


def text(value: str) -> Cell:
    """A cell of words."""
    return Cell(text=value)


def count(value: int, share: float | None = None) -> Cell:
    """A cell of a number."""
    return Cell(text=number(value), share=share, number=True)


def percent(share: float | None) -> Cell:
    """A cell of a share with a bar; nothing where there is none."""
    return Cell(text="" if share is None else f"{share:.1%}", share=share, number=True)
