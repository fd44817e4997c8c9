"""What a catalogue says of a chip: footprint, centre, scene, date, cloud, shares of classes, split, cell and path.

The columns are those of GeoParquet 1.1, with those of STAC beside them, so that readers of STAC in Parquet find items.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson
import shapely

from nutonic.core.classes import ClassTable
from nutonic.core.globe import on_the_globe
from nutonic.core.model import Json
from nutonic.core.times import parse_moment
from nutonic.dataset.catalogue.cells import Cell

if TYPE_CHECKING:
    import pyarrow as pa

#: Of STAC that items are written in.
STAC_VERSION = "1.1.0"

SIDES = ("xmin", "ymin", "xmax", "ymax")


def entry_of(path: str, sidecar: Json, rows: int, table: ClassTable | None, cell: Cell) -> Json:
    """The entry of a chip, as JSON has it: its moment as text, its geometry as WKB in hex.

    Parameters
    ----------
    path
        Of its picture, in the dataset.
    sidecar
        What is known of the chip.
    rows
        How many rows are about it.
    table
        Its classes; None of a chip without any.
    cell
        Names its cell.
    """
    outline = footprint_of(sidecar)
    lon, lat = sidecar["longitude"], sidecar["latitude"]
    imagery = sidecar["imagery"]
    return {
        "id": path.rsplit("/", 1)[-1].rpartition(".")[0],
        "path": path,
        "split": sidecar["split"],
        "poi_id": sidecar["poi_id"],
        "lon": lon,
        "lat": lat,
        "cell": cell(lon, lat),
        "imagery_collection": imagery["collection"],
        "item_id": imagery["item_id"],
        "datetime": imagery["datetime"],
        "cloud_cover": imagery["cloud_cover"],
        "crs": sidecar["grid"]["crs"],
        "rows": rows,
        **fractions(sidecar, table),
        "bbox": dict(zip(SIDES, bounds_of(outline), strict=True)),
        "geometry": shapely.to_wkb(outline, hex=True),
    }


def footprint_of(sidecar: Json) -> Any:
    """The chip's outline in degrees; one that crosses 180° is in two parts."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from nutonic.core.footprints import ground_of

    grid, window = sidecar["grid"], sidecar["window"]
    whole = GeoBox(tuple(grid["shape"]), Affine(*grid["transform"][:6]), grid["crs"])
    row, col = window["row"], window["col"]
    outline = ground_of(whole[row : row + window["height"], col : col + window["width"]])
    west, _, east, _ = outline.bounds
    if west >= -180.0 and east <= 180.0:
        return outline
    parts = [part for piece in on_the_globe(outline) for part in shapely.get_parts(piece)]
    return shapely.multipolygons([part for part in parts if part.area > 0])


def bounds_of(outline: Any) -> tuple[float, float, float, float]:
    """West, south, east and north; of an outline in two parts at 180°, west is greater than east, as RFC 7946 has it."""
    west, south, east, north = outline.bounds
    parts = [part.bounds for part in shapely.get_parts(outline)]
    if len(parts) > 1 and west <= -180.0 and east >= 180.0:
        west = min(part[0] for part in parts if part[2] > 0)
        east = max(part[2] for part in parts if part[2] <= 0)
    return west, south, east, north


def fractions(sidecar: Json, table: ClassTable | None) -> dict[str, float]:
    """Shares of all classes of a table, by the name of their column; 0 of those that are not there."""
    found = sidecar["class_fractions"]
    return {name: found.get(str(class_id), 0.0) for class_id, name in fraction_columns(table).items()}


def fraction_columns(table: ClassTable | None) -> dict[int, str]:
    """Names of columns by class id, such as ``fraction_water``, in the letters of the class's own script.

    The class id is at the end where two would be the same, or where a name has no letter.
    """
    if table is None:
        return {}
    labels = {number: label for number, label in sorted(table.labels.items()) if number != table.unknown}
    names = {number: _column(label) for number, label in labels.items()}
    often = Counter([*names.values(), *map(str, names)])
    return {number: f"fraction_{name if name and often[name] == 1 else number}" for number, name in names.items()}


