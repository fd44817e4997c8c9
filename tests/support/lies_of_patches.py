"""Lies of patches, by kind: what the geometry refutes, and what no picture shows in which a pixel is 0.6 m.

Each comes behind an honest sentence of its scene (:mod:`support.honest_captions`), so that nothing but the lie is wrong.
"""

from __future__ import annotations

#: What is true of each, and comes first.
BEGINNINGS = {
    "suburb": "A residential area takes up about 72 percent of the picture, with houses along a curved street.",
    "golf": "A golf course covers about 81 percent of the picture, with a pond in the north-west.",
    "warehouse": "A rectangular warehouse occupies the centre of the picture, next to a parking lot.",
    "field": "A rectangular field covers about 44 percent of the picture in the west, along a straight hedge.",
    "bay": "A body of water covers about 47 percent of the picture, with a beach in the west.",
    "motorway": "A slightly curved motorway crosses the picture from the south-west to the north-east.",
    "pond": "An irregular body of water lies in the north-west of the picture, and a forest in the east.",
    "river": "A winding river crosses the picture from the north-east to the south-west, beside farmland.",
    "pitch": "A rectangular soccer pitch lies in the centre of the picture, and a church in the north.",
}

_TOLD = {
    "denied": """
pond | There is no forest anywhere in this view.
pond | No buildings can be seen in the whole picture.
pond | The view holds no water at all.
pond | The south is free of streets.
suburb | The residential area has no park.
suburb | Swimming pools are absent from the scene.
golf | The golf course lacks bunkers.
golf | It is a course without any woods.
warehouse | No tanks stand near it.
warehouse | There are no railway tracks in the north.
field | The orchard is missing from this view.
field | Neither a hedge nor a barn is visible.
bay | The marina has no piers.
bay | There isn't a footpath along the shore.
motorway | The motorway has no ramp.
river | A railway is nowhere to be seen.
pond | There is nothing else in the picture.
pitch | The church is not visible.
motorway | It is not crossed by any road.
field | The land is devoid of buildings.
""",
    "season": """
pond | It is late autumn, and the leaves have fallen.
pond | The forest stands in its summer green.
field | The crop is ripe and ready for the harvest in August.
field | In spring the field will be sown again.
golf | The grass is dormant, as is common in winter.
suburb | Christmas lights decorate the houses.
river | The water is high after the spring melt.
bay | Summer tourists come to the beach.
motorway | The trees are bare in this winter scene.
pitch | The season has just begun.
""",
    "weather": """
pond | The sky is clear, and the sun is shining.
suburb | A light rain has fallen over the streets.
golf | The grass is wet with dew.
warehouse | Thick fog hangs over the tanks.
field | The wind bends the wheat.
bay | Gentle waves roll in under a blue sky.
motorway | The road surface is icy.
river | After heavy storms the river has flooded.
pitch | It is a sunny day.
pond | Clouds are reflected in the water.
bay | It is warm and humid there.
""",
    "time of day": """
pond | Taken in the early morning, the picture is full of light.
suburb | Long shadows show that it is late afternoon.
golf | It is noon, and shadows are short.
warehouse | At night the yard is lit by lamps.
field | The evening light falls over the field.
bay | The sun is setting over the water.
motorway | It is rush hour.
river | Dawn breaks over the river.
pitch | Floodlights turn the dusk into day.
pond | The image was captured at midday.
""",
    "people": """
suburb | Children play in the park.
suburb | Families live in these houses.
golf | Golfers walk along the fairways.
warehouse | Workers unload goods beside it.
field | A farmer works on the land.
bay | Swimmers enjoy the water.
bay | Many visitors relax on the sand.
motorway | Commuters use it every day.
river | Anglers sit on its banks.
pitch | A team is training on the grass.
pond | Residents take walks around it.
pitch | Players run over the pitch.
""",
    "vehicles": """
suburb | A van is parked in front of a house.
golf | Two golf carts stand on the path.
warehouse | Lorries wait at its loading docks.
warehouse | The parking lot is full of cars.
field | A tractor drives over the field.
bay | Sailing boats are moored at the piers.
bay | A ferry crosses the water.
motorway | Traffic is dense in both directions.
motorway | A truck drives on the right lane.
river | A freight train passes by on the railway.
pitch | Bicycles lean against the church.
motorway | It is empty of vehicles.
pond | A rowing boat floats on it.
""",
    "invisible attribute": """
suburb | The area is called Maple Heights.
suburb | The street has a speed limit of 30.
suburb | The houses were built in the nineties.
golf | It is a private club with members.
warehouse | It belongs to a logistics company.
warehouse | The tanks hold fuel.
field | The field is owned by a cooperative.
bay | The water is four metres deep.
motorway | It is the A9 towards the capital.
motorway | A toll is charged here.
motorway | The speed limit is 120 kilometres per hour.
river | The railway is electrified.
river | The river is navigable.
pitch | The church is Protestant.
pitch | It is home to a local league.
pond | Its water is drinkable and clean.
pond | It is protected by law.
motorway | It is a busy route of national importance.
pitch | The church dates from the Middle Ages.
suburb | The street is one-way.
suburb | The average price of a home is high.
""",
    "count": """
suburb | Three swimming pools lie in the north.
suburb | A dozen detached houses can be made out.
suburb | There is a single detached house in it.
golf | Five sand bunkers are spread over it.
golf | Several ponds are part of it.
warehouse | Two warehouses stand there.
warehouse | A pair of storage tanks stands in the east.
field | There are four barns.
field | Many orchards lie around it.
bay | A lone pier extends into the water.
bay | Both marinas are in the south-east.
motorway | Four bridges cross it.
motorway | A few forests line it.
river | Two rivers meet here.
pitch | Twin churches stand to the north.
pond | Some forests surround it.
pond | Its only neighbour is one building.
river | Railways run through the land.
golf | Dozens of bunkers dot it.
""",
    "colour": """
suburb | The roofs are red.
suburb | The street is dark grey.
golf | The sand is bright white.
warehouse | It has a blue roof.
warehouse | The tanks are silver.
field | The wheat is golden.
field | The soil is brown and dry.
bay | The water is turquoise.
motorway | Yellow lines mark its edges.
river | Its water is muddy brown.
pitch | White lines mark the pitch.
pond | The water is dark and murky.
pond | The pond is nearly black.
""",
    "size": """
suburb | The park takes up half of the picture.
suburb | The tiny residential area is hardly noticeable.
golf | The pond is vast.
golf | The wood covers 30 percent.
warehouse | It measures 900 by 400 metres.
warehouse | The small industrial area lies around it.
field | The orchard spans 12 hectares.
field | It is a minor patch of land.
bay | The beach covers most of the picture.
bay | The huge beach is a kilometre long.
motorway | It is about 90 metres long.
motorway | The short motorway ends soon.
river | The river is 2 kilometres long.
pitch | The pitch fills the entire picture.
pitch | The enormous church dominates the view.
pond | The forest covers 60 percent of the ground.
pond | It is a tiny pond.
river | Only a small part of the picture is farmland.
""",
    "comparison": """
suburb | The park is larger than the residential area.
golf | The pond is bigger than the wood.
warehouse | The parking lot is larger than the warehouse.
field | The orchard is the largest feature.
field | The second field is larger than the one in the west.
bay | The marina exceeds the water in size.
motorway | The ramp is longer than the motorway.
motorway | The meadow is smaller than the forest.
river | The railway is longer than the river.
river | Most of the picture is occupied by the river.
pitch | The church is the largest thing in view.
pond | The forest is twice the size of the pond.
pond | The street is dwarfed by the large buildings.
golf | The scene is dominated by a pond.
bay | The beach is the most extensive feature.
""",
    "direction": """
suburb | The park lies in the north-west.
suburb | The swimming pools are in the south.
golf | The wood is in the north.
golf | The pond lies in the south-east and the wood in the north-west.
warehouse | The tanks stand to the west of the warehouse.
warehouse | The parking lot lies north of it.
warehouse | The railway runs along the bottom.
field | The orchard is on the upper left.
field | The hedge runs from west to east.
bay | The parking lot is in the south-west, and the marina in the north.
bay | The footpath leads from north to south.
motorway | The forest is in the south-east and the meadow in the north-west.
motorway | The ramp lies in the west.
river | The railway lies in the west of the picture.
river | The farmland lies in the north-east.
pitch | The church stands south of the pitch.
pond | The street lies in the north while the pond lies in the south.
pond | The forest lies west of the pond.
pond | The buildings are in the east and the forest is in the south.
""",
    "swapped class": """
suburb | The park takes up about 72 percent, the houses about 9 percent.
suburb | A straight street leads to the park.
golf | The wood in the north-west is compact, and the pond in the south-east is irregular.
golf | The bunkers are elongated.
warehouse | The tanks are rectangular, and the warehouse is round.
warehouse | The industrial area lies within the parking lot.
field | The orchard covers 44 percent of the view.
field | Gravel covers the field.
bay | A sandy marina lies in the south-east.
bay | Water covers 10 percent and the marina 47 percent.
motorway | The forest covers about 25 percent.
motorway | The ramp has three lanes.
motorway | The minor road is winding.
river | The railway meanders through the land, and the river is straight.
pitch | The church is rectangular and of grass.
pond | The forest is of irregular shape and covers 23 percent.
pond | The building in the south has two lanes.
""",
    "invented thing": """
suburb | A school stands at its edge.
suburb | Garages stand beside the houses.
golf | A clubhouse overlooks the last green.
warehouse | Containers are stacked beside it.
warehouse | A crane towers over the yard.
field | A wind turbine rises from it.
field | Cows graze beside the barns.
field | A stream runs along the hedge.
bay | A lighthouse marks the end of the pier.
bay | Reeds grow along the shore.
motorway | A filling station lies beside it.
motorway | Noise barriers line both sides.
river | A bridge spans the river.
river | An old mill stands on its bank.
pitch | A running track surrounds it.
pitch | Benches line the pitch.
pond | A fountain stands in the middle.
pond | Ducks swim on it.
pond | A wooden jetty reaches into the water.
motorway | Street lamps and signs stand along it.
""",
    "use and history": """
suburb | It is a wealthy part of the city.
suburb | The neighbourhood has grown fast in recent years.
golf | Tournaments are held here.
golf | It is open to the public.
warehouse | Goods are stored here before they are shipped.
warehouse | It is abandoned.
field | The field is irrigated.
field | The harvest was good last year.
bay | Fishing is popular here.
bay | The beach has been nourished lately.
motorway | It connects two major cities.
motorway | It was widened a decade ago.
river | The river was once used to float timber.
pitch | Matches are played on weekends.
pond | It was dug to extract gravel.
pond | It serves as a drinking water supply.
""",
    "what no picture shows": """
suburb | The smell of cut grass is in the air.
golf | Birdsong can be heard from the wood.
warehouse | The noise of engines fills the yard.
field | The soil is fertile and rich in lime.
bay | The water is cold and salty.
motorway | The ride is smooth and fast.
river | The current is strong.
river | Trout are common in it.
pitch | The church has a famous organ.
pond | The water is deep and full of fish.
pond | It is a safe and healthy place.
pond | The ground is ten metres above the sea.
""",
}

