"""How a cube that is saved tells how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TilesSaved:
    """So many of a cube's tiles are on disk, those of earlier calls included."""

    done: int
    total: int


class TileCallback(Protocol):
    """What follows a cube that is saved; a :class:`nutonic.Callback` is one."""

    def on_tiles(self, event: TilesSaved, /) -> None:
        """Tiles were saved; called before the first too."""
