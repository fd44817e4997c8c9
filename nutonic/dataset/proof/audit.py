"""Deep verification: every file is read, and whatever follows from something else in the tree is made again and compared."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import groupby
from stat import S_ISDIR, S_ISREG

import numpy as np
import orjson
import shapely
from odc.geo.geobox import GeoBox

from nutonic.core.globe import TURNS, around, turned
from nutonic.core.grid import transformer
from nutonic.core.model import Batch, Json
from nutonic.dataset import card
from nutonic.dataset.finalize import data_files, rows_of
from nutonic.dataset.index import Spans, Totals
from nutonic.dataset.proof.findings import ODD, Finding, Tree
from nutonic.dataset.proof.place_audit import Look, Looked, audit_batch, secret_findings
from nutonic.dataset.proof.plan_audit import plan_findings
from nutonic.dataset.proof.shapes import wrong_summary
from nutonic.errors import Corrupt, NutonicError, StoreError
from nutonic.io.objects import Store, is_temporary, sealed, sha256
from nutonic.planning.layout import CARD, PLAN, SUMMARY, CommitName
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.spec import BuildSpec
from nutonic.recipe.card import Card
from nutonic.secrets import environment_secrets, holds_query, holds_secret
from nutonic.sources.stac.geoparquet import raw_rows

#: Files that may be of any size are read in pieces of so many bytes, which overlap by so many.
_PIECE, _OVERLAP = 2**22, 2**13

#: Batches that are looked at at once; pictures are unpacked and hashed beside Python.
_THREADS = 4


def audit(tree: Tree, spec: BuildSpec | None, summary: Json | None, *, ours: bool) -> Iterator[Finding]:
    """A finding for everything that is wrong with the content of a tree's files.

    Parameters
    ----------
    tree
        The tree.
    spec
        What the plan's recipe comes down to; None if that cannot be told here, and then nothing is made again.
    summary
        That of the last build; None if there is none that can be read, or places are not built that it counts.
    ours
        Whether the tree was made by this version of nutonic, whose words and counts can be made again.
    """
    store = tree.store
    secrets = tuple(value.encode() for value in environment_secrets())
    look = Look(tree=tree, spec=spec, ours=ours, sizes=dict(store.sizes()), secrets=secrets)
    held = _held(tree.plan)
    yield from secret_findings(look, PLAN, held.store.get(PLAN))
    yield from _beside(look)
    yield from _guarded(_queries(look), "the plan")
    if spec is not None:
        yield from _guarded(plan_findings(held, spec, ours=ours), "the plan")
    damaged, squares = set[str](), list[tuple[str, str, GeoBox]]()
    for looked in _looked(look, held):
        yield from looked.findings
        damaged |= looked.damaged
        squares += looked.squares
    if spec is None or spec.splits.keeps_ground_apart:
        yield from _ground(squares)
    yield from _data(look, damaged)
    yield from _others(look)
    if spec is not None and summary is not None and ours:
        yield from _guarded(_told(tree, spec, summary), SUMMARY)
    yield from _kinds(tree)


def _held(plan: PlanFile) -> PlanFile:
    """The plan with its file in memory: it is read once, for secrets and for places."""
    memory = Store(None)
    memory.put(PLAN, plan.store.get(PLAN))
    return replace(plan, store=memory)


def _guarded(findings: Iterator[Finding], what: str) -> Iterator[Finding]:
    """Findings; one more where a value is of a type that nobody expected."""
    try:
        yield from findings
    except (NutonicError, *ODD) as error:
        text = str(error).splitlines()[0] if isinstance(error, NutonicError) else type(error).__name__
        yield Finding(f"{what} holds what cannot be: {text[:200]}")


# Places


def _looked(look: Look, plan: PlanFile) -> Iterator[Looked]:
    """What a look at each batch brought, in order; a few are looked at at once, and no more are kept."""
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        ahead: deque[Future[Looked]] = deque()
        for batch, commits in _by_batch(look.tree, plan):
            ahead.append(threads.submit(_safely, look, batch, commits))
            if len(ahead) > 2 * _THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _safely(look: Look, batch: Batch | None, commits: Sequence[tuple[CommitName, Json]]) -> Looked:
    try:
        return audit_batch(look, batch, commits)
    except (NutonicError, OSError, *ODD) as error:
        texts = (f"{name.path} or what it names cannot be judged: {type(error).__name__}" for name, _ in commits)
        return Looked(findings=[Finding(text) for text in texts])


def _by_batch(tree: Tree, plan: PlanFile) -> Iterator[tuple[Batch | None, list[tuple[CommitName, Json]]]]:
    """Each batch that has commits, with these; None where the plan has no such batch."""
    names = sorted(tree.commits, key=lambda name: (name.batch, name.place or 0))
    groups = [(number, list(group)) for number, group in groupby(names, key=lambda name: name.batch)]
    batches = plan.batches([number for number, _ in groups if number < len(plan.index)])
    for number, group in groups:
        batch = next(batches) if number < len(plan.index) else None
        yield batch, [(name, tree.commits[name]) for name in group]


def _ground(squares: Sequence[tuple[str, str, GeoBox]]) -> Iterator[Finding]:
    """Pairs of places in different splits whose squares overlap on the ground."""
    squares = sorted(squares, key=lambda square: square[0])
    if not squares:
        return
    polygons = np.array([_polygon(geobox) for _, _, geobox in squares])
    index = shapely.STRtree(polygons)
    for moved in turned(polygons, TURNS[1:]):
        for i, j in index.query(moved, predicate="intersects").T.tolist():
            (one, split, _), (other, other_split, _) = squares[i], squares[j]
            if split != other_split and shapely.intersection(moved[i], polygons[j]).area > 0:
                yield Finding(f"{one} ({split}) and {other} ({other_split}) share ground")


def _polygon(geobox: GeoBox) -> shapely.Polygon:
    """A place's square in degrees; across the antimeridian its longitudes go beyond 180."""
    a, (height, width) = geobox.affine, geobox.shape
    x, y = np.array([0, width, width, 0]) * a.a + a.c, np.array([0, 0, height, height]) * a.e + a.f
    lon, lat = transformer(str(geobox.crs), "EPSG:4326").transform(x, y)
    return shapely.Polygon(np.stack([around(lon, lon[0]), lat], 1))


