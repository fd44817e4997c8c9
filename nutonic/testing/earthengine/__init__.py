"""A stand-in for Earth Engine's REST API, which the real earthengine-api and xee talk to over HTTP on loopback.

It reads images by nearest neighbour (pyproj for every pixel, so it can judge other ways) and interprets the expression
graph: what `nutonic.testing.earthengine.functions` lists; other functions answer 501 with their name. It is written from
Earth Engine's documentation; where that is silent, a docstring says "Assumed". Not stood in for: resampling and pyramids,
masks that are fractions, exports, tables, maps and thumbnails.

The client goes wherever ``ee.Initialize(url=…)`` says, but for its list of deprecated assets, which it fetches from
elsewhere unless it is told of the empty one here::

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
