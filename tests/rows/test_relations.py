"""What captions say of where one thing lies seen from another, and of which of several: kind by kind, in many words."""

from __future__ import annotations

import pytest
from support.country_scenes import country_scene
from support.fresh_captions import ABOUT, BEFORE
from support.scenes import revision

from nutonic.chips.scene.description import Task
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.gate import Problem, problem_of
from nutonic.rows.annotation.statements.sides import beyond, is_between, side_of

NOUNS = parse(builtin("tags")["text"]).called
PROMPT = "\n".join(builtin("prompts").values())


def judged(about: str, said: str, *, seen: bool = False) -> Problem | None:
    """What the gate has against a sentence that follows a true one."""
    name, number, element = ABOUT[about]
    task = revision(Task(number=number, element=element))
    text = f"{BEFORE[name]} {said}"
    return problem_of(text, task, country_scene(name), Captions(), nouns=NOUNS, prompt=PROMPT, seen=seen)


#: Of each kind: what a caption is about, what is true of it, and what is not.
KINDS = {
    "what parts two others": [
        (
            "track",
            "It separates a lake in the west from a lake in the east.",
            "It separates a lake in the east from a wood in the west.",
        ),
        (
            "track",
            "The wood and the larger lake are separated by the track.",
            "The wood and the smaller lake are separated by the track.",
        ),
        (
            "road",
            "The secondary road divides the school ground from the park.",
            "The secondary road divides the houses from the park.",
        ),
        (
            "river",
            "The pond is cut off from the wood by the river.",
            "The pond is cut off from the golf course by the river.",
        ),
        ("railway", "It runs between the houses and the wheat field.", "It runs between two residential areas."),
        (
            "wood",
            "The wood and the golf course lie on opposite sides of the river.",
            "The wood and the golf course lie on the same side of the river.",
        ),
    ],
    "a side of another thing": [
        ("track", "West of the track lies a round lake.", "North of the wood lies a round lake."),
        (
            "railway",
            "To the north of it there is a residential area.",
            "To the south of it there is a residential area.",
        ),
        (
            "road",
            "The park lies to the south-east of the school ground.",
            "The park lies to the north-east of the school ground.",
        ),
        (
            "road",
            "All of the houses stand east of the secondary road.",
            "All of the houses stand west of the secondary road.",
        ),
        (
            "road",
            "The retail building lies on the western side of the secondary road.",
            "The retail building lies on the eastern side of the secondary road.",
        ),
        (
            "lawn",
            "The parking lot lies on the industrial area's northern side.",
            "The parking lot lies on the lawn's western side.",
        ),
        ("school", "It is bounded to the east by a secondary road.", "It is bounded to the west by a secondary road."),
    ],
    "so many in a part": [
        ("homes", "Three of the houses stand in the north-west.", "Four of the houses stand in the north-west."),
        ("homes", "Most of the houses lie in the north.", "Most of the houses lie in the north-east."),
        ("homes", "None of the houses lies in the south.", "None of the houses lies in the north."),
        (
            "homes",
            "It has six houses: three in the north-west, two in the north and one in the north-east.",
            "It has six houses: five in the north-west, none in the north and one in the north-east.",
        ),
        (
            "road",
            "West of the secondary road there are two buildings.",
            "East of the track there are six swimming pools.",
        ),
    ],
    "which of several": [
        ("track", "The larger of the two lakes lies in the west.", "The larger of the two lakes lies in the east."),
        (
            "track",
            "Of the two lakes, the western one is the bigger.",
            "Of the two lakes, the western one is the smaller.",
        ),
        ("lawn", "The larger warehouse lies in the south.", "The smaller warehouse lies in the south."),
        ("yard", "The larger field is planted with maize.", "The larger field is planted with wheat."),
        (
            "yard",
            "Wheat grows in the north-east and maize in the north-west.",
            "Wheat grows in the north-west and maize in the north-east.",
        ),
        (
            "track",
            "There is a lake in the west; the other is about a quarter of its size.",
            "There is a lake in the west; the other is twice its size.",
        ),
        ("road", "The parking lot has an asphalt surface.", "The parking lot has a gravel surface."),
    ],
    "what lies in another thing": [
        ("river", "A pond lies within the golf course.", "A pond lies within the wood."),
        ("yard", "A silo stands in the middle of the farmyard.", "A silo stands in the middle of the maize field."),
        ("school", "The playground is in the park.", "The playground is in the school ground."),
    ],
    "what the edge does not cut off": [
        ("lake", "The lake in the west is not cut off by any edge.", "The meadow is not cut off by any edge."),
        ("yard", "The farmyard does not extend beyond the edge.", "The maize field does not extend beyond the edge."),
    ],
    "what borders another thing on a side": [
        ("road", "A park borders the houses to the south.", "A park borders the houses to the north."),
        ("golf", "A river borders it to the north-east.", "A river borders it to the south-west."),
    ],
    "what is told of the clause before": [
        (
            "road",
            "The retail building lies in the south-west, next to a parking lot.",
            "The pond lies in the south-east, next to a parking lot.",
        ),
        (
            "lawn",
            "A canal runs in the west, straight, beside the lawn.",
            "A parking lot lies in the east, rectangular, beside the lawn.",
        ),
    ],
    "what runs the same way, and what is no longer than wide": [
        ("motorway", "The two motorways run parallel to each other.", "The two motorways cross each other."),
        ("beach", "The beach is long and narrow.", "The car park is long and narrow."),
        (
            "beach",
            "The campsite takes up less ground than the beach.",
            "The campsite takes up more ground than the beach.",
        ),
        (
            "track",
            "The lakes lie on both sides of the dirt track.",
            "The lakes lie on the same side of the dirt track.",
        ),
    ],
    "where two things meet": [
        ("railway", "A minor road crosses it in the east.", "A minor road crosses it in the west."),
        (
            "road",
            "A residential street crosses it in the centre of the picture.",
            "A residential street crosses it in the north.",
        ),
    ],
    "what is denied of a place or of another thing": [
        ("homes", "No houses are found in the south.", "No houses are found in the north."),
        ("lake", "No road cuts through the wood.", "No track passes along the lake."),
        (
            "river",
            "There is no building but a rectangular one in the south-west.",
            "There is no pond but a rectangular building in the south-west.",
        ),
    ],
    "several together": [
        (
            "homes",
            "The field and the residential area make up about 85 percent of the picture.",
            "The field and the residential area make up about 60 percent of the picture.",
        ),
        (
            "field",
            "The two fields together take up nearly half of the picture.",
            "The two fields together take up nine tenths of the picture.",
        ),
    ],
}


