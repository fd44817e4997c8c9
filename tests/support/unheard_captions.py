"""Captions and lies that the gate of patches was judged by when it was done, and mended by afterwards, in rounds.

Each honest one follows from what is described, in the manner of many writers: terse, florid, as a list, with hedges, numbers
in words, comparisons, British and American. Each lie comes behind an honest sentence. None is changed when the gate is.
"""

from __future__ import annotations

import random

_HONEST = """
suburb | Residential area, irregular, approx. 72% of the frame. Eight detached houses. Two pools in the north. One
park in the south-east.

suburb | An expansive residential district unfolds across the whole scene, with individual homes sprinkled over it
and a curving street that ties its north-western corner to its south-eastern one.

suburb | Visible features include a residential area (around 72 percent), a park in the lower right, a pair of
swimming pools near the top, and several detached houses.

suburb | None of the houses takes up even one percent of the view, whereas the neighborhood as a whole spans almost
three quarters of it.

green | What appears to be a park occupies the bottom right of the view; it is roughly one eleventh of the total
area, about eight times smaller than the housing around it.

green | The rectangular park measures approximately six and a half thousand square metres and is longer from east to
west than from north to south.

crescent | A bending residential road of roughly three hundred and thirty metres links the upper left with the lower
right. Pavements flank it on either side.

crescent | The tarmac street swings through the middle of the neighbourhood, slipping past a park before it leaves
the frame in the south-east.

golf | Golf course. Pond top left, woods bottom right, fairways left and right, three sand traps in a row across the
middle.

golf | The layout comprises two fairways, three bunkers, one water feature and a patch of trees, all held together
by a serpentine path for golf carts.

golf | Roughly four-fifths of the photograph belongs to golfing grounds whose irregular boundary runs off the
picture.

fairway | One of a pair of fairways, this elongated one lies on the western flank of the course and is slightly
bigger than its eastern counterpart.

fairway | The western fairway, at 14 percent of the view, outsizes both the woodland (11 percent) and the pond (5
percent).

cart | A cart path snakes its way down from the north-west to the southern margin. End to end it is around 240
metres long, not far short of the width of the picture.

cart | The winding track for golf carts never reaches the eastern third of the image.

golf | Compared with the pond, the wood is more than twice as large; both are dwarfed by the course itself.

works | Industrial estate occupying nearly two-thirds of the scene; warehouse, car park, quartet of cylindrical
tanks, railway line to the north.

works | The complex seems to be laid out around one big warehouse, with parking on its southern side and circular
storage tanks toward the right-hand edge.

warehouse | A sizeable warehouse sits at the centre-left of the frame. It is the largest building in view, and its
long axis is parallel to the rail line in the north.

warehouse | With a footprint of nearly one hectare, the warehouse is bigger than the car park beside it.

lot | A tarmacked parking area of oblong outline adjoins the warehouse to its north.

lot | Parking lot: rectangular, asphalt, about 8 per cent of the image, bottom centre.

rail | One set of railway tracks traverses the top of the image from side to side without any bend.

rail | The rail line and the service road run roughly parallel to each other, the former in the north and the latter
through the middle.

field | Cropland: one rectangular wheat field on the left (44%), one irregular field on the right (28%).

field | A generous swath of wheat unrolls along the western side of the image, its straight edge traced by a
hedgerow.

field | Two arable fields together account for over seventy percent of the view; the remainder includes an orchard
and a farmyard with barns.

orchard | Tucked into the south-eastern corner is a small rectangular orchard; a gravel lane curves past it toward
the farm buildings.

orchard | The orchard is roughly twice the size of the farmyard but only about a third as big as the eastern field.

hedge | A dead-straight hedgerow splits the scene down the middle, north to south, for a quarter of a kilometre.

track | A gravel farm track, some one hundred and forty metres long, bends northward from the bottom edge to the
farmyard.

track | The lane ends at the farmyard, where a couple of barns can be seen.

bay | Water, beach, marina, footpath and car park: a waterfront scene with land in the north and open water in the
south.

bay | Just under half of the view is covered by water whose shoreline is irregular and which carries on past the
bottom of the picture.

bay | In the lower right-hand corner a trio of slender piers belongs to the marina. The beach lies on the opposite
side, in the west.

beach | A thin ribbon of sand borders the water in the west; it is longer from east to west than it is wide.

beach | Sandy beach, elongated, approx. 3% of the image, left to lower left of the frame.

promenade | A sinuous walkway hugs the shoreline from one side of the picture to the other, measuring close to three
hundred metres.

promenade | The winding walking path is longer than the picture is wide, since it bends so often.

motorway | Dual-carriageway motorway, three lanes per carriageway, south-west to north-east, with a slight bend.

motorway | A freeway with two carriageways slices diagonally across the frame, passing beneath a smaller road that
is carried on a bridge.

ramp | A slip road peels away from the motorway in the centre and arcs eastward for about one hundred and fifty
metres along a meadow.

over | The two-lane minor road is dead straight and forms an X with the motorway.

over | An overpass takes a minor road across the motorway from top left to bottom right.

wood | Woodland fills the north-western corner, slightly less extensive than the grassland on the opposite side.

wood | The forest and the meadow, at 22 and 25 per cent respectively, are nearly equal in size.

pond | An irregular pond, a little under a quarter of the image, in the upper left; a compact forest on the right; a
street along the bottom.

pond | The pond, which covers roughly 1.7 hectares, is about twice as large as the woodland to its east.

pond | Water dominates the north-west, trees the north-east and east, and built structures the south.

street | A straight two-lane road underlines the scene along its southern edge, with three buildings in the same
part of the view.

street | The residential street spans the full width of the frame from left to right.

river | A meandering river, some 410 m of it, twists across the frame between the north-east and the south-west
corners, roughly one and a half times the width of the view.

river | The watercourse is longer than the railway, which bends only slightly.

farmland | Agricultural ground prevails: it takes in close to two thirds of the image and does not reach into the
south-east.

railway | A gently bowed railway track heads from the north toward the south-east, keeping close to a winding
waterway.

pitch | Football field, rectangular, grass, centre of frame, church to the north.

pitch | A turf soccer field of about six thousand square metres sits squarely in the middle of the image, with a
church beyond its northern end.

pitch | The church covers about a quarter of the ground that the pitch does.

quay | A compact housing area, longer from north to south than from east to west, fills the north and the centre:
about an eighth of the picture.

quay | Two residential areas are visible; the one in the north and centre is more than twice as large as the one in
the east.

quay | Residential land, ca. 13% of the frame, about 0.9 hectares, top and centre.

quay | A slim park stretches from east to west in the top right corner, and an apartment building stands on the
eastern side of the picture.

quay | Housing takes up the upper middle of the view; three buildings are found in the north, too.

coast | The coastline sweeps in a curve from the upper left towards the lower right, keeping a footpath company for
part of the way.

coast | Shoreline: curved, roughly 365 m, north-west to south-east, continues beyond the frame.

coast | A long, curving shore separates land from water, with a slender pier in the south-east.

coast | At some three hundred and sixty-five metres, the coastline is the longest line in view; the footpath beside
it measures just over two hundred.

coast | A narrow strip of scrub lines the shore in the west.

parkside | The lower half of the image is largely green, with a park of about 43 percent and a garden of about 29.

parkside | Park, 43% of the view, spread over the south, the west and the centre; sports pitch at lower left;
elongated building at the bottom.

parkside | A large park takes in more than two fifths of the frame and extends past its edges, yet it leaves the
north free.

parkside | The garden is about two thirds as big as the park.

parkside | Through the southern part twists a footpath of over three hundred metres, the only winding line in the
scene.

parkside | A tiny body of water, well under one percent of the view, can just be made out in the south-east.

treerow | A row of trees describes a gentle arc from west to east alongside a pavement.

treerow | Trees line the sidewalk for about a quarter of a kilometre.

treerow | The tree-lined walkway crosses the centre of the picture, roughly parallel to the coastline.

commons | Parkland makes up two thirds of the picture. It touches every part except the south-west and the
south-east.

commons | A green space of roughly 4.8 hectares with a tennis court in the north, a rectangular basin in the west
and two playgrounds.

commons | Within view are a tennis court, a sports pitch, a pair of playgrounds and a basin of water; all are far
smaller than the park.

commons | The basin, a rectangle drawn out from north to south, covers about four percent of the frame, twice as
much as the sports pitch.

commons | A playground lies in each of the two upper corners.

commons | Two straight hedges, each sixty metres long, stand in the west.

commons | It looks like a well-equipped park: a lawn, cycle paths, a court for tennis.

cycle | Two cycle paths run at right angles to each other: one heads from west to east, the other from north to
south.

cycle | A bike path goes straight across the middle of the image for roughly 270 metres, passing a lawn.

cycle | Bicycle path, straight, east to west, full width of the frame.

yard | A square commercial block sits in the centre, taking up nearly a tenth of the frame; to its east, railway
tracks run north to south in parallel.

yard | Commercial area, square, about 6,900 m², centre to south-west.

yard | Numerous railway tracks occupy the eastern third, with two narrow platforms in the south-east.

yard | The lawn in the upper left is almost as large as the commercial area in the centre.

yard | On the left-hand side an asphalt footpath curves from the north to the south-west, longer than any of the
railway tracks.

yard | Two small apartment buildings, each under one percent of the image, have rectangular outlines.

tracks | Eight tracks run side by side through the east of the picture, every one of them straight.

tracks | A bundle of parallel rails dominates the eastern side, in contrast to the lawn in the north-west.

tracks | The railway track measures roughly 240 metres and stays in the eastern part of the view from top to bottom.

block | One of four commercial areas, this rectangular one lies in the west and the centre, longer east-west than
north-south.

block | A commercial plot covering around nine percent of the scene is hemmed in by a pedestrian street and a
footpath.

block | It is the biggest of the commercial areas but smaller than the park in the north-west.

block | A cobbled pedestrian street runs straight south from the top of the picture to the bottom.

block | A dozen trees dot the north-western part of the image.

block | Half a dozen buildings of irregular outline are spread across the view.

tram | Twin tram tracks cross the top of the image from left to right in parallel.

tram | The tramway follows the same east-west line as a main road of three lanes in the north.

tram | Tram line, straight, two tracks, northern part of frame, ca. 260 m each.

square | A rectangular park of nearly a quarter of the image reaches from the centre to the south and the east.

square | Two rectangular parks of very different size are in view, the larger one about ten times as large as the
smaller one.

square | Park, playground, church in the centre, school grounds at the upper left.

square | The church, compact in plan, sits at the centre of the scene, and a tower rises in the north.

square | School grounds occupy the north-western corner, some 3,200 square metres of them, with an irregular school
building and a small asphalt car park.

square | Whereas the park is rectangular, the school building has an irregular outline.

ring | A footpath describes a closed ring in the centre of the picture, about 70 metres around.

ring | The path loops back on itself in the middle of the frame.

ramp | Only a single ramp is present; it is far shorter than the motorway it belongs to.

golf | Sand occupies tiny spots only: each bunker covers less than half a percent of the frame.

bay | The marina takes up a tenth of the scene, twice the share of the car park in the north-east.

warehouse | Judging by its size and plain rectangular form, the central structure is a warehouse.

pitch | The playing field's long axis points north, toward the church.

street | Lined up with the bottom of the frame, the road has two lanes and an asphalt surface.

field | The western field is over one and a half times as large as the eastern one.

crescent | It is a paved residential street that bends; sidewalks accompany it on both sides.
"""

