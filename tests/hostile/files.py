"""Files that are not what their names say, that are no files, and what may follow from opening them."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path

from support.forging import bomb, saved

from hostile.row import BUILD, PLAN, VERIFY, Here, Row, Tree, World, both, finished
from hostile.worlds import assets, damaged, file, folder, link, part, pipe, sparse

SAME, REPLANNED = Tree.SAME, Tree.REPLANNED


class _Trap:
    """What leaves a trace if it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch ran",)


TRAP = pickle.dumps(_Trap())


def zipped(name: str, content: bytes = b"{}") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"), io.BytesIO())
    return out.getvalue()


def database(here: Here) -> bytes:
    path = here.folder.parent / "scratch.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table gpkg_contents (a)")
    connection.close()
    return path.read_bytes()


def vrt(source: str = "land_cover.tif", inner: str = "", of: str = "") -> bytes:
    """A VRT of one file; inner: an element more in the band; of: the kind of band."""
    return (
        f'<VRTDataset rasterXSize="10" rasterYSize="10"><SRS>EPSG:32633</SRS><GeoTransform>722340,10,0,5176780,0,-10'
        f'</GeoTransform><VRTRasterBand dataType="Byte" band="1"{of}>{inner}<SimpleSource><SourceFilename '
        f'relativeToVRT="1">{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>'
    ).encode()


PYTHON = "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
PYTHON += "<PixelFunctionCode><![CDATA[import os; os.system('touch ran')]]></PixelFunctionCode>"
DERIVED = ' subClass="VRTDerivedRasterBand"'
ENTITIES = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (c + 1, b"&%c;" % c * 10) for c in range(97, 110))
    + b"]><VRTDataset>&n;</VRTDataset>"
)
WMS = b"<GDAL_WMS><Service name='TMS'><ServerUrl>http://10.0.0.1/${z}</ServerUrl></Service></GDAL_WMS>"


def picture(content: bytes) -> object:
    """A finished tree in which a picture has another content."""

    def world(here: Here) -> None:
        finished(here)
        next((here.out / "images").rglob("*.png")).write_bytes(content)

    return world


def scene(content: bytes) -> object:
    return file("west/red.tif", content)


def labels(path: str, content: bytes) -> object:
    return both(file(path, content), part("labels", path=path))


def places(path: str, content: bytes | str) -> object:
    return both(file(path, content), part("pois", path=path))


def catalogue(path: str, content: bytes | str) -> object:
    return both(file(path, content), part("imagery", url=path))


OPEN = (BUILD, 1, "3 places failed and stay open", REPLANNED)

