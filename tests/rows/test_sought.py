"""The gate looks for letters before it looks for a pattern: whatever the pattern finds, the letters are in it."""

import pytest
from hypothesis import strategies as st
from support.sampling import examples

from nutonic.rows.annotation import bearings, numbers, talk, things
from nutonic.rows.annotation.calling import noun_of

SOUGHT = [
    (talk._META, talk._OF_META),
    (bearings._FREE, ("every part", "little or nothing")),
    *((pattern, ("cent", "middle")) for pattern in (bearings._CENTRE, bearings._MIDDLE_OF_SIDE)),
    *((pattern, bearings._POINTS) for pattern in (bearings._COMPASS, bearings._PAIR)),
    *((pattern, bearings._OF_SCREEN) for pattern, _ in bearings._ON_SCREEN),
    *((pattern, letters) for pattern, letters, _ in bearings._COURSES),
    *((pattern, (word,)) for pattern, word, _ in bearings._TILT),
    *((pattern, bearings._SHAPES) for pattern in bearings._TOLD.values()),
    (bearings._WHOLE, bearings._OF_WHOLE),
    (bearings._CUT, (" off", "beyond", "outside")),
    (numbers._PART, numbers._OF_PART),
    *((pattern, (" of th", "all of", "the entire", "the whole")) for pattern, _ in numbers._WHOLE),
    *((kind.words, kind.letters) for kind in things._EVERY),
    *((noun_of(noun).pattern, (noun_of(noun).letters,)) for noun in ("body of water", "quarry", "bay", "parking lot")),
]


@examples(200, 5000, st.data())
def test_what_a_pattern_finds_has_its_letters(data):
    pattern, letters = data.draw(st.sampled_from(SOUGHT))
    found = pattern.search(data.draw(st.from_regex(pattern)))
    assert found is None or talk.may_hold(talk.small_letters(found.string), *letters), (pattern.pattern, found[0])


@pytest.mark.parametrize("text", ["a la\u212ae", "a \u017ftream", "a r\u0131ver", "a r\u0130ver"])
def test_letters_that_are_taken_for_others_are_looked_for_by_the_pattern_itself(text: str):
    assert talk.may_hold(talk.small_letters(text), "nothing of it")
    assert not talk.may_hold(talk.small_letters("a café’s lake"), "nothing of it")
