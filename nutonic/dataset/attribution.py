"""What the card says of stills: how many there are, of what, and what their server's terms want to be said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nutonic.core.catalogs import MAPBOX
from nutonic.inert import markdown_code, markdown_text
from nutonic.planning.layout import STILLS

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec
    from nutonic.sources.stills.service import Stills


def provenance_of_stills(spec: BuildSpec, count: int) -> str:
    """The card's line on where stills come from, with its end of line; nothing where a recipe wants none."""
    if spec.stills is None:
        return ""
    stills, kind = spec.stills, "still" if count == 1 else "stills"
    what = markdown_code(stills.style) if "{style}" in stills.url else "static maps"
    side = f", {stills.side} × {stills.side} pixels" if stills.side is not None else ""
    whose = f"{markdown_text(stills.service)}{' Static Images API' if stills.is_mapbox else ''}"
    text = f"- Overhead context: {count:,} {kind} of {what} around the places, zoom {stills.zoom:g}{side}, from {whose}"
    said = _attribution(stills)
    return f"{text}: {said}\n" if said else f"{text}\n"


def layout_of_stills(spec: BuildSpec) -> str:
    """The card's line on where stills lie."""
    return f"- `{STILLS}/`: an overhead still of each place, PNG or JPEG as it was delivered\n" if spec.stills else ""


def licence_of_stills(spec: BuildSpec) -> str:
    """The card's paragraph on what may be done with stills, behind an empty line."""
    if spec.stills is None:
        return ""
    terms = f" ({MAPBOX.terms})" if spec.stills.is_mapbox else ""
    whose, said = markdown_text(spec.stills.service), _attribution(spec.stills)
    told = f"wherever one is shown, this must be said: {said}." if said else "the recipe names no attribution."
    return (
        f"\nStills are under the terms of {whose}{terms}, which may limit keeping them, handing them on and training\n"
        f"with them; {told}\n"
    )


def _attribution(stills: Stills) -> str:
    """What must be said wherever a still is shown; nothing where that is not known."""
    improve = f" ([Improve this map]({MAPBOX.improve}))" if stills.is_mapbox else ""
    return f"{markdown_text(stills.attribution)}{improve}"
