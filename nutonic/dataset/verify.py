"""Verification that a tree is whole. No file is trusted about itself.

The plan holds its own hash. Commits hold theirs, and those of all files of their places. The files of ``data/`` are
compared with the parts that commits name. Deep checks read every file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from nutonic._version import __version__
from nutonic.core.model import Json
from nutonic.core.showing import Shown
from nutonic.dataset import card
from nutonic.dataset.amend.repair import repair, repair_commits
from nutonic.dataset.commits import CAPTION, committed, entries_of
from nutonic.dataset.duplicates import Likenesses
from nutonic.dataset.finalize import data_files, unnamed
from nutonic.dataset.index import Spans
from nutonic.dataset.proof.findings import ODD, Finding, Tree
from nutonic.dataset.proof.shapes import wrong_commit
from nutonic.errors import Corrupt, InputError, MissingExtra, NotNutonic, PlanError
from nutonic.inert import inert
from nutonic.io.buckets.address import Place, place_of
from nutonic.io.objects import Store, is_temporary, unsealed
from nutonic.planning.layout import (
    CARD,
    MARKER,
    PLAN,
    RECIPE,
    REPORT,
    SUMMARY,
    CommitName,
    commit_name,
    is_own,
    layout_of,
    named,
    part_name,
)
from nutonic.planning.ownership import (
    Ownership,
    files_of,
    is_beside,
    is_litter,
    is_marked,
    may_be_committed,
    owned_by,
    refuse_obstacles,
)
from nutonic.planning.plan_file import PlanFile, read_plan
from nutonic.planning.planned import PlaceKey
from nutonic.recipe.yaml import of_places, parse_recipe_text

#: Advice for a plan that cannot be used.
_REPLAN = "build again with --replan"

#: Most rounds of repairing and inspecting a tree; a removal may reveal another problem.
_ROUNDS = 6


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Verdict(Shown):
    """The result of a verification."""

    problems: tuple[str, ...]
    """One line for each problem; empty if the tree is whole."""
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
    """Number of places within the limit that the next build is to make."""
    notes: tuple[str, ...] = ()
    """One line for each thing that was seen, is no fault, and is not judged."""
    rebuilt: int = 0
    """Places that were made again from their sources and compared."""
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


def verify(out: str | Place, *, deep: bool = False, fix: bool = False) -> Verdict:
    """Prove a tree whole by what is in it; :func:`nutonic.verify`, which can also build places again, has the options."""
    out = place_of(out)
    if not is_marked(out):
        raise NotNutonic(f"{out} is not a nutonic tree: it has no {MARKER} of nutonic's")
    refuse_obstacles(out)
    store = Store(out)
    inspection, removed = _look(store, deep), []
    if fix and inspection.ownership:
        inspection.ownership.refuse_obstacles()
        for _ in range(_ROUNDS):
            fixes = _repair_round(inspection)
            if not fixes:
                break
            removed += fixes
            inspection = _look(store, deep)
    return _verdict(inspection, deep, fix, tuple(map(inert, removed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspection:
    """The result of inspecting a tree once; `tree` is None if its plan or its commits cannot be used."""

    findings: Sequence[Finding]
    tree: Tree | None = None
    limit: int | None = None
    missing: Sequence[str] = ()
    """Ids of the places within the limit that are not committed."""
    ownership: Ownership | None = None
    """Which of its files are nutonic's; None if the plan cannot be read."""


def _repair_round(inspection: _Inspection) -> list[str]:
    if inspection.tree is not None:
        return repair(inspection.tree, inspection.findings)
    return repair_commits(inspection.ownership, inspection.findings) if inspection.ownership is not None else []


def _look(store: Store, deep: bool) -> _Inspection:
    try:
        plan = read_plan(store)
        planned = plan.planned.by_id  # reads the batches, once
        recipe = of_places(parse_recipe_text(plan.recipe))
        ownership = owned_by(store, layout_of(recipe), recipe.output, plan)
        problem = _unlike_plan(plan)
    except (Corrupt, InputError, PlanError) as error:
        return _Inspection(findings=[Finding(str(error).splitlines()[0])])
    except ODD as error:
        problem = f"it holds what no plan does ({type(error).__name__})"
    if problem is not None:
        return _Inspection(findings=[Finding(f"{PLAN} is sealed, but {problem}: {_REPLAN}")])
    obstacles = [Finding(text) for text in ownership.obstacles()]
    if obstacles:
        return _Inspection(findings=obstacles, ownership=ownership)
    commits, unreadable = _commits(store)
    if unreadable:
        return _Inspection(
            findings=[_without_foreign_path(finding, ownership) for finding in unreadable], ownership=ownership
        )
    tree, summary = _open(plan, ownership, commits), _summary(store)
    strange = _strange(tree)
    if strange is not None:
        return _Inspection(findings=[strange])
    limit = None if isinstance(summary, Finding) else summary.get("limit")
    missing = _missing(tree, planned, limit)
    checks = (
        _quick(tree, summary),
        _against_plan(tree, planned, missing),
        _unpolished(tree, polished=recipe.rows.polish is not None),
        _files(tree),
        _alike(tree),
        _deep(tree, None if isinstance(summary, Finding) or missing else summary) if deep else (),
    )
    return _Inspection(
        findings=list(chain.from_iterable(checks)), tree=tree, limit=limit, missing=missing, ownership=ownership
    )


