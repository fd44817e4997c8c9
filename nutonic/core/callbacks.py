"""Progress while a cube is saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TilesSaved:
    """How many of a cube's tiles are on disk, those of earlier calls included."""

    done: int
    total: int


class TileCallback(Protocol):
    """Follows how a cube is saved; a :class:`nutonic.Callback` is one."""

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Called whenever tiles were saved, and once before the first."""
