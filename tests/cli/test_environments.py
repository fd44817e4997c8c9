"""Odd environments: the same bytes as in a plain one, or one line that names the variable, and nothing committed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyproj
import pytest
from support.worlds import written

from nutonic.testing import SyntheticPlanet

#: Variables that change nothing.
HARMLESS = (
    "GDAL_DATA=/nowhere", "GDAL_DRIVER_PATH=/nowhere", "GDAL_NUM_THREADS=ALL_CPUS", "GDAL_CACHEMAX=0",
    "GDAL_DISABLE_READDIR_ON_OPEN=FALSE", "GDAL_PAM_ENABLED=YES", "GDAL_TIFF_INTERNAL_MASK_TO_8BIT=NO",
    "GDAL_SKIP=VRT PNG", "GDAL_HTTP_PROXY=127.0.0.1:9", "GDAL_TIFF_ENDIANNESS=BIG",
    "GTIFF_POINT_GEO_IGNORE=YES", "GTIFF_SRS_SOURCE=GEOKEYS", "CPL_DEBUG=ON", "CPL_LOG_ERRORS=ON",
    "CPL_TMPDIR=/nowhere", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS=.nothing", "VSI_CACHE=TRUE",
    "PROJ_NETWORK=ON", "PROJ_DEBUG=3",
    "PYTHONWARNINGS=default", "PYTHONOPTIMIZE=2", "PYTHONHASHSEED=77", "PYTHONUTF8=0", "PYTHONDEVMODE=1",
    "LC_ALL=C", "LC_ALL=tr_TR.UTF-8", "LANG=de_DE.UTF-8", "TZ=Pacific/Kiritimati", "TZ=nonsense", "COLUMNS=1",
    "TERM=dumb", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=64", "NO_COLOR=1",
)  # fmt: skip

#: Variables with which nothing can be made, the exit code, and what is told.
REFUSED = {
    "PYTHONWARNINGS=error": (2, "PYTHONWARNINGS is error"),
    "PYTHONWARNINGS=default,e": (2, "PYTHONWARNINGS is e,"),
    "PROJ_DATA=/nowhere": (2, "GDAL's PROJ does not know EPSG:4326"),
    "PROJ_LIB=/nowhere": (2, "see PROJ_DATA and PROJ_LIB"),
    "GDAL_SKIP=GTiff": (2, "GDAL cannot read GTiff here: unset GDAL_SKIP"),
    "GDAL_SKIP=GTiff,JP2OpenJPEG": (2, "GDAL cannot read GTiff and JP2OpenJPEG here: unset GDAL_SKIP"),
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the paths are those of other systems")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A recipe for a small tree."""
    return written(SyntheticPlanet(), tmp_path_factory.mktemp("in")).parent


def run(inputs: Path, out: Path, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Two places, built as a user does."""
    command = [sys.executable, "-m", "nutonic", "build", inputs / "recipe.yaml", "--out", out, "--limit", "2", *options]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def pictures_and_words(out: Path) -> dict[str, bytes]:
    """What is made of places, by path: all but what tells of the run."""
    files = (path for path in out.rglob("*") if path.is_file())
    names = {path.relative_to(out).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith("_nutonic/summary")}


@pytest.fixture(scope="module")
def plain(inputs, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("plain") / "tree"
    done = run(inputs, out, {}, "--workers", "0")
    assert out.exists(), done.stderr
    made = pictures_and_words(out)
    assert sum(name.endswith(".png") for name in made) > 1
    return made


@pytest.mark.sampled(one_in=6)
@pytest.mark.parametrize("variable", HARMLESS)
def test_an_odd_environment_changes_no_byte(inputs, plain, tmp_path, variable):
    name, _, value = variable.partition("=")
    done = run(inputs, tmp_path / "tree", {name: value}, "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert pictures_and_words(tmp_path / "tree") == plain


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("variable", REFUSED)
def test_an_environment_in_which_nothing_works_is_named_in_a_line(inputs, tmp_path, variable):
    name, _, value = variable.partition("=")
    code, told = REFUSED[variable]
    done = run(inputs, tmp_path / "tree", {name: value}, "--workers", "0")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (code, 1), done.stderr
    assert told in done.stderr
    assert not list((tmp_path / "tree").glob("_nutonic/commits/*"))


@pytest.fixture(scope="module")
def without_proj(tmp_path_factory) -> dict[str, str]:
    """The environment of an installation whose PROJ has lost its database."""
    folder, installed = tmp_path_factory.mktemp("site"), Path(pyproj.__file__).parent
    shutil.copytree(installed, folder / "pyproj", ignore=shutil.ignore_patterns("proj.db", "__pycache__"))
    for libraries in installed.parent.glob("pyproj.libs"):
        (folder / libraries.name).symlink_to(libraries)
    return {"PYTHONPATH": str(folder), "PROJ_DATA": "/nowhere", "PROJ_LIB": "/nowhere"}


@pytest.mark.skipif(
    not (Path(pyproj.__file__).parent / "proj_dir").exists(), reason="pyproj has its database elsewhere"
)
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=[pytest.mark.cluster, pytest.mark.exhaustive])])
@pytest.mark.parametrize("planned", [False, True])
def test_a_proj_without_a_database_rejects_no_place(inputs, tmp_path, without_proj, workers, planned):
    if planned:
        command = [sys.executable, "-m", "nutonic", "plan", inputs / "recipe.yaml", "--out", tmp_path / "tree"]
        subprocess.run(command, check=True, capture_output=True)
    done = run(inputs, tmp_path / "tree", without_proj, "--workers", str(workers))
    assert done.returncode in (1, 2)
    assert "nutonic: PROJ does not know EPSG:4326" in done.stderr
    assert "see PROJ_DATA" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 5
    assert not list((tmp_path / "tree").glob("_nutonic/commits/*"))
