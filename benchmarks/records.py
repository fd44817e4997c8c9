"""What sections give, and how it is looked up: a record is of one run of one way."""

from __future__ import annotations

from collections.abc import Sequence
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
