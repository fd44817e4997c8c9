"""Captioning as a stage of a build, against the stand-in: what is asked, kept, refused, paid, stopped and gone on with."""

from __future__ import annotations

import json
import re
import tarfile
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest
from support.captioning import QUICK
from support.clusters import cluster, started
from support.country import NAME, country, pictured, recipe_in
from support.trees import tree

import nutonic as nt
from nutonic.cli.console import show_summary
from nutonic.cli.progress import JsonProgress, LineProgress
from nutonic.dataset.commits import committed
from nutonic.dataset.report.tree import failures
from nutonic.dataset.shards.captions import read_captions
from nutonic.errors import InputError
from nutonic.io.objects import Store
from nutonic.io.session import limited
from nutonic.planning.patches.cost import expected_captions
from nutonic.planning.patches.spec import resolve_patches
from nutonic.planning.plan_file import digest_of
from nutonic.recipe.annotation import Annotator
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.run.callbacks import CaptionsFinished
from nutonic.run.captions.stage import caption_all, take_answers
from nutonic.run.patches.captioning import PatchCaptioner, waiting
from nutonic.run.results import Failure
from nutonic.sources.annotators.cost import price
from nutonic.testing.llm.replies import SAYINGS, honest
from nutonic.testing.llm.server import ModelFault, ModelServer

ROWS, COLS = 4, 5
PATCHES = ROWS * COLS


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("nutonic.sources.annotators.endpoint.Patience", lambda **_: QUICK)


class Heard(nt.Callback):
    """What a build tells; stops once there are so many answers, where it is told to."""

    def __init__(self, server: ModelServer | None = None, most: int | None = None) -> None:
        self.notes, self.events, self._server, self._most = [], [], server, most

    def on_note(self, event) -> None:
        self.notes.append(event.text)

    def on_batch(self, event) -> None:
        self.events.append(event)

    def stop_requested(self) -> bool:
        return self._most is not None and len(self._server.requests) >= self._most


def model(url: str, name: str = "model", **settings) -> dict:
    return {"name": name, "base_url": url, "model": "planted", "max_in_flight": 4, **settings}


def country_of(out: Path, *annotators: dict, **captions) -> nt.PatchRecipe:
    """The recipe of a country whose pictures are in a folder, and captions are not."""
    path = recipe_in(country(ROWS, COLS), {"annotators": list(annotators), "revisions": {1: 1}, **captions})
    if not out.exists():
        pictured(path, ROWS, COLS, out)
    return nt.load_recipe(path)


def captioned(out: Path, *annotators: dict, heard: Heard | None = None, captions=None, **options):
    return nt.build(
        country_of(out, *annotators, **(captions or {})), out, workers=0, callbacks=[heard] if heard else [], **options
    )


def staged(out: Path, *annotators: dict, heard: Heard | None = None, captions=None, answers=None, max_cost=None):
    """The stage alone, without what a build makes of it."""
    spec, store = resolve_patches(country_of(out, *annotators, **(captions or {}))), Store(out)
    callback = heard or Heard()
    with limited(8):
        if answers is not None:
            take_answers(spec.captions, store, answers, callback)
        left, captioner = partial(waiting, store, committed(store)), PatchCaptioner(spec, store, digest_of(store))
        _, whole = expected_captions(spec, 1000)
        expected = whole.money / 1000
        return caption_all(captioner, left, None, callback, max_cost=max_cost, expected=expected)


def captions_in(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "_nutonic" / "captions").iterdir())}


def patches_in(out: Path) -> list[PatchCaptions]:
    store = Store(out)
    return [each for name in committed(store).all_names() for each in read_captions(store, name).patches]


def rejected_in(out: Path) -> Counter[str]:
    return Counter(each.reason for patch in patches_in(out) for each in patch.rejections)


def said(out: Path) -> dict[str, dict]:
    """The JSON of each patch in the shards, by its key."""
    found = {}
    for shard in sorted((out / "data").rglob("*.tar")):
        with tarfile.open(shard) as archive:
            found |= {m.name: json.loads(archive.extractfile(m).read()) for m in archive if m.name.endswith(".json")}
    return found


