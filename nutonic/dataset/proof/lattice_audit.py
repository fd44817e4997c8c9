"""A plan of patches, held against itself: where patches lie, in which split, in which order, and what is counted of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from nutonic.core.areas import outline_of_area
from nutonic.core.grid import transformer
from nutonic.core.model import Scene
from nutonic.dataset.proof.findings import Finding
from nutonic.dataset.proof.plan_audit import PlanColumns, checked_columns, plain, split_findings
from nutonic.dataset.proof.shapes import wrong_pins
from nutonic.planning.cost import Cost
from nutonic.planning.ground.squares import patch_squares
from nutonic.planning.patches.cost import captions_estimate, estimate_patches
from nutonic.planning.patches.lattice import Lattice, drawn, inside, newest_first, patches_at, taken_once, unlike
from nutonic.planning.patches.plan import AT_A_RATE, BEYOND, LEFT_OUT, NO_PATCH
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.pins import key_of, remote_hrefs
from nutonic.planning.plan import Plan, in_batches, sharing
from nutonic.planning.plan_file import PlanFile

#: Pixels, and degrees, by which a patch's centre may lie elsewhere on another machine.
_SAME_PIXEL, _SAME_PLACE = 1e-3, 1e-9

#: What warnings tell that nothing else in a plan does.
_OF_THE_SEARCH = (
    LEFT_OUT,
    NO_PATCH,
    " on ground of newer images",
    BEYOND,
    AT_A_RATE,
)


def patch_plan_findings(plan: PlanFile, spec: PatchSpec, *, ours: bool) -> Iterator[Finding]:
    """What of a plan does not follow from the rest of it; `ours`: it was made by this version of nutonic."""
    columns = checked_columns(plan, "patch")
    if isinstance(columns, Finding):
        yield columns
        return
    squares = partial(patch_squares, columns.places, spec.patches.side_m, columns.candidates.imagery)
    leaks, largest = split_findings(columns, spec.splits, spec.patches.side_m, squares)
    yield from leaks
    if ours:
        yield from _lattice_findings(columns, spec)
        yield from _header_findings(plan, columns, spec, largest, skip=("shares", "warnings") if leaks else ())
        yield from _input_findings(plan, spec)


# Where patches lie


def _lattice_findings(columns: PlanColumns, spec: PatchSpec) -> Iterator[Finding]:
    """Findings for patches that no lattice has: off their image's, on ground that is taken, or in another order."""
    table = columns.candidates.imagery
    laid: dict[Scene, tuple[Lattice, np.ndarray]] = {}
    for number, (scene, *others) in enumerate(table.values):
        here = np.flatnonzero(table.numbers == number)
        lattice = _lattice(columns, scene, here, spec.patches.size)
        if others or scene in laid:
            yield Finding(f"the plan has patches of {scene.id[:64]} that other images may serve")
        elif lattice is None or (problem := _off(lattice, scene, spec)) is not None:
            what = "lie between its pixels" if lattice is None else problem
            yield Finding(f"the plan has patches of {scene.id[:64]} that {what}")
        else:
            laid[scene] = lattice, columns.places.ordinal[here]
    order = newest_first(laid)
    if any((~free).any() for _, _, free in taken_once(order, lambda scene: laid[scene][0])):
        yield Finding("the plan has patches on ground that newer images have patches on")
    if laid and not _in_order([laid[scene] for scene in order]):
        yield Finding("the plan's patches are not numbered as they lie")


def _lattice(columns: PlanColumns, scene: Scene, here: np.ndarray, size: int) -> Lattice | None:
    """The patches at these positions, as they lie in their image; None if they do not lie on its pixels."""
    asset, places = scene.lead, columns.places
    x, y = transformer("EPSG:4326", asset.crs).transform(places.lon[here], places.lat[here])
    a, _, c, _, e, f = asset.transform
    exact = np.stack([(np.asarray(y) - f) / e, (np.asarray(x) - c) / a]) - size / 2
    if not np.isfinite(exact).all() or np.abs(exact - np.rint(exact)).max() > _SAME_PIXEL:
        return None
    rows, cols = np.rint(exact).astype(np.int64)
    lattice = patches_at(scene, size, rows, cols)
    apart = np.abs(np.stack([lattice.lon - places.lon[here], lattice.lat - places.lat[here]]))
    return lattice if apart.max() <= _SAME_PLACE else None


