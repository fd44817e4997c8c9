"""Remote inputs, asked what they are: label rasters as they are planned, files of scenes where it is planned again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from nutonic.core.model import Batch, RemotePin, Scene
from nutonic.errors import SourceError
from nutonic.io.access import Access
from nutonic.io.session import SessionThreads
from nutonic.planning.pins import key_of, remote_hrefs
from nutonic.sources.factory import AnySources
from nutonic.sources.raster import RasterSource
from nutonic.sources.source import Source, Versioned

# What opens rasters is imported by who asks for one: a build with nothing to do asks for none.

#: Files that are asked for side by side.
_THREADS = 8

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
