"""By what cloud is judged, in a line: tile by tile where scenes have a classification, else by their items' figure."""

from __future__ import annotations

from collections.abc import Iterable

from nutonic.core.model import Scene
from nutonic.core.units import counted_of
from nutonic.inert import inert
from nutonic.recipe.outputs import Quality

_ALONE = "cloud is judged by the item's figure alone"


def judging(quality: Quality, ranked: Iterable[tuple[Scene, ...]]) -> str:
    """By what the scenes that a plan may use are judged."""
    meaning = quality.classification
    if meaning is None:
        return f"{_ALONE}: quality.classes is null"
    scenes = {scene for some in ranked for scene in some}
    without = {scene for scene in scenes if not scene.has(meaning.asset)}
    if without == scenes:
        return f"{_ALONE}: no scene has {meaning.asset}"
    told = f"cloud is judged tile by tile, by {meaning.asset}"
    if not without:
        return told
    first = inert(min(scene.id for scene in without))
    lacking = counted_of(len(without), len(scenes), "scene", verb=("that lacks", "that lack"))
    return f"{told}; of {lacking} it by the item's figure alone, such as {first:.80}"
