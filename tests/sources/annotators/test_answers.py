"""Answers that are kept before they are used, and those that come by file."""

import json
import os
import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captioning import QUICK, model

from nutonic.io.objects import Store, unsealed
from nutonic.planning.layout import META
from nutonic.recipe.annotation import Annotator
from nutonic.sources.annotators import answers as module
from nutonic.sources.annotators import batches
from nutonic.sources.annotators.answers import Answers, caption_of, digest_of, path_of, request_of
from nutonic.sources.annotators.batches import Pending, asker, read_results, requested, requests_path, write_requests
from nutonic.sources.annotators.cost import ANSWERS_A_CAPTION, TOKENS_A_WORD, estimate
from nutonic.sources.annotators.endpoint import Answer, Endpoints
from nutonic.testing.llm.server import ModelServer

HERE = Annotator(name="here", base_url="http://127.0.0.1:1/v1", model="planted")
SAID = Answer(text="A pond.", prompt_tokens=3, completion_tokens=2, finish_reason="stop")


def messages(words: str = "x"):
    return [{"role": "user", "content": f"- position: {words}\n40 to 60 words"}]


def nobody(annotator, request):
    raise AssertionError("nobody is to be asked")


def test_what_lies_in_a_tree_lies_in_its_own_folder():
    assert (f"{META}/answers", f"{META}/requests") == (module.FOLDER, batches.FOLDER)


def test_a_request_is_known_by_all_of_it_but_not_by_address_or_key():
    request = request_of(HERE, messages(), 7)
    assert request == {"model": "planted", "messages": messages(), "temperature": 0.7, "max_tokens": 300, "seed": 7}
    elsewhere = HERE.model_copy(update={"base_url": "https://x.example/v1", "key_variable": "OTHER", "timeout_s": 1.0})
    assert digest_of(request_of(elsewhere, messages(), 7)) == digest_of(dict(reversed(request.items())))
    others = [
        request_of(HERE, messages("y"), 7),
        request_of(HERE, messages(), 8),
        *(
            request_of(HERE.model_copy(update=change), messages(), 7)
            for change in ({"temperature": 0.0}, {"max_tokens": 99}, {"model": "other"}, {"structured": True})
        ),
    ]
    assert len({digest_of(each) for each in [request, *others]}) == 7


def test_an_answer_is_kept_before_it_is_used(tmp_path):
    store, asked = Store(tmp_path), []

    def ask(annotator, request):
        asked.append(request)
        return SAID

    request = request_of(HERE, messages(), 1)
    path = path_of(digest_of(request))
    assert path == f"_nutonic/answers/{digest_of(request)[:2]}/{digest_of(request)}.json"
    assert Answers(store, ask).ask(HERE, request) == SAID
    kept = unsealed(store.get(path), path)
    assert kept == {
        "request": digest_of(request), "annotator": "here",
        "text": "A pond.", "prompt_tokens": 3, "completion_tokens": 2, "finish_reason": "stop",
    }  # fmt: skip
    assert Answers(store, nobody).ask(HERE, request) == SAID
    assert len(asked) == 1


def test_of_two_writers_one_wins_and_both_use_what_is_kept(tmp_path):
    store, other = Store(tmp_path), Answer(text="A lake.", prompt_tokens=1, completion_tokens=1, finish_reason="stop")
    request = request_of(HERE, messages(), 1)

    def slow(annotator, asked):  # another process keeps its own meanwhile
        Answers(Store(tmp_path), nobody).keep(digest_of(asked), other, "here")
        return SAID

    assert Answers(store, slow).ask(HERE, request) == other
    assert Answers(store, nobody).ask(HERE, request) == other


def test_threads_do_not_ask_the_same_twice():
    store, asked, gate = Store(None), [], threading.Barrier(6)

    def ask(annotator, request):
        asked.append(request)
        return SAID

    answers, request = Answers(store, ask), request_of(HERE, messages(), 1)
    found = []

    def work():
        gate.wait()
        found.append(answers.ask(HERE, request))

    threads = [threading.Thread(target=work) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (len(asked), found) == (1, [SAID] * 6)


def damaged(path: str, how: str, data: bytes, other: bytes) -> bytes:
    changes = {
        "cut": data[:-20], "empty": b"", "text": b"\x00\xff", "other": other,
        "letter": data.replace(b"pond", b"lake"),
    }  # fmt: skip
    return changes[how]


@pytest.mark.parametrize("how", ["cut", "empty", "text", "letter", "other"])
def test_a_damaged_answer_is_asked_for_again_and_replaced(tmp_path, how: str):
    store, request, another = Store(tmp_path), request_of(HERE, messages(), 1), request_of(HERE, messages(), 2)
    first = Answers(store, lambda *_: SAID)
    first.ask(HERE, request)
    first.ask(HERE, another)
    path = path_of(digest_of(request))
    store.put(path, damaged(path, how, store.get(path), store.get(path_of(digest_of(another)))))
    again = Answer(text="A lake.", prompt_tokens=1, completion_tokens=1, finish_reason="stop")
    assert Answers(store, lambda *_: again).ask(HERE, request) == again
    assert Answers(store, nobody).ask(HERE, request) == again


@given(st.text(), st.integers(0, 10**9), st.text(max_size=40))
def test_any_answer_is_kept_as_it_is(text: str, count: int, finish: str):
    answer = Answer(
        text=text.encode("utf-8", "replace").decode(), prompt_tokens=count, completion_tokens=0, finish_reason=finish
    )
    answers = Answers(Store(None), lambda *_: answer)
    request = request_of(HERE, messages(), count)
    assert answers.ask(HERE, request) == answer == answers.stored(digest_of(request))


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ('{"caption": " A pond. "}', "A pond."),
        ("A pond.", None),
        ("[]", None),
        ('{"caption": 3}', None),
        ('{"text": "x"}', None),
    ],
)
def test_a_structured_answer_is_read_by_its_schema(text: str, caption: str | None):
    answer = Answer(text=text, prompt_tokens=0, completion_tokens=0, finish_reason="stop")
    assert caption_of(answer, structured=True) == caption
    assert caption_of(answer, structured=False) == text.strip()


