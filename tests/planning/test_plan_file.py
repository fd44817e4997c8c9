"""A plan on disk: opened by its ends, each batch read once and held against its hash, anything else refused."""

from __future__ import annotations

import json
import shutil

import orjson
import pytest
from support.seals import reseal_plan

from nutonic.dataset.commits import Committed
from nutonic.errors import Corrupt, StoreError
from nutonic.io.objects import Store
from nutonic.planning.layout import PLAN
from nutonic.planning.plan_file import digest_of, read_plan
from nutonic.run.jobs import progress_of, remaining_jobs, scope_of


@pytest.fixture
def copy(built, tmp_path):
    return Store(shutil.copytree(built.out / "_nutonic", tmp_path / "tree" / "_nutonic").parent)


def lines_of(store: Store) -> list[bytes]:
    return store.get(PLAN).splitlines(keepends=True)


def kinds_of(store: Store) -> list[str]:
    return [json.loads(line)["kind"] for line in lines_of(store)]


def test_the_index_says_where_each_batch_lies_and_whose_it_is(copy):
    plan, content = read_plan(copy), copy.get(PLAN)
    batches = list(plan.batches())
    assert len(batches) == len(plan.index) == plan.header["batches"] == 5
    assert [place.poi.ordinal for batch in batches for place in batch.places] == plan.index.ordinals.tolist()
    assert [len(batch.places) for batch in batches] == (plan.index.starts[1:] - plan.index.starts[:-1]).tolist()
    for batch, start, stop in zip(batches, plan.index.offsets[:-1], plan.index.offsets[1:], strict=True):
        assert json.loads(content[start:stop])["index"] == batch.index
    assert [batch.index for batch in plan.batches([1, 2, 4])] == [1, 2, 4]
    assert next(plan.batches([3])).places == batches[3].places
    assert digest_of(copy) == plan.digest


def test_a_long_index_and_batches_of_many_pieces(copy, monkeypatch):
    whole = list(read_plan(copy).batches())
    monkeypatch.setattr("nutonic.planning.plan_file._TAIL", 150)
    for size in (1, 1000, 2000, 10**9):
        monkeypatch.setattr("nutonic.planning.plan_file._PIECE", size)
        assert list(read_plan(copy).batches()) == whole


def test_every_bit_is_held_against_head_index_or_hash(copy):
    content, wrong = copy.get(PLAN), []
    starts = read_plan(copy).index.offsets
    for at in [*range(0, len(content), 97), *range(len(content) - 400, len(content))]:
        copy.put(PLAN, content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            plan = read_plan(copy)
            wrong += [] if starts[0] <= at < starts[-1] else [at]
            list(plan.batches())
        except Corrupt as error:
            wrong += [] if "--replan" in str(error) else [at]
        else:
            wrong.append(at)
    assert wrong == []


@pytest.mark.parametrize("change", ["cut", "longer", "an inserted line", "no index", "empty", "one line"])
def test_what_was_not_written_so_is_refused(copy, change):
    content, lines = copy.get(PLAN), lines_of(copy)
    first = kinds_of(copy).index("batch")
    body = b"".join(lines[:-2])
    others = {
        "cut": content[:-1],
        "longer": content + b"\n",
        "an inserted line": b"".join([*lines[:first], b"{}\n", *lines[first:]]),
        "no index": body + orjson.dumps({"kind": "end", "sha256": json.loads(lines[-1])["sha256"]}) + b"\n",
        "empty": b"",
        "one line": lines[-1],
    }
    copy.put(PLAN, others[change])
    with pytest.raises(Corrupt, match="--replan"):
        list(read_plan(copy).batches())


def test_a_plan_that_another_replaced_is_told_as_that(copy):
    plan = read_plan(copy)
    reseal_plan(copy.root, lambda line: line.update(name="another name") if line["kind"] == "plan" else None)
    with pytest.raises(StoreError, match="was replaced while it was built"):
        list(plan.batches())
    copy.put(PLAN, b"x\n")
    with pytest.raises(StoreError, match="was replaced while it was built"):
        list(plan.batches())


def test_what_is_left_to_do_reads_only_its_batches(copy):
    plan = read_plan(copy)
    batches = list(plan.batches())
    done = Committed(whole=frozenset({0, 3, 99}), single=frozenset({(1, 0), (2, 500), (77, 0)}))
    for limit in (None, 0, 1, 4, 13, 99):
        scope = scope_of(plan, limit)
        wanted = sorted({place.poi.ordinal for batch in batches for place in batch.places})[:limit]
        left = {
            batch.index: positions
            for batch in batches
            if (
                positions := {
                    i
                    for i, place in enumerate(batch.places)
                    if place.poi.ordinal in wanted and not done.has(batch.index, i)
                }
            )
        }
        jobs = list(remaining_jobs(plan, scope, done))
        assert {job.batch.index: set(job.positions) for job in jobs} == left
        assert [job.batch for job in jobs] == [batches[number] for number in left]
        progress = progress_of(plan, scope, done)
        assert progress.remaining == sum(map(len, left.values()))
        assert progress.wanted == sum(place.poi.ordinal in wanted for batch in batches for place in batch.places)
