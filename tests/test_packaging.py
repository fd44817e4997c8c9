"""pyproject.toml, requirements.lock and environment.yml say the same."""

import inspect
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.paths import ROOT

import nutonic
from nutonic.errors import MissingExtra, as_installed
from nutonic.recipe.starts import NAMES, recipe_text

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, BUILD = PYPROJECT["project"], PYPROJECT["build-system"]
LOCK = (ROOT / "requirements.lock").read_text().splitlines()
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())

PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}


def named(lines: list[str]) -> dict[str, Requirement]:
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def declared(system: str = "linux") -> dict[str, Requirement]:
    """What the core and all extras ask for there."""
    extras = (lines for extra, lines in PROJECT["optional-dependencies"].items() if extra != "all")
    wanted = named([*PROJECT["dependencies"], *chain.from_iterable(extras)])
    return {
        k: each for k, each in wanted.items() if each.marker is None or each.marker.evaluate({"sys_platform": system})
    }


def locked(python: str, system: str) -> dict[str, str]:
    """What pip takes from the lock there; a package with two versions fails."""
    where = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_system": SYSTEMS[system],
    }
    versions: dict[str, str] = {}
    for requirement in map(Requirement, LOCK):
        if requirement.marker is None or requirement.marker.evaluate(where):
            assert requirement.name not in versions, f"{requirement.name} is locked twice on Python {python}, {system}"
            versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


def test_the_lock_holds_names_versions_and_markers_only():
    # An index or a local file that happened to be configured here must not follow users home.
    line = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][a-z0-9.]*( ; [a-z0-9_ '\"<>=!.()]+)?", re.IGNORECASE)
    assert [text for text in LOCK if not line.fullmatch(text)] == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_lock_pins_every_dependency_within_its_bounds(python: str, system: str):
    versions = locked(python, system)
    assert set(declared(system)) <= set(versions)
    unmet = {
        name: versions[name] for name, wanted in declared(system).items() if versions[name] not in wanted.specifier
    }
    assert unmet == {}


def test_every_python_gets_the_same_versions():
    # The same recipe writes the same bytes on each: numpy, rasterio and the encoders must not differ.
    versions = [locked(python, "linux") for python in PYTHONS]
    shared = set.intersection(*map(set, versions))
    assert set(declared()) <= shared
    assert {name for name in shared if len({each[name] for each in versions}) > 1} == set()


def test_the_lock_leaves_pip_nothing_to_choose():
    unlocked = {}
    for name in (pinned := {Requirement(line).name for line in LOCK}):
        try:
            wanted = map(Requirement, distribution(name).requires or [])
        except PackageNotFoundError:
            continue  # for another Python or another system
        applies = {canonicalize_name(w.name) for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})}
        unlocked[name] = applies - pinned
    assert {name: missing for name, missing in unlocked.items() if missing} == {}


def test_environment_yml_repeats_pyproject():
    conda = [line for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]
    (pip,) = (block["pip"] for block in ENVIRONMENT["dependencies"] if isinstance(block, dict))
    listed = {name: str(requirement.specifier) for name, requirement in named([*conda, *pip]).items()}
    assert listed.pop("pip") == ""
    assert listed.pop("python") == PROJECT["requires-python"]
    assert listed == {name: str(requirement.specifier) for name, requirement in declared().items()}


def test_environment_yml_names_one_channel():
    assert ENVIRONMENT["channels"] == ["conda-forge"]


def test_the_conda_recipe_repeats_pyproject():
    told = yaml.safe_load((ROOT / "conda/recipe.yaml").read_text())
    needed = {name: str(requirement.specifier) for name, requirement in named(PROJECT["dependencies"]).items()}
    wanted = {"python": PROJECT["requires-python"], **needed}
    run = named(told["requirements"]["run"])
    assert {name: str(requirement.specifier) for name, requirement in run.items()} == wanted
    assert [requirement for requirement in run.values() if requirement.extras] == []  # conda has none
    built = named([line for line in told["requirements"]["host"] if not line.startswith("pip")])
    assert {name: str(requirement.specifier) for name, requirement in built.items()} == {
        "python": PROJECT["requires-python"],
        **{name: str(each.specifier) for name, each in named(BUILD["requires"]).items()},
    }
    assert told["build"]["python"]["entry_points"] == [
        f"{name} = {where}" for name, where in PROJECT["scripts"].items()
    ]
    assert told["context"]["version"] == nutonic.__version__
    assert (told["about"]["summary"], told["about"]["license"]) == (PROJECT["description"], PROJECT["license"])
    assert told["package"]["name"] == PROJECT["name"]


