"""What a command takes, with every process below it: ``python -m benchmarks.usage COMMAND …``.

Linux counts a process with its parent's children once the parent has waited for it: one that nobody waits for is counted
nowhere. Decoders of JPEG 2000 are such processes, which end with the worker that they belong to. So a small process stands
above each command. It is given those whose parents are gone, waits for all that there are, and adds up what they took.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: What `prctl` calls being given the orphans among one's descendants: https://man7.org/linux/man-pages/man2/prctl.2.html
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a command took."""

    text: str
    """Its standard output."""
    wall_s: float
    """Seconds until the last of its processes has ended."""
    cpu_s: float
    """Seconds of CPU, user and system, of all its processes."""
    peak_mb: int
    """The most resident memory that one of them has had."""


def used(command: Sequence[str], env: Mapping[str, str], limit_s: float) -> Usage:
    """Run a command at the root of the repository.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    subprocess.TimeoutExpired
        If not all of its processes have ended by then; those that are left are ended.
    """
    above = [sys.executable, "-m", "benchmarks.usage", *command]
    began = time.perf_counter()
    with subprocess.Popen(
        above,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(env),
        cwd=Path(__file__).parents[1],
        start_new_session=True,
    ) as process:
        try:
            text, errors = process.communicate(timeout=limit_s)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    wall_s = time.perf_counter() - began
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), text, errors)
    *lines, counts = text.splitlines(keepends=True)
    return Usage(text="".join(lines), wall_s=round(wall_s, 3), **json.loads(counts))


def main() -> int:
    """Run a command and wait for all of its processes; a line of JSON follows what it prints. Returns its exit code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    first = subprocess.Popen(sys.argv[1:])
    cpu_s, peak_kb, code = 0.0, 0, 0
    with suppress(ChildProcessError):  # there is none left
        while True:
            number, status, taken = os.wait4(-1, 0)
            cpu_s += taken.ru_utime + taken.ru_stime
            peak_kb = max(peak_kb, taken.ru_maxrss)
            if number == first.pid:
                first.returncode = code = os.waitstatus_to_exitcode(status)
    print(json.dumps({"cpu_s": round(cpu_s, 3), "peak_mb": peak_kb // 1024}))
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
