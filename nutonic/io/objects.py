"""A directory of objects: whole files put in one atomic step, or created only where there is none."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import obstore
import orjson
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore

from nutonic.core.model import Json
from nutonic.errors import Corrupt, NotNutonic, StoreError
from nutonic.io.atomic import disk_error


def start_runtime() -> None:
    """Start what obstore works in, which needs file handles and threads: without them it would panic midway."""
    obstore.put(MemoryStore(), "nothing", b"")


class Store:
    """Files by relative path, on a local disk or in memory; obstore does the writing.

    A reader never sees half a file: bytes go to a temporary name and are renamed (`put`) or linked (`create`) in place.
    Nothing is written or deleted through a link below the root, nor where a device, a pipe or a socket lies: that raises
    :class:`NotNutonic`. What is no file, whatever a link leads to, is read as if it were not there.
    """

    def __init__(self, root: str | Path | None) -> None:
        """`root`: a folder, made on the first write; None keeps everything in memory."""
        self.root = None if root is None else Path(root).absolute()
        self._opened: LocalStore | MemoryStore | None = MemoryStore() if root is None else None

    @property
    def _objects(self) -> LocalStore | MemoryStore:
        if self._opened is None:
            try:
                self._opened = LocalStore(str(self.root), mkdir=True)
            except (BaseError, OSError) as error:
                raise self._failed("make", "the folder", error) from None
        return self._opened

    def __reduce__(self) -> tuple[type[Store], tuple[Path | None]]:
        if self.root is None:
            raise TypeError("a store in memory cannot leave its process")
        return Store, (self.root,)

    def put(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """Write a file, replacing one that is there; of pieces, none is visible before the last is written.

        FileNotFoundError where another driver, finishing, swept the temporary of pieces away: put them once more.
        """
        self._refuse_obstacle(path)
        if not isinstance(data, bytes):
            self._put_pieces(path, data)
            return
        try:
            obstore.put(self._objects, path, data)
        except FileNotFoundError:
            self._put_pieces(path, [data])
        except (BaseError, OSError) as error:
            raise self._failed("write", path, error) from None

    def _put_pieces(self, path: str, pieces: Iterable[bytes]) -> None:
        """Not a `with` block: leaving one closes the writer, and closing publishes, also after an error."""
        try:
            writer = obstore.open_writer(self._objects, path)
            for piece in pieces:
                writer.write(piece)
            writer.close()
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise self._failed("write", path, error) from None

    def create(self, path: str, data: bytes) -> bool:
        """Write a file unless it exists; whether it was written. Of two writers exactly one gets True."""
        self._refuse_obstacle(path)
        try:
            obstore.put(self._objects, path, data, mode="create")
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise self._failed("create", path, error) from None
        return True

    def get(self, path: str) -> bytes:
        """The bytes of a file; FileNotFoundError where there is none."""
        self._refuse_endless(path)
        if self.root is not None and is_temporary(path):  # obstore reads none of its own
            return (self.root / path).read_bytes()
        try:
            return bytes(obstore.get(self._objects, path).bytes())
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise self._failed("read", path, error) from None

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Part of a file."""
        if not length:
            return b""
        try:
            self._refuse_endless(path)
            return bytes(obstore.get_range(self._objects, path, start=start, length=length))
        except (BaseError, OSError) as error:
            raise self._failed("read", path, error) from None

    def tail(self, path: str, length: int) -> bytes:
        """The last bytes of a file, or all of a shorter one; FileNotFoundError where there is none."""
        self._refuse_endless(path)
        try:
            return bytes(obstore.get(self._objects, path, options={"range": {"suffix": length}}).bytes())
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise self._failed("read", path, error) from None

    def has(self, path: str) -> bool:
        """Whether a file is there."""
        try:
            self._refuse_endless(path)
            obstore.head(self._objects, path)
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise self._failed("read", path, error) from None
        return True

    def sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Path and size of all that is no folder below one, in no order; temporaries of killed writers included."""
        if self.root is None:
            for page in obstore.list(self._objects, prefix or None):
                yield from ((entry["path"], entry["size"]) for entry in page)
            return
        yield from ((path, status.st_size) for path, status in self.found(prefix) if not stat.S_ISDIR(status.st_mode))

    def found(self, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """Path and status of all that lies below a folder on disk, links as themselves and not followed."""
        # obstore hides its own temporaries (name#n); here they must be seen to be removed.
        for entry in _entries(self._file(prefix)):
            with suppress(FileNotFoundError):  # another driver may sweep while this one looks
                status = entry.stat(follow_symlinks=False)
                path = f"{prefix}/{entry.name}" if prefix else entry.name
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    yield from self.found(path)

    def delete(self, path: str) -> None:
        """Remove a file; none there is no error."""
        if self.root is not None:
            self._refuse_obstacle(path)
            self._file(path).unlink(missing_ok=True)
        elif self.has(path):
            obstore.delete(self._objects, path)

    def is_file(self, path: str) -> bool:
        """Whether a plain file is there: no link to one, no folder, nor what can be read without an end."""
        if self.root is None:
            return self.has(path)
        try:
            return stat.S_ISREG(self._file(path).lstat().st_mode)
        except OSError:
            return False

    def _file(self, path: str) -> Path:
        assert self.root is not None, "in memory there are no paths"
        return self.root / path

    def _refuse_obstacle(self, path: str) -> None:
        if self.root is not None and (obstacle := obstacle_at(self.root, path)) is not None:
            raise NotNutonic(f"cannot write {path}: {obstacle}")

    def _refuse_endless(self, path: str) -> None:
        """Opening a pipe waits for its other end, and a device may never end."""
        if self.root is None:
            return
        try:
            mode = self._file(path).stat().st_mode
        except OSError:  # reading will tell
            return
        if not stat.S_ISREG(mode):
            raise FileNotFoundError(errno.ENOENT, "no file", path)

    def _failed(self, verb: str, path: str, error: Exception) -> StoreError:
        return disk_error(error, path, self.root, verb)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder; none if it does not exist or this user may not read it."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def obstacle_at(root: Path, path: str, *, folder: bool = False) -> str | None:
    """Why no file (or folder) may be made or removed at a path below a folder, in a line; None if it may.

    The folder itself may be reached through a link: that is the user's choice of a place.
    """
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        try:
            mode = place.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):  # the root may be a file, which writing tells
            return None
        wrong = _wrong(place, mode, folder=folder or depth < len(parts))
        if wrong is not None:
            return wrong
    return None


def _wrong(place: Path, mode: int, *, folder: bool) -> str | None:
    """What is wrong with what lies where a file, or a folder, of nutonic's goes."""
    if stat.S_ISLNK(mode):
        kind = "folder" if place.is_dir() else "file"
        return f"{place} is a link to a {kind}: put the {kind} itself there, or move the link away"
    right = stat.S_ISDIR if folder else stat.S_ISREG
    if right(mode):
        return None
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISREG, "a file"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((name for test, name in kinds if test(mode)), "a device")
    return f"{place} is {kind}, where nutonic has a {'folder' if folder else 'file'}: move it away"


def is_temporary(path: str) -> bool:
    """Whether this is what a killed writer leaves behind: obstore's ``name#1``."""
    return bool(re.search(r"#\d+$", path))


def sha256(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()


def sealed(value: Json) -> bytes:
    """JSON that carries the hash of itself, so that no byte of it can change unseen."""
    body = orjson.dumps(value)
    return orjson.dumps({**value, "seal": sha256(body)}, option=orjson.OPT_APPEND_NEWLINE)


def unsealed(data: bytes, path: str) -> Json:
    """The value of sealed JSON; :class:`Corrupt` if a byte of it is not what was sealed."""
    try:
        value = dict(orjson.loads(data))
        value.pop("seal")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise Corrupt(f"{path} is not what was written: it has no seal") from None
    if sealed(value) != data:
        raise Corrupt(f"{path} is not what was written: its seal does not fit")
    return value
