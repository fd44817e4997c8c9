"""nutonic where a picture takes a while to be written, without any work: to be interrupted in the middle of a batch.

``python -m support.slow COMMAND…``, or preloaded by Dask workers.
"""

from __future__ import annotations

import time
from pathlib import Path

#: For the commands' own workers, and for those of a cluster.
WORKERS = {"DASK_DISTRIBUTED__WORKER__PRELOAD": str(Path(__file__))}

_SECONDS_A_PICTURE = 0.1


def dask_setup(worker: object) -> None:
    """In a worker."""
    slow_down()


def slow_down() -> None:
    from nutonic.io.objects import Store

    put = Store.put

    def late(store, path, *data):
        if path.endswith(".png"):
            time.sleep(_SECONDS_A_PICTURE)
        return put(store, path, *data)

    Store.put = late


if __name__ == "__main__":
    from nutonic.cli.main import main

    slow_down()
    main()
