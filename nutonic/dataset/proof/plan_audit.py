"""A plan, held against itself: its counts, its splits and its batches follow from its places, its scenes and the recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import orjson

from nutonic.core.model import SPLITS, Batch, Json, Poi, Reject, Scene
from nutonic.dataset.proof.findings import Finding
from nutonic.dataset.proof.shapes import wrong_pins, wrong_values
from nutonic.planning import splits
from nutonic.planning.cost import chips_estimate
from nutonic.planning.ground.squares import Squares, squares_of
from nutonic.planning.judging import judging
from nutonic.planning.pins import key_of, remote_hrefs
from nutonic.planning.places.columns import Places, with_variants
from nutonic.planning.plan import Plan, arranged, sharing
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.scenes import Candidates, SceneTable
from nutonic.planning.spec import BuildSpec, doubts
from nutonic.recipe.outputs import Splits

#: Reasons of rejects that were told before places were grouped, or as they were: these places are in no group.
_NO_GROUP = (
    *("duplicate coordinates", "too close", "outside UTM", "bad coordinates"),
    *("crosses a block", "no split"),
)

#: Of so many places without a scene it is still asked which others they may connect.
_FEW = 8

#: Degrees by which a variant may lie elsewhere on another machine: a tenth of a millimetre.
_SAME_PLACE = 1e-9


@dataclass(frozen=True, slots=True)
class PlanColumns:
    """A plan's places with their splits and scenes, in the plan's order."""

    candidates: Candidates
    rejects: tuple[Reject, ...]

    @property
    def places(self) -> Places:
        """The places."""
        return self.candidates.places


def plan_findings(plan: PlanFile, spec: BuildSpec, *, ours: bool) -> Iterator[Finding]:
    """What of a plan does not follow from the rest of it; `ours`: it was made by this version of nutonic."""
    columns = checked_columns(plan, "place", spec.splits.column)
    if isinstance(columns, Finding):
        yield columns
        return
    squares = partial(squares_of, columns.places, spec.grid, columns.candidates.imagery)
    leaks, largest = split_findings(columns, spec.splits, spec.grid.extent_m, squares)
    yield from leaks
    yield from _variant_findings(columns.places, spec)
    if ours:
        yield from _header_findings(plan, columns, spec, largest, skip=("shares", "warnings") if leaks else ())


def checked_columns(plan: PlanFile, thing: str, column: str | None = None) -> PlanColumns | Finding:
    """What a plan holds, or what is wrong with it before anything can be compared; `thing` is what it is a plan of.

    Of what rows say, a column alone is held.
    """
    batches = list(_checked_batches(plan))
    problem = next((batch for batch in batches if isinstance(batch, str)), None)
    problem = problem or wrong_values(Scene, list(plan.scenes)) or wrong_values(Reject, list(plan.rejects))
    if problem is not None:
        return Finding(f"the plan holds what no plan does: {problem}")
    columns = _columns_of([batch for batch in batches if isinstance(batch, Batch)], plan.rejects, column)
    return columns if len(columns.places) else Finding(f"the plan has no {thing}")


def _checked_batches(plan: PlanFile) -> Iterator[Batch | str]:
    """The batches, or what is wrong with one."""
    for number, batch in enumerate(plan.batches()):
        pois = [place.poi for place in batch.places]
        problem = wrong_values(Poi, pois) or next((wrong for poi in pois if (wrong := _nowhere(poi))), None)
        bare = any(not place.imagery for place in batch.places)
        if batch.index != number or problem or bare:
            yield problem or f"batch {number} has another number, or a place without a scene"
            return
        yield batch


def _nowhere(poi: Poi) -> str | None:
    fits = -180 <= poi.lon <= 180 and -80 <= poi.lat <= 84 and 0 <= poi.ordinal < 2**31 and 0 <= poi.variant < 2**15
    return None if fits else f"{poi.id[:64]} lies nowhere"


def _columns_of(batches: Sequence[Batch], rejects: tuple[Reject, ...], column: str | None) -> PlanColumns:
    """The places of batches as columns."""
    planned = [place for batch in batches for place in batch.places]
    pois = [place.poi for place in planned]
    places = Places(
        ordinal=np.array([poi.ordinal for poi in pois], np.int64),
        variant=np.array([poi.variant for poi in pois], np.int16),
        lon=np.array([poi.lon for poi in pois]),
        lat=np.array([poi.lat for poi in pois]),
        ids=tuple(poi.base_id for poi in pois),
        keep=() if column is None else (column,),
        keep_values=() if column is None else tuple((dict(poi.place).get(column),) for poi in pois),
    )
    candidates = Candidates(
        places=places,
        split=np.array([SPLITS.index(place.split) for place in planned], np.int8),
        imagery=SceneTable.of([place.imagery for place in planned]),
        labels=SceneTable.of([place.labels for place in planned]),
    )
    return PlanColumns(candidates, rejects)


# Splits


def split_findings(
    columns: PlanColumns, options: Splits, extent_m: float, squares: Callable[[], Squares]
) -> tuple[list[Finding], float | None]:
    """Findings for places whose split is not their group's, and the share of the largest group, None if it cannot be told.

    A place without a scene belonged to a group too, and the plan does not say where it lay. So a group may have been
    larger, and have had another key: one of such a place, or of a group so near that such places may lie between.
    """
    if options.by == "time":
        return list(_time_findings(columns, options)), 0.0
    places, told = columns.places, columns.candidates.split
    absent = [r.poi_id for r in columns.rejects if r.line is None and r.reason not in _NO_GROUP]
    groups, keys, near = _groups(places, options, extent_m, squares, len(absent))
    if (groups < 0).any():
        what = f"rows have no {options.column}" if options.by == "column" else "squares cross the border of a block"
        return [Finding(f"the plan has places whose {what}")], None
    if absent:
        allowed = _allowed(options, groups, keys, near, absent)
    else:
        allowed = [{SPLITS[k]} for k in splits.of_groups(keys, groups, options).tolist()]
    largest = None if absent else splits.largest_share(groups)
    others = f"places with its {options.column}" if options.by == "column" else "the places that share ground with it"
    return [
        Finding(f"{places[i].id} is in {SPLITS[told[i]]}: {others} are in {' or '.join(sorted(of))}")
        for i, of in enumerate(allowed[group] for group in groups.tolist())
        if SPLITS[told[i]] not in of
    ], largest


def _time_findings(columns: PlanColumns, options: Splits) -> Iterator[Finding]:
    """Findings for places whose split is not that of every scene that they may be built from."""
    given = columns.candidates
    table, split = splits.by_time(given.imagery, options)
    for i in np.flatnonzero(split != given.split).tolist():
        right = SPLITS[split[i]] if split[i] >= 0 else "none, since no scene of it tells its day"
        yield Finding(f"{given.places[i].id} is in {SPLITS[given.split[i]]}: by its scene's day it is in {right}")
    odd = [len(before) != len(after) for before, after in zip(given.imagery.values, table.values, strict=True)]
    for i in np.flatnonzero(np.array(odd, bool)[table.numbers]).tolist():
        yield Finding(f"{given.places[i].id} may be built from a scene of a day that is in another split")


def _groups(
    places: Places, options: Splits, extent_m: float, squares: Callable[[], Squares], absent: int
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The group of each place, the key of each group, and which groups so many absent places may connect.

    The last is a number for each group (int64), the same for all that may be one.
    """
    if options.by == "column":
        assert options.column is not None, "a recipe by column names it"
        groups, keys, _ = splits.group_by_column(places, options.column)
    elif options.by == "block":
        groups, keys, _ = splits.group_by_block(places, extent_m, options.block_km)
    else:
        drawn = squares()
        groups = splits.group_by_overlap(places, drawn)
        keys, near = list(splits.group_keys(places, groups)), np.zeros(len(places), np.int64)
        if absent <= _FEW:  # each may lie in another zone, turned
            wide = replace(drawn, side=splits.drawn_side(drawn.side) * (1 + absent))
            near = splits.group_by_overlap(places, wide)
        return groups, keys, near[np.unique(groups, return_index=True)[1]]
    return groups, keys, np.arange(len(keys))


