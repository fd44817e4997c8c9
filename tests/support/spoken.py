"""Chips made of nothing but a mask, with all that is said of them, and the same as the reader sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import orjson
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.chips.chip import view as view_of
from nutonic.chips.regions import land_cover
from nutonic.core.classes import DYNAMIC_WORLD, ClassTable
from nutonic.core.model import Asset, Chip, PlannedPlace, Poi, Scene, Tile
from nutonic.recipe.outputs import Rows, Tiles
from nutonic.recipe.texts import texts_of
from nutonic.rows.checker import problem_of
from nutonic.rows.context import ChipContext, PlaceResult, WordRules
from nutonic.rows.rows import rows_of
from nutonic.rows.wording import wording_of
from support import oracle, reader

#: Every kind of row.
ALL = {
    "captions": ("full", "brief", "zonal"),
    "absence": True,
    "vqa": True,
    "choice": True,
    "referring": True,
    "cross_view": True,
    "prompt": ("resolution", "date", "season"),
}


def _assets(side_m: float) -> tuple[Asset, ...]:
    return tuple(
        Asset(
            name=name,
            href=f"/x/{name}.tif",
            written=f"{name}.tif",
            crs="EPSG:32633",
            transform=(side_m, 0, 0, 0, -side_m, 0),
            shape=(64, 64),
            nodata=0,
        )
        for name in ("red", "green", "blue")
    )


@dataclass(frozen=True)
class Spoken:
    """A square mask, and what is said of it."""

    mask: np.ndarray
    table: ClassTable = DYNAMIC_WORLD
    rows: Mapping = field(default_factory=dict)
    size: int | None = None
    """Native pixels a side; those of the mask if there are no others."""
    name: str = "poi_000012_t0003"
    collection: str = "sentinel-2-l2a"
    still: bool = False
    """Whether the place has an overhead still, of several kilometres."""
    lat: float = 46.0
    source_m: float = 10.0
    """The side of the scene's pixels; native pixels are of 10 m."""

    @cached_property
    def rules(self) -> WordRules:
        """What the mask is spoken of by."""
        rows = Rows(**self.rows)
        side = self.mask.shape[0]
        tiles = Tiles.model_construct(**{**Tiles().model_dump(), "size": self.size or side, "output_size": side})
        wording = wording_of(texts_of(rows.wording), self.table)
        return WordRules(
            rows=rows, tiles=tiles, resolution_m=10.0, wording=wording, still=(12.0, 512) if self.still else None
        )

    def context(self, view: str | None = None) -> ChipContext:
        """The chip, as the builder has it."""
        rules = self.rules
        scene = Scene(
            id="s", collection=self.collection, source="stac", datetime="2024-05-01T10:00:00Z", cloud_cover=1.0,
            assets=_assets(self.source_m),
        )  # fmt: skip
        poi = Poi(id="poi_000012", base_id="poi_000012", ordinal=12, variant=0, lon=15.0, lat=self.lat)
        place = PlannedPlace(poi=poi, split="train", imagery=(scene,), labels=())
        grid = GeoBox(self.mask.shape, Affine(10, 0, 500_000, 0, -10, 5_100_000), "EPSG:32633")
        cover = land_cover(self.mask, self.table, rules.rows, rules.tiles)
        plain = Chip(
            rgb=np.zeros((*self.mask.shape, 3), np.uint8),
            mask=self.mask,
            limits=((1, 2), (3, 4), (5, 6)),
            valid_fraction=1.0,
        )
        name = self.name if view is None else f"{self.name}_{view}"
        return ChipContext(
            place_result=PlaceResult(
                place=place,
                scene=scene,
                substituted=None,
                bands=("red", "green", "blue"),
                geobox=grid,
                still="mapbox_stills/s00000/poi_000012.png" if self.still else None,
            ),
            tile=Tile(index=3, row=0, col=0, size=self.mask.shape[0]),
            tile_id=name,
            image=f"images/s00000/{name}.png",
            chip=plain if view is None else view_of(plain, view),
            truth=rules.truth(cover if view is None else cover.seen(view), scene, self.lat),
            wording=rules.wording,
        )

    def lines(self, view: str | None = None) -> list[dict]:
        """The rows, as they are read from their file."""
        return [orjson.loads(orjson.dumps(row)) for row in rows_of(self.context(view))]

    def problem(self, row: dict, view: str | None = None) -> str | None:
        """What nutonic's checker finds wrong with a row."""
        context = self.context(view)
        return problem_of(row, context.truth, context.wording)

    def picture(self, view: str | None = None) -> reader.Picture:
        """The same for the reader."""
        side, rows = self.mask.shape[0], self.rules.rows
        rules = oracle.Rules.of({"tiles": {"size": self.size or side, "output_size": side}, "rows": rows.model_dump()})
        plural = {c: self.table.nouns.get(c, label) for c, label in self.table.labels.items()}
        metres = 10 * rules.size / side
        facts = {"date": "2024-05-01", "metres": f"{metres:.3g}", "resolved": f"{max(metres, self.source_m):.3g}"}
        season = "spring" if self.lat > 24 else "autumn" if self.lat < -24 else None
        return reader.Picture(
            mask=self.mask if view is None else np.ascontiguousarray(oracle.turned(self.mask, view)),
            labels=self.table.labels,
            names=plural,
            side_m=10.0 * rules.size,
            min_area=oracle.smallest_region(rules),
            kind="aerial photograph" if self.collection == "naip" else "satellite image",
            rules=rules,
            shares=rows.shares,
            facts={**facts, **({"season": season} if season else {})},
        )


