"""Cubes as Zarr: their metadata, where a chunk's file lies, how a task writes it, and which files are a cube's."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

import numpy as np
import orjson
import xarray as xr

from nutonic.core.encoding import digital_numbers, own_geobox, with_own_transform
from nutonic.core.model import Json
from nutonic.errors import InputError, NotNutonic
from nutonic.io.atomic import disk_errors
from nutonic.io.buckets.within import CUBE_MARKER, CUBE_MARKER_BYTES
from nutonic.io.objects import Store

#: How the names end of an unfinished cube, of a cube that is being replaced, and of the lock of both.
CUBE_PARTIAL, CUBE_REPLACED, CUBE_LOCK = ".nutonic-partial", ".nutonic-replaced", ".nutonic-lock"

#: The attribute that tells the order of a saved cube's variables; Zarr has none.
ORDER = "nutonic_variables"

#: The largest side of a chunk, in pixels. Larger tiles are shards of several chunks.
INNER = 512

#: The GeoZarr conventions that a cube follows, in their own words: zarr-conventions/geo-proj and /spatial, v1.
_CONVENTIONS = [
    {
        "uuid": uuid,
        "name": f"{name}:",
        "description": description,
        "schema_url": f"https://raw.githubusercontent.com/zarr-conventions/{where}/refs/tags/v1/schema.json",
        "spec_url": f"https://github.com/zarr-conventions/{where}/blob/v1/README.md",
    }
    for uuid, name, where, description in (
        ("f17cb550-5864-4468-aeb7-f3180cfb622f", "proj", "geo-proj", "Coordinate reference system information"),
        ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "spatial", "spatial", "Spatial coordinate information"),
    )
]

#: How attributes begin that are of a file, and are told anew of each: where its pixels lie, and whose it is.
_OF_FILES = ("zarr_conventions", "proj:", "spatial:", "Conventions", "nutonic_cube")

Chunk = tuple[str, tuple[int, ...]]

#: The files by which a cube's other files are known. They are removed last, in this order.
_LAST = ("zarr.json", CUBE_MARKER)

#: The name of a chunk's file that a killed writer of zarr's left behind.
_TEMPORARY = re.compile(r"(?P<name>.+)\.[0-9a-f]{32}\.partial")

#: What may lie in a copy of a cube's metadata, its loaded variables included.
_BEGUN = re.compile(r"nutonic\.json|zarr\.json|[^/]+(/zarr\.json|/c(/\d+)*)?")


def prepare_cube(cube: xr.Dataset) -> xr.Dataset:
    """A cube ready to be written: with nodata, and time in whole microseconds, in its encoding, and its own transform."""
    cube = in_order(with_own_transform(digital_numbers(cube)))
    told = {key: "".join(value) if isinstance(value, str) else value for key, value in cube.attrs.items()}
    cube = cube.copy(deep=False)
    cube.attrs = {key: value for key, value in told.items() if not key.startswith(_OF_FILES)}
    lazy = {name: coordinate.compute() for name, coordinate in cube.coords.items() if coordinate.chunks is not None}
    prepared = cube.assign_coords(lazy).copy()
    for name, variable in prepared.variables.items():
        variable.encoding = {}
        nodata = variable.attrs.pop("_FillValue", None)
        if nodata is not None:
            variable.encoding["_FillValue"] = variable.dtype.type(nodata)
        elif name in prepared.coords:
            variable.encoding["_FillValue"] = None
        if np.issubdtype(variable.dtype, np.datetime64):
            variable.encoding |= {
                "units": "microseconds since 1970-01-01",
                "dtype": "int64",
                "calendar": "proleptic_gregorian",
            }
    return prepared


def prepare_zarr(cube: xr.Dataset) -> xr.Dataset:
    """The same with what Zarr alone has: GeoZarr's conventions, and the order of the variables."""
    prepared = prepare_cube(cube)
    return prepared.assign_attrs({**_georeference(prepared), ORDER: list(map(str, prepared.data_vars))})


def in_order(cube: xr.Dataset) -> xr.Dataset:
    """A cube with its variables in the order in which they were saved, and without the attribute that tells it."""
    told = cube.attrs.get(ORDER)
    if not isinstance(told, list):
        return cube
    names = [name for name in told if name in cube.data_vars]
    ordered = cube[[*names, *(name for name in cube.data_vars if name not in names)]]
    ordered.attrs = {key: value for key, value in cube.attrs.items() if key != ORDER}
    return ordered


def _georeference(cube: xr.Dataset) -> Json:
    """Where the pixels lie, as GeoZarr's attributes; none of them for a cube that is not on a grid."""
    geobox = own_geobox(cube) if {"y", "x"} <= set(cube.dims) else None
    if geobox is None or geobox.crs is None:
        return {"Conventions": "CF-1.11"}
    code = {"proj:code": f"EPSG:{geobox.crs.epsg}"} if geobox.crs.epsg else {"proj:wkt2": geobox.crs.to_wkt()}
    return {
        "Conventions": "CF-1.11",
        "zarr_conventions": _CONVENTIONS,
        **code,
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": list(geobox.affine)[:6],
        "spatial:shape": list(geobox.shape.yx),
        "spatial:bbox": list(geobox.boundingbox.bbox),
    }


