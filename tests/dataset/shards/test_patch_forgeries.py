"""Lies in a tree of patches, consistently sealed; which look finds which is told in docs/verify.md."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.patch_forging import Files, PatchForger, jpeg, noise, planted_tree, tar
from support.paths import ROOT
from support.shards import pixels_of

import nutonic as nt
from nutonic.dataset.card import _seal, parted

pytestmark = pytest.mark.skipif(importlib.util.find_spec("osmium") is None, reason="maps are read with osmium")

Lie = Callable[[PatchForger], object]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Recipe and tree; without figures, which take longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        yield planted_tree(tmp_path_factory.mktemp("planted"))


def first(f: PatchForger) -> str:
    return f.patch


# Shards and what lies beside them


def exchanged(f: PatchForger) -> None:
    one, other = f.shards()[:2]
    bytes_of = one.read_bytes(), other.read_bytes()
    one.write_bytes(bytes_of[1])
    other.write_bytes(bytes_of[0])
    f.retell_files()


def of_another_split(f: PatchForger) -> None:
    f.shards()[0].write_bytes(f.shards("validation")[0].read_bytes())
    f.retell_files()


def rewritten(path: str, change: Callable[[bytes], bytes]) -> Lie:
    def lie(f: PatchForger) -> None:
        (f.out / path).write_bytes(change((f.out / path).read_bytes()))
        f.retell_files()

    return lie


def renamed(files: Files) -> Files:
    old = files[0][0].partition(".")[0]
    return [(name.replace(old, "patch_999999"), data) for name, data in files]


def bent(files: Files) -> None:
    picture = bytearray(files[0][1])
    picture[-40] ^= 1
    files[0] = (files[0][0], bytes(picture))


def shard_gone(f: PatchForger) -> None:
    f.shards()[-1].unlink()
    f.retell_files()


def shard_more(f: PatchForger) -> None:
    shutil.copy(f.shards()[0], f.out / "data" / "train-000009.tar")


def said(content: dict) -> None:
    content["annotations"][0]["text"] = "A lake of molten lava covers all of the picture."


SHARDS: dict[str, Lie] = {
    "another caption": lambda f: f.content(said),
    "another annotator": lambda f: f.content(lambda c: c["annotations"][0].update(annotator="a-poet")),
    "another task": lambda f: f.content(lambda c: c["annotations"][0].update(task=3 - c["annotations"][0]["task"])),
    "another patch_id": lambda f: f.content(lambda c: c["metadata"].update(patch_id="patch_000999")),
    "another element": lambda f: f.content(lambda c: c["provenance"]["osm"]["elements"][0].update(version=99)),
    "another piece of a thing": lambda f: f.content(
        lambda c: c["provenance"]["annotations"][0]["elements"].append("way/1")
    ),
    "another transform": lambda f: f.content(lambda c: c["provenance"]["image"]["transform"].__setitem__(2, 1.0)),
    "another seed": lambda f: f.content(lambda c: c["provenance"]["annotations"][0].update(seed=1)),
    "no provenance": lambda f: f.content(lambda c: c.pop("provenance")),
    "a key more in a sample": lambda f: f.content(lambda c: c.update(note="hidden")),
    "a bit of a picture": lambda f: f.shard(bent),
    "another key": lambda f: f.shard(renamed),
    "samples in another order": lambda f: f.shard(lambda files: [*files[2:4], *files[:2], *files[4:]]),
    "JSON before its picture": lambda f: f.shard(lambda files: [files[1], files[0], *files[2:]]),
    "a sample gone": lambda f: f.shard(lambda files: files[2:]),
    "a sample twice": lambda f: f.shard(lambda files: [*files, *files[:2]]),
    "a picture without its JSON": lambda f: f.shard(lambda files: [files[0], *files[2:]]),
    "a file more in a shard": lambda f: f.shard(lambda files: [*files, ("patch_000000.cls", b"1")]),
    "a time in a shard's headers": lambda f: rewritten(
        f.shards()[0].relative_to(f.out).as_posix(), lambda data: tar(members(data), mtime=1_700_000_000)
    )(f),
    "a shard packed": lambda f: rewritten(
        f.shards()[0].relative_to(f.out).as_posix(), lambda data: __import__("gzip").compress(data, mtime=0)
    )(f),
    "bytes behind the end of a shard": lambda f: rewritten(
        f.shards()[0].relative_to(f.out).as_posix(), lambda data: data + bytes(10240)
    )(f),
    "an empty shard": lambda f: f.shard(lambda files: []),
    "two shards exchanged": exchanged,
    "a shard of another split": of_another_split,
    "a shard gone": shard_gone,
    "a shard more": shard_more,
    "a row of chat": rewritten("data/train.jsonl", lambda data: data.replace(b"Describe", b"Bescribe", 1)[:-1] + b"\n"),
    "a row of chat gone": rewritten("data/train.jsonl", lambda data: data[data.index(b"\n") + 1 :]),
    "a picture beside the rows of chat": lambda f: next((f.out / "images").rglob("*.jpg")).write_bytes(jpeg(noise())),
}


def members(data: bytes) -> Files:
    import io
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]


def carded(f: PatchForger) -> None:
    """Another number in the card, under its own seal and the summary's."""
    path = f.out / "README.md"
    body = re.sub(rb"^\d+ aerial photographs", b"99 aerial photographs", path.read_bytes(), count=1, flags=re.MULTILINE)
    assert body != path.read_bytes()
    rest, _ = parted(body)
    rest = rest[: -len(_seal(b""))]
    path.write_bytes(body[: -len(_seal(b""))] + _seal(rest))
    f.retell(card_sha256=hashlib.sha256(parted(path.read_bytes())[0]).hexdigest())


