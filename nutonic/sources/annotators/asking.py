"""The endpoints that a process asks for one build, and its share of what they take.

A share is a number of units, which the driver deals out as it deals out requests: there are as many as the narrowest
endpoint takes requests at a time. A worker with some of them may have that part of every endpoint's requests in flight,
rounded down: so no sum exceeds what an endpoint takes, and whoever has a unit can ask everybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from nutonic.recipe.annotation import Annotator
from nutonic.sources.annotators.endpoint import Endpoints
from nutonic.sources.annotators.limits import EndpointLimits, most_in_flight


def asked(annotators: Iterable[Annotator]) -> tuple[Annotator, ...]:
    """Those that are asked while a build runs."""
    return tuple(each for each in annotators if each.kind == "openai" and each.mode == "chat")


def units_of(annotators: Iterable[Annotator]) -> int | None:
    """Units that there are to deal out; None where nobody is asked."""
    return min(map(most_in_flight, asked(annotators)), default=None)


class Asking:
    """Made by a session for as long as it lives; safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._annotators: tuple[Annotator, ...] = ()
        self._endpoints: Endpoints | None = None
        self._limits: EndpointLimits | None = None
        self._told: Callable[[str, float], None] | None = None
        self._stopped = False

    def listen(self, told: Callable[[str, float], None]) -> None:
        """Call somebody when an endpoint wants to be left alone, with the annotator's name and seconds."""
        self._told = told

    def refrain(self, pauses: Mapping[str, float]) -> None:
        """Ask endpoints for nothing in so many seconds, by annotator, since another process was told so."""
        with self._lock:
            limits = self._limits
        if limits is not None:
            for name, seconds in pauses.items():
                limits.refrain(name, seconds)

    def stop(self) -> None:
        """Begin no other request; those in flight are answered, and their answers kept."""
        with self._lock:
            self._stopped = True
            if self._endpoints is not None:
                self._endpoints.stop()

    def share(self, annotators: Sequence[Annotator], units: int) -> int:
        """Have so many units from now on; gives how many are in use, rounded up."""
        limits = self._limits_of(annotators)
        every = units_of(annotators) or 1
        most = {each.name: most_in_flight(each) for each in asked(annotators)}
        inside = limits.resize({name: count * units // every for name, count in most.items()})
        return max((-(-inside[name] * every // count) for name, count in most.items()), default=0)

    def endpoints(self, annotators: Sequence[Annotator]) -> Endpoints:
        """The endpoints of annotators, with this process' share; all that they take where nobody deals out shares."""
        limits = self._limits_of(annotators, alone=True)
        with self._lock:
            if self._endpoints is None:
                self._endpoints = Endpoints(asked(annotators), limits=limits)
                self._endpoints.on_refrain = self._told
            if self._stopped:
                self._endpoints.stop()
            return self._endpoints

    def in_flight(self, annotators: Sequence[Annotator]) -> int:
        """Requests that may be in flight now, at all endpoints together."""
        return sum(self._limits_of(annotators, alone=True).shares.values())

    def _limits_of(self, annotators: Sequence[Annotator], *, alone: bool = False) -> EndpointLimits:
        with self._lock:
            if self._limits is None or self._annotators != tuple(annotators):
                self._annotators, self._endpoints = tuple(annotators), None
                every = asked(annotators)
                self._limits = EndpointLimits.alone(every) if alone else EndpointLimits(every, {})
            return self._limits
