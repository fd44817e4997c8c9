"""Templates: their sentences read back to what they say and to nothing else, are English, and are many."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

import numpy as np
import pytest
import yaml
from support.spoken import ALL, Spoken, world

from nutonic.core.classes import TABLES, ClassTable
from nutonic.recipe.texts import builtin
from nutonic.rows.checker import _claims
from nutonic.rows.claims import CLAIMS
from nutonic.rows.positions import DIRECTIONS, PLACES, SEVERAL, SPREAD, ZONES, Position
from nutonic.rows.slots import Lexicon
from nutonic.rows.wording import ALWAYS, Said, Template, Wording, wording_of

BAD_ARTICLE = r"\ba (?:8|11\b|18\b|(?!one)[aeio])|\ban (?:satellite|[0-79])"
SHORT = {"vqa", "absence", "choice", "referring"}
TEMPLATES = [
    (f"{task}.{name}", source)
    for task, text in builtin().items()
    if task != "phrases"
    for name, sources in yaml.safe_load(text).items()
    for source in sources
]


@lru_cache
def wording(table: str) -> Wording:
    return wording_of(builtin(), TABLES[table])


def values_of(claim: str, k: int, table: str) -> dict:
    """Values for every slot of a claim, others for every number; classes in the table's order, from the k-th on."""
    ids = list(TABLES[table].labels)
    ids = ids[k % len(ids) :] + ids[: k % len(ids)]
    places = [*PLACES, SPREAD, SEVERAL]
    share = ("12%", "under 1%", "just under 50%", "over 99%", "a good third", "most", "all", "nearly all")
    where = [
        Position(places[(k + i) % len(places)], k % 2 == 1 and (k + i) % len(places) < len(PLACES)) for i in range(4)
    ]
    of = 1 + k % 3
    plain = {
        "noun": None, "share": share[k % len(share)], "where": where[0], "zone": ZONES[k % len(ZONES)],
        "quadrant": ZONES[k % 4], "direction": DIRECTIONS[k % 8], "count": (2, 7, 12, 13, 1204)[k % 5],
        "unit": ("ha", "m²")[k % 2],
        "number": ("0.5", "400", "10")[k % 3], "size": ("5.1 by 5.1 km", "640 by 640 m", "8.0 by 8.0 km")[k % 3],
        "date": "2024-05-01", "season": "autumn", "picture": ("satellite image", "aerial photograph")[k % 2],
        "box": ((0.0, 0.1, 1.0, 0.9999), (0.0625, 0.5, 0.75, 1.0))[k % 2], "letter": "ABCDE"[k % 5],
        "options": tuple(ids[:5]), "nouns": [{"c": c} for c in ids[:of]],
        "spots": [{"c": c, "where": w} for c, w in zip(ids[:of], where, strict=False)],
        "placed": [{"c": c, "share": s, "where": w} for c, s, w in zip(ids[:of], share, where, strict=False)],
        "shared": [{"c": c, "share": s} for c, s in zip(ids[:of], share, strict=False)],
    }  # fmt: skip
    slots = {**ALWAYS, **CLAIMS[claim].of, **CLAIMS[claim].slots}
    return {name: ids[i % len(ids)] if kind == "noun" else plain[kind] for i, (name, kind) in enumerate(slots.items())}


def sentences(claim: str, source: str, table: str):
    """Sentences of a template, at least one for every class of a table."""
    template = Template(claim, source, wording(table).lexicon)
    for k in range(len(TABLES[table].labels)):
        values = values_of(claim, k, table)
        yield values, template.words(values, lambda of, k=k: k % of)


def same(said: Said, claim: str, values: dict) -> bool:
    """Whether what is read is what was said."""
    listed = {name: [dict(each) for each in v] if isinstance(v, tuple) and v and isinstance(v[0], dict) else v
              for name, v in said.values.items()}  # fmt: skip
    return said.claim == claim and listed == {name: values[name] for name in listed}


@pytest.mark.sampled(one_in=12)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("claim", "source"), TEMPLATES, ids=lambda text: re.sub(r"\W+", "-", text)[:40])
def test_a_sentence_reads_back_to_what_it_says_and_to_nothing_else(claim, source, table):
    task = claim.partition(".")[0]
    asks, tells = _claims("caption" if task == "prompt" else task)
    ours = next(names for names in (asks, tells) if claim in names)
    rivals = [t for name in ours for t in wording(table)._templates[name]]
    for values, sentence in sentences(claim, source, table):
        found = [each[0] for t in rivals if (each := t.read(sentence, 0)) and each[1] > len(sentence)]
        assert found, sentence
        assert all(same(said, claim, values) for said in found), (sentence, found)


# English


@pytest.mark.parametrize("table", TABLES)
def test_sentences_are_english(table):
    nouns = {wording(table).lexicon.noun(c) for c in TABLES[table].labels}
    many, one = ([n for n in nouns if n.plural is plural] for plural in (True, False))
    forms = "covers?|lies?|(?:is|are)|(?:has|have)|does|do|makes?|takes?|accounts?|occup(?:y|ies)|fills?|leads?|reach(?:es)?"
    for claim, source in TEMPLATES:
        for _, text in sentences(claim, source, table):
            assert not re.search(BAD_ARTICLE, text), text
            assert "  " not in text
            assert not re.search(r" [.,;:?]", text), text
            assert text[0] == text[0].upper()
            if not (claim.partition(".")[0] in SHORT and ".ask" not in claim):
                assert re.search(r"[^.?!\s][.?]$", text), text
            singular = r"covers|lies|is|has|does|makes|takes|accounts|occupies|fills|leads|reaches"
            for noun in many:
                assert not re.match(rf"{noun} (?:{singular})\b", text, re.IGNORECASE), text
            for noun in one:
                wrong = re.match(rf"{noun} ({forms})\b", text, re.IGNORECASE)
                assert wrong is None or re.fullmatch(singular, wrong[1]), text


