"""Squares of whole pixels, and how they are cut into tiles: integer arithmetic alone, so that checking a recipe is fast."""

from __future__ import annotations

from nutonic.core.model import Tile
from nutonic.errors import GridError


def pixels(extent_m: float, resolution: float) -> int:
    """How many pixels of `resolution` make `extent_m`; a GridError where that is not a whole number above zero."""
    count = round(extent_m / resolution)
    if count < 1 or abs(count * resolution - extent_m) > 1e-9 * extent_m:
        raise GridError(f"an extent of {extent_m} m is not a whole number of {resolution} m pixels")
    return count


def tiles(shape: tuple[int, int], size: int, stride: int) -> tuple[Tile, ...]:
    """All full tiles of a grid, numbered row-major by position.

    Parameters
    ----------
    shape
        ``(height, width)`` of the grid in pixels.
    size, stride
        Side of a tile, and the distance between two tiles' corners, in pixels.
    """
    across = range(0, shape[1] - size + 1, stride)
    down = range(0, shape[0] - size + 1, stride)
    return tuple(
        Tile(index=i * len(across) + j, row=row, col=col, size=size)
        for i, row in enumerate(down)
        for j, col in enumerate(across)
    )
