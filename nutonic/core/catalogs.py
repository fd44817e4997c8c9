"""What is known of public catalogues and land-cover products: facts, as data.

Sources: the catalogues' own landing pages and collections, earth-search.aws.element84.com/v1 and
planetarycomputer.microsoft.com/api/stac/v1, and Copernicus' stac.dataspace.copernicus.eu/v1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from nutonic.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A public STAC API."""

    hosts: tuple[str, ...] = ()
    """Where its files lie, besides its own host."""
    sign: str | None = None
    """How addresses of its files are signed."""
    assets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Band name to the asset's name there, where that differs."""


_SENTINEL_BANDS = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08"}
_SENTINEL_CLASSES = "SCL"

#: What else Sentinel-2's scene classification is called, whichever catalogue an item was saved from.
OTHERWISE: Mapping[str, tuple[str, ...]] = {"scl": (_SENTINEL_CLASSES, f"{_SENTINEL_CLASSES}_20m")}

#: Assets of classes, in small letters: Sentinel-2's scene classification, and Fmask of Digital Earth Australia and Africa.
CLASS_ASSETS = frozenset({"scl", "scl_20m", "scl_60m", "fmask_class", "oa_fmask"})

#: Assets of other numbers than reflectance, in small letters: flags, probabilities, what the air holds, masks of data and
#: angles, as Sentinel-2's, Landsat's, HLS' and Planet's catalogues call them.
QUALITY_ASSETS = frozenset(
    [
        *(f"{name}{suffix}" for name in ("aot", "wvp", "cld", "snw") for suffix in ("", "_10m", "_20m", "_60m")),
        *("cloud", "snow", "clp", "clm", "cloud_probability", "snow_probability", "msk_cldprb", "msk_snwprb"),
        *("s2cloudless",),
        *("cloud_mask", "cloudmask", "cloud-mask", "qa", "qa10", "qa20", "qa60", "qa_pixel", "qa_radsat", "qa_aerosol"),
        *("sr_qa_aerosol", "sr_cloud_qa", "qualitymask", "fmask", "datamask", "data_mask", "dmask", "udm", "udm2"),
        *("oa_nbart_contiguity", "oa_combined_terrain_shadow", "saa", "sza", "vaa", "vza"),
        *("sunazimuthangles", "sunzenithangles", "viewazimuthangles", "viewzenithangles"),
    ]
)

#: What bands show by their names: the common names of STAC's extension ``eo``, and Sentinel-2's numbers.
COMMON_NAMES: Mapping[str, str] = {
    **{
        name: name
        for name in (
            *("coastal", "blue", "green", "red", "yellow", "pan", "rededge", "rededge1", "rededge2", "rededge3"),
            *("rededge071", "rededge075", "rededge078", "nir", "nir08", "nir09", "cirrus", "swir16", "swir22"),
            *("lwir", "lwir11", "lwir12", "scl", "aot", "wvp"),
        )
    },
    **{
        f"{band}{suffix}": name
        for suffix in ("", "_10m", "_20m", "_60m")
        for band, name in {
            **{band: name for name, band in _SENTINEL_BANDS.items()},
            **{
                "B01": "coastal",
                "B05": "rededge1",
                "B06": "rededge2",
                "B07": "rededge3",
                "B8A": "nir08",
                "B09": "nir09",
            },
            **{"B11": "swir16", "B12": "swir22"},
        }.items()
    },
}

#: By host.
CATALOGUES: Mapping[str, Catalogue] = {
    "earth-search.aws.element84.com": Catalogue(
        hosts=(
            "sentinel-cogs.s3.us-west-2.amazonaws.com",
            "e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com",
            "naip-analytic.s3.us-west-2.amazonaws.com",
        ),
    ),
    "planetarycomputer.microsoft.com": Catalogue(
        hosts=(
            "sentinel2l2a01.blob.core.windows.net",
            "naipeuwest.blob.core.windows.net",
            "ai4edataeuwest.blob.core.windows.net",
        ),
        sign="planetary-computer",
        assets={**_SENTINEL_BANDS, "scl": _SENTINEL_CLASSES},
    ),
    "stac.dataspace.copernicus.eu": Catalogue(
        hosts=("zipper.dataspace.copernicus.eu",),
        assets={
            **{name: f"{band}_10m" for name, band in _SENTINEL_BANDS.items()},
            "visual": "TCI_10m",
            "scl": f"{_SENTINEL_CLASSES}_20m",
        },
    ),
}

