"""What a STAC item says of itself: time, cloud, and each asset's grid, nodata and offset."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from nutonic.errors import InputError, Refused, redact
from nutonic.model import Asset, Json
from nutonic.sources import rasters
from nutonic.sources.catalogue import Item


def cloud_cover(item: Item) -> float:
    """Percent; an item that does not say counts as 100."""
    cover = item.properties.get("eo:cloud_cover")
    return 100.0 if cover is None else float(cover)


def moment(item: Item) -> dt.datetime:
    """When the scene was taken, UTC."""
    try:
        taken = dt.datetime.fromisoformat(item.moment)
    except ValueError:
        raise InputError(f"item {item.id} has the datetime {item.moment!r}, which is no ISO 8601 time") from None
    return taken.astimezone(dt.UTC) if taken.tzinfo else taken.replace(tzinfo=dt.UTC)


def crs_of(item: Item, name: str) -> str:
    """CRS of an asset, by either version of the projection extension, on it or its item; else from its file."""
    asset = item.content["assets"][name]
    for holder in (asset, item.properties):
        if holder.get("proj:code"):
            return _normal(str(holder["proj:code"]))
        if holder.get("proj:epsg"):
            return f"EPSG:{holder['proj:epsg']}"
    return rasters.header(_href(item, asset, name)[0]).crs


@lru_cache(maxsize=256)
def _normal(code: str) -> str:
    """``EPSG:32633`` however it is spelled; WKT where there is no code."""
    try:
        found = CRS.from_user_input(code)
    except CRSError:
        raise InputError(f"proj:code {code!r} is no CRS") from None
    number = found.to_epsg()
    return f"EPSG:{number}" if number else found.to_wkt()


def asset_of(item: Item, name: str) -> Asset:
    """An asset with its grid: from the item where it says it, else from the file."""
    content = item.content["assets"][name]
    href, written = _href(item, content, name)
    crs = crs_of(item, name)
    transform, shape = (_either(item, content, f"proj:{key}") for key in ("transform", "shape"))
    nodata = _band(content).get("nodata", content.get("nodata"))
    if transform is None or shape is None:
        found = rasters.header(href)
        crs, transform, shape = found.crs, found.transform[:6], found.shape
        nodata = found.nodata if nodata is None else nodata
    return Asset(
        name=name,
        href=href,
        written=written,
        crs=crs,
        transform=tuple(float(v) for v in transform[:6]),  # type: ignore[arg-type]
        shape=(int(shape[0]), int(shape[1])),
        nodata=None if nodata is None else float(nodata),
        offset=boa_offset(item.properties, content),
    )


def _href(item: Item, asset: Json, name: str) -> tuple[str, str]:
    """Where to read an asset, and the href as a sidecar may show it."""
    href = str(asset.get("href") or "")
    if not href:
        raise InputError(f"asset {name!r} of item {item.id} has no href")
    if href.startswith(("file:", "/vsi")) or _SIGNED.search(href):
        raise Refused(
            f"asset {name!r} of item {item.id} has the href {redact(href)[:120]}: name local files by "
            "their path, and give URLs without a user, a signature or a token"
        )
    if "://" in href:
        return href, redact(href)
    return str(item.folder / href), href.rsplit("/", 1)[-1] if href.startswith("/") else href


#: A user before the host, or a signature among a URL's parameters: neither may end up in a plan.
_SIGNED = re.compile(r"://[^/\s]*@|(?i:[?&](?:sig|signature|token|access_token|x-amz-signature|x-goog-signature)=)")


def _either(item: Item, asset: Json, key: str) -> Any:
    return asset.get(key, item.properties.get(key))


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
