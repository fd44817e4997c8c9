"""Finished trees that were changed, inputs that change, and what lies beside an output."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from support.forging import Forger, bomb, noise, saved
from support.seals import reseal

from hostile.row import BUILD, FIX, PLAN, VERIFY, Here, Row, Tree, both, finished, plain
from hostile.worlds import damaged, file, folder, link, part, pipe

SAME, MENDED, CLEAN, RESUMED = Tree.SAME, Tree.MENDED, Tree.CLEAN, Tree.RESUMED
TILE = "poi_000001_t0000"
DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
CONTENTS = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "deep": DEEP,
    "not UTF-8": b"\xff\xfe\xfd",
    "cut off": b'{"kind":"plan",',
    "a number of 5,000 digits": b"9" * 5_000,
    "a pickle": b"\x80\x04.",
    "null bytes": bytes(5_000),
    "NaN": b'{"seal":NaN}\n',
}


class Small(Forger):
    """A forger of the small tree."""

    @property
    def image(self) -> Path:
        return self.out / f"images/s00000/{TILE}.png"

    @property
    def metadata(self) -> Path:
        return self.out / f"metadata/s00000/{TILE}.json"


def forged(lie: Callable[[Forger], object]) -> Callable[[Here], None]:
    """A finished tree with a lie in it that is sealed throughout."""

    def world(here: Here) -> None:
        finished(here)
        lie(Small(here.out))

    return world


def told(**values: object) -> Callable[[Here], None]:
    return forged(lambda f: f.sidecar(lambda s: s.update(values)))


def within(*path: str | int, value: object) -> Callable[[Here], None]:
    def change(sidecar: dict) -> None:
        for each in path[:-1]:
            sidecar = sidecar[each]
        sidecar[path[-1]] = value

    return forged(lambda f: f.sidecar(change))


def inside(name: str, content: bytes | str) -> Callable[[Here], None]:
    return both(finished, file(f"out/{name}", content))


LIES = {
    "a CRS of a pipeline": within("grid", "crs", value="+proj=pipeline +step +init=/etc/passwd"),
    "a CRS of a grid file": within("grid", "crs", value="+proj=longlat +nadgrids=/etc/passwd"),
    "a shape of 2^62": within("grid", "shape", value=[2**62, 2**62]),
    "a window of 2^62": within("window", "height", value=2**62),
    "a window below 0": within("window", "row", value=-1),
    "a transform of NaN": within("grid", "transform", 0, value=None),
    "a million regions": told(regions=[{"label": "x"}] * 100_000),
    "a region within a region": within("regions", 0, "bbox", value=[[[[]]]]),
    "a caption of a megabyte": told(caption="x" * 2**20),
    "a caption with an escape": told(caption="\x1b[2J\x1b]52;c;AA==\x07"),
    "a latitude of infinity": told(latitude=1e308),
    "a longitude of text": told(longitude="\u202e18"),
    "an id that climbs": told(tile_id="../../../etc/passwd"),
    "an id of null": told(poi_id=None),
    "classes of text": within("land_cover_label_meta", "classes", value={"\x1b": 1}),
    "classes of -1": within("land_cover_label_meta", "classes", value={"-1": 1}),
    "assets that are a list": within("imagery", "assets", value=[1]),
    "a date of year 0": within("imagery", "datetime", value="0000-00-00"),
    "quality of 7": told(quality=7),
    "a place that is deep": told(place={"a": [[[[[[[[]]]]]]]]}),
    "a picture as a GIF": forged(lambda f: f.picture(saved("GIF"))),
    "a picture as a TIFF": forged(lambda f: f.picture(saved("TIFF"))),
    "a picture of one pixel": forged(lambda f: f.picture(noise(1))),
    "a picture of 16 bits": forged(lambda f: f.picture(saved("PNG", "I;16") if False else saved("PNG", "L"))),
    "a bomb": forged(lambda f: f.picture(bomb())),
    "noise": forged(lambda f: f.picture(noise())),
    "a picture with an ICC profile": forged(lambda f: f.picture(saved("PNG", icc_profile=b"x" * 3000))),
    "a picture with a date": forged(lambda f: f.picture(f.image.read_bytes() + b"\0\0\0\x07tIME" + bytes(11))),
    "rows of one place twice": forged(lambda f: f.rows(lambda rows: rows * 2)),
    "rows of nothing": forged(lambda f: f.rows(lambda rows: [{"task": "caption"} for _ in rows])),
    "rows of a million letters": forged(lambda f: f.rows(lambda rows: [{**r, "id": "x" * 10_000} for r in rows])),
    "a plan of no rejects": forged(lambda f: f.plan("plan", lambda p: p.update(rejects=[]))),
    "a plan of -1 places": forged(lambda f: f.plan("plan", lambda p: p.update(places=-1))),
    "a plan of 2^63 batches": forged(lambda f: f.plan("plan", lambda p: p.update(batches=2**63))),
    "a plan of a margin of text": forged(lambda f: f.plan("plan", lambda p: p.update(margin_px="many"))),
    "a batch of no places": forged(lambda f: f.plan("batch", lambda b: b.update(lon=[], lat=[]))),
    "a batch of NaN": forged(lambda f: f.plan("batch", lambda b: b.update(lon=[None] * len(b["lon"])))),
    "a scene elsewhere": forged(lambda f: f.plan("scene", lambda s: s.update(assets=[]))),
    "a commit of no places": forged(lambda f: f.entry(lambda p: p.update(poi_id="poi_000099"))),
    "a commit of 10^9 tiles": forged(lambda f: f.entry(lambda p: p.update(tiles=10**9))),
}


def without(pattern: str) -> Callable[[Here], None]:
    def world(here: Here) -> None:
        finished(here)
        for path in list(here.out.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return world


def planted(name: str, content: bytes = b"mine") -> Callable[[Here], None]:
    """A file of the user's within a folder of nutonic's."""
    return inside(name, content)


def hidden(here: Here) -> None:
    """A sidecar sealed in another place's commit."""
    finished(here)
    a, b = sorted((here.out / "metadata").rglob("*.json"))[:2]
    a.write_bytes(b.read_bytes())
    reseal(here.out)


