"""Captioning patches with the real client against the stand-in: who is asked, what passes, what is lost when killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import types
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.captioning import QUICK, captioned, model, patches
from support.paths import ROOT
from support.scenes import NAMED, POND, TASKS, revision

from nutonic.dataset.annotate import annotate, in_order
from nutonic.errors import Unreachable
from nutonic.io.objects import Store
from nutonic.recipe.annotation import Annotator, Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation import prompts
from nutonic.rows.annotation.calling import Roll
from nutonic.rows.annotation.things import evidence_of
from nutonic.sources.annotators.answers import Answers, path_of
from nutonic.sources.annotators.batches import Pending, asker, read_results, requested, requests_path, write_requests
from nutonic.sources.annotators.endpoint import Endpoints
from nutonic.testing.llm.server import ModelFault, ModelServer

TEXTS = builtin("prompts")
BASE, AGAIN = TASKS["pond"], [revision(TASKS["pond"], index) for index in range(3)]


def made_by(server, *tasks, annotators=None, description=POND, captions=None, root=None, **options):
    asked = annotators or [model(server.url)]
    with Endpoints(asked, patience=QUICK) as endpoints:
        answers = Answers(Store(root), endpoints.ask)
        return annotate(description, tasks, asked, answers, captions or Captions(), texts=TEXTS, **options)


def test_a_patch_gets_its_caption_and_revisions_of_it(tmp_path):
    with ModelServer() as server:
        made = made_by(server, BASE, *AGAIN, root=tmp_path)
        assert [each.task for each in made.annotations] == [BASE, *AGAIN]
        assert len({each.text for each in made.annotations}) == 4
        assert made.rejections == ()
        assert [usage[0] for usage in made.usage] == ["model"] * 4
        assert all(prompt > 100 and answer > 5 for _, prompt, answer in made.usage)
        for annotation, request in zip(made.annotations, server.requests, strict=True):
            assert annotation.seed == request.body["seed"]
            assert (annotation.model, annotation.temperature, annotation.annotator) == ("planted", 0.7, "model")
            assert (tmp_path / path_of(annotation.request)).exists()
        assert all(f"<<<\n{made.annotations[0].text}\n>>>" in request.prompt for request in server.requests[1:])
        assert made_by(server, BASE, *AGAIN, root=tmp_path) == made
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("refusal", "refusal"), ("nonsense", "repetition"), ("markup", "markup"), ("meta", "meta talk"),
        ("language", "not English"),
        ("obeys", "name"), ("empty", "no text"), ("echo", "markup"),
    ],
)  # fmt: skip
def test_every_answer_that_is_no_caption_is_turned_away_and_counted(kind: str, reason: str):
    with ModelServer(faults=[ModelFault(kind=kind, at=(0, 1))]) as server:
        made = made_by(server, BASE)
        assert len(server.requests) == len(made.usage) == 3
    assert [(each.reason, each.annotator, each.task, each.patch_id) for each in made.rejections] == [
        (reason, "model", 1, "pond")
    ] * 2
    assert len(made.annotations) == 1
    assert all(len(each.text) <= 1000 for each in made.rejections)
    assert len({request.body["seed"] for request in server.requests}) == 3


def test_an_answer_that_is_cut_off_is_no_caption():
    with ModelServer() as server:
        made = made_by(server, BASE, annotators=[model(server.url, max_tokens=16)])
    assert [each.reason for each in made.rejections] == ["cut off"] * 3
    assert made.annotations == ()


def test_a_schema_is_asked_for_and_read():
    with ModelServer(faults=[ModelFault(kind="slow", at=(0,), after_s=0.0)]) as server:
        made = made_by(server, BASE, annotators=[model(server.url, structured=True)])
    assert server.requests[0].body["response_format"]["type"] == "json_schema"
    assert made.rejections == ()
    assert not made.annotations[0].text.startswith("{")


def test_the_next_annotator_is_asked_and_then_the_patch_is_left_out():
    every = ModelFault(kind="refusal", share=1.0)
    with ModelServer(faults=[every]) as bad, ModelServer() as good:
        both = [model(bad.url, "bad", weight=1000.0), model(good.url, "good")]
        made = made_by(None, BASE, annotators=both)
        assert [each.annotator for each in made.rejections] == ["bad"] * 3
        assert [each.annotator for each in made.annotations] == ["good"]
        alone = made_by(None, BASE, *AGAIN, annotators=both[:1])
        assert (alone.annotations, len(alone.rejections), len(alone.usage)) == ((), 3, 3)


def test_a_revision_that_nobody_makes_is_left_out_alone():
    with ModelServer(
        faults=[ModelFault(kind="refusal", share=1.0, holding="Say the description between the marks")]
    ) as server:
        made = made_by(server, BASE, *AGAIN[:2])
    assert [each.task.number for each in made.annotations] == [1]
    assert [each.task for each in made.rejections] == [3] * 6


def test_orders_in_a_name_reach_nobody_and_are_obeyed_by_nobody_s_leave():
    with ModelServer() as server:
        made = made_by(server, TASKS["footpath"], description=NAMED)
        assert len(made.annotations) == 1
        assert all("BANANA" not in request.prompt for request in server.requests)
        server.reset()
        named = made_by(server, TASKS["footpath"], description=NAMED, captions=Captions(names=True))
        assert all("BANANA" in request.prompt for request in server.requests)
        assert named.annotations == ()
        assert [(each.reason, each.text) for each in named.rejections] == [("name", "BANANA")] * 3


def test_an_endpoint_that_fails_leaves_the_patch_open():
    with ModelServer(faults=[ModelFault(kind="500", share=1.0)]) as server, pytest.raises(Unreachable):
        made_by(server, BASE)


def test_pictures_go_along_where_a_model_sees():
    with ModelServer() as server:
        for sees in (True, False):
            made_by(server, BASE, annotators=[model(server.url, picture=sees)], picture=b"jpeg")
        kinds = [type(request.body["messages"][1]["content"]) for request in server.requests]
    assert kinds == [list, str]


def test_only_who_is_shown_the_picture_may_tell_its_colours():
    with ModelServer(faults=[ModelFault(kind="colours", share=1.0)]) as server:
        seen = made_by(server, BASE, annotators=[model(server.url, picture=True)], picture=b"jpeg")
        assert [each.text.endswith("of a pale and rather even brown here.") for each in seen.annotations] == [True]
        for sees, picture in ((False, b"jpeg"), (True, None)):
            told = made_by(server, BASE, annotators=[model(server.url, picture=sees)], picture=picture)
            assert told.annotations == ()
            assert {(each.reason, each.detail) for each in told.rejections} == {("word", "pale")}


def test_annotators_are_drawn_by_weight():
    two = [Annotator(name="a", kind="template", weight=68.0), Annotator(name="b", kind="template", weight=32.0)]
    keys = [f"0 patch-{index} {task} way/1 0" for index in range(5000) for task in (1, 3)]
    first = Counter(in_order(two, key)[0].name for key in keys)
    assert abs(first["a"] / len(keys) - 0.68) < 0.01
    three = [*two, Annotator(name="c", kind="template", weight=100.0)]
    orders = Counter(tuple(each.name for each in in_order(three, f"{index}")) for index in range(4000))
    assert len(orders) == 6
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert in_order(two, "x") == in_order(two, "x")


def test_threads_and_faults_change_nothing(tmp_path):
    kinds = ("429", "500", "drop", "truncated", "cut")
    faults = [ModelFault(kind=kind, share=0.05, retry_after="0.01") for kind in kinds]
    with ModelServer() as clean, ModelServer(faults=faults, seed=3) as server:
        expected = captioned(tmp_path / "clean", [model(clean.url)], 20, 1)
        assert captioned(tmp_path / "faulty", [model(server.url, max_in_flight=4)], 20, 8) == expected
        assert server.peak <= 4
        assert sum(server.count(fault.kind) for fault in faults) > 2
        assert {request.digest for request in server.requests} == {request.digest for request in clean.requests}
    files = [
        sorted((path.name, path.read_bytes()) for path in (tmp_path / name).rglob("*.json"))
        for name in ("clean", "faulty")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 40


def process_of(url: str, root: Path, count: int, threads: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "support.captioning", url, str(root), str(count), str(threads)]
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT)


def test_what_of_a_request_came_before_its_sender_was_killed_is_none():
    with ModelServer() as server:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        with socket.create_connection(urlsplit(server.url).netloc.split(":")) as killed:
            killed.sendall(head + b'{"model"')
            killed.shutdown(socket.SHUT_WR)
            assert killed.recv(1) == b""
        assert server.requests == []


@pytest.mark.long
def test_who_is_killed_loses_no_more_than_what_was_on_its_way(tmp_path):
    with ModelServer(latency_s=0.05) as server:
        first = process_of(server.url, tmp_path, 16, 4)
        deadline = time.monotonic() + 60
        while len(server.requests) < 12 and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        time.sleep(0.2)
        before = Counter(request.digest for request in server.requests)
        assert 12 <= len(before) < 32
        assert max(before.values()) == 1
        second = process_of(server.url, tmp_path, 16, 4)
        told, _ = second.communicate(timeout=60)
        assert second.returncode == 0
        every = Counter(request.digest for request in server.requests)
        assert len(every) == 32
        twice = [digest for digest, count in every.items() if count > 1]
        assert len(twice) <= 4
        assert server.peak <= 4
        made = json.loads(told)
        assert [each["patch_id"] for each in made] == [each.patch_id for each in patches(16)]
        expected = captioned(None, [model(server.url)], 16, 4)
        assert made == json.loads(json.dumps([asdict(each) for each in expected]))


def test_answers_by_file_come_in_rounds(tmp_path):
    store, batch = Store(tmp_path), model("http://127.0.0.1:1/v1", "batch", mode="batch")
    with ModelServer() as server, Endpoints([batch]) as endpoints:
        direct = made_by(server, BASE, *AGAIN, annotators=[model(server.url, "batch")])
        answers, rounds = Answers(store, asker(endpoints)), []
        for _ in range(2):
            with pytest.raises(Pending) as caught:
                annotate(POND, [BASE, *AGAIN], [batch], answers, Captions(), texts=TEXTS)
            rounds.append(write_requests(store, caught.value.requests)["batch"])
            results = server.batch(store.get(requests_path("batch"))).splitlines()
            assert read_results(results, answers, requested(store, "batch")).problems == {}
        assert rounds == [1, 3]
        assert annotate(POND, [BASE, *AGAIN], [batch], answers, Captions(), texts=TEXTS) == direct


def test_secrets_and_addresses_are_in_no_file(tmp_path, monkeypatch):
    key = "sk-canary-0123456789abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with ModelServer(key=key) as server:
        made = made_by(server, BASE, *AGAIN, root=tmp_path)
        address = server.url.removeprefix("http://").removesuffix("/v1")
    batch = model("https://models.example.org/v1", "batch", mode="batch")
    with Endpoints([batch]) as endpoints, pytest.raises(Pending) as caught:
        annotate(POND, [BASE], [batch], Answers(Store(tmp_path), asker(endpoints)), Captions(), texts=TEXTS)
    write_requests(Store(tmp_path), caught.value.requests)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 5
    told = [*files, repr(made).encode(), str(caught.value).encode()]
    assert not any(
        secret.encode() in text for text in told for secret in (key, address, "models.example.org", "OPENAI")
    )


class Counting(Store):
    """A store that counts what it is asked."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.counts: Counter[str] = Counter()

    def get(self, path: str) -> bytes:
        self.counts["get"] += 1
        return super().get(path)

    def put(self, path: str, data) -> None:
        self.counts["put"] += 1
        super().put(path, data)

    def create(self, path: str, data) -> bool:
        self.counts["create"] += 1
        return super().create(path, data)


