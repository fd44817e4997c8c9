"""What labels.path may be: a list, a glob, a folder, a VRT, an address, an .img; and what is told of what it may not."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.shutil import copy
from support.rasters import CORNER, CRS, catalogue, item, middle, nearest, recipe, tif

import nutonic as nt
from nutonic.core.grid import grid_around
from nutonic.errors import GridError, InputError, NoScene, ReadFailed, RecipeError, Refused
from nutonic.io.gdal import _hfa_entries
from nutonic.recipe.yaml import load_recipe
from nutonic.sources.raster import RasterSource
from nutonic.sources.rasters.paths import pieces_of
from nutonic.testing import FileServer

CLASSES = (10, 20, 30, 40, 50)


def classes(seed: int, rows: int = 128, cols: int = 128, share: float = 1.0) -> np.ndarray:
    """Noise of classes, with 0 for none."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((rows, cols)) < share, rng.choice(CLASSES, (rows, cols)), 0).astype(np.uint8)


@pytest.fixture
def tiles(tmp_path) -> Path:
    """Four tiles side by side, a gap in the third; and what is no raster beside them."""
    folder = tmp_path / "tiles"
    for k, (down, across) in enumerate(np.ndindex(2, 2)):
        corner = (CORNER[0] + 1280 * across, CORNER[1] - 1280 * down)
        tif(folder / f"t{k}.tif", classes(k, share=0.5 if k == 2 else 1.0), corner=corner, nodata=0)
    (folder / "t0.tif.aux.xml").write_text("<PAMDataset/>")
    (folder / "._t1.tif").write_bytes(b"\0\5\26\7 of a Mac")
    (folder / "README.txt").write_text("tiles")
    return folder


def count_opened(patch: pytest.MonkeyPatch) -> list[str]:
    """The files that are opened from now on."""
    opened: list[str] = []
    real = rasterio.DatasetReader

    def reader(path: str, *args: object, **kwargs: object) -> rasterio.DatasetReader:
        opened.append(path)
        return real(path, *args, **kwargs)

    patch.setattr(rasterio, "DatasetReader", reader)
    return opened


def middle_of(folder: Path) -> tuple[float, float]:
    with rasterio.open(folder / "t0.tif") as first:
        (lon,), (lat,) = rasterio.warp.transform(first.crs, "EPSG:4326", [CORNER[0] + 1280], [CORNER[1] - 1280])
    return lon, lat


def grid_of(folder: Path, extent_m: float = 1280, crs: str | None = None):
    return grid_around(*middle_of(folder), extent_m=extent_m, crs=crs)


def first_of(files: list[Path], grid) -> np.ndarray:
    """By rasterio alone: a pixel comes from the first file that has a class there."""
    out = np.zeros(grid.shape, np.uint8)
    for file in files:
        out = np.where(out == 0, nearest(file, grid), out)
    return out


def labels_of(source: RasterSource, grid) -> np.ndarray:
    scenes = source.timeline(grid).steps[0].scenes
    return source.open(grid, scenes, chunks=50).label.values


def mosaic(folder: Path) -> Path:
    """The tiles as gdalbuildvrt writes them."""
    parts = "".join(
        f"""<ComplexSource><SourceFilename relativeToVRT="1">t{k}.tif</SourceFilename><SourceBand>1</SourceBand>
        <SourceProperties RasterXSize="128" RasterYSize="128" DataType="Byte" BlockXSize="64" BlockYSize="64"/>
        <SrcRect xOff="0" yOff="0" xSize="128" ySize="128"/>
        <DstRect xOff="{128 * (k % 2)}" yOff="{128 * (k // 2)}" xSize="128" ySize="128"/><NODATA>0</NODATA>
        </ComplexSource>"""
        for k in range(4)
    )
    path = folder / "all.vrt"
    path.write_text(
        f"""<VRTDataset rasterXSize="256" rasterYSize="256"><SRS dataAxisToSRSAxisMapping="1,2">{CRS}</SRS>
        <GeoTransform>{CORNER[0]}, 10, 0, {CORNER[1]}, 0, -10</GeoTransform>
        <VRTRasterBand dataType="Byte" band="1"><NoDataValue>0</NoDataValue><ColorInterp>Gray</ColorInterp>
        {parts}</VRTRasterBand></VRTDataset>"""
    )
    return path


