"""Verification that a tree is whole. No file is trusted about itself.

The plan holds its own hash. Commits hold theirs, and those of all files of their places. The files of ``data/`` are
compared with the parts that commits name. Deep checks read every file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from nutonic._version import __version__
from nutonic.core.model import Json
from nutonic.core.showing import ShortRepr
from nutonic.core.units import IS, counted, counted_of
from nutonic.dataset import card
from nutonic.dataset.amend.repair import repair, repair_commits
from nutonic.dataset.finalize import data_files, unnamed
from nutonic.dataset.parts.each import Each, here
from nutonic.dataset.proof.findings import ODD, Finding, Tree, unlike
from nutonic.dataset.proof.planless import planless_findings
from nutonic.dataset.proof.survey import Missing, Survey, missing_of
from nutonic.errors import Corrupt, InputError, MissingExtra, NotNutonic, PlanError
from nutonic.inert import inert
from nutonic.io.buckets.address import AnyPath, any_path_of
from nutonic.io.objects import Store, is_temporary, unsealed
from nutonic.planning.layout import (
    CARD,
    COMMITS,
    MARKER,
    PLAN,
    RECIPE,
    REPORT,
    SUMMARY,
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
    owned_by,
    refuse_obstacles,
)
from nutonic.planning.plan_file import PlanFile, read_plan
from nutonic.planning.planned import shared_ground_line, short
from nutonic.recipe.yaml import of_places, parse_recipe_text

#: Advice for a plan that cannot be used.
_REPLAN = "build again with --replan"

#: Most rounds of repairing and inspecting a tree; a removal may reveal another problem.
_ROUNDS = 6


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Verdict(ShortRepr):
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
    looked: bool = True
    """Whether files were held against the plan and the commits; False where what is wrong with these keeps it from that."""

    def _facts(self) -> Json:
        counts = {name: getattr(self, name) for name in ("done", "planned", "limit", "tiles", "rows", "files", "open")}
        first = {"first": self.problems[0]} if self.problems else {}
        return {"whole": self.whole, "problems": len(self.problems), **first, **counts, "removed": len(self.removed)}

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(out: str | AnyPath, *, deep: bool = False, fix: bool = False, each: Each = here) -> Verdict:
    """Prove a tree whole by what is in it; :func:`nutonic.verify`, which can also build places again, has the options.

    `each` does the parts of the work; whoever that is, findings and their order are the same.
    """
    out = any_path_of(out)
    if not is_marked(out):
        raise NotNutonic(f"{out} is not a nutonic tree: it has no {MARKER} of nutonic's")
    if fix:
        refuse_obstacles(out)
    store = Store(out)
    inspection, removed = _look(store, deep, each), []
    if fix and inspection.ownership:
        inspection.ownership.refuse_obstacles()
        for _ in range(_ROUNDS):
            fixes = _repair_round(inspection)
            if not fixes:
                break
            removed += fixes
            inspection = _look(store, deep, each)
    return _verdict(inspection, deep, fix, tuple(map(inert, removed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspection:
    """The result of inspecting a tree once; `tree` is None if its plan or its commits cannot be used."""

    findings: Sequence[Finding]
    tree: Tree | None = None
    tiles: int = 0
    limit: int | None = None
    missing: int = 0
    """Places within the limit that are not committed."""
    ownership: Ownership | None = None
    """Which of its files are nutonic's; None if the plan cannot be read."""
    unreadable: Sequence[Finding] = ()
    """Commits that cannot be read: they are removed before anything else, which shows what they named."""


def _repair_round(inspection: _Inspection) -> list[str]:
    if inspection.ownership is not None and inspection.unreadable:
        return repair_commits(inspection.ownership, inspection.unreadable)
    return repair(inspection.tree, inspection.findings) if inspection.tree is not None else []


def _look(store: Store, deep: bool, each: Each) -> _Inspection:
    try:
        plan = read_plan(store)
        _ = plan.planned.by_id  # reads the batches, once
        recipe = of_places(parse_recipe_text(plan.recipe))
        ownership = owned_by(store, layout_of(recipe), recipe.output, plan)
        problem = _unlike_plan(plan)
    except (Corrupt, InputError, PlanError) as error:
        return _of_commits_alone(store, str(error).splitlines()[0], deep)
    except ODD as error:
        problem = f"it holds what no plan does ({type(error).__name__})"
    if problem is not None:
        return _of_commits_alone(store, f"{PLAN} is sealed, but {problem}: {_REPLAN}", deep)
    return _held_against(plan, ownership, deep, each)


