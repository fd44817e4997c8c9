"""Chips from a cube: the ones that a build would cut from the same pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import xarray as xr

from nutonic.chips.chip import ChipRules, TileReject
from nutonic.chips.cut import CutTile, Strip, cut, picture_limits
from nutonic.core.encoding import digital_numbers
from nutonic.core.model import Chip, Tile
from nutonic.core.tiling import tiles
from nutonic.errors import InputError
from nutonic.recipe.recipe import Recipe
from nutonic.recipe.yaml import of_places, recipe_of


def cut_chips(cube: xr.Dataset, recipe: Recipe | str | Path) -> Iterator[tuple[Tile, Chip | TileReject]]:
    """Cut a cube into chips: each whole tile with its picture and mask, or with the reason why it cannot be a chip.

    A build uses the same functions, so the same pixels give the same chips. One row of tiles is computed at a time, by the
    scheduler that is in use.

    Parameters
    ----------
    cube
        Dims ``(y, x)``: the recipe's ``imagery.assets`` as uint16 with 0 for nodata, and ``label`` as uint8. Where it has
        the asset of the recipe's ``quality.classes`` too, such as ``scl`` as uint8, tiles are judged by it. For a cube
        over time, take a step (``cube.isel(time=0)``) or reduce the cube (``nt.reduce.median(cube)``) first.
    recipe
        Or the path of its file. Only its ``tiles``, ``quality``, ``stretch`` and the class table of its ``labels`` matter.
        If ``stretch.scope`` is ``poi``, the limits are those of the whole cube, which is then computed twice.

    Yields
    ------
    tile, chip
        Tiles are numbered in row-major order, as in a build; ``nt.tile_grid(cube.nutonic.geobox, tile)`` gives a tile's
        GeoBox.

    Raises
    ------
    InputError
        If the cube lacks a band, still has a time axis, does not hold whole numbers, or is smaller than a tile.
    BadPixels
        If the labels hold a value that the class table does not list.
    """
    recipe = of_places(recipe_of(recipe))
    cube, bands = digital_numbers(cube), recipe.imagery.bands
    rules = ChipRules(table=recipe.labels.table, tiles=recipe.tiles, stretch=recipe.stretch, quality=recipe.quality)
    _refuse_unsuitable(cube, bands, _classes_in(cube, rules))
    shape = (cube.sizes["y"], cube.sizes["x"])
    positions = tiles(shape, rules.tiles.size, rules.tiles.stride)
    if not positions:
        raise InputError(f"the cube has {shape[0]} × {shape[1]} pixels, a tile {rules.tiles.size}: nothing to cut")
    return _cut(cube, bands, rules, positions)


def _cut(cube: xr.Dataset, bands: Sequence[str], rules: ChipRules, positions: Sequence[Tile]) -> Iterator[CutTile]:
    size, rendered = rules.tiles.size, all(cube[band].attrs.get("rendered") for band in bands)
    rows = (_rgb(cube, bands, slice(row, row + size)) for row in range(0, cube.sizes["y"], size))
    limits = picture_limits(rows, rules.stretch, rendered=rendered)
    yield from cut(_strips(cube, bands, _classes_in(cube, rules), positions), rules, limits)


def _classes_in(cube: xr.Dataset, rules: ChipRules) -> str | None:
    """The variable that tiles are judged by; None if there is none."""
    judged_by = rules.quality.classification
    return judged_by.asset if judged_by is not None and judged_by.asset in cube.data_vars else None


def _strips(cube: xr.Dataset, bands: Sequence[str], classes: str | None, positions: Sequence[Tile]) -> Iterator[Strip]:
    """One strip for each row of tiles, computed when it is needed."""
    names = [*bands, "label", *([classes] if classes else [])]
    for row, row_tiles in groupby(positions, key=lambda tile: tile.row):
        pixels = cube[names].isel(y=slice(row, row + positions[0].size)).compute()
        yield Strip(
            rgb=np.stack([pixels[band].values for band in bands]),
            label=pixels["label"].values,
            classes=pixels[classes].values if classes else None,
            tiles=list(row_tiles),
            row=row,
        )


def _rgb(cube: xr.Dataset, bands: Sequence[str], rows: slice) -> np.ndarray:
    pixels = cube[list(bands)].isel(y=rows).compute()
    return np.stack([pixels[band].values for band in bands])


def _refuse_unsuitable(cube: xr.Dataset, bands: Sequence[str], classes: str | None) -> None:
    dtypes = {**dict.fromkeys(bands, "uint16"), "label": "uint8", **({classes: "uint8"} if classes else {})}
    missing = [name for name in dtypes if name not in cube.data_vars]
    if missing:
        raise InputError(f"the cube has no {', '.join(missing)}, only {', '.join(map(str, cube.data_vars))}")
    for name, dtype in dtypes.items():
        if set(cube[name].dims) != {"y", "x"}:
            raise InputError(
                f"{name} has the dims {cube[name].dims}: take a step (cube.isel(time=0)) or reduce the cube first"
            )
        if cube[name].dtype != dtype:
            raise InputError(f"{name} is {cube[name].dtype}, chips are cut from {dtype}: do not decode nodata to NaN")
