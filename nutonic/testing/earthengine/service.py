"""The methods of the REST API that are answered, by kind: what a request asks, and the answer if all goes well."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from nutonic.errors import MissingExtra
from nutonic.testing.earthengine.assets import Catalogue
from nutonic.testing.earthengine.encode import rendered
from nutonic.testing.earthengine.expressions import Language, evaluate
from nutonic.testing.earthengine.functions import FUNCTIONS
from nutonic.testing.earthengine.images import EarthEngineImage, Json
from nutonic.testing.earthengine.problems import Problem
from nutonic.testing.earthengine.values import image as as_image
from nutonic.testing.earthengine.values import json_of

#: Kind of request, method, and pattern of its path; the first that fits. An asset's name holds slashes.
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

#: Kinds that compute, and count against the limit of requests at once (assumed: only these).
COMPUTING = {"compute", "pixels", "asset-pixels"}

#: Kinds that need no credentials.
PUBLIC = {"discovery", "deprecated", "token"}

JSON, BYTES = "application/json; charset=UTF-8", "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    kind: str
    """Of ROUTES, or ``other``."""
    parts: Mapping[str, str]
    """Project, or the asset's name."""

    @classmethod
    def of(cls, method: str, target: str, body: bytes) -> Asked:
        """A request by its method, target (path and query) and body."""
        name, _, query = target.partition("?")
        path, pairs = unquote(name), dict(parse_qsl(query))
        for kind, its, pattern in ROUTES:
            if its == method and (found := pattern.fullmatch(path)):
                return cls(method, path, pairs, body, kind, found.groupdict())
        return cls(method, path, pairs, body, "other", {})

    def json(self) -> Json:
        """What its body says."""
        try:
            said = json.loads(self.body or b"{}")
        except ValueError:
            raise Problem("Invalid JSON payload received.") from None
        if not isinstance(said, dict):
            raise Problem("Invalid JSON payload received.")
        return said


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent."""

    status: int
    body: bytes
    type: str = JSON
    bands: tuple[str, ...] = ()


class Service:
    """Answers requests from a catalogue."""

    def __init__(self, collections: Mapping[str, Sequence[EarthEngineImage]]) -> None:
        shipped = _shipped()
        self.catalogue = Catalogue(collections)
        loading = {"ImageCollection.load": self.catalogue.load_collection, "Image.load": self.catalogue.load_image}
        self._algorithms = shipped["algorithms"]
        self._language = Language(json.loads(self._algorithms)["algorithms"], {**FUNCTIONS, **loading})
        self._discovery = _discovery(shipped["cloud_api_discovery_document"])

    def answer(self, asked: Asked) -> Answer:
        """The answer to a request."""
        if asked.kind == "discovery":
            return Answer(200, self._discovery)
        if asked.kind == "deprecated":
            return Answer(200, b'{"links": []}')
        if asked.kind == "algorithms":
            return Answer(200, self._algorithms)
        if asked.kind == "compute":
            return _said({"result": json_of(evaluate(self._language, asked.json()["expression"]))})
        if asked.kind == "pixels":
            said = asked.json()
            return _pixels(as_image(evaluate(self._language, said["expression"])), said)
        if asked.kind == "asset-pixels":
            return _pixels(self.catalogue.load_image(asked.parts["asset"]), asked.json())
        if asked.kind == "list":
            return _said(self.catalogue.listed(asked.parts["asset"], asked.query))
        if asked.kind == "assets":
            return _said(self.catalogue.told(asked.parts["asset"]))
        raise Problem(f"Method not found: {asked.method} {asked.path}", 404)


def granted(token: str | None, *, refused: bool) -> Answer:
    """What Google's OAuth 2.0 answers to a signed request for a token, or to one whose key it does not know."""
    if refused:
        said = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        return Answer(400, json.dumps(said).encode())
    return _said({"access_token": token or "any", "expires_in": 3599, "token_type": "Bearer"})


def _discovery(shipped: bytes) -> bytes:
    """The description of v1: the one that the client ships is of v1alpha, from before listings could be filtered."""
    told = json.loads(shipped.replace(b"v1alpha", b"v1"))
    listing = told["resources"]["projects"]["resources"]["assets"]["methods"]["listAssets"]["parameters"]
    for name in ("filter", "view"):  # documented of projects.assets.listAssets
        listing[name] = {"location": "query", "type": "string"}
    return json.dumps(told).encode()


def _said(value: Any) -> Answer:
    return Answer(200, json.dumps(value, allow_nan=False).encode())


def _pixels(image: EarthEngineImage, said: Json) -> Answer:
    body, bands = rendered(image, said)
    return Answer(200, body, "image/tiff" if "TIFF" in said.get("fileFormat", "") else BYTES, bands)


def _shipped() -> dict[str, bytes]:
    """What the client brings for its own tests: the list of algorithms and the description of the API."""
    found = importlib.util.find_spec("ee")  # which finds it, and does not import it
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("the stand-in for Earth Engine needs its client: pip install 'nutonic[earthengine]'")
    folder = Path(found.submodule_search_locations[0]) / "tests"
    try:
        names = ("algorithms", "cloud_api_discovery_document")
        return {name: (folder / f"{name}.json").read_bytes() for name in names}
    except OSError as error:
        raise MissingExtra(
            "the stand-in for Earth Engine needs files that earthengine-api 1.7.50 brings "
            f"(ee/tests/{Path(error.filename).name}), and the one installed lacks: pip install earthengine-api==1.7.50"
        ) from error
