"""Items of real catalogues, on files of our own: the same ground gives the same reflectance, whoever describes it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from support.paths import ROOT
from support.worlds import written

import nutonic as nt
from nutonic.core.grid import grid_around

STAC = ROOT.parent / "shared/data/stac"
pytestmark = pytest.mark.skipif(not STAC.is_dir(), reason="../shared/data/stac is not here")

BANDS = {"red": "B04", "green": "B03", "blue": "B02"}


def load(name: str, index: int = 0) -> dict[str, Any]:
    content = json.loads((STAC / name).read_text())
    return copy.deepcopy((content if isinstance(content, list) else content.get("features", [content]))[index])


def planetary_computer_2024() -> tuple[dict[str, Any], dict[str, str], int]:
    return load("sentinel-2-l2a-pc.json"), BANDS, 1000  # baseline 05.10, nothing declared


def planetary_computer_2020() -> tuple[dict[str, Any], dict[str, str], int]:
    return load("s2_two_months_35MNM.geojson"), BANDS, 0  # baseline 02.12


def copernicus_2025() -> tuple[dict[str, Any], dict[str, str], int]:
    item = load("s2_cdse_stac_1.1_proj_code.json")  # STAC 1.1: proj:code alone, raster:offset -0.1
    return item, {name: f"{band}_10m" for name, band in BANDS.items()}, 1000


def earth_search(**properties: Any) -> tuple[dict[str, Any], dict[str, str], int]:
    """As Earth Search v1 writes it: names by colour, an offset declared, and a flag that says whether it is in already."""
    item, names, _ = planetary_computer_2024()
    declared = {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}]}
    item["assets"] = {name: {**item["assets"][band], **declared} for name, band in names.items()}
    item["properties"].update(properties)
    return item, {name: name for name in names}, 0 if properties.get("earthsearch:boa_offset_applied") else 1000


def unmarked(item: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """An item that tells neither CRS nor transform: its files must."""
    item["properties"].pop("proj:epsg", None)
    for key in keys:
        for name in ("proj:code", "proj:transform", "proj:shape", "proj:bbox"):
            item["assets"][key].pop(name, None)
    return item


def bare_2024() -> tuple[dict[str, Any], dict[str, str], int]:
    item, names, offset = planetary_computer_2024()
    return unmarked(item, list(names.values())), names, offset


CASES = {
    "planetary-computer-05.10": planetary_computer_2024,
    "planetary-computer-02.12": planetary_computer_2020,
    "copernicus-proj-code-only": copernicus_2025,
    "earth-search-applied-though-declared": lambda: earth_search(**{"earthsearch:boa_offset_applied": True}),
    "earth-search-not-applied": lambda: earth_search(**{"earthsearch:boa_offset_applied": False}),
    "earth-search-declared-only": lambda: earth_search(),
    "neither-crs-nor-transform": bare_2024,
}


def ground() -> np.ndarray:
    """Reflectance (3, 300, 300), asymmetric, with a corner that was not observed."""
    values = np.random.default_rng(4).integers(1, 9000, (3, 300, 300)).astype(np.uint16)
    values[:, :40, :25] = 0
    return values


def write(folder: Path, item: dict[str, Any], names: dict[str, str], offset: int) -> tuple[float, float, str]:
    """The item's files at the north-west corner of its scene, shrunk; longitude and latitude of their middle."""
    code = item["assets"][names["red"]].get("proj:code") or f"EPSG:{item['properties'].get('proj:epsg', 32647)}"
    a, b, c, d, e, f = (item["assets"][names["red"]].get("proj:transform") or [10, 0, 399960, 0, -10, 9100020])[:6]
    for k, (name, key) in enumerate(names.items()):
        path = folder / f"{name}.tif"
        values = ground()[k]
        stored = np.where(values > 0, values + offset, 0).astype(np.uint16)
        with rasterio.open(
            path, "w", driver="GTiff", height=300, width=300, count=1, dtype="uint16", crs=code,
            transform=Affine(a, b, c, d, e, f), tiled=True, blockxsize=128, blockysize=128,
        ) as out:  # fmt: skip
            out.write(stored, 1)
        asset = item["assets"][key]
        asset["href"] = path.name
        asset.pop("alternate", None)
        if "proj:shape" in asset:
            asset["proj:shape"] = [300, 300]
    to_degrees = Transformer.from_crs(code, "EPSG:4326", always_xy=True)
    x, y = np.array([0, 3000, 3000, 0, 0]) + c, np.array([0, 0, -3000, -3000, 0]) + f
    ring = np.stack(to_degrees.transform(x, y), -1)
    item["geometry"] = {"type": "Polygon", "coordinates": [ring.tolist()]}
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    lon, lat = to_degrees.transform(c + 1500, f - 1500)
    return lon, lat, code