# All other files


def _beside(look: Look) -> Iterator[Finding]:
    """Files beside the plan are those that it was made with."""
    for path, digest in look.tree.plan.beside.items():
        if look.tree.store.has(path) and sha256(look.tree.store.get(path)) != digest:
            yield Finding(f"{path} is not what was written: its SHA-256 differs")


def _queries(look: Look) -> Iterator[Finding]:
    """No address that was pinned has a query: by whatever name, it may sign."""
    plan, harmless = look.tree.plan, look.spec.keep_query if look.spec else ()
    if holds_query([asdict(scene) for scene in plan.scenes], harmless):
        yield Finding(f"{PLAN} holds an address with a query, which may be a token or a signature")
    for path, digest in plan.beside.items():
        content = look.tree.store.get(path) if look.tree.store.has(path) else b""
        for row in raw_rows(content) if sha256(content) == digest else ():
            text = orjson.dumps(row, default=str)
            if holds_query(row, harmless) or holds_secret(text) or any(value in text for value in look.secrets):
                yield Finding(f"{path} holds an address with a query, which may be a token, or a secret")
                break


def _data(look: Look, damaged: set[str]) -> Iterator[Finding]:
    """The files of ``data/`` hold the rows of their places, in order."""
    tree = look.tree
    for path, spans in data_files(tree.spans, tree.output).items():
        intact = look.sizes.get(path) == spans.size and not {part for part, *_ in spans} & damaged
        if intact and tree.store.has(path) and not _same(look, path, rows_of(tree.store, spans)):
            yield Finding(f"{path} is not the rows of its places", path=path)


