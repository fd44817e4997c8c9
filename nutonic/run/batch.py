"""One batch: cube → chips → rows → commit. A plain function with no cluster in it, so it runs anywhere and can run twice."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain, islice
from typing import Any

import numpy as np

from nutonic.chips.chip import ChipRules, TileReject
from nutonic.chips.chip import view as view_of
from nutonic.chips.cut import CutTile, Strip, cut, picture_limits
from nutonic.chips.likeness import difference_hash
from nutonic.chips.overlays import overlay
from nutonic.chips.png import encode
from nutonic.chips.quality import quality_of
from nutonic.chips.regions import land_cover
from nutonic.core.classes import DAYS
from nutonic.core.grid import require_proj
from nutonic.core.model import Batch, Chip, Json, PlannedPlace, Reject, RemotePin, Scene, Tile, TileQuality
from nutonic.dataset.commits import ChipDone, Landed, Origin, PlaceDone, commit
from nutonic.dataset.reasons import NO_STILL, counts_of
from nutonic.errors import BadPixels, Gone, GridError, RecipeChanged, Refused, SourceError, StoreError, WrongRow
from nutonic.inert import inert
from nutonic.io.buckets.bucket import AT_ONCE
from nutonic.io.objects import Store, sha256
from nutonic.io.session import SessionThreads, current
from nutonic.lazily import lazily
from nutonic.planning.cost import NEIGHBOURS, STILLS_AHEAD
from nutonic.planning.layout import tile_id
from nutonic.planning.pins import RemoteFiles
from nutonic.planning.plan_file import digest_of
from nutonic.planning.spec import BuildSpec, word_rules
from nutonic.rows.checker import problem_of
from nutonic.rows.context import ChipContext, PlaceResult, WordRules
from nutonic.rows.rows import dumps, overlays_of, rows_of
from nutonic.rows.sidecar import sidecar_of
from nutonic.run.read import Begun, Pixels, read, read_together
from nutonic.run.results import BatchDone, Failure, examples_of, failure_of, failure_of_still
from nutonic.sources.stills.service import Still, Stills

#: Pixels of squares, or of their chips, that are held together: of tiny places several, of all others one.
_TOGETHER_PX = 2**16

#: Bytes of files that are held until they are written to a disk.
_HELD = 2**16


@dataclass(frozen=True)
class _Context:
    """The recipe and the store that every step of a batch uses."""

    spec: BuildSpec
    store: Store
    files: RemoteFiles

    @property
    def rules(self) -> ChipRules:
        """The rules for cutting chips."""
        spec = self.spec
        return ChipRules(table=spec.table, tiles=spec.tiles, stretch=spec.stretch, quality=spec.quality)

    @lazily
    def label_band(self) -> str:
        """The name of the band of labels; a table makes its band, with all colours, whenever it is asked for it."""
        return self.spec.table.band.name

    @lazily
    def words(self) -> WordRules:
        """The rules for rows."""
        return word_rules(self.spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """A place whose chips are cut, and not written yet."""

    index: int
    result: PlaceResult
    chips: Sequence[CutTile]
    remote: Mapping[str, RemotePin]
    still: Still | Reject | None = None
    """What is written beside its chips; or why there is none, where one is wanted."""

    @property
    def shows_any(self) -> bool:
        """Whether any tile became a chip."""
        return any(isinstance(cut, Chip) for _, cut in self.chips)


def begin_batch(
    batch: Batch, spec: BuildSpec, store: Store, only: Collection[int] | None, remote: Mapping[str, RemotePin] | None
) -> Begun:
    """Begin to read a batch, of which :func:`run_batch` makes the rest; parameters as there."""
    files = RemoteFiles(store.root, remote)
    places = [place for i, place in enumerate(batch.places) if only is None or i in only]
    return Begun(read_together(places, spec.sources, spec.grid, files), files)


def run_batch(
    batch: Batch,
    spec: BuildSpec,
    store: Store,
    only: Collection[int] | None = None,
    *,
    plan_digest: str | None = None,
    remote: Mapping[str, RemotePin] | None = None,
    begun: Begun | None = None,
    then: Callable[[], None] | None = None,
) -> BatchDone:
    """Build and commit a batch.

    Parameters
    ----------
    batch
        The places and their scenes.
    spec
        The resolved recipe.
    store
        The tree to write to.
    only
        Positions within the batch of the places to build; all by default.
    plan_digest
        Of the batch's plan; by default of the store's. If another has replaced it meanwhile, nothing is committed.
    remote
        What remote files were when they were planned, or first read for the tree, by key.
    begun
        What has been begun to read it.
    then
        Called when there is room to read more than what is left of it: to begin another.

    Returns
    -------
    BatchDone
        Counts, and the places that failed and may succeed the next time.

    Raises
    ------
    StoreError
        If the store's plan is another one, or it cannot be written to.
    RecipeChanged
        If a remote file is not what it was; nothing is committed.
    BrokenInstall
        If PROJ or GDAL cannot be used here, which no place is to blame for; nothing is committed.
    """
    require_proj()
    origin = Origin(recipe_digest=spec.digest, plan_digest=plan_digest or digest_of(store) or "")
    places = [(i, place) for i, place in enumerate(batch.places) if only is None or i in only]
    if (refusal := _refusal(spec.stills)) is not None:  # before pixels are read in vain
        return summary_of(batch.index, [], [failure_of_still(place, refusal) for _, place in places], Landed())
    begun = begun or begin_batch(batch, spec, store, only, remote)
    begun.files.add(remote or {})  # it may be known only since
    begun.first.then = then
    context = _Context(spec, store, begun.files)
    cut = (_cut_place(i, place, context, begun.first.pop(place)) for i, place in places)
    done, failures = _written(_asked(cut, spec.stills), context)
    whole = not failures and len(places) == len(batch.places)
    refuse_replaced(store, origin)
    return summary_of(batch.index, done, failures, commit(store, batch.index, done, origin, whole=whole))


def _written(
    places: Iterable[tuple[_Cut | PlaceDone | Failure, Future[Still] | None]], context: _Context
) -> tuple[list[PlaceDone], list[Failure]]:
    """Write places as they are cut, tiny ones several at a time; those that are done, and those that failed."""
    done: list[PlaceDone] = []
    failures: list[Failure] = []
    places, most = iter(places), _most_together(context.spec)
    while some := [_with_still(each, still) for each, still in islice(places, most)]:
        written = iter(_write([each for each in some if isinstance(each, _Cut)], context))
        for each in some:
            outcome = next(written) if isinstance(each, _Cut) else each
            (done if isinstance(outcome, PlaceDone) else failures).append(outcome)  # type: ignore[arg-type]
    return done, failures


def _most_together(spec: BuildSpec) -> int:
    """How many places are written together: as many as are read together, where what is held of them is little."""
    chips = len(spec.layout.tiles) * (1 + len(spec.layout.views))
    return max(1, min(NEIGHBOURS, _TOGETHER_PX // max(spec.side**2, chips * spec.tiles.output_size**2)))


def _refusal(stills: Stills | None) -> Refused | None:
    """Why this process would get no still, as far as it can be known before one is asked for."""
    try:
        if stills is not None:
            stills.sign_in()
    except Refused as refusal:
        return refusal
    except SourceError:  # it may answer when it is asked for a picture
        pass
    return None


def refuse_replaced(store: Store, origin: Origin) -> None:
    """Raise :class:`StoreError` if the plan was replaced: a late worker must not add to a newer plan's tree."""
    if (digest_of(store) or "") != origin.plan_digest:
        raise StoreError(f"the plan in {store.root} was replaced while it was built: run the same command again")