def foreign(path: str) -> Lie:
    def lie(f: PatchForger) -> None:
        (f.out / path).parent.mkdir(parents=True, exist_ok=True)
        (f.out / path).write_bytes(b"x")

    return lie


TREES: dict[str, Lie] = {
    "another number in the card": carded,
    "a count in the statistics": rewritten(
        "statistics.json", lambda data: re.sub(rb'"captions": \d+', b'"captions": 7', data)
    ),
    "more patches in the summary": lambda f: f.retell(chips=999),
    "fewer rejects in the summary": lambda f: f.retell(rejected={"too long": 1}),
    "other usage in the summary": lambda f: f.retell(usage={"small": {"answers": 1}}),
    "a note in the summary": lambda f: f.retell(note="hidden"),
    "a file of one's own beside the shards": foreign("data/notes.txt"),
    "a file of one's own beside the pictures": foreign("images/s00000/patch_000999.jpg"),
    "a figure that nobody drew": foreign("figures/tasks.png"),
    "a folder of one's own": foreign("mine/notes.txt"),
    "captions of no commit": lambda f: shutil.copy(f.captioned, f.captioned.with_name("000099.json")),
    "a link to a shard elsewhere": lambda f: linked(f),
}


def linked(f: PatchForger) -> None:
    shard = f.shards()[0]
    elsewhere = shard.rename(f.out.parent / "elsewhere.tar")
    shard.symlink_to(elsewhere)


# What shards follow from


def commented(f: PatchForger) -> None:
    """A comment in a JPEG: a segment after its first marker."""
    data, text = picture_of(f), b"hidden"
    f.picture(data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:])


def picture_of(f: PatchForger) -> bytes:
    found: list[bytes] = []
    f.record(lambda record: found.append(base64.b64decode(record["picture"])), seal=False)
    return found[0]


def of_description(change: Callable[[dict], object]) -> Lie:
    return lambda f: f.record(lambda record: change(record["described"]["elements"][0]))


RECORDS: dict[str, Lie] = {
    "a larger picture": lambda f: f.picture(noise(65)),
    "a picture without colour": lambda f: f.picture(jpeg(noise()[..., 0])),
    "bytes that are no picture": lambda f: f.picture(b"\xff\xd8\xff\xe0" + bytes(200)),
    "half a picture": lambda f: f.picture(picture_of(f)[:-300]),
    "a comment in a picture": commented,
    "bytes behind a picture": lambda f: f.picture(picture_of(f) + b"PK\x03\x04"),
    "another image": lambda f: f.record(lambda r: r.update(scene="quad_9")),
    "another name of an image": lambda f: f.record(lambda r: r.update(image_name="another")),
    "another collection": lambda f: f.record(lambda r: r.update(collection="sentinel-2-l2a")),
    "another day": lambda f: f.record(lambda r: r.update(datetime="2020-01-01T00:00:00Z")),
    "another day of the map": lambda f: f.record(lambda r: r.update(osm_date="2001-01-01")),
    "a grid moved by a pixel": lambda f: f.record(
        lambda r: r["grid"]["transform"].__setitem__(2, r["grid"]["transform"][2] + 0.6)
    ),
    "another share of an area": of_description(lambda e: e.update(share=0.51)),
    "another noun": of_description(lambda e: e.update(noun="volcano")),
    "another place in the patch": of_description(lambda e: e.update(where="south-east")),
    "another tag": of_description(lambda e: e.update(tags=[["landuse", "forest"]])),
    "another version of an element": of_description(lambda e: e.update(version=99)),
    "an element gone": lambda f: f.record(lambda r: r["described"]["elements"].pop()),
    "no names to hide": lambda f: f.record(lambda r: r.update(hidden=[]), every=True),
    "a key more in a record": lambda f: f.record(lambda r: r.update(note="hidden")),
    "another split in a record": lambda f: (
        f.record(lambda r: r.update(split="validation" if r["split"] == "train" else "train"), seal=False)
        or f.captioned.unlink()
        or f.seal()
    ),
}


