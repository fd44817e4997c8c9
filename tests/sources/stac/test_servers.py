"""The same plan and the same tree from a file, from stac-fastapi-pgstac and from rustac; and items pinned for good."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.transport import RecordingTransport
from support.worlds import written

import nutonic as nt
from nutonic.io.session import Session, using
from nutonic.recipe.recipe import Recipe
from nutonic.run.run import build
from nutonic.testing import COLLECTION, FileServer, SyntheticPlanet, remote_catalogue

pytest_plugins = ["support.stac_servers"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A planet with scenes in two zones, behind a file server."""
    folder = tmp_path_factory.mktemp("planet")
    written(SyntheticPlanet(neighbour=True), folder)
    with FileServer(folder) as server:
        remote_catalogue(folder, server.url)
        yield folder, server


@pytest.fixture(scope="module")
def local(files) -> Recipe:
    return nt.load_recipe(files[0] / "recipe-http.yaml")


def at(recipe: Recipe, url: str) -> Recipe:
    return recipe.model_copy(update={"imagery": recipe.imagery.model_copy(update={"url": url})})


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.sampled(one_in=2)) for name in ("pgstac", "rustac")]
)
def remote(request, files, local) -> Recipe:
    items = json.loads((files[0] / "items-http.json").read_text())["features"]
    if request.param == "pgstac":
        server = request.getfixturevalue("pgstac")
        server.load(COLLECTION, items)
        return at(local, server.url)
    return at(local, request.getfixturevalue("rustac")(items))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not (name := path.relative_to(folder).as_posix()).startswith("_nutonic/")
    }


@pytest.mark.long
def test_the_plan_is_the_same_from_every_server(local, remote):
    here, there = nt.plan(local), nt.plan(remote)
    assert list(here.batches()) == list(there.batches())
    assert here.scenes() == there.scenes()
    assert [(r.poi_id, r.reason) for r in here.rejects] == [(r.poi_id, r.reason) for r in there.rejects]
    # A server leaves items out itself; of a local catalogue it is known what it has elsewhere.
    assert [r.detail.partition(": ")[0] for r in here.rejects] == [r.detail.partition(": ")[0] for r in there.rejects]
    assert here.header() == there.header()
    assert len({scene.assets[0].crs for scene in here.scenes() if scene.source == "stac"}) == 2


@pytest.mark.long
def test_the_tree_is_the_same_and_its_items_are_a_catalogue_of_their_own(local, remote, tmp_path):
    for name, recipe in (("here", local), ("there", remote)):
        assert build(recipe, tmp_path / name, workers=0).complete
    assert tree(tmp_path / "here") == tree(tmp_path / "there")
    assert not list((tmp_path / "here/_nutonic").glob("items-*.parquet"))  # the catalogue is a file already
    (pinned,) = (tmp_path / "there/_nutonic").glob("items-*.parquet")
    assert nt.verify(tmp_path / "there", deep=True).whole
    again = at(local, str(pinned))
    assert list(nt.plan(again).batches()) == list(nt.plan(local).batches())
    assert build(again, tmp_path / "again", workers=0).complete
    assert tree(tmp_path / "again") == tree(tmp_path / "here")


@pytest.fixture
def searches():
    """The messages that ask the API for items, from now on."""
    sent = RecordingTransport()
    with Session(transport=sent) as session, using(session):
        yield lambda: [message for message in sent.messages if urlsplit(message.url).path.endswith("/search")]


@pytest.mark.long
def test_a_plan_that_is_there_is_not_searched_for_again(remote, tmp_path, searches):
    build(remote, tmp_path / "tree", workers=0, limit=3)
    before = len(searches())
    assert build(remote, tmp_path / "tree", workers=0).complete
    assert len(searches()) == before > 0


def test_one_search_serves_a_neighbourhood(remote, searches):
    plan = nt.plan(remote)
    asked = [message.url if message.body is None else message.body for message in searches()]
    cells = {(int(lon // 1), int(lat // 1)) for lon, lat in zip(plan.places.lon, plan.places.lat, strict=True)}
    # A place that has no scene is searched for too; it lies in a cell of its own or not.
    assert len(cells) <= len(asked) <= len(cells) + 1
    assert set(Counter(asked).values()) == {1}


@pytest.mark.long
def test_verify_knows_the_pinned_items(remote, tmp_path):
    build(remote, tmp_path / "tree", workers=0, limit=2)
    (pinned,) = (tmp_path / "tree/_nutonic").glob("items-*.parquet")
    content = pinned.read_bytes()
    pinned.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    assert [problem for problem in nt.verify(tmp_path / "tree", deep=True).problems if pinned.name in problem]
    pinned.unlink()
    assert [problem for problem in nt.verify(tmp_path / "tree").problems if pinned.name in problem]
