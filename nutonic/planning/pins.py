"""What local inputs were when they were planned: enough of each to see that another file lies there now.

A file's pin is its size and a digest of samples: its first block, where a raster's header lies, its last, and some between.
So it is checked in a moment whatever its size. A file that is written anew has another header or other pixels somewhere;
that no sample meets any of them is possible only where a few bytes were changed by hand. A file that goes on where it ended,
as one whose copy was cut off and is finished now, is the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from nutonic.core.model import Scene
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


def pins_of(scenes: Iterable[Scene]) -> dict[str, Pin]:
    """The pins of scenes' local files, by path; what is not there has none."""
    hrefs = (asset.href for scene in scenes for asset in scene.assets if "://" not in asset.href)
    return _looked_at(hrefs, pin_of)


def changed(pins: Mapping[str, Pin]) -> list[str]:
    """Paths of files that are there and are not what they were, sorted; what only goes on was not all there yet."""
    now = _looked_at(pins, lambda path: pin_of(path, pins[path][0]))
    return [path for path, pin in now.items() if pin != tuple(pins[path])]


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
