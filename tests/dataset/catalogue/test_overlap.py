"""Chips on ground that another catalogue holds, against footprints whose answers are known before."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from support.cli import nutonic

import nutonic as nt
from nutonic.dataset.catalogue import overlap as overlaps
from nutonic.dataset.catalogue.cells import cell_of
from nutonic.errors import InputError


def written(path: Path, shapes: list, *, ids: list[str] | None = None, crs: object = "absent", **told: object) -> Path:
    """A file of GeoParquet as others write it."""
    about = {"encoding": "WKB", "geometry_types": [], **told} | ({} if crs == "absent" else {"crs": crs})
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}}
    columns = {"geometry": [None if shape is None else shapely.to_wkb(shape) for shape in shapes]}
    if ids is not None:
        columns["id"] = ids
    table = pa.table(columns).replace_schema_metadata({"geo": orjson.dumps(geo)})
    pq.write_table(table, path)
    return path


@pytest.fixture(scope="module")
def chips(few):
    """Footprint, split and middle of each chip, by id: from its sidecar, by its box."""
    found = {}
    for path in few.out.glob("metadata/*/*.json"):
        one = json.loads(path.read_bytes())
        found[one["tile_id"]] = (one["split"], (one["longitude"], one["latitude"]), shapely.box(*one["bbox_wgs84"]))
    return found


def test_shares_of_ground_are_those_that_were_drawn(few, chips, tmp_path):
    name = min(chips)
    split, (lon, lat), box = chips[name]
    west, south, east, north = box.bounds
    half = shapely.box(west - 1, south - 1, (west + east) / 2, north + 1)  # all chips to the west as well
    point = shapely.Point(lon, lat)
    other = written(tmp_path / "other.parquet", [half, point, None], ids=["half", "point", "none"])
    found = nt.overlap(few.out, other, by="footprint")
    assert (found.chips, found.others, found.without) == (len(chips), 2, 1)
    got = {one.id: one for one in found.shared}
    assert got[name].split == split
    assert got[name].share == pytest.approx(0.5, abs=0.02)
    assert (got[name].footprints, got[name].other) == (2, "half")
    for other_name, (_, _, theirs) in chips.items():
        right = theirs.intersection(half).area / theirs.area
        if right > 0.05:
            assert got[other_name].share == pytest.approx(right, abs=0.03)
        elif right == 0 and other_name not in got:
            assert not theirs.intersects(half)


def test_neighbours_share_a_cell_and_no_ground(few, chips, tmp_path):
    name = max(chips)
    _, (lon, lat), box = chips[name]
    cell = cell_of(lon, lat)
    west, south, east, north = box.bounds
    beside = next(
        shapely.Point(x, y)
        for x in np.linspace(west - 0.03, east + 0.03, 80)
        for y in np.linspace(south - 0.02, north + 0.02, 80)
        if cell_of(x, y) == cell and not any(b.buffer(1e-3).contains(shapely.Point(x, y)) for _, _, b in chips.values())
    )
    other = written(tmp_path / "other.parquet", [beside])
    found = nt.overlap(few.out, other)
    assert {one.id for one in found.shared} == {n for n, (_, at, _) in chips.items() if cell_of(*at) == cell}
    assert {(one.footprints, one.in_cell, one.other) for one in found.shared} == {(0, 1, "row 1")}
    assert nt.overlap(few.out, other, by="footprint").shared == ()


def test_its_own_catalogue_holds_all_of_a_dataset_and_touching_chips_share_nothing(few, packs, chips):
    own = packs(few.out, "geoparquet")
    for dataset in (few.out, own, own / "chips.parquet"):
        found = nt.overlap(dataset, own / "chips.parquet", by="footprint")
        assert {one.id for one in found.shared} == set(chips)
        assert {one.other == one.id for one in found.shared} == {True}
        assert {one.share for one in found.shared} == {1.0}
        # Tiles of a place lie edge to edge; only places that overlap share ground.
        assert all(one.footprints < 6 for one in found.shared)
        assert [one.split for one in found.shared] == [chips[one.id][0] for one in found.shared]


def test_what_lies_across_180_degrees_is_where_it_is(tmp_path):
    mine = written(
        tmp_path / "mine.parquet", [shapely.box(179.9, 0, 180.1, 1), shapely.box(10, 0, 11, 1)], ids=["a", "b"]
    )
    beyond = written(tmp_path / "beyond.parquet", [shapely.box(-180, 0, -179.95, 1)], ids=["x"])
    (one,) = nt.overlap(mine, beyond, by="footprint").shared
    assert (one.id, one.other, one.share) == ("a", "x", 0.25)


def test_blocks_hold_no_more_than_they_say_and_find_the_same(few, packs, chips, monkeypatch):
    own = packs(few.out, "geoparquet") / "chips.parquet"
    whole = nt.overlap(few.out, own)
    monkeypatch.setattr(overlaps, "_BLOCK", 7)
    assert nt.overlap(few.out, own) == whole
    assert len(whole.shared) == len(chips)


@pytest.mark.exhaustive
def test_memory_does_not_grow_with_the_other_catalogue(few, tmp_path, monkeypatch):
    monkeypatch.setattr(overlaps, "_BLOCK", 2000)
    peaks = []
    for count in (4000, 40_000):
        x = np.linspace(-170, 170, count)
        shapes = list(shapely.box(x, -50, x + 0.001, -49.999))
        other = written(tmp_path / f"{count}.parquet", shapes)
        tracemalloc.start()
        assert nt.overlap(few.out, other).others == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] + 500_000


UTM = {"name": "WGS 84 / UTM zone 33N", "id": {"authority": "EPSG", "code": 32633}}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"crs": UTM}, "is in WGS 84 / UTM zone 33N: catalogues are compared in degrees, write it as OGC:CRS84"),
        ({"crs": None}, "does not tell its CRS (crs is null)"),
        ({"encoding": "polygon"}, "has its geometry as 'polygon': write it as WKB"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_line(few, tmp_path, told: dict, said: str):
    other = written(tmp_path / "other.parquet", [shapely.Point(0, 0)], **told)
    found = nutonic("overlap", few.out, other)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert said in found.err


def test_a_file_without_geometry_and_one_that_is_none(few, tmp_path):
    table, text = tmp_path / "table.parquet", tmp_path / "text.parquet"
    pq.write_table(pa.table({"id": ["a"], "lon": [1.0]}), table)
    text.write_text("lon,lat")
    for path, said in (
        (table, "has no geometry column: it is no GeoParquet (its columns are id, lon)"),
        (text, "cannot be read: it is no Parquet, or is cut short"),
        (tmp_path / "no.parquet", "is not there"),
        (tmp_path, "cannot be read"),
    ):
        found = nutonic("overlap", few.out, path)
        assert (found.code, found.err.count("\n")) == (2, 1)
        assert said in found.err
    for degrees in ({"name": "WGS 84", "id": {"authority": "EPSG", "code": 4326}}, {"name": "WGS 84 (CRS84)"}):
        assert nt.overlap(few.out, written(tmp_path / "ok.parquet", [shapely.Point(0, 0)], crs=degrees)).shared == ()
    with pytest.raises(InputError, match="by is 'area': write footprint, cell or either"):
        nt.overlap(few.out, table, by="area")


def test_by_the_command_line(few, packs, chips, tmp_path):
    own = packs(few.out, "geoparquet") / "chips.parquet"
    found = nutonic("overlap", few.out, own)
    assert (found.code, found.err) == (1, "")
    assert f"{len(chips)} of {len(chips)} chips" in found.out
    listed = nutonic("overlap", few.out, own, "--csv")
    assert listed.code == 1
    rows = list(csv.DictReader(listed.out.splitlines()))
    assert {row["id"]: row["split"] for row in rows} == {name: split for name, (split, _, _) in chips.items()}
    told = json.loads(nutonic("overlap", few.out, own, "--json").out)
    assert [one["id"] for one in told["shared"]] == [row["id"] for row in rows]
    nothing = nutonic("overlap", few.out, written(tmp_path / "far.parquet", [shapely.Point(-100, -40)]))
    assert nothing.code == 0
    assert f"0 of {len(chips)} chips lie on ground" in nothing.out
