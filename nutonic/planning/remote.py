"""Remote inputs, asked what they are: label rasters as they are planned, files of scenes where it is planned again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from nutonic.core.model import Batch, RemotePin, Scene
from nutonic.errors import SourceError
from nutonic.io.access import Access
from nutonic.io.raster import pin_of
from nutonic.io.session import SessionThreads
from nutonic.planning.pins import key_of, remote_hrefs
from nutonic.sources.raster import RasterSource
from nutonic.sources.registry import AnySources, Sources

#: Files that are asked for side by side.
_THREADS = 8


def label_pins(scenes: Iterable[Scene], sources: Sources) -> dict[str, RemotePin]:
    """The pins of remote label rasters by key, sorted: planning has opened them. None of a catalogue's, which are many.

    Raises
    ------
    SourceError
        If one is asked for again, and cannot be read.
    """
    labels = sources.labels
    if not isinstance(labels, RasterSource):
        return {}
    hrefs = remote_hrefs(scene for scene in scenes if scene.source == "raster")
    return {key_of(href): pin_of(href, labels.access) for href in sorted(hrefs)}


def hrefs_of(batches: Iterable[Batch], sources: AnySources) -> dict[str, Access]:
    """The remote files that batches may read, and how each may be."""
    found: dict[str, Access] = {}
    for batch in batches:
        for part, source in enumerate(sources):
            access = getattr(source, "access", None)
            if isinstance(access, Access):
                scenes = {scene: None for place in batch.places for scene in (place.imagery, place.labels)[part]}
                found |= dict.fromkeys(remote_hrefs(scenes), access)
    return found


def asked(hrefs: Mapping[str, Access]) -> dict[str, RemotePin]:
    """What remote files are now, by key: each is asked for its first bytes. What cannot be read is told when it is."""
    found: dict[str, RemotePin] = {}

    def ask(href: str) -> None:
        with suppress(SourceError):
            found[key_of(href)] = pin_of(href, hrefs[href])

    if hrefs:
        with SessionThreads(min(_THREADS, len(hrefs))) as threads:
            list(threads.map(ask, hrefs))
    return found
