"""What a STAC item says of its assets: where they lie and may be read, their nodata and offset."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutonic.core.grid import is_metric
from nutonic.core.model import Asset, Json
from nutonic.errors import GridError, InputError, ReadFailed, Refused
from nutonic.io import signing
from nutonic.io.access import Access
from nutonic.io.buckets.address import joined
from nutonic.secrets import holds_secret, query_keys, redact, unnamed_keys, without_queries
from nutonic.sources.item import Item
from nutonic.sources.pixels import PER_REFLECTANCE
from nutonic.sources.stac.bands import Located
from nutonic.sources.stac.projection import Projection, declared_crs, declared_projection
from nutonic.sources.stac.values import (
    band_of,
    declared_offset,
    dtype_of,
    holds_quality,
    named_bands,
    nodata_of,
    scale_of,
)

if TYPE_CHECKING:
    from nutonic.io.raster import Header


def crs_of(item: Item, key: str, access: Access) -> str:
    """CRS in which squares are laid on an asset: what its item says, if that can be; else what its file says.

    Raises
    ------
    InputError
        If the item says it in a way that is not read, or the file does not say it.
    Gone, FileMissing, ReadFailed
        If the file is asked and cannot be read.
    """
    content = _asset(item, key)
    with _naming_asset(item, key):
        projection = declared_projection(content, item.properties, item.footprint)
        crs = projection.crs if projection else declared_crs(content, item.properties, item.footprint)
    if crs is None or (projection is None and not is_metric(crs)):
        return _header(item, key, access).crs
    return crs


def asset_of(
    item: Item,
    at: Located,
    access: Access,
    *,
    name: str,
    rendered: bool = False,
    scale: float | None = None,
) -> Asset:
    """An asset with its grid: from the item where it says it, else from the file.

    Parameters
    ----------
    item
        The item.
    at
        Which asset of the item, and which band of its file.
    access
        What may be read.
    name
        What to call it.
    rendered
        Whether that is a picture already, not digital numbers.
    scale
        Reflectance of a number 1, where that is told otherwise than by the item.
    """
    key, band, content = at.key, at.band, _asset(item, at.key)
    href, written = _href(item, key, access)
    with _naming_asset(item, key):
        projection = declared_projection(content, item.properties, item.footprint)
        nodata = nodata_of(content, band)
        scale = scale_of(content, band) if scale is None else scale
        numbers = not rendered and _counts_in_numbers(item, at, scale, access)
        offset = 0 if rendered else _offset(item, content, at, in_numbers=numbers)
    if projection is None:
        header = _header(item, key, access)
        projection = Projection(header.crs, header.transform[:6], header.shape)
        nodata = header.nodata if nodata is None else nodata
    return Asset(
        name=name,
        href=href,
        written=written,
        crs=projection.crs,
        transform=projection.transform,
        shape=projection.shape,
        nodata=nodata,
        offset=offset,
        band=band,
        scale=None if rendered else scale,
        rendered=rendered,
        named_bands=named_bands(content),
    )


def _asset(item: Item, key: str) -> Json:
    """An asset as written."""
    content = item.content["assets"][key]
    if not isinstance(content, dict):
        raise InputError(f"asset {key!r} of item {item.called} is {_short(content)}, not an object with an href")
    return content


@contextmanager
def _naming_asset(item: Item, key: str) -> Iterator[None]:
    """What is wrong with an asset, with its name."""
    try:
        yield
    except InputError as error:
        raise InputError(f"asset {key!r} of item {item.called} {error}") from None


def _header(item: Item, key: str, access: Access) -> Header:
    """What the file of an asset says, where its item does not; errors name it as the item does."""
    from nutonic.io.raster import header

    href, written = _href(item, key, access)
    try:
        return header(href, access)
    except (ReadFailed, GridError) as error:
        told = str(error).replace(redact(href), written)
        raise type(error)(
            f"asset {key!r} of item {item.called}, whose file is asked where its pixels lie: {told}"
        ) from None


def _counts_in_numbers(item: Item, at: Located, scale: float | None, access: Access) -> bool:
    """Whether an asset of Sentinel-2 holds digital numbers; of a scale of 1 its dtype decides, which the file may tell."""
    if not _is_sentinel2(item.properties, item):
        return False
    if scale == 1:
        dtype = dtype_of(_asset(item, at.key), at.band) or _header(item, at.key, access).dtype
        return not dtype.startswith("float")
    return scale is None or math.isclose(scale, 1 / PER_REFLECTANCE)


def _offset(item: Item, asset: Json, at: Located, *, in_numbers: bool) -> float | None:
    """Digital numbers to add; None if only the file may tell. Sentinel-2's are told by several fields together."""
    if in_numbers and not holds_quality(asset, at.band, at.key) and dtype_of(asset, at.band) != "uint8":
        return boa_offset(item.properties, asset, item, at.band)
    declared = declared_offset(asset, at.band)
    return declared or 0 if _is_sentinel2(item.properties, item) else declared


