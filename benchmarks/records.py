"""What sections give, and how it is looked up: a record is of one run of one way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Record = dict[str, Any]
Values = list[float]


def grouped(records: Sequence[Record], *names: str) -> dict[tuple[str, ...], list[Record]]:
    """Records by what some of their values are, as text."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(str(record[name]) for name in names), []).append(record)
    return groups


def costs(records: Sequence[Record], pattern: str, way: str) -> dict[int, float]:
    """Milliseconds of CPU of a tile, by repeat."""
    return {
        r["repeat"]: r["cpu_ms_per_tile"]
        for r in records
        if r["section"] in ("chips", "peers", "patterns") and (r["pattern"], r["way"]) == (pattern, way)
    }


#: Steps of a tile, by the stages that :mod:`benchmarks.stages` tells of them. The floor has them too. How it looks at each
#: header once, by GDAL and block by block, is left out here, as it cancels where two sizes are compared.
_STEPS = {
    "read and decode": ("read", "decode", "values"),
    "labels": ("labels",),
    "stretch and resize": ("stretch", "resize"),
    "PNG": ("PNG",),
    "regions": ("regions",),
    "rows, sidecars, hashes, writes": ("rows", "sidecars", "hashes", "writes"),
}


def steps(stages: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds of the steps of a tile, and of all else: of a build its cubes, plan, commits, end and threads."""
    found = {step: sum(stages.get(name, 0.0) for name in names) for step, names in _STEPS.items()}
    left = sum(ms for name, ms in stages.items() if name != "headers") - sum(found.values())
    return {**found, "all else": left}
