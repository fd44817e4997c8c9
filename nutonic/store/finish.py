"""From commits to the finished tree: rows sorted into ``data/``, the card, and nothing left lying about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nutonic.model import SPLITS
from nutonic.recipe import Recipe
from nutonic.store import card
from nutonic.store.commits import Entry, entries, read_commits
from nutonic.store.files import Store, is_temporary, sha256
from nutonic.store.layout import CARD, PLAN, RECIPE, SUMMARY, is_own
from nutonic.store.plans import PlanFile

#: Rows are copied in pieces of about this many bytes.
_PIECE = 8 * 2**20


def finish(store: Store, recipe: Recipe, plan: PlanFile, *, complete: bool) -> str:
    """Write ``data/`` and the card from what is committed.

    Then temporaries are removed, and of a complete tree all that no commit names. Returns the card's SHA-256.
    """
    done = entries(store)
    expected = data_files(done, recipe)
    for path, parts in expected.items():
        _put_rows(store, path, parts)
    for path, _ in list(store.sizes("data")):
        if path not in expected:
            store.delete(path)
    text = card.text(recipe, plan, done).encode()
    store.put(CARD, text)
    for path in unnamed(store, plan, set(expected)):
        # Of an incomplete tree payload may belong to another driver that has yet to commit it.
        if is_own(path) and (complete or is_temporary(path)):
            store.delete(path)
    return sha256(text)


def is_finished(store: Store, recipe: Recipe, card_sha256: str) -> bool:
    """Whether the files that :func:`finish` makes are there, in their size."""
    sizes = dict(store.sizes("data"))
    expected = {
        path: sum(e["rows"]["length"] for e in places) for path, places in data_files(entries(store), recipe).items()
    }
    return sizes == expected and store.has(CARD) and sha256(store.get(CARD)) == card_sha256


def _put_rows(store: Store, path: str, places: Sequence[Entry], attempts: int = 5) -> None:
    """Write a file of ``data/``; again, if another driver that finishes at the same moment sweeps its temporary away."""
    try:
        store.put(path, rows_of(store, places))
    except FileNotFoundError:
        if attempts == 1:
            raise
        _put_rows(store, path, places, attempts - 1)


def data_files(done: Sequence[Entry], recipe: Recipe) -> dict[str, list[Entry]]:
    """Which places' rows each file of ``data/`` holds, in order; places are never cut in two."""
    files: dict[str, list[Entry]] = {}
    for split in SPLITS:
        groups = _grouped([e for e in done if e["split"] == split and e.rows], recipe.output.rows_per_file)
        for i, group in enumerate(groups):
            many = "" if recipe.output.rows_per_file is None else f"-{i:05d}-of-{len(groups):05d}"
            files[f"data/{split}{many}.jsonl"] = group
    return files


def _grouped(places: Sequence[Entry], most: int | None) -> list[list[Entry]]:
    """Places in groups of at most `most` rows, at least one place each; at least one group."""
    groups: list[list[Entry]] = [[]]
    held = 0
    for place in places:
        if most is not None and held and held + place.rows > most:
            groups.append([])
            held = 0
        groups[-1].append(place)
        held += place.rows
    return groups


def rows_of(store: Store, places: Iterable[Entry]) -> Iterator[bytes]:
    """The rows of places, in pieces; neighbours in a part are read together."""
    for part, start, length in _spans(places):
        for at in range(start, start + length, _PIECE):
            yield store.get_range(part, at, min(_PIECE, start + length - at))


def _spans(places: Iterable[Entry]) -> Iterator[tuple[str, int, int]]:
    part, start, length = "", 0, 0
    for place in places:
        rows = place["rows"]
        if place.part == part and rows["start"] == start + length:
            length += rows["length"]
            continue
        if length:
            yield part, start, length
        part, start, length = place.part, rows["start"], rows["length"]
    if length:
        yield part, start, length


def unnamed(store: Store, plan: PlanFile, data: set[str]) -> list[str]:
    """Files that no commit names: payload of killed runs, temporaries. The tree's own fixed files are not among them."""
    named = data | {CARD, PLAN, RECIPE, SUMMARY, "report.html", *plan.beside}
    for path, content in read_commits(store):
        named |= {path, *content["files"]}
    return [path for path, _ in store.sizes() if path not in named]