def summary_of(index: int, done: Sequence[PlaceDone], failures: Sequence[Failure], landed: Landed) -> BatchDone:
    """A batch's counts, and those of this process' requests since its last batch.

    What somebody else committed meanwhile is done, and counts for nothing else.
    """
    finished, done = len(done), [place for place in done if place.index not in landed.theirs]
    return BatchDone(
        index=index,
        finished=finished,
        theirs=len(landed.theirs),
        places=sum(place.tiles > 0 for place in done),
        tiles=sum(place.tiles for place in done),
        rows=sum(sum(place.tasks.values()) for place in done),
        bytes_written=landed.bytes,
        rejects=dict(Counter(reject.reason for place in done for reject in place.rejects)),
        left_out=counts_of((reject.reason, reject.tile_id) for place in done for reject in place.rejects),
        examples=examples_of(reject for place in done for reject in place.rejects),
        failures=tuple(failures),
        remote={key: pin for place in reversed(done) for key, pin in place.remote.items()},
        network=current().take_counts(),
    )


# One place


def _cut_place(index: int, place: PlannedPlace, context: _Context, first: Pixels | None) -> _Cut | PlaceDone | Failure:
    """Cut a place's chips from its best scene that is usable.

    The next scene is tried only if a file is gone for good, does not match its item, holds no reflectance, or has poor
    pixels: of the square, by the scene's own classification where it has one. An error that may be temporary never changes
    the scene: the place fails, and stays open. Unusable labels reject the place.
    """
    spec = context.spec
    problems: list[tuple[str, str]] = []
    remote: dict[str, RemotePin] = {}
    for scene in place.imagery:
        try:
            pixels = first or read([place], scene, spec.sources, spec.grid, context.files)[0]
            remote |= pixels.remote
            chips = _chips(pixels, scene, context)
        except RecipeChanged:
            raise
        except Gone as error:
            problems.append(("asset gone", f"{inert(scene.id)}: {error}"))
        except GridError as error:
            problems.append(("unusable asset", f"{inert(scene.id)}: {error}"))
        except BadPixels as error:
            if error.band not in {asset.name for asset in scene.assets}:
                return _rejected(index, place, [("unusable labels", str(error))], remote)
            problems.append(("unusable asset", f"{inert(scene.id)}: {error}"))
        except (SourceError, OSError, RuntimeError, ValueError) as error:
            return failure_of(place, scene, error)
        else:
            poor = _all_poor(chips)
            if poor is None:
                why = "; ".join(text for _, text in problems) or None
                label_days = {
                    tile.index: days for tile in spec.layout.tiles if (days := _days(pixels, tile)) is not None
                }
                result = PlaceResult(
                    place=place,
                    scene=scene,
                    substituted=why,
                    bands=spec.imagery.bands,
                    geobox=pixels.geobox,
                    quality=_quality(pixels, scene, spec),
                    label_days=label_days,
                )
                return _Cut(index=index, result=result, chips=chips, remote=remote)
            problems.append((poor.reason, f"{inert(scene.id)}: {poor.detail}"))
        first = None
    return _rejected(index, place, problems, remote)


