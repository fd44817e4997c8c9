"""Patches of six kinds of land, and what models may well say of them: each sentence follows from what is described.

Written before the words of the gate were, in the manner of several models; a test tells how many are let through.
"""

from __future__ import annotations

from nutonic.chips.scene.description import SceneDescription, Task
from support.scenes import area, line, revision

_ALL = ("north-west", "north", "north-east", "west", "east", "south-west", "south", "south-east")


def _scene(name: str, *elements) -> SceneDescription:
    return SceneDescription(patch_id=name, side_m=268.8, elements=elements)


_HOUSE = {"share": 0.003, "shape": "rectangular", "tags": (("building", "detached"),)}
_CELLS = ("north-west", "north", "north-east", "west", "centre", "east", "south-west", "south")

#: Houses along two streets, a park in the south-east and two pools in the north.
SUBURB = _scene(
    "suburb",
    area("way/100", "residential area", "centre", *_ALL, share=0.72, shape="irregular", cut=True,
         tags=(("landuse", "residential"),)),
    area("way/101", "park", "south-east", "south", share=0.09, shape="rectangular", near=("way/110",),
         orientation="east to west", tags=(("leisure", "park"),)),
    *(area(f"way/{120 + k}", "detached house", cell, **_HOUSE) for k, cell in enumerate(_CELLS)),
    area("way/102", "swimming pool", "north", share=0.001, shape="rectangular", tags=(("leisure", "swimming_pool"),)),
    area("way/103", "swimming pool", "north", share=0.001, shape="compact", tags=(("leisure", "swimming_pool"),)),
    line("way/110", "residential street", ("north-west", "south-east"), "centre", "north-west", "south-east", length=332.0,
         course="curved", orientation="north-west to south-east", cut=True, near=("way/101",),
         tags=(("highway", "residential"), ("sidewalk", "both"), ("surface", "asphalt"))),
)  # fmt: skip

#: A golf course with two fairways, three bunkers, a pond, a wood and a winding path.
GOLF = _scene(
    "golf",
    area("way/200", "golf course", "centre", *_ALL, share=0.81, shape="irregular", cut=True,
         tags=(("leisure", "golf_course"),)),
    area("way/201", "golf fairway", "west", "south-west", share=0.14, shape="elongated", orientation="north to south",
         tags=(("golf", "fairway"),), near=("way/203",)),
    area("way/202", "golf fairway", "east", "north-east", share=0.12, shape="elongated",
         orientation="north-east to south-west", tags=(("golf", "fairway"),)),
    area("way/207", "wood", "south-east", "south", share=0.11, shape="irregular", tags=(("natural", "wood"),)),
    area("way/206", "pond", "north-west", share=0.05, shape="compact", tags=(("natural", "water"), ("water", "pond"))),
    *(area(f"way/{203 + k}", "sand bunker", cell, share=0.004, tags=(("golf", "bunker"),))
      for k, cell in enumerate(("west", "centre", "east"))),
    line("way/208", "golf cart path", ("north-west", "south"), "west", "north-west", "centre", "south", length=242.0,
         course="winding", orientation="north-north-west to south-south-east", tags=(("golf", "cartpath"),)),
)  # fmt: skip

#: A warehouse with a parking lot, four round tanks, a railway track along the north and a service road.
INDUSTRY = _scene(
    "industry",
    area("way/300", "industrial area", "centre", *_ALL, share=0.64, shape="rectangular", cut=True,
         tags=(("landuse", "industrial"),)),
    area("way/301", "warehouse", "centre", "west", share=0.13, shape="rectangular", orientation="east to west",
         near=("way/302", "way/311"), tags=(("building", "warehouse"),)),
    area("way/302", "parking lot", "south", share=0.08, shape="rectangular", near=("way/301",),
         tags=(("amenity", "parking"), ("surface", "asphalt"))),
    *(area(f"way/{303 + k}", "storage tank", "east", share=0.003, shape="round", tags=(("man_made", "storage_tank"),))
      for k in range(4)),
    line("way/310", "railway track", ("north-west", "north-east"), "north", "north-west", "north-east", length=269.0,
         course="straight", orientation="east to west", cut=True, tags=(("railway", "rail"),)),
    line("way/311", "service road", ("west", "east"), "centre", "west", "east", length=271.0, course="slightly curved",
         orientation="east to west", cut=True, near=("way/301",), tags=(("highway", "service"),)),
)  # fmt: skip