def answers_in(out: Path) -> int:
    return sum(1 for path in (out / "_nutonic" / "answers").rglob("*.json"))


def paid_twice(server: ModelServer) -> list[str]:
    counts = Counter(request.digest for request in server.requests if request.status == 200 and request.fault is None)
    return [digest for digest, count in counts.items() if count > 1]


class Clean(NamedTuple):
    """What is made where nobody disturbs."""

    files: dict[str, bytes]
    captions: dict[str, bytes]
    requests: int


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    out = tmp_path_factory.mktemp("clean") / "out"
    with ModelServer() as server:
        assert captioned(out, model(server.url)).complete
        assert len(server.requests) == answers_in(out) == 2 * PATCHES
        return Clean(tree(out), captions_in(out), len(server.requests))


@pytest.mark.long
def test_whatever_happens_on_the_way_the_shards_are_the_same(clean, tmp_path):
    kinds = ("slow", "500", "503", "drop", "truncated", "cut", "malformed")
    faults = [ModelFault(kind=kind, share=0.05, after_s=0.4, retry_after=None) for kind in kinds]
    faults += [ModelFault(kind="429", share=0.05, retry_after="0.2"), ModelFault(kind="drip", share=0.03, after_s=0.05)]
    with ModelServer(faults=faults, seed=1) as server:
        assert captioned(tmp_path / "out", model(server.url, timeout_s=0.3)).complete
        assert sum(server.count(fault.kind) > 0 for fault in faults) >= 6
        assert server.peak <= 4 + server.count("slow") + server.count("drip")  # those go on when nobody waits any more
        assert paid_twice(server) == []
    assert tree(tmp_path / "out") == clean.files


@pytest.mark.long
def test_what_is_no_caption_is_counted_listed_and_in_no_shard(tmp_path):
    faults, out = [ModelFault(kind=kind, share=0.05) for kind in SAYINGS], tmp_path / "out"
    with ModelServer(faults=faults, seed=2) as server:
        summary = captioned(out, model(server.url))
        wrong = sum(server.count(kind) for kind in SAYINGS)
        assert sum(server.count(kind) > 0 for kind in SAYINGS) >= 6
        assert summary.complete
        assert sum(summary.captions["rejected"].values()) >= wrong
        assert len(server.requests) == answers_in(out) == summary.captions["usage"]["model"]["answers"]
        assert len(server.requests) == summary.captions["captions"] + sum(summary.captions["rejected"].values())
    statistics = json.loads((out / "statistics.json").read_bytes())
    assert json.dumps(statistics).count("BANANA") > 0  # listed as an example of what was refused
    found = said(out)
    assert len(found) == PATCHES - summary.captions["uncaptioned"]
    texts = [each["text"] for patch in found.values() for each in patch["annotations"]]
    assert len(texts) == summary.captions["captions"]
    assert not any(word in text for text in texts for word in ("BANANA", "sorry", "OpenStreetMap", "glorp", "#", "**"))
    assert nt.verify(out, deep=True).problems == ()


@pytest.mark.long
def test_orders_in_a_name_of_the_map_are_in_no_prompt_and_obeyed_in_no_caption(tmp_path):
    with ModelServer() as server:
        staged(tmp_path / "plain", model(server.url))
        assert not any("BANANA" in request.prompt for request in server.requests)
        server.reset()
        named, templates = (
            {"names": True, "area_weight": 0.0, "revisions": {0: 1}},
            {"name": "templates", "kind": "template"},
        )
        staged(tmp_path / "named", model(server.url, weight=1e6), templates, captions=named)
        assert all(NAME in request.prompt for request in server.requests)
        # It is obeyed each time, with each seed; then the next annotator is asked.
        assert rejected_in(tmp_path / "named")["name"] == len(server.requests) == 3 * PATCHES
    made = [each for patch in patches_in(tmp_path / "named") for each in patch.annotations]
    assert [each.annotator for each in made] == ["templates"] * PATCHES
    assert "BANANA" not in {each.text for each in made}


