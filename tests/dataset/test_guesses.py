"""What can be answered without the pictures, as cards and reports tell it: of planted answers, and of a build's."""

from __future__ import annotations

import json
import re
from itertools import cycle, permutations

import numpy as np
import pytest

import nutonic as nt
from nutonic.core.classes import DYNAMIC_WORLD
from nutonic.dataset.commits import packed
from nutonic.dataset.index import Spans
from nutonic.dataset.parts import guesses as of_tree
from nutonic.dataset.parts.guesses import Guesses, guesses
from nutonic.io.objects import Store
from nutonic.recipe.outputs import Rows
from nutonic.recipe.recipe import Recipe
from nutonic.recipe.texts import builtin
from nutonic.rows.wording import Said, wording_of

IDS = {DYNAMIC_WORLD.noun(c): c for c in DYNAMIC_WORLD.labels}
PAIRS = (("trees", "water"), ("crops", "grass"), ("trees", "crops"), ("water", "grass"))
WORDING = wording_of(builtin(), DYNAMIC_WORLD)


def row(place: int, k: int, pair: tuple[str, str], answer: str) -> dict:
    """A row that asks whether two classes touch."""
    name, (c, d) = f"poi_{place:06}", (IDS[noun] for noun in pair)
    question = WORDING.words(Said(claim="vqa.ask_touch", values={"c": c, "d": d}), name, {"picture": "satellite image"})
    asked = [{"type": "image", "image": f"images/{name}.png"},
             {"type": "text", "text": question}]  # fmt: skip
    said = [{"role": "user", "content": asked}, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]
    return {
        "id": f"{name}_t{k:04}__vqa_touch",
        "task": "vqa",
        "poi_id": name,
        "tile_id": f"{name}_t{k:04}",
        "messages": said,
    }


def planted(store: Store, places: list[list[dict | bytes]]) -> Spans:
    """A part with the rows of places, in the order of a commit that took them as they came, and where they lie."""
    lines = [
        b"".join(each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in rows)
        for rows in places
    ]
    members = [packed(each) for each in lines]
    store.put("_nutonic/parts/000000.jsonl.gz", b"".join(members))
    starts = np.cumsum([0, *map(len, members)])
    whole = [(k, 0, 0, 0, start, len(member), len(line), len(rows), 0)
             for k, (start, member, line, rows) in enumerate(zip(starts, members, lines, places, strict=False))]  # fmt: skip
    names = ("ordinal", "variant", "split", "part", "start", "length", "size", "rows", "pictures")
    types = ("i8", "i4", "i1", "i4", "i8", "i8", "i8", "i4", "i8")
    table = np.array(whole, np.dtype(list(zip(names, types, strict=True))))
    return Spans(table, ("_nutonic/parts/000000.jsonl.gz",))


def seen(places) -> Guesses:
    store = Store(None)
    return guesses(store, planted(store, places), Rows(), DYNAMIC_WORLD)


def test_answers_that_follow_from_classes_are_guessed_and_told():
    pairs = cycle(PAIRS)
    found = seen([[row(k, 0, pair := next(pairs), "Yes" if "trees" in pair else "No")] for k in range(200)])
    (kind,) = found.kinds
    assert (kind.kind, kind.rows, kind.right, kind.chance) == ("vqa_touch", 200, 200, 0.5)
    (told,) = found.warnings
    assert told.startswith("vqa_touch: 100% are right without the picture, by chance 50%.")
    assert "__vqa_touch" in told


def test_answers_at_random_are_not_guessed_and_nothing_is_told():
    random, pairs = np.random.default_rng(4), cycle(PAIRS)
    found = seen([[row(k, 0, next(pairs), ("Yes", "No")[random.integers(2)])] for k in range(600)])
    (kind,) = found.kinds
    assert 0.42 <= kind.share <= 0.58
    assert found.warnings == []


def test_of_few_rows_nothing_is_told_but_their_figures():
    found = seen([[row(k, 0, PAIRS[0], "Yes")] for k in range(29)])
    assert (found.kinds[0].share, found.warnings) == (1, [])
    assert "fewer than 30 rows" in found.told


