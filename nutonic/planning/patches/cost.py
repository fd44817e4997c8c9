"""What building patches and captioning them will take."""

from __future__ import annotations

import numpy as np
import shapely

from nutonic.core.model import Json, Scene
from nutonic.planning.cost import READERS, WORKER_BYTES, Cost, bytes_per_place, repeats
from nutonic.planning.patches.spec import PatchSpec
from nutonic.sources.annotators.cost import Captioning, estimate
from nutonic.sources.cost import Workload
from nutonic.sources.osm.overpass import TOGETHER

#: Bytes of a JPEG per pixel at quality 95, typical of aerial pictures; and of a description and its captions.
_JPEG_PER_PIXEL, _WORDS = 0.9, 6_000

#: How much less a pixel takes for each time that those beside it are as it is.
_LESS = 0.28

#: CPU seconds of one core: for a patch, to find an element of a map and keep it, and to look at it for a patch that may
#: show it.
_PER_PATCH, _PER_ELEMENT, _PER_LOOK = 0.03, 2e-4, 7e-5


def estimate_patches(spec: PatchSpec, scene: Scene, corners: np.ndarray, starts: np.ndarray) -> Cost:
    """The cost of a plan of patches; parameters as of :func:`nutonic.planning.cost.estimate`."""
    size, patches = spec.patches.size, len(corners)
    work = Workload(scene=scene, corners=corners, batches=np.diff(starts), side=size, readers=READERS)
    reading = spec.sources.imagery.cost(work)
    one = int(jpeg_bytes(size, repeats(scene, spec.patches.resolution_m))) + _WORDS
    twice = 2  # as they are committed, and in shards
    return Cost(
        requests=reading.requests + requests_for_map(spec, starts),
        bytes_read=reading.bytes_read,
        bytes_written=patches * one * twice,
        peak_bytes=WORKER_BYTES
        + work.largest * (bytes_per_place(size) + one)
        + spec.sources.imagery.needs().resident_bytes
        + reading.held_bytes,
        cpu_seconds=reading.cpu_seconds + patches * _PER_PATCH,
    )


def jpeg_bytes(size: int, times: int) -> float:
    """Bytes of a JPEG of `size` pixels a side, of which so many, along each axis, are one of the source's own."""
    return size**2 * _JPEG_PER_PIXEL / (1 + _LESS * (times - 1))


def requests_for_map(spec: PatchSpec, starts: np.ndarray) -> int:
    """How many requests for the map batches take that begin at `starts`; none where it is an extract."""
    return 0 if spec.osm.source == "pbf" else int((-(-np.diff(starts) // TOGETHER)).sum())


def seconds_of_map(elements: int, outlines: np.ndarray) -> float:
    """CPU that so many elements take, near patches with these outlines; all that show one describe it."""
    shared = float(shapely.area(outlines).sum() / max(shapely.union_all(outlines).area, 1e-12))
    return elements * (_PER_ELEMENT + _PER_LOOK * shared)


def captions_estimate(spec: PatchSpec, patches: int) -> Json:
    """Captions, tokens and money that captioning so many patches takes, if nothing is answered yet."""
    tasks, whole = expected_captions(spec, patches)
    return {"captions": sum(tasks.values()), **whole.as_json()}


def expected_captions(spec: PatchSpec, patches: int) -> tuple[dict[int, int], Captioning]:
    """How many captions of each task so many patches have, and what they take.

    Half of the patches are taken to be described by an area, and half by a line.
    """
    chances = spec.captions.revisions
    revisions = sum(number * chance for number, chance in chances.items()) / sum(chances.values())
    tasks = {1: patches // 2, 2: patches - patches // 2, 3: round(patches * revisions)}
    return tasks, estimate(tasks, spec.captions.annotators, spec.captions)