#: Two fields, an orchard, a farmyard with two barns, a gravel track and a straight hedge.
FARM = _scene(
    "farm",
    area("way/400", "field", "west", "north-west", "south-west", share=0.44, shape="rectangular",
         orientation="north to south", cut=True, near=("way/411",), tags=(("crop", "wheat"), ("landuse", "farmland"))),
    area("way/401", "field", "east", "north-east", share=0.28, shape="irregular", cut=True, tags=(("landuse", "farmland"),)),
    area("way/402", "orchard", "south-east", "south", share=0.09, shape="rectangular", tags=(("landuse", "orchard"),)),
    area("way/403", "farmyard", "centre", share=0.04, shape="irregular", tags=(("landuse", "farmyard"),)),
    area("way/404", "barn", "centre", share=0.006, shape="rectangular", tags=(("building", "barn"),)),
    area("way/405", "barn", "centre", share=0.005, shape="rectangular", tags=(("building", "barn"),)),
    line("way/411", "hedge", ("north", "south"), "centre", "north", "south", length=252.0, course="straight",
         orientation="north to south", near=("way/400",), tags=(("barrier", "hedge"),)),
    line("way/410", "dirt track", ("south", "centre"), "centre", "south", length=142.0, course="curved",
         orientation="north to south", cut=True, near=("way/403", "way/402"),
         tags=(("highway", "track"), ("surface", "gravel"))),
)  # fmt: skip

#: Water over half of the picture, with a marina, three piers, a beach, a parking lot and a winding footpath.
SHORE = _scene(
    "shore",
    area("way/500", "body of water", "south", "south-west", "south-east", "centre", share=0.47, shape="irregular", cut=True,
         near=("way/506", "way/510"), tags=(("natural", "water"),)),
    area("way/501", "marina", "south-east", share=0.1, shape="irregular", tags=(("leisure", "marina"),)),
    area("way/505", "parking lot", "north-east", share=0.05, shape="rectangular", tags=(("amenity", "parking"),)),
    area("way/506", "beach", "west", "south-west", share=0.03, shape="elongated", orientation="east to west",
         near=("way/500",), tags=(("natural", "beach"), ("surface", "sand"))),
    *(area(f"way/{502 + k}", "pier", "south-east", share=0.003, shape="elongated", orientation="north to south",
           tags=(("man_made", "pier"),)) for k in range(3)),
    line("way/510", "footpath", ("west", "east"), "centre", "west", "east", length=304.0, course="winding",
         orientation="east to west", cut=True, near=("way/500",), tags=(("highway", "footway"),)),
)  # fmt: skip

#: Two carriageways of a motorway, a ramp, a road over a bridge, a forest and a meadow.
MOTORWAY = _scene(
    "motorway",
    area("way/605", "meadow", "south-east", "east", "south", share=0.25, shape="irregular", cut=True,
         tags=(("landuse", "meadow"),)),
    area("way/604", "forest", "north-west", "north", "west", share=0.22, shape="irregular", cut=True,
         tags=(("landuse", "forest"),)),
    line("way/603", "minor road", ("north-west", "south-east"), "centre", "north-west", "south-east", length=381.0,
         course="straight", orientation="north-west to south-east", cut=True,
         tags=(("bridge", "yes"), ("highway", "tertiary"), ("lanes", "2"))),
    *(line(f"way/{600 + k}", "motorway", ("south-west", "north-east"), "centre", "south-west", "north-east",
           length=375.0 + k, course="slightly curved", orientation="north-east to south-west", cut=True,
           near=(f"way/{601 - k}",), tags=(("highway", "motorway"), ("lanes", "3"), ("surface", "asphalt")))
      for k in range(2)),
    line("way/602", "motorway ramp", ("centre", "east"), "centre", "east", length=152.0, course="curved",
         orientation="east to west", cut=True, near=("way/605",), tags=(("highway", "motorway_link"),)),
)  # fmt: skip

