"""Scenes in the manner of the middle of a city, and what captions of them, and of the older scenes, are about."""

from __future__ import annotations

from nutonic.chips.scene.description import SceneDescription, Task
from support.honest_captions import ABOUT
from support.lies_of_patches import BEGINNINGS
from support.scenes import FIELD, POND, RIVER, TASKS, area, line, point


def _scene(name: str, *elements) -> SceneDescription:
    return SceneDescription(patch_id=name, side_m=268.8, elements=elements)


#: Two residential areas at a curved coast, a pier, a park, a strip of scrub and a footpath.
QUAY = _scene(
    "quay",
    area("way/700", "residential area", "north", "centre", share=0.13, orientation="north to south",
         tags=(("landuse", "residential"),)),
    area("way/701", "residential area", "east", share=0.06, shape=None, cut=True, tags=(("landuse", "residential"),)),
    area("way/702", "park", "north-east", share=0.03, shape="elongated", orientation="east to west", cut=True,
         tags=(("leisure", "park"),)),
    area("way/703", "apartment building", "east", "south-east", share=0.02, shape="irregular", cut=True,
         tags=(("building", "apartments"),)),
    *(area(f"way/{710 + k}", "building", "north", share=0.01, shape="rectangular", tags=(("building", "yes"),))
      for k in range(3)),
    area("way/704", "apartment building", "centre", share=0.008, tags=(("building", "apartments"),)),
    area("way/709", "scrubland", "west", "north-west", share=0.006, shape="elongated", near=("way/705",),
         orientation="north-north-west to south-south-east", tags=(("natural", "scrub"),)),
    area("way/708", "pier", "south-east", "centre", share=0.005, shape="elongated", near=("way/706",),
         orientation="west-north-west to east-south-east", tags=(("man_made", "pier"),)),
    line("way/705", "coastline", None, "centre", "north-west", "west", "south-west", "south-east", length=365.0,
         course="curved", orientation="north-west to south-east", cut=True, near=("way/709", "way/706"),
         tags=(("natural", "coastline"),)),
    line("way/706", "footpath", ("west", "south-east"), "centre", "west", "south-east", length=207.0,
         course="slightly curved", orientation="west-north-west to east-south-east", cut=True,
         near=("way/705", "way/708"), tags=(("highway", "footway"), ("surface", "asphalt"))),
    line("way/707", "local road", ("north-west", "north"), "north", "north-west", length=99.0, course="slightly curved",
         orientation="east-north-east to west-south-west", tags=(("highway", "unclassified"), ("lanes", "2"))),
)  # fmt: skip

_SOUTH = ("west", "centre", "south-west", "south-east")

#: A park and a garden in the south, a pitch, a long coast in the north, a row of trees and a winding footpath.
PARKSIDE = _scene(
    "parkside",
    area("way/720", "park", "south", *_SOUTH, share=0.43, shape=None, cut=True, tags=(("leisure", "park"),)),
    area("way/721", "garden", "south", *_SOUTH, share=0.29, shape=None, cut=True, tags=(("leisure", "garden"),)),
    area("way/722", "sports pitch", "south-west", share=0.05, shape=None, cut=True, tags=(("leisure", "pitch"),)),
    area("way/723", "building", "south", "south-east", share=0.02, shape="elongated", orientation="east to west",
         tags=(("building", "yes"),)),
    area("way/724", "lawn", "centre", "west", "east", share=0.015, shape="elongated", cut=True,
         orientation="west-north-west to east-south-east", near=("way/725", "way/726"), tags=(("landuse", "grass"),)),
    area("way/727", "body of water", "south-east", share=0.001, tags=(("natural", "water"),)),
    line("way/728", "coastline", None, "centre", "north-west", "north", "north-east", "west", "east", length=423.0,
         course="slightly curved", orientation="west-north-west to east-south-east", cut=True,
         tags=(("natural", "coastline"),)),
    line("way/729", "footpath", ("south-west", "south-east"), "centre", "west", "south-west", "south", "south-east",
         length=329.0, course="winding", cut=True, tags=(("highway", "footway"),)),
    line("way/725", "sidewalk", ("north-west", "south-east"), "centre", "west", "east", length=291.0,
         course="slightly curved", orientation="west-north-west to east-south-east", cut=True,
         near=("way/724", "way/726"), tags=(("footway", "sidewalk"), ("highway", "footway"))),
    line("way/726", "tree row", ("west", "east"), "centre", "west", "east", length=255.0, course="slightly curved",
         orientation="west-north-west to east-south-east", cut=True, near=("way/725", "way/724"),
         tags=(("natural", "tree_row"),)),
)  # fmt: skip

