"""What phrases of places and of shares state is so of every mask of which they are said, and of every share."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support import reader
from support.sampling import Sample
from support.spoken import CROPS, TREES, Spoken, world

from nutonic.recipe.texts import builtin
from nutonic.rows.captions import class_caption
from nutonic.rows.positions import in_words, position

PHRASES = yaml.safe_load(builtin()["phrases"])["places"]

# What words state of the pixels of a class, beside the part of the picture that they name: (height, width) bool, and how
# many pieces it is in.


def ring(body: np.ndarray) -> np.ndarray:
    """The pixels in the outermost of six cells."""
    high, wide = (-(-side // 6) for side in body.shape)
    inner = np.zeros_like(body)
    inner[high:-high, wide:-wide] = True
    return body & ~inner


def touches_an_edge(body: np.ndarray, pieces: int) -> bool:
    return bool(body[0].any() or body[-1].any() or body[:, 0].any() or body[:, -1].any())


def reaches_across(body: np.ndarray, pieces: int) -> bool:
    return bool((body[:, 0].any() and body[:, -1].any()) or (body[0].any() and body[-1].any()))


STATES: tuple[tuple[str, Callable[[np.ndarray, int], bool]], ...] = (
    (r"away|clear|interior|inside", lambda body, pieces: not ring(body).any()),
    (r"near the middle of the (?:top|bottom|left|right) edge", lambda body, pieces: True),  # a ninth is near
    (r"along|edges?|borders?|tucked", touches_an_edge),
    (r"strip|belt|band|running|side to side", lambda body, pieces: pieces == 1 and reaches_across(body, pieces)),
    (r"scattered|dispersed|sprinkled|various|places|dotted", lambda body, pieces: pieces > 2),
    (r"everywhere|throughout|whole|all over|entire", lambda body, pieces: bool(all(
        block.any() for rows in np.array_split(body, 6) for block in np.array_split(rows, 6, axis=1)))),
    (r"within|wholly|only", lambda body, pieces: not ring(body).any()),
)  # fmt: skip
#: Words that name a part of the picture, or say no more than in which a thing lies.
NAMES = set(
    """about across an and around at between bottom centre corner different down frame half halfway hand height heart image
    in inner left lower middle more most near nearest of on one over part parts quadrant quarter right scene sides spread
    than the third top toward upper width""".split()  # noqa: SIM905
)


def stated(phrase: str) -> list[Callable[[np.ndarray, int], bool]]:
    """What a phrase states beside its part; a word that nobody knows is an error."""
    found = []
    for pattern, is_so in STATES:
        phrase, times = re.subn(rf"\b(?:{pattern})\b", " ", phrase)
        found += [is_so] * bool(times)
    strange = set(re.findall("[a-z]+", phrase)) - NAMES
    assert not strange, f"nobody can tell what {strange} state"
    return found


@pytest.mark.parametrize("place", PHRASES)
def test_words_of_places_are_known(place):
    for phrase in PHRASES[place]:
        stated(phrase)


def test_no_phrase_states_more_than_its_place_does(sample: Sample):
    said = set()
    for k in sample(range(2000), one_in=10):
        made = world(k)
        cover, picture = made.context().cover, made.picture()
        for c in cover.counts:
            where, body = position(cover, c), made.mask == c
            said.add(where.place)
            for phrase in PHRASES[where.place]:
                told = f"mostly {phrase}" if where.mostly else phrase
                assert reader.lies(picture, c, told), (k, c, told)
                assert all(is_so(body, len(picture.pieces[c])) for is_so in stated(phrase)), (k, c, told)
    assert len(said) >= len(PHRASES) - 4


def captions(mask: np.ndarray, number: int = 200) -> set[str]:
    """What is said of trees in so many pictures of one mask: names decide in which words."""
    found = set()
    for k in range(number):
        context = Spoken(mask, name=f"poi_{k:06d}_t0000").context()
        _, sentences = class_caption(context.truth, TREES)
        found.add(context.text(sentences, f"class_caption_{TREES} answer"))
    return found


def test_what_touches_the_edge_is_not_said_to_keep_away_from_it():
    mask = np.full((60, 60), CROPS, np.uint8)
    mask[0:50, 10:50] = TREES  # four fifths in the inner part, the rest at the top
    where = position(Spoken(mask).context().cover, TREES)
    assert (where.place, where.mostly) == ("inner part", True)
    said = captions(mask)
    assert len(said) > 20
    assert not [text for text in said if re.search(r"away|clear of|interior", text)]


def test_one_solid_body_is_not_said_to_be_scattered():
    mask = np.full((60, 60), CROPS, np.uint8)
    mask[4:56, 4:56] = TREES
    assert position(Spoken(mask).context().cover, TREES).place == "spread"
    said = captions(mask)
    assert len(said) > 20
    assert not [text for text in said if re.search(r"scattered|dispersed|everywhere|throughout|whole frame", text)]
    mask[:] = CROPS
    mask[:20, :40], mask[40:, 20:], mask[20:40, 30:32] = TREES, TREES, TREES  # two parts of one body
    assert position(Spoken(mask).context().cover, TREES).place == "several"
    assert not [text for text in captions(mask) if re.search(r"various|several|places", text)]


def test_small_pieces_side_by_side_are_not_said_to_be_scattered():
    mask = np.full((60, 60), CROPS, np.uint8)
    mask[2:5, 2:6], mask[7:10, 2:6] = TREES, TREES
    said = captions(mask)
    assert len(said) > 20
    assert all(re.search(r"piece|patch", text) for text in said)
    assert not [text for text in said if re.search(r"scatter|dispersed|sprinkled|tiny|specks|fragment", text)]


# Shares

PARTS = {
    "a tenth": Fraction(10), "a seventh": Fraction(100, 7), "a fifth": Fraction(20), "a quarter": Fraction(25),
    "a third": Fraction(100, 3), "third": Fraction(100, 3), "two fifths": Fraction(40), "half": Fraction(50),
    "three fifths": Fraction(60), "two thirds": Fraction(200, 3), "three quarters": Fraction(75),
    "four fifths": Fraction(80),
}  # fmt: skip
SPANS = {"a trace": (0, 2), "a small part": (2, 8), "most": (83, 90), "nearly all": (90, 100)}


#: How far from a part a share may be, in hundredths.
WITHIN = {
    "about": (-3, 3),
    "nearly": (-6, 0),
    "just under": (-3, 0),
    "a good": (0, 6),
    "less than": (-7, 0),
    "more than": (0, 7),
}


def is_so(words: str, share: Fraction) -> bool:
    """Whether words tell a share in hundredths."""
    if words in SPANS:
        low, high = SPANS[words]
        return low <= share < high and share > 0
    how, part = re.fullmatch(rf"({'|'.join(WITHIN)}) (.+)", words).groups()
    low, high = WITHIN[how]
    off = share - PARTS[part]
    return low <= off <= high and (how == "about" or how == "a good" or off != 0)


@given(part=st.integers(1, 10**6), more=st.integers(1, 10**6))
def test_a_share_in_words_is_within_a_few_hundredths_of_what_they_say(part, more):
    share = Fraction(100 * part, part + more)
    assert is_so(in_words(part, part + more), share), share
    assert reader.is_share(in_words(part, part + more), part, part + more)


def test_all_shares_from_nothing_to_all_have_true_words():
    for part in range(1, 6000):
        assert is_so(in_words(part, 6000), Fraction(part, 60)), part
    assert in_words(6000, 6000) == "all"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (219, "about a fifth"), (220, "about a quarter"), (279, "about a quarter"), (280, "nearly a third"),
        (301, "nearly a third"), (333, "nearly a third"), (334, "a good third"), (369, "a good third"),
        (499, "just under half"), (500, "about half"), (666, "nearly two thirds"), (667, "a good two thirds"),
    ],
)  # fmt: skip
def test_a_quarter_is_near_a_quarter_and_a_good_third_more_than_one(part, words):
    assert in_words(part, 1000) == words
