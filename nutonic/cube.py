"""One scene of each source as one aligned lazy dataset: what a build reads its chips from.

A build and a notebook open the same; a tile of it is just a smaller grid. Areas over time are :mod:`nutonic.cubes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import rioxarray  # noqa: F401  registers the .rio accessor that cubes promise
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.errors import GridError, NoScene, OffLattice
from nutonic.grid import around, check_aligned, offset_in, on_lattice
from nutonic.model import Scene
from nutonic.moments import interval
from nutonic.presets import PRODUCTS
from nutonic.recipe import Grid, Recipe
from nutonic.sources.base import Source
from nutonic.sources.earthengine import WINDOWS_DAYS, EarthEngineLabels
from nutonic.sources.ee_imagery import EarthEngineImagery
from nutonic.sources.landcover import StacLabels
from nutonic.sources.raster import RasterSource
from nutonic.sources.stac import StacSource


def open_scene(
    area: GeoBox | tuple[float, float],
    sources: Sequence[Source],
    *,
    time: str | None = None,
    grid: Grid | None = None,
    scenes: Sequence[Sequence[Scene]] | None = None,
    chunks: int | Sequence[int | None] = 512,
) -> xr.Dataset:
    """Open the best scene of several sources as one lazy dataset on one grid.

    Parameters
    ----------
    area
        A grid; or longitude and latitude of a place, around which a square is drawn on the lattice of the best scene
        that the first source has there.
    sources
        For instance a :class:`StacSource` and a :class:`RasterSource`.
    time
        ``start/end``, both included, for the search; all time by default.
    grid
        Extent, resolution and lattice of the square around a place; a :class:`nutonic.recipe.Grid`.
    scenes
        What a search settled before, one sequence per source; by default each source is searched now.
    chunks
        Side of the cube's square chunks, in pixels. Or one per source, where None leaves a source lazily indexed: to be
        sliced first and chunked after.

    Returns
    -------
    xarray.Dataset
        Dims ``(y, x)``, one variable per band of each source, coordinates of pixel centres that are bitwise equal for
        all of them, ``.rio`` and ``.odc`` accessors working; nothing read yet.

    Raises
    ------
    NoScene
        If a source has nothing for this place and time.
    NotAligned, OffLattice
        If a source cannot be opened on the grid without resampling what must not be resampled.
    """
    if not isinstance(area, GeoBox):
        lon, lat = area
        settings = grid or Grid()
        scenes = scenes or _search(lon, lat, settings.extent_m, sources, time)
        area = place_grid(lon, lat, scenes[0][0], settings)
    elif scenes is None:
        lon, lat = area.extent.centroid.to_crs("EPSG:4326").coords[0]
        scenes = _search(lon, lat, max(area.extent.boundingbox.span_x, area.extent.boundingbox.span_y), sources, time)
    scenes = dated(scenes, time)
    per_source = [chunks] * len(sources) if isinstance(chunks, int) else chunks
    parts = [
        source.open(area, found, chunks=size) for source, found, size in zip(sources, scenes, per_source, strict=True)
    ]
    for part in parts:
        check_aligned(part, area)
    return xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts")


def _search(
    lon: float, lat: float, extent_m: float, sources: Sequence[Source], time: str | None
) -> list[tuple[Scene, ...]]:
    found = [source.search(np.array([lon]), np.array([lat]), extent_m, time)[0] for source in sources]
    for source, scenes in zip(sources, found, strict=True):
        if not scenes:
            raise NoScene(f"{source} has no scene at longitude {lon}, latitude {lat} in {time or 'any time'}")
    return found


def place_grid(lon: float, lat: float, scene: Scene, settings: Grid) -> GeoBox:
    """The square around a place on the lattice of a scene's pixels, in the scene's own CRS.

    Raises
    ------
    OffLattice
        If the scene's pixels do not lie on the ten-metre lattice and `settings.lattice` does not ask for the scene's own,
        or have another size.
    """
    first = scene.assets[0]
    transform, resolution = Affine(*first.transform), settings.resolution_m
    origin = (transform.c, transform.f) if settings.lattice == "source" else (0.0, 0.0)
    if settings.lattice == "ten_metre" and not on_lattice(transform, resolution):
        raise OffLattice(
            f"scene {scene.id} has pixels of {transform.a:g} m from ({transform.c:.10g}, {transform.f:.10g}), off the "
            f"{resolution:g} m lattice: set grid.lattice to source, and grid.resolution_m to the scene's"
        )
    grid = around(lon, lat, extent_m=settings.extent_m, crs=first.crs, resolution=resolution, origin=origin)
    for asset in scene.assets:
        offset_in(Affine(*asset.transform), grid)
    return grid


def scene_grid(scene: Scene, grids: Sequence[GeoBox], block: int) -> GeoBox:
    """The part of a scene's own grid, in whole blocks, that holds all of `grids`: a cube on it is chunked as the file is.

    It may reach beyond the scene.

    Raises
    ------
    GridError
        If a grid is not in the scene's CRS.
    """
    asset = scene.assets[0]
    native = GeoBox(asset.shape, Affine(*asset.transform), asset.crs)
    firsts, lasts = [], []
    for grid in grids:
        if grid.crs != native.crs:
            raise GridError(f"scene {scene.id} is in {native.crs}, the grid in {grid.crs}")
        row, col = offset_in(native.affine, grid)
        firsts.append((row, col))
        lasts.append((row + grid.shape.y, col + grid.shape.x))
    top, left = (min(values) // block * block for values in zip(*firsts, strict=True))
    bottom, right = (-(-max(values) // block) * block for values in zip(*lasts, strict=True))
    a, b, c, d, e, f = asset.transform
    return GeoBox((bottom - top, right - left), Affine(a, b, c + left * a, d, e, f + top * e), asset.crs)


def imagery_source(recipe: Recipe) -> StacSource | EarthEngineImagery:
    """The source of a recipe's pictures."""
    if recipe.imagery.source == "earthengine":
        url, project = recipe.earthengine or (None, None)
        return EarthEngineImagery(
            collection=recipe.imagery.collection,
            assets=recipe.imagery.assets,
            max_cloud_cover=recipe.imagery.max_cloud_cover,
            min_valid_fraction=recipe.tiles.min_valid_fraction,
            resolution_m=recipe.grid.resolution_m,
            project=project,
            url=url,
        )
    return StacSource(
        url=recipe.imagery.url or "",
        collection=recipe.imagery.collection,
        assets=recipe.imagery.assets,
        max_cloud_cover=recipe.imagery.max_cloud_cover,
        min_valid_fraction=recipe.tiles.min_valid_fraction,
        engine=recipe.imagery.engine,
        sign=recipe.imagery.sign,
        allow_hosts=recipe.imagery.allow_hosts,
    )


