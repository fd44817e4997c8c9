"""Builds whose inputs lie in object stores: the bytes of one whose inputs are behind HTTP, by no more requests."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections import Counter
from pathlib import Path

import obstore
import pytest
import yaml
from support.aerial import Flown, catalogue, plant, recipe, rectangle
from support.cli import nutonic
from support.clusters import cluster
from support.remote import served
from support.shards import samples
from support.trees import small_planet, tree

import nutonic as nt
from nutonic.errors import InputError
from nutonic.io.buckets.address import CREDENTIALS

pytest_plugins = ["support.buckets"]

#: Below which the planet's files lie in the bucket.
PREFIX = "inputs/planet"


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch):
    """Figures take longer than all the rest, and are tested elsewhere: here matplotlib is not installed."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("planet")
    small_planet(folder)
    return folder


@pytest.fixture(
    scope="module",
    params=["seaweed", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("moto", "google", "azurite"))],
)
def bucket(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def there(bucket, folder):
    """The planet's files in a bucket, with a catalogue beside them that is as it is on disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            obstore.put(bucket.client, f"{PREFIX}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return bucket.address(PREFIX)


@pytest.fixture
def environment(monkeypatch, bucket):
    """This process may use the bucket."""
    use(monkeypatch, bucket.environment)


def use(monkeypatch, environment: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "GS_"))]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def recipe_at(folder: Path, base: str, **parts) -> nt.Recipe:
    """The planet's recipe whose items, on this disk, name files at an address; so do labels and places where `parts` say."""
    catalogue = json.loads((folder / "items.json").read_text(encoding="utf-8"))
    for asset in (asset for item in catalogue["features"] for asset in item["assets"].values()):
        asset["href"] = f"{base}/{asset['href']}"
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    recipe["imagery"] |= {"url": str(folder / "items-there.json"), "allow_hosts": [base.removesuffix(f"/{PREFIX}")]}
    (folder / "items-there.json").write_text(json.dumps(catalogue), encoding="utf-8")
    for name in ("pois", "labels"):
        recipe[name]["path"] = str(folder / recipe[name]["path"])
    return nt.Recipe.model_validate(recipe | {name: {**recipe[name], **part} for name, part in parts.items()})


@pytest.mark.long
def test_items_labels_and_blocks_in_a_bucket_are_read_as_over_http(folder, there, bucket, monkeypatch, tmp_path):
    with served(folder) as (server, _):
        labels = {"path": f"{server.url}/land_cover.tif"}
        recipe = recipe_at(folder, server.url, imagery={"allow_hosts": [server.address]}, labels=labels)
        over_http = nt.build(recipe, tmp_path / "http", workers=0)
        asked = Counter((request.path, request.span) for request in server.requests())
    with bucket.before().running() as between:
        use(monkeypatch, {**bucket.environment, bucket.endpoint_variable: between.endpoint})
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


@pytest.mark.long
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


@pytest.mark.long
def test_with_a_tenth_of_all_requests_failing_the_tree_is_the_same(folder, there, bucket, monkeypatch, tmp_path):
    monkeypatch.setenv("NUTONIC_HTTP_TIMEOUT", "5")
    path = {"path": f"{there}/land_cover.tif"}
    use(monkeypatch, bucket.environment)
    assert nt.build(recipe_at(folder, there, labels=path), tmp_path / "clean", workers=0).faults == {}
    with bucket.before(share=0.1).running() as between:
        use(monkeypatch, {**bucket.environment, bucket.endpoint_variable: between.endpoint})
        summary = nt.build(recipe_at(folder, there, labels=path), tmp_path / "faulty", workers=0)
    assert summary.complete
    assert sum(summary.faults.values()) == between.faults.total() > 3
    assert tree(tmp_path / "faulty") == tree(tmp_path / "clean")


@pytest.mark.long
def test_an_object_that_is_gone_or_denied_is_told_as_over_http(
    request, folder, there, bucket, environment, monkeypatch, tmp_path
):
    obstore.delete(bucket.client, f"{PREFIX}/west/red.tif")
    try:
        summary = nt.build(recipe_at(folder, there), tmp_path / "gone", workers=0)
    finally:
        obstore.put(bucket.client, f"{PREFIX}/west/red.tif", (folder / "west/red.tif").read_bytes())
    assert summary.complete
    moved = [
        data for data in tree(tmp_path / "gone").values() if f"{there}/west/red.tif is not there (404)".encode() in data
    ]
    assert moved, summary.rejects  # to the next best scene, whose sidecars say so
    if request.node.callspec.params["bucket"] in ("moto", "google"):  # which check no signatures
        return
    s3 = bucket.scheme == "s3"
    changed = ("AWS_SECRET_ACCESS_KEY", "another") if s3 else ("AZURE_STORAGE_ACCOUNT_KEY", "YW5vdGhlcg==")
    monkeypatch.setenv(*changed)
    summary = nt.build(recipe_at(folder, there), tmp_path / "denied", workers=0)
    assert {failure.reason for failure in summary.failures} == {"refused"}
    told = summary.failures[0].error
    code, where = (
        ("SignatureDoesNotMatch", "AWS_ACCESS_KEY_ID") if s3 else ("AuthorizationFailure", "AZURE_STORAGE_ACC")
    )
    assert f"access is denied (403, {code}); credentials are taken from {where}" in told
    assert not any(word in told for word in ("Signature=", "sig="))
    assert not any(secret in told for secret in bucket.secrets)


@pytest.mark.long
def test_who_lacks_credentials_or_a_token_is_told_before_anything_is_planned(
    folder, there, bucket, monkeypatch, tmp_path
):
    use(monkeypatch, {})
    for extra, told in (
        (
            {"labels": {"path": f"{there}/land_cover.tif"}},
            f"{bucket.scheme}://bucket: there are no credentials: they are taken from {CREDENTIALS[bucket.scheme]}",
        ),
        (
            {"imagery": {"allow_hosts": [], "bearer": {"h.example": "A_TOKEN"}}},
            "set A_TOKEN, which the recipe names in bearer",
        ),
    ):
        path = tmp_path / "recipe.yaml"
        recipe = recipe_at(folder, there).model_dump(mode="json")
        recipe = {
            name: {**part, **extra.get(name, {})} if isinstance(part, dict) else part for name, part in recipe.items()
        }
        path.write_text(
            yaml.safe_dump({key: recipe[key] for key in ("name", "pois", "grid", "imagery", "labels", "tiles")})
        )
        said = nutonic("build", path, "--out", tmp_path / "out", "--workers", "0")
        assert (said.code, told in said.err, said.err.count("\n")) == (2, True, 1), said.err
        assert not (tmp_path / "out").exists()


@pytest.mark.exhaustive
@pytest.mark.cluster
def test_workers_read_from_a_bucket_each_with_its_own_credentials(folder, there, bucket, monkeypatch, tmp_path):
    recipe = recipe_at(folder, there, labels={"path": f"{there}/land_cover.tif"})
    use(monkeypatch, bucket.environment)
    assert nt.build(recipe, tmp_path / "here", workers=0).complete
    with cluster(tmp_path / "cluster", **bucket.environment) as workers:
        where = nt.Cluster(scheduler=workers.address)
        assert nt.build(recipe, tmp_path / "there", workers=where).complete
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    use(monkeypatch, {})  # workers that start now have none
    with cluster(tmp_path / "poor") as workers:
        use(monkeypatch, bucket.environment)
        with pytest.raises(InputError, match=f"object stores: {bucket.scheme}://bucket: there are no credentials"):
            nt.build(recipe, tmp_path / "none", workers=nt.Cluster(scheduler=workers.address))
    assert not (tmp_path / "none").exists()


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("osmium") is None, reason="maps are read with osmium")
def test_an_extract_and_images_of_patches_may_lie_in_a_bucket(bucket, environment, tmp_path):
    image = Flown(id="m_new", corner=(500_000.4, 4_980_000.6), shape=(128, 192), day="2022-07-01", seed=1)
    forest = rectangle(499_500, 4_979_500, 500_800, 4_980_300)
    image.write(tmp_path)
    plant(tmp_path / "map.osm.pbf", image.epsg, ("area", forest, {"landuse": "forest"}))
    catalogue(tmp_path, [image])
    for name in (f"{image.id}.tif", "map.osm.pbf", "items.json"):
        obstore.put(bucket.client, f"aerial/{name}", (tmp_path / name).read_bytes())
    here = recipe(tmp_path, osm={"path": "map.osm.pbf"})
    there = recipe(
        tmp_path,
        name="there.yaml",
        imagery={"url": bucket.address("aerial/items.json")},
        osm={"path": bucket.address("aerial/map.osm.pbf")},
    )
    assert nt.build(here, tmp_path / "here", workers=0).complete
    assert nt.build(there, tmp_path / "there", workers=0).complete
    ours, theirs = samples(tmp_path / "there"), samples(tmp_path / "here")
    assert [picture for picture, _ in ours.values()] == [picture for picture, _ in theirs.values()]
    assert [told["annotations"] for _, told in ours.values()] == [told["annotations"] for _, told in theirs.values()]
    assert nt.verify(tmp_path / "there", deep=True, rebuild=2).problems == ()
    plant(tmp_path / "other.osm.pbf", image.epsg, ("area", forest, {"landuse": "meadow"}))
    obstore.put(bucket.client, "aerial/map.osm.pbf", (tmp_path / "other.osm.pbf").read_bytes())
    (problem,) = nt.verify(tmp_path / "there", deep=True, rebuild=2).problems
    assert (
        f"{bucket.scheme}://bucket/aerial/map.osm.pbf is not the file that was there when the plan was made" in problem
    )
