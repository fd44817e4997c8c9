"""How cubes, chips and class tables show themselves, and what people may give where they would try it."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from support.cli import nutonic
from support.paths import ROOT

import nutonic as nt
from nutonic.core.classes import DYNAMIC_WORLD, ESA_WORLDCOVER, PALETTE, TABLES
from nutonic.errors import InputError
from nutonic.sources.backend import dataset

GRID = GeoBox((3, 4), rasterio.Affine(10, 0, 600_000, 0, -10, 50_000), "EPSG:32632")

#: São Tomé by WorldCover: mostly trees and sea, mangroves in one pixel, one that nobody labelled.
MASK = np.array([[10, 10, 80, 80], [10, 95, 80, 0], [10, 10, 10, 80]], np.uint8)


@pytest.fixture
def cube():
    import dask.array as da

    from nutonic.core.model import Band

    shades = {
        Band(name=name, kind="reflectance", dtype="uint16", nodata=0): da.from_array(
            np.arange(1, 13, dtype=np.uint16).reshape(3, 4) * (k + 1), chunks=2
        )
        for k, name in enumerate(("red", "green", "blue"))
    }
    return dataset(GRID, {**shades, ESA_WORLDCOVER.band: da.from_array(MASK, chunks=2)})


def test_labels_say_what_their_values_mean(cube, tmp_path):
    """By CF's flags, in the cube and in what is saved of it, so that other programs know too."""
    saved = nt.save_cube(cube, tmp_path / "cube.zarr")
    for label in (cube.label, nt.open_zarr(saved).label, xr.open_zarr(saved).label):
        meaning = dict(
            zip(np.atleast_1d(label.attrs["flag_values"]).tolist(), label.attrs["flag_meanings"].split(), strict=True)
        )
        colours = dict(zip(meaning, label.attrs["flag_colors"].split(), strict=True))
        assert (meaning[10], meaning[95], meaning[60]) == ("tree_cover", "mangroves", "bare_or_sparse_vegetation")
        assert (colours[10], colours[95]) == ("#006400", "#00cf75")
        assert len(meaning) == 11
    assert cube.label.attrs["flag_values"].dtype == np.uint8
    assert "flag_values" not in cube.red.attrs


def test_the_legend_has_names_that_cf_has_no_letters_for(tmp_path):
    import dask.array as da

    from nutonic.core.model import Band

    flags = ((10, "water/lake", "#0064c8"), (80, "bare_ground", "#b4b4b4"), (95, "pré (humide)", "#00cf75"))
    band = Band(name="label", kind="class", dtype="uint8", nodata=0, flags=flags)
    saved = nt.save_cube(dataset(GRID, {band: da.from_array(MASK, chunks=2)}), tmp_path / "cube.zarr")
    label = nt.open_zarr(saved).label
    assert label.attrs["flag_meanings"] == "water_lake bare_ground pr_humide"
    plt = pytest.importorskip("matplotlib.pyplot")
    (axis,) = label.to_dataset().nutonic.plot()
    names = {text.get_text().rpartition(" (")[0] for text in axis.get_legend().get_texts()}
    plt.close(axis.figure)
    assert names == {"water/lake", "bare ground", "pré (humide)"}


def test_a_geotiff_of_classes_has_their_colours(cube, tmp_path):
    paths = {path.stem: path for path in nt.save_cogs(cube, tmp_path)}
    with rasterio.open(paths["label"]) as raster:
        assert (raster.read(1) == MASK).all()
        colours = raster.colormap(1)
        assert {value: colours[value][:3] for value in (10, 80, 95)} == {
            10: (0, 100, 0),
            80: (0, 100, 200),
            95: (0, 207, 117),
        }
        assert raster.colorinterp[0] == rasterio.enums.ColorInterp.palette
        assert raster.nodata == 0
    with rasterio.open(paths["red"]) as raster, pytest.raises(ValueError, match="colo"):
        raster.colormap(1)


