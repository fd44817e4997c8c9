"""Reductions over time: equal to numpy on the loaded array, in the cube's own tiles, in the memory that was stated."""

from __future__ import annotations

import tracemalloc
import warnings

import dask
import numpy as np
import pytest
import rioxarray  # noqa: F401  its accessor
import xarray as xr
from hypothesis import strategies as st
from support.cubes import made
from support.sampling import examples

import nutonic as nt
from nutonic.core.units import counted
from nutonic.cube import kernels
from nutonic.errors import InputError, PlanTooLarge


def floats(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0, np.nan, values.astype(float))


def expected_median(values: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.nan_to_num(np.rint(np.nanmedian(floats(values), axis=0))).astype(np.uint16)


def expected_quantile(values: np.ndarray, q: float) -> np.ndarray:
    out = np.zeros(values.shape[1:], np.uint16)
    for i, j in np.ndindex(*out.shape):
        series = values[:, i, j][values[:, i, j] != 0]
        if series.size:
            out[i, j] = np.quantile(series, q, method="inverted_cdf")
    return out


def expected_mode(values: np.ndarray) -> np.ndarray:
    out = np.zeros(values.shape[1:], np.uint8)
    for i, j in np.ndindex(*out.shape):
        found = np.bincount(values[:, i, j], minlength=256)
        found[0] = 0
        out[i, j] = found.argmax() if found.any() else 0
    return out


def expected_clearest(cube: xr.Dataset, keep: tuple[int, ...] | None) -> np.ndarray:
    """Position along time of each pixel's step."""
    cloud = [np.inf if np.isnan(value) else value for value in cube["cloud_cover"].values]
    order = sorted(range(len(cloud)), key=lambda t: (cloud[t], -t))
    out = np.full(cube["red"].shape[1:], -1)
    for t in reversed(order):
        clear = (cube["red"].values[t] != 0) & (cube["nir"].values[t] != 0)
        if keep is not None:
            clear &= np.isin(cube["scl"].values[t], keep)
        out[clear] = t
    return out


shapes = st.tuples(
    st.integers(1, 40), st.integers(1, 23), st.integers(1, 19), st.sampled_from([5, 8, 64]), st.integers(0, 9)
)


@examples(8, 25, shapes)
def test_reductions_equal_numpy_and_keep_the_tiles(shape):
    steps, height, width, chunk, seed = shape
    cube = made(steps, height, width, chunk, seed)
    loaded = cube.compute()
    values = loaded["red"].values
    median = nt.reduce.median(cube)
    done = median.compute(scheduler="synchronous")
    np.testing.assert_array_equal(done["red"], expected_median(values))
    assert median["red"].data.chunks == cube["red"].data.chunks[1:]
    for q in (0.0, 0.1, 0.5, 1.0):
        found = nt.reduce.quantile(cube, q, bands=["nir"])["nir"].compute(scheduler="synchronous")
        np.testing.assert_array_equal(found, expected_quantile(loaded["nir"].values, q))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean = np.nanmean(floats(values), axis=0).astype(np.float32)
    np.testing.assert_array_equal(nt.reduce.mean(cube)["red"].compute(scheduler="synchronous"), mean)
    np.testing.assert_array_equal(nt.reduce.count(cube)["red"].compute(scheduler="synchronous"), (values != 0).sum(0))
    np.testing.assert_array_equal(
        nt.reduce.mode(cube)["scl"].compute(scheduler="synchronous"), expected_mode(loaded["scl"].values)
    )


@pytest.mark.long
@examples(8, 25, shapes, st.booleans())
def test_the_clearest_step_is_right_and_recorded(shape, classified):
    steps, height, width, chunk, seed = shape
    cube = made(steps, height, width, chunk, seed)
    loaded = cube.compute()
    keep = (4, 5, 6) if classified else None
    found = nt.reduce.clearest(cube, by="scl" if classified else None, keep=(4, 5, 6)).compute(scheduler="synchronous")
    step = expected_clearest(loaded, keep)
    np.testing.assert_array_equal(found["step"], step)
    at = np.maximum(step, 0)[None]
    for name in ("red", "nir", "scene"):
        want = np.where(step >= 0, np.take_along_axis(loaded[name].values, at, 0)[0], 0)
        np.testing.assert_array_equal(found[name], want)
        assert found[name].dtype == loaded[name].dtype


def test_masks_leave_only_what_is_to_be_kept():
    cube = made(5, 30, 20, 8)
    masked = nt.reduce.mask(cube, keep=(4, 11))
    loaded = cube.compute()
    want = np.where(np.isin(loaded["scl"], (4, 11)), loaded["nir"], 0)
    np.testing.assert_array_equal(masked["nir"].compute(), want)
    assert masked["nir"].data.chunks == cube["nir"].data.chunks
    assert masked["nir"].attrs == cube["nir"].attrs
    xr.testing.assert_identical(masked["label"], cube["label"])
    assert nt.reduce.CLEAR == (2, 4, 5, 6, 7, 11)


@pytest.mark.parametrize("name", ["median", "mean", "count", "mode", "clearest"])
def test_a_part_of_a_picture_is_the_picture_of_the_part(name):
    cube = made(20, 50, 40, 16)
    how = getattr(nt.reduce, name)
    part = {"y": slice(7, 31), "x": slice(11, 12)}
    whole = how(cube).isel(part).compute()
    xr.testing.assert_identical(how(cube.isel(part)).compute(), whole)


def test_a_picture_says_where_it_lies_and_what_it_is():
    cube = made(3, 20, 30, 16)
    median, mean = nt.reduce.median(cube), nt.reduce.mean(cube)
    assert median.odc.geobox == cube.odc.geobox
    assert median["red"].rio.nodata == 0
    assert np.isnan(mean["red"].rio.nodata)
    assert median["red"].attrs["cell_methods"] == "time: median"
    assert "time" not in median.coords
    assert median.attrs["told"] == "kept"
    assert list(median.data_vars) == ["red", "nir", "label"]


def test_a_loaded_cube_is_reduced_at_once():
    eager = nt.reduce.median(made(4, 9, 7, None))
    assert isinstance(eager["red"].data, np.ndarray)
    xr.testing.assert_identical(eager, nt.reduce.median(made(4, 9, 7, 5)).compute())


# Tiles, tasks and memory


def test_fractions_and_zonal_counts_are_per_tile():
    cube = made(2, 23, 31, 8)
    label = cube["label"].values
    shares = nt.reduce.fractions(cube, [0, 1, 2]).compute()
    assert shares.shape == (3, 4, 3)
    for i, j, k in np.ndindex(3, 4, 3):
        tile = label[8 * i : 8 * i + 8, 8 * j : 8 * j + 8]
        assert shares.values[i, j, k] == (tile == k).sum() / (tile != 255).sum()
    nothing = cube.assign(label=xr.full_like(cube["label"], 255))
    assert np.isnan(nt.reduce.fractions(nothing, [0]).values).all()
    valid = nt.reduce.valid_fraction(cube, band="nir").compute()
    assert valid.shape == (2, 3, 4)
    assert valid.values[1, 2, 3] == (cube["nir"].values[1, 16:, 24:] != 0).mean()
    zones = xr.DataArray(np.arange(23 * 31).reshape(23, 31) % 7, dims=("y", "x"), coords={d: cube[d] for d in "yx"})
    found = nt.reduce.zonal_counts(cube["label"], zones, classes=[2, 0], zone_ids=[6, 1]).compute()
    want = [[((zones == z) & (label == c)).sum().item() for c in (2, 0)] for z in (6, 1)]
    assert found.values.tolist() == want
    with pytest.raises(InputError, match="another grid"):
        nt.reduce.zonal_counts(cube["label"], zones.assign_coords(x=zones.x + 10), classes=[1], zone_ids=[1])


def test_classes_over_time_have_fractions_at_each_step():
    cube = made(3, 23, 31, 8)
    found = nt.reduce.fractions(cube.chunk({"time": 3}), [4, 8], band="scl")
    assert found.dims == ("time", "tile_y", "tile_x", "class")
    for t in range(3):
        step = cube.isel(time=t)
        xr.testing.assert_identical(found.isel(time=t).drop_vars("time").compute(),
                                    nt.reduce.fractions(step.drop_vars("time"), [4, 8], band="scl").compute())  # fmt: skip
    scl, tile = cube["scl"].values[2, 16:, 24:], found.values[2, 2, 3]
    assert tile.tolist() == [(scl == 4).sum() / (scl != 0).sum(), (scl == 8).sum() / (scl != 0).sum()]


@pytest.mark.parametrize("how", ["fractions", "over time", "valid_fraction"])
def test_tiles_say_where_they_lie(how):
    cube = made(2, 23, 31, 8)
    found = {
        "fractions": lambda: nt.reduce.fractions(cube, [0]),
        "over time": lambda: nt.reduce.fractions(cube, [4], band="scl"),
        "valid_fraction": lambda: nt.reduce.valid_fraction(cube, band="nir"),
    }[how]()
    # Tiles are 80 m; the last is of 7 columns and rows.
    assert found["x"].dims == ("tile_x",)
    assert found["x"].values.tolist() == [500_040, 500_120, 500_200, 500_275]
    assert found["y"].values.tolist() == [5_199_960, 5_199_880, 5_199_805]
    assert found.rio.crs.to_epsg() == 32633
    assert "GeoTransform" not in found["spatial_ref"].attrs


def test_zones_and_classes_that_cannot_be_counted_are_refused():
    cube = made(2, 23, 31, 8)
    label, scl = cube["label"], cube["scl"]
    zones = xr.ones_like(label, dtype="int64")
    bare = xr.DataArray(zones.values, dims=("y", "x"))
    for wrong, said in [
        (lambda: nt.reduce.zonal_counts(label, zones.values, classes=[1], zone_ids=[1]), "zones is a ndarray without"),
        (
            lambda: nt.reduce.zonal_counts(label, bare, classes=[1], zone_ids=[1]),
            "zones is an array without coordinates",
        ),
        (lambda: nt.reduce.zonal_counts(scl, zones, classes=[1], zone_ids=[1]), "scl is over time: give a step"),
        (lambda: nt.reduce.zonal_counts(cube, zones, classes=[1], zone_ids=[1]), "label is a Dataset: give a variable"),
        (lambda: nt.reduce.zonal_counts(label, zones, classes=[1, 1], zone_ids=[1]), "classes has 1 twice"),
        (lambda: nt.reduce.zonal_counts(label, zones, classes=[1], zone_ids=[3, 7, 3]), "zone_ids has 3 twice"),
        (lambda: nt.reduce.zonal_counts(label, zones, classes=[300], zone_ids=[1]), "classes has 300.*0 to 255"),
        (lambda: nt.reduce.zonal_counts(label, zones, classes=[1], zone_ids=[]), r"zone_ids is \[\]: give ids"),
        (lambda: nt.reduce.fractions(cube, [1, 300]), "classes has 300: give whole numbers, 0 to 255"),
        (lambda: nt.reduce.fractions(cube, [2, 2]), "classes has 2 twice"),
        (lambda: nt.reduce.fractions(cube, 2), "classes is 2: give ids"),
        (lambda: nt.reduce.fractions(cube, [1.5]), "classes has 1.5"),
        (
            lambda: nt.reduce.fractions(cube, [1], band="red"),
            "red is uint16 and no classification.*there are scl, label",
        ),
        (lambda: nt.reduce.fractions(cube.drop_vars("scl"), [1], band="qa"), "no classification 'qa'.*there is label"),
        (lambda: nt.reduce.valid_fraction(cube, band="swir"), "the cube has no 'swir', only red, nir"),
    ]:
        with pytest.raises(InputError, match=said):
            wrong()
    told = xr.DataArray(bare.values, dims=("y", "x"), coords={"y": label.y, "x": label.x})
    assert nt.reduce.zonal_counts(label, told, classes=[1], zone_ids=[1]).values == (label == 1).sum().values


def test_what_is_no_class_is_not_counted_in_another_zone():
    label = made(2, 23, 31, 8)["label"].astype("int32").copy()
    label[0, :3] = 257  # 256 * zone + class would be class 1 of the next zone
    zones = xr.zeros_like(label) + (np.arange(31) > 15)
    found = nt.reduce.zonal_counts(label, zones, classes=[1], zone_ids=[0, 1])
    assert found.values.ravel().tolist() == [((label == 1) & (zones == zone)).sum() for zone in (0, 1)]


def test_one_band_may_be_named_alone():
    cube = made(3, 8, 8, 4)
    xr.testing.assert_identical(
        nt.reduce.median(cube, bands="red").compute(), nt.reduce.median(cube, bands=["red"]).compute()
    )
    with pytest.raises(InputError, match="no swir over time"):
        nt.reduce.median(cube, bands="swir")


@pytest.mark.parametrize(("how", "steps"), [("median", 20), ("mean", 40), ("count", 7), ("clearest", 33), ("mode", 9)])
def test_tasks_are_as_stated_and_nothing_is_rechunked(how, steps):
    """Of a cube from zarr or sources each block is one task; here they lie in memory, so reading is counted apart."""
    chunks = {"time": 1, "y": 16, "x": 16}
    cube = made(steps, 48, 64, None).map(lambda v: v.chunk({d: chunks[d] for d in v.dims}))
    lazy = getattr(nt.reduce, how)(cube)
    names = [
        name for v in lazy.data_vars.values() for name in (v.data.dask.layers if dask.is_dask_collection(v) else ())
    ]
    assert not [name for name in names if "rechunk" in name or "concatenate" in name]
    stated = nt.reduce.estimate(cube, how)
    (found,) = dask.optimize(lazy.drop_vars("label"))
    kinds = [type(node).__name__ for node in found.__dask_graph__().values()]
    assert stated.tiles == 12
    assert len([kind for kind in kinds if kind not in ("Alias", "DataNode")]) == 12 * stated.tasks_per_tile
    assert f"{counted(stated.tasks_per_tile, 'task')} each" in str(stated)


@pytest.mark.parametrize("how", ["median", "mean", "clearest"])
def test_a_task_holds_what_was_stated_however_large_the_area(how):
    peaks = []
    for tiles in (1, 4):
        cube = lazily(24, 256, 256 * tiles)
        stated = nt.reduce.estimate(cube, how).bytes_per_task
        work = getattr(nt.reduce, how)(cube)[["red"]].isel(x=slice(0, 256 * tiles))
        tracemalloc.start()
        sums = work["red"].data.map_blocks(lambda b: b.sum(keepdims=True), chunks=((1,), (1,) * tiles), dtype=float)
        sums.compute(scheduler="synchronous")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] <= 1.5 * stated
    assert peaks[1] <= 1.15 * peaks[0] + 500_000


