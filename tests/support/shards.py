"""Shards as any archive gives them, and how near a picture is to the pixels that it was made of."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def samples(tree: Path, split: str = "") -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Picture and JSON of each patch, by its key; each picture stands directly before its JSON."""
    found: dict[str, tuple[bytes, dict[str, Any]]] = {}
    for shard in sorted((tree / "data").rglob("*.tar")):
        if split and split not in shard.relative_to(tree).as_posix():
            continue
        with tarfile.open(shard) as archive:
            files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
        keys = [name.removesuffix(".jpg") for name in files if name.endswith(".jpg")]
        assert [name for key in keys for name in (f"{key}.jpg", f"{key}.json")] == list(files)
        assert not set(keys) & set(found)
        found |= {key: (files[f"{key}.jpg"], json.loads(files[f"{key}.json"])) for key in keys}
    return found


def pixels_of(picture: bytes) -> np.ndarray:
    """(height, width, 3) int."""
    return np.asarray(Image.open(io.BytesIO(picture))).astype(int)