def _column(label: str) -> str:
    """A label as a name of a column: letters and digits of any script with their marks, and ``_``."""
    kept = (
        letter if unicodedata.category(letter)[0] in "LMN" else " "
        for letter in unicodedata.normalize("NFC", label.lower())
    )
    return "_".join("".join(kept).split())


def slug(label: str) -> str:
    """A name as identifiers have it: letters of ASCII, digits and ``_``.

    >>> slug("Built-up area / urban")
    'built_up_area_urban'
    """
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def record_of(entry: Json) -> Json:
    """An entry as a record of a table: with moment and bytes, and what STAC has beside them."""
    when = entry["datetime"]
    picture = {"href": entry["path"], "type": media_type(entry["path"]), "roles": ["data"]}
    return {
        **entry,
        "datetime": None if when is None else parse_moment(when),
        "geometry": bytes.fromhex(entry["geometry"]),
        "stac_version": STAC_VERSION,
        "stac_extensions": [],
        "links": [],
        "assets": {"image": picture},
    }


def media_type(path: str) -> str:
    """Of a picture, by its name."""
    return "image/png" if path.endswith(".png") else "image/jpeg"


def whole_box(boxes: Iterable[Json]) -> list[float]:
    """What holds all of some boxes; all longitudes, where one of them crosses 180°."""
    west, south, east, north = 180.0, 90.0, -180.0, -90.0
    for box in boxes:
        across = box["xmin"] > box["xmax"]
        west, east = min(west, -180.0 if across else box["xmin"]), max(east, 180.0 if across else box["xmax"])
        south, north = min(south, box["ymin"]), max(north, box["ymax"])
    return [west, south, east, north]


def schema_of(table: ClassTable | None, bbox: list[float]) -> pa.Schema:
    """Columns, with what GeoParquet 1.1 says of the geometry: degrees of OGC:CRS84, its default."""
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    columns: list[tuple[str, Any]] = [(name, text) for name in ("id", "path", "split", "poi_id")]
    columns += [("lon", number), ("lat", number)]
    columns += [(name, text) for name in ("cell", "imagery_collection", "item_id")]
    columns += [("datetime", pa.timestamp("us", "UTC")), ("cloud_cover", number), ("crs", text), ("rows", pa.int64())]
    columns += [(name, number) for name in fraction_columns(table).values()]
    columns += [("bbox", pa.struct([(side, number) for side in SIDES])), ("geometry", pa.binary())]
    picture = pa.struct([("href", text), ("type", text), ("roles", pa.list_(text))])
    link = pa.struct([("href", text), ("rel", text), ("type", text), ("title", text)])
    columns += [("stac_version", text), ("stac_extensions", pa.list_(text)), ("links", pa.list_(link))]
    columns += [("assets", pa.struct([("image", picture)]))]
    about = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["MultiPolygon", "Polygon"],
                "bbox": bbox,
                "covering": {"bbox": {side: ["bbox", side] for side in SIDES}},
            }
        },
    }
    return pa.schema(columns, metadata={"geo": orjson.dumps(about)})


def table_of(entries: Iterable[Json], classes: ClassTable | None) -> Any:
    """Entries as a table: a GeoDataFrame where geopandas is installed, else a table of pyarrow."""
    import pyarrow as pa

    records = [record_of(entry) for entry in entries]
    table = pa.Table.from_pylist(records, schema_of(classes, whole_box(record["bbox"] for record in records)))
    try:
        import geopandas
    except ImportError:
        return table
    geometry = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    frame = table.drop_columns(["geometry", "stac_version", "stac_extensions", "links", "assets"]).to_pandas()
    return geopandas.GeoDataFrame(frame, geometry=geometry, crs="OGC:CRS84")