def test_what_is_folded_does_not_grow_with_time():
    few, many = (nt.reduce.estimate(lazily(steps, 64, 64), "mean").bytes_per_task for steps in (32, 320))
    assert few == many
    assert nt.reduce.estimate(lazily(320, 64, 64), "median").bytes_per_task > 4 * few / 10


def lazily(steps: int, height: int, width: int) -> xr.Dataset:
    """A cube whose blocks are made when they are asked for."""
    shape = (steps, height, width)

    def block(block_info=None):
        place = block_info[None]["array-location"]
        part = tuple(b - a for a, b in place)
        return np.full(part, 1 + place[0][0], block_info[None]["dtype"])

    def variable(dtype: str, kind: str) -> xr.Variable:
        chunks = ((1,) * steps, (256,) * (height // 256) or (height,), (256,) * (width // 256) or (width,))
        array = dask.array.map_blocks(block, chunks=chunks, dtype=dtype)
        return xr.Variable(("time", "y", "x"), array, {"_FillValue": 0, "kind": kind})

    return (
        xr.Dataset(
            {"red": variable("uint16", "reflectance"), "scl": variable("uint8", "class")},
            {"time": np.datetime64("2024-01-01", "ns") + np.arange(steps) * np.timedelta64(1, "D")},
        )
        .assign_coords(y=np.arange(height), x=np.arange(width))
        .assign_attrs(shape=str(shape))
    )


def test_a_task_that_would_not_fit_is_refused_with_what_would():
    cube = lazily(300, 256, 256)
    with pytest.raises(PlanTooLarge, match=r"median of 300 steps holds 0.0 GB in a task.*open the cube with chunks=64"):
        nt.reduce.median(cube, limit_bytes=9_000_000)
    nt.reduce.median(cube)


# Kernels


@pytest.mark.parametrize("n", [*range(1, 34), 64])
def test_the_network_sorts(n):
    rng = np.random.default_rng(n)
    bits = rng.integers(0, 2, (n, 2000)).astype(np.uint16)  # what sorts all of 0 and 1 sorts all (Knuth, 5.3.4 Z)
    if n <= 11:
        bits = (np.arange(2**n)[None] >> np.arange(n)[:, None] & 1).astype(np.uint16)
    np.testing.assert_array_equal(kernels.sort_series(bits.copy()), np.sort(bits, axis=0))


@pytest.mark.parametrize("steps", [kernels.NETWORK, kernels.NETWORK + 1, 300])
def test_long_series_are_sorted_otherwise_with_the_same_result(steps):
    blocks = list(made(steps, 6, 5, None)["red"].values[:, None])
    np.testing.assert_array_equal(kernels.median(blocks, nodata=0), expected_median(np.concatenate(blocks)))


@pytest.mark.parametrize("nodata", [0, 7, 65535])
def test_any_value_may_mean_nodata(nodata):
    values = made(9, 12, 11, None, gaps=0.0)["nir"].values
    values = np.where(values == 0, nodata, values)
    series = np.where(values == nodata, np.nan, values.astype(float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = np.rint(np.nanmedian(series, axis=0))
    want = np.where(np.isnan(want), nodata, want).astype(np.uint16)
    np.testing.assert_array_equal(kernels.median(list(values[:, None]), nodata=nodata), want)


# What is refused


def test_what_cannot_be_reduced_is_refused():
    cube = made(3, 8, 8, 4)
    for wrong, how, said in [
        (cube.isel(time=0), nt.reduce.median, "no time axis"),
        (cube[["label", "scl"]], nt.reduce.median, "no reflectance over time"),
        (cube.drop_vars("scl"), nt.reduce.clearest, r"no classification 'scl': open the imagery with masks=\('scl',\)"),
        (cube.drop_vars("scl"), nt.reduce.mask, "no classification 'scl'"),
        (cube.assign(red=floats_of(cube["red"])), nt.reduce.median, "float64 with nodata nan.*mask_and_scale=False"),
    ]:
        with pytest.raises(InputError, match=said):
            how(wrong)
    with pytest.raises(InputError, match="no swir over time"):
        nt.reduce.median(cube, bands=["swir"])
    with pytest.raises(InputError, match="q is 50"):
        nt.reduce.quantile(cube, 50)


def floats_of(band: xr.DataArray) -> xr.DataArray:
    return band.astype(float).assign_attrs(band.attrs)


@pytest.mark.long
def test_every_scheduler_gives_the_same():
    cube = made(18, 40, 50, 16)
    lazy = nt.reduce.clearest(nt.reduce.mask(cube, keep=(2, 4, 5, 8)), keep=(2, 4, 5))
    xr.testing.assert_identical(lazy.compute(scheduler="threads"), lazy.compute(scheduler="synchronous"))
