"""What must stand in a sidecar and in the rows of its chip: made again by the builder's own functions.

A sidecar holds a few facts that follow from nothing else in a tree: which scene, which limits, how many pixels of each
class, where its patches lie. All the rest of it, and every row, follows from these with the plan and the recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nutonic.chips.chip import IDENTITY_LIMITS
from nutonic.chips.regions import LandCover, min_region_pixels
from nutonic.core.model import Chip, Json, PlannedPlace, Region, Scene, Tile
from nutonic.dataset.proof.quality_audit import as_quality, wrong_quality
from nutonic.dataset.proof.shapes import Facts
from nutonic.dataset.proof.wording import cells_by_position, impossible, patches_in, positions_in
from nutonic.planning.layout import tile_id
from nutonic.planning.spec import BuildSpec
from nutonic.rows.context import ChipContext, PlaceResult, chip_context
from nutonic.rows.rows import dumps, rows_of
from nutonic.rows.sidecar import sidecar_of
from nutonic.sources.grids import place_grid


@dataclass(frozen=True, kw_only=True)
class ChipFacts:
    """One view of one tile of a place, with the facts that its sidecar tells."""

    spec: BuildSpec
    place: PlannedPlace
    tile: Tile
    view: str | None
    facts: Facts
    rgb: np.ndarray
    """(side, side, 3) uint8: what the picture shows."""
    still: str | None = None
    """Path of the place's still; None where it has none."""

    @property
    def tile_id(self) -> str:
        """Id of the tile, with its view."""
        return tile_id(self.place.poi.id, self.tile, self.view)

    @cached_property
    def scene(self) -> Scene | None:
        """The planned scene that the sidecar names, of several with one id by its files; None if there is none."""
        named = [scene for scene in self.place.imagery if scene.id == self.facts.imagery.item_id]
        files = self.facts.imagery.assets
        return next((s for s in named if {a.name: a.written for a in s.assets} == files), named[0] if named else None)

    @cached_property
    def counts(self) -> dict[int, int]:
        """Pixels of each class, in the order of ids."""
        return {int(c): n for c, n in sorted(self.facts.land_cover_label_meta.classes.items(), key=lambda e: int(e[0]))}

    def problems(self) -> Iterator[str]:
        """What in the facts cannot be, so that nothing can be made of them: each as text."""
        table, side = self.spec.table, self.spec.tiles.output_size
        if self.scene is None:
            yield "its scene is none of the plan's for the place"
        elif not self._substitution_fits(self.scene):
            yield "its imagery.substituted is not what the order of the plan's scenes says"
        names = set(self.spec.imagery.bands)
        if set(self.facts.stretch.low) != names or set(self.facts.stretch.high) != names:
            yield "its stretch is not of the recipe's assets"
        elif self.scene is not None and not self._limits_fit(self.scene.rendered):
            yield "its stretch has limits that no picture has"
        if not self.counts or not set(self.counts) <= set(table.labels) or sum(self.counts.values()) > side**2:
            yield "its class counts are not those of a mask"
        else:
            yield from self._wrong_regions()
        native = self.spec.tiles.size**2
        share = self.facts.valid_fraction
        if round(share * native) / native != share or share < self.spec.tiles.min_valid_fraction or not share:
            yield "its valid_fraction is not of so many pixels, or too low for the recipe"
        if self.scene is not None:
            yield from wrong_quality(self.facts, self.scene, self.spec)
        if (self.facts.land_cover_label_meta.window is not None) and not self._days_fit():
            yield "its window.days are no shares"

    def _substitution_fits(self, scene: Scene) -> bool:
        """The best scene has no reason; of any other, each that was passed over is named, the best first."""
        told, passed = self.facts.imagery.substituted, self.place.imagery[: self.place.imagery.index(scene)]
        if not passed:
            return told is None
        return told is not None and told.startswith(f"{passed[0].id}: ") and all(s.id in told for s in passed)

    def _limits_fit(self, rendered: bool) -> bool:
        if rendered:
            return self._limits == IDENTITY_LIMITS
        return all(1 <= low < high for low, high in self._limits)

    def _days_fit(self) -> bool:
        window = self.facts.land_cover_label_meta.window
        assert window is not None
        return all(day.isdigit() and share > 0 for day, share in window.days.items()) and (
            not window.days or abs(sum(window.days.values()) - 1) < 1e-9
        )

    @property
    def _limits(self) -> tuple[tuple[int, int], ...]:
        low, high = self.facts.stretch.low, self.facts.stretch.high
        return tuple((low[name], high[name]) for name in self.spec.imagery.bands)

    # Regions

    def _wrong_regions(self) -> Iterator[str]:
        side, rows = self.spec.tiles.output_size, self.spec.rows
        smallest = min_region_pixels(rows.min_region_px, self.spec.tiles)
        order = []
        for patch in self.facts.regions:
            x1, y1, x2, y2 = patch.box
            width, height = x2 - x1, y2 - y1
            order.append((-patch.area_px, y1))
            if patch.class_id not in self.counts or min(width, height) < 1 or max(x2, y2) > side:
                yield "a region is of no class of the mask, is empty or leaves it"
            elif not max(width, height, smallest) <= patch.area_px <= width * height:
                yield "a region has more pixels than its box holds, or fewer than it needs"
        if order != sorted(order):
            yield "its regions are not in order, the largest first"
        yield from self._wrong_sums()

    def _wrong_sums(self) -> Iterator[str]:
        side, patches = self.spec.tiles.output_size, self.facts.regions
        for class_id, count in self.counts.items():
            boxes = [(p.area_px, p.box) for p in patches if p.class_id == class_id]
            if sum(area for area, _ in boxes) > count or len(boxes) > self.spec.rows.max_regions_per_class:
                yield f"class {class_id} has more in its regions than there is of it"
            if count == side**2 and boxes != [(count, (0, 0, side, side))]:
                yield f"class {class_id} is everywhere, and its region is not"
        if self._uncovered() > side**2 - sum(p.area_px for p in patches):
            yield "its regions and what lies outside of all cannot both be so large"

    def _uncovered(self) -> int:
        """Pixels in no region's box."""
        side = self.spec.tiles.output_size
        free = np.ones((side, side), bool)
        for patch in self.facts.regions:
            x1, y1, x2, y2 = patch.box
            free[y1:y2, x1:x2] = False
        return int(free.sum())

    # Words

    def context(self, row_texts: Mapping[int, str]) -> ChipContext:
        """The chip as the builder had it when it made rows and sidecar; `row_texts` is what a row says of each class."""
        assert self.scene is not None
        cover = self._cover(row_texts)
        name, place = self.tile_id, self.place
        days = self.facts.land_cover_label_meta.window
        result = PlaceResult(
            place=place,
            scene=self.scene,
            substituted=self.facts.imagery.substituted,
            bands=self.spec.imagery.bands,
            geobox=place_grid(place.poi.lon, place.poi.lat, self.scene, self.spec.grid),
            quality=as_quality(self.facts.imagery.place_quality),
            label_days={self.tile.index: days.days} if days is not None else {},
            still=self.still,
        )
        chip = Chip(
            rgb=self.rgb,
            mask=np.empty((0, 0), np.uint8),
            limits=self._limits,
            valid_fraction=self.facts.valid_fraction,
            quality=as_quality(self.facts.quality),
            augmentation=self.view,
        )
        names = (name, self.spec.layout.image(place.poi, name))
        return chip_context(result, self.tile, names, chip, cover, self.tile.size * self.spec.grid.resolution_m)

    def _cover(self, row_texts: Mapping[int, str]) -> LandCover:
        table, side = self.spec.table, self.spec.tiles.output_size
        told, regions = self.positions(row_texts), self.facts.regions
        listed = {c: sum(patch.class_id == c for patch in regions) for c in self.counts}
        cells = cells_by_position()
        return LandCover(
            table=table,
            shape=(side, side),
            counts=self.counts,
            cells={c: cells[told.get(c, "spread across the image")] for c in self.counts},
            patches={c: self._patches(c, listed[c], row_texts) for c in self.counts},
            regions=tuple(
                Region(label=table.labels[p.class_id], class_id=p.class_id, bbox=p.box, area_px=p.area_px)
                for p in regions
            ),
        )

    def _patches(self, class_id: int, listed: int, row_texts: Mapping[int, str]) -> int:
        """How many regions a class has: those listed, or of a full list as many as are told and can be."""
        told = patches_in(row_texts.get(class_id, ""))
        if listed < self.spec.rows.max_regions_per_class or told is None:
            return listed
        areas = [patch.area_px for patch in self.facts.regions if patch.class_id == class_id]
        smallest = min_region_pixels(self.spec.rows.min_region_px, self.spec.tiles)
        return min(max(told, listed), listed + (self.counts[class_id] - sum(areas)) // smallest)

    def positions(self, row_texts: Mapping[int, str]) -> dict[int, str]:
        """Where the texts put each class; where two differ, the caption's."""
        labels, by_size = list(self.spec.table.labels.values()), self.by_size()
        told = {c: found[0] for c, text in row_texts.items() if (found := positions_in(text, labels))}
        in_caption = positions_in(self.facts.caption, labels) if len(by_size) > 1 else []
        return told | dict(zip(by_size[:3], in_caption, strict=False))

    def by_size(self) -> list[int]:
        """Classes, the most common first."""
        return sorted(self.counts, key=lambda c: (-self.counts[c], c))

    def misplaced(self, context: ChipContext, row_texts: Mapping[int, str]) -> str | None:
        """The class that its texts put where the boxes of its regions do not let it be, in words."""
        wrong = impossible(context.cover, self.positions(row_texts))
        return None if wrong is None else f"{self.spec.table.labels[wrong]} cannot lie where its texts put it"

    def sidecar(self, context: ChipContext) -> Json:
        """The sidecar, as the builder makes it."""
        return sidecar_of(context, self.spec.digest, self.spec.sources.labels.rule)

    def rows(self, context: ChipContext) -> list[bytes]:
        """The rows as lines of JSON, as the builder makes them."""
        return [dumps(row) for row in rows_of(context, self.spec.rows)]


def turned_box(box: tuple[int, int, int, int], view: str | None, side: int) -> tuple[int, int, int, int]:
    """A box on a view of a square picture: mirrored left to right, or turned counter-clockwise; on the original as it is."""
    x1, y1, x2, y2 = box
    if view is None:
        return box
    if view == "flip":
        return side - x2, y1, side - x1, y2
    for _ in range(int(view[1:]) // 90):
        x1, y1, x2, y2 = y1, side - x2, y2, side - x1
    return x1, y1, x2, y2
