"""What a path of labels stands for: files, in the order in which they are looked at."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from nutonic.errors import InputError, Refused
from nutonic.io.buckets.address import SHARED, is_object, refuse_misspelt
from nutonic.io.files import of_windows
from nutonic.secrets import holds_secret, redact, unnamed_keys
from nutonic.sources.rasters.vrt import Placement, sources_of

#: Suffixes of the formats that are read.
SUFFIXES = (".tif", ".tiff", ".jp2", ".img")

_READ = "GeoTIFF or COG, JPEG 2000 or .img files, a folder or a glob of them, a VRT of such, or an address (https://, s3://)"

#: Suffixes of what is not read over the network.
_ONLY_LOCAL = (".vrt", ".img", ".zip")


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of labels."""

    href: str
    """A URL, or an absolute path."""
    name: str
    """Short, and no other piece's: the file's own, with as many of its folders as it takes."""
    placement: Placement | None = None
    """What a VRT says of it; None of a file that was named itself."""

    @property
    def is_remote(self) -> bool:
        """Whether it is read over the network."""
        return "://" in self.href


def pieces_of(paths: Sequence[str], keep_query: Collection[str] = ()) -> tuple[Piece, ...]:
    """The files that paths stand for, each once: as they are listed, those of a folder or a glob by name.

    Raises
    ------
    InputError
        If a path leads nowhere, or to nothing that is read; the message says what is.
    Refused
        If an address holds a user, a signature or a token.
    """
    found = [piece for path in paths for piece in _pieces(path, keep_query)]
    return _named(list({(piece.href, piece.placement): piece for piece in found}.values()))


def _pieces(path: str, keep_query: Collection[str] = ()) -> Iterator[Piece]:
    refuse_misspelt(path)
    if "://" in path or path.startswith("/vsi"):
        yield _address(path, keep_query)
        return
    base, rest = _existing(Path(path).expanduser().absolute())
    if rest and glob.has_magic(rest):
        yield from _files(_matches(base, rest))
    elif rest:
        raise InputError(f"{base / rest} does not exist{of_windows(base / rest)}; see labels.path")
    elif base.is_dir():
        yield from _files(_inside(base))
    elif base.suffix.lower() == ".vrt":
        yield from (Piece(str(file), file.name, placement) for file, placement in sources_of(base))
    else:
        yield Piece(str(base), base.name)


def _address(url: str, keep_query: Collection[str]) -> Piece:
    """A file at an address; whether it may be read is checked where it is."""
    parts, told = urlsplit(url), f"labels.path is {redact(url)[:120]}"
    suffix = PurePosixPath(parts.path).suffix.lower()
    if parts.scheme not in ("http", "https") and not is_object(url):
        offered = ", ".join(("https://", *SHARED))
        raise InputError(f"{told}: what is read over the network begins with one of {offered}; or write a local path")
    if suffix in _ONLY_LOCAL:
        raise InputError(f"{told}: no {suffix} file is read over the network; name GeoTIFFs")
    lacking = unnamed_keys(url, keep_query)
    if lacking or holds_secret(url):
        query = f" with {', '.join(lacking)[:120]} in its query" if lacking else ""
        raise Refused(
            f"{told}{query}: give addresses without a user, a signature or a token; see labels.sign, and name keys that "
            "anybody may know in labels.keep_query"
        )
    return Piece(url, PurePosixPath(parts.path).name or parts.netloc)


def _existing(path: Path) -> tuple[Path, str]:
    """The longest part of a path that exists, and the rest: a folder may be called what looks like a glob."""
    for base in (path, *path.parents):
        if os.path.exists(base):  # noqa: PTH110  no name is too long for it
            return base, "" if base == path else path.relative_to(base).as_posix()
    return path, ""


def _inside(folder: Path) -> list[Path]:
    """The rasters in a folder itself, by name."""
    names = sorted(entry.name for entry in os.scandir(folder) if not entry.is_dir() and not entry.name.startswith("."))
    files = [_regular(folder / name) for name in names if _is_raster(name)]
    if not files:
        below = next((f"{path.parent.name}/{path.name}" for path in _below(folder)), None)
        hint = f"; {below} lies deeper: write {folder.name}/**/*{Path(below).suffix}" if below else ""
        raise InputError(f"{folder} holds none of {', '.join(f'*{s}' for s in SUFFIXES)}; see labels.path{hint}")
    return files


def _regular(path: Path) -> Path:
    """The path; raises :class:`InputError` for a pipe, a device or a link to nothing: none is left out in silence."""
    if not path.is_file():
        raise InputError(f"{path} is no regular file: take it out of the folder; see labels.path")
    return path


def _below(folder: Path) -> Iterator[Path]:
    """A raster in the folders of a folder, if one of the first few thousand files is one."""
    files = islice((Path(root) / name for root, _, names in os.walk(folder) for name in names), 5000)
    return (file for file in files if _is_raster(file.name) and not file.name.startswith("."))


def _matches(base: Path, pattern: str) -> list[Path]:
    """The files that a glob below a folder matches, by name; of several formats those that are rasters."""
    try:
        found = glob.glob(pattern, root_dir=base, recursive=True)  # noqa: PTH207  without hidden files
    except RecursionError:
        raise InputError(
            f"{pattern} in {base} goes through folders in folders, too many to look through; see labels.path"
        ) from None
    names = sorted({Path(name).as_posix() for name in found})
    files = [base / name for name in names if not (base / name).is_dir()]
    rasters = [file for file in files if _is_raster(file.name)] or [f for f in files if f.suffix.lower() == ".vrt"]
    if not rasters:
        what = f"only {files[0].name} and the like" if files else "no file"
        raise InputError(f"{pattern} in {base} matches {what}; labels.path takes {_READ}")
    return [_regular(file) for file in rasters]


def _files(files: Sequence[Path]) -> Iterator[Piece]:
    for file in files:
        if file.suffix.lower() == ".vrt":
            yield from _pieces(str(file))
        else:
            yield Piece(str(file), file.name)


def _is_raster(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _named(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Pieces with names that differ: of those that are called the same, folders are told until they are not."""
    parts = [PurePosixPath(redact(piece.href).replace("\\", "/")).parts for piece in pieces]
    deep = [1] * len(pieces)
    names = [piece.name for piece in pieces]
    while len(set(names)) < len(names):
        shared = Counter(names)
        deeper = [min(d + (shared[name] > 1), len(p)) for d, name, p in zip(deep, names, parts, strict=True)]
        if deeper == deep:
            break
        deep = deeper
        names = ["/".join(p[-d:]) for p, d in zip(parts, deep, strict=True)]
    return tuple(replace(piece, name=name) for piece, name in zip(pieces, names, strict=True))
