"""Whether batches fit into the memory that workers elsewhere may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nutonic.core.units import counted, size
from nutonic.planning.plan_file import PlanFile
from nutonic.run.callbacks import Callback, Note

if TYPE_CHECKING:
    from nutonic.run.preflight import WorkerPool


def tell_small(callback: Callback, pool: WorkerPool | None, plan: PlanFile) -> None:
    """Tell, in a line, of workers elsewhere whose limit is below what a plan's largest batch takes in each thread."""
    from nutonic.planning.cost import WORKER_BYTES  # which knows all sources

    if pool is None or pool.is_own:
        return
    a_thread = max(0, plan.header["cost"]["peak_bytes"] - WORKER_BYTES)
    workers = pool.client.scheduler_info(n_workers=-1).get("workers", {})
    limits = {name: (worker.get("memory_limit") or 0, worker["nthreads"]) for name, worker in workers.items()}
    small = {
        name: (limit, threads)
        for name, (limit, threads) in limits.items()
        if 0 < limit < WORKER_BYTES + a_thread * threads
    }
    if not small:
        return
    name, (limit, threads) = min(small.items())
    takes = f"{size(WORKER_BYTES + a_thread * threads)}, as batches take at most in {counted(threads, 'thread')}"
    which = f"{len(small)} of {len(limits)} workers, such as {name}," if len(small) > 1 else f"worker {name}"
    callback.on_note(
        Note(
            text=f"{which} may take {size(limit)}, not {takes}: give more memory or fewer threads, or lower grid.extent_m"
        )
    )
