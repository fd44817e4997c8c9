"""Verification by building again: some places are made anew from their sources, into memory, and compared byte by byte.

What a deep look cannot see is a lie that changes everything consistently. It has to change what is made from the
sources too, and that is made here without looking at the tree: the plan says where, and the builder does the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nutonic._version import __version__
from nutonic.core.model import Batch, Json
from nutonic.dataset.commits import CommittedPlace, committed, entries_of, read_commit, read_commits, unpacked
from nutonic.dataset.parts.each import Each, here
from nutonic.dataset.proof.findings import ODD
from nutonic.dataset.verify import Verdict
from nutonic.dataset.verify import verify as verify_tree
from nutonic.errors import InputError, NutonicError
from nutonic.inert import inert
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.io.objects import Store
from nutonic.planning.layout import PLAN, named
from nutonic.planning.ownership import is_marked, refuse_obstacles
from nutonic.planning.pins import RemoteFiles, changed
from nutonic.planning.plan_file import PlanFile, digest_of, read_plan
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.yaml import of_places, parse_recipe_text
from nutonic.run.callbacks import Callback, CallbackGroup, LogCallback
from nutonic.run.clusters.cluster import Cluster, cluster_of
from nutonic.run.remote import known_files
from nutonic.secrets import redact

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec


def verify(
    out: str | Path | Address,
    *,
    deep: bool = False,
    fix: bool = False,
    rebuild: int = 0,
    workers: int | Cluster = 0,
    callbacks: Sequence[Callback] = (),
) -> Verdict:
    """Prove a tree whole, and remove what is damaged, so that the next build makes just that again.

    Parameters
    ----------
    out
        Its folder, or its address in an object store.
    deep
        Also read every file, and make again whatever follows from something else in the tree: sidecars and rows from
        their facts, the plan and the recipe; splits, counts and batches from the plan's places; the card from the commits.
    fix
        Remove places whose files are damaged or missing, commits that cannot be read, damaged files of ``data/`` and
        summary, and what the plan leads to and no commit names. A file of yours is never touched, in whatever folder,
        nor a card that you changed. The verdict is that of the tree afterwards. For a tree that nobody builds at the
        same time: what a build has written and not committed yet belongs to no commit, and would be built once more.
    rebuild
        Make so many places again from their sources, in memory, and compare all bytes; which ones, the plan's digest
        decides. It needs what a build needs: network, accounts, local files where the plan says they are.
    workers
        Worker processes on this machine that read the tree, or those of a :class:`nutonic.Cluster`; by default this process
        does. What is found is the same, in the same order. What `rebuild` asks for, and trees of patches, this process does.
    callbacks
        What hears of workers that come, go or do not answer: each a :class:`nutonic.Callback`.

    Raises
    ------
    NotNutonic
        If the folder is not a nutonic tree; with `fix` also if a file or a folder of it is a link.
    StoreError
        If something cannot be removed.
    InputError
        If `rebuild` or `workers` is below 0, or a worker elsewhere has other versions or sees another tree.
    Unreachable
        If the cluster is lost.
    """
    if rebuild < 0:
        raise InputError(f"rebuild is {rebuild}: give a number of places, from 0")
    out, cluster = any_path_of(out), cluster_of(workers)
    of_patches = _of_patches(out, fix)
    if of_patches is not None:
        from nutonic.run.patches.verify import verify_patches

        return verify_patches(*of_patches, deep=deep, fix=fix, rebuild=rebuild)
    with _readers(out, cluster, CallbackGroup([LogCallback(), *callbacks])) as each:
        verdict = verify_tree(out, deep=deep, fix=fix, each=each)
    if not rebuild:
        return verdict
    try:
        problems, count = _rebuilt(Store(out), rebuild)
    except (NutonicError, OSError, *ODD) as error:
        problems, count = [f"no place can be made again: {_text(error)}"], 0
    return replace(verdict, problems=(*verdict.problems, *map(inert, problems)), rebuilt=count)


@contextmanager
def _readers(out: AnyPath, cluster: Cluster, callback: Callback) -> Iterator[Each]:
    """Who reads the tree; nobody is asked where there is none."""
    if cluster.in_process or not is_marked(out) or not Store(out).is_file(PLAN):
        yield here
        return
    from nutonic.run.executor import each_of, workers_for

    with workers_for((), out, cluster, callback, (), reading=True) as pool:
        yield each_of(pool, callback)


def _of_patches(out: AnyPath, fix: bool) -> tuple[PlanFile, PatchRecipe] | None:
    """Plan and recipe of a tree of patches; None of any other, which is looked at otherwise."""
    if not is_marked(out):
        return None
    if fix:
        refuse_obstacles(out)
    try:
        plan = read_plan(Store(out))
        recipe = parse_recipe_text(plan.recipe) if plan.header.get("of") == "patches" else None
    except (NutonicError, *ODD):
        return None
    return (plan, recipe) if isinstance(recipe, PatchRecipe) else None


def _text(error: BaseException) -> str:
    lines = redact(str(error)).splitlines() or [type(error).__name__]
    return lines[0][:300]


def _rebuilt(store: Store, count: int) -> tuple[list[str], int]:
    """Problems of some places made again, and how many were compared."""
    from nutonic.io.limits import IN_FLIGHT
    from nutonic.io.session import limited
    from nutonic.planning.spec import resolve

    plan = read_plan(store)
    made_by = plan.header["nutonic_version"]
    if made_by != __version__:
        return [f"no place can be made again: the tree was made by nutonic {made_by}, this is {__version__}"], 0
    spec = resolve(of_places(parse_recipe_text(plan.recipe)))
    replaced = changed(plan.header.get("inputs") or {})
    if replaced:
        return [f"no place can be made again: {replaced[0]} is not the file that was there when the plan was made"], 0
    chosen, files = _chosen(store, plan, count), known_files(store, plan, committed(store))
    problems, compared = list[str](), 0
    with limited(min(IN_FLIGHT, spec.sources.most_requests(None) or IN_FLIGHT)):
        for service in spec.accounts:
            service.sign_in()
        for batch in plan.batches(sorted(chosen)):
            for entry, problem in _compared(store, spec, batch, chosen[batch.index], files):
                compared += 1
                problems += [f"{entry['poi_id']}: {problem}"] if problem else []
    return problems, compared


def _chosen(store: Store, plan: PlanFile, count: int) -> dict[int, list[CommittedPlace]]:
    """Some committed places, by batch; the plan's digest is the seed, so that a second look is at the same."""
    places = [entry for name, content in read_commits(store, committed(store)) for entry in entries_of(name, content)]
    places.sort(key=lambda entry: entry.order)
    some = random.Random(plan.digest).sample(places, min(count, len(places)))
    chosen: dict[int, list[CommittedPlace]] = {}
    for entry in some:
        chosen.setdefault(entry.name.batch, []).append(entry)
    return {number: entries for number, entries in chosen.items() if number < len(plan.index)}


