"""``croissant.json``: what a pack in Parquet holds, as Croissant 1.1 with the terms of GeoCroissant 1.0.

It is about this folder: paths are relative to it. Nothing in it is a clock's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from nutonic.core.model import Json
from nutonic.dataset.catalogue.entries import fraction_columns, slug
from nutonic.dataset.packs.forms import Shards
from nutonic.dataset.packs.tree import TreeFacts

#: Where the file lies in a pack.
CROISSANT = "croissant.json"

#: The vocabularies, by the names that are used below: Croissant's own context, and GeoCroissant's name beside it.
_CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "geocr": "http://mlcommons.org/croissant/geo/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/geo/1.0"]

_TEXT, _NUMBER, _WHOLE, _TIME = "sc:Text", "cr:Float64", "cr:Int64", "sc:DateTime"


def croissant(shards: Shards, facts: TreeFacts) -> bytes:
    """The description of a pack in Parquet.

    Parameters
    ----------
    shards
        Those of the pack, whose records tell `box`, `days`, `crs` and `metres` of their rows; see :class:`Extent`.
    facts
        The tree's.
    """
    extent = Extent.of(record.form_facts["extent"] for record in shards.records)
    about: Json = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": slug(facts.name),
        "alternateName": facts.name,
        "description": f"Pictures of places on Earth with questions and answers, and with captions: {facts.name}.",
        "conformsTo": _CONFORMS,
        "version": "1.0.0",
        **({"license": facts.licence} if facts.licence else {}),
        **extent.terms(),
        "distribution": list(_files(shards)),
        "recordSet": [{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": list(_fields(facts))}],
    }
    return orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class Extent:
    """Where and when the pictures of rows are, and how large their pixels."""

    def __init__(self) -> None:
        self.box: list[float] | None = None
        self.days: list[str] | None = None
        self.crs, self.metres = set[str](), set[float]()

    def add(self, sidecar: Json) -> None:
        """Take in a row's chip."""
        lon, lat, when = sidecar["longitude"], sidecar["latitude"], sidecar["imagery"]["datetime"]
        self._take([lon, lat, lon, lat], None if when is None else [when[:10], when[:10]])
        self.crs.add(sidecar["grid"]["crs"])
        self.metres.add(abs(float(sidecar["grid"]["transform"][0])))

    @classmethod
    def of(cls, told: Iterable[Json]) -> Extent:
        """What several tell together."""
        whole = cls()
        for one in told:
            whole._take(one["box"], one["days"])
            whole.crs |= set(one["crs"])
            whole.metres |= set(one["metres"])
        return whole

    def _take(self, box: list[float], days: list[str] | None) -> None:
        mine = self.box or box
        self.box = [*map(min, mine[:2], box[:2]), *map(max, mine[2:], box[2:])]
        if days is not None:
            own = self.days or days
            self.days = [min(own[0], days[0]), max(own[1], days[1])]

    def json(self) -> Json:
        """As a record of a shard keeps it."""
        return {"box": self.box, "days": self.days, "crs": sorted(self.crs), "metres": sorted(self.metres)}

    def terms(self) -> Json:
        """As schema.org and GeoCroissant have it: the box is of the chips' middles, south and west first."""
        assert self.box is not None, "a pack has rows"
        west, south, east, north = self.box
        crs, metres = sorted(self.crs), sorted(self.metres)
        resolution: Any = {"@type": "QuantitativeValue", "value": metres[0], "unitText": "m"}
        return {
            "spatialCoverage": {
                "@type": "Place",
                "geo": {"@type": "GeoShape", "box": f"{south} {west} {north} {east}"},
            },
            **({"temporalCoverage": "/".join(self.days)} if self.days is not None else {}),
            "geocr:coordinateReferenceSystem": ", ".join(crs),
            "geocr:spatialResolution": resolution if len(metres) == 1 else f"{metres[0]:g} to {metres[-1]:g} m",
            "geocr:bandConfiguration": {
                "@type": "geocr:BandConfiguration",
                "geocr:totalBands": 3,
                "geocr:bandNameList": ["Red", "Green", "Blue"],
            },
            "geocr:samplingStrategy": "Around places that were given, or patches of a lattice; see README.md",
        }


def _files(shards: Shards) -> Iterator[Json]:
    """Each file with its hash, and all of them as one set."""
    for record in shards.records:
        for path, (size, digest) in record.files.items():
            name = path.rsplit("/", 1)[-1]
            yield {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": path,
                "contentSize": f"{size} B",
                "encodingFormat": "application/x-parquet",
                "sha256": digest,
            }
    yield {
        "@type": "cr:FileSet",
        "@id": "parquet",
        "name": "parquet",
        "description": "All rows, a file a shard; the split is the beginning of its name, and a column.",
        "encodingFormat": "application/x-parquet",
        "includes": "data/*.parquet",
    }


def _fields(facts: TreeFacts) -> Iterator[Json]:
    """A field for each column that is a value of its own."""
    about = ("patch_id", "annotator") if facts.patches else ("poi_id", "tile_id")
    kinds = dict.fromkeys(("id", "task", "split", *about), _TEXT)
    kinds |= {"lon": _NUMBER, "lat": _NUMBER, "datetime": _TIME, "cell": _TEXT, "item_id": _TEXT}
    kinds |= dict.fromkeys(fraction_columns(facts.table).values(), _NUMBER)
    if facts.choices:
        kinds["answer_id"] = _WHOLE
    for name, kind in kinds.items():
        yield {
            "@type": "cr:Field",
            "@id": f"rows/{name}",
            "name": name,
            "dataType": kind,
            "source": {"fileSet": {"@id": "parquet"}, "extract": {"column": name}},
        }
