"""Nearest neighbour that does not depend on the window: the source pixel that contains the target pixel's centre.

A warp that approximates coordinates over whatever window it is given answers differently for a tile and for the square
around it. Here coordinates in the source CRS are exact (pyproj) at knots on absolute multiples of 640 m in the target
CRS, and quadratic Lagrange polynomials between them (Abramowitz & Stegun, 25.2.11), so a pixel has one coordinate
whatever window asks. Where that coordinate is closer to a source pixel's edge than the interpolation could be wrong,
pyproj is asked for that pixel itself. The answer is therefore pyproj's, everywhere.
"""

from __future__ import annotations

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from nutonic.core.grid import coordinates, crs_name, transformer

#: Distance between knots, in metres of the target CRS.
SPACING = 640.0

#: Bound on the interpolation's error in source pixels of 10 m, tested against pyproj over all latitudes of UTM. Where a
#: coordinate comes this near a pixel's edge it is recomputed.
ERROR_BOUND = 2e-4


def source_pixels(geobox: GeoBox, crs: str, transform: Affine) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, in a raster with `crs` and `transform`, of the pixel that contains each of the grid's centres.

    Parameters
    ----------
    geobox
        Target grid, in a projected CRS in metres.
    crs, transform
        CRS and (north-up) affine transform of the source raster.

    Returns
    -------
    rows, cols
        Each (height, width) int64. They may lie outside the raster. A centre exactly on an edge belongs to the pixel
        right of it or below it.
    """
    x, y = coordinates(geobox)
    if crs_name(geobox) == crs:
        cols, rows = np.floor((x - transform.c) / transform.a), np.floor((y - transform.f) / transform.e)
        shape = (y.size, x.size)
        return np.broadcast_to(rows.astype(np.int64)[:, None], shape), np.broadcast_to(cols.astype(np.int64), shape)
    to_source = transformer(crs_name(geobox), crs)
    u, v = interpolated(x, y, to_source)
    cols, rows = (u - transform.c) / transform.a, (v - transform.f) / transform.e
    _settle_edges(cols, rows, x, y, to_source, transform)
    return np.floor(rows).astype(np.int64), np.floor(cols).astype(np.int64)


def interpolated(x: np.ndarray, y: np.ndarray, to_source: Transformer) -> tuple[np.ndarray, np.ndarray]:
    """Source coordinates of the points ``(x[j], y[i])``, each (height, width) float64."""
    knots_x, knots_y = _knots(x), _knots(y)
    at_knots = to_source.transform(*np.meshgrid(knots_x * SPACING, knots_y * SPACING))
    degrees = to_source.target_crs is not None and to_source.target_crs.is_geographic
    if degrees:  # longitudes jump at the antimeridian: interpolate between unwrapped ones
        turns = np.rint((at_knots[0] - at_knots[0][0, 0]) / 360.0)
        at_knots = (at_knots[0] - 360.0 * turns, at_knots[1])
    first_x, weights_x = _weights(x, knots_x[0])
    first_y, weights_y = _weights(y, knots_y[0])

    def between(values: np.ndarray) -> np.ndarray:
        rows = sum(weights_y[k][:, None] * values[first_y + k] for k in range(3))
        return np.asarray(sum(weights_x[k] * rows[:, first_x + k] for k in range(3)))

    u, v = between(np.asarray(at_knots[0])), between(np.asarray(at_knots[1]))
    if degrees:
        u = u - 360.0 * (u >= 180.0) + 360.0 * (u < -180.0)
    return u, v


def _knots(p: np.ndarray) -> np.ndarray:
    """Indices of the knots that cover `p`, one to spare on either side: the three-point stencils need it."""
    low, high = min(p[0], p[-1]), max(p[0], p[-1])
    return np.arange(np.floor(low / SPACING) - 1, np.ceil(high / SPACING) + 2)


def _weights(p: np.ndarray, first: float) -> tuple[np.ndarray, np.ndarray]:
    """Start of each point's stencil, counted from knot `first`, and its three Lagrange weights.

    Both depend on the point alone: its nearest knot is the middle of the stencil.
    """
    u = p / SPACING
    middle = np.floor(u + 0.5)
    t = u - middle
    return (middle - first - 1).astype(np.intp), np.stack([t * (t - 1) / 2, 1 - t * t, t * (t + 1) / 2])


def _settle_edges(
    cols: np.ndarray, rows: np.ndarray, x: np.ndarray, y: np.ndarray, to_source: Transformer, transform: Affine
) -> None:
    """Replace, in place, coordinates that lie within the error bound of a source pixel's edge by exact ones."""
    near = (np.abs(cols - np.rint(cols)) < ERROR_BOUND) | (np.abs(rows - np.rint(rows)) < ERROR_BOUND)
    i, j = np.nonzero(near)
    if i.size:
        u, v = to_source.transform(x[j], y[i])
        cols[i, j], rows[i, j] = (u - transform.c) / transform.a, (v - transform.f) / transform.e
