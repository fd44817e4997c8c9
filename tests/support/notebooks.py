"""Notebooks, executed and put down as they are read: ``python tests/support/notebooks.py [NAME…]`` saves their outputs.

What is saved says nothing of the machine, and is the same the next time but for times and rates, of which the old stay.
"""

from __future__ import annotations

import base64
import io
import re
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).parents[2] / "notebooks"

#: What differs between two runs: names that libraries draw, time that has gone, memory and rates.
_DRAWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_GONE = re.compile(r"\d+:\d\d:\d\d|\b\d+(\.\d+)? ?(ms|s|MB|places/s|(?:tiles|chips)/s)\b")

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

#: Seconds that a cell may take.
PATIENCE_S = 300


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def executed(path: Path, folder: Path) -> NotebookNode:
    """A notebook with the outputs that it has in an empty folder, tidied."""
    notebook = read(path)
    NotebookClient(notebook, timeout=PATIENCE_S, resources={"metadata": {"path": str(folder)}}).execute()
    notebook.metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    names: dict[str, str] = {}
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id, cell.metadata = f"cell-{number:02d}", {}
        if cell.cell_type == "code":
            cell.outputs = [_tidied(output, names) for output in cell.outputs]
    return notebook


def _tidied(output: NotebookNode, names: dict[str, str]) -> NotebookNode:
    """Without what a library draws at random, and with each name that it drew in the order in which it came."""
    data = output.get("data", {})
    for kind in [kind for kind in data if kind not in ("text/plain", "text/html", "image/png")]:
        del data[kind]
    for kind in ("text/plain", "text/html"):
        if kind in data:
            data[kind] = _DRAWN.sub(lambda found: names.setdefault(found[0], f"drawn-{len(names)}"), data[kind])
    if "image/png" in data:
        data["image/png"] = _smaller(data["image/png"])
    if output.get("metadata"):
        output.metadata = {}
    return output


def _smaller(picture: str) -> str:
    """A PNG in 256 colours, a third of its size."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(picture))) as drawn:
        drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def told(notebook: NotebookNode) -> list[list[str]]:
    """What each cell's outputs say, without times and pictures."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return [[_GONE.sub("…", text) for text in _texts(cell.outputs)] for cell in cells]


def _texts(outputs: list[NotebookNode]) -> Iterator[str]:
    """What is printed is one text, in however many pieces it came: that depends on how fast the machine is."""
    for is_printed, group in groupby(outputs, key=lambda output: output.output_type == "stream"):
        if is_printed:
            yield "".join(output.text for output in group)
        else:
            yield from (output.data.get("text/plain", "") for output in group)


def complaints(notebook: NotebookNode) -> list[str]:
    """What is said on stderr."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    return [output.text for output in outputs if output.get("name") == "stderr"]


def save(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fresh = executed(path, Path(folder))
    old = read(path)
    for before, now in zip(old.cells, fresh.cells, strict=True):
        if now.cell_type == "code" and before.outputs and says_the_same(before, now):
            now.outputs = before.outputs
    nbformat.write(fresh, path)


def says_the_same(before: NotebookNode, now: NotebookNode) -> bool:
    """Whether two cells show the same but for times, as text and as HTML; of pictures that is not known."""
    if any("image/png" in output.get("data", {}) for output in now.outputs):
        return False
    shown = (
        [_GONE.sub("…", output.get("data", {}).get("text/html", "")) for output in c.outputs] for c in (before, now)
    )
    return told(NotebookNode(cells=[before])) == told(NotebookNode(cells=[now])) and len({*map(tuple, shown)}) == 1


if __name__ == "__main__":
    for chosen in sorted(FOLDER.glob("*.ipynb")):
        if not sys.argv[1:] or chosen.stem in sys.argv[1:]:
            save(chosen)
            print(chosen.name, f"{chosen.stat().st_size / 1000:.0f} kB", *complaints(read(chosen)))
