"""A median over time of a whole synthetic tile, written as Zarr: time, memory and where it goes, beside other ways.

``python -m benchmarks.cubes --side 10980 --dates 6 --runs 3``; every run is a process of its own, the ways in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

import nutonic as nt
from benchmarks.usage import used
from nutonic.run.clusters.cluster import MALLOC

BANDS = ("red", "green", "blue")
CRS, LEFT, TOP, CHUNK = "EPSG:32633", 399_960, 5_200_020, 1024


def world(folder: Path, side: int, dates: int) -> Path:
    """A tile on so many dates: fields, noise and clouds of nodata, in files blocked and compressed as Sentinel-2 COGs."""
    items = []
    for date in range(dates):
        name = f"s2-{date}"
        (folder / name).mkdir(parents=True)
        for band in BANDS:
            _write(folder / name / f"{band}.tif", side, np.random.default_rng([date, *band.encode()]))
        items.append(_item(name, side, date))
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def _write(path: Path, side: int, random: np.random.Generator) -> None:
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "uint16", "crs": CRS, "nodata": 0}
    block = min(1024, -(-side // 16) * 16)
    how = {"tiled": True, "blockxsize": block, "blockysize": block, "compress": "deflate", "predictor": 2, "zlevel": 6}
    with rasterio.open(path, "w", transform=Affine(10, 0, LEFT, 0, -10, TOP), num_threads=2, **profile, **how) as out:
        for top in range(0, side, block):
            rows = min(block, side - top)
            fields = random.integers(300, 3500, (rows // 40 + 1, side // 40 + 1)).astype(np.uint16)
            pixels = np.kron(fields, np.ones((40, 40), np.uint16))[:rows, :side]
            pixels += random.integers(0, 120, (rows, side), np.uint16)
            cloud = random.random((rows // 128 + 1, side // 128 + 1)) < 0.2
            pixels[np.kron(cloud, np.ones((128, 128), bool))[:rows, :side]] = 0
            out.write(pixels, 1, window=((top, top + rows), (0, side)))


def _item(name: str, side: int, date: int) -> dict[str, Any]:
    unit = np.array([(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)])
    to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    ring = np.stack(to_degrees.transform(LEFT + 10 * side * unit[:, 0], TOP - 10 * side * unit[:, 1]), -1)
    lies = {"proj:transform": [10, 0, LEFT, 0, -10, TOP], "proj:shape": [side, side], "type": "image/tiff"}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "c",
        "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
        "bbox": [*ring.min(0).tolist(), *ring.max(0).tolist()],
        "links": [],
        "properties": {"datetime": f"2024-06-{date + 1:02}T10:00:00Z", "eo:cloud_cover": date, "proj:epsg": 32633},
        "assets": {band: {"href": f"{name}/{band}.tif", "roles": ["data"], **lies} for band in BANDS},
    }


# The ways


def nutonic(items: Path, out: Path) -> None:
    """Read, reduce and write a tile at a time, on threads."""
    cube = nt.open_cube(_grid(items), [nt.StacSource(url=str(items), collection="c")], chunks=CHUNK)
    nt.save_cube(nt.reduce.median(cube), out)


def nutonic_processes(items: Path, out: Path) -> None:
    """The same on two worker processes of one thread."""
    from distributed import Client, LocalCluster

    with (
        dask.config.set(MALLOC),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        nutonic(items, out)


def nutonic_reading(items: Path, _: Path) -> None:
    """Only what reads: where the rest of the time goes is the difference."""
    cube = nt.open_cube(_grid(items), [nt.StacSource(url=str(items), collection="c")], chunks=CHUNK)
    dask.compute([cube[band].data.map_blocks(_nothing, dtype=np.uint8, chunks=(1, 1, 1)) for band in BANDS])


def _nothing(_: np.ndarray) -> np.ndarray:
    return np.zeros((1, 1, 1), np.uint8)


def stackstac(items: Path, out: Path) -> None:
    """As its documentation does it: a stack of floats with NaN, and xarray's median."""
    import stackstac

    grid = _grid(items)
    stack = stackstac.stack(
        _absolute(items), assets=list(BANDS), epsg=32633, resolution=10, bounds=tuple(grid.boundingbox), chunksize=CHUNK,
        snap_bounds=False, rescale=False, properties=False, band_coords=False,
    )  # fmt: skip
    median = stack.median("time").to_dataset("band")
    _saved(median.drop_vars([name for name in median.coords if name not in ("x", "y")]), out)


