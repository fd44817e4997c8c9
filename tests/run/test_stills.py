"""Builds with stills: one a place, asked for once, told where there is none, the same bytes, and no token anywhere."""

from __future__ import annotations

import csv
import io
import json
import logging
import pickle
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from support.cli import nutonic
from support.clusters import cluster, started
from support.crashing import Point
from support.seals import reseal
from support.static_maps import CANARY, StaticMaps, message, picture, static_maps, with_text
from support.trees import commits, small_planet, tree

import nutonic as nt
from nutonic.io.objects import Store
from nutonic.planning.plan_file import read_plan
from nutonic.planning.spec import resolve
from nutonic.recipe.yaml import parse_recipe_text
from nutonic.run import batch as batches
from nutonic.run.run import _Building, build

#: Of the small planet's places with chips; 6 has too few labels, 9 no scene.
WITH_CHIPS = (0, 1, 2, 3, 4, 5, 7, 8)


@pytest.fixture(autouse=True)
def _token(monkeypatch, session):
    monkeypatch.setenv("MAPBOX_ACCESS_TOKEN", CANARY)


@pytest.fixture(scope="module")
def planet_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    small_planet(folder)
    return folder


@pytest.fixture
def maps():
    with static_maps() as running:
        yield running


def recipe_of(folder: Path, maps: StaticMaps | None, to: Path, **settings) -> Path:
    """A recipe beside the planet's own, with stills of 64 × 64."""
    values = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    for part in ("pois", "imagery", "labels"):
        for key in ("path", "url"):
            if isinstance(values[part].get(key), str):
                values[part][key] = str(folder / values[part][key])
    if maps is not None:
        values["context"] = {
            "mapbox": {"enabled": True, "size": 32, "url": maps.template, **settings.pop("mapbox", {})}
        }
    path = to / "recipe-stills.yaml"
    path.write_text(yaml.safe_dump({**values, **settings}, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def recipe(planet_folder, maps, tmp_path):
    return recipe_of(planet_folder, maps, tmp_path)


def path_of(folder: Path, ordinal: int, style: str = "mapbox/satellite-v9") -> str:
    """Where the API has the still of a place, from the places file alone."""
    with (folder / "pois.csv").open(encoding="utf-8") as file:
        row = list(csv.DictReader(file))[ordinal]
    lon, lat = (f"{float(row[name]):.6f}".rstrip("0").rstrip(".") for name in ("lon", "lat"))
    return f"/styles/v1/{style}/static/{lon},{lat},12,0/32x32@2x"


def stills_in(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in tree(out).items() if name.startswith("mapbox_stills/")}


def verified(out: Path, **how) -> tuple[str, ...]:
    return nt.verify(out, deep=True, **how).problems


@pytest.fixture(scope="module")
def finished(planet_folder, tmp_path_factory):
    """A finished tree, its recipe, and the server that it was built from."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch, static_maps() as maps:
        patch.setenv("MAPBOX_ACCESS_TOKEN", CANARY)
        recipe = recipe_of(planet_folder, maps, folder)
        assert build(nt.load_recipe(recipe), folder / "tree", workers=0).complete
        maps.first = list(maps.asked)
        yield maps, recipe, folder / "tree"


def test_a_still_of_each_place_with_chips_as_the_api_has_it(planet_folder, finished, monkeypatch):
    maps, recipe, out = finished
    paths = {n: path_of(planet_folder, n) for n in WITH_CHIPS}
    first = maps.first
    assert [each.path for each in first[:2]] == ["/tokens/v2", "/styles/v1/mapbox/satellite-v9"]
    assert sorted(each.path for each in first[2:]) == sorted(paths.values())
    assert all(each.authorized for each in first)
    assert stills_in(out) == {f"mapbox_stills/s00000/poi_{n:06d}.jpg": picture(paths[n], (64, 64)) for n in WITH_CHIPS}
    assert verified(out) == ()
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "8 stills of `mapbox/satellite-v9` around the places, zoom 12, 64 × 64 pixels, from Mapbox" in card
    assert card.count("© Mapbox © OpenStreetMap © Maxar ([Improve this map](https://apps.mapbox.com/feedback/))") == 2
    assert "`mapbox_stills/`" in card
    # Finished, nobody is asked again; nor is a token needed.
    maps.asked.clear()
    monkeypatch.delenv("MAPBOX_ACCESS_TOKEN")
    assert build(nt.load_recipe(recipe), out, workers=0).complete
    assert maps.asked == []


def test_chips_are_those_of_a_build_without_stills_which_asks_nobody(
    planet_folder, maps, finished, tmp_path, monkeypatch
):
    monkeypatch.delenv("MAPBOX_ACCESS_TOKEN")
    plain = nt.load_recipe(recipe_of(planet_folder, None, tmp_path))
    off = nt.load_recipe(recipe_of(planet_folder, maps, tmp_path, mapbox={"enabled": False}))
    assert off.digest() == plain.digest() != nt.load_recipe(finished[1]).digest()
    assert build(off, tmp_path / "off", workers=0).complete
    assert maps.asked == []
    assert not (tmp_path / "off" / "mapbox_stills").exists()
    assert "apbox" not in (tmp_path / "off" / "README.md").read_text(encoding="utf-8")
    with_stills = tree(finished[2])
    chips = {name: data for name, data in tree(tmp_path / "off").items() if name.startswith("images/")}
    assert len(chips) == len(WITH_CHIPS)
    assert {name: with_stills[name] for name in chips} == chips


def test_plan_counts_a_request_a_place_and_its_bytes_only_where_stills_are_wanted(
    planet_folder, maps, recipe, tmp_path, monkeypatch
):
    plain = nt.plan(nt.load_recipe(recipe_of(planet_folder, None, tmp_path).rename(tmp_path / "plain.yaml")))
    planned = nt.plan(nt.load_recipe(recipe_of(planet_folder, maps, tmp_path)))
    assert len(planned.places) == 9
    assert planned.cost.requests - plain.cost.requests == 9
    assert planned.cost.bytes_read - plain.cost.bytes_read == 9 * 64 * 64 // 4
    assert planned.cost.bytes_written - plain.cost.bytes_written == 9 * 64 * 64 // 4
    assert planned.cost.peak_bytes > plain.cost.peak_bytes
    assert maps.asked == []


def test_the_suffix_is_that_of_what_is_delivered_and_a_style_of_vectors_is_png(planet_folder, maps, tmp_path):
    style = "mapbox/satellite-streets-v12"
    recipe = recipe_of(planet_folder, maps, tmp_path, mapbox={"style": style})
    assert build(nt.load_recipe(recipe), tmp_path / "tree", workers=0, limit=2).complete
    found = stills_in(tmp_path / "tree")
    assert set(found) == {"mapbox_stills/s00000/poi_000000.png", "mapbox_stills/s00000/poi_000001.png"}
    assert found["mapbox_stills/s00000/poi_000001.png"] == picture(path_of(planet_folder, 1, style), (64, 64), "PNG")
    assert verified(tmp_path / "tree") == ()


@pytest.mark.long
def test_stills_are_sharded_as_images_are_and_variants_have_their_own(planet_folder, maps, tmp_path):
    recipe = recipe_of(
        planet_folder,
        maps,
        tmp_path,
        output={"files_per_dir": 5},
        rows={"augment": ["flip"]},
        splits={"train": 1, "validation": 0, "test": 0},
    )
    values = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    values["pois"]["jitter"] = {"variants": 1, "max_offset_m": 40, "seed": 1}
    recipe.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    out = tmp_path / "tree"
    assert build(nt.load_recipe(recipe), out, workers=0).complete
    stills = {Path(name).stem: Path(name).parts[1] for name in stills_in(out)}
    chips = {
        Path(name).stem.rpartition("_t0000")[0]: Path(name).parts[1] for name in tree(out) if name.startswith("images/")
    }
    assert stills == chips
    assert {name for name in stills if name.endswith("_g001")}
    # Five files a folder are two places of two chips each; place 6 is rejected and moves nobody.
    assert (stills["poi_000000"], stills["poi_000000_g001"], stills["poi_000001"]) == ("s00000", "s00000", "s00001")
    assert stills["poi_000007"] == "s00007"
    assert max(len(list(folder.iterdir())) for folder in (out / "mapbox_stills").iterdir()) <= 2
    assert len(set(maps.stills)) == len(maps.stills) == len(stills)
    assert verified(out) == ()


def test_stills_are_asked_for_side_by_side_while_places_are_cut(planet_folder, maps, recipe, tmp_path):
    maps.latency_s = 0.1
    assert build(nt.load_recipe(recipe), tmp_path / "tree", workers=0).complete
    assert 2 <= maps.most_at_once <= 4
    maps.most_at_once = 0
    one = nt.Cluster(workers=0, max_requests=1)
    assert build(nt.load_recipe(recipe), tmp_path / "again", workers=one, limit=4).complete
    assert maps.most_at_once == 1


# What there is not


@pytest.mark.parametrize("status", [422, pytest.param(404, marks=pytest.mark.exhaustive)])
def test_a_place_of_which_there_is_no_still_is_done_without_and_told(planet_folder, maps, recipe, tmp_path, status):
    gone, out = path_of(planet_folder, 4), tmp_path / "tree"
    maps.trouble = lambda said, target: message(status, f"no: {target}") if target.startswith(gone) else None
    said = nutonic("build", recipe, "--out", out, "--workers", 0, "--json")
    assert said.code == 0
    assert json.loads(said.out)["rejects"]["no still"] == 1
    assert "mapbox_stills/s00000/poi_000004.jpg" not in stills_in(out)
    assert len(stills_in(out)) == len(WITH_CHIPS) - 1
    assert (out / "images" / "s00000" / "poi_000004_t0000.png").is_file()
    (place,) = [p for commit in commits(out) for p in commit["places"] if p["poi_id"] == "poi_000004"]
    (reject,) = place["rejects"]
    where = gone.split("/")[-2].rpartition(",12,0")[0].replace(",", ", ")
    assert reject == {
        "tile_id": None,
        "reason": "no still",
        "detail": f"Mapbox has no still of {where} (status {status})",
    }
    assert "| no still | 1 still |" in (out / "README.md").read_text(encoding="utf-8")
    assert "7 stills of" in (out / "README.md").read_text(encoding="utf-8")
    assert verified(out) == ()
    maps.asked.clear()
    assert build(nt.load_recipe(recipe), out, workers=0).complete
    assert maps.asked == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (503, "503"),
        pytest.param(401, "credentials refused", marks=pytest.mark.exhaustive),
        pytest.param(307, "307", marks=pytest.mark.exhaustive),
    ],
)
def test_a_still_that_may_come_later_leaves_its_place_open_and_the_next_build_asks_for_it_alone(
    planet_folder, maps, recipe, tmp_path, status, reason
):
    late, out = path_of(planet_folder, 4), tmp_path / "tree"
    maps.trouble = lambda said, target: message(status, target, Location=target) if target.startswith(late) else None
    said = nutonic("build", recipe, "--out", out, "--workers", 0, "--json")
    assert said.code == 1
    (failure,) = json.loads(said.out)["failures"]
    assert (failure["poi_id"], failure["asset"], failure["reason"]) == ("poi_000004", "still", reason)
    assert CANARY not in said.out + said.err
    assert not (out / "images" / "s00000" / "poi_000004_t0000.png").exists()
    maps.trouble = None
    maps.asked.clear()
    assert build(nt.load_recipe(recipe), out, workers=0).complete
    assert maps.stills == [late]
    assert verified(out) == ()
    assert build(nt.load_recipe(recipe), tmp_path / "clean", workers=0).complete
    assert tree(out) == tree(tmp_path / "clean")


def test_a_token_that_is_refused_half_way_is_judged_before_more_pixels_are_read(finished, tmp_path):
    maps, recipe, out = finished
    right, reads = maps.token, []

    def revoked(said, target):
        maps.token = "pk.another"
        return message(401, "Not Authorized - Invalid Token")

    maps.trouble = revoked
    with pytest.MonkeyPatch.context() as patch:
        read = batches.read_together
        patch.setattr(batches, "read_together", lambda *args: reads.append(1) or read(*args))
        summary = build(nt.load_recipe(recipe), tmp_path / "tree", workers=0)
    maps.trouble, maps.token = None, right
    assert {failure.reason for failure in summary.failures} == {"credentials refused"}
    assert summary.still_open == len(summary.failures) >= len(WITH_CHIPS)
    assert len(reads) == 1
    assert build(nt.load_recipe(recipe), tmp_path / "tree", workers=0).complete
    assert tree(tmp_path / "tree") == tree(out)


# Refusals


def refused(recipe: Path, out: Path, *words: str) -> None:
    said = nutonic("build", recipe, "--out", out, "--workers", 0)
    assert said.code == 2
    assert len(said.err.strip().splitlines()) <= 2  # what is begun, and why not
    assert all(word in said.err for word in words)
    assert not out.exists()
    assert CANARY not in said.err


def test_without_a_token_nothing_is_planned_asked_or_written(maps, recipe, tmp_path, monkeypatch):
    monkeypatch.delenv("MAPBOX_ACCESS_TOKEN")
    monkeypatch.setattr("nutonic.planning.plan.read_pois", None)
    refused(recipe, tmp_path / "tree", "stills of Mapbox need a token: set MAPBOX_ACCESS_TOKEN in the environment")
    said = nutonic("plan", recipe)
    assert said.code == 2
    assert "set MAPBOX_ACCESS_TOKEN" in said.err
    assert maps.asked == []


def test_a_token_that_is_not_taken_ends_the_build_before_anything_is_planned(maps, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("nutonic.planning.plan.read_pois", None)
    maps.token = "pk.another"
    refused(recipe, tmp_path / "tree", "the token in MAPBOX_ACCESS_TOKEN is not valid, says Mapbox")
    maps.tells_of_tokens = False
    refused(recipe, tmp_path / "tree", "the token in MAPBOX_ACCESS_TOKEN is not accepted, says Mapbox")
    assert maps.stills == []


def test_other_pictures_are_another_recipe_and_another_host_is_not(planet_folder, maps, tmp_path):
    def digest(**mapbox):
        return nt.load_recipe(recipe_of(planet_folder, maps, tmp_path, mapbox=mapbox)).digest()

    here = digest()
    assert digest(url=maps.template.replace("127.0.0.1", "localhost"), token_variable="OTHER_KEY") == here
    others = [digest(zoom=11), digest(size=31), digest(style="mapbox/x"), digest(url=maps.template + "&logo=false")]
    assert len({here, *others}) == 5


# Exactly once


@pytest.mark.long
@pytest.mark.parametrize("moment", ["before", "torn", "after"])
def test_killed_as_a_still_is_written_the_next_build_makes_the_same_tree(forks, finished, tmp_path, moment):
    maps, recipe, out = finished
    whole = forks.run(recipe, tmp_path / "whole")
    assert whole.code == 0, whole.told
    puts = [operation.number for operation in whole.operations if operation.path.startswith("mapbox_stills/")]
    ended = forks.run(recipe, tmp_path / "tree", Point(puts[len(puts) // 2], moment))
    assert ended.killed
    done = sum(len(commit["places"]) for commit in commits(tmp_path / "tree"))
    assert 0 < done < 9
    maps.asked.clear()
    assert build(nt.load_recipe(recipe), tmp_path / "tree", workers=0).complete
    # One of the nine has no chips, and so no still.
    assert len(WITH_CHIPS) - done <= len(maps.stills) <= len(WITH_CHIPS) + 1 - done
    assert tree(tmp_path / "tree") == tree(out)
    assert verified(tmp_path / "tree") == ()


STILL = "mapbox_stills/s00000/poi_000003.jpg"


def missing(out: Path) -> None:
    (out / STILL).unlink()


def cut_short(out: Path) -> None:
    (out / STILL).write_bytes((out / STILL).read_bytes()[:-40])


def flipped(out: Path) -> None:
    data = bytearray((out / STILL).read_bytes())
    data[len(data) // 2] ^= 1
    (out / STILL).write_bytes(data)


def another(out: Path) -> None:
    shutil.copy(out / STILL.replace("3.jpg", "4.jpg"), out / STILL)


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("harm", [missing, cut_short, flipped, another])
def test_a_damaged_still_is_found_and_with_fix_just_its_place_is_made_again(finished, tmp_path, harm):
    maps, recipe, out = finished
    copy = shutil.copytree(out, tmp_path / "tree")
    harm(copy)
    problems = verified(copy)
    assert [problem.startswith(STILL) for problem in problems] == [True] * len(problems)
    assert problems
    assert verified(copy, fix=True) != ()
    maps.asked.clear()
    assert build(nt.load_recipe(recipe), copy, workers=0).complete
    assert len(maps.stills) == 1
    assert tree(copy) == tree(out)
    assert verified(copy) == ()


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("mapbox_stills/s00000/poi_000003.png", True),
        ("mapbox_stills/s00000/poi_000006.jpg", True),
        ("mapbox_stills/s00000/poi_000003.jpg#1", True),
        ("mapbox_stills/s00001/poi_000003.jpg", False),
        ("mapbox_stills/s00000/poi_000099.jpg", False),
        ("mapbox_stills/s00000/poi_000003.jpeg", False),
        ("mapbox_stills/notes.txt", False),
    ],
)
def test_a_file_too_many_is_found_and_removed_only_if_it_can_be_ours(finished, tmp_path, name, ours):
    _, _, out = finished
    copy = shutil.copytree(out, tmp_path / "tree")
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(b"mine")
    assert [problem.partition(" ")[0] for problem in nt.verify(copy).problems] == [name]
    nt.verify(copy, fix=True)
    assert (copy / name).exists() is not ours


def resealed(out: Path, data: bytes, name: str = STILL) -> None:
    """Put another file in a still's place, with a commit that says that it is right."""
    (out / name).write_bytes(data)
    if name != STILL:
        reseal(
            out,
            lambda place: place["files"].update({name: place["files"].pop(STILL)}) if STILL in place["files"] else None,
        )
        (out / STILL).unlink()
    reseal(out)


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (lambda right: b"GIF89a", STILL, "is another kind of picture"),
        (lambda right: with_text(right, "x", packed=False), STILL, "is another kind of picture than its name says"),
        (lambda right: right[:-200], STILL, "cannot be decoded"),
        (lambda right: picture("x", (64, 63)), STILL, "has 64 × 63 pixels, not 64 × 64"),
        (lambda right: picture("x", (64, 64), comment=CANARY.encode()), STILL, "the value of a secret"),
        (lambda right: with_text(right, CANARY * 3, packed=True), STILL[:-3] + "png", "the value of a secret"),
    ],
    ids=["no picture", "a PNG", "cut", "another size", "a token", "a packed token"],
)
def test_what_is_no_still_is_found_whatever_its_commit_says(finished, tmp_path, make, name, words):
    _, _, out = finished
    copy = shutil.copytree(out, tmp_path / "tree")
    resealed(copy, make((copy / STILL).read_bytes()), name)
    assert any(words in problem for problem in verified(copy)), verified(copy)
    assert CANARY not in "".join(verified(copy))