#: Hosts of all of them: items that were saved from one of them to a file still name them.
KNOWN_HOSTS: tuple[str, ...] = tuple(host for catalogue in CATALOGUES.values() for host in catalogue.hosts)


def catalogue_at(url: str) -> Catalogue:
    """What is known of the catalogue at a URL; of most, nothing."""
    return CATALOGUES.get(urlsplit(url).hostname or "", Catalogue()) if "://" in url else Catalogue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A land-cover product in a STAC API."""

    url: str
    collection: str
    asset: str


_PLANETARY_COMPUTER = "https://planetarycomputer.microsoft.com/api/stac/v1"

#: By the name of the class table.
PRODUCTS: Mapping[str, Product] = {
    "esa-worldcover": Product(url=_PLANETARY_COMPUTER, collection="esa-worldcover", asset="map"),
    "io-lulc": Product(url=_PLANETARY_COMPUTER, collection="io-lulc-annual-v02", asset="data"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What the values of an asset of classes say of how the ground was seen; others say that it was seen well."""

    asset: str
    cloud: tuple[int, ...]
    shadow: tuple[int, ...] = ()
    snow: tuple[int, ...] = ()
    nodata: tuple[int, ...] = (0,)
    """The first of these is what lies beyond the asset's edge."""

    @property
    def ground(self) -> tuple[int, ...]:
        """The values that show the ground, snow too: all but those of cloud, shadow and nodata."""
        return tuple(value for value in range(256) if value not in (*self.cloud, *self.shadow, *self.nodata))


#: By what recipes call them. Of Sentinel-2 level 2A: ESA's SentiWiki, "S2 Processing", scene classification, which has 0 for
#: no data, 1 saturated or defective, 2 topographic shadow, 3 cloud shadow, 4 to 7 ground and water, 8 and 9 cloud of medium
#: and of high probability, 10 thin cirrus, 11 snow or ice. A saturated pixel measures nothing: it counts as nodata.
CLASSIFICATIONS: Mapping[str, Classification] = {
    "scl": Classification(asset="scl", cloud=(8, 9, 10), shadow=(3,), snow=(11,), nodata=(0, 1))
}


def known_classification(asset: str) -> Classification | None:
    """What the values of an asset of this name mean; None where only who made it can tell."""
    called = next((name for name, others in OTHERWISE.items() if asset in others), asset)
    return CLASSIFICATIONS.get(called)


#: How one class is chosen from several images; as of :class:`nutonic.EarthEngineLabels`.
Rule = Literal["mode", "nearest", "mosaic"]

#: The most days that a window may reach from its scene: a pixel's days are told in a byte, where 255 is none.
MOST_DAYS = 254


def refuse_windows(days: Sequence[int]) -> None:
    """Raise :class:`InputError` unless half-widths of windows are whole days that ascend."""
    if not days or list(days) != sorted(set(days)) or not 1 <= days[0] <= days[-1] <= MOST_DAYS:
        raise InputError(
            f"{list(days)} are no windows: write whole days from 1 to {MOST_DAYS} that ascend, such as [7, 14, 30]"
        )


