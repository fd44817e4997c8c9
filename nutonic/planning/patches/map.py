"""The map of a tree of patches: an extract's elements, kept in an index beside the plan; or a server that is asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import shapely

from nutonic.core.model import Json
from nutonic.io.buckets.copies import made_as_file, read_as_file
from nutonic.io.objects import Store
from nutonic.planning.layout import META
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.pins import pin_of
from nutonic.sources.osm.extract import extent_of
from nutonic.sources.osm.index import build_index
from nutonic.sources.osm.overpass import Overpass
from nutonic.sources.osm.source import Features, extract_of, features_of

#: Bytes of an extract for each element that is drawn: of a town's.
_BYTES_OF_ELEMENT = 55


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMap:
    """An index of an extract's elements, as a plan tells of it."""

    path: str
    """In the tree."""
    sha256: str
    date: str | None
    """Of the map, an ISO day."""
    elements: int
    broken: int
    """Areas and ways that could not be drawn."""


def map_of(spec: PatchSpec, store: Store, outlines: np.ndarray) -> KeptMap | None:
    """Keep what an extract has within outlines, polygons in degrees, in the tree; None where a server is asked instead.

    Raises
    ------
    InputError
        If the extract cannot be read.
    """
    if spec.osm.source != "pbf" or spec.osm.path is None or store.root is None:
        return None
    within = shapely.union_all(outlines)
    extract = extract_of(spec.osm)
    about = [pin_of(str(extract)), hashlib.sha256(shapely.to_wkb(within)).hexdigest(), spec.digest]
    path = f"{META}/osm-{hashlib.sha256(orjson.dumps(about)).hexdigest()[:12]}.sqlite"
    with made_as_file(store, path) as file:
        info = build_index(extract, file, within=within, drops=spec.policy.drops)
        digest = _sha256(file)
    return KeptMap(
        path=path,
        sha256=digest,
        date=info.date,
        elements=info.elements,
        broken=info.broken + info.incomplete,
    )


def expected_elements(extract: Path, outlines: np.ndarray) -> int:
    """How many elements an extract may have within outlines, by its size, as if they lay evenly over what it covers."""
    whole = extent_of(extract)
    near = shapely.union_all(outlines)
    share = 1.0 if whole is None else near.intersection(shapely.box(*whole)).area / max(shapely.box(*whole).area, 1e-12)
    return round(extract.stat().st_size / _BYTES_OF_ELEMENT * min(1.0, share))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def beside(kept: KeptMap | None) -> Json:
    """What a plan's header tells of its map."""
    if kept is None:
        return {}
    told = {"path": kept.path, "sha256": kept.sha256, "date": kept.date}
    return {"osm": {**told, "elements": kept.elements, "broken": kept.broken}}


def features(spec: PatchSpec, store: Store, kept: Json | None, processes: int = 1) -> Features:
    """The map that a plan was made with; `kept` is what its header tells of an index.

    A server is asked by so many processes, each of which has its part of the requests.
    """
    index = None if kept is None or store.root is None else read_as_file(store, kept["path"], kept["sha256"])
    found = features_of(spec.osm, drops=spec.policy.drops, index=index, answers=store)
    return found.shared(processes) if isinstance(found, Overpass) else found