FORMS: dict[str, Callable[[Path], object]] = {
    "a folder": lambda tiles: tiles,
    "a folder with a slash": lambda tiles: f"{tiles}/",
    "a glob": lambda tiles: str(tiles / "*.tif"),
    "a glob with all beside them": lambda tiles: str(tiles / "t*"),
    "a glob of all folders": lambda tiles: str(tiles.parent / "**" / "*.tif"),
    "a list": lambda tiles: [str(tiles / f"t{k}.tif") for k in range(4)],
    "a list of paths": lambda tiles: [tiles / f"t{k}.tif" for k in range(4)],
    "a list of all forms": lambda tiles: (tiles / "t0.tif", str(tiles / "t[12].tif"), tiles),
    "a VRT": mosaic,
}


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("form", FORMS)
def test_files_side_by_side_are_one_raster(form, tiles):
    source, files = RasterSource(FORMS[form](tiles)), sorted(tiles.glob("t*.tif"))
    for grid in (grid_of(tiles), grid_of(tiles, crs="EPSG:32632"), grid_of(tiles, 5120)):
        assert np.array_equal(labels_of(source, grid), first_of(files, grid))
    assert pickle.loads(pickle.dumps(source)) == source


def test_what_gdal_makes_of_the_vrt_is_what_is_read(tiles):
    with rasterio.open(mosaic(tiles)) as whole:
        expected = whole.read(1)
    grid = grid_around(*middle_of(tiles), extent_m=2560)
    assert np.array_equal(labels_of(RasterSource(tiles / "all.vrt"), grid), expected)


def test_each_place_gets_the_files_that_may_reach_it(tiles):
    source = RasterSource(tiles)
    places = np.array([middle(tiles / f"t{k}.tif") for k in range(4)] + [middle_of(tiles), (20.0, 52.0)])
    found = source.search(*places.T, 640)
    assert [[scene.id for scene in scenes] for scenes in found] == [
        ["t0"], ["t1"], ["t2"], ["t3"], ["t0", "t1", "t2", "t3"], [],
    ]  # fmt: skip
    again = source.search(*np.repeat(places[:1], 3, axis=0).T, 640)
    assert again[0] is again[1] is again[2]  # equal answers are one tuple: a plan holds each once
    with pytest.raises(InputError, match="has 4 files: `search` says which of them serve a place"):
        source.describe()


def test_headers_are_read_once_and_pixels_only_of_what_is_touched(tiles, monkeypatch):
    opened = count_opened(monkeypatch)
    source = RasterSource(tiles)
    places = np.array([middle(tiles / "t0.tif")] * 5)
    opened.clear()
    scenes = source.search(*places.T, 640)[0]
    source.search(*places.T, 640)
    assert len(opened) == 4
    source.open(grid_around(*places[0], extent_m=640), scenes).compute(scheduler="synchronous")
    assert len(opened) == 4  # lent again by the pool


def test_a_file_that_is_replaced_is_looked_at_again(tiles):
    source, grid = RasterSource(tiles), grid_of(tiles)
    labels_of(source, grid)
    tif(tiles / "t0.tif", classes(9), corner=CORNER, nodata=0)
    os.utime(tiles / "t0.tif", ns=(1, 1))
    assert np.array_equal(labels_of(source, grid), first_of(sorted(tiles.glob("t*.tif")), grid))


def test_the_first_file_listed_wins_where_it_has_a_class(tmp_path):
    holes, full = (
        tif(tmp_path / "b.tif", classes(1, share=0.4), nodata=0),
        tif(tmp_path / "a.tif", classes(2), nodata=0),
    )
    grid = grid_around(*middle(full), extent_m=640)
    assert np.array_equal(labels_of(RasterSource([holes, full]), grid), first_of([holes, full], grid))
    assert np.array_equal(labels_of(RasterSource([full, holes]), grid), first_of([full], grid))
    assert np.array_equal(labels_of(RasterSource(tmp_path), grid), first_of([full], grid))  # a folder's go by name