def _without_foreign_path(finding: Finding, ownership: Ownership) -> Finding:
    """The finding, if its file is nutonic's; otherwise one without a path that asks the user to move the file."""
    if finding.path is None or ownership.has(finding.path):
        return finding
    return Finding(f"{finding.text}, and is not nutonic's: move it out of the folder")


def _unlike_plan(plan: PlanFile) -> str | None:
    """What is wrong with the types of what a plan says of itself, in words; None if nothing is."""
    header, texts = plan.header, ("recipe_digest", "nutonic_version", "name", "places_sha256")
    numbers = ("places", "batches", "rows", "tiles")
    if not all(isinstance(header.get(key), str) for key in texts):
        return f"one of {', '.join(texts)} is no text"
    if not all(isinstance(header.get(key), int) and 0 <= header[key] < 2**53 for key in numbers):
        return f"one of {', '.join(numbers)} is no number of such things"
    if header["places"] != len(plan.index.ordinals) or header["batches"] != len(plan.index):
        return f"it says {header['places']} places in {header['batches']} batches, and has others"
    if len(plan.planned.by_id) != header["places"]:
        return "two of its places have one id"
    rejects = header.get("rejects")
    if not isinstance(rejects, dict) or any(not isinstance(count, int) for count in rejects.values()):
        return "its rejects are not counted"
    return None if all(is_beside(path) for path in plan.beside) else "names files beside it that are no plan's"


def _deep(tree: Tree, summary: Json | None) -> Iterator[Finding]:
    """Findings of the deep checks; imported late, as only these need the libraries for pictures and outlines."""
    from nutonic.dataset.proof.audit import audit
    from nutonic.planning.spec import resolve

    made_by, spec = tree.plan.header["nutonic_version"], None
    try:
        spec = resolve(of_places(parse_recipe_text(tree.plan.recipe)))
    except (MissingExtra, InputError) as error:
        yield Finding(f"nothing is made again and compared: {str(error).splitlines()[0]}", note=True)
    if made_by != __version__:
        text = (
            f"the tree was made by nutonic {made_by[:20]}, this is {__version__}: words and counts are not made again"
        )
        yield Finding(text, note=True)
    yield from audit(tree, spec, summary, ours=made_by == __version__)


def _commits(store: Store) -> tuple[dict[CommitName, Json], list[Finding]]:
    """Name and content of every commit that counts, and findings for those that are damaged or no commits."""
    done, commits, unreadable = committed(store), dict[CommitName, Json](), list[Finding]()
    for name in done.all_names():
        if not store.is_file(name.path):
            continue
        try:
            data = store.get(name.path)
            content = unsealed(data, name.path)
        except Corrupt as error:
            unreadable.append(Finding(str(error), path=name.path))
            continue
        problem = _unlike(content, name, data)
        if problem is not None:
            unreadable.append(Finding(f"{name.path} {problem}", path=name.path))
        elif done.counts(name):
            commits[name] = content
    return commits, unreadable


def _unlike(content: Json, name: CommitName, data: bytes) -> str | None:
    """Why content cannot be that of a commit of this name, or None."""
    if content.get("commit") != name.text:
        return f"holds commit {str(content.get('commit'))[:40]}: it was copied or renamed"
    problem = wrong_commit(data)
    if problem is not None:
        return f"is no commit: {problem}"
    strange = next((path for path in files_of(content) if not may_be_committed(path)), None)
    if strange is not None:
        return f"names {strange[:200]}, where nutonic writes nothing of a place"
    rows = [name.part] if any(place["rows"]["length"] for place in content["places"]) else []
    return None if list(content["part"]) == rows else "names no rows of its own"


def _open(plan: PlanFile, ownership: Ownership, commits: dict[CommitName, Json]) -> Tree:
    recipe = of_places(parse_recipe_text(plan.recipe))
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
    """A finding if the tree was built from another plan, so that its files cannot be compared with this one; or None."""
    expected, have = tree.plan.header["recipe_digest"], tree.recipe_digest
    if have != expected:
        return Finding(f"the plan's recipe has the digest {have[:12]}, its header says {expected[:12]}: {_REPLAN}")
    built = {content["recipe_digest"] for content in tree.commits.values()}
    if built and expected not in built:
        return Finding(f"the plan is of recipe {expected[:12]}, what is built of {min(built)[:12]}: {_REPLAN}")
    return None


