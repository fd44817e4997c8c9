"""Builds from a planet behind HTTP: the same tree as from disk, through every fault, with every request counted."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support import warm
from support.callbacks import OnBatch
from support.remote import served
from support.trees import SMALL
from support.worlds import written

import nutonic as nt
from nutonic.io import raster as rasters
from nutonic.io.access import Access
from nutonic.io.objects import Store
from nutonic.io.session import limited
from nutonic.planning.cost import READERS
from nutonic.planning.plan_file import read_plan
from nutonic.planning.prepare import prepare
from nutonic.planning.spec import resolve
from nutonic.run.read import read
from nutonic.run.run import build
from nutonic.testing import ENDLESS, LIES, Fault, FileServer, remote_catalogue

_PORT = re.compile(rb"127\.0\.0\.1:\d+")


@pytest.fixture(autouse=True)
def _quick(monkeypatch, session):
    """Short pauses, in workers too."""
    monkeypatch.setenv("NUTONIC_HTTP_TIMEOUT", "1")


def tree(folder: Path) -> dict[str, bytes]:
    """Bytes of a tree's files, `_nutonic` aside, without the server's port."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        name: _PORT.sub(b"HOST", path.read_bytes())
        for path in files
        if not (name := path.relative_to(folder).as_posix()).startswith("_nutonic/")
    }


@pytest.fixture(scope="module")
def folder(planet, tmp_path_factory):
    """A folder of its own: catalogues are written beside the files."""
    folder = tmp_path_factory.mktemp("served")
    written(planet, folder, **SMALL)
    return folder


@pytest.fixture(scope="module")
def clean(folder, tmp_path_factory):
    """The tree of an untroubled build over HTTP."""
    out = tmp_path_factory.mktemp("clean") / "tree"
    with served(folder) as (_, recipe):
        assert build(recipe, out, workers=0).complete
    return tree(out)


def test_the_tree_is_that_of_the_files_themselves(folder, clean, tmp_path):
    assert build(nt.load_recipe(folder / "recipe.yaml"), tmp_path / "tree", workers=0).complete
    local = tree(tmp_path / "tree")
    assert local.keys() == clean.keys()
    for name, content in local.items():
        if name.startswith("metadata/"):
            found, right = json.loads(clean[name]), json.loads(content)
            hrefs, paths = found["imagery"].pop("assets"), right["imagery"].pop("assets")
            assert hrefs == {band: f"http://HOST/{path}" for band, path in paths.items()}
            assert found == right
        else:
            assert clean[name] == content, name


