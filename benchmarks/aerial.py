"""Squares of aerial imagery from Earth Engine, as bytes of all bands by computePixels, or band by band through xee.

``python -m benchmarks.aerial --runs 5``: both read the same squares from a stand-in in a process of its own, in turn.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

import nutonic as nt
from nutonic.core.grid import centre
from nutonic.core.model import Scene
from nutonic.io.session import current
from nutonic.sources.earthengine.account import Account, signed_in

ID, CRS, SHAPE = "USDA/NAIP/DOQQ/m_one", "EPSG:26917", (4000, 4000)
TRANSFORM = Affine(0.6, 0, 576_618.6, 0, -0.6, 3_361_233.0)
BANDS = {"red": "R", "green": "G", "blue": "B"}

Read = Callable[[GeoBox], np.ndarray]


def serve() -> None:
    """Serve one image until standard input ends."""
    from nutonic.testing.earthengine import EarthEngineServer, image_of_function

    def told(k: int) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        return lambda x, y: ((x * 7 + y * 3 + 50 * k) % 256, np.ones(x.shape, bool))

    bands = {name: ("uint8", told(k)) for k, name in enumerate(BANDS.values())}
    image = image_of_function(ID, bands=bands, crs=CRS, transform=TRANSFORM, shape=SHAPE, start="2021-06-01")
    with EarthEngineServer({"USDA/NAIP/DOQQ": [image]}) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def blocks(url: str) -> Read:
    """As nutonic reads it."""
    source = nt.EarthEngineImagery(collection="USDA/NAIP/DOQQ", url=url, project="any")
    lon, lat = centre(GeoBox(SHAPE, TRANSFORM, CRS))
    scenes: tuple[Scene, ...] = source.search(np.array([lon]), np.array([lat]), 600.0)[0]

    def read(geobox: GeoBox) -> np.ndarray:
        current().clear()
        found = source.open(geobox, scenes, chunks=None).load()
        return np.stack([found[name].values for name in BANDS])

    return read


def through_xee(url: str) -> Read:
    """As xee's documentation does it: a variable for each band, floats with NaN where masked, made integers after."""
    import ee
    import xarray as xr

    def read(geobox: GeoBox) -> np.ndarray:
        with signed_in(Account(url, "any")):
            height, width = geobox.shape.yx
            found = xr.open_dataset(
                ee.ImageCollection([ee.Image(ID).select(list(BANDS.values())).set("system:time_start", 0)]),
                engine="ee", crs=CRS, crs_transform=tuple(geobox.affine)[:6], shape_2d=(width, height),
                chunks={"time": 1, "y": height, "x": width}, io_chunks={"time": 1, "y": height, "x": width},
            ).isel(time=0)  # fmt: skip
            return np.stack([found[band].fillna(0).values.astype(np.uint16) for band in BANDS.values()])

    return read


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aerial", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="squares of each, in turn, after one that is not counted")
    parser.add_argument("--side", type=int, default=1024, help="pixels along a side of a square")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve()
        return
    command = [sys.executable, "-m", "benchmarks.aerial", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        compare(server.stdout.readline().strip(), asked.runs, asked.side)
        server.communicate()


def compare(url: str, runs: int, side: int) -> None:
    """Print medians and spread; both ways must give the same pixels."""
    ways = {"computePixels": blocks(url), "xee": through_xee(url)}
    seen: dict[str, list[tuple[float, int, int]]] = {name: [] for name in ways}
    for i in range(runs + 1):
        window = GeoBox(SHAPE, TRANSFORM, CRS)[100 * i : 100 * i + side, 70 * i : 70 * i + side]
        pixels = {}
        for name, read in ways.items():
            current().take_counts()
            began = time.perf_counter()
            pixels[name] = read(window)
            counts = current().take_counts()
            seen[name].append((time.perf_counter() - began, counts["requests"], counts["bytes"]))
        np.testing.assert_array_equal(pixels["computePixels"], np.maximum(pixels["xee"], 1))
    for name, figures in seen.items():
        seconds, requests, read_bytes = zip(*figures[1:], strict=True)
        print(
            f"{name:14} {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), "
            f"{statistics.median(requests):.0f} requests, {statistics.median(read_bytes) / 1e6:.1f} MB a square"
        )


if __name__ == "__main__":
    main()
