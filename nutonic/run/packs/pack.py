"""Packing: a finished tree into a form that trainers, the Hub or maps read, shard by shard, here or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutonic._version import __version__
from nutonic.core.model import Json
from nutonic.core.showing import ShortRepr
from nutonic.core.units import counted
from nutonic.dataset import card
from nutonic.dataset.packs.card import card_of
from nutonic.dataset.packs.forms import Form, Record, Shards
from nutonic.dataset.packs.layout import (
    PACKED,
    ROWS,
    begin,
    is_finished,
    is_there_in,
    read_record,
    refuse_foreign_folder,
    shard_record,
)
from nutonic.dataset.packs.patches import patch_samples
from nutonic.dataset.packs.registry import form_of, refuse_without_boxes
from nutonic.dataset.packs.shards import Sample, Shard, samples_of, shards_of
from nutonic.dataset.packs.tree import PackTree, TreeFacts, tree_to_pack
from nutonic.dataset.shards.finish import written_to
from nutonic.errors import Corrupt, InputError, once_begun
from nutonic.io.atomic import refuse_unwritable
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.io.files import real_path
from nutonic.io.objects import Store, is_temporary, sealed
from nutonic.planning.layout import PLAN
from nutonic.run.callbacks import BatchFinished, BuildStarted, Callback, CallbackGroup, LogCallback, Note
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.results import BatchDone
from nutonic.sources.source import Needs

if TYPE_CHECKING:
    from nutonic.run.preflight import WorkerPool

#: About so many megabytes of rows and pictures has a shard: what the Hub's own tools make.
SHARD_MB = 500

#: Bytes of rows and pictures that take longer to pack than workers take to start.
_WORTH_WORKERS = 200 * 10**6

#: Bytes of a file that are held at once, as files are put together.
_PIECE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Packed(ShortRepr):
    """What is in a pack, and how much of it was done now."""

    format: str
    shards: int
    done_before: int
    """Shards that an earlier run had written."""
    rows: dict[str, int]
    """By split."""
    bytes: int
    """Of the shards' files."""
    still_open: int
    """Shards that are not written yet: the same call goes on."""
    failures: tuple[str, ...] = ()
    """A line for each shard that could not be written."""
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether all is there."""
        return not self.still_open

    def _facts(self) -> Json:
        return {
            "format": self.format,
            "shards": self.shards,
            "rows": sum(self.rows.values()),
            "still_open": self.still_open,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PackJob:
    """A shard that is to be written."""

    shard: Shard

    @property
    def name(self) -> str:
        """What it is called in logs and in the keys of tasks."""
        return f"pack-{self.shard.name}"

    @property
    def index(self) -> int:
        """Its number among all shards."""
        return self.shard.number

    @property
    def ids(self) -> list[str]:
        """It is one thing."""
        return [self.shard.name]

    def split(self) -> list[PackJob]:
        """It cannot be divided: it is tried alone."""
        return [self]


def pack(
    tree: str | Path | Address,
    out: str | AnyPath,
    *,
    format: str = "parquet",
    boxes: str | None = None,
    cells: str | None = None,
    shard_mb: int = SHARD_MB,
    workers: int | Cluster | None = None,
    callbacks: Sequence[Callback] = (),
) -> Packed:
    """Pack a finished tree into another form, in a folder of its own, or go on with that; gives what is there and left.

    The tree is only read, and only what its commits name: each picture and sidecar is held against its commit. The same
    tree and options give the same bytes, however often it was stopped, and however many workers there were.

    Parameters
    ----------
    tree
        The folder of a tree that :func:`nutonic.build` has finished, or its address in an object store.
    out
        The folder of the pack, or its address in an object store: a new or empty one, or one of just this pack, which is
        gone on with.
    format
        What is made: see ``nutonic pack --help``.
    boxes
        How boxes are written, and asked for: ``unit`` (0 to 1), ``qwen3``, ``qwen2.5``, ``glm``, ``internvl``,
        ``paligemma``, ``florence2`` or ``geochat``. By default as the models of the form's trainer write them.
    cells
        How the cell of each chip is named: ``utm`` (2,560 m, the default), ``major-tom`` (10 km) or ``h3`` (resolution 7).
    shard_mb
        About so many megabytes of rows and pictures a shard has.
    workers
        As of :func:`nutonic.build`.
    callbacks
        What follows the work, and may stop it: a shard is a batch.

    Raises
    ------
    InputError
        If an option is none, the tree is not finished, or one of the folders lies in the other; nothing is done then.
    NotNutonic
        If `tree` is no tree, or `out` holds files of somebody else, or another pack; nothing is touched.
    Corrupt
        If a file of the tree is not what its commit says.
    StoreError
        If nothing more can be written; the same call goes on once it can.
    """
    started, group = time.perf_counter(), CallbackGroup([LogCallback(), *callbacks])
    if not isinstance(shard_mb, int) or shard_mb < 1:
        raise InputError(f"shard_mb is {shard_mb!r:.60}: give a number of megabytes from 1")
    folder, target, form = any_path_of(tree), any_path_of(out), form_of(format, boxes, cells)
    _refuse_nested(folder, target)
    source = tree_to_pack(folder)
    refuse_without_boxes(form, source.facts)
    packed = _pack(source, target, form, shard_mb, _cluster(workers), group)
    return replace(packed, seconds=round(time.perf_counter() - started, 3))


def _pack(source: PackTree, out: AnyPath, form: Form, shard_mb: int, cluster: Cluster, callback: Callback) -> Packed:
    refuse_foreign_folder(out)
    if isinstance(out, Path) and not out.exists():
        refuse_unwritable(out)
    if source.facts.open:
        callback.on_note(
            Note(text=f"{counted(source.facts.open, 'place is', 'places are')} not built: no row of such is packed")
        )
    store, shards = Store(out), shards_of(source, shard_mb * 10**6)
    begin(store, _packing(form, source, shard_mb))
    finished = is_finished(store, len(shards), is_there_in(store))
    done_before, failures = len(shards), tuple[str, ...]()
    if not finished:
        store.delete(PACKED)
        done_before, failures = _write_all(source, store, form, shards, cluster, callback)
    is_there = is_there_in(store)
    records = [read_record(store, shard.number, is_there, finished=finished) for shard in shards]
    whole = [_record(record) for record in records if record is not None]
    if len(whole) == len(shards) and not finished:
        _finish(store, form, source, whole)
    return Packed(
        format=form.name,
        shards=len(shards),
        done_before=done_before,
        rows={split: sum(record.rows for record in whole if record.split == split) for split in source.splits},
        bytes=sum(record.bytes for record in whole),
        still_open=len(shards) - len(whole),
        failures=failures,
    )


def _refuse_nested(tree: AnyPath, out: AnyPath) -> None:
    if isinstance(tree, Path) and isinstance(out, Path):
        one, other = real_path(tree), real_path(out)
        nested = one == other or one in other.parents or other in one.parents
    else:
        inner, outer = f"{out}/", f"{tree}/"
        nested = inner.startswith(outer) or outer.startswith(inner)
    if nested:
        raise InputError(f"{out} and {tree} lie in each other: name a folder for the pack that is beside the tree")


def _cluster(workers: int | Cluster | None) -> Cluster:
    if isinstance(workers, Cluster):
        return workers
    if workers is not None and (not isinstance(workers, int) or workers < 0):
        raise InputError(f"workers is {workers!r:.60}: give a number from 0, or nutonic.Cluster(scheduler=…, …)")
    return Cluster(workers=workers)


def _packing(form: Form, source: PackTree, shard_mb: int) -> Json:
    """What is sealed with a pack: another of these is another pack."""
    return {
        "format": form.name,
        **form.options(),
        "shard_mb": shard_mb,
        **source.facts.origin,
        "packed_with": __version__,
    }


def _write_all(
    source: PackTree, store: Store, form: Form, shards: list[Shard], cluster: Cluster, callback: Callback
) -> tuple[int, tuple[str, ...]]:
    """Write what is left to write; how many shards were there before, and what failed."""
    from nutonic.run.executor import results_of

    is_there = is_there_in(store)
    left = [shard for shard in shards if read_record(store, shard.number, is_there) is None]
    places = sum(len(shard.spans) for shard in left)
    callback.on_start(BuildStarted(wanted=places, done_before=0))
    work = partial(write_shard, tree=source.store, store=store, form=form, facts=source.facts)
    failures: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(once_begun())
        pool = None
        if cluster.scheduler is None:
            cluster = replace(cluster, workers=_workers_for(cluster, left))
        if left and not cluster.in_process:
            pool = stack.enter_context(_workers(source.store, store, form.needs(), cluster, callback))
        for result in results_of(pool, work, callback, (PackJob(shard=shard) for shard in left)):
            failures += [f"{failure.poi_id}: {failure.error}" for failure in result.failures]
            callback.on_batch(BatchFinished(result=result, to_do=places))
    return len(shards) - len(left), tuple(failures)


def _workers_for(cluster: Cluster, shards: list[Shard]) -> int:
    """Processes to start on this machine: no more than shards, and unless told otherwise none for what is done sooner."""
    from nutonic.planning.cost import default_workers

    if cluster.workers is not None:
        return min(cluster.workers, len(shards))
    size = sum(int((shard.spans.column("size") + shard.spans.column("pictures")).sum()) for shard in shards)
    return min(default_workers(), len(shards)) if len(shards) > 1 and size >= _WORTH_WORKERS else 0


@dataclass(frozen=True, slots=True)
class _Tree:
    """What workers need: the libraries that write this form, and to see the tree, by its plan."""

    packages: tuple[str, ...]
    plan_path: str | None
    """None of a tree in an object store, which needs nothing but its address."""

    def needs(self, scenes: Sequence[object] = ()) -> Needs:
        """Of each process."""
        return Needs(packages=self.packages, files=() if self.plan_path is None else (self.plan_path,))


@contextmanager
def _workers(
    tree: Store, store: Store, packages: tuple[str, ...], cluster: Cluster, callback: Callback
) -> Iterator[WorkerPool]:
    """Workers that see both folders, and have what writes the form."""
    from nutonic.run.executor import workers_for

    assert store.root is not None, "a pack lies somewhere"
    sources: Any = (_Tree(packages, None if tree.disk is None else str(tree.disk / PLAN)),)
    with workers_for(sources, store.root, cluster, callback, ()) as pool:
        if cluster.scheduler is not None:
            pool.must_see(())
        yield pool


def write_shard(job: PackJob, *, tree: Store, store: Store, form: Form, facts: TreeFacts) -> BatchDone:
    """Write the files of a shard, then its record.

    Raises
    ------
    Corrupt
        If a file of the tree is not what its commit says.
    """
    shard, files, put = job.shard, dict[str, tuple[int, str]](), written_to(store)

    def noted(path: str, data: bytes | Iterable[bytes]) -> None:
        files[path] = put(path, data)

    digest = facts.origin["recipe_digest"]
    samples = _Counted(patch_samples(tree, shard, digest) if facts.patches else samples_of(tree, shard))
    form_facts = form.write(shard, samples, facts, noted)
    if samples.rows != shard.rows:
        raise Corrupt(
            f"{shard.name} has {counted(samples.rows, 'row')} where commits tell of {shard.rows}: run nutonic verify --deep"
        )
    record = {"shard": shard.name, "split": shard.split, "rows": samples.rows, "files": files, "told": form_facts}
    store.put(shard_record(shard.number), sealed(record))
    written = sum(size for size, _ in files.values())
    places = len(shard.spans)
    return BatchDone(
        index=shard.number,
        finished=places,
        places=places,
        tiles=len(samples.chips),
        rows=samples.rows,
        bytes_written=written,
    )


class _Counted:
    """Samples on their way into a shard, counted."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples, self.rows, self.chips = samples, 0, set[str]()

    def __iter__(self) -> Iterator[Sample]:
        for sample in self._samples:
            self.rows += 1
            self.chips.add(sample.chip)
            yield sample