def test_files_in_several_crss_and_degrees(tmp_path):
    """Neighbours in two zones, one in degrees, and one on the other side of the world."""
    east = tif(tmp_path / "east.tif", classes(1), corner=(499_000, 5_300_000), crs="EPSG:32633", nodata=0)
    lon, lat = middle(east)
    degrees = Affine(1e-4, 0, lon - 0.01, 0, -1e-4, lat + 0.01)
    map_ = tif(tmp_path / "map.tif", classes(2, 200, 200), crs="EPSG:4326", transform=degrees, nodata=0)
    tif(tmp_path / "far.tif", classes(3), corner=(499_000, 5_300_000), crs="EPSG:32601", nodata=0)
    grid = grid_around(lon, lat, extent_m=1280)
    source = RasterSource(tmp_path)
    assert [scene.id for scene in source.timeline(grid).steps[0].scenes] == ["east", "map"]
    assert np.array_equal(labels_of(source, grid), first_of([east, map_], grid))


@pytest.mark.parametrize(("left", "lon"), [(-180.0, 179.995), (179.98, -179.995), (180.0, 179.995), (180.0, -179.995)])
def test_files_at_the_antimeridian_are_found_from_both_sides(left, lon, tmp_path):
    one = Affine(1e-4, 0, left, 0, -1e-4, 10.01)
    tif(tmp_path / "a.tif", classes(1, 200, 200), crs="EPSG:4326", transform=one, nodata=0)
    tif(
        tmp_path / "b.tif",
        classes(1, 200, 200),
        crs="EPSG:4326",
        transform=Affine(1e-4, 0, 90, 0, -1e-4, 10.01),
        nodata=0,
    )
    source = RasterSource(tmp_path)
    (found,) = source.search(np.array([lon]), np.array([10.0]), 2560)
    assert [scene.id for scene in found] == ["a"]
    assert [scene.id for scene in source.timeline(grid_around(lon, 10.0, extent_m=2560)).steps[0].scenes] == ["a"]


def test_files_around_a_pole_are_found(tmp_path):
    polar = Affine(100, 0, -50_000, 0, -100, 50_000)
    tif(tmp_path / "pole.tif", classes(1, 1000, 1000), crs="EPSG:3413", transform=polar, nodata=0)
    tif(tmp_path / "else.tif", classes(1), nodata=0)
    (found,) = RasterSource(tmp_path).search(np.array([130.0]), np.array([89.9]), 2560)
    assert [scene.id for scene in found] == ["pole"]


def test_files_of_one_name_go_by_their_folders(tmp_path):
    for year in ("2020", "2021"):
        tif(tmp_path / year / "lc.tif", classes(int(year)), nodata=0)
    tif(tmp_path / "2021" / "lc.tiff", classes(1), nodata=0)
    grid = grid_around(*middle(tmp_path / "2020/lc.tif"), extent_m=640)
    scenes = RasterSource([tmp_path / "2020", tmp_path / "2021"]).timeline(grid).steps[0].scenes
    assert [scene.id for scene in scenes] == ["2020/lc", "2021/lc", "lc"]
    assert [scene.assets[0].written for scene in scenes] == ["2020/lc.tif", "2021/lc.tif", "lc.tiff"]
    assert not any(scene.assets[0].written.startswith("/") for scene in scenes)


def test_a_folder_may_be_called_what_looks_like_a_glob(tmp_path):
    file = tif(tmp_path / "[v2] maps*" / "a.tif", classes(1), nodata=0)
    grid = grid_around(*middle(file), extent_m=640)
    for path in (file, file.parent, file.parent / "*.tif"):
        assert np.array_equal(labels_of(RasterSource(path), grid), nearest(file, grid))


@pytest.mark.parametrize(
    ("name", "driver"),
    [("lc.img", "HFA"), ("LC.IMG", "HFA"), ("lc.jp2", "JP2OpenJPEG"), ("lc", "GTiff")],
)
def test_formats(name, driver, tmp_path):
    file = tif(tmp_path / "lc.tif", classes(1), nodata=0)
    how = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    copy(str(file), str(tmp_path / name), driver=driver, **how)
    grid = grid_around(*middle(file), extent_m=640)
    assert np.array_equal(labels_of(RasterSource(tmp_path / name), grid), nearest(file, grid))


# Over the network


def test_an_address_is_read_under_the_same_rules(tiles):
    with FileServer(tiles) as server:
        source, grid = RasterSource([f"{server.url}/t0.tif", f"{server.url}/t1.tif"]), grid_of(tiles)
        assert np.array_equal(labels_of(source, grid), first_of([tiles / "t0.tif", tiles / "t1.tif"], grid))
        assert source.needs(source.timeline(grid).steps[0].scenes).files == ()
        with pytest.raises(ReadFailed, match=r"nothing\.tif"):
            RasterSource(f"{server.url}/nothing.tif").describe()