@pytest.mark.parametrize("table", TABLES.values(), ids=str)
def test_a_colormap_gives_each_class_its_colour(table):
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axis = plt.subplots()
    ids = np.arange(256, dtype=np.uint8)[None]
    shown = axis.imshow(ids, cmap=table.cmap(), vmin=0, vmax=255).to_rgba(ids, bytes=True)[0]
    plt.close(figure)
    for class_id in range(256):
        colour = "#" + bytes(shown[class_id, :3].tolist()).hex()
        assert (colour, shown[class_id, 3]) == (
            (table.colors[class_id], 255) if class_id in table.labels else ("#000000", 0)
        )


def test_a_table_without_colours_has_some(tmp_path):
    table = nt.ClassTable(name="mine", labels={7: "a", 3: "b"}, unknown=0, colors={3: "#123456"})
    assert (table.color(7), table.color(3)) == ("#E69F00", "#123456")


def test_classes_without_colours_get_those_that_their_names_let_expect_and_no_two_are_alike():
    labels = {
        1: "bare",
        2: "open water",
        3: "trees",
        4: "seasonal marsh",
        5: "built area",
        6: "pine forest",
        7: "crops",
    }
    table = nt.ClassTable(name="mine", labels=labels, unknown=0, colors={4: "#e69f00"})
    assert [table.color(i) for i in (2, 3, 5, 7, 4)] == ["#56B4E9", "#009E73", "#D55E00", "#F0E442", "#e69f00"]
    assert len({table.color(class_id).upper() for class_id in labels}) == len(labels)
    many = nt.ClassTable(name="many", labels={i: f"kind {i}" for i in range(20)}, unknown=255, colors={})
    assert [many.color(i) for i in range(20)] == [*PALETTE, *PALETTE, *PALETTE[:4]]


def test_a_plot_names_each_class_rightly(cube):
    plt = pytest.importorskip("matplotlib.pyplot")
    picture, classes = cube.nutonic.plot()
    (drawn,) = classes.images
    hexes = np.array(
        [["#" + bytes((p[:3] * 255).round().astype(int).tolist()).hex() for p in row] for row in drawn.get_array()]
    )
    for value in (10, 80, 95):
        assert set(hexes[value == MASK]) == {ESA_WORLDCOVER.colors[value]}
    assert (drawn.get_array()[MASK == 0][:, 3] == 0).all()
    legend = [text.get_text() for text in classes.get_legend().get_texts()]
    assert legend == ["tree cover (50%)", "permanent water bodies (33%)", "mangroves (8%)"]
    assert drawn.get_extent() == [600_000, 600_040, 49_970, 50_000]
    assert picture.images[0].get_array().shape == (3, 4, 3)
    plt.close(picture.figure)


def test_a_plot_of_a_step_and_of_nothing(cube):
    plt = pytest.importorskip("matplotlib.pyplot")
    over_time = xr.concat(
        [cube[["red"]], cube[["red"]] + 1], dim=xr.Variable("time", np.array(["2024-01-01", "2024-02-01"], "M8[ns]"))
    )
    (axis,) = over_time.nutonic.plot(time=1)
    plt.close(axis.figure)
    with pytest.raises(InputError, match="time is 2, and the cube has 2 steps"):
        over_time.nutonic.plot(time=2)
    with pytest.raises(InputError, match="nothing to draw"):
        xr.Dataset({"a": ("k", [1])}).nutonic.plot()
    (axis,) = over_time.nutonic.plot(time=np.int64(-1))
    plt.close(axis.figure)
    for wrong in ("x", "2024-01-01", 1.0, None, slice(1)):
        for each in (over_time, cube):
            with pytest.raises(
                InputError, match=f"time is {re.escape(repr(wrong))}: give the number of a step, from 0"
            ):
                each.nutonic.plot(time=wrong)
    for wrong in ("x", 0, -1.0, float("nan"), float("inf"), None):
        with pytest.raises(InputError, match=f"size is {re.escape(repr(wrong))}: give the side of each part in inches"):
            cube.nutonic.plot(size=wrong)
    assert not plt.get_fignums()


def shown(axis) -> np.ndarray:
    """What an axis shows, as numbers from 0 to 1."""
    return np.asarray(axis.images[0].get_array(), float)


