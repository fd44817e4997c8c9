"""JPEG 2000 from outside: what never ends is ended, what is damaged is told, and what is good is read as before."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
from support.rasters import CORNER, CRS
from support.worlds import written

from nutonic.errors import BadPixels, GridError, ReadFailed
from nutonic.io import decoder
from nutonic.io import raster as rasters
from nutonic.io.access import Access
from nutonic.io.session import current, using
from nutonic.recipe.yaml import load_recipe
from nutonic.run.run import build
from nutonic.testing import FileServer, SyntheticPlanet

pytestmark = [
    pytest.mark.usefixtures("session"),
    pytest.mark.skipif(not hasattr(signal, "SIGXCPU"), reason="the system limits no CPU"),
]

WINDOW = np.s_[3:40, 5:60]


def jpeg2000(path: Path, *, endless: bool = False) -> np.ndarray:
    """Noise as JPEG 2000; endless: the box with its GML has no length, and whoever looks for it never gets on."""
    pixels = np.random.default_rng(5).integers(0, 4000, (64, 64)).astype(np.uint16)
    profile = {"driver": "JP2OpenJPEG", "height": 64, "width": 64, "count": 1, "dtype": "uint16", "crs": CRS,
               "transform": rasterio.Affine(10, 0, CORNER[0], 0, -10, CORNER[1])}  # fmt: skip
    with rasterio.open(path, "w", **profile, QUALITY="100", REVERSIBLE="YES") as out:
        out.write(pixels, 1)
    if endless:
        content = bytearray(path.read_bytes())
        at = content.index(b"xml ")
        content[at - 4 : at] = bytes(4)
        path.write_bytes(content)
    return pixels


def decoders() -> list[psutil.Process]:
    """The decoders of this process."""
    children = psutil.Process().children()
    return [child for child in children if any("nutonic.io.decoder" in word for word in child.cmdline())]


@pytest.fixture
def alone(monkeypatch) -> None:
    """No decoder before or after, and little time."""
    decoder._decoders.close()
    monkeypatch.setattr(decoder, "OPEN_S", 1.0)
    yield
    decoder._decoders.close()
    assert decoders() == []


@pytest.mark.long
@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.usefixtures("alone")
def test_a_file_whose_opening_never_ends_is_told_once_and_for_all(tmp_path, remote):
    jpeg2000(tmp_path / "bad.jp2", endless=True)
    pixels = jpeg2000(tmp_path / "good.jp2")
    with FileServer(tmp_path) as server:
        folder = server.url if remote else str(tmp_path)
        access = Access(hosts=(server.address,))
        for _ in range(2):
            started = time.process_time() + sum(psutil.Process().cpu_times()[2:4])
            with pytest.raises(GridError, match=r"bad\.jp2 is damaged: it is not opened within 1 s of CPU") as told:
                rasters.header(f"{folder}/bad.jp2", access)
            assert len(str(told.value).splitlines()) == 1
        assert decoders() == []  # the second time none was started
        assert time.process_time() - started < 1.0
        assert np.array_equal(rasters.read(f"{folder}/good.jp2", WINDOW, access=access), pixels[WINDOW])
    assert len(decoders()) == 1


@pytest.mark.long
@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=[pytest.mark.cluster, pytest.mark.exhaustive])])
def test_a_scene_that_cannot_be_opened_makes_room_for_the_next(tmp_path, workers):
    """The other scenes are GeoTIFFs; a file is what it starts with, whatever its name."""
    recipe = load_recipe(written(SyntheticPlanet(), tmp_path / "in"))
    clean = build(recipe, tmp_path / "clean", workers=workers)
    best = tmp_path / "in" / "full" / "red.tif"
    jpeg2000(tmp_path / "bad.jp2", endless=True)
    best.write_bytes((tmp_path / "bad.jp2").read_bytes())
    summary = build(recipe, tmp_path / "out", workers=workers)
    assert summary.complete
    assert not summary.failures
    assert summary.built
    told = "".join(file.read_text() for file in (tmp_path / "out").rglob("*.json"))
    assert "red.tif is damaged: it is not opened within" in told
    assert clean.built >= summary.built


@pytest.mark.long
@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("sent", "error", "told"),
    [
        (signal.SIGSEGV, BadPixels, r"a\.jp2 is damaged: it ends the process in which it is decoded"),
        (signal.SIGXCPU, BadPixels, r"a\.jp2 is damaged: it is not decoded within 20 s of CPU"),
        (signal.SIGKILL, ReadFailed, r"cannot read .*a\.jp2: the process in which it is decoded was ended \(-9\)"),
        (signal.SIGSTOP, ReadFailed, r"cannot read .*a\.jp2: the process in which it is decoded was ended \(-9\)"),
    ],
)
def test_a_decoder_that_ends_is_told_and_another_takes_its_place(tmp_path, monkeypatch, sent, error, told):
    pixels = jpeg2000(tmp_path / "a.jp2")
    href = str(tmp_path / "a.jp2")
    assert np.array_equal(rasters.read(href, WINDOW), pixels[WINDOW])
    (process,) = decoders()
    process.suspend()  # so that it ends within a read
    if sent == signal.SIGSTOP:
        monkeypatch.setattr(decoder, "IDLE_S", 0.3)
    else:
        decoder_send = decoder._send

        def send(pipe: object, value: object) -> None:
            decoder_send(pipe, value)
            os.kill(process.pid, sent)
            process.resume() if sent != signal.SIGKILL else None

        monkeypatch.setattr(decoder, "_send", send)
    with pytest.raises(error, match=told):
        rasters.read(href, WINDOW)
    monkeypatch.undo()
    assert np.array_equal(rasters.read(href, WINDOW), pixels[WINDOW])
    assert [found.pid for found in decoders()] != [process.pid]


@pytest.mark.long
@pytest.mark.usefixtures("alone")
def test_a_decoder_that_was_killed_meanwhile_is_replaced(tmp_path):
    pixels = jpeg2000(tmp_path / "a.jp2")
    rasters.read(str(tmp_path / "a.jp2"), WINDOW)
    (process,) = decoders()
    process.kill()
    process.wait()
    assert np.array_equal(rasters.read(str(tmp_path / "a.jp2"), WINDOW), pixels[WINDOW])


@pytest.mark.usefixtures("alone")
def test_a_geotiff_needs_no_decoder(tmp_path):
    profile = {"driver": "GTiff", "height": 8, "width": 8, "count": 1, "dtype": "uint8", "crs": CRS,
               "transform": rasterio.Affine(10, 0, CORNER[0], 0, -10, CORNER[1])}  # fmt: skip
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as out:
        out.write(np.eye(8, dtype=np.uint8), 1)
    assert np.array_equal(rasters.read(str(tmp_path / "a.tif"), np.s_[0:8, 0:8]), np.eye(8))
    assert decoders() == []


@pytest.mark.long
@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("remote", [False, True])
def test_all_who_read_a_file_share_a_decoder_and_what_it_decoded(tmp_path, remote):
    """Eight threads read two files again and again: each file is in one decoder, and is opened and decoded there alone."""
    pixels = {name: jpeg2000(tmp_path / name) for name in ("a.jp2", "b.jp2")}
    with FileServer(tmp_path) as server, ThreadPoolExecutor(8) as threads:
        folder, access = server.url if remote else str(tmp_path), Access(hosts=(server.address,))

        def read(number: int) -> bool:
            name = ("a.jp2", "b.jp2")[number % 2]
            with using(session):
                return np.array_equal(rasters.read(f"{folder}/{name}", WINDOW, access=access), pixels[name][WINDOW])

        session = current()
        assert all(threads.map(read, range(64)))
    assert len(decoders()) <= 2
    assert len({number for each in decoder._decoders._all for number in each.holds}) == 2


@pytest.mark.usefixtures("alone")
def test_a_file_that_went_to_another_decoder_meanwhile_stays_there(tmp_path):
    """Who has borrowed a decoder asks it a moment later; until then somebody else may have had the file given away."""
    for name in ("a.jp2", "b.jp2"):
        jpeg2000(tmp_path / name)
    first, second = (decoder.DecodedRaster(str(tmp_path / name), None, {}) for name in ("a.jp2", "b.jp2"))
    (only,) = decoder._decoders._all
    number = second._file.number
    with decoder._decoders.borrow(number) as busy, decoder._decoders.borrow(number) as other:
        assert busy is only is not other
        busy.ask(decoder._Question(file=second._file, what="facts", cpu_s=60.0), None)
        assert [number in each.holds for each in (busy, other)] == [False, True]
    for each in (first, second):
        each.close()


@pytest.mark.usefixtures("alone")
def test_a_file_that_was_replaced_is_opened_anew(tmp_path):
    before = jpeg2000(tmp_path / "a.jp2")
    assert np.array_equal(rasters.read(str(tmp_path / "a.jp2"), WINDOW), before[WINDOW])
    with rasterio.open(tmp_path / "a.jp2") as old:
        profile = {**old.profile, "driver": "JP2OpenJPEG"}
    with rasterio.open(tmp_path / "new.jp2", "w", **profile, QUALITY="100", REVERSIBLE="YES") as out:
        out.write(before[::-1].copy(), 1)
    (tmp_path / "new.jp2").replace(tmp_path / "a.jp2")
    assert np.array_equal(rasters.read(str(tmp_path / "a.jp2"), WINDOW), before[::-1][WINDOW])