#: By kind: the scene's name and the lie.
LIES = {
    kind: [(key.strip(), lie.strip()) for key, _, lie in (each.partition("|") for each in told.strip().splitlines())]
    for kind, told in _TOLD.items()
}

_LATER = """
pond | Not a single house stands in the south.
pond | You will look in vain for a street here.
pond | The water is covered with a thin layer of ice.
pond | Blossoming shrubs line its shore.
pond | Mist rises from the surface.
pond | Its three islands are easy to see.
pond | The forest consists of tall pines.
pond | The street leads into the pond.
pond | Most of the picture is forest.
pond | The pond stretches over the eastern half.
pond | There are fewer buildings than ponds.
pond | The street winds along the northern edge.
pond | The three buildings are arranged around the pond.
pond | A couple of hundred people live here.
suburb | The residential area makes up a small part of the view.
suburb | Every house has a garage and a garden.
suburb | The pools are empty at this time of year.
suburb | The houses stand along a straight road.
suburb | Most of the homes are rented.
suburb | The park is round.
suburb | The park lies at the western edge.
suburb | There are more pools than houses.
suburb | A bus stops at the corner.
suburb | Its residents are mostly retired.
golf | The fairways run from east to west.
golf | The cart path is straight.
golf | The pond is the largest feature of the course.
golf | A hole with a flag is next to each bunker.
golf | It has eighteen holes.
golf | The two ponds lie in the north-west.
golf | The wood is leafless.
golf | The greens were mown yesterday.
warehouse | There are two parking lots.
warehouse | The building is ten metres high.
warehouse | Its roof carries solar panels.
warehouse | The tanks stand in the south-west.
warehouse | The track curves towards the south.
warehouse | It is used for storing grain.
warehouse | A security fence encloses the site.
warehouse | The service road is unpaved.
warehouse | The lot is completely empty.
field | The wheat field is in the east.
field | There is only one field.
field | The barns stand at the northern edge.
field | The hedge is winding.
field | The track is paved with asphalt.
field | Potatoes grow in the eastern field.
field | The farm belongs to the same family for generations.
field | It will be harvested soon.
bay | The marina lies in the south-west, and the beach in the south-east.
bay | The beach is of pebbles.
bay | The footpath is closed.
bay | Waves break on the shore.
bay | The bay is part of a nature reserve.
bay | There are thirty berths.
motorway | Five lanes run in each direction.
motorway | The forest is larger than the meadow.
motorway | The minor road passes under the motorway.
motorway | Accidents are frequent here.
motorway | The ramp is straight.
river | The railway crosses the river on a bridge.
river | The farmland covers a third of the picture.
river | The river flows from north to south.
river | The railway is the longest feature.
river | Wheat and barley grow on the farmland.
pitch | The pitch covers half of the view.
pitch | The church lies in the centre, and the pitch in the north.
pitch | The church is as large as the pitch.
pitch | Two churches stand beside it.
pitch | Spectators watch from the side.
"""

#: Lies of all kinds that were told after the gate was made.
LATER = [(key.strip(), lie.strip()) for key, _, lie in (each.partition("|") for each in _LATER.strip().splitlines())]
