"""Deep verification: every file is read, and whatever follows from something else in the tree is made again and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, groupby, islice, starmap
from operator import itemgetter
from stat import S_ISDIR, S_ISREG

import numpy as np
import orjson
import shapely

from nutonic.core.globe import TURNS, turned
from nutonic.core.model import Batch, Json
from nutonic.dataset import card
from nutonic.dataset.commits import read_commit
from nutonic.dataset.finalize import data_files
from nutonic.dataset.parts.each import Each, here, in_threads
from nutonic.dataset.parts.guesses import guesses
from nutonic.dataset.parts.rows import different
from nutonic.dataset.parts.sums import added_up
from nutonic.dataset.proof.findings import ODD, Finding, Tree
from nutonic.dataset.proof.look import Look, Looked, Square, secret_findings
from nutonic.dataset.proof.place_audit import audit_batch
from nutonic.dataset.proof.plan_audit import plan_findings
from nutonic.dataset.proof.shapes import wrong_summary
from nutonic.errors import Corrupt, NutonicError
from nutonic.io.objects import Store, is_temporary, sealed, sha256
from nutonic.planning.ground.overlaps import overlapping
from nutonic.planning.ground.squares import Squares
from nutonic.planning.layout import CARD, MARKER, PLAN, SUMMARY, CommitName
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.spec import BuildSpec
from nutonic.recipe.card import Card
from nutonic.secrets import holds_query, holds_secret
from nutonic.sources.stac.geoparquet import raw_rows

#: Files that may be of any size are read in pieces of so many bytes, which overlap by so many.
_PIECE, _OVERLAP = 2**22, 2**13

#: Bytes of a part of such a file, and batches of a part of the places.
_STRETCH, _BATCHES = 2**25, 4


def audit(tree: Tree, spec: BuildSpec | None, summary: Json | None, *, ours: bool, each: Each) -> Iterator[Finding]:
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
    each
        Does the parts of the work.
    """
    each = in_threads if each is here else each
    made_by, beside = tree.plan.header["nutonic_version"], frozenset(tree.plan.beside)
    look = Look(store=tree.store, spec=spec, made_by=made_by, chip_side=tree.chip_side, beside=beside)
    held = _held(tree.plan)
    yield from secret_findings(look, PLAN, held.store.get(PLAN))
    yield from _beside(tree.plan)
    yield from _guarded(_queries(look, tree.plan), "the plan")
    if spec is not None:
        yield from _guarded(plan_findings(held, spec, ours=ours), "the plan")
    damaged, squares = set[str](), list[Square]()
    for looked in each(partial(_looked, look=look), _by_batch(tree, held)):
        yield from looked.findings
        damaged |= looked.damaged
        squares += looked.squares
    if spec is None or spec.splits.keeps_ground_apart:
        yield from _ground(squares)
    del held, squares
    sizes = tree.named.held_against(tree.store.sizes())[0]
    yield from _data(tree, sizes, damaged, each)
    yield from _others(look, sizes, each)
    if spec is not None and summary is not None and ours:
        yield from _guarded(_card_and_summary(tree, spec, summary, each), SUMMARY)
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


@dataclass(frozen=True, slots=True)
class _Batches:
    """Some batches that have commits, with the names of these; None where the plan has no such batch."""

    commits: tuple[tuple[Batch | None, tuple[CommitName, ...]], ...]


def _by_batch(tree: Tree, plan: PlanFile) -> Iterator[_Batches]:
    """The batches that have commits, in parts."""
    names = sorted(tree.commits, key=lambda name: (name.batch, name.place or 0))
    groups = [(number, tuple(group)) for number, group in groupby(names, key=lambda name: name.batch)]
    batches = plan.batches([number for number, _ in groups if number < len(plan.index)])
    known = ((next(batches) if number < len(plan.index) else None, group) for number, group in groups)
    while some := tuple(islice(known, _BATCHES)):
        yield _Batches(some)


def _looked(some: _Batches, look: Look) -> Looked:
    """What a look at some batches brought."""
    whole = Looked()
    for batch, names in some.commits:
        looked = _safely(look, batch, names)
        whole.findings += looked.findings
        whole.squares += looked.squares
        whole.damaged |= looked.damaged
    return whole