def test_a_commit_without_a_still_says_why(finished, tmp_path):
    _, _, out = finished
    copy = shutil.copytree(out, tmp_path / "tree")
    reseal(copy, lambda place: place["files"].pop(STILL, None))
    (copy / STILL).unlink()
    assert any("poi_000003: its commit does not say of each tile why" in problem for problem in verified(copy))


def test_places_are_made_again_with_their_stills(finished):
    maps, _, out = finished
    maps.asked.clear()
    verdict = nt.verify(out, rebuild=9)
    assert (verdict.problems, verdict.rebuilt) == ((), 9)
    assert len(maps.stills) == len(WITH_CHIPS)
    maps.trouble = lambda said, target: said._replace(body=picture("other", (64, 64)))
    problems = nt.verify(out, rebuild=9).problems
    maps.trouble = None
    assert len(problems) == len(WITH_CHIPS)
    assert all("is not what its sources give" in problem for problem in problems)


# The token


def everything(folder: Path) -> list[bytes]:
    """All that lies in a folder: names and bytes."""
    return [str(path).encode() + (path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")]


def echoing(maps: StaticMaps, elsewhere: StaticMaps):
    """A server that tells all it was asked, in words, headers, pictures and addresses."""
    numbers = iter(range(10**6))

    def trouble(said, target):
        number = next(numbers) % 5
        return (
            message(503, target, Link=target, **{"Retry-After": "0", "X-Query": target}),
            message(302, target, Location=f"{elsewhere.url}{target}"),
            said._replace(body=with_text(said.body, target, packed=True)),
            message(404, f"<a href='{elsewhere.url}{target}'>"),
            None,
        )[number]

    return trouble


@pytest.mark.long
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=[pytest.mark.cluster, pytest.mark.exhaustive])])
def test_the_token_is_nowhere_whatever_the_server_says(planet_folder, maps, tmp_path, caplog, workers):
    caplog.set_level(logging.DEBUG)
    out = tmp_path / "tree"
    with static_maps() as elsewhere:
        recipe = nt.load_recipe(recipe_of(planet_folder, maps, tmp_path, mapbox={}))
        maps.trouble = echoing(maps, elsewhere)
        summaries = [build(recipe, out, workers=workers) for _ in range(2)]
        verdict = nt.verify(out, deep=True, rebuild=3)
        assert elsewhere.asked == []
    spec = resolve(recipe)
    task = _Building(spec=spec, store=Store(out), plan_digest=read_plan(Store(out)).digest)
    told = [repr(summaries), repr(summaries[0].failures), repr(verdict), repr(spec), caplog.text, recipe.text()]
    assert any(summary.failures or summary.rejects.get("no still") for summary in summaries)
    found = [*map(str.encode, told), pickle.dumps(task), *everything(tmp_path)]
    assert [data[:200] for data in found if CANARY.encode() in data] == []
    assert parse_recipe_text(recipe.text()).digest() == recipe.digest()