@pytest.mark.long
def test_another_seed_then_another_annotator_then_the_patch_is_dropped(tmp_path):
    with ModelServer(faults=[ModelFault(kind="refusal", share=1.0)]) as bad, ModelServer() as good:
        assert staged(tmp_path / "both", model(bad.url, "bad", weight=1e6), model(good.url, "good")).waiting == 0
        assert len(good.requests) == 2 * PATCHES
        assert rejected_in(tmp_path / "both") == {"refusal": len(bad.requests)} == {"refusal": 6 * PATCHES}
        assert len({request.body["seed"] for request in bad.requests}) == len(bad.requests)
        assert all(len(patch.annotations) == 2 for patch in patches_in(tmp_path / "both"))
        bad.reset()
        alone = captioned(tmp_path / "alone", model(bad.url))
        assert (alone.complete, alone.captions["uncaptioned"], alone.chips) == (True, PATCHES, 0)
        assert len(bad.requests) == 3 * PATCHES
    assert said(tmp_path / "alone") == {}


@pytest.mark.long
def test_a_dead_endpoint_ends_with_a_line_and_the_next_build_goes_on(clean, tmp_path):
    out = tmp_path / "out"
    with ModelServer(faults=[ModelFault(kind="drop", at=range(10, 10**6))]) as server:
        made = staged(out, model(server.url))
        assert [(each.poi_id, each.reason) for each in made.failures] == [("captions", "dropped")]
        assert made.failures[0].error.endswith(
            "did not answer in 6 attempts (last: dropped): run again when it answers"
        )
        assert made.waiting > 0
        # Six threads at most find out for themselves, and nobody else waits in vain as long.
        assert server.count("drop") <= 6 * 6
        assert answers_in(out) == 10
    with ModelServer() as server:
        assert staged(out, model(server.url)).waiting == 0
        assert len(server.requests) == clean.requests - 10
    assert captions_in(out) == clean.captions


@pytest.mark.parametrize("kind", ["401", "400"])
def test_an_endpoint_that_refuses_from_the_first_is_asked_no_more(tmp_path, kind: str):
    with ModelServer(faults=[ModelFault(kind=kind, share=1.0)]) as server:
        made = staged(tmp_path / "out", model(server.url))
        assert len(server.requests) <= (4 if kind == "401" else 8)  # with one each that shows that it is of all
    assert [(each.poi_id, each.reason) for each in made.failures] == [("captions", kind)]


@pytest.mark.long
def test_a_patch_that_an_endpoint_never_takes_goes_to_the_next_one_or_is_dropped_for_good(tmp_path):
    out, both = tmp_path / "out", tmp_path / "both"
    with ModelServer() as server:
        staged(tmp_path / "clean", model(server.url))
        nouns = Counter(re.findall(r"Describe the [\w ]+ in an", " ".join(each.prompt for each in server.requests)))
    fault = ModelFault(kind="400", share=1.0, holding=min(nouns, key=lambda noun: (nouns[noun], noun)))
    with ModelServer(faults=[fault]) as server, ModelServer() as other:
        made = staged(out, model(server.url))
        assert (made.failures, made.waiting) == ([], 0)
        refused = [request.digest for request in server.requests if request.status == 400]
        assert len(set(refused)) == len(refused) == rejected_in(out)["refused"] > 0  # not again, whatever the seed
        before = len(server.requests)
        assert staged(out, model(server.url)).waiting == 0
        assert len(server.requests) == before
        assert staged(both, model(server.url), model(other.url, name="other", weight=1e-9)).failures == []
        assert 0 < rejected_in(both)["refused"] <= len(other.requests)
    assert len([patch for patch in patches_in(out) if not patch.annotations]) == len(refused)
    assert all(patch.annotations for patch in patches_in(both))


def test_an_endpoint_that_takes_nothing_any_more_ends_captions_and_says_why(tmp_path):
    out = tmp_path / "out"
    with ModelServer(faults=[ModelFault(kind="400", at=range(9, 10_000))]) as server:
        made = staged(out, model(server.url))
        assert len(server.requests) < 9 + 3 * 4
        ((name, told),) = ((each.poi_id, each.error) for each in made.failures)
    assert name == "captions"
    assert told.endswith("refuses (400, server_error): look at model and what it can take (it says: Bad request)")
    with ModelServer() as server:
        assert staged(out, model(server.url)).waiting == 0  # nothing of it was kept as an answer
    assert rejected_in(out) == {}


