"""Samples that depend on nothing but the names of what is drawn, and pictures that fit a page."""

from __future__ import annotations

import base64
import hashlib
import heapq
from collections.abc import Callable
from io import BytesIO
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

T = TypeVar("T")

#: The seed of what is drawn. It is told on the page, so that nobody chose it for a result.
SEED = 0

#: Longest side of a picture on the page, in pixels; and the quality of its JPEG.
_SIDE, _QUALITY = 256, 80


class Drawn(Generic[T]):
    """At most so many of what is added, each set of that size as likely as any other; by the hashes of their keys.

    The order in which they are added does not matter.
    """

    def __init__(self, most: int) -> None:
        self._most, self.of = most, 0
        self._heap: list[tuple[int, int, T]] = []

    def add(self, key: str, value: T) -> None:
        """Add a thing with a key that no other has."""
        self.of += 1
        drawn = -int.from_bytes(hashlib.blake2b(f"{SEED} {key}".encode(), digest_size=12).digest())
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, (drawn, self.of, value))
        elif self._heap and drawn > self._heap[0][0]:
            heapq.heapreplace(self._heap, (drawn, self.of, value))

    def values(self) -> list[T]:
        """What was drawn, in the order of the draw: its beginning is a sample too."""
        return [value for _, _, value in sorted(self._heap, key=lambda entry: -entry[0])]


class Pictures:
    """Pictures as addresses of their own bytes, as long as they fit into a page."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self.urls: dict[str, str] = {}
        self.unreadable = set[str]()
        """Names of those that cannot be read, or are no pictures."""

    def take(self, name: str, read: Callable[[], bytes]) -> bool:
        """Whether the picture is on the page: it is already, or can be read and fits."""
        if name in self.urls:
            return True
        if self._left <= 0:
            return False
        try:
            url = data_url(read())
        except (OSError, ValueError):
            self.unreadable.add(name)
            return False
        self._left -= len(url)
        self.urls[name] = url
        return True


def data_url(picture: bytes) -> str:
    """A PNG or JPEG as a small JPEG, in an address of its own bytes."""
    with Image.open(BytesIO(picture), formats=["PNG", "JPEG"]) as opened:
        return _url(opened.convert("RGB"))


def data_url_of(rgb: np.ndarray) -> str:
    """The same of an array, (height, width, 3) uint8."""
    return _url(Image.fromarray(rgb))


def _url(image: Image.Image) -> str:
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    file = BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