def pinned(item: Item, keys: Iterable[str], harmless: Iterable[str] = ()) -> Json | None:
    """An item of a remote catalogue with only the assets that are used, to be kept with a plan; None of a local one.

    Whatever part of it holds an address, alternate ones and vendors' own fields too, holds it without its query, unless all
    keys of that are harmless.
    """
    if not item.is_remote:
        return None
    content = {key: value for key, value in item.content.items() if key not in ("links", "assets")}
    assets = {key: item.content["assets"][key] for key in dict.fromkeys(keys)}
    assets = {key: {**asset, "href": joined(item.base, str(asset["href"]))} for key, asset in assets.items()}
    kept: Json = without_queries({**content, "assets": assets, "links": []}, tuple(harmless))
    return kept


def _href(item: Item, key: str, access: Access) -> tuple[str, str]:
    """Where to read an asset, and the href as a sidecar may show it."""
    href = _readable(_asset(item, key), access)
    if not href:
        raise InputError(f"asset {key!r} of item {item.called} has no href")
    if href.startswith(("file:", "/vsi")):
        raise _refused(item, key, href, ())
    if "://" in href or item.is_remote:
        url = joined(item.base, href) if item.is_remote else href
        url = signing.unsigned(url, access.sign) if unnamed_keys(url, access.keep_query) else url
        lacking = unnamed_keys(url, access.keep_query)
        if lacking or holds_secret(url):
            raise _refused(item, key, href, lacking)
        _check(item, key, url, access)
        return url, redact(href)
    path = Path(item.base) / href
    if query_keys(href) and (holds_secret(href) or not path.exists()):  # a file may be called so
        raise _refused(item, key, href, query_keys(href))
    return str(path), href.rsplit("/", 1)[-1] if href.startswith("/") else href


def _refused(item: Item, key: str, href: str, lacking: Sequence[str]) -> Refused:
    """That an href may not be read, with the keys of its query and without their values."""
    query = f" with {', '.join(lacking)[:120]} in its query" if lacking else ""
    return Refused(
        f"asset {key!r} of item {item.called} has the href {redact(href)[:120]}{query}: name local files by their path, and "
        "give URLs without a user, a signature or a token; name keys that anybody may know in keep_query"
    )


def _readable(content: Json, access: Access) -> str:
    """An asset's href; of several the first that may be read, those over HTTP before others, such as one of s3."""
    alternate = content.get("alternate")
    others = list(alternate.values()) if isinstance(alternate, dict) else []
    hrefs = [each.get("href") for each in (content, *others) if isinstance(each, dict)]
    known = [href for href in hrefs if isinstance(href, str) and href]
    if not known or not re.match(r"[a-z][a-z0-9+.-]*://", known[0], re.IGNORECASE):  # a relative one is read as it is
        return known[0] if known else ""
    known.sort(key=lambda href: not href.lower().startswith(("http://", "https://")))
    return next((href for href in known if _is_allowed(href, access)), known[0])


def _is_allowed(url: str, access: Access) -> bool:
    try:
        access.check(url)
    except Refused:
        return False
    return True


def _check(item: Item, key: str, url: str, access: Access) -> None:
    try:
        access.check(url)
    except Refused as error:
        raise Refused(f"asset {key!r} of item {item.called}: {error}") from None


def _short(value: Any) -> str:
    return repr(value)[:60]


# The offset of Sentinel-2

#: Who tells of Sentinel-2's processing, in the order in which they are believed: Planetary Computer and Earth Search v1,
#: Earth Search v0 and Digital Earth Africa, EOPF, Earth Search.
_VENDORS = ("s2", "sentinel", "eopf", "earthsearch")

