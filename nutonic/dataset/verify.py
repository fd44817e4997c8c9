"""Proof that a tree is whole. Nothing it checks is taken on trust from the file it checks.

The chain starts at the plan, which carries its own hash; commits carry theirs, and the hashes of every payload file; the
files of ``data/`` are made again from the parts that commits name, and compared. Deep checks read every file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from nutonic.core.model import Json
from nutonic.core.showing import Shown
from nutonic.dataset import card
from nutonic.dataset.commits import committed, entries_of
from nutonic.dataset.finalize import data_files, unnamed
from nutonic.dataset.findings import Finding, Tree
from nutonic.dataset.index import Spans
from nutonic.dataset.repair import repair, repair_commits
from nutonic.errors import Corrupt, NotNutonic
from nutonic.io.objects import Store, unsealed
from nutonic.planning.layout import CARD, MARKER, RECIPE, SUMMARY, CommitName, is_own, layout_of
from nutonic.planning.ownership import Ownership, files_of, is_marked, owned_by, refuse_obstacles
from nutonic.planning.plan_file import PlanFile, read_plan
from nutonic.planning.planned import PlaceKey
from nutonic.recipe.yaml import parse_recipe_text

#: What is to be done about a plan that is no good.
_REPLAN = "build again with --replan"

#: How often a tree is mended and looked at again at most; what was removed may bring something else to light.
_ROUNDS = 6


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Verdict(Shown):
    """What a verification found."""

    problems: tuple[str, ...]
    """One line each; none if the tree is whole."""
    done: int
    """Places committed."""
    planned: int
    """Places in the plan."""
    limit: int | None
    """The limit of the last build, if it had one."""
    tiles: int
    rows: int
    files: int
    deep: bool
    open: int = 0
    """Places within the limit that are still to be built, or again."""
    removed: tuple[str, ...] = ()
    """One line for each place and file that was removed to be made again."""

    def _facts(self) -> Json:
        counts = {name: getattr(self, name) for name in ("done", "planned", "limit", "tiles", "rows", "files", "open")}
        first = {"first": self.problems[0]} if self.problems else {}
        return {"whole": self.whole, "problems": len(self.problems), **first, **counts, "removed": len(self.removed)}

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(out: str | Path, *, deep: bool = False, fix: bool = False) -> Verdict:
    """Prove a tree whole, and remove what is damaged, so that the next build makes just that again.

    Parameters
    ----------
    out
        Its folder.
    deep
        Also read every file: hashes, pictures, sidecars, rows, boxes, splits, and that no secret is anywhere.
    fix
        Remove places whose files are damaged or missing, commits that cannot be read, damaged files of ``data/`` and
        summary, and what the plan leads to and no commit names. A file of yours is never touched, in whatever folder,
        nor a card that you changed. The verdict is that of the tree afterwards. For a tree that nobody builds at the
        same time: what a build has written and not committed yet belongs to no commit, and would be built once more.

    Raises
    ------
    NotNutonic
        If the folder is not a nutonic tree, or a folder of it is a link; with `fix` also if any file of it is one.
    StoreError
        If something cannot be removed.
    """
    if not is_marked(Path(out)):
        raise NotNutonic(f"{out} is not a nutonic tree: it has no {MARKER} of nutonic's")
    refuse_obstacles(Path(out))
    store = Store(out)
    seen, removed = _look(store, deep), []
    if fix and seen.ownership:
        seen.ownership.refuse_obstacles()
        for _ in range(_ROUNDS):
            more = _mended(seen)
            if not more:
                break
            removed += more
            seen = _look(store, deep)
    return _verdict(seen, deep, tuple(finding.told(fix) for finding in seen.findings), tuple(removed))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one look at a tree showed; no tree where its plan or its commits cannot be read."""

    findings: Sequence[Finding]
    tree: Tree | None = None
    limit: int | None = None
    missing: Sequence[str] = ()
    """Ids of the places within the limit that are not committed."""
    ownership: Ownership | None = None
    """Of its files, where the plan can be read."""


def _mended(seen: _Seen) -> list[str]:
    if seen.tree is not None:
        return repair(seen.tree, seen.findings)
    return repair_commits(seen.ownership, seen.findings) if seen.ownership is not None else []


