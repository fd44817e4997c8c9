"""What is written for those who come after is true: files and names are there, walks go down, the example is a source."""

import ast
import json
import re
import sys
from pathlib import Path
from pkgutil import resolve_name
from subprocess import check_output, run
from typing import NamedTuple

import numpy as np
import pytest
import rasterio
import yaml
from odc.geo.geobox import GeoBox
from support.paths import ROOT
from support.worlds import written
from test_house import FLOOR, HOUSE, MODULES, ORDER, imported_by, key, reached

import nutonic
from nutonic.core.times import Interval
from nutonic.errors import InputError, OffLattice, RecipeError
from nutonic.recipe.source_kinds import NEEDED, SOURCES
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
TO_BE_WRITTEN = {"nutonic/sources/companded.py", "demo/cache/recipe.yaml"}


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
    known |= {path.stem for path in MODULES}
    named = set(re.findall(r"`(\w+)(?:\.\w+)*`", re.sub(r"`nutonic(\.\w+)*`", "", prose)))
    assert len(named) > 50
    assert named - known - set(re.findall(r"\w+", code(section("### A new source"), "python")[0])) == set()


@pytest.mark.parametrize("page", [*PAGES, *GUIDES])
def test_names_that_are_used_are_there(page: str):
    names = {f"nutonic.{name}" for name in re.findall(r"(?<![\w.])nt\.([A-Za-z][\w.]*\w)", TEXTS[page])}
    names |= set(re.findall(r"(?<![\w./])nutonic(?:\.[A-Za-z_]\w*)+", TEXTS[page]))
    names = {name for name in names if not name.endswith((".json", ".yaml", ".py"))}
    assert {name for name in names - {"nutonic.sources.companded"} if not resolves(name)} == set()


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


def unnamed(modules: list[str], text: str) -> list[str]:
    """Modules that a text names neither by their paths nor by their names, in a paragraph that names their package."""
    inside = {
        f"{package}{name}.py"
        for paragraph in text.split("\n\n")
        for package in re.findall(r"`((?:\w+/)+)`", paragraph)
        for name in re.findall(r"`(\w+)`", paragraph)
    }
    return [module for module in modules if f"`{module}`" not in text and module not in inside]


def test_every_module_is_on_the_page():
    modules = [key(path) for path in MODULES if not path.name.startswith("__")]
    assert unnamed(modules, section("## The rooms")) == []


def test_a_module_that_is_not_on_the_page_is_seen():
    text = "In `a/b/` are `one` and `two`; `a/c.py` is beside it.\n\nHere `three` is something else."
    assert unnamed(["a/b/one.py", "a/c.py", "a/b/three.py", "a/one.py"], text) == ["a/b/three.py", "a/one.py"]


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


class Stop(NamedTuple):
    """A module of a walk, the functions that are to be read there, and the modules that its step names besides."""

    module: str
    names: tuple[str, ...]
    joints: frozenset[str]


def walks_of(text: str) -> dict[str, list[Stop]]:
    """By title: modules in order."""
    parts = re.split(r"^### (.*)$", text, flags=re.MULTILINE)[1:]
    step = re.compile(r"^\d\. `([\w/]+\.py)`: ((?:`[\w.]+`(?:, )?)+)\.((?:.|\n(?!\d|\n))*)", re.MULTILINE)
    return {
        title: [
            Stop(module, tuple(re.findall(r"`([\w.]+)`", names)), frozenset(files(rest)))
            for module, names, rest in step.findall(walk)
        ]
        for title, walk in zip(parts[::2], parts[1::2], strict=True)
    }


WALKS = walks_of(section("## Three walks"))


def test_there_are_three_walks():
    assert list(WALKS) == [
        "A place, from recipe to row",
        "An href, from item to pixels",
        "A class, from the raster to its caption",
    ]


@pytest.mark.parametrize("title", WALKS)
def test_a_walk_is_short_and_goes_one_way(title: str):
    modules = [stop.module for stop in WALKS[title]]
    assert 3 < len(modules) == len(set(modules)) <= MOST_MODULES
    assert files(section(f"### {title}")) == {*modules, *(joint for stop in WALKS[title] for joint in stop.joints)}
    floors = [FLOOR[path.partition("/")[0]] for path in modules]
    assert floors in (sorted(floors), sorted(floors, reverse=True))
    assert len(set(floors)) > 1