def _record(record: Json) -> Record:
    files = {path: (size, digest) for path, (size, digest) in record["files"].items()}
    return Record(
        shard=record["shard"], split=record["split"], rows=record["rows"], files=files, form_facts=record["told"]
    )


def _finish(store: Store, form: Form, source: PackTree, records: list[Record]) -> None:
    """What is made of all shards together, and the card; then nothing is left of what was only on its way."""
    put, shards = written_to(store), Shards(records=tuple(records), read=partial(_pieces, store))
    wrong = next((s for s in source.splits if shards.rows(s) != source.rows[s]), None)
    if wrong is not None:
        raise Corrupt(
            f"{wrong} has {counted(shards.rows(wrong), 'row')} in shards where commits tell of {source.rows[wrong]}"
        )
    made: dict[str, tuple[int, str]] = {}

    def noted(path: str, data: bytes | Iterable[bytes]) -> None:
        made[path] = put(path, data)

    form.finish(shards, source.facts, noted)
    card.put(store, card_of(form, shards, source.facts))
    rows = {split: shards.rows(split) for split in shards.splits}
    store.put(PACKED, sealed({"format": form.name, "shards": len(records), "rows": rows, "files": made}))
    store.delete_all([path for path, _ in store.sizes(ROWS)])
    for path in [path for path, _ in store.sizes() if is_temporary(path)]:
        if path.split("#")[0] in made or any(path.split("#")[0] in record.files for record in records):
            store.delete(path)


def _pieces(store: Store, path: str) -> Iterator[bytes]:
    with store.open(path) as file:
        while piece := file.read(_PIECE):
            yield piece