@pytest.mark.long
@pytest.mark.cluster
@pytest.mark.parametrize("workers", [2, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_the_same_bytes_with_workers_who_inherit_the_token(finished, tmp_path, workers):
    maps, recipe, out = finished
    maps.asked.clear()
    assert build(nt.load_recipe(recipe), tmp_path / "tree", workers=workers).complete
    assert len(maps.stills) == len(WITH_CHIPS)
    assert tree(tmp_path / "tree") == tree(out)
    assert [data[:200] for data in everything(tmp_path) if CANARY.encode() in data] == []


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_workers_elsewhere_need_a_token_of_their_own_and_are_sent_none(finished, tmp_path, monkeypatch):
    _, recipe, out = finished
    monkeypatch.delenv("MAPBOX_ACCESS_TOKEN")
    told = []
    for environment, code in (({}, 2), ({"MAPBOX_ACCESS_TOKEN": CANARY}, 0)):
        with cluster(tmp_path / f"dask-{code}", **environment) as dask:
            command = ("build", recipe, "--out", tmp_path / f"tree-{code}", "--scheduler", dask.address)
            said = started(tmp_path, *command, MAPBOX_ACCESS_TOKEN=CANARY)
            assert said.ended() == code, said.told()
            told.append(said.told())
    assert "cannot ask Mapbox: stills of Mapbox need a token" in told[0]
    assert CANARY not in "".join(told)
    assert tree(tmp_path / "tree-0") == tree(out)
    assert [data[:200] for data in everything(tmp_path) if CANARY.encode() in data] == []


@pytest.mark.exhaustive
def test_stills_of_real_size_are_whole_pictures(planet_folder, maps, tmp_path):
    recipe = recipe_of(planet_folder, maps, tmp_path, mapbox={"size": 1280})
    out = tmp_path / "tree"
    assert build(nt.load_recipe(recipe), out, workers=0, limit=1).complete
    with Image.open(io.BytesIO(stills_in(out)["mapbox_stills/s00000/poi_000000.jpg"])) as still:
        assert (still.size, still.format) == ((2560, 2560), "JPEG")
    assert verified(out) == ()
