"""Patches of every source, built end to end: their pixels are the image's, and their captions of what is planted there."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from support.aerial import Flown, catalogue, plant, planted, recipe, rectangle
from support.earthengine import sign_out
from support.real_data import DATA
from support.seals import sealed
from support.shards import pixels_of, samples

import nutonic as nt
from nutonic.testing import FileServer
from nutonic.testing.earthengine import EarthEngineServer, image_of_function
from nutonic.testing.overpass import OverpassServer

pytest_plugins = ["support.stac_servers"]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("osmium") is None, reason="maps are read with osmium")

X, Y = 500_000.4, 4_980_000.6

#: Two images that share a quarter of their ground, the older one of the same season; the newer has rows without pixels.
NEW = Flown(id="m_new", corner=(X, Y), shape=(200, 256), day="2022-07-01", seed=1, empty_rows=30)
OLD = Flown(id="m_old", corner=(X + 64 * 0.6 * 3, Y), shape=(200, 256), day="2021-07-01", seed=2)
IMAGES = {image.id: image for image in (NEW, OLD)}

#: First row and column of each patch of 64 pixels that is whole and lies on ground of its own.
EXPECTED = {("m_new", row, 64 * col) for row in (64, 128) for col in range(4)} | {
    ("m_old", 64 * row, 64 * col) for row in range(3) for col in (1, 2, 3)
}


GROUND = (
    ("area", rectangle(X - 500, Y - 500, X + 800, Y + 300), {"landuse": "forest"}),
    ("line", [(X - 400, Y - 60), (X + 700, Y - 60)], {"highway": "residential", "name": "Elm Street"}),
)


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Figures take longer than all the rest, and are tested elsewhere: here matplotlib is not installed."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The images' files, and a forest that covers everything, through which a road runs from west to east."""
    path = tmp_path_factory.mktemp("aerial")
    for image in IMAGES.values():
        image.write(path, nodata=None if image is NEW else 0)  # NAIP's own files do not tell
    plant(path / "map.osm.pbf", NEW.epsg, *GROUND)
    return path


def where(content: dict) -> tuple[str, int, int]:
    """Image, row and column of a sample, by what its provenance says."""
    told = content["provenance"]["image"]
    image = IMAGES[told["scene"].rpartition("/")[2]]
    _, _, c, _, _, f = told["transform"]
    return image.id, round((image.corner[1] - f) / image.pixel), round((c - image.corner[0]) / image.pixel)


def check(tree: Path, expected: set[tuple[str, int, int]] = EXPECTED) -> dict[tuple[str, int, int], tuple[bytes, dict]]:
    """Every sample by where it lies: those that are expected, each with its image's own pixels."""
    found = {where(content): (picture, content) for picture, content in samples(tree).values()}
    assert set(found) == expected
    for (name, row, col), (picture, _) in found.items():
        rows, cols = np.mgrid[row : row + 64, col : col + 64]
        right = np.moveaxis(IMAGES[name].pixels(rows, cols)[:3].astype(int), 0, -1)
        shown = pixels_of(picture)
        assert np.abs(shown - right).max() <= 6  # of JPEG
        beside = np.abs(shown[:, :-1] - right[:, 1:]).mean(), np.abs(shown[::-1] - right).mean()
        assert np.abs(shown - right).mean() < 1.0 < 2.0 < min(beside)
        assert np.abs(shown[..., ::-1] - right).mean() > 10
    return found


def built(path: Path, out: Path) -> nt.Summary:
    summary = nt.build(nt.load_recipe(path), out, workers=0)
    assert summary.complete
    assert summary.failures == ()
    return summary


