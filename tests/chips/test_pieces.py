"""What a map has twice or in pieces, and a picture once: rivers with a centre line, streets that are cut at a bridge."""

import pytest
from shapely.geometry import Polygon, box
from support.plants import SIDE, disc, patch, planted, rectangle, stroke

from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.description import SceneDescription, Task
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions, Lengths
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.captions import template_caption
from nutonic.rows.annotation.gate import problem_of
from nutonic.rows.annotation.prompts import messages

POLICY, CAPTIONS, TEXTS = parse(builtin("tags")["text"]), Captions(), builtin("prompts")
RIVER, LINE = {"natural": "water", "water": "river"}, {"waterway": "river"}
STREET = {"highway": "residential"}
BANKS = Polygon([(-20, 100), (130, 110), (290, 90), (290, 140), (130, 160), (-20, 150)])


def scene_of(*plants, grid=None) -> SceneDescription:
    """A scene of shapes with their tags, numbered from 1."""
    grid = grid or patch()
    elements = [planted(shape, grid, number, **tags) for number, (shape, tags) in enumerate(plants, 1)]
    return describe(elements, grid, POLICY, patch_id="pieces")


def keys(scene: SceneDescription) -> list[str]:
    return [each.element for each in scene.elements]


def texts(scene: SceneDescription, key: str) -> list[str]:
    task = Task(number=1 if scene.of(key).kind == "area" else 2, element=key)
    return [template_caption(scene, task, None, CAPTIONS, seed) for seed in range(60)]


def notes(scene: SceneDescription, key: str) -> str:
    task = Task(number=1 if scene.of(key).kind == "area" else 2, element=key)
    return str(messages(scene, task, None, CAPTIONS, TEXTS)[1]["content"])


SHORT = Lengths(area=(5, 200), line=(5, 200), revision=(5, 200))
ORCHARD = rectangle(220, 70, at=(130, 215)), {"landuse": "orchard"}


def test_a_river_is_one_with_its_centre_line():
    line = stroke((-20, 125), (130, 135), (290, 115))
    scene = scene_of((BANKS, RIVER), (line, LINE), ORCHARD)
    assert keys(scene) == ["way/3", "way/1"]
    told = texts(scene, "way/1") + texts(scene, "way/3")
    assert not [text for text in told if "another river" in text or "stretch of river" in text or "rivers" in text]
    assert "river: in the" in notes(scene, "way/3")


def test_several_areas_have_one_line():
    halves = [BANKS.intersection(box(-20, 0, 120, SIDE)), BANKS.intersection(box(120, 0, 290, SIDE))]
    line = stroke((-20, 125), (130, 135), (290, 115))
    assert keys(scene_of((halves[0], RIVER), (halves[1], RIVER), (line, LINE))) == ["way/1"]
    apart = [BANKS.intersection(box(-20, 0, 110, SIDE)), BANKS.intersection(box(120, 0, 290, SIDE))]
    assert keys(scene_of((apart[0], RIVER), (apart[1], RIVER), (line, LINE))) == ["way/2", "way/1"]


@pytest.mark.parametrize(
    ("reach", "kept"),
    [
        (100, ["way/1"]),
        (190, ["way/1"]),
        (268, ["way/1", "way/2"]),
    ],  # of 100 m within: all, more than half, less than half
)
def test_a_line_that_mostly_lies_elsewhere_is_told(reach, kept):
    scene = scene_of((box(0, 100, 100, 160), RIVER), (stroke((0, 130), (reach, 130)), LINE))
    assert keys(scene) == kept
    if len(kept) == 2:
        told = texts(scene, "way/1") + texts(scene, "way/2")
        assert not [text for text in told if "another river" in text or "rivers" in text]
        assert any("a further stretch of river" in text for text in told)
        assert "river: further stretch, in the" in notes(scene, "way/2")


def test_the_end_of_a_street_is_the_street_s():
    meadow = rectangle(80, 80, at=(190, 60)), {"landuse": "meadow"}
    end = disc(12), {**STREET, "area": "yes"}
    assert keys(scene_of((stroke((0, 134.4), (134.4, 134.4)), STREET), end, meadow)) == ["way/3", "way/1"]
    beside = stroke((0, 134.4), (122.4, 134.4)), STREET  # which ends where the area begins
    assert keys(scene_of(beside, end, meadow)) == ["way/3", "way/1"]


def test_a_square_is_larger_than_the_street_that_leads_to_it():
    plaza = box(100, 100, 200, 200), {"highway": "pedestrian"}
    scene = scene_of(plaza, (stroke((0, 150), (100, 150)), {"highway": "pedestrian"}))
    assert keys(scene) == ["way/1", "way/2"]


