"""One batch of patches: cube → picture, map → description → commit. A plain function, so it runs anywhere, and twice."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from odc.geo.geobox import GeoBox

from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.picture import jpeg, observed, picture_of
from nutonic.chips.scene.policy import NAMES
from nutonic.chips.scene.tasks import choose
from nutonic.core.grid import lonlat_bounds, require_proj
from nutonic.core.model import Batch, Element, PlannedPlace, Reject, RemotePin
from nutonic.dataset.commits import Origin, PlaceDone, commit
from nutonic.dataset.shards.records import PatchRecord
from nutonic.dataset.shards.samples import PatchImage
from nutonic.errors import BadPixels, Gone, GridError, RecipeChanged, SourceError
from nutonic.inert import inert
from nutonic.io.objects import Store
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.pins import RemoteFiles
from nutonic.recipe.annotation import Captions
from nutonic.run.batch import refuse_replaced, summary_of
from nutonic.run.read import Pixels, read, read_together
from nutonic.run.results import BatchDone, Failure, failure_of
from nutonic.sources.grids import place_grid
from nutonic.sources.osm.source import Features

#: Letters of a name that are kept.
_LONGEST = 100

#: Why a patch is left out for good.
NODATA, GONE, UNUSABLE = "nodata", "asset gone", "unusable picture"
TOO_LITTLE, NOTHING = "too little on the map", "nothing to describe"
REASONS = frozenset({NODATA, GONE, UNUSABLE, TOO_LITTLE, NOTHING})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """The recipe and the map that every step of a batch uses."""

    spec: PatchSpec
    features: Features
    files: RemoteFiles


def run_patch_batch(
    batch: Batch,
    spec: PatchSpec,
    store: Store,
    features: Features,
    only: Collection[int] | None = None,
    *,
    plan_digest: str,
    remote: Mapping[str, RemotePin] | None = None,
) -> BatchDone:
    """Read and commit a batch of patches.

    Parameters
    ----------
    batch
        The patches and their image.
    spec
        The resolved recipe.
    store
        The tree to write to.
    features
        The map.
    only
        Positions within the batch of the patches to build; all by default.
    plan_digest
        Of the batch's plan; if another plan has replaced it meanwhile, nothing is committed.
    remote
        What remote files were when they were first read for the tree, by key.

    Raises
    ------
    RecipeChanged
        If a remote file is not what it was; nothing is committed.
    StoreError
        If the store's plan is another one, or it cannot be written to.
    BrokenInstall
        If PROJ or GDAL cannot be used here.
    """
    require_proj()
    origin = Origin(recipe_digest=spec.digest, plan_digest=plan_digest)
    context = _Context(spec=spec, features=features, files=RemoteFiles(store.root, remote))
    places = [(i, place) for i, place in enumerate(batch.places) if only is None or i in only]
    maps = _maps(batch, context)
    first = read_together([place for _, place in places], spec.sources, spec.patches.grid, context.files)
    done: list[PlaceDone] = []
    failures: list[Failure] = []
    for index, place in places:
        if isinstance(maps, SourceError | OSError):
            failures.append(failure_of(place, place.imagery[0], maps))
            continue
        elements = maps[index]
        outcome = _describe_place(index, place, elements, first.pop(place), context)
        (done if isinstance(outcome, PlaceDone) else failures).append(outcome)  # type: ignore[arg-type]
    whole = not failures and len(places) == len(batch.places)
    refuse_replaced(store, origin)
    made = summary_of(batch.index, done, failures, commit(store, batch.index, done, origin, whole=whole))
    return replace(made, of_patches=True, rows=0)  # which are captions, and come later


def _maps(batch: Batch, context: _Context) -> list[tuple[Element, ...]] | SourceError | OSError:
    """The elements over each patch of a batch, or why there are none; see :func:`maps_of`."""
    try:
        return maps_of(batch, context.spec, context.features)
    except (SourceError, OSError) as error:
        return error


def maps_of(batch: Batch, spec: PatchSpec, features: Features) -> list[tuple[Element, ...]]:
    """The elements over each patch of a batch, whichever of them are to be built.

    So the questions to a server follow from the plan alone: who asks again, or holds a tree against its answers, has the
    same ones.
    """
    return features.over([lonlat_bounds(grid_of(place, spec)) for place in batch.places])


def grid_of(place: PlannedPlace, spec: PatchSpec) -> GeoBox:
    """The pixels of a patch, of its image's own."""
    return place_grid(place.poi.lon, place.poi.lat, place.imagery[0], spec.patches.grid)