def _allowed(
    options: Splits, groups: np.ndarray, keys: Sequence[str], near: np.ndarray, absent: Sequence[str]
) -> list[set[str]]:
    """The splits that each group may be in, where places are absent of which only the ids are known.

    By place they may have joined groups, and had a smaller key; they may have made a group one of more than half of all.
    """
    bases, allowed = {name.rpartition("_g")[0] or name for name in absent}, list[set[str]]()
    sizes, half = np.bincount(groups, minlength=len(keys)), (len(groups) + len(absent)) * splits.HALF
    by_values = options.by == "column" and bool(options.values)
    neighbours: dict[int, set[str]] = {}
    for key, number in zip(keys, near.tolist(), strict=True):
        neighbours.setdefault(number, set()).add(key)
    for group, key in enumerate(keys):
        others = neighbours[int(near[group])] | bases if options.by == "place" else set[str]()
        of_key = splits.split_of_value if options.by == "column" else splits.split_of
        found = {str(of_key(one, options)) for one in (key, *(other for other in others if other < key))}
        if not by_values and sizes[near == near[group]].sum() + len(absent) > half:
            found.add(splits.main_split(options))
        allowed.append({splits.main_split(options)} if not by_values and sizes[group] > half else found)
    return allowed


def _variant_findings(places: Places, spec: BuildSpec) -> Iterator[Finding]:
    """Findings for variants that do not lie where the recipe's seed puts them."""
    originals = places.take(places.variant == 0)
    moved, _ = with_variants(originals, spec.pois.jitter)
    right = {poi.id: (poi.lon, poi.lat) for poi in moved}
    for poi in places:
        lon, lat = right.get(poi.id, (poi.lon, poi.lat))
        if poi.variant and (max(abs(poi.lon - lon), abs(poi.lat - lat)) > _SAME_PLACE):
            yield Finding(f"{poi.id} does not lie where the recipe's seed puts it")
        if poi.variant > spec.pois.jitter.variants:
            yield Finding(f"{poi.id} is a variant that the recipe does not ask for")