GUESSED = [
    *(
        Row(f"a picture that is {what}", picture(content), VERIFY, 1, "not whole", SAME, megabytes=200)
        for what, content in {
            "an EPS": saved("EPS"),
            "a PDF": saved("PDF"),
            "a TIFF": saved("TIFF"),
            "a WebP": saved("WEBP"),
            "an ICO": saved("ICO"),
            "a PPM": saved("PPM"),
            "a PCX": saved("PCX"),
            "a pickle": TRAP,
            "a zip": zipped("a.png"),
            "a text": b"P6 9 9 255 ",
            "a WMF": b"\xd7\xcd\xc6\x9a" + bytes(100),
            "a bomb": bomb(),
            "of no bytes": b"",
            "a PNG cut off": saved("PNG")[:200],
            "a PNG of 2^31 pixels a side": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0"
            + bytes(9),
        }.items()
    ),
    *(
        Row(f"a scene that is {what}", scene(content), *OPEN)
        for what, content in {
            "a VRT": vrt("/etc/passwd"),
            "a VRT with Python": vrt(inner=PYTHON, of=DERIVED),
            "a WMS": WMS,
            "a pickle": TRAP,
            "a zip": zipped("red.tif"),
            "a PNG": saved("PNG"),
            "a JPEG": saved("JPEG"),
            "a PDF": saved("PDF"),
            "empty": b"",
            "HTML": b"<!doctype html><html>Sign in</html>",
            "XML of entities": ENTITIES,
            "a netCDF's head": b"CDF\x01" + bytes(99),
            "an HDF5's head": b"\x89HDF\r\n\x1a\n" + bytes(99),
            "a JP2's head": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99),
            "a BigTIFF of offsets beyond": b"II+\0\x08\0\0\0" + b"\xff" * 8,
            "a TIFF whose directory is itself": b"II*\0\x04\0\0\0",
            "GDAL's own VRT by text": b"<VRTDataset/>",
            "a BAG": b"\x89HDF",
            "an ASCII grid": b"ncols 9\nnrows 9\ncellsize 1\n1",
        }.items()
    ),
    *(
        Row(f"labels called .tif that are {what}", labels("lc.tif", content), PLAN, 2, "lc.tif")
        for what, content in {
            "a VRT": vrt(),
            "a VRT of /etc/passwd": vrt("/etc/passwd"),
            "a pickle": TRAP,
            "a zip": zipped("lc.tif"),
            "empty": b"",
            "HTML": b"<html>",
            "a WMS": WMS,
            "a picture": saved("PNG"),
        }.items()
    ),
    *(
        Row(f"a VRT {what}", labels("lc.vrt", content), PLAN, 2, "lc.vrt")
        for what, content in {
            "with Python": vrt(inner=PYTHON, of=DERIVED),
            "of /etc/passwd": vrt("/etc/passwd"),
            "of itself": vrt("lc.vrt"),
            "of a server": vrt("/vsicurl/http://10.0.0.1/a.tif"),
            "of a program": vrt("/vsistdin/"),
            "of entities": ENTITIES,
            "of a subdataset": vrt("NETCDF:land_cover.tif:a"),
            "of a folder above": vrt("../../../a.tif"),
            "that is none": b"<a",
            "of a zip": vrt("/vsizip/a.zip/a.tif"),
            "of nothing": b"<VRTDataset/>",
            "with a warp": vrt(of=' subClass="VRTWarpedRasterBand"'),
            "of a text in it": vrt("<VRTDataset/>"),
            "in UTF-16": vrt().decode().encode("utf-16"),
            "in null bytes": bytes(500),
        }.items()
    ),
    *(
        Row(f"labels at {path}", part("labels", path=path), PLAN, 2, "nutonic:")
        for path in (
            "/vsizip/land_cover.zip/a.tif",
            "/vsicurl/http://10.0.0.1/a.tif",
            "GTIFF_DIR:1:land_cover.tif",
            "/vsistdin/",
            "/vsimem/a.tif",
            "WMS:http://10.0.0.1/",
            "/vsisubfile/0_9,land_cover.tif",
            "ftp://10.0.0.1/a.tif",
            "DERIVED_SUBDATASET:LOGAMPLITUDE:land_cover.tif",
        )
    ),
    *(
        Row(f"items called .json that are {what}", catalogue("a.json", content), PLAN, 2, "a.json")
        for what, content in {
            "a pickle": TRAP,
            "a zip": zipped("a.json"),
            "a gzip": gzip.compress(b"{}"),
            "YAML": "type: Feature",
            "a Parquet's head": b"PAR1" + bytes(99) + b"PAR1",
            "deep": b'{"a":' * 100_000,
            "a number": "7",
            "a tar": tarred(),
            "UTF-16": '{"type":"Feature"}'.encode("utf-16"),
            "two objects": "{}{}",
            "digits": '{"type": ' + "9" * 5000 + "}",
        }.items()
    ),
    *(
        Row(f"items called .parquet that are {what}", catalogue("a.parquet", content), PLAN, 2, "a.parquet")
        for what, content in {"a pickle": TRAP, "JSON": "{}", "empty": "", "cut off": b"PAR1" + bytes(60)}.items()
    ),
    *(
        Row(f"places called {name} that are {what}", places(name, content), PLAN, 2, name)
        for name, what, content in (
            ("a.csv", "a pickle", TRAP),
            ("a.csv", "a zip", zipped("a.csv")),
            ("a.csv", "a PNG", saved("PNG")),
            ("a.csv", "empty", ""),
            ("a.csv", "null bytes", bytes(1000)),
            ("a.csv", "a gzip", gzip.compress(b"lon,lat\n1,2")),
            ("a.parquet", "a text", "lon,lat\n18,46\n"),
            ("a.parquet", "cut off", b"PAR1" + bytes(60)),
            ("a.parquet", "empty", ""),
            ("a.csv.gz", "no gzip", "lon,lat\n18,46\n"),
            ("a.csv.gz", "cut off", gzip.compress(b"lon,lat\n18,46\n" * 99)[:40]),
            ("a.geojson", "deep", b'{"type":' * 100_000),
            ("a.geojson", "a list", "[]"),
            ("a.jsonl", "lists", "[]\n[]\n"),
            ("a.xlsx", "a zip", zipped("xl/workbook.xml")),
            ("a.pkl", "a pickle", TRAP),
            ("a.tar.gz", "a tar", tarred()),
            ("a.py", "a program", "import os"),
            ("a.gpkg", "a text", "x"),
            ("a.kml", "entities", ENTITIES),
            ("a", "nothing", ""),
        )
    ),
    Row("a recipe that is a pickle", file("recipe.yaml", TRAP), PLAN, 2, "recipe.yaml"),
    Row("a recipe that is a zip", file("recipe.yaml", zipped("a")), PLAN, 2, "recipe.yaml"),
    Row("a recipe that is a gzip", file("recipe.yaml", gzip.compress(b"name: x")), PLAN, 2, "recipe.yaml"),
    Row("a recipe in UTF-16", damaged("recipe.yaml", lambda b: b.decode().encode("utf-16")), PLAN, 2, "utf-8"),
]