MALFORMED = [
    *(Row(f"a lie: {name}", world, VERIFY, 1, "not whole", SAME, 30, 200) for name, world in LIES.items()),
    *(
        Row(f"the {name.rpartition('/')[2]} is {what}", inside(name, content), VERIFY, 1, "is not whole", SAME)
        for name in (
            "_nutonic/summary.json",
            "_nutonic/commits/000000.json",
            f"metadata/s00000/{TILE}.json",
            "data/train.jsonl",
            "_nutonic/parts/000000.jsonl.gz",
        )
        for what, content in CONTENTS.items()
    ),
    *(
        Row(
            f"the plan is {what}",
            inside("_nutonic/plan.jsonl", content),
            VERIFY,
            1,
            "plan.jsonl is not what was written",
            SAME,
        )
        for what, content in CONTENTS.items()
    ),
    *(
        Row(f"the tree's recipe is {what}", inside("_nutonic/recipe.yaml", content), VERIFY, 1, "not whole", SAME)
        for what, content in CONTENTS.items()
    ),
    *(
        Row(f"mended: the {name.rpartition('/')[2]} is {what}", inside(name, CONTENTS[what]), FIX, 1, "removed", MENDED)
        for name in ("_nutonic/commits/000000.json", f"metadata/s00000/{TILE}.json", "data/train.jsonl")
        for what in ("empty", "deep", "null", "not UTF-8")
    ),
    *(
        Row(f"gone: {pattern}", without(pattern), VERIFY, 1, "not whole", SAME)
        for pattern in (
            "images",
            "metadata/s00000",
            "data",
            "README.md",
            "_nutonic/commits",
            "_nutonic/parts",
            "_nutonic/summary.json",
        )
    ),
    Row("gone: the marker", without("_nutonic/tree.json"), VERIFY, 2, "nutonic:", SAME),
    Row("gone: the plan", without("_nutonic/plan.jsonl"), VERIFY, 2, "nutonic:", SAME),
    Row("gone: everything but the marker", without("[!_]*"), VERIFY, 1, "not whole", SAME),
    *(
        Row(f"planted: {name!r}", planted(name), VERIFY, 1, "not whole", SAME)
        for name in (
            "images/s00000/mine.png",
            "data/mine.jsonl",
            "metadata/.hidden",
            "images/s99999/poi_000000_t0000.png",
            "_nutonic/commits/000001.json",
            "_nutonic/parts/000007.jsonl.gz",
            "images/s00000/poi_000001_t0000.png.bak",
            "images/a\x1b[2Jb",
            "images/\u202egnp",
            "data/train.jsonl#12",
            "images/s00000/POI_000001_T0000.PNG",
            "data/train.jsonl.gz",
        )
    ),
    Row("a sidecar of another place", hidden, VERIFY, 1, "not whole", SAME),
    Row("verify of nothing", lambda here: None, "verify out", 2, "nutonic:"),
    Row("verify of a folder of somebody's", folder("out"), "verify out", 2, "nutonic:", SAME),
    Row("verify of a file", file("out", "x"), "verify out", 2, "nutonic:", SAME),
]


