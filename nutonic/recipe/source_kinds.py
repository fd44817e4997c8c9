"""Kinds of sources: what `source` says in a recipe, and the class that it means. A line here registers a source."""

from __future__ import annotations

#: By part of a recipe and kind: the class that serves it. Imported when first used; its class method ``from_recipe``
#: takes what the recipe says of it, a :class:`nutonic.sources.source.Settings`.
SOURCES: dict[tuple[str, str], str] = {
    ("imagery", "stac"): "nutonic.sources.stac.imagery:StacSource",
    ("imagery", "earthengine"): "nutonic.sources.earthengine.imagery:EarthEngineImagery",
    ("labels", "raster"): "nutonic.sources.raster:RasterSource",
    ("labels", "stac"): "nutonic.sources.stac.labels:StacLabels",
    ("labels", "earthengine"): "nutonic.sources.earthengine.labels:EarthEngineLabels",
}

#: By the same: the keys that a recipe must say there; one without a line here can do without any.
NEEDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("imagery", "stac"): ("url",),
    ("labels", "raster"): ("path",),
    ("labels", "stac"): ("url", "collection", "asset"),
    ("labels", "earthengine"): ("collection", "band"),
}


def refuse_missing(part: str, kind: str, said: object) -> None:
    """Raise a ValueError if a part of a recipe leaves out a key that its kind of source needs."""
    if missing := [key for key in NEEDED.get((part, kind), ()) if getattr(said, key) is None]:
        raise ValueError(f"needs {', '.join(missing)} where source is {kind}")


def known_kind(part: str, kind: str) -> str:
    """The kind itself, if a part of a recipe can have it; a ValueError names those there are."""
    if (part, kind) not in SOURCES:
        kinds = sorted(known for where, known in SOURCES if where == part)
        raise ValueError(f"is {kind!r}, not one of {', '.join(kinds)}")
    return kind
