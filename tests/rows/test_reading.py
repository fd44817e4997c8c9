"""Rows are true: so say one who knows nothing of how they are made, and nutonic's checker. Both see through lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache

import orjson
import pytest
from support import reader
from support.sampling import Sample
from support.spoken import Spoken, planted, world

from nutonic.core.classes import ClassTable
from nutonic.rows.checker import problem_of

WORLDS = 1000
VIEWS = (None, "flip", "r90", "r180", "r270")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_row_of_any_world_is_true_in_every_view(sample: Sample):
    read = 0
    for k in sample(range(WORLDS), one_in=50):
        made = world(k)
        for view in VIEWS if sample.every else sample.random().sample(VIEWS, 2):
            context, picture = made.context(view), made.picture(view)
            for row in made.lines(view):
                assert problem_of(row, context.truth, context.wording) is None, (k, row)
                assert reader.falsehoods(row, picture) == [], (k, row)
                read += 1
    assert read > sample.times(200, every=50_000)  # all are 53,894; of 3,000 seeds the one with the fewest reads 260


@pytest.mark.parametrize(("k", "text"), [(60, "extends over 13% of"), (339, "up to two fifths of")])
def test_what_begins_as_another_phrase_does_is_read_as_what_it_is(k, text):
    rows = [(row, world(k).picture(view)) for view in VIEWS for row in world(k).lines(view)]
    assert any(text in text_of(row, 1).lower() for row, _ in rows)
    assert [reader.falsehoods(row, picture) for row, picture in rows] == [[]] * len(rows)


CCI = ("cropland, rainfed", "tree or shrub cover", "cropland, irrigated or post-flooding", "urban areas", "bare areas",
       "tree cover, broadleaved, evergreen, closed to open (>15%)", "mosaic cropland (>50%) / natural vegetation (<50%)",
       "water bodies", "Lichens and mosses")  # fmt: skip
JOINED = (
    "forest",
    "water",
    "forest and water",
    "grass",
    "grass and forest",
    "urban",
    "crops",
    "crops, grass and water",
    "bare",
)


@pytest.mark.long
@pytest.mark.parametrize("labels", [CCI, JOINED], ids=["commas and brackets", "classes of classes"])
def test_classes_of_any_name_are_told_apart(labels):
    table = ClassTable(name="own", labels=dict(enumerate(labels)), unknown=255, colors={})
    for k in range(30):
        made = replace(world(k), table=table)
        context = made.context()
        for row in made.lines():
            assert problem_of(row, context.truth, context.wording) is None, row
    spoken = set(context.wording.lexicon.nouns.values())
    assert len(spoken) == 9
    assert ("grass/forest" in spoken) is (labels is JOINED)


# Lies

Rows = Callable[[dict], dict | None]


def text_of(row: dict, role: int) -> str:
    return row["messages"][role]["content"][-1]["text"]


def says(row: dict, role: int, text: str) -> dict | None:
    """The row with another text; None if that is no other."""
    if text == text_of(row, role):
        return None
    changed = deepcopy(row)
    changed["messages"][role]["content"][-1]["text"] = text
    return changed


def answers(pattern: str, to: str | Callable[[re.Match], str], role: int = 1) -> Rows:
    """A lie that puts other words into the answer, or with role 0 into the prompt."""
    return lambda row: says(row, role, re.sub(pattern, to, text_of(row, role), count=1, flags=re.IGNORECASE))


def asks(pattern: str, to: str | Callable[[re.Match], str]) -> Rows:
    return answers(pattern, to, 0)


def swapped(a: str, b: str, role: int = 1) -> Rows:
    """A lie that says one for the other wherever it can."""

    def other(match: re.Match) -> str:
        word = b if match[0].lower() == a else a
        return word.capitalize() if match[0][0].isupper() else word

    return lambda row: says(row, role, re.sub(rf"\b(?:{a}|{b})\b", other, text_of(row, role), flags=re.IGNORECASE))


def boxes(change: Callable[[list], list | None]) -> Rows:
    """A lie about boxes."""

    def lie(row: dict) -> dict | None:
        objects = orjson.loads(text_of(row, 1))
        changed = change(deepcopy(objects))
        return None if changed in (None, objects) else says(row, 1, orjson.dumps(changed).decode())

    return lie


def moved(edge: int, by: float) -> Callable[[list], list]:
    def change(objects: list) -> list:
        objects[0]["bbox"][edge] = round(objects[0]["bbox"][edge] + by, 4)
        return objects

    return change


def exchanged(objects: list) -> list:
    first, second, *rest = objects
    return [{**first, "bbox": second["bbox"]}, {**second, "bbox": first["bbox"]}, *rest]


def tens(by: int) -> Rows:
    return answers(r"^(\d+) %", lambda m: f"{int(m[1]) + by} %")


def other_letter(row: dict) -> dict | None:
    letter = text_of(row, 1)
    changed = says(row, 1, "ABCDE"[("ABCDE".index(letter) + 1) % 5])
    changed["answer_id"] = "ABCDE".index(text_of(changed, 1))
    return changed


def shuffled(row: dict) -> dict | None:
    """The options in another order, in the text and in its key, and the same letter for the answer."""
    names = row["options"]
    turned = [*names[1:], names[0]]
    listed = "; ".join(f"{letter}) {name}" for letter, name in zip("ABCDE", turned, strict=True))
    changed = says(row, 0, re.sub(r"A\) .*; E\) [^.?]+?(?=\. Answer)", listed, text_of(row, 0)))
    return {**changed, "options": turned}


def step(by: int) -> Callable[[re.Match], str]:
    words = ["no", "one", "two", "three", "four", "five", "six", "seven"]

    def stepped(match: re.Match) -> str:
        word = words[words.index(match[1].lower()) + by] if match[1].lower() in words else str(int(match[1]) + by)
        return (word.capitalize() if match[1][0].isupper() else word) + match[0][len(match[1]) :]

    return stepped


NUMBERS = r"\b(two|three|four|five|six|[0-9]+)(?= patches)"
DIRECTION = {
    "above": "below it", "below": "above it", "left": "to the right of it", "right": "to the left of it",
    "upper left": "to the upper right of it", "upper right": "to the right of it", "lower left": "below it",
    "lower right": "to the lower left of it",
}  # fmt: skip


def another_way(row: dict) -> dict | None:
    told = re.sub(r"directly | of it| it|to the ", "", text_of(row, 1).lower())
    return says(row, 1, DIRECTION[told].capitalize())


LAST = r"(.*\d%.*\b)(\d+)(%)"
LONG = (
    "The scene, 640 by 640 m, consists chiefly of crops (67%), over most parts of the image. "
    "Next by area: trees (17%), in the upper left quarter."
)
ALONE = "The upper left quarter is nearly all covered by trees."
HALF = "Trees cover 34% of the image, in the upper half."
CORNER = r"\b(?:in|within|toward|tucked into) the [a-z ]*(?:corner|quarter|quadrant|left|right)"
THING = "(?:connected )?(region|area|body|piece)"
SOME = "large(?:, compact)? regions|conspicuous|some of the|large land cover"
MIXTURE = r"^(?:A patchwork|A mixture|A mosaic|A blend) of (\w+), (.*)"

#: Name: which rows (by how their ids end), and what is done to them. The mask is the dominated one unless the name says so.
LIES: dict[str, tuple[str, Rows]] = {
    "a share off by one": ("caption", answers(r"(\d+)%", lambda m: f"{int(m[1]) + 1}%")),
    "a share of a class off by one": ("class_caption_1", answers(r"(\d+)%", lambda m: f"{int(m[1]) - 1}%")),
    "a share that is extended over, less by one": (
        "class_caption_1",
        answers(r"(extends? over )(\d+)%", lambda m: f"{m[1]}{int(m[2]) - 1}%"),
    ),
    "over what is not nearly all": ("class_caption_1", answers(r"\b(\d+)%", lambda m: f"over {int(m[1]) - 1}%")),
    "the largest patch's share off": ("class_caption_7", answers(LAST, lambda m: f"{m[1]}{int(m[2]) + 2}%")),
    "a patch more": ("class_caption_7", answers(NUMBERS, step(1))),
    "a patch less": ("class_caption_7", answers(NUMBERS, step(-1))),
    "a patch of another size": ("class_caption_7", answers(r"(\d[\d.,]*) (ha|m²)", r"9\1 \2")),
    "one piece of what is several": ("class_caption_7", answers(r"\. .*", ". It is in one piece.")),
    "scattered what has patches": ("class_caption_7", answers(r"\. .*", ". No patch of it reaches 0.3 ha.")),
    "no patch more than scattered": ("class_caption_5", answers(r"\. .*", ". It is one continuous area.")),
    "left for right": ("caption", swapped("left", "right")),
    "upper for lower": ("class_caption_1", swapped("upper", "lower")),
    "top for bottom": ("class_caption_0", swapped("top", "bottom")),
    "lower for upper": ("class_caption_0", swapped("upper", "lower")),
    "in for mostly in": ("class_caption_7", answers("mostly ", "")),
    "in for mostly in of what is half known": ("half class_caption_1", answers(CORNER, "in the upper third")),
    "another part of the image": ("class_caption_6", answers(CORNER, "in the centre")),
    "spread what is not": ("class_caption_6", answers(CORNER, "over most parts of the image")),
    "two classes exchanged": ("caption", swapped("trees", "crops")),
    "a class that is not there": ("caption", answers("water", "snow and ice")),
    "another class than asked for": ("class_caption_1", answers("trees", "water")),
    "the class of another row": ("class_caption_1", lambda row: {**row, "id": row["id"].replace("_1", "_0")}),
    "a class left out": ("caption", answers(r"(: |by |includes |contains |finds )trees[^;]*; and ", r"\1")),
    "a class twice": ("caption", answers(r"water \((\d+%)\)", r"trees (\1)")),
    "mixed for dominated": ("caption", answers(r"dominated by", "of mixed land cover, most of all")),
    "dominated for mixed": ("mixed caption", answers(r"of mixed land cover, most of all", "dominated by")),
    "mostly for a mixture": ("mixed caption_brief", answers(MIXTURE, r"Mostly \1, with \2")),
    "an all that is not": ("caption_brief", answers(".*", "The satellite image is all crops.")),
    "entirely": ("caption", answers(".*", "A satellite image of 640 by 640 m, entirely crops.")),
    "nothing else": ("class_caption_4", answers(".*", "The image shows crops and nothing else.")),
    "a long answer to a brief question": ("caption_brief", answers(".*", LONG)),
    "a brief list in another order": ("mixed caption_brief", answers(r"(\w+), (\w+) and ", r"\2, \1 and ")),
    "nearly all of a zone": ("mixed caption_zonal", answers(r"^.*?\. ", f"{ALONE} ")),
    "another zone": ("caption_zonal", swapped("left", "right")),
    "a zone twice": ("caption_zonal", answers(r"^(.*?\. )", r"\1\1")),
    "a zone's classes in another order": ("caption_zonal", swapped("crops", "trees")),
    "a box one pixel short": ("grounding", boxes(moved(2, -1 / 64))),
    "a box one pixel long": ("class_grounding_1", boxes(moved(3, 1 / 64))),
    "a box one pixel off": ("class_grounding_0", boxes(moved(0, 1 / 64))),
    "a box missing": ("grounding", boxes(lambda objects: objects[:-1])),
    "the first box missing": ("class_grounding_7", boxes(lambda objects: objects[1:])),
    "a box twice": ("grounding", boxes(lambda objects: [*objects, objects[-1]])),
    "a box added": ("grounding", boxes(lambda objects: [*objects, {"label": "water", "bbox": [0.0, 0.9, 0.1, 1.0]}])),
    "boxes in another order": ("grounding", boxes(lambda objects: objects[::-1])),
    "a box of another class": ("grounding", boxes(lambda objects: [{**objects[0], "label": "water"}, *objects[1:]])),
    "boxes exchanged": ("grounding", boxes(exchanged)),
    "no box": ("grounding", answers(".*", "[]")),
    "no JSON": ("grounding", answers(".*", "[{label: water}]")),
    "more boxes promised": ("grounding", asks("twelve", "eleven")),
    "another fill promised": ("grounding", asks("30 %", "40 %")),
    "another side promised": ("class_grounding_1", asks(r"9\.3 %", "12 %")),
    "all of what is half known": ("half grounding", asks(SOME, "all regions")),
    "a share of what is half known": ("half class_caption_1", answers(".*", HALF)),
    "first of what is half known": ("half caption_brief", answers(".*", "Mostly crops, with trees.")),
    "no for yes": ("vqa_presence", swapped("yes", "no")),
    "yes for no": ("vqa_touch", swapped("yes", "no")),
    "absent for present": ("absence", swapped("yes", "no")),
    "another class for the first": ("vqa_dominant", answers(".*", "Snow and ice")),
    "the smaller for the larger": ("vqa_larger", lambda row: says(row, 1, _other_of_two(row))),
    "ten per cent more": ("vqa_share", tens(10)),
    "ten per cent less": ("vqa_share", tens(-10)),
    "another quarter": ("vqa_quadrant", swapped("left", "right")),
    "another direction": ("vqa_direction", another_way),
    "the next letter": ("choice", other_letter),
    "options shuffled": ("choice", shuffled),
    "another answer's number": ("choice", lambda row: {**row, "answer_id": (row["answer_id"] + 1) % 5}),
    "other options than the text's": ("choice", lambda row: {**row, "options": row["options"][::-1]}),
    "options of what is no choice": ("caption", lambda row: {**row, "options": ["water"], "answer_id": 0}),
    "the box of another region": ("referring_largest", answers(r"\[([\d.]+)", "[0.1111")),
    "only for the largest": ("mixed referring_largest", asks(rf"\blargest {THING}(?= of grass)", r"only \1")),
    "a box's other class": ("referring_class", answers(".*", "Snow and ice")),
    "a box that is none": ("referring_class", asks(r"\[([\d.]+), ", "[0.0123, ")),
    "another square of a still": ("overview", asks("640 by 640 m", "600 by 600 m")),
    "another class in a still": ("overview", swapped("crops", "water")),
    "another order in a still": ("mixed overview", swapped("crops", "grass")),
    "a share beside a still": ("cross_view", answers(r"(\d+)%", lambda m: f"{int(m[1]) + 1}%")),
    "a place beside a still": ("cross_view", swapped("upper", "lower")),
    "another season": ("caption", asks("spring", "autumn")),
    "another date": ("caption", asks("2024-05-01", "2024-05-02")),
    "another resolution": ("grounding", asks(r"10 m\b", "20 m")),
    "another size": ("caption", answers("640 by 640 m", "650 by 650 m")),
    "another kind of picture": ("caption", asks("satellite image", "aerial photograph")),
    "a sentence nobody knows": ("caption", answers("$", " Farmers live here.")),
    "a word nobody knows": ("class_caption_1", answers(r"\.$", " today.")),
    "not": ("class_caption_1", answers(r"trees (cover|make|occupy|account|span|reach|take|amount)", r"trees do not \1")),
    "no prompt": ("caption", asks(".*", "Well?")),
    "no answer": ("caption", answers(".*", "")),
}  # fmt: skip


def _other_of_two(row: dict) -> str:
    names = re.findall(
        r"water|trees|grass|flooded vegetation|crops|shrub and scrub|built-up land|bare ground", text_of(row, 0)
    )
    return next(name.capitalize() for name in names if name != text_of(row, 1).lower())


@lru_cache(maxsize=64)
def said(which: str, k: int) -> tuple[Spoken, tuple[dict, ...]]:
    """The rows of a planted picture, in other words for every number."""
    made = replace(planted(mixed=which == "mixed", half=which == "half"), name=f"poi_{k:06d}_t0003")
    return made, tuple(made.lines())


def told(which: str, suffix: str, lie: Rows, times: int) -> Iterator[tuple[Spoken, dict, dict]]:
    """Rows of a kind that can be made a lie, and the lies."""
    for k in range(200):
        made, rows = said(which, k)
        for row in rows:
            false = lie(row) if row["id"].endswith(f"__{suffix}") else None
            if false is not None:
                yield made, row, false
                times -= 1
                if not times:
                    return


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_seen(name):
    where, lie = LIES[name]
    which, _, suffix = where.rpartition(" ")
    seen = 0
    for made, row, false in told(which, suffix, lie, times=2):
        assert made.problem(row) is None
        assert reader.falsehoods(row, made.picture()) == []
        assert made.problem(false) is not None, false
        assert reader.falsehoods(false, made.picture()) != [], false
        seen += 1
    assert seen, "no row could be made such a lie"


# What a picture resolves


ENLARGED = [(None, 10.0, "10", None), (128, 10.0, "20", None), (32, 10.0, "5", "10"), (None, 30.0, "10", "30"),
            (128, 30.0, "20", "30"), (192, 30.0, "30", None)]  # fmt: skip


@pytest.mark.parametrize(("size", "source_m", "pixel", "resolved"), ENLARGED)
def test_no_prompt_says_that_a_picture_is_finer_than_its_source(size, source_m, pixel, resolved):
    """Of enlarged pictures a prompt tells both: a pixel's side, and what the source resolves."""
    made = replace(planted(), size=size, source_m=source_m, rows={**planted().rows, "prompt": ("resolution",)})
    told = set()
    for k in range(4):
        spoken = replace(made, name=f"poi_{k:06d}_t0003")
        for row in spoken.lines():
            assert spoken.problem(row) is None
            assert reader.falsehoods(row, spoken.picture()) == []
            told |= set(
                re.findall(r"(?:The resolution|Each pixel|The ground sampling distance) is [^.]*", text_of(row, 0))
            )
    assert not resolved or told == {
        f"The resolution is {resolved} m, enlarged to pixels of {pixel} m",
        f"Each pixel is {pixel} m wide on the ground, enlarged from a source of {resolved} m",
        f"The ground sampling distance is {resolved} m, and each pixel is {pixel} m wide",
    }


@pytest.mark.parametrize(
    "claim",
    ["The resolution is 5 m.", "The ground sampling distance is 5 m.", "Each pixel is 10 m wide on the ground."],
)
def test_an_enlarged_picture_that_is_called_finer_is_found(claim):
    spoken = replace(planted(), size=32, rows={**planted().rows, "prompt": ("resolution",)})
    lies = 0
    for row in spoken.lines():
        false = says(
            row,
            0,
            re.sub(r"(?:The resolution|Each pixel|The ground sampling distance) is [^.]*\.", claim, text_of(row, 0)),
        )
        if false is not None:
            lies += 1
            assert spoken.problem(false) is not None
            assert reader.falsehoods(false, spoken.picture())
    assert lies > 5