_LIES = """
suburb | The park covers the north-eastern corner.
suburb | Four swimming pools glitter in the north.
suburb | The street heads from the south-west up to the north-east.
suburb | Terraced rows line the street.
suburb | An apartment block rises in the centre.
suburb | The street is barely a hundred metres long.
suburb | The park is an irregular patch.
suburb | The park lies to the north of the pools.
golf | The larger fairway is the eastern one.
golf | A pair of bunkers is all there is.
golf | The wood fills the north-western corner, the pond the south-eastern one.
golf | The cart path goes straight from the east to the west.
golf | A tennis court adjoins it.
golf | The pond makes up nearly a fifth of the view.
golf | The course is perfectly round.
golf | Sprinklers keep the fairways moist.
golf | It was laid out by a well-known architect.
warehouse | Six tanks stand in the east.
warehouse | The tanks line up along the southern border.
warehouse | The warehouse is smaller than the parking lot.
warehouse | The parking lot adjoins the railway.
warehouse | The service road zigzags through the site.
warehouse | The railway runs from north to south.
warehouse | An office tower rises beside it.
warehouse | Its longer side runs from north to south.
warehouse | Deliveries arrive around the clock.
warehouse | It covers about a third of the image.
field | The orchard is in the north-east corner.
field | Three barns surround the farmyard.
field | The eastern field is rectangular, the western one irregular.
field | The hedge curves around the orchard.
field | The track is over 300 metres long.
field | Barley is grown in it.
field | The track leads to the northern edge.
field | A greenhouse stands next to the barns.
field | The farmyard takes up a fifth of the view.
field | Grapes ripen in the orchard.
bay | The water takes up the northern half.
bay | Two piers reach into the water.
bay | The piers extend from east to west.
bay | The beach is larger than the marina.
bay | The parking lot lies beside the beach.
bay | The footpath is perfectly straight.
bay | A castle overlooks the water.
bay | The tide is going out.
bay | The parking lot covers a tenth of the scene and the marina a twentieth.
bay | The beach is rocky.
motorway | The motorway has two lanes per carriageway.
motorway | The forest lies to the south of the motorway.
motorway | The minor road passes beneath the motorway in a tunnel.
motorway | Three ramps branch off.
motorway | The meadow is in the upper left corner.
motorway | The ramp is the longest road in view.
motorway | A roundabout lies at its end.
motorway | It makes a sharp turn in the centre.
motorway | Construction work blocks one carriageway.
motorway | It was resurfaced last summer.
pond | The pond lies in the south-west.
pond | The forest is twice as large as the pond.
pond | Five buildings stand in the south.
pond | The street runs from north to south.
pond | The street is gravel.
pond | A railway passes in the north.
pond | The pond has a rectangular outline.
pond | Swans nest by its shore.
pond | The buildings are north of the pond.
river | The river is straighter than the railway.
river | The river enters in the north-west and leaves in the south-east.
river | Farmland covers barely a quarter of the ground.
river | The railway is twice as long as the river.
river | A vineyard lies beside it.
river | Barges travel along it.
river | The farmland is mainly in the east.
pitch | The pitch lies north of the church.
pitch | It is made of artificial turf.
pitch | The pitch stretches from east to west.
pitch | A second pitch lies next to it.
pitch | The church is larger than the pitch.
pitch | The goals have been removed.
quay | The pier points straight north.
quay | The coastline lies in the north-east.
quay | Three apartment buildings stand in the east.
quay | The park is in the south-west.
quay | The coastline is perfectly straight.
quay | The footpath is longer than the coastline.
quay | Scrub covers the eastern shore.
quay | Yachts bob at the pier.
quay | Ferries depart from here every hour.
parkside | The garden is larger than the park.
parkside | The tree row runs from north to south.
parkside | The footpath is straight.
parkside | The coastline runs along the southern edge.
parkside | Two sports pitches lie in the south-west.
parkside | A playground lies in the garden.
parkside | The park lies mainly in the north.
parkside | The building at the bottom is square.
parkside | The cherry trees are in bloom.
commons | Four tennis courts lie in the north.
commons | The tennis court is in the south-east.
commons | The basin covers a fifth of the park.
commons | The basin is round.
commons | The cycle path curves around the basin.
commons | Both playgrounds are in the south.
commons | The school lies on the western side.
commons | The lawn is larger than the basin.
commons | Joggers circle the basin.
yard | The tracks lie on the western side.
yard | The railway tracks run from east to west.
yard | A single track runs through the east.
yard | Three platforms lie in the south-east.
yard | The lawn is in the south-east.
yard | The lawn is twice as large as the commercial area.
yard | A freight yard with cranes lies beyond it.
yard | The trains are delayed.
yard | The footpath is straight and only 80 metres long.
block | The park is smaller than it.
block | There are only two commercial areas.
block | The tram tracks run through the south.
block | The tram tracks curve sharply to the south.
block | The pedestrian street runs from east to west.
block | Twenty trees grow in the south-east.
block | The main road has six lanes.
block | Shops and bars fill the ground floors.
block | A department store occupies the largest building.
square | The church is in the north-east.
square | The school building is rectangular.
square | The footpath ring lies in the south-east.
square | The parking lot is of gravel.
square | The two parks are of equal size.
square | A cemetery surrounds the church.
square | The bells ring every hour.
square | The school ground covers half of the picture.
square | The service road is straight.
"""