@pytest.mark.long
def test_a_stop_waits_for_what_is_in_flight_alone(clean, tmp_path):
    out = tmp_path / "out"
    with ModelServer(latency_s=0.05) as server:
        made = staged(out, model(server.url), heard=Heard(server, 8))
        assert 8 <= len(server.requests) < clean.requests
        assert (made.waiting > 0, made.failures) == (True, [])
        assert answers_in(out) == len(server.requests)
        assert staged(out, model(server.url)).waiting == 0
        assert len(server.requests) == clean.requests
    assert captions_in(out) == clean.captions


# Money

PRICES = {"input_price": 100.0, "output_price": 1000.0}


def cost(server: ModelServer) -> float:
    """What the server gave for the prices, by its own count."""
    spent = 0.0
    for request in server.requests:
        usage = server.completion(request.body, honest(request.body))["usage"]
        spent += usage["prompt_tokens"] * 100e-6 + usage["completion_tokens"] * 1000e-6
    return spent


@pytest.mark.long
def test_captions_cost_no_more_than_they_may_and_what_was_paid_is_kept(tmp_path):
    out = tmp_path / "out"
    with ModelServer() as server:
        for most in (1.0, 1.0, 2.0):
            heard = Heard()
            assert staged(out, model(server.url, **PRICES), heard=heard, max_cost=most).waiting > 0
            spent = cost(server)
            assert most - 0.6 < spent <= most
            assert [note for note in heard.notes if f"{spent:.4g} of the {most:.4g} that --max-cost allows" in note]
            assert answers_in(out) == len(server.requests)
        assert staged(out, model(server.url, **PRICES), max_cost=100.0).waiting == 0
        assert paid_twice(server) == []
        usage = [each for patch in patches_in(out) for each in patch.usage]
        assert sum(price(Annotator(**model("http://x", **PRICES)), *each[1:]) for each in usage) == pytest.approx(
            cost(server)
        )


def test_a_limit_of_money_needs_prices(tmp_path):
    with ModelServer() as server, pytest.raises(InputError, match="--max-cost: model has no prices"):
        staged(tmp_path / "out", model(server.url), max_cost=1.0)


# Answers by file


