"""Remote inputs that are other files than when they were planned or first read: told, and taken only with a new plan."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import rasterio
import yaml
from support.callbacks import OnBatch
from support.cli import nutonic
from support.remote import served
from support.trees import small_planet, tree

import nutonic as nt
from nutonic import load_recipe
from nutonic.core.model import HEAD_BYTES, RemotePin
from nutonic.dataset.verify import verify
from nutonic.errors import RecipeChanged
from nutonic.io.objects import Store
from nutonic.planning.pins import RemoteFiles
from nutonic.planning.plan_file import read_plan
from nutonic.planning.prepare import prepare
from nutonic.planning.spec import resolve
from nutonic.run.read import read
from nutonic.run.run import build
from nutonic.testing import Fault

BOTH = ("ETag", "Last-Modified")


@pytest.fixture
def folder(tmp_path) -> Path:
    return small_planet(tmp_path / "planet").parent


def mirrored(path: Path, *, at: float | None = None) -> None:
    """The same raster with its rows turned round: other pixels; of the same size and time, where a time is given."""
    with rasterio.open(path) as raster:
        pixels, profile = raster.read(), raster.profile
    path.unlink()  # worlds are copied as links
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.ascontiguousarray(pixels[:, ::-1]))
    if at is not None:
        os.utime(path, (at, at))


def whole(out: Path) -> dict[str, bytes]:
    """Every file of a tree, those of nutonic's own included."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def scene_of(out: Path) -> str:
    """The scene of which the only commit's pictures are."""
    (commit,) = (json.loads(path.read_bytes()) for path in (out / "_nutonic/commits").glob("*.json"))
    return commit["places"][0]["item_id"]


def with_labels_at(folder: Path, url: str) -> Path:
    """The recipe of a served planet, with its labels behind a URL too."""
    recipe = yaml.safe_load((folder / "recipe-http.yaml").read_text(encoding="utf-8"))
    recipe["labels"] |= {"path": f"{url}/land_cover.tif", "allow_hosts": [urlsplit(url).netloc]}
    path = folder / "recipe-labels.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.long
@pytest.mark.parametrize("validators", [("ETag",), ("Last-Modified",), BOTH, ()], ids="+".join)
def test_a_file_of_a_scene_that_is_replaced_is_told_and_taken_with_a_new_plan(folder, tmp_path, validators):
    out = tmp_path / "out"
    with served(folder, validators=validators) as (server, recipe):
        build(recipe, out, workers=0, limit=1)
        before, file = whole(out), folder / scene_of(out) / "green.tif"
        mirrored(file)
        with pytest.raises(
            RecipeChanged, match=r"/…/green\.tif changed since it was first read for .*--replan"
        ) as told:
            build(recipe, out, workers=0)
        assert str(told.value).startswith(server.address)
        assert len(str(told.value).splitlines()) == 1
        assert whole(out) == before
        assert build(recipe, out, workers=0, replan=True).complete
        assert build(recipe, tmp_path / "anew", workers=0).complete
        assert whole(out).keys() == whole(tmp_path / "anew").keys()
        assert tree(out) == tree(tmp_path / "anew")
        assert verify(out, deep=True).problems == ()


def test_on_the_command_line_it_is_one_line_and_a_mistake(folder, tmp_path):
    out = tmp_path / "out"
    with served(folder) as (_, recipe):
        build(recipe, out, workers=0, limit=1)
        mirrored(folder / scene_of(out) / "red.tif")
        said = nutonic("build", folder / "recipe-http.yaml", "--out", out, "--workers", 0)
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert "/…/red.tif changed since it was first read for " in line


@pytest.mark.cluster
def test_a_worker_tells_it_too(folder, tmp_path):
    out = tmp_path / "out"
    with served(folder) as (_, recipe):
        build(recipe, out, workers=0, limit=1)
        before = whole(out)
        for band in ("red", "green", "blue"):
            mirrored(folder / scene_of(out) / f"{band}.tif")
        with pytest.raises(RecipeChanged, match=r"blue\.tif and 2 more changed since"):
            build(recipe, out, workers=1)
        assert whole(out) == before


