"""Land cover from raster files, in any CRS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np

from nutonic.core.classes import AnyTable, ClassTable, refuse_unknown_classes, table_of
from nutonic.core.model import Band, Json, Scene, Step, Timeline
from nutonic.core.showing import ShortRepr, short_address
from nutonic.core.times import Time
from nutonic.core.units import counted
from nutonic.errors import InputError
from nutonic.io import signing
from nutonic.io.access import Access, access_for, identity_of
from nutonic.io.buckets.inputs import Credentials, credentials_of
from nutonic.recipe.inputs import Labels
from nutonic.sources.missing import Found
from nutonic.sources.rasters.paths import pieces_of
from nutonic.sources.source import Needs, Settings, SourceDefaults, local_files

if TYPE_CHECKING:
    import shapely
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from nutonic.sources.rasters.index import Index

# What opens files, and xarray with it, is imported by who opens one.

#: So many files are looked at without asking first which of them a window reaches.
_FEW = 2


@dataclass(frozen=True, slots=True, repr=False)
class RasterSource(ShortRepr, SourceDefaults):
    """Files of class ids, read by window-independent nearest neighbour.

    A place gets the files that may reach it, and a pixel comes from the first that has a class there: as they are listed,
    those of a folder or a glob by name, of a VRT the one on top.

    Parameters
    ----------
    path
        A GeoTIFF or COG, a JPEG 2000 or an Erdas Imagine file (.img); a folder or a glob of such; a VRT that lays files of
        its own folder side by side; an address (https://, s3://, gs://, az://); or a list of these.
    classes
        What the values mean: a class table, the name of one (``"esa-worldcover"``, ``"dynamic-world"``), or labels by
        class id, ``{10: "trees"}``.
    allow_hosts
        Hosts that addresses may lead to besides those that are written.
    sign
        As of :class:`nutonic.StacSource`.
    remap
        Codes of the raster that are no ids of the class table, such as CORINE's ``{311: 10}``, and what each is: a class,
        or the unknown value. Several may be one class; the table's own ids stay what they are.
    keep_query, unsigned, requester_pays, bearer
        As of :class:`nutonic.StacSource`.
    """

    path: str | PathLike[str] | Sequence[str | PathLike[str]]
    classes: AnyTable = "esa-worldcover"
    allow_hosts: tuple[str, ...] = ()
    sign: str | None = None
    remap: Mapping[int, int] = field(default_factory=dict)
    keep_query: tuple[str, ...] = ()
    unsigned: bool = False
    requester_pays: bool = False
    bearer: Mapping[str, str] = field(default_factory=dict)

    def _facts(self) -> Json:
        return {"path": ", ".join(map(short_address, self.paths)), "classes": self.table.name}

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", _texts(self.path))
        object.__setattr__(self, "classes", table_of(self.classes))
        signing.require(self.sign)
        refuse_unknown_classes(self.remap, self.table)

    @classmethod
    def from_recipe(cls, settings: Settings[Labels]) -> RasterSource:
        """The files that a recipe's labels are of."""
        labels = settings.part
        return cls(
            labels.path or "",
            labels.table,
            labels.allow_hosts,
            labels.sign,
            labels.remap,
            labels.keep_query,
            unsigned=labels.unsigned,
            requester_pays=labels.requester_pays,
            bearer=labels.bearer,
        )

    @property
    def paths(self) -> tuple[str, ...]:
        """What is named: files, folders, globs and addresses."""
        texts = _texts(self.path)
        return (texts,) if isinstance(texts, str) else texts

    @property
    def access(self) -> Access:
        """What may be read, and how it is signed."""
        identity = identity_of(self)
        each = (access_for(path, self.allow_hosts, (), None, (), identity) for path in self.paths if "://" in path)
        hosts = tuple(dict.fromkeys(host for access in each for host in access.hosts))
        return Access(hosts=hosts, sign=self.sign, keep_query=self.keep_query, identity=identity)

    @property
    def account(self) -> Credentials | None:
        """What stores and hosts want of who reads their files; None for nothing."""
        return credentials_of(self.access)

    @property
    def table(self) -> ClassTable:
        """What the values mean."""
        assert isinstance(self.classes, ClassTable)
        return self.classes

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band, ``label``: class ids as uint8, the table's unknown value where there is none."""
        return (self.table.band_of(self.remap),)

    def index(self) -> Index:
        """All files as scenes; reads the header of each, once in a session."""
        from nutonic.sources.rasters.index import index_of

        return index_of(pieces_of(self.paths, self.keep_query), self.table.name, self.access)

    def describe(self) -> Scene:
        """The one file as a scene with one asset; reads its header.

        Raises
        ------
        InputError
            If it is missing, or cannot be labels, or there are several.
        """
        scenes = self.index().scenes
        if len(scenes) > 1:
            raise InputError(f"{self} has {counted(len(scenes), 'file')}: `search` says which of them serve a place")
        return scenes[0]

    def search(self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Time = None) -> Found:
        """The files that may reach each place; of a place that none does, where they lie."""
        index = self.index()
        found = index.under_squares(lon, lat, extent_m)
        beyond = [k for k, scenes in enumerate(found) if not scenes]
        return Found(found, dict.fromkeys(beyond, index.told_where()) if beyond else None)

    def footprints(self) -> tuple[shapely.Geometry, ...]:
        """The ground of each file."""
        return self.index().footprints()

    def timeline(self, geobox: GeoBox, time: Time = None) -> Timeline:
        """The files as one step without a time; of several those that may reach the grid."""
        index = self.index()
        scenes = index.scenes if len(index.scenes) == 1 else index.under_grid(geobox)
        return Timeline(steps=(Step(time=None, scenes=scenes),) if scenes else ())

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """The variable ``label`` (y, x), uint8, lazily, on exactly this grid; a slice of it reads only that slice."""
        from nutonic.sources.backend import NearestMosaic, dataset
        from nutonic.sources.rasters.tiles import Tiles

        (band,) = self.bands
        assets = tuple(scene.asset("label") for scene in scenes)
        kind = NearestMosaic if len(assets) <= _FEW else Tiles
        ds = dataset(geobox, {band: kind(geobox=geobox, assets=assets, band=band, access=self.access).lazy()})
        return ds if chunks is None else ds.chunk(chunks)

    def needs(self, scenes: Sequence[Scene] = ()) -> Needs:
        """The files that scenes are read from, where they are local, and the signer of addresses, if there is one."""
        packages, variables = signing.needs(self.sign)
        return Needs(packages=packages, variables=variables, files=local_files(scenes, self.table.name))


def _texts(path: Any) -> str | tuple[str, ...]:
    """A path, or several, as text."""
    if isinstance(path, str | PathLike):
        return str(fspath(path))
    if not isinstance(path, Sequence) or not path or not all(isinstance(each, str | PathLike) for each in path):
        raise InputError(f"{path!r:.60} is no path: give one, or a list of paths")
    return tuple(str(fspath(each)) for each in path)