@pytest.mark.parametrize("other", [{"waterway": "stream"}, {"highway": "path"}])
def test_what_is_called_otherwise_is_another_thing(other):
    assert keys(scene_of((BANKS, RIVER), (stroke((0, 125), (260, 125)), other))) == ["way/1", "way/2"]


def test_pieces_of_lines_are_not_counted_for_models():
    ways = [(stroke((20, y), (250, y)), STREET) for y in (40, 90, 200)]
    lake = disc(25, (134, 145)), {"natural": "water"}
    assert "- residential street: stretches, in every part" in notes(scene_of(*ways, lake), "way/4")
    assert "- residential street: further stretches, in the northern two thirds" in notes(
        scene_of(*ways, lake), "way/1"
    )


IN_FULL = ("in full", "is in view.", "All of it lies", "wholly inside", "No edge of", "beyond the edge", "cut off")


def says_in_full(scene: SceneDescription, key: str) -> bool:
    return any(words in text for text in texts(scene, key) for words in IN_FULL)


MEADOW = box(150, 20, 230, 100), {"landuse": "meadow"}


@pytest.mark.parametrize(
    ("ways", "goes_on"),
    [
        ([((20, 140), (134, 140)), ((134, 140), (220, 110)), ((134, 140), (220, 170))], True),  # a fork
        ([((20, 140), (134, 140)), ((30, 120), (134, 140))], True),  # two that come the same way
        ([((20, 140), (134, 140)), ((134, 141), (250, 141))], False),  # another street
        ([((20, 140), (134, 140)), ((134, 20), (134, 250))], False),  # which ends at another one
        ([((20, 140), (134, 140))], False),
        ([((20, 140), (SIDE + 0.3, 140)), ((SIDE + 0.3, 140), (300, 140))], True),  # which goes on outside
    ],
)
def test_a_street_that_goes_on_as_another_way_is_not_seen_in_full(ways, goes_on):
    scene = scene_of(*((stroke(*way), STREET) for way in ways), MEADOW)
    street = scene.of("way/1")
    assert (street.cut, street.goes_on) == (False, goes_on)
    assert says_in_full(scene, "way/1") is not goes_on
    assert ("- continuation: a further stretch of it follows" in notes(scene, "way/1")) is goes_on
    task = Task(number=2, element="way/1")
    honest = "A straight residential street begins in the west of the picture, north of a meadow"
    for lie in ("It is seen in full.", "The whole residential street is in view.", "It is fully visible."):
        problem = problem_of(f"{honest}. {lie}", task, scene, Captions(words=SHORT))
        assert (problem is not None and problem[0] == "shape") is goes_on
    assert problem_of(f"{honest}. It is not seen in full.", task, scene, Captions(words=SHORT)) == (
        None if goes_on else ("shape", "seen in full")
    )


def test_a_tunnel_does_not_end_a_street_and_a_path_does():
    tunnel = stroke((100, 140), (160, 140)), {**STREET, "tunnel": "yes"}
    ends = [(stroke((20, 140), (100, 140)), STREET), (stroke((160, 140), (250, 140)), {"highway": "path"})]
    scene = scene_of(ends[0], tunnel, ends[1])
    assert [(each.element, each.goes_on) for each in scene.elements] == [("way/3", False), ("way/1", True)]


def test_a_river_goes_on_where_its_area_ends():
    area, line = (box(0, 100, 100, 160), RIVER), (stroke((0, 130), (250, 130)), LINE)
    assert [(each.element, each.goes_on) for each in scene_of(area, line).elements] == [
        ("way/1", True),
        ("way/2", True),
    ]
    reaches = area[0], (stroke((0, 130), (180, 130)), LINE)
    assert [(each.element, each.goes_on) for each in scene_of(area, reaches[1]).elements] == [("way/1", True)]
    within = stroke((2, 130), (98, 130)), LINE
    assert [each.goes_on for each in scene_of(area, within).elements] == [False]
    adjoins = box(100, 100, 200, 160), RIVER
    assert [(each.element, each.goes_on) for each in scene_of(area, within, adjoins).elements] == [("way/1", False)]
    touches = box(100, 160, 200, 220), RIVER
    assert [each.goes_on for each in scene_of(area, within, touches).elements] == [False, False]


def test_a_street_ends_at_its_own_turning_circle():
    scene = scene_of((stroke((10, 134.4), (134.4, 134.4)), STREET), (disc(12), {**STREET, "area": "yes"}), MEADOW)
    assert not scene.of("way/1").goes_on


def test_a_description_that_does_not_tell_of_going_on_is_read():
    scene = scene_of((BANKS, RIVER))
    old = scene.json()
    for each in old["elements"]:
        del each["goes_on"]
    assert SceneDescription.from_json(old) == scene
