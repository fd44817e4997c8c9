"""What is computed of a cube goes on without a worker that does not answer: what it has to do is taken from it.

A build hands its batches out one by one, and takes them back itself (:mod:`nutonic.run.clusters.flight`). The tiles of a
cube are tasks of one graph, which Dask hands out: it takes them back once it takes a worker for gone, of itself after five
minutes. A tile that such a worker writes all the same, once it goes on, has the same bytes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nutonic.run.silence import Watch, watched

if TYPE_CHECKING:
    from distributed import Client

#: Seconds between looks for workers that do not answer.
_LOOK_S = 0.25


@contextmanager
def silent_left_out(client: Client, tell: Callable[[str], None], silent_s: float) -> Iterator[Watch]:
    """Watch a cluster while the block runs, and have others do what workers had that were silent for so long.

    As long as no worker answers there are none, and all are waited for. `tell` is called by other threads, with a line at a
    time.
    """
    over, taken = threading.Event(), set[str]()
    with watched(client, tell, silent_s) as watch:

        def look() -> None:
            while not over.wait(_LOOK_S) and client.status == "running":
                now = time.monotonic()
                mute = watch.mute(now, silent_s)
                if not mute or not set(watch.steady(now)) - mute:
                    continue
                taken.intersection_update(watch.workers)  # what is known of them is a second old
                for address in sorted(mute & set(watch.workers) - taken):
                    taken.add(address)
                    with suppress(Exception):  # a scheduler that is lost is found out elsewhere
                        client.run_on_scheduler(_taken_for_gone, address)
                        tell(f"worker {address} has not answered for {silent_s:.0f} s: others get what it has to do")

        threading.Thread(target=look, daemon=True).start()
        try:
            yield watch
        finally:
            over.set()


async def _taken_for_gone(address: str, dask_scheduler: Any) -> None:
    """Asked of the scheduler, within it. The worker is not told: once it goes on it finds out, and may join again."""
    await dask_scheduler.remove_worker(address, stimulus_id="nutonic-silent", expected=True, close=False)
