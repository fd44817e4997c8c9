"""The methods of the REST API, by kind: how a request is read, and the answer to it without a fault."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import numpy as np
from affine import Affine
from pyproj import CRS

from nutonic.errors import MissingExtra
from nutonic.testing.earthengine import arithmetic, bands, collections, masks, primitives, reductions
from nutonic.testing.earthengine.assets import Catalogue
from nutonic.testing.earthengine.bands import select_bands
from nutonic.testing.earthengine.expressions import Function, Language, evaluate
from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import Band, EarthEngineImage, Json, Projection
from nutonic.testing.earthengine.rasters import geotiff
from nutonic.testing.earthengine.values import image as as_image
from nutonic.testing.earthengine.values import json_of

#: Documented limits of a request for pixels: bytes before compression, pixels a side, bands.
MAX_BYTES, MAX_SIDE, MAX_BANDS = 48 * 2**20, 32768, 1024

_FIELDS = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")


def grid_of(grid: Json, bands: Sequence[Band]) -> tuple[Projection, tuple[int, int]]:
    """The requested pixels, with their height and width; what the request leaves out is taken from the first band."""
    projection, shape = bands[0].projection, bands[0].shape
    if "crsCode" in grid or "crsWkt" in grid:
        projection = Projection(_crs(grid.get("crsCode") or grid["crsWkt"]), projection.transform)
    if transform := grid.get("affineTransform"):
        numbers = (float(transform.get(name, 0.0)) for name in _FIELDS)
        projection = Projection(projection.crs, Affine(*numbers))
    if size := grid.get("dimensions"):
        shape = int(size["height"]), int(size["width"])
    if shape is None:
        raise Problem("Grid dimensions must be specified for an image without bounds.")
    if projection.transform.is_degenerate or min(shape) < 1:
        raise Problem(f"Invalid pixel grid: {grid}")
    return projection, shape


def _crs(text: str) -> str:
    try:
        return CRS.from_user_input(text).to_string()
    except RuntimeError:  # pyproj's CRSError is one
        raise Problem(f"The CRS of a map projection could not be understood: {text}") from None


def check_limits(bands: Sequence[Band], shape: tuple[int, int]) -> None:
    """Raise :class:`Problem` if a request is too large.

    Assumed: each pixel of each band counts its own bytes and one byte of the mask, as clients of Earth Engine count them.
    The sentences are Earth Engine's; the one about bands is assumed.
    """
    height, width = shape
    if max(shape) > MAX_SIDE:
        raise Problem(f"Pixel grid dimensions ({width}x{height}) must be less than or equal to {MAX_SIDE}.")
    if len(bands) > MAX_BANDS:
        raise Problem(f"Number of bands ({len(bands)}) must be less than or equal to {MAX_BANDS}.")
    total = sum(band.type.dtype.itemsize + 1 for band in bands) * width * height
    if total > MAX_BYTES:
        raise Problem(f"Total request size ({total} bytes) must be less than or equal to {MAX_BYTES} bytes.")


def render(image: EarthEngineImage, request: Mapping[str, Any]) -> tuple[bytes, tuple[str, ...]]:
    """The requested file, and the names of its bands. Masked pixels are 0 in it (assumed)."""
    for name in ("visualizationOptions", "region"):
        if request.get(name):
            raise unsupported(name)
    bands = list(image.bands)
    if request.get("bandIds"):
        bands = list(select_bands("Image.select", image, request["bandIds"]))
    if not bands:
        raise Problem("Image has no bands.")
    projection, shape = grid_of(request.get("grid") or {}, bands)
    check_limits(bands, shape)
    points = projection.centres(*np.meshgrid(np.arange(shape[1]), np.arange(shape[0])))
    values = {band.id: band.at(points).values for band in bands}
    return _file(request.get("fileFormat", "AUTO_JPEG_PNG"), values, projection), tuple(values)


def _file(kind: str, values: Mapping[str, np.ndarray], projection: Projection) -> bytes:
    if kind == "NPY":
        return _npy(values)
    if kind in ("GEO_TIFF", "CLOUD_OPTIMIZED_GEOTIFF"):
        return geotiff(values, projection.crs, projection.transform)
    raise unsupported(f"file format {kind}")


def _npy(values: Mapping[str, np.ndarray]) -> bytes:
    """A structured array (height, width) with a field for each band."""
    first = next(iter(values.values()))
    array = np.empty(first.shape, [(name, band_values.dtype) for name, band_values in values.items()])
    for name, band_values in values.items():
        array[name] = band_values
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


FUNCTIONS: dict[str, Function] = {
    **arithmetic.FUNCTIONS,
    **bands.FUNCTIONS,
    **masks.FUNCTIONS,
    **reductions.FUNCTIONS,
    **collections.FUNCTIONS,
    **primitives.FUNCTIONS,
}

#: Kinds of requests, each with its method and the pattern of its path; the first match counts. Asset names hold slashes.
ROUTES = tuple(
    (kind, method, re.compile(pattern))
    for kind, method, pattern in (
        ("discovery", "GET", r"/\$discovery/rest"),
        ("token", "POST", r"/token"),
        ("deprecated", "GET", r"/earthengine-stac/catalog/catalog_deprecated\.json"),
        ("algorithms", "GET", r"/v1/projects/(?P<project>[^/]+)/algorithms"),
        ("compute", "POST", r"/v1/projects/(?P<project>[^/]+)/value:compute"),
        ("pixels", "POST", r"/v1/projects/(?P<project>[^/]+)/image:computePixels"),
        ("asset-pixels", "POST", r"/v1/(?P<asset>projects/[^/]+/assets/.+):getPixels"),
        ("list", "GET", r"/v1/(?P<asset>projects/[^/]+/assets/.+):list(Assets|Images)"),
        ("assets", "GET", r"/v1/(?P<asset>projects/[^/]+/assets/[^:]+)"),
    )
)

#: Kinds that compute, and so count towards the limit of concurrent requests (assumed: only these).
COMPUTING = {"compute", "pixels", "asset-pixels"}

#: Kinds that need no credentials.
PUBLIC = {"discovery", "deprecated", "token"}

JSON, BYTES = "application/json; charset=UTF-8", "application/octet-stream"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request to the REST API."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    kind: str
    """One of ROUTES, or ``other``."""
    parts: Mapping[str, str]
    """The project, or the asset's name."""

    @classmethod
    def of(cls, method: str, target: str, body: bytes) -> ApiRequest:
        """Parse a request's method, target (path and query) and body."""
        name, _, query = target.partition("?")
        path, pairs = unquote(name), dict(parse_qsl(query))
        for kind, route_method, pattern in ROUTES:
            if route_method == method and (match := pattern.fullmatch(path)):
                return cls(method, path, pairs, body, kind, match.groupdict())
        return cls(method, path, pairs, body, "other", {})

    def json(self) -> Json:
        """The JSON object in its body."""
        try:
            content = json.loads(self.body or b"{}")
        except ValueError:
            raise Problem("Invalid JSON payload received.") from None
        if not isinstance(content, dict):
            raise Problem("Invalid JSON payload received.")
        return content


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request."""

    status: int
    body: bytes
    type: str = JSON
    bands: tuple[str, ...] = ()


class Service:
    """Answers requests from a catalogue."""

    def __init__(self, collections: Mapping[str, Sequence[EarthEngineImage]]) -> None:
        files = _client_files()
        self.catalogue = Catalogue(collections)
        loading = {"ImageCollection.load": self.catalogue.load_collection, "Image.load": self.catalogue.load_image}
        self._algorithms = files["algorithms"]
        self._language = Language(json.loads(self._algorithms)["algorithms"], {**FUNCTIONS, **loading})
        self._discovery = _discovery(files["cloud_api_discovery_document"])

    def answer(self, request: ApiRequest) -> Answer:
        """The answer to a request."""
        if request.kind == "discovery":
            return Answer(200, self._discovery)
        if request.kind == "deprecated":
            return Answer(200, b'{"links": []}')
        if request.kind == "algorithms":
            return Answer(200, self._algorithms)
        if request.kind == "compute":
            return _json_answer({"result": json_of(evaluate(self._language, request.json()["expression"]))})
        if request.kind == "pixels":
            content = request.json()
            return _pixels(as_image(evaluate(self._language, content["expression"])), content)
        if request.kind == "asset-pixels":
            return _pixels(self.catalogue.load_image(request.parts["asset"]), request.json())
        if request.kind == "list":
            return _json_answer(self.catalogue.page(request.parts["asset"], request.query))
        if request.kind == "assets":
            return _json_answer(self.catalogue.asset(request.parts["asset"]))
        raise Problem(f"Method not found: {request.method} {request.path}", 404)


def token_answer(token: str | None, *, refused: bool) -> Answer:
    """The answer of Google's OAuth 2.0 to a signed request for a token, or, if `refused`, to one with an unknown key."""
    if refused:
        content = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        return Answer(400, json.dumps(content).encode())
    return _json_answer({"access_token": token or "any", "expires_in": 3599, "token_type": "Bearer"})


