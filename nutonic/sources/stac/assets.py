"""What a STAC item says of itself: time, cloud, and each asset's grid, nodata and offset."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from pyproj import CRS
from pyproj.exceptions import CRSError

from nutonic.core.model import Asset, Json
from nutonic.errors import InputError, Refused
from nutonic.io import raster as rasters
from nutonic.io.access import Access
from nutonic.io.gdal import MOST_SIDE
from nutonic.secrets import holds_secret, redact
from nutonic.sources.item import Item


def crs_of(item: Item, key: str, access: Access) -> str:
    """CRS of an asset, by either version of the projection extension, on it or its item; else from its file."""
    asset = item.content["assets"][key]
    for holder in (asset, item.properties):
        if holder.get("proj:code"):
            return _normal(str(holder["proj:code"]))
        if holder.get("proj:epsg"):
            return f"EPSG:{holder['proj:epsg']}"
    return rasters.header(_href(item, key, access)[0], access).crs


@lru_cache(maxsize=256)
def _normal(code: str) -> str:
    """``EPSG:32633`` however it is spelled; WKT where there is no code."""
    try:
        crs = CRS.from_user_input(code)
    except CRSError:
        raise InputError(f"proj:code {code!r} is no CRS") from None
    number = crs.to_epsg()
    return f"EPSG:{number}" if number else crs.to_wkt()


def asset_of(item: Item, key: str, access: Access, *, name: str, band: int | None = None) -> Asset:
    """An asset with its grid: from the item where it says it, else from the file.

    Parameters
    ----------
    item
        The item.
    key
        Name of the asset in the item.
    access
        What may be read.
    name
        What to call it.
    band
        Which band of a picture that is rendered already; None for a file with one band of digital numbers.
    """
    content = item.content["assets"][key]
    href, written = _href(item, key, access)
    crs = crs_of(item, key, access)
    transform, shape = (content.get(k, item.properties.get(k)) for k in ("proj:transform", "proj:shape"))
    nodata = _band(content).get("nodata", content.get("nodata"))
    if transform is None or shape is None:
        header = rasters.header(href, access)
        crs, transform, shape = header.crs, header.transform[:6], header.shape
        nodata = header.nodata if nodata is None else nodata
    return Asset(
        name=name,
        href=href,
        written=written,
        crs=crs,
        transform=tuple(float(v) for v in transform[:6]),  # type: ignore[arg-type]
        shape=_sensible(item, key, shape),
        nodata=_nodata(nodata),
        offset=0 if band else boa_offset(item.properties, content),
        band=band or 1,
    )


def _sensible(item: Item, key: str, shape: Any) -> tuple[int, int]:
    """A declared shape, unless it is one that no raster has."""
    height, width = (int(side) for side in shape)
    if not (0 < height <= MOST_SIDE and 0 < width <= MOST_SIDE):
        raise InputError(f"asset {key!r} of item {item.id} claims {height} × {width} pixels: no such raster is read")
    return height, width


def _nodata(value: Any) -> float | None:
    """A declared nodata value: a number, or ``"nan"`` and the like as the raster extension writes them."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def pinned(item: Item, keys: Iterable[str]) -> Json | None:
    """An item of a remote catalogue with only the assets that are used, to be kept with a plan; None of a local one."""
    if not item.is_remote:
        return None
    content = {key: value for key, value in item.content.items() if key != "links"}
    assets = {key: item.content["assets"][key] for key in dict.fromkeys(keys)}
    assets = {key: {**asset, "href": redact(urljoin(item.base, str(asset["href"])))} for key, asset in assets.items()}
    return {**content, "assets": assets, "links": []}


def _href(item: Item, key: str, access: Access) -> tuple[str, str]:
    """Where to read an asset, and the href as a sidecar may show it."""
    content = item.content["assets"][key]
    href = _readable(content)
    if not href:
        raise InputError(f"asset {key!r} of item {item.id} has no href")
    if href.startswith(("file:", "/vsi")) or holds_secret(href):
        raise Refused(
            f"asset {key!r} of item {item.id} has the href {redact(href)[:120]}: name local files by "
            "their path, and give URLs without a user, a signature or a token"
        )
    if "://" in href or item.is_remote:
        url = urljoin(item.base, href) if item.is_remote else href
        _check(item, key, url, access)
        return url, redact(href)
    return str(Path(item.base) / href), href.rsplit("/", 1)[-1] if href.startswith("/") else href


def _readable(content: Json) -> str:
    """An asset's href; where that is of a scheme that is not read, such as s3, an alternate one over HTTP."""
    hrefs = [content.get("href"), *(other.get("href") for other in dict(content.get("alternate") or {}).values())]
    known = [str(href) for href in hrefs if href]
    return next((href for href in known if href.startswith(("http://", "https://"))), known[0] if known else "")


def _check(item: Item, key: str, url: str, access: Access) -> None:
    try:
        access.check(url)
    except Refused as error:
        raise Refused(f"asset {key!r} of item {item.id}: {error}") from None


def _band(asset: Json) -> Json:
    """What an asset says of its one band: ``raster:bands`` (STAC 1.0) or ``bands`` (1.1)."""
    bands = asset.get("raster:bands") or asset.get("bands") or [{}]
    return dict(bands[0])


def boa_offset(properties: Json, asset: Json) -> int:
    """Digital numbers to add to an asset's valid pixels: -1000 or 0 for Sentinel-2.

    Three fields are read together, since any of them alone misleads: where ``earthsearch:boa_offset_applied`` is true
    the offset is in the pixels already, whatever ``raster:bands`` declares; where it is false, the processing baseline
    decides; without it, a declared offset counts, and without that the baseline again. From baseline 04.00 on
    (25 January 2022) products carry 1000 too much: Sentinel-2 Products Specification 14.9, section 4.
    """
    applied = properties.get("earthsearch:boa_offset_applied")
    band = _band(asset)
    declared = band.get("offset", asset.get("raster:offset", band.get("raster:offset")))
    if applied is True:
        return 0
    baseline = properties.get("s2:processing_baseline", properties.get("processing:version"))
    if declared is not None and (applied is None or baseline is None):
        scale = band.get("scale", asset.get("raster:scale", band.get("raster:scale"))) or 1.0
        return round(float(declared) / float(scale))
    return -1000 if _number(str(baseline)) >= 4.0 and _is_reflectance(asset) else 0


def _is_reflectance(asset: Json) -> bool:
    """Class and quality assets (SCL, visual) carry no offset."""
    return not {"visual", "overview", "thumbnail"} & set(asset.get("roles") or ())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