def _held_against(plan: PlanFile, ownership: Ownership, deep: bool, each: Each) -> _Inspection:
    """What comes of holding a tree against a plan that can be read."""
    recipe = of_places(parse_recipe_text(plan.recipe))
    survey = Survey.of(plan, polished=recipe.rows.polish is not None, each=each)
    whole, blocked = survey.whole, dict(ownership.obstacles())
    unreadable = [_without_foreign_path(finding, ownership) for finding in whole.unreadable]
    obstacles = [Finding(text) for text in blocked.values()]
    tree, summary = _open(plan, ownership, survey), _summary(plan.store)
    strange = _strange(tree, whole.recipes)
    if strange is not None:
        return _Inspection(findings=[*obstacles, *unreadable, strange])
    limit = None if isinstance(summary, Finding) else summary.get("limit")
    planned = plan.planned.by_id
    missing = missing_of(planned, tree.spans, limit)
    alike = survey.alike()  # before files are listed: hashes of a million chips are gone then
    all_known = not unreadable and not any(
        f"{COMMITS}/".startswith(f"{path}/") or commit_name(path) for path in blocked
    )
    comparable = all_known and not blocked and not missing.count and not isinstance(summary, Finding)
    checks = (
        obstacles,
        unreadable,
        _quick(tree, summary, whole.foreign),
        _not_built(missing, len(planned)) if all_known else (_UNKNOWN,),
        survey.misplaced,
        whole.captions,
        _files(tree, {*blocked, *(finding.path for finding in whole.unreadable if finding.path)}, all_known=all_known),
        alike,
        _shared(plan, recipe.splits.by),
        _deep(tree, summary if comparable and not isinstance(summary, Finding) else None, each) if deep else (),
    )
    return _Inspection(
        findings=[finding for finding in chain.from_iterable(checks) if not _is_behind(finding.path, blocked)],
        tree=tree,
        tiles=whole.tiles,
        limit=limit,
        missing=missing.count,
        ownership=ownership,
        unreadable=unreadable,
    )


#: What is told where some commits cannot be read.
_UNKNOWN = Finding(
    "not judged, since a commit cannot be read: which places are not built, what of nutonic's belongs to no commit, data/",
    note=True,
)


def _of_commits_alone(store: Store, problem: str, deep: bool) -> _Inspection:
    """What there is to tell where the plan is damaged."""
    return _Inspection(findings=[Finding(problem), *planless_findings(store, deep=deep)])


def _is_behind(path: str | None, blocked: Collection[str]) -> bool:
    """Whether a file is, or lies behind, what is in the place of a file or folder, which is told by itself."""
    return path is not None and bool(blocked) and any(f"{path}/".startswith(f"{each}/") for each in blocked)


def _shared(plan: PlanFile, by: str) -> Iterator[Finding]:
    """A note that splits share ground, where the recipe splits so that they may."""
    if line := shared_ground_line(plan.header.get("shared_ground"), by, "places"):
        yield Finding(line, note=True)


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
        told = f"{counted(header['places'], 'place')} in {counted(header['batches'], 'batch', 'batches')}"
        return f"it says {told}, and has others"
    if len(plan.planned.by_id) != header["places"]:
        return "two of its places have one id"
    rejects = header.get("rejects")
    if not isinstance(rejects, dict) or any(not isinstance(count, int) for count in rejects.values()):
        return "its rejects are not counted"
    return None if all(is_beside(path) for path in plan.beside) else "names files beside it that are no plan's"


def _deep(tree: Tree, summary: Json | None, each: Each) -> Iterator[Finding]:
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
    yield from audit(tree, spec, summary, ours=made_by == __version__, each=each)


def _open(plan: PlanFile, ownership: Ownership, survey: Survey) -> Tree:
    recipe = of_places(parse_recipe_text(plan.recipe))
    return Tree(
        store=plan.store,
        plan=plan,
        recipe_digest=recipe.digest(),
        chip_side=recipe.tiles.output_size,
        output=recipe.output,
        ownership=ownership,
        commits=survey.commits,
        spans=survey.spans,
        named=survey.whole.named,
    )