def _off(lattice: Lattice, scene: Scene, spec: PatchSpec) -> str | None:
    """What the patches of an image do that those of its lattice do not, in words; None if they do nothing of the kind."""
    patches, (height, width) = spec.patches, scene.lead.shape
    stride = patches.stride or patches.size
    least, most = min(lattice.rows.min(), lattice.cols.min()), (lattice.rows.max(), lattice.cols.max())
    if unlike(scene, patches) is not None:
        return "has other pixels than the recipe asks for"
    if least < 0 or most[0] + patches.size > height or most[1] + patches.size > width:
        return "reach beyond it"
    if (lattice.rows % stride).any() or (lattice.cols % stride).any():
        return "are not where its lattice has patches"
    if not drawn(scene, lattice, patches.fraction, patches.seed).all():
        return "the recipe's seed does not draw"
    bounds = patches.area if isinstance(patches.area, tuple) else None
    if bounds is not None and len(inside(lattice, outline_of_area(bounds))) < len(lattice):
        return "lie outside of the recipe's area"
    return None


def _in_order(laid: Sequence[tuple[Lattice, np.ndarray]]) -> bool:
    """Whether patches are numbered image by image, the newest first, and row by row in each."""
    image = np.repeat(np.arange(len(laid)), [len(lattice) for lattice, _ in laid])
    rows, cols, ordinals = (
        np.concatenate(parts) for parts in zip(*((lat.rows, lat.cols, own) for lat, own in laid), strict=True)
    )
    return bool((np.diff(ordinals[np.lexsort((cols, rows, image))]) > 0).all())


# What is counted


def _header_findings(
    plan: PlanFile, columns: PlanColumns, spec: PatchSpec, largest: float | None, skip: Sequence[str]
) -> Iterator[Finding]:
    told = plan.header
    candidates, corners, starts = in_batches(columns.candidates, spec.patches.size)
    if not np.array_equal(candidates.places.ordinal, columns.places.ordinal) or not np.array_equal(
        starts, plan.index.starts
    ):
        yield Finding("the plan's batches are not those that its patches and images lead to")
    imagery = candidates.imagery.compact()
    captions = captions_estimate(spec, len(candidates.places))
    right = Plan(
        name=spec.name,
        recipe_digest=spec.digest,
        places_sha256=told["places_sha256"] if spec.places is not None else "",
        places_origin=None,
        nutonic_version=told["nutonic_version"],
        rows=len(candidates.places) + len(columns.rejects),
        places=candidates.places,
        split=candidates.split,
        imagery=imagery,
        labels=candidates.labels,
        starts=starts,
        rejects=columns.rejects,
        tiles=len(candidates.places),
        margin_px=(0, 0),
        largest_group=told["largest_group"] if largest is None else largest,
        cost=_with_map(estimate_patches(spec, candidates.imagery[0][0], corners, starts), told.get("cost")),
        judging="",
        split_by=spec.splits.by,
        shared_ground=sharing(
            candidates, spec.splits, partial(patch_squares, candidates.places, spec.patches.side_m, candidates.imagery)
        ),
        more={"of": "patches", "images": told.get("images"), "around": told.get("around"), "captions": captions},
    )
    header = plain(right.header()) | {key: told[key] for key in ("items", "inputs", "remote", "osm") if key in told}
    of_search = [text for text in told["warnings"] if any(kind in text for kind in _OF_THE_SEARCH)]
    header["warnings"] = [*of_search, *header["warnings"]]
    wrong = [key for key in {**header, **told} if header.get(key) != told.get(key) and key not in skip]
    if wrong:
        yield Finding(f"the plan says {', '.join(key[:40] for key in wrong[:6])} other than its patches and images do")
    known = {replace(scene, item=None) for some in imagery.values for scene in some}
    if {replace(scene, item=None) for scene in plan.scenes} != known:
        yield Finding("the plan lists images that no patch is cut out of")
    if not isinstance(told.get("images"), int) or told["images"] < len({scene.id for scene in known}):
        yield Finding("the plan counts fewer images than it has patches of")


def _with_map(cost: Cost, told: object) -> Cost:
    """A cost with the time that a plan tells: some of it is for reading an extract, which is not in the tree."""
    seconds = told.get("cpu_seconds") if isinstance(told, dict) else None
    if not isinstance(seconds, float) or not cost.cpu_seconds <= seconds < math.inf:
        return cost
    return replace(cost, cpu_seconds=seconds)


def _input_findings(plan: PlanFile, spec: PatchSpec) -> Iterator[Finding]:
    """Findings for inputs that are known again, and are none: images' files, the extract and the area are."""
    told = plan.header
    local = {asset.href for scene in plan.scenes for asset in scene.assets if "://" not in asset.href}
    named = {Path(path).name for path in (spec.osm.path, spec.patches.area) if isinstance(path, str)}
    if not {Path(path).name for path in set(told.get("inputs") or ()) - local} <= named:
        yield Finding("the plan knows inputs again that it does not read")
    if not set(told.get("remote") or ()) <= {*map(key_of, remote_hrefs(plan.scenes)), spec.osm.path}:
        yield Finding("the plan knows remote inputs again that no image of it is read from")
    if problem := wrong_pins(told.get("remote") or {}):
        yield Finding(f"the plan knows remote inputs again by what is no pin: {problem}")
