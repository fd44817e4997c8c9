"""What a card says of stills: how many there are, of what, and what their server's terms want to be said. Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nutonic.core.catalogs import MAPBOX
from nutonic.core.units import counted
from nutonic.inert import markdown_code, markdown_text

if TYPE_CHECKING:  # a card that is only looked at needs no client
    from nutonic.sources.stills.service import Stills


def provenance(stills: Stills, count: int) -> str:
    """Where the stills of a tree come from, in a line of a list."""
    what = markdown_code(stills.style) if "{style}" in stills.url else "static maps"
    side = f", {stills.side} × {stills.side} pixels" if stills.side is not None else ""
    whose = f"{markdown_text(stills.service)}{' Static Images API' if stills.is_mapbox else ''}"
    number = counted(count, "still")
    text = f"- Overhead context: {number} of {what} around the places, zoom {stills.zoom:g}{side}, from {whose}"
    return f"{text}: {attribution(stills)}" if stills.attribution else text


def licence(stills: Stills) -> str:
    """What must be known of stills by whoever keeps them, in a paragraph."""
    terms = f" ({MAPBOX.terms})" if stills.is_mapbox else ""
    said = f"wherever one is shown, this must be said: {attribution(stills)}."
    return (
        f"Stills are under the terms of {markdown_text(stills.service)}{terms}, which may limit keeping them, handing them\n"
        f"on and training with them; {said if stills.attribution else 'the recipe names no attribution.'}"
    )


def attribution(stills: Stills) -> str:
    """What must be said wherever a still is shown; nothing where that is not known."""
    improve = f" ([Improve this map]({MAPBOX.improve}))" if stills.is_mapbox else ""
    return f"{markdown_text(stills.attribution)}{improve}" if stills.attribution else ""
