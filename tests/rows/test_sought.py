"""The gate looks for letters before it looks for a pattern: whatever the pattern finds, the letters are in it."""

import pytest
from hypothesis import strategies as st
from support.sampling import examples

from nutonic.chips.scene.policy import parse
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation import bearings, gate, numbers, talk, things
from nutonic.rows.annotation.calling import noun_of, whole_noun
from nutonic.rows.annotation.statements import clauses, denials, meetings, ratios, relations, sizes, synonyms

SOUGHT = [
    (talk._META, talk._OF_META),
    (talk._REFUSAL, talk._OF_REFUSAL),
    (talk._ORDERS, talk._OF_ORDERS),
    *((pattern, bearings._OF_PAIR) for pattern in (bearings._PAIR, bearings._THAN_ACROSS, bearings._SHORTER)),
    (numbers._MANY, numbers._OF_MANY),
    (clauses.ALIKE, clauses.OF_ALIKE),
    (denials._NOTHING, denials._OF_NOTHING),
    (meetings._MEETS, meetings._OF_MEETING),
    (meetings._EACH_OTHER, meetings._OF_EACH_OTHER),
    (meetings._PARALLEL, meetings._OF_PARALLEL),
    (meetings._ACROSS, meetings._OF_ACROSS),
    (meetings._EVERY_PART, meetings._OF_EVERY),
    (bearings._FREE, bearings._OF_FREE),
    *((pattern, ("cent", "middle")) for pattern in (bearings._CENTRE, bearings._MIDDLE_OF_SIDE)),
    *((pattern, bearings._POINTS) for pattern in (bearings._COMPASS, bearings._PAIR)),
    *((pattern, bearings._OF_SCREEN) for pattern, _ in bearings._ON_SCREEN),
    *((pattern, letters) for pattern, letters, _ in bearings._COURSES),
    *((pattern, (word,)) for pattern, word, _ in bearings._TILT),
    *((pattern, bearings.SHAPES) for pattern in bearings._TOLD.values()),
    (numbers._PART, numbers._OF_PART),
    *((kind.words, kind.letters) for kind in things._EVERY),
    *((pattern, letters) for pattern, _, letters in synonyms._REWRITTEN),
    (ratios._RATIO, ratios._OF_TIMES),
    (ratios._RATIO, ratios._OF_RATIO),
    (synonyms._HALVES, (synonyms._OF_HALVES,)),
    (synonyms._HUNDREDS, synonyms._OF_HUNDREDS),
    *((noun_of(noun).pattern, (noun_of(noun).letters,)) for noun in ("body of water", "quarry", "bay", "parking lot")),
]


@pytest.mark.long
@examples(200, 5000, st.data())
def test_what_a_pattern_finds_has_its_letters(data):
    pattern, letters = data.draw(st.sampled_from(SOUGHT))
    found = pattern.search(data.draw(st.from_regex(pattern)))
    assert found is None or talk.may_hold(talk.small_letters(found.string), *letters), (pattern.pattern, found[0])


#: The patterns of each check.
RELATIONS = {
    relations._beyond: (relations._BEYOND,),
    relations._its: (relations._ITS,),
    relations._owned: (relations._OWNED,),
    relations._bounded: (relations._BOUNDED,),
    relations._bounds: (relations._BOUNDS,),
    relations._parts: (relations._PARTS,),
    relations._parted_by: (relations._PARTED, relations._PARTED_FROM),
    relations._between: (relations._BETWEEN,),
    relations._sides: (relations._EITHER_SIDE,),
    relations._inside: (relations._INSIDE,),
}
SIZES = {
    sizes._sized: tuple(pattern for pattern, _, _ in sizes._SIZED),
    sizes._lengths: (sizes._LENGTH,),
    sizes._narrow: (sizes._SLIM,),
    sizes._compared: (sizes._THAN,),
    sizes._numbered: (sizes._NUMBERS,),
    sizes._ranked: (sizes._FIRST, sizes._DOMINATES),
    sizes._ranked_of_kind: (sizes._OF_KIND, sizes._OF_TWO, sizes._IS_RANKED),
    sizes._straighter: (sizes._STRAIGHTER,),
    sizes._counted: (sizes._ONLY, sizes._SEVERAL),
    sizes._second: (sizes._SECOND,),
    sizes._surfaced: tuple(pattern for pattern, _ in sizes._SURFACES),
}
#: What is found, and the sign of it.
SIGNED = [
    *((pattern, bearings.OF_EDGES) for pattern in (bearings._WHOLE, bearings._CUT)),
    *((pattern, bearings.OF_SHAPES) for pattern, _, _ in (*bearings._COURSES, *bearings._TILT)),
    *((pattern, bearings.OF_SHAPES) for pattern in bearings._TOLD.values()),
    *((pattern, bearings.OF_PLACES) for pattern in (bearings._CENTRE, bearings._COMPASS, bearings._PAIR)),
    *((pattern, bearings.OF_POINTS) for pattern, _ in bearings._ON_SCREEN),
    *((pattern, bearings._OFF_COMPASS) for pattern in (bearings._FRAME_ITS, bearings._VERY, bearings._MIDDLE)),
    *(
        (pattern, bearings._OFF_COMPASS)
        for pattern in (bearings._MIDDLE_OF_SIDE, *(each for each, _ in bearings._ON_SCREEN))
    ),
    (bearings._FREE, bearings.OF_FREE),
    *((pattern, numbers.OF_NUMBERS) for pattern in (numbers._NUMBER, numbers._PART, numbers._MANY)),
    *((pattern, numbers.OF_NUMBERS & numbers._WHOLLY) for pattern, _ in numbers._WHOLE),
    *((numbers._NUMBER, numbers._NUMBERED), (numbers._PART, numbers._PARTED), (numbers._MANY, numbers._MANIFOLD)),
    *((pattern, bearings._OF_COMPASS) for pattern in (bearings._COMPASS, bearings._PAIR)),
    *((pattern, bearings._PAIRED) for pattern in (bearings._PAIR, bearings._THAN_ACROSS, bearings._SHORTER)),
    (bearings._CENTRE, bearings._OF_CENTRE),
    *((pattern, ratios.OF_RATIOS) for pattern in (ratios._RATIO, ratios._EQUAL)),
    *((pattern, of_check) for of_check, check in relations._CHECKS for pattern in RELATIONS[check]),
    *((pattern, relations.OF_RELATIONS) for patterns in RELATIONS.values() for pattern in patterns),
    *((pattern, meetings.OF_MEETINGS) for pattern in (meetings._MEETS, meetings._EACH_OTHER, meetings._PARALLEL)),
    *((pattern, meetings.OF_MEETINGS) for pattern in (meetings._ACROSS, meetings._EVERY_PART)),
    *((pattern, of_check) for of_check, check in sizes._CHECKS for pattern in SIZES[check]),
    (gate._PRONOUN, gate._OF_PRONOUNS),
    (gate._PLURAL, gate._OF_PLURALS),
    (gate._EACH, gate._OF_EACH),
    (clauses.ALIKE, gate._OF_OTHERS),
]


