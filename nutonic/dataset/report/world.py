"""Places on a map of the world, and on one of the part of it where they lie. Nothing is fetched: the outlines are here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import orjson

from nutonic.dataset.report.values import Dots

#: Units of the maps for each degree: the outlines are in tenths.
_UNITS = 10

#: West, south, east and north, in degrees.
Part = tuple[float, float, float, float]

#: Degrees between lines.
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)

_WORLD: Part = (-180.0, -90.0, 180.0, 90.0)

#: The least height of a region and of a near view, in degrees; and the widest spread of places that is a region.
_REGION, _NEAR, _WIDEST = 8.0, 0.02, 120.0

#: Of a smaller height, in degrees, outlines would mislead: they are generalized.
_COARSE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A map to be drawn, y downwards; x is stretched by `stretch` so that what is round stays round in its middle."""

    label: str
    box: tuple[float, float, float, float]
    """Left, top, width and height, in its own units, stretched."""
    stretch: float
    marks: tuple[tuple[str, str], ...]
    """Split and path of its dots."""
    frame: tuple[float, float, float, float] | None = None
    """Where the other map lies in this one."""
    lines: str = ""
    """Path of meridians and parallels."""
    step: float = 30.0
    """Degrees between them."""
    land: bool = True
    """Whether outlines are drawn."""


@cache
def outlines() -> str:
    """The countries of the world, as the path of an SVG."""
    return str(_file()["path"])


@cache
def credit() -> str:
    """Where the outlines are from."""
    return f"{_file()['source']}, {_file()['licence']}"


def _file() -> dict[str, str]:
    text = (resources.files("nutonic.dataset.report") / "world.json").read_bytes()
    return dict(orjson.loads(text))


def maps(places: Mapping[str, Dots]) -> tuple[Map, ...]:
    """The world; the region in which places lie, if they lie in one; and a near view, if they fill little of the region.

    Each map shows where the next one lies.
    """
    parts = [(_WORLD, "The world")]
    for least, label in ((_REGION, "The region"), (_NEAR, "Where the places are")):
        part = _part(places, least)
        if part is not None and _height(part) < _height(parts[-1][0]) / 3:
            parts.append((part, label))
    nested = [part for part, _ in parts[1:]] + [None]
    return tuple(_map(places, part, label, within) for (part, label), within in zip(parts, nested, strict=True))


def _height(part: Part) -> float:
    return part[3] - part[1]


def _part(places: Mapping[str, Dots], least: float) -> Part | None:
    """What holds all places with a margin, at least so many degrees high; None where that is most of the world."""
    lon = np.concatenate([np.asarray(dots.lon, float) for dots in places.values()] or [np.empty(0)])
    lat = np.concatenate([np.asarray(dots.lat, float) for dots in places.values()] or [np.empty(0)])
    if not len(lon) or np.ptp(lon) > _WIDEST:
        return None
    x, y = (float(lon.min() + lon.max()) / 2, float(lat.min() + lat.max()) / 2)
    squeeze = max(0.1, math.cos(math.radians(y)))
    high = max(least, float(np.ptp(lat)) * 1.3, float(np.ptp(lon)) * 1.3 * squeeze / 2)
    wide = min(_WORLD[2] - _WORLD[0], 2 * high / squeeze)
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _map(places: Mapping[str, Dots], part: Part, label: str, within: Part | None) -> Map:
    west, south, east, north = part
    stretch = max(0.1, math.cos(math.radians((south + north) / 2))) if north - south < 90 else 1.0
    step = next((step for step in _STEPS if step * 8 >= east - west), 30.0)
    return Map(
        label=label,
        box=(
            round(west * _UNITS * stretch, 4),
            round(-north * _UNITS, 4),
            round((east - west) * _UNITS * stretch, 4),
            round((north - south) * _UNITS, 4),
        ),
        stretch=round(stretch, 6),
        marks=tuple((split, _marks(dots, part)) for split, dots in places.items()),
        frame=None if within is None else _frame(within, part),
        lines=_lines(part, step),
        step=step,
        land=north - south >= _COARSE,
    )


def _frame(part: Part, whole: Part) -> tuple[float, float, float, float]:
    """A part as a rectangle on the map of a whole, and never so small that it is not seen."""
    least = _height(whole) / 40
    high, wide = max(_height(part), least), max(part[2] - part[0], 2 * least)
    x, y = (part[0] + part[2]) / 2, (part[1] + part[3]) / 2
    edges = (x - wide / 2) * _UNITS, -(y + high / 2) * _UNITS, wide * _UNITS, high * _UNITS
    return tuple(round(edge, 4) for edge in edges)  # type: ignore[return-value]


def _marks(dots: Dots, part: Part) -> str:
    """Dots as lines of no length, with round ends; those that fall together are drawn once."""
    digits = 3 - math.floor(math.log10((part[2] - part[0]) * _UNITS))  # about a thousandth of the map
    x, y = (
        np.round(np.asarray(dots.lon, float) * _UNITS, digits),
        np.round(-np.asarray(dots.lat, float) * _UNITS, digits),
    )
    seen = np.unique(np.stack([x, y], axis=1), axis=0) if len(x) else np.empty((0, 2))
    return "".join(f"M{_plain(a)} {_plain(b)}h0" for a, b in seen.tolist())


def _plain(value: float) -> str:
    return f"{value:.8g}"


def _lines(part: Part, step: float) -> str:
    west, south, east, north = part
    parts = []
    for k in range(math.ceil(west / step), math.floor(east / step) + 1):
        parts.append(f"M{_plain(k * step * _UNITS)} {_plain(-north * _UNITS)}V{_plain(-south * _UNITS)}")
    for k in range(math.ceil(south / step), math.floor(north / step) + 1):
        parts.append(f"M{_plain(west * _UNITS)} {_plain(-k * step * _UNITS)}H{_plain(east * _UNITS)}")
    return "".join(parts)
