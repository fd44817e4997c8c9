"""Which captions a patch gets: of an area or of a line, and how many times in other words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from nutonic.chips.scene.description import Described, SceneDescription, Task
from nutonic.recipe.annotation import Captions


def choose(description: SceneDescription, captions: Captions) -> tuple[Task, ...]:
    """The tasks of a patch: its first caption, then its revisions; the same for the same seed and patch.

    Parameters
    ----------
    description
        The patch.
    captions
        What counts as large or long, the chances of either task, and those of each number of revisions.

    Returns
    -------
    tuple of Task
        None if no area is large and no line long enough.
    """
    areas = [each for each in description.elements if (each.share or 0.0) > captions.min_area_share]
    least = captions.min_line_share * description.side_m
    lines = [each for each in description.elements if (each.length_m or 0.0) > least]
    if not areas and not lines:
        return ()
    draw = _draws(captions.seed, description.patch_id)
    by_area = draw.random() < captions.area_weight if areas and lines else bool(areas)
    chosen = _one_of((areas if by_area else lines)[: captions.among], draw)
    numbers = sorted(captions.revisions)
    chances = np.array([captions.revisions[number] for number in numbers])
    count = numbers[int(draw.choice(len(numbers), p=chances / chances.sum()))]
    first = Task(number=1 if by_area else 2, element=chosen.element)
    return (first, *(Task(number=3, element=chosen.element, index=k) for k in range(count)))


def _draws(seed: int, patch_id: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(patch_id.encode()).digest()])


def _one_of(among: Sequence[Described], draw: np.random.Generator) -> Described:
    return among[int(draw.integers(len(among)))]
