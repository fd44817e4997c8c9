"""A judge, not a believer: lies in a tree, consistently sealed; which look finds which is told in docs/verify.md."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from support.forging import PLACE, TILE, Forger, bomb, chunk, noise, saved
from support.seals import reseal_plan

import nutonic as nt
from nutonic.chips.png import decode, encode
from nutonic.dataset.card import _seal, parted

ROOT = Path(__file__).parents[2]
Lie = Callable[[Forger], object]


def text_of(row: dict, who: int) -> dict:
    return row["messages"][who]["content"][-1]


def key(*path: str | int, value: object = None, by: Callable[[object], object] | None = None) -> Lie:
    """A sidecar in which one value is another one."""

    def change(sidecar: dict) -> None:
        inner = sidecar
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value if by is None else by(inner[path[-1]])

    return lambda forger: forger.sidecar(change)


def shifted(box: list) -> list:
    x1, y1, x2, y2 = box
    return [x1 - 1, y1, x2 - 1, y2] if x1 else [x1 + 1, y1, x2 + 1, y2]


def first(values: dict) -> str:
    return next(iter(values))


def of_label(what: str, change: Callable[[Any], Any]) -> Lie:
    """A lie about the first class that a sidecar counts."""

    def lie(forger: Forger) -> None:
        def told(sidecar: dict) -> None:
            counted = sidecar["land_cover_label_meta"][what]
            counted[first(counted)] = change(counted[first(counted)])

        forger.sidecar(told)

    return lie


SIDECARS: dict[str, Lie] = {
    "tile_id": key("tile_id", value="poi_000001_t0002"),
    "poi_id": key("poi_id", value="poi_000002"),
    "base_poi_id": key("base_poi_id", value="poi_000002"),
    "split": key("split", by=lambda told: "test" if told != "test" else "train"),
    "augmentation": key("augmentation", value="flip"),
    "longitude": key("longitude", by=lambda told: told + 1e-6),
    "latitude": key("latitude", by=lambda told: told - 1e-6),
    "bbox_wgs84": key("bbox_wgs84", 0, by=lambda told: told + 1e-6),
    "grid.crs": key("grid", "crs", value="EPSG:32634"),
    "grid.transform": key("grid", "transform", 2, by=lambda told: told + 10),
    "grid.shape": key("grid", "shape", 0, by=lambda told: told + 1),
    "window": key("window", "row", by=lambda told: told + 1),
    "another collection": key("imagery", "collection", value="sentinel-2-l1c"),
    "another scene": key("imagery", "item_id", value="S2X"),
    "another day": key("imagery", "datetime", value="2020-01-01T00:00:00Z"),
    "less cloud": key("imagery", "cloud_cover", value=0.0),
    "another file": key("imagery", "assets", "red", value="other.tif"),
    "another offset": key("imagery", "offset_applied", "red", value=-999),
    "substituted": key("imagery", "substituted", value="west: gone"),
    "stretch turned over": lambda f: f.sidecar(
        lambda s: s["stretch"].update(low=s["stretch"]["high"], high=s["stretch"]["low"])
    ),
    "one pixel more of a class": lambda f: f.sidecar(
        lambda s: s["land_cover_label_meta"]["classes"].update(
            {first(c := s["land_cover_label_meta"]["classes"]): c[first(c)] + 1}
        )
    ),
    "another product": key("land_cover_label_meta", "dataset", value="esa-worldcover"),
    "the mask's shape": key("land_cover_label_meta", "shape", value=[41, 40]),
    "labelled share": key("land_cover_label_meta", "valid_fraction", value=0.5),
    "pixels in other cells": of_label("cells", lambda cells: cells[::-1]),
    "a pixel more in a cell": of_label("cells", lambda cells: [cells[0] + 1, *cells[1:]]),
    "a patch more": of_label("patches", lambda count: count + 1),
    "many pieces more": of_label("pieces", lambda count: count + 1000),
    "borders of classes that nobody asked for": key("land_cover_label_meta", "borders", value={"1-2": 3}),
    "number of label images": key("land_cover_label_meta", "images", value=9),
    "class_fractions": lambda f: f.sidecar(lambda s: s["class_fractions"].update({first(s["class_fractions"]): 0.25})),
    "a region's label": key("regions", 0, "label", value="lava"),
    "a region's area": key("regions", 0, "area_px", by=lambda told: told + 1),
    "a box shifted by a pixel": key("regions", 0, "bbox", by=shifted),
    "a box beyond the mask": key("regions", 0, "bbox", value=[0, 0, 41, 40]),
    "a region gone": key("regions", by=lambda told: told[1:]),
    "regions in another order": key("regions", by=lambda told: told[::-1]),
    "a caption that lies": key("caption", value="A satellite image of lava."),
    "valid_fraction": key("valid_fraction", value=0.123456),
    "quality that nobody judged": key("quality", value={"cloud": 0.0, "shadow": 0.0, "snow": 0.0, "nodata": 0.0}),
    "digest of pixels": key("pixels_sha256", value="0" * 64),
    "digest of the recipe": key("recipe_digest", value="0" * 64),
    "version": key("nutonic_version", value="9"),
    "a key more": key("note", value="hidden"),
    "a number as text": key("longitude", value="18"),
    "null where a list is": key("regions", value=None),
    "a number far too large": key("land_cover_label_meta", "classes", value={"1": 2**63}),
}

ROWS: dict[str, Lie] = {
    "a caption that lies, in its row": lambda f: f.row("caption", lambda r: text_of(r, 1).update(text="Lava.")),
    "a share that lies": lambda f: f.row(
        "class_caption", lambda r: text_of(r, 1).update(text="It covers 77% of the image, along the top.")
    ),
    "another question": lambda f: f.row("caption", lambda r: text_of(r, 0).update(text="Describe.")),
    "a box of a row": lambda f: f.row(
        "grounding", lambda r: text_of(r, 1).update(text=text_of(r, 1)["text"].replace("0.0", "0.1", 1))
    ),
    "no boxes": lambda f: f.row("grounding", lambda r: text_of(r, 1).update(text="[]")),
    "another split's picture": lambda f: f.row(
        "caption", lambda r: r["messages"][0]["content"][0].update(image="images/s00000/poi_000004_t0000.png")
    ),
    "another place": lambda f: f.row("caption", lambda r: r.update(poi_id="poi_000002")),
    "another task": lambda f: f.row("caption", lambda r: r.update(task="grounding")),
    "a role": lambda f: f.row("caption", lambda r: r["messages"][0].update(role="system")),
    "a key more in a row": lambda f: f.row("caption", lambda r: r.update(note="hidden")),
    "half the rows gone": lambda f: f.rows(lambda rows: rows[::2]),
    "one row gone": lambda f: f.rows(lambda rows: rows[:-1]),
    "a row twice": lambda f: f.rows(lambda rows: [*rows, rows[-1]]),
    "a row of one's own": lambda f: f.rows(lambda rows: [*rows, {**rows[-1], "id": f"{TILE}__poem"}]),
    "rows in another order": lambda f: f.rows(lambda rows: rows[::-1]),
    "a line that is no row": lambda f: f.rows(lambda rows: [*rows, {"task": "caption"}]),
}


PICTURES: dict[str, Lie] = {
    "noise": lambda f: f.picture(noise()),
    "a BMP named .png": lambda f: f.picture(saved("BMP")),
    "a JPEG named .png": lambda f: f.picture(saved("JPEG")),
    "a GIF named .png": lambda f: f.picture(saved("GIF")),
    "an EPS named .png": lambda f: f.picture(saved("EPS")),
    "a picture with transparency": lambda f: f.picture(saved("PNG", "RGBA")),
    "a picture with a palette": lambda f: f.picture(saved("PNG", "P")),
    "a picture without colour": lambda f: f.picture(saved("PNG", "L")),
    "a larger picture": lambda f: f.picture(encode(noise(41))),
    "144 megapixels": lambda f: f.picture(bomb()),
    "a text in a picture": lambda f: f.picture(
        f.image.read_bytes()[:33] + chunk(b"tEXt", b"Comment\0hidden") + f.image.read_bytes()[33:]
    ),
    "bytes behind the end": lambda f: f.picture(f.image.read_bytes() + b"PK\x03\x04"),
    "an empty picture": lambda f: f.picture(b""),
    "one colour": lambda f: f.picture(np.full((40, 40, 3), 9, np.uint8), told=True),
    "another tile's picture": lambda f: f.picture(next((f.out / "images").rglob("poi_000004_t0000.png")).read_bytes()),
}


def without_a_tile(forger: Forger, reason: str | None) -> None:
    """A tile left out, everywhere; with a reason, as if it had been rejected."""
    counts = classes_of(forger)

    def change(place: dict) -> None:
        place["tiles"] -= 1
        for path in [path for path in place["files"] if TILE in path]:
            del place["files"][path]
            (forger.out / path).unlink()
        for class_id, count in counts.items():
            place["classes"][class_id] -= count
        place["classes"] = {c: n for c, n in place["classes"].items() if n}
        del place["chips"][str(int(TILE[-4:]))]
        if reason is not None:
            place["rejects"].append(
                {"tile_id": TILE, "reason": reason, "detail": "1.0% of the tile's imagery is valid"}
            )
            place["rejects"].sort(key=lambda reject: reject["tile_id"])

    forger.rows(lambda rows: [row for row in rows if row["tile_id"] != TILE], seal=False)
    forger.entry(change)
    forger.retell(tiles=0, rows=0)


def classes_of(forger: Forger) -> dict[str, int]:
    return json.loads(forger.metadata.read_bytes())["land_cover_label_meta"]["classes"]


COMMITS: dict[str, Lie] = {
    "more tiles than there are": lambda f: f.entry(lambda p: p.update(tiles=p["tiles"] + 1)),
    "other classes": lambda f: f.entry(lambda p: p["classes"].update({first(p["classes"]): 1})),
    "another look": lambda f: f.entry(lambda p: p["chips"]["1"].update(dhash="0123456789abcdef")),
    "one labelled pixel more": lambda f: f.entry(
        lambda p: p["chips"]["1"].update(labelled=p["chips"]["1"]["labelled"] + 1)
    ),
    "the look of a tile that is not there": lambda f: f.entry(lambda p: p["chips"].update({"99": p["chips"]["1"]})),
    "other tasks": lambda f: f.entry(
        lambda p: p["rows"]["tasks"].update(caption=p["rows"]["tasks"]["caption"] - 1, poem=1)
    ),
    "another scene in a commit": lambda f: f.entry(lambda p: p.update(item_id="S2X")),
    "a tile gone without a reason": lambda f: without_a_tile(f, None),
    "a reason for a tile that is there": lambda f: f.entry(
        lambda p: p["rejects"].append({"tile_id": TILE, "reason": "flat imagery", "detail": ""})
    ),
    "moved to another split": lambda f: f.entry(lambda p: p.update(split="test" if p["split"] != "test" else "train")),
    "a key more in a commit": lambda f: f.entry(lambda p: p.update(note="hidden")),
    "a commit that names the plan": lambda f: f.entry(
        lambda p: p["files"].update({"_nutonic/plan.jsonl": [1, "0" * 64]})
    ),
    "files in another shard": lambda f: f.entry(
        lambda p: p.update(files={path.replace("s00000", "s00001"): e for path, e in p["files"].items()}), seal=False
    ),
}


def moved_split(forger: Forger) -> None:
    """A place in another split everywhere: plan, commit, sidecars."""
    names = ("train", "validation", "test")
    now = json.loads(forger.metadata.read_bytes())["split"]
    other = next(name for name in names if name != now)

    def change(line: dict) -> None:
        if line["kind"] == "batch" and 1 in line["ordinal"]:
            line["split"][line["ordinal"].index(1)] = names.index(other)

    for path in (forger.out / "metadata").rglob(f"{PLACE}_*.json"):
        path.write_bytes(path.read_bytes().replace(f'"split":"{now}"'.encode(), f'"split":"{other}"'.encode()))
    reseal_plan(forger.out, change)
    forger.entry(lambda place: place.update(split=other))


def header(**values: object) -> Lie:
    return lambda forger: forger.plan("plan", lambda line: line.update(values))


PLANS: dict[str, Lie] = {
    "a place in another split, everywhere": moved_split,
    "fewer rejects": header(rejects={}),
    "other shares": header(shares={"train": 0.8, "validation": 0.1, "test": 0.1}),
    "other tiles": header(tiles=1),
    "fewer rows": header(rows=2),
    "other scenes": header(scenes=99),
    "another margin": header(margin_px=[1, 1]),
    "no warnings": header(warnings=["all is well"]),
    "other costs": header(cost={}),
    "a key more in a plan": header(note="hidden"),
    "a place moved by a metre": lambda f: f.plan("batch", lambda b: b["lon"].__setitem__(0, b["lon"][0] + 2e-4)),
    "a place that lies nowhere": lambda f: f.plan("batch", lambda b: b["lon"].__setitem__(0, 1e9)),
    "a scene with other types": lambda f: f.plan("scene", lambda s: s.update(cloud_cover="low")),
}


def carded(forger: Forger) -> None:
    """Another number in the card, under its own seal and the summary's."""
    path = forger.out / "README.md"
    body = re.sub(rb"satellite chips of \d+", b"satellite chips of 99", path.read_bytes(), count=1)
    rest, _ = parted(body)
    rest = rest[: -len(_seal(b""))]
    body = body[: -len(_seal(b""))] + _seal(rest)
    path.write_bytes(body)
    forger.retell(card_sha256=hashlib.sha256(parted(body)[0]).hexdigest())