def annotation(change: Callable[[dict], object]) -> Lie:
    return lambda f: f.captions(lambda patches: change(patches[0]["annotations"][0]))


def exchanged_captions(f: PatchForger) -> None:
    def change(patches: list[dict]) -> None:
        one, other = patches[:2]
        one["annotations"], other["annotations"] = other["annotations"], one["annotations"]

    f.captions(change)


CAPTIONS: dict[str, Lie] = {
    "a caption that lies": annotation(lambda a: a.update(text="A lake of lava covers all of the picture.")),
    "another seed of a caption": annotation(lambda a: a.update(seed=1)),
    "another request of a caption": annotation(lambda a: a.update(request="0" * 64)),
    "another prompt of a caption": annotation(lambda a: a.update(prompt="0" * 64)),
    "a model that nobody asked": annotation(lambda a: a.update(model="org/model", temperature=0.7)),
    "a caption by somebody else": annotation(lambda a: a.update(annotator="a-poet")),
    "a caption gone": lambda f: f.captions(lambda patches: patches[0]["annotations"].pop()),
    "a caption twice": lambda f: f.captions(lambda p: p[0]["annotations"].append(p[0]["annotations"][-1])),
    "captions of two patches exchanged": exchanged_captions,
    "an answer that was never rejected": lambda f: f.captions(
        lambda patches: patches[0]["rejections"].append(
            {"patch_id": patches[0]["patch_id"], "task": 1, "annotator": "templates", "reason": "too long",
             "detail": "", "text": "?"}
        )
    ),
    "tokens that nobody spent": lambda f: f.captions(lambda p: p[0]["usage"].append(["templates", 100, 10])),
    "no captions of a patch at all": lambda f: f.captions(lambda patches: patches[0].update(annotations=[])),
}  # fmt: skip


def gone(reason: str | None) -> Lie:
    """A patch left out, everywhere; with a reason, as if it had been rejected."""

    def lie(f: PatchForger) -> None:
        patch = f.patch
        f.captions(lambda patches: patches.__delitem__(slice(0, 1)), seal=False)

        def change(place: dict) -> None:
            place.update(tiles=0, item_id=None)
            place["rows"]["tasks"] = {}
            if reason is not None:
                place["rejects"] = [{"tile_id": None, "reason": reason, "detail": "97.0% of its pixels were observed"}]

        f.entry(change, seal=False)
        from support.seals import rewrite_rows

        rewrite_rows(f.out, f.commit_of(patch).stem, lambda entry, data: b"" if entry["poi_id"] == patch else data)
        f.seal()

    return lie


COMMITS: dict[str, Lie] = {
    "more patches than there are": lambda f: f.entry(lambda p: p.update(tiles=2)),
    "other tasks": lambda f: f.entry(lambda p: p["rows"]["tasks"].update(poem=1)),
    "another scene in a commit": lambda f: f.entry(lambda p: p.update(item_id="quad_9")),
    "a reason for a patch that is there": lambda f: f.entry(
        lambda p: p["rejects"].append({"tile_id": None, "reason": "nodata", "detail": ""})
    ),
    "a patch gone without a reason": gone(None),
    "a patch gone for a reason that there is not": gone("it was ugly"),
    "moved to another split": lambda f: f.entry(
        lambda p: p.update(split="validation" if p["split"] == "train" else "train")
    ),
    "a key more in a commit": lambda f: f.entry(lambda p: p.update(note="hidden")),
    "classes that patches do not have": lambda f: f.entry(lambda p: p.update(classes={"1": 5})),
    "a commit that names the plan": lambda f: f.entry(
        lambda p: p["files"].update({"_nutonic/plan.jsonl": [1, "0" * 64]})
    ),
}


def moved_split(f: PatchForger) -> None:
    """A patch in another split everywhere: plan, commit, record."""
    names = ("train", "validation", "test")
    commit = json.loads(f.commit.read_bytes())
    place = next(place for place in commit["places"] if place["poi_id"] == f.patch)
    other = "validation" if place["split"] == "train" else "train"
    f.record(lambda record: record.update(split=other), seal=False)
    f.entry(lambda entry: entry.update(split=other), seal=False)
    f.captioned.unlink()

    def change(line: dict) -> None:
        if line["kind"] == "batch" and place["ordinal"] in line["ordinal"]:
            line["split"][line["ordinal"].index(place["ordinal"])] = names.index(other)

    from support.seals import reseal_plan

    reseal_plan(f.out, change)
    f.seal()


