"""Chips and rows, looked at in a notebook: their pictures with boxes, captions and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from nutonic.core.model import Chip as CutChip
from nutonic.core.model import Json
from nutonic.dataset.reading import Chip, Chips, Dataset, Row
from nutonic.dataset.report.cells import Cells, bare_card, chip_card, row_card
from nutonic.dataset.report.drawing import data_url_of

#: Most things that are looked at.
_MOST = 24


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


def _several(what: Any) -> list[Any]:
    if isinstance(what, str | bytes | Mapping) or not isinstance(what, Iterable | Dataset | Chips):
        raise _unknown(what)
    return list(islice(what, _MOST))


def _unknown(what: Any) -> TypeError:
    return TypeError(
        f"nt.show takes chips and rows, of nt.open_dataset or nt.cut_chips, and got a {type(what).__name__}"
    )


def _card(what: Any, number: int, pictures: dict[str, str]) -> Json:
    if isinstance(what, tuple) and len(what) == 2:  # of nt.cut_chips: a tile, and its chip or why there is none
        what = what[1]
    if isinstance(what, Chip):
        return chip_card(what, pictures)
    if isinstance(what, Row):
        return row_card(what, pictures)
    if isinstance(what, CutChip):
        name = f"chip {number}"
        pictures[name] = data_url_of(what.rgb)
        return bare_card(name, f"{what.valid_fraction:.1%} of its imagery valid")
    if hasattr(what, "reason") and hasattr(what, "detail"):
        return bare_card(f"no chip {number}", f"{what.reason}: {what.detail}")
    raise _unknown(what)
