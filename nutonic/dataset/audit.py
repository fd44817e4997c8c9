"""Deep verification: every file is read and compared with the commits and with the other files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import orjson
import shapely
from PIL import Image

from nutonic.chips.rows import boxes_json
from nutonic.core.globe import TURNS, around, turned
from nutonic.core.grid import transformer
from nutonic.core.model import Json
from nutonic.dataset.commits import CommittedPlace
from nutonic.dataset.finalize import data_files, rows_of
from nutonic.dataset.findings import Finding, Tree
from nutonic.dataset.index import Spans
from nutonic.io.objects import sealed, sha256
from nutonic.secrets import environment_secrets, holds_secret


def audit(tree: Tree) -> Iterator[Finding]:
    """A finding for everything that is wrong with the content of a tree's files."""
    damaged = set()
    for path, problem in _damage(tree):
        damaged.add(path)
        yield Finding(problem, path=path if path in tree.named else None)
    for path, spans in data_files(Spans.of(tree.done), tree.output).items():
        parts = {part for part, _, _ in spans}
        intact = tree.store.has(path) and not parts & damaged
        if intact and tree.store.get(path) != b"".join(rows_of(tree.store, spans)):
            yield Finding(f"{path} is not the rows of its places", path=path)
    yield from _secrets(tree)
    yield from _content(tree, damaged)


def _damage(tree: Tree) -> Iterator[tuple[str, str]]:
    """Path and problem of each committed file, and each file beside the plan, that is missing or has other bytes."""
    for path, digest in tree.plan.beside.items():
        if tree.store.has(path) and sha256(tree.store.get(path)) != digest:
            yield path, f"{path} is not what was written: its SHA-256 differs"
    for path, (size, digest) in sorted(tree.named.items()):
        if not tree.store.has(path):
            yield path, f"{path} cannot be read: it is missing"
        else:
            data = tree.store.get(path)
            if len(data) != size or sha256(data) != digest:
                yield path, f"{path} is not what was written: its SHA-256 differs"


def _secrets(tree: Tree) -> Iterator[Finding]:
    """Files of any kind that hold something like a secret, or the value of one in this environment."""
    values = [value.encode() for value in environment_secrets()]
    commits = {name.path: content for name, content in tree.commits.items()}
    for path, _ in sorted(tree.store.sizes()):
        if not tree.store.is_file(path):  # a link's target is not in the tree, and a pipe has no end
            continue
        data = sealed(commits[path]) if path in commits else tree.store.get(path)
        if not path.endswith(".png") and holds_secret(data):
            yield Finding(f"{path} holds what looks like a token or a signed URL")
        if any(value in data for value in values):
            yield Finding(f"{path} holds the value of a secret from the environment")


def _content(tree: Tree, damaged: set[str]) -> Iterator[Finding]:
    """Compare pictures, sidecars, rows and ground with each other; damaged files are left out."""
    sidecars: dict[str, Json] = {}
    for path in sorted(path for path in tree.named if path.startswith("metadata/")):
        if path not in damaged:
            sidecar = orjson.loads(tree.store.get(path))
            sidecars[sidecar["tile_id"]] = sidecar
            image = image_of(path)
            if image not in damaged:
                yield from (Finding(f"{image} {problem}", path=path) for problem in _picture(tree, image, sidecar))
    yield from _rows([entry for entry in tree.done if entry.name.part not in damaged], sidecars, tree)
    yield from _ground(list(sidecars.values()))


def image_of(sidecar: str) -> str:
    """Path of the picture that a sidecar belongs to."""
    return sidecar.replace("metadata/", "images/", 1).removesuffix(".json") + ".png"


def _picture(tree: Tree, image: str, sidecar: Json) -> Iterator[str]:
    """Problems of a picture: at most one, as text."""
    side = tree.chip_side
    try:
        with Image.open(io.BytesIO(tree.store.get(image))) as picture:
            rgb = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        yield f"cannot be decoded: {type(error).__name__}"
        return
    if rgb.shape != (side, side, 3) or rgb.dtype != np.uint8:
        yield f"is {rgb.shape} {rgb.dtype}, not {(side, side, 3)} uint8"
    elif sha256(rgb.tobytes()) != sidecar["pixels_sha256"]:
        yield "does not show the pixels of its sidecar"
    elif not rgb.any() or (rgb == rgb[0, 0]).all():
        yield "is one colour"


