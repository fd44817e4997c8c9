"""A tree whose places are committed without being built: by the real writer of commits, so that finishing and verifying meet
what a build leaves to them.

Pictures and sidecars are links to one file each; a commit is written for each batch of the real plan. See
:mod:`benchmarks.million`, which finishes and verifies such a tree with ``--synthesised``.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from nutonic.core.model import Batch, PlannedPlace
from nutonic.dataset.commits import ChipDone, Origin, PlaceDone, commit, committed
from nutonic.io.objects import Store
from nutonic.planning.layout import tile_id
from nutonic.planning.plan_file import read_plan
from nutonic.planning.spec import BuildSpec, resolve
from nutonic.recipe.yaml import of_places, recipe_of

#: A file has at most so many names, less than any file system allows.
_LINKS = 30_000

#: Bytes of a chip's picture and of its sidecar, as the real ones of this benchmark's world.
_SIZES = {"image": 852, "sidecar": 2119}


def commit_all(folder: Path) -> int:
    """Commit every batch of a tree's plan that is not committed; gives how many were."""
    spec = resolve(of_places(recipe_of(folder / "recipe.yaml")))
    store = Store(folder / "tree")
    plan = read_plan(store)
    origin, links, done = (
        Origin(recipe_digest=spec.digest, plan_digest=plan.digest),
        _Links(folder / "tree"),
        committed(store),
    )
    left = [number for number in range(len(plan.index)) if number not in done.whole]
    for batch in plan.batches(left):
        commit(store, batch.index, _places(batch, spec, links), origin, whole=True)
    return len(left)


def _places(batch: Batch, spec: BuildSpec, links: _Links) -> Iterator[PlaceDone]:
    for index, place in enumerate(batch.places):
        yield _place(index, place, spec, links)


def _place(index: int, place: PlannedPlace, spec: BuildSpec, links: _Links) -> PlaceDone:
    poi, tile = place.poi, spec.layout.tiles[0]
    name = tile_id(poi.id, tile)
    paths = {"image": spec.layout.image(poi, name), "sidecar": spec.layout.sidecar(poi, name)}
    digest = hashlib.sha256(name.encode()).hexdigest()
    row = f'{{"id":"{name}__caption_brief","task":"caption","poi_id":"{poi.id}","said":"{digest * 4}"}}\n'
    return PlaceDone(
        index=index,
        poi_id=poi.id,
        ordinal=poi.ordinal,
        variant=poi.variant,
        split=place.split,
        item_id=place.imagery[0].id,
        tiles=1,
        rows=row.encode(),
        files={paths[kind]: (size, links.made(paths[kind], kind, digest)) for kind, size in _SIZES.items()},
        rejects=(),
        tasks={"caption": 1},
        classes={1: 64, 2: 64, 4: 64, 5: 64},
        chips={0: ChipDone(digest[:16], 256)},
    )


class _Links:
    """Files that are names of a few."""

    def __init__(self, tree: Path) -> None:
        self._tree, self._numbers = tree, itertools.count()
        self._made: dict[str, Path] = {}

    def made(self, path: str, kind: str, digest: str) -> str:
        """Make a file of a kind, unless a run before did; gives what its commit says its digest is."""
        if next(self._numbers) % _LINKS == 0:
            self._made.clear()
        file = self._tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            return digest
        if kind not in self._made:
            file.write_bytes(b"\0" * _SIZES[kind])
            self._made[kind] = file
        else:
            os.link(self._made[kind], file)
        return digest