@pytest.mark.long
def test_one_file_of_four_bands_from_a_stac_api_over_http(folder, rustac, tmp_path):
    with FileServer(folder) as files:
        url = rustac([image.item(f"{files.url}/{image.id}.tif") for image in IMAGES.values()])
        path = recipe(
            folder,
            name="stac.yaml",
            imagery={"url": url, "allow_hosts": [files.address]},
            patches={"area": [-93.01, 44.96, -92.98, 44.98]},
            osm={"path": "map.osm.pbf"},
        )
        assert not (tmp_path / "out").exists()
        summary = built(path, tmp_path / "out")
        assert summary.rejects == {"nodata": 4}  # the first row of the newer image
        check(tmp_path / "out")
        count = len(files.requests())
        assert sum(each.sent for each in files.requests()) < 1.2 * sum(
            path.stat().st_size for path in folder.glob("*.tif")
        )
        assert built(path, tmp_path / "out").requests == 0
        assert len(files.requests()) == count  # what is finished is not read again
        assert nt.verify(tmp_path / "out", deep=True, rebuild=3).problems == ()
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| patch: nodata | 4 |" in card
    assert "public domain" in card
    assert "aerial photographs" in card
    assert "satellite" not in card.lower()


@pytest.mark.sampled(one_in=2, among="sources of patches")
def test_naip_of_earth_engine_is_the_same_pictures(folder, tmp_path, monkeypatch, session):
    sign_out(monkeypatch, tmp_path)
    collection = "USDA/NAIP/DOQQ"

    def image(flown: Flown):
        def band(k: int):
            def at(x, y):
                col, row = np.floor((x - flown.corner[0]) / flown.pixel), np.floor((flown.corner[1] - y) / flown.pixel)
                values = flown.pixels(row.astype(int), col.astype(int))[k]
                return values, values > 0

            return at

        bands = {name: ("uint8", band(k)) for k, name in enumerate("RGBN")}
        return image_of_function(
            f"{collection}/{flown.id}", bands=bands, crs=f"EPSG:{flown.epsg}", transform=flown.grid.affine,
            shape=flown.shape, start=f"{flown.day}T00:00:00",
        )  # fmt: skip

    path = recipe(folder, name="local.yaml", osm={"path": "map.osm.pbf"})
    catalogue(folder, IMAGES.values())
    built(path, tmp_path / "stac")
    with EarthEngineServer({collection: [image(each) for each in IMAGES.values()]}, projects=("any",)) as server:
        content = yaml.safe_load(path.read_text())
        content["imagery"] = {
            "source": "earthengine", "collection": collection, "datetime": "2018-01-01/2023-12-31",
            "project": "any", "url": server.url,
        }  # fmt: skip
        content["patches"]["area"] = [-93.01, 44.96, -92.98, 44.98]
        (folder / "ee.yaml").write_text(yaml.safe_dump(content))
        summary = built(folder / "ee.yaml", tmp_path / "ee")
        assert summary.rejects == {"nodata": 4}
        assert server.count("pixels") == len(EXPECTED) + 4  # one request a patch
        mine, theirs = check(tmp_path / "stac"), check(tmp_path / "ee")
        for key, (picture, content) in theirs.items():
            assert picture == mine[key][0]
            assert content["annotations"] == mine[key][1]["annotations"]
        assert nt.verify(tmp_path / "ee", deep=True, rebuild=2).problems == ()


