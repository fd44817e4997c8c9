"""Proof that a tree is whole. Nothing it checks is taken on trust from the file it checks.

The chain starts at the plan, which carries its own hash; commits carry theirs, and the hashes of every payload file; the
files of ``data/`` are made again from the parts that commits name, and compared. Deep checks read every file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nutonic.audit import Tree, audit
from nutonic.errors import Corrupt, NotNutonic
from nutonic.model import Json
from nutonic.recipe_file import parse_recipe_text
from nutonic.store.commits import entries, read_commits
from nutonic.store.files import Store, sha256, unsealed
from nutonic.store.finish import data_files, unnamed
from nutonic.store.layout import CARD, META, RECIPE, SUMMARY
from nutonic.store.plans import read_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
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

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(out: str | Path, *, deep: bool = False) -> Verdict:
    """Prove a tree whole.

    Parameters
    ----------
    out
        Its folder.
    deep
        Also read every file: hashes, pictures, sidecars, rows, boxes, splits, and that no secret is anywhere.

    Raises
    ------
    NotNutonic
        If the folder is not a nutonic tree.
    """
    if not (Path(out) / META).is_dir():
        raise NotNutonic(f"{out} is not a nutonic tree: it has no {META} folder")
    store = Store(out)
    try:
        tree = _open(store)
        summary = _summary(store)
        limit = summary.get("limit")
        checks = [*_quick(tree, summary), *(audit(tree) if deep else ())]
    except Corrupt as error:
        return Verdict(problems=(str(error),), done=0, planned=0, limit=None, tiles=0, rows=0, files=0, deep=deep)
    return Verdict(
        problems=tuple(checks),
        done=len(tree.done),
        planned=int(tree.plan.header["places"]),
        limit=limit,
        tiles=sum(e["tiles"] for e in tree.done),
        rows=sum(e.rows for e in tree.done),
        files=len(tree.named),
        deep=deep,
    )


def _open(store: Store) -> Tree:
    plan = read_plan(store)
    named: dict[str, tuple[int, str]] = {}
    for _, content in read_commits(store):
        named |= {path: (size, digest) for path, (size, digest) in content["files"].items()}
    recipe = parse_recipe_text(plan.recipe)
    return Tree(store=store, plan=plan, recipe=recipe, done=entries(store), named=named)


def _summary(store: Store) -> Json:
    """What the last build that came to its end said of itself; empty if none did."""
    return unsealed(store.get(SUMMARY), SUMMARY) if store.has(SUMMARY) else {}


# Quick: listings and small files


def _quick(tree: Tree, summary: Json) -> Iterator[str]:
    said, have = tree.plan.header["recipe_digest"], tree.recipe.digest()
    if have != said:
        yield f"the plan's recipe has the digest {have[:12]}, its header says {said[:12]}"
    if not tree.store.has(RECIPE) or tree.store.get(RECIPE) != tree.plan.recipe.encode():
        yield f"{RECIPE} is not the recipe of the plan"
    if not summary:
        yield f"{SUMMARY} is missing: the build has not finished, run it again"
    elif not tree.store.has(CARD) or sha256(tree.store.get(CARD)) != summary["card_sha256"]:
        yield f"{CARD} is not the card that the build wrote"
    yield from _against_plan(tree, summary.get("limit"))
    yield from _files(tree)


def _against_plan(tree: Tree, limit: int | None) -> Iterator[str]:
    """Commits against plan: every place once, as it was planned."""
    planned = {
        (place.poi.ordinal, place.poi.variant): (place.poi.id, place.split)
        for batch in tree.plan.batches()
        for place in batch.places
    }
    ordinals = sorted({ordinal for ordinal, _ in planned})
    wanted = set(ordinals if limit is None else ordinals[:limit])
    done = {entry.order: (entry["poi_id"], entry["split"]) for entry in tree.done}
    missing = [order for order in planned if order[0] in wanted and order not in done]
    if missing:
        yield f"{len(missing)} of {len(planned)} places are not built, such as {planned[missing[0]][0]}: build again"
    for order, found in done.items():
        if planned.get(order) != found:
            yield f"the commits hold {found[0]} in {found[1]}, the plan {planned.get(order)}"


def _files(tree: Tree) -> Iterator[str]:
    """Files against commits: all there, in their size, and no others."""
    sizes = dict(tree.store.sizes())
    yield from (f"{path} is missing: the plan's items lie there" for path in tree.plan.beside if path not in sizes)
    for path, (size, _) in tree.named.items():
        if path not in sizes:
            yield f"{path} is missing"
        elif sizes[path] != size:
            yield f"{path} has {sizes[path]} bytes, its commit says {size}"
    expected = data_files(tree.done, tree.recipe)
    for path, places in expected.items():
        length = sum(entry["rows"]["length"] for entry in places)
        if sizes.get(path) != length:
            yield f"{path} has {sizes.get(path, 'no')} bytes, its places' rows {length}"
    for path in unnamed(tree.store, tree.plan, set(expected)):
        yield f"{path} belongs to no commit"
