"""Which asset of an item a band is in: by the asset's name, by what a catalogue calls it, or by what its item says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nutonic.core.catalogs import COMMON_NAMES, OTHERWISE
from nutonic.core.model import Json
from nutonic.errors import InputError
from nutonic.recipe.inputs import AssetBand, called, refuse_twice
from nutonic.sources.item import Item
from nutonic.sources.stac.given import as_names

#: The asset with the provider's own picture, which serves where a scene lacks a band.
VISUAL = "visual"

#: What shows pixels, and does not hold them.
_PICTURES = frozenset({"visual", "overview", "thumbnail"})

#: Media types of files with pixels; an asset may say nothing of its own.
_RASTERS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "image/x.geotiff", "application/x-geotiff")


@dataclass(frozen=True, slots=True)
class Located:
    """Where a band is: an asset of an item, and the band of its file."""

    key: str
    """Name of the asset in the item."""
    band: int = 1
    """From 1."""


def located(item: Item, wanted: str | AssetBand, aliases: Mapping[str, str]) -> Located | None:
    """Where an item has a band; None if it has none such.

    An asset of this name comes first, then the one that its catalogue, or any, is known to call otherwise; then a band
    whose item says that it is called so (``name``), then one that is commonly called so (``common_name``). Of several of
    these the one with the finest pixels counts, an asset with the role ``data`` before others, a GeoTIFF before JPEG 2000;
    pictures that are rendered already, such as overviews, never do.

    Parameters
    ----------
    item
        The item.
    wanted
        An asset or a band.
    aliases
        Name of a band to that of the asset, where a catalogue is known.

    Raises
    ------
    InputError
        If different bands are commonly called so, and nothing says which is meant; or if its item tells of fewer bands.
    """
    assets = item.content["assets"]
    if isinstance(wanted, AssetBand):
        key = next((key for key in (wanted.asset, aliases.get(wanted.asset)) if key in assets), None)
        if key is not None:
            _refuse_beyond(item, key, wanted.band)
        return None if key is None else Located(key, wanted.band)
    names = (wanted, aliases.get(wanted), *OTHERWISE.get(wanted, ()))
    key = next((key for key in names if key in assets), None)
    return Located(key) if key is not None else _described(item, wanted)


def _refuse_beyond(item: Item, key: str, band: int) -> None:
    """Raise InputError for a band beyond those that an item tells of; where it tells of one, that may be of all."""
    asset = item.content["assets"][key]
    told = [asset.get(name) for name in ("bands", "eo:bands", "raster:bands")] if isinstance(asset, dict) else []
    most = max((len(bands) for bands in told if isinstance(bands, list)), default=0)
    if 1 < most < band:
        raise InputError(
            f"asset {key!r:.60} of item {item.called} has {most} bands, and band {band} is asked for: see imagery.assets"
        )


@dataclass(frozen=True, slots=True)
class _Described:
    """A band as its item tells of it."""

    at: Located
    name: str
    common: str
    merit: tuple[Any, ...]
    """What bands of one name are sorted by: the best first."""


def _described(item: Item, wanted: str) -> Located | None:
    """The band that its item calls so, or else that is commonly called so."""
    bands = list(_bands(item))
    named = [band for band in bands if band.name == wanted]
    found = named or [band for band in bands if band.common == wanted.lower()]
    if not found:
        return None
    best = min(found, key=lambda band: (band.merit, band.at.key, band.at.band))
    rivals = sorted({band.name for band in found if band.name and band.merit[0] == best.merit[0]})
    if not named and len(rivals) > 1:
        raise InputError(
            f"{wanted} is what item {item.called} commonly calls {' and '.join(rivals)}, bands that differ: name one of them"
        )
    return best.at


def _bands(item: Item) -> Iterator[_Described]:
    """The bands that an item tells of, of assets that hold pixels."""
    for key, asset in item.content["assets"].items():
        if not _holds_pixels(key, asset):
            continue
        for number, band in enumerate(_bands_in(asset), 1):
            name = str(band.get("name") or "")
            common = str(band.get("common_name") or band.get("eo:common_name") or "").lower()
            yield _Described(Located(key, number), name, common, _merit(asset, band, item))


def _bands_in(asset: Json) -> Sequence[Json]:
    """What an asset says of its bands: by the extension ``eo``, or ``bands`` of STAC 1.1."""
    told = asset.get("eo:bands") or asset.get("bands") or ()
    return [band if isinstance(band, dict) else {} for band in told] if isinstance(told, list) else ()


def _holds_pixels(key: str, asset: Any) -> bool:
    if not isinstance(asset, dict) or key in _PICTURES or _PICTURES & set(asset.get("roles") or ()):
        return False
    kind = str(asset.get("type") or "")
    return not kind or kind.partition(";")[0].strip().lower() in _RASTERS


def _merit(asset: Json, band: Json, item: Item) -> tuple[float, bool, bool]:
    """Size of pixels, then whether it is no data, then whether it is JPEG 2000."""
    rasters = asset.get("raster:bands") or [{}]
    resolution = rasters[0].get("spatial_resolution") if isinstance(rasters[0], dict) else None
    transform = asset.get("proj:transform") or ()
    sizes = (band.get("gsd"), asset.get("gsd"), resolution, *transform[:1], item.properties.get("gsd"))
    size = next((float(value) for value in sizes if isinstance(value, int | float) and value > 0), float("inf"))
    return size, "data" not in (asset.get("roles") or ()), "jp2" in str(asset.get("type") or asset.get("href") or "")


def shown_by_visual(assets: Sequence[Any]) -> bool:
    """Whether red, green and blue are asked for, as far as it is known, so that a rendered picture can serve for them."""
    names = [asset for asset in assets if isinstance(asset, str)]
    colours = ("red", "green", "blue")
    return len(names) == len(assets) == len(colours) and all(
        COMMON_NAMES.get(name, colour) == colour for name, colour in zip(names, colours, strict=True)
    )


def names_of(assets: Sequence[Any]) -> tuple[str, ...]:
    """Names of variables, one for each asset or band of :func:`wanted_bands`."""
    return tuple(map(called, assets))


def wanted_bands(assets: Any) -> tuple[str | AssetBand, ...]:
    """What is asked for, each a name or a band of a file.

    Raises
    ------
    InputError
        If one is neither, or two go by one name.
    """
    wanted = tuple(each if isinstance(each, str) else _band_of(each) for each in as_names(assets, "assets"))
    try:
        refuse_twice(wanted)
    except ValueError as error:
        raise InputError(f"assets {error}") from None
    return wanted


def _band_of(value: Any) -> AssetBand:
    try:
        return AssetBand.model_validate(value)
    except ValueError:
        raise InputError(
            f'{value!r:.60} in assets is no band: write a name, or {{"asset": "image", "band": 1}} and a "name" if you like'
        ) from None
