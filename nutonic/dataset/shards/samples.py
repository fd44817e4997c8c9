"""What a shard's JSON says of a patch: its captions as trainers read them, and beside them where all of it came from.

Every value has one type, whatever the patch: a loader that infers columns from the first samples (`datasets` does) reads
all the others too. So nothing is null: what is not known is an empty text, and numbers with a fraction always have one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from odc.geo.geobox import GeoBox

from nutonic._version import __version__
from nutonic.chips.scene.description import SceneDescription
from nutonic.core.catalogs import AERIAL, terms_of
from nutonic.core.grid import centre, crs_name, lonlat_bounds
from nutonic.core.model import Json, Split
from nutonic.errors import InputError
from nutonic.rows.annotation.values import Annotation, PatchCaptions

#: Whole numbers that every loader reads: Arrow's int64.
_MOST = 2**63


#: Side of a pixel, in metres, from which on pictures are satellites'; finer ones may be taken from aeroplanes as well.
_FROM_SPACE_M = 2.5


#: What pictures of satellites are called.
SATELLITE = "satellite image"


def kind_of_picture(collection: str, resolution_m: float) -> str:
    """What pictures of a collection are called, as far as it is known: ``aerial photograph``."""
    if collection in AERIAL:
        return "aerial photograph"
    known = terms_of(collection) is not None
    return SATELLITE if known or resolution_m >= _FROM_SPACE_M else "overhead image"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchImage:
    """A patch's picture, and what it is a part of."""

    patch_id: str
    image_name: str
    """What the picture is cut out of, as its provider calls it; no path."""
    scene: str
    """Id of the catalogue's item."""
    collection: str
    datetime: str | None
    """ISO 8601, UTC; None where the item does not tell."""
    grid: GeoBox
    """Of the patch, on its image's own lattice."""
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """By what all samples of a dataset were made."""

    osm_date: str | None
    """The day of the map, ISO 8601; None where an extract does not tell."""
    recipe_digest: str
    """SHA-256, hex."""
    version: str = __version__
    """Of nutonic."""


def content_of(image: PatchImage, described: SceneDescription, captions: PatchCaptions, made: Made) -> bytes:
    """The JSON document of a patch: ``metadata``, ``annotations`` and ``provenance``; no path, no machine, no clock.

    Raises
    ------
    InputError
        If the three speak of different patches; if there is no caption, one without a word, or one of an element that
        is not described; for a number that loaders could not hold.
    """
    _refuse(image, described, captions)
    value = {
        "metadata": {"patch_id": image.patch_id, "image_name": image.image_name},
        "annotations": [annotation.row() for annotation in captions.annotations],
        "provenance": {
            "image": _image(image),
            "osm": {"date": made.osm_date or "", "elements": list(_elements(described, captions))},
            "annotations": [trace_of(annotation, described) for annotation in captions.annotations],
            "recipe_digest": made.recipe_digest,
            "nutonic_version": made.version,
        },
    }
    try:
        return orjson.dumps(value)
    except TypeError as error:  # half a character, or a number beyond 64 bits
        raise InputError(f"patch {image.patch_id} cannot be written as JSON: {error}") from None


def trace_of(annotation: Annotation, described: SceneDescription) -> Json:
    """Where a caption came from, and all elements of the map that the thing is which it describes.

    Templates draw nothing: their model is an empty text, and their temperature 0.
    """
    trace = annotation.trace()
    model, temperature = annotation.model or "", float(annotation.temperature or 0.0)
    elements = [key for key, _ in described.of(annotation.task.element).traced]
    return {**trace, "elements": elements, "model": model, "temperature": temperature}


def _refuse(image: PatchImage, described: SceneDescription, captions: PatchCaptions) -> None:
    ids = {image.patch_id, described.patch_id, captions.patch_id}
    if len(ids) > 1:
        raise InputError(f"a picture, a description and captions of different patches: {', '.join(sorted(ids))}")
    if not captions.annotations:
        raise InputError(f"patch {image.patch_id} has no caption: it belongs in no shard")
    known = {element.element for element in described.elements}
    for annotation in captions.annotations:
        if not annotation.text.strip():
            raise InputError(f"patch {image.patch_id} has a caption without a word, by {annotation.annotator!r:.60}")
        if annotation.task.element not in known:
            raise InputError(
                f"a caption of patch {image.patch_id} is about {annotation.task.element!r:.60}, which is not described"
            )
        if not -_MOST <= annotation.seed < _MOST:
            raise InputError(f"a caption of patch {image.patch_id} has the seed {annotation.seed}, beyond 64 bits")


def _image(image: PatchImage) -> Json:
    longitude, latitude = centre(image.grid)
    return {
        "scene": image.scene,
        "collection": image.collection,
        "datetime": image.datetime or "",
        "crs": crs_name(image.grid),
        "transform": [float(value) for value in list(image.grid.affine)[:6]],
        "bbox_wgs84": [round(float(value), 7) for value in lonlat_bounds(image.grid)],
        "longitude": round(longitude, 7),
        "latitude": round(latitude, 7),
        "resolution": abs(float(image.grid.affine.a)),
        "split": image.split,
    }


def _elements(described: SceneDescription, captions: PatchCaptions) -> Iterator[Json]:
    """The elements that captions speak of, each once, in the order of the description; all of which a thing has."""
    spoken = {annotation.task.element for annotation in captions.annotations}
    told = dict[str, int]()
    for element in described.elements:
        if element.element in spoken:
            told.update(element.traced)
    for key, version in told.items():
        kind, _, number = key.partition("/")
        yield {"type": kind, "id": int(number), "version": version}
