"""The house rules of docs/design.md, as tests: one order of rooms, a light front door, modules that can be read."""

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.paths import ROOT

import nutonic
from nutonic.recipe.source_kinds import SOURCES

HOUSE = ROOT / "nutonic"
MODULES = sorted(HOUSE.rglob("*.py"))

#: The floors with their rooms, from the lowest. A module imports from its room and from rooms on floors below it.
ORDER = (
    {"_version", "secrets", "inert", "heap", "lazily"},
    {"errors"},
    {"core"},
    {"io"},
    {"recipe"},
    {"sources", "chips"},
    {"rows"},
    {"cube", "planning"},
    {"dataset"},
    {"run", "testing"},
    {"cli"},
    {"__init__"},
    {"__main__"},
)
FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}

#: What tests stand on knows nothing of what it tests, but for the errors.
SEES_UP_TO = FLOOR | {"testing": FLOOR["core"], "__init__": len(ORDER)}

#: Libraries with a room of their own: nobody else need know them.
KEPT_IN = {
    "rasterio": ("io/raster.py", "io/gdal.py", "io/decoder.py", "cube/cog.py", "cli/demo/", "testing/"),
    "distributed": ("run/", "cli/", "sources/mosaic.py"),
    "ee": ("sources/earthengine/",),
    "xee": ("sources/earthengine/",),
    "urllib3": ("io/", "sources/"),
    "osmium": ("sources/osm/",),
    "aiohttp": ("sources/annotators/",),
}
#: Helpers of dask's own that lie where no underscore says so: they move with its graphs' inner shape.
DASK_INTERNALS = {"convert_legacy_graph", "execute_graph", "convert_legacy_task"}
#: Where Earth Engine is known by its name: its own room, the recipe's schema with the registry, what stands in for it,
#: the command line's demo, and the public names.
KNOW_EARTH_ENGINE = ("sources/earthengine/", "recipe/", "testing/", "cli/", "__init__.py")

#: Who takes a whole recipe: the public doors, the command behind one of them, and what resolves it for all others.
DOORS = {
    "chips/from_cube.py": {"cut_chips"},
    "cli/cube.py": {"save_recipe_cube"},
    "cube/compose.py": {"compose"},
    "planning/layout.py": {"layout_of"},
    "planning/recipe_kinds.py": {"plan", "planned_into"},
    "planning/patches/spec.py": {"resolve_patches"},
    "planning/spec.py": {"resolve"},
    "run/patches/verify.py": {"verify_patches", "_looked_at"},
    "run/preview/patches.py": {"preview_of_patches"},
    "run/preview/places.py": {"preview_of_places"},
    "run/preview/preview.py": {"preview"},
    "run/run.py": {"build", "_built"},
    "sources/factory.py": {"patch_sources_of", "sources_of"},
}
MOST_ROOMS, MOST_MODULES, MAX_MODULE, MAX_FUNCTION = 12, 14, 500, 60


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def key(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, in functions and for type checkers too; ``from a import b`` is a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: write imports in full, rooms are read off them"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def wrong(path: Path, name: str) -> str | None:
    """What an import breaks, in words."""
    top, _, rest = name.partition(".")
    if top == "nutonic":
        target, here = rest.partition(".")[0], room(path)
        target = target if target in FLOOR else "__init__"
        if target != here and FLOOR[target] >= SEES_UP_TO[here]:
            return f"{name} is not below {here}"
        private = any(part.startswith("_") for part in rest.split(".")) and target not in ("_version", here)
        return f"{name} is private" if private else None
    name = name.replace("dask.distributed", "distributed")
    homes = KEPT_IN.get(name.partition(".")[0], ("",))
    return None if key(path).startswith(homes) else f"{name} is for {', '.join(homes)}"


@cache
def imported_by(path: Path) -> set[str]:
    """Our modules that a module imports, wherever in it; as they are named in :func:`key`."""
    found = set()
    for _, name in imports(parsed(path)):
        parts = name.split(".")[1:] if name.startswith("nutonic.") else []
        ours = ("/".join(parts[:k]) + ".py" for k in range(len(parts), 0, -1))
        found |= {next((each for each in ours if (HOUSE / each).is_file()), "")} - {"", key(path)}
    return found


@cache
def reached() -> dict[str, set[str]]:
    """Our modules that each module imports, itself or by way of others; sources, which are named, by who makes them."""
    graph = {key(path): imported_by(path) for path in MODULES}
    made = (home.partition(":")[0].partition(".")[2] for home in SOURCES.values())
    graph["sources/factory.py"] |= {f"{home.replace('.', '/')}.py" for home in made}
    found: dict[str, set[str]] = {}
    for name in graph:
        seen, left = set[str](), [name]
        while left:
            new = graph[left.pop()] - seen
            seen |= new
            left += new
        found[name] = seen
    return found


def test_no_module_imports_itself_by_way_of_others():
    assert {name for name, others in reached().items() if name in others} == set()


def test_every_module_is_in_a_room():
    assert {key(path) for path in MODULES if room(path) not in FLOOR} == set(), (
        "see docs/design.md for where each belongs"
    )


def test_imports_go_one_way():
    found = [
        f"{key(path)}, line {line}: {problem}"
        for path in MODULES
        for line, name in imports(parsed(path))
        if (problem := wrong(path, name))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("core/grid.py", "from nutonic.cube.open import open_scene"),
        ("core/grid.py", "from nutonic import open_cube"),
        ("io/http.py", "from nutonic.recipe.recipe import Recipe"),
        ("chips/png.py", "from nutonic.sources.source import Source"),
        ("planning/plan.py", "import nutonic.cube"),
        ("run/run.py", "from nutonic.cli.console import progress"),
        ("cube/open.py", "from nutonic.testing import SyntheticPlanet"),
        ("testing/planet.py", "from nutonic.core.grid import corners"),
        ("rows/rows.py", "from nutonic.core.grid import _private"),
        ("chips/chip.py", "import rasterio.windows"),
        ("planning/plan.py", "from dask.distributed import Client"),
        ("planning/plan.py", "from dask import distributed"),
        ("planning/plan.py", "import ee"),
    ],
)
def test_the_order_is_seen_to_be_broken(where: str, line: str):
    ((_, name),) = imports(ast.parse(line))
    assert wrong(HOUSE / where, name)


