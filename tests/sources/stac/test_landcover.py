"""Land cover from a catalogue: which items, of which year, in which order, and what a pixel of theirs means."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import shapely.geometry
from affine import Affine
from pyproj import Transformer
from support.mosaics import in_parts
from support.paths import ROOT
from support.worlds import written

import nutonic as nt
from nutonic.core.classes import ESA_WORLDCOVER, IO_LULC, ClassTable
from nutonic.core.grid import grid_around
from nutonic.errors import BadPixels, FileMissing, ReadFailed
from nutonic.run.run import build
from nutonic.sources.stac.labels import StacLabels
from nutonic.testing import FileServer, SyntheticPlanet

TABLE = ClassTable(name="mine", labels={k: f"class {k}" for k in range(1, 100)}, unknown=0, colors={}, masked=(100,))

#: On the border of zones 32 and 33.
LON, LAT = 12.0, 48.0


def write(
    folder: Path, name: str, pixels: np.ndarray, transform: Affine, crs: str, **properties: Any
) -> dict[str, Any]:
    """A raster and its item."""
    height, width = pixels.shape
    with rasterio.open(
        folder / f"{name}.tif", "w", driver="GTiff", count=1, dtype="uint8", nodata=0,
        height=height, width=width, transform=transform, crs=crs,
    ) as out:  # fmt: skip
        out.write(pixels, 1)
    box = shapely.box(*rasterio.transform.array_bounds(height, width, transform))
    if crs != "EPSG:4326":
        to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        box = shapely.transform(shapely.segmentize(box, 1000), lambda p: np.stack(to_degrees.transform(*p.T), -1))
    time = {"datetime": None, "start_datetime": "2021-01-01T00:00:00Z", "end_datetime": "2022-01-01T00:00:00Z"}
    return {
        "type": "Feature", "id": name, "collection": "lc", "geometry": shapely.geometry.mapping(box),
        "properties": {**time, "proj:code": crs, **properties}, "assets": {"map": {"href": f"{name}.tif"}},
    }  # fmt: skip


def source(folder: Path, *items: dict[str, Any], **options: Any) -> StacLabels:
    (folder / "labels.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return StacLabels(url=str(folder / "labels.json"), collection="lc", asset="map", **{"classes": TABLE, **options})


def scenes_of(found: StacLabels, when: str | None = None):
    return found.search(np.array([LON]), np.array([LAT]), 1280, when)[0]


def pixels(found: StacLabels, crs: str = "EPSG:32632") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels around the place, and x and y of their centres."""
    grid = grid_around(LON, LAT, extent_m=1280, crs=crs)
    ds = found.open(grid, scenes_of(found), chunks=50)
    return ds["label"].values, *np.meshgrid(ds.x.values, ds.y.values)


def in_zone(seed: int, zone: int, columns: slice = slice(None)) -> tuple[np.ndarray, Affine, str]:
    """Noise over 4 km around the place, on the ten-metre lattice of a zone; 0 outside `columns`."""
    grid = grid_around(LON, LAT, extent_m=4000, crs=f"EPSG:326{zone}")
    noise = np.random.default_rng(seed).integers(1, 99, tuple(grid.shape)).astype(np.uint8)
    kept = np.zeros_like(noise)
    kept[:, columns] = noise[:, columns]
    return kept, grid.affine, str(grid.crs)


def at(x: np.ndarray, y: np.ndarray, crs: str, raster: tuple[np.ndarray, Affine, str]) -> np.ndarray:
    """Values of a raster at points of another CRS, by pyproj on every one; 0 beyond it."""
    values, transform, its = raster
    px, py = Transformer.from_crs(crs, its, always_xy=True).transform(x, y)
    col, row = (
        np.floor((px - transform.c) / transform.a).astype(int),
        np.floor((py - transform.f) / transform.e).astype(int),
    )
    inside = (col >= 0) & (col < values.shape[1]) & (row >= 0) & (row < values.shape[0])
    return np.where(inside, values[row.clip(0, values.shape[0] - 1), col.clip(0, values.shape[1] - 1)], 0)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_pixel_comes_from_the_first_item_by_id_that_has_a_class_there(tmp_path, names):
    # Two zones under one square, each item with a part of its own missing, in either order of the catalogue.
    rasters = {"a": in_zone(1, 33, slice(0, 215)), "b": in_zone(2, 32, slice(180, 400))}
    found = source(tmp_path, *(write(tmp_path, name, *rasters[name]) for name in names))
    assert [scene.id for scene in scenes_of(found)] == ["a", "b"]
    label, x, y = pixels(found)
    first, second = (at(x, y, "EPSG:32632", rasters[name]) for name in "ab")
    assert np.array_equal(label, np.where(first != 0, first, second))
    assert (first == 0).any()
    assert ((first != 0) & (second != 0) & (first != second)).any()


