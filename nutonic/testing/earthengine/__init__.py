"""A stand-in for Earth Engine's REST API, which the real earthengine-api and xee talk to over HTTP on loopback.

It reads images by nearest neighbour, with pyproj for every pixel, so that other ways can be compared with it. It
interprets the expression graph; functions that `nutonic.testing.earthengine.service` does not list are answered 501, with
their name. It is written from Earth Engine's documentation; where the documentation is silent, a docstring says "Assumed".
It does not have resampling and pyramids, masks that are fractions, exports, tables, maps and thumbnails.

The client sends its requests to the address of ``ee.Initialize(url=…)``, except for its list of deprecated assets. Give it
the address of the empty list here::

    image = image_of_raster("map.tif", "ESA/WorldCover/v200/2021", bands=("Map",), start="2021-01-01")
    with EarthEngineServer({"ESA/WorldCover/v200": [image]}) as server:
        ee.deprecation._DEPRECATED_ASSETS_URL = server.deprecated_url
        ee.Initialize(AnonymousCredentials(), url=server.url, project="any")
"""

from __future__ import annotations

from nutonic.testing.earthengine.faults import EarthEngineFault
from nutonic.testing.earthengine.images import EarthEngineImage
from nutonic.testing.earthengine.rasters import image_of_function, image_of_raster
from nutonic.testing.earthengine.server import EarthEngineRequest, EarthEngineServer

__all__ = [
    "EarthEngineFault",
    "EarthEngineImage",
    "EarthEngineRequest",
    "EarthEngineServer",
    "image_of_function",
    "image_of_raster",
]
