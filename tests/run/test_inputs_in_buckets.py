"""Builds whose inputs lie in object stores: the bytes of one whose inputs are behind HTTP, by no more requests."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import obstore
import pytest
import yaml
from support.remote import served
from support.trees import SMALL, tree
from support.worlds import written

import nutonic as nt
from nutonic.testing import SyntheticPlanet

pytest_plugins = ["support.buckets"]

#: Below which the planet's files lie in the bucket.
PREFIX = "inputs/planet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("planet")
    written(SyntheticPlanet(3), folder, only=("full", "east-raw", "west"), **SMALL)
    return folder


@pytest.fixture(scope="module")
def there(seaweed, folder):
    """The planet's files in a bucket, with a catalogue beside them that is as it is on disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            obstore.put(seaweed.client, f"{PREFIX}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return f"s3://bucket/{PREFIX}"


@pytest.fixture
def environment(monkeypatch, seaweed):
    """This process may use the bucket."""
    use(monkeypatch, seaweed.environment)


def use(monkeypatch, environment: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def recipe_at(folder: Path, base: str, **parts) -> nt.Recipe:
    """The planet's recipe whose items, on this disk, name files at an address; so do labels and places where `parts` say."""
    catalogue = json.loads((folder / "items.json").read_text(encoding="utf-8"))
    for asset in (asset for item in catalogue["features"] for asset in item["assets"].values()):
        asset["href"] = f"{base}/{asset['href']}"
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    recipe["imagery"] |= {"url": str(folder / "items-there.json"), "allow_hosts": ["s3://bucket"]}
    (folder / "items-there.json").write_text(json.dumps(catalogue), encoding="utf-8")
    for name in ("pois", "labels"):
        recipe[name]["path"] = str(folder / recipe[name]["path"])
    return nt.Recipe.model_validate(recipe | {name: {**recipe[name], **part} for name, part in parts.items()})


def test_items_labels_and_blocks_in_a_bucket_are_read_as_over_http(folder, there, seaweed, monkeypatch, tmp_path):
    with served(folder) as (server, _):
        labels = {"path": f"{server.url}/land_cover.tif"}
        recipe = recipe_at(folder, server.url, imagery={"allow_hosts": [server.address]}, labels=labels)
        over_http = nt.build(recipe, tmp_path / "http", workers=0)
        asked = Counter((request.path, request.span) for request in server.requests())
    with seaweed.before().running() as between:
        use(monkeypatch, {**seaweed.environment, "AWS_ENDPOINT_URL": between.endpoint})
        recipe = recipe_at(folder, there, labels={"path": f"{there}/land_cover.tif"})
        summary = nt.build(recipe, tmp_path / "s3", workers=0)
        verdict = nt.verify(tmp_path / "s3", deep=True, rebuild=2)
    assert summary.complete
    assert (summary.requests, summary.bytes_read, summary.faults) == (over_http.requests, over_http.bytes_read, {})
    assert sum(asked.values()) == summary.requests
    assert (verdict.problems, verdict.rebuilt) == ((), 2)
    ours, theirs = (tree(tmp_path / name) for name in ("s3", "http"))
    theirs = {name: data.replace(server.url.encode(), there.encode()) for name, data in theirs.items()}
    assert {name for name in ours if ours[name] != theirs.get(name)} == set()
    assert ours.keys() == theirs.keys()


def test_all_that_goes_in_may_lie_in_a_bucket(folder, there, environment, tmp_path):
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    for part, key in (("pois", "path"), ("imagery", "url"), ("labels", "path")):
        recipe[part][key] = f"{there}/{recipe[part][key]}"
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    assert nt.build(tmp_path / "recipe.yaml", tmp_path / "s3", workers=0).complete
    assert nt.build(tmp_path / "recipe.yaml", tmp_path / "s3", workers=0).done_before > 0
    assert nt.verify(tmp_path / "s3", deep=True, rebuild=2).problems == ()
    local = folder / "recipe.yaml"
    assert nt.build(local, tmp_path / "disk", workers=0).complete
    assert tree(tmp_path / "s3") == tree(tmp_path / "disk")  # whose catalogue has relative hrefs too
