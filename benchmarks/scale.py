"""How memory and overhead grow with places: plan and build many tiny ones whose pixels cost nothing.

``python -m benchmarks.scale --places 100000 --workers 2``; one JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rasterio
import yaml
from affine import Affine
from pyproj import Transformer

#: Scenes as Sentinel-2's: 110 km, every 100 km, in four zones, three dates each.
_ZONES, _COLUMNS, _ROWS, _DATES = (31, 32, 33, 34), 4, 6, 3


def world(folder: Path, places: int) -> Path:
    """A catalogue, land cover and so many places, evenly over its scenes; returns the recipe's path."""
    random, items, points = np.random.default_rng(0), [], []
    corners = [(z, c, r) for z in _ZONES for c in range(_COLUMNS) for r in range(_ROWS)]
    for k, (zone, column, row) in enumerate(corners):
        to_degrees = Transformer.from_crs(f"EPSG:326{zone}", "EPSG:4326", always_xy=True)
        left, bottom = 295_100 + 100_000 * column, 4_995_100 + 100_000 * row
        ring = np.stack(to_degrees.transform(left + 109_800 * _UNIT[:, 0], bottom + 109_800 * _UNIT[:, 1]), -1)
        items += [_item(f"{zone}-{column}-{row}-{d}", zone, left, bottom + 109_800, ring, d) for d in range(_DATES)]
        count = places // len(corners) + (k < places % len(corners))
        x, y = random.uniform(8_000, 100_000, (2, count))
        points.append(np.stack(to_degrees.transform(left + x, bottom + y), -1))
    for asset in (asset for item in items for asset in item["assets"].values()):
        (folder / asset["href"]).parent.mkdir(exist_ok=True)
        (folder / asset["href"]).touch()  # nobody reads them, but a plan looks that they are there
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    lines = (f"{lon:.7f},{lat:.7f}\n" for lon, lat in np.concatenate(points))
    (folder / "pois.csv").write_text("lon,lat\n" + "".join(lines))
    profile = {"driver": "GTiff", "height": 40, "width": 40, "count": 1, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.open(folder / "land_cover.tif", "w", transform=Affine(1, 0, 0, 0, -1, 70), **profile) as out:
        out.write(np.ones((40, 40), np.uint8), 1)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(_RECIPE))
    return folder / "recipe.yaml"


_UNIT = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
_RECIPE: dict[str, Any] = {
    "name": "scale",
    "pois": {"path": "pois.csv"},
    "grid": {"extent_m": 160},
    "imagery": {"url": "items.json", "collection": "c", "datetime": "2024-06-01/2024-06-30"},
    "labels": {
        "source": "raster",
        "path": "land_cover.tif",
        "dataset": {"name": "six", "classes": {i: f"class {i}" for i in range(1, 7)}, "unknown": 0},
    },
    "tiles": {"size": 16, "stride": 16, "output_size": 16},
    "rows": {"per_class": False, "per_class_grounding": False, "min_region_px": 1, "max_regions_per_class": 1},
}


def _item(name: str, zone: int, left: int, top: int, ring: np.ndarray, date: int) -> dict[str, Any]:
    lies = {"proj:transform": [10, 0, left, 0, -10, top], "proj:shape": [10980, 10980]}
    return {
        "type": "Feature",
        "id": name,
        "collection": "c",
        "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
        "properties": {"datetime": f"2024-06-0{date + 1}T10:00:00Z", "eo:cloud_cover": date, "proj:epsg": 32600 + zone},
        "assets": {band: {"href": f"{name}/{band}.tif", **lies} for band in ("red", "green", "blue")},
    }


@contextmanager
def peak_rss() -> Iterator[dict[str, int]]:
    """Resident bytes of this process, driver and scheduler in one: before, and at most meanwhile."""
    process, over = psutil.Process(), threading.Event()
    found = {"before": process.memory_info().rss, "most": process.memory_info().rss}

    def look() -> None:
        while not over.wait(0.1):
            found["most"] = max(found["most"], process.memory_info().rss)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def measure(places: int, workers: int, traced: bool, folder: Path | None = None) -> dict[str, Any]:
    """Plan and build; with `traced` plan only, and tell the bytes that Python allocated at the peak.

    What is made stays in `folder`, where one is given.
    """
    import nutonic as nt
    from nutonic.planning.plan_file import PlanLines

    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as name:
        Path(name).mkdir(exist_ok=True)
        recipe = nt.load_recipe(world(Path(name), places))
        if traced:
            nt.plan(recipe.model_copy(update={"pois": recipe.pois.model_copy(update={"limit": 200})}))  # imports
            tracemalloc.start()
            for _ in PlanLines(nt.plan(recipe), ""):
                pass
            return {
                "places": places,
                "planning_peak_bytes_per_place": round(tracemalloc.get_traced_memory()[1] / places),
            }
        start = time.perf_counter()
        planned = nt.plan(recipe)
        told: dict[str, Any] = {"places": len(planned.places), "batches": len(planned)}
        told["planning_s"] = round(time.perf_counter() - start, 1)
        del planned
        before = time.process_time()
        with peak_rss() as rss:
            summary = nt.build(recipe, Path(name) / "tree", workers=workers)
        told["build_cpu_s"] = round(time.process_time() - before, 3)  # of driver and scheduler, and no worker process
        told |= {
            "workers": workers,
            "built": summary.built,
            "building_s": summary.seconds,
            "ms_per_place": round(1000 * summary.seconds / max(1, summary.built), 3),
            "ms_per_batch": round(1000 * summary.seconds / max(1, told["batches"]), 1),
            "growth_mb": round((rss["most"] - rss["before"]) / 1e6),
        }
        return told


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--traced", action="store_true", help="plan only, and count allocated bytes")
    parser.add_argument("--folder", type=Path, help="where what is made stays; by default it is removed")
    asked = parser.parse_args()
    os.environ["DASK_DISTRIBUTED__WORKER__PRELOAD"] = "benchmarks.free"
    if asked.workers == 0:
        import benchmarks.free  # noqa: F401
    print(json.dumps(measure(asked.places, asked.workers, asked.traced, asked.folder)))


if __name__ == "__main__":
    main()
