"""Chips of a cube: what a build would cut from the same pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import xarray as xr

from nutonic.chips.chip import TileReject
from nutonic.chips.cut import ChipRules, Cut, Strip, cut, picture_limits
from nutonic.core.encoding import digital_numbers
from nutonic.core.model import Chip, Tile
from nutonic.core.tiling import tiles
from nutonic.errors import InputError
from nutonic.recipe.recipe import Recipe


def cut_chips(cube: xr.Dataset, recipe: Recipe) -> Iterator[tuple[Tile, Chip | TileReject]]:
    """Cut a cube into chips: each full tile with its picture and mask, or with why it cannot be one.

    The same functions as a build's cut them, so the same pixels give the same chips. One row of tiles is computed at a
    time, by the scheduler that is in use.

    Parameters
    ----------
    cube
        Dims ``(y, x)``: the recipe's ``imagery.assets`` as uint16 with 0 for nodata, and ``label`` as uint8. Of a cube
        over time take a step (``cube.isel(time=0)``) or reduce it (``nt.reduce.median(cube)``) first.
    recipe
        Of which ``tiles``, ``stretch`` and the class table of ``labels`` count. Where ``stretch.scope`` is ``poi``
        the limits are those of the whole cube, for which it is computed once more.

    Yields
    ------
    tile, chip
        Tiles are numbered row-major by position, as in a build; ``nt.tile_grid(cube.nutonic.geobox, tile)`` is where one
        lies.

    Raises
    ------
    InputError
        If the cube lacks a band, still has a time axis, is no whole numbers, or is smaller than a tile.
    BadPixels
        If the labels hold a value that the class table does not list.
    """
    cube, bands = digital_numbers(cube), recipe.imagery.assets
    rules = ChipRules(table=recipe.labels.table, tiles=recipe.tiles, stretch=recipe.stretch)
    _refuse_unfit(cube, bands)
    shape = (cube.sizes["y"], cube.sizes["x"])
    positions = tiles(shape, rules.tiles.size, rules.tiles.stride)
    if not positions:
        raise InputError(f"the cube has {shape[0]} × {shape[1]} pixels, a tile {rules.tiles.size}: nothing to cut")
    return _cut(cube, bands, rules, positions)


def _cut(cube: xr.Dataset, bands: Sequence[str], rules: ChipRules, positions: Sequence[Tile]) -> Iterator[Cut]:
    size, rendered = rules.tiles.size, all(cube[band].attrs.get("rendered") for band in bands)
    whole = (_rgb(cube, bands, slice(row, row + size)) for row in range(0, cube.sizes["y"], size))
    yield from cut(
        _strips(cube, bands, size, positions), rules, picture_limits(whole, rules.stretch, rendered=rendered)
    )


def _strips(cube: xr.Dataset, bands: Sequence[str], size: int, positions: Sequence[Tile]) -> Iterator[Strip]:
    """The rows of each row of tiles, computed when they are needed."""
    for row, some in groupby(positions, key=lambda tile: tile.row):
        pixels = cube[[*bands, "label"]].isel(y=slice(row, row + size)).compute()
        rgb = np.stack([pixels[band].values for band in bands])
        yield Strip(rgb=rgb, label=pixels["label"].values, tiles=list(some), row=row)


def _rgb(cube: xr.Dataset, bands: Sequence[str], rows: slice) -> np.ndarray:
    pixels = cube[list(bands)].isel(y=rows).compute()
    return np.stack([pixels[band].values for band in bands])


def _refuse_unfit(cube: xr.Dataset, bands: Sequence[str]) -> None:
    wanted = {**dict.fromkeys(bands, "uint16"), "label": "uint8"}
    missing = [name for name in wanted if name not in cube.data_vars]
    if missing:
        raise InputError(f"the cube has no {', '.join(missing)}, only {', '.join(map(str, cube.data_vars))}")
    for name, dtype in wanted.items():
        if set(cube[name].dims) != {"y", "x"}:
            raise InputError(
                f"{name} has the dims {cube[name].dims}: take a step (cube.isel(time=0)) or reduce the cube first"
            )
        if cube[name].dtype != dtype:
            raise InputError(f"{name} is {cube[name].dtype}, chips are cut from {dtype}: do not decode nodata to NaN")
