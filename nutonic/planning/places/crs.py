"""Which CRS the points of a file are in, by any of the ways that formats have to say so, and the way to degrees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from nutonic.core.grid import require_proj, transformer

#: From x and y, numbers or arrays, to longitude and latitude on WGS 84.
ToDegrees = Callable[[Any, Any], tuple[Any, Any]]

_SAME = {"EPSG:4326", "EPSG:4979", "OGC:CRS84", "OGC:CRS84H"}
_CODE = re.compile(
    r"(?:urn:(?:x-)?ogc:def:crs:|https?://www\.opengis\.net/def/crs/)?(?P<authority>[A-Za-z][A-Za-z0-9_]*)"
    r"(?::[0-9.]*:|/[0-9.]+/|:+)(?P<code>[A-Za-z0-9]+)"
)
_SRID = re.compile(r"srid:(?P<code>[0-9]+)", re.IGNORECASE)
_WKT = re.compile(r"\s*[A-Za-z_]+(?:CRS|CS)\s*\[")


def degrees_of(crs: object) -> ToDegrees | None:
    """How to get from a CRS to longitude and latitude on WGS 84; None where nothing is to be done.

    Parameters
    ----------
    crs
        A code (``EPSG:32633``, ``urn:ogc:def:crs:EPSG::32633``, ``srid:32633``), WKT, or PROJJSON as text or dict.

    Raises
    ------
    ValueError
        If it is no CRS that is known here, with its name.
    BrokenInstall
        If PROJ has no database.
    """
    require_proj()
    text = crs if isinstance(crs, str) else json.dumps(crs, sort_keys=True, default=str)
    return _degrees_of(text)


@lru_cache(maxsize=64)
def _degrees_of(text: str) -> ToDegrees | None:
    name = _name(text)
    try:
        found = _found(text)
    except (CRSError, ValueError, KeyError, TypeError, RecursionError):
        found = None
    if found is None:
        raise ValueError(f"the CRS {name!r} is not known")
    if found.equals(_wgs84(), ignore_axis_order=True) or ":".join(found.to_authority() or ()) in _SAME:
        return None
    if not (found.is_geographic or found.is_projected):
        raise ValueError(f"the CRS {name!r} does not say where on Earth its points lie")
    code = found.to_epsg()
    to_degrees = transformer(f"EPSG:{code}" if code else found.to_wkt(), "EPSG:4326")
    return lambda x, y: to_degrees.transform(x, y)


@cache
def _wgs84() -> CRS:
    return CRS.from_authority("OGC", "CRS84")


def _found(text: str) -> CRS | None:
    """The CRS of a code, WKT or PROJJSON; never of PROJ's strings, which may open files."""
    if text.lstrip().startswith(("{", '"')):
        value = json.loads(text)
        return _found(value) if isinstance(value, str) else _of_projjson(value)
    if match := _SRID.fullmatch(text):
        return CRS.from_authority("EPSG", match["code"])
    if match := _CODE.fullmatch(text.strip()):
        return CRS.from_authority(match["authority"].upper(), match["code"])
    if re.fullmatch(r"WGS[ _]?(?:19)?84", text.strip(), re.IGNORECASE):
        return _wgs84()
    return CRS.from_wkt(text) if _WKT.match(text) and "BOUNDCRS" not in text.upper() else None


def _of_projjson(value: dict[str, Any]) -> CRS | None:
    about = value.get("id")
    if isinstance(about, dict):
        return CRS.from_authority(str(about["authority"]), str(about["code"]))
    if value.get("type") == "name":  # GeoJSON of before 2016
        return _found(str(value["properties"]["name"]))
    if "type" not in value and str(value.get("name")).startswith("WGS 84") and "/" not in str(value["name"]):
        return _wgs84()
    return None if "BoundCRS" in json.dumps(value) else CRS.from_json_dict(value)


def _name(text: str) -> str:
    """What to call a CRS in a message."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, dict):
        about, properties = value.get("id"), value.get("properties")
        if isinstance(about, dict):
            value = f"{about.get('authority')}:{about.get('code')}"
        elif isinstance(properties, dict):
            value = properties.get("name")
        else:
            value = value.get("name") or text
    return " ".join(str(value).split())[:80]