#: ``05.11``, ``N05.11``, ``N0511``, ``4.0``.
_BASELINE = re.compile(r"[Nn]?(?:(\d{1,2})(?:\.(\d{1,2}))?|(\d\d)(\d\d))")

#: What constellations, platforms, instruments and collections are called, in small letters and digits alone.
_SENTINEL2 = re.compile(r"sentinels?2|^s2(?!\d)|^msi$")

#: What ESA calls a product, and what others make of it: ``S2C_MSIL2A_20250330T100051_N0511_R122_T33UWP_…``.
_PRODUCT = re.compile(r"S2[A-Z]_MSIL\d\w_\d{8}T\d{6}_N(?P<baseline>\d{4})_R\d{3}_T")


def _is_sentinel2(properties: Json, item: Item | None) -> bool:
    """Whether an item says that Sentinel-2 took it; of one that is not known, whether it names no other sensor."""
    if any(name.startswith("s2:") for name in properties) or (item and _PRODUCT.match(item.id)):
        return True
    instruments = properties.get("instruments")
    named = [name for name in (properties.get("constellation"), properties.get("platform")) if name]
    named = named or (instruments if isinstance(instruments, list) else [])
    if not named and item is None:
        return True
    return any(_SENTINEL2.search(re.sub(r"[^a-z0-9]", "", str(name).lower())) for name in named or [_collection(item)])


def _collection(item: Item | None) -> str:
    return str(item.content.get("collection")) if item else ""


def boa_offset(properties: Json, asset: Json, item: Item | None = None, number: int = 1) -> int:
    """Digital numbers to add to an asset's valid pixels: -1000 or 0 for Sentinel-2.

    Three fields are read together, since any of them alone misleads: where ``boa_offset_applied`` is true the offset is in
    the pixels already, whatever ``raster:bands`` declares; where it is false, the processing baseline decides; without
    it, a declared offset counts, and without that the baseline again. From baseline 04.00 on (25 January 2022) products
    carry 1000 too much: Sentinel-2 Products Specification 14.9, section 4.

    Parameters
    ----------
    properties, asset
        Of the item.
    item
        The whole of it. Fields that every sensor has, such as ``processing:version``, count where it is Sentinel-2's, and
        the name of ESA's product, where it is the item's id, is the last to be asked.

    Raises
    ------
    InputError
        If an offset or a scale is declared that is no number.
    """
    applied = _applied(properties)
    band = band_of(asset, number)
    declared = band.get("offset", asset.get("raster:offset", band.get("raster:offset")))
    if applied is True:
        return 0
    baseline = _baseline(properties, item)
    if declared is not None and (applied is None or baseline is None):
        scale = band.get("scale", asset.get("raster:scale", band.get("raster:scale"))) or 1.0
        return round(_real(declared) / _real(scale))
    return -1000 if (baseline or 0.0) >= 4.0 and _is_reflectance(asset) else 0


def _applied(properties: Json) -> bool | None:
    """Whether the offset is in the pixels already, whoever says it; None if nobody does."""
    said = (properties.get(f"{vendor}:boa_offset_applied") for vendor in reversed(_VENDORS))
    words = {"true": True, "false": False}
    return next((words[text] for value in said if (text := str(value).lower()) in words), None)


def _baseline(properties: Json, item: Item | None) -> float | None:
    """The processing baseline of Sentinel-2, whoever says it; None if nobody does."""
    said = [properties.get(f"{vendor}:processing_baseline") for vendor in _VENDORS]
    if "processing:version" in properties and _is_sentinel2(properties, item):
        said.append(properties["processing:version"])
    names = [properties.get("s2:product_uri"), properties.get("sentinel:product_id"), item.id if item else None]
    said += [match["baseline"] for name in names if (match := _PRODUCT.match(str(name)))]
    found = (_BASELINE.fullmatch(str(value).strip()) for value in said if value is not None)
    return next((float(f"{m[1] or m[3]}.{m[2] or m[4] or 0}") for m in found if m), None)


def _is_reflectance(asset: Json) -> bool:
    """Class and quality assets (SCL, visual) carry no offset."""
    roles = asset.get("roles")
    return not {"visual", "overview", "thumbnail"} & set(roles if isinstance(roles, list) else ())


def _real(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"declares the offset or scale {_short(value)}, which is no number")
    return number
