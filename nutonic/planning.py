"""Places to batches: what will be built, from which scenes, at what cost. Metadata only; no pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from nutonic import __version__, splits
from nutonic.cost import BLOCK, Cost, batch_size, estimate
from nutonic.cube import imagery_source, labels_source, place_grid
from nutonic.errors import GridError, NoScene, PlanError
from nutonic.grid import transformer
from nutonic.model import SPLITS, Batch, Json, PlannedPlace, Reject, Scene, Split
from nutonic.places import Places, with_spacing, with_variants, without_duplicates
from nutonic.recipe import Recipe
from nutonic.sources.pois import read_pois
from nutonic.store.layout import layout_of

#: A group this large bends the split's shares: the plan warns.
_LARGE_GROUP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan in columns: one entry per place that will be built, in the order of its batches."""

    name: str
    recipe_digest: str
    places_sha256: str
    """Of the places file."""
    places_origin: str | None
    """Of places on the Hugging Face Hub: their address with the commit they were read at, which would pin them."""
    nutonic_version: str
    rows: int
    """Data rows of the places file."""
    places: Places
    split: tuple[Split, ...]
    imagery: tuple[tuple[Scene, ...], ...]
    labels: tuple[tuple[Scene, ...], ...]
    starts: tuple[int, ...]
    """First place of each batch, and the number of places at the end."""
    rejects: tuple[Reject, ...]
    tiles: int
    """Tile positions of all places together."""
    margin_px: tuple[int, int]
    """Rows and columns of each square that no full tile reaches."""
    largest_group: float
    """Share of the places that the largest split group holds."""
    cost: Cost

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.starts) - 1

    def batches(self) -> Iterator[Batch]:
        """The batches, one at a time."""
        for index in range(len(self)):
            places = tuple(self._place(i) for i in range(self.starts[index], self.starts[index + 1]))
            yield Batch(index=index, places=places)

    def header(self) -> Json:
        """Counts and digests, as a plan file starts with."""
        return {
            "format": 1,
            "nutonic_version": self.nutonic_version,
            "name": self.name,
            "recipe_digest": self.recipe_digest,
            "places_sha256": self.places_sha256,
            "places_origin": self.places_origin,
            "rows": self.rows,
            "places": len(self.places),
            "batches": len(self),
            "scenes": len({ranked[0] for ranked in self.imagery}),
            "tiles": self.tiles,
            "margin_px": self.margin_px,
            "shares": self.shares(),
            "largest_group": self.largest_group,
            "rejects": dict(Counter(reject.reason for reject in self.rejects)),
            "cost": asdict(self.cost),
            "warnings": self.warnings(),
        }

    def scenes(self) -> list[Scene]:
        """Every scene that any place may use, once, by id."""
        unique = {scene for ranked in (*self.imagery, *self.labels) for scene in ranked}
        return sorted(unique, key=lambda scene: (scene.source, scene.collection, scene.id))

    def items(self) -> list[Json]:
        """The catalogue's items behind the scenes, where it is a remote one: a catalogue of their own."""
        return [scene.item for scene in self.scenes() if scene.item is not None]

    def _place(self, i: int) -> PlannedPlace:
        return PlannedPlace(poi=self.places[i], split=self.split[i], imagery=self.imagery[i], labels=self.labels[i])

    def shares(self) -> dict[Split, float]:
        """Share of the places that each split gets."""
        counts = Counter(self.split)
        return {name: counts[name] / max(1, len(self.split)) for name in SPLITS}

    def warnings(self) -> list[str]:
        """What a user should know before building."""
        found = []
        if self.largest_group > _LARGE_GROUP and len(self.places) > 1 / _LARGE_GROUP:
            found.append(
                f"the largest group of overlapping squares holds {self.largest_group:.0%} of all places and bends the "
                "split: use splits.by: block, or pois.min_spacing_m"
            )
        empty = [name for name, share in self.shares().items() if not share]
        return [*found, f"no place falls into {' and '.join(empty)}"] if empty else found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """Places on their way into a plan, columns alike."""

    places: Places
    split: np.ndarray
    """Index into SPLITS."""
    imagery: list[tuple[Scene, ...]]
    labels: list[tuple[Scene, ...]]

    def take(self, index: np.ndarray) -> _Candidates:
        return _Candidates(
            places=self.places.take(index),
            split=self.split[index],
            imagery=[self.imagery[i] for i in index.tolist()],
            labels=[self.labels[i] for i in index.tolist()],
        )