def test_places_with_the_same_answers_are_guessed_by_others_only():
    """A place's own rows teach nothing about it: each place has a pair of its own, and one answer, many times."""
    classes = ("trees", "water", "grass", "crops", *list(IDS)[-2:])
    pairs = list(permutations(classes, 2))
    random = np.random.default_rng(2)
    places = [[row(k, i, pair, answer) for i in range(40)] for k, pair in enumerate(pairs)
              for answer in [("Yes", "No")[random.integers(2)]]]  # fmt: skip
    assert seen(places).kinds[0].share < 0.75


def test_of_large_trees_whole_places_are_drawn_by_their_ordinals_alone(monkeypatch):
    monkeypatch.setattr(of_tree, "_MOST_ROWS", 60)
    places = [[row(k, i, PAIRS[k % 4], "Yes") for i in range(2)] for k in range(500)]
    found = seen(places)
    assert (found.places, found.of, found.kinds[0].rows) == (30, 500, 60)
    assert "30 of 500 places were drawn" in found.told
    store = Store(None)
    spans = planted(store, places)
    shuffled = Spans(spans.every[::-1].copy(), spans.parts)
    assert guesses(store, shuffled, Rows(), DYNAMIC_WORLD) == found
    assert seen([[], *places[1:]]).of == 499


@pytest.mark.parametrize(
    "line", [b"{}\n", b"[]\n", b"null\n", b'{"id": 1, "task": "vqa", "messages": []}\n', b"no JSON\n"]
)
def test_what_is_no_row_is_not_counted(line):
    (kind,) = seen([[row(k, 0, PAIRS[0], "Yes"), line] for k in range(40)]).kinds
    assert kind.rows == 40


def test_a_tree_without_rows_tells_nothing():
    assert seen([[], []]) == Guesses(kinds=(), places=0, of=0)


# A build


@pytest.fixture(scope="module")
def lattice(demo_inputs, tmp_path_factory) -> nt.Recipe:
    """The demo's real scene with a place at every corner of a lattice, and with all questions."""
    recipe, folder = nt.load_recipe(demo_inputs / "recipe.yaml"), tmp_path_factory.mktemp("lattice")
    places = [f"{12.508 + 0.0132 * i:.4f},{52.4585 + 0.0085 * j:.4f}" for j in range(8) for i in range(16)]
    (folder / "places.csv").write_text("\n".join(["lon,lat", *places]), encoding="utf-8")
    asked = dict.fromkeys(("absence", "vqa", "choice", "referring"), True)
    return Recipe.model_validate(
        recipe.model_dump()
        | {
            "pois": {"path": str(folder / "places.csv")},
            "grid": {"extent_m": 640},
            "tiles": {"size": 64, "stride": 64, "output_size": 128, "min_label_fraction": 0.5},
            "rows": recipe.rows.model_dump() | asked,
        }
    )


@pytest.mark.long
def test_the_card_and_the_report_tell_the_same_of_a_build(lattice, tmp_path):
    out = tmp_path / "tree"
    assert nt.build(lattice, out, workers=0).complete
    card, page = ((out / "README.md").read_text(encoding="utf-8"), nt.report(out).read_text(encoding="utf-8"))
    (told,) = re.findall(r"## Guessable without the picture\n(.*?)\n## ", card, re.DOTALL)
    lines = [line.replace("\\", "").strip("| ").split(" | ") for line in told.splitlines() if line.startswith("|")]
    section = page.partition('id="guessable"')[2]
    figures = {kind: cells for kind, *cells in lines}
    rows = [json.loads(line) for path in sorted((out / "data").iterdir()) for line in path.open("rb")]
    for kind in ("absence", "vqa_presence", "vqa_larger"):
        count, guessed, chance = figures[kind]
        assert int(count) == sum(each["id"].endswith(f"__{kind}") for each in rows) > 20
        assert (int(guessed.strip("%")) < 75, chance) == (True, "50%")
        cells = re.findall(r'<td class="number">([\d.,]+)', section.partition(f"{kind}</th>")[2])[:3]
        assert (cells[0], cells[2]) == (count, "50.0")
        assert abs(float(cells[1]) - int(guessed.strip("%"))) <= 0.5
    assert nt.verify(out, deep=True).whole