def _chips(pixels: Pixels, scene: Scene, context: _Context) -> list[CutTile]:
    spec = context.spec
    strip = Strip(
        rgb=[pixels.bands[name] for name in spec.imagery.bands],
        label=pixels.bands[context.label_band],
        classes=_classes(pixels, scene, spec),
        tiles=spec.layout.tiles,
    )
    return list(cut([strip], context.rules, picture_limits([strip.rgb], spec.stretch, rendered=scene.rendered)))


def _classes(pixels: Pixels, scene: Scene, spec: BuildSpec) -> np.ndarray | None:
    """The scene's own classification of a place, (height, width) uint8; None where it has none, or tiles are not judged."""
    meaning = spec.quality.classification
    return None if meaning is None or not scene.has(meaning.asset) else pixels.bands[meaning.asset]


def _quality(pixels: Pixels, scene: Scene, spec: BuildSpec) -> TileQuality | None:
    """The quality of a place's whole square; None where it is not known."""
    meaning, classes = spec.quality.classification, _classes(pixels, scene, spec)
    return None if meaning is None or classes is None else quality_of(classes, meaning)


def _days(pixels: Pixels, tile: Tile) -> dict[str, float] | None:
    """Shares of a tile's labelled pixels, by the days within which they were observed; None if labels have no dates."""
    if DAYS.name not in pixels.bands:
        return None
    within = pixels.bands[DAYS.name][tile.row : tile.row + tile.size, tile.col : tile.col + tile.size]
    counts = np.bincount(within[within != DAYS.nodata])
    return {str(days): int(counts[days]) / int(counts.sum()) for days in np.flatnonzero(counts).tolist()}