#: A park with a tennis court, a pitch, a basin, two playgrounds, two cycle paths and two hedges.
COMMONS = _scene(
    "commons",
    area("way/740", "park", "centre", "north-west", "north", "north-east", "west", "east", "south", share=0.66,
         shape="irregular", cut=True, tags=(("leisure", "park"),)),
    area("way/743", "water basin", "west", share=0.04, shape="rectangular", orientation="north to south",
         tags=(("landuse", "basin"),)),
    area("way/747", "lawn", "centre", "west", share=0.03, orientation="east to west", near=("way/748",),
         tags=(("landuse", "grass"),)),
    area("way/741", "tennis court", "north", share=0.028, shape="rectangular",
         tags=(("leisure", "pitch"), ("sport", "tennis"))),
    area("way/742", "sports pitch", "north-east", share=0.02, tags=(("leisure", "pitch"),)),
    area("way/744", "playground", "north-east", share=0.006, tags=(("leisure", "playground"),)),
    area("way/745", "playground", "north-west", share=0.006, tags=(("leisure", "playground"),)),
    area("way/746", "school building", "east", share=0.006, shape=None, orientation="east to west", cut=True,
         tags=(("building", "school"),)),
    line("way/748", "cycle path", ("west", "east"), "centre", "west", "east", length=269.0, course="straight",
         orientation="east to west", cut=True, near=("way/747",), tags=(("highway", "cycleway"),)),
    line("way/749", "cycle path", ("north-west", "south-west"), "west", "north-west", "south-west", length=198.0,
         course="straight", orientation="north to south", cut=True, tags=(("highway", "cycleway"),)),
    *(line(f"way/{750 + k}", "hedge", ("west", "west"), "west", length=60.0, course="straight",
           orientation="north to south", tags=(("barrier", "hedge"),)) for k in range(2)),
)  # fmt: skip

#: A square commercial area, a lawn, eight railway tracks and two platforms in the east.
YARD = _scene(
    "yard",
    area("way/760", "commercial area", "centre", "west", "south-west", "south", share=0.096, shape="square",
         tags=(("landuse", "commercial"),)),
    area("way/761", "lawn", "north-west", "west", share=0.086, shape=None, cut=True, tags=(("landuse", "grass"),)),
    area("way/762", "commercial area", "north", "centre", share=0.037, shape="rectangular",
         orientation="north to south", tags=(("landuse", "commercial"),)),
    area("way/763", "building", "north", "centre", share=0.036, shape="rectangular", orientation="north to south",
         tags=(("building", "office"),)),
    area("way/764", "building", "centre", "south", share=0.031, shape="rectangular", orientation="north to south",
         tags=(("building", "yes"),)),
    area("way/765", "apartment building", "south", "south-west", share=0.007, shape="rectangular",
         tags=(("building", "apartments"),)),
    area("way/766", "apartment building", "centre", "west", share=0.006, shape="rectangular",
         tags=(("building", "apartments"),)),
    *(area(f"way/{767 + k}", "railway platform", "south-east", share=0.003, shape="elongated", cut=True,
           orientation="north to south", tags=(("railway", "platform"),)) for k in range(2)),
    line("way/780", "footpath", ("north", "south-west"), "west", "north-west", "south-west", length=275.0,
         course="curved", orientation="north to south", cut=True,
         tags=(("highway", "footway"), ("surface", "asphalt"))),
    line("way/781", "sidewalk", ("north", "south"), "centre", "north", "south", length=246.0, course="slightly curved",
         orientation="north to south", cut=True, tags=(("footway", "sidewalk"), ("highway", "footway"))),
    *(line(f"way/{770 + k}", "railway track", ("north-east", "south-east"), "east", "north-east", "south-east",
           length=241.0 - k, course="straight", orientation="north to south", cut=True,
           near=(f"way/{770 + (k ^ 1)}",), tags=(("railway", "rail"),)) for k in range(8)),
)  # fmt: skip