def test_clouds_are_unknown_and_the_next_item_shows_through(tmp_path):
    rasters = {"a": in_zone(1, 32), "b": in_zone(2, 32)}
    rasters["a"][0][150:250, 180:230] = 100
    found = source(tmp_path, *(write(tmp_path, name, *raster) for name, raster in rasters.items()))
    label, x, y = pixels(found)
    first, second = (at(x, y, "EPSG:32632", rasters[name]) for name in "ab")
    assert np.array_equal(label, np.where(first == 100, second, first))
    assert (first == 100).any()
    only = source(tmp_path, write(tmp_path, "a", *rasters["a"]))
    assert np.array_equal(pixels(only)[0], np.where(first == 100, 0, first))


@pytest.mark.parametrize(
    ("year", "when", "expected"),
    [
        (2018, None, 2018), (None, None, 2023), (None, "2020-03-01/2020-09-01", 2020), (None, "2024-05-01/2024-09-01", 2023),
        (None, "2010-01-01/2011-01-01", 2018), (None, "2021-06-01/2021-07-01", 2020), (None, "2017-01-01/2023-12-31", 2020),
        (1999, None, None),
    ],
)  # fmt: skip
def test_the_year_is_the_one_asked_for_or_the_nearest(tmp_path, year, when, expected):
    # 2021 lies a year from 2020 and two from 2023; of 2019 and 2021 round 2020 there is none.
    items = [
        write(tmp_path, f"{k}-{y}", *in_zone(k, 32), start_datetime=f"{y}-01-01T00:00:00Z",
              end_datetime=f"{y + 1}-01-01T00:00:00Z")
        for y in (2023, 2018, 2020)
        for k in (1, 2)
    ]  # fmt: skip
    found = scenes_of(source(tmp_path, *items, year=year), when)
    assert [scene.id for scene in found] == ([f"1-{expected}", f"2-{expected}"] if expected else [])


def test_items_that_do_not_touch_the_square_are_left_out(tmp_path):
    near, far = write(tmp_path, "near", *in_zone(1, 32)), write(tmp_path, "far", *in_zone(2, 32))
    far["geometry"] = shapely.geometry.mapping(shapely.box(12.1, 48.1, 12.2, 48.2))
    across = {**far, "id": "across", "geometry": shapely.geometry.mapping(shapely.box(-180, 47, 180, 47.9))}
    assert [scene.id for scene in scenes_of(source(tmp_path, near, far, across))] == ["near"]


@pytest.mark.parametrize("lon", [179.9999, -179.9999])
def test_items_are_found_across_the_antimeridian(tmp_path, lon):
    items = json.loads((ROOT.parent / "shared/data/stac/io-lulc-annual-v02-pc.json").read_text()) if (
        ROOT.parent / "shared/data/stac/io-lulc-annual-v02-pc.json"
    ).exists() else None  # fmt: skip
    if items is None:
        pytest.skip("../shared/data/stac is not here")
    (tmp_path / "labels.json").write_text(json.dumps(items))
    found = StacLabels(
        url=str(tmp_path / "labels.json"), collection="io-lulc-annual-v02", asset="data", classes=IO_LULC
    )
    at_60n, over_alaska, greenwich = found.search(
        np.array([lon, -150.0, 0.0]), np.array([5.0, 66.0, 66.0]), 5120, "2023-01-01/2023-12-31"
    )
    assert [scene.id for scene in at_60n] == ["60N-2023"]
    assert (over_alaska, greenwich) == ((), ())  # although the items' boxes span the globe
    assert at_60n[0].assets[0].crs == "EPSG:32660"


