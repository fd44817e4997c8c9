"""Pixels of a batch: a few places at a time, the next ones while these are worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nutonic import load_recipe
from nutonic.core.model import Batch
from nutonic.errors import ReadFailed, RecipeChanged
from nutonic.io.objects import Store
from nutonic.io.session import limited
from nutonic.planning.cost import NEIGHBOURS
from nutonic.planning.prepare import prepare
from nutonic.planning.spec import resolve
from nutonic.run.batch import run_batch
from nutonic.run.callbacks import Callback
from nutonic.run.executor import results_of
from nutonic.run.jobs import Job, Jobs
from nutonic.run.read import FAR, Together, _loaded
from nutonic.run.results import BatchDone


def places(count: int) -> list:
    return [SimpleNamespace(poi=SimpleNamespace(id=f"p{k}")) for k in range(count)]


@pytest.mark.parametrize("count", [0, 1, NEIGHBOURS, NEIGHBOURS + 1, 3 * NEIGHBOURS + 2])
def test_each_place_has_its_own_pixels_once_and_no_more_are_read_than_two_groups_ahead(count):
    asked, many = list[str](), places(count)

    def reading(some):
        asked.extend(place.poi.id for place in some)
        return [f"pixels of {place.poi.id}" for place in some]

    together = Together(many, reading)
    for k, place in enumerate(many):
        assert together.pop(place) == f"pixels of {place.poi.id}"
        assert k < len(asked) <= (k // NEIGHBOURS + 2) * NEIGHBOURS
        assert together.pop(place) is None
    assert asked == [place.poi.id for place in many]


def test_the_next_ones_are_read_while_these_are_worked_on():
    began = [threading.Event(), threading.Event()]

    def reading(some):
        began[some[0] is not many[0]].set()
        return ["pixels"] * len(some)

    many = places(2 * NEIGHBOURS)
    together = Together(many, reading)
    assert together.pop(many[0]) == "pixels"
    assert began[1].wait(10)  # though nobody has asked for them


def test_of_a_server_several_groups_are_waited_for_at_once_and_no_more():
    waiting, let, asked = threading.Semaphore(0), threading.Event(), list[str]()

    def reading(some):
        asked.extend(place.poi.id for place in some)
        waiting.release()
        assert let.wait(10)
        return [f"pixels of {place.poi.id}" for place in some]

    many = places(3 * FAR.places * FAR.groups + 1)
    with limited(4):
        together = Together(many, reading, FAR)
        for _ in range(FAR.groups):
            assert waiting.acquire(timeout=10)
        assert not waiting.acquire(timeout=0.1)
        let.set()
        for k, place in enumerate(many):
            assert together.pop(place) == f"pixels of {place.poi.id}"
            assert len(asked) <= (k // FAR.places + 1 + FAR.groups) * FAR.places
    assert sorted(asked) == sorted(place.poi.id for place in many)


def test_what_lies_before_a_group_is_left_behind_once_that_is_taken_and_not_when_a_later_one_is_there():
    many, passed = places(4 * FAR.places), list[str]()
    with limited(4):
        together = Together(
            many, lambda some: ["pixels"] * len(some), FAR, lambda place, _: passed.append(place.poi.id)
        )
        for k, place in enumerate(many):
            together.pop(place)
            last = many[FAR.places - 1 :: FAR.places]
            assert passed == [each.poi.id for each in last[: k // FAR.places + 1]]


def test_threads_that_read_are_kept_since_in_each_new_one_proj_opens_its_database_again():
    ahead, readers, many = set[threading.Thread](), set[threading.Thread](), places(4 * NEIGHBOURS)

    class Band:
        chunks = None

        def __array__(self, *_args, **_kwargs):
            readers.add(threading.current_thread())
            return np.zeros((1, 1))

    def reading(some):
        ahead.add(threading.current_thread())
        return _loaded([{"red": Band()} for _ in some])

    with limited(4):
        together = Together(many, reading)
        assert all(together.pop(place) is not None for place in many)
        kept = ahead | readers
    assert len(ahead) == 1
    assert len(readers) <= NEIGHBOURS
    for thread in kept:  # their session is closed
        thread.join(10)
        assert not thread.is_alive()


def test_what_cannot_be_read_is_nothing_and_only_there():
    def reading(some):
        if some[0] is many[0]:
            raise ReadFailed("a.tif cannot be read")
        return ["pixels"] * len(some)

    many = places(2 * NEIGHBOURS)
    together = Together(many, reading)
    assert [together.pop(place) for place in many] == [None] * NEIGHBOURS + ["pixels"] * NEIGHBOURS


def test_a_file_that_is_another_now_ends_it():
    def reading(some):
        raise RecipeChanged("a.tif changed")

    many = places(1)
    with pytest.raises(RecipeChanged, match=r"a\.tif changed"):
        Together(many, reading).pop(many[0])


@dataclass
class Reading:
    """A job of which a part is being read."""

    index: int
    most: int
    left: int = 1


@dataclass
class Noting:
    """Work that notes what is begun and what is done."""

    reads_ahead: bool = True
    most: int = 1
    seen: list[str] = field(default_factory=list)

    def begin(self, job: Job) -> Reading:
        self.seen.append(f"begin {job.index}")
        return Reading(job.index, self.most)

    def __call__(self, job: Job, begun: Reading | None = None, then: Callable[[], None] | None = None) -> BatchDone:
        if begun is not None:
            assert begun.index == job.index
            begun.left = 0
        if then is not None and job.index != 1:  # the second has nothing to read
            then()
        self.seen.append(f"do {job.index}")
        return BatchDone(index=job.index)


def left(count: int) -> Jobs:
    batches = [Batch(index=k, places=()) for k in range(count)]
    plan = SimpleNamespace(
        index=SimpleNamespace(starts=np.arange(count + 1)), batches=lambda some: (batches[k] for k in some)
    )
    return Jobs(plan, np.ones(count, bool), range(count))


def test_without_workers_the_next_batch_is_begun_while_one_is_worked_on():
    work = Noting()
    assert [done.index for done in results_of(None, work, Callback(), left(4))] == [0, 1, 2, 3]
    assert work.seen == ["begin 0", "begin 1", "do 0", "do 1", "begin 2", "begin 3", "do 2", "do 3"]
    work = Noting(reads_ahead=False)
    assert [done.index for done in results_of(None, work, Callback(), left(2))] == [0, 1]
    assert work.seen == ["do 0", "do 1"]


def test_without_workers_as_many_batches_are_begun_as_a_server_is_waited_for_at_once():
    work = Noting(most=3)
    assert [done.index for done in results_of(None, work, Callback(), left(6))] == list(range(6))
    assert work.seen[:6] == ["begin 0", "begin 1", "begin 2", "begin 3", "do 0", "do 1"]  # the second makes no room
    assert work.seen[6:] == ["begin 4", "begin 5", "do 2", "do 3", "do 4", "do 5"]


def test_what_was_only_begun_is_not_done_once_it_is_to_stop():
    class Stopping(Callback):
        def stop_requested(self) -> bool:
            return "do 0" in work.seen

    work = Noting()
    assert [done.index for done in results_of(None, work, Stopping(), left(4))] == [0]
    assert work.seen == ["begin 0", "begin 1", "do 0"]


class Noted(Store):
    """A store that notes what it is given at a time."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.given = list[list[str]]()

    def put_all(self, files: Mapping[str, bytes]) -> None:
        self.given += [[*files]] if files else []
        super().put_all(files)


@pytest.mark.parametrize(("side", "size", "most"), [(16, 16, 4), (130, 16, 3), (260, 16, 1), (16, 256, 1)])
def test_tiny_places_are_written_together_as_they_are_read_and_large_ones_alone(
    planet, planets, tmp_path, side, size, most
):
    parts = {"size": side, "stride": side, "output_size": size}
    spec = resolve(load_recipe(planets(planet, grid={"extent_m": 10 * side}, tiles=parts)))
    _, plan = prepare(spec, tmp_path / "out", workers=0)
    store, together, open_still = Noted(tmp_path / "out"), list[int](), 0
    for batch in plan.batches():
        open_still += len(batch.places) - run_batch(batch, spec, store).finished
        by_place = {place.poi.id: k for k, place in enumerate(batch.places)}
        for paths in store.given:
            assert paths == sorted(paths, key=lambda path: by_place[Path(path).name.partition("_t")[0]])
            together.append(len({Path(path).name.partition("_t")[0] for path in paths}))
        store.given.clear()
    assert open_still == 0
    assert max(together) == most
