"""The floor: the least that any program must do for these chips, in one straight loop on one core.

Decode each touched block of imagery and labels once, find the nearest labels, stretch, resize, encode PNG, find the regions,
word the rows, hash, dump JSON, write. None of nutonic's functions is called. Each step is done by the best library for it
that was found (libdeflate and imagecodecs decode, cc3d labels regions, Pillow resizes, libdeflate encodes), with GDAL only
to look at headers. Pictures and sidecars' numbers are nutonic's own, bit for bit; of rows the ids, boxes and shares are, in
one wording. What the floor leaves out is what a program may leave out: retries, checks, plans, commits, resuming, splits.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cc3d
import deflate
import imagecodecs
import numpy as np
import orjson
import rasterio
import yaml
from PIL import Image
from pyproj import Transformer

#: ESA WorldCover's classes, and what they are called.
LABELS = {
    10: "tree cover", 20: "shrubland", 30: "grassland", 40: "cropland", 50: "built-up", 60: "bare or sparse vegetation",
    70: "snow and ice", 80: "permanent water bodies", 90: "herbaceous wetland", 95: "mangroves", 100: "moss and lichen",
}  # fmt: skip

#: The defaults of a recipe's rows.
_MIN_SHARE, _REGION_PX, _REGIONS, _BOXES, _BOX_PX = 0.05, 50, 24, 12, 6

#: Distance of the points whose coordinates PROJ is asked for, in pixels; between them a polynomial of degree 2 is exact
#: to a thousandth of a pixel and better.
_KNOTS = 64

#: Decoded blocks that are kept: two rows of blocks of three bands.
_KEPT = 64


@dataclass(slots=True)
class Raster:
    """A tiled, deflated TIFF: where its blocks lie, and its transform."""

    file: BinaryIO
    origin: tuple[float, float]
    step: float
    shape: tuple[int, int]
    block: int
    dtype: np.dtype[Any]
    differs: bool
    at: dict[tuple[int, int], tuple[int, int]]
    kept: OrderedDict[tuple[int, int], np.ndarray]

    @classmethod
    def of(cls, path: Path) -> Raster:
        """Look at a file's header, by GDAL."""
        with rasterio.open(path) as raster:
            block = raster.block_shapes[0][0]
            where = {}
            for row in range(-(-raster.height // block)):
                for col in range(-(-raster.width // block)):
                    offset = raster.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)
                    if offset is not None:
                        size = raster.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1)
                        where[row, col] = int(offset), int(size)
            transform, dtype = raster.transform, np.dtype(raster.dtypes[0])
            return cls(
                path.open("rb", buffering=0), (transform.c, transform.f), transform.a, raster.shape, block, dtype,
                dtype == np.uint16, where, OrderedDict(),
            )  # fmt: skip

    def _block(self, row: int, col: int) -> np.ndarray:
        found = self.kept.get((row, col))
        if found is None:
            offset, size = self.at[row, col]
            packed = os.pread(self.file.fileno(), size, offset)
            raw = deflate.zlib_decompress(packed, self.block**2 * self.dtype.itemsize)
            found = np.frombuffer(raw, self.dtype).reshape(self.block, self.block)
            if self.differs:
                found = imagecodecs.delta_decode(found, axis=1)
            self.kept[row, col] = found
            if len(self.kept) > _KEPT:
                self.kept.popitem(last=False)
        return found

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Pixels of a window inside the raster."""
        out, n = np.empty((height, width), self.dtype), self.block
        for row in range(top // n, (top + height - 1) // n + 1):
            for col in range(left // n, (left + width - 1) // n + 1):
                y0, y1 = max(top, row * n), min(top + height, row * n + n)
                x0, x1 = max(left, col * n), min(left + width, col * n + n)
                part = self._block(row, col)[y0 - row * n : y1 - row * n, x0 - col * n : x1 - col * n]
                out[y0 - top : y1 - top, x0 - left : x1 - left] = part
        return out


def run(recipe_path: Path, out: Path) -> int:
    """Make the chips of a recipe of :mod:`benchmarks.patterns`; returns how many."""
    recipe = yaml.safe_load(recipe_path.read_text())
    tile, size = recipe["tiles"], recipe["tiles"]["size"]
    side = recipe["grid"]["extent_m"] // 10
    rasters: dict[str, Raster] = {}
    catalogue = Path(recipe["imagery"]["url"])
    items = json.loads(catalogue.read_text())["features"]
    labels, crs = Raster.of(Path(recipe["labels"]["path"])), items[0]["properties"]["proj:epsg"]
    to_metres = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    knots = _weights(side)
    lines, made = [], 0
    for folder in ("images", "metadata", "data"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for number, (lon, lat) in enumerate(
        np.loadtxt(recipe_path.parent / "pois.csv", delimiter=",", skiprows=1, ndmin=2)
    ):
        x, y = to_metres.transform(lon, lat)
        left, top = 10 * np.floor(x / 10 - side / 2 + 0.5), 10 * np.ceil(y / 10 + side / 2 - 0.5)
        item = next(each for each in items if _covers(each, left, top, 10 * side))
        rgb = []
        for band in recipe["imagery"]["assets"]:
            path = catalogue.parent / item["assets"][band]["href"]
            raster = rasters.get(str(path)) or rasters.setdefault(str(path), Raster.of(path))
            rgb.append(
                raster.read(*(round(v / 10) for v in (raster.origin[1] - top, left - raster.origin[0])), side, side)
            )
        native = _nearest(labels, to_degrees, left, top, knots)
        for index, (row, col) in enumerate(_positions(side, size, tile["stride"])):
            part = [band[row : row + size, col : col + size] for band in rgb]
            name = f"poi_{number:06}_t{index:04}"
            where = (left + 10 * (col + size / 2), top - 10 * (row + size / 2))
            picture, limits = _picture(part, tile["output_size"])
            mask = _sampled(native[row : row + size, col : col + size], tile["output_size"])
            lines += _written(out, name, picture, mask, limits, to_degrees.transform(*where), item, size)
            made += 1
    (out / "data" / "train.jsonl").write_bytes(b"".join(lines))
    return made


def _covers(item: Any, left: float, top: float, wide: float) -> bool:
    _, _, west, _, _, north = item["assets"]["red"]["proj:transform"]
    extent = 10 * item["assets"]["red"]["proj:shape"][0]
    return bool(west <= left and left + wide <= west + extent and north >= top and top - wide >= north - extent)


def _positions(side: int, size: int, stride: int) -> Iterator[tuple[int, int]]:
    steps = range(0, side - size + 1, stride)
    return ((row, col) for row in steps for col in steps)


def _weights(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Of a square's pixels: knots, and the weight of each knot in each pixel's coordinate, (side, knots)."""
    knots = np.arange(-1, side // _KNOTS + 3) * float(_KNOTS)
    at = np.arange(side) + 0.5
    middle = np.rint(at / _KNOTS)
    t = at / _KNOTS - middle
    weights = np.zeros((side, len(knots)))
    for k, weight in ((-1, t * (t - 1) / 2), (0, 1 - t * t), (1, t * (t + 1) / 2)):
        weights[np.arange(side), middle.astype(int) + 1 + k] = weight
    return knots, weights


def _nearest(
    raster: Raster, to_degrees: Transformer, left: float, top: float, knots: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    at, weights = knots
    lon, lat = to_degrees.transform(*np.meshgrid(left + 10 * at, top - 10 * at))
    cols = (weights @ ((np.asarray(lon) - raster.origin[0]) / raster.step) @ weights.T).astype(np.int32)
    rows = (weights @ ((raster.origin[1] - np.asarray(lat)) / raster.step) @ weights.T).astype(np.int32)
    first, start = int(rows.min()), int(cols.min())
    window = raster.read(first, start, int(rows.max()) + 1 - first, int(cols.max()) + 1 - start)
    return window.ravel().take((rows - first) * window.shape[1] + (cols - start))


def _picture(bands: list[np.ndarray], size: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """The stretched and resized picture, and the limits of the stretch."""
    out, limits = np.empty((*bands[0].shape, len(bands)), np.uint8), []
    for k, band in enumerate(bands):
        counts = np.bincount(band.ravel())
        below = np.cumsum(counts)
        n = int(below[-1])
        low, high = (int(below.searchsorted(-(-p * n // 100))) for p in (2, 98))
        table = np.full(len(counts), 255, np.uint8)
        table[:low] = 0
        table[low:high] = (np.arange(high - low) * 255 + (high - low) // 2) // (high - low)
        out[..., k] = table.take(band)
        limits.append((low, high))
    return np.asarray(Image.fromarray(out).resize((size, size), Image.Resampling.BOX)), limits


def _sampled(label: np.ndarray, size: int) -> np.ndarray:
    at = (2 * np.arange(size) + 1) * len(label) // (2 * size)
    return np.ascontiguousarray(label[at][:, at])


def _png(rgb: np.ndarray) -> bytes:
    height, width, _ = rgb.shape
    rows = rgb.reshape(height, -1)
    filtered = np.empty((height, 3 * width + 1), np.uint8)
    filtered[:, 0], filtered[:, 1:4] = 1, rows[:, :3]
    np.subtract(rows[:, 3:], rows[:, :-3], out=filtered[:, 4:])
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", bytes(deflate.zlib_compress(filtered, 1))),
        (b"IEND", b""),
    ]
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(d, zlib.crc32(k))) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _regions(mask: np.ndarray, least: int) -> tuple[list[tuple[int, int, list[int]]], dict[int, int], dict[int, int]]:
    """Class, area and box of the regions that are large enough, largest first; per class how many there are, and in all."""
    labelled, count = cc3d.connected_components(mask, connectivity=8, return_N=True)
    found = cc3d.statistics(labelled, no_slice_conversion=True)
    areas, boxes = found["voxel_counts"], found["bounding_boxes"].astype(np.int64)
    firsts = np.array([labelled[b[0], b[2] : b[3] + 1].tolist().index(i) for i, b in enumerate(boxes[1:], 1)], np.int64)
    classes = mask[boxes[1:, 0], boxes[1:, 2] + firsts]
    pieces = dict(zip(*(each.tolist() for each in np.unique(classes, return_counts=True)), strict=True))
    large = np.flatnonzero(areas[1 : count + 1] >= least)
    order = large[
        np.lexsort((boxes[1:, 2][large] + firsts[large], boxes[1:, 0][large], -areas[1:][large].astype(np.int64)))
    ]
    regions, patches = [], dict.fromkeys(pieces, 0)
    for i in order.tolist():
        class_id, (y1, y2, x1, x2) = int(classes[i]), boxes[i + 1].tolist()
        patches[class_id] += 1
        if patches[class_id] <= _REGIONS:
            regions.append((class_id, int(areas[i + 1]), [x1, y1, x2 + 1, y2 + 1]))
    return regions, patches, pieces


def _cells(mask: np.ndarray, classes: list[int]) -> dict[str, list[int]]:
    n = len(mask)
    edges = [n * k // 6 for k in range(4)] + [n - n * k // 6 for k in (2, 1)]
    number = np.searchsorted(edges, np.arange(n), side="right") - 1
    codes = mask.astype(np.int64) * 36 + (number[:, None] * 6 + number)
    counts = np.bincount(codes.ravel(), minlength=256 * 36).reshape(256, 36)
    return {str(c): counts[c].tolist() for c in classes}


def _written(
    out: Path,
    name: str,
    picture: np.ndarray,
    mask: np.ndarray,
    limits: list[tuple[int, int]],
    where: tuple[float, float],
    item: Any,
    size: int,
) -> list[bytes]:
    """Write a chip and its sidecar; gives its rows."""
    occurring = np.bincount(mask.ravel())
    counts = {c: int(occurring[c]) for c in LABELS if c < len(occurring) and occurring[c]}
    least = -(-_REGION_PX * len(mask) ** 2 // size**2)
    regions, patches, pieces = _regions(mask, least)
    png = _png(picture)
    (out / "images" / f"{name}.png").write_bytes(png)
    valid, side = sum(counts.values()), len(mask)
    by_size = sorted(counts, key=lambda c: (-counts[c], c))
    shares = {c: f"{100 * counts[c] / valid:.0f}%" for c in by_size}
    caption = ", ".join(f"{LABELS[c]} {shares[c]}" for c in by_size)
    sidecar = {
        "tile_id": name,
        "longitude": round(where[0], 7),
        "latitude": round(where[1], 7),
        "imagery": {"item_id": item["id"], "datetime": item["properties"]["datetime"]},
        "stretch": limits,
        "classes": {str(c): n for c, n in counts.items()},
        "patches": {str(c): n for c, n in patches.items()},
        "pieces": {str(c): n for c, n in pieces.items()},
        "cells": _cells(mask, list(counts)),
        "class_fractions": {str(c): n / valid for c, n in counts.items()},
        "regions": [{"label": LABELS[c], "class_id": c, "bbox": box, "area_px": area} for c, area, box in regions],
        "caption": caption,
        "pixels_sha256": hashlib.sha256(picture.tobytes()).hexdigest(),
        "png_sha256": hashlib.sha256(png).hexdigest(),
    }
    text = orjson.dumps(sidecar)
    hashlib.sha256(text).hexdigest()
    (out / "metadata" / f"{name}.json").write_bytes(text)
    boxes = [
        {"label": LABELS[c], "class_id": c, "bbox": [round(v / side, 4) for v in (x1, y1, x2, y2)]}
        for c, area, (x1, y1, x2, y2) in regions
        if min(x2 - x1, y2 - y1) >= _BOX_PX
        and 10 * area >= 3 * (x2 - x1) * (y2 - y1)  # filled by three tenths
        and 100 * (x2 - x1) * (y2 - y1) <= 95 * side**2  # and not the picture
    ]
    rows = [_row(name, "caption", "Describe the land cover.", caption)]
    if boxes:
        rows.append(_row(name, "grounding", "Where is which land cover?", _boxes(boxes)))
    for c in [c for c in by_size if counts[c] >= _MIN_SHARE * valid][:9]:
        rows.append(_row(name, f"class_caption_{c}", f"How much is {LABELS[c]}?", f"{shares[c]} is {LABELS[c]}."))
        of_class = [box for box in boxes if box["class_id"] == c]
        if of_class:
            rows.append(_row(name, f"class_grounding_{c}", f"Where is {LABELS[c]}?", _boxes(of_class)))
    return rows


def _boxes(boxes: list[dict[str, Any]]) -> str:
    return orjson.dumps([{"label": box["label"], "bbox": box["bbox"]} for box in boxes[:_BOXES]]).decode()


def _row(name: str, task: str, question: str, answer: str) -> bytes:
    content = [{"type": "image", "image": f"images/{name}.png"}, {"type": "text", "text": question}]
    row = {
        "id": f"{name}__{task}",
        "task": task,
        "messages": [
            {"role": "user", "content": content},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
    }
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
