"""What a build tells to who has seen no plan: what it warns of, once, in its words; and of what is done, true counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.aerial import Flown, catalogue, planted, recipe, rectangle
from support.cli import nutonic
from support.maps import write_pbf
from support.worlds import written

from nutonic import Summary
from nutonic.cli.console import show_summary
from nutonic.testing import SyntheticPlanet

IMAGE = Flown(id="a", corner=(500_000.0, 4_980_000.0), shape=(192, 192))
NARROW = Flown(id="n", corner=(500_000.0, 4_980_000.0), shape=(192, 40))


def of_places(folder: Path) -> Path:
    """Two places that have chips, and a row whose coordinates are exchanged."""
    world = SyntheticPlanet()
    path = written(world, folder, grid={"extent_m": 660})
    (lon, lat, _), (east, north, _) = world.places[4:6]
    (folder / "pois.csv").write_text(f"lon,lat\n{lon!r},{lat!r}\n{east!r},{north!r}\n52.5,113.4\n")
    return path


def of_patches(folder: Path, east: float = 501_000, **captions) -> Path:
    """An image of nine patches, and another that has none; a place that has patches, and one that has none."""
    catalogue(folder, [IMAGE, NARROW])
    IMAGE.write(folder)
    NARROW.write(folder)
    field = ("area", rectangle(499_000, 4_979_000, east, 4_981_000), {"landuse": "farmland"})
    write_pbf(folder / "map.osm.pbf", planted(26915, field))
    west, south, east, north = IMAGE.item()["bbox"]
    (folder / "places.csv").write_text(f"id,lon,lat\nnear,{(west + east) / 2},{(south + north) / 2}\nfar,0,0\n")
    patches = {"around": {"path": "places.csv", "side_m": 200}, "min_elements": 1}
    osm = {"source": "pbf", "path": "map.osm.pbf", "url": None}
    return recipe(folder, osm=osm, patches=patches, captions=captions)


KINDS = {
    "places": (
        of_places,
        [
            "1 of 3 rows is no place, but would be with longitude and latitude exchanged (the first: line 4): are others "
            "swapped, too?",
        ],
    ),
    "patches": (
        of_patches,
        [
            "1 image is left out of the search: n has 192 × 40 pixels, fewer than a patch's 64: see patches.size",
            "1 of 2 places has no patch of any image in the square of 200 m around it: far",
        ],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_build_tells_once_what_its_plan_warns_of(tmp_path, kind):
    write, known = KINDS[kind]
    path, out = write(tmp_path), tmp_path / "out"
    warned = json.loads(nutonic("plan", path, "--json").out)["warnings"]
    assert warned[: len(known)] == known
    assert [line for line in nutonic("plan", path).out.splitlines() if line.startswith("note: ")] == [
        f"note: {warning}" for warning in warned
    ]
    first, again = (nutonic("build", path, "--out", out, "--workers", 0) for _ in range(2))
    assert (first.code, again.code) == (0, 0)
    assert first.err.splitlines()[: len(warned)] == warned
    assert not [line for line in again.told.splitlines() if line in warned]


def test_programs_get_it_as_notes_of_a_plan_that_was_kept_before(tmp_path):
    path, out = of_patches(tmp_path), tmp_path / "out"
    warned = json.loads(nutonic("plan", path, "--out", out, "--json").out)["warnings"]
    said = nutonic("build", path, "--out", out, "--workers", 0, "--log-json")
    notes = [event["message"] for event in map(json.loads, said.err.splitlines()) if event["event"] == "note"]
    assert notes == warned
    assert len(notes) >= 2


@pytest.mark.parametrize(
    ("east", "captions", "told"),
    [
        (501_000, {}, ["nothing to do: all 9 patches are built in OUT"]),
        (500_060, {}, ["nothing to do: 6 of 9 patches are built in OUT, 3 are left out"]),
        (
            500_060,
            {"words": {"area": [110, 120], "line": [5, 120], "revision": [2, 50]}},
            [
                "nothing to do: all 9 patches are looked at, and none has a caption, in OUT",
                "captions not let through:",
                "      18  too short",
                "left out:",
                "       3  too little on the map",
            ],
        ),
    ],
    ids=["all", "some left out", "none has a caption"],
)
def test_built_again_patches_are_told_by_what_became_of_them(tmp_path, east, captions, told):
    path, out = of_patches(tmp_path, east, **captions), tmp_path / "out"
    first, again = (nutonic("build", path, "--out", out, "--workers", 0) for _ in range(2))
    assert again.code == first.code == (0 if "none" not in told[0] else 1)
    assert [line.replace(str(out), "OUT") for line in again.out.splitlines()][: len(told)] == told
    assert set(told[1:]) <= set(first.out.splitlines()), "as the build itself said"


def test_patches_that_have_no_caption_are_counted_apart(capsys):
    captions = {"captions": 8, "uncaptioned": 1, "waiting": 0}
    one = {"places": 9, "wanted": 9, "done_before": 9, "places_done": 9, "chips": 6, "places_with_chips": 6}
    show_summary(Summary(**one, captions=captions), Path("out"))
    assert capsys.readouterr().out == (
        "nothing to do: 6 of 9 patches are built in out, 2 are left out, 1 has no caption that was let through\n"
    )


def test_patches_are_counted_once_for_prometheus_though_they_have_captions_later(tmp_path):
    path, metrics = of_patches(tmp_path, 500_060), tmp_path / "nutonic.prom"
    said = nutonic("build", path, "--out", tmp_path / "out", "--workers", 0, "--metrics", metrics)
    assert said.code == 0
    lines = [line.split() for line in metrics.read_text().splitlines() if not line.startswith("#")]
    told = {name.removeprefix("nutonic_"): value for name, value in lines}
    assert (told["places_to_do"], told["places_done_total"], told["places_failed_total"]) == ("9", "9", "0")
    assert f"read 6 patches, wrote {told['rows_total']} captions" in said.out
    assert told["chips_total"] == "6"
