"""A build in numbers for machines that watch: a text file in Prometheus' format, as its node exporter collects them."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from nutonic.dataset.reasons import PLACES, TILES
from nutonic.io.atomic import disk_errors, new_file
from nutonic.run.callbacks import (
    BatchFinished,
    BuildEnded,
    BuildStarted,
    Callback,
    CaptionsFinished,
    StageBegun,
    WorkersChanged,
)

#: Seconds between two versions of the file.
_APART_S = 5.0

#: What the file tells: name, kind and meaning.
_TOLD = (
    ("places_to_do", "gauge", "Places that this build has to do."),
    ("places_done_total", "counter", "Places that it has done, left out ones included."),
    ("places_failed_total", "counter", "Places that failed and stay open."),
    ("left_out_places_total", "counter", "Places that were left out with all their tiles."),
    ("left_out_tiles_total", "counter", "Tiles that were left out of places that have others."),
    ("chips_total", "counter", "Chips that were written, turned and flipped ones too."),
    ("rows_total", "counter", "Rows that were written."),
    ("written_bytes_total", "counter", "Bytes that were written."),
    ("read_bytes_total", "counter", "Bytes that came over HTTP."),
    ("read_local_bytes_total", "counter", "Bytes that were read of local rasters, where Linux counts them."),
    ("workers", "gauge", "Workers that are there; 0 also where the build needs none."),
    ("complete", "gauge", "1 once nothing is left to do."),
    ("last_batch_timestamp_seconds", "gauge", "When the last batch ended."),
    ("start_timestamp_seconds", "gauge", "When the build began."),
)


class MetricsFile(Callback):
    """Keeps a file up to date, which is replaced as a whole: whoever reads it never sees half of one."""

    def __init__(self, path: Path) -> None:
        self._path, self._written_s = path, float("-inf")
        self._values: Counter[str] = Counter(start_timestamp_seconds=round(time.time()))

    def on_stage(self, event: StageBegun, /) -> None:
        """Write the file, so that a path where it cannot be is told before any work."""
        self._write()

    def on_start(self, event: BuildStarted, /) -> None:
        """Take up how much there is to do."""
        self._values["places_to_do"] = event.to_do
        self._write()

    def on_batch(self, event: BatchFinished, /) -> None:
        """Add a batch's counts."""
        result, captions = event.result, isinstance(event, CaptionsFinished)  # of places that are done already
        self._values.update(
            places_done_total=0 if captions else result.finished - result.theirs,
            places_failed_total=0 if captions else len(result.failures),
            left_out_places_total=sum(result.left_out.get(PLACES, {}).values()),
            left_out_tiles_total=sum(result.left_out.get(TILES, {}).values()),
            chips_total=result.tiles,
            rows_total=result.rows,
            written_bytes_total=result.bytes_written,
            read_bytes_total=result.network.get("bytes", 0),
            read_local_bytes_total=result.network.get("local bytes", 0),
        )
        self._values["last_batch_timestamp_seconds"] = round(time.time())
        if time.monotonic() - self._written_s >= _APART_S:
            self._write()

    def on_workers(self, event: WorkersChanged, /) -> None:
        """Take up how many there are."""
        self._values["workers"] = event.there
        self._write()

    def on_end(self, event: BuildEnded, /) -> None:
        """Write the file as it stays."""
        self._values["complete"] = int(event.summary.complete)
        self._write()

    def _write(self) -> None:
        lines = [
            line
            for name, kind, meaning in _TOLD
            for line in (
                f"# HELP nutonic_{name} {meaning}",
                f"# TYPE nutonic_{name} {kind}",
                f"nutonic_{name} {self._values[name]}",
            )
        ]
        with disk_errors(self._path), new_file(self._path, prefix=".nutonic-") as new:
            new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._written_s = time.monotonic()