@pytest.mark.sampled(one_in=2, among="sources of patches")
def test_overpass_gives_the_same_tree_and_is_asked_once(folder, tmp_path, session):
    catalogue(folder, IMAGES.values())
    few = {"patches": {"fraction": 0.5, "seed": 3}}
    built(recipe(folder, name="pbf.yaml", osm={"path": "map.osm.pbf"}, **few), tmp_path / "pbf")
    with OverpassServer(planted(NEW.epsg, *GROUND)) as server:
        osm = {"source": "overpass", "url": server.url, "date": "2022-06-01", "requests_per_minute": 6000}
        path, out = recipe(folder, name="overpass.yaml", osm=osm, **few), tmp_path / "out"
        plan = nt.plan(nt.load_recipe(path))
        assert nt.build(nt.load_recipe(path), out, workers=0, limit=3).complete
        built(path, out)
        batches = len(list(plan.batches()))
        assert len(server.queries) == len(set(server.queries)) == batches  # in halves, each question was asked once
        assert all('[date:"2022-06-01T00:00:00Z"]' in query for query in server.queries)
        built(path, tmp_path / "at-once")
        assert server.queries[batches:] == server.queries[:batches]
    mine, theirs = samples(tmp_path / "pbf"), samples(out)
    assert mine.keys() == theirs.keys()
    for key, (picture, content) in mine.items():
        assert theirs[key][0] == picture
        assert theirs[key][1]["annotations"] == content["annotations"]
        assert theirs[key][1]["provenance"]["osm"] == content["provenance"]["osm"]
    # Nobody is asked when it is held against what was answered.
    assert nt.verify(out, deep=True, rebuild=4).problems == ()
    answer = sorted((out / "_nutonic" / "maps").iterdir())[0]
    before = answer.read_bytes()
    value = json.loads(before)
    for element in value["elements"]:
        element["tags"] = {key: "scrub" if told == "forest" else told for key, told in element["tags"].items()}
    answer.write_bytes(sealed(value))
    assert any("is not what the map says" in problem for problem in nt.verify(out, deep=True).problems)
    answer.unlink()
    assert any("is not kept, or was changed" in problem for problem in nt.verify(out, deep=True).problems)
    answer.write_bytes(before)
    assert nt.verify(out, deep=True).problems == ()


# Real pictures


def features_of(items: list[dict]) -> str:
    return json.dumps({"type": "FeatureCollection", "features": items})


def real_item(path: Path, name: str, when: str, assets: dict[str, Path]) -> dict:
    """A STAC item for a file as it is, or for several of one grid."""
    with rasterio.open(path) as raster:
        grid = Flown(id=name, corner=(raster.transform.c, raster.transform.f), shape=raster.shape,
                     epsg=raster.crs.to_epsg(), pixel=raster.transform.a, day=when)  # fmt: skip
    item = grid.item(str(path))
    if assets:
        item["assets"] = {band: {"href": str(file), "roles": ["data"]} for band, file in assets.items()}
    return item


#: What is planted in each patch of a row: where in it, in parts of its side from its west and north, and words that its
#: caption must have, and must not have.
LAKES = {
    0: ((0.05, 0.05, 0.30, 0.30), "north-west", ("south", "east")),
    1: ((0.70, 0.05, 0.95, 0.30), "north-east", ("south", "west")),
    2: ((0.05, 0.70, 0.30, 0.95), "south-west", ("north", "east")),
    3: ((0.70, 0.70, 0.95, 0.95), "south-east", ("north", "west")),
}
ROADS = {
    0: ((0.0, 0.5, 1.0, 0.5), ("east", "west"), ("north", "south")),
    1: ((0.5, 0.0, 0.5, 1.0), ("north", "south"), ("east", "west")),
}


def words(text: str) -> set[str]:
    return {word.strip(".,;:()") for part in text.lower().split() for word in (part, *part.split("-"))}


