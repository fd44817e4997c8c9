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

from nutonic.recipe.yaml import load_recipe
from nutonic.run.run import build
from nutonic.testing import SyntheticPlanet

#: Variables that change nothing.
HARMLESS = (
    "GDAL_DATA=/nowhere", "GDAL_DRIVER_PATH=/nowhere", "GDAL_NUM_THREADS=ALL_CPUS", "GDAL_CACHEMAX=0",
    "GDAL_CACHEMAX=nonsense", "GDAL_DISABLE_READDIR_ON_OPEN=FALSE", "GDAL_PAM_ENABLED=YES", "GDAL_PAM_PROXY_DIR=/nowhere",
    "GDAL_TIFF_INTERNAL_MASK_TO_8BIT=NO", "GDAL_SKIP=VRT PNG", "GDAL_HTTP_PROXY=127.0.0.1:9", "GDAL_TIFF_ENDIANNESS=BIG",
    "GDAL_GEOREF_SOURCES=NONE", "GDAL_BAND_BLOCK_CACHE=HASHSET", "GDAL_ONE_BIG_READ=YES", "GDAL_FILENAME_IS_UTF8=NO",
    "GDAL_MAX_DATASET_POOL_SIZE=2", "GDAL_CONFIG_FILE=/nowhere", "GDAL_VRT_ENABLE_PYTHON=YES",
    "GTIFF_POINT_GEO_IGNORE=YES", "GTIFF_SRS_SOURCE=GEOKEYS", "GTIFF_DIRECT_IO=YES", "GTIFF_VIRTUAL_MEM_IO=YES",
    "GTIFF_REPORT_COMPD_CS=YES", "GTIFF_IGNORE_READ_ERRORS=YES", "GTIFF_LINEAR_UNITS=BROKEN", "OPJ_NUM_THREADS=8",
    "OSR_DEFAULT_AXIS_MAPPING_STRATEGY=AUTHORITY_COMPLIANT", "CPL_DEBUG=ON", "CPL_LOG_ERRORS=ON", "CPL_LOG=/nowhere/log",
    "CPL_TMPDIR=/nowhere", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS=.nothing", "CPL_CURL_VERBOSE=YES", "VSI_CACHE=TRUE",
    "PROJ_NETWORK=ON", "PROJ_DEBUG=3", "PROJ_ONLY_BEST_DEFAULT=YES",
    "PROJ_USER_WRITABLE_DIRECTORY=/nowhere", "PROJ_USE_PROJ4_INIT_RULES=YES", "PYPROJ_GLOBAL_CONTEXT=ON",
    "PYTHONWARNINGS=default", "PYTHONOPTIMIZE=2", "PYTHONHASHSEED=77", "PYTHONUTF8=0", "PYTHONDEVMODE=1",
    "PYTHONIOENCODING=ascii", "PYTHONSAFEPATH=1", "PYTHONINTMAXSTRDIGITS=640", "PYTHONASYNCIODEBUG=1",
    "LC_ALL=C", "LC_ALL=tr_TR.UTF-8", "LC_ALL=nonsense", "LANG=de_DE.UTF-8", "TZ=Pacific/Kiritimati", "TZ=nonsense",
    "COLUMNS=1", "TERM=dumb", "NO_COLOR=1", "FORCE_COLOR=1", "HOME=/nowhere", "HOME=", "USER=", "PATH=/nowhere",
    "TMPDIR=/nowhere", "XDG_CACHE_HOME=/nowhere", "SOURCE_DATE_EPOCH=0", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=64",
    "DASK_SCHEDULER=processes", "DASK_ARRAY__CHUNK_SIZE=1kiB", "DASK_CONFIG=/nowhere", "DASK_TEMPORARY_DIRECTORY=/nowhere",
    "http_proxy=http://127.0.0.1:9", "https_proxy=nonsense", "SSL_CERT_FILE=/nowhere", "MALLOC_ARENA_MAX=1",
)  # fmt: skip

#: Of those the ones that make a run slow.
SLOW = ("PYTHONOPTIMIZE=2", "PYTHONDEVMODE=1", "PYTHONASYNCIODEBUG=1")

#: Variables with which nothing can be made, the exit code, and what is told.
REFUSED = {
    "PYTHONWARNINGS=error": (2, "PYTHONWARNINGS is error"),
    "PYTHONWARNINGS=default,e": (2, "PYTHONWARNINGS is e,"),
    "PROJ_DATA=/nowhere": (2, "GDAL's PROJ does not know EPSG:4326"),
    "PROJ_LIB=/nowhere": (2, "see PROJ_LIB"),
    "PROJ_AUX_DB=/nowhere/a.db": (2, "see PROJ_AUX_DB"),
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
    build(load_recipe(inputs / "recipe.yaml"), out, workers=0, limit=2)
    made = pictures_and_words(out)
    assert sum(name.endswith(".png") for name in made) > 1
    return made


@pytest.mark.long
def test_all_odd_variables_together_change_no_byte(inputs, plain, tmp_path):
    variables = dict(variable.split("=", 1) for variable in HARMLESS if variable not in SLOW)
    done = run(inputs, tmp_path / "tree", variables, "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert pictures_and_words(tmp_path / "tree") == plain


@pytest.mark.exhaustive
@pytest.mark.parametrize("variable", HARMLESS)
def test_an_odd_environment_changes_no_byte(inputs, plain, tmp_path, variable):
    name, _, value = variable.partition("=")
    done = run(inputs, tmp_path / "tree", {name: value}, "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert pictures_and_words(tmp_path / "tree") == plain


@pytest.mark.sampled(one_in=6)
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


@pytest.mark.long
@pytest.mark.skipif(
    not (Path(pyproj.__file__).parent / "proj_dir").exists(), reason="pyproj has its database elsewhere"
)
@pytest.mark.parametrize(
    ("planned", "workers"),
    [
        (False, 0),
        pytest.param(True, 0, marks=pytest.mark.exhaustive),
        pytest.param(True, 1, marks=[pytest.mark.cluster, pytest.mark.exhaustive]),
    ],
)
def test_a_proj_without_a_database_rejects_no_place(inputs, tmp_path, without_proj, workers, planned):
    if planned:
        command = [sys.executable, "-m", "nutonic", "plan", inputs / "recipe.yaml", "--out", tmp_path / "tree"]
        subprocess.run(command, check=True, capture_output=True)
    done = run(inputs, tmp_path / "tree", without_proj, "--workers", str(workers))
    assert done.returncode in (1, 2)
    assert "nutonic: PROJ does not know EPSG:4326" in done.stderr
    assert "see PROJ_DATA" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not list((tmp_path / "tree").glob("_nutonic/commits/*"))


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", ["demo", "cube recipe.yaml --area 15,45,15.01,45.01"])
def test_no_command_does_without_a_database(inputs, tmp_path, without_proj, command):
    words = command.replace("recipe.yaml", str(inputs / "recipe.yaml")).split()
    done = subprocess.run(
        [sys.executable, "-m", "nutonic", *words, "--out", tmp_path / "out.zarr"],
        env={**os.environ, **without_proj}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith("nutonic: PROJ does not know EPSG:4326")
    assert not (tmp_path / "out.zarr").exists()
