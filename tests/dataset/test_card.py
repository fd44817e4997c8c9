"""The card: what it says of a tree, against the planet that the tree was built from."""

from __future__ import annotations

import hashlib
import json

from support.trees import small_planet

import nutonic as nt
from nutonic import __version__, load_recipe


def test_a_card_says_where_everything_comes_from(clean):
    sidecars = [json.loads(path.read_bytes()) for path in (clean.out / "metadata").rglob("*.json")]
    scenes = {sidecar["imagery"]["item_id"] for sidecar in sidecars}
    dates = sorted(sidecar["imagery"]["datetime"][:10] for sidecar in sidecars)
    recipe, places = load_recipe(clean.recipe), clean.recipe.parent / "pois.csv"
    lines = (clean.out / "README.md").read_text(encoding="utf-8").split("## Provenance\n\n")[1].split("\n\n")[0]
    assert lines.splitlines() == [
        f"- Imagery: {len(scenes)} scenes of `{recipe.imagery.collection}`, from {dates[0]} to {dates[-1]}; every "
        "sidecar names its own",
        f"- Land cover: `{recipe.labels.table.name}`, from `land_cover`",
        f"- Places: {len(places.read_text().splitlines()) - 1} rows, SHA-256 "
        f"`{hashlib.sha256(places.read_bytes()).hexdigest()}`",
        f"- Recipe: `{recipe.digest()}`, built with nutonic {__version__}",
    ]


def test_a_split_without_rows_has_no_file(tmp_path):
    recipe = small_planet(tmp_path / "planet", splits={"train": 1.0, "validation": 0.0, "test": 0.0})
    out = tmp_path / "tree"
    nt.build(load_recipe(recipe), out, workers=0)
    assert [path.name for path in (out / "data").iterdir()] == ["train.jsonl"]
    assert nt.verify(out, deep=True).problems == ()
    (out / "data" / "test.jsonl").touch()
    assert nt.verify(out).problems == ("data/test.jsonl belongs to no commit",)
    assert nt.verify(out, fix=True).problems == ()
    assert [path.name for path in (out / "data").iterdir()] == ["train.jsonl"]
