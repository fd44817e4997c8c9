"""Places to batches: what will be built, from which scenes, at what cost. Metadata only; no pixel is read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import numpy as np

from nutonic._version import __version__
from nutonic.core.grid import require_proj, transformer
from nutonic.core.model import SPLITS, Batch, Json, PlannedPlace, Reject, Scene, Split
from nutonic.core.showing import ShortRepr
from nutonic.core.units import counted
from nutonic.errors import NoScene, PlanError
from nutonic.heap import give_back
from nutonic.io.session import current
from nutonic.planning import splits
from nutonic.planning.cost import Cost, batch_size, chips_estimate, estimate
from nutonic.planning.ground.squares import Squares, squares_of
from nutonic.planning.judging import judging
from nutonic.planning.pins import refuse_all_missing
from nutonic.planning.places.columns import Places, in_drawn_order, with_spacing, with_variants, without_duplicates
from nutonic.planning.places.read import read_pois
from nutonic.planning.planned import shared_ground_line
from nutonic.planning.remote import refuse_bands_beyond
from nutonic.planning.scenes import Candidates, SceneTable, with_scenes
from nutonic.planning.spec import BuildSpec, doubts
from nutonic.recipe.inputs import Pois
from nutonic.recipe.outputs import Grid, Splits
from nutonic.sources.cost import BLOCK
from nutonic.sources.item import Unusable, UnusableItem, with_unusable

_log = logging.getLogger(__name__)

#: Blocks across in a strip, at most. At its edges blocks are unpacked twice, so the wider the better; but a row of it, of
#: three bands and labels, and what squares reach of the next, have to fit into what a process keeps.
_STRIP = 8

#: A group this large bends the split's shares: the plan warns.
_LARGE_GROUP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(ShortRepr):
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
    split: np.ndarray
    """Of each place, as its position among SPLITS, int8."""
    imagery: SceneTable
    """Ranked scenes of each place."""
    labels: SceneTable
    """Label rasters under each place, in mosaic order."""
    starts: np.ndarray
    """First place of each batch, and the number of places at the end."""
    rejects: tuple[Reject, ...]
    tiles: int
    """Tile positions of all places together."""
    margin_px: tuple[int, int]
    """Rows and columns of each square that no full tile reaches."""
    largest_group: float
    """Share of the places that the largest split group holds."""
    cost: Cost
    judging: str
    """By what cloud is judged, in a line."""
    unusable: tuple[UnusableItem, ...] = ()
    """Items of the catalogues that are none, and were left out: id, and why."""
    of_places: tuple[str, ...] = ()
    """Warnings about the rows of the places file."""
    of_recipe: tuple[str, ...] = ()
    """Warnings about what the recipe asks for."""
    files: tuple[str, ...] = ()
    """Local input files beside those of scenes, which the plan pins too."""
    split_by: str = "place"
    """What of places decides about their split."""
    shared_ground: int | None = None
    """Places that share ground with places of another split; None where splits keep ground apart."""
    drawn_from: int = 0
    """How many places there were before some were drawn for a preview."""
    more: Json = field(default_factory=dict)
    """What the plan of another kind of recipe tells besides."""

    def _facts(self) -> Json:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares().items())
        counts = {"places": len(self.places), "batches": len(self), "scenes": self._first_choices, "tiles": self.tiles}
        return {"name": self.name, **counts, "rejects": len(self.rejects), "shares": shares}

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.starts) - 1

    def batches(self) -> Iterator[Batch]:
        """The batches, one at a time."""
        for index in range(len(self)):
            first, end = self.starts[index : index + 2].tolist()
            places = tuple(self._place(i) for i in range(first, end))
            yield Batch(index=index, places=places)

    def header(self) -> Json:
        """Counts and digests, as a plan file starts with."""
        return {
            "format": 2,
            "nutonic_version": self.nutonic_version,
            "name": self.name,
            "recipe_digest": self.recipe_digest,
            "places_sha256": self.places_sha256,
            "places_origin": self.places_origin,
            "rows": self.rows,
            "places": len(self.places),
            "batches": len(self),
            "scenes": self._first_choices,
            "tiles": self.tiles,
            "margin_px": self.margin_px,
            "shares": self.shares(),
            "largest_group": self.largest_group,
            **({} if self.shared_ground is None else {"shared_ground": self.shared_ground}),
            "rejects": dict(Counter(reject.reason for reject in self.rejects)),
            "cost": asdict(self.cost),
            "judging": self.judging,
            "warnings": self.warnings(),
            **self.more,
        }

    @property
    def _first_choices(self) -> int:
        """How many scenes of imagery places will be seen in: what "scenes" means wherever a plan is counted."""
        return len({ranked[0] for ranked in self.imagery.values})

    def scenes(self) -> list[Scene]:
        """Every scene that any place may use, once, by id: second choices and those of labels too."""
        unique = {scene for some in (*self.imagery.values, *self.labels.values) for scene in some}
        # Ids may be used twice, and a set has no order of its own.
        return sorted(unique, key=lambda scene: (scene.source, scene.collection, scene.id, repr(scene)))

    def items(self) -> list[Json]:
        """The catalogue's items behind the scenes, where it is a remote one: a catalogue of their own."""
        return [scene.item for scene in self.scenes() if scene.item is not None]

    def _place(self, i: int) -> PlannedPlace:
        split = SPLITS[int(self.split[i])]
        return PlannedPlace(poi=self.places[i], split=split, imagery=self.imagery[i], labels=self.labels[i])

    def shares(self) -> dict[Split, float]:
        """Share of the places that each split gets."""
        counts = np.bincount(self.split, minlength=len(SPLITS)).tolist()
        return {name: count / max(1, len(self.split)) for name, count in zip(SPLITS, counts, strict=True)}

    def warnings(self) -> list[str]:
        """Messages for the user to read before building."""
        messages, of_patches, shares = [*self.of_places], self.more.get("of") == "patches", self.shares()
        if self.unusable:
            few = counted(len(self.unusable), "item is", "items are")
            messages.append(f"{few} left out of the search; the first: {self.unusable[0][1]}")
        most = self.largest_group > splits.HALF and len(self.places) > 1
        if most or (self.largest_group > _LARGE_GROUP and len(self.places) > 1 / _LARGE_GROUP):
            group, advice = ("group of overlapping squares", "use splits.by: block, or pois.min_spacing_m")
            what = "places"
            if of_patches:
                group, advice, what = (
                    "block or group of overlapping patches",
                    "see splits.by, splits.block_km",
                    "patches",
                )
            if self.split_by == "block" and not of_patches:
                across = sum(reject.reason == "crosses a block" for reject in self.rejects)
                more = counted(across, "place lies across a border and is", "places lie across a border and are")
                group, advice = "block", f"use smaller ones, splits.block_km; {more} left out, and more would be"
            if self.split_by == "column":
                group, advice = "group of places with one value", "see splits.column and splits.values"
            whole = f", is all in {max(shares, key=lambda name: shares[name])}," if most else ""
            share = f"{self.largest_group:.0%} of all {what}{whole} and bends the split"
            messages.append(f"the largest {group} holds {share}: {advice}")
        if line := shared_ground_line(self.shared_ground, self.split_by, "patches" if of_patches else "places"):
            messages.append(line)
        empty = [name for name, share in shares.items() if not share]
        what = "patch" if of_patches else "place"
        return [*messages, *([f"no {what} falls into {' or '.join(empty)}"] if empty else []), *self.of_recipe]