def names_earth_engine(tree: ast.AST) -> Iterator[str]:
    yield from (name for _, name in imports(tree) if name.startswith("nutonic.sources.earthengine"))
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    yield from (text for text in texts if text == "earthengine" or text.startswith("nutonic.sources.earthengine"))


def test_earth_engine_stays_in_its_walls():
    outside = [path for path in MODULES if not key(path).startswith(KNOW_EARTH_ENGINE)]
    assert {key(path): known for path in outside if (known := list(names_earth_engine(parsed(path))))} == {}


def test_earth_engine_is_seen_outside_its_walls():
    lines = ('if recipe.labels.source == "earthengine": pass', "from nutonic.sources.earthengine.windows import parts")
    assert all(list(names_earth_engine(ast.parse(line))) for line in lines)


def takes_a_recipe(tree: ast.AST) -> set[str]:
    """Functions with a parameter, and classes with a field, that is a whole recipe."""
    holders = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            annotations = [argument.annotation for argument in arguments]
        elif isinstance(node, ast.ClassDef):
            annotations = [field.annotation for field in node.body if isinstance(field, ast.AnnAssign)]
        else:
            continue
        words = (word for each in annotations if each is not None for word in ast.walk(each))
        if any(isinstance(word, ast.Name) and word.id in ("Recipe", "PatchRecipe", "AnyRecipe") for word in words):
            holders.add(node.name)
    return holders


def test_a_recipe_is_resolved_at_the_doors():
    outside = (path for path in MODULES if room(path) != "recipe")
    holders = {key(path): takes_a_recipe(parsed(path)) for path in outside}
    assert {name: found for name, found in holders.items() if found} == DOORS
    assert takes_a_recipe(ast.parse("def f(a: int, *, r: Recipe | None = None): ...\nclass C:\n    r: Recipe")) == {
        "f",
        "C",
    }


def test_rooms_are_few_and_hold_what_a_reader_can_hold():
    rooms = [path for path in HOUSE.rglob("*") if path.is_dir() and path.name != "__pycache__"]
    assert len([path for path in rooms if path.parent == HOUSE]) <= MOST_ROOMS
    modules = {key(path): [m for m in path.glob("*.py") if m.name != "__init__.py"] for path in rooms}
    assert {name: len(found) for name, found in modules.items() if len(found) > MOST_MODULES} == {}


def test_no_room_bears_the_name_of_a_public_function():
    """Importing a submodule would put the package in the function's place."""
    assert {path.name for path in HOUSE.iterdir()} & set(nutonic.__all__) == set()


def test_importing_nutonic_is_quick_offline_and_light():
    # Best of five fresh processes: a slow one says more about the machine than about us.
    script = """
import json, socket, sys, time
def refuse(*_, **__): raise AssertionError("import nutonic opens a socket")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
before, start = set(sys.modules), time.perf_counter()
import nutonic
seconds = time.perf_counter() - start
new = {name.partition(".")[0] for name in set(sys.modules) - before} - {"nutonic"} - sys.stdlib_module_names
print(json.dumps({"seconds": seconds, "third_party": sorted(new)}))
"""
    found = [json.loads(subprocess.check_output([sys.executable, "-c", script], cwd=ROOT)) for _ in range(5)]
    assert found[0]["third_party"] == []
    assert min(each["seconds"] for each in found) < 0.5


#: What takes its time to import.
HEAVY = {"xarray", "pandas", "pyarrow", "pyproj", "rasterio", "scipy", "dask", "distributed", "shapely", "odc", "PIL"}


