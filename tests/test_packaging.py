"""pyproject.toml, requirements.lock and environment.yml say the same."""

import inspect
import re
import tomllib
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution
from itertools import chain

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.paths import ROOT

from nutonic.recipe.template import NAMES, template

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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
    assert {name: path.read_text() for name, path in texts.items()} == {name: template(name) for name in NAMES}
    assert {path.parent for path in texts.values()} == {ROOT / "nutonic/recipe", ROOT / "nutonic/recipe/starts"}
