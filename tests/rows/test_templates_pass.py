"""What a template says of a patch passes the gate: every wording, of every kind of thing, whatever their tags are called."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import cache

import pytest
from support.landscapes import world
from support.scenes import area, line

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
        lines = [each for each in scene.elements if each.kind == "line"]
        for few in (scene.elements[:2], lines[:2], (scene.elements[0], *lines[:1])):  # more is told of each of few
            little = replace(scene, elements=tuple(few))
            said = told(little, range(8))
            texts += [text for _, text in said]
            wrong += rejected(little, said)
    assert wrong == []
    every = " ".join(texts)
    sentences = [wording for each in templates.EVERY for wording in each if wording.endswith(".")]
    unseen = [wording for wording in sentences if not any(said_by(text, wording) for text in texts)]
    pictures = [word for word in (*templates.PICTURES,) if word not in every]
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


# What no template says


def buildings() -> SceneDescription:
    """A lake, plain buildings, apartment buildings, a church, platforms of two names, and crossings."""
    shapes = [("lake", "area"), *[("building", "area")] * 2, *[("apartment building", "area")] * 3, ("church", "area"),
              ("platform", "area"), *[("railway platform", "area")] * 2, *[("pedestrian crossing", "line")] * 3]  # fmt: skip
    found = [
        area(f"way/{k}", noun, "north", share=0.3 - k / 50)
        if kind == "area"
        else line(f"way/{k}", noun, ("north", "centre"), "north", length=20.0, course="straight")
        for k, (noun, kind) in enumerate(shapes)
    ]
    tagged = (replace(each, tags=(("building", "yes"),)) if 0 < k < 7 else each for k, each in enumerate(found))
    return SceneDescription(patch_id="town", side_m=268.8, elements=tuple(tagged))


def test_one_kind_of_thing_has_one_name_in_a_caption():
    scene = buildings()
    texts = [
        template_caption(scene, Task(number=1, element=key), None, CAPTIONS, seed)
        for key in ("way/0", "way/1", "way/3")
        for seed in range(40)
    ]
    assert [text for text in texts if re.search(r"\bbuildings\b", text)]
    for text in texts:
        of_lake = not re.search("building (?:lies|in|of)|building takes|apartment", text.split(".")[0])
        assert not (of_lake and "apartment building" in text), text
        assert "church" not in text, "it is counted among the buildings, and told no second time"
        assert "railway platform" not in text
        assert "stretch of pedestrian crossing" not in text
        assert "stretches of pedestrian crossing" not in text
    assert any("six buildings" in text.lower() for text in texts), "the church is one of them"
    assert any("pedestrian crossings" in text for text in texts)
    every = [(Task(number=1, element="way/0"), text) for text in texts[:40]]
    assert rejected(scene, every) == []


@pytest.mark.long
def test_a_picture_has_one_name_and_nothing_is_claimed_that_nobody_looked_for():
    for number in range(12):
        for _, text in told(planted(number), range(5)):
            called = set(
                re.findall(r"\b(image|picture|photograph|view|scene)\b(?! for| over|\.$)", text.replace("in view", ""))
            )
            assert len(called) <= 1, text
            assert "photograph" not in text
            assert not re.search(r"followed|traced|drawn out|[Ii]n between it", text), text