# Counts and batches


def _header_findings(
    plan: PlanFile, columns: PlanColumns, spec: BuildSpec, largest: float | None, skip: Sequence[str]
) -> Iterator[Finding]:
    candidates, starts, cost = arranged(columns.candidates, spec)
    told, last = plan.header, spec.layout.tiles[-1]
    same = [np.array_equal(getattr(candidates.places, n), getattr(columns.places, n)) for n in ("ordinal", "variant")]
    if not all(same) or not np.array_equal(starts, plan.index.starts):
        yield Finding("the plan's batches are not those that its places and scenes lead to")
    right = Plan(
        name=spec.name,
        recipe_digest=spec.digest,
        places_sha256=told["places_sha256"],
        places_origin=told["places_origin"],
        nutonic_version=told["nutonic_version"],
        rows=told["rows"],
        places=candidates.places,
        split=candidates.split,
        imagery=candidates.imagery.compact(),
        labels=candidates.labels.compact(),
        starts=starts,
        rejects=columns.rejects,
        tiles=len(spec.layout.tiles) * len(candidates.places),
        margin_px=(spec.side - last.row - last.size, spec.side - last.col - last.size),
        largest_group=told["largest_group"] if largest is None else largest,
        cost=cost,
        judging=judging(spec.quality, candidates.imagery.compact().values),
        of_recipe=doubts(spec),
        split_by=spec.splits.by,
        shared_ground=sharing(
            candidates, spec.splits, partial(squares_of, candidates.places, spec.grid, candidates.imagery)
        ),
        more=chips_estimate(spec, len(spec.layout.tiles) * len(candidates.places)),
    )
    header = plain(right.header()) | {key: told[key] for key in ("items", "inputs", "remote") if key in told}
    header["warnings"] = [*_of_inputs(told["warnings"]), *header["warnings"]]
    wrong = [key for key in {**header, **told} if header.get(key) != told.get(key) and key not in skip]
    if wrong:
        yield Finding(f"the plan says {', '.join(key[:40] for key in wrong[:6])} other than its places and scenes do")
    local = {asset.href for scene in plan.scenes for asset in scene.assets if "://" not in asset.href}
    if not set(told.get("inputs") or ()) <= local:
        yield Finding("the plan knows inputs again that no scene of it reads")
    if not set(told.get("remote") or ()) <= set(map(key_of, remote_hrefs(plan.scenes))):
        yield Finding("the plan knows remote inputs again that no scene of it reads")
    if problem := wrong_pins(told.get("remote") or {}):
        yield Finding(f"the plan knows remote inputs again by what is no pin: {problem}")
    if int(columns.places.ordinal.max()) >= told["rows"]:
        yield Finding("the plan has places of more rows than it says the places file has")
    known = {scene for some in (*candidates.imagery.values, *candidates.labels.values) for scene in some}
    if known != set(plan.scenes):
        yield Finding("the plan lists scenes that no place of it may use")


def _of_inputs(warnings: Sequence[str]) -> Sequence[str]:
    """The warnings of swapped rows and of items that the search left out: the plan does not hold these otherwise."""
    kinds = (
        " rows are no places, but would be with longitude and latitude exchanged ",
        " left out of the search; the first: ",
    )
    return [text for text in warnings[:2] if any(kind in text for kind in kinds)]


def plain(header: Json) -> Json:
    """A plan's header as it is read back."""
    return dict(orjson.loads(orjson.dumps(header, option=orjson.OPT_SERIALIZE_NUMPY)))
