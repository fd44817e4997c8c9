"""Grids that scenes give: the square around a place on a scene's lattice, and the blocks that hold several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from affine import Affine

from nutonic.core.grid import (
    affine_of,
    crs_name,
    grid_around,
    is_metric,
    offset_in,
    on_lattice,
    repeated,
    unlike_a_map,
)
from nutonic.core.model import Asset, Scene
from nutonic.errors import GridError, OffLattice
from nutonic.inert import inert
from nutonic.recipe.outputs import Grid

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

#: Part of a pixel's side by which it may differ from the one that is asked for, and be taken for rounding.
ROUNDING = 1e-6


def place_grid(lon: float, lat: float, scene: Scene, settings: Grid) -> GeoBox:
    """The square around a place on the lattice of a scene's smallest pixels, in the scene's own CRS.

    Assets with larger pixels are read on it too, each pixel repeated, where a whole number of the grid's makes one. On the
    scene's own lattice pixels have the scene's own size, which may differ from the one that is asked for by rounding.

    Raises
    ------
    OffLattice
        If the scene's pixels do not lie on the ten-metre lattice and `settings.lattice` does not ask for the scene's own,
        or have another size; or if they are no squares with north up.
    GridError
        If the scene's CRS is not in metres.
    """
    first = scene.lead
    transform, resolution, extent_m = affine_of(first.transform), settings.resolution_m, settings.extent_m
    if settings.lattice == "source" and abs(transform.a - resolution) <= ROUNDING * resolution:
        extent_m, resolution = round(extent_m / resolution) * transform.a, transform.a
    if problem := unlike_a_map(transform):
        raise OffLattice(f"scene {inert(scene.id)} {problem}")
    if settings.lattice == "source" and resolution != transform.a:
        raise OffLattice(
            f"scene {inert(scene.id)} has pixels of {transform.a:g} m, which are read as they are, and grid.resolution_m is "
            f"{resolution:g}: set it to {transform.a:g}, and tiles.output_size for chips of another size"
        )
    origin = (transform.c, transform.f) if settings.lattice == "source" else (0.0, 0.0)
    if settings.lattice == "ten_metre" and not on_lattice(transform, resolution):
        raise OffLattice(
            f"scene {inert(scene.id)} has pixels of {transform.a:g} m from ({transform.c:.10g}, {transform.f:.10g}), off "
            f"the {resolution:g} m lattice: set grid.lattice to source, and grid.resolution_m to the scene's"
        )
    grid = grid_around(lon, lat, extent_m=extent_m, crs=first.crs, resolution=resolution, origin=origin)
    for asset in scene.pictured:
        offset_in(repeated(affine_of(asset.transform), grid)[0], grid)
    return grid


def scene_grid(scene: Scene, grids: Sequence[GeoBox]) -> GeoBox:
    """The part of a scene's own grid that holds all of `grids`.

    It may reach beyond the scene.

    Raises
    ------
    GridError
        If a grid is not in the scene's CRS.
    """
    from odc.geo.geobox import GeoBox

    asset = scene.lead
    native = GeoBox(asset.shape, Affine(*asset.transform), asset.crs)
    firsts, lasts = [], []
    for grid in grids:
        if grid.crs != native.crs:
            raise GridError(f"scene {inert(scene.id)} is in {native.crs}, the grid in {grid.crs}")
        row, col = offset_in(native.affine, grid)
        firsts.append((row, col))
        lasts.append((row + grid.shape.y, col + grid.shape.x))
    top, left = (min(values) for values in zip(*firsts, strict=True))
    bottom, right = (max(values) for values in zip(*lasts, strict=True))
    a, b, c, d, e, f = asset.transform
    return GeoBox((bottom - top, right - left), Affine(a, b, c + left * a, d, e, f + top * e), asset.crs)


def common_lattice(scenes: Sequence[Scene], resolution: float, zone: str) -> GeoBox:
    """A pixel of the lattice that most scenes' smallest pixels lie on; of lattices in the CRS `zone`, if there is one.

    Of several that serve as many it is that of the first scene. A pixel's size is the scene's own where that is
    `resolution` but for rounding; coarser scenes have a whole number of such pixels to one of theirs.

    Raises
    ------
    OffLattice, GridError
        If no scene has such pixels; of what the first has instead.
    """
    from odc.geo.geobox import GeoBox

    lattices: list[GeoBox] = []
    counts: Counter[int] = Counter()
    for lead in (scene.lead for scene in scenes if _unfit(scene, resolution) is None):
        shared = next((number for number, pixel in enumerate(lattices) if is_whole(lead, pixel)), len(lattices))
        if shared == len(lattices):
            transform = affine_of(lead.transform)
            side = transform.a if abs(transform.a - resolution) <= ROUNDING * resolution else resolution
            lattices.append(GeoBox((1, 1), Affine(side, 0.0, transform.c, 0.0, -side, transform.f), lead.crs))
        counts[shared] += 1
    if not lattices:
        raise _unfit(scenes[0], resolution) or GridError(f"scene {inert(scenes[0].id)} has no pixels of its own")
    return lattices[min(counts, key=lambda number: (crs_name(lattices[number]) != zone, -counts[number], number))]


def _unfit(scene: Scene, resolution: float) -> OffLattice | GridError | None:
    """Why no grid of this resolution can have a scene's own pixels; None if one can."""
    lead = scene.lead
    transform, name = affine_of(lead.transform), inert(scene.id)
    if not is_metric(lead.crs):
        return GridError(f"scene {name} is in {lead.crs:.60}, which is not in metres: warp it to UTM")
    if problem := unlike_a_map(transform):
        return OffLattice(f"scene {name} {problem}")
    times = max(1, round(transform.a / resolution))
    if abs(transform.a / times - resolution) > ROUNDING * resolution:
        return OffLattice(
            f"scene {name} has pixels of {transform.a:g} m, which {resolution:g} m do not make up: set grid.resolution_m to "
            "the scene's"
        )
    return None


def off_lattice(asset: Asset, geobox: GeoBox) -> str:
    """What keeps an asset's pixels from being a grid's, in words that follow a scene's id."""
    lattice = affine_of(asset.transform)
    if crs_name(geobox) != asset.crs:
        return f"is in {asset.crs}"
    if problem := unlike_a_map(lattice):
        return problem
    lattice, times = repeated(lattice, geobox)
    side = geobox.affine.a
    if abs(lattice.a - side) > ROUNDING * side:
        return f"has pixels of {lattice.a * times:g} m, the grid of {side:g} m"
    off = [(here - there) / side for here, there in ((geobox.affine.c, lattice.c), (geobox.affine.f, lattice.f))]
    east, north = (abs(part - round(part)) * side for part in off)
    return f"lies {east:.3g} m east-west and {north:.3g} m north-south off the grid's lattice"


def is_native(asset: Asset, geobox: GeoBox) -> bool:
    """Whether an asset's pixels are a grid's: to be read, not resampled."""
    return _lies_on(Affine(*asset.transform), asset.crs, geobox)


def is_whole(asset: Asset, geobox: GeoBox) -> bool:
    """Whether each of an asset's pixels is one or a whole number of a grid's: to be read, and repeated, not resampled."""
    return _lies_on(repeated(Affine(*asset.transform), geobox)[0], asset.crs, geobox)


def _lies_on(lattice: Affine, crs: str, geobox: GeoBox) -> bool:
    try:
        offset_in(lattice, geobox)
    except OffLattice:
        return False
    return crs_name(geobox) == crs
