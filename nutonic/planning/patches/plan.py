"""Images to patches to batches: what will be built, from which images, at what cost. Metadata only; no pixel is read."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import shapely

from nutonic._version import __version__
from nutonic.core.areas import area_grid, outline_of_area
from nutonic.core.globe import around as around_of
from nutonic.core.globe import reach
from nutonic.core.grid import require_proj, standard_zone, transformer
from nutonic.core.model import Json, Reject, Scene
from nutonic.core.units import counted, counted_of
from nutonic.errors import InputError, NoScene, PlanError, PoiError
from nutonic.inert import inert
from nutonic.io.objects import Store
from nutonic.io.session import current
from nutonic.planning.ground.squares import patch_squares
from nutonic.planning.patches.cost import captions_estimate, estimate_patches, requests_for_map, seconds_of_map
from nutonic.planning.patches.lattice import (
    Lattice,
    drawn,
    inside,
    lattice_of,
    newest_first,
    taken_once,
    unlike,
    untouched,
)
from nutonic.planning.patches.layout import patch_id
from nutonic.planning.patches.map import beside, expected_elements, map_of
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.pins import refuse_all_missing
from nutonic.planning.places.columns import Places, in_drawn_order
from nutonic.planning.places.read import file_sha256, read_pois
from nutonic.planning.plan import Plan, in_batches, in_time, sharing, with_splits
from nutonic.planning.remote import refuse_bands_beyond
from nutonic.planning.scenes import Candidates, SceneTable
from nutonic.recipe.fields import IDENTITY
from nutonic.recipe.inputs import Pois
from nutonic.secrets import redact
from nutonic.sources.item import Unusable, with_unusable
from nutonic.sources.osm.extract import date_of, extent_of
from nutonic.sources.osm.source import extract_of

_log = logging.getLogger(__name__)

#: What warnings say that follow from what is in no tree: the ground of an extract, and who is asked how often; images
#: without patches, and places.
BEYOND, AT_A_RATE = " beyond the map, to be told of", ", by osm.requests_per_minute"
LEFT_OUT, NO_PATCH = " left out of the search", " no patch of any image"

#: Areas are searched in pieces no wider than this, in degrees: a UTM zone.
_PIECE = 6.0

#: Side of the pixels of the grids that areas are searched on, in metres: only their extent counts.
_SEARCHED_M = 100.0

#: So many places without a patch are named.
_NAMED = 5


def with_map(plan: Plan, spec: PatchSpec, store: Store) -> Plan:
    """A plan that tells of its map, whose elements near the patches are kept in the tree."""
    return replace(plan, more={**plan.more, **beside(map_of(spec, store, _outlines(plan.places, spec.patches.side_m)))})


def patches_planned(spec: PatchSpec, *, draw: int | None = None) -> Plan:
    """The plan of a resolved recipe, or of `draw` of its patches, drawn at random. Raises as :func:`nutonic.plan`."""
    require_proj()
    if spec.osm.path is not None:
        date_of(extract_of(spec.osm))  # what is no extract is told before anything is searched for
    unusable = current().resource(Unusable)
    unusable.take()  # what is left of other searches
    within, around = _ground(spec)
    scenes, others, why = _scenes(spec, within)
    odd = unusable.take()
    if not scenes:
        raise _no_image(spec, others, with_unusable(why, odd))
    refuse_all_missing(scenes)
    refuse_bands_beyond(scenes, spec.sources.imagery)
    lattices, again = _lattices(spec, scenes, within)
    candidates, largest, crossing = _candidates(spec, scenes, lattices)
    there = len(candidates.places)
    if draw is not None:
        candidates = candidates.take(np.sort(in_drawn_order(candidates.places)[:draw]))
    candidates, corners, starts = in_batches(candidates, spec.patches.size)
    outlines = _outlines(candidates.places, spec.patches.side_m)
    beyond = _beyond(spec, candidates.places)
    elements = expected_elements(extract_of(spec.osm), outlines) if spec.osm.path is not None else 0
    cost = estimate_patches(spec, candidates.imagery[0][0], corners, starts)
    cost = replace(cost, cpu_seconds=cost.cpu_seconds + seconds_of_map(elements, outlines))
    planned, batches = counted(len(candidates.places), "patch", "patches"), counted(len(starts) - 1, "batch", "batches")
    _log.info("planned %s of %s in %s", planned, counted(len(scenes), "image"), batches)
    return Plan(
        name=spec.name,
        recipe_digest=spec.digest,
        places_sha256="" if spec.places is None else file_sha256(spec.places, spec.identity),
        places_origin=None,
        nutonic_version=__version__,
        rows=sum(map(len, lattices)),
        places=candidates.places,
        split=candidates.split,
        imagery=candidates.imagery.compact(),
        labels=candidates.labels,
        starts=starts,
        rejects=tuple(crossing),
        tiles=len(candidates.places),
        margin_px=(0, 0),
        largest_group=largest,
        cost=cost,
        judging="",
        unusable=odd,
        of_places=(*_warnings(others, again), *_bare(spec, around, lattices), *beyond, *_asked(spec, starts)),
        split_by=spec.splits.by,
        shared_ground=sharing(
            candidates, spec.splits, partial(patch_squares, candidates.places, spec.patches.side_m, candidates.imagery)
        ),
        drawn_from=there,
        files=tuple(path for path in (spec.osm.path, spec.patches.area) if isinstance(path, str)),
        more={
            "of": "patches",
            "images": len({scene.id for scene in scenes}),
            "around": 0 if around is None else len(around.places),
            "captions": captions_estimate(spec, len(candidates.places)),
        },
    )


def _lattices(spec: PatchSpec, scenes: Sequence[Scene], within: shapely.Geometry | None) -> tuple[list[Lattice], int]:
    """The patches that are taken of each image, and how many lie on ground of newer ones."""
    patches = spec.patches

    def whole(scene: Scene) -> Lattice:
        return inside(lattice_of(scene, patches.size, patches.stride or patches.size), within)

    taken, again = list[Lattice](), 0
    for scene, lattice, free in taken_once(scenes, whole):
        again += int((~free).sum())
        once = lattice.take(free)
        taken.append(once.take(drawn(scene, once, patches.fraction, patches.seed)))
    return taken, again


def _candidates(
    spec: PatchSpec, scenes: Sequence[Scene], lattices: Sequence[Lattice]
) -> tuple[Candidates, float, list[Reject]]:
    """Patches with their splits and images, the share of the largest group, and those that cross a block's border."""
    every, numbers = _places(lattices)
    if not len(every):
        raise PlanError(_no_patch(spec, len(scenes)))
    imagery = SceneTable(numbers, tuple((scene,) for scene in scenes))
    squares = partial(patch_squares, every, spec.patches.side_m, imagery)
    places, split, largest, crossing = with_splits(every, spec.splits, spec.patches.side_m, squares)
    if not len(places):
        cell = f"a cell of {spec.splits.block_km:g} km"
        raise PlanError(
            f"none of {counted(len(every), 'patch', 'patches')} lies within {cell}: take larger ones with splits.block_km"
        )
    images = imagery.take(places.ordinal)
    nothing = SceneTable(np.zeros(len(places), np.int32), ((),))
    candidates = Candidates(places=places, split=split, imagery=images.compact(), labels=nothing)
    candidates, dateless = in_time(candidates, spec.splits)
    if not len(candidates.places):
        raise PlanError(
            f"none of {counted(len(dateless), 'patch', 'patches')} has an image that tells its day, by which splits are made"
        )
    return candidates, largest, [*crossing, *dateless]