# Masks

WATER, TREES, GRASS, MARSH, CROPS, SHRUB, BUILT, BARE, SNOW = range(9)


def planted(*, mixed: bool = False, half: bool = False) -> Spoken:
    """A picture in which no two things are alike: seven classes of nine, each where it can be told."""
    mask = np.full((64, 64), CROPS, np.uint8)
    mask[2:28, 3:29] = TREES
    mask[46:60, 36:62] = WATER
    mask[5:14, 48:58] = BUILT
    mask[36:62, 2:30] = GRASS if mixed else CROPS
    mask[16:30, 34:62] = GRASS if mixed else CROPS
    for k, (y, x) in enumerate([(38, 4), (38, 16), (50, 5), (52, 20), (18, 40)]):
        mask[y : y + 6 + k % 2, x : x + 6 + k // 2] = BARE
    for k in range(0, 24, 3):
        mask[31, 2 + k] = SHRUB
    if half:
        mask[:, 33:] = 255
    rows = {**ALL, "min_region_px": 30, "min_class_fraction": 0.0}
    return Spoken(mask, rows=rows, still=True)


def worlds(number: int, seed: int = 0) -> Iterator[Spoken]:
    """So many different masks, seeded: blobs, stripes, noise, squares; odd sides, unlabelled parts, few and many classes."""
    for k in range(number):
        yield world(k, seed)


def world(k: int, seed: int = 0) -> Spoken:
    """One of the worlds."""
    chance = np.random.default_rng([seed, k])
    side = int(chance.integers(16, 66))
    classes = chance.choice(9, size=int(chance.choice([1, 2, 3, 4, 6, 9])), replace=False)
    mask = classes[_pattern(chance, side, len(classes))].astype(np.uint8)
    if chance.random() < 0.4:
        hole = _blobs(chance, side, 2) == 0
        share = chance.choice([0.02, 0.08, 0.3, 0.6])
        order = np.argsort(np.where(hole, 0, 1) + chance.random((side, side)) * 0.5, axis=None)
        mask.ravel()[order[: int(share * mask.size)]] = 255
    if (mask == 255).all():
        mask[0, 0] = classes[0]
    rows = {
        **ALL,
        "shares": str(chance.choice(["percent", "words"])),
        "min_region_px": int(chance.choice([1, 4, 12, 50])),
        "max_regions_per_class": int(chance.choice([1, 3, 24])),
        "max_boxes": int(chance.choice([1, 3, 12])),
        "min_box_fill": float(chance.choice([0.1, 0.3, 0.77])),
        "min_box_px": int(chance.choice([1, 3, 6])),
        "min_class_fraction": float(chance.choice([0.0, 0.01, 0.05])),
        "whole_image": float(chance.choice([0.5, 0.9, 1.0])),
    }
    size = int(chance.choice([side, 2 * side, 3 * side]))
    where = {"collection": str(chance.choice(["sentinel-2-l2a", "naip"])), "lat": float(chance.choice([46, -33, 5]))}
    where |= {"still": bool(chance.random() < 0.3)}
    return Spoken(mask=mask, rows=rows, size=size, name=f"poi_{k:06d}_t0003", **where)


def _pattern(chance: np.random.Generator, side: int, number: int) -> np.ndarray:
    kind = chance.choice(["blobs", "stripes", "noise", "squares", "lake"])
    if kind == "blobs":
        return _blobs(chance, side, number)
    if kind == "noise":
        return chance.choice(number, size=(side, side), p=chance.dirichlet(np.ones(number)))
    if kind == "stripes":
        width = int(chance.integers(1, max(2, side // 3)))
        lines = np.repeat(np.arange(-(-side // width)) % number, width)[:side]
        striped = np.broadcast_to(lines, (side, side))
        return striped if chance.random() < 0.5 else striped.T
    out = np.zeros((side, side), int)
    for _ in range(int(chance.integers(1, 9)) if kind == "squares" else 1):
        y, x = chance.integers(0, side, 2)
        height, width = chance.integers(2, side // 2 + 2, 2)
        out[y : y + height, x : x + width] = chance.integers(0, number)
    return out


def _blobs(chance: np.random.Generator, side: int, number: int) -> np.ndarray:
    """The nearest of a few points decides."""
    points = chance.random((int(chance.integers(number, 3 * number + 2)), 2)) * side
    y, x = np.mgrid[:side, :side]
    nearest = ((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2).argmin(axis=-1)
    return chance.integers(0, number, len(points))[nearest]
