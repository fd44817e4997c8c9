"""Benchmarks run tiny, so that they are there when they are needed, and measure the same tiles."""

from pathlib import Path

from benchmarks.workloads import floor, measure, whole_build
from nutonic.recipe_file import load_recipe
from nutonic.templates import TEMPLATES
from nutonic.testing import SyntheticPlanet


def test_the_floor_and_the_build_do_the_same_tiles(tmp_path: Path) -> None:
    recipe = load_recipe(SyntheticPlanet().write(tmp_path / "planet"))
    bare = measure(lambda: floor(recipe, tmp_path / "floor"))
    built = measure(lambda: whole_build(recipe, tmp_path / "build"))
    pictures = [len(list((tmp_path / name).rglob("*.png"))) for name in ("floor", "build")]
    # The build leaves a poor scene for the next; the floor always takes the first, so it may lack those tiles.
    assert 0 < pictures[0] == bare.tiles <= pictures[1] == built.tiles


def test_recipes_beside_the_library_are_the_ones_init_writes() -> None:
    for path in (Path(__file__).parents[1] / "recipes").glob("*.yaml"):
        assert path.read_text() == TEMPLATES[path.stem]