def plan_of(spec: BuildSpec, *, draw: int | None = None) -> Plan:
    """The plan of a resolved recipe; raises what :func:`nutonic.plan` does.

    With `draw`, scenes are searched for so many places alone, drawn at random; their splits are those that they have among
    all, where those have scenes of their standard zones.
    """
    require_proj()
    if spec.stills is not None:
        spec.stills.check()  # a plan that cannot be built here is none
    file = read_pois(spec.pois)
    places, rejects = _all_places(file.places, spec.pois)
    file = replace(file, places=places)  # frees the places that were dropped
    give_back()
    rejects = [*file.rejects, *rejects]
    if not len(places):
        raise _no_place(spec.pois.path, file.rows, rejects)
    places, split, largest, splitless = _split_before(places, spec, draw)
    give_back()
    there, last = len(places), spec.layout.tiles[-1]
    places, split = (places, split) if draw is None else _some(places, split, draw)
    unusable = current().resource(Unusable)
    unusable.take()  # what is left of other searches
    found, kept, sceneless, in_all = with_scenes(places, split, spec)
    found, largest = in_place(found, spec.splits, spec.grid) if _is_open(spec, draw) else (found, largest)
    give_back()
    candidates, dateless = in_time(found.take(kept), spec.splits)
    sceneless = [*sceneless, *dateless]
    rejects += [*splitless, *sceneless]
    if not len(candidates.places):
        raise _nothing_left(sceneless, splitless, rejects, in_all, unusable.take())
    _refuse_unfit_files(candidates.imagery.compact(), spec)
    candidates, starts, cost = arranged(candidates, spec)
    planned, batches = counted(len(candidates.places), "place"), counted(len(starts) - 1, "batch", "batches")
    _log.info("planned %s in %s, %d rejected", planned, batches, len(rejects))
    return Plan(
        name=spec.name,
        recipe_digest=spec.digest,
        places_sha256=file.sha256,
        places_origin=file.origin,
        nutonic_version=__version__,
        rows=file.rows,
        places=candidates.places,
        split=candidates.split,
        imagery=candidates.imagery.compact(),
        labels=candidates.labels.compact(),
        starts=starts,
        rejects=tuple(rejects),
        tiles=len(spec.layout.tiles) * len(candidates.places),
        margin_px=(spec.side - last.row - last.size, spec.side - last.col - last.size),
        largest_group=largest,
        cost=cost,
        judging=judging(spec.quality, candidates.imagery.compact().values),
        unusable=unusable.take(),
        of_places=file.warnings,
        of_recipe=doubts(spec),
        split_by=spec.splits.by,
        shared_ground=sharing(candidates, spec.splits, _squares(candidates, spec.grid)),
        drawn_from=there,
        more=chips_estimate(spec, len(spec.layout.tiles) * len(candidates.places)),
    )


