"""What a build tells to who has seen no plan: what the plan warns of, once, in the plan's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.aerial import Flown, catalogue, planted, recipe, rectangle
from support.cli import nutonic
from support.maps import write_pbf
from support.worlds import written

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


def of_patches(folder: Path) -> Path:
    """An image of nine patches, and another that has none; a place that has patches, and one that has none."""
    catalogue(folder, [IMAGE, NARROW])
    IMAGE.write(folder)
    NARROW.write(folder)
    field = ("area", rectangle(499_000, 4_979_000, 501_000, 4_981_000), {"landuse": "farmland"})
    write_pbf(folder / "map.osm.pbf", planted(26915, field))
    west, south, east, north = IMAGE.item()["bbox"]
    (folder / "places.csv").write_text(f"id,lon,lat\nnear,{(west + east) / 2},{(south + north) / 2}\nfar,0,0\n")
    around = {"path": "places.csv", "side_m": 80}
    return recipe(folder, osm={"source": "pbf", "path": "map.osm.pbf", "url": None}, patches={"around": around})


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
            "1 of 2 places has no patch of any image in the square of 80 m around it: far",
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
