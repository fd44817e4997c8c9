"""The rows of one place, held against those that its sidecars, the plan and the recipe lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from nutonic.core.model import Json
from nutonic.core.units import counted
from nutonic.dataset.commits import CommittedPlace
from nutonic.dataset.proof.findings import ODD, Finding
from nutonic.rows.checker import BOXES
from nutonic.rows.truth import boxes_json

#: What is wrong with a row that belongs to no tile.
NO_TILE = "it is of a tile of which its commit names no file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of JSONL, as it stands there."""

    line: bytes
    id: str
    task: str
    tile_id: str
    image: str
    answer: str
    value: Json

    @classmethod
    def of(cls, line: bytes) -> Row:
        """A row of its line; ValueError if it is none."""
        try:
            value = orjson.loads(line)
            user, assistant = (message["content"] for message in value["messages"])
            texts = (value["id"], value["task"], value["tile_id"], user[0]["image"], assistant[0]["text"])
        except ODD:
            raise ValueError("a line of its rows is no row") from None
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a line of its rows has something else where rows have text")
        return cls(
            line=line, id=texts[0], task=texts[1], tile_id=texts[2], image=texts[3], answer=texts[4], value=value
        )


def rows_in(data: bytes) -> list[Row]:
    """The rows of a place; ValueError if a line is none."""
    return [Row.of(line) for line in data.splitlines(keepends=True)]


def count_findings(rows: Sequence[Row], entry: CommittedPlace) -> Iterator[Finding]:
    """Whether the commit counts its rows as they are, and none is there twice."""
    if len(rows) != entry.rows:
        yield Finding(f"{entry['poi_id']} has {counted(len(rows), 'row')}, its commit says {entry.rows}", place=entry)
    elif dict(Counter(row.task for row in rows)) != entry["rows"]["tasks"]:
        yield Finding(f"{entry['poi_id']}: its commit counts other tasks than its rows", place=entry)
    for name, count in Counter(row.id for row in rows).items():
        if count > 1:
            yield Finding(f"row {name[:200]} is there twice", place=entry)


def compared(
    rows: Sequence[Row],
    expected: Mapping[str, Sequence[bytes]],
    sidecars: Mapping[str, Json],
    entry: CommittedPlace,
    named: Collection[str],
) -> Iterator[Finding]:
    """Findings for rows that differ from those that should be there.

    Of a tile whose files are damaged no row is judged: that its picture or sidecar is not what was written is told once.

    Parameters
    ----------
    rows
        Those of a place.
    expected
        By tile id, in order, the lines that its sidecar leads to; tiles that are damaged themselves are left out.
    sidecars
        By tile id, all that can be read.
    entry
        The place.
    named
        Ids of the tiles of which its commit names files.
    """
    told = [
        row for row in {row.id: row for row in rows}.values() if row.tile_id in expected or row.tile_id not in named
    ]
    if [row.line for row in told] == [line for lines in expected.values() for line in lines]:
        return
    right = {orjson.loads(line)["id"]: line for lines in expected.values() for line in lines}
    found = False
    for row in told:
        if right.get(row.id) != row.line:
            found = True
            problem = _difference(row, right.get(row.id), sidecars.get(row.tile_id))
            yield Finding(f"row {row.id[:200]}: {problem}", place=entry)
    for name in right.keys() - {row.id for row in told}:
        found = True
        yield Finding(f"row {name} is missing", place=entry)
    if not found:
        yield Finding(f"{entry['poi_id']}: its rows are not in order", place=entry)


def _difference(row: Row, right: bytes | None, sidecar: Json | None) -> str:
    """In what way a row is not the one that should be there."""
    if sidecar is None:
        return NO_TILE
    problem = against_sidecar(row, sidecar)
    if problem is not None:
        return problem
    if right is None:
        return "it does not follow from its sidecar and the recipe"
    expected = Row.of(right)
    if row.image != expected.image:
        return "its picture is another one's"
    return "its answer does not follow from its sidecar" if row.answer != expected.answer else "it asks something else"


def against_sidecar(row: Row, sidecar: Json) -> str | None:
    """What a row says that its sidecar does not, in words; None if nothing. Of trees of any version."""
    try:
        if row.value["poi_id"] != sidecar["poi_id"]:
            return "its sidecar is of another place or split"
        if row.task == "caption" and row.id.endswith("__caption") and row.answer != sidecar["caption"]:
            return "its caption is not its sidecar's"
        if row.task in BOXES:
            return _boxes_differ(row, sidecar)
    except ODD:
        return "its sidecar cannot be compared with it"
    return None


def _boxes_differ(row: Row, sidecar: Json) -> str | None:
    """Boxes must be of the sidecar's regions, of those of one class where the row is of one."""
    regions = sidecar["regions"]
    if row.task == "class_grounding":
        class_id = int(row.id.rsplit("_", 1)[1])
        regions = [region for region in regions if region["class_id"] == class_id]
    height, width = sidecar["land_cover_label_meta"]["shape"]
    known = [boxes_json([(region["label"], region["bbox"])], (height, width))[1:-1] for region in regions]
    told = [orjson.dumps(each).decode() for each in orjson.loads(row.answer)]
    return None if told and set(told) <= set(known) else "its boxes are not its sidecar's regions"