@pytest.mark.long
@examples(200, 5000, st.data())
def test_what_a_pattern_finds_has_its_sign(data):
    pattern, sign = data.draw(st.sampled_from(SIGNED))
    found = pattern.search(data.draw(st.from_regex(pattern)))
    assert found is None or talk.signs_of(found.string) & sign, (pattern.pattern, found[0])


@examples(200, 5000, st.sampled_from(["as", "as ", " as ", "in full", " of th", "'s", "%"]), st.text(" asinfulofth'%K"))
def test_letters_that_a_text_holds_are_a_sign_of_it(letters: str, text: str):
    signs = talk.Signs()
    bit = signs.sign(letters)
    assert signs.of(text) & bit or not talk.may_hold(talk.small_letters(text), letters)


NOUNS = sorted({noun for noun in parse(builtin("tags")["text"]).nouns.values() if noun is not None})


@examples(100, 2000, st.lists(st.sampled_from(NOUNS), max_size=4), st.sampled_from(" -,._é7'"))
def test_of_nouns_the_same_are_found_as_if_all_were_looked_for(nouns: list[str], joint: str):
    every = things._nouns_of(frozenset(NOUNS))
    text = joint.join([*nouns, *(f"{noun}s" for noun in nouns), *(f"{noun[:-1]}ies" for noun in map(str.upper, nouns))])
    there = [each for each in every.order if whole_noun(each[0]).search(text)]
    assert there == [each for each in every.within(text) if whole_noun(each[0]).search(text)]


@pytest.mark.parametrize("word", ["sizable", "miniature", "lengthy"])
def test_words_of_sizes_that_are_seldom_used_are_looked_for_too(word: str):
    signs = talk.signs_of(f"a {word} thing")
    assert any(signs & of_check for of_check, _ in sizes._CHECKS)


@examples(100, 2000, st.lists(st.sampled_from(sorted(synonyms._known())), max_size=4), st.sampled_from(" -,.s_é7'"))
def test_of_other_words_for_things_the_same_are_found_as_if_all_were_looked_for(words, joint):
    text = f"A {joint.join(words)}{joint} Of {joint.join(map(str.upper, words))}"
    every = synonyms._any_of(tuple(synonyms._known()))
    found = synonyms._in_text(talk.small_letters(text))
    assert len(found) < 50
    some = synonyms._any_of(found).findall(text) if found else []
    assert some == every.findall(text)


GUARDED = [
    (numbers._NUMBER, lambda text: numbers.may_be_number(text, talk.small_letters(text))),
    (denials._BEFORE, denials.may_deny),
    (denials._BEHIND, denials.may_deny),
    (talk._MARKUP, lambda text: talk.may_be_markup(text, talk.small_letters(text))),
    (talk._COORDINATES, talk.may_be_coordinates),
    (talk._MYSELF, lambda text: talk._OF_MYSELF.search(text) is not None),
]


@examples(200, 5000, st.data())
def test_what_a_pattern_finds_is_let_through_to_it(data):
    pattern, may = data.draw(st.sampled_from(GUARDED))
    found = pattern.search(data.draw(st.from_regex(pattern)))
    assert found is None or may(found.string), (pattern.pattern, found[0])


def test_a_plain_caption_is_looked_through_for_no_pattern_that_cannot_be_in_it():
    """What makes the gate fast: these are most of what it looks for, and a usual sentence has none of them."""
    text = "The picture looks down on a quiet field. Its edges are clear, and a path runs from east to west."
    small = talk.small_letters(text)
    looked_for = [pattern for pattern, letters in SOUGHT[:3] if talk.may_hold(small, *letters)]
    assert not looked_for
    assert [pattern.pattern for pattern, may in GUARDED if may(text)] == []


@pytest.mark.parametrize("text", ["a la\u212ae", "a \u017ftream", "a r\u0131ver", "a r\u0130ver"])
def test_letters_that_are_taken_for_others_are_looked_for_by_the_pattern_itself(text: str):
    assert talk.may_hold(talk.small_letters(text), "nothing of it")
    assert not talk.may_hold(talk.small_letters("a café’s lake"), "nothing of it")