@pytest.mark.parametrize(
    ("path", "error", "told"),
    [
        (
            "ftp://example.org/lc.tif",
            InputError,
            r"begins with one of https://, s3://, gs://, az://; or write a local path",
        ),
        ("file:///data/lc.tif", InputError, "write a local path"),
        ("/vsicurl/https://example.org/lc.tif", InputError, "write a local path"),
        ("s3://bucket/lc.tif?versionId=1", Refused, "give addresses without a user, a signature or a token"),
        ("s3:bucket/lc.tif", InputError, "write s3://bucket/lc.tif"),
        ("https://me:secret@example.org/lc.tif", Refused, "give addresses without a user, a signature or a token"),
        (
            "https://example.org/lc.tif?sig=abc123&se=2024",
            Refused,
            "give addresses without a user, a signature or a token",
        ),
        ("https://example.org/all.vrt", InputError, r"no \.vrt file is read over the network; name GeoTIFFs"),
        ("https://example.org/all.img?x=1", InputError, r"no \.img file is read over the network"),
    ],
)
def test_addresses_that_are_not_read_are_told(path, error, told):
    with pytest.raises(error, match=told) as raised:
        RasterSource(path).describe()
    assert "secret" not in str(raised.value)
    assert "abc123" not in str(raised.value)


# What is not possible is told with what is