@dataclass(frozen=True, slots=True)
class _Around:
    """The squares around places, in degrees."""

    places: Places
    squares: np.ndarray


def _ground(spec: PatchSpec) -> tuple[shapely.Geometry | None, _Around | None]:
    """The area that patches must lie in, in degrees, None for whole images; and the places around which it lies, if any."""
    patches = spec.patches
    if patches.around is not None:
        around = _around(spec)
        return shapely.union_all(around.squares), around
    if patches.area is None:
        return None, None
    outline = outline_of_area(patches.area)
    if outline.area == 0:
        raise InputError(f"the area {patches.area} has no polygon: draw one around the ground, or use patches.around")
    return outline, None


def _around(spec: PatchSpec) -> _Around:
    """The squares around places, drawn in the zone of each."""
    around = spec.patches.around
    assert around is not None
    who = {key: getattr(around, key) for key in IDENTITY}
    try:
        file = read_pois(Pois(path=around.path, columns=around.columns, **who))
    except PoiError as error:  # which speaks of the keys of other recipes
        keys = "|".join(Pois.model_fields)  # a file may be called pois.csv
        raise PoiError(re.sub(rf"\bpois\.(?=({keys})\b)", "patches.around.", str(error))) from None
    places, half = file.places, around.side_m / 2
    if not len(places):
        raise PlanError(f"{around.path} has no usable place in {counted(file.rows, 'row')}")
    squares = np.empty(len(places), object)
    zones = standard_zone(places.lon, places.lat)
    for zone in np.unique(zones).tolist():
        here = zones == zone
        number = 32600 + zone % 100
        x, y = transformer("EPSG:4326", f"EPSG:{number}").transform(places.lon[here], places.lat[here])
        corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
        points = np.stack([x, y], -1)[:, None, :] + corners
        lon, lat = transformer(f"EPSG:{number}", "EPSG:4326").transform(points[..., 0], points[..., 1])
        beside = around_of(np.asarray(lon), places.lon[here][:, None])  # a square across 180° goes on beyond it
        squares[here] = shapely.polygons(np.stack([beside, lat], -1))
    return _Around(places, squares)


