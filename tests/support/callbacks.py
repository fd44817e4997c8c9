"""Callbacks that tests follow builds with."""

from __future__ import annotations

from collections.abc import Callable

from nutonic import BatchFinished, BuildEnded, BuildStarted, Callback, Note, TilesSaved

Event = BuildStarted | BatchFinished | BuildEnded | Note | TilesSaved


class OnBatch(Callback):
    """Calls a function with each batch."""

    def __init__(self, function: Callable[[BatchFinished], object]) -> None:
        self._function = function

    def on_batch(self, event: BatchFinished, /) -> None:
        self._function(event)


class OnTiles(Callback):
    """Calls a function with the tiles that are saved, and how many there are."""

    def __init__(self, function: Callable[[int, int], object]) -> None:
        self._function = function

    def on_tiles(self, event: TilesSaved, /) -> None:
        self._function(event.done, event.total)


class Recorder(Callback):
    """Keeps all events; asks to stop once it has as many as it is given."""

    def __init__(self, most: float = float("inf")) -> None:
        self.events: list[Event] = []
        self._most = most

    def _keep(self, event: Event, /) -> None:
        self.events.append(event)

    on_start = on_batch = on_note = on_end = on_tiles = _keep  # stages and workers are told at any time

    def stop_requested(self) -> bool:
        return len(self.events) >= self._most
