"""``nutonic cube``: shows, computes and saves a recipe's area over time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from nutonic.cli.paths import in_python
from nutonic.cli.progress import tile_progress
from nutonic.cli.screen import note, say
from nutonic.core.model import Json
from nutonic.core.units import counted
from nutonic.cube.accessor import open_zarr
from nutonic.cube.cog import refuse_foreign_cogs, save_cogs
from nutonic.cube.compose import ComposedCube, compose
from nutonic.cube.save import is_saved, refuse_foreign_cube, save_cube
from nutonic.cube.stores.netcdf import is_netcdf, refuse_foreign_netcdf, refuse_other_format
from nutonic.errors import DamageSkipped, InputError
from nutonic.io.atomic import refuse_no_text, refuse_unwritable, refuse_within
from nutonic.io.buckets.address import Address, AnyPath
from nutonic.io.files import real_path
from nutonic.planning.prepare import refuse_inputs_inside
from nutonic.recipe.recipe import Recipe
from nutonic.run.clusters.cluster import Cluster, connected
from nutonic.run.clusters.everyone import Everyone
from nutonic.run.clusters.proof import ProvedWorkers
from nutonic.run.clusters.taking import silent_left_out


def save_recipe_cube(
    recipe: Recipe,
    out: AnyPath,
    *,
    area: str | None = None,
    cogs: AnyPath | None = None,
    cluster: Cluster,
    overwrite: bool = False,
    aside: bool = False,
) -> Json:
    """Save a recipe's cube, and print what it is made of before any pixel is read.

    Parameters
    ----------
    recipe
        See :func:`nutonic.cube.compose.compose`.
    out
        The cube's path, or its address.
    area
        ``west,south,east,north`` in degrees, or the path of a GeoJSON file; by default the recipe's ``cube.area``.
    cogs
        Folder or address for a GeoTIFF of each variable; None for none.
    cluster
        What to compute with; without workers and scheduler this process's threads.
    overwrite
        Whether to replace another cube.
    aside
        Whether stdout is for JSON, so that lines for people go to stderr.

    Returns
    -------
    dict
        Path, grid, variables and scenes of the cube, and what of files is left out since it is damaged, for JSON.
    """
    _refuse(out, cogs, overwrite=overwrite)
    composed = compose(recipe, _area(area))
    scenes = (scene for timeline in composed.plan.timelines for step in timeline.steps for scene in step.scenes)
    area_input = _area(area)
    inputs = (*recipe.inputs, area_input) if isinstance(area_input, str) else recipe.inputs
    refuse_inputs_inside(inputs, out, scenes)
    if cogs is not None:
        refuse_foreign_cogs(composed.cube, cogs)
    say(_parts(composed), aside=aside)
    existed = is_saved(out) and not overwrite
    with _damage_told() as damage, _computed_by(cluster) as everyone, tile_progress() as progress:
        proofs = [ProvedWorkers(everyone, out)] if everyone is not None and isinstance(out, Address) else []
        path = save_cube(composed.cube, out, overwrite=overwrite, callbacks=[*proofs, progress])
        files = save_cogs(open_zarr(path), cogs) if cogs else []  # nothing is computed twice
    plain = is_netcdf(out) or str(out).endswith(".zarr") or isinstance(out, Address)
    wrote = f"wrote {out}" if plain else f"wrote {out}, a Zarr folder"
    lines = [f"{out} is there already, nothing to do" if existed else wrote]
    lines += [f"wrote {len(files)} GeoTIFFs into {cogs}"] if files else []
    lines += [f"{counted(len(damage), 'part')} of missing or damaged files left out as nodata"] if damage else []
    opener = "xarray.open_dataset" if is_netcdf(out) else "xarray.open_zarr"
    opener = "nutonic.open_zarr" if isinstance(out, Address) else opener
    say([*lines, f"open it with  {opener}({in_python(out)})"], aside=aside)
    return {**_as_json(composed, path, files), "damaged": damage}


@contextmanager
def _damage_told() -> Iterator[list[str]]:
    """Tell of each part that is left out, as a line; and gather them."""
    told: list[str] = []

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, DamageSkipped):
            otherwise(message, category, *where, **more)
        elif str(message) not in told:
            told.append(str(message))
            note(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", DamageSkipped)
        otherwise, warnings.showwarning = warnings.showwarning, show
        yield told


def _refuse(out: AnyPath, cogs: AnyPath | None, *, overwrite: bool) -> None:
    """Raise where nothing may be written, or can be, before any work."""
    refuse_other_format(out)
    if isinstance(out, Address):
        refuse_foreign_cube(out)
    elif overwrite or not out.exists():
        refuse_unwritable(out)
    if is_netcdf(out) and isinstance(out, Path):
        refuse_foreign_netcdf(out.resolve())
    if cogs is None:
        return
    within = f"{cogs}, for the GeoTIFFs, lies in the cube {out}: name another folder"
    if isinstance(cogs, Address):
        if f"{cogs}/".startswith(f"{out}/"):
            raise InputError(within)
        return
    refuse_within(cogs / "picture.tif")  # nor may the folder be a tree itself
    if isinstance(out, Path) and real_path(out) in real_path(cogs / "picture.tif").parents:
        raise InputError(within)
    refuse_no_text(cogs)
    refuse_unwritable(cogs)


def _area(text: str | None) -> tuple[float, ...] | str | None:
    """Four numbers if the text is numbers, else the path of a file."""
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        return text


def _parts(composed: ComposedCube) -> Iterator[str]:
    yield from str(composed.plan).splitlines()
    if composed.estimate is not None:
        yield str(composed.estimate)


@contextmanager
def _computed_by(cluster: Cluster) -> Iterator[Everyone | None]:
    """Compute with a cluster if one is requested, otherwise with this process's threads."""
    if not cluster.workers and cluster.scheduler is None:
        yield None
        return
    silent_s = cluster.waits.silent_s
    with connected(cluster) as client, silent_left_out(client, note, silent_s) as watch:
        yield Everyone(client, watch, silent_s)


def _as_json(composed: ComposedCube, path: AnyPath, files: list[AnyPath]) -> Json:
    geobox, attrs = composed.plan.geobox, composed.cube.attrs
    return {
        "path": str(path),
        "cogs": [str(file) for file in files],
        "crs": str(geobox.crs),
        "transform": list(geobox.affine)[:6],
        "shape": list(geobox.shape.yx),
        "variables": {str(name): list(map(str, variable.dims)) for name, variable in composed.cube.data_vars.items()},
        "scenes": orjson.loads(attrs["nutonic_scenes"].encode()),
        "left_out": orjson.loads(attrs["nutonic_left_out"].encode()),
    }
