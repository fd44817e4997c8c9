"""Following a build, and stopping it: events as values, and what receives them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from nutonic.core.callbacks import TilesSaved
from nutonic.core.units import counted, counted_of
from nutonic.inert import inert
from nutonic.run.results import BatchDone, Summary

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStarted:
    """The plan is there, workers are ready, and batches are about to begin."""

    wanted: int
    """Places within the limit."""
    done_before: int
    """Of them, those that an earlier build has committed."""

    @property
    def to_do(self) -> int:
        """Places that are to be done now."""
        return self.wanted - self.done_before


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFinished:
    """A batch, or what was left of one, is committed, or has failed."""

    result: BatchDone
    """Its counts, its rejects and its failures."""
    to_do: int
    """Places that the whole build has to do: the sum of all batches' ``result.finished``, if none fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionsFinished(BatchFinished):
    """Patches are captioned, or have failed. `to_do` are patches here: those that had no captions before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEnded:
    """All is done, or the build was stopped; ``data/`` and the card are up to date."""

    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBegun:
    """What a build does now, before, between or after its batches."""

    text: str
    """In words: ``"planning"``, ``"starting 2 workers"``, ``"finishing"``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersChanged:
    """Workers came, or were lost; told of workers elsewhere and of those that a build started."""

    there: int
    """How many there are now."""
    lost: int
    """How many are gone that were there when this was told last. What they had to do, others do."""
    joined: int = 0
    """How many are there that were not when this was told last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line for a person, such as where the dashboard is."""

    text: str


class Callback:
    """What follows a build, and may stop it. Its methods do nothing: override those that you need.

    The methods ``on_…`` are called by the thread that called :func:`nutonic.build`, in the order of the events: notes,
    :class:`StageBegun` and :class:`WorkersChanged` at any time; :class:`BuildStarted` once, where nothing is left to do
    too; :class:`BatchFinished` as batches finish, in whatever order that is; :class:`BuildEnded` at last, unless the build
    raises. What they raise ends the build, and the same call goes on with it. One kind of note comes by another thread:
    that a worker or a scheduler does not answer.

    Examples
    --------
    >>> class Patience(Callback):
    ...     "Stops after so many tiles."
    ...
    ...     def __init__(self, most: int) -> None:
    ...         self.left = most
    ...
    ...     def on_batch(self, event: BatchFinished) -> None:
    ...         self.left -= event.result.tiles
    ...
    ...     def stop_requested(self) -> bool:
    ...         return self.left <= 0
    """

    def on_start(self, event: BuildStarted, /) -> None:
        """Batches are about to begin."""

    def on_batch(self, event: BatchFinished, /) -> None:
        """A batch has finished."""

    def on_note(self, event: Note, /) -> None:
        """There is something that a person may want to know."""

    def on_stage(self, event: StageBegun, /) -> None:
        """Something else is done now."""

    def on_workers(self, event: WorkersChanged, /) -> None:
        """Workers came, or were lost."""

    def on_end(self, event: BuildEnded, /) -> None:
        """The build has ended, and not by an error."""

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Tiles of a cube were saved, by :func:`nutonic.save_cube`."""

    def stop_requested(self) -> bool:
        """Whether to begin no other batch, and to end once those that have begun are finished.

        Called often, before each batch, and by another thread too on a cluster, or while models are asked.
        """
        return False


class CallbackGroup(Callback):
    """Several as one, called in their order; it is stopped once one of them asks for it."""

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self._callbacks = tuple(callbacks)

    def on_start(self, event: BuildStarted, /) -> None:
        """Batches are about to begin."""
        for callback in self._callbacks:
            callback.on_start(event)

    def on_batch(self, event: BatchFinished, /) -> None:
        """A batch has finished."""
        for callback in self._callbacks:
            callback.on_batch(event)

    def on_note(self, event: Note, /) -> None:
        """There is something that a person may want to know."""
        for callback in self._callbacks:
            callback.on_note(event)

    def on_stage(self, event: StageBegun, /) -> None:
        """Something else is done now."""
        for callback in self._callbacks:
            callback.on_stage(event)

    def on_workers(self, event: WorkersChanged, /) -> None:
        """Workers came, or were lost."""
        for callback in self._callbacks:
            callback.on_workers(event)

    def on_end(self, event: BuildEnded, /) -> None:
        """The build has ended, and not by an error."""
        for callback in self._callbacks:
            callback.on_end(event)

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Tiles of a cube were saved."""
        for callback in self._callbacks:
            callback.on_tiles(event)

    def stop_requested(self) -> bool:
        """Whether one of them asks to stop."""
        return any(callback.stop_requested() for callback in self._callbacks)


class LogCallback(Callback):
    """Writes events to the library's log: stages and notes at INFO, batches at DEBUG, lost workers at WARNING."""

    def on_start(self, event: BuildStarted, /) -> None:
        """Log how many places are to be built."""
        _log.info("%s to do", counted_of(event.to_do, event.wanted, "place"))

    def on_batch(self, event: BatchFinished, /) -> None:
        """Log a batch's counts, and the places that failed."""
        result = event.result
        _log.debug("batch %d: %s", result.index, _made(result.places, result.tiles, result.rows))
        for failure in result.failures:
            what = "captions of" if failure.is_of_captions else "place"
            _log.info("%s %s failed: %s", what, inert(failure.poi_id), inert(failure.reason))

    def on_stage(self, event: StageBegun, /) -> None:
        """Log what is done now."""
        _log.info("%s", event.text)

    def on_workers(self, event: WorkersChanged, /) -> None:
        """Log how many workers there are, and were lost."""
        level = logging.WARNING if event.lost or not event.there else logging.INFO
        _log.log(level, "%s, %d lost, %d joined", counted(event.there, "worker"), event.lost, event.joined)

    def on_note(self, event: Note, /) -> None:
        """The note."""
        _log.info("%s", inert(event.text))

    def on_end(self, event: BuildEnded, /) -> None:
        """Log the counts of the build, and how many places are left."""
        summary = event.summary
        _log.info("built %s; %d left", _made(summary.built, summary.tiles, summary.rows), summary.still_open)


def _made(places: int, chips: int, rows: int) -> str:
    return f"{counted(places, 'place')}, {counted(chips, 'chip')}, {counted(rows, 'row')}"
