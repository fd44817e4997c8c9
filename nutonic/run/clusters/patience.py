"""How long a build waits for a cluster: for workers, for one that does not answer, for a batch that does not end."""

from __future__ import annotations

from dataclasses import dataclass

from nutonic.errors import InputError

#: Seconds that a build waits by default: for a worker that does not answer, for a batch, for a worker where there is none.
ANSWER_S, BATCH_S, NONE_S = 60.0, 3600.0, 120.0

#: Workers that a batch may silence, before its places are left open.
MOST_SILENCED = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a build waits."""

    silent_s: float = ANSWER_S
    """For a worker that does not answer, until others get its batches."""
    batch_s: float = BATCH_S
    """For a batch that a worker has begun, until its places are left open."""
    none_s: float = NONE_S
    """For a worker where there is none."""

    def __post_init__(self) -> None:
        for name, value in (("patience", self.silent_s), ("deadline", self.batch_s), ("wait", self.none_s)):
            if not isinstance(value, int | float) or not value > 0:
                raise InputError(f"{name} is {value!r:.40}: give a number of seconds above 0")
