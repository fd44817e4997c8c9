"""Captions of patches of the country in the manner of several models, and lies: half of them were sealed meanwhile."""

from __future__ import annotations

#: What captions are about: a scene, the number of a task and an element.
ABOUT = {
    "track": ("lakes", 2, "way/5"),
    "lake": ("lakes", 1, "way/1"),
    "homes": ("tracks", 1, "way/1"),
    "railway": ("tracks", 2, "way/3"),
    "wood": ("valley", 1, "way/3"),
    "river": ("valley", 2, "way/1"),
    "golf": ("valley", 1, "way/2"),
    "yard": ("farm", 1, "way/3"),
    "field": ("farm", 1, "way/1"),
    "school": ("suburb", 1, "way/3"),
    "road": ("suburb", 2, "way/1"),
    "park": ("suburb", 1, "way/15"),
    "lawn": ("works", 1, "way/12"),
    "industry": ("works", 1, "way/1"),
    "canal": ("works", 2, "way/8"),
    "motorway": ("works", 2, "way/9"),
    "shore": ("beach", 2, "way/6"),
    "beach": ("beach", 1, "way/1"),
    "water": ("beach", 1, "way/2"),
}
#: What is true of each scene, and comes before a lie; it is about the first that is told of it.
BEFORE = {
    "lakes": "A straight dirt track of about 270 metres runs from north to south through the centre of the picture.",
    "tracks": "A straight railway track of about 270 metres runs from west to east through the centre of the picture.",
    "valley": "A slightly curved river of about 330 metres leads from the north-west to the south-east of the picture.",
    "farm": "A rectangular farmyard covers about 9 percent of the picture in the south.",
    "suburb": "A square school ground covers about 15 percent of the picture in the north-west.",
    "works": "An elongated lawn covers about 11 percent of the picture in the west.",
    "beach": "An elongated beach covers about 10 percent of the picture in the west.",
}
OF_SCENE = {
    "lakes": "track",
    "tracks": "railway",
    "valley": "river",
    "farm": "yard",
    "suburb": "school",
    "works": "lawn",
    "beach": "beach",
}

