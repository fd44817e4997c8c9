"""Places as other vector files (GeoPackage, Shapefile, FlatGeobuf, KML), read by GDAL through pyogrio."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import shapely

from nutonic.errors import MissingExtra, PoiError
from nutonic.planning.places.coordinates import shape_point
from nutonic.planning.places.crs import degrees_of
from nutonic.planning.places.geojson import refuse_named_coordinates
from nutonic.planning.places.names import Columns, Found
from nutonic.planning.places.rows import Row
from nutonic.recipe.inputs import Pois

#: By suffix, how a file must begin, so that GDAL cannot be led to another of its formats.
VECTOR: dict[str, tuple[bytes, ...]] = {
    ".gpkg": (b"SQLite format 3\0",),
    ".shp": (b"\x00\x00\x27\x0a",),
    ".fgb": (b"fgb",),
    ".kml": (b"<?xml", b"<kml", b"\xef\xbb\xbf<"),
    ".kmz": (b"PK",),
    ".zip": (b"PK",),
}
_SHAPEFILE = (".dbf", ".prj", ".cpg", ".shx")
_BATCH = 1 << 16


def files_of(path: str) -> list[Path]:
    """The other files of a shapefile that are there, in the order of their names; of other formats none."""
    if not path.lower().endswith(".shp"):
        return []
    beside = (Path(path).with_suffix(suffix) for suffix in sorted(_SHAPEFILE))
    return [file for file in beside if file.is_file()]


def _refuse_irregular(path: Path) -> None:
    """Raise :class:`PoiError` for a pipe or a device that GDAL would open beside a file, by its name, and wait for."""
    stem, name = f"{path.stem}.".lower(), f"{path.name}-".lower()
    beside = (entry for entry in path.absolute().parent.iterdir() if entry.name.lower().startswith((stem, name)))
    odd = next((entry for entry in beside if entry.exists() and not entry.is_file() and not entry.is_dir()), None)
    if odd is not None:
        raise PoiError(f"{odd} beside {path.name} is a pipe or a device, not a file; see pois.path")


def vector_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The rows of the one layer of a vector file; coordinates of another CRS are transformed.

    Raises
    ------
    PoiError
        If GDAL cannot read it, it has several layers, or its CRS is unknown.
    MissingExtra
        If pyogrio is not installed.
    """
    refuse_named_coordinates(pois, path, "a vector file")
    suffix = Path(path).suffix.lower()
    if not file.read(64).lstrip().startswith(VECTOR[suffix]):
        raise PoiError(f"{path} is no {suffix} file: is it another format, or cut off?")
    _refuse_irregular(Path(path))
    ogr = _pyogrio()
    if suffix == ".shp" and not any(Path(path).with_suffix(end).is_file() for end in (".shx", ".SHX")):
        raise PoiError(f"{path} lies there without its .shx: a shapefile is several files (.shp, .shx, .dbf, .prj)")
    try:
        yield from _layer_rows(ogr, _name_for_gdal(path, suffix), path, pois)
    except ogr.errors.DataSourceError as error:
        raise PoiError(f"{path} cannot be read: {_first_line(error)}") from None
    except (ogr.errors.DataLayerError, ogr.errors.GeometryError, ogr.errors.FieldError, zipfile.BadZipFile) as error:
        raise PoiError(f"{path} holds nothing that can be read: {_first_line(error)}") from None


def _pyogrio() -> Any:
    try:
        import pyogrio.errors
        import pyogrio.raw
    except ImportError:
        raise MissingExtra("this kind of places file needs a package: pip install 'nutonic[vector]'") from None
    return pyogrio


def _name_for_gdal(path: str, suffix: str) -> str:
    """The path as GDAL takes it; of a zip the one shapefile in it."""
    name = str(Path(path).absolute())
    if suffix != ".zip":
        return name
    with zipfile.ZipFile(path) as archive:
        inside = [info for info in archive.infolist() if info.filename.lower().endswith(".shp")]
        if len(inside) != 1:
            raise PoiError(f"{path} holds {len(inside)} shapefiles: a zip of places holds one")
        with archive.open(inside[0]) as content:
            if not content.read(4).startswith(VECTOR[".shp"]):
                raise PoiError(f"{path}: {inside[0].filename} is no shapefile")
    return f"/vsizip/{{{name}}}/{inside[0].filename}"


def _layer_rows(ogr: Any, name: str, path: str, pois: Pois) -> Iterator[Row]:
    layers = [str(layer) for layer, kind in ogr.list_layers(name) if kind is not None]
    folders = name.lower().endswith((".kml", ".kmz"))  # of one set of places, each of which GDAL calls a layer
    if not layers or (len(layers) > 1 and not folders):
        said = f"{len(layers)} layers of geometries ({', '.join(layers[:8])})" if layers else "no layer of geometries"
        raise PoiError(f"{path} has {said}: write the one with the places to a file of its own, with ogr2ogr")
    options = {"IMMUTABLE": "YES"} if name.lower().endswith(".gpkg") else {}  # no -wal file beside a user's own
    infos = [ogr.read_info(name, layer=layer, **options) for layer in layers]
    columns = Columns(pois, path, geometry=True)
    every = [[str(field) for field in info["fields"]] for info in infos]
    found = [columns.find(names) for names in every]
    if error := columns.missing(found, list(dict.fromkeys(itertools.chain(*every))), "its columns are"):
        raise error
    numbers = itertools.count(1)
    for layer, info, names, of in zip(layers, infos, every, found, strict=True):
        needed = [names[at] for at in (of.id, *of.keep) if at is not None]
        reading = {"layer": layer, "columns": list(dict.fromkeys(needed)), "max_features": pois.limit, **options}
        meta, _, wkb, fields = ogr.raw.read(name, **reading)
        values = dict(zip(meta["fields"], fields, strict=True))
        places = zip(_points(wkb, _to_degrees(info["crs"], path)), *_cells(values, names, of), strict=False)
        for point, own_id, keep in places:
            yield Row(next(numbers), own_id, *point[:2], keep, point[2])


def _cells(values: dict[str, Any], names: list[str], found: Found) -> tuple[Any, Any]:
    """Ids and kept values, place by place."""
    own_id, *keep = (repeat(None) if at is None else values[names[at]].tolist() for at in (found.id, *found.keep))
    return own_id, zip(*keep, strict=False) if keep else repeat(())


def _points(wkb: np.ndarray, to_degrees: Any) -> Iterator[tuple[Any, Any, Any]]:
    for at in range(0, len(wkb), _BATCH):
        shapes = shapely.from_wkb(wkb[at : at + _BATCH], on_invalid="ignore")
        for shape in shapes:
            x, y, wrong = shape_point(shape)
            yield (x, y, wrong) if wrong or to_degrees is None else (*to_degrees(x, y), None)


def _to_degrees(crs: object, path: str) -> Any:
    if crs is None:
        raise PoiError(f"{path} does not say which CRS its points are in: write it with one, such as EPSG:4326")
    try:
        return degrees_of(crs)
    except ValueError as error:
        raise PoiError(f"{path}: {error}: reproject it, for instance with ogr2ogr -t_srs EPSG:4326") from None


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
