"""Places follow each other as the blocks that they need do: what is unpacked serves all of them."""

from collections import OrderedDict

import numpy as np

from nutonic.io.tiff.blocks import KEPT_BYTES
from nutonic.planning.plan import along_blocks

#: Sides of a scene's blocks and of a square, and bytes of such blocks of three bands, and of one of labels beside them.
BLOCK, SQUARE, BYTES = 1024, 512, 3 * 2 * 1024**2 + 1024**2


def unpacked(corners: np.ndarray) -> tuple[int, int]:
    """How often blocks are unpacked for squares one after another, and how many there are."""
    kept, times, all_blocks = OrderedDict[tuple[int, int], None](), 0, set()
    for row, col in corners.tolist():
        for i in range(row // BLOCK, (row + SQUARE - 1) // BLOCK + 1):
            for k in range(col // BLOCK, (col + SQUARE - 1) // BLOCK + 1):
                times += (i, k) not in kept
                kept[i, k] = None
                kept.move_to_end((i, k))
                all_blocks.add((i, k))
                if len(kept) > KEPT_BYTES // BYTES:
                    kept.popitem(last=False)
    return times, len(all_blocks)


def test_blocks_of_a_wide_scene_are_unpacked_hardly_more_than_once():
    side = np.arange(100, 10_980 - SQUARE, SQUARE)  # of a whole tile of Sentinel-2, squares side by side
    corners = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2).astype(np.int32)
    times, blocks = unpacked(corners[np.lexsort(along_blocks(corners))])
    assert blocks == 11 * 11
    assert times <= 1.2 * blocks

    row_by_row, _ = unpacked(corners)
    assert row_by_row > 1.8 * blocks