@pytest.mark.parametrize(
    ("noun", "is_many"), [("trees", True), ("water", False), ("snow and ice", True), ("grass", False)]
)
def test_verbs_follow_their_noun(noun, is_many):
    texts = wording("dynamic-world")
    assert texts.lexicon.noun(texts.lexicon.by_noun[noun]).plural is is_many


def test_every_question_names_its_picture_and_has_ten_wordings():
    for task, text in builtin().items():
        if task in ("phrases", "prompt"):
            continue
        for name, sources in yaml.safe_load(text).items():
            if name.startswith("ask"):
                assert len(set(sources)) >= 10, (task, name)
                assert all(re.search(r"\{\{ picture|overhead", source) for source in sources), (task, name)
            elif task in ("caption", "class_caption"):
                assert len(set(sources)) >= 10, (task, name)


def test_the_prompt_that_lfm_vl_was_trained_with_is_among_the_wordings():
    for task in ("grounding", "class_grounding"):
        for source in (
            sources[0] for name, sources in yaml.safe_load(builtin()[task]).items() if name.startswith("ask")
        ):
            assert source.startswith("Inspect the image and detect")
            assert source.endswith("Coordinates must be normalized to 0-1.")
            assert "Provide result as a valid JSON" in source


# Variety


@lru_cache
def rows_of_chips(number: int) -> list[tuple[str, str, str, str]]:
    """Task, suffix, prompt and answer of the rows of so many chips of a world of nine classes."""
    rows = []
    for k in range(number):
        chance = np.random.default_rng(k)
        points = chance.random((24, 2)) * 32
        of = chance.permutation(9)[np.minimum(8, chance.geometric(0.25, 24) - 1)]
        y, x = np.mgrid[:32, :32]
        mask = of[((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2).argmin(axis=-1)]
        if k % 5 == 0:
            mask[:, :14] = 255
        if k % 5 == 1:
            mask[:7, :7] = 255  # a part of which too little is known
        rules = {**ALL, "min_region_px": 12, "min_box_px": 3}
        rows += Spoken(mask.astype(np.uint8), rows=rules, name=f"poi_{k:06d}_t0000").lines()
    return [(r["task"], r["id"].rpartition("__")[2], *(m["content"][-1]["text"] for m in r["messages"])) for r in rows]


@pytest.fixture
def written(sample):
    """The rows of 500 chips, or of some."""
    return rows_of_chips(sample.times(100, 500))


def test_captions_begin_in_many_ways(written):
    for suffix in ("caption", "caption_brief", "caption_zonal"):
        answers = [answer for _, name, _, answer in written if name == suffix]
        openings = Counter(tuple(answer.split()[:14]) for answer in answers)
        assert openings.most_common(1)[0][1] <= len(answers) / 10, openings.most_common(3)


def test_each_task_is_asked_in_ten_ways_and_more(written):
    read = wording("dynamic-world")
    used: dict[str, Counter[str]] = {}
    for task, _, prompt, _ in written:
        for claim in _claims(task)[0]:
            for template in read._templates[claim]:
                if claim.partition(".")[0] == task and template.read(prompt, 0):
                    used.setdefault(claim, Counter())[template.source] += 1
    asked = {name for name in CLAIMS if ".ask" in name and not name.startswith(("overview", "cross_view"))}
    assert used.keys() == asked
    for claim, sources in used.items():
        assert len(sources) >= 10 or sources.total() < 120, claim
    assert sum(len(sources) >= 10 for sources in used.values()) > len(used) / 2


def test_answers_have_many_words_and_are_not_long(written, sample):
    answers = [answer for *_, answer in written]
    words = {word for answer in answers for word in re.findall(r"[a-z][a-z'-]+", answer.lower())}
    assert len(words) >= sample.times(230, 250)
    assert max(map(len, answers)) <= 1200


def test_nothing_in_an_answer_speaks_of_labels(written):
    assert [answer for task, _, _, answer in written if "grounding" not in task and re.search("label", answer)] == []


def test_presence_and_absence_are_asked_as_often(written):
    for name in ("absence", "vqa_presence"):
        said = [answer.lower() for _, suffix, _, answer in written if suffix == name]
        no = sum(answer == "no" for answer in said)
        assert 0.35 < no / len(said) < 0.65, name


def test_an_answer_is_at_most_1200_characters_in_any_world():
    longest = max(len(row["messages"][1]["content"][-1]["text"]) for k in range(40) for row in world(k).lines())
    assert longest <= 1200


@pytest.mark.parametrize(
    ("label", "is_many"),
    [
        ("water/lake", False), ("grass/forest", False), ("forest / wetland", False), ("trees/crops", True),
        ("water/lakes", True), ("water and forest", True), ("crops, grass and water", True), ("solar panels (roof)", True),
        ("bare land (rocks and sand)", False), ("(bare)", False), ("moss", False),
    ],
)  # fmt: skip
def test_verbs_follow_the_last_of_names_with_strokes(label, is_many):
    table = ClassTable(name="own", labels={1: label, 2: "ice"}, unknown=0, colors={})
    template = Template(
        "class_caption.entire", '{{ c }} {{ c | verb("cover") }} the entire image.', Lexicon(table=table, phrases={})
    )
    told = template.words({"c": 1}, lambda of: 0)
    assert told.lower() == f"{label} {'cover' if is_many else 'covers'} the entire image."