def _safely(look: Look, batch: Batch | None, names: Sequence[CommitName]) -> Looked:
    try:
        return audit_batch(look, batch, [(name, read_commit(look.store, name)) for name in names])
    except (NutonicError, OSError, *ODD) as error:
        texts = (f"{name.path} or what it names cannot be judged: {type(error).__name__}" for name in names)
        return Looked(findings=[Finding(text) for text in texts])


def _ground(squares: Sequence[Square]) -> Iterator[Finding]:
    """Pairs of places in different splits whose squares overlap on the ground, by more than a centimetre."""
    squares = sorted(squares, key=lambda square: square.poi_id)
    if not squares:
        return
    low, high = (np.stack([reach(square.ring, axis=0) for square in squares]) for reach in (np.min, np.max))
    bend = (high - low) / 50  # an edge that is straight on its map is bent in degrees
    boxes = shapely.box(*(low - bend).T, *(high + bend).T)
    index, split = shapely.STRtree(boxes), np.array([square.split for square in squares])
    pairs = np.concatenate([index.query(moved, predicate="intersects").T for moved in turned(boxes, TURNS[1:])])
    pairs = np.unique(np.sort(pairs[split[pairs[:, 0]] != split[pairs[:, 1]]], axis=1), axis=0)
    for one, other in pairs[overlapping(_columns(squares), *pairs.T)].tolist():
        told = (f"{squares[k].poi_id} ({squares[k].split})" for k in (one, other))
        yield Finding(f"{' and '.join(told)} share ground")


def _columns(squares: Sequence[Square]) -> Squares:
    """Squares in columns; all have one side."""
    names = sorted({square.crs for square in squares})
    number, every = {name: k for k, name in enumerate(names)}, np.arange(len(squares))
    x, y = np.array([square.centre for square in squares]).T
    lon, lat = np.array([square.ring.mean(0) for square in squares]).T
    crs = np.array([number[square.crs] for square in squares])
    return Squares(squares[0].side, tuple(names), len(squares), every, crs, x, y, lon, lat)


# All other files


def _beside(plan: PlanFile) -> Iterator[Finding]:
    """Files beside the plan are those that it was made with."""
    for path, digest in plan.beside.items():
        if plan.store.has(path) and sha256(plan.store.get(path)) != digest:
            yield Finding(f"{path} is not what was written: its SHA-256 differs")


def _queries(look: Look, plan: PlanFile) -> Iterator[Finding]:
    """No address that was pinned has a query: by whatever name, it may sign."""
    harmless = look.spec.keep_query if look.spec else ()
    if holds_query([asdict(scene) for scene in plan.scenes], harmless):
        yield Finding(f"{PLAN} holds an address with a query, which may be a token or a signature")
    for path, digest in plan.beside.items():
        content = look.store.get(path) if look.store.has(path) else b""
        for row in raw_rows(content) if sha256(content) == digest else ():
            text = orjson.dumps(row, default=str)
            if holds_query(row, harmless) or holds_secret(text) or any(value in text for value in look.secrets):
                yield Finding(f"{path} holds an address with a query, which may be a token, or a secret")
                break


def _data(tree: Tree, sizes: Mapping[str, int], damaged: set[str], each: Each) -> Iterator[Finding]:
    """The files of ``data/`` hold the rows of their places, in order."""
    files = {
        path: spans
        for path, spans in data_files(tree.spans, tree.output).items()
        if sizes.get(path) == spans.size
        and not (damaged and {part for part, *_ in spans} & damaged)
        and tree.store.is_file(path)
    }
    others = different(tree.store, files, each, unread=True)
    yield from (Finding(f"{path} is not the rows of its places", path=path) for path in files if path in others)


def _others(look: Look, sizes: Mapping[str, int], each: Each) -> Iterator[Finding]:
    """Files that belong to no place may hold secrets too."""
    # A link's target is not in the tree.
    files = ((path, size) for path, size in sorted(sizes.items()) if path != PLAN and look.store.is_file(path))
    found = each(partial(_secrets_in, look=look), chain.from_iterable(starmap(_stretches, files)))
    for path, group in groupby(found, key=itemgetter(0)):
        told = [findings for _, findings in group]
        if None in told:
            yield Finding(f"{path} cannot be read")
        else:
            yield from dict.fromkeys(chain.from_iterable(each for each in told if each))