def test_an_item_that_lies_about_its_file_is_unusable(tmp_path):
    item = write(tmp_path, "a", *in_zone(1, 32))
    item["assets"]["map"].update({"proj:transform": [10, 0, 0, 0, -10, 0], "proj:shape": [400, 400]})
    grid = grid_around(LON, LAT, extent_m=1280, crs="EPSG:32632")
    found = source(tmp_path, item)
    (scene,) = scenes_of(found)
    with pytest.raises(BadPixels, match=r"from \(721780, 5322660\), the catalogue says .* from \(0, 0\)"):
        found.open(grid, [scene])["label"].values  # noqa: B018  its word that it lies elsewhere is not enough
    height, width = 400, 400
    left, top = grid_around(LON, LAT, extent_m=3990, crs="EPSG:32632").affine[2::3][:2]
    item["assets"]["map"].update({"proj:transform": [10, 0, left, 0, -10, top], "proj:shape": [height, width]})
    found = source(tmp_path, item)
    with pytest.raises(BadPixels, match=r"a\.tif is not what its item says"):
        found.open(grid, scenes_of(found))["label"].values  # noqa: B018


def test_a_missing_file_may_be_back_the_next_time(tmp_path):
    item = write(tmp_path, "a", *in_zone(1, 32))
    item["assets"]["map"].update({"proj:transform": list(in_zone(1, 32)[1][:6]), "proj:shape": [400, 400]})
    found = source(tmp_path, item)
    scenes = scenes_of(found)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(ReadFailed, match=r"a\.tif does not exist") as caught:
        found.open(grid_around(LON, LAT, extent_m=1280, crs="EPSG:32632"), scenes)["label"].values  # noqa: B018
    assert type(caught.value) is FileMissing  # not Gone, which would change the scene


def recipe(planet: SyntheticPlanet, folder: Path, labels: dict[str, Any]) -> nt.Recipe:
    from nutonic.recipe.yaml import parse_recipe

    whole = planet.recipe()
    whole["labels"] = {"dataset": whole["labels"]["dataset"], **labels}
    whole["pois"]["path"], whole["imagery"]["url"] = str(folder / "pois.csv"), str(folder / "items.json")
    return parse_recipe(whole)


@pytest.mark.long
def test_a_build_with_items_is_that_with_the_raster_they_were_cut_from(tmp_path):
    planet = SyntheticPlanet()
    written(planet, tmp_path / "planet")
    in_parts(tmp_path / "planet/land_cover.tif")
    raster = {"source": "raster", "path": str(tmp_path / "planet/land_cover.tif")}
    items = {"source": "stac", "url": str(tmp_path / "planet/labels.json"), "collection": "lc", "asset": "map"}
    trees = {}
    for kind, labels in (("raster", raster), ("items", items)):
        build(recipe(planet, tmp_path / "planet", labels), tmp_path / kind, workers=0)
        trees[kind] = {
            path.relative_to(tmp_path / kind).as_posix(): path.read_bytes()
            for part in ("images", "data")
            for path in (tmp_path / kind / part).rglob("*.*")
        }
    assert len(trees["raster"]) > 40
    # The one recipe leaves out a place that no item touches; the other finds no label there.
    assert trees["items"] == trees["raster"]


def test_a_place_that_no_item_touches_is_a_reject(tmp_path):
    planet = SyntheticPlanet()
    written(planet, tmp_path / "planet")
    item = write(tmp_path / "planet", "far", *in_zone(1, 32))
    source(tmp_path / "planet", item)
    labels = {"source": "stac", "url": str(tmp_path / "planet/labels.json"), "collection": "lc", "asset": "map"}
    with pytest.raises(nt.errors.NoScene, match=r"13 no labels.*nothing of synthetic touches the square"):
        nt.plan(recipe(planet, tmp_path / "planet", labels))