def plan(recipe: Recipe) -> Plan:
    """Plan a recipe.

    Raises
    ------
    InputError
        If the places file, the catalogue or the labels cannot be used.
    NoScene
        If no place has a scene.
    PlanError
        If no place is left, or one place has too many files for a folder.
    PlanTooLarge
        If a batch does not fit into memory, or the tree onto a disk; see :func:`nutonic.cost.refuse_too_large`.
    """
    layout = layout_of(recipe)
    file = read_pois(recipe.pois)
    places, rejects = _all_places(file.places, recipe)
    rejects = [*file.rejects, *rejects]
    if not len(places):
        raise PlanError(f"{recipe.pois.path} has no usable place in {file.rows} rows{_counted(rejects)}")
    found, grouping, more = _with_splits(places, recipe)
    found, none = _with_scenes(found, recipe)
    rejects += [*more, *none]
    if not len(found.places):
        kind, commonest = NoScene if none else PlanError, Counter(reject.reason for reject in none or more)
        first = next(reject for reject in none or more if reject.reason == commonest.most_common(1)[0][0])
        raise kind(f"none of {len(places)} places can be built{_counted(rejects)}; the first: {first.detail}")
    sources = _source_numbers(found)
    corners = _corners(found, sources, recipe)
    order, starts = _in_batches(found, sources, corners, batch_size(recipe, len(found.places)))
    found, batch_of = found.take(order), np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    last = layout.tiles[-1]
    return Plan(
        name=recipe.name,
        recipe_digest=recipe.digest(),
        places_sha256=file.sha256,
        places_origin=file.origin,
        nutonic_version=__version__,
        rows=file.rows,
        places=found.places,
        split=tuple(SPLITS[k] for k in found.split.tolist()),
        imagery=tuple(found.imagery),
        labels=tuple(found.labels),
        starts=tuple(starts.tolist()),
        rejects=tuple(rejects),
        tiles=len(layout.tiles) * len(found.places),
        margin_px=(recipe.side - last.row - last.size, recipe.side - last.col - last.size),
        largest_group=splits.largest_share(grouping),
        cost=estimate(recipe, [ranked[0] for ranked in found.imagery], corners[order], batch_of, len(layout.tiles)),
    )


def _all_places(places: Places, recipe: Recipe) -> tuple[Places, list[Reject]]:
    """Places without duplicates, spaced, with their variants."""
    places, again = without_duplicates(places)
    places, close = with_spacing(places, recipe.pois.min_spacing_m)
    places, outside = with_variants(places, recipe.pois.jitter)
    return places, [*again, *close, *outside]


def _with_splits(places: Places, recipe: Recipe) -> tuple[_Candidates, np.ndarray, list[Reject]]:
    """Each place's split, from the groups of all places, before any search."""
    if recipe.splits.by == "block":
        groups, keys, rejects = splits.group_by_block(places, recipe.grid.extent_m, recipe.splits.block_km)
    else:
        groups, rejects = splits.group_by_overlap(places, recipe.grid.extent_m), []
        keys = splits.group_keys(places, groups)
    of_group = np.array([SPLITS.index(splits.split_of(key, recipe.splits)) for key in keys], np.int8)
    keep = np.flatnonzero(groups >= 0)
    kept = _Candidates(places=places.take(keep), split=of_group[groups[keep]], imagery=[], labels=[])
    return kept, groups, rejects


