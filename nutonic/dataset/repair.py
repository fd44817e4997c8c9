"""Taking out of a tree what is wrong with it, so that the next build makes just that again.

Nothing is ever put right in place. A place whose files are damaged is taken out of its commit, and what it wrote is
removed; of a batch that was committed whole, the other places are committed each alone before the whole commit goes. So
after a kill at any moment the tree is as wrong as it was, or lacks what the next build makes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from nutonic.core.model import Json, Reject
from nutonic.dataset.commits import CommittedPlace, Origin, PlaceDone, commit, read_commits
from nutonic.dataset.finalize import data_files
from nutonic.dataset.findings import Finding, Tree
from nutonic.dataset.index import Spans
from nutonic.io.objects import Store, sha256
from nutonic.planning.layout import COMMITS, PARTS
from nutonic.planning.ownership import Ownership

#: The file of a tile, or of a view of it: everything before the last ``_t0003`` is the place's id.
_OF_TILE = re.compile(r"(?P<poi>.+)_t\d{4,}(?:_.*)?")

#: Commit to the positions of places in it that are wrong, each with the reason.
Wrong = dict[str, dict[int, str]]


def repair_commits(ownership: Ownership, findings: Iterable[Finding]) -> list[str]:
    """Remove commits that cannot be read; what they named is found to belong to nobody the next time."""
    return [finding.text for finding in findings if finding.path is not None and ownership.remove(finding.path)]


def repair(tree: Tree, findings: Sequence[Finding]) -> list[str]:
    """Remove what was found to be wrong, as far as that helps.

    Parameters
    ----------
    tree
        The tree as it was when it was looked at.
    findings
        What was found.

    Returns
    -------
    list of str
        One line for every place and file that was removed.
    """
    gone = {path: _uncommit(tree, path, wrong) for path, wrong in _wrong_places(tree, findings).items()}
    removed = [f"place {reason}" for reasons in gone.values() for reason in reasons.values()]
    files = {f.path: f.text for f in findings if f.path is not None and f.path not in tree.named}
    files |= {path: f"{path} holds rows of places that were removed" for path in _outdated(tree, gone)}
    left_over = {path: "" for name, reasons in gone.items() for path in _files_of(tree.commits[name], reasons)}
    # What belonged to no commit, such as a place's own beside that of its batch, may do so by now.
    named = {path for name, content in read_commits(tree.store) for path in (name, *content["files"])}
    named -= tree.commits.keys()
    ownership = tree.ownership.with_committed(left_over)
    for path, text in (left_over | files).items():
        if path not in named and ownership.remove(path) and text:
            removed.append(text)
    return removed


# Places


def _wrong_places(tree: Tree, findings: Sequence[Finding]) -> Wrong:
    paths = {f.path: f.text for f in findings if f.path in tree.named}
    wrong: Wrong = {}
    for finding in findings:
        if finding.place is not None:
            wrong.setdefault(_commit_of(finding.place), {})[finding.place["index"]] = finding.text
    for name, content in tree.commits.items():
        for path in sorted(paths.keys() & content["files"].keys()):
            for index in _owners(path, content):
                wrong.setdefault(name, {}).setdefault(index, paths[path])
    return wrong


def _commit_of(entry: CommittedPlace) -> str:
    return f"{COMMITS}/{PurePosixPath(entry.part).stem}.json"


def _owners(path: str, content: Json) -> list[int]:
    """Positions of the places of a commit that a file of it belongs to; of all where that cannot be told."""
    places = content["places"]
    if path.startswith(f"{PARTS}/"):
        found = [place["index"] for place in places if place["rows"]["length"]]
    else:
        found = [place["index"] for place in places if place["poi_id"] == _poi_of(path)]
    return found or [place["index"] for place in places]


def _poi_of(path: str) -> str:
    stem = PurePosixPath(path).stem
    tile = _OF_TILE.fullmatch(stem)
    return tile["poi"] if tile else stem


def _files_of(content: Json, indices: Collection[int]) -> list[str]:
    """The files of a commit that nothing but the given places of it needs; the part it had, too."""
    return [path for path in content["files"] if path.startswith(PARTS) or set(_owners(path, content)) <= set(indices)]


def _uncommit(tree: Tree, path: str, wrong: Mapping[int, str]) -> dict[int, str]:
    """Take places out of their commit; ids and reasons of those that went, by position.

    The places' own commits beside that of their whole batch do not count; they go first, before they would.
    """
    content = tree.commits[path]
    kept, ownership = _kept(tree.store, content, wrong), tree.ownership.with_committed([path])
    if "-" not in content["commit"]:
        for other, _ in list(tree.store.sizes(COMMITS)):
            if other.startswith(f"{COMMITS}/{content['commit']}-"):
                ownership.remove(other)
        origin = Origin(recipe_digest=content["recipe_digest"], plan=content["plan"])
        commit(tree.store, int(content["commit"]), kept, origin, whole=False)
    ownership.remove(path)
    stay, part = {place.index for place in kept}, f"{PARTS}/{content['commit']}.jsonl is not what was written"
    return {
        place["index"]: f"{place['poi_id']}: {wrong.get(place['index'], part)}"
        for place in content["places"]
        if place["index"] not in stay
    }


def _kept(store: Store, content: Json, wrong: Collection[int]) -> list[PlaceDone]:
    """The places of a commit that can be committed alone: those that are right, if their rows are."""
    rows = _rows(store, content)
    files: dict[int, dict[str, tuple[int, str]]] = {place["index"]: {} for place in content["places"]}
    for path, (size, digest) in content["files"].items():
        if not path.startswith(f"{PARTS}/"):
            for index in _owners(path, content):
                files[index][path] = (size, digest)
    return [
        _place(place, rows or b"", files[place["index"]])
        for place in content["places"]
        if place["index"] not in wrong and (rows is not None or not place["rows"]["length"])
    ]


def _rows(store: Store, content: Json) -> bytes | None:
    """The rows of a commit's part; None if they are not what was committed."""
    part = f"{PARTS}/{content['commit']}.jsonl"
    if part not in content["files"] or not store.has(part):
        return None
    rows = store.get(part)
    return rows if [len(rows), sha256(rows)] == list(content["files"][part]) else None


def _place(place: Json, rows: bytes, files: dict[str, tuple[int, str]]) -> PlaceDone:
    """A committed place as it was when it was committed."""
    told = place["rows"]
    identity = ("index", "poi_id", "ordinal", "variant", "split", "item_id", "tiles")
    return PlaceDone(
        **{name: place[name] for name in identity},
        rows=rows[told["start"] : told["start"] + told["length"]],
        files=files,
        rejects=tuple(Reject(poi_id=place["poi_id"], **reject) for reject in place["rejects"]),
        tasks=told["tasks"],
        classes={int(class_id): count for class_id, count in place["classes"].items()},
    )


# Files of data/


def _outdated(tree: Tree, gone: Wrong) -> list[str]:
    """Files of ``data/`` that are another's, or nobody's, once places are taken out."""
    before = data_files(Spans.of(tree.done), tree.output)
    now = [entry for entry in tree.done if entry["index"] not in gone.get(_commit_of(entry), ())]
    after = data_files(Spans.of(now), tree.output)
    return [path for path, spans in before.items() if path not in after or list(after[path]) != list(spans)]
