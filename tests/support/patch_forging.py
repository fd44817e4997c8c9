"""Lies in a finished tree of patches, each told to all that seals it: commits, captions, shards, card, summary and plan."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from PIL import Image

import nutonic as nt
from support.aerial import Flown, catalogue, plant, recipe, rectangle
from support.seals import plan_digest, reseal, reseal_plan, rewrite_rows, sealed

X, Y = 500_000.4, 4_980_000.6

#: Six images that lie apart, and an older one of the first one's ground; a row of patches of the last was not flown over.
IMAGES = [
    *(
        Flown(id=f"quad_{k}", corner=(X + 600 * k, Y - 100 * k), shape=(140, 200), seed=k, empty_rows=20 * (k == 5))
        for k in range(6)
    ),
    Flown(id="old", corner=(X + 30, Y + 10), shape=(140, 200), seed=9, day="2019-05-01"),
]

Files = list[tuple[str, bytes]]


def planted_tree(folder: Path) -> tuple[Path, Path]:
    """The recipe of a tree with several shards in two splits, and the tree; figures are drawn if matplotlib is there."""
    for image in IMAGES:
        image.write(folder, nodata=0)
    catalogue(folder, IMAGES)
    features: list[Any] = [("area", rectangle(X - 500, Y - 900, X + 4000, Y + 300), {"landuse": "farmland"})]
    for k, image in enumerate(IMAGES[:6]):
        left, top = image.corner
        features += [
            (
                "line",
                [(left - 20, top - 11.3 - k), (left + 140, top - 40.7)],
                {"highway": "track", "name": "Old Mill Way"},
            ),
            ("area", rectangle(left + 50, top - 70, left + 72, top - 45 - k), {"natural": "water", "water": "pond"}),
        ]
    plant(folder / "map.osm.pbf", IMAGES[0].epsg, *features)
    path = recipe(
        folder,
        osm={"path": "map.osm.pbf"},
        splits={"by": "place", "train": 0.6, "validation": 0.4, "test": 0.0},
        shards={"samples": 4, "chat": True, "quality": 90},
    )
    out = folder / "tree"
    assert nt.build(nt.load_recipe(path), out, workers=0).complete
    return path, out


@dataclass(frozen=True)
class PatchForger:
    """A copy of a tree, and what a forger does with it. Nothing fits before :meth:`seal`."""

    out: Path
    recipe: Path

    @property
    def summary(self) -> Path:
        return self.out / "_nutonic" / "summary.json"

    def json(self, path: str) -> dict:
        return json.loads((self.out / path).read_bytes())

    @property
    def commits(self) -> list[Path]:
        return sorted((self.out / "_nutonic" / "commits").iterdir())

    @property
    def commit(self) -> Path:
        """The first commit that has patches."""
        return next(path for path in self.commits if any(p["tiles"] for p in json.loads(path.read_bytes())["places"]))

    @property
    def patch(self) -> str:
        """Its first patch."""
        return next(p["poi_id"] for p in json.loads(self.commit.read_bytes())["places"] if p["tiles"])

    def commit_of(self, patch: str) -> Path:
        return next(path for path in self.commits if patch.encode() in path.read_bytes())

    @property
    def captioned(self) -> Path:
        """Its captions."""
        return self.out / "_nutonic" / "captions" / self.commit.name

    def shards(self, split: str = "train") -> list[Path]:
        return sorted((self.out / "data").glob(f"{split}-*.tar"))

    # Only what is finished

    def shard(self, change: Callable[[Files], Files | None], number: int = 0) -> None:
        """Other members of a shard; the summary knows their bytes."""
        path = self.shards()[number]
        with tarfile.open(path) as archive:
            files = [(member.name, archive.extractfile(member).read()) for member in archive]
        changed = change(files)
        path.write_bytes(tar(files if changed is None else changed))
        self.retell_files()

    def content(self, change: Callable[[dict], object]) -> None:
        """Another JSON of the first sample of a shard."""

        def changed(files: Files) -> None:
            value = json.loads(files[1][1])
            change(value)
            files[1] = (files[1][0], orjson.dumps(value))

        self.shard(changed)

    def retell_files(self) -> None:
        """The summary's sizes and hashes, of the files as they are."""
        data = {}
        for path in self.json("_nutonic/summary.json")["data"]:
            if (self.out / path).is_file():
                body = (self.out / path).read_bytes()
                data[path] = [len(body), hashlib.sha256(body).hexdigest()]
        self.retell(data=data)

    def retell(self, **values: object) -> None:
        """Something else in the summary."""
        self.summary.write_bytes(sealed({**json.loads(self.summary.read_bytes()), **values}))

    # All that follows is made again

    def entry(self, change: Callable[[dict], object], seal: bool = True) -> None:
        """Something else in the commit about the patch."""
        value = json.loads(self.commit.read_bytes())
        change(next(place for place in value["places"] if place["poi_id"] == self.patch))
        self.commit.write_bytes(sealed(value))
        if seal:
            self.seal()

    def record(self, change: Callable[[dict], object], seal: bool = True, every: bool = False) -> None:
        """Another record of the patch, or of all of its commit; captions and shards follow from it."""

        def changed(entry: dict, data: bytes) -> bytes:
            if not data or (entry["poi_id"] != patch and not every):
                return data
            value = json.loads(data)
            change(value)
            return orjson.dumps(value) + b"\n"

        patch = self.patch
        rewrite_rows(self.out, self.commit.stem, changed)
        if seal:
            self.captioned.unlink()
            self.seal()

    def picture(self, data: bytes | np.ndarray) -> None:
        import base64

        body = data if isinstance(data, bytes) else jpeg(data)
        self.record(lambda record: record.update(picture=base64.b64encode(body).decode()))

    def captions(self, change: Callable[[list[dict]], object], seal: bool = True) -> None:
        """Other captions of the commit's patches; shards follow from them."""
        value = json.loads(self.captioned.read_bytes())
        change(value["patches"])
        self.captioned.write_bytes(sealed(value))
        if seal:
            self.seal()

    def plan(self, kind: str, change: Callable[[dict], object]) -> None:
        """Something else in the first line of a kind of the plan."""
        lines = []

        def once(line: dict) -> None:
            if line["kind"] == kind and not lines:
                lines.append(line)
                change(line)

        reseal_plan(self.out, once)
        self.seal()

    def seal(self) -> None:
        """Commits and captions of the plan as it is, and all that follows from them made again."""
        digest = plan_digest(self.out)
        reseal(self.out)
        for path in (self.out / "_nutonic" / "captions").iterdir():
            path.write_bytes(sealed({**json.loads(path.read_bytes()), "plan": digest}))
        self.summary.unlink()
        nt.build(nt.load_recipe(self.recipe), self.out, workers=0)


def tar(files: Iterable[tuple[str, bytes]], **header: Any) -> bytes:
    """An archive as the shards are, by Python's own writer."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in header.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))
    return whole.getvalue()


def jpeg(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **{"quality": 90, "subsampling": 0, "optimize": True, **options})
    return file.getvalue()


def noise(side: int = 64) -> np.ndarray:
    return np.random.default_rng(7).integers(1, 256, (side, side, 3), np.uint8)