def _compared(
    store: Store, spec: BuildSpec, batch: Batch, entries: list[CommittedPlace], files: RemoteFiles
) -> Iterator[tuple[CommittedPlace, str | None]]:
    """Each place with what is wrong with it, or None."""
    from nutonic.run.batch import run_batch

    memory = Store(None)
    done = run_batch(batch, spec, memory, {entry["index"] for entry in entries}, remote=files.among(batch))
    failed = {failure.poi_id: failure.error for failure in done.failures}
    again = {
        entry["index"]: entry
        for name, content in read_commits(memory, committed(memory))
        for entry in entries_of(name, content)
    }
    for entry in entries:
        place = again.get(entry["index"])
        if place is None:
            error = failed.get(batch.places[entry["index"]].poi.id, "it is not in the plan")
            yield entry, f"not judged, since it cannot be made again: {error.splitlines()[0][:300]}"
        else:
            yield entry, _difference(store, memory, entry, place, spec)


def _difference(store: Store, memory: Store, told: CommittedPlace, made: CommittedPlace, spec: BuildSpec) -> str | None:
    """In what the place of a tree differs from the one that its sources give, in words; None if in nothing."""
    gone = next((r["detail"] for r in made["rejects"] if r["reason"] == "asset gone"), None)
    if gone is not None and made["rejects"] != told["rejects"]:
        return f"not judged, since its source is gone: {gone[:300]}"
    if made["item_id"] != told["item_id"]:
        return f"its sources give a picture of {made['item_id']}, the tree has one of {told['item_id']}"
    for path in {**told["files"], **made["files"]}:
        if path not in made["files"] or path not in told["files"] or memory.get(path) != _bytes(store, path):
            return f"{path} is not what its sources give"
    if told.name.polished:
        made = _polished(store, memory, made, spec)
    if _rows(store, told) != _rows(memory, made):
        return "its rows are not what its sources give"
    wrong = [key for key in made.content if _said(told.content, key) != _said(made.content, key)]
    return f"its commit says {', '.join(wrong)} other than its sources" if wrong else None


def _polished(store: Store, memory: Store, made: CommittedPlace, spec: BuildSpec) -> CommittedPlace:
    """A place that was made again, with its captions polished by the answers that the tree keeps."""
    from nutonic.run.captions.polisher import Polisher
    from nutonic.sources.annotators.answers import Answers
    from nutonic.sources.annotators.batches import Pending, pending

    polisher, answers = Polisher(spec, memory, digest_of(memory) or ""), Answers(store, pending)
    name = named(made.name.batch, made.name.place, polished=True)
    memory.delete(name.path)  # of another place of its batch, which was polished before
    try:
        polisher.put(made.name, [(made, polisher.one(made, answers))])
    except Pending:
        return made
    return next(entry for entry in entries_of(name, read_commit(memory, name)) if entry["index"] == made["index"])


def _bytes(store: Store, path: str) -> bytes | None:
    return store.get(path) if store.has(path) else None


def _rows(store: Store, entry: CommittedPlace) -> bytes:
    told = entry["rows"]
    if not told["length"]:
        return b""
    return unpacked(store.get_range(entry.name.part, told["start"], told["length"]), entry.name.part, told["size"])


def _said(content: Mapping[str, Json], key: str) -> object:
    """What a commit says of a place; where its rows lie depends on its neighbours."""
    value = content.get(key)
    return {name: value[name] for name in ("size", "tasks")} if key == "rows" and isinstance(value, dict) else value
