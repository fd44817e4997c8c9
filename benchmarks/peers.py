"""What people use today for the same chips, each written as its users write it, from the same files.

Only reading differs: each way gives a place's bands and its labels on one grid, and what follows is what a notebook does,
with numpy, Pillow, scipy and json: percentiles, a stretch in floats, a resize, a PNG, regions by class, rows. Pixels of
imagery are the same for all (a test compares them with nutonic's); labels are each library's own nearest neighbour.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from affine import Affine
from PIL import Image
from pyproj import Transformer

BANDS = ("red", "green", "blue")


class Place(NamedTuple):
    """A square on the ground, and the item that it lies in."""

    name: str
    item: Mapping[str, Any]
    """Of the catalogue, with absolute paths."""
    labels: Mapping[str, Any]
    """The land cover as such an item."""
    bounds: tuple[float, float, float, float]
    """Left, bottom, right and top in metres."""
    side: int

    @property
    def epsg(self) -> int:
        """Of the scene."""
        return int(self.item["properties"]["proj:epsg"])

    @property
    def transform(self) -> Affine:
        """Of the square."""
        return Affine(10, 0, self.bounds[0], 0, -10, self.bounds[3])


class Pixels(NamedTuple):
    """(3, side, side) of any dtype, and (side, side) of class ids."""

    rgb: np.ndarray
    label: np.ndarray


def pixel_at(transform: Affine, x: Any, y: Any) -> tuple[Any, Any]:
    """Column and row of points, with fractions."""
    return (x - transform.c) / transform.a, (y - transform.f) / transform.e


Reader = Callable[[list[Place]], Iterator[Pixels]]


def places_of(recipe_path: Path) -> tuple[Mapping[str, Any], list[Place]]:
    """A recipe of :mod:`benchmarks.patterns`, and its places."""
    import rasterio

    recipe = yaml.safe_load(recipe_path.read_text())
    catalogue, side = Path(recipe["imagery"]["url"]), recipe["grid"]["extent_m"] // 10
    items = json.loads(catalogue.read_text())["features"]
    for asset in (asset for item in items for asset in item["assets"].values()):
        asset["href"] = str(catalogue.parent / asset["href"])
    with rasterio.open(recipe["labels"]["path"]) as raster:
        lies = {"proj:transform": list(raster.transform)[:6], "proj:shape": list(raster.shape), "type": "image/tiff"}
        west, south, east, north = raster.bounds
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    labels = {
        **items[0], "id": "labels", "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": "2021-01-01T00:00:00Z", "proj:epsg": 4326},
        "assets": {"map": {"href": recipe["labels"]["path"], "roles": ["data"], **lies}},
    }  # fmt: skip
    points = np.loadtxt(recipe_path.parent / "pois.csv", delimiter=",", skiprows=1, ndmin=2)
    to_metres = Transformer.from_crs("EPSG:4326", items[0]["properties"]["proj:epsg"], always_xy=True)
    return recipe, [_place(k, *to_metres.transform(*point), side, items, labels) for k, point in enumerate(points)]


def _place(number: int, x: float, y: float, side: int, items: list[Any], labels: Mapping[str, Any]) -> Place:
    left, top = 10.0 * np.floor(x / 10 - side / 2 + 0.5), 10.0 * np.ceil(y / 10 + side / 2 - 0.5)
    bounds = (float(left), float(top - 10 * side), float(left + 10 * side), float(top))
    for item in items:
        a, _, west, _, _, north = item["assets"]["red"]["proj:transform"]
        wide = a * item["assets"]["red"]["proj:shape"][0]
        if west <= bounds[0] and bounds[2] <= west + wide and north - wide <= bounds[1] and bounds[3] <= north:
            return Place(f"poi_{number:06}", item, labels, bounds, side)
    raise ValueError(f"no scene holds all of place {number}")


# The readers


def with_rasterio(places: list[Place]) -> Iterator[Pixels]:
    """Windows of each band, and a WarpedVRT of the labels.

    https://rasterio.readthedocs.io/en/stable/topics/windowed-rw.html and …/topics/virtual-warping.html
    """
    import rasterio
    from rasterio.windows import from_bounds

    for place in places:
        bands = []
        for name in BANDS:
            with rasterio.open(place.item["assets"][name]["href"]) as raster:
                window = from_bounds(*place.bounds, transform=raster.transform)
                bands.append(raster.read(1, window=window.round_offsets().round_lengths()))
        yield Pixels(np.stack(bands), _warped(place))


def _warped(place: Place) -> np.ndarray:
    import rasterio
    from rasterio.vrt import WarpedVRT

    target = {"crs": place.epsg, "transform": place.transform, "width": place.side, "height": place.side}
    with rasterio.open(place.labels["assets"]["map"]["href"]) as raster, WarpedVRT(raster, **target) as warped:
        return np.asarray(warped.read(1))


def with_stackstac(places: list[Place]) -> Iterator[Pixels]:
    """A stack for each place, computed; https://stackstac.readthedocs.io/en/latest/basic.html."""
    for place in places:
        rgb, label = (each.compute() for each in _stacks(place))
        yield Pixels(rgb.values, np.nan_to_num(label.values).astype(np.uint8))