@pytest.mark.parametrize(("about", "true", "false"), [each for kind in KINDS.values() for each in kind])
def test_of_each_kind_what_is_true_is_let_through_and_what_is_not_is_kept_out(about, true, false):
    assert judged(about, true) is None
    problem = judged(about, false)
    assert problem is not None
    assert problem[1]


def test_what_the_description_cannot_tell_is_believed_of_those_who_saw_the_picture_alone():
    said = "South of the hedge lies a pond."
    assert judged("yard", said) == ("place", "South of the hedge lies a pond")
    assert judged("yard", said, seen=True) is None
    assert judged("yard", "South of the hedge lies a field of maize.", seen=True) is not None


def test_sides_are_told_by_where_things_mostly_are_and_then_by_what_they_reach_into():
    scene = country_scene("beach")
    water, beach, scrub, parking = (scene.of(f"way/{number}") for number in (2, 1, 4, 5))
    assert beyond(water, beach, "west") is True  # both are mostly in the west: the beach reaches farther east
    assert beyond(beach, water, "west") is False
    assert beyond(scrub, parking, "north") is True
    assert beyond(scrub, parking, "north-west") is True
    assert beyond(scrub, parking, "east") is None
    assert is_between(beach, water, scrub)
    assert not is_between(scrub, water, beach)


def test_a_line_has_two_sides_and_what_it_runs_through_is_on_neither():
    scene = country_scene("valley")
    river, golf, wood, pond = (scene.of(f"way/{number}") for number in (1, 2, 3, 4))
    assert side_of(river, golf) == side_of(river, pond) == -side_of(river, wood) != 0
    assert side_of(river, river) == 0
