"""The demo's labels: OpenStreetMap's land use where it is mapped, and what a classifier learnt from it elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from nutonic.cli.demo.landcover import WATER, Accuracy, LandCover, land_cover
from nutonic.core.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class LandUse:
    """A class of the labels; its id is the pixel value."""

    id: int
    label: str
    color: str


#: The classes of the labels. Their colours are of Okabe and Ito's palette, which people see apart whatever their eyes.
CLASSES = (
    LandUse(id=WATER, label="water", color="#56b4e9"),
    LandUse(id=2, label="trees and scrub", color="#009e73"),
    LandUse(id=3, label="fields and meadows", color="#f0e442"),
    LandUse(id=4, label="built-up area", color="#d55e00"),
)

#: OpenStreetMap's feature classes and the classes that they become. In February meadow, grass and farmland look alike, and
#: so do hedges, scrub and leafless woods. The last, reeds and marsh, is found on 64 % of its pixels, which is not enough:
#: it stays unknown.
_CLASS_OF = {"water": 1, "forest": 2, "scrub": 2, "meadow": 3, "grass": 3, "farm": 3, "residential": 4, "wetland": 5}

#: The shadow of clouds south of the scene, drawn by eye over the picture, as columns and rows of pixels. Its brightness is
#: that of dark soil, so that no rule on four bands finds it.
_SHADOW = (
    (640, 395), (600, 480), (575, 540), (560, 610), (490, 690), (370, 690),
    (370, 640), (430, 600), (440, 540), (455, 480), (490, 440), (520, 390),
)  # fmt: skip

_TABLE = "gis_osm_landuse-water_a_free_1_area-10000-to-500000"

#: The file with the polygons, named as its table is.
FILE = f"{_TABLE}.gpkg"


def labels_of(path: Path, bands: Mapping[str, np.ndarray], grid: GeoBox) -> LandCover:
    """The land cover of the scene, from the file with the polygons and from its bands (see :func:`land_cover`)."""
    shapes = _polygons(path)
    numbers = [(shape, number) for number, (shape, _) in enumerate(shapes, 1)]
    polygons = rasterize(numbers, tuple(grid.shape), fill=0, transform=grid.affine, dtype="int32")
    shadows = rasterize([shapely.Polygon(_SHADOW)], tuple(grid.shape), dtype="uint8").astype(bool)
    return land_cover(bands, polygons, np.array([0, *(class_id for _, class_id in shapes)]), shadows)


def accuracy_of(cover: LandCover) -> Json:
    """The accuracies of all classes, also of those that are not good enough, as numbers to keep beside the labels."""
    names = {use.id: use.label for use in CLASSES} | {_CLASS_OF["wetland"]: "wetland"}
    return {
        "text": accuracy_text(cover),
        "overall": round(cover.overall, 4),
        "predicted": {names[c]: _rounded(accuracy) for c, accuracy in cover.accuracies.items()},
        "left unknown": {names[c]: _rounded(accuracy) for c, accuracy in cover.untold.items()},
    }


def _rounded(accuracy: Accuracy) -> Json:
    return {"found": round(accuracy.found, 4), "right": round(accuracy.right, 4)}


def accuracy_text(cover: LandCover) -> str:
    """A few sentences on how well the classifier does on polygons that it did not learn from."""
    shares = (f"{use.label} {cover.accuracies[use.id].found:.0%}" for use in CLASSES if use.id in cover.accuracies)
    return (
        f"On polygons held out the classifier finds the right class on {cover.overall:.0%} of the pixels: "
        f"{', '.join(shares)}. In February's frost and haze it cannot tell meadows from farmland, nor hedges from woods, "
        "which are one class each, nor reeds from either: reeds and marsh are left unknown, as clouds and shadows are."
    )


def _polygons(path: Path) -> list[tuple[shapely.Geometry, int]]:
    """Polygons and their classes, the largest first: one that is burned later lies on top; of equal ones, the later one."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        rows = database.execute(f'SELECT fclass, geom FROM "{_TABLE}" ORDER BY fid').fetchall()
    return sorted(((_geometry(blob), _CLASS_OF[fclass]) for fclass, blob in rows), key=lambda shape: -shape[0].area)


def _geometry(blob: bytes) -> shapely.Geometry:
    """A geometry of a GeoPackage (OGC 12-128, section 2.1.3).

    ``GP``, a version byte, a byte of flags and an int32 for the CRS, then an envelope of 0, 4, 6 or 8 doubles, as bits
    1 to 3 of the flags say, then well-known binary.
    """
    doubles = (0, 4, 6, 6, 8)[blob[3] >> 1 & 0b111]
    return shapely.from_wkb(blob[8 + 8 * doubles :])
