"""Chips in a notebook's cell: HTML without a script, that does not act whatever a label or a caption says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import jinja2

from nutonic.core.model import Json
from nutonic.dataset.report import cards
from nutonic.dataset.report.drawing import data_url
from nutonic.errors import NutonicError
from nutonic.inert import inert

if TYPE_CHECKING:
    from nutonic.core.classes import ClassTable

#: Most chips and rows that a cell shows.
_CHIPS, _ROWS = 24, 40


def notebook_html(cards: Sequence[Json], pictures: Mapping[str, str], title: str = "") -> str:
    """Chips side by side, with boxes, captions and rows; what is left out is said.

    Parameters
    ----------
    cards
        As :func:`nutonic.dataset.report.cards.card` makes them.
    pictures
        ``data:`` addresses by the names that cards use.
    title
        A line above.
    """
    more = max(0, len(cards) - _CHIPS)
    return _template().render(cards=cards[:_CHIPS], pictures=pictures, title=title, more=more, most=_ROWS)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nutonic.dataset.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("cells.html.jinja")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Cells:
    """What a cell shows: pictures in a notebook, a line for each elsewhere."""

    cards: tuple[Json, ...]
    pictures: Mapping[str, str]
    """``data:`` addresses by the names that cards use."""

    def __repr__(self) -> str:
        return "\n".join(f"{card['id']}: {card['caption']}" for card in self.cards) or "nothing to show"

    def _repr_html_(self) -> str:
        return notebook_html(self.cards, self.pictures)


class SeenRow(Protocol):
    """A row of a tree, as far as it is shown."""

    split: str

    @property
    def images(self) -> tuple[str, ...]:
        """Paths of its pictures."""

    @property
    def table(self) -> ClassTable:
        """What class ids mean."""

    def file_bytes(self, image: str, /) -> bytes:
        """One of its pictures."""

    def keys(self) -> Sequence[str]:
        """Its keys: ``dict(row)`` is the row as it stands in its file."""

    def __getitem__(self, key: str, /) -> Any: ...


class SeenChip(Protocol):
    """A chip of a tree, as far as it is shown."""

    path: str

    @property
    def sidecar(self) -> Json:
        """All that is known of it."""

    @property
    def table(self) -> ClassTable:
        """What class ids mean."""

    def file_bytes(self) -> bytes:
        """Its picture."""

    @property
    def rows(self) -> Iterable[SeenRow]:
        """The rows about it."""


#: Makes a card, and puts its picture among those that it is given.
Card = Callable[[dict[str, str]], Json]


def html_of(card: Card) -> str | None:
    """One chip or row as a notebook shows it; None where its files cannot be read."""
    pictures: dict[str, str] = {}
    try:
        return notebook_html([card(pictures)], pictures)
    except (NutonicError, OSError):
        return None


def chip_card(chip: SeenChip, pictures: dict[str, str]) -> Json:
    """A chip with its boxes, its caption and its rows."""
    pictures[chip.path] = data_url(chip.file_bytes())
    return cards.card(chip.path, chip.sidecar, [dict(row) for row in chip.rows], chip.table)


def row_card(row: SeenRow, pictures: dict[str, str]) -> Json:
    """A row under its last picture, which its boxes are about, with the boxes of its answer."""
    image = row.images[-1]
    pictures[image] = data_url(row.file_bytes(image))
    told = cards.row_of(dict(row))
    boxes = cards.coloured(told["boxes"], row.table)
    return {
        **bare_card(told["id"], told["prompt"]),
        "picture": image,
        "split": row.split,
        "boxes": boxes,
        "rows": [told],
    }


def bare_card(name: str, caption: str) -> Json:
    """A card with a line of words alone."""
    return {"id": name, "picture": name, "split": "", "caption": inert(caption), "shares": [], "boxes": [], "rows": []}
