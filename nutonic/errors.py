"""Every error nutonic raises, as one tree.

::

    NutonicError
    ├─ InputError(ValueError)     RecipeError · PoiError · GridError (NotAligned, OffLattice)
    ├─ SourceError(OSError)       NoScene(LookupError) · ReadFailed (Gone · FileMissing · Damaged) · BadPixels
    │                             Refused(PermissionError) · Unreachable(ConnectionError)
    ├─ PlanError(ValueError)      PlanTooLarge
    ├─ StoreError(OSError)        RecipeChanged · CubeChanged · NotNutonic · Corrupt · StoreRefused(PermissionError)
    ├─ MissingExtra(ImportError) · BrokenInstall(ImportError)
    └─ WrongRow(ValueError)

A message says what is wrong, with which value, and what to do. Each error is also the builtin that people catch, pickles
(it crosses process borders), and never shows the query of a URL, where signatures and tokens live, nor a
character that a terminal would obey.
"""

from __future__ import annotations

import importlib.util
import pickle
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nutonic.inert import inert_lines
from nutonic.secrets import redact


class NutonicError(Exception):
    """Base of all errors raised on purpose."""

    def __init__(self, message: str, *, band: str | None = None) -> None:
        super().__init__(inert_lines(redact(message)))
        self.band = band
        """Name of the band that it is about, where it is about one; the message tells it too."""

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Itself for another process; of what it was raised from only what travels, as GDAL's errors do not."""
        suppressed = self.__suppress_context__
        if suppressed or not _travels(self.__context__):
            self.__context__ = None
        if not _travels(self.__cause__):
            self.__cause__ = None
        self.__suppress_context__ = suppressed
        return super().__reduce__()


def _travels(error: BaseException | None) -> bool:
    """Whether an error can be read back from what is written of it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an error of others raises there
        return False
    return True


class InputError(NutonicError, ValueError):
    """What the user gave cannot be used."""


class RecipeError(InputError):
    """The recipe is not valid."""


class PoiError(InputError):
    """The places file, or one place, cannot be used."""


class GridError(InputError):
    """No pixel grid can be made, or two grids do not fit."""


class NotAligned(GridError):
    """An array's coordinates are not those of the grid."""


class OffLattice(GridError):
    """A raster's pixels do not lie on the lattice that was asked for."""


class SourceError(NutonicError, OSError):
    """The outside world did not deliver; without a subclass below it may deliver the next time."""

    def __init__(self, message: str, *, band: str | None = None, reason: str | None = None) -> None:
        super().__init__(message, band=band)
        self.reason = reason
        """What went wrong in a word or two, to count by, where the class does not tell."""


class NoScene(SourceError, LookupError):
    """No item of the catalogue serves this place and time."""


class ReadFailed(SourceError):
    """A raster could not be opened or read; may succeed when tried again."""


class Gone(ReadFailed):
    """The raster is not there (404, 410, no such file): trying again is no use, another scene may serve."""


class FileMissing(ReadFailed):
    """A local file is not there: it may be put back, or its disk mounted, so what needs it stays open."""


class Damaged(ReadFailed):
    """A raster is there, and what lies in it cannot be decoded, however often it is read: it is damaged, or no raster."""


class BadPixels(SourceError):
    """The raster was read, and what it holds cannot be what it claims to hold."""


class Refused(SourceError, PermissionError):
    """An address, path or credential that may not be used."""


class Unreachable(SourceError, ConnectionError):
    """A service does not answer."""


class PlanError(NutonicError, ValueError):
    """The recipe is valid, but no plan can be made of it."""


class PlanTooLarge(PlanError):
    """The plan needs more memory or space than there is."""


class StoreError(NutonicError, OSError):
    """The output directory cannot be used."""

    begun = False
    """Whether work had been done before, that the same command goes on with once what is told is mended."""


@contextmanager
def once_begun() -> Iterator[None]:
    """What is done while there may be something to go on with: a store's error says so."""
    try:
        yield
    except StoreError as error:
        error.begun = True
        raise


class StoreRefused(StoreError, PermissionError):
    """A place that may not be used as things are, or is not there: the same command would say so for ever."""


class RecipeChanged(StoreError):
    """The directory was built from another recipe, another places file, or rasters that are other ones now."""


class CubeChanged(StoreError):
    """Another cube lies where this one is to go."""


class NotNutonic(StoreError):
    """The directory was not made by nutonic."""


class Corrupt(StoreError):
    """A file of the tree is not what its commit says."""


class MissingExtra(NutonicError, ImportError):
    """An optional dependency is not installed; its message has the command that brings it to where nutonic is."""

    def __init__(self, message: str, *, band: str | None = None) -> None:
        super().__init__(as_installed(message), band=band)


def as_installed(text: str) -> str:
    """A text with ``pip install`` as it is said here: where pipx or uv keep nutonic for itself, pip would miss it."""
    return re.sub(r"(?<!uv )\bpip install\b", lambda _: _installer(), text)


def _installer() -> str:
    prefix = Path(sys.prefix).as_posix()
    if "/pipx/" in prefix:
        return f"pipx runpip {Path(prefix).name} install"
    if "/uv/" in prefix or importlib.util.find_spec("pip") is None:
        return f"uv pip install --python {shlex.quote(sys.prefix)}"
    return "pip install"


class BrokenInstall(NutonicError, ImportError):
    """A library, or data that it needs, such as PROJ's database, is here but cannot be used: the same for every place."""


class DamageSkipped(UserWarning):
    """A part of a cube is nodata, since the file that it should come from is missing or damaged (``on_damage="skip"``)."""


class WrongRow(NutonicError, ValueError):
    """A row says what the mask of its chip does not, or what cannot be read back."""