@pytest.mark.parametrize(("path", "names"), [stop[:2] for stops in WALKS.values() for stop in stops])
def test_a_walk_names_what_is_there(path: str, names: tuple[str, ...]):
    tree = ast.parse((HOUSE / path).read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            defined |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    assert set(names) - defined == set()


def imports(importer: str, module: str) -> bool:
    return module in imported_by(HOUSE / importer)


def hangs(stop: Stop, earlier: list[str]) -> bool:
    """Whether a stop belongs to what was read before: to the last, or by who is named as joining it to some of it."""
    last = earlier[-1]
    if imports(last, stop.module) or imports(stop.module, last):
        return True
    joining = [joint for joint in stop.joints if imports(joint, stop.module)]
    return any(
        joint in earlier or reached()[joint] & {*earlier} or any(imports(each, joint) for each in earlier)
        for joint in joining
    )


def loose(stops: list[Stop]) -> list[str]:
    """Modules at which a walk falls into pieces."""
    modules = [stop.module for stop in stops]
    return [stop.module for k, stop in enumerate(stops) if k and not hangs(stop, modules[:k])]


@pytest.mark.parametrize("title", WALKS)
def test_steps_of_a_walk_hang_together(title: str):
    assert loose(WALKS[title]) == []


def test_a_walk_that_falls_into_pieces_is_seen():
    """Where each module still is linked to another of the walk; and where who is named as joining two does not."""
    text = "### Up\n\n1. `core/classes.py`: `a`. The\n   first.\n2. `sources/raster.py`: `b`.\n"
    text += "3. `rows/truth.py`: `c`. {}\n4. `rows/captions.py`: `d`.\n"
    for joint, pieces in {
        "": ["rows/truth.py"],
        "`chips/cut.py` does not import it.": ["rows/truth.py"],
        "`rows/claims.py` knows no raster, but classes.": [],
        "`run/batch.py` does not import it itself.": ["rows/truth.py"],
        "`core/times.py` is beside it.": ["rows/truth.py"],
    }.items():
        assert loose(walks_of(text.format(joint))["Up"]) == pieces, joint
    assert loose(
        WALKS["A class, from the raster to its caption"][:3] + WALKS["A class, from the raster to its caption"][6:]
    )


# The worked example, and the command


@pytest.fixture(scope="module")
def companded():
    """What the page's source defines."""
    (sketch,) = code(section("### A new source"), "python")
    module = type(sys)("nutonic.sources.companded")
    sys.modules[module.__name__] = module
    exec(compile(sketch, "docs/design.md", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


def brighten(folder: Path) -> dict[str, np.ndarray]:
    """Make the numbers of a scene as high as a camera's of 12 bits, and beyond; gives them, by the names of their bands."""
    found = {}
    for path in folder.glob("*.tif"):
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
            numbers = file.read(1).astype(np.int64)
            found[path.stem] = np.where(numbers == 0, 0, 2 * (numbers - numbers[numbers > 0].min()) + 1)
            file.write(found[path.stem].astype(np.uint16), 1)
    return found


#: What may be declared of files that hold square roots: nothing, or the scale of the camera's own numbers.
SCALED = {"raster:bands": [{"scale": 0.000244, "offset": -0.1, "nodata": 0}]}


@pytest.mark.parametrize("declared", [{}, SCALED], ids=["nothing declared", "a scale declared"])
def test_the_example_is_a_source(companded, tmp_path, declared):
    planet = SyntheticPlanet(3, shape=(300, 380), block=64)
    written(planet, tmp_path, only=["east-raw"])
    items = json.loads((tmp_path / "items.json").read_text(encoding="utf-8"))
    for asset in items["features"][0]["assets"].values():
        asset |= declared
    (tmp_path / "items.json").write_text(json.dumps(items), encoding="utf-8")
    stored = brighten(tmp_path / "east-raw")
    catalogue = StacSource(url=str(tmp_path / "items.json"), collection=COLLECTION)
    source, scene = companded.CompandedSource(catalogue), planet.scene("east-raw").grid
    assert isinstance(source, Source)
    assert isinstance(source, TimedSource)
    grid, period = GeoBox(scene.shape, scene.transform, scene.crs).pad(20), Interval.parse("2000-01-01/2040-01-01")
    (step,) = source.timeline(grid, period).steps
    numbers = np.stack([np.pad(stored[name], 20) for name in ("red", "green", "blue")])
    right = np.where(numbers == 0, 0, np.clip(numbers**2 * 10_000 // 4095**2, 1, 65535))
    assert {0, 1} < set(right.ravel().tolist())
    assert right.max() > 5000
    assert not np.array_equal(
        catalogue.open(grid, step.scenes).to_array().values, numbers
    )  # what reads them so is a trap
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


def test_landsat_is_a_recipe():
    """Not a source: what the page says of it is read, and its sources are made."""
    (text,) = code(section("### A new source"), "yaml")
    recipe = parse_recipe({**SyntheticPlanet(3).recipe(), "tiles": {}, **yaml.safe_load(text)})
    imagery, _ = sources_of(recipe)
    assert isinstance(imagery, StacSource)
    assert (imagery.scale, imagery.offset, imagery.access.sign) == (0.0000275, -0.2, "planetary-computer")
    assert "landsateuwest.blob.core.windows.net" in imagery.access.hosts


def line_for(registry: str) -> dict:
    """What the page adds to a registry of the kinds of sources."""
    (line,) = re.findall(rf"In `{registry}`[^`]*: `(\(.*?)`[;.]", section("### A new source"))
    return ast.literal_eval(f"{{{line}}}")


def test_a_recipe_names_the_example(companded, tmp_path, monkeypatch):
    ((part, value),) = line_for("SOURCES").items()
    monkeypatch.setitem(SOURCES, part, value)
    ((needing, keys),) = line_for("NEEDED").items()
    monkeypatch.setitem(NEEDED, needing, keys)
    assert needing == part
    planet = SyntheticPlanet(3, shape=(300, 380), block=64)
    written(planet, tmp_path)
    whole = planet.recipe(imagery={"source": part[1]})
    for name, where in (("pois", "path"), ("imagery", "url"), ("labels", "path")):
        whole[name][where] = str(tmp_path / whole[name][where])
    plan = nutonic.plan(recipe := parse_recipe(whole))
    assert isinstance(sources_of(recipe).imagery, companded.CompandedSource)
    assert len(plan.places) > 0
    assert sources_of(recipe).accounts == ()
    del whole["imagery"]["url"]
    with pytest.raises(RecipeError, match="imagery: needs url where source is companded"):
        parse_recipe(whole)


def test_workers_look_for_what_the_example_needs_to_read(companded, monkeypatch):
    """Where hosts want a token, as where the files lie in a store."""
    monkeypatch.setitem(SOURCES, ("imagery", "companded"), "nutonic.sources.companded:CompandedSource")
    for who in ({"bearer": {"data.example.org": "NO_SUCH_TOKEN"}}, {"allow_hosts": ["s3://scenes"]}):
        recipe = parse_recipe(SyntheticPlanet(3).recipe(imagery={"source": "companded", "url": "items.json", **who}))
        (account,) = sources_of(recipe).accounts
        assert account.service == ("hosts with tokens" if "bearer" in who else "object stores")


@pytest.mark.long
def test_the_command_shows_the_rooms():
    (script,) = code(TEXTS["CONTRIBUTING.md"], "python")
    lines = check_output([sys.executable, "-c", script], cwd=ROOT, text=True).splitlines()
    shown = {words[0]: set(words[1:]) for words in map(str.split, lines)}
    assert set(shown) == set(FLOOR)
    for room in set(FLOOR) - {"testing"}:
        assert all(FLOOR[other] < FLOOR[room] for other in shown[room] & set(FLOOR)), room
    assert {"core", "io", "recipe"} <= shown["sources"]
