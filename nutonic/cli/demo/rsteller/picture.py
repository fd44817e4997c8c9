"""An aerial picture of a map, as a camera would roughly see it: what is mapped is drawn where it is, and nothing else.

It stands in for aerial photographs, which no package carries: so captions of it can be checked against it by eye.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import shapely.affinity
from odc.geo.geobox import GeoBox
from PIL import Image, ImageDraw

from nutonic.core.grid import transformer
from nutonic.core.model import Element

#: Drawn at so many times the resolution, and averaged: edges are as soft as a camera's.
_FINER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """How a kind of thing looks from above."""

    level: int
    """What is drawn later, and so above others."""
    colour: tuple[int, int, int]
    width_m: float = 0.0
    """Of lines and points."""
    rough: float = 6.0
    """Standard deviation of its texture, of 255."""
    shadow_m: float = 0.0
    """How far its shadow falls to the north-west: the sun stands in the south-east."""


#: Streets, and then paths, by ``highway``: their width in metres.
_ROADS = {
    "motorway": 14.0, "trunk": 13.0, "primary": 13.0, "primary_link": 7.0, "secondary": 11.0, "tertiary": 9.0,
    "tertiary_link": 6.0, "unclassified": 7.0, "residential": 7.0, "living_street": 6.0, "service": 4.0,
}  # fmt: skip
_PATHS = {"footway": 2.0, "path": 1.6, "cycleway": 2.6, "pedestrian": 4.0, "steps": 2.4, "track": 2.6}

#: The first tag that fits paints a thing; ``*`` is any value.
_PAINTS: Mapping[tuple[str, str], Paint] = {
    ("building", "*"): Paint(level=60, colour=(148, 120, 108), rough=5.0, shadow_m=5.0),
    ("natural", "water"): Paint(level=22, colour=(28, 52, 78), rough=2.0),
    ("landuse", "basin"): Paint(level=22, colour=(34, 58, 80), rough=2.0),
    ("landuse", "pond"): Paint(level=22, colour=(34, 58, 80), rough=2.0),
    ("waterway", "*"): Paint(level=23, colour=(34, 58, 80), width_m=2.5, rough=2.0),
    ("natural", "wood"): Paint(level=16, colour=(38, 66, 34), rough=14.0),
    ("landuse", "forest"): Paint(level=16, colour=(38, 66, 34), rough=14.0),
    ("natural", "scrub"): Paint(level=15, colour=(72, 96, 54), rough=13.0),
    ("natural", "heath"): Paint(level=14, colour=(118, 112, 76), rough=10.0),
    ("natural", "tree"): Paint(level=70, colour=(44, 78, 40), width_m=6.0, rough=12.0, shadow_m=2.0),
    ("natural", "tree_row"): Paint(level=70, colour=(44, 78, 40), width_m=5.0, rough=12.0),
    ("leisure", "pitch"): Paint(level=20, colour=(120, 150, 84), rough=3.0),
    ("leisure", "playground"): Paint(level=19, colour=(186, 166, 128), rough=8.0),
    ("leisure", "park"): Paint(level=10, colour=(104, 134, 76), rough=9.0),
    ("leisure", "garden"): Paint(level=11, colour=(98, 128, 72), rough=11.0),
    ("landuse", "grass"): Paint(level=12, colour=(112, 146, 80), rough=8.0),
    ("amenity", "parking"): Paint(level=18, colour=(126, 126, 130), rough=9.0),
    ("highway", "pedestrian"): Paint(level=31, colour=(188, 182, 170), width_m=4.0, rough=5.0),
    ("highway", "platform"): Paint(level=44, colour=(176, 172, 166), width_m=3.0, rough=4.0),
    ("railway", "platform"): Paint(level=44, colour=(176, 172, 166), width_m=3.0, rough=4.0),
    ("railway", "rail"): Paint(level=42, colour=(96, 86, 80), width_m=3.2, rough=9.0),
    ("railway", "tram"): Paint(level=43, colour=(84, 84, 88), width_m=1.6, rough=4.0),
    ("landuse", "railway"): Paint(level=9, colour=(134, 126, 116), rough=10.0),
    ("landuse", "commercial"): Paint(level=6, colour=(150, 148, 142), rough=7.0),
    ("landuse", "retail"): Paint(level=6, colour=(154, 150, 142), rough=7.0),
    ("landuse", "residential"): Paint(level=5, colour=(142, 142, 124), rough=8.0),
    ("landuse", "construction"): Paint(level=13, colour=(176, 156, 126), rough=13.0),
    ("man_made", "pier"): Paint(level=28, colour=(160, 142, 116), width_m=3.0, rough=5.0),
    ("man_made", "bridge"): Paint(level=29, colour=(152, 150, 148), rough=4.0),
    **{("highway", kind): Paint(level=33, colour=(104, 104, 108), width_m=w, rough=4.0) for kind, w in _ROADS.items()},
    **{("highway", kind): Paint(level=32, colour=(178, 168, 150), width_m=w, rough=5.0) for kind, w in _PATHS.items()},
}

_SHADOW = (44, 44, 50)

_SEA = Paint(level=1, colour=(30, 56, 76), rough=2.0)

#: How far from a coastline it is looked which side is sea, in metres.
_ASIDE_M = 0.2

#: What is nowhere painted: bare or paved ground.
_GROUND = Paint(level=0, colour=(146, 142, 132), rough=8.0)


def rendered(elements: Iterable[Element], geobox: GeoBox, seed: int = 0) -> np.ndarray:
    """The picture of a grid, (height, width, 3) uint8; no pixel is 0 in all bands, which would be nodata.

    Parameters
    ----------
    elements
        Of the map, in degrees.
    geobox
        North up, in metres.
    seed
        Of the texture.
    """
    height, width = geobox.shape
    canvas = Image.new("RGB", (width * _FINER, height * _FINER), _GROUND.colour)
    rough = Image.new("L", canvas.size, round(_GROUND.rough * 8))
    for paint, geometry in sorted(_painted(elements, geobox), key=lambda each: each[0].level):
        if paint.shadow_m:
            away = paint.shadow_m * _per_metre(geobox)
            _draw(shapely.affinity.translate(geometry, -away, -away), (canvas, _SHADOW))
        _draw(geometry, (canvas, paint.colour), (rough, round(paint.rough * 8)))
    small = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32)
    grain = np.asarray(rough.resize((width, height), Image.Resampling.BOX), np.float32) / 8.0
    grain *= _texture((height, width), seed)
    textured = small + grain[..., None]
    np.rint(textured, out=textured)
    return np.asarray(np.clip(textured, 1, 255, out=textured).astype(np.uint8))


def _per_metre(geobox: GeoBox) -> float:
    """Pixels of the canvas in a metre."""
    return float(_FINER / geobox.affine.a)


def _painted(elements: Iterable[Element], geobox: GeoBox) -> Iterator[tuple[Paint, shapely.Geometry]]:
    """What is seen, in pixels of the canvas."""
    to_map, (a, _, c, _, e, f) = transformer("EPSG:4326", str(geobox.crs)), list(geobox.affine)[:6]

    def on_map(points: np.ndarray) -> np.ndarray:
        return np.stack(to_map.transform(points[:, 0], points[:, 1]), -1)

    def on_canvas(points: np.ndarray) -> np.ndarray:
        return np.asarray((points - (c, f)) / (a, e) * _FINER)

    every = [(element, _paint_of(dict(element.tags))) for element in elements]
    seen = [(element, paint) for element, paint in every if paint is not None]
    metric = shapely.transform([element.geometry for element, _ in seen], on_map)
    for (element, paint), shape in zip(seen, shapely.transform(metric, on_canvas), strict=True):
        if element.kind != "area":
            half = max(1.0, paint.width_m * _per_metre(geobox) / 2)
            shape = shapely.buffer(shape, half, cap_style="flat" if element.kind == "line" else "round")
        if not shape.is_empty:
            yield paint, shape
    coast = [shapely.transform(each.geometry, on_map) for each, _ in every if ("natural", "coastline") in each.tags]
    for cell in sea_of(coast, shapely.box(*geobox.boundingbox)):
        yield _SEA, shapely.transform(cell, on_canvas)


def sea_of(coast: Sequence[shapely.Geometry], box: shapely.Geometry) -> list[shapely.Geometry]:
    """The parts of a box that are sea: it lies to the right of coastlines, as they are drawn on a map.

    A coastline that ends within the box, since the map ends there, goes on to the nearest edge.
    """
    lines = [part for each in coast for part in shapely.get_parts(shapely.intersection(each, box))]
    lines = [part for part in lines if part.geom_type == "LineString" and not part.is_empty]
    ends = [shapely.get_point(line, end) for line in lines for end in (0, -1)]
    closing = [
        shapely.shortest_line(end, box.boundary) for end in ends if sum(end.intersects(each) for each in lines) < 2
    ]
    cells = list(shapely.polygonize([shapely.union_all([box.boundary, *lines, *closing])]).geoms)
    corners = [shapely.get_coordinates(line) for line in lines]
    steps = np.concatenate([np.diff(each, axis=0) for each in corners] or [np.empty((0, 2))])
    middles = np.concatenate([(each[1:] + each[:-1]) / 2 for each in corners] or [np.empty((0, 2))])
    aside = np.stack([steps[:, 1], -steps[:, 0]], -1) / np.maximum(np.hypot(*steps.T), 1e-9)[:, None] * _ASIDE_M
    right, left = (shapely.points(middles + sign * aside) for sign in (1, -1))
    return [cell for cell in cells if shapely.contains(cell, right).sum() > shapely.contains(cell, left).sum()]


def is_shown(tags: Mapping[str, str]) -> bool:
    """Whether a picture shows anything of an element with these tags, or is drawn by it."""
    return tags.get("natural") == "coastline" or _paint_of(tags) is not None


#: Each paint with its rank, by the tag that it is for.
_RANKED = {tag: (rank, paint) for rank, (tag, paint) in enumerate(_PAINTS.items())}


def _paint_of(tags: Mapping[str, str]) -> Paint | None:
    found = (_RANKED.get((key, kind)) for key, told in tags.items() if told != "no" for kind in (told, "*"))
    return min((each for each in found if each is not None), default=(0, None), key=lambda each: each[0])[1]


def _draw(geometry: shapely.Geometry, *fills: tuple[Image.Image, object]) -> None:
    """Fill the polygons of a geometry in each picture with its value, their holes left as they are."""
    for part in shapely.get_parts(geometry):
        if part.geom_type != "Polygon" or part.is_empty:
            continue
        corner = np.maximum(np.trunc(part.bounds[:2]) - 1, 0)
        outline, *holes = (np.trunc(shapely.get_coordinates(ring) - corner) for ring in shapely.get_rings(part))
        left, top = corner.astype(int).tolist()
        right, bottom = (outline.max(axis=0) + corner + 2).astype(int).tolist()
        right, bottom = min(right, fills[0][0].width), min(bottom, fills[0][0].height)
        if right <= left or bottom <= top:
            continue
        mask = Image.new("1", (right - left, bottom - top))
        draw = ImageDraw.Draw(mask)
        for ring, inside in ((outline, 1), *((hole, 0) for hole in holes)):
            draw.polygon(ring.ravel().tolist(), fill=inside)
        for image, value in fills:
            image.paste(value, (left, top, right, bottom), mask)  # type: ignore[arg-type]


def _texture(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Noise of several octaves, of mean 0 and standard deviation 1, (height, width) float32."""
    rng, total = np.random.default_rng(seed), np.zeros(shape, np.float32)
    for octave in range(5):
        step = 2**octave
        coarse = rng.standard_normal((-(-shape[0] // step) + 1, -(-shape[1] // step) + 1)).astype(np.float32)
        image = Image.fromarray(coarse).resize(
            (coarse.shape[1] * step, coarse.shape[0] * step), Image.Resampling.BILINEAR
        )
        total += np.asarray(image)[: shape[0], : shape[1]]
    return total / float(total.std())
