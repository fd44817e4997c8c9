"""What is written for those who come after is true: files and names are there, walks go down, the example is a source."""

import ast
import re
import sys
from pathlib import Path
from pkgutil import resolve_name
from subprocess import check_output, run

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from support.paths import ROOT
from support.worlds import written
from test_house import HOUSE, ORDER, STEP

import nutonic
from nutonic.core.times import Interval
from nutonic.errors import InputError, OffLattice
from nutonic.recipe.source_kinds import SOURCES
from nutonic.recipe.yaml import parse_recipe
from nutonic.sources.factory import sources_of
from nutonic.sources.source import Source, TimedSource
from nutonic.sources.stac.imagery import StacSource
from nutonic.testing import COLLECTION, SyntheticPlanet

PAGES = ("docs/design.md", "CONTRIBUTING.md", "README.md")
GUIDES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md") if path.name != "design.md")
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in (*PAGES, *GUIDES, "CHANGELOG.md")}
DESIGN = TEXTS["docs/design.md"]
MOST_MODULES = 8

#: Files that a page tells how to write, or to have made.
TO_BE_WRITTEN = {"nutonic/sources/landsat.py", "demo/cache/recipe.yaml"}


def section(title: str) -> str:
    """What stands below a heading, up to the next of its level or above."""
    level = title.partition(" ")[0]
    (_, text) = DESIGN.split(f"\n{title}\n")
    return re.split(rf"^#{{1,{len(level)}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]


def code(text: str, language: str) -> list[str]:
    """Fenced blocks, as they are without the indent of a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def files(text: str) -> set[str]:
    """Paths of modules and tests, and folders of the library and of its tests."""
    quoted = set(re.findall(r"(?<![\w./*-])((?:[\w-]+/)*[\w-]+\.(?:py|ipynb|lock|yaml|toml))(?![\w/])", text))
    return quoted | set(re.findall(r"`((?:nutonic|tests)/[\w/]*/)`", text))


def is_there(path: str) -> bool:
    return any((root / path).exists() for root in (ROOT, HOUSE))


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page: str):
    # Data of users, in examples, have names that are nobody's here.
    named = {path for path in files(TEXTS[page]) if path.endswith(("/", ".py")) or "/" in path}
    assert len(named) >= 2
    assert {path for path in named - TO_BE_WRITTEN if not is_there(path)} == set()


def test_a_file_that_is_not_there_is_seen():
    assert [path for path in files("`core/grids.py`, `tests/nowhere/` and `core/grid.py`") if is_there(path)] == [
        "core/grid.py"
    ]


def test_identifiers_stand_in_a_file_that_the_page_names():
    """A function or constant that is renamed is renamed here too."""
    prose = DESIGN
    for block in re.findall(r"^ *```.*?^ *```$", DESIGN, re.DOTALL | re.MULTILINE):
        prose = prose.replace(block, "")
    paths = [root / path for path in files(prose) for root in (ROOT, HOUSE) if (root / path).is_file()]
    known = set(re.findall(r"\w+", "\n".join(path.read_text(encoding="utf-8") for path in paths)))
    named = set(re.findall(r"`(\w+)(?:\.\w+)*`", re.sub(r"`nutonic(\.\w+)*`", "", prose)))
    assert len(named) > 50
    assert named - known - set(re.findall(r"\w+", code(section("### A new source"), "python")[0])) == set()


@pytest.mark.parametrize("page", [*PAGES, *GUIDES])
def test_names_that_are_used_are_there(page: str):
    names = {f"nutonic.{name}" for name in re.findall(r"(?<![\w.])nt\.([A-Za-z][\w.]*\w)", TEXTS[page])}
    names |= set(re.findall(r"(?<![\w./])nutonic(?:\.[A-Za-z_]\w*)+", TEXTS[page]))
    names = {name for name in names if not name.endswith((".json", ".yaml", ".py"))}
    assert {name for name in names - {"nutonic.sources.landsat"} if not resolves(name)} == set()


def resolves(name: str) -> bool:
    try:
        resolve_name(name)
    except (AttributeError, ImportError):
        return False
    return True


def test_new_public_names_in_the_changelog_are_there():
    """Those that are gone stand left of an "is"."""
    lines = [line.partition("` is `")[2] or line for line in TEXTS["CHANGELOG.md"].splitlines()]
    names = set(re.findall(r"\bnt\.([A-Za-z_]+)", "\n".join(lines)))
    assert len(names) > 15
    assert names <= {*nutonic.__all__}


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str):
    links = re.findall(r"\]\(([^)#\s]+)\)", TEXTS[page])
    assert [link for link in links if "://" not in link and not ((ROOT / page).parent / link).exists()] == []


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].split()) <= 1000


def test_every_guide_is_in_the_site_and_in_the_readme():
    in_site = {f"docs/{name}.md" for name in re.findall(r"^([\w-]+)$", TEXTS["docs/index.md"], re.MULTILINE)}
    assert set(GUIDES) - {"docs/index.md"} <= in_site
    assert {page for page in in_site if page not in TEXTS} == set()
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", TEXTS["README.md"]))
    assert in_site - linked <= {"docs/api.md", "docs/changelog.md"}


def test_code_in_the_guides_is_python():
    blocks = [block for page in ("README.md", *GUIDES) for block in code(TEXTS[page], "python")]
    assert len(blocks) > 8
    for block in blocks:
        compile(block, "guide", "exec")


@pytest.mark.exhaustive
def test_the_site_is_made_without_a_warning(tmp_path):
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path)]
    done = run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert "open_scene" in (tmp_path / "api.html").read_text(encoding="utf-8")


# The house


def test_the_picture_is_the_order_of_the_rooms():
    floors = re.findall(r"^floor (\d+) +((?:\w+  )*\w+)", code(section("## The rooms"), "text")[0], re.MULTILINE)
    assert {int(number): set(rooms.split()) for number, rooms in floors} == dict(enumerate(ORDER))


def test_every_room_is_described():
    described = set(re.findall(r"^\*\*(\w+)\*\* ", section("## The rooms"), re.MULTILINE))
    assert described == {path.name for path in HOUSE.iterdir() if (path / "__init__.py").is_file()}


def test_every_law_names_who_keeps_it_and_what_proves_it():
    laws = [law for law in section("## The laws").split("\n\n") if law.strip()]
    assert len(laws) == 7
    for law in laws:
        assert law.lstrip().startswith("**")
        kept, proved = law.split("\nKept by ")[1].split("\nProved by ")
        assert files(kept)
        assert files(kept) & {f"tests/{name}" for name in files(kept)} == set()
        assert any(path.startswith("tests/") and Path(path).name.startswith("test_") for path in files(proved))


# The walks


def walks() -> dict[str, list[tuple[str, list[str]]]]:
    """By title: modules in order, each with the functions that are to be read."""
    parts = re.split(r"^### (.*)$", section("## Three walks"), flags=re.MULTILINE)[1:]
    step = re.compile(r"^\d\. `([\w/]+\.py)`: ((?:`[\w.]+`(?:, )?)+)\.", re.MULTILINE)
    return {
        title: [(path, re.findall(r"`([\w.]+)`", names)) for path, names in step.findall(text)]
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


WALKS = walks()


def test_there_are_three_walks():
    assert list(WALKS) == [
        "A place, from recipe to row",
        "An href, from item to pixels",
        "A class, from its caption back to the raster",
    ]


@pytest.mark.parametrize("title", WALKS)
def test_a_walk_is_short_and_never_goes_back_up(title: str):
    modules = [path for path, _ in WALKS[title]]
    assert 3 < len(modules) == len(set(modules)) <= MOST_MODULES
    assert files(section(f"### {title}")) == set(modules)
    floors = [STEP[path.partition("/")[0]] for path in modules]
    assert floors == sorted(floors, reverse=True)


@pytest.mark.parametrize(("path", "names"), [step for steps in WALKS.values() for step in steps])
def test_a_walk_names_what_is_there(path: str, names: list[str]):
    tree = ast.parse((HOUSE / path).read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            defined |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    assert set(names) - defined == set()


@pytest.mark.parametrize("title", WALKS)
def test_steps_of_a_walk_hang_together(title: str):
    """Each module imports another of the walk, or is imported by one."""
    modules = [path for path, _ in WALKS[title]]
    alone = {a for a in modules if not any(imports(a, b) or imports(b, a) for b in modules if b != a)}
    assert alone == set()


def imports(importer: str, module: str) -> bool:
    room, name = f"nutonic/{module}".removesuffix(".py").replace("/", ".").rsplit(".", 1)
    text = (HOUSE / importer).read_text(encoding="utf-8")
    return f"from {room}.{name} import" in text or f"from {room} import {name}" in text


# The worked example, and the command


@pytest.fixture(scope="module")
def landsat():
    """What the page's source defines."""
    (sketch,) = code(section("### A new source"), "python")
    module = type(sys)("nutonic.sources.landsat")
    sys.modules[module.__name__] = module
    exec(compile(sketch, "docs/design.md", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


def brighten(path: Path) -> None:
    """Numbers as high as Landsat's, some of them below zero reflectance."""
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        numbers = file.read(1)
        file.write(np.where(numbers == 0, 0, 6000 + 3 * numbers).astype(np.uint16), 1)


def test_the_example_is_a_source(landsat, tmp_path):
    planet = SyntheticPlanet(3, shape=(300, 380), block=64)
    written(planet, tmp_path, only=["east-raw"])
    for path in (tmp_path / "east-raw").glob("*.tif"):
        brighten(path)
    catalogue = StacSource(url=str(tmp_path / "items.json"), collection=COLLECTION)
    source, scene = landsat.LandsatSource(catalogue), planet.scene("east-raw").grid
    assert isinstance(source, Source)
    assert isinstance(source, TimedSource)
    grid, period = GeoBox(scene.shape, scene.transform, scene.crs).pad(20), Interval.parse("2000-01-01/2040-01-01")
    (step,) = source.timeline(grid, period).steps
    numbers = catalogue.open(grid, step.scenes).to_array().values.astype(np.int64)
    right = np.where(numbers == 0, 0, np.clip(numbers * 11 // 40 - 2000, 1, 65535))
    assert {0, 1} < set(right.ravel().tolist())
    opened = source.open(grid, step.scenes, chunks=128)
    assert np.array_equal(opened.to_array().values, right)
    window = (slice(7, 150), slice(30, 99))
    assert source.open(grid[window], step.scenes).equals(opened.isel(y=window[0], x=window[1]).compute())
    cube = nutonic.open_cube(grid, [source], chunks=128)
    assert np.array_equal(cube[["red", "green", "blue"]].to_array().values[:, 0], right)
    with pytest.raises(OffLattice):
        source.open(GeoBox(grid.shape, grid.affine, "EPSG:32634"), step.scenes)
    with pytest.raises(InputError, match="qa_pixel"):
        source.with_masks(["qa_pixel"])


def test_a_recipe_names_the_example(landsat, tmp_path, monkeypatch):
    (line,) = re.findall(r"Add a line to `SOURCES` .*?: `(.*?)`", DESIGN)
    ((part, value),) = ast.literal_eval(f"{{{line}}}").items()
    monkeypatch.setitem(SOURCES, part, value)
    planet = SyntheticPlanet(3, shape=(300, 380), block=64)
    written(planet, tmp_path)
    whole = planet.recipe(imagery={"source": part[1]})
    for name, key in (("pois", "path"), ("imagery", "url"), ("labels", "path")):
        whole[name][key] = str(tmp_path / whole[name][key])
    plan = nutonic.plan(recipe := parse_recipe(whole))
    assert isinstance(sources_of(recipe).imagery, landsat.LandsatSource)
    assert len(plan.places) > 0
    assert sources_of(recipe).accounts == ()


def test_workers_look_for_what_the_example_needs_to_read(landsat, monkeypatch):
    """Where hosts want a token, as where the files lie in a store."""
    monkeypatch.setitem(SOURCES, ("imagery", "landsat"), "nutonic.sources.landsat:LandsatSource")
    for who in ({"bearer": {"data.example.org": "NO_SUCH_TOKEN"}}, {"allow_hosts": ["s3://scenes"]}):
        recipe = parse_recipe(SyntheticPlanet(3).recipe(imagery={"source": "landsat", "url": "items.json", **who}))
        (account,) = sources_of(recipe).accounts
        assert account.service == ("hosts with tokens" if "bearer" in who else "object stores")


@pytest.mark.long
def test_the_command_shows_the_rooms():
    (script,) = code(TEXTS["CONTRIBUTING.md"], "python")
    lines = check_output([sys.executable, "-c", script], cwd=ROOT, text=True).splitlines()
    shown = {words[0]: set(words[1:]) for words in map(str.split, lines)}
    assert set(shown) == set(STEP)
    for room in set(STEP) - {"testing"}:
        assert all(STEP[other] < STEP[room] for other in shown[room] & set(STEP)), room
    assert {"core", "io", "recipe"} <= shown["sources"]