def padded(forger: Forger) -> None:
    """A link as long as the file, to the same bytes elsewhere."""
    path, size = forger.image, forger.image.stat().st_size
    elsewhere = path.rename(forger.out.parent / "elsewhere.png")
    target = str(elsewhere)
    path.symlink_to("/." * ((size - len(target)) // 2) + target)


def linked(forger: Forger) -> None:
    (forger.out.parent / "mine.png").hardlink_to(forger.image)


TREES: dict[str, Lie] = {
    "another number in the card": carded,
    "other sizes in the summary": lambda f: f.retell(data={"data/train.jsonl": 1}),
    "more tiles in the summary": lambda f: f.retell(tiles=10**6),
    "a note in the summary": lambda f: f.retell(note="hidden"),
    "an empty folder": lambda f: (f.out / "images" / "mine").mkdir(),
    "a hard link": linked,
    "a link as long as the file": padded,
    "a program": lambda f: f.image.chmod(0o755),
    "a set-user-id bit": lambda f: f.metadata.chmod(0o4644),
    "a pipe": lambda f: os.mkfifo(f.out / "images" / "pipe"),
    "a file of one's own": lambda f: (f.out / "images" / "s00000" / "poi_000001_t0099.png").write_bytes(b"x"),
}

#: What is consistent throughout: only the sources give it away.
CONSISTENT: dict[str, Lie] = {
    "noise, throughout": lambda f: f.picture(noise(), told=True),
    "a picture a little brighter, throughout": lambda f: f.picture(
        np.clip(decode(f.image.read_bytes(), 40).astype(int) + 1, 0, 255).astype(np.uint8), told=True
    ),
    "another tile's picture, throughout": lambda f: f.picture(
        decode(next((f.out / "images").rglob("poi_000004_t0000.png")).read_bytes(), 40), told=True
    ),
    "limits of the stretch": lambda f: f.sidecar(
        lambda s: s["stretch"]["high"].update(red=s["stretch"]["high"]["red"] + 1)
    ),
    "share of valid pixels": key("valid_fraction", by=lambda told: told - 1 / 4096 if told == 1 else told + 1 / 4096),
    "a tile rejected that is good, throughout": lambda f: without_a_tile(f, "too little imagery"),
}

KINDS = {
    "a sidecar": SIDECARS, "rows": ROWS, "a picture": PICTURES, "a commit": COMMITS, "the plan": PLANS, "the tree": TREES,
    "all at once": CONSISTENT,
}  # fmt: skip
LIES = {name: (kind, lie) for kind, lies in KINDS.items() for name, lie in lies.items()}


def test_there_are_many_lies_of_all_kinds():
    assert len(LIES) == sum(map(len, KINDS.values())) >= 60


def test_a_lie_is_found_unless_it_is_told_throughout_and_then_by_the_sources(few, tmp_path, sample):
    names, missed = sample(LIES, kind=lambda name: LIES[name][0], one_in=12), []
    for name in names:
        kind, lie = LIES[name]
        folder = tmp_path / name.replace("/", " ")
        folder.mkdir()
        forger = Forger(Path(shutil.copytree(few.out, folder / "tree")))
        lie(forger)
        verdict = nt.verify(forger.out, deep=True)
        if kind != "all at once":
            missed += [name] if verdict.whole else []
            continue
        missed += [] if verdict.whole else [f"{name}: not consistent: {verdict.problems}"]
        problems = nt.verify(forger.out, rebuild=20).problems
        missed += [] if any(PLACE in problem for problem in problems) else [f"{name}: {problems}"]
        shutil.rmtree(folder)
    assert missed == []


def test_the_table_in_the_docs_is_of_these_lies():
    text = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8").partition("## Trees of patches")[0]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| `([^|`]+?)` \|$", text, re.MULTILINE)
    expected = {(name, kind, "--rebuild" if kind == "all at once" else "--deep") for name, (kind, _) in LIES.items()}
    assert sorted(rows) == sorted(expected)
