"""Every claim of every template caption, derived again from what was planted, by a reader that knows nothing of nutonic."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

import pytest
import shapely
from support.caption_reader import PARTS, Plant, Scene, falsehoods
from support.landscapes import VOCABULARY, World, world
from support.lying import LIES, renamed
from support.plants import SIDE, disc, patch, planted, rectangle, stroke
from support.scenes import POND, TASKS

from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.description import SceneDescription, Task
from nutonic.chips.scene.policy import parse
from nutonic.chips.scene.tasks import choose
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.captions import template_caption
from nutonic.rows.annotation.gate import problem_of
from nutonic.rows.annotation.phrases import gathered
from nutonic.rows.annotation.prompts import messages, of_satellites

POLICY, CAPTIONS = parse(builtin("tags")["text"]), Captions()
NOUNS = frozenset(noun for noun in POLICY.nouns.values() if noun is not None)
PROMPT = "\n".join(builtin("prompts").values())
EVERY_LIE = {**LIES, "renamed": renamed(*(word for words in VOCABULARY for word in words))}


@dataclass(frozen=True)
class Said:
    """A caption of a planted world."""

    world: World
    described: SceneDescription
    task: Task
    before: str | None
    text: str

    def falsehoods(self, text: str) -> list[str]:
        return falsehoods(text, self.world.scene, self.task.element, VOCABULARY)

    def problem(self, text: str) -> tuple[str, str] | None:
        """What the gate says."""
        return problem_of(text, self.task, self.described, CAPTIONS, nouns=NOUNS, before=self.before, prompt=PROMPT)


def described(seed: int) -> tuple[World, SceneDescription]:
    planted = world(seed)
    return planted, describe(planted.elements, planted.grid, POLICY, patch_id=f"world-{seed}")


def captions_of(seed: int) -> list[Said]:
    """A caption and a revision of each thing of a world that is large or long enough."""
    planted, scene = described(seed)
    said = []
    for each in scene.elements:
        large = (each.share or 0.0) > CAPTIONS.min_area_share
        if not large and not (each.length_m or 0.0) > CAPTIONS.min_line_share * scene.side_m:
            continue
        before = None
        for number in (1 if large else 2, 3):
            task = Task(number=number, element=each.element)
            text = template_caption(scene, task, before, CAPTIONS, seed)
            said.append(Said(planted, scene, task, before, text))
            before = text
    return said


@cache
def some() -> tuple[Said, ...]:
    """Captions of fifteen worlds."""
    return tuple(said for seed in range(15) for said in captions_of(seed))


def wrong_of(said: Said) -> list:
    """What the reader finds, and the gate; that there is too little to say is no lie."""
    problem = said.problem(said.text)
    found = [] if problem is None or problem[0] == "too short" else [problem]
    return [(*each, said.text) for each in found] + said.falsehoods(said.text)


@pytest.mark.long
def test_every_claim_is_true_and_passes_the_gate():
    assert len(some()) > 150
    assert [wrong for said in some() for wrong in wrong_of(said)] == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("hundred", range(10))
def test_every_claim_of_a_thousand_worlds_is_true(hundred):
    found, count = [], 0
    for seed in range(100 * hundred, 100 * hundred + 100):
        said = captions_of(seed)
        count += len(said)
        found += [wrong for each in said for wrong in wrong_of(each)]
    print(f"{count} captions")
    assert count > 800
    assert found == []


def mirrored(said: Said, lie: str) -> bool:
    """Whether a thing lies as it would upside down, or the other way round: then that is no lie of it."""
    there = said.described.of(said.task.element)
    names = {"upside_down": ("north", "south"), "left_is_right": ("west", "east")}.get(lie)
    if names is None:
        return False
    one, other = names
    flipped = {part.replace(one, "*").replace(other, one).replace("*", other) for part in there.cells}
    assert flipped <= set(PARTS)
    return bool(flipped & set(there.cells))


@pytest.mark.long
def test_what_is_changed_to_a_lie_is_found_by_the_reader_and_mostly_by_the_gate():
    told, read, gated = Counter(), Counter(), Counter()
    for said in some()[::4]:
        for name, lie in EVERY_LIE.items():
            lied = lie(said.text, random.Random(said.text))
            if lied == said.text or mirrored(said, name):
                continue
            told[name] += 1
            read[name] += bool(said.falsehoods(lied))
            gated[name] += said.problem(lied) not in (None, said.problem(said.text))
    assert min(told.values()) >= 2
    assert {name: told[name] - read[name] for name in told if told[name] > read[name]} == {}
    # the gate knows no geometry: a street may be called straight if one is, and three buildings three if houses are counted
    assert {name: gated[name] / told[name] for name in told if gated[name] < GATED.get(name, 0.95) * told[name]} == {}


#: So many of these lies the gate finds.
GATED = {"miscounted": 0.6, "bent": 0.9, "larger": 0.9, "reshaped": 0.7}


def test_captions_do_not_all_begin_alike():
    openings = Counter(" ".join(said.text.split()[:3]) for said in some() if said.task.number != 3)
    assert len(openings) > 30
    assert openings.most_common(1)[0][1] < 0.15 * openings.total()


def test_no_sentence_is_said_twice_and_none_says_what_another_said():
    for said in some():
        sentences = said.text.split(". ")
        assert len({" ".join(each.split()[:2]) for each in sentences}) >= len(sentences) - 2, said.text
        assert said.text.count(" percent") <= 1 or "The " in said.text, said.text
        assert "Seen from above" not in said.text or "overhead" not in said.text, said.text


def test_a_revision_has_sentences_of_its_own():
    revisions = [said for said in some() if said.before is not None]
    alike = [said for said in revisions if any(each in said.before for each in said.text.removesuffix(".").split(". "))]
    assert len(alike) <= 0.02 * len(revisions)


def test_a_patch_gets_the_captions_that_it_is_dealt():
    _, scene = described(11)
    tasks = choose(scene, CAPTIONS, POLICY)
    assert [task.number for task in tasks[1:]] == [3] * (len(tasks) - 1)
    texts = [template_caption(scene, tasks[0], None, CAPTIONS, seed) for seed in range(6)]
    assert len(set(texts)) == 6
    assert texts == [template_caption(scene, tasks[0], None, CAPTIONS, seed) for seed in range(6)]


def test_pictures_from_space_are_called_what_they_are():
    scene, task = POND, TASKS["pond"]
    for seed in range(40):
        text = template_caption(scene, task, None, CAPTIONS, seed, from_space=True).lower()
        assert "aerial" not in text
        assert "photograph" not in text
    words = json.dumps(messages(scene, task, None, CAPTIONS, of_satellites(builtin("prompts"))))
    assert words.count("satellite image") == 2
    assert "aerial" not in words
    theirs = {"system": "You describe an aerial picture."}
    assert of_satellites(theirs) == theirs


def test_stretches_are_told_together_and_last():
    told = [
        "stretches of footpath",
        "a bridge",
        "further stretches of hedge",
        "stretches of road in the north",
        "stretches of wall",
    ]
    assert gathered(told) == [
        "stretches of road in the north",
        "a bridge",
        "further stretches of hedge",
        "stretches of footpath and wall",
    ]
    assert gathered(["a bridge"]) == ["a bridge"]


def test_a_place_is_told_of_its_own_thing_and_not_of_the_list():
    lake = rectangle(90, 80, at=(65, 200))
    plants = {
        "lake": ("lakes", lake, {"natural": "water", "water": "lake"}),
        "local road": ("local roads", stroke((190, 70), (190, 10)), {"highway": "unclassified"}),
        "park": ("parks", rectangle(60, 60, at=(220, 220)), {"leisure": "park"}),
    }
    elements = [planted(shape, patch(), number, **tags) for number, (_, shape, tags) in enumerate(plants.values(), 1)]
    scene = describe(elements, patch(), POLICY, patch_id="list")
    seen = Scene(SIDE, [Plant(key=f"way/{k}", noun=noun, plural=many, shape=shape)
                        for k, (noun, (many, shape, _)) in enumerate(plants.items(), 1)])  # fmt: skip
    vocabulary = [(noun, many) for noun, (many, _, _) in plants.items()]
    lie = "There are also a lake and a local road in the south-east."
    read = falsehoods(f"A park lies in the north-east. {lie}", seen, "way/3", vocabulary)
    assert read == [f"lake in the south-east: {lie}"]
    told = [template_caption(scene, Task(number=1, element="way/3"), None, CAPTIONS, seed) for seed in range(60)]
    assert sum("in the south-east and a" in text for text in told) > 20
    assert [falsehoods(text, seen, "way/3", vocabulary) for text in told if "lake" in text] == [[]] * len(told)


def told_of(number: int, *plants: tuple) -> list[tuple[str, list[str]]]:
    """Captions of one of some shapes with a noun, its plural and tags, each with what of it is false."""
    elements = [planted(shape, patch(), k, **tags) for k, (_, _, shape, tags) in enumerate(plants, 1)]
    scene = describe(elements, patch(), POLICY, patch_id="told")
    seen = Scene(SIDE, [Plant(key=f"way/{k}", noun=noun, plural=many, shape=shape)
                        for k, (noun, many, shape, _) in enumerate(plants, 1)])  # fmt: skip
    key, words = f"way/{number}", [(noun, many) for noun, many, _, _ in plants]
    task = Task(number=1 if scene.of(key).kind == "area" else 2, element=key)
    texts = [template_caption(scene, task, None, CAPTIONS, seed) for seed in range(80)]
    problems = [problem_of(text, task, scene, CAPTIONS, nouns=NOUNS, prompt=PROMPT) for text in texts]
    assert {problem[0] for problem in problems if problem is not None} <= {"too short"}
    return [(text, falsehoods(text, seen, key, words)) for text in texts]


WATER = {"natural": "water", "water": "reservoir"}


@pytest.mark.parametrize("hole", [0.0, 1.0, 12.0])
def test_all_of_a_picture_is_all_of_it(hole):
    shape = shapely.box(-50, -50, 400, 400).difference(shapely.box(100, 100, 100 + hole, 100 + hole))
    told = told_of(
        1,
        ("reservoir", "reservoirs", shape, WATER),
        ("pier", "piers", stroke((20, 260), (20, 150)), {"man_made": "pier"}),
    )
    assert [wrong for _, wrong in told] == [[]] * len(told)
    assert any("early all of" in text for text, _ in told) is (hole > 0)
    assert any(re.search(r"(?<!early )all of this", text, re.IGNORECASE) for text, _ in told) is (hole == 0)
    openings = [text.split(". ")[0] for text, _ in told]
    assert not [each for each in openings if "ll of" in each and "in every part" in each]


def test_stretches_of_one_kind_are_told_once():
    ways = [
        stroke((20, 130), (250, 130)),
        *(stroke((x, 137), (x, 250)) for x in (60, 120, 180)),
        *(stroke((20, y), (250, y)) for y in (10, 30)),
    ]
    street = {"highway": "residential"}
    plants = [("residential street", "residential streets", way, street) for way in ways]
    park = "park", "parks", disc(30, (60, 75)), {"leisure": "park"}
    told = told_of(1, *plants, park)
    assert [wrong for _, wrong in told] == [[]] * len(told)
    assert {text.count("stretches of residential street") for text, _ in told} == {0, 1}


def test_a_first_caption_tells_what_takes_more_of_the_picture_than_what_it_is_about():
    """Of a park around a small pond each caption of the pond says that there is a park; no revision need."""
    told = 0
    for each in some():
        shares = Counter[str]()
        for thing in each.described.elements:
            shares[thing.noun] += thing.share or 0.0
        subject = each.described.of(each.task.element)
        larger = [noun for noun, share in shares.items() if share > 0.2 and share > 1.2 * (subject.share or 0.0)]
        for noun in larger if each.task.number != 3 else ():
            if noun != subject.noun:
                told += 1
                assert re.search(rf"\b{noun.split()[-1].rstrip('ys')}", each.text), (noun, each.text)
    assert told > 30
