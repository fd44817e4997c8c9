"""What can be done about each reason for which something was left out."""

from __future__ import annotations

_TRY = "nothing to do, unless many are left out"

#: By reason, as rejects tell it.
ADVICE = {
    "too cloudy": "widen imagery.datetime so that there are clearer scenes, or raise quality.max_cloud",
    "in shadow": "widen imagery.datetime, or raise quality.max_shadow",
    "under snow": "choose months without snow in imagery.datetime, or raise quality.max_snow",
    "too much nodata": "the scenes end here: widen imagery.datetime, or raise quality.max_nodata",
    "too little imagery": "the scene ends within the square: widen imagery.datetime, or lower tiles.min_valid_fraction",
    "too little labels": "the labels have no class here: lower tiles.min_label_fraction, or use other labels",
    "flat imagery": "one value all over, as over open sea or in a broken file: look at the scene",
    "no scene": "widen imagery.datetime, raise imagery.max_cloud_cover, and see that the collection covers the place",
    "no labels": "the labels do not reach here: use others, or take the place out",
    "off the lattice": "set grid.lattice to source, so that pixels are read as they lie",
    "no still": "the server has no picture here; the place has chips all the same",
    "duplicate coordinates": "the place is in the file twice: one is enough",
    "duplicate id": "give each row of the places file an id of its own",
    "too close": "lower pois.min_spacing_m",
    "crosses a block": "it would lie in two splits: use larger blocks (splits.block_km), or split by place",
    "bad coordinates": "mend the coordinates: longitude and latitude in degrees, WGS 84",
    "no point": "give each place a point: two numbers, or a GeoJSON or WKT point",
    "outside UTM": "places beyond 84° north or 80° south cannot be built",
    "asset gone": "the catalogue names a file that is not there: widen imagery.datetime so that there are others",
    "unusable asset": "the scene's file is not what its item says: widen imagery.datetime so that there are others",
    "unusable labels": "see what is wrong with the label file here",
    "unusable picture": "the image is not what its item says: take another",
    "nodata": "the image ends here, or lower patches.min_valid_fraction",
    "too little on the map": "lower patches.min_elements, or take a map that knows more",
    "nothing to describe": "lower captions.min_area_share or captions.min_line_share",
    "bad row": "mend this line of the places file",
}


def advice(reason: str) -> str:
    """What to do about a reason, in a sentence."""
    return ADVICE.get(reason, _TRY)
