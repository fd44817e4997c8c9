"""What a template says of a patch passes the gate: every wording, of every kind of thing, whatever their tags are called."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import cache

import pytest
from support.landscapes import world

from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.description import Described, SceneDescription, Task
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation import templates
from nutonic.rows.annotation.captions import template_caption
from nutonic.rows.annotation.gate import Gate

POLICY, CAPTIONS = parse(builtin("tags")["text"]), Captions()
NOUNS = frozenset(noun for noun in POLICY.nouns.values() if noun is not None)

#: Tags of which a word may stand in any sentence, as what a path is made of is what a park has.
TAGS = {
    "surface": ("ground", "wood", "grass", "earth", "rock", "sand", "paving_stones", "metal", "clay", "artificial_turf",
                "tartan", "asphalt", "concrete:plates", "unpaved", "compacted", "stepping_stones", "cobblestone", "gravel"),
    "sport": ("multi", "long_jump", "running", "table_tennis", "soccer;basketball", "free_flying", "10pin", "scuba_diving"),
    "crop": ("grass", "wheat", "field_cropland", "rice"),
    "trees": ("apple_trees", "oil_palms", "orange_trees"),
    "leaf_type": ("broadleaved", "needleleaved", "mixed", "leafless"),
    "material": ("stone", "wood", "ground", "steel", "brick"),
    "produce": ("wood", "fruit", "water"),
}  # fmt: skip
#: Words of sentences and of measures, as a map may use any of them for a value.
COMMON = sorted(word for word in templates.of_templates() if len(word) > 3)


@cache
def planted(seed: int) -> SceneDescription:
    there = world(seed)
    return describe(there.elements, there.grid, POLICY, patch_id=f"world-{seed}")


def disguised(scene: SceneDescription, seed: int) -> SceneDescription:
    """The same patch, with other things in place of each kind, and tags of any word."""
    picked = random.Random(f"{seed} {scene.patch_id}")
    names: dict[str, str] = {}
    for each in scene.elements:
        names.setdefault(each.noun, picked.choice(sorted(NOUNS - set(names.values()))))

    def with_tags(each: Described) -> Described:
        keys = picked.sample(sorted(TAGS), 2)
        tags = {key: picked.choice((*TAGS[key], picked.choice(COMMON))) for key in keys}
        return replace(each, noun=names[each.noun], tags=tuple(sorted((dict(each.tags) | tags).items())))

    return replace(scene, elements=tuple(map(with_tags, scene.elements)))


def told(scene: SceneDescription, seeds: range) -> list[tuple[Task, str]]:
    """A caption and a revision of each thing that is large or long enough, for each seed."""
    found = []
    for each in scene.elements:
        number = 1 if (each.share or 0.0) > 0.02 else 2 if (each.length_m or 0.0) > 0.2 * scene.side_m else 0
        for task in (Task(number=number, element=each.element), Task(number=3, element=each.element)) if number else ():
            found += [
                (task, template_caption(scene, task, None, CAPTIONS, seed, from_space=seed % 5 == 4)) for seed in seeds
            ]
    return found


def rejected(scene: SceneDescription, said: list[tuple[Task, str]]) -> list:
    gate = Gate(scene, CAPTIONS, nouns=NOUNS)
    found = ((gate.problem_of(text, task), text) for task, text in said)
    return [(*problem, text) for problem, text in found if problem is not None and problem[0] != "too short"]


def said_by(text: str, wording: str) -> bool:
    """Whether a sentence of a text is in this wording."""
    slots = re.sub(r"\\\{\w+\\\}", "(?:.+?)", re.escape(wording))
    return re.search(rf"(?:^|(?<=\. )){slots}(?:$| )", text) is not None


@pytest.mark.long
def test_every_wording_passes_the_gate():
    texts, wrong = [], []
    for number in range(24):
        scene = planted(number)
        said = told(scene, range(5))
        texts += [text for _, text in said]
        wrong += rejected(scene, said)
    assert wrong == []
    every = " ".join(texts)
    sentences = [wording for each in templates.EVERY for wording in each if wording.endswith(".")]
    unseen = [wording for wording in sentences if not any(said_by(text, wording) for text in texts)]
    pictures = [word for word in (*templates.PICTURES, *templates.SHORT) if word not in every]
    assert pictures == []
    assert set(unseen) <= set(templates.SHORES)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_whatever_things_are_called_and_made_of(seed):
    wrong = []
    for number in range(4 * seed, 4 * seed + 4):
        scene = disguised(planted(number), seed)
        wrong += rejected(scene, told(scene, range(2)))
    assert wrong == []
