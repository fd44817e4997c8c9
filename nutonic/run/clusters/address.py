"""Where a scheduler is: an address, the file that a scheduler writes of itself, or a cluster object of Dask's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nutonic.errors import InputError


@runtime_checkable
class Scheduling(Protocol):
    """What the cluster objects of Dask have: ``LocalCluster``, ``SLURMCluster``, ``KubeCluster``, Coiled's and others."""

    @property
    def scheduler_address(self) -> str:
        """Where its scheduler is reached."""
        ...


def found_at(scheduler: str | Path | Scheduling) -> tuple[str, Any]:
    """A scheduler's address, and its security where it comes with one; None otherwise.

    Raises
    ------
    InputError
        If a file is no scheduler's, or a cluster object has no address, since it is closed.
    """
    if isinstance(scheduler, Scheduling):
        if not scheduler.scheduler_address:
            raise InputError(f"the {type(scheduler).__name__} has no scheduler: it is closed, or not started yet")
        return scheduler.scheduler_address, getattr(scheduler, "security", None)
    if isinstance(scheduler, Path) or str(scheduler).endswith(".json"):
        return _of_file(Path(scheduler)), None
    return str(scheduler), None


def _of_file(path: Path) -> str:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return str(value["address"])
    except FileNotFoundError:
        raise InputError(f"there is no file {path}: start dask scheduler --scheduler-file {path}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no file of dask scheduler --scheduler-file: it has no address") from None
