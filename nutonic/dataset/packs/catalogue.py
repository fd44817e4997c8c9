"""A catalogue of chips as GeoParquet 1.1: where each lies, what it shows and which split it is in, for maps and queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import orjson

from nutonic.core.model import Json
from nutonic.core.times import parse_moment
from nutonic.dataset.packs.cells import cell_of
from nutonic.dataset.packs.forms import Loading, Put, Shards
from nutonic.dataset.packs.layout import ROWS
from nutonic.dataset.packs.parquet import file_of, fraction_columns, fractions
from nutonic.dataset.packs.shards import Sample, Shard
from nutonic.dataset.packs.tree import TreeFacts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """``chips.parquet``, without pictures."""

    name: str = "geoparquet"

    def options(self) -> Json:
        """None."""
        return {}

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """A line for each chip."""
        lines = []
        for path, group in groupby(samples, key=lambda sample: sample.chip):
            found = list(group)
            entry = _entry(path, found[0].sidecar, len(found), facts)
            lines.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        put(f"{ROWS}/{shard.number:05d}-chips.jsonl", b"".join(lines))
        return {"chips": len(lines)}

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """One file of all splits."""
        put("chips.parquet", file_of(_read(shards), _schema(shards, facts)))

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """By what reads GeoParquet."""
        layout = "- `chips.parquet`: a row a chip: footprint, centre, scene, date, cloud, shares, split, cell, path"
        code = (
            '```python\nimport geopandas\n\nchips = geopandas.read_parquet("/path/to/this/folder/chips.parquet")\n```\n'
        )
        return Loading(configs=(), layout=layout, code=code)


def _entry(path: str, sidecar: Json, rows: int, facts: TreeFacts) -> Json:
    import shapely

    outline = _footprint(sidecar)
    lon, lat = sidecar["longitude"], sidecar["latitude"]
    imagery = sidecar["imagery"]
    return {
        "id": path.rsplit("/", 1)[-1].rpartition(".")[0],
        "path": path,
        "split": sidecar["split"],
        "poi_id": sidecar["poi_id"],
        "lon": lon,
        "lat": lat,
        "cell": cell_of(lon, lat),
        "collection": imagery["collection"],
        "item_id": imagery["item_id"],
        "datetime": imagery["datetime"],
        "cloud_cover": imagery["cloud_cover"],
        "crs": sidecar["grid"]["crs"],
        "rows": rows,
        **fractions(sidecar, facts),
        "bbox": dict(zip(("xmin", "ymin", "xmax", "ymax"), outline.bounds, strict=True)),
        "geometry": shapely.to_wkb(outline, hex=True),
    }


def _footprint(sidecar: Json) -> Any:
    """The chip's outline in degrees."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from nutonic.core.footprints import ground_of

    grid, window = sidecar["grid"], sidecar["window"]
    whole = GeoBox(tuple(grid["shape"]), Affine(*grid["transform"][:6]), grid["crs"])
    row, col = window["row"], window["col"]
    return ground_of(whole[row : row + window["height"], col : col + window["width"]])


def _read(shards: Shards) -> Iterator[Json]:
    for split in shards.splits:
        rest = b""
        for piece in shards.joined("-chips.jsonl", split):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                entry = orjson.loads(line)
                when = entry["datetime"]
                moment = None if when is None else parse_moment(when)
                yield {**entry, "datetime": moment, "geometry": bytes.fromhex(entry["geometry"])}


def _schema(shards: Shards, facts: TreeFacts) -> pa.Schema:
    """Columns, with what GeoParquet 1.1 says of the geometry: degrees of OGC:CRS84, its default."""
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    kinds = dict.fromkeys(("id", "path", "split", "poi_id", "cell", "collection", "item_id", "crs"), text)
    order = [
        "id",
        "path",
        "split",
        "poi_id",
        "lon",
        "lat",
        "cell",
        "collection",
        "item_id",
        "datetime",
        "cloud_cover",
        "crs",
        "rows",
    ]
    kinds |= {
        "lon": number,
        "lat": number,
        "cloud_cover": number,
        "rows": pa.int64(),
        "datetime": pa.timestamp("us", "UTC"),
    }
    columns = [(name, kinds[name]) for name in order]
    columns += [(name, number) for name in fraction_columns(facts).values()]
    sides = ("xmin", "ymin", "xmax", "ymax")
    columns += [("bbox", pa.struct([(side, number) for side in sides])), ("geometry", pa.binary())]
    boxes = [entry["bbox"] for entry in _read(shards)]
    whole = [min(box[s] for box in boxes) for s in sides[:2]] + [max(box[s] for box in boxes) for s in sides[2:]]
    about = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["MultiPolygon", "Polygon"],
                "bbox": whole,
                "covering": {"bbox": {side: ["bbox", side] for side in sides}},
            }
        },
    }
    return pa.schema(columns, metadata={"geo": orjson.dumps(about)})
