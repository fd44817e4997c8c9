"""How many requests an endpoint gets at a time, and a minute, of this process: its fixed share of what all may ask.

Shares are whole numbers that are dealt out; nobody asks anybody before a request. A share of the requests in flight brings
its part of the requests a minute with it, so that there is one number to deal out for each endpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nutonic.io.limits import AdaptiveLimiter
from nutonic.recipe.annotation import Annotator

#: Room for any number.
_ANY = 2**30


def most_in_flight(annotator: Annotator) -> int:
    """Requests in flight that there are to deal out: no more than there may be a minute."""
    return min(annotator.max_in_flight, annotator.requests_per_minute or annotator.max_in_flight)


def shares_of_workers(
    annotators: Iterable[Annotator], workers: Sequence[str], before: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """The share of each worker of each endpoint's requests, by address and annotator: their sums are what is allowed.

    Those that had a share before come first where there are fewer requests than workers.
    """
    shares: dict[str, dict[str, int]] = {worker: {} for worker in workers}
    for annotator in (each for each in annotators if each.kind == "openai" and each.mode == "chat"):
        name = annotator.name
        order = sorted(workers, key=lambda worker: (before.get(worker, {}).get(name, 0) == 0, worker))
        for index, worker in enumerate(order):
            shares[worker][name] = share_of(annotator, index, len(order))
    return shares


def share_of(annotator: Annotator, index: int, workers: int) -> int:
    """Requests that the worker of this index, of so many, may have in flight at an endpoint; 0 if there are too few."""
    each, remainder = divmod(most_in_flight(annotator), workers)
    return each + (index < remainder)


class Pace:
    """Lets one begin after the other, so that within any minute no more begin than are allowed."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._next = -float("inf")
        self._between = 0.0
        self.change(per_minute)

    def change(self, per_minute: int | None) -> None:
        """So many from now on; None for any number."""
        with self._lock:
            self._between = 60.0 / per_minute if per_minute else 0.0

    def wait_s(self) -> float:
        """Take the next beginning: seconds until it."""
        with self._lock:
            now = self._clock()
            at = max(now, self._next)
            self._next = at + self._between
            return at - now


@dataclass(slots=True)
class _Endpoint:
    """What this process may ask of an endpoint, and when."""

    annotator: Annotator
    limiter: AdaptiveLimiter = field(default_factory=lambda: AdaptiveLimiter(0))
    pace: Pace = field(default_factory=lambda: Pace(None))
    share: int = 0
    quiet_until: float = -float("inf")
    """Nothing is asked before, by the monotonic clock in seconds."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set once nothing more is to be asked: nobody waits any longer then."""

    def resize(self, share: int) -> None:
        self.share = share
        if self.over.is_set():
            return
        if self.annotator.requests_per_minute is not None:
            each = self.annotator.requests_per_minute // most_in_flight(self.annotator)
            self.pace.change(max(1, each * share))
        self.limiter.resize(share)

    def wait(self) -> None:
        """Wait until it may be asked."""
        self.over.wait(self.pace.wait_s())
        while not self.over.is_set() and (left := self.quiet_until - time.monotonic()) > 0:
            self.over.wait(left)


class EndpointLimits:
    """The limits of this process at each endpoint, by the annotator's name; safe in threads."""

    def __init__(self, annotators: Iterable[Annotator], shares: Mapping[str, int]) -> None:
        """`shares`: requests in flight, by annotator; one that is not named has none until :meth:`resize`."""
        self._endpoints = {each.name: _Endpoint(each) for each in annotators if each.kind == "openai"}
        self.resize(shares)

    @classmethod
    def alone(cls, annotators: Iterable[Annotator]) -> EndpointLimits:
        """Of the only process that asks."""
        return cls.of(annotators, 0, 1)

    @classmethod
    def of(cls, annotators: Iterable[Annotator], index: int, workers: int) -> EndpointLimits:
        """Of the worker of this index, from 0, where there are so many from the beginning to the end."""
        every = tuple(annotators)
        return cls(every, {each.name: share_of(each, index, workers) for each in every})

    def resize(self, shares: Mapping[str, int]) -> dict[str, int]:
        """Let so many be in flight from now on; gives how many are now, by annotator."""
        for name, endpoint in self._endpoints.items():
            if name in shares:
                endpoint.resize(shares[name])
        return {name: endpoint.limiter.inside for name, endpoint in self._endpoints.items()}

    @property
    def shares(self) -> dict[str, int]:
        """Requests that may be in flight, by annotator."""
        return {name: endpoint.share for name, endpoint in self._endpoints.items()}

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Wait until there is room at an endpoint, and take it for the block: one attempt of one request.

        Once :meth:`end` was called nobody waits: whoever has a turn looks whether to ask.
        """
        endpoint = self._endpoints[name]
        with endpoint.limiter.acquire():
            endpoint.wait()
            yield

    def fault(self, name: str, kind: str) -> None:
        """Hear of a fault: of one that refuses for there being too many, fewer are let in, and slowly more again."""
        self._endpoints[name].limiter.fault(kind)

    def refrain(self, name: str, seconds: float) -> None:
        """Ask an endpoint for nothing in so many seconds, whoever has a turn."""
        endpoint = self._endpoints[name]
        endpoint.quiet_until = max(endpoint.quiet_until, time.monotonic() + seconds)

    def sleep(self, name: str, seconds: float) -> None:
        """Pause; no longer than until nothing more is to be asked."""
        self._endpoints[name].over.wait(seconds)

    def end(self, name: str | None = None) -> None:
        """Let nobody wait any longer; of all endpoints if None."""
        for each in self._endpoints.values() if name is None else [self._endpoints[name]]:
            each.over.set()
            each.limiter.resize(_ANY)  # who waits for room is let in, to hear that there is nothing to ask