def header(**values: object) -> Lie:
    return lambda f: f.plan("plan", lambda line: line.update(values))


def moved(by: float) -> Lie:
    """A patch of the plan, moved so many pixels east; its batch has others."""
    return lambda f: f.plan("batch", lambda b: b["lon"].__setitem__(0, b["lon"][0] + by * 0.6 / 78_850))


PLANS: dict[str, Lie] = {
    "a patch in another split, everywhere": moved_split,
    "fewer rejects": header(rejects={"crosses a block": 3}),
    "other shares": header(shares={"train": 0.8, "validation": 0.1, "test": 0.1}),
    "other patches": header(places=1),
    "more rows": header(rows=999),
    "fewer images": header(images=1),
    "no warnings": header(warnings=["all is well"]),
    "other costs": header(cost={}),
    "other costs of captions": header(captions={"captions": 1}),
    "another kind": header(of="places"),
    "a key more in a plan": header(note="hidden"),
    "a map of another day": lambda f: f.plan("plan", lambda line: line["osm"].update(date="2001-01-01")),
    "a map of more elements": lambda f: f.plan("plan", lambda line: line["osm"].update(elements=999)),
    "a patch half a pixel away": moved(0.5),
    "a patch a pixel away": moved(1.0),
    "a patch on another's ground": moved(64.0),
    "a patch that lies nowhere": lambda f: f.plan("batch", lambda b: b["lon"].__setitem__(0, 1e9)),
    "patches numbered otherwise": lambda f: f.plan(
        "batch", lambda b: b["ordinal"].__setitem__(slice(0, 2), b["ordinal"][1::-1])
    ),
    "an input that is none": lambda f: f.plan(
        "plan", lambda line: line["inputs"].update({"/elsewhere/x.tif": [1, "0"]})
    ),
    "a scene with other types": lambda f: f.plan("scene", lambda s: s.update(cloud_cover="low")),
}


def other_map(f: PatchForger, told: bool = False) -> None:
    """Another noun's tag in the map that is kept; `told`: the plan knows the file, and all that follows is made anew."""
    plan = json.loads((f.out / "_nutonic/plan.jsonl").read_bytes().splitlines()[0])
    path = f.out / plan["osm"]["path"]
    connection = sqlite3.connect(path)
    connection.execute("UPDATE element SET tags = ? WHERE type = 'way' AND id = 1", (b'{"landuse":"quarry"}',))
    connection.commit()
    connection.close()
    if told:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("commits", "captions", "parts"):
            for file in (f.out / "_nutonic" / folder).iterdir():
                file.unlink()
        f.plan("plan", lambda line: line["osm"].update(sha256=digest))


MAPS: dict[str, Lie] = {
    "another tag in the map that is kept": other_map,
    "the map that is kept gone": lambda f: next((f.out / "_nutonic").glob("osm-*.sqlite")).unlink(),
}

#: What is consistent throughout: only the sources give it away.
CONSISTENT: dict[str, Lie] = {
    "noise, throughout": lambda f: f.picture(noise()),
    "a picture a little brighter, throughout": lambda f: f.picture(
        np.clip(pixels_of(picture_of(f)) + 4, 0, 255).astype(np.uint8)
    ),
    "a picture upside down, throughout": lambda f: f.picture(pixels_of(picture_of(f))[::-1].astype(np.uint8)),
    "another map, throughout": lambda f: other_map(f, told=True),
    "a patch rejected that is good, throughout": gone("nodata"),
}

KINDS: dict[str, dict[str, Lie]] = {
    "shards": SHARDS, "the tree": TREES, "a record": RECORDS, "captions": CAPTIONS, "a commit": COMMITS, "the plan": PLANS,
    "the map": MAPS, "all at once": CONSISTENT,
}  # fmt: skip
LIES: dict[str, tuple[str, Lie]] = {name: (kind, lie) for kind, lies in KINDS.items() for name, lie in lies.items()}


def table() -> list[tuple[str, str, str]]:
    return [(name, kind, "--rebuild" if kind == "all at once" else "--deep") for name, (kind, _) in LIES.items()]


def told(planted: tuple[Path, Path], folder: Path, lie: Lie) -> PatchForger:
    recipe, out = planted
    forger = PatchForger(Path(shutil.copytree(out, folder / "tree")), recipe)
    lie(forger)
    return forger