def _some(places: Places, split: np.ndarray, draw: int) -> tuple[Places, np.ndarray]:
    """So many places, drawn at random, with their splits."""
    some = np.sort(in_drawn_order(places)[:draw])
    return places.take(some), split[some]


def _is_open(spec: BuildSpec, draw: int | None) -> bool:
    """Whether splits wait for scenes."""
    return spec.splits.by == "place" and draw is None


def _split_before(places: Places, spec: BuildSpec, draw: int | None) -> tuple[Places, np.ndarray, float, list[Reject]]:
    """What :func:`with_splits` gives before scenes are known; of a whole plan by place nothing yet: see :func:`in_place`."""
    if _is_open(spec, draw):
        return places, np.zeros(len(places), np.int8), 0.0, []
    return with_splits(places, spec.splits, spec.grid.extent_m, partial(squares_of, places, spec.grid))


def _refuse_unfit_files(imagery: SceneTable, spec: BuildSpec) -> None:
    """Raise :class:`InputError` where no file is there, or none has the bands that are asked for."""
    refuse_all_missing(scene for ranked in imagery.values for scene in ranked)
    refuse_bands_beyond((ranked[0] for ranked in imagery.values), spec.sources.imagery)


def arranged(candidates: Candidates, spec: BuildSpec) -> tuple[Candidates, np.ndarray, Cost]:
    """Places in the order of their batches, the first position of each batch with the end, and what they cost.

    It does not depend on the order in which the places are given.
    """
    candidates, corners, starts = in_batches(candidates, spec.side)
    return candidates, starts, estimate(spec, candidates.imagery[0][0], corners, starts)