def write_frame(cube: xr.Dataset, folder: Path) -> None:
    """Write all of a cube but the tiles of its lazy variables: marker, metadata, coordinates and loaded variables."""
    with disk_errors(folder):
        write_metadata(cube, folder)
        (folder / CUBE_MARKER).write_bytes(CUBE_MARKER_BYTES)


def write_metadata(cube: xr.Dataset, target: Any) -> None:
    """The same without the marker, into a folder or whatever else zarr writes into."""
    encoding = {str(name): _layout(variable) for name, variable in lazy_variables(cube).items()}
    with warnings.catch_warnings():
        # Consolidated metadata is not part of Zarr 3's specification yet; xarray opens faster with it, and warns without.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        cube.to_zarr(target, mode="w", zarr_format=3, consolidated=True, compute=False, encoding=encoding)


def lazy_variables(cube: xr.Dataset) -> dict[str, xr.DataArray]:
    """The variables that are written tile by tile."""
    return {str(name): variable for name, variable in cube.data_vars.items() if variable.chunks is not None}


def _layout(variable: xr.DataArray) -> dict[str, Any]:
    """The encoding of a variable: one task writes a tile, so each tile is a chunk, or a shard of chunks if it is large."""
    tile = tuple(sizes[0] for sizes in variable.chunks or ())
    for dim, sizes in zip(variable.dims, variable.chunks or (), strict=True):
        if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
            raise InputError(
                f"{variable.name} has chunks of {sorted(set(sizes))} along {dim}, Zarr needs equal ones: open the cube on "
                "the part you want instead of slicing it, or chunk it anew"
            )
    inner = tuple(_divisor(size) for size in tile)
    nodata = variable.encoding.get("_FillValue")  # xarray ignores a variable's own encoding if one is given
    fill = {} if nodata is None else {"_FillValue": nodata, "fill_value": nodata}
    return {"chunks": inner, "shards": tile if inner != tile else None, **fill}