def _stacks(place: Place) -> tuple[Any, Any]:
    import stackstac

    where = {"epsg": place.epsg, "resolution": 10, "bounds": place.bounds, "snap_bounds": False, "rescale": False}
    rgb = stackstac.stack([place.item], assets=list(BANDS), **where)[0]
    return rgb, stackstac.stack([place.labels], assets=["map"], **where)[0, 0]


def with_one_graph(places: list[Place]) -> Iterator[Pixels]:
    """The stacks of all places computed together by a cluster of two processes, 64 places at a time.

    https://stackstac.readthedocs.io/en/latest/basic.html with a client of distributed.
    """
    import dask
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
        for first in range(0, len(places), 64):
            for rgb, label in dask.compute(*(_stacks(place) for place in places[first : first + 64])):
                yield Pixels(rgb.values, np.nan_to_num(label.values).astype(np.uint8))


def with_odc_stac(places: list[Place]) -> Iterator[Pixels]:
    """A load onto the geobox of each place; https://odc-stac.readthedocs.io/en/latest/notebooks/stac-load-e84-aws.html."""
    import odc.stac
    import pystac
    from odc.geo.geobox import GeoBox

    for place in places:
        geobox = GeoBox((place.side, place.side), place.transform, f"EPSG:{place.epsg}")
        cube = odc.stac.load([pystac.Item.from_dict(dict(place.item))], bands=list(BANDS), geobox=geobox)
        land = odc.stac.load(
            [pystac.Item.from_dict(dict(place.labels))],
            bands=["map"],
            geobox=geobox,
            resampling="nearest",
            dtype="uint8",
        )
        yield Pixels(np.stack([cube[name].values[0] for name in BANDS]), land["map"].values[0])


def with_async_geotiff(places: list[Place]) -> Iterator[Pixels]:
    """Windows read by Rust without GDAL, the bands of a place at once; https://developmentseed.org/async-geotiff/latest/.

    It does not warp, so coordinates of the labels are transformed by pyproj, pixel by pixel.
    """
    from async_geotiff import GeoTIFF, Window
    from obstore.store import LocalStore

    store, files = LocalStore("/"), dict[str, Any]()

    async def opened(href: str) -> Any:
        if href not in files:
            files[href] = await GeoTIFF.open(href.lstrip("/"), store=store)
        return files[href]

    async def band(place: Place, name: str) -> np.ndarray:
        file = await opened(place.item["assets"][name]["href"])
        col, row = (round(v) for v in pixel_at(file.transform, place.bounds[0], place.bounds[3]))
        found = await file.read(window=Window(col_off=col, row_off=row, width=place.side, height=place.side))
        return np.asarray(found.data)[0]

    async def label(place: Place, to_degrees: Transformer) -> np.ndarray:
        file = await opened(place.labels["assets"]["map"]["href"])
        at = 10 * (np.arange(place.side) + 0.5)
        lon, lat = to_degrees.transform(*np.meshgrid(place.bounds[0] + at, place.bounds[3] - at))
        cols, rows = (np.floor(v).astype(int) for v in pixel_at(file.transform, lon, lat))
        top, left, bottom, right = rows.min(), cols.min(), rows.max() + 1, cols.max() + 1
        window = Window(col_off=int(left), row_off=int(top), width=int(right - left), height=int(bottom - top))
        found = await file.read(window=window)
        return np.asarray(found.data)[0][rows - top, cols - left]

    async def one(place: Place) -> Pixels:
        to_degrees = Transformer.from_crs(place.epsg, 4326, always_xy=True)
        *rgb, classes = await asyncio.gather(*(band(place, name) for name in BANDS), label(place, to_degrees))
        return Pixels(np.stack(rgb), classes)

    with asyncio.Runner() as runner:
        for place in places:
            yield runner.run(one(place))