def _same(look: Look, path: str, rows: Iterable[bytes]) -> bool:
    """Whether a file is these pieces, one behind the other; of both no more than a few are in memory."""
    file, rest = _pieces(look.tree.store, path, look.sizes[path], overlap=0), b""
    try:
        for piece in rows:
            while len(rest) < len(piece):
                more = next(file, b"")
                if not more:
                    return False
                rest += more
            if rest[: len(piece)] != piece:
                return False
            rest = rest[len(piece) :]
    except (Corrupt, StoreError):  # told of the part
        return True
    return not rest and not next(file, b"")


def _pieces(store: Store, path: str, size: int, overlap: int = _OVERLAP) -> Iterator[bytes]:
    """A file of any size, in pieces."""
    if size <= _PIECE or is_temporary(path):
        yield store.get(path)
        return
    for start in range(0, size, _PIECE):
        yield store.get_range(path, start, min(_PIECE + overlap, size - start))


def _others(look: Look) -> Iterator[Finding]:
    """Files that belong to no place may hold secrets too."""
    tree = look.tree
    for path, size in sorted(look.sizes.items()):
        if path in tree.named or path == PLAN or not tree.store.is_file(path):  # a link's target is not in the tree
            continue
        try:
            pieces = _pieces(tree.store, path, size)
            found = [finding for piece in pieces for finding in secret_findings(look, path, piece)]
        except (OSError, ValueError):  # ValueError: the store has no such names, as with control characters
            yield Finding(f"{path} cannot be read")
            continue
        yield from dict.fromkeys(found)


def _told(tree: Tree, spec: BuildSpec, summary: Json) -> Iterator[Finding]:
    """Card and summary say what is in the tree."""
    problem = wrong_summary(sealed(summary))
    if problem is not None:
        yield Finding(f"{SUMMARY} is not a build's summary: {problem}", path=SUMMARY)
        return
    spec = replace(spec, card=Card(**summary.get("card", {})))
    totals = Totals(spec.tiles.output_size**2)
    data = data_files(Spans.of(totals.counting(tree.entries())), tree.output)
    if summary["data"] != {path: spans.size for path, spans in data.items()}:
        yield Finding(f"{SUMMARY} says other sizes of data/ than the commits do", path=SUMMARY)
    elif summary["places"] != tree.plan.header["places"]:
        yield Finding(f"{SUMMARY} counts other places than the plan", path=SUMMARY)
    elif summary["tiles"] > totals.tiles or summary["rows"] > totals.rows.total():
        yield Finding(f"{SUMMARY} counts more than there is", path=SUMMARY)
    if summary["card_sha256"] != sha256(card.text(spec, tree.plan, totals).encode()):
        yield Finding(f"{CARD} does not tell what is in the tree, or {SUMMARY} is of another one", path=SUMMARY)


def _kinds(tree: Tree) -> Iterator[Finding]:
    """Empty folders, and files that are more than files: links to the same bytes from elsewhere, programs.

    What holds for the tree's marker too was done to the whole tree, as by a copy of links, or by a file system on which
    all files are programs. An object store has none of these.
    """
    if tree.store.disk is None:
        return
    found = dict(tree.store.found())
    marker = next(status for path, status in found.items() if path.endswith("/tree.json"))
    inner = {path[:at] for path in found for at, sign in enumerate(path) if sign == "/"}
    for path, status in sorted(found.items()):
        if S_ISDIR(status.st_mode):
            if path not in inner and not tree.ownership.may_be_empty(path):
                yield Finding(f"{path} is an empty folder, which nutonic does not make: remove it")
        elif S_ISREG(status.st_mode):
            if status.st_nlink > 1 >= marker.st_nlink:
                yield Finding(f"{path} is a hard link: what changes the file elsewhere changes it here", path=path)
            if status.st_mode & ~marker.st_mode & 0o7111:
                yield Finding(f"{path} may be run as a program, which nothing of nutonic's is: take the mode away")