@pytest.mark.long
def test_each_header_and_block_is_asked_for_once_and_nothing_else(folder, tmp_path):
    with served(folder) as (server, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
        requests = server.requests()
    asked = Counter((request.path, request.span) for request in requests)
    assert set(asked.values()) == {1}
    assert {request.method for request in requests} == {"GET"}
    assert {request.status for request in requests} == {206}
    assert all(re.fullmatch(r"/[\w-]+/(red|green|blue)\.tif", request.path) for request in requests)
    heads = [request for request in requests if request.span and request.span[0] == 0]
    assert len(heads) == len({request.path for request in requests})
    assert (summary.requests, summary.bytes_read) == (len(requests), sum(request.sent for request in requests))
    assert summary.faults == {}


def threads_that_read(recipe: nt.Recipe, out: Path) -> int:
    """How many threads begin to read places that are neighbours."""
    spec = resolve(recipe)
    with limited(READERS):
        _, plan = prepare(spec, out, workers=0)
        places = next(batch.places for batch in plan.batches() if len(batch.places) > 1)
        before = set(threading.enumerate())
        read(places, places[0].imagery[0], spec.sources, spec.grid)
        return len(set(threading.enumerate()) - before)


def test_files_that_nobody_waits_for_are_read_by_who_asks_and_others_by_many(folder, tmp_path):
    assert threads_that_read(nt.load_recipe(folder / "recipe.yaml"), tmp_path / "local") == 0
    with served(folder) as (_, recipe):
        assert 1 < threads_that_read(recipe, tmp_path / "remote") <= READERS


@pytest.mark.sampled(one_in=3, among="two workers")
@pytest.mark.cluster
def test_a_worker_process_asks_for_a_header_once_and_a_batch_for_each_block(folder, clean, tmp_path):
    with served(folder) as (server, recipe):
        summary = build(recipe, tmp_path / "tree", workers=2)
        requests = server.requests()
        batches = read_plan(Store(tmp_path / "tree")).header["batches"]
    assert tree(tmp_path / "tree") == clean
    assert summary.requests == len(requests)
    asked = Counter((request.path, request.span) for request in requests)
    assert max(count for (_, span), count in asked.items() if span[0] == 0) <= 2
    assert max(asked.values()) <= batches


@pytest.mark.sampled(one_in=2, among="a tenth of all answers")
@pytest.mark.parametrize(
    ("seed", "workers"),
    [
        (1, 0),
        pytest.param(2, 0, marks=pytest.mark.exhaustive),
        pytest.param(3, 2, marks=[pytest.mark.cluster, pytest.mark.exhaustive]),
    ],
)
def test_with_a_tenth_of_all_requests_failing_the_tree_is_the_same_and_every_fault_is_counted(
    folder, clean, tmp_path, seed, workers
):
    with served(folder, share=0.1, seed=seed) as (server, recipe):
        summary = build(recipe, tmp_path / "tree", workers=workers)
        met, requests = server.fault_counts(), server.requests()
    assert summary.complete
    assert summary.failures == ()
    assert sum(summary.faults.values()) == sum(met.values()) > 0
    assert summary.requests == len(requests)
    assert tree(tmp_path / "tree") == clean


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("engine", ["stackstac", "odc-stac"])
def test_both_engines_come_through_faults(folder, clean, tmp_path, engine):
    with served(folder, share=0.2, seed=5) as (server, recipe):
        imagery = recipe.imagery.model_copy(update={"engine": engine})
        summary = build(recipe.model_copy(update={"imagery": imagery}), tmp_path / "tree", workers=0)
        assert sum(summary.faults.values()) == sum(server.fault_counts().values()) > 0
    assert tree(tmp_path / "tree") == clean


TRANSIENT = {
    "408": "408", "429": "429", "500": "500", "503": "503", "drop": "dropped", "stall": "timed out",
    "truncate": "cut short", "short": "cut short", "html": "range ignored",
}  # fmt: skip


@pytest.mark.sampled(one_in=6)
@pytest.mark.parametrize("kind", TRANSIENT)
def test_every_kind_of_fault_is_met_once_by_every_request_and_told(folder, clean, tmp_path, kind):
    # One scene's files only, or stalls would take minutes.
    fault = Fault(kind, path="/west/*.tif", after_s=1.5 if kind == "stall" else 0.0)
    with served(folder, faults=[fault]) as (server, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
        assert sum(server.fault_counts().values()) > 5
        assert summary.faults == {TRANSIENT[kind]: sum(server.fault_counts().values())}
    assert tree(tmp_path / "tree") == clean


# Lies


@pytest.fixture(scope="module")
def few(planet, tmp_path_factory):
    """Three places of one scene, in a folder of their own."""
    few = tmp_path_factory.mktemp("few")
    written(planet, few, **SMALL)
    lines = (few / "pois.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (few / "pois.csv").write_text("".join(lines[:4]), encoding="utf-8")
    return few


@pytest.fixture(scope="module")
def clean_few(few, tmp_path_factory):
    out = tmp_path_factory.mktemp("clean-few") / "tree"
    with served(few) as (server, recipe):
        assert build(recipe, out, workers=0).complete
        assert {request.path.split("/")[1] for request in server.requests()} == {"west"}
    return tree(out)


def some(kinds, *by_default):
    """All kinds, most of them in the exhaustive tier only: tests/io/test_lies.py has each of them for single reads."""
    return [kind if kind in by_default else pytest.param(kind, marks=pytest.mark.exhaustive) for kind in kinds]


#: Lies that do no harm: the bytes are right, and a size that is always the same wrong one hides none of them.
HARMLESS = {"gzip", "forged", "resized"}


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("kind", some(LIES, "elsewhere", "untold", "whole", "http10", "forged"))
def test_a_server_that_tells_a_lie_once_about_everything_changes_nothing(few, clean_few, tmp_path, kind):
    with served(few, faults=[Fault(kind)]) as (server, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
        met, told = server.fault_counts()[kind], sum(summary.faults.values())
    assert summary.complete
    assert met > 5
    assert told == (0 if kind in HARMLESS else met)
    assert tree(tmp_path / "tree") == clean_few


@pytest.mark.parametrize("kind", some([*LIES, "headers", "bomb", "etag"], "elsewhere", "etag"))
def test_a_server_that_lies_for_ever_is_told_and_nothing_of_it_is_in_the_tree(few, clean_few, tmp_path, kind):
    with served(few, faults=[Fault(kind, path="/west/green.tif", times=None)]) as (_, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
    if kind in HARMLESS:
        assert tree(tmp_path / "tree") == clean_few
        return
    assert {(failure.asset, failure.reason) for failure in summary.failures} == {("west/green", "read failed")}
    assert all("\n" not in failure.error for failure in summary.failures)
    assert not list((tmp_path / "tree").rglob("*.png"))


@pytest.mark.parametrize("kind", some(ENDLESS, "continue"))
def test_a_server_that_does_not_end_keeps_nobody_waiting(few, clean_few, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("NUTONIC_HTTP_TIMEOUT", "0.2")
    with served(few, faults=[Fault(kind, path="/west/red.tif", after_s=0.05, times=1)]) as (server, recipe):
        began = time.monotonic()
        summary = build(recipe, tmp_path / "tree", workers=0)
        took_s, met = time.monotonic() - began, server.fault_counts()[kind]
    assert summary.complete
    assert sum(summary.faults.values()) >= met > 0  # on a busy machine an honest answer may also come too late
    assert took_s < 20 + met  # whoever waits for silence waits for ever
    assert tree(tmp_path / "tree") == clean_few


@pytest.mark.sampled(one_in=2, among="a tenth of all answers")
@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.exhaustive), pytest.param(3, marks=pytest.mark.exhaustive)]
)
def test_with_a_tenth_of_all_answers_lies_the_tree_is_the_same(folder, clean, tmp_path, seed):
    with served(folder, share=0.1, seed=seed, kinds=LIES) as (server, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
        met = server.fault_counts()
    assert summary.complete
    assert len(met) > 2
    assert 0 < sum(summary.faults.values()) <= sum(met.values())
    assert tree(tmp_path / "tree") == clean


def test_servers_behind_one_name_that_know_a_file_differently_are_no_fault(few, clean_few, tmp_path):
    with served(few, faults=[Fault("etag", times=None)], validators=("ETag", "Last-Modified")) as (_, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
    assert summary.complete
    assert summary.faults == {}
    assert tree(tmp_path / "tree") == clean_few


@pytest.mark.sampled(one_in=2, among="pictures that are not black")
def test_bytes_that_cannot_be_decoded_are_fetched_again(folder, clean, tmp_path):
    with served(folder, faults=[Fault("zeros", path="/west/*.tif")]) as (server, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
        told, given = sum(summary.faults.values()), server.fault_counts()["zeros"]
        assert 5 < told <= given < told + READERS  # not all that was served need be looked at
        assert set(summary.faults) == {"damaged", "not a raster"}
    assert tree(tmp_path / "tree") == clean


def test_retry_after_is_obeyed(folder, session):
    with FileServer(folder, faults=[Fault("429", after_s=1.0)]) as server:
        access = Access(hosts=(server.address,))
        rasters.header(f"{server.url}/west/red.tif", access)
        assert session.take_counts()["fault: 429"] == 1
        assert [request.status for request in server.requests()] == [429, 206]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["503", "drop", "html", "zeros", "403"])
def test_what_may_pass_never_changes_the_scene(folder, clean, tmp_path, kind):
    with served(folder, faults=[Fault(kind, path="/west/green.tif", times=None)]) as (server, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
        assert not summary.complete
        reason = "refused" if kind == "403" else "read failed"
        assert {(failure.asset, failure.reason) for failure in summary.failures} == {("west/green", reason)}
        assert all("green" in failure.error and "?" not in failure.error for failure in summary.failures)
        done = {json.loads(row)["poi_id"] for row in (tmp_path / "tree/data/train.jsonl").read_text().splitlines()}
        assert not done & {failure.poi_id for failure in summary.failures}
        twice = build(recipe, tmp_path / "tree", workers=0).failures
        assert [failure.poi_id for failure in twice] == [failure.poi_id for failure in summary.failures]
        assert {failure.attempts for failure in summary.failures} == {1}
        assert {failure.attempts for failure in twice} == {2}
        server.script([])
        server.reset()
        again = build(recipe, tmp_path / "tree", workers=0)
        assert again.complete
        assert again.finished == len(summary.failures)
        assert not any("east" in request.path for request in server.requests())  # only what was left
    assert tree(tmp_path / "tree") == clean


@pytest.mark.sampled(one_in=3, among="assets that are gone")
@pytest.mark.parametrize("kind", ["404", "410"])
def test_a_stale_asset_takes_the_next_scene_and_says_so(folder, tmp_path, kind):
    with served(folder, faults=[Fault(kind, path="/west/green.tif", times=None)]) as (_, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
    assert summary.complete
    assert (summary.failures, summary.faults) == ((), {})  # nothing to be tried again
    sidecars = [json.loads(path.read_text()) for path in (tmp_path / "tree/metadata").rglob("*.json")]
    replaced = [sidecar["imagery"] for sidecar in sidecars if sidecar["imagery"]["substituted"]]
    assert {imagery["item_id"] for imagery in replaced} == {"full"}
    for imagery in replaced:
        assert re.fullmatch(rf"west: green: http://127\.0\.0\.1:\d+/west/green\.tif is not there \({kind}\)",
                            imagery["substituted"])  # fmt: skip
    assert not any(sidecar["imagery"]["item_id"] == "west" for sidecar in sidecars)


@pytest.mark.long
def test_with_no_scene_left_a_place_is_rejected_with_asset_and_reason(folder, tmp_path):
    with served(folder, faults=[Fault("404", path="/*/blue.tif", times=None)]) as (_, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
    assert summary.complete
    assert summary.tiles == 0
    assert summary.rejects["asset gone"] > 8
    commits = [json.loads(path.read_text()) for path in (tmp_path / "tree/_nutonic/commits").glob("*.json")]
    details = [reject["detail"] for commit in commits for place in commit["places"] for reject in place["rejects"]]
    assert all("blue: http://" in detail and "is not there (404)" in detail for detail in details)


@pytest.mark.sampled(one_in=2, among="pictures that are not black")
def test_no_picture_is_black_whatever_fails(folder, tmp_path):
    with served(folder, share=0.3, seed=11) as (_, recipe):
        build(recipe, tmp_path / "tree", workers=0)
    from PIL import Image

    chips = [np.asarray(Image.open(path)) for path in (tmp_path / "tree/images").rglob("*.png")]
    assert len(chips) > 6
    assert all(chip.max() > 200 and (chip > 0).mean() > 0.3 for chip in chips)


def test_a_file_that_changes_while_it_is_read_is_no_mixture(folder, session, tmp_path):
    shutil.copytree(folder / "west", tmp_path / "west")
    with FileServer(tmp_path) as server:
        access, url = Access(hosts=(server.address,)), f"{server.url}/west/red.tif"
        before = rasters.read(url, np.s_[0:200, 0:200], access=access)
        shutil.copy(folder / "full/red.tif", tmp_path / "west/red.tif")
        with pytest.raises(nt.errors.ReadFailed, match="changed while it was read"):
            rasters.read(url, np.s_[600:800, 400:600], access=access)
        session.clear()
        after = rasters.read(url, np.s_[0:200, 0:200], access=access)
    assert before.any()
    assert not np.array_equal(before, after)


# Signed addresses

CANARY = "c4n4ry-7f3a"


@pytest.fixture
def signed(folder, tmp_path):
    """The planet in a store that wants signatures, laid out as the storage emulator does, and its environment."""
    container = tmp_path / "store/account/container"
    container.parent.mkdir(parents=True)
    container.symlink_to(folder, target_is_directory=True)
    with FileServer(tmp_path / "store", signed=True) as server:
        catalogue = remote_catalogue(folder, server.url, prefix="account/container/")
        environment = {"PC_SDK_SAS_URL": f"{server.url}/api/sas/v1/token", "PC_SDK_SUBSCRIPTION_KEY": CANARY}
        yield server, catalogue.with_name("recipe-http.yaml"), os.environ | environment | {"HF_TOKEN": CANARY}


def sign(recipe: Path) -> Path:
    path = recipe.with_name("recipe-signed.yaml")
    path.write_text(recipe.read_text().replace("imagery:\n", "imagery:\n  sign: planetary-computer\n"))
    return path


@pytest.mark.long
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=[pytest.mark.cluster, pytest.mark.exhaustive])])
def test_signatures_are_made_in_the_worker_and_end_up_nowhere(signed, clean, tmp_path, workers):
    server, recipe, env = signed
    said = warm.run(
        "nutonic", "build", sign(recipe), "--out", tmp_path / "tree", "--workers", workers, "--json", environment=env
    )
    assert said.returncode == 0, said.stderr
    keys = {key for request in server.requests() for key in request.query_keys}
    assert "sig" in keys
    written = b"".join(path.read_bytes() for path in (tmp_path / "tree").rglob("*") if path.is_file())
    for secret in (CANARY, "sig=", "se=20", "sp=rl"):
        assert secret not in said.stdout + said.stderr
        assert secret.encode() not in written
    found = {
        name: content.replace(b"HOST/account/container", b"HOST") for name, content in tree(tmp_path / "tree").items()
    }
    assert found == clean


@pytest.mark.sampled(one_in=3, among="signatures")
def test_a_signature_that_is_no_longer_taken_is_renewed_once(signed, clean, tmp_path, monkeypatch, caplog):
    from planetary_computer import sas
    from planetary_computer.settings import Settings

    server, recipe, _ = signed
    monkeypatch.setenv("PC_SDK_SAS_URL", f"{server.url}/api/sas/v1/token")
    Settings.get.cache_clear()
    sas.TOKEN_CACHE.clear()
    try:
        whole = nt.load_recipe(sign(recipe))
        revoked: list[int] = []

        def revoke(*_):
            if not revoked:
                revoked.append(1)
                server.revoke()

        with caplog.at_level("DEBUG", "nutonic"):
            summary = build(whole, tmp_path / "tree", workers=0, callbacks=[OnBatch(revoke)])
        assert "403 from 127.0.0.1, attempt 1 of " in caplog.text
        assert "sig=" not in caplog.text
        denied = [request for request in server.requests() if request.status == 403]
        assert summary.complete
        assert summary.faults == {"403": len(denied)}
        assert denied
        pickled = pickle.dumps((whole, list(read_plan(Store(tmp_path / "tree")).batches())))
        assert b"sig=" not in pickled
    finally:
        Settings.get.cache_clear()
        sas.TOKEN_CACHE.clear()


@pytest.mark.sampled(one_in=3, among="signatures")
def test_without_signing_the_advice_is_to_sign(signed, tmp_path):
    _, recipe, env = signed
    said = warm.run("nutonic", "build", recipe, "--out", tmp_path / "tree", "--workers", 0, environment=env)
    assert said.returncode == 1
    assert "the server denies access (403); if its addresses need a signature, set sign" in said.stdout
    assert "Traceback" not in said.stderr