def _divisor(size: int) -> int:
    """The largest side of chunks, up to INNER pixels, that divides a tile evenly; the tile's side if there is none."""
    return next((part for part in range(min(size, INNER), INNER // 4, -1) if size % part == 0), size)


def chunks_of(cube: xr.Dataset) -> Iterator[Chunk]:
    """All chunks of the lazy variables, ordered by their place in the picture, so that variables and steps are together."""
    chunks = (
        (index[-2:], name, index)
        for name, variable in lazy_variables(cube).items()
        for index in product(*(range(len(sizes)) for sizes in variable.chunks or ()))
    )
    yield from ((name, index) for _, name, index in sorted(chunks, key=lambda entry: entry[0]))


def chunk_path(chunk: Chunk) -> str:
    """The path of a tile's file below the cube's folder (Zarr 3's default encoding of chunk keys)."""
    name, index = chunk
    return "/".join([name, "c", *map(str, index)])


def write_chunk(pixels: np.ndarray, folder: str, name: str, start: tuple[int, ...]) -> np.ndarray:
    """Write one tile, wholly or not at all, and return its number of bytes before compression, (1,) int64."""
    with disk_errors(Path(folder, name)):
        write_chunk_into(f"{folder}/{name}", "", pixels, start)
    return np.array([pixels.nbytes])


def write_chunk_into(target: Any, name: str, pixels: np.ndarray, start: tuple[int, ...]) -> None:
    """Write one tile of an array, by its name below whatever zarr writes into."""
    import zarr

    array = zarr.open_array(target, path=name, mode="r+", zarr_format=3, config={"write_empty_chunks": True})
    array[tuple(slice(at, at + size) for at, size in zip(start, pixels.shape, strict=True))] = pixels


def encoded_chunk(pixels: np.ndarray, metadata: bytes, start: tuple[int, ...]) -> tuple[str, bytes]:
    """A tile as its file has it: the path below its array, and the bytes. Nothing is asked of any disk or store.

    Parameters
    ----------
    pixels
        The tile, of as many dimensions as its array.
    metadata
        The array's ``zarr.json``.
    start
        Where the tile begins in the array.
    """
    import obstore
    from obstore.store import MemoryStore
    from zarr.storage import ObjectStore

    memory = MemoryStore()
    obstore.put(memory, "zarr.json", metadata)
    write_chunk_into(ObjectStore(memory), "", pixels, start)
    (path,) = {entry["path"] for page in obstore.list(memory) for entry in page} - {"zarr.json"}
    return path, bytes(obstore.get(memory, path).bytes())


# The files in a cube's folder


def is_marked(folder: Path) -> bool:
    """Whether a path is a folder with the marker of a cube, and not a link to one."""
    marker = Store(folder)
    is_real = not folder.is_symlink() and marker.is_file(CUBE_MARKER)
    return is_real and marker.get(CUBE_MARKER) == CUBE_MARKER_BYTES


def foreign_content(folder: Path) -> Iterator[str]:
    """Paths in a marked folder that are neither the cube's nor temporaries of it (zarr's ``1.0f….partial``)."""
    arrays = _arrays(folder)
    for path, status in Store(folder).found():
        is_ours = _is_folder_of(path, arrays) if S_ISDIR(status.st_mode) else _is_file_of(path, arrays)
        if not is_ours or not (S_ISDIR(status.st_mode) or S_ISREG(status.st_mode)):
            yield path


def remove_cube(folder: Path) -> None:
    """Remove the files of a marked cube, metadata and marker last; a folder that holds anything else stays."""
    arrays, store = _arrays(folder), Store(folder)
    entries = [(path, S_ISDIR(status.st_mode)) for path, status in store.found()]
    for path in (path for path, is_folder in entries if not is_folder and path not in _LAST):
        if _is_file_of(path, arrays) and store.is_file(path):
            store.delete(path)
    for path in sorted(
        (path for path, is_folder in entries if is_folder and _is_folder_of(path, arrays)), reverse=True
    ):
        with suppress(OSError):  # the folder holds something else
            (folder / path).rmdir()
    if {path for path, _ in store.found()} <= set(_LAST):
        for path in _LAST:
            store.delete(path)
        folder.rmdir()


def remove_temporaries(folder: Path) -> None:
    """Remove the files that killed writers left in a marked cube."""
    arrays, store = _arrays(folder), Store(folder)
    for path, _ in list(store.sizes()):
        if _TEMPORARY.fullmatch(path) and _is_file_of(path, arrays) and store.is_file(path):
            store.delete(path)


def remove_begun(folder: Path) -> None:
    """Remove a marked copy of a cube's metadata that a killed run did not finish; one that holds anything else stays."""
    found = list(Store(folder).found())
    plain = all(S_ISDIR(status.st_mode) or S_ISREG(status.st_mode) for _, status in found)
    if plain and all(_BEGUN.fullmatch(path) for path, _ in found) and (is_marked(folder) or not found):
        shutil.rmtree(folder)


def _arrays(folder: Path) -> dict[str, tuple[int, ...]]:
    """The arrays of a cube, each with its numbers of chunks; none if there is no metadata."""
    try:
        return arrays_of(orjson.loads(Store(folder).get("zarr.json")))
    except FileNotFoundError:
        return {}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise damaged_metadata(f"{folder}/zarr.json") from None


def arrays_of(metadata: Json) -> dict[str, tuple[int, ...]]:
    """The arrays of a group's consolidated metadata, each with its numbers of chunks; KeyError and the like of others."""
    nodes = metadata["consolidated_metadata"]["metadata"]
    return {name: _chunk_counts(array) for name, array in nodes.items() if array["node_type"] == "array"}


def damaged_metadata(file: str) -> NotNutonic:
    """What to say of metadata that tells nothing."""
    return NotNutonic(f"{file} is damaged, so that it does not tell what is the cube's: move the cube away")


def _chunk_counts(array: Json) -> tuple[int, ...]:
    sides = array["chunk_grid"]["configuration"]["chunk_shape"]
    return tuple(-(-length // side) for length, side in zip(array["shape"], sides, strict=True))


def _is_file_of(path: str, arrays: Mapping[str, tuple[int, ...]]) -> bool:
    temporary = _TEMPORARY.fullmatch(path)
    return path in _LAST or is_in_array(temporary["name"] if temporary else path, arrays)


def is_in_array(path: str, arrays: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a path is that of an array's metadata, or of a chunk that it has."""
    name, _, inner = path.partition("/")
    counts, parts = arrays.get(name), inner.split("/")
    if counts is None:
        return False
    return inner == "zarr.json" or (len(parts) == len(counts) + 1 and _is_index(parts, counts))


def _is_folder_of(path: str, arrays: Mapping[str, tuple[int, ...]]) -> bool:
    name, _, inner = path.partition("/")
    counts, parts = arrays.get(name), inner.split("/")
    return counts is not None and (not inner or (len(parts) <= len(counts) and _is_index(parts, counts)))


def _is_index(parts: Sequence[str], counts: Sequence[int]) -> bool:
    """Whether the parts of a path are those of a chunk, such as ``c/0/1``, or the first of them."""
    numbers = zip(parts[1:], counts, strict=False)
    return parts[0] == "c" and all(re.fullmatch(r"0|[1-9]\d*", part) and int(part) < count for part, count in numbers)
