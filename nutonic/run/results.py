"""What a build did, added up from what its batches tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from nutonic.core.model import Json, PlannedPlace, Reject, RemotePin, Scene
from nutonic.core.showing import ShortRepr
from nutonic.dataset.reasons import BY_PLAN, CAPTIONS, PLACES, STILLS, TILES, LeftOutCounts, tiles_in
from nutonic.errors import Damaged, FileMissing, NutonicError, ReadFailed, Refused, StoreError
from nutonic.secrets import redact

#: Errors in a word or two, to be counted by.
_REASONS: dict[type, str] = {
    ReadFailed: "read failed",
    Damaged: "read failed",
    FileMissing: "file missing",
    Refused: "refused",
    MemoryError: "out of memory",
}

#: Of a place that takes its worker with it, whichever that is; and of one whose batch does not end.
KILLED, HANGS = "killed its worker", "does not end"


class Hangs(Exception):
    """A batch did not end, or whoever tried it stopped answering; its places stay open."""


def failure_of(place: PlannedPlace, scene: Scene, error: Exception) -> Failure:
    """An error met while a place was built from a scene; where it is about a band of the scene, that is told."""
    band = getattr(error, "band", None)
    return Failure(
        poi_id=place.poi.id,
        asset=f"{scene.id}/{band}" if band in {asset.name for asset in scene.assets} else scene.id,
        reason=getattr(error, "reason", None) or _REASONS.get(type(error), type(error).__name__),
        error=redact(str(error) or type(error).__name__),
    )


def failure_of_still(place: PlannedPlace, error: Exception) -> Failure:
    """An error met while the still of a place was asked for; of one that is not ours no word is told."""
    ours = isinstance(error, NutonicError)
    return Failure(
        poi_id=place.poi.id,
        asset="still",
        reason=getattr(error, "reason", None) or _REASONS.get(type(error), type(error).__name__),
        error=redact(str(error)) if ours else f"the still: {type(error).__name__}",
    )


def failures_of_lost(ids: Iterable[str], error: BaseException | None) -> tuple[Failure, ...]:
    """Places whose whole job was lost; no error where they killed every worker that tried."""
    if isinstance(error, Hangs):
        reason, text = HANGS, str(error)
    else:
        reason = KILLED if error is None else "job lost"
        text = "every worker that tried it died" if error is None else redact(f"{type(error).__name__}: {error}")
    return tuple(Failure(poi_id=name, asset=None, reason=reason, error=text) for name in ids)


def examples_of(rejects: Iterable[Reject]) -> dict[str, str]:
    """The first reject of each reason, in words, without secrets."""
    first: dict[str, str] = {}
    for reject in rejects:
        if reject.reason not in first:
            first[reject.reason] = redact(f"{reject.tile_id or reject.poi_id}{reject.where}: {reject.detail}")
    return first


def with_attempts(now: Iterable[Failure], before: Mapping[str, Failure]) -> tuple[Failure, ...]:
    """Failures with the attempts of earlier builds added, and with the first error of each place."""
    return tuple(
        replace(
            failure, attempts=failure.attempts + before[failure.poi_id].attempts, error=before[failure.poi_id].error
        )
        if failure.poi_id in before
        else failure
        for failure in now
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A place that could not be done this time and will be tried by the next run."""

    poi_id: str
    asset: str | None
    """Scene, and band where one is to blame: ``S2A_…/red``; or ``still``."""
    reason: str
    """A short phrase to count by."""
    error: str
    """The first error, redacted."""
    attempts: int = 1
    """Builds that have tried the place."""

    @property
    def is_of_captions(self) -> bool:
        """Whether captions failed: of the place, or of all that wait for some, where nobody can be asked any more."""
        return self.asset == CAPTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDone:
    """The result of a batch, as the driver gets it: counts and names, never pixels or rows."""

    index: int
    finished: int = 0
    """Places that are committed, rejected ones included."""
    theirs: int = 0
    """Of them, those that somebody else had committed by then; they count in nothing else."""
    places: int = 0
    """Places with chips."""
    tiles: int = 0
    """Chips: a tile that is kept is one, and each view of it another. Of a recipe of patches, patches."""
    of_patches: bool = False
    rows: int = 0
    bytes_written: int = 0
    rejects: Mapping[str, int] = field(default_factory=dict)
    """Reason to number of rejected places and tiles."""
    left_out: LeftOutCounts = field(default_factory=dict)
    """The same numbers apart: of places, of tiles and of stills, by reason."""
    examples: Mapping[str, str] = field(default_factory=dict)
    """Reason to the first place or tile that was rejected for it, in words."""
    failures: tuple[Failure, ...] = ()
    remote: Mapping[str, RemotePin] = field(default_factory=dict)
    """What the remote files were that were read, by key."""
    network: Mapping[str, int] = field(default_factory=dict)
    """Counts of the process since its last batch: ``requests``, ``bytes``, ``local bytes``, faults as ``fault: 503``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionsDone(BatchDone):
    """The result of a job of captioning; one whose worker died has a :class:`BatchDone` alone."""

    ended: Failure | None = None
    """Why no other captions can be asked for; None where they can."""
    money: float = 0.0
    """What captions cost now, by the prices of the recipe."""
    is_short: bool = False
    """Whether there was too little money for all captions."""
    requests: tuple[tuple[str, Json], ...] = ()
    """Requests that wait for answers by file, each with its annotator."""


@dataclass(slots=True)
class Captioned:
    """What becomes of captions, which are a stage of their own."""

    rows: int = 0
    waiting: int = 0
    """Patches that have no captions yet."""
    failures: list[Failure] = field(default_factory=list)
    asked: bool = False
    """Whether there was anything to do."""

    def add(self, result: BatchDone) -> None:
        """Add a job's counts; why captions ended is told once, whoever found out."""
        self.asked = True
        self.rows += result.rows
        self.failures += result.failures
        ended = result.ended if isinstance(result, CaptionsDone) else None
        if ended is not None and ended.poi_id not in {each.poi_id for each in self.failures}:
            self.failures.append(ended)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Summary(ShortRepr):
    """The counts of a build."""

    places: int
    """Places in the plan."""
    wanted: int = 0
    """Places within the limit."""
    done_before: int = 0
    """Places that an earlier run had committed."""
    finished: int = 0
    """Places done now, rejected ones included."""
    by_others: int = 0
    """Places that somebody else committed meanwhile: another build into the same folder, or a worker that was lost."""
    built: int = 0
    """Places built now."""
    tiles: int = 0
    """Chips written now, views included."""
    rows: int = 0
    bytes_written: int = 0
    rejects: dict[str, int] = field(default_factory=dict)
    """Reason to count, of places and tiles rejected now; and of places rejected by the plan."""
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    """The same counts apart: ``by_plan`` of places of which nothing was planned, ``places`` of those with all their tiles,
    ``tiles`` and ``stills`` of places that have others; each by reason."""
    tiles_done: int = 0
    """Tiles of the places that were done now: each is a chip, beside which may lie views of it, or was left out."""
    tiles_left_out: int = 0
    """Those that were left out, alone or with their places."""
    failures: tuple[Failure, ...] = ()
    requests: int = 0
    """HTTP requests made now, for planning too."""
    bytes_read: int = 0
    """Bytes that came over HTTP."""
    faults: dict[str, int] = field(default_factory=dict)
    """Number of requests that failed and were tried again, by kind of fault."""
    examples: dict[str, str] = field(default_factory=dict)
    """Reason to one place or tile that was rejected for it, in words: the first of the plan, whatever was done first."""
    chips: int = 0
    """Chips in the tree after the run."""
    places_done: int = 0
    """Places in the tree that are committed after the run, beyond the limit too."""
    places_with_chips: int = 0
    """Those of them that have a chip; of patches, those that have a caption."""
    captions: Json = field(default_factory=dict)
    """Of patches: captions in the tree, answers that were not let through by reason, and tokens by annotator."""
    seconds: float = 0.0
    limit: int | None = None

    still_open: int = 0
    """Places within the limit that are not committed after the run, and those that wait for captions."""
    remade: bool = False
    """Whether ``data/`` and what tells of it were put together though no place was done now, since they were not there."""

    def as_kept(self) -> Json:
        """As it is kept in a tree, which is the same whenever it was put together."""
        told: Json = asdict(self)
        del told["remade"], told["places_done"]  # what is done, commits say
        return told

    def with_last(self, last: Json) -> Summary:
        """With what the last summary tells of a tree that is as it was then; what keeps it empty is worth telling again."""
        told = ["chips", "places_with_chips"]
        if not last["chips"]:
            told += ["rejects", "left_out", "tiles_done", "tiles_left_out", "examples"]
        return replace(self, **{name: last[name] for name in told if name in last})

    def _facts(self) -> Json:
        names = (
            "places",
            "done_before",
            "built",
            "tiles",
            "rows",
            "bytes_written",
            "requests",
            "bytes_read",
            "still_open",
        )
        counts = {name: getattr(self, name) for name in names}
        return {**counts, "tiles_left_out": self.tiles_left_out, "failures": len(self.failures)}

    @property
    def complete(self) -> bool:
        """Whether nothing within the limit is left to do."""
        return not self.still_open

    @property
    def succeeded(self) -> bool:
        """Whether nothing is left to do and the tree has a chip, unless nothing was asked for."""
        return self.complete and bool(self.chips or not self.wanted)


