"""What lies on all sides of a picture, as the sea around an island, lies on none of them: told so, and judged so."""

import pytest
from shapely.geometry import box
from support.plants import SIDE, disc, patch, planted

from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.description import SceneDescription, Task
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions, Lengths
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.captions import template_caption
from nutonic.rows.annotation.gate import problem_of
from nutonic.rows.annotation.phrases import place
from nutonic.rows.annotation.prompts import messages

POLICY = parse(builtin("tags")["text"])
SHORT = Captions(words=Lengths(area=(5, 200), line=(5, 200), revision=(5, 200)))
MIDDLE = SIDE / 2, SIDE / 2
WATER = {"natural": "water", "water": "lake"}
#: A lake around a park, a forest around a lake, and one that fills the picture but for the middle of its south.
SHAPES = {
    "ring": (disc(125, MIDDLE).difference(disc(85, MIDDLE)), WATER, disc(60, MIDDLE), {"leisure": "park"}),
    "forest": (
        box(5, 5, 263, 263).difference(box(80, 80, 200, 180)), {"landuse": "forest"}, box(80.2, 80.2, 199.6, 179.6), WATER,
    ),
    "whole": (box(0, 0, SIDE, SIDE).difference(box(100, 0, 160, 60)), WATER, box(105, 5, 155, 55), {"leisure": "park"}),
}  # fmt: skip


def scene_of(name: str) -> SceneDescription:
    shape, tags, inner, others = SHAPES[name]
    grid = patch()
    elements = [planted(shape, grid, 1, **tags), planted(inner, grid, 2, **others)]
    return describe(elements, grid, POLICY, patch_id=name)


def problem(name: str, text: str):
    return problem_of(text, Task(number=1, element="way/1"), scene_of(name), SHORT)


@pytest.mark.parametrize("name", SHAPES)
def test_models_are_told_the_place_that_templates_tell(name):
    scene = scene_of(name)
    told = messages(scene, Task(number=1, element="way/1"), None, SHORT, builtin("prompts"))[1]["content"].splitlines()
    assert f"- position: {place(scene.of('way/1').cells)} of the picture" in told
    assert not [line for line in told if line.startswith("- reach")]
    inner = messages(scene, Task(number=1, element="way/2"), None, SHORT, builtin("prompts"))[1]["content"].splitlines()
    [line] = [line for line in inner if line.startswith(f"- {scene.of('way/1').noun}:")]
    assert place(scene.of("way/1").cells) in line


@pytest.mark.parametrize("side", ["north", "east", "south", "west"])
@pytest.mark.parametrize("name", ["ring", "forest", "whole"])
def test_what_lies_all_round_lies_on_no_side(name, side):
    noun = scene_of(name).of("way/1").noun
    for lie in (
        f"A {noun} lies in the {side} of the picture.",
        f"There is a {noun} in the {side}.",
        f"In the {side} of this image lies a {noun}.",
        f"A {noun} can be seen in the {side}ern part of the image.",
        f"A {noun} is visible in the {side} of the picture, and it covers much of it.",
        f"There is a {noun} here. It lies in the {side} of the picture.",
    ):
        found = problem(name, lie)
        assert found is not None, lie
        assert found[0] == "place", (lie, found)


@pytest.mark.parametrize(
    "text",
    [
        "A lake lies around the centre of the picture, with a park in the middle.",
        "A lake lies in the north, east, south and west of the picture.",
        "In the north and the south of the picture lies a lake, which reaches the west and the east as well.",
        "A lake surrounds a park in the centre of the picture. It reaches the west of it.",
        "A lake lies in the west, the north and the east, and in the south as well.",
    ],
)
def test_what_is_told_of_all_sides_is_let_through(text):
    assert problem("ring", text) is None


def test_what_lies_within_a_ring_lies_on_no_side_of_it():
    for side in ("north", "east", "south", "west"):
        assert problem("ring", f"A lake surrounds a park, and the park lies {side} of the lake.") is not None


@pytest.mark.parametrize("name", SHAPES)
def test_what_templates_say_passes(name):
    scene, task = scene_of(name), Task(number=1, element="way/1")
    for seed in range(80):
        text = template_caption(scene, task, None, SHORT, seed)
        assert problem(name, text) is None, text
