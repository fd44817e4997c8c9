"""A person's own rasters as STAC items, so that they can be imagery like any catalogue's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import shapely
from odc.geo.geobox import GeoBox

from nutonic.core.footprints import ground_of
from nutonic.core.globe import east_of
from nutonic.core.grid import UTM_NORTH, UTM_SOUTH, crs_name, is_metric, unlike_a_map, utm_epsg
from nutonic.core.model import Json
from nutonic.core.times import Interval, utc_text
from nutonic.core.units import counted
from nutonic.errors import InputError, ReadFailed
from nutonic.inert import inert, unseen
from nutonic.io import raster as rasters
from nutonic.io.files import real_path
from nutonic.recipe.outputs import Grid
from nutonic.sources.rasters.paths import pieces_of

#: What the one asset of each item is called.
ASSET = "image"


def catalogue_of(paths: Sequence[str], datetime: str, folder: Path, collection: str) -> Json:
    """Rasters as an ItemCollection.

    Parameters
    ----------
    paths
        Of GeoTIFFs or JPEG 2000, folders or globs of these. Each file is an item, its bands those of one asset, ``image``.
    datetime
        When they were taken: a day, or a time; it is that of all of them.
    folder
        Where the catalogue will lie: hrefs are relative to it, where the files lie in it or below.
    collection
        What the collection is called.

    Raises
    ------
    InputError
        If a file does not say where its pixels lie, is a VRT, or two of them would have one id; if no grid can have its
        pixels, as where they are degrees wide or turned; and of `datetime`.
    """
    try:
        moment = utc_text(Interval.parse(datetime).start)
    except ValueError as error:
        raise InputError(f"{error}; see --datetime") from None
    items = [_item(path, moment, folder, collection) for path in _files(paths)]
    names = [item["id"] for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two of the files are called {twice}: rename one, or write a catalogue for each")
    return {"type": "FeatureCollection", "features": sorted(items, key=lambda item: str(item["id"]))}


def _files(paths: Sequence[str]) -> list[str]:
    try:
        pieces = pieces_of(tuple(paths))
    except InputError as error:
        raise InputError(str(error).replace("; see labels.path", "")) from None
    odd = next((piece for piece in pieces if piece.placement is not None or piece.is_remote), None)
    if odd is not None:
        raise InputError(f"{inert(odd.href)} is no file with pixels of its own here: name GeoTIFFs on this disk")
    strange = next((piece.href for piece in pieces if unseen(piece.href) is not None or "\n" in piece.href), None)
    if strange is not None:  # no recipe, no catalogue and no reader of either could name it
        raise InputError(f"{inert(strange)} has characters in its name that are not seen, or are none: rename it")
    return [piece.href for piece in pieces]


def _item(path: str, moment: str, folder: Path, collection: str) -> Json:
    try:
        header = rasters.header(path)
    except ReadFailed as error:
        raise InputError(f"{error}: name GeoTIFFs, or other rasters that GDAL reads") from None
    grid = GeoBox(header.shape, header.transform, header.crs)
    outline = ground_of(grid)
    _refuse_unfit(path, grid, outline)
    west, south, east, north = outline.bounds
    code = {"proj:code": header.crs} if header.crs.startswith("EPSG:") else {}
    asset = {
        "href": _relative(path, folder),
        "type": "image/tiff; application=geotiff",
        "roles": ["data"],
        "bands": [{"name": name or str(number), **_common(name)} for number, name in enumerate(header.names, 1)],
        **code,
        "proj:shape": list(header.shape),
        "proj:transform": list(header.transform)[:6],
    }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": Path(path).stem,
        "collection": collection,
        "geometry": shapely.geometry.mapping(outline),
        "bbox": [west, south, east, north],
        "properties": {"datetime": moment, "eo:cloud_cover": 0.0},
        "links": [],
        "assets": {ASSET: asset},
    }


def _refuse_unfit(path: str, grid: GeoBox, outline: shapely.Geometry) -> None:
    """Raise :class:`InputError` for a file whose pixels no grid of a recipe can have, and say what makes it one."""
    if not is_metric(crs_name(grid)):
        west, south, east, north = outline.bounds
        zone = utm_epsg(east_of((west + east) / 2), min(max((south + north) / 2, UTM_SOUTH), UTM_NORTH))
        raise InputError(
            f"{inert(path)} is in {' '.join(crs_name(grid).split()):.60}, whose unit is not the metre, so that no grid has "
            f"its pixels: warp it first, such as by gdalwarp -t_srs EPSG:{zone}"
        )
    if problem := unlike_a_map(grid.affine):
        raise InputError(f"{inert(path)} {problem}")
    try:
        Grid(resolution_m=grid.affine.a)
    except ValueError:
        raise InputError(
            f"{inert(path)} has pixels of {grid.affine.a:g} m, grid.resolution_m takes 0.01 to 10000"
        ) from None


def _common(name: str) -> Json:
    return {"common_name": name} if name in ("red", "green", "blue") else {}


def _relative(path: str, folder: Path) -> str:
    """A path that stays true where catalogue and files are moved together."""
    file, home = real_path(path), real_path(folder)
    return f"./{file.relative_to(home).as_posix()}" if file.is_relative_to(home) else str(Path(path).absolute())


def shown_as(items: Json) -> str:
    """What a recipe says to show these items: the parts ``assets`` and ``grid``, as lines of YAML.

    Of files with bands called red, green and blue nothing need be said; of others the first three, to be changed. Where
    files differ, it is that of most, and a comment says how many have what else.
    """
    assets = [item["assets"][ASSET] for item in items["features"]]
    (names, _), *other_names = Counter(tuple(band["name"] for band in asset["bands"]) for asset in assets).most_common()
    (size, _), *others = Counter(f"{asset['proj:transform'][0]:.10g}" for asset in assets).most_common()
    named = all(colour in names for colour in ("red", "green", "blue"))
    numbers = [names.index(colour) + 1 for colour in ("red", "green", "blue")] if named else [1, 2, 3]
    bands = ", ".join(f"{{asset: {ASSET}, band: {number}}}" for number in numbers[: len(names)])
    lines = [f"  assets: [{bands}]"]
    lines += [f"  # {_items(count)} other bands: {inert(', '.join(each))}" for each, count in other_names]
    lines += [f"grid: {{resolution_m: {size}, lattice: source, extent_m: …}}"]
    lines += [f"# {_items(count)} pixels of {each} m, and a grid has one size" for each, count in others]
    return "\n".join(lines)


def _items(count: int) -> str:
    return counted(count, "item has", "items have")
