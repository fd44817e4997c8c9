"""Proving a tree of patches whole: what follows from something else in it is made again and compared.

Pictures follow from their sources alone (`rebuild`); descriptions from the map that is kept in the tree; captions from
descriptions and from the answers that are kept; shards, statistics, figures and the card from all these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from nutonic.core.model import Json
from nutonic.core.units import IS, counted, counted_of
from nutonic.dataset import card
from nutonic.dataset.commits import (
    Committed,
    committed,
    read_commit,
)
from nutonic.dataset.index import NamedFiles
from nutonic.dataset.proof.findings import ODD, Finding, unlike
from nutonic.dataset.shards.captions import read_captions
from nutonic.dataset.shards.finish import CommittedPatches, committed_patches, hashed, made_of, superfluous
from nutonic.dataset.verify import Verdict
from nutonic.errors import Corrupt
from nutonic.inert import inert
from nutonic.io.objects import Store, is_temporary, sha256, unsealed
from nutonic.planning.layout import CARD, RECIPE, SUMMARY, CommitName, is_own
from nutonic.planning.ownership import is_litter
from nutonic.planning.patches.layout import CAPTIONS, PatchOwnership, captioned, captions_path
from nutonic.planning.patches.spec import PatchSpec, resolve_patches
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.planned import PlaceKey, shared_ground_line
from nutonic.recipe.patches import PatchRecipe
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.run.patches.proof import deep_findings, rebuilt
from nutonic.run.results import Summary

#: What a summary tells beside what follows from the commits: what the last build did, and whether it is up to date.
_TOLD = frozenset({*Summary(places=0).as_kept(), "commits"})

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
    looked: bool = False
    """Whether files were held against plan and commits."""
    deep: bool = False
    """Whether every file was read."""

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
    taken: set[str] = set()
    if fix:
        tree.owned.refuse_obstacles()
    for _ in range(_ROUNDS if fix else 0):
        gone = [each for each in tree.findings if each.path is not None and tree.owned.remove(each.path)]
        if not gone:
            break
        removed += [_reason(each, taken) for each in gone]
        taken |= {each.path for each in gone if each.path is not None}
        tree, limit = _looked_at(plan, recipe, deep=deep)
    problems = [finding.message(fix) for finding in tree.findings if not finding.note]
    compared = 0
    if rebuild:
        again, compared = rebuilt(plan, tree.spec, tree.done, rebuild)
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
        deep=tree.deep,
        removed=tuple(map(inert, removed)),
        rebuilt=compared,
        looked=tree.looked,
    )


def _reason(finding: Finding, taken: Collection[str]) -> str:
    """Why a file was removed: the summary for what it tells, and not because of what was removed before."""
    if finding.path != SUMMARY or finding.text.startswith(SUMMARY):
        return finding.text
    if any(finding.text == _lacking(path) for path in taken):
        return f"{SUMMARY} tells of files that were removed"
    return f"{SUMMARY}: {finding.text}"


def _lacking(path: str) -> str:
    return f"{path} is missing: build again"


def _looked_at(plan: PlanFile, recipe: PatchRecipe, *, deep: bool) -> tuple[_Tree, int | None]:
    store, spec = plan.store, resolve_patches(recipe)
    owned = PatchOwnership(store, plan.planned, shards=spec.shards)
    tree = _Tree(store, plan, spec, owned, committed(store))
    blocked = dict(owned.obstacles())
    tree.deep = deep = deep and not blocked  # what a link leads to is no part of the tree
    for obstacle in blocked.values():
        tree.find(obstacle)
    tree.looked = True
    if line := shared_ground_line(plan.header.get("shared_ground"), spec.splits.by, "patches"):
        tree.find(line, note=True)
    summary = _summary(tree)
    limit = summary.get("limit")
    sound = _commits(tree, limit) and not blocked
    map_is_whole = _beside(tree, deep=deep)
    if deep:
        found = list(deep_findings(plan, spec, tree.done, map_is_whole=map_is_whole))
        tree.findings += found
        damaged = {each.path for each in tree.findings} - {None, SUMMARY, RECIPE}
        sound = sound and map_is_whole and not damaged  # of what is damaged nothing can be made again
    _finished(tree, summary, sound=sound, deep=deep)
    if blocked:
        hidden = tuple(f"{each}/" for each in blocked)
        tree.findings = [each for each in tree.findings if each.path is None or not f"{each.path}/".startswith(hidden)]
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
    for name in filter(tree.done.takes_effect, tree.done.all_names()):
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
    counted = {name for name in tree.done.all_names() if tree.done.takes_effect(name)}
    for name in captions - counted:
        tree.find(f"{captions_path(name)} is of no commit", captions_path(name))
    ordinals = sorted({place.ordinal for place in planned.values()})
    wanted = set(ordinals if limit is None else ordinals[:limit])
    missing = [poi for poi, place in planned.items() if place.ordinal in wanted and poi not in seen]
    if missing and sound:  # of a commit that cannot be read nobody knows which patches it has
        some = counted_of(len(missing), len(planned), "patch", "patches", verb=IS)
        text = f"{some} not built, such as {missing[0]}: build again"
        tree.find(text, to_build=True)
    return sound


def _blamed(error: Exception, name: CommitName) -> str:
    """The file that an error is about: captions, or the commit."""
    return captions_path(name) if str(error).startswith(CAPTIONS) else name.path


def _compare(tree: _Tree, name: CommitName, content: Json, planned: Mapping[str, PlaceKey], seen: set[str]) -> None:
    header = tree.plan.header
    if content["recipe_digest"] != header["recipe_digest"] or content["plan"] != tree.plan.digest:
        tree.find(f"{name.path} was written for another plan or recipe", name.path)
    for path, (size, _) in content["part"].items():
        there = tree.store.listed_size(path)
        if path != name.part:
            tree.find(f"{name.path} names {path[:200]!r}, which is no part of its own", name.path)
        elif there != size:
            tree.find(f"{path} {unlike(there, size)}", name.path)
        elif not tree.store.is_file(path):
            tree.find(f"{path} cannot be read: what lies there is no file", name.path)
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
    if [each.patch_id for each in found.patches] != ids or found.plan_digest != tree.plan.digest:
        tree.find(f"{captions_path(name)} holds captions of other patches than its commit", captions_path(name))


def _beside(tree: _Tree, *, deep: bool) -> bool:
    """Compare the recipe and what lies beside the plan with the plan. True if the latter can be stood on."""
    store, plan, whole = tree.store, tree.plan, True
    if not store.has(RECIPE):
        tree.find(_lacking(RECIPE), RECIPE)
    elif store.get(RECIPE) != plan.recipe.encode():
        tree.find(f"{RECIPE} is not the recipe of the plan", RECIPE)
    for path, digest in plan.beside.items():
        problem = None
        if not store.is_file(path):
            problem = "is missing: it belongs to the plan" if store.listed_size(path) is None else "is no file"
        elif deep and sha256(store.get(path)) != digest:
            problem = "is not what the plan was made with"
        if problem is not None:
            whole = False
            tree.find(f"{path} {problem}; plan anew with --replan")
    return whole


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
    kept = {captions_path(name) for name in filter(tree.done.takes_effect, tree.done.all_names())}
    shown = patches if tree.spec.shards.chat else None
    missing = [path for path in patches.pictures() if not tree.store.is_file(path)] if shown is not None else []
    if missing:
        tree.find(
            f"{counted(len(missing), 'picture is', 'pictures are')} missing, such as {missing[0]}: build again", SUMMARY
        )
    tree.files = len(summary["data"]) + len(kept)
    for path in superfluous(tree.store, tree.plan, set(summary["data"]) | kept, named_files, shown):
        _extra(tree, path)


def _sizes(tree: _Tree, summary: Json) -> None:
    """Compare files with the sizes that the summary tells, and look for the card."""
    store, sizes = tree.store, dict(tree.store.sizes())
    for path, (size, _) in summary["data"].items():
        if path not in sizes:
            tree.find(_lacking(path), SUMMARY)
        elif sizes[path] != size:
            tree.find(f"{path} has {sizes[path]} bytes, its build wrote {size}", path)
    if not store.has(CARD):
        tree.find(_lacking(CARD), SUMMARY)
    elif card.is_theirs(store):
        tree.find(f"{CARD} is not the card that the build wrote: it is kept, move it away to have a new one")


def _made_again(tree: _Tree, summary: Json, patches: CommittedPatches) -> None:
    """Make all that follows from commits and captions again, and compare it with what is there."""
    store = tree.store

    def compared(path: str, data: bytes | Iterable[bytes]) -> tuple[int, str]:
        entry = hashed(path, data)
        if store.is_file(path) and _digest(store, path, large=not isinstance(data, bytes)) != entry[1]:
            tree.find(f"{path} is not what follows from commits and captions", path)
        return entry

    made, text = made_of(patches, tree.spec, tree.plan, compared)
    if summary["data"] != {path: list(entry) for path, entry in made.data.items()}:
        tree.find(f"{SUMMARY} tells of other files than follow from the commits", SUMMARY)
    if store.has(CARD) and not card.is_theirs(store) and card.digest_of(store) != sha256(text):
        tree.find(f"{CARD} is not what follows from commits and captions: build again", SUMMARY)
    right = {**made.json(), "places_with_chips": made.chips}
    right["captions"] |= {key: value for key, value in summary["captions"].items() if key == "waiting"}
    if any(summary.get(key) != right[key] for key in right) or summary.keys() != {*right, *_TOLD}:
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


def _digest(store: Store, path: str, *, large: bool) -> str:
    if not large:
        return sha256(store.get(path))
    digest, size = hashlib.sha256(), dict(store.sizes(path.rpartition("/")[0]))[path]
    for piece in store.pieces(path, size):
        digest.update(piece)
    return digest.hexdigest()


def _all_captions(tree: _Tree) -> Iterator[PatchCaptions]:
    for name in filter(tree.done.takes_effect, tree.done.all_names()):
        try:
            yield from read_captions(tree.store, name).patches
        except (Corrupt, FileNotFoundError):
            continue
