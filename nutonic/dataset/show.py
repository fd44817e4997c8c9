"""Chips and rows, looked at in a notebook: their pictures with boxes, captions and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nutonic.core.model import Chip as CutChip
from nutonic.core.model import Json
from nutonic.dataset.reading import Chip, Chips, Dataset, Row
from nutonic.dataset.report import cards
from nutonic.dataset.report.cells import notebook_html
from nutonic.dataset.report.drawing import data_url, data_url_of
from nutonic.errors import NutonicError
from nutonic.inert import inert

#: Most things that are looked at.
_MOST = 24


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Cells:
    """What :func:`show` shows: pictures in a notebook, a line for each elsewhere."""

    cards: tuple[Json, ...]
    pictures: Mapping[str, str]
    """``data:`` addresses by the names that cards use."""

    def __repr__(self) -> str:
        return "\n".join(f"{card['id']}: {card['caption']}" for card in self.cards) or "nothing to show"

    def _repr_html_(self) -> str:
        return notebook_html(self.cards, self.pictures)


def show(what: Any) -> Cells:
    """Chips or rows with their pictures, boxes and words, for the eye.

    In a notebook the last expression of a cell is shown: ``nt.show(dataset[:6])``. Elsewhere in a cell, use
    ``display(nt.show(chip))``.

    Parameters
    ----------
    what
        A chip or a row of :func:`nutonic.open_dataset`, a chip of :func:`nutonic.cut_chips`, or several of them: a list, a
        dataset, an iterator. Of many the first 24 are shown.

    Raises
    ------
    TypeError
        If it is anything else.
    Corrupt
        If a picture or a sidecar cannot be read.
    """
    found = [what] if isinstance(what, Row | Chip | CutChip) else _several(what)
    cells, pictures = list[Json](), dict[str, str]()
    for number, each in enumerate(found):
        cells.append(_card(each, number, pictures))
    return Cells(cards=tuple(cells), pictures=pictures)


def html_of(shown: object) -> str | None:
    """One chip or row as a notebook shows it; None where its files cannot be read."""
    try:
        return show(shown)._repr_html_()
    except (NutonicError, OSError):
        return None


def _several(what: Any) -> list[Any]:
    if isinstance(what, str | bytes) or not isinstance(what, Iterable | Dataset | Chips):
        raise _unknown(what)
    return list(islice(what, _MOST))


def _unknown(what: Any) -> TypeError:
    return TypeError(
        f"nt.show takes chips and rows, of nt.open_dataset or nt.cut_chips, and got a {type(what).__name__}"
    )


def _card(what: Any, number: int, pictures: dict[str, str]) -> Json:
    if (
        isinstance(what, tuple) and len(what) == 2
    ):  # as nt.cut_chips gives them: a tile, and its chip or why there is none
        what = what[1]
    if isinstance(what, Chip):
        pictures[what.path] = data_url(what.file_bytes())
        return cards.card(what.path, what.sidecar, [dict(row) for row in what.rows], what.table)
    if isinstance(what, Row):
        return _row_card(what, pictures)
    if isinstance(what, CutChip):
        name = f"chip {number}"
        pictures[name] = data_url_of(what.rgb)
        return _bare(name, f"{what.valid_fraction:.1%} of its imagery valid")
    if hasattr(what, "reason") and hasattr(what, "detail"):
        return _bare(f"no chip {number}", f"{what.reason}: {what.detail}")
    raise _unknown(what)


def _row_card(row: Row, pictures: dict[str, str]) -> Json:
    """A row under its last picture, which its boxes are about, with the boxes of its answer."""
    image = row.images[-1]
    pictures[image] = data_url(row.file_bytes(image))
    told = cards.row_of(dict(row))
    boxes = cards.coloured(told["boxes"], row.table)
    return {**_bare(told["id"], told["prompt"]), "picture": image, "split": row.split, "boxes": boxes, "rows": [told]}


def _bare(name: str, caption: str) -> Json:
    return {"id": name, "picture": name, "split": "", "caption": inert(caption), "shares": [], "boxes": [], "rows": []}