#: Images of which none is cut into patches, by kind: how many there are, and of the first its name and what is wrong.
_Others = dict[str, tuple[int, str]]


def _scenes(spec: PatchSpec, within: shapely.Geometry | None) -> tuple[list[Scene], _Others, str]:
    """The images over an area that may have patches, newest first; what others are; why there is none.

    Items that are no images are kept in the session's :class:`Unusable`.
    """
    found: dict[tuple[str, str], Scene] = {}
    why, errors = list[str](), list[InputError]()
    for piece in _pieces(_whole(spec) if within is None else within):
        geobox = area_grid(piece, resolution=_SEARCHED_M)
        try:
            timeline = spec.sources.imagery.timeline(geobox, spec.imagery.time)
        except InputError as error:  # of a piece in which no item is an image
            errors.append(error)
            continue
        why += [timeline.why] if timeline.why else []
        current().resource(Unusable).add((name, f"{inert(name)} {told}") for name, told in timeline.left_out)
        for step in timeline.steps:
            found |= {(scene.id, repr(scene.lead.transform)): scene for scene in step.scenes}
    if errors and not found:
        raise errors[0]
    current().resource(Unusable).add(("", str(error)) for error in errors)
    right, others = [], _Others()
    for _, scene in sorted(found.items()):
        problem = unlike(scene, spec.patches)
        if problem is None:
            right.append(scene)
        else:
            count, first = others.get(problem.kind, (0, f"{inert(scene.id)} {problem.words}"))
            others[problem.kind] = count + 1, first
    nothing = "" if within is not None or found else "its catalogue has no item of this collection"
    return newest_first(right), others, next(iter(why), nothing)


def _whole(spec: PatchSpec) -> shapely.Geometry:
    """The ground of all images of a local catalogue."""
    footprints = spec.sources.imagery.footprints()
    if footprints is None:
        raise InputError(
            "the recipe takes whole images of a catalogue that is not here: say where, with patches.area or around"
        )
    return shapely.union_all([shapely.box(*shape.bounds) for shape in footprints if not shape.is_empty])


def _pieces(ground: shapely.Geometry) -> Iterator[Json]:
    """An area in boxes that a UTM zone can draw, as GeoJSON."""
    for part in shapely.get_parts(ground) if ground.geom_type.startswith(("Multi", "Geometry")) else [ground]:
        west, south, east, north = part.bounds
        for k in range(max(1, int(np.ceil((east - west) / _PIECE)))):
            left = west + k * _PIECE
            cut = shapely.intersection(part, shapely.box(left, south, min(left + _PIECE, east), north))
            if cut.area > 0:
                yield dict(shapely.box(*cut.bounds).__geo_interface__)


