"""Builds on a Dask cluster of real processes: workers come and go, some places fail, and the tree is the same."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
import rasterio
from support.clusters import cluster, deaths, dying_workers, started, until
from support.remote import served
from support.trees import commits, same_as, small_planet, tree

from nutonic import load_recipe
from nutonic.dataset.verify import verify
from nutonic.run.run import build


def summary_of(said: str) -> dict:
    """The JSON object among the lines that a command printed."""
    return json.loads(said[said.index("{") : said.rindex("}") + 1])


@pytest.mark.long
@pytest.mark.cluster
def test_two_builds_on_one_cluster_at_once(clean, tmp_path):
    outs = [tmp_path / "one", tmp_path / "two"]
    with cluster(tmp_path / "cluster") as dask:
        processes = [
            started(tmp_path, "build", clean.recipe, "--out", out, "--scheduler", dask.address, "--json")
            for out in outs
        ]
        for process, out in zip(processes, outs, strict=True):
            assert process.ended() == 0, process.told()
            assert summary_of(process.told())["finished"] == 9
            same_as(out, clean)
        # They are not ours to stop.
        assert all(worker.poll() is None for worker in (dask.scheduler, *dask.workers))


@pytest.mark.long
@pytest.mark.cluster
def test_workers_die_in_the_middle_of_batches_and_others_join(clean, tmp_path):
    first, second = (files for files in clean.batches.values() if len(files) > 4)
    part, image = next(n for n in first if "/parts/" in n), max(n for n in second if n.endswith(".png"))
    where = ({"path": part, "moment": "after", "times": 1}, {"path": image, "moment": "before", "times": 1})
    out = tmp_path / "tree"
    with cluster(tmp_path / "cluster", workers=1, **dying_workers(tmp_path, *where)) as dask:
        process = started(tmp_path, "build", clean.recipe, "--out", out, "--scheduler", dask.address)
        until(lambda: deaths(tmp_path), "a death")
        # Nobody is left to do the work, and the build waits.
        dask.start_worker()
        dask.start_worker()
        assert process.ended() == 0, process.told()
        assert sum(worker.poll() is not None for worker in dask.workers) == 2
    # Both had begun what they had not committed.
    found = deaths(tmp_path)
    assert set(found) == {"deaths-0-0", "deaths-1-0"}
    assert set(found["deaths-0-0"]) == first
    assert set(found["deaths-1-0"]) < second
    assert found["deaths-1-0"]
    same_as(out, clean)


@pytest.fixture
def far(tmp_path, session):
    """A small planet of one's own behind a server, and its tree over HTTP."""
    small_planet(tmp_path / "planet")
    with served(tmp_path / "planet", validators=("Last-Modified",)) as (server, recipe):
        assert build(recipe, tmp_path / "clean", workers=0).complete
        server.reset()
        yield server, recipe, tmp_path / "planet", tree(tmp_path / "clean")


def damage(path: Path, column: int, row: int) -> bytes:
    """Spoil one block of a raster so that nobody can decode it; what the file held before."""
    with rasterio.open(path) as raster:
        at = int(raster.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=1))
    content = path.read_bytes()
    rewritten(path, content[:at] + bytes(9000) + content[at + 9000 :])
    return content


def rewritten(path: Path, content: bytes) -> None:
    """Other bytes of the same time: so a file looks whose bytes a disk spoils, and has again."""
    at = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(at, at))


@pytest.mark.long
def test_where_one_place_fails_its_neighbours_commit_and_the_next_run_fetches_it_alone(far, tmp_path):
    server, recipe, folder, clean = far
    # Of the three places in the west one lies in a block of its own.
    content, out = damage(folder / "west" / "blue.tif", 2, 1), tmp_path / "tree"
    summary = build(recipe, out, workers=0)
    assert [failure.poi_id for failure in summary.failures] == ["poi_000004"]
    assert (summary.still_open, summary.finished) == (1, 8)
    done = {path.stem for path in (out / "_nutonic" / "commits").iterdir()}
    assert {name for name in done if "-" in name} == {"000003-000", "000003-001"}
    rewritten(folder / "west" / "blue.tif", content)
    server.reset()
    again = build(recipe, out, workers=0)
    assert (again.complete, again.done_before, again.finished) == (True, 8, 1)
    # A header and one block of each of three files.
    asked = Counter((request.path, request.span[0] > 0) for request in server.requests())
    assert asked == {(f"/west/{band}.tif", block): 1 for band in ("red", "green", "blue") for block in (False, True)}
    assert tree(out) == clean
    assert verify(out, deep=True).problems == ()


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_a_place_that_kills_its_worker_every_time_is_told_and_its_neighbours_are_all_there(clean, tmp_path):
    files = max(clean.batches.values(), key=len)
    image = sorted(name for name in files if name.endswith(".png"))[1]
    killer = Path(image).name[: len("poi_000000")]
    environment = dying_workers(tmp_path, {"path": killer, "moment": "before", "times": None})
    environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"
    out = tmp_path / "tree"
    with cluster(tmp_path / "cluster", nanny=True, **environment) as dask:
        process = started(tmp_path, "build", clean.recipe, "--out", out, "--scheduler", dask.address, "--json")
        assert process.ended() == 1, process.told()
        assert len(deaths(tmp_path)) >= 4  # two while it had neighbours, two alone
        (failure,) = summary_of(process.told())["failures"]
        assert failure["poi_id"] == killer
        assert "worker" in failure["error"]
    done = {place["poi_id"] for commit in commits(out) for place in commit["places"]}
    all_places = {place["poi_id"] for commit in commits(clean.out) for place in commit["places"]}
    assert done == all_places - {killer}
    assert not verify(out).whole
    # Where it does not kill anybody, it is done, and it alone.
    again = build(load_recipe(clean.recipe), out, workers=0)
    assert (again.done_before, again.finished, again.complete) == (len(done), 1, True)
    same_as(out, clean)
