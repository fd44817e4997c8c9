"""Places as columns: ids, coordinates, spacing and jitter, for a million of them in memory.

Everything here is pure; reading the file is :mod:`nutonic.planning.places.read`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from pyproj import Geod

from nutonic.core.grid import UTM_NORTH, UTM_SOUTH, transformer
from nutonic.core.model import Poi, Reject, Scalar
from nutonic.planning.layout import default_id, variant_id
from nutonic.recipe.inputs import Jitter

_WGS84 = Geod(ellps="WGS84")

#: What a sidecar's ``place`` calls an id of the user's that is no safe file name.
ORIGINAL_ID = "original_id"
#: How the detail of a reject ends whose coordinates would be right the other way round.
SWAPPED = "; are longitude and latitude swapped?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Places in the order of (ordinal, variant); all columns have the same length.

    About 30 bytes a place, plus the user's ids and the values of the columns that the recipe keeps.
    """

    ordinal: np.ndarray
    """Data row of the input, int64."""
    variant: np.ndarray
    """0 for the place itself, from 1 for its variants, int16."""
    lon: np.ndarray
    """Degrees, float64."""
    lat: np.ndarray
    """Degrees, float64."""
    ids: tuple[str, ...] | None = None
    """Base ids of places whose rows have one; None where they all follow from the ordinal."""
    originals: tuple[str | None, ...] | None = None
    """Ids as the user has them, where they are not safe as they are; None where all are."""
    keep: tuple[str, ...] = ()
    """Names of the columns that travel with the places."""
    keep_values: tuple[tuple[Scalar, ...], ...] = ()
    """Values of these columns, one tuple a place; empty if there are no such columns."""

    def __len__(self) -> int:
        return len(self.ordinal)

    def __iter__(self) -> Iterator[Poi]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Poi:
        base, variant = self.base_id(i), int(self.variant[i])
        return Poi(
            id=variant_id(base, variant),
            base_id=base,
            ordinal=int(self.ordinal[i]),
            variant=variant,
            lon=float(self.lon[i]),
            lat=float(self.lat[i]),
            place=self._place(i) if self.keep or self.originals else (),
        )

    def _place(self, i: int) -> tuple[tuple[str, Scalar], ...]:
        """What sidecars tell of the row: kept columns, and its id where the place has another."""
        kept = tuple(zip(self.keep, self.keep_values[i], strict=True)) if self.keep else ()
        original = self.originals[i] if self.originals else None
        if original is None:
            return kept
        name = ORIGINAL_ID
        while name in self.keep:
            name += "_"
        return (*kept, (name, original))

    def base_id(self, i: int) -> str:
        """Id of the input row that place `i` comes from."""
        return self.ids[i] if self.ids is not None else default_id(int(self.ordinal[i]))

    def take(self, index: np.ndarray) -> Places:
        """The places at these positions (integers or a boolean mask)."""
        where = np.flatnonzero(index) if index.dtype == bool else index
        return Places(
            ordinal=self.ordinal[where],
            variant=self.variant[where],
            lon=self.lon[where],
            lat=self.lat[where],
            ids=None if self.ids is None else tuple(self.ids[int(i)] for i in where),
            originals=None if self.originals is None else tuple(self.originals[int(i)] for i in where),
            keep=self.keep,
            keep_values=tuple(self.keep_values[int(i)] for i in where) if self.keep else (),
        )


def in_drawn_order(places: Places) -> np.ndarray:
    """Positions of places in an order that is random and always the same, by the hashes of their ids (int64)."""
    ids = (variant_id(places.base_id(i), int(places.variant[i])) for i in range(len(places)))
    keys = (int.from_bytes(hashlib.sha256(f"drawn {name}".encode()).digest()[:8]) for name in ids)
    return np.argsort(np.fromiter(keys, np.uint64, len(places)), kind="stable")


def problem_with_coordinates(lon: float, lat: float) -> tuple[str, str] | None:
    """Why no square can be drawn around a point, as reason and detail of its reject; or None."""
    if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
        said = f"longitude {lon}, latitude {lat} is not on Earth: expected -180 to 180 and -90 to 90"
        return "bad coordinates", said + _suspicion(lon, lat)
    if not (UTM_SOUTH <= lat <= UTM_NORTH):
        return "outside UTM", f"latitude {lat} lies outside UTM (-80 to 84)"
    return None