def _rows(done: Sequence[CommittedPlace], sidecars: dict[str, Json], tree: Tree) -> Iterator[Finding]:
    """Compare each row with its sidecar: picture, split, caption and boxes."""
    row_ids: set[str] = set()
    for entry in done:
        lines = b"".join(rows_of(tree.store, Spans.of([entry]))).splitlines()
        if len(lines) != entry.rows:
            yield Finding(f"{entry['poi_id']} has {len(lines)} rows, its commit says {entry.rows}", place=entry)
        for line in lines:
            row = orjson.loads(line)
            if row["id"] in row_ids:
                yield Finding(f"row {row['id']} is there twice", place=entry)
            row_ids.add(row["id"])
            sidecar = sidecars.get(row["tile_id"])
            problem = "its sidecar is missing" if sidecar is None else _row_problem(row, entry, sidecar, tree)
            if problem:
                yield Finding(f"row {row['id']}: {problem}", place=entry)


def _row_problem(row: Json, entry: CommittedPlace, sidecar: Json, tree: Tree) -> str | None:
    user, assistant = (message["content"] for message in row["messages"])
    answer = assistant[0]["text"]
    if user[0]["image"] not in tree.named:
        return f"its picture {user[0]['image']} is missing"
    if sidecar["split"] != entry["split"] or row["poi_id"] != sidecar["poi_id"]:
        return "its sidecar is of another place or split"
    if row["task"] == "caption" and answer != sidecar["caption"]:
        return "its caption is not its sidecar's"
    if row["task"] in ("grounding", "class_grounding"):
        return _box_problem(row, answer, sidecar)
    return None


def _box_problem(row: Json, answer: str, sidecar: Json) -> str | None:
    """Boxes must be the sidecar's regions, all of them or those of one class."""
    regions = sidecar["regions"]
    if row["task"] == "class_grounding":
        class_id = int(row["id"].rsplit("_", 1)[1])
        regions = [region for region in regions if region["class_id"] == class_id]
    boxes = ((region["label"], region["bbox"]) for region in regions)
    if answer != boxes_json(boxes, tuple(sidecar["land_cover_label_meta"]["shape"])):
        return "its boxes are not its sidecar's regions"
    if any(not (0 <= b[0] < b[2] <= 1 and 0 <= b[1] < b[3] <= 1) for b in (r["bbox"] for r in orjson.loads(answer))):
        return "a box is empty or leaves the picture"
    return None


def _ground(sidecars: Sequence[Json]) -> Iterator[Finding]:
    """Pairs of places in different splits whose squares, drawn from their own grids, overlap on the ground."""
    places = {s["poi_id"]: s for s in sidecars}
    names = sorted(places)
    if not names:
        return
    polygons = np.array([_square(places[name]["grid"]) for name in names])
    index = shapely.STRtree(polygons)
    for moved in turned(polygons, TURNS[1:]):
        for i, j in index.query(moved, predicate="intersects").T.tolist():
            one, other = places[names[i]], places[names[j]]
            if one["split"] != other["split"] and shapely.intersection(moved[i], polygons[j]).area > 0:
                yield Finding(f"{names[i]} ({one['split']}) and {names[j]} ({other['split']}) share ground")


def _square(grid: Json) -> shapely.Polygon:
    """A place's square in degrees; across the antimeridian its longitudes go beyond 180."""
    a, _, c, _, e, f = grid["transform"]
    height, width = grid["shape"]
    x, y = np.array([0, width, width, 0]) * a + c, np.array([0, 0, height, height]) * e + f
    lon, lat = transformer(grid["crs"], "EPSG:4326").transform(x, y)
    return shapely.Polygon(np.stack([around(lon, lon[0]), lat], 1))
