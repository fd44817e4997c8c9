"""What a source of pixels is: what opens it, and what a build needs to know of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from nutonic.core.model import Band, RemotePin, Scene, Timeline
from nutonic.core.times import Interval
from nutonic.sources.cost import SourceCost, Workload

if TYPE_CHECKING:
    import shapely
    import xarray as xr
    from odc.geo.geobox import GeoBox


class Account(Protocol):
    """Who we are to a service that is asked for pixels. A frozen value that travels; it holds no secret."""

    @property
    def service(self) -> str:
        """What the service is called."""
        ...

    @property
    def most_requests(self) -> int | None:
        """Requests that it takes at the same time, from all processes together; None for as many as anybody."""
        ...

    def environment(self) -> Mapping[str, str]:
        """Variables that a worker elsewhere needs from this process' environment; never a credential."""
        ...

    def check(self) -> None:
        """Raise if this process lacks what it takes, such as credentials; asks nobody."""
        ...

    def sign_in(self) -> None:
        """Raise unless the service lets this process in."""
        ...


Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Generic[Part]):
    """What a recipe says of a source."""

    part: Part
    """Its imagery, or its labels."""
    resolution_m: float
    """Side of the grid's pixels."""
    min_valid_fraction: float
    """The least share of a tile that is of use."""
    judged_by: Band | None = None
    """Classes that imagery is judged by, where a scene has an asset of this name; None if it is not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What every process that reads from a source must have."""

    packages: tuple[str, ...] = ()
    """Distributions, besides those that nutonic always needs."""
    variables: tuple[str, ...] = ()
    """Names of environment variables that reading looks at."""
    files: tuple[str, ...] = ()
    """Absolute paths of local files that are read."""
    resident_bytes: int = 0
    """Memory of what is imported for it; sources that need the same share it."""


@runtime_checkable
class Source(Protocol):
    """Pixels that can be searched for, and opened on any grid.

    Laws, proved by one contract test over all sources:

    - coordinates of what `open` returns equal the grid's pixel centres, bit for bit;
    - ``open(geobox, scenes).isel(window) ≡ open(geobox[window], scenes)``, coordinates and pixels, bit for bit;
    - dims are ``(y, x)``, one variable per band in the band's dtype, chunked as asked;
    - nothing is read before ``compute``, and constructors do no I/O at all;
    - a source pickles, and so does what `search` returns.

    A recipe names a source by its kind: see :data:`nutonic.recipe.source_kinds.SOURCES`. Of what a build asks beside pixels
    :class:`SourceDefaults` has the usual answers.
    """

    @property
    def bands(self) -> tuple[Band, ...]:
        """The variables that `open` returns, in order. Imagery that is judged has the scene's classes besides, if any."""
        ...

    def search(
        self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Interval | None
    ) -> list[tuple[Scene, ...]]:
        """The scenes for a square of `extent_m` around each place, best first; metadata only, one search for all.

        An empty tuple means that nothing serves the place.
        """
        ...

    def timeline(self, geobox: GeoBox, time: Interval | None) -> Timeline:
        """Everything over a grid in this time: steps in order, or one without a time; metadata only."""
        ...

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """A lazy dataset on exactly this grid, in square chunks of this side.

        With ``chunks=None`` variables are lazily indexed where the source can: slice them first, then chunk them, and
        no more is read than the slice.
        """
        ...

    @property
    def is_dated(self) -> bool:
        """Whether pixels depend on the date of the picture they go with, which `open` then looks for in the scene."""
        ...

    @property
    def rule(self) -> str | None:
        """How a pixel is chosen from images that scenes do not name one by one; None where they name all."""
        ...

    @property
    def account(self) -> Account | None:
        """The service that is asked; None for files."""
        ...

    def cost(self, work: Workload) -> SourceCost:
        """What reading takes; an estimate that opens no file."""
        ...

    def needs(self, scenes: Sequence[Scene] = ()) -> Needs:
        """What processes must have that read these scenes; of scenes that are another source's nothing is said."""
        ...

    def footprints(self) -> tuple[shapely.Geometry, ...] | None:
        """The ground of every image, in degrees, where all are at hand; None where only a search tells what there is."""
        ...


@runtime_checkable
class TimedSource(Source, Protocol):
    """A source with a time axis. The laws hold for its cubes as for what it opens."""

    def cube(
        self, geobox: GeoBox, time: np.ndarray, steps: Sequence[Sequence[Scene]], *, chunks: int = 1024
    ) -> xr.Dataset:
        """A lazy dataset with dims ``(time, y, x)`` on exactly this grid, one step a chunk; no scenes mean nodata."""
        ...

    def with_masks(self, names: Sequence[str], nodata: Sequence[int] = ()) -> TimedSource:
        """The same with bands of classes, such as ``scl``, beside the others.

        Of each, `nodata` has what stands where there is no class; by default 0.
        """
        ...


@runtime_checkable
class Versioned(Protocol):
    """A source whose service replaces what it has without another name, and tells when it did."""

    def pin(self, href: str, *, listed: bool = False) -> RemotePin | None:
        """What is behind an asset's address now, or, if `listed`, when it was searched for; None where that is not told.

        Raises
        ------
        Gone
            If nothing is there any more.
        ReadFailed, Refused
            If the service does not tell.
        """
        ...


class SourceDefaults:
    """The usual answers to what a build asks: undated files that need nothing, and cost nothing worth counting."""

    __slots__ = ()

    @property
    def is_dated(self) -> bool:
        """Pixels are the scene's, whatever picture they go with."""
        return False

    @property
    def rule(self) -> str | None:
        """Scenes name all that pixels come from."""
        return None

    @property
    def account(self) -> Account | None:
        """Nobody is asked."""
        return None

    def cost(self, work: Workload) -> SourceCost:
        """Nothing worth counting."""
        return SourceCost()

    def needs(self, scenes: Sequence[Scene] = ()) -> Needs:
        """Nothing."""
        return Needs()

    def footprints(self) -> tuple[shapely.Geometry, ...] | None:
        """Only a search tells what there is."""
        return None


def local_files(scenes: Iterable[Scene], collection: str) -> tuple[str, ...]:
    """Of each scene of a collection one file, where it lies in local ones."""
    hrefs = (scene.assets[0].href for scene in scenes if scene.assets and scene.collection == collection)
    return tuple(href for href in hrefs if "://" not in href)


def with_dates(
    sources: Sequence[Source], scenes: Sequence[Sequence[Scene]], time: Interval | None = None
) -> list[tuple[Scene, ...]]:
    """Scenes of several sources, where those without a date get one if their source's pixels depend on it.

    That is the date of the first scene that has one, or the middle of `time` where none has.
    """
    known = [scene.datetime for each in scenes for scene in each if scene.datetime is not None]
    if not known and time is not None:
        known = [time.middle.isoformat()]

    def settled(source: Source, scene: Scene) -> Scene:
        takes = known and source.is_dated and scene.datetime is None
        return replace(scene, datetime=known[0]) if takes else scene

    return [tuple(settled(source, scene) for scene in each) for source, each in zip(sources, scenes, strict=True)]
