"""A synthetic planet over time: overpasses of several granules, with a scene classification and reprocessing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike

from nutonic.testing.planet import SyntheticGrid, SyntheticPlanet, SyntheticScene, mixed, write_band

#: Classes of the scene classification, each as often as it is likely: vegetation, bare, water, shadow, clouds, cirrus.
_CLASSES = np.array((4, 4, 4, 5, 5, 6, 3, 8, 9, 10), np.uint8)


class SyntheticPass(NamedTuple):
    """What the item of a granule says about its overpass."""

    datetime: str
    platform: str
    orbit: int
    tile: str
    processed_at: str
    """When the granule was processed."""


@dataclass(frozen=True)
class SyntheticSeries(SyntheticPlanet):
    """Six overpasses of the planet in eight granules, and one granule of an older processing.

    The two granules of the first pass overlap. Those of ``night`` are on both sides of midnight UTC, within one solar day.
    Two passes of different orbits are on 11 June. ``next-zone`` lies in the next UTM zone. ``old`` is ``new`` with an older
    baseline and other pixels.
    """

    def _granules(self) -> Iterable[tuple[SyntheticScene, SyntheticPass]]:
        h, w = self.shape
        full, west, east = self.part(0, 0, h, w), self.part(0, 0, h, w * 3 // 5), self.part(0, w * 2 // 5, h, w)
        south, next_zone = self.part(h // 3, 0, h, w), self.part(h * 3 // 8, w * 2 // 3, h * 4 // 5, w, east=True)

        def granule(
            name: str, part: SyntheticGrid, texture: int, cloud: float, time: str, orbit: int, tile: str, baseline: str
        ) -> tuple[SyntheticScene, SyntheticPass]:
            scene = SyntheticScene(name, part, texture, cloud, time[:10], baseline, True)
            processed_at = f"{time[:10]}T{baseline.replace('.', ':')}:00Z"
            return scene, SyntheticPass(
                time, "sentinel-2b" if orbit > 100 else "sentinel-2a", orbit, tile, processed_at
            )

        yield granule("new", full, 15, 22.0, "2024-06-21T09:50:31.024Z", 79, "33TXM", "05.10")
        yield granule("b-east", east, 12, 9.0, "2024-05-02T09:50:45.024Z", 79, "33TYM", "05.10")
        yield granule("a-west", west, 11, 5.0, "2024-05-02T09:50:31.024Z", 79, "33TXM", "05.10")
        yield granule("next-zone", next_zone, 13, 1.0, "2024-06-11T09:40:31.024Z", 122, "34TBS", "05.10")
        yield granule("same-day", south, 14, 35.0, "2024-06-11T09:20:31.024Z", 36, "33TXM", "05.10")
        yield granule("old", full, 16, 2.0, "2024-06-21T09:50:31.024Z", 79, "33TXM", "03.01")
        yield granule("night-late", west, 17, 12.0, "2024-07-01T23:10:31.024Z", 79, "33TXM", "05.10")
        yield granule("night-early", east, 18, 14.0, "2024-07-02T00:10:31.024Z", 79, "33TYM", "05.10")
        yield granule("cloudy", full, 19, 48.0, "2024-08-30T09:50:31.024Z", 79, "33TXM", "05.10")

    @cached_property
    def scenes(self) -> tuple[SyntheticScene, ...]:
        """All granules, in the order of the catalogue, in which no property is sorted."""
        return tuple(scene for scene, _ in self._granules())

    @cached_property
    def passes(self) -> Mapping[str, SyntheticPass]:
        """What the items say about their overpasses, by id."""
        return {scene.id: overpass for scene, overpass in self._granules()}

    #: Ids of the granules of each step of a cube over the whole planet, in the order of the mosaic.
    steps = (
        ("a-west", "b-east"), ("same-day",), ("next-zone",), ("new",), ("night-early", "night-late"), ("cloudy",),
    )  # fmt: skip

    def classification(self, x: ArrayLike, y: ArrayLike, scene_id: str) -> np.ndarray:
        """The right classes (uint8, 0 for none, on pixels of 20 m) of a scene at points in its CRS, which broadcast."""
        scene = self.scene(scene_id)
        col, row = self.classified(scene).pixels(x, y, lattice=True)
        blob = mixed(self._key(scene.texture, 9), (col + row // 2) // 9, (row + col // 3) // 7)
        return np.where(self._observed(scene, col, row), _CLASSES[blob % _CLASSES.size], 0).astype(np.uint8)

    def _observed(self, scene: SyntheticScene, col: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Whether a 20 m pixel's centre lies on the scene."""
        return scene.observed(20.0 * col + 10.0, -20.0 * row - 10.0)

    def classified(self, scene: SyntheticScene) -> SyntheticGrid:
        """The grid of a scene's classification: pixels of 20 m on multiples of 20 m, over all of the scene."""
        transform, (height, width) = scene.grid.transform, scene.grid.shape
        left, top = np.floor(transform.c / 20) * 20, np.ceil(transform.f / 20) * 20
        right, bottom = transform.c + 10 * width, transform.f - 10 * height
        shape = (int(np.ceil((top - bottom) / 20)), int(np.ceil((right - left) / 20)))
        return SyntheticGrid(scene.grid.crs, Affine(20, 0, float(left), 0, -20, float(top)), shape)

    def write(self, folder: str | Path, only: Iterable[str] | None = None, **recipe: Mapping[str, Any]) -> Path:
        """Write the planet; scenes have an ``scl.tif`` too, and items describe their overpass."""
        path = super().write(folder, only, **recipe)
        catalogue = path.parent / "items.json"
        items = json.loads(catalogue.read_text("utf-8"))
        for item in items["features"]:
            scene = self.scene(item["id"])
            item["properties"] |= _pass_properties(self.passes[scene.id])
            item["assets"]["scl"] = self._write_classes(path.parent, scene)
        catalogue.write_text(json.dumps(items, indent=1), encoding="utf-8")
        return path

    def _write_classes(self, folder: Path, scene: SyntheticScene) -> dict[str, Any]:
        grid = self.classified(scene)
        pixels = partial(self.classification, scene_id=scene.id)
        write_band(folder / scene.id / "scl.tif", grid, pixels, nodata=0, block=self.block)
        georeference = {"proj:transform": [*grid.transform[:6]], "proj:shape": [*grid.shape]}
        return {
            "href": f"{scene.id}/scl.tif",
            "type": "image/tiff; application=geotiff",
            "roles": ["data"],
            **georeference,
        }


def _pass_properties(overpass: SyntheticPass) -> dict[str, Any]:
    return {
        "datetime": overpass.datetime,
        "platform": overpass.platform,
        "sat:relative_orbit": overpass.orbit,
        "grid:code": f"MGRS-{overpass.tile}",
        "s2:generation_time": overpass.processed_at,
    }
