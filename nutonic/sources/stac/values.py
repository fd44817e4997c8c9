"""What a STAC item says of the numbers in an asset's file: nodata, scale, offset, and which bands are a sensor's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nutonic.core.catalogs import CLASS_ASSETS, QUALITY_ASSETS
from nutonic.core.model import Json
from nutonic.errors import InputError
from nutonic.sources.pixels import PER_REFLECTANCE, in_digital_numbers


def band_of(asset: Json, number: int = 1) -> Json:
    """What an asset says of one band, from 1, in ``raster:bands`` (STAC 1.0) and ``bands`` (1.1).

    One saying is of all bands; of a band beyond several nothing is said.

    Raises
    ------
    InputError
        If there is no list of what bands are.
    """
    band: Json = {}
    for bands in (asset.get(key) or [{}] for key in ("bands", "raster:bands")):
        if not (isinstance(bands, list) and all(isinstance(each, Mapping) for each in bands)):
            raise InputError(f"has the bands {bands!r:.60}, which is no list of what bands are")
        at = 0 if len(bands) == 1 else number - 1
        band |= dict(bands[at]) if at < len(bands) else {}
    return band


def nodata_of(asset: Json, number: int = 1) -> float | None:
    """The nodata value that an asset declares of a band: a number, or as text, ``"nan"`` and the like."""
    return number_of(_said(asset, band_of(asset, number), "nodata"))


def number_of(value: Any) -> float | None:
    """What is meant as a number, or None."""
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _strict_number(value: Any) -> float | None:
    """A scale or an offset: what is there must be a number."""
    number = number_of(value)
    if value is not None and (number is None or not math.isfinite(number)):
        raise InputError(f"declares the offset or scale {value!r:.60}, which is no number")
    return number


def scale_of(asset: Json, number: int = 1) -> float | None:
    """The reflectance of a number 1, as an asset declares it of a band; None if it declares none."""
    band = band_of(asset, number)
    scale = _strict_number(_said(asset, band, "scale"))
    if scale is None and str(_said(asset, band, "unit")).strip().lower() == "reflectance":
        return 1.0
    return scale or None


def declared_offset(asset: Json, number: int = 1) -> float | None:
    """The reflectance of a number 0, as an asset declares it of a band, in digital numbers (1e-4); None if it does not.

    What is 1 or more beside no scale can be no reflectance: it is in digital numbers already.
    """
    offset = _strict_number(_said(asset, band_of(asset, number), "offset"))
    if offset is None:
        return None
    already = abs(offset) >= 1 and scale_of(asset, number) in (None, 1)
    return in_digital_numbers(offset / PER_REFLECTANCE if already else offset)


def dtype_of(asset: Json, number: int = 1) -> str:
    """The dtype that an asset declares of a band; empty if it declares none."""
    return str(_said(asset, band_of(asset, number), "data_type") or "")


def named_bands(asset: Json) -> int:
    """The number of the last band of a file that an asset calls by a common name of a sensor's bands; 0 if none."""
    bands = asset.get("eo:bands") or asset.get("bands") or []
    names = [_common_name(band) for band in bands]
    return max((k for k, name in enumerate(names, 1) if name), default=0)


def _common_name(band: Any) -> Any:
    return (band.get("common_name") or band.get("eo:common_name")) if isinstance(band, Mapping) else None


#: Roles of assets that say how the ground was seen (STAC's best practices).
_QUALITY_ROLES = frozenset(
    {"cloud", "cloud-shadow", "snow-ice", "land-water", "water-mask", "data-mask", "saturation", "iso-azimuth"}
)


def holds_classes(asset: Json, number: int = 1, *names: str) -> bool:
    """Whether a band of an asset is one of classes: by what its item lists (``classification:classes``), or by its names."""
    band = band_of(asset, number)
    told = any(holder.get(key) for holder in (band, asset) for key in ("classification:classes", "file:values"))
    return told or any(name in CLASS_ASSETS for name in _names(band, names))


def holds_quality(asset: Json, number: int = 1, *names: str) -> bool:
    """Whether a band of an asset tells of the ground or the air otherwise than by reflectance: by flags, chances, classes.

    Of these numbers none has the offset of reflectance, nor its scale.
    """
    band, roles = band_of(asset, number), asset.get("roles")
    told = any(holder.get("classification:bitfields") for holder in (band, asset))
    told = told or bool(_QUALITY_ROLES & {str(role).lower() for role in (roles if isinstance(roles, list) else ())})
    told = told or any(name in QUALITY_ASSETS for name in _names(band, names))
    return told or holds_classes(asset, number, *names)


def _names(band: Json, names: tuple[str, ...]) -> set[str]:
    return {str(name).lower() for name in (*names, band.get("name")) if name}


def _said(asset: Json, band: Json, key: str) -> Any:
    """What the band says under a key, with the prefix of the raster extension or without, or else the asset."""
    sayings = (holder.get(name) for holder in (band, asset) for name in (key, f"raster:{key}"))
    return next((value for value in sayings if value is not None), None)
