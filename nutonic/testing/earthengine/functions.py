"""All functions of the graph by Earth Engine's names, but those that load assets."""

from __future__ import annotations

from nutonic.testing.earthengine import arithmetic, bands, collecting, masks, plain, reductions
from nutonic.testing.earthengine.expressions import Function

FUNCTIONS: dict[str, Function] = {
    **arithmetic.FUNCTIONS,
    **bands.FUNCTIONS,
    **masks.FUNCTIONS,
    **reductions.FUNCTIONS,
    **collecting.FUNCTIONS,
    **plain.FUNCTIONS,
}
