"""Why places and tiles are left out or stay open: of which of both, and what a person may do about each reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from nutonic.core.units import counted

#: Why a place is done without a still that the recipe wants: a reject of the place, beside those of its tiles.
NO_STILL = "no still"

#: What fails, where captions do: of a place, or, in place of a place's id too, of all that wait for some.
CAPTIONS = "captions"

#: What is left out: a place by the plan, of which no tile is counted; a place with all its tiles; a tile; a place's still.
BY_PLAN: Final = "by_plan"
PLACES: Final = "places"
TILES: Final = "tiles"
STILLS: Final = "stills"

_NOUNS = {
    BY_PLAN: ("place by the plan", "places by the plan"),
    PLACES: ("whole place", "whole places"),
    TILES: ("tile", "tiles"),
    STILLS: ("still", "stills"),
}

#: By reason, of rejects and of failures: the key of the recipe that decides it, or what else helps. Of others nothing is
#: known that would.
WHAT_TO_DO = {
    "asset gone": "the server no longer has the file: --replan searches again, --retry-rejects asks once more",
    "bad coordinates": "see pois.path, and pois.columns for names of columns that are not known",
    "bad row": "mend it in the places file",
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
    "too few labels": "tiles.min_label_fraction decides; do the labels cover these places?",
    "too little imagery": "tiles.min_valid_fraction decides",
    "too little on the map": "patches.min_elements decides",
    "too much nodata": "tiles.min_valid_fraction decides",
    "under snow": "quality.max_snow decides",
    "unusable asset": "the file is not what its item says: are imagery.assets the right assets and bands? a longer "
    "imagery.datetime finds others",
    "unusable labels": "labels.dataset says what values mean, and labels.remap translates others",
    "unusable picture": "the image is not what its item says: take another",
}


#: How many of each kind, by reason.
LeftOutCounts = Mapping[str, Mapping[str, int]]


def kind_of(reason: str, tile_id: str | None) -> str:
    """Of what a reject of a commit is."""
    return TILES if tile_id is not None else STILLS if reason == NO_STILL else PLACES


def counts_of(rejects: Iterable[tuple[str, str | None]]) -> dict[str, dict[str, int]]:
    """Rejects of commits, each with its reason and its tile, counted by kind and by reason."""
    counts: dict[str, dict[str, int]] = {}
    for reason, tile_id in rejects:
        of_kind = counts.setdefault(kind_of(reason, tile_id), {})
        of_kind[reason] = of_kind.get(reason, 0) + 1
    return counts


def of_what(counts: LeftOutCounts, reason: str) -> str:
    """Of what a reason's count is.

    >>> of_what({"tiles": {"too cloudy": 6}, "places": {"too cloudy": 2}}, "too cloudy")
    '2 whole places, 6 tiles'
    """
    found = ((counts.get(kind, {}).get(reason, 0), nouns) for kind, nouns in _NOUNS.items())
    return ", ".join(counted(number, *nouns) for number, nouns in found if number)


def tiles_in(counts: LeftOutCounts, tiles_per_place: int) -> int:
    """How many tiles are left out of the places that are done: single ones, and all those of whole places."""
    return sum(counts.get(TILES, {}).values()) + tiles_per_place * sum(counts.get(PLACES, {}).values())


def account_of(tiles_per_place: int, kept: int, left_out: int) -> str:
    """What became of all tiles of the places that are done.

    >>> account_of(4, 26, 14)
    'Each place has 4 tiles. Of 40 tiles of places that are done, 26 are chips and 14 are left out.'
    """
    of_each, of_all = counted(tiles_per_place, "tile"), counted(kept + left_out, "tile")
    made, left = counted(kept, "is a chip", "are chips"), counted(left_out, "is", "are")
    return f"Each place has {of_each}. Of {of_all} of places that are done, {made} and {left} left out."