def calls_of(work, *functions) -> list[int]:
    """How often each function of Python was called while something was done in this thread."""
    counts: Counter[types.CodeType] = Counter()
    sys.setprofile(lambda frame, event, _: counts.update([frame.f_code]) if event == "call" else None)
    try:
        work()
    finally:
        sys.setprofile(None)
    return [counts[function.__code__] for function in functions]


def test_what_can_be_told_of_a_patch_is_told_once_however_many_answers_it_takes(tmp_path):
    """An answer takes a look into the store and a file; a prompt is rendered once for all attempts, a patch read once."""
    faults = [ModelFault(kind="refusal", at=(0, 1, 4))]  # asked again with another seed: seven answers of four captions
    for store in (Counting(tmp_path), Counting(None)):
        with ModelServer(faults=faults) as server, Endpoints([model(server.url)], patience=QUICK) as endpoints:
            answers, asked = Answers(store, endpoints.ask), [model(server.url)]

            def work(asked=asked, answers=answers) -> None:
                annotate(POND, [BASE, *AGAIN], asked, answers, Captions(), texts=TEXTS)

            rendered, rolls, evidence = calls_of(work, prompts._rendered, Roll.__init__, evidence_of)
            assert len(server.requests) == 7
            assert store.counts == {"get": 7, "create": 7}
            assert (rendered, rolls, evidence) == (2 * 4, 1, 1)
            store.counts.clear()
            rendered, rolls, evidence = calls_of(work, prompts._rendered, Roll.__init__, evidence_of)
            assert store.counts == {"get": 7}
            assert (rendered, rolls, evidence) == (2 * 4, 1, 1)