class Tally:
    """Adds up batches' counts."""

    def __enter__(self) -> Tally:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Have an error of a store tell whether anything was done before, that the same command goes on with."""
        if isinstance(error, StoreError):
            error.begun = self.batches > 0

    def __init__(self) -> None:
        self.batches = 0  # added so far
        self._sums: Counter[str] = Counter()
        self._rejects: Counter[str] = Counter()
        self._left_out: dict[str, Counter[str]] = {PLACES: Counter(), TILES: Counter(), STILLS: Counter()}
        self._examples: dict[str, tuple[int, str]] = {}
        self._failures: list[Failure] = []
        self._network: Counter[str] = Counter()

    def add(self, result: BatchDone) -> None:
        """Add a batch's counts."""
        self.batches += 1
        self._sums.update(
            {key: getattr(result, key) for key in ("finished", "theirs", "places", "tiles", "rows", "bytes_written")}
        )
        self._rejects.update(result.rejects)
        for kind, counts in result.left_out.items():
            self._left_out[kind].update(counts)
        for reason, told in result.examples.items():
            self._examples[reason] = min((result.index, told), self._examples.get(reason, (result.index, told)))
        self._failures.extend(result.failures)
        self.add_network(result.network)

    @property
    def finished(self) -> int:
        """Places that this build did itself."""
        return self._sums["finished"] - self._sums["theirs"]

    def add_network(self, network: Mapping[str, int]) -> None:
        """Add a process's requests, bytes and faults."""
        self._network.update(network)

    def summary(self, header: Json, rejects: Iterable[Reject]) -> Summary:
        """The sums; `header` and `rejects` are the plan's. The caller fills in the counts of the whole tree."""
        per_place = header["tiles"] // max(1, header["places"])
        return Summary(
            places=header["places"],
            finished=self.finished,
            built=self._sums["places"],
            tiles=self._sums["tiles"],
            rows=self._sums["rows"],
            bytes_written=self._sums["bytes_written"],
            rejects=dict(self._rejects + Counter(header["rejects"])),
            left_out={
                BY_PLAN: dict(header["rejects"]),
                **{kind: dict(found) for kind, found in self._left_out.items()},
            },
            tiles_done=per_place * self.finished,
            tiles_left_out=tiles_in(self._left_out, per_place),
            examples=examples_of(rejects) | {reason: told for reason, (_, told) in sorted(self._examples.items())},
            failures=tuple(sorted(self._failures, key=lambda failure: failure.poi_id)),
            requests=self._network["requests"],
            bytes_read=self._network["bytes"],
            faults={
                name.removeprefix("fault: "): count
                for name, count in sorted(self._network.items())
                if name.startswith("fault: ")
            },
        )
