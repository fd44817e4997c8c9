"""Proving a tree of patches whole: what follows from something else in it is made again and compared.

Pictures follow from their sources alone (`rebuild`); descriptions from the map that is kept in the tree; captions from
descriptions and from the answers that are kept; shards, statistics, figures and the card from all these.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image

from nutonic._version import __version__
from nutonic.chips.scene.describe import describe
from nutonic.core.grid import lonlat_bounds
from nutonic.core.model import Element, Json
from nutonic.dataset import card
from nutonic.dataset.commits import (
    Committed,
    CommittedPlace,
    committed,
    entries_of,
    read_commit,
    read_commits,
    unpacked,
)
from nutonic.dataset.index import NamedFiles
from nutonic.dataset.proof.findings import ODD, Finding
from nutonic.dataset.shards.captions import read_captions
from nutonic.dataset.shards.finish import CommittedPatches, committed_patches, hashed, made_of, superfluous
from nutonic.dataset.shards.records import PatchRecord, records_of
from nutonic.dataset.verify import Verdict
from nutonic.errors import Corrupt
from nutonic.inert import inert
from nutonic.io.objects import Store, is_temporary, sha256, unsealed
from nutonic.planning.layout import CARD, RECIPE, SUMMARY, CommitName, is_own
from nutonic.planning.ownership import is_litter
from nutonic.planning.patches.layout import CAPTIONS, PatchOwnership, captioned, captions_path
from nutonic.planning.patches.map import features
from nutonic.planning.patches.spec import PatchSpec, resolve_patches
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.planned import PlaceKey
from nutonic.recipe.patches import PatchRecipe
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.run.patches.batch import names_on_map, run_patch_batch
from nutonic.run.patches.captioning import captions_of
from nutonic.secrets import redact
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.batches import Pending, pending

#: Most rounds of repairing and inspecting a tree; a removal may reveal another problem.
_ROUNDS = 6


@dataclass(slots=True)
class _Tree:
    """A tree of patches that is looked at."""

    store: Store
    plan: PlanFile
    spec: PatchSpec
    owned: PatchOwnership
    done: Committed
    findings: list[Finding] = field(default_factory=list)
    places: int = 0
    tiles: int = 0
    files: int = 0

    def find(self, text: str, path: str | None = None, *, to_build: bool = False, note: bool = False) -> None:
        """Add a finding."""
        self.findings.append(Finding(text, path=path, to_build=to_build, note=note))


def verify_patches(plan: PlanFile, recipe: PatchRecipe, *, deep: bool, fix: bool, rebuild: int) -> Verdict:
    """Prove a tree of patches whole; as :func:`nutonic.verify`.

    Parameters
    ----------
    plan
        The tree's.
    recipe
        The plan's.
    """
    removed: list[str] = []
    tree, limit = _looked_at(plan, recipe, deep=deep)
    for _ in range(_ROUNDS if fix else 0):
        gone = [each.text for each in tree.findings if each.path is not None and tree.owned.remove(each.path)]
        if not gone:
            break
        removed += gone
        tree, limit = _looked_at(plan, recipe, deep=deep)
    problems = [finding.message(fix) for finding in tree.findings if not finding.note]
    compared = 0
    if rebuild:
        again, compared = _rebuilt(tree, rebuild)
        problems += map(inert, again)
    return Verdict(
        problems=tuple(dict.fromkeys(problems)),
        notes=tuple(dict.fromkeys(finding.message(fix) for finding in tree.findings if finding.note)),
        done=tree.places,
        planned=int(plan.header["places"]),
        limit=limit,
        tiles=tree.tiles,
        rows=sum(len(each.annotations) for each in _all_captions(tree)),
        files=tree.files,
        deep=deep,
        removed=tuple(map(inert, removed)),
        rebuilt=compared,
    )


def _looked_at(plan: PlanFile, recipe: PatchRecipe, *, deep: bool) -> tuple[_Tree, int | None]:
    store, spec = plan.store, resolve_patches(recipe)
    owned = PatchOwnership(store, plan.planned, shards=spec.shards)
    tree = _Tree(store, plan, spec, owned, committed(store))
    for obstacle in owned.obstacles():
        tree.find(obstacle)
    if tree.findings:
        return tree, None
    summary = _summary(tree)
    limit = summary.get("limit")
    sound = _commits(tree, limit)
    _beside(tree, deep=deep)
    _finished(tree, summary, sound=sound, deep=deep)
    if deep:
        _patches(tree)
    return tree, limit


def _summary(tree: _Tree) -> Json:
    """The summary of the last build that finished; empty, with a finding, if there is none."""
    try:
        summary = unsealed(tree.store.get(SUMMARY), SUMMARY)
        if isinstance(summary.get("data"), dict) and isinstance(summary.get("card_sha256"), str):
            return summary
        tree.find(f"{SUMMARY} is not a build's summary", SUMMARY)
    except FileNotFoundError:
        tree.find(f"{SUMMARY} is missing: the build has not finished, run it again", to_build=True)
    except Corrupt as error:
        tree.find(str(error), SUMMARY)
    return {}


def _commits(tree: _Tree, limit: int | None) -> bool:
    """Compare commits and captions with the plan: every patch once, as it was planned. True if all can be read."""
    planned, sound = tree.plan.planned.by_id, True
    seen: set[str] = set()
    captions = captioned(path for path, _ in tree.store.sizes(CAPTIONS))
    for name in filter(tree.done.counts, tree.done.all_names()):
        try:
            content = read_commit(tree.store, name)
            _compare(tree, name, content, planned, seen)
            if name in captions:
                _compare_captions(tree, name, content)
            elif any(entry["tiles"] for entry in content["places"]):
                tree.find(f"the patches of commit {name.text} have no captions: build again", to_build=True)
        except (Corrupt, FileNotFoundError) as error:
            sound = False
            tree.find(str(error), _blamed(error, name))
        except ODD as error:
            sound = False
            tree.find(f"{name.path} holds what no commit does ({type(error).__name__})", name.path)
    counted = {name for name in tree.done.all_names() if tree.done.counts(name)}
    for name in captions - counted:
        tree.find(f"{captions_path(name)} is of no commit", captions_path(name))
    ordinals = sorted({place.ordinal for place in planned.values()})
    wanted = set(ordinals if limit is None else ordinals[:limit])
    missing = [poi for poi, place in planned.items() if place.ordinal in wanted and poi not in seen]
    if missing:
        text = f"{len(missing)} of {len(planned)} patches are not built, such as {missing[0]}: build again"
        tree.find(text, to_build=True)
    return sound


def _blamed(error: Exception, name: CommitName) -> str:
    """The file that an error is about: captions, or the commit."""
    return captions_path(name) if str(error).startswith(CAPTIONS) else name.path


def _compare(tree: _Tree, name: CommitName, content: Json, planned: dict[str, PlaceKey], seen: set[str]) -> None:
    header = tree.plan.header
    if content["recipe_digest"] != header["recipe_digest"] or content["plan"] != tree.plan.digest:
        tree.find(f"{name.path} was written for another plan or recipe", name.path)
    for path, (size, _) in content["part"].items():
        if path != name.part or not tree.store.is_file(path):
            tree.find(f"{path} is missing", name.path)
        elif len(tree.store.get(path)) != size:
            tree.find(f"{path} has another size than its commit says ({size} bytes)", name.path)
    for entry in content["places"]:
        poi, key = entry["poi_id"], PlaceKey(entry["ordinal"], entry["variant"], entry["split"])
        if planned.get(poi) != key:
            tree.find(f"{name.path} holds {poi} otherwise than the plan", name.path)
        elif poi in seen:
            tree.find(f"{poi} is committed twice", name.path)
        seen.add(poi)
        tree.places += 1
        tree.tiles += entry["tiles"]


def _compare_captions(tree: _Tree, name: CommitName, content: Json) -> None:
    found = read_captions(tree.store, name)
    ids = [entry["poi_id"] for entry in content["places"] if entry["tiles"]]
    if [each.patch_id for each in found.patches] != ids or found.plan != tree.plan.digest:
        tree.find(f"{captions_path(name)} holds captions of other patches than its commit", captions_path(name))


def _beside(tree: _Tree, *, deep: bool) -> None:
    """Compare the recipe and what lies beside the plan with the plan."""
    store, plan = tree.store, tree.plan
    if not store.has(RECIPE) or store.get(RECIPE) != plan.recipe.encode():
        tree.find(f"{RECIPE} is not the recipe of the plan", RECIPE)
    for path, digest in plan.beside.items():
        if not store.is_file(path):
            tree.find(f"{path} is missing: it belongs to the plan; plan anew with --replan")
        elif deep and sha256(store.get(path)) != digest:
            tree.find(f"{path} is not what the plan was made with; plan anew with --replan")


def _finished(tree: _Tree, summary: Json, *, sound: bool, deep: bool) -> None:
    """Compare shards, statistics, figures and card with what follows from commits and captions; and find what is extra."""
    if summary:
        _sizes(tree, summary)
    if not sound or not summary:
        return
    named_files = NamedFiles()
    patches = committed_patches(tree.store, tree.done, named_files)
    if deep and not any(each.to_build for each in tree.findings):
        _made_again(tree, summary, patches)
    kept = {captions_path(name) for name in filter(tree.done.counts, tree.done.all_names())}
    shown = patches if tree.spec.shards.chat else None
    tree.files = len(summary["data"]) + len(kept)
    for path in superfluous(tree.store, tree.plan, set(summary["data"]) | kept, named_files, shown):
        _extra(tree, path)


def _sizes(tree: _Tree, summary: Json) -> None:
    """Compare files with the sizes that the summary tells, and look for the card."""
    store, sizes = tree.store, dict(tree.store.sizes())
    for path, (size, _) in summary["data"].items():
        if path not in sizes:
            tree.find(f"{path} is missing: build again", SUMMARY)
        elif sizes[path] != size:
            tree.find(f"{path} has {sizes[path]} bytes, its build wrote {size}", path)
    if not store.has(CARD):
        tree.find(f"{CARD} is missing: build again", SUMMARY)
    elif card.is_theirs(store):
        tree.find(f"{CARD} is not the card that the build wrote: it is kept, move it away to have a new one")


def _made_again(tree: _Tree, summary: Json, patches: CommittedPatches) -> None:
    """Make all that follows from commits and captions again, and compare it with what is there."""
    store = tree.store
    made, text = made_of(patches, tree.spec, tree.plan, hashed)
    if summary["data"] != {path: list(entry) for path, entry in made.data.items()}:
        tree.find(f"{SUMMARY} tells of other files than follow from the commits", SUMMARY)
    for path, (_, digest) in made.data.items():
        if store.is_file(path) and _digest(store, path) != digest:
            tree.find(f"{path} is not what follows from commits and captions", path)
    if store.has(CARD) and not card.is_theirs(store) and card.digest_of(store) != sha256(text):
        tree.find(f"{CARD} is not what follows from commits and captions: build again", SUMMARY)
    if (summary["card_sha256"], summary.get("chips")) != (made.card_sha256, made.chips):
        tree.find(f"{SUMMARY} says other than follows from the commits", SUMMARY)


def _extra(tree: _Tree, path: str) -> None:
    if tree.owned.is_kept(path) and not is_temporary(path):
        return
    if is_litter(path):
        tree.find(f"{path} of the operating system's: not judged", note=True)
    elif tree.owned.has(path):
        tree.find(f"{path} belongs to no commit", path)
    else:
        where = "has a name that nutonic gives to no file" if is_own(path) else "lies where nutonic writes nothing"
        tree.find(f"{path} belongs to no commit, and {where}: move it out of the folder")


def _digest(store: Store, path: str) -> str:
    digest, size = hashlib.sha256(), dict(store.sizes(path.rpartition("/")[0]))[path]
    for piece in store.pieces(path, size):
        digest.update(piece)
    return digest.hexdigest()


def _all_captions(tree: _Tree) -> Iterator[PatchCaptions]:
    for name in filter(tree.done.counts, tree.done.all_names()):
        try:
            yield from read_captions(tree.store, name).patches
        except (Corrupt, FileNotFoundError):
            continue


# Deep: patch by patch


def _patches(tree: _Tree) -> None:
    """Make descriptions and captions again, patch by patch, and compare them."""
    answers = Answers(tree.store, pending)
    if tree.plan.header["nutonic_version"] != __version__:
        tree.find("the tree was made by another nutonic: words and numbers are not made again", note=True)
        return
    if tree.spec.osm.source != "pbf":
        tree.find("descriptions are not made again: the map is a server's, and nobody is asked here", note=True)
    for name in filter(tree.done.counts, tree.done.all_names()):
        try:
            content = read_commit(tree.store, name)
            for path, (_, digest) in content["part"].items():
                if sha256(tree.store.get(path)) != digest:
                    raise Corrupt(f"{path} is not what its commit says")
            records = list(records_of(tree.store, entries_of(name, content)))
            problem = _of_records(tree, records)
        except (Corrupt, FileNotFoundError, *ODD) as error:
            tree.find(str(error) or f"{name.path} cannot be read", name.path)
            continue
        if problem is not None:
            tree.find(f"{name.path}: {problem}", name.path)
            continue
        problem = _of_captions(tree, name, records, answers)
        if problem is not None:
            tree.find(f"{captions_path(name)}: {problem}", captions_path(name))


def _of_records(tree: _Tree, records: list[PatchRecord]) -> str | None:
    """What is wrong with committed patches, in words; None if nothing is."""
    spec = tree.spec
    for record, over in zip(records, _maps(tree, records), strict=True):
        image, poi = record.image, record.image.patch_id
        planned = tree.plan.planned.by_id.get(poi)
        if planned is None or (planned.ordinal, planned.split) != (record.ordinal, image.split):
            return f"{poi} is not as the plan has it"
        with Image.open(io.BytesIO(record.picture), formats=["JPEG"]) as picture:
            picture.load()
            if picture.size != (spec.patches.size, spec.patches.size) or picture.mode != "RGB":
                return f"the picture of {poi} is {picture.size} {picture.mode}"
        if over is None:
            continue
        described = describe(over, image.grid, spec.policy, patch_id=poi, names=spec.captions.names)
        if described != record.described:
            return f"the description of {poi} is not what the map says"
        if record.hidden != names_on_map(over, spec.captions):
            return f"the names of {poi} are not those of the map"
    return None


def _maps(tree: _Tree, records: list[PatchRecord]) -> list[tuple[Element, ...]] | list[None]:
    """The elements over each patch; none of a server, whose answers are kept by what was asked for together."""
    if tree.spec.osm.source != "pbf" or not records:
        return [None] * len(records)
    kept = features(tree.spec, tree.store, tree.plan.header.get("osm"))
    return kept.over([lonlat_bounds(record.image.grid) for record in records])


def _of_captions(tree: _Tree, name: CommitName, records: list[PatchRecord], answers: Answers) -> str | None:
    """What is wrong with captions, in words; None if nothing is, or if there are none yet."""
    try:
        told = read_captions(tree.store, name).patches
    except FileNotFoundError:
        return None
    except Corrupt as error:
        return str(error)
    for record, captions in zip(records, told, strict=False):
        try:
            again = captions_of(record, tree.spec, answers)
        except Pending:
            return f"an answer that the captions of {record.image.patch_id} are made of is not kept, or was changed"
        if again != captions:
            return f"the captions of {record.image.patch_id} are not what its answers and its description give"
    return None


# Rebuild


def _rebuilt(tree: _Tree, count: int) -> tuple[list[str], int]:
    """Problems of some patches read again from their sources, and how many were compared."""
    from nutonic.io.limits import IN_FLIGHT
    from nutonic.io.session import limited
    from nutonic.planning.pins import changed

    if tree.plan.header["nutonic_version"] != __version__:
        return ["no patch can be made again: the tree was made by another nutonic"], 0
    replaced = changed(tree.plan.header.get("inputs") or {})
    if replaced:
        return [f"no patch can be made again: {replaced[0]} is not the file that was there when the plan was made"], 0
    entries = [e for name, content in read_commits(tree.store, tree.done) for e in entries_of(name, content)]
    entries.sort(key=lambda entry: entry.order)
    chosen = random.Random(tree.plan.digest).sample(entries, min(count, len(entries)))
    by_batch: dict[int, list[CommittedPlace]] = {}
    for entry in chosen:
        by_batch.setdefault(entry.name.batch, []).append(entry)
    kept, problems = features(tree.spec, tree.store, tree.plan.header.get("osm")), list[str]()
    with limited(IN_FLIGHT):
        for batch in tree.plan.batches(sorted(by_batch)):
            memory = Store(None)
            some = {entry["index"] for entry in by_batch[batch.index]}
            failed = {
                f.poi_id: f.error for f in run_patch_batch(batch, tree.spec, memory, kept, some, plan="").failures
            }
            made = {e["index"]: e for n, c in read_commits(memory, committed(memory)) for e in entries_of(n, c)}
            for entry in by_batch[batch.index]:
                again, poi = made.get(entry["index"]), entry["poi_id"]
                if again is None:
                    why = redact(failed.get(poi, "it is not in the plan")).splitlines()[0][:300]
                    problems.append(f"{poi}: not judged, since it cannot be made again: {why}")
                elif _line(tree.store, entry) != _line(memory, again) or entry["rejects"] != again["rejects"]:
                    problems.append(f"{poi}: it is not what its sources give")
    return problems, len(chosen)


def _line(store: Store, entry: CommittedPlace) -> bytes:
    """What is committed of a patch."""
    rows = entry["rows"]
    if not rows["length"]:
        return b""
    return unpacked(store.get_range(entry.name.part, rows["start"], rows["length"]), entry.name.part, rows["size"])
