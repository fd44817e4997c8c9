"""What went wrong with a place and may go right the next time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nutonic.errors import ReadFailed, Refused, redact
from nutonic.model import Failure, PlannedPlace, Scene

#: Errors in a word or two, to be counted by.
_REASONS: dict[type, str] = {ReadFailed: "read failed", Refused: "refused", MemoryError: "out of memory"}

#: Of a place that takes its worker with it, whichever that is.
KILLED = "killed its worker"


def failure_of(place: PlannedPlace, scene: Scene, error: Exception) -> Failure:
    """An error met while a place was built from a scene; those of files begin with the name of their band."""
    band = next((asset.name for asset in scene.assets if str(error).startswith(f"{asset.name}: ")), None)
    return Failure(
        poi_id=place.poi.id,
        asset=f"{scene.id}/{band}" if band else scene.id,
        reason=getattr(error, "reason", None) or _REASONS.get(type(error), type(error).__name__),
        error=redact(str(error) or type(error).__name__),
    )


def lost(places: Iterable[PlannedPlace], error: BaseException | None) -> tuple[Failure, ...]:
    """Places whose whole job was lost; no error where they killed every worker that tried."""
    reason = KILLED if error is None else "job lost"
    text = "every worker that tried it died" if error is None else redact(f"{type(error).__name__}: {error}")
    return tuple(Failure(poi_id=place.poi.id, asset=None, reason=reason, error=text) for place in places)


def once_more(now: Iterable[Failure], before: Mapping[str, Failure]) -> tuple[Failure, ...]:
    """Failures with those of earlier builds in mind, by place: how often it was tried, and the first error."""
    return tuple(
        replace(
            failure, attempts=failure.attempts + before[failure.poi_id].attempts, error=before[failure.poi_id].error
        )
        if failure.poi_id in before
        else failure
        for failure in now
    )
