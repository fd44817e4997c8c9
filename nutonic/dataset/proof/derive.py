"""What must stand in a sidecar and in the rows of its chip: made again by the builder's own functions.

A sidecar holds a few facts that follow from nothing else in a tree: which scene, which limits, how many pixels of each
class, where its patches lie. All the rest of it, and every row, follows from these with the plan and the recipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from nutonic.chips.chip import IDENTITY_LIMITS
from nutonic.chips.regions import LandCover, cell_edges, min_region_pixels
from nutonic.core.model import Chip, Json, PlannedPlace, Region, Scene, Tile
from nutonic.dataset.proof.quality_audit import as_quality, wrong_quality
from nutonic.dataset.proof.shapes import Facts
from nutonic.lazily import lazily
from nutonic.planning.layout import tile_id
from nutonic.planning.spec import BuildSpec, word_rules
from nutonic.rows.checker import problem_of
from nutonic.rows.context import ChipContext, PlaceResult
from nutonic.rows.rows import dumps, overlays_of, rows_of
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

    @lazily
    def scene(self) -> Scene | None:
        """The planned scene that the sidecar names, of several with one id by its files; None if there is none."""
        named = [scene for scene in self.place.imagery if scene.id == self.facts.imagery.item_id]
        files = self.facts.imagery.assets
        return next((s for s in named if {a.name: a.written for a in s.assets} == files), named[0] if named else None)

    @lazily
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
            yield from self._wrong_counts()
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
            order.append((-patch.area_px, 0 if self.view else y1))  # of equal ones a view keeps the original's order
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

    def _wrong_counts(self) -> Iterator[str]:
        """What of patches, pieces, cells and borders contradicts the counts and the regions."""
        meta, side, most = (
            self.facts.land_cover_label_meta,
            self.spec.tiles.output_size,
            self.spec.rows.max_regions_per_class,
        )
        if (
            not set(self.counts)
            == set(map(int, meta.patches))
            == set(map(int, meta.pieces))
            == set(map(int, meta.cells))
        ):
            yield "it counts patches, pieces or cells of other classes than it has"
            return
        smallest, unit = min_region_pixels(self.spec.rows.min_region_px, self.spec.tiles), 4 if side % 2 else 1
        for class_id, count in self.counts.items():
            areas = [p.area_px for p in self.facts.regions if p.class_id == class_id]
            patches, pieces, rest = meta.patches[str(class_id)], meta.pieces[str(class_id)], count - sum(areas)
            unlisted = patches - len(areas)
            if unlisted < 0 or (unlisted and len(areas) < most) or unlisted * smallest > rest:
                yield f"class {class_id} has other patches than it lists"
            small = pieces - patches
            if small < 0 or small > rest - unlisted * smallest or (not small and not unlisted and rest):
                yield f"class {class_id} is in so many pieces that its pixels cannot make"
            if sum(meta.cells[str(class_id)]) != unit * count or not self._cells_fit(class_id, unit):
                yield f"class {class_id} has its pixels in cells where its regions do not let them be"
        if np.sum([meta.cells[str(c)] for c in self.counts], axis=0).max() > unit * (-(-side // 6)) ** 2:
            yield "a cell has more pixels than there are in it"
        pairs = [tuple(map(int, pair.split("-"))) for pair in meta.borders]
        if not all(x < y and {x, y} <= set(self.counts) for x, y in pairs) or (pairs and not self.spec.rows.vqa):
            yield "its borders are not between two of its classes"

    def _cells_fit(self, class_id: int, unit: int) -> bool:
        """Whether each cell holds no fewer and no more pixels of a class than the boxes of its regions allow."""
        scale = 2 if unit == 4 else 1
        cells = np.array(self.facts.land_cover_label_meta.cells[str(class_id)], np.int64)
        regions = [p for p in self.facts.regions if p.class_id == class_id]
        boxes = scale * np.array([p.box for p in regions], np.int64).reshape(-1, 4)
        areas = unit * np.array([p.area_px for p in regions], np.int64)
        parts = _cell_boxes(scale * self.spec.tiles.output_size)
        low = np.maximum(boxes[:, None, :2], parts[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], parts[None, :, 2:])
        common = np.clip(high - low, 0, None).prod(axis=2)
        whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        least = np.clip(areas[:, None] - (whole[:, None] - common), 0, None).sum(axis=0)
        most = np.minimum(areas[:, None], common).sum(axis=0) + unit * self.counts[class_id] - int(areas.sum())
        return bool((least <= cells).all() and (cells <= most).all())

    # Words

    def context(self) -> ChipContext:
        """The chip as the builder had it when it made rows and sidecar."""
        assert self.scene is not None
        name, place, words = self.tile_id, self.place, word_rules(self.spec)
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
        return ChipContext(
            place_result=result,
            tile=self.tile,
            tile_id=name,
            image=self.spec.layout.image(place.poi, name),
            chip=chip,
            truth=words.truth(self._cover(), self.scene, place.poi.lat),
            wording=words.wording,
        )

    def _cover(self) -> LandCover:
        table, side, meta = self.spec.table, self.spec.tiles.output_size, self.facts.land_cover_label_meta
        pairs = ((*map(int, pair.split("-")), edges) for pair, edges in meta.borders.items())
        return LandCover(
            table=table,
            shape=(side, side),
            counts=self.counts,
            cells={c: tuple(meta.cells[str(c)]) for c in self.counts},
            large_regions={c: meta.patches[str(c)] for c in self.counts},
            pieces={c: meta.pieces[str(c)] for c in self.counts},
            regions=tuple(
                Region(label=table.labels[p.class_id], class_id=p.class_id, bbox=p.box, area_px=p.area_px)
                for p in self.facts.regions
            ),
            borders={(a, b): edges for a, b, edges in pairs},
            view=self.view,
        )

    def sidecar(self, context: ChipContext) -> Json:
        """The sidecar, as the builder makes it."""
        return sidecar_of(context, self.spec.digest, self.spec.sources.labels.rule)

    def rows(self, context: ChipContext) -> list[bytes]:
        """The rows as lines of JSON, as the builder makes them."""
        return [dumps(row) for row in rows_of(context)]

    def overlays(self, context: ChipContext) -> list[tuple[str, tuple[Region, ...]]]:
        """The ids of rows that have an overlay, and what is drawn on it."""
        return list(overlays_of(context)) if self.spec.rows.overlays else []

    def untrue(self, context: ChipContext, row: Json) -> str | None:
        """What a row that is there says that the sidecar does not; None if nothing."""
        problem = problem_of(row, context.truth, context.wording)
        return None if problem is None else problem.partition(": ")[0]  # its own words may be anything


@cache
def _cell_boxes(side: int) -> np.ndarray:
    """x1, y1, x2, y2 of each of 6 × 6 cells along an even side, row by row."""
    edges = cell_edges(side)
    return np.array([(edges[x], edges[y], edges[x + 1], edges[y + 1]) for y in range(6) for x in range(6)], np.int64)