def _summary(store: Store) -> Json | Finding:
    """The summary of the last build that finished, or a finding if there is none that can be read."""
    if not store.has(SUMMARY):
        return Finding(f"{SUMMARY} is missing: the build has not finished, run it again", path=SUMMARY)
    try:
        summary = unsealed(store.get(SUMMARY), SUMMARY)
    except Corrupt as error:
        return Finding(str(error), path=SUMMARY)
    limit = summary.get("limit")
    counts = limit is None or (isinstance(limit, int) and 1 <= limit < 2**53)
    if isinstance(summary.get("card_sha256"), str) and counts:
        return summary
    return Finding(f"{SUMMARY} is not a build's summary", path=SUMMARY)


def _verdict(inspection: _Inspection, deep: bool, fix: bool, removed: tuple[str, ...]) -> Verdict:
    done = inspection.tree.done if inspection.tree else []
    problems, notes = (
        tuple(dict.fromkeys(finding.message(fix) for finding in inspection.findings if finding.note is note))
        for note in (False, True)
    )
    return Verdict(
        problems=problems,
        notes=notes,
        done=len(done),
        planned=int(inspection.tree.plan.header["places"]) if inspection.tree else 0,
        limit=inspection.limit,
        tiles=sum(entry["tiles"] for entry in done),
        rows=sum(entry.rows for entry in done),
        files=len(inspection.tree.named) if inspection.tree else 0,
        deep=deep,
        open=len(inspection.missing),
        removed=removed,
    )


# Quick checks: listings and small files


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
    in_scope = set(ordinals if limit is None else ordinals[:limit])
    return [name for name, p in planned.items() if p.ordinal in in_scope and (p.ordinal, p.variant) not in done]


def _against_plan(tree: Tree, planned: dict[str, PlaceKey], missing: Sequence[str]) -> Iterator[Finding]:
    """Compare commits with the plan: every place once, as it was planned."""
    if missing:
        text = f"{len(missing)} of {len(planned)} places are not built, such as {missing[0]}: build again"
        yield Finding(text, to_build=True)
    orders: set[tuple[int, int]] = set()
    for entry in tree.done:
        name, place = entry["poi_id"], PlaceKey(*entry.order, entry["split"])
        if planned.get(name) != place:
            yield Finding(
                f"the commits hold {name} as {_place_text(place)}, the plan {_place_text(planned.get(name))}",
                place=entry,
            )
        elif entry.order in orders:
            yield Finding(f"{name} is committed twice", place=entry)
        orders.add(entry.order)


def _unpolished(tree: Tree, *, polished: bool) -> Iterator[Finding]:
    """Whether the captions of each commit are as the recipe wants them."""
    for name, content in tree.commits.items():
        captions = any(CAPTION in place["rows"]["tasks"] for place in content["places"])
        if polished and captions and not name.polished:
            yield Finding(f"the captions of commit {name.text} are not polished yet: build again", to_build=True)
        elif name.polished and not polished:
            yield Finding(f"{name.path} has polished captions, and the recipe wants none", path=name.path)


def _place_text(place: PlaceKey | None) -> str:
    return "no place" if place is None else f"row {place.ordinal}, variant {place.variant}, in {place.split}"


def _files(tree: Tree) -> Iterator[Finding]:
    """Compare files with the commits: all are there with their sizes, and no others."""
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


def _alike(tree: Tree) -> Iterator[Finding]:
    """A note if chips in different splits look alike: no fault of the tree, but one of a comparison of models."""
    text = Likenesses.of(tree.done).near_duplicates().in_words()
    if text is not None:
        yield Finding(text, note=True)


def _is_superseded(path: str, tree: Tree) -> bool:
    """Whether a file is a commit, or its rows, whose captions are polished in another that counts."""
    name = commit_name(path) or part_name(path)
    return name is not None and named(name.batch, name.place, polished=True) in tree.commits and not name.polished


def _extra(tree: Tree, paths: Iterable[str], expected: set[str]) -> Iterator[Finding]:
    """Findings for files that no commit names: those of killed builds, and the user's."""
    ownership = tree.ownership
    every = tree.named.keys() | {name.path for name in tree.commits}
    litter = []
    for path in unnamed(paths, tree.plan, expected, every):
        if is_litter(path) and tree.store.is_file(path):
            litter.append(path)
        elif (ownership.is_kept(path) and not is_temporary(path)) or _is_superseded(path, tree):
            continue
        elif ownership.has(path):
            yield Finding(f"{path} belongs to no commit", path=path)
        else:
            where = "has a name that nutonic gives to no file" if is_own(path) else "lies where nutonic writes nothing"
            yield Finding(f"{path} belongs to no commit, and {where}: move it out of the folder")
    if litter:
        more = f" and {len(litter) - 1} more" if len(litter) > 1 else ""
        yield Finding(f"{litter[0]}{more} of the operating system's: not judged", note=True)
    if tree.store.is_file(REPORT):
        yield Finding(f"{REPORT} is not judged", note=True)
