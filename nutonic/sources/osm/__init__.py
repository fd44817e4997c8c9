"""OpenStreetMap as a source: extracts and Overpass, and what tags mean to the eye."""

#: Where answers of map servers lie in a tree. Here, since who only owns them asks nobody.
MAPS = "_nutonic/maps"
