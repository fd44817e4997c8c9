"""Which captions a patch gets: of an area or of a line, and how many times in other words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from nutonic.chips.scene.description import Described, SceneDescription, Task
from nutonic.chips.scene.policy import TagPolicy
from nutonic.recipe.annotation import Captions

#: A line that so many others lie beside that are called the same, as a track among tracks, is not told from them.
_ALIKE = 3


def choose(description: SceneDescription, captions: Captions, policy: TagPolicy) -> tuple[Task, ...]:
    """The tasks of a patch: its first caption, then its revisions; the same for the same seed and patch.

    Of the largest areas, those that are seen come before those that are a use of land, which a picture suggests; of the
    longest lines those that can be told apart before one of many that run beside each other.

    Parameters
    ----------
    description
        The patch.
    captions
        What counts as large or long, the chances of either task, and those of each number of revisions.
    policy
        What a picture shows, and what it suggests.

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
    among = (areas if by_area else lines)[: captions.among]
    seen = [each for each in among if _is_told_apart(each, description, policy)]
    if not seen and not by_area:  # of lines of which none is told from others an area tells more
        seen = [each for each in areas[: captions.among] if _is_told_apart(each, description, policy)]
        by_area = bool(seen)
    chosen = _one_of(seen or among, draw)
    numbers = sorted(captions.revisions)
    chances = np.array([captions.revisions[number] for number in numbers])
    count = numbers[int(draw.choice(len(numbers), p=chances / chances.sum()))]
    first = Task(number=1 if by_area else 2, element=chosen.element)
    return (first, *(Task(number=3, element=chosen.element, index=k) for k in range(count)))


def _is_told_apart(each: Described, description: SceneDescription, policy: TagPolicy) -> bool:
    """Whether a picture shows an area as what it is called, or a line as another one than those beside it."""
    if each.kind == "area":
        return not policy.is_implied(dict(each.tags))
    if each.orientation is None:
        return True
    others = (other for other in description.elements if other.kind == "line" and other.noun == each.noun)
    beside = (
        other
        for other in others
        if other is not each and other.orientation == each.orientation and not set(other.cells).isdisjoint(each.cells)
    )
    return sum(1 for _ in beside) < _ALIKE


def _draws(seed: int, patch_id: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(patch_id.encode()).digest()])


def _one_of(among: Sequence[Described], draw: np.random.Generator) -> Described:
    return among[int(draw.integers(len(among)))]
