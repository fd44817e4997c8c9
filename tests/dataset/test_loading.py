"""The card's loading snippet, as it stands in the card, run from anywhere by the `datasets` library: rows with pictures."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from PIL import Image

from nutonic.chips.png import decode

#: What is printed of each split, once the snippet has run.
PRINT = """
import hashlib, json
told = {}
for name, rows in dataset.items():
    told[name] = [
        [row["id"], [hashlib.sha256(image.convert("RGB").tobytes()).hexdigest() for image in row["images"]]]
        for row in rows.select(range(min(4, len(rows))))
    ]
print("\\n" + json.dumps({"rows": told, "counts": {name: len(rows) for name, rows in dataset.items()}}))
"""


def run(python: str, out: Path, folder: Path) -> dict:
    """What the snippet of a tree's card gives, in another folder than the tree."""
    (snippet,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert snippet.count('"/path/to/this/folder"') == 1
    folder.mkdir()
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home"), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    code = snippet.replace('"/path/to/this/folder"', repr(str(out))) + PRINT
    done = subprocess.run(
        [python, "-c", code], cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def is_right(out: Path, told: dict) -> None:
    """Rows and pixels are those of the tree, by files alone."""
    for split in ("train", "validation", "test"):
        rows = [json.loads(line) for line in (out / "data" / f"{split}.jsonl").read_bytes().splitlines()]
        assert told["counts"][split] == len(rows)
        for (name, pixels), row in zip(told["rows"][split], rows, strict=False):
            side = Image.open(out / row["messages"][0]["content"][0]["image"]).size[0]
            picture = decode((out / row["messages"][0]["content"][0]["image"]).read_bytes(), side)
            assert (name, pixels) == (row["id"], [hashlib.sha256(picture.tobytes()).hexdigest()])


@pytest.mark.long
def test_the_cards_snippet_gives_pictures_from_anywhere(clean, tmp_path):
    pytest.importorskip("datasets")
    is_right(clean.out, run(sys.executable, clean.out, tmp_path / "else where"))


@pytest.mark.exhaustive
def test_the_cards_snippet_runs_with_datasets_3_6(clean, tmp_path):
    """With the last version before parts of any keys; installed by the package index, into a folder of its own."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "datasets==3.6.0", "pillow"], capture_output=True, check=False
    )
    if installed.returncode:
        pytest.skip("no package index has datasets 3.6.0")
    is_right(clean.out, run(str(python), clean.out, tmp_path / "else where"))
