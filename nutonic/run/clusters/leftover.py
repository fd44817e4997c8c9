"""What a driver that was killed left at a scheduler: the plugin that sets workers up, with the environment in it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

#: How names of plugins begin; the client's id follows, by which a scheduler knows whether its driver is still there.
_PREFIX = "nutonic"


def plugin_name(client: Client) -> str:
    """A name for the plugin of a build, from which it can be told whose it is."""
    return f"{_PREFIX}:{client.id}:{uuid.uuid4().hex}"


def remove_leftovers(client: Client) -> list[str]:
    """Take plugins back whose drivers are gone; gives their names, sorted."""
    names = client.run_on_scheduler(_left_over)
    for name in names:
        with suppress(Exception):  # another driver was faster, or a worker left meanwhile
            client.unregister_worker_plugin(name)
    return list(names)


def _left_over(dask_scheduler: Any) -> list[str]:
    """Asked of the scheduler, within it."""
    names = [(name, name.split(":")) for name in dask_scheduler.worker_plugins]
    ours = [(name, parts[1]) for name, parts in names if len(parts) == 3 and parts[0] == _PREFIX]
    return sorted(name for name, owner in ours if owner not in dask_scheduler.clients)