def _all_poor(chips: Sequence[CutTile]) -> TileReject | None:
    """The first reject if all tiles have poor imagery, or None; tiles rejected for their labels do not count as poor."""
    poor = [cut for _, cut in chips if isinstance(cut, TileReject) and cut.about == "imagery"]
    return poor[0] if len(poor) == len(chips) else None


def _asked(
    places: Iterable[_Cut | PlaceDone | Failure], stills: Stills | None
) -> Iterator[tuple[_Cut | PlaceDone | Failure, Future[Still] | None]]:
    """Places in their order, those with chips with their still, which is asked for while the next ones are cut."""
    if stills is None:
        yield from ((place, None) for place in places)
        return
    ahead: deque[tuple[_Cut | PlaceDone | Failure, Future[Still] | None]] = deque()
    with SessionThreads(STILLS_AHEAD) as threads:
        for place in places:
            asking = None
            if isinstance(place, _Cut) and place.shows_any:
                poi = place.result.place.poi
                asking = threads.submit(stills.fetch, poi.lon, poi.lat)
            ahead.append((place, asking))
            if len(ahead) > STILLS_AHEAD:
                yield ahead.popleft()
        yield from ahead


def _with_still(cut: _Cut | PlaceDone | Failure, still: Future[Still] | None) -> _Cut | PlaceDone | Failure:
    """A place that is cut with its still, where one was asked for.

    One that is not there for good is told beside the place's tiles that were left out, and the place is done without it. One
    that may come the next time leaves the place open.
    """
    if still is None or not isinstance(cut, _Cut):
        return cut
    place = cut.result.place
    try:
        return replace(cut, still=still.result())
    except Gone as error:
        return replace(cut, still=Reject(poi_id=place.poi.id, reason=NO_STILL, detail=str(error)))
    except (SourceError, RuntimeError, ValueError) as error:
        return failure_of_still(place, error)


def _write(cuts: Sequence[_Cut], context: _Context) -> list[PlaceDone]:
    """Write the pictures and sidecars of places, and their stills; their rows are written with the commit.

    Step by step, and not place by place: of tiny chips a step is mostly the interpreter's own code, and takes a third less
    where the processor still has it from the place before.
    """
    beside = [_still_files(cut, context.spec) for cut in cuts]
    results = [replace(cut.result, still=next(iter(files), None)) for cut, files in zip(cuts, beside, strict=True)]
    samples = [
        [
            sample
            for tile, chip in cut.chips
            if isinstance(chip, Chip)
            for sample in _samples(result, tile, chip, context)
        ]
        for cut, result in zip(cuts, results, strict=True)
    ]
    rows = [[row for sample in each for row in _rows(sample)] for each in samples]
    parts = [
        chain(map(partial(_files, context=context), each), [still]) for each, still in zip(samples, beside, strict=True)
    ]
    files = _put_all(parts, context.store)
    return [_done(*each) for each in zip(cuts, samples, rows, files, strict=True)]


def _still_files(cut: _Cut, spec: BuildSpec) -> dict[str, bytes]:
    """The file of a place's still, by path; none where it has none."""
    still = cut.still
    return {spec.layout.still(cut.result.place.poi, still.suffix): still.data} if isinstance(still, Still) else {}


def _done(
    cut: _Cut, samples: Sequence[ChipContext], rows: Sequence[Json], files: Mapping[str, tuple[int, str]]
) -> PlaceDone:
    result, still = cut.result, cut.still
    classes: Counter[int] = Counter()
    for sample in samples:
        classes.update(sample.cover.counts if sample.chip.augmentation is None else {})
    return PlaceDone(
        **_identity(cut.index, result.place),
        item_id=result.scene.id,
        tiles=len(samples),
        rows=b"".join(map(dumps, rows)),
        files=files,
        rejects=(
            *(_tile_reject(result.place, tile, reject) for tile, reject in cut.chips if isinstance(reject, TileReject)),
            *([still] if isinstance(still, Reject) else ()),
        ),
        tasks=Counter(row["task"] for row in rows),
        classes=classes,
        chips={sample.tile.index: _chip_done(sample) for sample in samples if sample.chip.augmentation is None},
        remote=cut.remote,
    )


