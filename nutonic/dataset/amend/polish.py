"""Captions of chips in a model's words: each is a revision of what templates wrote, judged by what the sidecar says.

A sidecar has of each class its pixels, and how they lie in a grid of 6 × 6 cells. That makes a description as a map makes
one of a patch, so that a model is asked, and its answer judged, in the same way. What is not let through stays as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

import numpy as np
import orjson

from nutonic.chips.scene.description import Cell, Described, SceneDescription
from nutonic.core.catalogs import AERIAL
from nutonic.core.model import Json
from nutonic.dataset.annotate import revise
from nutonic.dataset.commits import CAPTION
from nutonic.planning.spec import BuildSpec, word_rules
from nutonic.recipe.texts import texts_of
from nutonic.rows.annotation.ground import Ground, GroundGate
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.rows.rows import dumps
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.cost import price

_CELLS: tuple[Cell, ...] = (
    "north-west", "north", "north-east", "west", "centre", "east", "south-west", "south", "south-east",
)  # fmt: skip

#: The task of rows whose text is polished.
TASK = CAPTION


def caption_rows(rows: bytes) -> Iterator[Json]:
    """Of a place's rows, given as lines of JSON, those that are captions."""
    for line in rows.splitlines():
        row: Json = orjson.loads(line)
        if row["task"] == TASK:
            yield row


def polish(rows: bytes, sidecars: Mapping[str, Json], spec: BuildSpec, answers: Answers) -> tuple[PatchCaptions, ...]:
    """What models make of the captions among a place's rows, in their order.

    Parameters
    ----------
    rows
        As templates wrote them, lines of JSON.
    sidecars
        By tile id.
    spec
        The resolved recipe; its `rows.polish` is not None.
    answers
        Where answers are kept, and who is asked for those that are not.

    Raises
    ------
    Pending, NutonicError
        As :func:`nutonic.dataset.annotate.annotate`.
    """
    asked = spec.rows.polish
    assert asked is not None, "there is nothing to polish"
    nouns, texts = word_rules(spec).wording.lexicon.nouns, texts_of(asked.prompts, "prompts")
    found = []
    for row in caption_rows(rows):
        sidecar = sidecars[row["tile_id"]]
        described = scene_of(sidecar, row["id"], spec, nouns)
        said = row["messages"][1]["content"][0]["text"]
        main = described.elements[0].element
        found.append(
            revise(
                described,
                main,
                said,
                asked.captions,
                answers,
                texts=texts,
                gate=GroundGate(described, ground_of(sidecar, spec, nouns), asked.captions),
                from_space=sidecar["imagery"]["collection"] not in AERIAL,
            )
        )
    return tuple(found)


def scene_of(sidecar: Json, name: str, spec: BuildSpec, nouns: Mapping[int, str]) -> SceneDescription:
    """What a sidecar says of its chip, as of a patch: classes are areas, the largest first.

    Parameters
    ----------
    sidecar
        The chip's.
    name
        What the description is called, so that each caption has seeds of its own.
    spec
        The resolved recipe.
    nouns
        What classes are called, by id.
    """
    side, ground = sidecar["window"]["height"] * spec.grid.resolution_m, ground_of(sidecar, spec, nouns)
    areas = [_area(c, share, ground.cells[c], side, nouns) for c, share in ground.shares.items()]
    areas.sort(key=lambda area: (-(area.share or 0.0), area.element))
    return SceneDescription(patch_id=name, side_m=side, elements=tuple(areas))


def ground_of(sidecar: Json, spec: BuildSpec, nouns: Mapping[int, str]) -> Ground:
    """What a sidecar counts; as :func:`scene_of`."""
    meta = sidecar["land_cover_label_meta"]
    whole = meta["valid_fraction"] >= spec.rows.whole_image
    labelled = meta["valid_fraction"]  # what is said of the whole picture must be true of all of it
    return Ground(
        nouns=nouns,
        shares={int(c): labelled * sidecar["class_fractions"][c] for c in meta["classes"]},
        cells={int(c): np.array(meta["cells"][c], np.int64).reshape(6, 6) for c in meta["classes"]},
        unlabelled=1.0 - labelled,
        whole=whole,
    )


def _area(class_id: int, share: float, grid: np.ndarray, side: float, nouns: Mapping[int, str]) -> Described:
    """A class; its cells are two by two the ninths of the picture."""
    ninths = grid.reshape(3, 2, 3, 2).sum(axis=(1, 3)).ravel().tolist()
    there = {cell for cell, count in zip(_CELLS, ninths, strict=True) if count} | _mostly(grid)
    return Described(
        element=f"class/{class_id}",
        version=1,
        kind="area",
        tags=(("side", _sides(side)),),
        length_m=side,
        noun=nouns[class_id],
        where=_CELLS[max(range(9), key=lambda k: (ninths[k], -k))],
        cells=tuple(cell for cell in _CELLS if cell in there),
        share=share,
    )


def _sides(side: float) -> str:
    """The numbers of a picture's side that captions tell, as in 640 by 640 m, and 2.6 by 2.6 km."""
    kilometres = f" {side / 1000:.1f} {side / 1000:.2f}" if side >= 1000 else ""
    return f"{round(side)}{kilometres}"


def _mostly(grid: np.ndarray) -> set[Cell]:
    """The half or the quarter that holds most of a class: so it may be said to lie, though it is in no such ninth."""
    halves: dict[Cell, np.ndarray] = {"north": grid[:3], "south": grid[3:], "west": grid[:, :3], "east": grid[:, 3:]}
    quarters: dict[Cell, np.ndarray] = {
        "north-west": grid[:3, :3],
        "north-east": grid[:3, 3:],
        "south-west": grid[3:, :3],
        "south-east": grid[3:, 3:],
    }
    return {cell for cell, part in (halves | quarters).items() if 2 * part.sum() > grid.sum()}


def in_their_words(rows: bytes, polished: Iterable[PatchCaptions]) -> bytes:
    """The rows of a place with those captions that were let through."""
    texts = {each.patch_id: each.annotations[0].text for each in polished if each.annotations}
    lines = []
    for line in rows.splitlines(keepends=True):
        row = orjson.loads(line)
        if row["id"] in texts:
            row["messages"][1]["content"][0]["text"] = texts[row["id"]]
            line = dumps(row)
        lines.append(line)
    return b"".join(lines)


def kept(polished: Iterable[PatchCaptions]) -> tuple[Json, ...]:
    """As a commit tells it: where each caption came from, and what was not let through."""
    return tuple(orjson.loads(orjson.dumps(asdict(each))) for each in polished)


def counts_of(told: Iterable[Json], spec: BuildSpec) -> Json:
    """Of what commits tell: captions that are polished, those that stay as they were, reasons, tokens and money."""
    annotators = {each.name: each for each in spec.rows.polish.annotators} if spec.rows.polish else {}
    polished, stayed, rejected = 0, 0, Counter[str]()
    usage = {name: {"answers": 0, "input_tokens": 0, "output_tokens": 0, "money": 0.0} for name in annotators}
    for each in told:
        polished, stayed = polished + bool(each["annotations"]), stayed + (not each["annotations"])
        rejected.update(rejection["reason"] for rejection in each["rejections"])
        for name, prompt, answer in each["usage"]:
            used = usage[name]
            used["answers"] += 1
            used["input_tokens"] += prompt
            used["output_tokens"] += answer
            used["money"] += price(annotators[name], prompt, answer)
    for used in usage.values():
        used["money"] = round(used["money"], 6)
    return {"polished": polished, "stayed": stayed, "rejected": dict(sorted(rejected.items())), "usage": usage}