@pytest.mark.long
@pytest.mark.parametrize("planned", [True, False], ids=["after a plan", "after a build"])
def test_a_label_raster_that_is_replaced_is_told_and_taken_with_a_new_plan(folder, tmp_path, planned):
    out = tmp_path / "out"
    with served(folder) as (server, _):
        path = with_labels_at(folder, server.url)
        if planned:
            assert nutonic("plan", path, "--out", out).code == 0
        else:
            build(load_recipe(path), out, workers=0, limit=1)
        before = whole(out)
        mirrored(folder / "land_cover.tif")
        with pytest.raises(RecipeChanged, match=r"/…/land_cover\.tif changed since"):
            build(load_recipe(path), out, workers=0)
        assert whole(out) == before
        assert build(load_recipe(path), out, workers=0, replan=True).complete
        assert build(load_recipe(path), tmp_path / "anew", workers=0).complete
        assert tree(out) == tree(tmp_path / "anew")
        assert verify(out, deep=True).problems == ()


def test_a_label_raster_with_another_grid_is_no_fault_of_its_places(folder, tmp_path):
    """It was planned as another file; what is there now does not reach the places at all."""
    out = tmp_path / "out"
    with served(folder) as (server, _):
        path = with_labels_at(folder, server.url)
        build(load_recipe(path), out, workers=0, limit=1)
        before, labels = whole(out), folder / "land_cover.tif"
        with rasterio.open(labels) as raster:
            pixels, profile = raster.read()[:, :64, :64], raster.profile | {"width": 64, "height": 64}
        labels.unlink()
        with rasterio.open(labels, "w", **profile) as raster:
            raster.write(pixels)
        with pytest.raises(RecipeChanged, match=r"/…/land_cover\.tif changed since"):
            build(load_recipe(path), out, workers=0)
        assert whole(out) == before


@pytest.mark.long
def test_servers_that_know_a_file_by_other_etags_and_the_same_time_are_no_change(folder, tmp_path):
    out = tmp_path / "out"
    with served(folder, validators=BOTH) as (server, recipe):
        build(recipe, out, workers=0, limit=1)
        server.script([Fault("etag", times=None)])
        assert build(recipe, out, workers=0).complete
        assert server.fault_counts()["etag"] > 0


@pytest.mark.long
def test_a_finished_tree_asks_for_nothing_and_one_that_goes_on_for_no_more_than_it_reads(folder, tmp_path):
    out = tmp_path / "out"
    with served(folder) as (server, recipe):
        build(recipe, out, workers=0, limit=1)
        server.reset()
        build(recipe, out, workers=0)
        spans = [(request.path, request.span) for request in server.requests()]
        assert len(spans) == len(set(spans)) > 0
        done = whole(out)
        server.reset()
        for file in folder.glob("*/*.tif"):
            mirrored(file)
        build(recipe, out, workers=0)
        assert server.requests() == []
        assert whole(out) == done


@pytest.mark.long
def test_commits_tell_no_query_and_are_the_same_of_whoever_writes_them(folder, tmp_path):
    with served(folder, validators=BOTH) as (_, recipe):
        build(recipe, tmp_path / "one", workers=0)
        build(recipe, tmp_path / "two", workers=0, limit=1)
        build(recipe, tmp_path / "two", workers=0)
    one, two = ({k: v for k, v in whole(tmp_path / name).items() if "/commits/" in k} for name in ("one", "two"))
    whole_batches = [name for name in one.keys() & two.keys() if re.search(r"/\d{6}\.json$", name)]
    assert whole_batches
    for name in whole_batches:
        assert one[name] == two[name]
        remote = json.loads(one[name])["remote"]
        assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]+/(red|green|blue)\.tif", key) for key in remote)
        assert list(remote) == sorted(remote)