#: Scenes by name, and what each caption is about.
SCENES = {each.patch_id: each for each in (SUBURB, GOLF, INDUSTRY, FARM, SHORE, MOTORWAY)}
ABOUT = {
    "suburb": (SUBURB, Task(number=1, element="way/100")),
    "green": (SUBURB, Task(number=1, element="way/101")),
    "crescent": (SUBURB, Task(number=2, element="way/110")),
    "golf": (GOLF, Task(number=1, element="way/200")),
    "fairway": (GOLF, Task(number=1, element="way/201")),
    "cart": (GOLF, Task(number=2, element="way/208")),
    "works": (INDUSTRY, Task(number=1, element="way/300")),
    "warehouse": (INDUSTRY, Task(number=1, element="way/301")),
    "lot": (INDUSTRY, Task(number=1, element="way/302")),
    "rail": (INDUSTRY, Task(number=2, element="way/310")),
    "field": (FARM, Task(number=1, element="way/400")),
    "orchard": (FARM, Task(number=1, element="way/402")),
    "hedge": (FARM, Task(number=2, element="way/411")),
    "track": (FARM, Task(number=2, element="way/410")),
    "bay": (SHORE, Task(number=1, element="way/500")),
    "beach": (SHORE, Task(number=1, element="way/506")),
    "promenade": (SHORE, Task(number=2, element="way/510")),
    "motorway": (MOTORWAY, Task(number=2, element="way/600")),
    "ramp": (MOTORWAY, Task(number=2, element="way/602")),
    "over": (MOTORWAY, Task(number=2, element="way/603")),
    "wood": (MOTORWAY, Task(number=1, element="way/604")),
}  # fmt: skip
REVISED = {key: revision(task) for key, (_, task) in ABOUT.items()}

