"""What a build did, added up from what its batches tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nutonic.model import BatchDone, Failure, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a build did."""

    places: int
    """Places in the plan."""
    wanted: int = 0
    """Places within the limit."""
    done_before: int = 0
    """Places that an earlier run had committed."""
    finished: int = 0
    """Places done now, rejected ones included."""
    built: int = 0
    """Places built now."""
    tiles: int = 0
    rows: int = 0
    bytes_written: int = 0
    rejects: dict[str, int] = field(default_factory=dict)
    """Reason to count, of places and tiles rejected now; and of places rejected by the plan."""
    failures: tuple[Failure, ...] = ()
    requests: int = 0
    """HTTP requests made now, for planning too."""
    bytes_read: int = 0
    """Bytes that came over HTTP."""
    faults: dict[str, int] = field(default_factory=dict)
    """What went wrong with requests and was tried again, by kind."""
    seconds: float = 0.0
    limit: int | None = None

    still_open: int = 0
    """Places within the limit that are not committed after the run."""

    @property
    def complete(self) -> bool:
        """Whether nothing within the limit is left to do."""
        return not self.still_open


class Tally:
    """Adds up what batches tell."""

    def __init__(self, tell: Callable[[BatchDone], None]) -> None:
        self._tell = tell
        self._sums: Counter[str] = Counter()
        self._rejects: Counter[str] = Counter()
        self._failures: list[Failure] = []
        self._network: Counter[str] = Counter()

    def add(self, result: BatchDone) -> None:
        """Add a batch's counts, and tell of it."""
        self._sums.update(
            {key: getattr(result, key) for key in ("finished", "places", "tiles", "rows", "bytes_written")}
        )
        self._rejects.update(result.rejects)
        self._failures.extend(result.failures)
        self.met(result.network)
        self._tell(result)

    def met(self, network: Mapping[str, int]) -> None:
        """Add what a process met on the network."""
        self._network.update(network)

    def summary(self, header: Json) -> Summary:
        """The sums; `header` is the plan's. What concerns the whole tree is still to be filled in."""
        return Summary(
            places=header["places"],
            finished=self._sums["finished"],
            built=self._sums["places"],
            tiles=self._sums["tiles"],
            rows=self._sums["rows"],
            bytes_written=self._sums["bytes_written"],
            rejects=dict(self._rejects + Counter(header["rejects"])),
            failures=tuple(sorted(self._failures, key=lambda failure: failure.poi_id)),
            requests=self._network["requests"],
            bytes_read=self._network["bytes"],
            faults={
                name.removeprefix("fault: "): count
                for name, count in sorted(self._network.items())
                if name.startswith("fault: ")
            },
        )