def in_batches(candidates: Candidates, side: int) -> tuple[Candidates, np.ndarray, np.ndarray]:
    """Places in the order of their batches.

    Returns
    -------
    candidates
        In this order, which does not depend on that in which they are given.
    corners
        (places, 2) int32: row and column of each square's first pixel in its best scene, to within a pixel.
    starts
        First position of each batch, and the number of places at the end.
    """
    corners = _corners(candidates, side)
    order, starts = _order_of(
        candidates, _source_numbers(candidates), corners, batch_size(side, len(candidates.places))
    )
    return candidates.take(order), corners[order], starts


def _no_place(path: str, rows: int, rejects: Sequence[Reject]) -> PlanError:
    """The error for a file of places of which none can be used."""
    return PlanError(f"{path} has no usable place in {counted(rows, 'row')}{_by_reason(rejects)}{_first(rejects)}")


def _nothing_left(
    sceneless: Sequence[Reject],
    splitless: Sequence[Reject],
    rejects: Sequence[Reject],
    in_all: str,
    odd: Sequence[UnusableItem],
) -> PlanError | NoScene:
    """The error for a plan without places, by the most common reason of its rejects; and what there is near all of them."""
    reason = Counter(reject.reason for reject in sceneless or splitless).most_common(1)[0][0]
    first = next(reject for reject in sceneless or splitless if reject.reason == reason)
    kind = NoScene if sceneless else PlanError
    none = f"none of {counted(len(rejects), 'place')} can be built{_by_reason(rejects)}"
    message = f"{none}; the first: {with_unusable(first.detail, odd)}"
    keys = "imagery.collection, imagery.datetime, imagery.max_cloud_cover and imagery.assets"
    if "on too little of the square" in f"{message}{in_all}":
        keys = "tiles.min_valid_fraction, how much of a tile must have pixels; else imagery.collection and imagery.datetime"
    decides = f"what decides: {keys}"
    return kind("\n".join(filter(None, (message, in_all, decides if reason == "no scene" else ""))))


def _all_places(places: Places, pois: Pois) -> tuple[Places, list[Reject]]:
    """Places without duplicates, spaced, with their variants."""
    places, again = without_duplicates(places)
    places, close = with_spacing(places, pois.min_spacing_m)
    places, outside = with_variants(places, pois.jitter)
    return places, [*again, *close, *outside]


def with_splits(
    places: Places, options: Splits, extent_m: float, squares: Callable[[], Squares]
) -> tuple[Places, np.ndarray, float, list[Reject]]:
    """Places with a split, their splits, the share of the largest group, and the rejects without a split.

    By time, splits are known once scenes are; see :func:`in_time`. `squares` of these places are asked for by place alone.
    """
    keys: Iterable[str]
    if options.by == "time":
        return places, np.zeros(len(places), np.int8), 0.0, []
    if options.by == "block":
        groups, keys, rejects = splits.group_by_block(places, extent_m, options.block_km)
    elif options.by == "column":
        assert options.column is not None, "a recipe by column names it"
        groups, keys, rejects = splits.group_by_column(places, options.column)
    else:
        groups, rejects = splits.group_by_overlap(places, squares()), []
        keys = splits.group_keys(places, groups)
    of_group = splits.of_groups(keys, groups, options)
    keep = np.flatnonzero(groups >= 0)
    return places.take(keep), of_group[groups[keep]], splits.largest_share(groups), rejects


def _squares(candidates: Candidates, grid: Grid) -> Callable[[], Squares]:
    return partial(squares_of, candidates.places, grid, candidates.imagery)


def in_place(found: Candidates, options: Splits, grid: Grid) -> tuple[Candidates, float]:
    """All places with the splits of their groups, by the squares that their scenes give, and the largest group's share.

    Those without a scene count too, so that a place's split does not hang on what there is of others.
    """
    _, split, largest, _ = with_splits(found.places, options, grid.extent_m, _squares(found, grid))
    return replace(found, split=split), largest


