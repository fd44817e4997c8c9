"""The demo: plan, build and verify a dataset of real pixels, offline, and draw a contact sheet of it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nutonic.cli import console
from nutonic.cli.demo.data import accuracy_line, prepare
from nutonic.cli.demo.sheet import Sample, contact_sheet, read_samples
from nutonic.cli.paths import in_shell
from nutonic.cli.progress import progress
from nutonic.cli.screen import say
from nutonic.core.units import counted
from nutonic.dataset.verify import verify
from nutonic.errors import NotNutonic
from nutonic.io.buckets.within import CUBE_MARKER
from nutonic.io.files import obstacle_at
from nutonic.io.objects import Store
from nutonic.planning.layout import MARKER
from nutonic.planning.ownership import refuse_foreign
from nutonic.planning.prepare import prepare as plan_into
from nutonic.planning.spec import resolve
from nutonic.recipe.yaml import load_recipe, of_places
from nutonic.run.run import build
from nutonic.sources.earthengine.credentials import require

#: The least numbers of chips and of splits that a sound demo yields.
LEAST_CHIPS, LEAST_SPLITS = 12, 3

#: Written into the demo's own files, so that only these are written over.
_MADE_BY = "made by nutonic demo"

#: The demo's land cover as a collection in a stand-in for Earth Engine, and the recipe that reads it from there.
_COLLECTION, _EE_RECIPE = "projects/demo/assets/osm-landuse", "recipe-earthengine.yaml"


def run_demo(out: Path, workers: int | None = None, labels: str = "raster") -> bool:
    """Build the demo's dataset in ``out/dataset``, from inputs that it makes in ``out/cache``.

    Parameters
    ----------
    out
        Folder of the demo.
    workers
        Worker processes; 0 builds without dask, None takes one per core.
    labels
        ``"raster"``; or ``"earthengine"``, which reads the land cover from a stand-in for Earth Engine and builds
        ``out/dataset-earthengine``.

    Returns
    -------
    bool
        Whether the dataset is whole and has as many chips and splits as it should.

    Raises
    ------
    NotNutonic
        If `out` holds something under one of these names that is not the demo's, or is a dataset or a cube. Nothing is
        written then.
    """
    tree = out / ("dataset" if labels == "raster" else "dataset-earthengine")
    refuse_foreign_demo(out, tree, _sheet(out, tree))
    recipe_path = prepare(out / "cache")
    say([f"labels: {accuracy_line(out / 'cache')}"])
    if labels == "raster":
        return _run(out, recipe_path, tree, workers)
    with _earth_engine(recipe_path) as ee_recipe_path:
        return _run(out, ee_recipe_path, tree, workers)


def refuse_foreign_demo(out: Path, tree: Path, sheet: Path) -> None:
    """Raise :class:`NotNutonic` if what a demo would write over is not a demo's: its tree, its picture, its recipe."""
    for marker in (MARKER, CUBE_MARKER):
        if os.path.lexists(out / marker):  # with more beside it, it would not be whole any more
            raise NotNutonic(f"{out} is a dataset or a cube itself: choose another folder for the demo")
    obstacle = obstacle_at(out, tree.name, folder=True)
    if obstacle is not None:
        raise NotNutonic(obstacle)
    refuse_foreign(tree)
    for path, is_ours in ((sheet, _is_our_sheet), (out / "cache" / _EE_RECIPE, _is_our_recipe)):
        if os.path.lexists(path) and not (path.is_file() and not path.is_symlink() and is_ours(path)):
            raise NotNutonic(f"{path} was not made by nutonic demo: move it away, or choose another folder")


def _sheet(out: Path, tree: Path) -> Path:
    return out / f"contact_sheet{tree.name.removeprefix('dataset')}.png"


def _is_our_sheet(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.info.get("Software") == _MADE_BY
    except OSError:
        return False


def _is_our_recipe(path: Path) -> bool:
    return path.read_bytes().startswith(f"# {_MADE_BY}".encode())


@contextmanager
def _earth_engine(recipe_path: Path) -> Iterator[Path]:
    """The path of a recipe that reads the same land cover from a stand-in for Earth Engine, which runs meanwhile."""
    require()
    from nutonic.testing.earthengine import EarthEngineServer, image_of_raster

    values = yaml.safe_load(recipe_path.read_text(encoding="utf-8"))
    image = image_of_raster(
        recipe_path.parent / values["labels"]["path"], f"{_COLLECTION}/2017", bands=("class",), start="2017-02-16"
    )
    with EarthEngineServer({_COLLECTION: [image]}) as server:
        labels = {"collection": _COLLECTION, "band": "class", "rule": "mode", "project": "demo", "url": server.url}
        values["labels"] = {"source": "earthengine", "dataset": values["labels"]["dataset"], **labels}
        path = recipe_path.with_name(_EE_RECIPE)
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        Store(path.parent).put(path.name, f"# {_MADE_BY}\n{text}".encode())
        say([f"labels: a stand-in for Earth Engine at {server.url}, while this runs; no account is needed"])
        yield path
        pixels = counted(server.count("pixels"), "request")
        say([f"it answered {pixels} for pixels, {server.count('compute'):,} for values"])


def _run(out: Path, recipe_path: Path, tree: Path, workers: int | None) -> bool:
    recipe = of_places(load_recipe(recipe_path))
    spec = resolve(recipe)
    _, plan = plan_into(spec, tree, workers=workers)
    console.show_plan(plan.header, plan.rejects)
    with progress() as shown:
        summary = build(recipe, tree, workers=workers, callbacks=[shown])
    console.show_summary(summary, tree)
    verdict = verify(tree, deep=True)
    console.show_verdict(verdict, tree)
    sheet, chips = _sheet(out, tree), read_samples(tree)
    Store(out).put(sheet.name, picture_bytes(contact_sheet(chips, spec.table)))
    is_right = verdict.whole and summary.complete and _yield_is_right(chips, plan.header["places"])
    _show_paths(out, tree, recipe_path, sheet)
    return is_right


def picture_bytes(sheet: Image.Image) -> bytes:
    """A picture as PNG, marked as a demo's."""
    content, metadata = io.BytesIO(), PngInfo()
    metadata.add_text("Software", _MADE_BY)
    sheet.save(content, "png", pnginfo=metadata)
    return content.getvalue()


def _yield_is_right(chips: list[Sample], places: int) -> bool:
    splits = sorted({chip.sidecar["split"] for chip in chips})
    say([f"yield: {counted(len(chips), 'chip')} of {counted(places, 'place')}, in {', '.join(splits)}"])
    if len(chips) < LEAST_CHIPS or len(splits) < LEAST_SPLITS:
        say([f"expected at least {LEAST_CHIPS} chips in at least {LEAST_SPLITS} splits"])
        return False
    return True


def _show_paths(out: Path, tree: Path, recipe: Path, sheet: Path) -> None:
    for name, path in (
        ("look at", sheet),
        ("rows", tree / "data"),
        ("chips", tree / "images"),
        ("card", tree / "README.md"),
        ("recipe", recipe),
    ):
        say([f"{name:>8}  {path}"])
    program = in_shell(os.path.relpath(Path(sys.executable).with_name("nutonic")))
    say([f"  report  {program} report {in_shell(tree)}"])
    if recipe.name == _EE_RECIPE:
        hint = "labels: {source: earthengine, dataset: dynamic-world, project: YOUR-CLOUD-PROJECT}"
        say([f" for real {hint}"])
        return
    say([f"   again  {program} build {in_shell(recipe)} --out {in_shell(out / 'again')}"])