def odc_stac(items: Path, out: Path) -> None:
    """As its documentation does it: integers with nodata, made NaN, and xarray's median."""
    import odc.stac
    import pystac

    found = [pystac.Item.from_dict(item) for item in _absolute(items)]
    cube = odc.stac.load(
        found, bands=list(BANDS), geobox=_grid(items), chunks={"x": CHUNK, "y": CHUNK}, nodata=0, dtype="uint16"
    )
    _saved(cube.where(cube != 0).median("time"), out)


def _saved(median: xr.Dataset, out: Path) -> None:
    plain = {name: variable.variable for name, variable in median.data_vars.items()}
    xr.Dataset(plain).chunk({"y": CHUNK, "x": CHUNK}).to_zarr(out, consolidated=False)


def _grid(items: Path) -> GeoBox:
    side = json.loads(items.read_text())["features"][0]["assets"]["red"]["proj:shape"][0]
    return GeoBox((side, side), Affine(10, 0, LEFT, 0, -10, TOP), CRS)


def _absolute(items: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(items.read_text())["features"]
    for asset in (asset for item in found for asset in item["assets"].values()):
        asset["href"] = str(items.parent / asset["href"])
    return found


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "nutonic": nutonic,
    "nutonic, two processes": nutonic_processes,
    "nutonic, reading only": nutonic_reading,
    "stackstac": stackstac,
    "odc-stac": odc_stac,
}


def run(name: str, items: Path, out: Path) -> float:
    """One way, in this process: seconds on the wall."""
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    with dask.config.set(num_workers=2):
        WAYS[name](items, out)
    return time.perf_counter() - began


def measured(name: str, items: Path, out: Path, limit_s: float) -> dict[str, float]:
    """One way, in a process of its own: seconds on the wall without its start, and of CPU with it; the most GB of a process.

    Raises
    ------
    subprocess.SubprocessError
        If it fails, or takes longer.
    """
    command = [sys.executable, "-m", "benchmarks.cubes", "--one", name, str(items), str(out)]
    usage = used(command, os.environ, limit_s)
    wall_s = json.loads(usage.text.splitlines()[-1])
    return {"wall_s": wall_s, "cpu_s": usage.cpu_s, "peak_gb": usage.peak_mb * 2**20 / 1e9}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cubes", description=__doc__)
    parser.add_argument("--side", type=int, default=10980, help="pixels along a side of the tile")
    parser.add_argument("--dates", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3, help="runs of each way, in turn")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--limit", type=int, default=900, help="seconds after which a run is given up")
    parser.add_argument("--one", nargs=3, metavar=("WAY", "ITEMS", "OUT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(run(asked.one[0], Path(asked.one[1]), Path(asked.one[2]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        items = world(Path(folder) / "tile", asked.side, asked.dates)
        seen: dict[str, list[dict[str, float]]] = {name: [] for name in asked.ways}
        for i in range(asked.runs):
            for name in asked.ways:
                seen[name] += _process(name, items, Path(folder) / f"{len(seen)}-{i}-{name}.zarr", asked.limit)
    for name, runs in seen.items():
        print(f"{name:24}", _line(runs) if runs else f"no run ended within {asked.limit} s")


def _process(name: str, items: Path, out: Path, limit: int) -> list[dict[str, float]]:
    try:
        return [measured(name, items, out, limit)]
    except subprocess.SubprocessError as error:
        print(f"{name}: {type(error).__name__} {str(getattr(error, 'stderr', None) or '')[-300:]}", file=sys.stderr)
        return []


def _line(runs: list[dict[str, float]]) -> str:
    parts = []
    for key, unit in (("wall_s", "s"), ("cpu_s", "s of CPU"), ("peak_gb", "GB")):
        values = [each[key] for each in runs]
        parts.append(f"{statistics.median(values):.1f} {unit} ({min(values):.1f} to {max(values):.1f})")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