def _strange(tree: Tree, built: Collection[str]) -> Finding | None:
    """A finding if the tree was built from another plan, so that its files cannot be compared with this one; or None."""
    expected, have = tree.plan.header["recipe_digest"], tree.recipe_digest
    if have != expected:
        return Finding(f"the plan's recipe has the digest {have[:12]}, its header says {expected[:12]}: {_REPLAN}")
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
    tree = inspection.tree
    problems, notes = (
        tuple(dict.fromkeys(finding.message(fix) for finding in inspection.findings if finding.note is note))
        for note in (False, True)
    )
    return Verdict(
        problems=problems,
        notes=notes,
        done=len(tree.spans) if tree else 0,
        planned=int(tree.plan.header["places"]) if tree else 0,
        limit=inspection.limit,
        tiles=inspection.tiles,
        rows=tree.spans.rows if tree else 0,
        files=len(tree.named) if tree else 0,
        deep=deep,
        open=inspection.missing,
        removed=removed,
        looked=tree is not None,
    )


# Quick checks: listings and small files


def _quick(tree: Tree, summary: Json | Finding, foreign: Iterable[Finding]) -> Iterator[Finding]:
    store = tree.store
    if not store.has(RECIPE):
        yield Finding(f"{RECIPE} is missing: build again", path=RECIPE)
    elif store.get(RECIPE) != tree.plan.recipe.encode():
        yield Finding(f"{RECIPE} is not the recipe of the plan", path=RECIPE)
    yield from foreign
    if isinstance(summary, Finding):
        yield summary
    elif not store.has(CARD):
        yield Finding(f"{CARD} is missing: build again", path=CARD)
    elif card.is_theirs(store):
        yield Finding(f"{CARD} is not the card that the build wrote: it is kept, move it away to have a new one")
    elif card.digest_of(store) != summary["card_sha256"]:
        yield Finding(f"{CARD} is not the card that the build wrote: build again", to_build=True)


def _not_built(missing: Missing, planned: int) -> Iterator[Finding]:
    if missing.count:
        some = counted_of(missing.count, planned, "place", verb=IS)
        text = f"{some} not built, such as {missing.first}: build again"
        yield Finding(text, to_build=True)


def _files(tree: Tree, told: Collection[str], *, all_known: bool) -> Iterator[Finding]:
    """Compare files with the commits: all are there with their sizes, and, if all commits are known, no others.

    Of those that are `told` of already, and of what lies behind them, nothing is told.
    """
    others, wrong = tree.named.held_against(tree.store.sizes())
    for path in tree.plan.beside:
        if path not in others:
            yield Finding(f"{path} is missing: the plan's items lie there")
    yield from _unlike_their_commits(tree, wrong)
    expected = data_files(tree.spans, tree.output)
    for path, spans in expected.items() if all_known else ():
        if path not in others:
            yield Finding(f"{path} is missing: build again", path=path)
        elif others[path] != spans.size:
            yield Finding(f"{path} has {others[path]} bytes, its places' rows {spans.size}", path=path)
    others = {path: size for path, size in others.items() if not _is_behind(path, told)}
    for finding in _extra(tree, others, set(expected)):
        if all_known or finding.path is None:  # what nutonic's a commit names that cannot be read, nobody knows
            yield finding


def _unlike_their_commits(tree: Tree, wrong: Mapping[int, int | None]) -> Iterator[Finding]:
    """Files that are not there, or have another size; `wrong` has what there is by the hashes of their paths."""
    told = set[str]()
    for content in tree.commits.values() if wrong else ():
        for path, (size, _) in files_of(content).items():
            if (number := short(path)) not in wrong or path in told:
                continue
            told.add(path)
            yield Finding(f"{path} {unlike(wrong[number], size)}", path=path)


def _is_superseded(path: str, tree: Tree) -> bool:
    """Whether a file is a commit, or its rows, whose captions are polished in another that counts."""
    name = commit_name(path) or part_name(path)
    return name is not None and named(name.batch, name.place, polished=True) in tree.commits and not name.polished


def _extra(tree: Tree, paths: Iterable[str], expected: set[str]) -> Iterator[Finding]:
    """Findings for files that no commit names: those of killed builds, and the user's."""
    ownership = tree.ownership
    litter = []
    for path in unnamed(paths, tree.plan, expected, {name.path for name in tree.commits}):
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
