"""``nutonic`` with what a system may lack or refuse: few handles, little memory, a strict umask, outputs that are closed.

``python -m support.limited LIMITS ARGUMENTS…``, where the limits are a JSON object.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import runpy
import struct
import sys
from pathlib import Path

_OUTPUTS = {"stdout": (1,), "stderr": (2,), "both": (1, 2)}


def _handles() -> int:
    return max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 1


def _redirect(outputs: str, how: str) -> None:
    for number in _OUTPUTS[outputs]:
        if how == "closed":
            os.close(number)
        elif how == "full":
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, number)
            os.close(full)
        else:  # a pipe that nobody reads
            reader, writer = os.pipe()
            os.dup2(writer, number)
            os.close(reader)
            os.close(writer)


def _obey_permissions() -> None:
    """Drop the rights of root, to whom permissions do not apply; the files stay its own."""
    version_3, words = 0x20080522, 6
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() == 0 and libc.capset(struct.pack("Ii", version_3, 0), struct.pack(f"{words}I", *[0] * words)):
        raise OSError(ctypes.get_errno(), "capset")


def apply(limits: dict) -> None:
    """Put limits on this process; handles come on top of what it has already."""
    for outputs, how in limits.get("outputs", {}).items():
        _redirect(outputs, how)
    if limits.get("vanished"):
        folder = Path("vanished").absolute()
        folder.mkdir()
        os.chdir(folder)
        folder.rmdir()
    if "umask" in limits:
        os.umask(limits["umask"])
    if limits.get("permissions"):
        _obey_permissions()
    if "handles" in limits:
        most = _handles() + limits["handles"]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if "address_space" in limits:
        resource.setrlimit(resource.RLIMIT_AS, (limits["address_space"],) * 2)


if __name__ == "__main__":
    apply(json.loads(sys.argv.pop(1)))
    runpy.run_module("nutonic", run_name="__main__", alter_sys=True)
