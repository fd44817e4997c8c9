"""Names on overlays: with their accents, and by the class's id where there are no letters for them; never an empty box."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont

from nutonic.chips.lettering import ABOVE, BELOW, STROKE, spelt, written
from nutonic.chips.overlays import overlay
from nutonic.core.classes import ClassTable
from nutonic.core.model import Region

ACCENTED = "öd-land (bare) größe naïve æble řeka łąka ørken skog på fjäll ěščřžýáíé űő žemės țară ĝ ç ậ ả đ ı"
OTHERS = ["水", "森林 und see", "غابة", "जंगल", "лес", "δάσος", "ป่า", "숲", "林地\u3000", "🌲", "a\u200db", "rừng", "þ"]


def drawn(name: str) -> np.ndarray:
    table = ClassTable(name="mine", labels={7: name}, unknown=0, colors={7: "#FFFFFF"})
    region = Region(label=name, class_id=7, bbox=(5, 20, 115, 60), area_px=1)
    return overlay(np.full((64, 120, 3), 90, np.uint8), [region], table)


@pytest.mark.parametrize("word", ACCENTED.split())
def test_letters_of_latin_have_their_marks(word):
    letters = spelt(word)
    assert letters is not None
    assert all(" " <= letter <= "~" and set(marks) <= {*ABOVE, *BELOW, STROKE} for letter, marks in letters)
    assert written(word, 7) == word


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_in_other_letters_is_told_by_the_class_s_id(name):
    assert spelt(name) is None
    assert np.array_equal(drawn(name), drawn("class 7"))


def test_no_overlay_has_the_box_of_a_letter_that_a_font_lacks():
    """Pillow's font draws the same box for all that it lacks: a letter that is drawn otherwise is another letter."""
    lacking = bytes(ImageFont.load_default(12).getmask("\U0010ffff"))
    assert bytes(ImageFont.load_default(12).getmask("ö")) == lacking  # what marks are for
    for letter in map(chr, range(33, 127)):
        assert bytes(ImageFont.load_default(12).getmask(letter)) != lacking


@pytest.mark.parametrize(
    ("name", "plain"), [("öd", "od"), ("på", "pa"), ("naïve", "naive"), ("řeka", "reka"), ("țară", "tara")]
)
def test_a_mark_changes_the_pixels_at_its_letter_alone(name, plain):
    """The legend of a picture 240 pixels wide begins at row 128; letters above and below share columns with their marks."""
    changed = (drawn(name) != drawn(plain)).any(axis=-1)
    for part in (changed[:128], changed[128:]):
        assert 2 <= part.sum() <= 16
        columns = np.flatnonzero(part.any(axis=0))
        assert columns[-1] - columns[0] < 30


def test_the_same_name_composed_or_not_has_the_same_pixels():
    assert np.array_equal(drawn("\u00f6d"), drawn("o\u0308d"))
