"""The house rules of design, as tests: floors, a light front door, small modules, nothing of this machine."""

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nutonic

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "nutonic"
MODULES = sorted(HOUSE.rglob("*.py"))

#: Each module or folder of nutonic and its floor; imports go down, or along one floor.
FLOORS = {
    **dict.fromkeys(["errors", "grid", "model", "recipe", "classes", "splits", "places", "nearest", "recipe_file"], 0),
    **dict.fromkeys(["fields", "moments", "presets", "labelling", "choices", "failures", "areas", "recipe_cube"], 0),
    **dict.fromkeys(["sources", "store", "chip", "regions", "captions", "rows", "kernels"], 1),
    **dict.fromkeys(
        ["cube", "cubes", "reading", "saving", "composing", "cutting", "folding", "reduce", "tiling", "batch", "cost"],
        2,
    ),
    **dict.fromkeys(["choosing", "planning"], 3),
    **dict.fromkeys(["tree", "run", "jobs", "cluster", "connection", "crew", "workers", "performance", "summary"], 4),
    **dict.fromkeys(
        [
            "testing",
            "verification",
            "audit",
            "mending",
            "report",
            "console",
            "logs",
            "interrupts",
            "demo",
            "demo_data",
            "demo_series",
            "cubing",
        ],
        4.5,
    ),  # beside: may see all below 5, seen by 5 only
    **dict.fromkeys(["cli", "templates", "__init__", "__main__"], 5),
}
GROUND_FLOOR = {"numpy", "scipy", "xarray", "affine", "odc", "pyproj", "shapely", "pydantic", "yaml", "orjson"}
RASTERIO = {
    "sources/rasters.py",
    "sources/handles.py",
    "testing/earthengine/rasters.py",
    "testing/planet.py",
    "demo_data.py",
    "demo_series.py",
    "store/cog.py",
}  # the last three write rasters
DISTRIBUTED = {"cluster.py", "connection.py", "crew.py", "performance.py", "workers.py"}
MAX_MODULE, MAX_FUNCTION = 500, 60


def key(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def room(path: Path) -> str:
    """The entry of FLOORS that a file belongs to."""
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, in functions and for type checkers too; ``from a import b`` is a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{key(path)}:{node.lineno}: write imports in full, floors are read off them"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def wrong(path: Path, line: int, name: str) -> str | None:
    """What an import breaks, in words."""
    top, _, rest = name.partition(".")
    if top == "nutonic":
        if name == "nutonic.__version__":  # sidecars state it, and the façade is where it lives
            return None
        target = rest.split(".")[0] if rest.split(".")[0] in FLOORS else "__init__"
        if FLOORS[target] > FLOORS[room(path)]:
            return f"nutonic/{key(path)}:{line}: imports go down, {name} is on a floor above"
        private = any(part.startswith("_") for part in rest.split(".")) and target not in ("__init__", room(path))
        return f"nutonic/{key(path)}:{line}: {name} is private" if private else None
    if FLOORS[room(path)] == 0 and top not in GROUND_FLOOR | sys.stdlib_module_names:
        return f"nutonic/{key(path)}:{line}: floor 0 holds values and does not import {top}"
    if top == "rasterio" and key(path) not in RASTERIO:
        return f"nutonic/{key(path)}:{line}: rasterio is for {', '.join(sorted(RASTERIO))}"
    if (top == "distributed" or name.startswith("dask.distributed")) and key(path) not in DISTRIBUTED:
        return f"nutonic/{key(path)}:{line}: dask.distributed is for {', '.join(sorted(DISTRIBUTED))}"
    return None


@pytest.mark.parametrize("path", MODULES, ids=key)
def test_imports_go_down_only(path: Path):
    assert room(path) in FLOORS, f"nutonic/{key(path)} has no floor: give it one in FLOORS, see design.md"
    assert [problem for line, name in imports(path) if (problem := wrong(path, line, name))] == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("grid.py", "from nutonic.cube import open_scene"),
        ("grid.py", "from nutonic import open_cube"),
        ("grid.py", "import dask.array"),
        ("batch.py", "import nutonic.planning"),
        ("run.py", "from nutonic import verify"),
        ("rows.py", "from nutonic.chip import _private"),
        ("chip.py", "import rasterio.windows"),
        ("planning.py", "from dask.distributed import Client"),
        ("planning.py", "from dask import distributed"),
    ],
)
def test_the_floor_test_sees(where: str, line: str):
    (statement,) = ast.parse(line).body
    assert isinstance(statement, ast.Import | ast.ImportFrom)
    base = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
    assert wrong(HOUSE / where, 1, base + statement.names[0].name)


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


@pytest.mark.parametrize("name", nutonic.__all__)
def test_public_names_exist_and_are_described(name: str):
    value = getattr(nutonic, name)
    described = inspect.getdoc(value) or ""
    # A dataclass without a docstring gets its signature as one.
    assert described
    assert not described.startswith(f"{name}(")


@pytest.mark.parametrize("path", MODULES, ids=key)
def test_modules_and_functions_are_small(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_MODULE
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION} == {}


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
