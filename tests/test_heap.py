"""What all may know of this process: how seldom garbage is sought while jobs are done, and values without a lock."""

import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nutonic.heap import settled
from nutonic.lazily import lazily


@pytest.fixture(autouse=True)
def _as_python_does() -> Iterator[None]:
    before = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_jobs_seldom_look_for_garbage_and_leave_all_as_it_was() -> None:
    with settled():
        seldom = gc.get_threshold()
        assert seldom[0] > 10_000
        assert gc.get_freeze_count() > 0
        with pytest.raises(KeyError), settled():  # a job within a job, which fails
            raise KeyError
        assert gc.get_threshold() == seldom
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == (700, 10, 10)
    assert gc.get_freeze_count() == 0


def test_of_jobs_in_threads_the_last_one_to_end_brings_back_what_was() -> None:
    begun, over = threading.Barrier(3, timeout=10), [threading.Event(), threading.Event()]

    def job(end: threading.Event) -> None:
        with settled():
            begun.wait()
            end.wait(10)

    threads = [threading.Thread(target=job, args=(end,)) for end in over]
    for thread in threads:
        thread.start()
    begun.wait()
    over[0].set()
    threads[0].join(10)
    assert gc.get_freeze_count() > 0
    over[1].set()
    threads[1].join(10)
    assert (gc.get_threshold(), gc.get_freeze_count()) == ((700, 10, 10), 0)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (200_000, 5, 5)])
def test_who_has_chosen_otherwise_keeps_it(chosen: tuple[int, int, int]) -> None:
    gc.set_threshold(*chosen)
    gc.freeze()
    with settled():
        assert gc.get_threshold() == chosen
    assert gc.get_threshold() == chosen
    assert gc.get_freeze_count() > 0  # which is theirs


@dataclass(frozen=True)
class _Met:
    """An object whose value is there once another thread works on that of its own object."""

    barrier: threading.Barrier
    asked: list[str]

    @lazily
    def value(self) -> int:
        """A value."""
        self.asked.append("asked")
        self.barrier.wait()
        return len(self.asked)


def test_threads_work_out_values_of_their_own_objects_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=10)
    both = [_Met(barrier, []), _Met(barrier, [])]
    found: list[int] = []
    threads = [threading.Thread(target=lambda each=each: found.append(each.value)) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [1, 1]
    assert [each.value for each in both] == [1, 1]  # kept: it would wait for another thread otherwise
    assert _Met.value.__doc__ == "A value."