def _describe_place(
    index: int, place: PlannedPlace, elements: tuple[Element, ...], first: Pixels | None, context: _Context
) -> PlaceDone | Failure:
    """Read, describe and pack a patch. Its lattice is its image's: no other image serves."""
    spec, scene = context.spec, place.imagery[0]
    try:
        pixels = first or read([place], scene, spec.sources, spec.patches.grid, context.files)[0]
        rgb = pixels.stacked(spec.imagery.bands)
        seen = float(observed(rgb).mean())
        if seen < spec.patches.min_valid_fraction:
            return _rejected(index, place, NODATA, f"{seen:.1%} of its pixels were observed")
        picture = picture_of(rgb, spec.patches.stretch, rendered=scene.rendered)
    except RecipeChanged:
        raise
    except Gone as error:
        return _rejected(index, place, GONE, f"{inert(scene.id)}: {error}")
    except (GridError, BadPixels) as error:
        return _rejected(index, place, UNUSABLE, f"{inert(scene.id)}: {error}")
    except (SourceError, OSError, RuntimeError, ValueError) as error:
        return failure_of(place, scene, error)
    try:
        described = describe(elements, pixels.geobox, spec.policy, patch_id=place.poi.id, names=spec.captions.names)
    except GridError as error:  # of a map on which no patch lies as it should; a plan asks at the corners of images
        return _rejected(index, place, UNUSABLE, f"{inert(scene.id)}: {error}")
    count = len(described.elements)
    if count < spec.patches.min_elements:
        return _rejected(index, place, TOO_LITTLE, f"{count} elements that a picture can show")
    if not choose(described, spec.captions, spec.policy):
        return _rejected(index, place, NOTHING, f"none of {count} elements is large or long enough")
    record = PatchRecord(
        ordinal=place.poi.ordinal,
        image=image_of(place, pixels.geobox),
        picture=jpeg(picture, spec.shards.quality),
        described=described,
        osm_date=context.features.date,
        hidden=names_on_map(elements, spec.captions),
    )
    return done_of(index, place, rows=record.line(), remote=pixels.remote)


def image_of(place: PlannedPlace, grid: GeoBox) -> PatchImage:
    """What is told of a patch's picture."""
    scene = place.imagery[0]
    return PatchImage(
        patch_id=place.poi.id,
        image_name=scene.id,
        scene=scene.id,
        collection=scene.collection,
        datetime=scene.datetime,
        grid=grid,
        split=place.split,
    )


def names_on_map(elements: tuple[Element, ...], captions: Captions) -> tuple[str, ...]:
    """Names on the map over a patch that no caption says, sorted; none where captions may say names."""
    if captions.names:
        return ()
    told = {value for each in elements for key, value in each.tags if key.partition(":")[0] in NAMES}
    return tuple(sorted(name[:_LONGEST] for name in told if len(name) > 1))


def done_of(
    index: int,
    place: PlannedPlace,
    *,
    rows: bytes = b"",
    rejects: tuple[Reject, ...] = (),
    remote: Mapping[str, RemotePin] | None = None,
) -> PlaceDone:
    """A patch as it is committed: with its line, or with why it was left out."""
    return PlaceDone(
        index=index,
        poi_id=place.poi.id,
        ordinal=place.poi.ordinal,
        variant=place.poi.variant,
        split=place.split,
        item_id=place.imagery[0].id if rows else None,
        tiles=int(bool(rows)),
        rows=rows,
        files={},
        rejects=rejects,
        tasks={"patch": 1} if rows else {},
        remote=remote or {},
    )


def _rejected(index: int, place: PlannedPlace, reason: str, detail: str) -> PlaceDone:
    return done_of(index, place, rejects=(Reject(poi_id=place.poi.id, reason=reason, detail=detail),))
