"""Who gets which job: each job once, and neighbours to one worker."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise

import pytest
from support.jobs import jobs

from nutonic.run.clusters.lanes import Lanes
from nutonic.run.jobs import Job


@dataclass
class Neighbours:
    """Jobs in an order; it notes from where on they were read."""

    count: int
    opened: list[tuple[int, int]] = field(default_factory=list)

    backwards = False

    def between(self, first: int, end: int) -> Iterator[Job]:
        self.opened.append((first, end))
        return iter(jobs(end)[first:])


def dealt(lanes: Lanes, workers: str) -> dict[str, list[int]]:
    """What each worker gets that takes one in its turn, until there is none for anybody."""
    got: dict[str, list[int]] = {worker: [] for worker in workers}
    while taken := [(w, job) for w in workers if (job := lanes.take(w, workers)) is not None]:
        for worker, job in taken:
            got[worker].append(job.index)
    return got


def never() -> bool:
    return False


@pytest.mark.parametrize("workers", ["a", "ab", "abc", "abcdefgh"])
def test_each_gets_neighbours_and_all_the_same_number(workers):
    got = dealt(Lanes(Neighbours(64), never), workers)
    assert sorted(chain.from_iterable(got.values())) == list(range(64))
    assert all(max(len(each) for each in got.values()) - len(each) <= 1 for each in got.values())
    jumps = sum(after != before + 1 for each in got.values() for before, after in pairwise(each))
    assert jumps <= {1: 0, 2: 0, 3: 1, 8: 0}[len(workers)], got


def test_what_one_that_is_gone_has_left_is_gone_on_with():
    lanes = Lanes(Neighbours(20), never)
    assert [lanes.take(worker, "ab").index for worker in "abab"] == [0, 10, 1, 11]
    left = [lanes.take("b", "b").index for _ in range(16)]
    assert left == [*range(12, 20), *range(2, 10)]
    assert lanes.take("b", "b") is None


def test_who_was_there_before_all_others_takes_nothing_with_it():
    lanes = Lanes(Neighbours(4), never)
    assert lanes.take("", set()).index == 0  # nobody is there yet
    assert [lanes.take("a", {"a"}).index for _ in range(3)] == [1, 2, 3]


def test_each_job_is_handed_out_once_whoever_comes_and_goes():
    for seed in range(50):
        chance, there = random.Random(seed), {"a"}
        found, neighbours = list[int](), Neighbours(chance.randrange(40))
        lanes = Lanes(neighbours, never)
        while there:
            if chance.random() < 0.3:
                there ^= {chance.choice("abcdef")}
                there = there or {"a"}
            job = lanes.take(chance.choice(sorted(there)), there)
            if job is None:
                break
            found.append(job.index)
        assert sorted(found) == list(range(neighbours.count)), seed


def test_a_plan_is_read_in_a_few_spans_and_not_job_by_job():
    neighbours = Neighbours(1000)
    dealt(Lanes(neighbours, never), "ab")
    assert len(neighbours.opened) <= 4


def test_jobs_without_neighbours_go_to_whoever_asks_and_none_is_none_for_now():
    one, two = jobs(2)
    lanes = Lanes(iter([one, None, two]), never)
    assert [lanes.take(worker, "ab") for worker in "abab"] == [one, None, two, None]


def test_once_it_is_to_stop_nobody_gets_any():
    asked = [False]
    for many in (Neighbours(9), jobs(9)):
        asked[0] = False
        lanes = Lanes(many, lambda: asked[0])
        assert lanes.take("a", "a").index == 0
        asked[0] = True
        assert lanes.take("a", "a") is None
