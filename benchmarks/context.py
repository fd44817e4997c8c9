"""What a figure depends on besides the code: the machine, the versions, the files that were read."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: What the ways stand on.
_PACKAGES = (
    "numpy", "rasterio", "dask", "xarray", "stackstac", "odc-stac", "async-geotiff", "xee", "pillow", "scipy", "deflate",
    "imagecodecs", "connected-components-3d", "pyproj",
)  # fmt: skip


def context(**more: Any) -> dict[str, Any]:
    """The header of a run; whoever compares figures compares these first."""
    versions = {name: found for name in _PACKAGES if (found := _version(name)) is not None}
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "commit": _commit(),
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": versions,
        **more,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """The commit that is measured, with a + if files differ from it."""
    try:
        where = Path(__file__).parents[1]
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude", "*"], cwd=where, capture_output=True, text=True
        )
        return told.stdout.strip() or "unknown"
    except OSError:
        return "unknown"