def test_the_extra_all_is_all_extras():
    (everything,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(PROJECT["optional-dependencies"]) - {"all"}


def test_dependencies_have_lower_bounds_only():
    # An upper bound in a library is a conflict in somebody's environment; the lock is where versions are held.
    operators = {name: {bound.operator for bound in requirement.specifier} for name, requirement in declared().items()}
    assert {name: found for name, found in operators.items() if found != {">="}} == {}


def test_every_command_is_a_function_that_is_there():
    for name, where in PROJECT["scripts"].items():
        found = EntryPoint(name=name, value=where, group="console_scripts").load()
        assert inspect.isfunction(found), f"{name} = {where}"


def test_recipes_beside_the_library_are_the_librarys_own():
    # One text: what stands in recipes/ is what the wheel carries and init writes, not a copy that may differ.
    texts = {path.stem: path.resolve() for path in (ROOT / "recipes").iterdir()}
    assert set(texts) == set(NAMES)
    assert {name: path.read_text() for name, path in texts.items()} == {name: recipe_text(name) for name in NAMES}
    assert {path.parent for path in texts.values()} == {ROOT / "nutonic/recipe/starts"}


def run(*command: str | Path, where: Path, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=where, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.exhaustive
def test_sdist_and_wheel_are_whole_and_run(tmp_path):
    """The wheel is made of the sdist, as by whoever has no checkout, and runs from a folder of its own."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    tools, dist, there = tmp_path / "tools", tmp_path / "dist", tmp_path / "there"
    try:
        run(*pip, "install", "--target", tools, *BUILD["requires"], where=tmp_path)
    except AssertionError as error:
        pytest.skip(f"no package index to take hatchling from: {str(error)[-200:]}")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", dist, where=ROOT, PYTHONPATH=str(tools))
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
        archive.extractall(tmp_path / "unpacked", filter="data")
    for name in ("Makefile", "CITATION.cff", "conda/recipe.yaml", "notebooks/01_cube.ipynb", "tests/test_packaging.py"):
        assert name in packed
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", dist, where=unpacked, PYTHONPATH=str(tools))
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("nutonic/")}
    tracked = (
        run("git", "ls-files", "nutonic", where=ROOT).split() if (ROOT / ".git").exists() else ["nutonic/py.typed"]
    )
    assert set(tracked) <= held
    assert "nutonic/py.typed" in held
    assert not [name for name in held if "__pycache__" in name]
    run(*pip, "install", "--no-deps", "--target", there, wheel, where=tmp_path)
    said = run(sys.executable, "-c", "import nutonic; print(nutonic.__file__)", where=tmp_path, PYTHONPATH=str(there))
    assert Path(said.strip()) == there / "nutonic/__init__.py"
    (command,) = (there / "bin").glob("nutonic*")
    assert "nutonic demo" in run(command, "--help", where=tmp_path, PYTHONPATH=str(there))
    for name in ("nutonic", "rsteller"):  # what the wheel carries beside code
        run(command, "init", name, f"{name}.yaml", where=tmp_path, PYTHONPATH=str(there))
    assert "name:" in (tmp_path / "rsteller.yaml").read_text()


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("/Users/me/.venv", "pip install 'nutonic[hub]'"),
        ("/Users/me/.local/share/pipx/venvs/nutonic", "pipx runpip nutonic install 'nutonic[hub]'"),
        ("/opt/uv/tools/nutonic", "uv pip install --python /opt/uv/tools/nutonic 'nutonic[hub]'"),
        ("/Users/a b/.cache/uv/archive-v0/x", "uv pip install --python '/Users/a b/.cache/uv/archive-v0/x' 'nutonic[hub]'"),
    ],
)  # fmt: skip
def test_a_missing_extra_is_told_by_the_command_that_works_there(monkeypatch, prefix, expected):
    monkeypatch.setattr(sys, "prefix", prefix)
    error = MissingExtra("places need a package: pip install 'nutonic[hub]'")
    assert str(error) == f"places need a package: {expected}"
    assert as_installed(str(error)) == str(error)  # so that it may be pickled
