"""Boxes in every convention: against numbers that were worked out by hand, and drawn and compared pixel by pixel."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import yaml
from support.paths import ROOT

from nutonic.dataset.packs.boxes import BOX_FORMS, box_form, listed_boxes, resized, with_boxes
from nutonic.dataset.packs.shards import Picture, Sample
from nutonic.errors import InputError, WrongRow

#: No two corners alike, and no symmetry that a swap or a flip survives.
BOX, SIZE = [0.1042, 0.25, 0.6146, 0.9792], (448, 336)

#: Of the box above, by hand: 0.1042 of 1000 is 104.2, of 1023 is 106.6, of 999 is 104.1, of 448 is 46.7, and so on.
WRITTEN = {
    "unit": '[{"label":"open water","bbox":[0.1042,0.25,0.6146,0.9792]}]',
    "qwen3": '[{"bbox_2d":[104,250,615,979],"label":"open water"}]',
    "qwen2.5": '[{"bbox_2d":[47,84,275,329],"label":"open water"}]',
    "glm": '[{"bbox_2d":[104,250,614,978],"label":"open water"}]',
    "internvl": "<ref>open water</ref><box>[[104, 250, 615, 979]]</box>",
    "paligemma": "<loc0256><loc0107><loc1002><loc0629> open water",
    "florence2": "open water<loc_104><loc_250><loc_614><loc_979>",
    "geochat": "<p>open water</p> {<10><25><61><98>|<0>}",
}

#: Half of what a number stands for, in each direction: the most that rounding moves a corner.
HALF = {"unit": 0.0, "qwen3": 0.0005, "glm": 0.5 / 999, "internvl": 0.0005, "paligemma": 0.5 / 1023, "florence2": 0.0005,
        "geochat": 0.005}  # fmt: skip


def test_every_convention_is_tried_here():
    assert set(WRITTEN) == set(BOX_FORMS)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_box_is_written_as_worked_out_by_hand(name: str):
    assert box_form(name).encode([("open water", BOX)], SIZE) == WRITTEN[name]


def test_qwens_pixels_are_of_the_picture_that_it_sees():
    # Of 224 pixels 28 goes 8 times; of 300, 10.7 times; a picture of 20 pixels becomes the least that it takes.
    assert resized((224, 224)) == (224, 224)
    assert resized((300, 512)) == (308, 504)
    assert resized((20, 20)) == (56, 56)
    width, height = resized((9000, 6000))
    assert width * height <= 14 * 14 * 4 * 1280 < (width + 28) * (height + 28)
    assert box_form("qwen2.5").numbers([0.0, 0.0, 1.0, 1.0], (300, 512)) == [0, 0, 308, 504]


def drawn(box: list[float], size: tuple[int, int]) -> np.ndarray:
    """A box as a mask."""
    width, height = size
    mask = np.zeros((height, width), bool)
    x1, y1, x2, y2 = (round(edge * side) for edge, side in zip(box, (width, height, width, height), strict=True))
    mask[y1:y2, x1:x2] = True
    return mask


@pytest.mark.parametrize("name", WRITTEN)
def test_boxes_drawn_from_what_was_written_are_those_that_were_meant(name: str):
    form, rng, size = box_form(name), np.random.default_rng(7), (2240, 1680)
    for turn in range(60):
        x1, y1 = rng.integers(0, 180, 2) / 224
        x2, y2 = x1 + rng.integers(6, 44) / 224, y1 + rng.integers(6, 44) / 224
        meant = [round(float(v), 4) for v in (x1, y1, x2, y2)]
        labels = ["trees", "bare / sparse ground", "a, b [c]"]
        found = form.decode(form.encode([(label, meant) for label in labels], size), size)
        assert [label for label, _ in found] == labels
        half = HALF.get(name, 0.5 / min(resized(size)))
        assert len({tuple(box) for _, box in found}) == 1
        for _, box in found[:1]:
            assert max(abs(a - b) for a, b in zip(box, meant, strict=True)) <= half + 1e-9
            if turn % 4:  # drawing takes long
                continue
            across, down = (math.ceil(2 * half * side) + 2 for side in size)
            differ = drawn(box, size) ^ drawn(meant, size)
            ys, xs = np.nonzero(differ)
            # What differs lies at the edges alone, no further in than rounding reaches.
            near_x = np.minimum(abs(xs - meant[0] * size[0]), abs(xs - meant[2] * size[0])) <= across
            near_y = np.minimum(abs(ys - meant[1] * size[1]), abs(ys - meant[3] * size[1])) <= down
            assert (near_x | near_y).all()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_box_never_becomes_a_line_nor_leaves_the_picture(name: str):
    form, size = box_form(name), (224, 224)
    for box in (
        [0.0, 0.0, 1.0, 1.0],
        [0.9999, 0.0, 1.0, 0.0004],
        [0.4999, 0.5, 0.5001, 0.5002],
        [0.0, 0.9996, 0.0003, 1.0],
    ):
        x1, y1, x2, y2 = form.numbers(box, size)
        assert x1 < x2
        assert y1 < y2
        ((_, back),) = form.decode(form.encode([("x", box)], size), size)
        assert min(back) >= 0.0
        assert max(back) <= 1.0


def sample(prompt: str, answer: str, pictures: int = 1) -> Sample:
    """A row about pictures of 448 by 336 pixels."""
    head = b"\x89PNG\r\n\x1a\n" + bytes(8) + SIZE[0].to_bytes(4) + SIZE[1].to_bytes(4)
    shown = tuple(Picture(f"images/s00000/p{k}.png", head) for k in range(pictures))
    parts = [{"type": "image", "image": picture.path} for picture in shown]
    messages = [
        {"role": "user", "content": [*parts, {"type": "text", "text": prompt}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    row = {"id": "p0__grounding", "task": "grounding", "messages": messages}
    return Sample(row=row, split="train", pictures=shown, chip=shown[0].path, sidecar={})


def words(row: dict) -> tuple[str, str]:
    user, assistant = row["messages"]
    return user["content"][-1]["text"], assistant["content"][0]["text"]


#: Questions for boxes as they come with nutonic: every one of them is put into other words.
ASKED = [
    template.replace("{{ picture }}", "satellite image")
    for name in ("grounding", "class_grounding", "referring")
    for claim, templates in yaml.safe_load((ROOT / f"nutonic/recipe/wording/{name}.yaml").read_text()).items()
    if claim in ("ask", "ask_some", "ask_largest", "ask_only")
    for template in templates
]


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - {"unit"}))
def test_every_question_of_nutonics_asks_in_the_models_own_words(name: str):
    assert len(ASKED) > 50
    form = box_form(name)
    for prompt in ASKED:
        one = "its box as" in prompt
        answer = str(BOX) if one else WRITTEN["unit"]
        before = f"{prompt} A pixel is 10 m wide."
        asked, said = words(with_boxes(sample(before, answer), form))
        assert asked.endswith((form.asked_one if one else form.asked) + " A pixel is 10 m wide.")
        assert "0-1 " not in asked + " "
        assert "0-1." not in asked
        # What is asked for stays: all before the first word on the answer's form.
        assert asked.startswith(prompt.split(". ")[0].split("? ")[0])
        assert said == (form.written(None, form.numbers(BOX, SIZE)) if one else WRITTEN[name])


def test_a_box_in_a_question_is_written_anew():
    asked, said = words(
        with_boxes(sample("What is in the region [0.1042, 0.25, 0.6146, 0.9792]?", "Water"), box_form("geochat"))
    )
    assert (asked, said) == ("What is in the region {<10><25><61><98>|<0>}?", "Water")


def test_rows_without_boxes_and_boxes_as_built_stay_as_they_are():
    row = sample("How much water is there? Answer with one number.", "12%")
    assert with_boxes(row, box_form("qwen3")) is row.row
    row = sample(ASKED[0], WRITTEN["unit"])
    assert with_boxes(row, box_form("unit")) is row.row


def test_a_question_in_words_of_ones_own_is_refused_not_left():
    row = sample("Please box the water, as fractions 0-1 in JSON.", WRITTEN["unit"])
    with pytest.raises(WrongRow, match=r"p0__grounding asks for boxes in words of your own \('0-1'\).*--boxes unit"):
        with_boxes(row, box_form("qwen3"))


def test_boxes_of_one_of_several_pictures_are_refused():
    with pytest.raises(WrongRow, match="2 pictures"):
        with_boxes(sample(ASKED[0], WRITTEN["unit"], pictures=2), box_form("qwen3"))


def test_an_unknown_convention_names_those_there_are():
    with pytest.raises(InputError, match="'yolo' is no way to write boxes: there are unit, qwen3"):
        box_form("yolo")


def test_boxes_of_a_tree_are_read():
    assert listed_boxes(WRITTEN["unit"]) == [("open water", BOX)]
    assert listed_boxes("water") is None
    assert json.loads(WRITTEN["unit"])[0]["bbox"] == BOX