def _look(store: Store, deep: bool) -> _Seen:
    try:
        plan = read_plan(store)
        planned = plan.planned.by_id  # reads the batches, once
    except Corrupt as error:
        return _Seen(findings=[Finding(str(error))])
    recipe = parse_recipe_text(plan.recipe)
    ownership = owned_by(store, layout_of(recipe), recipe.output, plan)
    obstacles = [Finding(text) for text in ownership.obstacles()]
    if obstacles:
        return _Seen(findings=obstacles, ownership=ownership)
    commits, unreadable = _commits(store)
    if unreadable:
        return _Seen(findings=[_told_by_owner(finding, ownership) for finding in unreadable], ownership=ownership)
    tree, summary = _open(plan, ownership, commits), _summary(store)
    strange = _strange(tree)
    if strange is not None:
        return _Seen(findings=[strange])
    limit = None if isinstance(summary, Finding) else summary.get("limit")
    missing = _missing(tree, planned, limit)
    checks = (_quick(tree, summary), _against_plan(tree, planned, missing), _files(tree), _deep(tree) if deep else ())
    return _Seen(
        findings=list(chain.from_iterable(checks)), tree=tree, limit=limit, missing=missing, ownership=ownership
    )


def _told_by_owner(finding: Finding, ownership: Ownership) -> Finding:
    """The same of a file that is nutonic's; one that only has a commit's name is for its owner to move."""
    if finding.path is None or ownership.has(finding.path):
        return finding
    return Finding(f"{finding.text}, and is not nutonic's: move it out of the folder")


def _deep(tree: Tree) -> Iterator[Finding]:
    """What reading every file shows; only this needs the libraries that read pictures and outlines."""
    from nutonic.dataset.audit import audit

    return audit(tree)


def _commits(store: Store) -> tuple[dict[CommitName, Json], list[Finding]]:
    """Name and content of every commit that counts; and those that are not what was written, or were never nutonic's."""
    done, commits, unreadable = committed(store), dict[CommitName, Json](), list[Finding]()
    for name in done.all_names():
        if not store.is_file(name.path):
            continue
        try:
            content = unsealed(store.get(name.path), name.path)
        except Corrupt as error:
            unreadable.append(Finding(str(error), path=name.path))
            continue
        problem = _unlike(content, name)
        if problem is not None:
            unreadable.append(Finding(f"{name.path} {problem}", path=name.path))
        elif done.counts(name):
            commits[name] = content
    return commits, unreadable


def _unlike(content: Json, name: CommitName) -> str | None:
    """What no commit of nutonic's says."""
    if content.get("commit") != name.text:
        return f"holds commit {content.get('commit')}: it was copied or renamed"
    if not {"part", "places"} <= content.keys():
        return "is no commit"
    strange = next((path for path in files_of(content) if not is_own(path) or ".." in path.split("/")), None)
    if strange is not None:
        return f"names {strange}, where nutonic writes nothing"
    rows = [name.part] if any(place["rows"]["length"] for place in content["places"]) else []
    return None if list(content["part"]) == rows else "names no rows of its own"


def _open(plan: PlanFile, ownership: Ownership, commits: dict[CommitName, Json]) -> Tree:
    recipe = parse_recipe_text(plan.recipe)
    done = [entry for name, content in commits.items() for entry in entries_of(name, content)]
    return Tree(
        store=plan.store,
        plan=plan,
        recipe_digest=recipe.digest(),
        chip_side=recipe.tiles.output_size,
        output=recipe.output,
        ownership=ownership,
        done=sorted(done, key=lambda entry: entry.order),
        commits=commits,
        named={path: entry for content in commits.values() for path, entry in files_of(content).items()},
    )


def _strange(tree: Tree) -> Finding | None:
    """A plan that is not the one that the tree was built from: nothing can be held against it."""
    said, have = tree.plan.header["recipe_digest"], tree.recipe_digest
    if have != said:
        return Finding(f"the plan's recipe has the digest {have[:12]}, its header says {said[:12]}: {_REPLAN}")
    built = {content["recipe_digest"] for content in tree.commits.values()}
    if built and said not in built:
        return Finding(f"the plan is of recipe {said[:12]}, what is built of {min(built)[:12]}: {_REPLAN}")
    return None


def _summary(store: Store) -> Json | Finding:
    """What the last build that came to its end said of itself; or why it cannot be told."""
    if not store.has(SUMMARY):
        return Finding(f"{SUMMARY} is missing: the build has not finished, run it again", path=SUMMARY)
    try:
        said = unsealed(store.get(SUMMARY), SUMMARY)
    except Corrupt as error:
        return Finding(str(error), path=SUMMARY)
    return said if "card_sha256" in said else Finding(f"{SUMMARY} is not a build's summary", path=SUMMARY)