def test_a_plot_shows_the_bands_that_are_asked_for(cube):
    plt = pytest.importorskip("matplotlib.pyplot")
    (axis,) = cube.nutonic.plot(["blue", "red", "green"], robust=False)
    assert axis.get_title() == "blue, red, green"
    ramp = (np.arange(12).reshape(3, 4)) / 11
    np.testing.assert_allclose(shown(axis), np.stack([ramp] * 3, -1))
    (one,) = cube.nutonic.plot("green", vmin=0, vmax=24)
    np.testing.assert_allclose(shown(one)[..., 0], np.arange(1, 13).reshape(3, 4) * 2 / 24, atol=1 / 255)
    (label,) = cube.nutonic.plot("label")
    assert label.get_legend() is not None
    assert len(cube.nutonic.plot(["green", "label"])) == 2
    (each,) = cube.nutonic.plot(["red", "green", "blue"], vmin=[0, 0, 0], vmax=[12, 24, 36])
    np.testing.assert_allclose(shown(each), np.stack([np.arange(1, 13).reshape(3, 4) / 12] * 3, -1))
    (coloured,) = cube.nutonic.plot("red", cmap="viridis", robust=False)
    np.testing.assert_allclose(shown(coloured)[0, 0], plt.get_cmap("viridis")(0.0)[:3])
    plt.close("all")


def test_a_plot_is_drawn_where_it_is_asked_for(cube):
    plt = pytest.importorskip("matplotlib.pyplot")
    _, axes = plt.subplots(1, 2)
    assert cube.nutonic.plot(ax=axes) == tuple(axes)
    _, axis = plt.subplots()
    assert cube.nutonic.plot(["red", "green", "blue"], ax=axis) == (axis,)
    assert len(axis.images) == 1
    assert len(plt.get_fignums()) == 2  # those that were there
    with pytest.raises(InputError, match="ax has 1 axis, and there are 2 parts to draw: give as many, or fewer parts"):
        cube.nutonic.plot(ax=axis)
    with pytest.raises(InputError, match="ax has 2 axes, and there is 1 part to draw"):
        cube.nutonic.plot("red", ax=axes)
    with pytest.raises(InputError, match="ax is 'here': give axes of matplotlib"):
        cube.nutonic.plot(ax="here")
    plt.close("all")


def test_a_plot_has_north_up_however_the_coordinates_go(cube):
    plt = pytest.importorskip("matplotlib.pyplot")
    (right,) = cube.nutonic.plot("red")
    for turned in (cube.sortby("y"), cube.isel(x=slice(None, None, -1)), cube.transpose("x", "y")):
        (axis,) = turned.nutonic.plot("red")
        np.testing.assert_array_equal(shown(axis), shown(right))
        assert axis.images[0].get_extent() == right.images[0].get_extent()
    with pytest.raises(InputError, match="x has pixels of several sizes"):
        cube.isel(x=[0, 1, 3]).nutonic.plot()
    plt.close("all")


def test_what_was_not_observed_is_black_in_any_colours(cube):
    plt = pytest.importorskip("matplotlib.pyplot")
    gap = cube.assign(red=cube["red"].where(cube["red"] > 4, 0).astype("uint16").assign_attrs(cube["red"].attrs))
    for cmap in (None, "viridis"):
        (axis,) = gap.nutonic.plot("red", cmap=cmap, robust=False)
        assert (shown(axis)[0] == 0).all()
    plt.close("all")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"bands": ["nir"]}, "bands has 'nir', which is not in the cube: there are red, green, blue, label"),
        ({"bands": ["red", "green"]}, "bands has 2 for the picture: give one, or three, for red, green and blue"),
        ({"bands": []}, "bands is []: give names"),
        ({"bands": [1]}, "bands is [1]: give names"),
        ({"bands": 3}, "bands is 3: give names"),
        ({"vmin": "dark"}, "vmin is 'dark': give a number of the cube's own, or one for each of red, green, blue"),
        ({"vmax": [1, 2]}, "vmax is [1, 2]: give a number of the cube's own, or one for each of red, green, blue"),
        ({"vmin": float("nan")}, "vmin is nan: give a number"),
        ({"vmin": 9, "vmax": 3}, "vmin is 9 and vmax 3 of red: give a vmin below vmax"),
        ({"robust": "yes"}, "robust is 'yes': give True, for percentiles, or False"),
        ({"cmap": "viridis"}, "cmap is 'viridis', which is for a single band: give one, such as bands='red'"),
        ({"bands": "red", "cmap": "no such"}, "cmap is 'no such': give the name of a colour map"),
    ],
)
def test_what_a_plot_cannot_do_is_told(cube, options, told):
    plt = pytest.importorskip("matplotlib.pyplot")
    with pytest.raises(InputError) as refused:
        cube.nutonic.plot(**options)
    assert told in str(refused.value)
    assert not plt.get_fignums()


