"""A planet behind a file server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nutonic as nt
from nutonic.testing import FileServer, remote_catalogue


@contextmanager
def served(folder: Path, **options) -> Iterator[tuple[FileServer, nt.Recipe]]:
    """A planet's files behind a server, and a recipe for them."""
    with FileServer(folder, **options) as server:
        catalogue = remote_catalogue(folder, server.url)
        yield server, nt.load_recipe(catalogue.with_name("recipe-http.yaml"))
