"""What the tags of OpenStreetMap say of a thing itself: whether it is an area or a line, and whether it is anything.

What tags mean to the eye is another matter, and part of a recipe: :mod:`nutonic.recipe.texts`, ``tags``.
"""

from __future__ import annotations

from collections.abc import Mapping

Tags = Mapping[str, str]

#: What must be said wherever something is shown that was made of the map, and its licence.
ATTRIBUTION = "© OpenStreetMap contributors, Open Database License (ODbL) 1.0"

#: Keys that make an area of a closed way, whatever their value, but for "no" and the values beside them, which are lines.
#: After the rules by which OpenStreetMap's own tools tell areas, and those of the values that map makers draw as lines.
_AREAS: Mapping[str, frozenset[str]] = {
    **{
        key: frozenset()
        for key in (
            *("building", "building:part", "landuse", "amenity", "boundary", "place", "shop", "tourism", "office"),
            *("public_transport", "military", "ruins", "area:highway", "craft", "indoor"),
        )
    },
    "historic": frozenset({"citywalls"}),
    "leisure": frozenset({"track", "slipway"}),
    "golf": frozenset({"hole", "cartpath", "path"}),
    "natural": frozenset({"coastline", "cliff", "ridge", "arete", "tree_row", "valley", "gully", "earth_bank"}),
    "man_made": frozenset({"cutline", "embankment", "pipeline"}),
    "aeroway": frozenset({"taxiway", "taxilane", "parking_position", "jet_bridge"}),
}

#: Keys that make an area of a closed way with these values alone: a closed road or fence is a line around something.
_SOME_AREAS: Mapping[str, frozenset[str]] = {
    "highway": frozenset({"services", "rest_area", "escape", "elevator"}),
    "waterway": frozenset({"riverbank", "dock", "boatyard", "dam"}),
    "railway": frozenset({"station", "turntable", "roundhouse", "platform"}),
    "power": frozenset({"plant", "substation", "generator", "transformer"}),
}

#: Keys that tell of the mapping and not of the thing.
_OF_MAPPING = frozenset({"created_by", "source"})

#: Keys that make a relation an administrative one, or another that is only on paper.
_ON_PAPER = frozenset({"boundary", "admin_level"})


def is_area(tags: Tags) -> bool:
    """Whether a closed way with these tags is meant as an area; what is not closed is none, whatever its tags.

    ``area=yes`` and ``area=no`` decide; the value "no" of another key says nothing.
    """
    if (meant := tags.get("area")) is not None:
        return meant != "no"
    return any(_makes_area(key, value) for key, value in tags.items())


def _makes_area(key: str, value: str) -> bool:
    if value == "no":
        return False
    if key in _SOME_AREAS:
        return value in _SOME_AREAS[key]
    return key in _AREAS and value not in _AREAS[key]


def is_bare(tags: Tags) -> bool:
    """Whether the tags say nothing of a thing."""
    return _OF_MAPPING.issuperset(tags)


def is_drawn(tags: Tags) -> bool:
    """Whether a relation with these tags is an area on the ground: a multipolygon that is no boundary."""
    return tags.get("type") == "multipolygon" and not _ON_PAPER & tags.keys() and not is_bare(own_tags(tags))


def own_tags(tags: Tags) -> dict[str, str]:
    """The tags of a multipolygon without the one that says that it is one."""
    return {key: value for key, value in tags.items() if (key, value) != ("type", "multipolygon")}