@pytest.mark.long
def test_scenes_are_told_in_a_word_and_saved_whole(recipe_path):
    recipe = nt.load_recipe(recipe_path)
    imagery = nt.StacSource(url=recipe.imagery.url, collection=recipe.imagery.collection)
    place = next(iter(nt.plan(recipe_path).places))
    opened = nt.open_scene((place.lon, place.lat), imagery)
    (line,) = (line for line in repr(opened).splitlines() if "nutonic_scenes" in line)
    assert line.split(":", 1)[1].strip() == "1: see cube.nutonic"
    assert '"assets"' not in opened._repr_html_().replace("&quot;", '"')
    assert len(opened.nutonic.scenes) == 1
    again = pickle.loads(pickle.dumps(opened))
    assert again.nutonic.scenes["id"].tolist() == opened.nutonic.scenes["id"].tolist()
    assert again.attrs == opened.attrs
    assert len("".join(opened.attrs["nutonic_scenes"])) > 100


def test_only_reductions_are_offered():
    offered = {
        "clearest",
        "count",
        "fractions",
        "mask",
        "mean",
        "median",
        "mode",
        "quantile",
        "valid_fraction",
        "zonal_counts",
    }
    assert set(dir(nt.reduce)) == offered | {"CLEAR", "Estimate", "estimate"}


@pytest.mark.long
@pytest.mark.parametrize("before", ["import nutonic, xarray as xr", "import rioxarray, nutonic, xarray as xr"])
def test_accessors_are_there_and_cost_nothing_until_used(before):
    """In a process of its own, where every warning is an error: other libraries register their names as if alone."""
    script = f"""
import sys
{before}
ds = xr.Dataset({{"a": (("y", "x"), [[1, 2], [3, 4]])}}, coords={{"y": [20.0, 10.0], "x": [0.0, 10.0]}})
early = "rioxarray" in sys.modules
assert {{"rio", "odc", "nutonic"}} <= set(dir(ds)) and {{"rio", "odc"}} <= set(dir(ds["a"])), dir(ds)
assert ds.rio.write_crs("EPSG:32632").odc.geobox.crs.epsg == 32632
assert ds["a"].rio.width == 2 and ds["a"].odc is not None
import rioxarray, odc.geo.xr
assert type(ds.rio).__module__.startswith("rioxarray")
print(early)
"""
    strict = "import warnings; warnings.filterwarnings('error', message='.*overriding a preexisting.*')\n"
    told = subprocess.check_output([sys.executable, "-c", strict + script], cwd=ROOT, text=True)
    assert told.strip() == str("rioxarray" in before)


def test_a_chip_is_a_line_and_a_picture(cube):
    chip = nt_chip()
    assert repr(chip) == "Chip(size=2 × 2, valid=50.0%, mask=0, 10)"
    html = chip._repr_html_()
    assert html.count("data:image/png;base64,") == 1
    assert "50.0%" in html


def nt_chip():
    from nutonic.core.model import Chip

    mask = np.array([[0, 10], [10, 10]], np.uint8)
    return Chip(rgb=np.zeros((2, 2, 3), np.uint8), mask=mask, limits=((0, 1),), valid_fraction=0.5)


# What people may give