@pytest.mark.parametrize("engine", ["stackstac", "odc-stac"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_ground_gives_the_same_reflectance(tmp_path, case, engine):
    item, names, offset = CASES[case]()
    lon, lat, code = write(tmp_path, item, names, offset)
    source = nt.StacSource(
        url=str(tmp_path / "items.json"), collection=item["collection"], assets=tuple(names.values()), engine=engine
    )
    ((scene,),) = source.search(np.array([lon]), np.array([lat]), 2560)
    assert (scene.id, scene.assets[0].crs) == (item["id"], code)
    grid = grid_around(lon, lat, extent_m=2560, crs=code)
    cube = source.open(grid, [scene], chunks=100)
    found = np.stack([cube[name].values for name in names.values()])
    row, col = 22, 22  # half of 3000 m less 2560 m, in pixels
    assert np.array_equal(found, ground()[:, row : row + 256, col : col + 256])
    assert (found == 0).any()


def test_known_catalogues_call_their_bands_otherwise():
    from nutonic.core.catalogs import catalogue_at

    assert catalogue_at("https://planetarycomputer.microsoft.com/api/stac/v1").assets["red"] == "B04"
    assert catalogue_at("https://stac.dataspace.copernicus.eu/v1").assets["visual"] == "TCI_10m"
    for host in ("earth-search.aws.element84.com", "example.org"):
        assert catalogue_at(f"https://{host}/v1").assets == {}


def test_real_hrefs_are_allowed_as_they_are_or_in_their_alternate():
    from nutonic.core.catalogs import KNOWN_HOSTS
    from nutonic.io.access import access_for
    from nutonic.sources.item import item_of
    from nutonic.sources.stac.assets import asset_of
    from nutonic.sources.stac.bands import Located

    access = access_for("/items.json", [], KNOWN_HOSTS, None)
    item, names, _ = copernicus_2025()
    found = asset_of(item_of(item, "/", "x"), Located(names["red"]), access, name="red")
    assert found.href.startswith("https://zipper.dataspace.copernicus.eu/")  # not s3, which needs an account's keys
    assert (found.crs, found.offset, found.nodata) == ("EPSG:32633", -1000, 0)
    for name, key in (
        ("sentinel-2-l2a-pc.json", "B04"),
        ("io-lulc-annual-v02-pc.json", "data"),
        ("naip-pc.json", "image"),
    ):
        assert asset_of(item_of(load(name), "/", "x"), Located(key), access, name="x").href.startswith("https://")


# The provider's picture, where a band is missing


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("engine", ["stackstac", "odc-stac"])
def test_visual_serves_where_a_band_is_missing_and_is_not_stretched_again(tmp_path, engine):
    from PIL import Image

    from nutonic.run.run import build
    from nutonic.testing import SyntheticPlanet

    planet = SyntheticPlanet()
    recipe_path = written(planet, tmp_path / "planet", imagery={"engine": engine})
    catalogue = json.loads((tmp_path / "planet/items.json").read_text())
    item = next(item for item in catalogue["features"] if item["id"] == "west")
    with rasterio.open(tmp_path / "planet/west/red.tif") as red:
        profile, shape = red.profile, red.shape
    picture = np.random.default_rng(3).integers(1, 256, (3, *shape)).astype(np.uint8)
    picture[:, :, :5] = 0
    with rasterio.open(tmp_path / "planet/west/TCI.tif", "w", **{**profile, "count": 3, "dtype": "uint8"}) as out:
        out.write(picture)
    (tmp_path / "planet/west/green.tif").unlink()
    del item["assets"]["green"]
    bands = {"raster:bands": [{"nodata": 0}] * 3}
    item["assets"]["visual"] = {**item["assets"]["red"], **bands, "href": "west/TCI.tif", "roles": ["visual"]}
    (tmp_path / "planet/items.json").write_text(json.dumps(catalogue))
    build(nt.load_recipe(recipe_path), tmp_path / "tree", workers=0)
    seen = 0
    for path in (tmp_path / "tree/metadata").rglob("*.json"):
        sidecar = json.loads(path.read_text())
        if sidecar["imagery"]["item_id"] != "west":
            assert set(sidecar["imagery"]["assets"].values()) == {
                f"{sidecar['imagery']['item_id']}/{name}.tif" for name in ("red", "green", "blue")
            }
            continue
        seen += 1
        assert set(sidecar["imagery"]["assets"].values()) == {"west/TCI.tif"}
        assert set(sidecar["imagery"]["offset_applied"].values()) == {0}
        assert set(sidecar["stretch"]["low"].values()) | set(sidecar["stretch"]["high"].values()) == {0, 255}
        c, f = sidecar["grid"]["transform"][2], sidecar["grid"]["transform"][5]
        window, a = sidecar["window"], profile["transform"]
        row, col = round((a.f - f) / 10) + window["row"], round((c - a.c) / 10) + window["col"]
        native = picture[:, row : row + window["height"], col : col + window["width"]]
        if native.shape[1:] != (window["height"], window["width"]):
            continue
        right = Image.fromarray(np.moveaxis(native, 0, -1)).resize((40, 40), Image.Resampling.BOX)
        chip = np.asarray(
            Image.open(tmp_path / "tree/images" / path.relative_to(tmp_path / "tree/metadata").with_suffix(".png"))
        )
        assert np.array_equal(chip, np.asarray(right))
    assert seen > 5
