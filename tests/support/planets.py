"""What of a synthetic planet a scene covers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def covered(x, y, ring):
    """Share of a square's pixel centres that lie in a ring (even-odd rule)."""
    x, y = np.meshgrid(x, y)
    inside = np.zeros(x.shape, bool)
    for (x1, y1), (x2, y2) in pairwise(ring):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside.mean()
