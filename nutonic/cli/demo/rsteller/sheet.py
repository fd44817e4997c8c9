"""A contact sheet of shards: patches with their captions, read from the archives as trainers read them."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from PIL import Image, ImageDraw

from nutonic.cli.demo.sheet import font, lines_of
from nutonic.core.model import Json
from nutonic.errors import NutonicError

#: Layout in pixels: the side of a picture, space between, the distance of lines, and how many patches lie side by side.
_SIDE, _GAP, _LINE, _ACROSS = 360, 16, 19, 4

_LETTERS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPatch:
    """A patch of a shard."""

    picture: Image.Image
    content: Json


def read_shards(tree: Path) -> Iterator[ShardPatch]:
    """All patches of a tree's shards, in the order of their paths."""
    for path in sorted((tree / "data").rglob("*.tar")):
        with tarfile.open(path) as archive:
            while (member := archive.next()) is not None:
                picture = Image.open(io.BytesIO(_read(archive, member)), formats=["JPEG"]).convert("RGB")
                following = archive.next()
                if following is None:
                    raise NutonicError(f"{path} ends within a patch")
                yield ShardPatch(picture=picture, content=orjson.loads(_read(archive, following)))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def varied(patches: Sequence[ShardPatch], count: int) -> list[ShardPatch]:
    """So many patches, in their order: each next one is of what was chosen least, and far from those that were.

    What a patch is of are its task, its split, and the element that its first caption is about.
    """
    told = [_of(patch) for patch in patches]
    places = np.array([_centre(patch) for patch in patches]).reshape(-1, 2)
    chosen, counts = list[int](), Counter[str]()
    while len(chosen) < min(count, len(patches)):
        left = [at for at in range(len(patches)) if at not in chosen]
        away = {at: np.hypot(*(places[chosen] - places[at]).T).min() if chosen else 0.0 for at in left}
        best = min(left, key=lambda at: (sum(counts[each] for each in told[at]), -away[at], at))
        chosen.append(best)
        counts.update(told[best])
    return [patches[at] for at in sorted(chosen)]


def _of(patch: ShardPatch) -> tuple[str, ...]:
    first, image = patch.content["annotations"][0], patch.content["provenance"]["image"]
    trace = patch.content["provenance"]["annotations"][0]
    return f"task {first['task']}", image["split"], str(trace["task"]["element"])


def _centre(patch: ShardPatch) -> tuple[float, float]:
    """East and north, in the units of its grid."""
    a, b, c, d, e, f = patch.content["provenance"]["image"]["transform"]
    x, y = patch.picture.width / 2, patch.picture.height / 2
    return a * x + b * y + c, d * x + e * y + f


def contact_sheet(patches: Sequence[ShardPatch]) -> Image.Image:
    """A picture of patches, north up, each with its captions below: first the one of its map, then revisions."""
    texts = [
        [line for text in _captions(patch) for line in (*lines_of(text, _SIDE, font(_LETTERS)), "")]
        for patch in patches
    ]
    rows = [texts[start : start + _ACROSS] for start in range(0, len(texts), _ACROSS)]
    heights = [_SIDE + 10 + _LINE * max(map(len, row)) + _GAP for row in rows]
    sheet = Image.new("RGB", (_ACROSS * (_SIDE + _GAP) + _GAP, sum(heights) + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (patch, lines) in enumerate(zip(patches, texts, strict=True)):
        left, top = _GAP + k % _ACROSS * (_SIDE + _GAP), _GAP + sum(heights[: k // _ACROSS])
        sheet.paste(patch.picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), (left, top))
        for number, line in enumerate(lines):
            draw.text((left, top + _SIDE + 6 + number * _LINE), line, fill="black", font=font(_LETTERS))
    return sheet


def _captions(patch: ShardPatch) -> list[str]:
    name = patch.content["metadata"]["patch_id"]
    told = [f"{annotation['task']}: {annotation['text']}" for annotation in patch.content["annotations"]]
    return [f"{name} ({patch.content['provenance']['image']['split']})", *told]
