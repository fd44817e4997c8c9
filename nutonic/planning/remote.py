"""Inputs, asked what they are: label rasters and the bands of a scene as planned, files of scenes where planned again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from operator import attrgetter

from nutonic.core.model import Asset, Batch, RemotePin, Scene
from nutonic.core.units import counted
from nutonic.errors import InputError, NutonicError, SourceError
from nutonic.inert import inert
from nutonic.io.access import Access
from nutonic.io.session import SessionThreads
from nutonic.planning.pins import key_of, remote_hrefs
from nutonic.sources.factory import AnySources
from nutonic.sources.raster import RasterSource
from nutonic.sources.source import Source, Versioned

# What opens rasters is imported by who asks for one: a build with nothing to do asks for none.

#: Files that are asked for side by side.
_THREADS = 8

#: Scenes whose files on servers are asked for their bands, until one has all that a recipe names; on a disk all are.
_LOOKED_AT = 8

#: Asks what a remote file is now; None where that is not told.
Question = Callable[[], RemotePin | None]


def planned_pins(scenes: Iterable[Scene], sources: AnySources) -> dict[str, RemotePin]:
    """The pins of what planning has been told of, by key, sorted: label rasters, which it opened, and versions.

    None of a catalogue's files, which are many.

    Raises
    ------
    SourceError
        If one is asked for again, and it is not told.
    """
    from nutonic.io.raster import pin_of

    found: dict[str, RemotePin] = {}
    scenes = list(scenes)
    for source in sources:
        if isinstance(source, RasterSource):
            rasters = remote_hrefs(scene for scene in scenes if scene.source == "raster")
            found |= {key_of(href): pin_of(href, source.access) for href in rasters}
        elif isinstance(source, Versioned):
            found |= dict(_versions(source, scenes, listed=True))
    return {key: found[key] for key in sorted(found)}


def versions_of(scene: Scene, source: Source) -> dict[str, RemotePin]:
    """The pins of what a scene is read from as it is now, by key, if its source's service has it by name.

    Raises
    ------
    SourceError
        If the service does not tell.
    """
    return dict(_versions(source, [scene], listed=False)) if isinstance(source, Versioned) else {}


def _versions(source: Versioned, scenes: Iterable[Scene], *, listed: bool) -> Iterator[tuple[str, RemotePin]]:
    for key, href in _by_key(scenes).items():
        pin = source.pin(href, listed=listed)
        if pin is not None:
            yield key, pin


def _by_key(scenes: Iterable[Scene]) -> dict[str, str]:
    """Of each remote file one of the addresses it is known by."""
    found: dict[str, str] = {}
    for href in remote_hrefs(scenes):
        found.setdefault(key_of(href), href)
    return found


def questions(batches: Iterable[Batch], sources: AnySources) -> dict[str, Question]:
    """The remote files that batches may read, by key, and how each is asked for."""
    found: dict[str, Question] = {}
    for batch in batches:
        for part, source in enumerate(sources):
            ask = _asker(source)
            if ask is not None:
                scenes = {scene: None for place in batch.places for scene in (place.imagery, place.labels)[part]}
                found |= {key: partial(ask, href) for key, href in _by_key(scenes).items()}
    return found


def _asker(source: Source) -> Callable[[str], RemotePin | None] | None:
    access = getattr(source, "access", None)
    if isinstance(access, Access):
        return lambda href: _pin_of(href, access)
    return source.pin if isinstance(source, Versioned) else None


def _pin_of(href: str, access: Access) -> RemotePin:
    from nutonic.io.raster import pin_of

    return pin_of(href, access)


def asked(files: Mapping[str, Question]) -> dict[str, RemotePin]:
    """What remote files are now, by key: each is asked for. What cannot be read is told when it is."""
    found: dict[str, RemotePin] = {}

    def ask(key: str) -> None:
        with suppress(SourceError):
            pin = files[key]()
            if pin is not None:
                found[key] = pin

    if files:
        with SessionThreads(min(_THREADS, len(files))) as threads:
            list(threads.map(ask, files))
    return found


def refuse_bands_beyond(scenes: Iterable[Scene], source: Source) -> None:
    """Raise :class:`InputError` if a recipe names a band that files do not have, of which their items say nothing.

    The header of one scene's file is looked at, and of a few more where that has fewer bands: a scene that is not as the
    others are is a matter of its places. Nothing is asked where only first bands are wanted, or such as items name. What
    cannot be read is told when it is.
    """
    access = getattr(source, "access", None)
    if not isinstance(access, Access):
        return
    told: str | None = None
    for number, scene in enumerate(scene for scene in scenes if not scene.rendered):
        if number >= _LOOKED_AT and "://" in scene.lead.href:
            break
        untold = (asset for asset in scene.pictured if asset.band > max(1, asset.named_bands))
        last = {asset.href: asset for asset in sorted(untold, key=attrgetter("band"))}
        if not last:
            return
        few = next((line for asset in last.values() if (line := _beyond(scene, asset, access)) is not None), None)
        if few is None:
            return
        told = told or few
    if told is not None:
        raise InputError(told)


def _beyond(scene: Scene, asset: Asset, access: Access) -> str | None:
    """That a scene's file has fewer bands than the one that is meant, in words; None if not, or if that is not told."""
    from nutonic.io.raster import header_of

    try:
        count = header_of(asset, access).count
    except (NutonicError, OSError):
        return None
    if count >= asset.band:
        return None
    has = f"{inert(asset.written)} of item {inert(scene.id)} has {counted(count, 'band')}"
    return f"{has}, and band {asset.band} is asked for: see imagery.assets"
