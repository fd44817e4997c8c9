"""Lies in a finished tree, each told to all that seals it: commits, parts, data/, card, summary and plan."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson
from PIL import Image

from nutonic.chips.likeness import difference_hash
from nutonic.chips.png import encode
from nutonic.dataset.commits import committed
from nutonic.dataset.finalize import finalize
from nutonic.io.objects import Store
from nutonic.planning.plan_file import read_plan
from nutonic.planning.spec import resolve
from nutonic.recipe.yaml import parse_recipe_text
from support.seals import plan_digest, reseal, reseal_plan, rewrite_rows, sealed

#: Of this place all files are there, and two tiles; its batch has others too.
PLACE, TILE = "poi_000001", "poi_000001_t0001"


def refinish(out: Path) -> None:
    """data/ and the card made again from the commits; the summary seals the card."""
    store, summary = Store(out), out / "_nutonic" / "summary.json"
    plan = read_plan(store)
    finalized = finalize(store, resolve(parse_recipe_text(plan.recipe)), plan, committed(store), complete=True)
    told = json.loads(summary.read_bytes())
    summary.write_bytes(sealed({**told, **asdict(finalized), "commits": committed(store).digest()}))


@dataclass(frozen=True)
class Forger:
    """A copy of a tree, and what a forger does with it. Nothing fits before :meth:`seal`."""

    out: Path

    @property
    def image(self) -> Path:
        return next((self.out / "images").rglob(f"{TILE}.png"))

    @property
    def metadata(self) -> Path:
        return next((self.out / "metadata").rglob(f"{TILE}.json"))

    @property
    def summary(self) -> Path:
        return self.out / "_nutonic" / "summary.json"

    @property
    def commit(self) -> Path:
        """The commit of the place."""
        return next(
            p for p in sorted((self.out / "_nutonic" / "commits").iterdir()) if PLACE.encode() in p.read_bytes()
        )

    def sidecar(self, change: Callable[[dict], object], seal: bool = True) -> None:
        value = json.loads(self.metadata.read_bytes())
        change(value)
        self.metadata.write_bytes(orjson.dumps(value) + b"\n")
        if seal:
            self.seal()

    def picture(self, data: bytes | np.ndarray, told: bool = False) -> None:
        """Another picture; `told`: its sidecar has the digest of these pixels, its commit their look."""
        if told:
            digest = hashlib.sha256(data.tobytes()).hexdigest()
            look = f"{difference_hash(np.asarray(data)):016x}"
            self.sidecar(lambda value: value.update(pixels_sha256=digest), seal=False)
            self.entry(lambda place: place["chips"][str(int(TILE[-4:]))].update(dhash=look), seal=False)
        self.image.write_bytes(data if isinstance(data, bytes) else encode(data))
        self.seal()

    def rows(self, change: Callable[[list[dict]], list[dict]], seal: bool = True, place: str = PLACE) -> None:
        """Other rows for a place; its commit counts them."""

        def changed(entry: dict, data: bytes) -> bytes:
            if entry["poi_id"] != place:
                return data
            rows = change([json.loads(line) for line in data.splitlines()])
            tasks: dict[str, int] = {}
            for row in rows:
                tasks[row["task"]] = tasks.get(row["task"], 0) + 1
            entry["rows"]["tasks"] = tasks
            return b"".join(orjson.dumps(row) + b"\n" for row in rows)

        rewrite_rows(self.out, self.commit.stem, changed)
        if seal:
            self.seal()

    def row(self, task: str, change: Callable[[dict], object]) -> None:
        """Another row of a task, of the tile."""

        def changed(rows: list[dict]) -> list[dict]:
            change(next(row for row in rows if row["task"] == task and row["tile_id"] == TILE))
            return rows

        self.rows(changed)

    def entry(self, change: Callable[[dict], object], seal: bool = True) -> None:
        """Something else in the commit about the place."""
        value = json.loads(self.commit.read_bytes())
        change(next(place for place in value["places"] if place["poi_id"] == PLACE))
        self.commit.write_bytes(sealed(value))
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

    def retell(self, **values: object) -> None:
        """Something else in the summary."""
        self.summary.write_bytes(sealed({**json.loads(self.summary.read_bytes()), **values}))

    def seal(self) -> None:
        assert plan_digest(self.out)
        reseal(self.out)
        refinish(self.out)


def saved(kind: str, mode: str = "RGB", **options: object) -> bytes:
    """A picture of noise, as Pillow writes it."""
    file = io.BytesIO()
    picture = Image.fromarray(noise())
    (picture if mode == "RGB" else picture.convert(mode)).save(file, kind, **options)
    return file.getvalue()


def noise(side: int = 40) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (side, side, 3), np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int = 12_000) -> bytes:
    """A PNG of 144 megapixels in a few hundred kilobytes."""
    packer = zlib.compressobj(9, wbits=-15)
    row = packer.compress(bytes(3 * side + 1)) + packer.flush(zlib.Z_FULL_FLUSH)  # unpacks alone: all rows are one
    checked = (side * (3 * side + 1) % 65521) << 16 | 1  # Adler-32 of so many zeros
    packed = b"\x78\xda" + row * side + packer.flush() + struct.pack(">I", checked)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