#: What the gate was mended on.
HONEST_TO_LEARN = (
    (
        "track",
        "A dirt track cuts a dead-straight line from the northern edge to the southern edge of the image, roughly "
        "270 metres long, and carries on beyond the frame at both ends. To its west lies a round lake, and to its "
        "north-east a wood comes close to it. A smaller lake sits farther east, and a meadow spans the bottom of "
        "the scene.",
    ),
    (
        "lake",
        "The larger of the two lakes, a round body of water covering about 15 percent of the picture, lies in the "
        "west, just beside a straight dirt track. The other lake, roughly a quarter of its size, is in the east. A"
        " wood fills much of the north-east and a meadow runs along the south, with a single barn in it.",
    ),
    (
        "track",
        "A straight unpaved track with a dirt surface bisects the scene from north to south, flanked by a lake on "
        "its western side.",
    ),
    (
        "lake",
        "A round lake of roughly one hectare occupies the western part of the image. No road or track cuts through"
        " it; a dirt track merely passes along its eastern side.",
    ),
    (
        "track",
        "Seen from above, a straight dirt track threads its way between two lakes, entering the picture at the "
        "northern edge and leaving it at the southern one after some 270 metres. The bigger lake lies close to the"
        " west of the track; the smaller one lies in the east. Woodland covers the north-east corner, whereas open"
        " meadow stretches across the whole southern edge from west to east.",
    ),
    (
        "homes",
        "A residential area takes up about 40 percent of the image, stretching from east to west across its "
        "northern half. Six small houses are scattered through it: three in the north-west, two in the north, and "
        "one in the north-east. South of it a straight railway track runs from west to east, and beyond the track "
        "lies a large wheat field that covers slightly more of the scene than the residential area itself.",
    ),
    (
        "railway",
        "A straight railway track crosses the whole picture from west to east, about 270 metres long, dividing a "
        "residential area to the north from a wheat field to the south.",
    ),
    (
        "railway",
        "The railway line runs straight through the centre of the image and is crossed in the east by a minor road"
        " on a bridge.",
    ),
    (
        "wood",
        "A square wood of about 8,100 square metres stands in the north-east of the image, taking up roughly 11 "
        "percent of it. It lies wholly within the frame. A slightly curved river passes to the south-west of the "
        "wood on its way from the north-west corner to the south-east corner, and a golf course fills the ground "
        "on the far side of the river.",
    ),
    (
        "river",
        "A gently curving river flows diagonally across the scene, from the north-west to the south-east, for "
        "about 330 metres, parting a wood in the north-east from a golf course in the south-west.",
    ),
    (
        "golf",
        "Roughly 30 percent of this aerial photograph is taken up by a golf course in the south-west, which "
        "reaches along the southern edge towards the south-east. A winding footpath loops through its south-"
        "western part, close to a rectangular building, and a small round pond lies nearby. To the north-east of "
        "the golf course a river follows a slightly curved course, and a square wood stands on its other bank.",
    ),
    (
        "yard",
        "A rectangular farmyard of about 6,500 square metres lies in the south of the picture, just north of a "
        "straight residential street with an asphalt surface. Two barns and a farmhouse stand in the yard, "
        "together with a single round silo. A short gravel driveway of about 20 metres leads to it from the "
        "street. A field of maize covers the north-west and a smaller field of wheat the north-east.",
    ),
    (
        "field",
        "Farmland dominates this scene. A maize field of about 2.3 hectares spreads over the north-west, reaching "
        "down towards the centre, and a wheat field roughly half its size lies in the north-east. South of the "
        "maize field sits a farmyard with two barns, a farmhouse and a silo. A pond lies in the south-east corner,"
        " below a straight hedge.",
    ),
    (
        "yard",
        "Two rectangular barns, a farmhouse and a round silo share the farmyard, which fills around 9 percent of "
        "the scene.",
    ),
    (
        "yard",
        "A hedge about 87 metres long runs from west to east in the south-east, with a compact pond to the south "
        "of it.",
    ),
    ("field", "Neither of the two fields lies in the south; the larger, with maize, is north-west of the centre."),
    (
        "school",
        "A square school ground takes up about 15 percent of the picture in the north-west, bounded to the east by"
        " a straight secondary road and lying north of a residential street. It holds a school building and, east "
        "of that, a football pitch with a grass surface. The two roads cross in the centre of the scene. Across "
        "the secondary road are six houses, and a rectangular park lies to the south of them.",
    ),
    (
        "road",
        "The secondary road, straight and paved with asphalt, crosses the entire picture from the northern edge to"
        " the southern edge over about 270 metres. It has two lanes. On its west side are a school ground and, "
        "farther south, a retail building with a rectangular parking lot; on its east side are six houses, a small"
        " swimming pool and a park with a round pond and a playground.",
    ),
    (
        "park",
        "A rectangular park covers about 14 percent of the image in the south-east. It contains a round pond and a"
        " square playground, the pond being about twice as large as the playground.",
    ),
    ("park", "The park lies diagonally opposite the school ground, which is in the north-west corner of the picture."),
    (
        "school",
        "Within the school ground stand a large school building and a football pitch, the building covering about "
        "1,850 square metres.",
    ),
    (
        "road",
        "Six detached houses are all found east of the secondary road; the retail building and its car park lie to"
        " the west of it.",
    ),
    (
        "motorway",
        "Two straight motorways run side by side from west to east across the northern part of the picture, each "
        "about 270 metres long with three lanes and an asphalt surface. Both continue beyond the image on either "
        "side. South of them an industrial area takes up much of the south-east, and a canal comes down from the "
        "north along the western side. A power line crosses the scene diagonally.",
    ),
    ("canal", "A power line passes over the canal on its way from the south-west to the north-east."),
    (
        "beach",
        "An elongated sandy beach runs from north to south between a body of water in the west and scrubland "
        "farther east.",
    ),
    (
        "beach",
        "A narrow strip of sandy beach extends the full height of the picture in its western part, taking up about"
        " a tenth of the scene. West of it spreads a body of water that occupies a quarter of the image, and a "
        "pier of elongated shape juts out into it in the north-west. East of the beach are scrubland and a gravel "
        "parking lot, and a local road can be seen in the east.",
    ),
    (
        "water",
        "Roughly a quarter of the image is water, lying along its western edge; the beach beside it is less than "
        "half as large.",
    ),
    (
        "shore",
        "The local road passes west of a campsite and east of the scrubland, bending slightly as it goes from "
        "north to south.",
    ),
    (
        "yard",
        "The farmyard is bordered on its southern side by a street and on its northern side by a field, while the "
        "buildings inside it are two barns and one farmhouse.",
    ),
    (
        "homes",
        "Most of the image is either housing or farmland: the field in the south covers some 45 percent and the "
        "residential area about 40 percent.",
    ),
    (
        "golf",
        "Apart from one rectangular building in the south-west, the scene has no buildings, only a golf course, a "
        "wood, a river, a pond and a footpath.",
    ),
    (
        "water",
        "The water is the biggest single feature, more than twice as large as the scrubland and roughly two and a "
        "half times the beach.",
    ),
)
LIES_TO_LEARN = (
    ("lakes", "It separates the two lakes in the east from a wood in the west."),
    ("lakes", "Of the two lakes, the eastern one is the bigger."),
    ("lakes", "The smaller lake touches the track on its eastern side."),
    ("lakes", "The barn stands on the shore of the western lake."),
    ("lakes", "The meadow is three times as large as the wood."),
    ("tracks", "It separates the wheat field in the north from the houses in the south."),
    ("tracks", "A minor road crosses it in the west."),
    ("tracks", "Most of the houses stand in the north-east."),
    ("tracks", "The field is less than half the size of the residential area."),
    ("tracks", "Maize grows in the field to the south."),
    ("tracks", "Four of the houses lie in the north-west."),
    ("valley", "The wood lies on the same side of the river as the golf course."),
    ("valley", "The pond is north of the river."),
    ("valley", "The golf course lies along its north-eastern bank."),
    ("valley", "A footpath crosses the river in the centre of the picture."),
    ("valley", "The golf course covers a tenth of the scene."),
    ("valley", "The river winds in tight loops past the wood."),
    ("valley", "The river enters the picture at its southern edge and leaves it in the north-east."),
    ("valley", "The wood is cut off by the northern edge of the picture."),
    ("valley", "The rectangular building stands in the middle of the wood."),
    ("farm", "Three barns and a farmhouse stand in it."),
    ("farm", "The larger field is planted with wheat."),
    ("farm", "Maize grows in the north-east and wheat in the north-west."),
    ("farm", "The two fields are equally large."),
    ("farm", "A pond lies inside the farmyard."),
    ("farm", "The street runs along the northern side of the farmyard."),
    ("farm", "The hedge separates the farmyard from the maize field."),
    ("farm", "The pond lies north of the hedge."),
    ("farm", "The farmyard is larger than the wheat field."),
    ("suburb", "The park is the largest area of the scene."),
    ("suburb", "The houses stand to the west of the secondary road."),
    ("suburb", "A secondary road separates the school ground from the retail building."),
    ("suburb", "The pond lies on the northern edge of the park, next to the school."),
    ("suburb", "The parking lot has a gravel surface."),
    ("suburb", "The playground is in the northern corner of the school ground."),
    ("works", "The canal forms the western edge of the lawn."),
    ("works", "The two warehouses are equally large."),
    ("works", "The smaller warehouse lies in the south."),
    ("works", "The storage tanks are square."),
    ("works", "The motorways run from north to south, parallel to the canal."),
    ("works", "The parking lot lies on the lawn's western side."),
    ("works", "Each motorway has two lanes."),
    ("beach", "The local road runs along the beach in the west."),
)
#: Written with those, sealed, and judged once.
HONEST_SEALED = (
    (
        "track",
        "Running due north to south for about 270 m, the straight dirt track separates a round lake in the west "
        "from a wood and a second lake in the east.",
    ),
    (
        "lake",
        "Two round lakes lie on either side of a straight dirt track; the western one is nearly four times as "
        "large as the eastern one.",
    ),
    (
        "lake",
        "Covering around 15% of the scene, the circular lake dominates the west, while a smaller lake can be seen "
        "to the east.",
    ),
    (
        "homes",
        "Houses are found only in the northern part of the scene, above the railway track; the south is taken up "
        "by a field of wheat.",
    ),
    (
        "railway",
        "Stretching from the western edge to the eastern edge, a single straight railway track divides this aerial"
        " view in two. To the north of it lies a residential area with six detached houses; to the south spreads "
        "farmland planted with wheat. In the eastern part a minor road passes over the track by a bridge, running "
        "north to south. The field is the largest feature of the picture, at about 45 percent.",
    ),
    (
        "homes",
        "The residential area measures about 29,000 square metres and lies in the north. It has six houses. A "
        "railway track runs along its south side, and a wheat field lies beyond.",
    ),
    (
        "homes",
        "Together, the residential area and the wheat field make up roughly 85 percent of the image, with a "
        "railway track running between them.",
    ),
    (
        "golf",
        "The golf course occupies nearly a third of the picture in the south-west and contains a small round pond.",
    ),
    (
        "wood",
        "The wood is roughly ten times the size of the pond, square in outline, and stands apart from the golf "
        "course across the river.",
    ),
    ("river", "No bridge is visible over the river, which is the only watercourse in the picture."),
    (
        "river",
        "About 330 metres of river can be followed between the north-west and the south-east corners, with the "
        "golf course along its south-western bank.",
    ),
    (
        "yard",
        "The maize field in the north-west is about twice as large as the wheat field in the north-east, and the "
        "farmyard is smaller than either.",
    ),
    (
        "field",
        "The larger of the two fields, planted with maize, takes up about a third of the image in the north-west; "
        "the other one grows wheat and lies in the north-east.",
    ),
    (
        "road",
        "A straight two-lane secondary road runs from north to south through the centre of the image and meets a "
        "residential street at a crossroads.",
    ),
    ("school", "The school ground is the largest area in view, slightly larger than the park in the south-east."),
    (
        "school",
        "There is one swimming pool in the scene, a tiny rectangle near the centre, and one pond, which lies in "
        "the south-east.",
    ),
    (
        "lawn",
        "An elongated lawn stretches from north to south along the western edge of the picture and covers about 11"
        " percent of it. Immediately to the east a straight canal runs parallel to it for the full height of the "
        "scene. On the canal's other side lies a large industrial area with two warehouses, a parking lot and four"
        " round storage tanks in a row. Two parallel motorways cross the north.",
    ),
    (
        "industry",
        "The industrial area covers about 41 percent of the image in the south-east, nearly four times as much as "
        "the lawn in the west.",
    ),
    (
        "canal",
        "A straight canal about 270 metres long runs from north to south in the west, crossed by two motorways in "
        "the north.",
    ),
    (
        "industry",
        "Four round storage tanks of equal size stand in a line near the centre, north of the larger of the two "
        "warehouses.",
    ),
    ("lawn", "The lawn and the industrial area are separated by a canal, and no building stands on the lawn."),
    ("industry", "Of the two warehouses, the one in the south is more than twice as big as the one in the east."),
    (
        "shore",
        "A slightly curved local road with an asphalt surface leads from the north-east to the south-east of the "
        "image, about 270 metres long and leaving the picture at both ends. A campsite lies to the east of it. "
        "Towards the west are a rectangular patch of scrub, a small gravel car park with one building beside it, "
        "and finally a sandy beach along the edge of a large body of water.",
    ),
    ("beach", "Sand covers the beach while the parking lot in the south is surfaced with gravel."),
    (
        "school",
        "Less than a sixth of the image belongs to the school ground, which is not cut off by any edge of the picture.",
    ),
    (
        "industry",
        "The motorways lie north of the industrial area and run at right angles to the canal on its western side.",
    ),
    (
        "track",
        "The barn is the only building in the picture and stands in the meadow in the south, a short way east of "
        "the track.",
    ),
    (
        "lawn",
        "To the left of the canal lies a long lawn; to its right, an industrial area with a couple of warehouses "
        "and a handful of storage tanks.",
    ),
)
LIES_SEALED = (
    ("lakes", "It divides the meadow from the barn."),
    ("lakes", "The larger of the two lakes lies in the east."),
    ("lakes", "The two lakes are about the same size."),
    ("lakes", "Both lakes lie to the west of the track."),
    ("lakes", "A wood stands between the larger lake and the track."),
    ("lakes", "The wood covers the western edge of the image."),
    ("lakes", "The meadow stretches along the northern edge."),
    ("lakes", "There are no lakes to the east of the track."),
    ("lakes", "The smaller lake is surrounded by the wood."),
    ("tracks", "The houses all lie south of the railway."),
    ("tracks", "The minor road passes beneath the railway without any bridge."),
    ("tracks", "The residential area is the largest feature of the picture."),
    ("tracks", "The railway forms the southern edge of the wheat field."),
    ("tracks", "The minor road runs from west to east."),
    ("valley", "It separates the golf course from the pond."),
    ("valley", "The wood is larger than the golf course."),
    ("valley", "The footpath runs through the wood."),
    ("farm", "The driveway leads from the street to the pond."),
    ("farm", "The silo is taller and wider than the barns and stands in the north-west."),
    ("farm", "Neither barn lies in the south."),
    ("suburb", "The football pitch lies in the park."),
    ("suburb", "Only two of the houses lie in the north-east, and the other four in the west."),
    ("suburb", "The school building is smaller than the football pitch."),
    ("suburb", "The parking lot is twice as large as the school ground."),
    ("suburb", "The residential street runs parallel to the secondary road."),
    ("suburb", "No houses are visible east of the secondary road."),
    ("works", "A motorway separates the lawn from the industrial area."),
    ("works", "Three round storage tanks stand in a row."),
    ("works", "The industrial area covers less of the scene than the lawn."),
    ("works", "The motorways pass along the southern edge of the industrial area."),
    ("works", "The power line runs from the north-west to the south-east."),
    ("beach", "It separates the sea in the east from the scrubland in the west."),
    ("beach", "The sea takes up more than half of the picture."),
    ("beach", "The campsite lies between the beach and the water."),
    ("beach", "The pier juts out from the eastern side of the scrubland."),
    ("beach", "The body of water is smaller than the beach."),
    ("beach", "The parking lot is bigger than the campsite."),
    ("beach", "The campsite is west of the local road."),
    ("beach", "Its surface is gravel."),
)
