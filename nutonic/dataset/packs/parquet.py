"""Rows as Parquet with their pictures inside, as the Hub likes it: shown there whole, and loaded in one line.

A row stands for itself, so each has its pictures. Rows of one chip follow each other, and within a row group each picture is
written once, as an entry of the column's dictionary: eighteen rows of a chip take the space of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from nutonic.core.model import Json
from nutonic.core.times import parse_moment
from nutonic.dataset.catalogue.cells import CELLS, packages_of
from nutonic.dataset.catalogue.entries import fraction_columns, fractions
from nutonic.dataset.packs.boxes import AS_BUILT, BoxForm, with_boxes
from nutonic.dataset.packs.croissant import CROISSANT, Extent, croissant
from nutonic.dataset.packs.forms import Loading, Put, Shards, config_of, refuse_unknown
from nutonic.dataset.packs.shards import Sample, Shard
from nutonic.dataset.packs.tree import TreeFacts

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of a row group: what the Hub's viewer reads at once.
_GROUP_ROWS = 100

#: Bytes of different pictures in a row group, at most, unless one row has more.
_GROUP_BYTES = 64 * 2**20

#: Of a column's dictionary: larger than all pictures of a row group.
_DICTIONARY = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parquet:
    """``data/train-00000-of-00012.parquet``."""

    name: str = "parquet"
    boxes: BoxForm = AS_BUILT
    cells: str = "utm"

    def options(self) -> Json:
        """How boxes are written, and cells named."""
        return {"boxes": self.boxes.name, "cells": self.cells}

    def needs(self) -> tuple[str, ...]:
        """What writes Parquet, and names cells."""
        return ("pyarrow", *packages_of(self.cells))

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """One file."""
        extent = Extent()

        def rows() -> Iterator[Json]:
            for sample in samples:
                extent.add(sample.sidecar)
                yield self._row(sample, facts)

        put(f"data/{shard.name}.parquet", file_of(rows(), schema_of(facts)))
        return {"extent": extent.json()}

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """What they are, for those who read Croissant; the files themselves say the rest."""
        put(CROISSANT, croissant(shards, facts))

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """By the Hub's configurations, in one line."""
        return Loading(
            configs=config_of(shards, "data/{split}-*.parquet"),
            layout="- `data/*.parquet`: rows with their pictures (`images`) and `messages`, and columns to choose by\n"
            "- `croissant.json`: all of this as Croissant, with the terms of GeoCroissant",
            code=_CODE.format(split=shards.splits[0]),
            viewer=True,
        )

    def _row(self, sample: Sample, facts: TreeFacts) -> Json:
        refuse_unknown(sample.row)
        row, sidecar = with_boxes(sample, self.boxes), sample.sidecar
        lon, lat = sidecar["longitude"], sidecar["latitude"]
        chosen = {"options": row["options"], "answer_id": row["answer_id"]} if facts.choices else {}
        when = sidecar["imagery"]["datetime"]
        return {
            "id": row["id"],
            "task": row["task"],
            "split": sample.split,
            **{name: row[name] for name in _about(facts)},
            "images": [{"bytes": picture.data, "path": picture.path} for picture in sample.pictures],
            "messages": [bare(message) for message in row["messages"]],
            **chosen,
            "lon": lon,
            "lat": lat,
            "datetime": None if when is None else parse_moment(when),
            "cell": CELLS[self.cells](lon, lat),
            "item_id": sidecar["imagery"]["item_id"],
            **fractions(sidecar, facts.table),
        }


_CODE = """```python
from datasets import load_dataset

dataset = load_dataset("/path/to/this/folder")  # or "OWNER/NAME" on the Hub
row = dataset["{split}"][0]
print(row["images"][0].size, row["messages"])
```
"""


def bare(message: Json) -> Json:
    """A message whose parts are all of one shape; of a picture it has only the place, since `images` has the picture."""
    parts = [{"type": part["type"], "text": part.get("text")} for part in message["content"]]
    return {"role": message["role"], "content": parts}


def _about(facts: TreeFacts) -> tuple[str, str]:
    """Keys of a row that say what it is about."""
    return ("patch_id", "annotator") if facts.patches else ("poi_id", "tile_id")


def schema_of(facts: TreeFacts) -> pa.Schema:
    """Columns of a tree's rows, with the features that `datasets` 3.6 and later read."""
    import pyarrow as pa

    columns = list(_columns(facts))
    features = {name: feature for name, _, feature in columns}
    about = orjson.dumps({"info": {"features": features}})
    return pa.schema([(name, kind) for name, kind, _ in columns], metadata={"huggingface": about})


def _columns(facts: TreeFacts) -> Iterator[tuple[str, pa.DataType, Any]]:
    """Name, type and feature of each column. A list with one feature is a list of it to all versions of `datasets`."""
    import pyarrow as pa

    def value(name: str) -> Json:
        return {"dtype": name, "_type": "Value"}

    text, number = (pa.string(), value("string")), (pa.float64(), value("float64"))
    part = pa.struct([("type", pa.string()), ("text", pa.string())])
    message = pa.struct([("role", pa.string()), ("content", pa.list_(part))])
    parts = {"role": value("string"), "content": [{"type": value("string"), "text": value("string")}]}
    for name in ("id", "task", "split", *_about(facts)):
        yield name, *text
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    yield "images", pa.list_(picture), [{"_type": "Image"}]
    yield "messages", pa.list_(message), [parts]
    if facts.choices:
        yield "options", pa.list_(pa.string()), [value("string")]
        yield "answer_id", pa.int64(), value("int64")
    yield "lon", *number
    yield "lat", *number
    yield "datetime", pa.timestamp("us", "UTC"), value("timestamp[us, tz=UTC]")
    yield "cell", *text
    yield "item_id", *text
    for name in fraction_columns(facts.table).values():
        yield name, *number


class _Sink:
    """A file that is given away piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        return len(self.pieces[-1])

    def taken(self) -> list[bytes]:
        pieces, self.pieces = self.pieces, []
        return pieces

    def flush(self) -> None:
        """There is nothing to wait for."""


def file_of(rows: Iterable[Json], schema: pa.Schema) -> Iterator[bytes]:
    """A Parquet file in pieces: no more than a row group is held."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = _Sink()
    packed = dict.fromkeys(_leaves(schema), "zstd")
    packed |= {name: "none" for name in packed if name == "images.list.element.bytes"}
    with pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"),
        schema,
        compression=packed,
        dictionary_pagesize_limit=_DICTIONARY,
        write_page_index=True,
        use_content_defined_chunking=True,
    ) as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema), row_group_size=len(group))
            yield from sink.taken()
    yield from sink.taken()


def _leaves(schema: pa.Schema) -> list[str]:
    """Paths of columns as Parquet counts them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_metadata(schema, buffer)
    file = pq.read_metadata(pa.BufferReader(buffer.getvalue()))
    return [file.schema.column(i).path for i in range(len(file.schema))]


def _groups(rows: Iterable[Json]) -> Iterator[list[Json]]:
    group, held, paths = list[Json](), 0, set[str]()
    for row in rows:
        shown = row.get("images", ())
        new = {image["path"]: len(image["bytes"]) for image in shown if image["path"] not in paths}
        if group and (len(group) == _GROUP_ROWS or held + sum(new.values()) > _GROUP_BYTES):
            yield group
            group, held, paths = [], 0, set()
            new = {image["path"]: len(image["bytes"]) for image in shown}
        group.append(row)
        held += sum(new.values())
        paths |= set(new)
    if group:
        yield group
