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
    whose = f"{markdown_text(stills.service)}{'' if not stills.at_mapbox else ' Static Images API'}"
    return (
        f"- Overhead context: {count:,} {kind} of {what} around the places, zoom {stills.zoom:g}{side}, from {whose}: "
        f"{_attribution(stills)}\n"
    )


def layout_of_stills(spec: BuildSpec) -> str:
    """The card's line on where stills lie."""
    return f"- `{STILLS}/`: an overhead still of each place, PNG or JPEG as it was delivered\n" if spec.stills else ""


def licence_of_stills(spec: BuildSpec) -> str:
    """The card's paragraph on what may be done with stills, behind an empty line."""
    if spec.stills is None:
        return ""
    terms = f" ({MAPBOX.terms})" if spec.stills.at_mapbox else ""
    whose = markdown_text(spec.stills.service)
    return (
        f"\nStills are under the terms of {whose}{terms}, which may limit keeping them, handing them on and training\n"
        f"with them; wherever one is shown, this must be said: {_attribution(spec.stills)}.\n"
    )


def _attribution(stills: Stills) -> str:
    """What must be said wherever a still is shown."""
    if stills.at_mapbox:
        return f"{MAPBOX.attribution} ([Improve this map]({MAPBOX.improve}))"
    return markdown_text(stills.attribution) if stills.attribution else "as its terms demand"