def _with_scenes(found: _Candidates, recipe: Recipe) -> tuple[_Candidates, list[Reject]]:
    """The scenes of each place that can be opened on the recipe's grid; places without one become rejects."""
    places, extent = found.places, recipe.grid.extent_m
    labels = labels_source(recipe).search(places.lon, places.lat, extent, recipe.imagery.datetime)
    imagery = imagery_source(recipe).search(places.lon, places.lat, extent, recipe.imagery.datetime)
    problems = _Problems(recipe)
    usable = [tuple(s for s in ranked if problems.of(s, places, i) is None) for i, ranked in enumerate(imagery)]
    keep = np.array([i for i, scenes in enumerate(usable) if scenes and labels[i]], np.int64)
    kept = _Candidates(places=places, split=found.split, imagery=usable, labels=labels).take(keep)
    rejects = [_no_scene(i, imagery[i], problems, recipe, places) for i in range(len(places)) if not usable[i]]
    bare = [i for i in range(len(places)) if usable[i] and not labels[i]]
    detail = f"no item of the {recipe.labels.table.name} catalogue touches the square"
    return kept, [*rejects, *(Reject(poi_id=places[i].id, reason="no labels", detail=detail) for i in bare)]


class _Problems:
    """Whether scenes lie on the recipe's lattice, asked once per scene: it does not depend on the place."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._known: dict[Scene, str | None] = {}

    def of(self, scene: Scene, places: Places, i: int) -> str | None:
        """What is wrong with a scene, or None; place `i` is one that it serves."""
        if scene not in self._known:
            try:
                place_grid(float(places.lon[i]), float(places.lat[i]), scene, self._recipe.grid)
                self._known[scene] = None
            except GridError as error:
                self._known[scene] = str(error)
        return self._known[scene]


def _no_scene(i: int, ranked: Sequence[Scene], problems: _Problems, recipe: Recipe, places: Places) -> Reject:
    imagery = recipe.imagery
    if ranked:
        return Reject(poi_id=places[i].id, reason="off the lattice", detail=str(problems.of(ranked[0], places, i)))
    detail = (
        f"no item of {imagery.collection} with {', '.join(imagery.assets)} covers enough of the square "
        f"in {imagery.datetime} with at most {imagery.max_cloud_cover:g} % cloud"
    )
    return Reject(poi_id=places[i].id, reason="no scene", detail=detail)


def _source_numbers(found: _Candidates) -> np.ndarray:
    """(places,) int64: a number for each combination of best scene and labels, in the order of scene ids.

    Scenes count as equal only if all of them is: a catalogue may use an id twice.
    """
    keys = [(ranked[0], labels) for ranked, labels in zip(found.imagery, found.labels, strict=True)]
    number = {key: k for k, key in enumerate(sorted(set(keys), key=lambda key: (key[0].id, repr(key))))}
    return np.array([number[key] for key in keys], np.int64)


def _in_batches(
    found: _Candidates, sources: np.ndarray, corners: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The order of places in which those of one scene and near each other follow each other, and where batches start.

    Near means: squares whose corners lie in the same blocks of the scene's files, row by row of blocks.
    """
    rows, cols = (corners // BLOCK).T
    order = np.lexsort((found.places.variant, found.places.ordinal, cols, rows, sources))
    ordered = sources[order]
    starts = [0]
    for i in range(1, len(ordered)):
        if ordered[i] != ordered[i - 1] or i - starts[-1] == size:
            starts.append(i)
    return order, np.array([*starts, len(ordered)])


def _corners(found: _Candidates, sources: np.ndarray, recipe: Recipe) -> np.ndarray:
    """(places, 2) int64: row and column of each square's first pixel in its best scene, to within a pixel."""
    out = np.zeros((len(found.places), 2), np.int64)
    for number in np.unique(sources).tolist():
        here = np.flatnonzero(sources == number)
        asset = found.imagery[here[0]][0].assets[0]
        x, y = transformer("EPSG:4326", asset.crs).transform(found.places.lon[here], found.places.lat[here])
        a, _, c, _, e, f = asset.transform
        rows, cols = (np.asarray(y) - f) / e, (np.asarray(x) - c) / a
        out[here] = np.floor(np.stack([rows, cols], 1) - recipe.side / 2 + 0.5).astype(np.int64)
    return out


def _counted(rejects: Sequence[Reject]) -> str:
    counts = Counter(reject.reason for reject in rejects).most_common(4)
    return " (" + ", ".join(f"{count} {reason}" for reason, count in counts) + ")" if counts else ""
