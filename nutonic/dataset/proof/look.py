"""A deep look at one file: that it is what its commit says, and tells no secret; and what looks at files stand on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from odc.geo.geobox import GeoBox

from nutonic._version import __version__
from nutonic.core.globe import around
from nutonic.core.grid import transformer
from nutonic.core.model import Json
from nutonic.dataset.proof.findings import Finding, unlike
from nutonic.io.objects import Store, sha256
from nutonic.lazily import lazily
from nutonic.planning.layout import STILLS, is_overlay
from nutonic.planning.spec import BuildSpec
from nutonic.secrets import environment_secrets, holds_address_with_query, holds_opaque_value, holds_secret
from nutonic.sources.stills.picture import MOST_BYTES

#: No sidecar is larger: it holds at most so many regions of so many classes.
_LARGEST_SIDECAR = 2**24


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a deep look at a tree's files stands on, whichever process takes it."""

    store: Store
    spec: BuildSpec | None
    """What the plan's recipe comes down to; None if it cannot be told here, so that nothing is derived."""
    made_by: str
    """The version of nutonic that made the tree."""
    chip_side: int
    """Pixels along a side of a chip."""
    beside: Collection[str]
    """Paths of the files that lie beside the plan."""

    @property
    def ours(self) -> bool:
        """Whether the tree was made by this version, so that its words and encodings are known."""
        return self.made_by == __version__

    @lazily
    def secrets(self) -> tuple[bytes, ...]:
        """Values of secrets in this process' environment, which go nowhere else."""
        return tuple(value.encode() for value in environment_secrets())

    def __getstate__(self) -> Json:
        return {name: value for name, value in vars(self).items() if name != "secrets"}


class Square(NamedTuple):
    """The ground of a place."""

    poi_id: str
    split: str
    ring: np.ndarray
    """(4, 2) float64: longitude and latitude of its corners; across the antimeridian longitudes go beyond 180."""
    crs: str
    """``"EPSG:…"`` of its grid."""
    centre: tuple[float, float]
    """x and y in this CRS."""
    side: float
    """In metres."""


@dataclass(slots=True)
class Looked:
    """What came of it."""

    findings: list[Finding] = field(default_factory=list)
    squares: list[Square] = field(default_factory=list)
    """Of each place with chips."""
    damaged: set[str] = field(default_factory=set)
    """Files that are not what their commits say."""


def square_of(poi_id: str, split: str, geobox: GeoBox) -> Square:
    """The ground of a place by its grid."""
    a, (height, width) = geobox.affine, geobox.shape
    middle = (a.c + a.a * width / 2, a.f + a.e * height / 2)
    return Square(poi_id, split, _ring_of(geobox), str(geobox.crs), middle, a.a * width)


def _ring_of(geobox: GeoBox) -> np.ndarray:
    """The corners of a place's square in degrees: see :class:`Square`."""
    a, (height, width) = geobox.affine, geobox.shape
    x, y = np.array([0, width, width, 0]) * a.a + a.c, np.array([0, 0, height, height]) * a.e + a.f
    lon, lat = transformer(str(geobox.crs), "EPSG:4326").transform(x, y)
    return np.stack([around(lon, lon[0]), lat], 1)


def read_file(look: Look, looked: Looked, path: str, entry: tuple[int, str]) -> bytes | None:
    """The bytes of a committed file; None, and a finding, if they are not what was committed.

    What a listing shows is told in the words of those who compare listings, so that it is told once.
    """
    store, (size, digest) = look.store, entry
    listed = store.listed_size(path)
    if listed != size:  # it is not read: it may be of any size
        problem = unlike(listed, size)
    elif store.disk is not None and not store.is_file(path):
        problem = "cannot be read: what lies there is no file"
    elif path.startswith(("images/", "metadata/", "overlays/", f"{STILLS}/")) and size > _most_bytes(look, path):
        problem = "is larger than such a file can be"
    else:
        data = store.get(path)
        if sha256(data) == digest:
            looked.findings += secret_findings(look, path, data)
            return data
        problem = "is not what was written: its SHA-256 differs"
    looked.damaged.add(path)
    looked.findings.append(Finding(f"{path} {problem}", path=path))
    return None


def _most_bytes(look: Look, path: str) -> int:
    if path.startswith(f"{STILLS}/"):
        return MOST_BYTES
    side = look.chip_side
    if path.endswith(".json"):
        return _LARGEST_SIDECAR
    return side * (3 * side + 1) * (10 if is_overlay(path) else 2) + 2**16


def secret_findings(look: Look, path: str, data: bytes) -> Iterator[Finding]:
    """Whether a file's bytes hold something like a secret, or the value of one in this environment."""
    pictures = path.endswith(".png") or path.startswith(f"{STILLS}/")
    binary = pictures or path in look.beside  # whose text is compressed, and looked at by itself
    if not binary and (holds_secret(data) or _holds_query(look, path, data)):
        yield Finding(f"{path} holds what looks like a token or a signed URL")
    if any(value in data for value in look.secrets):
        yield Finding(f"{path} holds the value of a secret from the environment")


def _holds_query(look: Look, path: str, data: bytes) -> bool:
    """Whether an address in a file has a query that may be secret: any in a file of nutonic's, where it writes none.

    What a person wrote, in files and columns of theirs, may have queries, but none with a value that looks like a key.
    """
    harmless = look.spec.keep_query if look.spec else ()
    own = path.startswith(("metadata/", "data/", "_nutonic/")) and look.spec is not None and not look.spec.pois.keep
    return holds_address_with_query(data, harmless) if own else holds_opaque_value(data, harmless)