GOOD_OF_POND = (
    "An irregular body of water lies in the north-west of this aerial image. It covers about 23 percent of it, and it is "
    "seen in full. Close by are a forest and a residential street. The image also shows three buildings, and a residential "
    "street in the south that goes on beyond its edge."
)


def told(text_of):
    """A module of templates that says what is told here."""
    module = types.ModuleType("nutonic.rows.annotation.captions")
    module.template_caption = text_of
    return module


def test_templates_need_no_endpoint_and_pass_the_same_gate(monkeypatch):
    asked, wrong = [], None

    def text_of(description, task, before, captions, seed, *, from_space):
        assert not from_space
        asked.append((description, task, before, captions, seed))
        text = GOOD_OF_POND if before is None else "Seen from above, an irregular body of water lies in the north-west."
        return text if wrong is None else text.replace("north-west", wrong)

    monkeypatch.setitem(sys.modules, "nutonic.rows.annotation.captions", told(text_of))
    templates, captions = Annotator(name="templates", kind="template"), Captions()

    def nobody(annotator, request):
        raise AssertionError("nobody is to be asked")

    answers = Answers(Store(None), nobody)
    made = annotate(POND, [BASE, AGAIN[0]], [templates], answers, captions, texts=TEXTS)
    first, again = made.annotations
    assert first.text == GOOD_OF_POND
    assert again.text.startswith("Seen from above")
    assert asked == [(POND, BASE, None, captions, first.seed), (POND, AGAIN[0], first.text, captions, again.seed)]
    assert (first.annotator, first.model, first.temperature, made.usage) == ("templates", None, None, ())
    assert len({first.request, again.request}) == 2
    assert made == annotate(POND, [BASE, AGAIN[0]], [templates], answers, captions, texts=TEXTS)
    wrong = "south-east"
    refused = annotate(POND, [BASE, AGAIN[0]], [templates], answers, captions, texts=TEXTS)
    assert refused.annotations == ()
    assert [(each.reason, each.detail, each.annotator) for each in refused.rejections] == [
        ("place", "south-east", "templates")
    ] * captions.attempts


def test_a_template_that_says_nothing_is_turned_away(monkeypatch):
    monkeypatch.setitem(sys.modules, "nutonic.rows.annotation.captions", told(lambda *_, **__: ""))
    templates = Annotator(name="templates", kind="template", weight=1000.0)
    with ModelServer() as server:
        made = made_by(server, BASE, annotators=[templates, model(server.url)])
    assert [(each.annotator, each.reason) for each in made.rejections] == [("templates", "no text")] * 3
    assert [each.annotator for each in made.annotations] == ["model"]