# By file


def waiting(annotator: Annotator, count: int) -> list[tuple[str, dict]]:
    found = []
    answers = Answers(Store(None), asker(Endpoints([annotator])))
    for seed in range(count):
        with pytest.raises(Pending) as caught:
            answers.ask(annotator, request_of(annotator, messages(), seed))
        found += pickle.loads(pickle.dumps(caught.value)).requests
    return found


def test_requests_are_written_in_order_and_results_are_read(tmp_path):
    store, batch = Store(tmp_path), model("http://127.0.0.1:1/v1", "My Batch", mode="batch")
    requests = waiting(batch, 5)
    assert write_requests(store, [*reversed(requests), *requests]) == {"My Batch": 5}
    written = store.get(requests_path("My Batch"))
    assert requests_path("My Batch") == "_nutonic/requests/My Batch.jsonl"
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["custom_id"] for line in lines] == sorted(digest_of(request) for _, request in requests)
    assert all((line["method"], line["url"]) == ("POST", "/v1/chat/completions") for line in lines)
    assert all(digest_of(line["body"]) == line["custom_id"] for line in lines)
    write_requests(store, requests)
    assert store.get(requests_path("My Batch")) == written
    with ModelServer() as server:
        results = server.batch(written).splitlines()
        answers, asked = Answers(store, nobody), requested(store, "My Batch")
        found = read_results(results, answers, asked)
        assert (found.lines, found.kept, found.known, found.problems) == (5, 5, 0, {})
        assert read_results(results, answers, asked).known == 5
        with Endpoints([model(server.url)], patience=QUICK) as endpoints:
            direct = [endpoints.ask(model(server.url), request) for _, request in requests]
    assert [answers.ask(batch, request) for _, request in requests] == direct


def test_many_requests_are_written_and_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "_IN_MEMORY", 1000)
    monkeypatch.setattr(batches, "_PIECE", 100)
    store = Store(tmp_path)
    requests = [("a", request_of(HERE, messages("x" * seed), seed)) for seed in range(30)]
    assert write_requests(store, requests * 2) == {"a": 30}
    assert requested(store, "a") == {digest_of(request): "a" for _, request in requests}
    assert len(store.get(requests_path("a")).splitlines()) == 30


def test_lines_without_an_answer_are_told_and_counted(tmp_path):
    store, batch = Store(tmp_path), model("http://127.0.0.1:1/v1", "batch", mode="batch")
    requests = waiting(batch, 3)
    write_requests(store, requests)
    ids = sorted(requested(store, "batch"))
    with ModelServer() as server:
        good = server.batch(store.get(requests_path("batch"))).splitlines()[0]
    said = json.loads(good)
    stranger = {**said, "custom_id": "0" * 64}
    rows = [
        good,
        b"{",
        b"[]",
        json.dumps(stranger).encode(),
        json.dumps(
            {"custom_id": ids[0], "response": None, "error": {"code": "batch_expired", "message": "late"}}
        ).encode(),
        json.dumps({"custom_id": ids[0], "response": {"status_code": 500, "body": {}}, "error": None}).encode(),
        json.dumps(
            {"custom_id": ids[0], "response": {"status_code": 200, "body": {"choices": []}}, "error": None}
        ).encode(),
        json.dumps({"custom_id": "../../etc/passwd", "response": said["response"]}).encode(),
        b"",
    ]
    found = read_results(rows, Answers(store, nobody), requested(store, "batch"))
    assert (found.lines, found.kept) == (8, 1)
    assert found.problems == {
        "error batch_expired": 1, "no JSON": 1, "no completion": 1, "no request of ours": 2, "no result": 1, "status 500": 1,
    }  # fmt: skip
    assert found.details[:2] == ("line 2: no JSON", "line 3: no result")
    assert sum(len(files) for _, _, files in os.walk(tmp_path / "_nutonic" / "answers")) == 1
    assert requested(store, "nobody") == {}


# What it will take


def test_an_estimate_is_of_the_shares_and_prices():
    half = [
        Annotator(name="templates", kind="template", weight=1.0),
        Annotator(name="model", base_url="http://x", model="m", weight=1.0, input_price=2.0, output_price=10.0),
    ]
    found = estimate({1: 1000, 2: 0, 3: 1000}, half)
    assert found.requests == round(1000 * ANSWERS_A_CAPTION)
    assert found.answer_tokens == round(500 * ANSWERS_A_CAPTION * (80 + 30) * TOKENS_A_WORD)
    assert found.prompt_tokens == round(500 * ANSWERS_A_CAPTION * (240 + 140 + 80) * TOKENS_A_WORD)
    assert found.money == pytest.approx((found.prompt_tokens * 2 + found.answer_tokens * 10) / 1e6, rel=1e-4)
    assert found.by_annotator[0] == ("templates", 0, 0, 0, 0.0)
    batch = [half[1].model_copy(update={"mode": "batch"})]
    assert estimate({1: 500, 3: 500}, batch).money == pytest.approx(found.money / 2)
    assert estimate({1: 10}, half[:1]).money == 0
