"""Catalogues of chips: where each lies, what it shows and which split it is in, for maps, queries and catalogues of others.

Three forms: GeoParquet, one file of GeoJSON, and a static STAC catalogue with its pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson
import shapely

from nutonic.core.model import Json
from nutonic.dataset.catalogue.cells import CELLS, packages_of
from nutonic.dataset.catalogue.entries import (
    SIDES,
    STAC_VERSION,
    entry_of,
    media_type,
    record_of,
    schema_of,
    slug,
    whole_box,
)
from nutonic.dataset.packs.forms import Loading, Put, Shards
from nutonic.dataset.packs.layout import ROWS
from nutonic.dataset.packs.parquet import file_of
from nutonic.dataset.packs.shards import Sample, Shard
from nutonic.dataset.packs.tree import TreeFacts

#: All items of a static catalogue as STAC in Parquet: of JSON a reader would have to guess what each column is.
ITEMS = "items.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """``chips.parquet`` or ``chips.geojson``, without pictures; or ``collection.json`` with its items and pictures."""

    name: str
    cells: str = "utm"
    """How cells are named: one of :data:`~nutonic.dataset.catalogue.cells.CELLS`."""

    def options(self) -> Json:
        """How cells are named."""
        return {"cells": self.cells}

    def needs(self) -> tuple[str, ...]:
        """What names cells: a shard's entries are lines of JSON, of which a table is made once all are there."""
        return packages_of(self.cells)

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """A line for each chip; of STAC its item and its picture too."""
        lines = []
        for path, group in groupby(samples, key=lambda sample: sample.chip):
            found = list(group)
            entry = entry_of(path, found[0].sidecar, len(found), facts.table, CELLS[self.cells])
            if self.name == "stac":
                pictures = {picture.path: picture.data for sample in found for picture in sample.pictures}
                if path in pictures:
                    put(path, pictures[path])
                put(_item_path(path), orjson.dumps(_item(entry, slug(facts.name), shown=path in pictures)))
            lines.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        put(f"{ROWS}/{shard.number:05d}-chips.jsonl", b"".join(lines))
        return {"chips": len(lines)}

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """One file of all splits."""
        if self.name == "geojson":
            put("chips.geojson", _geojson(shards))
        elif self.name == "stac":
            put("collection.json", _collection(shards, facts))
            put(ITEMS, _table(shards, facts))
        else:
            put("chips.parquet", _table(shards, facts))

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """By what reads such files.

        One file has the chips of all splits, which stand in a column: to `datasets` it is a split of its own, ``chips``.
        Of GeoJSON `datasets` knows nothing; it is named, so that no other file is taken for the data.
        """
        path, code = _LOADED[self.name]
        layout = f"- `{path}`: each chip with footprint, centre, scene, date, cloud, shares, split, cell, path"
        if self.name == "stac":
            layout += f"\n- `{ITEMS}`: all items in one table"
        table = ITEMS if self.name == "stac" else path
        files = [{"split": "chips", "path": table}]
        configs = ({"config_name": "default", "data_files": files},)
        return Loading(configs=configs, layout=layout, code=f"```python\n{code}\n```\n", of_chips=True)


_LOADED = {
    "geoparquet": (
        "chips.parquet",
        'import geopandas\n\nchips = geopandas.read_parquet("/path/to/this/folder/chips.parquet")',
    ),
    "geojson": (
        "chips.geojson",
        'import geopandas\n\nfile = "/path/to/this/folder/chips.geojson"\nchips = geopandas.read_file(file)\n'
        "# with datasets, which does not know the ending: "
        'load_dataset("json", data_files={"chips": file}, field="features")',
    ),
    "stac": (
        "collection.json",
        'import pystac\n\nitems = pystac.Collection.from_file("/path/to/this/folder/collection.json").get_items()',
    ),
}


def _read(shards: Shards) -> Iterator[Json]:
    """The entries of all splits."""
    for split in shards.splits:
        rest = b""
        for piece in shards.joined("-chips.jsonl", split):
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(orjson.loads, lines)


def _table(shards: Shards, facts: TreeFacts) -> Iterator[bytes]:
    """The chips as GeoParquet."""
    box = whole_box(entry["bbox"] for entry in _read(shards))
    yield from file_of(map(record_of, _read(shards)), schema_of(facts.table, box))


def _geometry(entry: Json) -> Json:
    return dict(shapely.from_wkb(entry["geometry"]).__geo_interface__)


def _properties(entry: Json) -> Json:
    return {key: value for key, value in entry.items() if key not in ("id", "bbox", "geometry")}


def _geojson(shards: Shards) -> Iterator[bytes]:
    """A feature a line, so that tools for lines have something to read too."""
    yield b'{"type":"FeatureCollection","features":[\n'
    for number, entry in enumerate(_read(shards)):
        feature = {"type": "Feature", "id": entry["id"], "bbox": _bbox(entry), "geometry": _geometry(entry)}
        line = orjson.dumps({**feature, "properties": {"id": entry["id"], **_properties(entry)}})
        yield line if number == 0 else b",\n" + line
    yield b"\n]}\n"


def _bbox(entry: Json) -> list[float]:
    return [entry["bbox"][side] for side in SIDES]


def _item_path(path: str) -> str:
    """Where the item of a chip lies: beside those of its folder."""
    return f"items/{path.removeprefix('images/').rpartition('.')[0]}.json"


def _item(entry: Json, collection: str, *, shown: bool) -> Json:
    """A STAC item; a chip that no row shows has no picture here."""
    up = "../" * (_item_path(entry["path"]).count("/"))
    links = [
        {"rel": rel, "href": f"{up}collection.json", "type": "application/json"}
        for rel in ("root", "parent", "collection")
    ]
    picture = {"href": up + entry["path"], "type": media_type(entry["path"]), "roles": ["data"]}
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [],
        "id": entry["id"],
        "collection": collection,
        "bbox": _bbox(entry),
        "geometry": _geometry(entry),
        "properties": _properties(entry),
        "links": links,
        "assets": {"image": picture} if shown else {},
    }


_PARQUET = "application/vnd.apache.parquet"


def _collection(shards: Shards, facts: TreeFacts) -> Iterator[bytes]:
    """The collection of all items, its links one by one."""
    times = sorted({entry["datetime"] for entry in _read(shards) if entry["datetime"]} or {None})
    box = whole_box(entry["bbox"] for entry in _read(shards))
    about: Json = {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [],
        "id": slug(facts.name),
        "title": facts.name,
        "description": f"The chips of {facts.name}",
        "license": facts.licence or "other",
        "assets": {"items": {"href": f"./{ITEMS}", "type": _PARQUET, "roles": ["collection-mirror"]}},
        "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [[times[0], times[-1]]]}},
    }
    yield orjson.dumps(about)[:-1] + b',"links":[\n'
    yield orjson.dumps({"rel": "root", "href": "./collection.json", "type": "application/json"})
    for entry in _read(shards):
        link: dict[str, Any] = {"rel": "item", "href": f"./{_item_path(entry['path'])}", "type": "application/geo+json"}
        yield b",\n" + orjson.dumps(link)
    yield b"\n]}\n"
