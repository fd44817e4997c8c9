"""What inputs were when they were planned, or first read: enough of each to see that another file lies there now.

A local file's pin is its size and a digest of samples: its first block, where a raster's header lies, its last, and some
between. So it is checked in a moment whatever its size. A file that is written anew has another header or other pixels
somewhere; that no sample meets any of them is possible only where a few bytes were changed by hand. A file that goes on
where it ended, as one whose copy was cut off and is finished now, is the same.

A remote file's pin is what its server tells, with a digest of its first bytes: what comes with opening it anyway. Those of
label rasters are in the plan, which opens them. Those of scenes are too many to be opened by a plan: each commit tells what
the files were that it was made from. What a service has by name is pinned by when it was changed last: in the plan, since a
search tells it, and in each commit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from nutonic.core.model import Batch, Json, RemotePin, Scene
from nutonic.core.units import counted
from nutonic.errors import InputError, RecipeChanged
from nutonic.inert import inert
from nutonic.io.buckets.address import SHARED, AnyPath
from nutonic.io.files import open_regular

#: Bytes of a sample, how many are taken beside the first and the last, and digits of the digest.
_SAMPLE, _BETWEEN, _DIGITS = 4096, 14, 32

#: Files that are looked at side by side: a network's disk answers slowly.
_THREADS = 16

Pin = tuple[int, str]


def pin_of(path: str, most: int | None = None) -> Pin:
    """Size in bytes, and the first digits of the SHA-256 of samples; of no more than the first `most` bytes, if given.

    Raises
    ------
    OSError
        If there is no regular file, or it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        size = size if most is None else min(size, most)
        last = max(0, size - _SAMPLE)
        digest = hashlib.sha256()
        for k in range(_BETWEEN + 2):
            start = last * k // (_BETWEEN + 1)
            file.seek(start)
            digest.update(file.read(min(_SAMPLE, size - start)))
    return size, digest.hexdigest()[:_DIGITS]


def pins_of(scenes: Iterable[Scene], files: Iterable[str] = ()) -> dict[str, Pin]:
    """The pins of scenes' local files and of other local files, by path; what is not there has none."""
    hrefs = (asset.href for scene in scenes for asset in scene.assets if "://" not in asset.href)
    return _looked_at(chain(hrefs, files), pin_of)


def changed(pins: Mapping[str, Pin]) -> list[str]:
    """Paths of files that are there and are not what they were, sorted; what only goes on was not all there yet."""
    now = _looked_at(pins, lambda path: pin_of(path, pins[path][0]))
    return [path for path, pin in now.items() if pin != tuple(pins[path])]


def missing_files(scenes: Iterable[Scene]) -> list[str]:
    """Paths of scenes' local files that are not there, sorted."""
    paths = sorted({asset.href for scene in scenes for asset in scene.assets if "://" not in asset.href})
    if not paths:
        return []
    with ThreadPoolExecutor(min(_THREADS, len(paths))) as threads:
        there = list(threads.map(os.path.exists, paths))
    return [path for path, found in zip(paths, there, strict=True) if not found]


def missing_line(missing: Sequence[str]) -> str:
    """That local files are not there, in a line."""
    few = counted(len(missing), "local file is", "local files are")
    return f"{few} not there, and places that need them stay open; the first: {missing[0]}"


def refuse_all_missing(scenes: Iterable[Scene]) -> None:
    """Raise :class:`InputError` if a plan's files are local and none is there, as where a disk is not mounted."""
    scenes = list(scenes)
    missing = missing_files(scenes)
    if missing and len(missing) == len({asset.href for scene in scenes for asset in scene.assets}):
        raise InputError(
            f"none of {counted(len(missing), 'file')} that the items of imagery.url name is there; the first: "
            f"{missing[0]}: mount their disk, or correct the hrefs of the items (relative ones count from the item's own "
            "file)"
        )


def _looked_at(paths: Iterable[str], pin: Callable[[str], Pin]) -> dict[str, Pin]:
    found: dict[str, Pin] = {}

    def look(path: str) -> None:
        with suppress(OSError):
            found[path] = pin(path)

    unique = sorted(set(paths))
    if unique:
        with ThreadPoolExecutor(min(_THREADS, len(unique))) as threads:
            list(threads.map(look, unique))
    return {path: found[path] for path in unique if path in found}


