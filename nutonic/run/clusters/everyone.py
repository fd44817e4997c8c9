"""Questions to all workers: one that does not answer, stopped or cut off, keeps nobody waiting without end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from nutonic.io.limits import begun
from nutonic.run.clusters.patience import ANSWER_S

if TYPE_CHECKING:
    from distributed import Client

    from nutonic.run.silence import Watch

#: Seconds between looks at who answers, while one question is open.
_LOOK_S = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Everyone:
    """All workers of a scheduler, of which some may not answer."""

    client: Client
    watch: Watch | None = None
    """Who answers; None where nobody looks: then all are waited for."""
    silent_s: float = ANSWER_S
    """Seconds without an answer after which a worker is not waited for."""

    def ask(
        self, function: Callable[..., Any], *arguments: Any, among: Collection[str] | None = None
    ) -> dict[str, Any]:
        """What a function gives in each worker, or raises there, by address.

        Nothing of workers that have been silent for too long: they are not asked, or, where they fell silent meanwhile,
        do it once they go on.

        Parameters
        ----------
        function, arguments
            What is called in each.
        among
            Addresses of those to be asked; by default all.
        """
        while True:
            mute, asked = self.mute(), None if among is None else sorted(among)
            if mute:
                asked = sorted({*(self.client.nthreads() if asked is None else asked)} - mute)
            if asked == []:
                return {}
            answers = begun(partial(self.client.run, function, *arguments, workers=asked, on_error="return"))
            while self.mute() <= mute:  # of those that are asked all go on
                if (found := _result(answers)) is not None:
                    return dict(found[0])

    def tell(self, call: Callable[[], Any], is_done: Callable[..., bool] | None = None, *arguments: Any) -> None:
        """Do what waits for all workers, such as to register a plugin, and wait for those that answer.

        Where one is silent, the others are asked whether it `is_done`, with these arguments; without such a question nobody
        is waited for any more.
        """
        telling, mute_since = begun(call), None
        while _result(telling) is None:
            if not self.mute():
                continue
            mute_since = mute_since or time.monotonic()
            # Where it cannot be done, whoever is asked next tells why.
            late = is_done is None or time.monotonic() - mute_since > self.silent_s
            if late or all(answer is True for answer in self.ask(is_done, *arguments).values()):  # type: ignore[arg-type]
                return

    def mute(self) -> set[str]:
        """Addresses of the workers that have been silent for too long."""
        return set() if self.watch is None else self.watch.mute(time.monotonic(), self.silent_s)


def _result(future: Future[T]) -> tuple[T] | None:
    """What came of a call, if it is there in a moment; raises what it raised."""
    try:
        return (future.result(_LOOK_S),)
    except TimeoutError:
        if future.done():  # it is the call's own
            raise
        return None
