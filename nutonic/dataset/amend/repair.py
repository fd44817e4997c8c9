"""Removal of what is wrong with a tree, so that the next build makes just that again.

Nothing is repaired in place. A place whose files are damaged is taken out of its commit, and its files are removed. If
its batch was committed whole, the other places are first committed each alone; then the commit of the batch is removed.
So a kill at any moment leaves the tree as it was, or without what the next build makes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from nutonic.core.model import Json
from nutonic.dataset.commits import Origin, PlaceDone, commit, committed, pins_told, place_done, read_commits, unpacked
from nutonic.dataset.finalize import data_files
from nutonic.dataset.proof.findings import Finding, Tree
from nutonic.errors import Corrupt
from nutonic.io.objects import Store, sha256
from nutonic.planning.layout import CommitName, named
from nutonic.planning.ownership import Ownership, files_of

#: By commit, the positions of its wrong places, each with the reason.
Wrong = dict[CommitName, dict[int, str]]


def repair_commits(ownership: Ownership, findings: Iterable[Finding]) -> list[str]:
    """Remove commits that cannot be read, and give a line for each; the next check finds the files that they named."""
    return [finding.text for finding in findings if finding.path is not None and ownership.remove(finding.path)]


def repair(tree: Tree, findings: Sequence[Finding]) -> list[str]:
    """Remove the files and places of findings.

    Parameters
    ----------
    tree
        The tree as it was when it was checked.
    findings
        Those of the check.

    Returns
    -------
    list of str
        One line for every place and file that was removed.
    """
    wrong = _wrong_places(tree, findings)
    contents = {name: tree.commits[name] for name in wrong}  # which are gone afterwards
    removals = {name: uncommit(tree.store, tree.ownership, name, contents[name], wrong[name]) for name in wrong}
    removed = [f"place {reason}" for reasons in removals.values() for reason in reasons.values()]
    files = {f.path: f.text for f in findings if f.path is not None and f.path not in tree.named}
    gone = [
        (name, place) for name, of in removals.items() for place in contents[name]["places"] if place["index"] in of
    ]
    files |= {path: f"{path} holds rows of places that were removed" for path in _outdated(tree, gone)}
    left_over = {path: "" for name, reasons in removals.items() for path in _files_of(contents[name], reasons)}
    named = _named_now(tree.store) if removals else set()
    named -= {name.path for name in tree.commits}
    ownership = tree.ownership.with_committed(left_over)
    for path, text in (left_over | files).items():
        if path not in named and ownership.remove(path) and text:
            removed.append(text)
    return removed


def _named_now(store: Store) -> set[str]:
    """Paths of all commits that count by now, and of the files that they name; single commits may have come to count."""
    commits = read_commits(store, committed(store))
    return {path for name, content in commits for path in (name.path, *files_of(content))}


# Places


def _wrong_places(tree: Tree, findings: Sequence[Finding]) -> Wrong:
    """The reason of each is what was found first: what follows from it is found later."""
    problems, first = dict[str, int](), dict[tuple[CommitName, int], int]()
    for number, finding in enumerate(findings):
        if finding.place is not None:
            first.setdefault((finding.place.name, finding.place["index"]), number)
        elif finding.path is not None and finding.path in tree.named:
            problems.setdefault(finding.path, number)
    for name, content in tree.commits.items() if problems else ():
        for place in content["places"]:
            files = [*place["files"], *(content["part"] if place["rows"]["length"] else ())]
            if numbers := [problems[path] for path in files if path in problems]:
                key = (name, place["index"])
                first[key] = min(*numbers, first.get(key, len(findings)))
    wrong: Wrong = {}
    for (name, index), number in first.items():
        wrong.setdefault(name, {})[index] = findings[number].text
    return wrong


def _files_of(content: Json, indices: Collection[int]) -> list[str]:
    """The files of a commit that only its places at these positions need, and its part."""
    candidates = [path for place in content["places"] if place["index"] in indices for path in place["files"]]
    needed = {path for place in content["places"] if place["index"] not in indices for path in place["files"]}
    return [*content["part"], *(path for path in candidates if path not in needed)]


def uncommit(
    store: Store, ownership: Ownership, name: CommitName, content: Json, wrong: Mapping[int, str]
) -> dict[int, str]:
    """Take places out of their commit; gives ids and reasons of those that were taken out, by position.

    Single commits beside that of their whole batch do not count. They are removed first, since they would count without
    the commit of the batch.
    """
    intact, ownership = _intact_places(store, name, content, wrong), ownership.with_committed([name.path])
    if name.place is None:
        for place in sorted(place for batch, place in committed(store).single if batch == name.batch):
            for polished in (False, True):
                ownership.remove(named(name.batch, place, polished=polished).path)
        origin = Origin(recipe_digest=content["recipe_digest"], plan_digest=content["plan"])
        commit(store, name.batch, intact, origin, whole=False, polished=name.polished)
    if name.polished:  # the first commit would count again, whose files are those that are wrong
        ownership.remove(named(name.batch, name.place).path)
    ownership.remove(name.path)
    stay, part = {place.index for place in intact}, f"{name.part} is not what was written"
    return {
        place["index"]: f"{place['poi_id']}: {wrong.get(place['index'], part)}"
        for place in content["places"]
        if place["index"] not in stay
    }


def _intact_places(store: Store, name: CommitName, content: Json, wrong: Collection[int]) -> list[PlaceDone]:
    """The places of a commit that can be committed alone: those that are not wrong and whose rows are intact."""
    packed, intact = _rows(store, name, content), list[PlaceDone]()
    for place in content["places"]:
        if place["index"] not in wrong and (packed is not None or not place["rows"]["length"]):
            with suppress(Corrupt):  # the place says that its rows lie elsewhere in the part
                done = place_done(place, _rows_of(place["rows"], packed, name))
                intact.append(replace(done, remote=pins_told(content)))
    return intact


def _rows(store: Store, name: CommitName, content: Json) -> bytes | None:
    """The packed rows of a commit; None if they are missing or damaged."""
    if name.part not in content["part"] or not store.has(name.part):
        return None
    rows = store.get(name.part)
    return rows if [len(rows), sha256(rows)] == list(content["part"][name.part]) else None


def _rows_of(told: Json, rows: bytes | None, name: CommitName) -> bytes:
    """The rows of a place, from the packed ones of its commit."""
    return (
        unpacked(rows[told["start"] :][: told["length"]], name.part, told["size"]) if rows and told["length"] else b""
    )


# Files of data/


def _outdated(tree: Tree, gone: Iterable[tuple[CommitName, Json]]) -> list[str]:
    """Files of ``data/`` that change, or are no longer needed, once these places are taken out."""
    before = data_files(tree.spans, tree.output)
    now = tree.spans.without((name.part, place["ordinal"], place["variant"]) for name, place in gone)
    after = data_files(now, tree.output)
    return [path for path, spans in before.items() if path not in after or not spans.same_as(after[path])]
