"""A planet behind a file server, and processes that remember nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nutonic as nt
from nutonic.io import gdal as raster_pool
from nutonic.io import http
from nutonic.io import ranged as remote
from nutonic.io import raster as rasters
from nutonic.testing import FileServer, remote_catalogue


def forget() -> None:
    remote._heads.__init__(remote._KEPT_HEADS, lambda head: len(head.content))
    remote._ranges.__init__(remote._KEPT_RANGES, len)
    remote._suspects.__init__()
    rasters._header.cache_clear()
    raster_pool.raster_pool.close()
    http.take_counts()


@contextmanager
def served(folder: Path, **options) -> Iterator[tuple[FileServer, nt.Recipe]]:
    """A planet's files behind a server, and a recipe for them."""
    with FileServer(folder, **options) as server:
        catalogue = remote_catalogue(folder, server.url)
        yield server, nt.load_recipe(catalogue.with_name("recipe-http.yaml"))