def _suspicion(lon: float, lat: float) -> str:
    """What may have happened to coordinates that are not on Earth."""
    if abs(lon) <= 90 < abs(lat) <= 180:
        return SWAPPED
    is_far = 1000 <= max(abs(lon), abs(lat)) < math.inf
    return "; are they metres of another CRS, such as UTM?" if is_far else ""


def without_duplicates(places: Places) -> tuple[Places, list[Reject]]:
    """Drop places whose coordinates equal an earlier one's."""
    _, first, inverse = np.unique(np.stack([places.lon, places.lat]), axis=1, return_index=True, return_inverse=True)
    earlier = first[inverse]
    is_duplicate = earlier != np.arange(len(places))
    rejects = [
        Reject(
            poi_id=places.base_id(i),
            reason="duplicate coordinates",
            detail=f"longitude {places.lon[i]}, latitude {places.lat[i]} is where {places.base_id(earlier[i])} lies",
        )
        for i in np.flatnonzero(is_duplicate).tolist()
    ]
    return places.take(~is_duplicate), rejects


def with_spacing(places: Places, min_spacing_m: float) -> tuple[Places, list[Reject]]:
    """Drop places closer than `min_spacing_m` to one already kept, in input order.

    Distances are straight lines through the ellipsoid (EPSG:4978), shorter than geodesics by under a millionth of the
    distance below 30 km.
    """
    if not min_spacing_m or not len(places):
        return places, []
    to_space = transformer("EPSG:4326", "EPSG:4978")
    points = np.stack(to_space.transform(places.lon, places.lat, np.zeros(len(places))), axis=1)
    cells = np.floor(points / min_spacing_m).astype(np.int64).tolist()
    by_cell: dict[tuple[int, int, int], list[int]] = {}
    keep, rejects = np.zeros(len(places), bool), []
    for i, (a, b, c) in enumerate(cells):
        near = [j for at in _around(a, b, c) for j in by_cell.get(at, ())]
        close = next((j for j in near if np.linalg.norm(points[i] - points[j]) < min_spacing_m), None)
        if close is None:
            keep[i] = True
            by_cell.setdefault((a, b, c), []).append(i)
        else:
            detail = f"closer than {min_spacing_m:g} m to {places.base_id(close)}"
            rejects.append(Reject(poi_id=places.base_id(i), reason="too close", detail=detail))
    return places.take(keep), rejects


def _around(a: int, b: int, c: int) -> Iterator[tuple[int, int, int]]:
    steps = (-1, 0, 1)
    return ((a + i, b + j, c + k) for i in steps for j in steps for k in steps)


def with_variants(places: Places, jitter: Jitter) -> tuple[Places, list[Reject]]:
    """Each place followed by its jittered variants; those that leave UTM are rejected.

    A variant lies at a point drawn uniformly from the disc of `max_offset_m` around its place, along a geodesic. The
    draw is seeded by the recipe's seed and the variant's id alone.
    """
    if not jitter.variants:
        return places, []
    count = 1 + jitter.variants
    every = places.take(np.repeat(np.arange(len(places)), count))
    variant = np.tile(np.arange(count, dtype=np.int16), len(places))
    keys = [variant_id(every.base_id(i), int(variant[i])) for i in range(len(every))]
    radius, azimuth = np.array([_draw(jitter, key) for key in keys]).reshape(-1, 2).T
    lon, lat, _ = _WGS84.fwd(every.lon, every.lat, azimuth, np.where(variant, radius, 0.0))
    lon, lat = np.where(variant, lon, every.lon), np.where(variant, lat, every.lat)
    moved = replace(every, variant=variant, lon=lon, lat=lat)
    inside = (lat >= UTM_SOUTH) & (lat <= UTM_NORTH)
    rejects = [
        Reject(poi_id=poi.id, reason=problem[0], detail=problem[1])
        for poi in (moved[i] for i in np.flatnonzero(~inside).tolist())
        if (problem := problem_with_coordinates(poi.lon, poi.lat)) is not None
    ]
    return moved.take(inside), rejects


def _draw(jitter: Jitter, key: str) -> tuple[float, float]:
    """Distance in metres and azimuth in degrees of one variant."""
    random = np.random.default_rng([jitter.seed, *hashlib.sha256(key.encode()).digest()])
    u, v = random.random(2)
    return jitter.max_offset_m * float(u) ** 0.5, 360.0 * float(v)