@pytest.mark.sampled(one_in=2, among="sources of patches")
@pytest.mark.skipif(not (DATA / "naip").is_dir(), reason="the real rasters are not beside this checkout")
def test_real_naip_with_what_was_planted_in_it(tmp_path):
    (path,) = sorted((DATA / "naip").glob("*.tif"))
    size, side = 160, 160 * 5.0
    with rasterio.open(path) as raster:
        left, top, epsg = raster.transform.c, raster.transform.f, raster.crs.to_epsg()
        image = raster.read()
    assert image.shape[1] >= 2 * size
    assert image.shape[2] >= 4 * size

    def at(x: float, y: float, row: int, col: int) -> tuple[float, float]:
        return left + (col + x) * side, top - (row + y) * side

    features = []
    for col, ((west, north, east, south), _, _) in LAKES.items():
        box = rectangle(*at(west, south, 0, col), *at(east, north, 0, col))
        features.append(("area", box, {"natural": "water", "water": "lake", "name": f"Lake {col}"}))
    for col, ((x1, y1, x2, y2), _, _) in ROADS.items():
        features.append(("line", [at(x1, y1, 1, col), at(x2, y2, 1, col)], {"highway": "track"}))
    plant(tmp_path / "map.osm.pbf", epsg, *features)
    (tmp_path / "items.json").write_text(features_of([real_item(path, "naip-real", "2020-06-01", {})]))
    few = recipe(
        tmp_path,
        patches={"size": size, "resolution_m": 5.0},
        osm={"path": "map.osm.pbf"},
        captions={"revisions": {0: 1.0}},
    )
    summary = built(few, tmp_path / "out")
    assert summary.chips == 6
    assert nt.verify(tmp_path / "out", deep=True).problems == ()
    assert sum(summary.rejects.values()) == (image.shape[1] // size) * (image.shape[2] // size) - 6
    for picture, content in samples(tmp_path / "out").values():
        (annotation,) = content["annotations"]
        _, _, c, _, _, f = content["provenance"]["image"]["transform"]
        row, col = round((top - f) / side), round((c - left) / side)
        spoken = words(annotation["text"])
        if row == 0:
            _, corner, never = LAKES[col]
            assert annotation["task"] == 1
            assert corner in spoken
            assert "lake" in spoken
        else:
            _, both, never = ROADS[col]
            assert annotation["task"] == 2
            assert set(both) <= spoken
            assert "straight" in spoken
        assert not set(never) & spoken, annotation["text"]
        window = np.moveaxis(image[:3, row * size : (row + 1) * size, col * size : (col + 1) * size], 0, -1).astype(int)
        assert np.abs(pixels_of(picture) - window).max() <= 8
        assert np.abs(pixels_of(picture) - window).mean() < 1.0


@pytest.mark.sampled(one_in=2, among="sources of patches")
@pytest.mark.skipif(not (DATA / "s2_mol").is_dir(), reason="the real rasters are not beside this checkout")
def test_sentinel_2_with_captions_of_the_map(tmp_path):
    """Reflectance of 16 bits becomes pictures of 8 bits that are neither black nor garish."""
    files = {name: path for name, band in (("red", "B04"), ("green", "B03"), ("blue", "B02"))
             for path in sorted((DATA / "s2_mol").glob(f"*{band}*.tif"))}  # fmt: skip
    with rasterio.open(files["red"]) as raster:
        left, top, epsg = raster.transform.c, raster.transform.f, raster.crs.to_epsg()
        height, width = raster.shape
    plant(
        tmp_path / "map.osm.pbf",
        epsg,
        (
            "area",
            rectangle(left - 10, top - height * 10 - 10, left + width * 10 + 10, top + 10),
            {"landuse": "farmland"},
        ),
        ("line", [(left, top - 5000), (left + 5120, top - 5300)], {"waterway": "canal", "name": "Kempen"}),
    )
    item = real_item(files["red"], "s2-mol", "2019-04-11", files)
    item["collection"] = "sentinel-2-l2a"
    (tmp_path / "items.json").write_text(features_of([item]))
    path = recipe(
        tmp_path,
        imagery={"collection": "sentinel-2-l2a", "assets": ["red", "green", "blue"]},
        patches={"size": 256, "resolution_m": 10.0, "stretch": {"low": 2, "high": 98}, "min_valid_fraction": 0.9},
        osm={"path": "map.osm.pbf"},
    )
    summary = built(path, tmp_path / "out")
    assert summary.chips == 8
    assert nt.verify(tmp_path / "out", deep=True).problems == ()
    for picture, content in samples(tmp_path / "out").values():
        shown = pixels_of(picture)
        assert 50 < shown.mean() < 190
        assert shown.std() > 25
        per_band = shown.reshape(-1, 3).mean(axis=0)
        assert np.ptp(per_band) < 60  # no cast of one colour
        assert ((shown == 0) | (shown == 255)).mean() < 0.08
        assert np.corrcoef(shown.reshape(-1, 3).T).min() > 0.5  # bands go together, as on the ground
        text = content["annotations"][0]["text"].lower()
        assert "farmland" in text or "canal" in text or "field" in text
        assert "aerial" not in text
        assert "photograph" not in text
    card = (tmp_path / "out" / "README.md").read_text()
    assert "satellite images" in card
    assert "Copernicus" in card