#: What may stand where a file is named, and what is said of it.
IRREGULAR = {
    "a pipe": pipe,
    "a folder": folder,
    "/dev/zero": lambda name: link(name, "/dev/zero"),
    "/dev/urandom": lambda name: link(name, "/dev/urandom"),
    "/dev/tty": lambda name: link(name, "/dev/tty"),
    "a link to nothing": lambda name: link(name, "nowhere"),
    "a link to itself": lambda name: link(name, Path(name).name),
    "/proc/self/mem": lambda name: link(name, "/proc/self/mem"),
}

INPUTS = ("recipe.yaml", "pois.csv", "items.json", "land_cover.tif")


def many_links(name: str) -> World:
    """A file at the end of more links than anybody follows."""

    def world(here: Here) -> None:
        last = (here.folder / name).rename(here.folder / f"0-{name}").name
        for k in range(1, 1200):
            (here.folder / f"{k}-{name}").symlink_to(last)
            last = f"{k}-{name}"
        (here.folder / name).symlink_to(last)

    return world


def circle(here: Here) -> None:
    """Catalogues that link to each other, each to all."""
    for k in range(9):
        links = [{"rel": "child", "href": f"c{j}.json?{i}"} for j in range(9) for i in range(3)]
        here.write(f"c{k}.json", json.dumps({"type": "Catalog", "id": str(k), "links": links}))
    here.recipe(imagery={"url": "c0.json"})