_TOLD = """
suburb | A residential area takes up about 72 percent of the picture, spreading into every part of it. Detached houses
are dotted along a curved street.

suburb | Roughly 72% of this aerial view is residential, with detached houses arranged along a curved street and a
rectangular park in the south-east.

suburb | The scene is dominated by a residential neighbourhood that extends beyond the frame; eight detached houses
and two swimming pools can be made out.

suburb | Nearly three quarters of the image is a residential area of irregular outline. A park lies in its south-
eastern corner.

suburb | Houses, each a simple rectangle, are scattered through a large residential area that continues past the edges
of the image.

suburb | This overhead image shows a suburban neighborhood: detached homes, a curving residential street and, toward
the southeast, a rectangular park.

suburb | Most of the picture is given over to housing. Two swimming pools lie in the north, and a park occupies the
south-east.

suburb | An irregularly shaped residential area covers nearly three-quarters of the frame, crossed diagonally by a
curved street.

suburb | The residential area fills the centre and reaches every side of the picture. Its houses are small compared
with the park.

suburb | Within the residential area, a street bends from the north-west to the south-east, with houses on both sides
of the picture.

green | A rectangular park lies in the south-east of the image and covers about 9 percent of it, next to a residential
street.

green | The park occupies the southeastern corner, extending into the south. It is rectangular and stretches from east
to west beside a curved street.

green | In the lower right, a park of about 6,500 square metres provides open green space among the surrounding
houses.

green | A modest rectangular park takes up less than a tenth of the view, near the end of a curved residential street
in the south-east.

green | The rectangular outline of the park contrasts with the irregular residential area around it.

crescent | A curved residential street runs from the north-west to the south-east for about 330 metres, passing
through the centre.

crescent | The street sweeps diagonally across the view from the upper left to the lower right, with sidewalks on both
sides and an asphalt surface.

crescent | The residential street is paved with asphalt and follows a single broad curve of some 330 m from northwest
to southeast.

crescent | A paved street with sidewalks curves through the middle of a residential area, leading from the northwest
corner to the park in the southeast.

crescent | About 332 metres of a residential street are visible. It curves through the centre and continues beyond the
edges of the image.

crescent | The residential street traces a gentle curve between the north-western and south-eastern corners, bordered
by detached houses and a park.

crescent | An asphalt street forms a smooth arc through the neighbourhood, connecting the upper left corner with the
lower right corner.

golf | A golf course spreads over about 81 percent of the picture, with two elongated fairways, three sand bunkers and
a pond in the north-west.

golf | The golf course dominates the scene, reaching all parts of it. A winding cart path threads through its middle,
and a wood borders it in the southeast.

golf | Covering roughly four fifths of the view, the golf course is irregular in shape and extends past the image
boundaries.

golf | Two fairways, one in the west and one in the east, belong to a golf course that takes up most of the image.

golf | This golf course features a compact pond in the upper left, sand bunkers near the fairways and a patch of
woodland in the lower right.

golf | Smoothly shaped fairways, scattered bunkers and a small pond make up the golf course, which fills about 80
percent of the frame.

golf | The golf course is large, about 5.9 hectares within the picture. Woods lie in the south-east, and a pond in the
north-west.

golf | An expansive golf course stretches across the whole scene, from the pond in the north-west to the wooded corner
in the south-east.

fairway | An elongated golf fairway runs from north to south in the western part of the image, covering about 14
percent of it.

fairway | In the west lies a long fairway, oriented north to south, with a sand bunker close by.

fairway | The fairway stretches along the western side and reaches into the south-west. It takes up around 10,000
square meters, or 14% of the view.

fairway | Elongated and lying lengthwise from north to south, the fairway occupies the left side of the picture,
beside a sand bunker.

fairway | A strip of fairway takes up about one seventh of the image. A bunker lies next to it in the west.

cart | A golf cart path winds from the north-west to the south over about 240 metres, crossing the western and central
parts of the image.

cart | The narrow cart path meanders through the golf course, starting near the pond in the northwest and ending in
the south.

cart | Twisting gently between the fairways, the cart path leads from the upper left corner to the bottom of the
picture.

cart | Roughly 242 m of a winding golf cart path are in view; it passes through the centre on its way south.

cart | The path follows a serpentine course across the golf course, linking the north-western corner with the southern
edge.

works | An industrial area covers about 64 percent of the image and reaches all of its sides. A large warehouse stands
in the centre.

works | The industrial site is roughly rectangular and takes up almost two thirds of the picture, with storage tanks
in the east and a parking lot in the south.

works | A rectangular industrial zone of about 4.6 hectares extends beyond the frame. Four round storage tanks stand
in a cluster in the east.

works | Warehouse, parking lot and tanks make up this industrial area, which is bounded by a railway track in the
north.

works | Much of the view is industrial land. A warehouse sits in its centre, a service road passes through it, and a
track runs along the north.

works | The industrial complex fills a large share of the frame, its buildings and paved areas arranged around a
service road.

warehouse | A large rectangular warehouse occupies the centre and west of the picture, about 13 percent of it, with
its longer sides running east to west.

warehouse | The warehouse, some 9,400 square metres in size, stands next to an asphalt parking lot and a service road.

warehouse | At the heart of the image sits a rectangular warehouse. South of it lies a parking lot, and to the east
are four round storage tanks.

warehouse | Oriented from east to west, the elongated footprint of the warehouse takes up 13% of the scene.

warehouse | A single large warehouse stands out in the middle of the industrial area, bordered on the south by a
rectangular parking lot.

warehouse | The building is a warehouse with a simple rectangular plan, roughly one eighth of the view in extent. A
service road runs close to it.

lot | A rectangular parking lot with an asphalt surface lies in the south and covers about 8 percent of the picture.

lot | The parking lot is paved with asphalt and situated directly beside the warehouse, on the southern side of the
view.

lot | An asphalt lot of about 5,800 square metres occupies the bottom of the image, adjacent to a large warehouse.

lot | Flat and rectangular, the parking lot fills roughly 8% of the frame at its southern edge, near a warehouse.

rail | A straight railway track runs along the north of the image from west to east, about 270 metres of it.

rail | The railway track crosses the upper part of the picture in a straight line, leaving it on both sides.

rail | Running horizontally along the northern edge, a single railway track of about 269 m marks the border between
the industrial area and the edge of the view.

rail | From the north-west corner to the north-east corner, a railway track passes in a perfectly straight line.

rail | The track is straight, roughly 270 metres long within the frame, and continues beyond it at either end. A
warehouse stands to its south.

field | A rectangular field covers about 44 percent of the picture in the west, stretching from north to south along a
straight hedge.

field | The western part of the image is taken up by a large field planted with wheat. It is rectangular and goes on
beyond the edge.

field | This field of wheat fills nearly half of the view. A hedge marks its boundary, and a farmyard with two barns
lies in the centre.

field | A broad rectangular field lies on the left-hand side, about 3.2 hectares of it within the picture. Another
field is in the east.

field | The larger of two fields occupies the west, its long sides aligned north to south. The smaller one is in the
east.

field | Agricultural land dominates here: a rectangular field in the west, an irregular one in the east and an orchard
in the south-east.

field | The field in the west is bordered by a hedge that runs from north to south through the centre of the image.

field | Wheat covers the western field, which accounts for about 44% of the scene, while a farmyard sits in the
centre.

orchard | A rectangular orchard lies in the south-east and reaches into the south, about 9 percent of the view.

orchard | The orchard takes up a small, rectangular piece of land in the lower right corner, near a gravel track.

orchard | Rows of fruit trees are to be expected in the rectangular orchard, which lies in the southeast next to a
curved track.

orchard | With about 6,500 square metres, the orchard is smaller than either of the two fields. It lies in the south-
east.

hedge | A straight hedge runs from the north to the south of the picture, about 250 metres long, alongside a large
field.

hedge | The hedge forms a thin, straight line down the middle of the image, dividing the view from north to south.

hedge | Extending vertically through the centre, the hedge borders a rectangular field in the west and measures around
252 m.

hedge | A long hedge separates the western field from the rest of the scene. It is perfectly straight and runs from
north to south.

hedge | Roughly 250 metres of hedge can be followed in a straight line from the northern part to the southern part of
the view.

track | A curved dirt track with a gravel surface leads from the south to the farmyard in the centre, about 140 metres
long.

track | The track enters the picture from the south and bends toward the centre, where it reaches the farmyard and its
two barns.

track | An unpaved gravel track of some 142 m curves past the orchard on its way to the middle of the view.

track | Coming from the bottom of the image, a gravel track curves gently to the farmyard. An orchard lies close to
it.

track | The gravel track provides access to the farmyard. It is curved, about 140 metres in length, and continues
beyond the southern edge.

bay | A body of water covers about 47 percent of the picture, mainly in the south. Its outline is irregular, and a
beach lies beside it in the west.

bay | Nearly half of the scene is water. It fills the south and reaches the centre, with a marina and three piers in
the south-east.

bay | The water extends beyond the frame in the south. A winding footpath follows the shore, and a sandy beach lies in
the west.

bay | An irregular stretch of open water dominates the southern half of the image, bordered by a narrow beach and a
footpath.

bay | Water occupies the lower part of the view, around 3.4 hectares of it, while a marina with piers takes up the
lower right corner.

bay | The large body of water contrasts with the land to its north, where there are a footpath and a parking lot.

bay | Along the water's edge lie a beach in the west and a marina in the south-east, where three piers extend from
north to south.

beach | An elongated beach stretches from east to west in the western part of the picture, beside a large body of
water.

beach | The narrow strip of sand lies between the land and the water, covering about 3 percent of the image.

beach | A sandy beach of some 2,200 square metres borders the water in the west and the south-west.

beach | In the west, a slim beach runs along the shoreline. It is elongated and takes up only a small part of the
frame.

promenade | A winding footpath leads from west to east through the centre for about 300 metres, close to the water.

promenade | The footpath meanders along the shore from the left side of the image to the right side, and continues
beyond both.

promenade | Roughly 304 m of footpath wind through the picture, following the edge of a large body of water.

promenade | A pedestrian path twists from the western edge to the eastern edge, with water to the south and a parking
lot in the north-east.

promenade | Its many bends take the footpath through the middle of the view, near a beach in the west and a marina in
the south-east.

motorway | A slightly curved motorway with three lanes crosses the picture from the south-west to the north-east,
about 375 metres of it.

motorway | The motorway runs diagonally from the lower left corner to the upper right corner, its asphalt surface
three lanes wide.

motorway | Two motorway carriageways lie side by side, passing through the centre of the image from southwest to
northeast.

motorway | A wide, gently curving motorway cuts through the scene, with a forest in the north-west and a meadow in the
south-east.

motorway | Over roughly 375 m the motorway sweeps from the bottom left to the top right. A minor road crosses it on a
bridge.

motorway | The three-lane motorway bends slightly as it passes through the centre, where a curved ramp branches off to
the east.

motorway | The motorway is the main feature of the view and extends beyond it at both ends. Forest lies to the
northwest of it.

ramp | A curved motorway ramp of about 150 metres leads from the centre to the east, next to a meadow.

ramp | The ramp curves away from the centre and leaves the picture in the east. A meadow spreads beside it.

ramp | Branching off near the centre, the ramp bends towards the eastern edge, some 152 metres in length.

ramp | A motorway ramp follows a curve between the centre and the eastern side of the image, close to an irregular
meadow.

over | A straight minor road runs from the north-west to the south-east, about 380 metres long, and is carried by a
bridge.

over | The minor road has two lanes and crosses the motorway on a bridge in the centre of the picture.

over | Cutting diagonally across the scene, a straight two-lane road connects the forest in the northwest with the
meadow in the southeast.

over | From the upper left to the lower right corner a road passes straight through the centre, over a bridge, for
some 381 metres.

over | The road is straight throughout and leaves the view at both ends. A motorway passes beneath its bridge.

wood | A forest of irregular shape covers about 22 percent of the picture in the north-west, and goes on beyond the
edge.

wood | The northwestern corner is densely wooded. The forest extends to the north and the west and takes up over a
fifth of the image.

wood | Trees fill the upper left of the view, an irregular forest of about 1.6 hectares. A straight road begins there.

wood | The forest stands in contrast to the open meadow in the south-east, which is slightly larger.

wood | Forest occupies the north-west, roughly 22% of the frame, while two motorway carriageways run through the
centre.
"""