def refuse_year(year: int | None, rule: Rule) -> None:
    """Raise :class:`InputError` if there is a year, and a rule that does not go by years."""
    if year is not None and rule != "mosaic":
        raise InputError(f"has year, which is for the rule mosaic: {rule} looks around the scene's date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A land-cover product in Earth Engine's catalogue (developers.google.com/earth-engine/datasets)."""

    collection: str
    band: str
    rule: Rule


#: By the name of the class table. Dynamic World has an image for each of Sentinel-2, with holes where there are clouds;
#: WorldCover's are tiles of one map.
COLLECTED: Mapping[str, Collected] = {
    "dynamic-world": Collected(collection="GOOGLE/DYNAMICWORLD/V1", band="label", rule="mode"),
    "esa-worldcover": Collected(collection="ESA/WorldCover/v200", band="Map", rule="mosaic"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imaged:
    """A collection of imagery in Earth Engine's catalogue (developers.google.com/earth-engine/datasets)."""

    bands: Mapping[str, str]
    """Name of a variable to the band's name there."""
    clouds: str | None
    """The property that holds the cloud cover in percent; None where images do not tell."""
    days: int = 2
    """That an image may end after it begins; a flight of NAIP ends the day after."""


_S2_BANDS = {"blue": "B2", "green": "B3", "red": "B4", "nir": "B8"}

#: By id. NAIP's are flown in clear weather, and do not tell of clouds.
IMAGED: Mapping[str, Imaged] = {
    "USDA/NAIP/DOQQ": Imaged(bands={"red": "R", "green": "G", "blue": "B", "nir": "N"}, clouds=None),
    "COPERNICUS/S2_SR_HARMONIZED": Imaged(bands={**_S2_BANDS, "scl": "SCL"}, clouds="CLOUDY_PIXEL_PERCENTAGE"),
    "COPERNICUS/S2_HARMONIZED": Imaged(bands=_S2_BANDS, clouds="CLOUDY_PIXEL_PERCENTAGE"),
}

#: Collections whose numbers jump by 1000 where the processing baseline reaches 04.00, and those where they do not.
JUMPING: Mapping[str, str] = {
    "COPERNICUS/S2_SR": "COPERNICUS/S2_SR_HARMONIZED",
    "COPERNICUS/S2": "COPERNICUS/S2_HARMONIZED",
}


def refuse_jumping(collection: str) -> None:
    """Raise :class:`InputError` if the numbers of a collection are not of one scale."""
    if collection in JUMPING:
        raise InputError(
            f"{collection} is a collection whose numbers jump by 1000 in January 2022: use {JUMPING[collection]}"
        )


#: Collections, in Earth Engine and in STAC APIs, that were taken from aeroplanes.
AERIAL = frozenset({"USDA/NAIP/DOQQ", "naip"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticMaps:
    """A public server of static maps. ``{lon}``, ``{lat}``, ``{zoom}``, ``{size}`` and ``{style}`` are filled in."""

    name: str
    origin: str
    """Scheme and host."""
    still: str
    """Path of a picture there."""
    token_key: str
    """Key of the query that takes the token."""
    tokens: str
    """Path at which it tells whether a token is good; such a request costs nothing."""
    style: str
    """Path at which it describes a style; nor does this."""
    attribution: str
    """What its terms want to be said wherever a picture is shown."""
    improve: str
    """Where whoever sees a mistake in the map may tell it: its terms want a link."""
    terms: str


#: docs.mapbox.com/api/maps/static-images, docs.mapbox.com/api/accounts/tokens, docs.mapbox.com/help/dive-deeper/attribution.
#: A picture of at most 1280 × 1280, doubled by ``@2x``; a JPEG where a style has only rasters, else a PNG.
MAPBOX = StaticMaps(
    name="Mapbox",
    origin="https://api.mapbox.com",
    still="/styles/v1/{style}/static/{lon},{lat},{zoom},0/{size}x{size}@2x",
    token_key="access_token",
    tokens="/tokens/v2",
    style="/styles/v1/{style}",
    attribution="© Mapbox © OpenStreetMap © Maxar",
    improve="https://apps.mapbox.com/feedback/",
    terms="https://www.mapbox.com/legal/tos",
)

#: Of the Web Mercator projection: no static map shows a place further north or south.
MOST_LATITUDE = 85.0511


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which terms a product may be used, and what it is called."""

    title: str
    licence: str
    link: str
    """Where its provider says so."""
    credit: str | None = None
    """What is to be stated with it; ``{years}`` are those of what is shown."""
    citation: str | None = None
    sensor: str | None = None
    """What took the pictures; None where it is no imagery."""
    tag: str | None = None
    """What the Hub's datasets of it are tagged with."""


_COPERNICUS = "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"
_CC_BY = "CC BY 4.0"

_SENTINEL_2 = Terms(
    title="Copernicus Sentinel-2",
    licence="the legal notice on the use of Copernicus Sentinel data (free, full and open)",
    link=_COPERNICUS,
    credit="Contains modified Copernicus Sentinel data {years}",
    sensor="Sentinel-2 MSI",
    tag="sentinel-2",
)
_NAIP = Terms(
    title="NAIP, the National Agriculture Imagery Program",
    licence="public domain",
    link="https://naip-usdaonline.hub.arcgis.com",
    credit="Imagery courtesy of the U.S. Department of Agriculture, {years}",
    sensor="aerial cameras of NAIP",
    tag="naip",
)
_LANDSAT = Terms(
    title="Landsat Collection 2",
    licence="public domain",
    link="https://www.usgs.gov/landsat-missions/landsat-data-access",
    credit="Landsat imagery courtesy of the U.S. Geological Survey, {years}",
    sensor="Landsat OLI, ETM+ or TM",
    tag="landsat",
)
_WORLDCOVER = Terms(
    title="ESA WorldCover",
    licence=_CC_BY,
    link="https://esa-worldcover.org/en/data-access",
    credit="© ESA WorldCover project / Contains modified Copernicus Sentinel data processed by ESA WorldCover consortium",
    citation="Zanaga et al. (2021, 2022), ESA WorldCover 10 m 2020 v100 and 2021 v200, "
    "https://doi.org/10.5281/zenodo.5571936 and https://doi.org/10.5281/zenodo.7254221",
)
_DYNAMIC_WORLD = Terms(
    title="Dynamic World",
    licence=_CC_BY,
    link="https://developers.google.com/earth-engine/datasets/catalog/GOOGLE_DYNAMICWORLD_V1",
    credit="Produced for the Dynamic World Project by Google in partnership with National Geographic Society and the World "
    "Resources Institute",
    citation="Brown et al. (2022), Dynamic World, Scientific Data 9, 251, https://doi.org/10.1038/s41597-022-01307-4",
)
_IO_LULC = Terms(
    title="Impact Observatory's annual land cover",
    licence=_CC_BY,
    link="https://planetarycomputer.microsoft.com/dataset/io-lulc-annual-v02",
    credit="© Impact Observatory, Microsoft and Esri",
    citation="Karra et al. (2021), Global land use/land cover with Sentinel-2 and deep learning, IGARSS, "
    "https://doi.org/10.1109/IGARSS47720.2021.9553499",
)
_OPENSTREETMAP = Terms(
    title="OpenStreetMap",
    licence="ODbL 1.0",
    link="https://www.openstreetmap.org/copyright",
    credit="© OpenStreetMap contributors",
)

#: By what the id of a collection, or the name of a class table, begins with; ids in small letters.
_TERMS: tuple[tuple[str, Terms], ...] = (
    *((start, _SENTINEL_2) for start in ("sentinel-2-", "copernicus/s2")),
    *((start, _NAIP) for start in ("naip", "usda/naip")),
    *((start, _LANDSAT) for start in ("landsat-c2", "landsat/l")),
    *((start, _WORLDCOVER) for start in ("esa-worldcover", "esa/worldcover")),
    *((start, _DYNAMIC_WORLD) for start in ("dynamic-world", "google/dynamicworld")),
    ("io-lulc", _IO_LULC),
    *((start, _OPENSTREETMAP) for start in ("osm-", "openstreetmap")),
)

#: Terms of services, by what they are called, besides those of what they serve.
SERVICE_TERMS: Mapping[str, Terms] = {
    "Earth Engine": Terms(
        title="Google Earth Engine",
        licence="its terms of service, free of charge for noncommercial use and research only",
        link="https://earthengine.google.com/terms/",
    ),
}


def terms_of(name: str) -> Terms | None:
    """What is known of a collection's terms, or of a class table's; None if nothing is."""
    return next((terms for start, terms in _TERMS if name.lower().startswith(start)), None)