#: Four commercial areas, a park with trees, a pedestrian street, two tram tracks along a main road.
BLOCK = _scene(
    "block",
    area("way/804", "park", "north-west", share=0.11, shape="elongated", orientation="east to west", cut=True,
         tags=(("leisure", "park"),)),
    area("way/800", "commercial area", "west", "centre", share=0.092, shape="rectangular", orientation="east to west",
         near=("way/806", "way/807"), tags=(("landuse", "commercial"),)),
    area("way/801", "commercial area", "north-east", share=0.07, shape=None, cut=True, tags=(("landuse", "commercial"),)),
    area("way/802", "commercial area", "south", share=0.05, shape="rectangular", tags=(("landuse", "commercial"),)),
    area("way/803", "commercial area", "east", share=0.04, shape=None, cut=True, tags=(("landuse", "commercial"),)),
    *(area(f"way/{820 + k}", "building", cell, share=0.02, shape="irregular", tags=(("building", "yes"),))
      for k, cell in enumerate(("centre", "east", "south", "south-east", "west", "north-east"))),
    *(line(f"way/{808 + k}", "tram track", ("north-west", "north-east"), "north", "north-west", "north-east",
           length=262.0, course="straight", orientation="east to west", cut=True,
           near=(f"way/{809 - k}", "way/810"), tags=(("railway", "tram"),)) for k in range(2)),
    line("way/810", "main road", ("north-west", "north-east"), "north", "north-west", "north-east", length=262.0,
         course="slightly curved", orientation="east to west", cut=True, near=("way/808", "way/809"),
         tags=(("highway", "primary"), ("lanes", "3"))),
    line("way/806", "pedestrian street", ("north", "south"), "centre", "north", "south", length=180.0,
         course="straight", orientation="north to south", cut=True, near=("way/800",),
         tags=(("highway", "pedestrian"), ("surface", "cobblestone"))),
    line("way/807", "footpath", ("west", "centre"), "west", "centre", length=110.0, course="slightly curved",
         orientation="east to west", near=("way/800",), tags=(("highway", "footway"),)),
    *(point(f"node/{830 + k}", "tree", "north-west", tags=(("natural", "tree"),)) for k in range(12)),
)  # fmt: skip

#: A park with a church beside it, a small park, a school with its grounds, a path that is a ring, a tower.
SQUARE = _scene(
    "square",
    area("way/850", "park", "south", "centre", "east", share=0.24, shape="rectangular", near=("way/851", "way/859"),
         tags=(("leisure", "park"),)),
    area("way/853", "school ground", "north-west", "north", "west", share=0.044, shape="rectangular",
         tags=(("amenity", "school"),)),
    area("way/854", "school building", "north-west", "north", share=0.026, shape="irregular", near=("way/855",),
         tags=(("building", "school"),)),
    area("way/852", "park", "centre", share=0.023, shape="rectangular", tags=(("leisure", "park"),)),
    area("way/851", "church", "centre", share=0.013, near=("way/850",), tags=(("building", "church"),)),
    area("way/855", "parking lot", "north-west", share=0.007, shape=None, near=("way/854",),
         tags=(("amenity", "parking"), ("surface", "asphalt"))),
    area("way/857", "tower", "north", share=0.005, shape=None, cut=True, tags=(("building", "tower"),)),
    area("way/856", "playground", "south", share=0.004, tags=(("leisure", "playground"),)),
    line("way/859", "footpath", ("south-west", "south-east"), "south", "south-west", "south-east", length=189.0,
         course="slightly curved", orientation="east to west", near=("way/850",), tags=(("highway", "footway"),)),
    line("way/860", "service road", ("north", "west"), "centre", "north", "west", length=72.0, course="curved",
         tags=(("highway", "service"), ("surface", "cobblestone"))),
    line("way/858", "footpath", None, "centre", length=68.0, course="closed", tags=(("highway", "footway"),)),
)  # fmt: skip

_OLDER = {"pond": POND, "street": POND, "farmland": RIVER, "river": RIVER, "railway": RIVER, "pitch": FIELD}
#: What each caption is about, the scenes of the middle of a city besides the older ones.
UNHEARD = {
    **ABOUT,
    **{key: (scene, TASKS[key]) for key, scene in _OLDER.items()},
    "quay": (QUAY, Task(number=1, element="way/700")),
    "coast": (QUAY, Task(number=2, element="way/705")),
    "parkside": (PARKSIDE, Task(number=1, element="way/720")),
    "treerow": (PARKSIDE, Task(number=2, element="way/726")),
    "commons": (COMMONS, Task(number=1, element="way/740")),
    "cycle": (COMMONS, Task(number=2, element="way/748")),
    "yard": (YARD, Task(number=1, element="way/760")),
    "tracks": (YARD, Task(number=2, element="way/770")),
    "block": (BLOCK, Task(number=1, element="way/800")),
    "tram": (BLOCK, Task(number=2, element="way/808")),
    "square": (SQUARE, Task(number=1, element="way/850")),
    "ring": (SQUARE, Task(number=2, element="way/858")),
}
#: What is true of each scene, and comes before a lie.
BEFORE = {
    **BEGINNINGS,
    "quay": "A compact residential area covers about 13 percent of the picture in the north and centre.",
    "parkside": "A park covers about 43 percent of the picture, mostly in the south.",
    "commons": "A park covers about 66 percent of the picture, with a tennis court in the north.",
    "yard": "A square commercial area covers about 10 percent of the picture in the centre.",
    "block": "A rectangular commercial area covers about 9 percent of the picture in the west and centre.",
    "square": "A rectangular park covers about 24 percent of the picture in the south, close to a church.",
}