@pytest.mark.parametrize(
    ("doing", "refused"),
    [
        ("import nutonic as nt; nt.load_recipe('recipes/nutonic.yaml').digest()", HEAVY | {"numpy", "rich"}),
        ("import nutonic as nt; nt.Recipe, nt.ClassTable, nt.tiles", HEAVY | {"numpy", "rich"}),
        ("import nutonic as nt; nt.verify", HEAVY | {"rich"}),
        ("import nutonic as nt; nt.build, nt.Summary", HEAVY | {"rich", "psutil", "urllib3"}),
        ("import nutonic as nt; nt.Cluster, nt.Callback", HEAVY | {"rich", "psutil", "numpy", "obstore", "pydantic"}),
        ("import nutonic.cli.main", HEAVY | {"numpy", "rich", "pydantic", "yaml"}),
        ("import nutonic.cli.console", HEAVY | {"numpy", "pydantic"}),
    ],
)
def test_what_needs_no_pixels_imports_nothing_that_reads_them(doing: str, refused: set[str]):
    script = f"{doing}\nimport json, sys; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    loaded = set(json.loads(subprocess.check_output([sys.executable, "-c", script], cwd=ROOT)))
    assert "nutonic" in loaded
    assert sorted(loaded & refused) == []


#: What words and judges captions, and what a plan and a build with nothing to do need neither of.
CAPTIONS = {
    "nutonic.rows.annotation",
    "nutonic.chips",
    "nutonic.dataset.annotate",
    "nutonic.sources.annotators.endpoint",
}
NEITHER = {"xarray", "pandas", "scipy", "pystac_client", "distributed", "asyncio", "PIL", "rioxarray", *CAPTIONS}


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        (["plan", "{recipe}"], {*NEITHER, "nutonic.rows", "nutonic.run.batch"}),
        (
            ["build", "{recipe}", "--out", "{out}", "--workers", "0"],
            {*NEITHER, *HEAVY, "psutil", "jinja2", "nutonic.planning.plan", "nutonic.run.batch"}
            - {"pyproj", "shapely"},
        ),
    ],
)
def test_a_command_that_opens_no_scene_imports_nothing_that_would(command: list[str], refused: set[str], built):
    """A plan opens the labels' headers, with rasterio; a build with nothing to do opens no raster at all."""
    args = [part.format(recipe=built.recipe_path, out=built.out) for part in command]
    script = (
        f"import sys; sys.argv = ['nutonic', *{args!r}]\nfrom nutonic.cli.main import main\nended = 0\n"
        "try: main()\nexcept SystemExit as error: ended = error.code or 0\n"
        "import json; print(json.dumps([ended, *sys.modules]))"
    )
    code, *loaded = json.loads(subprocess.check_output([sys.executable, "-c", script], text=True).splitlines()[-1])
    assert code == 0
    assert sorted(name for name in refused if name in loaded) == []


def test_what_a_full_disk_is_stands_in_one_place():
    codes = ("ENOSPC", "EDQUOT", "EFBIG")
    assert [key(path) for path in MODULES if any(code in path.read_text() for code in codes)] == ["io/atomic.py"]


@pytest.mark.parametrize("name", nutonic.__all__)
def test_public_names_exist_and_are_described(name: str):
    value = getattr(nutonic, name)
    described = inspect.getdoc(value) or ""
    # A dataclass without a docstring gets its signature as one.
    assert described
    assert not described.startswith(f"{name}(")


def private_dask(tree: ast.AST) -> list[str]:
    """What is used of dask and distributed that they do not promise: private modules and names, however imported."""
    libraries = ("dask", "distributed")
    names = [name for _, name in imports(tree) if name.partition(".")[0] in libraries]
    local = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).partition(".")[0] in libraries
    }
    dotted = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    names += [name for name in dotted if name.partition(".")[0] in local]
    private = [name for name in names if any(part.startswith("_") and part[:2] != "__" for part in name.split("."))]
    inner = [name for name in (*names, *dotted) if DASK_INTERNALS & set(name.split("."))]
    return sorted({*private, *inner})


def test_only_what_dask_promises_is_used():
    assert {key(path): used for path in MODULES if (used := private_dask(parsed(path)))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from dask._task_spec import Task",
        "from dask import _task_spec",
        "import dask._task_spec",
        "import dask\ndask._expr.Expr",
        "import dask.array as da\nda._array_expr",
        "from dask.core import convert_legacy_graph",
        "import dask.core as core\ncore.convert_legacy_graph({})",
        "from distributed.worker import _global_workers",
    ],
)
def test_what_dask_does_not_promise_is_seen(line: str):
    assert private_dask(ast.parse(line))


def test_modules_and_functions_are_small():
    modules = {key(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in modules.items() if lines > MAX_MODULE} == {}
    functions = {
        f"{key(path)}, {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in functions.items() if lines > MAX_FUNCTION} == {}


def test_no_file_names_this_machine_or_a_package_index():
    # Spelt in halves, so that this file does not name them.
    paths = [f"/{folder}/" for folder in ("work", "root", "home", "tmp")]
    indexes = ["pypi.org/" + "simple", "python" + "hosted", "index" + "-url", "find" + "-links"]
    try:
        listing = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    tracked = [ROOT / name for name in listing.stdout.split("\0") if name and name != "requirements.lock"]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in tracked
        if path.is_file()
        for word in paths + indexes
        if word.encode() in path.read_bytes()
    ]
    assert found == []