def dated(scenes: Sequence[Sequence[Scene]], time: str | None = None) -> list[tuple[Scene, ...]]:
    """Scenes of several sources, where those of Earth Engine without a date get that of the picture they go with.

    That is the first scene with a date of another source, or the middle of `time` where there is none.
    """
    known = [scene.datetime for found in scenes for scene in found if scene.datetime is not None]
    if not known and time is not None:
        start, end = interval(time)
        known = [(start + (end - start) / 2).isoformat()]

    def settled(scene: Scene) -> Scene:
        takes = known and scene.source == "earthengine" and scene.datetime is None
        return replace(scene, datetime=known[0]) if takes else scene

    return [tuple(map(settled, found)) for found in scenes]


def labels_source(recipe: Recipe) -> RasterSource | StacLabels | EarthEngineLabels:
    """The source of a recipe's land cover."""
    labels = recipe.labels
    if labels.source == "earthengine":
        url, project = recipe.earthengine or (None, None)
        return EarthEngineLabels(
            classes=labels.table,
            collection=labels.collection or "",
            band=labels.band or "",
            rule=labels.rule,
            windows_days=labels.windows_days or WINDOWS_DAYS,
            year=labels.year,
            project=project,
            url=url,
        )
    if labels.source == "raster":
        return RasterSource(str(labels.path), labels.table)
    known = PRODUCTS.get(labels.table.name)
    return StacLabels(
        url=labels.url or (known.url if known else ""),
        collection=labels.collection or (known.collection if known else ""),
        asset=labels.asset or (known.asset if known else ""),
        classes=labels.table,
        year=labels.year,
        sign=labels.sign,
        allow_hosts=labels.allow_hosts,
    )