def _places(lattices: Sequence[Lattice]) -> tuple[Places, np.ndarray]:
    """All patches as places, numbered in order; and of each the number of its image (int32)."""
    counts = [len(lattice) for lattice in lattices]
    ordinal = np.arange(sum(counts), dtype=np.int64)
    return (
        Places(
            ordinal=ordinal,
            variant=np.zeros(len(ordinal), np.int16),
            lon=np.concatenate([lattice.lon for lattice in lattices]) if counts else np.empty(0),
            lat=np.concatenate([lattice.lat for lattice in lattices]) if counts else np.empty(0),
            ids=tuple(patch_id(number) for number in ordinal.tolist()),
        ),
        np.repeat(np.arange(len(counts), dtype=np.int32), counts),
    )


def _outlines(places: Places, side_m: float) -> np.ndarray:
    """Boxes in degrees that hold patches, and some ground around each: what an edge cuts is there too."""
    high, wide = reach(side_m, places.lat)
    lon, lat = places.lon, places.lat
    return np.asarray(shapely.box(lon - wide, lat - high, lon + wide, lat + high))


def _warnings(others: _Others, again: int) -> Iterator[str]:
    for _, (count, first) in sorted(others.items()):
        images = counted(count, "image is", "images are")
        yield f"{images}{LEFT_OUT}{'; the first' * (count > 1)}: {first}"
    if again:
        patches = counted(again, "patch lies", "patches lie")
        yield f"{patches} on ground of newer images: taken from those"


def _bare(spec: PatchSpec, around: _Around | None, lattices: Sequence[Lattice]) -> Iterator[str]:
    """That places have no patch."""
    if around is None or spec.patches.around is None:
        return
    bare = np.flatnonzero(untouched(around.squares, lattices)).tolist()
    if bare:
        places = counted_of(len(bare), len(around.places), "place", verb=("has", "have"))
        few = ", ".join(inert(around.places[i].id) for i in bare[:_NAMED]) + (", …" if len(bare) > _NAMED else "")
        square = f"the square of {spec.patches.around.side_m:g} m around"
        yield f"{places}{NO_PATCH} in {square} {'it' if len(bare) == 1 else 'them'}: {few}"


def _no_patch(spec: PatchSpec, images: int) -> str:
    """That no image has a patch, and what may be changed."""
    patches, around = spec.patches, spec.patches.around
    told = f"none of {counted(images, 'image')} has a whole patch of {patches.size} pixels, {patches.side_m:g} m"
    if around is not None:
        return f"{told}, in a square of {around.side_m:g} m around a place: see patches.around.side_m"
    drawn_of = f", or none is drawn of few (patches.fraction is {patches.fraction:g})" if patches.fraction < 1 else ""
    return f"{told}, in the area{drawn_of}"


def _beyond(spec: PatchSpec, places: Places) -> list[str]:
    """What is told of patches that reach beyond the ground of an extract; InputError if all lie elsewhere."""
    whole = extent_of(extract_of(spec.osm)) if spec.osm.path is not None else None
    if whole is None:
        return []
    ground, patches = shapely.box(*whole), _outlines(places, spec.patches.side_m / 2)
    west, south, east, north = (f"{degrees:.4f}" for degrees in whole)
    name = Path(redact(str(spec.osm.path))).name  # where it lies is no part of a plan
    covers = f"{name} covers {west} to {east} east and {south} to {north} north"
    if not shapely.intersects(ground, patches).any():
        raise InputError(f"the extract {covers}, and no patch lies there: name an extract of their ground in osm.path")
    outside = len(places) - int(shapely.covers(ground, patches).sum())
    what = counted(outside, "patch reaches", "patches reach")
    return [f"{what}{BEYOND}, as if nothing were there: {covers}"] if outside else []


def _asked(spec: PatchSpec, starts: np.ndarray) -> Iterator[str]:
    """How long a server of the map is asked, where that is long."""
    minutes = requests_for_map(spec, starts) / spec.osm.requests_per_minute
    if minutes >= 1:
        yield f"asking for the map takes {minutes:.0f} min or more{AT_A_RATE}, which is {spec.osm.requests_per_minute}"


def _no_image(spec: PatchSpec, others: _Others, why: str) -> NoScene:
    what = f"no image of {spec.imagery.collection} in {spec.imagery.datetime}"
    told = ", ".join(
        f"{count} {'is' if count == 1 else 'are'} left out{', the first' * (count > 1)}: {first}"
        for _, (count, first) in sorted(others.items())
    )
    if told:
        return NoScene(f"{what} can be cut into patches: {told}")
    return NoScene(f"{what} is there{f': {why}' if why else ''}")
