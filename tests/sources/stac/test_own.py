"""A catalogue of one's own GeoTIFFs: pixels come out as they are in the file, whatever its bands are called."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import rasterio
from affine import Affine
from support.cli import nutonic

import nutonic as nt
from nutonic.recipe.outputs import Grid


def written(
    path,
    bands: int = 3,
    *,
    dtype: str = "uint8",
    names: tuple[str, ...] = (),
    west: float = 400_000.0,
    crs: str = "EPSG:32633",
    transform: Affine | None = None,
):
    """A GeoTIFF of 300 × 200 pixels, no two rows, columns or bands alike."""
    rows, columns = np.mgrid[:200, :300]
    pixels = np.stack([(rows * 7 + columns * 3 + band * 50) % 251 + 1 for band in range(bands)]).astype(dtype)
    profile = {"driver": "GTiff", "height": 200, "width": 300, "count": bands, "dtype": dtype, "crs": crs}
    if bands == 3 and not names:
        profile["photometric"] = "RGB"
    with rasterio.open(path, "w", **profile, transform=transform or Affine(10, 0, west, 0, -10, 5_800_003)) as raster:
        raster.write(pixels)
        for number, name in enumerate(names, 1):
            raster.set_band_description(number, name)
    return pixels


def test_the_cube_of_an_own_file_is_the_file(tmp_path, monkeypatch):
    pixels = written(tmp_path / "mine.tif")
    monkeypatch.chdir(tmp_path)
    said = nutonic("catalogue", "mine.tif", "--datetime", "2024-06-01")
    assert said.code == 0
    assert "imagery:\n  url: items.json" in said.out
    assert "resolution_m: 10, lattice: source" in said.out
    (item,) = json.loads((tmp_path / "items.json").read_text())["features"]
    assert (item["id"], item["assets"]["image"]["href"]) == ("mine", "./mine.tif")
    assert item["properties"]["datetime"].startswith("2024-06-01")
    source = nt.StacSource(url="items.json", collection="own")
    settings = Grid(resolution_m=10, lattice="source", extent_m=500)
    cube = nt.open_scene((13.5503, 52.3366), [source], time="2024-06-01", grid_settings=settings).compute()
    west, top = 400_000, 5_800_003
    column, row = round((float(cube.x[0]) - 5 - west) / 10), round((top - float(cube.y[0]) - 5) / 10)
    height, width = cube["red"].shape
    assert (height, width) == (50, 50)
    for band, name in enumerate(("red", "green", "blue")):
        np.testing.assert_array_equal(cube[name], pixels[band, row : row + height, column : column + width])


def test_bands_are_taken_by_their_names(tmp_path):
    pixels = written(tmp_path / "four.tif", 4, dtype="uint16", names=("nir", "blue", "green", "red"))
    said = nutonic("catalogue", tmp_path / "four.tif", "--datetime", "2024", "--out", tmp_path / "i.json")
    assert "assets: [{asset: image, band: 4}, {asset: image, band: 3}, {asset: image, band: 2}]" in said.out
    bands = json.loads((tmp_path / "i.json").read_text())["features"][0]["assets"]["image"]["bands"]
    assert [band["name"] for band in bands] == ["nir", "blue", "green", "red"]
    assert pixels.shape[0] == 4


def test_mistakes_are_told_and_nothing_is_written(tmp_path):
    written(tmp_path / "mine.tif")
    (tmp_path / "there.json").write_text("mine")
    (tmp_path / "else").mkdir()
    written(tmp_path / "else" / "mine.tif", west=500_000.0)
    out = ("--out", tmp_path / "items.json")
    cases = [
        ((tmp_path / "no.tif", "--datetime", "2024", *out), "no.tif does not exist"),
        ((tmp_path / "mine.tif", "--datetime", "yesterday", *out), "--datetime"),
        ((tmp_path / "mine.tif", tmp_path / "else/mine.tif", "--datetime", "2024", *out), "files are called mine"),
        ((tmp_path / "mine.tif", "--datetime", "2024", "--out", tmp_path / "there.json"), "there.json exists"),
    ]  # fmt: skip
    for arguments, words in cases:
        said = nutonic("catalogue", *arguments)
        assert said.code == 2
        assert words in said.err, said.err
        assert len(said.err.splitlines()) == 1
    assert (tmp_path / "there.json").read_text() == "mine"
    assert not (tmp_path / "items.json").exists()


@pytest.mark.parametrize("count", [2])
def test_a_folder_is_a_scene_for_each_file(tmp_path, count):
    for number in range(count):
        written(tmp_path / f"{number}.tif", west=400_000.0 + 3000 * number)
    said = nutonic("catalogue", tmp_path, "--datetime", "2024", "--out", tmp_path / "items.json")
    assert said.code == 0
    items = json.loads((tmp_path / "items.json").read_text())["features"]
    assert [item["id"] for item in items] == [str(number) for number in range(count)]
    assert items[0]["bbox"][2] < items[1]["bbox"][2]


DEGREES = Affine(0.0003, 0, 12.0, 0, -0.0003, 52.5)


@pytest.mark.parametrize(
    ("crs", "transform", "said"),
    [
        (
            "EPSG:4326",
            DEGREES,
            "is in EPSG:4326, whose unit is not the metre, .*: warp it first, .* -t_srs EPSG:32633$",
        ),
        ("EPSG:4326", Affine(0.0003, 0, 179.99, 0, -0.0003, -20.0), "-t_srs EPSG:32701$"),
        ("EPSG:2263", Affine(10, 0, 900_000, 0, -10, 200_000), "is in EPSG:2263, whose unit is not the metre"),
        ("EPSG:32633", Affine(10, 1, 4e5, 1, -10, 5.8e6), "is rotated"),
        ("EPSG:32633", Affine(10, 0, 4e5, 0, -20, 5.8e6), "which are not square: warp it"),
        (
            "EPSG:32633",
            Affine(0.005, 0, 4e5, 0, -0.005, 5.8e6),
            "pixels of 0.005 m, grid.resolution_m takes 0.01 to 10000",
        ),
    ],
)
def test_files_whose_pixels_no_grid_can_have_are_refused(tmp_path, crs, transform, said):
    written(tmp_path / "good.tif")
    written(tmp_path / "odd.tif", crs=crs, transform=transform)
    found = nutonic("catalogue", tmp_path, "--datetime", "2024", "--out", tmp_path / "items.json")
    assert (found.code, found.out) == (2, "")
    assert len(found.err.splitlines()) == 1
    assert "odd.tif" in found.err
    assert re.search(said, found.err.strip()), found.err
    assert not (tmp_path / "items.json").exists()


def test_the_size_of_pixels_is_told_as_it_is(tmp_path):
    written(tmp_path / "web.tif", crs="EPSG:3857", transform=Affine(1.1943285669, 0, 1.5e6, 0, -1.1943285669, 6.9e6))
    found = nutonic("catalogue", tmp_path / "web.tif", "--datetime", "2024", "--out", tmp_path / "items.json")
    assert "grid: {resolution_m: 1.194328567, lattice: source, extent_m: …}" in found.out


def test_of_files_that_differ_it_says_how_many_have_what(tmp_path):
    for name, pixel, count in (("a", 3.0, 1), ("b", 10.0, 3), ("c", 10.0, 3)):
        profile = {"driver": "GTiff", "dtype": "uint8", "count": count, "width": 40, "height": 40, "crs": "EPSG:32633"}
        place = Affine(pixel, 0, 500_000, 0, -pixel, 5_000_000)
        with rasterio.open(tmp_path / f"{name}.tif", "w", transform=place, **profile) as raster:
            raster.write(np.ones((count, 40, 40), np.uint8))
    said = nutonic("catalogue", tmp_path, "--datetime", "2024", "--out", tmp_path / "items.json")
    assert said.code == 0, said
    assert said.out.splitlines()[-4:] == [
        "  assets: [{asset: image, band: 1}, {asset: image, band: 2}, {asset: image, band: 3}]",
        "  # 1 item has other bands: 1",
        "grid: {resolution_m: 10, lattice: source, extent_m: …}",
        "# 1 item has pixels of 3 m, and a grid has one size",
    ]