# Remote files


#: How the addresses of remote files begin, and of what a service has by name, whose parts change together.
_FILES, _NAMED = ("https://", "http://", *SHARED), ("ee://",)


def key_of(href: str) -> str:
    """What a remote file is known by: its address without the query; of what a query names, a digest tells.

    Of bands of an image that a service has by name, it is the image.
    """
    if href.startswith(_NAMED):
        return href.rpartition("/")[0]
    base, _, query = href.partition("?")
    return f"{base} {hashlib.sha256(query.encode()).hexdigest()[:_DIGITS]}" if query else base


def is_remote(href: str) -> bool:
    """Whether an asset is asked for from elsewhere."""
    return href.startswith((*_FILES, *_NAMED))


def remote_hrefs(scenes: Iterable[Scene]) -> list[str]:
    """Addresses of scenes' remote files, each once, in their order."""
    return list(dict.fromkeys(asset.href for scene in scenes for asset in scene.assets if is_remote(asset.href)))


def scenes_of(batch: Batch) -> list[Scene]:
    """The scenes that a batch may read, labels included, each once."""
    return list(dict.fromkeys(scene for place in batch.places for scene in (*place.imagery, *place.labels)))


def pins_json(pins: Mapping[str, RemotePin]) -> Json:
    """Pins as a plan and commits hold them: size, digest of the first bytes, ETag, Last-Modified, by key, sorted."""
    return {key: list(astuple(pins[key])) for key in sorted(pins)}


def pins_from(value: Mapping[str, Sequence[object]]) -> dict[str, RemotePin]:
    """The pins that :func:`pins_json` gave."""
    return {key: _pin_from(*of) for key, of in value.items()}


def _pin_from(size: Any, head: Any, etag: Any, modified: Any) -> RemotePin:
    return RemotePin(size=size, head=head, etag=etag, modified=modified)


class RemoteFiles:
    """What remote files were when they were planned, or first read for a tree.

    Parameters
    ----------
    root
        Where the tree lies, for messages.
    pins
        What is known at first, by key.
    """

    def __init__(self, root: AnyPath | None, pins: Mapping[str, RemotePin] | None = None) -> None:
        self._root, self._pins = root, dict(pins or {})

    def add(self, pins: Mapping[str, RemotePin]) -> None:
        """Remember what files are, unless :meth:`refuse` raises; those that are known stay what they were."""
        self.refuse(pins)
        for key, pin in pins.items():
            self._pins.setdefault(key, pin)

    def refuse(self, pins: Mapping[str, RemotePin]) -> None:
        """Raise :class:`RecipeChanged` if a file is known and is not what it was."""
        others = self.changed(pins)
        if others:
            what = short_name(others[0]) + (f" and {len(others) - 1} more" if len(others) > 1 else "")
            raise RecipeChanged(
                f"{what} changed since it was first read for {self._root or 'the tree'}: put back what was there, or take "
                "what is there now with --replan, which builds anew"
            )

    def changed(self, pins: Mapping[str, RemotePin]) -> list[str]:
        """Keys of files that are known and are not what they were, sorted."""
        return sorted(key for key, pin in pins.items() if key in self._pins and self._pins[key].differs(pin))

    def __len__(self) -> int:
        """How many files are known."""
        return len(self._pins)

    def knows(self, key: str) -> bool:
        """Whether it is known what a file was."""
        return key in self._pins

    def among(self, batch: Batch) -> dict[str, RemotePin]:
        """What is known of the files that a batch may read."""
        keys = map(key_of, remote_hrefs(scenes_of(batch)))
        return {key: self._pins[key] for key in keys if key in self._pins}


def by_key(pins: Mapping[str, RemotePin]) -> dict[str, RemotePin]:
    """Pins by key, of pins by address."""
    return {key_of(href): pin for href, pin in pins.items()}


def short_name(key: str) -> str:
    """A remote file in a message: host, and last part of the path."""
    parts = urlsplit(key.partition(" ")[0])
    return inert(f"{parts.netloc.rpartition('@')[2]}/…/{parts.path.rpartition('/')[2]}")