#: Written when half of the first had been learnt from.
_HONEST_2 = """
suburb | Suburban housing blankets almost three quarters of the frame, and a gently curving road threads through it
from corner to corner.

suburb | From above one sees single-family houses in every part of the picture, plus two pools near the northern
edge.

suburb | The dominant land cover is residential; the only sizable patch of greenery is a park in the lower right.

green | At some 0.65 hectares, the park is small next to the neighbourhood but far bigger than any single house.

green | The park's long side runs east-west, and a street passes close by.

crescent | The asphalt road enters at the upper left, arcs through the centre and exits at the lower right.

crescent | It bows gently on its way from the north-west to the south-east and measures a third of a kilometre.

golf | The pond sits in the top left corner, as far as can be from the woods in the bottom right corner.

golf | Water is confined to the north-west, trees to the south and south-east, while fairways line both flanks.

fairway | This fairway occupies a long, narrow strip on the left, covering between 13 and 15 percent of the view.

cart | The cart path takes many turns and is nearly as long as the picture is wide.

works | About 64% industrial land; the rest of the frame is crossed by a straight railway at the very top.

works | Four identical-looking round tanks are grouped together on the right-hand side.

warehouse | The warehouse covers slightly more ground than the parking lot to its south.

warehouse | Occupying the middle and the left of the frame, the warehouse is a plain rectangle of about 9,400 m2.

lot | The car park hugs the southern edge of the scene and is shaped like a rectangle.

rail | A single straight track skirts the northern margin, parallel to the service road farther south.

field | Roughly 44 percent of the land is a wheat field in the west; another 28 percent is a field in the east.

field | A hedge forms the eastern boundary of the wheat field.

orchard | Orchard in the south-east, rectangular, less than a tenth of the frame.

track | The gravel track is the shorter of the two lines in view; the hedge is the longer one.

bay | The largest feature is the water in the south, followed by the marina and the parking lot.

bay | North of the water lies a winding path, and in the far north-east there is a parking lot.

beach | The beach is elongated and borders the water; nothing suggests that it is large.

promenade | The path winds its way between the western and the eastern edge without ever reaching the north.

motorway | Three lanes of asphalt on each of the two carriageways sweep from the south-west to the north-east.

motorway | The motorway separates the forest in the north-west from the meadow in the south-east.

over | The minor road and the motorway cross each other almost at right angles, one above the other.

wood | A little over a fifth of the picture is forest, and a quarter is meadow.

ramp | The ramp bends eastward and is less than half as long as the motorway.

pond | The pond takes up close to a quarter of the scene and touches neither the south nor the east.

pond | Three small buildings are found in the south, two of them rectangular and one square.

street | A residential road with two lanes; it is straight and runs along the lower edge for its entire width.

river | The river bends back and forth as it makes its way from the upper right to the lower left.

railway | The railway is roughly three quarters as long as the river and bends far less.

farmland | The cultivated land lies mostly in the west and the north.

pitch | The pitch is four times as large as the church to its north.

quay | Homes cluster in the northern part, and the coast curves around to the west and the south-west.

quay | A footpath of asphalt, a little more than 200 metres long, keeps close to the water's edge.

coast | The coast runs along the western and the southern side and does not touch the north-east.

parkside | Green areas prevail in the southern two thirds, the water's edge lies farther north.

treerow | Between the park and the shore, a slightly curved line of trees follows a sidewalk.

commons | Two playgrounds, a tennis court and a pitch provide room for play in a park of irregular shape.

cycle | One of the two bike paths is about 270 metres long, the other about 200.

yard | The commercial area is square, whereas the platforms are long and narrow.

tracks | Railway tracks fill the eastern side. They all run in a north-south direction.

block | Four commercial areas account for about a quarter of the picture in total.

tram | Rails run in pairs along the top of the picture, next to a slightly curved main road.

square | One park is large, the other is tiny by comparison.

ring | A short footpath closes on itself in the centre.

suburb | Eight houses of nearly equal footprint are spread around, with a pair of pools close to the top edge.

suburb | Housing prevails across this view; a curved road links two opposite corners and ends beside a park.

green | The park is about one eighth as large as the residential area and lies at its south-eastern end.

crescent | Starting in the north-west, the street swings through the centre and leaves the scene in the south-east.

golf | Fairways, bunkers, a pond and some woodland are spread over a golf course that fills four fifths of the
frame.

fairway | Long and narrow, the western fairway runs north-south and measures about one hectare.

cart | A meandering path crosses the course, touching the north-west, the west, the centre and the south.

works | The industrial ground reaches every side of the picture; its largest building is a warehouse in the middle.

warehouse | South of the warehouse there is a paved parking lot, north of it a railway line.

rail | The line of rail in the north is straight and about as long as the picture is wide.

field | Compared with its eastern neighbour, the western field is clearly larger and more regular in outline.

hedge | Between the two fields stands a straight hedge about 250 m in length.

track | The track bends on its way from the southern edge to the farmyard and is surfaced with gravel.

bay | Water fills most of the south, while the north is dry land with a parking lot in the corner.

beach | The beach is the smallest of the four large areas and lies along the water in the west.

motorway | Two parallel carriageways run diagonally, and a ramp leaves them toward the east.

over | A straight minor road, 381 metres long, intersects the motorway near the centre.

pond | A forest of roughly 0.9 hectares stands to the east of the pond.

street | The asphalt street passes three small buildings and continues past both sides of the frame.

river | The river takes a winding course and is longer than the railway by about a hundred metres.

pitch | The grass pitch is a neat rectangle whose longer sides run north-south.

quay | Dwellings occupy the north and centre, and a second, smaller residential area is seen in the east.

coast | The coast makes a broad curve, and a narrow pier lies near its south-eastern part.

parkside | Together the park and the garden make up over seventy percent of the scene.

commons | The tennis court and the sports pitch are close in size, each between two and three percent of the view.

cycle | The longer of the two cycle paths crosses the picture from west to east.

yard | To the right of the commercial area runs a broad band of railway tracks.

block | Trees are confined to the north-west, where a park stretches from east to west.

tram | Both tram tracks are straight and run parallel to the main road.

square | A tower stands in the north and a church near the middle.
"""