def test_what_a_person_would_try(recipe_path):
    recipe = nt.load_recipe(recipe_path)
    imagery = nt.StacSource(url=recipe.imagery.url, collection=recipe.imagery.collection)
    planned = nt.plan(Path(recipe_path))
    assert repr(planned) == repr(nt.plan(recipe)) == repr(nt.plan(str(recipe_path)))
    place = next(iter(planned.places))
    one = nt.open_scene((place.lon, place.lat), imagery)
    assert one.identical(nt.open_scene([place.lon, place.lat], [imagery]))
    assert one.identical(nt.open_scene(shapely.Point(place.lon, place.lat), (imagery,)))
    area = (place.lon, place.lat, place.lon + 0.01, place.lat + 0.01)
    assert repr(nt.search(area, imagery, time=2024)) == repr(nt.search(area, [imagery], time="2024"))
    assert nt.Grid(extent_m=1400).resolution_m == 10


def test_scenes_of_a_plan_are_counted_alike_wherever_it_is_shown(planet, recipe_path):
    planned, said = nt.plan(recipe_path), nutonic("plan", recipe_path)
    right = {scene for _, _, scene in planet.places if scene is not None}
    assert len(planned.scenes()) > len(right)  # second choices, and the land cover
    assert f"scenes={len(right)}," in repr(planned)
    assert planned.header()["scenes"] == len(right)
    assert re.search(rf"^scenes +{len(right)}$", said.out, re.M), said.out


def test_values_of_another_kind_are_told(cube, recipe_path):
    imagery = nt.StacSource(url=nt.load_recipe(recipe_path).imagery.url, collection="synthetic-l2a")
    for wrong, told in (
        (lambda: nt.open_cube((1, 2, 3, 4), imagery, chunks="auto"), "chunks is 'auto': give the side of tiles"),
        (lambda: nt.open_cube((1, 2, 3, 4), imagery, chunks=None), "chunks is None: give the side of tiles"),
        (lambda: nt.reduce.quantile(cube, "half"), "q is 'half': give a share from 0 to 1"),
        (lambda: nt.reduce.estimate(cube, "medain"), "method is 'medain': there are median, quantile, mode"),
    ):
        with pytest.raises(InputError, match=told):
            wrong()


def test_what_is_wrong_is_told(cube, recipe_path):
    imagery = nt.StacSource(url=nt.load_recipe(recipe_path).imagery.url, collection="synthetic-l2a")
    for wrong, told in (
        (lambda: nt.plan(3), "a recipe is a nutonic.Recipe or the path of its file, and this is a int"),
        (lambda: nt.build({"name": "x"}, "out"), "this is a dict: of a dict, use"),
        (lambda: nt.search((1, 2, 3, 4), "sentinel"), "'sentinel' is no source"),
        (lambda: nt.open_cube((1, 2, 3, 4), [imagery, 3]), "3 is no source"),
        (lambda: nt.open_scene(7, imagery), "7 is no place: give (longitude, latitude)"),
        (lambda: nt.open_scene((1, 2, 3), imagery), "(1, 2, 3) is no place"),
        (
            lambda: nt.reduce.median(cube.red),
            "a cube is an xarray.Dataset, and this is a DataArray: select with a list",
        ),
        (lambda: nt.save_cube(3, "x.zarr"), "this is a int"),
        (lambda: list(nt.cut_chips(cube, 5)), "a recipe is"),
        (lambda: nt.show({"a": 1}), "nt.show takes chips and rows, of nt.open_dataset or nt.cut_chips, and got a dict"),
    ):
        with pytest.raises(TypeError) as caught:
            wrong()
        assert told in str(caught.value)
    with pytest.raises(InputError, match="no source is given"):
        nt.open_scene((18.0, 46.7), [])
    with pytest.raises(InputError, match=r"numbers are given as numbers: \(west, south, east, north\)"):
        nt.search("18.0,46.6,18.1,46.7", imagery)
    with pytest.raises(AttributeError) as missing:
        _ = nt.open_sene
    assert (missing.value.name, missing.value.obj) == ("open_sene", nt)  # by which Python says what was meant
    with pytest.raises(InputError, match="classes is a list: give the name of a class table"):
        nt.RasterSource("labels.tif", ["trees", "water"])


def test_worldcover_and_dynamic_world_are_told_apart():
    assert ESA_WORLDCOVER.band.flags[9] == (95, "mangroves", "#00cf75")
    assert DYNAMIC_WORLD.band.flags[0] == (0, "water", "#419bdf")