def _stretches(path: str, size: int) -> Iterator[tuple[str, int, int, int]]:
    """A file in parts: path, first byte, bytes, and size of the file."""
    most = size if is_temporary(path) else _STRETCH
    for first in range(0, max(1, size), max(1, most)):
        yield path, first, min(most, size - first), size


def _secrets_in(stretch: tuple[str, int, int, int], look: Look) -> tuple[str, list[Finding] | None]:
    """A part of a file, and what of it should not be told; None where it cannot be read."""
    path, first, length, size = stretch
    try:
        pieces = _pieces(look.store, path, first, length, size)
        return path, [finding for piece in pieces for finding in secret_findings(look, path, piece)]
    except (OSError, ValueError):  # ValueError: the store has no such names, as with control characters
        return path, None


def _pieces(store: Store, path: str, first: int, length: int, size: int) -> Iterator[bytes]:
    """A part of a file of any size, in pieces, which reach into the next."""
    if size <= _PIECE or is_temporary(path):
        yield store.get(path)
        return
    for start in range(first, first + length, _PIECE):
        yield store.get_range(path, start, min(_PIECE + _OVERLAP, size - start))


def _card_and_summary(tree: Tree, spec: BuildSpec, summary: Json, each: Each) -> Iterator[Finding]:
    """Card and summary say what is in the tree."""
    problem = wrong_summary(sealed(summary))
    if problem is not None:
        yield Finding(f"{SUMMARY} is not a build's summary: {problem}", path=SUMMARY)
        return
    spec = replace(spec, card=Card(**summary.get("card", {})))
    summed = added_up(tree.store, tree.commits, spec.tiles.output_size**2, each)
    totals, data, places = summed.totals, data_files(summed.spans, tree.output), summed.totals.places.total()
    if summary["data"] != {path: spans.size for path, spans in data.items()}:
        yield Finding(f"{SUMMARY} says other sizes of data/ than the commits do", path=SUMMARY)
    elif summary["places"] != tree.plan.header["places"]:
        yield Finding(f"{SUMMARY} counts other places than the plan", path=SUMMARY)
    elif summary["tiles"] > totals.tiles or summary["rows"] > totals.rows.total():
        yield Finding(f"{SUMMARY} counts more than there is", path=SUMMARY)
    elif (summary["chips"], summary.get("places_with_chips", places)) != (totals.tiles, places):
        yield Finding(f"{SUMMARY} counts other chips than commits do", path=SUMMARY)
    try:
        guessed = guesses(tree.store, summed.spans, spec.rows, spec.table)
    except (Corrupt, OSError):
        return  # rows that cannot be read are told of where they lie; of them no card follows
    if summary["card_sha256"] != sha256(card.text(spec, tree.plan, totals, guessed).encode()):
        yield Finding(f"{CARD} does not tell what is in the tree, or {SUMMARY} is of another one", path=SUMMARY)


def _kinds(tree: Tree) -> Iterator[Finding]:
    """Empty folders, and files that are more than files: links to the same bytes from elsewhere, programs.

    What holds for the tree's marker too was done to the whole tree, as by a copy of links, or by a file system on which
    all files are programs. An object store has none of these.
    """
    if tree.store.disk is None:
        return
    marker = tree.store.status(MARKER)
    folders, full, found = list[str](), set[str](), list[Finding]()
    for path, status in tree.store.found():
        full.add(path.rpartition("/")[0])
        if S_ISDIR(status.st_mode):
            folders.append(path)
        elif S_ISREG(status.st_mode):
            if status.st_nlink > 1 >= marker.st_nlink:
                text = f"{path} is a hard link: what changes the file elsewhere changes it here"
                found.append(Finding(text, path=path))
            if status.st_mode & ~marker.st_mode & 0o7111:
                text = f"{path} may be run as a program, which nothing of nutonic's is: take the mode away"
                found.append(Finding(text, path=path))
    empty = (path for path in folders if path not in full and not tree.ownership.may_be_empty(path))
    told = [(path, Finding(f"{path} is an empty folder, which nutonic does not make: remove it")) for path in empty]
    told += [(finding.path or "", finding) for finding in found]
    yield from (finding for _, finding in sorted(told, key=itemgetter(0)))
