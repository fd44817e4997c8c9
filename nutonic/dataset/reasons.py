"""Why places and tiles are left out or stay open: what a person may do about each reason."""

from __future__ import annotations

#: By reason, of rejects and of failures: the key of the recipe that decides it, or what else helps. Of others nothing is
#: known that would.
WHAT_TO_DO = {
    "asset gone": "the server no longer has the file: --replan searches again, --retry-rejects asks once more",
    "bad coordinates": "see pois.path, and pois.columns for names of columns that are not known",
    "crosses a block": "larger blocks cut fewer: splits.block_km",
    "duplicate coordinates": "each place is taken once; pois.jitter makes variants of it",
    "file missing": "put the file back or mount its disk; or take its item out of the catalogue, and add --replan",
    "flat imagery": "all pixels are alike; is it the right asset? see imagery.assets",
    "in shadow": "quality.max_shadow decides",
    "no labels": "do the labels cover these places? see labels.path or labels.collection",
    "no still": "the map has none there; --retry-rejects asks once more",
    "off the lattice": "grid.lattice: source takes pixels as they lie",
    "outside UTM": "only places between latitudes -80 and 84 are in a UTM zone",
    "too close": "pois.min_spacing_m decides",
    "too cloudy": "quality.max_cloud decides",
    "too little imagery": "tiles.min_valid_fraction decides",
    "too little labels": "tiles.min_label_fraction decides; do the labels cover these places?",
    "too little on the map": "patches.min_elements decides",
    "too much nodata": "tiles.min_valid_fraction decides",
    "under snow": "quality.max_snow decides",
    "unusable labels": "labels.dataset says what values mean, and labels.remap translates others",
}
