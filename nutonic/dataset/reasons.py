"""Why places and tiles are left out or stay open: what a person may do about each reason."""

from __future__ import annotations

#: By reason, of rejects and of failures: the key of the recipe that decides it, or what else helps. Of others nothing is
#: known that would.
WHAT_TO_DO = {
    "asset gone": "the server no longer has the file: --replan searches again, --retry-rejects asks once more",
    "bad coordinates": "see pois.path, and pois.columns for names of columns that are not known",
    "bad row": "mend this line of the places file",
    "crosses a block": "larger blocks cut fewer: splits.block_km",
    "duplicate coordinates": "each place is taken once; pois.jitter makes variants of it",
    "duplicate id": "give each row an id of its own, or number them: pois.columns.id: false",
    "file missing": "put the file back or mount its disk; or take its item out of the catalogue, and add --replan",
    "flat imagery": "all pixels are alike; is it the right asset? see imagery.assets",
    "in shadow": "quality.max_shadow decides",
    "no labels": "do the labels cover these places? see labels.path or labels.collection",
    "no point": "give each place a point: two numbers, GeoJSON or WKT; see pois.columns",
    "no scene": "a longer imagery.datetime or a higher imagery.max_cloud_cover finds more",
    "no still": "the map has none there; --retry-rejects asks once more",
    "nodata": "the image ends there; patches.min_valid_fraction decides",
    "nothing to describe": "captions.min_area_share and captions.min_line_share decide",
    "off the lattice": "grid.lattice: source takes pixels as they lie",
    "outside UTM": "only places between latitudes -80 and 84 are in a UTM zone",
    "too close": "pois.min_spacing_m decides",
    "too cloudy": "quality.max_cloud decides",
    "too little imagery": "tiles.min_valid_fraction decides",
    "too little labels": "tiles.min_label_fraction decides; do the labels cover these places?",
    "too little on the map": "patches.min_elements decides",
    "too much nodata": "tiles.min_valid_fraction decides",
    "under snow": "quality.max_snow decides",
    "unusable asset": "the file is not what its item says; a longer imagery.datetime finds others",
    "unusable labels": "labels.dataset says what values mean, and labels.remap translates others",
    "unusable picture": "the image is not what its item says: take another",
}
