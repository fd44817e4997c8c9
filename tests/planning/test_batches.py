"""Places follow each other as the blocks that they need do: what is unpacked serves all of them."""

import numpy as np
import pytest

from nutonic.io.tiff.blocks import Block, Kept, new_cache, pass_by
from nutonic.planning.plan import along_blocks

#: Sides of a scene's blocks and of a square, and how many rows and columns labels have for one of the scene's.
BLOCK, SQUARE, LABELS = 1024, 512, (1.08, 1.58)

#: Blocks as they are kept, which take no memory here.
IMAGERY, LAND_COVER = (
    Block(np.broadcast_to(np.zeros(1, dtype), (BLOCK, BLOCK)), differs=False) for dtype in ("uint16", "uint8")
)


def touched(corner: tuple[float, float], side: tuple[float, float]) -> list[tuple[int, int]]:
    """The blocks of a window."""
    rows, cols = (range(int(v) // BLOCK, int(v + n - 1) // BLOCK + 1) for v, n in zip(corner, side, strict=True))
    return [(row, col) for row in rows for col in cols]


def unpacked(corners: np.ndarray, *, passing: bool = True) -> tuple[int, int]:
    """How often blocks are unpacked for squares one after another, and how many there are: of three bands and of labels."""
    kept: Kept = new_cache()
    times = list[object]()

    def get(file: str, place: tuple[int, int], block: Block) -> None:
        kept.get((file, (1, *place)), lambda: times.append((file, place)) or block)

    for row, col in corners.tolist():
        for band in ("red", "green", "blue"):
            for place in touched((row, col), (SQUARE, SQUARE)):
                get(band, place, IMAGERY)
        for place in touched((LABELS[0] * row, LABELS[1] * col), (LABELS[0] * SQUARE, LABELS[1] * SQUARE)):
            get("labels", place, LAND_COVER)
        if passing:
            pass_by(kept, dict.fromkeys(("red", "green", "blue"), (row, col)).get)
    return len(times), len(set(times))


def corners_of(side: int, pitch: int) -> np.ndarray:
    """Squares over a scene, as a plan orders them."""
    along = np.arange(100, side - SQUARE, pitch)
    corners = np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2).astype(np.int32)
    return corners[np.lexsort(along_blocks(corners))]


@pytest.mark.long
@pytest.mark.parametrize("pitch", [SQUARE, SQUARE // 2])
def test_blocks_of_a_wide_scene_are_unpacked_hardly_more_than_once(pitch: int):
    times, blocks = unpacked(corners_of(10_980, pitch))  # of a whole tile of Sentinel-2: two strips
    assert blocks >= 3 * 11 * 11
    assert blocks < times <= 1.12 * blocks

    forgetting, _ = unpacked(corners_of(10_980, pitch), passing=False)
    assert forgetting > 1.3 * blocks


@pytest.mark.parametrize("pitch", [SQUARE, SQUARE // 2])
def test_blocks_of_a_scene_of_eight_across_are_unpacked_once(pitch: int):
    times, blocks = unpacked(corners_of(8192, pitch))
    assert times == blocks