def _chip_done(sample: ChipContext) -> ChipDone:
    return ChipDone(f"{difference_hash(sample.chip.rgb):016x}", sample.cover.valid)


def _rejected(
    index: int, place: PlannedPlace, problems: Sequence[tuple[str, str]], remote: Mapping[str, RemotePin]
) -> PlaceDone:
    """A place without a usable scene; its reason is the problem of the best scene."""
    reject = Reject(poi_id=place.poi.id, reason=problems[0][0], detail="; ".join(text for _, text in problems))
    nothing: dict[str, Any] = {"item_id": None, "tiles": 0, "rows": b"", "files": {}}
    return PlaceDone(**_identity(index, place), **nothing, rejects=(reject,), remote=remote)


def _identity(index: int, place: PlannedPlace) -> dict[str, Any]:
    poi = place.poi
    return {"index": index, "poi_id": poi.id, "ordinal": poi.ordinal, "variant": poi.variant, "split": place.split}


def _samples(result: PlaceResult, tile: Tile, chip: Chip, context: _Context) -> Iterator[ChipContext]:
    """A chip and its views, each with what its mask shows; of a view that is turned, not counted again."""
    spec, place = context.spec, result.place.poi
    cover = land_cover(chip.mask, spec.table, spec.rows, spec.tiles)
    for view in (None, *spec.layout.views):
        name = tile_id(place.id, tile, view)
        yield ChipContext(
            place_result=result,
            tile=tile,
            tile_id=name,
            image=spec.layout.image(place, name),
            chip=chip if view is None else view_of(chip, view),
            truth=context.words.truth(cover if view is None else cover.seen(view), result.scene, place.lat),
            wording=context.words.wording,
        )


def _rows(sample: ChipContext) -> list[Json]:
    """The rows of a chip, each read back and held against the mask.

    Raises
    ------
    WrongRow
        If a row says what the mask does not.
    """
    rows = list(rows_of(sample))
    for row in rows:
        problem = problem_of(row, sample.truth, sample.wording)
        if problem is not None:
            raise WrongRow(f"{row['id']}: {problem}; a template or a class's name says what its claim does not")
    return rows


def _files(sample: ChipContext, context: _Context) -> dict[str, bytes]:
    """A chip's picture and sidecar, and the overlays of its rows, by path."""
    sidecar = dumps(sidecar_of(sample, context.spec.digest, context.spec.sources.labels.rule))
    files = {
        sample.image: encode(sample.chip.rgb),
        context.spec.layout.sidecar(sample.place_result.place.poi, sample.tile_id): sidecar,
    }
    if context.spec.rows.overlays:
        drawn = cache(lambda regions: encode(overlay(sample.chip.rgb, regions, context.spec.table)))
        for row_id, regions in overlays_of(sample):  # several speak of the same ones
            files[context.spec.layout.overlay(sample.place_result.place.poi, row_id)] = drawn(regions)
    return files


def _put_all(places: Iterable[Iterable[Mapping[str, bytes]]], store: Store) -> list[dict[str, tuple[int, str]]]:
    """Write files of places, some at a time; gives their sizes in bytes and SHA-256 by path, of each place.

    On a disk those of a chip at a time, or of several tiny ones; into an object store as many as are sent at once, since
    each waits for its answer.
    """
    told, waiting = list[dict[str, tuple[int, str]]](), dict[str, bytes]()
    for parts in places:
        told.append({})
        for part in parts:
            told[-1] |= {path: (len(data), sha256(data)) for path, data in part.items()}
            waiting |= part
            if len(waiting) >= AT_ONCE or (store.address is None and sum(map(len, waiting.values())) >= _HELD):
                store.put_all(waiting)
                waiting.clear()
    store.put_all(waiting)
    return told


def _tile_reject(place: PlannedPlace, tile: Tile, cut: TileReject) -> Reject:
    return Reject(poi_id=place.poi.id, tile_id=tile_id(place.poi.id, tile), reason=cut.reason, detail=cut.detail)
