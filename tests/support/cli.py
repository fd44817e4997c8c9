"""The command line, run as a user does."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

from nutonic.cli.main import main


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """All that is said, on whichever stream."""
        return self.out + self.err


def nutonic(*args: object) -> Said:
    """What a command says and exits with, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(arg) for arg in args])
        except SystemExit as exit_:
            code = exit_.code
    return Said(int(code or 0), out.getvalue(), err.getvalue())


def listing(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes; folders with None, rasters with their size instead."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    raster = {name: path.stat().st_size for name, path in files.items() if path.suffix == ".tif"}
    return {
        name: None if path.is_dir() else str(raster[name]).encode() if name in raster else path.read_bytes()
        for name, path in files.items()
    }
