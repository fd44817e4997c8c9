"""A person's own templates: read with the recipe, part of its digest, refused where their sentences could lie."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from support.cli import nutonic
from support.spoken import ALL, Spoken, planted

from nutonic import load_recipe
from nutonic.core.classes import DYNAMIC_WORLD
from nutonic.errors import RecipeError
from nutonic.recipe.texts import builtin
from nutonic.rows.wording import Said, Wording


@pytest.fixture
def own(recipe_path, tmp_path):
    """Writes a folder of templates, and a recipe that names it; gives the recipe's path."""

    def write(**texts: str):
        folder = tmp_path / "words"
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        content = yaml.safe_load(recipe_path.read_text(encoding="utf-8"))
        content["rows"] = {**content.get("rows", {}), "wording": str(folder)}
        for part, key in (("imagery", "url"), ("labels", "path"), ("pois", "path")):
            content[part][key] = str(recipe_path.parent / content[part][key])
        path = tmp_path / "own.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


def digest(path) -> str:
    return load_recipe(path).digest()


@pytest.mark.long
def test_a_copy_of_the_builtin_templates_is_the_builtin(own, recipe_path):
    assert digest(own(**builtin())) == digest(recipe_path)


@pytest.mark.long
def test_an_edited_file_is_used_and_changes_the_digest(own, recipe_path, tmp_path):
    edited = builtin()["caption"].replace(
        "ask_full:\n", "ask_full:\n  - 'Kindly describe the land in this {{ picture }}.'\n"
    )
    path = own(caption=edited)  # the other tasks are worded as ever
    assert digest(path) != digest(recipe_path)
    only = re.sub(r"(ask_full:\n)(  - .*\n)+", r"\1  - 'Kindly describe the land in this {{ picture }}.'\n", edited)
    path = own(caption=only)
    assert nutonic("build", path, "--out", tmp_path / "tree", "--workers", 0, "--limit", 1).code == 0
    rows = [json.loads(line) for file in (tmp_path / "tree" / "data").iterdir() for line in file.open(encoding="utf-8")]
    asked = {row["messages"][0]["content"][1]["text"] for row in rows if row["task"] == "caption"}
    assert asked == {"Kindly describe the land in this satellite image."}
    assert nutonic("verify", tmp_path / "tree", "--deep").code == 0


def with_template(claim: str, template: str) -> dict[str, str]:
    task, _, name = claim.partition(".")
    content = yaml.safe_load(builtin()[task])
    content[name] = [template]
    return {task: yaml.safe_dump(content)}


def test_a_wording_that_was_written_before_enlarged_pictures_were_told_goes_on():
    before = builtin()["prompt"].partition("# Of a picture whose pixels")[0] + "date: ['It was taken on {{ date }}.']\n"
    older = Wording({**builtin(), "prompt": before + "season: ['Season: {{ season }}.']\n"}, DYNAMIC_WORLD)
    said = Said(claim="prompt.enlarged", values={"metres": "5", "native": "10"})
    assert older.words(said, "k", {}) == Wording(builtin(), DYNAMIC_WORLD).words(said, "k", {})
    older.refuse_unreadable()


def test_captions_that_were_worded_before_every_part_was_told_go_on():
    later = ("ask_zonal_seen", "zone_shared", "zone_seen")
    caption = {name: words for name, words in yaml.safe_load(builtin()["caption"]).items() if name not in later}
    older = Wording({**builtin(), "caption": yaml.safe_dump(caption)}, DYNAMIC_WORLD)
    older.refuse_unreadable()
    said = Said(claim="caption.zone_shared", values={"zone": "centre", "classes": [{"c": 1}, {"c": 4}]})
    assert older.words(said, "k", {}) == Wording(builtin(), DYNAMIC_WORLD).words(said, "k", {})


def texts_of(wrong: dict[str, str] | tuple[str, str]) -> dict[str, str]:
    """Whole files as they are; or a claim and its template, put into the built-in file, which costs a tenth of a second."""
    return wrong if isinstance(wrong, dict) else with_template(*wrong)