def test_paths_that_lead_nowhere_are_told(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("x")
    tif(tmp_path / "deep/er/lc.tif", classes(1))
    for path, told in {
        "missing.tif": r"missing\.tif does not exist; see labels\.path",
        "none/*.tif": r"none/\*\.tif in .* matches no file; labels\.path takes GeoTIFF",
        "*.txt": r"\*\.txt in .* matches only notes\.txt and the like",
        "deep": r"deep holds none of \*\.tif.*er/lc\.tif lies deeper: write deep/\*\*/\*\.tif",
        "deep/er/lc.tif/x": r"does not exist",
    }.items():
        with pytest.raises(InputError, match=told):
            RasterSource(tmp_path / path).describe()
    with pytest.raises(InputError, match=r"b\.tif does not exist"):
        RasterSource([tmp_path / "deep/er/lc.tif", tmp_path / "b.tif"]).index()


@pytest.mark.parametrize("name", ["lc.nc", "lc.zip", "lc.asc", "lc.gpkg"])
def test_formats_that_are_not_read_are_told(name, tmp_path):
    (tmp_path / name).write_bytes(b"PK\3\4 something")
    with pytest.raises(InputError, match=rf"{name} is no GeoTIFF, JPEG 2000 or \.img file: make a GeoTIFF of it"):
        RasterSource(tmp_path / name).describe()


@pytest.mark.parametrize("form", ["{}", "{}/*.tif", "{}/**/*"])
@pytest.mark.parametrize("odd", ["a pipe", "a device", "a link to nothing"])
def test_what_is_no_file_is_not_left_out_in_silence(form, odd, tmp_path):
    tif(tmp_path / "a.tif", np.ones((8, 8), np.uint8), corner=CORNER)
    (tmp_path / "c.tif").mkdir()  # no raster is a folder
    os.mkfifo(tmp_path / "notes.txt")
    path = form.format(tmp_path)
    assert [piece.name for piece in pieces_of([path])] == ["a.tif"]
    if odd == "a pipe":
        os.mkfifo(tmp_path / "b.tif")
    else:
        (tmp_path / "b.tif").symlink_to("/dev/zero" if odd == "a device" else "nowhere")
    with pytest.raises(InputError, match=r"b\.tif is no regular file: take it out of the folder; see labels\.path"):
        pieces_of([path])


def test_an_odd_file_among_many_is_told_by_name(tiles):
    tif(tiles / "t9.tif", np.stack([classes(1)] * 3), photometric="RGB")
    with pytest.raises(InputError, match=r"t9\.tif has 3 bands"):
        RasterSource(tiles).index()
    tif(tiles / "t9.tif", classes(1), transform=Affine(10, 2, 0, 2, -10, 0))
    with pytest.raises(GridError, match=r"t9\.tif is rotated"):
        RasterSource(tiles).index()
    (tiles / "t9.tif").write_bytes(b"cut off")
    with pytest.raises(InputError, match=r"cannot open .*t9\.tif"):
        RasterSource(tiles).index()


@pytest.mark.parametrize("path", [None, 5, [], [None], {"a": 1}, ["a.tif", 3]])
def test_what_is_no_path_is_told(path):
    with pytest.raises(InputError, match="is no path: give one, or a list of paths"):
        RasterSource(path)


# VRTs


def test_a_vrt_of_gdal_itself(tmp_path):
    file = tif(tmp_path / "lc.tif", classes(1), nodata=0)
    copy(str(file), str(tmp_path / "lc.vrt"), driver="VRT")
    grid = grid_around(*middle(file), extent_m=640)
    assert np.array_equal(labels_of(RasterSource(tmp_path / "lc.vrt"), grid), nearest(file, grid))
    (scene,) = RasterSource(tmp_path / "lc.vrt").index().scenes
    assert scene.assets[0].href == str(file)


def test_the_last_file_that_a_vrt_paints_is_on_top(tiles):
    text = mosaic(tiles).read_text()
    tif(tiles / "t1.tif", classes(7, share=0.5), corner=CORNER, nodata=0)  # over the first
    (tiles / "all.vrt").write_text(text.replace('xOff="128" yOff="0"', 'xOff="0" yOff="0"'))
    with rasterio.open(tiles / "all.vrt") as whole:
        expected = whole.read(1)
    grid = grid_around(*middle_of(tiles), extent_m=2560)
    assert np.array_equal(labels_of(RasterSource(tiles / "all.vrt"), grid), expected)


def test_a_vrts_own_nodata_counts(tiles):
    text = mosaic(tiles).read_text()
    (tiles / "all.vrt").write_text(
        text.replace("<NODATA>0</NODATA>", "").replace(">0</NoDataValue>", ">20</NoDataValue>")
    )
    grid = grid_of(tiles)
    found = labels_of(RasterSource(tiles / "all.vrt"), grid)
    plain = first_of(sorted(tiles.glob("t*.tif")), grid)
    assert np.array_equal(found, np.where(plain == 20, 0, plain))


def test_a_vrt_may_take_one_band_of_a_file(tiles):
    text = mosaic(tiles).read_text()
    many = np.stack([classes(11), classes(12)])
    tif(tiles / "t0.tif", many, corner=CORNER)
    (tiles / "all.vrt").write_text(text.replace("<SourceBand>1</SourceBand>", "<SourceBand>2</SourceBand>", 1))
    with rasterio.open(tiles / "all.vrt") as whole:
        expected = whole.read(1)
    assert np.array_equal(
        labels_of(RasterSource(tiles / "all.vrt"), grid_around(*middle_of(tiles), extent_m=2560)), expected
    )


CHANGES = {
    "code": (
        'dataType="Byte" band="1"',
        'dataType="Byte" band="1" subClass="VRTDerivedRasterBand"',
        "VRTDerivedRasterBand",
    ),
    "a warp": ("<VRTDataset ", '<VRTDataset subClass="VRTWarpedDataset" ', "VRTWarpedDataset, which computes pixels"),
    "a function": ("<NODATA>0</NODATA>", "<LUT>0:1,10:20</LUT>", "with LUT, which changes pixels"),
    "a scale": ("<NODATA>0</NODATA>", "<ScaleRatio>2</ScaleRatio>", "with ScaleRatio, which changes pixels"),
    "a filter": ("ComplexSource>", "KernelFilteredSource>", "with KernelFilteredSource, which changes pixels"),
    "an address": (
        "t0.tif<",
        "/vsicurl/https://example.org/t0.tif<",
        "no file in its own folder or below: list the files",
    ),
    "a URL": ("t0.tif<", "https://example.org/t0.tif<", "no file in its own folder or below"),
    "a file elsewhere": ("t0.tif<", "../secret.tif<", "no file in its own folder or below"),
    "an absolute path": ('relativeToVRT="1">t0', 'relativeToVRT="0">/etc/t0', "no file in its own folder or below"),
    "a VRT": ("t0.tif<", "t0.vrt<", "no file in its own folder or below"),
    "no name": (">t0.tif<", "><", "names no file"),
    "a cut": (
        '<SrcRect xOff="0" yOff="0" xSize="128"',
        '<SrcRect xOff="9" yOff="0" xSize="128"',
        "cuts or scales t0.tif",
    ),
    "a zoom": (
        'yOff="0" xSize="128" ySize="128"/><NODATA>',
        'yOff="0" xSize="64" ySize="64"/><NODATA>',
        "cuts or scales",
    ),
    "half a file": ('xSize="128"', 'xSize="100"', r"all\.vrt cuts, moves or scales t\d\.tif"),
    "a shift": (f"{CORNER[0]}, 10,", f"{CORNER[0] + 3}, 10,", r"all\.vrt cuts, moves or scales"),
    "another CRS": (CRS, "EPSG:32632", r"has another CRS than t\d\.tif, which is in EPSG:32633"),
    "no transform": (f"{CORNER[0]}, 10,", "nothing,", "is a VRT without a geotransform"),
    "a turn": (", 10, 0,", ", 10, 1,", "is a VRT that is rotated"),
    "an entity": ("<VRTDataset ", '<!DOCTYPE a [<!ENTITY b "c">]><VRTDataset ', "XML with a document type"),
    "a stump": ("</VRTDataset>", "", "all.vrt is no VRT"),
    "other XML": ("VRTDataset", "PAMDataset", "its XML is a PAMDataset"),
    "a missing file": ("t3.tif<", "t8.tif<", r"t8\.tif does not exist, which all\.vrt names"),
    "a strange band": ("<SourceBand>1<", "<SourceBand>mask,1<", "takes band 'mask,1' of t0.tif"),
    "a band too many": ("<SourceBand>1<", "<SourceBand>3<", r"takes band 3 of t\d\.tif, which has 1"),
    "a mask": ("<NoDataValue>", "<MaskBand/><NoDataValue>", "MaskBand, which computes pixels"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_vrt_that_is_more_than_files_side_by_side_is_refused(change, tiles):
    old, new, told = CHANGES[change]
    text = mosaic(tiles).read_text()
    assert old in text
    (tiles / "all.vrt").write_text(text.replace(old, new))
    tif(tiles.parent / "secret.tif", classes(1))
    with pytest.raises(InputError, match=told) as raised:
        RasterSource(tiles / "all.vrt").index()
    assert str(raised.value).count("\n") < 5


def test_a_vrt_does_not_lead_out_of_its_folder_by_a_link(tiles):
    mosaic(tiles)
    tif(tiles.parent / "secret.tif", classes(1), corner=CORNER)
    (tiles / "t0.tif").unlink()
    (tiles / "t0.tif").symlink_to(tiles.parent / "secret.tif")
    with pytest.raises(InputError, match="no file in its own folder or below"):
        RasterSource(tiles / "all.vrt").index()


def test_vrts_of_two_bands_or_none(tiles):
    text = mosaic(tiles).read_text()
    band = text[text.index("<VRTRasterBand") : text.index("</VRTDataset>")]
    for changed, told in ((text.replace(band, band * 2), "has 2 bands"), (text.replace(band, ""), "has 0 bands")):
        (tiles / "all.vrt").write_text(changed)
        with pytest.raises(InputError, match=told):
            RasterSource(tiles / "all.vrt").index()
    sources = text[text.index("<ComplexSource>") : text.index("</VRTRasterBand>")]
    (tiles / "all.vrt").write_text(text.replace(sources, ""))
    with pytest.raises(InputError, match="is a VRT of no file"):
        RasterSource(tiles / "all.vrt").index()


# Builds


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize(
    "form", ["tiles", "tiles/*.tif", ["tiles/t0.tif", "tiles/t1.tif", "tiles/t2.tif", "tiles/t3.tif"], "tiles/all.vrt"]
)
def test_a_build_has_the_same_bytes_however_its_files_are_named(form, tiles, tmp_path):
    mosaic(tiles)
    whole = np.block([[nearest_whole(tiles / "t0.tif"), nearest_whole(tiles / "t1.tif")],
                      [nearest_whole(tiles / "t2.tif"), nearest_whole(tiles / "t3.tif")]])  # fmt: skip
    tif(tmp_path / "one.tif", whole, nodata=0)
    for band in ("red", "green", "blue"):
        tif(tmp_path / f"{band}.tif", np.random.default_rng(len(band)).integers(1, 4000, (256, 256)).astype(np.uint16))
    catalogue(
        tmp_path, item(tmp_path / "red.tif", {band: {"href": f"{band}.tif"} for band in ("red", "green", "blue")})
    )
    built = {}
    for name, path in {"one": "one.tif", "form": form}.items():
        read = load_recipe(recipe(tmp_path, middle_of(tiles), {"path": path}))
        assert nt.build(read, tmp_path / name, workers=0).tiles == 4
        assert nt.verify(tmp_path / name, deep=True).problems == ()
        built[name] = {
            str(file.relative_to(tmp_path / name)): file.read_bytes()
            for file in sorted((tmp_path / name).rglob("*"))
            if file.is_file() and "_nutonic" not in file.parts and file.suffix in (".png", ".jsonl")
        }
        files = [str(scene.assets[0].href) for scene in nt.plan(read).scenes() if scene.source == "raster"]
        assert files == ([str(tmp_path / "one.tif")] if name == "one" else sorted(str(f) for f in tiles.glob("t*.tif")))
    assert built["one"] == built["form"]
    assert built["one"]
    assert nt.verify(tmp_path / "form", deep=True).whole


def nearest_whole(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read(1)


def test_a_recipes_paths_are_relative_to_it_and_not_in_its_digest(tmp_path):
    def loaded(path: object):
        return load_recipe(recipe(tmp_path, (16.0, 52.0), {"path": path}))

    one, many = loaded("lc.tif"), loaded(["a/*.tif", "https://example.org/lc.tif", "b"])
    assert many.labels.path == (str(tmp_path / "a/*.tif"), "https://example.org/lc.tif", str(tmp_path / "b"))
    assert one.digest() == many.digest() == loaded(["lc.tif"]).digest()
    assert str(tmp_path) not in many.text()
    assert {str(tmp_path / "b"), "https://example.org/lc.tif"} < set(many.inputs)
    for path in ([], 5, [5], ""):
        with pytest.raises(RecipeError, match=r"labels\.path: is .*: write a path, or a list of paths"):
            loaded(path)


def test_a_cube_beyond_all_files_has_no_scene(tiles):
    with pytest.raises(NoScene):
        nt.open_cube(grid_around(20.0, 52.0, extent_m=640), [RasterSource(tiles)])


def with_grid_file(path: Path, name: str) -> None:
    """An Erdas Imagine file whose CRS names a file of shifts: written with one that is not there, then replaced."""
    absent = name[:-5] + "_none"
    crs = f"+proj=tmerc +lon_0=9 +k=1 +x_0=500000 +ellps=bessel +nadgrids={absent} +units=m"
    profile = {"driver": "HFA", "width": 8, "height": 8, "count": 1, "dtype": "uint8", "crs": crs}
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(30, 0, 5e5, 0, -30, 5e6)) as raster:
        raster.write(np.full((1, 8, 8), 10, np.uint8))
    content = path.read_bytes()
    assert absent.encode() in content
    path.write_bytes(content.replace(absent.encode(), name.encode()))


def test_no_pipe_is_opened_for_the_grid_of_an_img(tmp_path):
    """PROJ would wait for it for ever, within GDAL."""
    img = tmp_path / "lc.img"
    with TemporaryDirectory() as short:  # the format has no room for long names
        pipe = Path(short, "shifts.gsb")
        os.mkfifo(pipe)
        with_grid_file(img, str(pipe))
        with pytest.raises(
            GridError, match=rf"lc\.img has a CRS with a grid file \({pipe}\), which is not opened: write a CRS"
        ):
            RasterSource(img).describe()


def test_an_img_whose_entries_lead_in_a_circle_is_looked_at_once(tmp_path):
    img = tmp_path / "lc.img"
    with_grid_file(img, "just_a_name.gsb")
    content = bytearray(img.read_bytes())
    header = int.from_bytes(content[16:20], "little")
    root = int.from_bytes(content[header + 8 : header + 12], "little")
    child = int.from_bytes(content[root + 12 : root + 16], "little")
    content[child : child + 4] = child.to_bytes(4, "little")  # each child is followed by itself
    img.write_bytes(content)
    with img.open("rb") as file:
        assert len(list(_hfa_entries(file))) < 20