_LIES_2 = """
suburb | The houses are larger than the park.
suburb | Seven houses and three pools make up the scene.
suburb | The park spreads across the western side.
suburb | The street ends in a roundabout.
suburb | The pools lie right next to the park.
suburb | The street forms a closed loop.
suburb | Most of the picture is park.
golf | The bunkers are strung along the southern edge.
golf | The wood is half the size of the pond.
golf | The cart path is about a hundred metres long.
golf | The two fairways meet in the north.
golf | A lake in the centre is ringed by trees.
golf | Three fairways stretch out side by side.
golf | The pond is elongated.
warehouse | The tanks surround the warehouse.
warehouse | The railway bends around it.
warehouse | The industrial area is smaller than the warehouse.
warehouse | The parking lot is twice as large as the warehouse.
warehouse | Two railway tracks run along the south.
warehouse | The service road leads from north to south.
warehouse | Its roof is flat and lined with skylights.
field | The barns stand in the west.
field | The orchard is irregular.
field | The hedge separates the farmyard from the orchard.
field | Both fields are rectangular.
field | The track is longer than the hedge.
field | The orchard is bigger than the eastern field.
field | It is planted with maize.
bay | The marina is rectangular.
bay | The beach stretches from north to south.
bay | The parking lot is larger than the marina.
bay | The footpath is shorter than 200 metres.
bay | A river flows into the water.
bay | There are two parking lots.
motorway | The forest and the meadow lie side by side in the east.
motorway | The minor road runs parallel to the motorway.
motorway | The ramp leads to the west.
motorway | The meadow covers half of the picture.
motorway | The forest is rectangular.
motorway | The road over the bridge is curved.
pond | The forest surrounds the pond.
pond | The largest building is round.
pond | The street is curved.
pond | A second pond lies in the east.
pond | The buildings stand in a row along the eastern edge.
river | The railway is straight.
river | The river is about 200 metres long.
river | The farmland lies on the right-hand side.
pitch | The pitch is square.
pitch | The church stands to the east.
quay | The park is larger than the residential area.
quay | The pier is as long as the coastline.
quay | Both residential areas lie in the south.
parkside | The sports pitch lies on the right.
parkside | The garden covers half of the picture.
parkside | The tree row is winding.
commons | The playgrounds are larger than the tennis court.
commons | Three hedges run along the south.
commons | The cycle paths run parallel to each other.
yard | The platforms are in the north-west.
yard | The larger commercial area lies in the north.
yard | The sidewalk runs from east to west.
block | The park is rectangular.
block | The trees stand in the south-east.
block | The pedestrian street is paved with asphalt.
square | The church is larger than the school building.
square | The tower stands in the south.
square | The larger park is in the north.
suburb | The houses cluster in the south.
suburb | The park is square.
suburb | Six pools are spread over the area.
suburb | The street runs along the western edge.
golf | The fairways are round.
golf | The wood is smaller than the pond.
golf | Two ponds lie side by side.
golf | A clubhouse stands near the bunkers.
warehouse | The tanks are larger than the warehouse.
warehouse | The railway curves through the centre.
warehouse | Three tanks stand in the north.
warehouse | The warehouse is round.
field | The farmyard is larger than the orchard.
field | A second hedge runs from east to west.
field | The barns are bigger than the farmyard.
field | The western field is the smaller of the two.
bay | The marina lies at the opposite end from the piers.
bay | The beach is square.
bay | The footpath crosses the marina.
bay | A single pier juts out into the water.
motorway | The meadow is smaller than the forest.
motorway | The ramp is longer than the minor road.
motorway | The motorway runs from the north-west to the south-east.
motorway | The forest lies south of the meadow.
pond | Four buildings surround the pond.
pond | The forest is the largest feature of the scene.
pond | The street has four lanes.
river | The farmland is mostly in the south-east.
river | The river runs parallel to the railway and is just as straight.
pitch | The church lies at the southern end of the pitch.
pitch | The pitch takes up a quarter of the image.
quay | The scrub lies in the south-east.
quay | The footpath leads from the north to the east.
parkside | The garden is as large as the park.
parkside | The lawn is round.
commons | The basin lies in the east, the tennis court in the south.
commons | There are three playgrounds.
yard | The platforms are wider than the lawn.
yard | The footpath runs parallel to the northern edge.
block | Three tram tracks cross the centre.
block | The park covers a third of the picture.
square | Two churches stand in the park.
square | The school building is larger than the park.
square | The playground is in the north-west.
"""


def _told(each: str) -> tuple[str, str]:
    key, _, text = " ".join(each.split()).partition("|")
    return key.strip(), text.strip()


def _halves(told: list[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Two halves, dealt at random by a seed that was chosen before anything was judged."""
    pairs = [_told(each) for each in told]
    random.Random(20261130).shuffle(pairs)
    return pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]


#: Scene and text: the half that was learnt from first, and the half that was held out then.
HONEST_TO_LEARN, HONEST_HELD_OUT = _halves(_HONEST.strip().split("\n\n"))
LIES_TO_LEARN, LIES_HELD_OUT = _halves(_LIES.strip().splitlines())
HONEST_LATER = [_told(each) for each in _HONEST_2.strip().split("\n\n")]
LIES_LATER = [_told(each) for each in _LIES_2.strip().splitlines()]