def _discovery(document: bytes) -> bytes:
    """The description of API v1, made of the client's, which is of v1alpha and does not know filters of listings."""
    description = json.loads(document.replace(b"v1alpha", b"v1"))
    listing = description["resources"]["projects"]["resources"]["assets"]["methods"]["listAssets"]["parameters"]
    for name in ("filter", "view"):  # by the documentation of projects.assets.listAssets
        listing[name] = {"location": "query", "type": "string"}
    return json.dumps(description).encode()


def _json_answer(value: Any) -> Answer:
    return Answer(200, json.dumps(value, allow_nan=False).encode())


def _pixels(image: EarthEngineImage, content: Json) -> Answer:
    body, bands = render(image, content)
    return Answer(200, body, "image/tiff" if "TIFF" in content.get("fileFormat", "") else BYTES, bands)


def _client_files() -> dict[str, bytes]:
    """The files of the client's own tests: the list of algorithms, and the description of the API."""
    spec = importlib.util.find_spec("ee")  # does not import it
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the stand-in for Earth Engine needs its client: pip install 'nutonic[earthengine]'")
    folder = Path(spec.submodule_search_locations[0]) / "tests"
    try:
        names = ("algorithms", "cloud_api_discovery_document")
        return {name: (folder / f"{name}.json").read_bytes() for name in names}
    except OSError as error:
        raise MissingExtra(
            "the stand-in for Earth Engine needs files that earthengine-api 1.7.50 brings "
            f"(ee/tests/{Path(error.filename).name}), and the one installed lacks: pip install earthengine-api==1.7.50"
        ) from error
