"""Regions, cells and borders of a mask, against counts pixel by pixel."""

from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, find_objects, label

from nutonic.chips.regions import cell_edges, land_cover
from nutonic.core.classes import ClassTable
from nutonic.recipe.outputs import Rows, Tiles

#: Classes at both ends of a byte: 0 is a class here, which many programs take for nothing.
TABLE = ClassTable(name="ends", labels={0: "water", 7: "trees", 8: "crops", 255: "snow"}, unknown=3, colors={})


def masks() -> list[np.ndarray]:
    """Noise, patches, one value, what touches by corners alone; odd, even and short sides; values that are no class."""
    rng = np.random.default_rng(5)
    values = np.array([0, 7, 8, 255, 3, 99], np.uint8)
    noise = [rng.choice(values, shape) for shape in ((24, 24), (25, 17), (16, 40), (3, 9), (9, 4))]
    patches = [np.kron(rng.choice(values, (8, 8)), np.ones((n, n), np.uint8)) for n in (4, 7)]
    checks = np.where(np.indices((18, 18)).sum(axis=0) % 2, 7, 0).astype(np.uint8)
    return [*noise, *patches, checks, np.zeros((20, 20), np.uint8), np.full((16, 16), 255, np.uint8)]


@pytest.mark.parametrize("mask", masks(), ids=lambda mask: f"{mask.shape}")
def test_a_mask_is_counted_as_pixel_by_pixel(mask: np.ndarray):
    rows, tiles = Rows(min_region_px=4, max_regions_per_class=3, vqa=True), Tiles(size=16, output_size=16)
    cover = land_cover(mask, TABLE, rows, tiles)
    assert cover.counts == {c: n for c in TABLE.labels if (n := int((mask == c).sum()))}
    wide = mask.repeat(2, axis=0).repeat(2, axis=1) if any(n % 2 for n in mask.shape) else mask
    down, across = map(cell_edges, wide.shape)
    for c in cover.counts:
        parts = [wide[down[i] : down[i + 1], across[k] : across[k + 1]] for i in range(6) for k in range(6)]
        assert cover.cells[c] == tuple(int((part == c).sum()) for part in parts)
        numbered, count = label(mask == c, np.ones((3, 3)))
        found = []
        for k, (height, width) in enumerate(find_objects(numbered), 1):
            area, first = int((numbered == k).sum()), int(np.flatnonzero(numbered == k)[0])
            found.append((-area, first, (width.start, height.start, width.stop, height.stop)))
        large = sorted(each for each in found if -each[0] >= 4)
        assert (cover.pieces[c], cover.large_regions[c]) == (count, len(large))
        assert [(-r.area_px, r.bbox) for r in cover.regions_of(c)] == [(a, box) for a, _, box in large[:3]]
    order = [(-r.area_px, tuple(np.argwhere(mask == r.class_id)[0])) for r in cover.regions]
    assert [area for area, _ in order] == sorted(area for area, _ in order)
    sides = [(mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])]
    for a, b in combinations(cover.counts, 2):
        touching = sum(int((((x == a) & (y == b)) | ((x == b) & (y == a))).sum()) for x, y in sides)
        if touching or (a, b) in cover.borders:
            assert cover.borders[a, b] == touching
        else:  # blocks of less than two pixels here: they are near if a pixel lies within two of another
            assert (binary_dilation(mask == a, np.ones((5, 5))) & (mask == b)).any()


def test_regions_of_all_classes_are_found_at_once(monkeypatch: pytest.MonkeyPatch):
    """A pass over the mask for each class takes as many times as long."""
    import cc3d

    asked, ask = [], cc3d.connected_components
    monkeypatch.setattr(cc3d, "connected_components", lambda mask, **how: asked.append(mask.shape) or ask(mask, **how))
    for mask in masks()[:3]:
        land_cover(mask, TABLE, Rows(vqa=True), Tiles(size=16, output_size=16))
    assert asked == [mask.shape for mask in masks()[:3]]