def test_there_are_many_lies_of_all_kinds():
    assert len(LIES) == sum(map(len, KINDS.values())) >= 90


@pytest.mark.long
def test_nothing_is_found_where_nothing_is_wrong(planted, tmp_path):
    forger = told(planted, tmp_path, lambda f: f.seal())
    verdict: Any = nt.verify(forger.out, deep=True, rebuild=99)
    assert verdict.problems == ()
    assert verdict.rebuilt == verdict.done > 20
    files = {path.relative_to(planted[1]): path.read_bytes() for path in planted[1].rglob("*") if path.is_file()}
    again = {path.relative_to(forger.out): path.read_bytes() for path in forger.out.rglob("*") if path.is_file()}
    shown = {path for path in files if path.parts[0] != "_nutonic"}
    assert {path: again[path] for path in shown} == {path: files[path] for path in shown}


def test_a_lie_is_found_unless_it_is_told_throughout_and_then_by_the_sources(planted, tmp_path, sample):
    names, missed = sample(LIES, kind=lambda name: LIES[name][0], one_in=40), []
    for name in names:
        kind, lie = LIES[name]
        folder = tmp_path / re.sub(r"\W", "-", name)
        folder.mkdir()
        forger = told(planted, folder, lie)
        patch = forger.patch
        verdict = nt.verify(forger.out, deep=True)
        if kind != "all at once":
            missed += [name] if verdict.whole else []
            continue
        missed += [] if verdict.whole else [f"{name}: not consistent: {verdict.problems}"]
        problems = nt.verify(forger.out, rebuild=99).problems
        missed += [] if any("patch_" in problem for problem in problems) else [f"{name}: {patch}: {problems}"]
        shutil.rmtree(folder)
    assert missed == []


def torn(path: str) -> Callable[[Path], object]:
    return lambda out: cut(sorted(out.glob(path))[0])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def bent_in(path: str) -> Callable[[Path], object]:
    def change(out: Path) -> None:
        file = sorted(out.glob(path))[-1]
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)

    return change


DAMAGES: dict[str, Callable[[Path], object]] = {
    **{f"{path}, torn": torn(path) for path in (
        "data/train-*.tar", "data/train.jsonl", "images/s00000/*.jpg", "statistics.json", "_nutonic/summary.json",
        "_nutonic/commits/*", "_nutonic/captions/*", "_nutonic/parts/*", "_nutonic/recipe.yaml",
    )},
    **{f"{path}, a bit of it": bent_in(path) for path in (
        "data/validation-*.tar", "data/validation.jsonl", "images/s00000/*.jpg", "_nutonic/commits/*",
        "_nutonic/captions/*", "_nutonic/parts/*",
    )},
    **{f"{path}, gone": (lambda out, path=path: sorted(out.glob(path))[0].unlink()) for path in (
        "data/train-*.tar", "images/s00000/*.jpg", "statistics.json", "README.md", "_nutonic/commits/*",
        "_nutonic/captions/*", "_nutonic/parts/*",
    )},
    "a temporary of a killed writer": lambda out: (out / "data" / "train-000000.tar#3").write_bytes(b"x"),
    "captions of no commit": lambda out: (out / "_nutonic" / "captions" / "000999.json").write_bytes(b"x"),
}  # fmt: skip


def contents(out: Path) -> dict[str, bytes]:
    """All files but the summary, which tells of the last build."""
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {path: data for path, data in files.items() if path != "_nutonic/summary.json"}


@pytest.mark.long
@pytest.mark.parametrize(
    "names", [pytest.param([name], id=name, marks=pytest.mark.exhaustive) for name in DAMAGES] + [list(DAMAGES)]
)
def test_damage_is_found_taken_out_and_built_again(planted, tmp_path, names):
    recipe, whole = planted
    out = Path(shutil.copytree(whole, tmp_path / "tree"))
    (out / "data" / "mine.txt").write_text("mine")
    for name in names:
        DAMAGES[name](out)
    found = [text for text in nt.verify(out, deep=True).problems if "mine.txt" not in text]
    assert found
    nt.verify(out, deep=True, fix=True)
    assert nt.build(nt.load_recipe(recipe), out, workers=0).complete
    assert (out / "data" / "mine.txt").read_text() == "mine"
    (out / "data" / "mine.txt").unlink()
    assert nt.verify(out, deep=True).problems == ()
    assert contents(out) == contents(whole)


def test_the_table_in_the_docs_is_of_these_lies():
    text = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    text = text.partition("## Trees of patches")[2]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| `([^|`]+?)` \|$", text, re.MULTILINE)
    assert sorted(rows) == sorted(table())
