"""What is named and is no file, or one without an end: refused before it is read, in one line; and links in circles."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.rasters import CORNER, tif

from nutonic.core.areas import area_grid
from nutonic.errors import NutonicError
from nutonic.io import raster as rasters
from nutonic.io.files import read_regular
from nutonic.sources.earthengine import credentials
from nutonic.sources.rasters.index import _same
from nutonic.sources.rasters.vrt import sources_of
from nutonic.sources.stac import files
from nutonic.sources.stac.files import read_items

pytestmark = [
    pytest.mark.usefixtures("session"),
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes by name"),
]


def key_at(path: Path) -> None:
    """Sign in with a key file."""
    os.environ[credentials.KEY] = str(path)
    try:
        credentials._from_key()
    finally:
        del os.environ[credentials.KEY]


#: What reads a file that somebody names, and the suffix by which it takes it for its own.
READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "items": (lambda path: read_items(str(path)), ".json"),
    "items as Parquet": (lambda path: read_items(str(path)), ".parquet"),
    "a scene": (lambda path: rasters.header(str(path)), ".tif"),
    "a scene as JPEG 2000": (lambda path: rasters.header(str(path)), ".jp2"),
    "labels as Imagine": (lambda path: rasters.header(str(path)), ".img"),
    "a VRT": (sources_of, ".vrt"),
    "an area": (area_grid, ".geojson"),
    "a key": (key_at, ".json"),
}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def full(path: Path) -> None:
    path.symlink_to("/dev/full")


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("made", [pipe, zeros, full, folder], ids=lambda made: made.__name__)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_before_it_is_read(tmp_path, reader, made):
    read, suffix = READERS[reader]
    path = tmp_path / f"odd{suffix}"
    made(path)
    started = time.process_time()
    with pytest.raises(NutonicError, match=r"it is no regular file|is a directory") as told:
        read(path)
    assert time.process_time() - started < 1.0
    assert len(str(told.value).splitlines()) <= 5
    assert "odd" in str(told.value) or "key" in reader


def test_a_pipe_beside_a_raster_is_no_mask(tmp_path):
    tif(tmp_path / "a.tif", np.ones((8, 8), np.uint8), corner=CORNER)
    os.mkfifo(tmp_path / "a.tif.msk")
    assert not rasters.header(str(tmp_path / "a.tif")).masked


@pytest.mark.parametrize(
    ("size", "most", "fits"), [(10, 10, True), (11, 10, False), (2**21, 2**21, True), (0, 0, True)]
)
def test_a_file_is_read_no_further_than_it_may_be_long(tmp_path, size, most, fits):
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    if fits:
        assert read_regular(tmp_path / "a", most) == content
    else:
        with pytest.raises(OSError, match="it is larger than 10 bytes"):
            read_regular(tmp_path / "a", most)


@pytest.mark.parametrize("reader", ["an area", "a VRT", "items"])
def test_a_file_without_an_end_in_sight_is_refused_by_its_size(tmp_path, reader, monkeypatch):
    read, suffix = READERS[reader]
    monkeypatch.setattr(files, "MOST_BYTES", 2**20)
    path = tmp_path / f"large{suffix}"
    with path.open("wb") as file:
        file.truncate(2**40 if reader == "an area" else 2**28)  # sparse
    with pytest.raises(NutonicError, match=r"it is larger than [\d,]+ bytes"):
        read(path)


# Catalogues whose links go on and on


def item(name: str) -> dict[str, object]:
    """A STAC item."""
    box = [[[15, 45], [16, 45], [16, 46], [15, 46], [15, 45]]]
    return {
        "type": "Feature",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": box},
        "bbox": [15, 45, 16, 46],
        "properties": {"datetime": "2024-06-01T10:00:00Z"},
        "assets": {"red": {"href": "red.tif"}},
        "links": [],
    }


def catalogue(path: Path, children: list[str], items: list[str] = []) -> str:  # noqa: B006  it is only read
    links = [{"rel": "child", "href": child} for child in children] + [{"rel": "item", "href": each} for each in items]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"type": "Catalog", "id": path.stem, "links": links}))
    return str(path)


def test_nine_catalogues_that_link_to_each_other_are_read_once_each(tmp_path):
    names = [f"c{k}.json" for k in range(9)]
    for k, name in enumerate(names):
        (tmp_path / f"i{k}.json").write_text(json.dumps(item(f"i{k}")))
        catalogue(tmp_path / name, [names[(k + 1 + j) % 9] for j in range(20)], [f"i{k}.json", f"./i{k}.json"])
    started = time.process_time()
    found = [each.id for each in read_items(str(tmp_path / "c0.json"))]
    assert sorted(found) == [f"i{k}" for k in range(9)]
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("there", ["self.json", "../cats/self.json", "link.json"])
def test_a_catalogue_that_is_its_own_child_is_no_circle(tmp_path, there):
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "link.json").symlink_to("self.json")
    (tmp_path / "cats" / "a.json").write_text(json.dumps(item("a")))
    own = catalogue(tmp_path / "cats" / "self.json", [there], ["a.json"])
    assert [each.id for each in read_items(own)] == ["a"]


def test_a_catalogue_of_too_many_files_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_FILES", 5)
    for k in range(9):
        (tmp_path / f"i{k}.json").write_text(json.dumps(item(f"i{k}")))
    top = catalogue(tmp_path / "c.json", [], [f"i{k}.json" for k in range(9)])
    with pytest.raises(NutonicError, match="links to more than 5 files: write its items into one"):
        read_items(top)


def test_a_pipe_among_the_items_of_a_catalogue_is_refused(tmp_path):
    os.mkfifo(tmp_path / "i.json")
    with pytest.raises(NutonicError, match=r"i\.json: it is no regular file; see imagery.url"):
        read_items(catalogue(tmp_path / "c.json", [], ["i.json"]))


def test_the_crs_that_a_vrt_tells_opens_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert _same("+proj=utm +zone=33 +datum=WGS84", "EPSG:32633")
    assert not _same(f"+init={tmp_path / 'pipe'}:1", "EPSG:32633")