def test_what_a_raster_does_not_reach_is_a_reject_of_the_plan(tmp_path):
    planet = SyntheticPlanet()
    written(planet, tmp_path / "planet")
    labels = {"source": "raster", "path": str(tmp_path / "planet/land_cover.tif")}
    whole = nt.plan(recipe(planet, tmp_path / "planet", labels))
    path = tmp_path / "planet/land_cover.tif"
    with rasterio.open(path) as raster:
        profile, pixels, bounds = raster.profile, raster.read(), raster.bounds
    beyond = profile | {"transform": Affine.translation(90.0, 0.0) @ profile["transform"]}
    with rasterio.open(tmp_path / "beyond.tif", "w", **beyond) as raster:
        raster.write(pixels)
    told = "nothing of synthetic touches the square: beyond.tif lies within longitude 1"
    with pytest.raises(nt.errors.NoScene, match=rf"{len(whole.places)} no labels.*{told}"):
        nt.plan(recipe(planet, tmp_path / "planet", labels | {"path": str(tmp_path / "beyond.tif")}))
    # Of one that ends in the middle of the places, those beyond its edge are left out, and no others.
    columns = profile["width"] // 2
    edge = bounds.left + columns * profile["transform"].a
    with rasterio.open(tmp_path / "west.tif", "w", **(profile | {"width": columns})) as raster:
        raster.write(pixels[..., :columns])
    half = nt.plan(recipe(planet, tmp_path / "planet", labels | {"path": str(tmp_path / "west.tif")}))
    left_out = {each.poi_id for each in half.rejects if each.reason == "no labels"}
    east = {whole.places[i].id: float(whole.places.lon[i]) for i in range(len(whole.places))}
    assert left_out
    assert left_out <= {name for name, lon in east.items() if lon > edge}
    assert {name for name, lon in east.items() if lon > edge + 0.2} <= left_out


def test_known_products_need_no_address():
    from nutonic.recipe.yaml import parse_recipe
    from nutonic.sources.factory import sources_of

    base = SyntheticPlanet().recipe()
    for name, collection, asset in (
        ("esa-worldcover", "esa-worldcover", "map"),
        ("io-lulc", "io-lulc-annual-v02", "data"),
    ):
        found = sources_of(parse_recipe({**base, "labels": {"source": "stac", "dataset": name}})).labels
        assert isinstance(found, StacLabels)
        assert (found.collection, found.asset, found.table.name) == (collection, asset, name)
        assert found.url == "https://planetarycomputer.microsoft.com/api/stac/v1"
        assert found.access.sign == "planetary-computer"
        assert "ai4edataeuwest.blob.core.windows.net" in found.access.hosts
    assert set(IO_LULC.labels) & {0, 10} == set()
    assert len(ESA_WORLDCOVER.labels) == 11


@pytest.mark.long
@pytest.mark.parametrize("share", [0.0, 0.15])
def test_items_behind_a_server_give_the_same_rows_and_each_range_is_asked_for_once(tmp_path, session, share):
    planet = SyntheticPlanet()
    written(planet, tmp_path / "planet")
    in_parts(tmp_path / "planet/land_cover.tif")
    catalogue = json.loads((tmp_path / "planet/labels.json").read_text())
    labels = {"source": "stac", "url": str(tmp_path / "planet/labels.json"), "collection": "lc", "asset": "map"}
    build(recipe(planet, tmp_path / "planet", labels), tmp_path / "files", workers=0)
    with FileServer(tmp_path / "planet", share=share, seed=4) as server:
        for item in catalogue["features"]:
            item["assets"]["map"]["href"] = f"{server.url}/{item['assets']['map']['href']}"
        (tmp_path / "planet/remote.json").write_text(json.dumps(catalogue))
        labels |= {"url": str(tmp_path / "planet/remote.json"), "allow_hosts": [server.address]}
        summary = build(recipe(planet, tmp_path / "planet", labels), tmp_path / "server", workers=0)
        asked = Counter((request.path, request.span) for request in server.requests() if not request.fault)
        assert sum(summary.faults.values()) == sum(server.fault_counts().values())
        assert bool(summary.faults) == bool(share)
    assert summary.complete
    assert set(asked.values()) == {1}
    for part in ("images", "data"):
        names = [path.relative_to(tmp_path / "files") for path in (tmp_path / "files" / part).rglob("*.*")]
        assert names
        assert all(
            (tmp_path / "server" / name).read_bytes() == (tmp_path / "files" / name).read_bytes() for name in names
        )