_WHOLE = """
suburb | The image depicts a residential area that occupies approximately 72% of the frame, spanning all of its
sections. Its outline is irregular and it extends beyond the edges of the image. Detached houses are distributed
throughout, and a curved residential street runs diagonally from the northwest to the southeast. Two swimming pools
can be identified in the north.

suburb | Seen from above, a large residential neighborhood spreads across the view. It accounts for nearly three
quarters of the visible area and has an irregular shape. Individual detached houses with rectangular footprints line
the surroundings of a curved street, while a rectangular park adds a patch of greenery in the southeastern portion of
the scene.

green | Located in the southeastern part of the image, a rectangular park covers roughly 9 percent of the view. It is
elongated in an east-west direction and extends into the southern section. A curved residential street passes close
by, and several detached houses are scattered around, forming part of the larger residential area that surrounds the
park.

crescent | A curved residential street crosses the image from the northwest to the southeast, with a total visible
length of about 330 meters. Its surface is asphalt and there are sidewalks on both sides. The street passes through
the center of the picture, continues beyond its borders and runs near a rectangular park in the southeast.

crescent | The residential street shown here takes a curved course between the upper left and the lower right of the
picture. Some 332 metres of it are visible. It is surfaced with asphalt, has sidewalks along both of its sides and
passes through the middle of an extensive residential area made up of detached houses.

golf | This aerial image is dominated by a golf course, which occupies about 81% of the frame and extends in every
direction. Two elongated fairways are visible, one on the western side and one on the eastern side. Three sand bunkers
are spread between them, and a compact pond sits in the northwestern corner of the image.

golf | A golf course of irregular shape spreads across nearly the whole scene and continues past its edges. A winding
cart path leads through it from the northwest to the south. In the southeast, an area of wood provides contrast to the
open fairways, while a pond is found at the opposite end, in the northwest.

fairway | The golf fairway lies in the western part of the picture and reaches into its south-western corner. It is
elongated in shape, runs from north to south and covers approximately 14 percent of the view. One of three sand
bunkers is located directly beside it. A second fairway is visible on the eastern side of the course.

cart | A golf cart path follows a winding route through the image, beginning in the northwest and ending in the south
after about 240 meters. Along the way it passes through the western and central sections. The path lies within a large
golf course with two fairways, several bunkers, a pond in the northwest and woodland in the southeast.

works | The picture shows an industrial area which takes up roughly 64 percent of the view and has a rectangular
outline that continues outside the frame. Its most prominent structure is a large warehouse in the centre. A parking
lot lies to the south of it, and a group of four circular storage tanks stands in the east.

warehouse | A rectangular warehouse sits in the center of the image and extends toward the west. It covers
approximately 13% of the frame, which corresponds to around 9,400 square meters, and is oriented from east to west. An
asphalt parking lot lies immediately to the south, and a slightly curved service road passes close to the building.

warehouse | The large building in the middle of the scene is a warehouse with a rectangular footprint, its longer axis
running from east to west. It occupies about one eighth of the picture. To its south there is a rectangular parking
lot, four storage tanks stand farther east, and a railway track forms the northern limit of the view.

lot | In the southern part of the image lies a rectangular parking lot, covering about 8 percent of the total area, or
some 5,800 square metres. Its surface consists of asphalt. Directly beside it, towards the centre, stands a large
rectangular warehouse, and a service road runs from west to east a little farther north.

rail | A railway track runs in a straight line along the northern edge of the image, from the northwest corner to the
northeast corner. About 269 meters of the track are visible, and it extends beyond the picture on both sides. To the
south of the track lies a large industrial area with a warehouse and storage tanks.

field | The western side of the picture is occupied by a rectangular field that takes up around 44 percent of the
view. It stretches from north to south, is planted with wheat and continues beyond the western edge of the image. A
straight hedge lies along it, and a farmyard with two barns can be seen in the centre.

field | Covering roughly 44% of the image, a large field extends over the northwest, west and southwest. The field is
rectangular, and its crop is wheat. Next to it runs a long straight hedge. Other parts of the scene include a second,
irregular field in the east, a small farmyard and an orchard in the southeast.

orchard | A rectangular orchard can be found in the southeastern corner of the picture, extending along the southern
edge. It covers about 9 percent of the image. A curved gravel track runs close to the orchard on its way to a farmyard
in the centre, and large open fields take up most of the remaining land.

hedge | A hedge crosses the picture in a straight line from the north to the south, passing through the centre over a
length of about 250 metres. It runs along a large rectangular field on its western side. On the other side of the
hedge lie another field and, further south, a rectangular orchard of modest size.

track | A dirt track with a gravel surface enters the image at the southern edge and curves northwards to the centre,
where it meets a farmyard. Its visible length is approximately 140 meters. An orchard lies close to the track in the
southeast, and fields spread out on both the western and the eastern sides of the view.

bay | A large, irregularly shaped body of water fills the southern half of the image, covering approximately 47
percent of the scene and extending into the centre. It continues beyond the southern edge. A winding footpath follows
its shore, an elongated sandy beach lies in the west, and a marina with three piers is situated in the southeast.

bay | Water makes up almost half of this view. It stretches across the southwest, south and southeast and reaches as
far as the center, where a winding footpath runs alongside it. The shoreline is irregular. In the lower right corner,
a marina with three elongated piers can be seen, and a parking lot is located in the northeast.

beach | An elongated sandy beach lies in the western part of the picture, running from east to west along the edge of
a large body of water. It covers only about 3 percent of the image, or around 2,200 square metres. A winding footpath
passes through the centre of the view, and a marina lies in the southeast.

promenade | A winding footpath runs across the image from the west to the east, passing through the centre and
covering a distance of about 300 metres. It keeps close to a large body of water that takes up the southern part of
the view. A beach lies at its western end, and a parking lot can be seen in the northeast.

motorway | A motorway with three lanes and an asphalt surface runs diagonally through the image, from the southwest
corner to the northeast corner. It is slightly curved, and roughly 375 meters of it are visible. A second carriageway
runs parallel to it. A straight minor road crosses the motorway on a bridge near the centre of the image.

motorway | The slightly curving motorway is the most striking feature of this scene. Its two carriageways pass side by
side from the lower left to the upper right, each with three lanes of asphalt. A forest borders the view in the
northwest, a meadow lies in the southeast, and a ramp leads away from the centre towards the east.

ramp | The motorway ramp starts in the centre of the picture and follows a curved line to the east, where it continues
outside the frame. It is about 150 metres long. The ramp lies near an irregular meadow, which takes up about a quarter
of the image, and it is connected with a motorway of two carriageways.

over | A straight minor road with two lanes cuts across the picture from the northwest to the southeast, with a
visible length of about 381 meters. It passes over a motorway on a bridge in the centre. The road begins beside a
forest in the northwest and ends in an area of meadow that covers the southeast of the view.

wood | A dense forest of irregular shape occupies the northwestern corner of the image and extends along its northern
and western edges. It accounts for about 22 percent of the view and continues beyond the frame. The forest is
separated from a large meadow in the southeast by a motorway, which runs diagonally through the centre of the scene.

wood | The forest lies in the north-west of the picture, where it covers a little more than a fifth of the ground. Its
edges are irregular. A straight minor road leads away from it through the centre, and a slightly curved motorway
crosses from the southwest to the northeast. Open meadow is found on the opposite side.

pond | The most notable element of this image is an irregular body of water in its northwestern part, which covers
about 23% of the scene. A forest lies close to it on the eastern side. In the south, a straight residential street
with an asphalt surface extends along the whole width of the picture, with three small buildings nearby.

pond | Situated in the upper left portion of the frame, the pond has an irregular outline and extends over roughly
16,600 square metres. It is by far the largest feature of the picture. A smaller area of forest lies in the east, and
a residential street with two lanes follows the southern edge of the view.

street | A two-lane residential street with an asphalt surface runs in a straight line along the southern edge of the
picture, from the southwest corner to the southeast corner. Roughly 269 metres of it are visible, and it continues on
either side. Three buildings stand near the street, while a body of water and a forest lie farther north.

street | The residential street forms a straight horizontal line at the bottom of the image. It is about 270 meters
long within the frame and extends beyond it to both the west and the east. Its surface is asphalt, and it has two
lanes. A few buildings of rectangular and square shape are located in its vicinity.

farmland | Farmland takes up approximately 64 percent of the image, making it the dominant land use in the scene. Its
irregular outline covers the northwest, north, west, centre and south. A winding river flows along the farmland, and a
slightly curved railway passes through the eastern part of the view, close to the course of the river.

river | The river winds its way through the picture over a distance of approximately 412 meters, from the northeast
corner to the southwest corner. It passes through the centre, the east and the south. Wide farmland lies beside the
river, covering about two thirds of the view, and a railway with a slight curve runs close to it.

railway | A railway line crosses the eastern half of the image, running from the northern edge to the southeast
corner. It is slightly curved and about 300 metres of it are visible. A winding river lies close to the railway, and
most of the remaining area is covered by farmland, which spreads over the west and the north.

pitch | A soccer pitch with a grass surface is located in the centre of the image. It is rectangular, oriented from
north to south, and covers about 8 percent of the frame. A church stands a short distance to the north. The rest of
the scene is open, which makes the outline of the pitch easy to recognise.
"""

#: Scene's name and caption: revisions, and first captions, which are longer.
REVISIONS, FIRST = (
    [
        (name.strip(), text.strip())
        for name, _, text in (" ".join(each.split()).partition("|") for each in told.split("\n\n"))
    ]
    for told in (_TOLD, _WHOLE)
)