def test_answers_by_file_come_late_in_any_order_in_pieces_and_with_errors(clean, tmp_path):
    out, rounds, heard = tmp_path / "out", list[int](), Heard()
    batch, results = model("https://models.example.org/v1", mode="batch"), tmp_path / "results.jsonl"
    with ModelServer() as server:
        left = staged(out, batch, heard=heard).waiting
        while left:
            written = (out / "_nutonic" / "requests" / "model.jsonl").read_bytes()
            lines = server.batch(written).splitlines()
            assert any(f"{len(lines)} requests wait in {out}" in note for note in heard.notes)
            rounds.append(len(lines))
            there = lines if len(rounds) > 1 else lines[: PATCHES // 2]
            failed = [
                {"custom_id": json.loads(line)["custom_id"], "response": None, "error": {"code": "batch_expired"}}
                for line in lines[len(there) :]
            ]
            stranger = {**json.loads(lines[0]), "custom_id": "0" * 64}
            rows = [
                *there,
                there[0],
                b"{",
                json.dumps(stranger).encode(),
                *(json.dumps(each).encode() for each in failed),
            ]
            results.write_bytes(b"\n".join(rows) + b"\n")
            heard = Heard()
            left = staged(out, batch, heard=heard, answers=results).waiting
            (told,) = (note for note in heard.notes if "new answers" in note)
            assert f"{len(there)} new answers of {len(rows)} lines, 1 known before" in told
            assert "1 × no JSON, 1 × no request of ours" in told
    # Half of the first captions, then the others beside the revisions of those, then the other revisions.
    assert rounds == [PATCHES, PATCHES, PATCHES // 2]
    assert captions_in(out) == clean.captions


# What is told while captions are made


def test_progress_is_told_in_patches(tmp_path, capsys):
    class Lines(LineProgress):
        heard: ClassVar[list] = []

        def on_batch(self, event) -> None:
            self.heard.append(event)
            super().on_batch(event)

    lines = Lines()
    with ModelServer() as server:
        staged(tmp_path / "out", model(server.url), heard=lines)
    lines.flush()
    assert all(isinstance(event, CaptionsFinished) for event in lines.heard)
    assert {event.to_do for event in lines.heard} == {PATCHES}
    assert sum(event.result.finished for event in lines.heard) == PATCHES
    assert sum(event.result.rows for event in lines.heard) == 2 * PATCHES
    assert len(lines.heard) > 1
    assert f"{PATCHES} of {PATCHES} captioned" in capsys.readouterr().err
    progress = JsonProgress()
    for event in lines.heard:
        progress.on_batch(event)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (told[-1]["event"], told[-1]["done"], told[-1]["to_do"]) == ("captions", PATCHES, PATCHES)


def shown(capsys, summary, out: Path) -> list[str]:
    """What a person is told of a build, line by line."""
    capsys.readouterr()
    show_summary(summary, out)
    return capsys.readouterr().out.splitlines()


def test_what_waits_where_nobody_answers_is_told_in_patches(tmp_path, capsys):
    with ModelServer(faults=[ModelFault(kind="401", share=1.0)]) as server:
        summary = captioned(tmp_path / "out", model(server.url))
    assert [(each.poi_id, each.is_of_captions) for each in summary.failures] == [("captions", True)]
    assert shown(capsys, summary, tmp_path / "out")[-1] == (
        f"{PATCHES} patches wait for captions: run the same command again"
    )
    page = nt.report(tmp_path / "out", tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Captions that failed, and are waited for" in page
    assert "all that wait" in page
    assert "Places that failed" not in page


def test_a_report_tells_places_that_failed_apart_from_captions():
    found = [
        {"poi_id": f"p{k}", "asset": asset, "reason": "read failed", "error": "no"}
        for k, asset in enumerate(["a/red", "captions", None, *["captions"] * 22])
    ]
    section = failures(
        {"failures": [{**found[0], "poi_id": "captions"}, *found[1:], {**found[1], "poi_id": "captions"}]}
    )
    note, places, captions = section.blocks
    assert note.text.endswith("4 more are in _nutonic/summary.json.")
    assert (places.caption, [row[0].text for row in places.rows]) == (
        "Places that failed, and stay open",
        ["captions", "p2"],  # a place may be called so
    )
    assert captions.caption == "Captions that failed, and are waited for"
    assert [row[0].text for row in captions.rows] == ["p1", *(f"p{k}" for k in range(3, 22))]
    (_, alone) = failures({"failures": [{**found[1], "poi_id": "captions"}]}).blocks
    assert [row[0].text for row in alone.rows] == ["all that wait"]


def test_places_that_failed_are_told_apart_from_patches_that_wait(tmp_path, capsys):
    failures = [
        Failure(poi_id="p1", asset="a/red", reason="read failed", error="no"),
        Failure(poi_id="captions", asset="captions", reason="dropped", error="no"),
    ]
    summary = nt.Summary(
        places=4, wanted=4, still_open=3, failures=tuple(failures),
        captions={"waiting": 2, "uncaptioned": 0, "captions": 0},
    )  # fmt: skip
    told = shown(capsys, summary, tmp_path / "out")
    assert told[-1] == "1 place failed and stays open and 2 patches wait for captions: run the same command again"


def test_answers_that_do_not_suffice_leave_patches_that_wait(tmp_path, capsys):
    out, batch, results = tmp_path / "out", model("https://models.example.org/v1", mode="batch"), tmp_path / "r.jsonl"
    captioned(out, batch)
    with ModelServer() as server:
        lines = server.batch((out / "_nutonic" / "requests" / "model.jsonl").read_bytes()).splitlines()
    results.write_bytes(lines[0] + b"\n")
    summary = captioned(out, batch, answers=results)
    assert shown(capsys, summary, out) == [
        f"no caption was written: {PATCHES} patches wait for captions in {out}",
    ]


@pytest.mark.long
def test_a_build_that_puts_shards_together_again_says_so(tmp_path, capsys):
    out = tmp_path / "out"
    with ModelServer() as server:
        url = server.url
        captioned(out, model(url))
    before = tree(out)
    idle = captioned(out, model(url))
    assert shown(capsys, idle, out) == [f"nothing to do: all {PATCHES} patches are built in {out}"]
    for path in sorted((out / "data").rglob("*.tar"))[:1]:
        path.unlink()
    again = captioned(out, model(url))
    assert (idle.remade, again.remade, again.complete) == (False, True, True)
    assert shown(capsys, again, out) == [
        f"all {PATCHES} patches are built in {out}: data/ and what tells of it were put together now"
    ]
    assert tree(out) == before


# Several workers


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_all_workers_keep_to_what_an_endpoint_takes_and_leave_it_alone_together(clean, tmp_path):
    out, refused = tmp_path / "out", ModelFault(kind="429", at=(9,), retry_after="2")
    with ModelServer(latency_s=0.08, faults=[refused]) as server, cluster(tmp_path / "dask", workers=3) as dask:
        recipe = recipe_in(
            country(ROWS, COLS),
            {"annotators": [model(server.url, max_in_flight=4)], "revisions": {1: 1}},
            name="three.yaml",
        )
        pictured(recipe, ROWS, COLS, out)
        process = started(tmp_path, "build", recipe, "--out", out, "--scheduler", dask.address)
        assert process.ended() == 0, process.told()
        (wait,) = (each for each in server.requests if each.status == 429)
        after = sorted(each.arrived_s - wait.answered_s for each in server.requests)
        # The others hear of it by way of scheduler and driver; then nobody asks until the two seconds are over.
        assert [seconds for seconds in after if 0.7 < seconds < 2.0] == []
        assert sum(seconds >= 2.0 for seconds in after) > 10
        assert server.peak <= 4
        assert paid_twice(server) == []
    assert tree(out) == clean.files


class LastAnswerWaits(ModelServer):
    """Does not answer the last request of a worker's first job until another request comes."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.came, self._last, self._next = False, last, threading.Event()

    def arrived(self, body: bytes):
        found = super().arrived(body)
        if found[0] > self._last:
            self._next.set()
        elif found[0] == self._last:
            self.came = self._next.wait(20)
        return found


@pytest.mark.long
@pytest.mark.cluster
def test_while_the_last_answers_of_a_job_take_their_time_the_next_one_is_begun(clean, tmp_path):
    out = tmp_path / "out"
    with LastAnswerWaits(last=2 * 12 - 1) as server, cluster(tmp_path / "dask", workers=1) as dask:
        # Two jobs, of twelve and of eight patches, each of which takes two requests.
        recipe = recipe_in(
            country(ROWS, COLS), {"annotators": [model(server.url)], "revisions": {1: 1}}, name="two.yaml"
        )
        pictured(recipe, ROWS, COLS, out)
        process = started(tmp_path, "build", recipe, "--out", out, "--scheduler", dask.address)
        assert process.ended() == 0, process.told()
        assert server.came
        assert server.peak <= 4
        assert paid_twice(server) == []
    assert tree(out) == clean.files


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_requests_a_minute_are_those_of_all_workers_together(tmp_path):
    out = tmp_path / "out"
    with ModelServer() as server, cluster(tmp_path / "dask", workers=2) as dask:
        slow = model(server.url, max_in_flight=4, requests_per_minute=240)
        recipe = recipe_in(country(ROWS, COLS), {"annotators": [slow], "revisions": {1: 1}}, name="slow.yaml")
        pictured(recipe, ROWS, COLS, out)
        process = started(tmp_path, "build", recipe, "--out", out, "--scheduler", dask.address)
        assert process.ended() == 0, process.told()
        first, *_, last = sorted(each.arrived_s for each in server.requests)
        assert last - first >= (2 * PATCHES - 4) / 240 * 60