def in_time(candidates: Candidates, options: Splits) -> tuple[Candidates, list[Reject]]:
    """Places with the splits of their scenes' days, where splits are by time; those without a day become rejects."""
    if options.by != "time":
        return candidates, []
    imagery, split = splits.by_time(candidates.imagery, options)
    detail = "none of its scenes tells its day, by which splits are made"
    rejects = [
        Reject(poi_id=candidates.places[i].id, reason="no split", detail=detail)
        for i in np.flatnonzero(split < 0).tolist()
    ]
    return replace(candidates, imagery=imagery, split=split).take(np.flatnonzero(split >= 0)), rejects


def sharing(candidates: Candidates, options: Splits, squares: Callable[[], Squares]) -> int | None:
    """Places that share ground with places of another split; None where splits keep ground apart."""
    return splits.sharing_ground(candidates.places, candidates.split, options, squares)


def _source_numbers(candidates: Candidates) -> np.ndarray:
    """(places,) int64: a number for each combination of best scene and labels, in the order of scene ids.

    Scenes are compared in all their fields, since a catalogue may use an id twice.
    """
    pairs = candidates.imagery.numbers.astype(np.int64) * len(candidates.labels.values) + candidates.labels.numbers
    unique, which = np.unique(pairs, return_inverse=True)
    of_pair = [divmod(pair, len(candidates.labels.values)) for pair in unique.tolist()]
    keys = [(candidates.imagery.values[i][0], candidates.labels.values[k]) for i, k in of_pair]
    number = {key: k for k, key in enumerate(sorted(set(keys), key=lambda key: (key[0].id, repr(key))))}
    return np.array([number[key] for key in keys], np.int64)[which.ravel()]


def _order_of(
    candidates: Candidates, sources: np.ndarray, corners: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The order of places, sorted by scene and then along blocks, and the first position of each batch."""
    places = candidates.places
    order = np.lexsort((places.variant, places.ordinal, *along_blocks(corners), sources))
    ordered = sources[order]
    starts = [0]
    for i in range(1, len(ordered)):
        if ordered[i] != ordered[i - 1] or i - starts[-1] == size:
            starts.append(i)
    return order, np.array([*starts, len(ordered)])


def along_blocks(corners: np.ndarray) -> tuple[np.ndarray, ...]:
    """Keys to sort places by, the last first: by the blocks of a scene's files that hold the corners of their squares.

    They go row by row through strips of a few columns, which are as wide as each other. Squares reach into the next row of
    blocks: in a wide scene the rest of the row would lie between, and by then what was unpacked would be forgotten, and
    unpacked again.

    Parameters
    ----------
    corners
        (places, 2) int32: row and column of each square's first pixel.
    """
    rows, cols = (corners // BLOCK).T
    across = int(cols.max(initial=0)) + 1
    strips = -(-across // _STRIP)
    return cols, rows, cols // -(-across // strips)


def _corners(candidates: Candidates, side: int) -> np.ndarray:
    """(places, 2) int32: row and column of each square's first pixel in its best scene, to within a pixel."""
    out = np.zeros((len(candidates.places), 2), np.int32)
    for number, ranked in enumerate(candidates.imagery.values):
        here = np.flatnonzero(candidates.imagery.numbers == number)
        if here.size:
            asset = ranked[0].lead
            x, y = transformer("EPSG:4326", asset.crs).transform(
                candidates.places.lon[here], candidates.places.lat[here]
            )
            a, _, c, _, e, f = asset.transform
            rows, cols = (np.asarray(y) - f) / e, (np.asarray(x) - c) / a
            out[here] = np.floor(np.stack([rows, cols], 1) - side / 2 + 0.5)
    return out


def _first(rejects: Sequence[Reject]) -> str:
    if not rejects:
        return ""
    return f"; the first{rejects[0].where}: {rejects[0].detail}"


def _by_reason(rejects: Sequence[Reject]) -> str:
    counts = Counter(reject.reason for reject in rejects).most_common(4)
    return " (" + ", ".join(f"{count} {reason}" for reason, count in counts) + ")" if counts else ""
