"""What rows say is what a careful writer would: it agrees in number, lists can be parsed, and every part is answered."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from support.spoken import ALL, CROPS, GRASS, TREES, WATER, Spoken, world

from nutonic.core.classes import ClassTable
from nutonic.recipe.texts import builtin
from nutonic.rows.slots import KINDS, Lexicon, _is_plural

OPEN = 255
COMPOUND = ("water", "trees and scrub", "fields and meadows", "built-up area", "roads", "moss", "bare ground",
            "reeds and marsh", "cropland, rainfed")  # fmt: skip


def told(labels: tuple[str, ...], number: int = 30, **rows) -> list[tuple[str, str, str]]:
    """The end of the id, prompt and answer of rows of many chips with classes of such names."""
    table = ClassTable(name="own", labels=dict(enumerate(labels)), unknown=OPEN, colors={})
    found = []
    for k in range(number):
        made = world(k)
        made = replace(made, table=table, rows={**made.rows, **rows})
        for row in made.lines():
            prompt, answer = (message["content"][-1]["text"] for message in row["messages"])
            found.append((row["id"].partition("__")[2], prompt, answer))
    return found


# Number


@pytest.mark.parametrize(
    ("noun", "is_many"),
    [
        ("fields and meadows", True), ("bodies of water", True), ("land with trees and shrubs", False), ("cattle", True),
        ("campus", False), ("oasis", False), ("beaches, dunes, sands", True), ("cropland, irrigated or flooded", False),
        ("fields in winter", True), ("glass", False), ("land principally occupied by agriculture", False),
    ],
)  # fmt: skip
def test_a_name_says_whether_it_is_one_or_many(noun, is_many):
    assert _is_plural(noun) is is_many


MANY, FEW = ("roads", "trees and scrub"), ("moss", "water")
SINGULAR = r"\b(?:it|its|it's)\b|\bone of it\b"
PLURAL = r"\b(?:they|their|them)\b"


def test_what_stands_for_a_class_agrees_with_it():
    table = COMPOUND
    seen = {True: 0, False: 0}
    for suffix, prompt, answer in told(table, prompt=()):
        name = re.fullmatch(r"class_(?:caption|grounding)_(\d)", suffix)
        if name is None:
            continue
        is_many = _is_plural(table[int(name[1])])
        # What a prompt says of a box is about the box, and "it" of a patch in "and it holds" about the patch.
        asked = re.split(r"(?:Give at most|List no more|Up to|The limit is)", prompt)[0]
        text = re.sub(r"and it (?:holds|contains)|; it (?:comprises|makes)|from it\b", "", f"{asked} {answer}".lower()
                      if not answer.startswith("[") else asked.lower())  # fmt: skip
        assert not re.search(SINGULAR if is_many else PLURAL, text), (is_many, prompt, answer)
        seen[is_many] += bool(re.search(PLURAL if is_many else SINGULAR, text))
    assert min(seen.values()) > 20


# Lists


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ((0, 4), "water and roads"),
        ((0, 4, 5), "water, roads and moss"),
        ((2, 1), "fields and meadows, and trees and scrub"),
        ((3, 1, 2), "built-up area, trees and scrub, and fields and meadows"),
        ((3, 1, 0), "built-up area, trees and scrub, and water"),
        ((8, 0), "cropland, rainfed; and water"),
        ((8, 1, 0), "cropland, rainfed; trees and scrub; and water"),
    ],
)
def test_a_list_can_be_parsed(classes, text):
    lexicon = Lexicon(
        table=ClassTable(name="own", labels=dict(enumerate(COMPOUND)), unknown=OPEN, colors={}), phrases={}
    )
    kind, value = KINDS["nouns"], tuple({"c": c} for c in classes)
    assert kind.words(value, lexicon, lambda of: 0) == text
    assert re.fullmatch(kind.pattern(lexicon), text)
    assert kind.value(text, lexicon) == value
    with pytest.raises(ValueError, match="none of several"):
        kind.value(text.replace(", and ", " and ").replace("; and ", " and ") + " and", lexicon)


def test_no_two_names_with_an_and_are_joined_by_a_bare_and():
    any_of, compound = ("|".join(names) for names in (COMPOUND, [name for name in COMPOUND if " and " in name]))
    bare = re.compile(rf"\b(?:(?:{compound}) and (?:{any_of})|(?:{any_of}) and (?:{compound}))\b", re.IGNORECASE)
    found = [text for _, *texts in told(COMPOUND) for text in texts if bare.search(text)]
    assert not found


# Shares


def test_no_share_in_words_goes_from_one_bin_to_another():
    texts = [answer for *_, answer in told(COMPOUND, 60, shares="words", whole_image=0.5)]
    bins = "trace|part|tenth|seventh|fifth|quarter|third|fifths|half|thirds|quarters|most|nearly all|all"
    assert not [text for text in texts if re.search(rf"(?<!from )\b(?:{bins}) to (?!least\b)", text)]
    assert any(re.search(r"\b(?:between \w+|up to|at least)\b", text) for text in texts)


def test_no_sentence_repeats_a_half_beside_a_share():
    for words in builtin().values():
        assert "half of the land or more" not in words
        assert "half or more" not in words


# Zonal captions


PARTS = [r"(?:upper|top) left", r"(?:upper|top) right", r"(?:lower|bottom) left", r"(?:lower|bottom) right",
         r"\b(?:centre|middle|central part)\b"]  # fmt: skip


def zonal(mask: np.ndarray, **rows) -> tuple[str, str] | None:
    made = Spoken(mask.astype(np.uint8), rows={"captions": ("zonal",), **rows})
    lines = [row for row in made.lines() if row["task"] == "caption"]
    for row in lines:
        assert made.problem(row) is None
        texts = [message["content"][-1]["text"] for message in row["messages"]]
        return texts[0], texts[1]
    return None


def four(upper_left: int, upper_right: int, lower_left: int, lower_right: int) -> np.ndarray:
    mask = np.zeros((60, 60), int)
    mask[:30, :30], mask[:30, 30:], mask[30:, :30], mask[30:, 30:] = upper_left, upper_right, lower_left, lower_right
    return mask


def shared() -> np.ndarray:
    """Trees and water have as many pixels of the lower right."""
    mask = four(CROPS, GRASS, CROPS, TREES)
    mask[30:, 45:] = WATER
    return mask


def partly() -> np.ndarray:
    """Of the lower right a quarter has no class: a sixteenth of the picture."""
    mask = four(CROPS, GRASS, CROPS, TREES)
    mask[45:, 45:] = OPEN
    return mask


@pytest.mark.parametrize(
    "mask", [four(CROPS, GRASS, TREES, WATER), shared(), partly(), four(CROPS, CROPS, CROPS, CROPS)]
)
def test_every_part_that_is_asked_for_is_answered(mask):
    _, answer = zonal(mask)
    for part in PARTS:
        assert len(re.findall(part, answer, re.IGNORECASE)) == 1, (part, answer)


def test_what_two_classes_share_is_told_without_an_order():
    _, answer = zonal(shared())
    (sentence,) = re.findall(r"[^.]*(?:lower|bottom) right[^.]*\.", answer, re.IGNORECASE)
    assert "trees" in sentence.lower()
    assert "water" in sentence.lower()
    assert not re.search(r"order|most|largest|rank|extent|lead", sentence)


def test_where_a_part_is_not_known_it_is_asked_what_can_be_seen():
    asked, _ = zonal(partly())
    assert re.search(r"seen|visible|see|recognised|point out", asked.lower())
    assert not re.search(r"rank|main|leads", asked.lower())
    asked, _ = zonal(four(CROPS, GRASS, TREES, WATER))
    assert not re.search(r"can be seen|visible|recognised", asked.lower())


def test_where_nothing_is_known_of_a_part_there_is_no_row():
    mask = four(CROPS, GRASS, CROPS, OPEN)
    mask[30:, 20:40], mask[20:40, 30:] = CROPS, CROPS
    mask[40:, 40:] = OPEN
    assert zonal(mask, whole_image=0.5) is not None
    mask[30:, 30:] = OPEN
    assert zonal(mask, whole_image=0.5) is None


def test_a_part_that_is_left_out_is_found():
    made = Spoken(four(CROPS, GRASS, TREES, WATER).astype(np.uint8), rows={**ALL})
    (row,) = (row for row in made.lines() if row["id"].endswith("caption_zonal"))
    said = row["messages"][1]["content"][-1]
    said["text"] = said["text"].rpartition(". ")[0] + "."
    assert made.problem(row) == "it leaves out a part that is asked for"