#: What is wrong, as :func:`texts_of` takes it, and a word of the message.
WRONG = {
    "a number": (("caption.brief_most", "In 2024 mostly {{ c }}, with {{ classes }}."), "number"),
    "a statement": (("caption.brief_most", "{% if c %}{{ c }}{% endif %}, with {{ classes }}."), "If"),
    "a call": (("caption.brief_most", "{{ c.upper() }}, with {{ classes }}."), "Call"),
    "an attribute": (("caption.brief_most", "{{ c.__class__ }}, with {{ classes }}."), "Getattr"),
    "a verb that denies": (("caption.sees", "{{ c }} {{ c | verb('do not lie') }} {{ where }}."), "Filter"),
    "a verb that is none": (("caption.sees", "{{ c }} {{ c | verb }} {{ where }}."), "Filter"),
    "a text of its own": (("caption.sees", "{{ c }} {{ where }} {{ 'and only there' }}."), "Filter"),
    "another filter": (("caption.brief_most", "{{ c | upper }}, with {{ classes }}."), "Filter"),
    "a missing slot": (("caption.brief_most", "Mostly {{ c }}."), "must use"),
    "a slot of another claim": (("caption.brief_most", "{{ c }} {{ classes }} {{ share }}."), "must use"),
    "an unknown claim": ({"caption": builtin()["caption"] + "\nsings:\n  - 'La.'\n"}, "no claim"),
    "an unknown task": ({"poem": "line:\n  - 'La.'\n"}, "no claim"),
    "a claim without a template": ({"absence": "'yes':\n  - 'Yes.'\n"}, "no template"),
    "no list": ({"absence": "ask: 'Is there any {{ c }}?'\n"}, "list"),
    "bad YAML": ({"caption": "ask_full: [\n"}, "YAML"),
    "no mapping": ({"caption": "- a\n"}, "claims"),
    "a phrase of two places": (
        {"phrases": builtin()["phrases"].replace("[at the top, ", "[in the centre, ")}, "of two places"
    ),
    "a place without a phrase": ({"phrases": "places: {}\n"}, "places"),
    "a break": (("caption.brief_most", "Mostly {{ c }},\n\nwith {{ classes }}."), "break"),
}  # fmt: skip

#: Sentences that say more than their claim, in words that no slot holds.
LYING = {
    "a direction": ("caption.sees", "On the left, {{ c }} {{ where }} in this {{ picture }}."),
    "all": ("caption.sees", "All is {{ c }} {{ where }} in this {{ picture }}."),
    "nothing else": ("caption.brief_seen", "Nothing but {{ classes }}."),
    "not": ("class_caption.seen", "{{ c }} {{ c | verb('are') }} not {{ where }}."),
    "isn't": ("class_caption.seen", "{{ c }} isn't {{ where }}."),
    "most": ("caption.sees", "Most of it is {{ c }} {{ where }}."),
    "half": ("caption.mixed", "Half of it is {{ c }} ({{ share }}), {{ where }}."),
    "dominated": ("caption.mixed", "A view of {{ size }} dominated by {{ c }} ({{ share }}), {{ where }}."),
    "a class": ("caption.sees", "Water beside {{ c }} {{ where }}."),
    "a count in words": ("caption.sees", "Three lots of {{ c }} {{ where }}."),
    "a season": ("caption.sees", "In winter, {{ c }} {{ where }}."),
    "no for yes": ("absence.yes", "No, there is none."),
    "yes for no": ("vqa.no", "yes"),
    "only for largest": ("referring.ask_largest", "Box the only region of {{ c }} in this {{ picture }}."),
    "all for some": ("grounding.ask_some", "Detect all: {{ count }}, {{ side }} %, {{ fill }} %, {{ most }} %."),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_templates_that_cannot_be_read_back_are_refused_in_one_line(own, name):
    texts, word = WRONG[name]
    said = nutonic("plan", own(**texts_of(texts)))
    assert said.code == 2
    assert "Traceback" not in said.err
    assert "wording" in said.err
    assert word in said.err
    assert len(said.err.strip().splitlines()) <= 2


@pytest.mark.parametrize("name", LYING)
def test_templates_that_state_facts_of_their_own_are_refused(own, name):
    said = nutonic("plan", own(**texts_of(LYING[name])))
    assert said.code == 2
    assert "of its own" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "template",
    [
        "In this {{ size }} {{ picture }} I can spot {{ c }} {{ where }}.",
        "Behold: {{ c }} {{ where }}, dear reader.",
        "{{ c }} {{ c | verb('thrive') }} {{ where }}.",
    ],
)
def test_harmless_templates_are_taken(own, template):
    path = own(**with_template("caption.sees", template))
    load_recipe(path)
    assert nutonic("plan", path).code == 0


def test_a_missing_or_strange_folder_is_told(own, tmp_path):
    path = own(**builtin())
    (tmp_path / "words" / "caption.yaml").write_bytes(b"\xff\xfe\x00ask")
    with pytest.raises(RecipeError, match="UTF-8"):
        load_recipe(path)
    for file in (tmp_path / "words").iterdir():
        file.unlink()
    with pytest.raises(RecipeError, match="finds no"):
        load_recipe(path)
    (tmp_path / "words").rmdir()
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(path)


def test_own_sentences_are_read_back_like_all_others():
    texts = {**builtin(), **with_template("class_caption.seen", "Behold {{ c }} {{ where }}!")}
    made = planted(half=True)
    made = Spoken(made.mask, rows={**ALL, **made.rows, "wording": texts})
    rows = [row for row in made.lines() if row["task"] == "class_caption"]
    assert rows
    assert all(row["messages"][1]["content"][0]["text"].startswith("Behold ") for row in rows)
    assert all(made.problem(row) is None for row in rows)
