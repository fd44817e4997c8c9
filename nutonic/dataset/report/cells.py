"""Chips in a notebook's cell: HTML without a script, that does not act whatever a label or a caption says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import jinja2

from nutonic.core.model import Json

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
