"""Workers that save a cube into an object store prove first that they can write there, each by its own credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nutonic.core.callbacks import TilesSaved
from nutonic.cube.stores.saving import UNFINISHED
from nutonic.cube.stores.transactions import is_repository, objects_of
from nutonic.errors import InputError
from nutonic.io.buckets.address import Address
from nutonic.io.buckets.within import CUBE_MARKER
from nutonic.io.objects import Store

if TYPE_CHECKING:
    from nutonic.run.clusters.everyone import Everyone
    from nutonic.run.worker import WorkerChecks


class ProvedWorkers:
    """Asks all workers of a cluster, before the first tile of a cube, to read the driver's object and to write their own.

    Raises :class:`InputError` if one cannot. One that does not answer is not waited for.
    """

    def __init__(self, everyone: Everyone, address: Address) -> None:
        self._everyone, self._address, self._asked = everyone, address, False

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Ask, once, if there are tiles to be written."""
        if self._asked or event.done == event.total:
            return
        from nutonic.run.worker import WorkerChecks

        self._asked = True
        where, token = objects_of(self._address), CUBE_MARKER if is_repository(self._address) else UNFINISHED
        checks = WorkerChecks(output=where, token=token, content=Store(where).get(token))
        for worker, answer in sorted(self._everyone.ask(_objection, checks).items()):
            if isinstance(answer, str):
                raise InputError(answer)
            if isinstance(answer, Exception) and not isinstance(answer, OSError):  # that is one that left
                raise InputError(f"worker {worker} cannot be asked ({type(answer).__name__})")


def _objection(checks: WorkerChecks, dask_worker: Any) -> str | None:
    return checks.objection(str(dask_worker.address))