NO_FILES = [
    *(
        Row(f"{name} is {what}", world(name), PLAN, 2, name, Tree.NONE, 30, 200)
        for what, world in IRREGULAR.items()
        for name in INPUTS
    ),
    *(
        Row(f"a scene is {what}", world("west/green.tif"), BUILD, 1, "green", REPLANNED)
        for what, world in IRREGULAR.items()
    ),
    *(
        Row(
            f"a template is {what}",
            both(world("words/caption.yaml"), part("rows", wording="words")),
            PLAN,
            2,
            "rows.wording: cannot be read from",
        )
        for what, world in {**IRREGULAR, "of 1 TB": lambda name: sparse(name, 2**40)}.items()
    ),
    *(
        Row(
            f"the folder of templates is {what}",
            both(IRREGULAR[what]("words"), part("rows", wording="words")),
            PLAN,
            2,
            "rows.wording: cannot be read from",
        )
        for what in ("a pipe", "/dev/zero", "a link to nothing", "a link to itself")
    ),
    Row(
        "an area of 1 TB",
        sparse("area.json", 2**40),
        "cube recipe.yaml --out out --area area.json",
        2,
        "area.json",
    ),
    Row("places of 1 TB", both(sparse("big.csv", 2**40), part("pois", path="big.csv")), PLAN, 2, "big.csv"),
    Row(
        "places as JSON lines of 1 TB",
        both(sparse("big.jsonl", 2**40), part("pois", path="big.jsonl")),
        PLAN,
        2,
        "big.jsonl",
    ),
    Row(
        "places as GeoJSON of 1 TB",
        both(sparse("b.geojson", 2**40), part("pois", path="b.geojson")),
        PLAN,
        2,
        "b.geojson",
    ),
    Row("items of 1 TB", both(sparse("big.json", 2**40), part("imagery", url="big.json")), PLAN, 2, "larger than"),
    Row(
        "items as lines of 1 TB",
        both(sparse("b.ndjson", 2**40), part("imagery", url="b.ndjson")),
        PLAN,
        2,
        "larger than",
    ),
    Row("a recipe of 1 TB", sparse("recipe.yaml", 2**40), PLAN, 2, "larger than 1,048,576 bytes"),
    Row("a VRT of 1 TB", both(sparse("l.vrt", 2**40), part("labels", path="l.vrt")), PLAN, 2, "l.vrt"),
    Row("catalogues in a circle", circle, PLAN, 2, "nutonic:"),
    *(
        Row(f"{name} behind 1,200 links", many_links(name), PLAN, 2, "too many levels of symbolic links")
        for name in ("items.json", "pois.csv")
    ),
    Row("a mask beside a scene is a pipe", pipe("west/red.tif.msk"), BUILD, 0, "built 3 places", Tree.CLEAN),
    Row("metadata beside a scene is a pipe", pipe("west/red.tif.aux.xml"), BUILD, 0, "built 3 places", Tree.CLEAN),
    Row(
        "overviews beside a scene are /dev/zero",
        link("west/red.tif.ovr", "/dev/zero"),
        BUILD,
        0,
        "3 places",
        Tree.CLEAN,
    ),
    Row("a world file beside the labels is a pipe", pipe("land_cover.tfw"), BUILD, 0, "built 3 places", Tree.CLEAN),
    Row("a scene's name is a pipe's", both(pipe("p.tif"), assets(href="p.tif")), BUILD, 1, "p.tif", REPLANNED),
    Row(
        "an area that is a pipe",
        both(pipe("area.json"), part("cube", area="area.json")),
        "cube recipe.yaml --out out",
        2,
        "area.json",
    ),
    Row(
        "an area that is /dev/zero",
        link("area.json", "/dev/zero"),
        "cube recipe.yaml --out out --area area.json",
        2,
        "area.json",
    ),
    Row(
        "a certificate that is a pipe",
        pipe("ca.pem"),
        f"{BUILD[:-12]} --scheduler tls://127.0.0.1:1 --tls-ca ca.pem --tls-cert ca.pem --tls-key ca.pem",
        2,
        "ca.pem",
    ),
    Row("verify of a pipe", pipe("out"), "verify out", 2, "out", SAME),
    Row("verify of a device", link("out", "/dev/zero"), "verify out", 2, "out", SAME),
    Row("a folder that is a pipe", pipe("out"), BUILD, 2, "out", SAME),
    Row("a folder that is /dev/null", link("out", "/dev/null"), BUILD, 2, "out", SAME),
]


def repeated(name: str, piece: bytes, first: bytes = b"") -> object:
    """A gzip file of four hundred times the same, made when it is wanted."""
    return lambda here: here.write(name, gzip.compress(first) + gzip.compress(piece) * 400)


HUGE = [
    Row(
        "a gzip of 10 GB of places as JSON lines",
        both(
            repeated("b.jsonl.gz", b'{"lon": 18, "lat": 46}\n' * 2**20),
            part("pois", path="b.jsonl.gz"),
        ),
        PLAN,
        2,
        "b.jsonl.gz",
        megabytes=200,
    ),
    Row(
        "a gzip of 10 GB of places",
        both(
            repeated("b.csv.gz", b"18,46\n" * 2**22, b"lon,lat\n"),
            part("pois", path="b.csv.gz"),
        ),
        PLAN,
        2,
        "b.csv.gz",
        megabytes=200,
    ),
]