@pytest.mark.long
def test_places_that_are_committed_alone_after_a_repair_tell_it_still(folder, tmp_path):
    out = tmp_path / "out"
    with served(folder) as (_, recipe):
        build(recipe, out, workers=0)
        batch = next(c for c in map(json.loads, map(Path.read_bytes, (out / "_nutonic/commits").glob("*.json")))
                     if len([place for place in c["places"] if place["tiles"]]) > 1)  # fmt: skip
        (out / next(path for path in batch["places"][0]["files"] if path.endswith(".png"))).unlink()
        verify(out, fix=True)
        singles = [json.loads(path.read_bytes()) for path in (out / "_nutonic/commits").glob("*-*.json")]
        assert singles
        assert all(single["remote"] == batch["remote"] for single in singles)
        mirrored(folder / batch["places"][0]["item_id"] / "green.tif")
        with pytest.raises(RecipeChanged, match=r"green\.tif changed since"):
            build(recipe, out, workers=0)


def test_a_tree_whose_file_was_replaced_cannot_be_made_again(folder, tmp_path):
    out = tmp_path / "out"
    with served(folder) as (_, recipe):
        build(recipe, out, workers=0, limit=1)
        assert nt.verify(out, rebuild=1).rebuilt == 1
        mirrored(folder / scene_of(out) / "red.tif")
        (problem,) = [text for text in nt.verify(out, rebuild=1).problems if "made again" in text]
    assert re.match(r"no place can be made again: 127\.0\.0\.1:\d+/…/red\.tif changed since it was first read", problem)


@pytest.mark.long
def test_a_file_that_is_replaced_within_a_build_is_told(folder, tmp_path):
    """The places that were read before it are committed, and nothing of those that follow."""
    out, replaced = tmp_path / "out", []

    def replace_once(event: nt.BatchFinished) -> None:
        if not replaced:
            replaced.append(json.loads((out / "_nutonic/commits" / f"{event.result.index:06d}.json").read_bytes()))
            mirrored(folder / "land_cover.tif")

    with served(folder) as (server, _):
        path = with_labels_at(folder, server.url)
        with pytest.raises(RecipeChanged, match=r"/…/land_cover\.tif changed since"):
            build(load_recipe(path), out, workers=0, callbacks=[OnBatch(replace_once)])
    commits = [json.loads(path.read_bytes()) for path in (out / "_nutonic/commits").iterdir()]
    # What the next ones need may have been read while the first was worked on.
    labels = [[pin for pin in commit["remote"] if "land_cover" in json.dumps(pin)] for commit in (*replaced, *commits)]
    assert all(pins == labels[0] != [] for pins in labels)
    assert 1 <= len(commits) < len(list(read_plan(Store(out)).batches()))


def pin(size: int = HEAD_BYTES + 1, head: str = "h", etag: str | None = None, modified: str | None = None) -> RemotePin:
    return RemotePin(size=size, head=head, etag=etag, modified=modified)


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        (pin(), pin(), False),
        (pin(), pin(size=HEAD_BYTES + 2), True),
        (pin(), pin(head="g"), True),
        (pin(etag="a"), pin(etag="b"), True),
        (pin(etag="a"), pin(etag="W/a"), False),
        (pin(etag="a"), pin(), False),  # what one of them tells proves nothing
        (pin(modified="x"), pin(), False),
        (pin(modified="x"), pin(modified="y"), True),
        (pin(etag="a", modified="x"), pin(etag="b", modified="x"), False),
        (pin(etag="a", modified="x"), pin(etag="a", modified="y"), False),
        (pin(etag="W/a", modified="x"), pin(etag="W/a", modified="y"), True),
        (pin(etag="a", modified="x"), pin(etag="b", modified="y"), True),
        (pin(size=HEAD_BYTES, etag="a"), pin(size=HEAD_BYTES, etag="b"), False),  # all its bytes are the same
    ],
)
def test_what_two_pins_tell(one, other, differs):
    assert one.differs(other) is other.differs(one) is differs


def test_what_a_batch_has_read_first_is_known_to_what_it_reads_next(folder, tmp_path):
    with served(folder) as (_, recipe):
        spec = resolve(recipe)
        _, plan = prepare(spec, tmp_path / "out")
        place, files = next(plan.batches()).places[0], RemoteFiles(tmp_path / "out")
        read([place], place.imagery[0], spec.sources, spec.grid, files)
    assert len(files) == 3