# Inputs that change


def begun(here: Here) -> None:
    """A plan is in the folder, and the build has not begun."""
    from nutonic import load_recipe
    from nutonic.planning.prepare import prepare
    from nutonic.planning.spec import resolve

    prepare(resolve(load_recipe(here.folder / "recipe.yaml")), here.out)


def built(here: Here) -> None:
    """The tree is made of this very world."""
    from nutonic import load_recipe
    from nutonic.run.run import build

    assert build(load_recipe(here.folder / "recipe.yaml"), here.out, workers=0).complete


def rewritten(name: str, change: Callable[[np.ndarray], np.ndarray], **profile: object) -> Callable[[Here], None]:
    """A raster with other pixels."""

    def world(here: Here) -> None:
        path = here.folder / name
        with rasterio.open(path) as raster:
            pixels, told = raster.read(), raster.profile
        path.unlink()
        with rasterio.open(path, "w", **(told | profile)) as raster:
            raster.write(np.ascontiguousarray(change(pixels)))

    return world


def later(name: str) -> Callable[[Here], None]:
    """A file whose times are others."""
    return lambda here: os.utime(here.folder / name, (1, 1))


PINNED = {
    "the land cover is turned round": rewritten("land_cover.tif", lambda p: p[:, ::-1]),
    "the land cover is of one class": rewritten("land_cover.tif", np.ones_like),
    "a scene's file is mirrored": rewritten("west/red.tif", lambda p: p[:, :, ::-1]),
    "a scene's file is brighter": rewritten("west/blue.tif", lambda p: p + 1),
    "a scene's file is not compressed": rewritten("west/green.tif", lambda p: p, compress=None),
    "a scene's file is cut off": damaged("west/red.tif", lambda b: b[: len(b) // 2]),
    "a scene's file is empty": file("west/red.tif", b""),
    "a scene's file is another band's": lambda here: shutil.copy(
        here.folder / "west/blue.tif", here.folder / "west/red.tif"
    ),
    "one byte of the land cover is another": damaged("land_cover.tif", lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:]),
    "the land cover is text": file("land_cover.tif", "x" * 999),
}

GONE = {
    "the land cover is gone": lambda here: (here.folder / "land_cover.tif").unlink(),
    "a scene's file is gone": lambda here: (here.folder / "west/red.tif").unlink(),
    "the scene's folder is gone": lambda here: shutil.rmtree(here.folder / "west"),
}

OTHER = {
    "a place more": damaged("pois.csv", lambda b: b + b"18.0,46.7\n"),
    "a place less": damaged("pois.csv", lambda b: b[: b.rstrip().rfind(b"\n") + 1]),
    "a digit of a place": damaged("pois.csv", lambda b: b.replace(b"1", b"2", 1)),
    "places in another order": damaged(
        "pois.csv", lambda b: b"\n".join([*b.splitlines()[:1], *b.splitlines()[:0:-1], b""])
    ),
    "another extent": part("grid", extent_m=800),
    "another split": part("splits", train=0.5, validation=0.3, test=0.2),
    "other rows": part("rows", grounding=False),
    "other classes": part("labels", dataset={"name": "synthetic", "classes": {1: "a", 2: "b", 3: "c"}, "unknown": 0}),
}

CHANGED = [
    *(Row(f"planned, then {what}", both(begun, change), BUILD, 2, "--replan", SAME) for what, change in PINNED.items()),
    Row(
        "planned, then the land cover is gone",
        both(begun, GONE["the land cover is gone"]),
        BUILD,
        1,
        "stay open",
        RESUMED,
    ),
    *(
        Row(f"planned, then {what}", both(begun, GONE[what]), BUILD, 1, "put the file back", RESUMED)
        for what in ("a scene's file is gone", "the scene's folder is gone")
    ),
    *(Row(f"built, then {what}", both(finished, change), BUILD, 2, "nutonic:", SAME) for what, change in OTHER.items()),
    *(Row(f"planned, then {what}", both(begun, change), BUILD, 2, "nutonic:", SAME) for what, change in OTHER.items()),
    *(
        Row(f"planned, then copied and touched: {name}", both(begun, later(name)), BUILD, 0, "built 3 places", CLEAN)
        for name in ("land_cover.tif", "west/red.tif", "pois.csv", "items.json")
    ),
    Row(
        "planned, then the catalogue is another",
        both(begun, file("items.json", '{"type":"FeatureCollection","features":[]}')),
        BUILD,
        0,
        "built 3 places",
        CLEAN,
    ),
    Row(
        "planned, then a comment in the recipe",
        both(begun, damaged("recipe.yaml", lambda b: b + b"# mine\n")),
        BUILD,
        0,
        "built 3 places",
        CLEAN,
    ),
    Row(
        "built, then the land cover is turned round",
        both(built, PINNED["the land cover is turned round"]),
        "verify out --rebuild 3",
        1,
        "not whole",
        SAME,
    ),
    Row(
        "built, then a scene's file is mirrored",
        both(built, PINNED["a scene's file is mirrored"]),
        "verify out --rebuild 3",
        1,
        "not whole",
        SAME,
    ),
    Row(
        "built, then a scene's file is gone",
        both(built, GONE["a scene's file is gone"]),
        "verify out --rebuild 3",
        1,
        "not judged",
        SAME,
    ),
]


# Neighbours

CUBE = "cube recipe.yaml --out out --area 17.95,46.66,17.97,46.68"
BESIDE = (
    "out.partial",
    ".out.lock",
    ".out.replaced",
    "out.zarr",
    "out~",
    "out.tmp",
    ".out.nutonic",
    "out.nutonic-partial.bak",
    ".out.nutonic-lock.mine",
    "nutonic.json",
    "out#1",
    ".out.nutonic-partial-mine",
)
OURS = ("out.nutonic-partial", ".out.nutonic-replaced", ".out.nutonic-lock")

BESIDES = [
    *(Row(f"a file {name} beside a cube", file(name, "mine"), CUBE, 0, "", Tree.CUBE) for name in BESIDE),
    *(
        Row(f"a folder {name} beside a cube", file(f"{name}/zarr.json", "{}"), f"{CUBE} --overwrite", 0, "", Tree.CUBE)
        for name in BESIDE
    ),
    *(
        Row(f"somebody's {name} beside a cube", file(f"{name}/mine", "mine"), f"{CUBE} --overwrite", 2, name)
        for name in OURS
    ),
    *(
        Row(f"a link {name} beside a cube", both(folder("mine"), link(name, "mine")), f"{CUBE} --overwrite", 2, name)
        for name in OURS
    ),
    *(Row(f"a pipe {name} beside a cube", pipe(name), f"{CUBE} --overwrite", 2, name) for name in OURS),
    *(
        Row(
            f"somebody's folder for a cube, with {name} of {len(content)} bytes",
            file(f"out/{name}", content),
            f"{CUBE} --overwrite",
            2,
            "out",
            SAME,
        )
        for name, content in (
            ("mine.txt", "x"),
            ("zarr.json", "{}"),
            (".zgroup", "{}"),
            ("nutonic.json", "{}"),
            ("nutonic.json", '{"nutonic":"cube","format":2}\n'),
            ("c/0/0", "x"),
        )
    ),
    Row("a file for a cube", file("out", "mine"), f"{CUBE} --overwrite", 2, "out", SAME),
    *(
        Row(f"in a tree: {command}", both(finished, link("alias", "out")), command, 2, "lies in the dataset", SAME)
        for command in (
            f"{CUBE.replace('--out out', '--out out/c.zarr')} --overwrite",
            CUBE.replace("--out out", "--out alias/c.zarr"),
            f"{CUBE.replace('--out out', '--out c.zarr')} --cogs out/images",
            f"{CUBE.replace('--out out', '--out c.zarr')} --cogs out",
            "build recipe.yaml --out out/data/mine --workers 0",
            "plan recipe.yaml --out alias/mine",
            "pack out --format parquet --out out/pack",
            "report out --out out/page.html",
            "preview out --out out/page.html",
            "demo --out out/demo",
            "init out/recipe.yaml",
            "init wording out/words",
            "catalogue west/red.tif --datetime 2024-06-01 --out out/items.json",
            "build recipe.yaml --out mine --workers 1 --performance-report out/data/page.html",
        )
    ),
    *(
        Row(
            f"in a Zarr store of somebody's ({name}): {command}",
            file(f"store/{name}", "{}"),
            command,
            2,
            "is a Zarr store",
        )
        for name in ("zarr.json", ".zgroup")
        for command in (
            CUBE.replace("--out out", "--out store/c.zarr"),
            f"{CUBE} --cogs store/cogs",
            "build recipe.yaml --out store/tree --workers 0",
            "plan recipe.yaml --out store/red/tree",
            "init store/recipe.yaml",
            "demo --out store/demo",
            "catalogue west/red.tif --datetime 2024-06-01 --out store/items.json",
        )
    ),
    Row("pictures in the cube itself", plain, f"{CUBE} --cogs out/cogs", 2, "lies in the cube out"),
    Row("a tree for a cube", finished, f"{CUBE} --overwrite", 2, "out", SAME),
    Row(
        "an input within a cube",
        both(file("out/pois.csv", "lon,lat\n18,46\n"), part("pois", path="out/pois.csv")),
        f"{CUBE} --overwrite",
        2,
        "out",
        SAME,
    ),
    *(
        Row(f"somebody's {name} for a tree", file(f"out/{name}", "mine"), BUILD, 2, "nutonic:", SAME)
        for name in (
            "images/a.png",
            "data/train.jsonl",
            "_nutonic/plan.jsonl",
            "_nutonic/tree.json",
            "README.md",
            "mine.txt",
            "_nutonic/commits/000000.json",
            ".git/config",
        )
    ),
    *(
        Row(f"a link {name} in a tree", both(finished, link(f"out/{name}", "HERE/west")), BUILD, 2, "nutonic:", SAME)
        for name in ("images", "data", "metadata/s00000", "_nutonic/commits")
    ),
    Row(
        "inputs within a tree",
        both(file("out/images/pois.csv", "lon,lat\n18,46\n"), part("pois", path="out/images/pois.csv")),
        PLAN,
        2,
        "nutonic:",
        SAME,
    ),
    Row("the inputs' own folder", lambda here: None, "build recipe.yaml --out . --workers 0", 2, "nutonic:"),
    Row("a folder above the inputs", lambda here: None, "build recipe.yaml --out .. --workers 0", 2, "nutonic:"),
    Row("the land cover's folder", lambda here: None, "build recipe.yaml --out west --workers 0", 2, "nutonic:"),
    *(
        Row(f"an address for what is written for a cube or to look at: {command}", plain, command, 2, says)
        for address, says in (
            ("s3://", "is no s3://BUCKET/PATH"),
            ("https://h.example/x", "no dataset or cube can lie at"),
        )
        for command in (
            CUBE.replace("--out out", f"--out {address}"),
            f"{CUBE} --cogs {address}",
            f"preview recipe.yaml --out {address}",
        )
    ),
    *(
        Row(f"an address for a path: {command}", plain, command, 2, "is no path on this disk")
        for address in ("s3://", "s3://b/x", "https://h.example/x")
        for command in (
            f"catalogue west/red.tif --datetime 2024-06-01 --out {address}",
            f"init demo {address}",
            f"init {address}",
            f"init wording {address}",
        )
    ),
    *(
        Row(f"no address: {command}", plain, command, 2, "is no s3://BUCKET/PATH")
        for command in (
            "build recipe.yaml --out s3:///x",
            "plan recipe.yaml --out s3://",
            "verify s3:///x",
            "verify s3://b/x?key=1",
        )
    ),
    *(
        Row(
            f"a damaged {name}, for {command}",
            both(finished, file(f"out/_nutonic/{name}", "x")),
            command,
            2,
            "nutonic verify",
            SAME,
        )
        for name in ("commits/000000.json", "parts/000000.jsonl.gz")
        for command in ("report out --out page.html", "preview out --out page.html")
    ),
    Row(
        "a tree in memory, which ends with the command", plain, "build recipe.yaml --out memory://x", 2, "is gone when"
    ),
    *(
        Row(f"what is no repository: {name}", finished, f"push out --repo {name}", 2, "is no name of a", SAME)
        for name in (
            "owner/name.git",
            "owner/a--b",
            "owner/a..b",
            "-a/b",
            "a/b.",
            "a/b?x=1",
            "u:p@a/b",
            "a/b --revision x..y",
        )
    ),
    *(
        Row(
            f"a catalogue of {what}",
            world,
            f"catalogue {files} --datetime 2024-06-01 --out new.json",
            2,
            says,
        )
        for what, world, files, says in (
            ("a pipe", pipe("f.tif"), "f.tif", "f.tif"),
            ("an endless device", plain, "/dev/zero", "/dev/zero"),
            ("no raster", plain, "pois.csv", "pois.csv"),
            ("nothing", plain, "nowhere*.tif", "nowhere"),
            ("a file twice", plain, "west/red.tif west/../west/red.tif", "red"),
            ("a name that turns round", link("\u202egnp.tif", "west/red.tif"), "*gnp.tif", "rename it"),
            ("a name that is no text", link("\udcff.tif", "west/red.tif"), ".", "rename it"),
            ("an address", plain, "http://127.0.0.1:9/a.tif", "127.0.0.1"),
        )
    ),
    Row("init over a file", lambda here: None, "init recipe.yaml", 2, "exists"),
    Row("init through a link", link("link.yaml", "recipe.yaml"), "init link.yaml", 2, "exists"),
    Row("init through a link to nothing", link("link.yaml", "nowhere.yaml"), "init link.yaml", 2, "exists"),
    Row("init over a folder", folder("new.yaml"), "init new.yaml", 2, "exists"),
    Row("init into a folder that is not there", lambda here: None, "init no/such/recipe.yaml", 2, "no such file"),
    *(
        Row(
            f"a report over {what}",
            world,
            "build recipe.yaml --out out --workers 1 --performance-report report.html",
            2,
            "report.html",
        )
        for what, world in {
            "a file": file("report.html", "<html>mine"),
            "a recipe": lambda here: shutil.copy(here.folder / "recipe.yaml", here.folder / "report.html"),
            "a pipe": pipe("report.html"),
            "a link": link("report.html", "pois.csv"),
            "a link to nothing": link("report.html", "nowhere"),
            "a folder": folder("report.html"),
            "nutonic's in the middle": file("report.html", "<!-- performance report of nutonic -->\nmine\n"),
        }.items()
    ),
    Row(
        "a report over an input",
        lambda here: None,
        "build recipe.yaml --out out --workers 1 --performance-report pois.csv",
        2,
        "pois.csv",
    ),
    Row(
        "a demo over somebody's files", file("demo/contact_sheet.png", "mine"), "demo --out demo --workers 0", 2, "demo"
    ),
    Row(
        "a demo over a tree",
        lambda here: shutil.copytree(here.clean.out, here.folder / "demo"),
        "demo --out demo --workers 0",
        2,
        "demo is a dataset or a cube itself",
    ),
    Row(
        "a demo over a cube",
        file("demo/nutonic.json", '{"nutonic":"cube","format":2}\n'),
        "demo --out demo --workers 0",
        2,
        "demo is a dataset or a cube itself",
    ),
    *(
        Row(f"GeoTIFFs over {what}", world, f"{CUBE} --cogs cogs", 2, "cogs", Tree.NONE)
        for what, world in {
            "somebody's": lambda here: both(
                folder("cogs"),
                lambda h: [
                    shutil.copy(h.folder / f"west/{b}.tif", h.folder / f"cogs/{b}_20240530T095031.tif")
                    for b in ("red", "green", "blue")
                ],
            )(here),
            "a file": file("cogs", "mine"),
            "a pipe": pipe("cogs"),
        }.items()
    ),
]