def _verdict(seen: _Seen, deep: bool, problems: tuple[str, ...], removed: tuple[str, ...]) -> Verdict:
    done = seen.tree.done if seen.tree else []
    return Verdict(
        problems=problems,
        done=len(done),
        planned=int(seen.tree.plan.header["places"]) if seen.tree else 0,
        limit=seen.limit,
        tiles=sum(entry["tiles"] for entry in done),
        rows=sum(entry.rows for entry in done),
        files=len(seen.tree.named) if seen.tree else 0,
        deep=deep,
        open=len(seen.missing),
        removed=removed,
    )


# Quick: listings and small files


def _quick(tree: Tree, summary: Json | Finding) -> Iterator[Finding]:
    store = tree.store
    if not store.has(RECIPE):
        yield Finding(f"{RECIPE} is missing: build again", path=RECIPE)
    elif store.get(RECIPE) != tree.plan.recipe.encode():
        yield Finding(f"{RECIPE} is not the recipe of the plan", path=RECIPE)
    for path, content in ((name.path, content) for name, content in tree.commits.items()):
        if content["recipe_digest"] != tree.plan.header["recipe_digest"]:
            yield Finding(f"{path} was written for another recipe, {content['recipe_digest'][:12]}", path=path)
        elif content.get("plan") != tree.plan.digest:
            yield Finding(f"{path} was written for another plan, {str(content.get('plan'))[:12]}", path=path)
    if isinstance(summary, Finding):
        yield summary
    elif not store.has(CARD):
        yield Finding(f"{CARD} is missing: build again", path=CARD)
    elif card.is_theirs(store):
        yield Finding(f"{CARD} is not the card that the build wrote: it is kept, move it away to have a new one")
    elif card.digest_of(store) != summary["card_sha256"]:
        yield Finding(f"{CARD} is not the card that the build wrote: build again", to_build=True)


def _missing(tree: Tree, planned: dict[str, PlaceKey], limit: int | None) -> list[str]:
    done = {entry.order for entry in tree.done}
    ordinals = sorted({place.ordinal for place in planned.values()})
    wanted = set(ordinals if limit is None else ordinals[:limit])
    return [name for name, p in planned.items() if p.ordinal in wanted and (p.ordinal, p.variant) not in done]


def _against_plan(tree: Tree, planned: dict[str, PlaceKey], missing: Sequence[str]) -> Iterator[Finding]:
    """Commits against plan: every place once, as it was planned."""
    if missing:
        text = f"{len(missing)} of {len(planned)} places are not built, such as {missing[0]}: build again"
        yield Finding(text, to_build=True)
    seen: set[tuple[int, int]] = set()
    for entry in tree.done:
        name, place = entry["poi_id"], PlaceKey(*entry.order, entry["split"])
        if planned.get(name) != place:
            yield Finding(
                f"the commits hold {name} as {_told(place)}, the plan {_told(planned.get(name))}", place=entry
            )
        elif entry.order in seen:
            yield Finding(f"{name} is committed twice", place=entry)
        seen.add(entry.order)


def _told(place: PlaceKey | None) -> str:
    return "no place" if place is None else f"row {place.ordinal}, variant {place.variant}, in {place.split}"


def _files(tree: Tree) -> Iterator[Finding]:
    """Files against commits: all there, in their size, and no others."""
    sizes = dict(tree.store.sizes())
    for path in tree.plan.beside:
        if path not in sizes:
            yield Finding(f"{path} is missing: the plan's items lie there")
    for path, (size, _) in tree.named.items():
        if path not in sizes:
            yield Finding(f"{path} is missing", path=path)
        elif sizes[path] != size:
            yield Finding(f"{path} has {sizes[path]} bytes, its commit says {size}", path=path)
    expected = data_files(Spans.of(tree.done), tree.output)
    for path, spans in expected.items():
        if path not in sizes:
            yield Finding(f"{path} is missing: build again", path=path)
        elif sizes[path] != spans.size:
            yield Finding(f"{path} has {sizes[path]} bytes, its places' rows {spans.size}", path=path)
    yield from _extra(tree, sizes, set(expected))


def _extra(tree: Tree, paths: Iterable[str], expected: set[str]) -> Iterator[Finding]:
    """Files that no commit names: what killed builds left, and what is the user's."""
    ownership = tree.ownership
    named = tree.named.keys() | {name.path for name in tree.commits}
    for path in unnamed(paths, tree.plan, expected, named):
        if ownership.has(path):
            yield Finding(f"{path} belongs to no commit", path=path)
        else:
            where = "has a name that nutonic gives to no file" if is_own(path) else "lies where nutonic writes nothing"
            yield Finding(f"{path} belongs to no commit, and {where}: move it out of the folder")
