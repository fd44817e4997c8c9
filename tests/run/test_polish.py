"""Captions of chips in a model's words: asked for once, judged by the sidecar, proved; without the key nothing changes."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from support.captioning import QUICK
from support.trees import small_planet, tree

import nutonic as nt
from nutonic.dataset.amend.polish import in_their_words, polish
from nutonic.io.objects import Store, sealed, unsealed
from nutonic.planning.spec import resolve
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.endpoint import Answer
from nutonic.testing.llm.server import ModelFault, ModelServer

ROWS = {"captions": ["full", "brief"]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("nutonic.sources.annotators.endpoint.Patience", lambda **_: QUICK)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A small planet's recipe without the key."""
    return small_planet(tmp_path_factory.mktemp("planet"), rows=ROWS)


@pytest.fixture(scope="module")
def templates(plain, tmp_path_factory) -> Path:
    """Its tree."""
    out = tmp_path_factory.mktemp("templates") / "out"
    assert nt.build(nt.load_recipe(plain), out, workers=0).complete
    return out


def polishing(plain: Path, url: str, **settings) -> nt.Recipe:
    """The same recipe with a model that polishes."""
    values = yaml.safe_load(plain.read_text(encoding="utf-8"))
    model = {"name": "small", "base_url": url, "model": "planted", "input_price": 1.0, "max_in_flight": 4}
    values["rows"]["polish"] = {"annotators": [{**model, **settings}]}
    path = plain.with_name("polish.yaml")
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return nt.load_recipe(path)