READERS: Mapping[str, tuple[Reader, str]] = {
    "rasterio": (with_rasterio, "rasterio"),
    "stackstac": (with_stackstac, "stackstac"),
    "stackstac, one graph": (with_one_graph, "stackstac"),
    "odc-stac": (with_odc_stac, "odc.stac"),
    "async-geotiff": (with_async_geotiff, "async_geotiff"),
}


# What follows


def run(name: str, recipe_path: Path, out: Path) -> int:
    """Make the chips of a recipe with one of the readers; returns how many."""
    recipe, places = places_of(recipe_path)
    size, stride, output = (recipe["tiles"][key] for key in ("size", "stride", "output_size"))
    for folder in ("images", "metadata"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    count = 0
    with (out / "train.jsonl").open("w") as rows:
        for place, pixels in zip(places, READERS[name][0](places), strict=True):
            steps = range(0, place.side - size + 1, stride)
            for index, (row, col) in enumerate((row, col) for row in steps for col in steps):
                part = np.s_[row : row + size, col : col + size]
                chip = f"{place.name}_t{index:04}"
                _finish(out, chip, pixels.rgb[:, *part], pixels.label[part], output, rows)
                count += 1
    return count


def _finish(out: Path, name: str, rgb: np.ndarray, label: np.ndarray, size: int, rows: Any) -> None:
    low, high = (np.nanpercentile(rgb, p, axis=(1, 2), keepdims=True) for p in (2, 98))
    picture = (np.clip((rgb - low) / (high - low), 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(picture)).resize((size, size), Image.Resampling.BOX)
    image.save(out / "images" / f"{name}.png")
    mask = np.asarray(Image.fromarray(label).resize((size, size), Image.Resampling.NEAREST))
    classes, counts = np.unique(mask[mask > 0], return_counts=True)
    shares = {int(c): float(n / counts.sum()) for c, n in zip(classes, counts, strict=True)}
    boxes = [box for c in shares for box in _boxes(mask == c, c)]
    facts = {
        "tile_id": name,
        "class_fractions": shares,
        "regions": boxes,
        "low": low.ravel().tolist(),
        "high": high.ravel().tolist(),
    }
    (out / "metadata" / f"{name}.json").write_text(json.dumps(facts))
    caption = ", ".join(f"{100 * share:.0f}% class {c}" for c, share in shares.items())
    for task, answer in (("caption", caption), ("grounding", json.dumps(boxes[:12]))):
        content = [{"type": "image", "image": f"images/{name}.png"}, {"type": "text", "text": f"Give the {task}."}]
        messages = [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
        rows.write(json.dumps({"id": f"{name}__{task}", "messages": messages}) + "\n")


def _boxes(mask: np.ndarray, class_id: int) -> list[dict[str, Any]]:
    from scipy import ndimage  # which who runs no peer need not hold

    labelled, _ = ndimage.label(mask, np.ones((3, 3)))
    areas, side = np.bincount(labelled.ravel()), len(mask)
    return [
        {"class": class_id, "bbox": [x.start / side, y.start / side, x.stop / side, y.stop / side]}
        for k, (y, x) in enumerate(ndimage.find_objects(labelled), 1)
        if areas[k] >= 39
    ]