def rows_of(out: Path) -> dict[str, dict]:
    lines = [line for path in sorted((out / "data").glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    return {row["id"]: row for row in map(json.loads, lines)}


def text(row: dict) -> str:
    return row["messages"][1]["content"][0]["text"]


@pytest.fixture(scope="module")
def polished(plain, templates, tmp_path_factory):
    """The tree of the recipe that polishes, with a model that fails now and then, and what was asked."""
    out = tmp_path_factory.mktemp("polished") / "out"
    faults = [ModelFault(kind="500", share=0.1), ModelFault(kind="nonsense", share=0.3)]
    with ModelServer(faults=faults, seed=3) as server:
        summary = nt.build(polishing(plain, server.url), out, workers=0)
        return out, summary, list(server.requests)


@pytest.mark.long
def test_captions_alone_are_said_in_other_words_and_what_fails_stays(templates, polished):
    out, summary, requests = polished
    before, after = rows_of(templates), rows_of(out)
    assert list(before) == list(after)
    changed = {name for name in before if before[name] != after[name]}
    captions = {name for name, row in before.items() if row["task"] == "caption"}
    assert changed <= captions
    assert all({**before[name], "messages": None} == {**after[name], "messages": None} for name in changed)
    assert summary.complete
    told = summary.captions
    assert (told["polished"], told["polished"] + told["stayed"]) == (len(changed), len(captions))
    assert told["polished"] > len(captions) // 2
    assert told["rejected"]["repetition"] == sum(request.fault == "nonsense" for request in requests)
    answered = [request for request in requests if request.status == 200]
    assert told["usage"]["small"]["answers"] == len(answered)
    assert {text(before[name]) for name in captions} >= {text_between(request.prompt) for request in requests}
    # Sidecars and pictures are the same but for the recipe's digest, and captions in sidecars stay the templates'.
    mine, theirs = tree(out), tree(templates)
    assert mine.keys() == theirs.keys()
    assert all(mine[name] == theirs[name] for name in mine if name.startswith("images/"))


def text_between(prompt: str) -> str:
    return prompt.partition("<<<")[2].partition(">>>")[0].strip()


@pytest.mark.long
def test_a_polished_tree_is_proved_and_what_is_changed_in_it_is_found(plain, polished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(polished[0], out)
    assert nt.verify(out, deep=True, rebuild=1000).problems == ()  # all, so that several are of one batch
    assert not list((out / "_nutonic" / "commits").glob("??????.json"))  # the polished ones took their place
    answer = sorted((out / "_nutonic" / "answers").rglob("*.json"))[0]
    kept = answer.read_bytes()
    answer.unlink()
    assert any("is not kept" in problem for problem in nt.verify(out, deep=True).problems)
    answer.write_bytes(kept)
    assert nt.verify(out, deep=True).problems == ()


def test_it_is_asked_once_however_often_it_is_built(plain, polished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(polished[0], out)
    clean = tree(out)
    with ModelServer() as server:
        recipe = polishing(plain, server.url)
        assert nt.build(recipe, out, workers=0).complete
        for path in (out / "_nutonic" / "commits").glob("*.json"):
            path.unlink()
        assert nt.build(recipe, out, workers=0).complete
        assert server.requests == []
    assert tree(out) == clean


@pytest.mark.long
def test_it_goes_on_where_it_was_stopped(plain, tmp_path):
    out = tmp_path / "out"
    with ModelServer(faults=[ModelFault(kind="drop", at=range(5, 10**6))]) as server:
        summary = nt.build(polishing(plain, server.url), out, workers=0)
        assert [(each.poi_id, each.reason) for each in summary.failures] == [("captions", "dropped")]
        assert (summary.complete, summary.captions["waiting"] > 0) == (False, True)
    assert any("not polished yet" in problem for problem in nt.verify(out).problems)
    with ModelServer() as server:
        assert nt.build(polishing(plain, server.url), out, workers=0).complete
        counts = Counter(request.digest for request in server.requests)
        assert max(counts.values()) == 1
    assert nt.verify(out, deep=True).problems == ()


def test_a_plan_tells_what_it_will_take(plain):
    told = nt.plan(polishing(plain, "http://127.0.0.1:1/v1")).header()["captions"]
    assert told["captions"] == 2 * nt.plan(nt.load_recipe(plain)).tiles
    assert told["requests"] == round(1.1 * told["captions"])
    assert 0.5 < told["input_tokens"] / told["requests"] / 190 < 2  # of prompts of revisions, in words of the stand-in
    assert "captions" not in nt.plan(nt.load_recipe(plain)).header()


def test_without_the_key_nothing_is_another(plain):
    recipe = nt.load_recipe(plain)
    assert "polish" not in recipe.text()
    with_key = polishing(plain, "http://127.0.0.1:1/v1")
    elsewhere = polishing(plain, "http://127.0.0.1:2/v1", max_in_flight=9)
    assert recipe.digest() != with_key.digest() == elsewhere.digest()
    assert with_key.digest() != polishing(plain, "http://127.0.0.1:1/v1", temperature=0.1).digest()
    assert nt.load_recipe(plain.with_name("polish.yaml")) != recipe


@pytest.mark.parametrize("wrong", [{"kind": "template", "base_url": None, "model": None}, {"picture": True}])
def test_who_polishes_reads_text(plain, wrong):
    with pytest.raises(nt.errors.RecipeError, match="captions are polished by models that read text"):
        polishing(plain, "http://127.0.0.1:1/v1", **({"input_price": 0.0, "max_in_flight": 8} | wrong))


# What is let through


def lies(before: str) -> list[tuple[str, str]]:
    """What a model may say of a caption that is not so, each with the reason for which it is turned away."""
    said = f"Seen from above, {before[:1].lower()}{before[1:]}"
    found = [("thing", f"{said} A railway station is close by."), ("number", f"{said} Altogether it covers 97% of it.")]
    found.append(("refusal", "I'm sorry, but I cannot help with describing this picture."))
    return [*found, ("meta talk", f"According to the notes in the prompt, {said}"), ("echo", before)]


def test_what_a_sidecar_does_not_say_is_not_let_through(plain, templates):
    recipe = polishing(plain, "http://127.0.0.1:1/v1")
    spec = resolve(recipe)
    sidecars = {path.stem: json.loads(path.read_bytes()) for path in (templates / "metadata").rglob("*.json")}
    captions = [row for row in rows_of(templates).values() if row["id"].endswith("__caption")]
    # of bands cells say too little, and what denies something is let through by nobody
    captions = [row for row in captions if not re.search(r"band|belt|\bno\b|nothing|hardly|else than", text(row), re.I)]
    assert len(captions) > 3
    for row in captions:
        line = json.dumps(row).encode() + b"\n"
        for reason, lie in lies(text(row)):
            (made,) = polish(line, sidecars, spec, answering(lie))
            assert made.annotations == ()
            assert {each.reason for each in made.rejections} == {reason}, (lie, made.rejections[0].detail)
            assert in_their_words(line, [made]) == line
        said = f"Seen from above, {text(row)[:1].lower()}{text(row)[1:]}"
        (made,) = polish(line, sidecars, spec, answering(said))
        assert [each.text for each in made.annotations] == [said], made.rejections[0].detail


def answering(said: str) -> Answers:
    answer = Answer(text=said, prompt_tokens=1, completion_tokens=1, finish_reason="stop")
    return Answers(Store(None), lambda annotator, request: answer)


def test_an_answer_that_is_another_now_is_found(polished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(polished[0], out)
    store = Store(out)
    for path, _ in list(store.sizes("_nutonic/answers")):
        value = unsealed(store.get(path), path)
        store.put(path, sealed({**value, "text": f"{value['text']} It is a calm piece of land."}))
    assert any("its captions are not what" in problem for problem in nt.verify(out, deep=True).problems)
