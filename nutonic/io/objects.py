"""A tree of objects, on a disk or in an object store: whole files put in one step, or created only where there is none."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import obstore
import orjson
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, LocalStore, MemoryStore

from nutonic.core.model import Json
from nutonic.errors import Corrupt, NotNutonic, StoreError
from nutonic.io.atomic import create_file, disk_error, replace_file, staged_file, take, write_at
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.io.buckets.bucket import AT_ONCE, asked, failure, opened
from nutonic.io.buckets.reading import ObjectFile
from nutonic.io.files import below, obstacle_at

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

T = TypeVar("T")
U = TypeVar("U")


#: Bytes of a large file that are held at once.
_PIECE = 2**23

#: Bytes of an object that are asked for when a few are read.
_READ_AHEAD = 2**20

#: Objects that are removed by a request.
_PAGE = 1000


def _read_in_pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        yield from iter(partial(content.read, _PIECE), b"")


def start_runtime() -> None:
    """Start what obstore works in, which needs file handles and threads: without them it would panic midway."""
    obstore.put(MemoryStore(), "nothing", b"")


class Store:
    """Files by relative path, on a local disk, in an object store or in memory.

    A reader never sees half a file. On a disk, bytes go to a temporary name and are renamed (`put`) or linked (`create`)
    in place; an object store shows an object once it is whole, and creates one by a condition that it checks itself.
    Nothing is written or deleted through a link below a folder, nor where a device, a pipe or a socket lies: that raises
    :class:`NotNutonic`. What is no file, whatever a link leads to, is read as if it were not there.
    """

    def __init__(self, root: str | AnyPath | None) -> None:
        """`root`: a folder, made on the first write; an address such as ``s3://bucket/path``; None for memory of its own."""
        self.root: AnyPath | None = None if root is None else any_path_of(root).absolute()
        self._opened: ObjectStore | None = MemoryStore() if root is None else None

    @property
    def disk(self) -> Path | None:
        """The folder; None where the files lie elsewhere."""
        return self.root if isinstance(self.root, Path) else None

    @property
    def address(self) -> Address | None:
        """Where in an object store the files lie; None where they lie elsewhere."""
        return self.root if isinstance(self.root, Address) else None

    @property
    def _objects(self) -> ObjectStore:
        if self._opened is None:
            try:
                self._opened = LocalStore(str(self.disk), mkdir=True) if self.address is None else opened(self.address)
            except (BaseError, OSError) as error:
                raise self._failed("make", "the folder", error) from None
        return self._opened

    def __reduce__(self) -> tuple[type[Store], tuple[AnyPath | None]]:
        if self.root is None or (self.address is not None and self.address.scheme == "memory"):
            raise TypeError("a store in memory cannot leave its process")
        return Store, (self.root,)

    def _ask(self, verb: str, path: str, ask: Callable[[], T]) -> T:
        """What obstore answers; FileNotFoundError and AlreadyExistsError as they are, all else as :class:`StoreError`."""
        if self.address is not None:
            return asked(ask, lambda error: self._failed(verb, path, error))
        try:
            return ask()
        except (FileNotFoundError, AlreadyExistsError):
            raise
        except (BaseError, OSError) as error:
            raise self._failed(verb, path, error) from None

    def put(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """Write a file, replacing one that is there; of pieces, none is visible before the last is written.

        FileNotFoundError where another driver, finishing, swept the temporary of pieces away: put them once more.
        """
        self._refuse_obstacle(path)
        if isinstance(data, bytes):
            self._put_bytes(path, data)
        else:
            self._put_pieces(path, data)

    def _put_bytes(self, path: str, data: bytes) -> None:
        try:
            self._ask("write", path, lambda: self._put_whole(path, data))
        except FileNotFoundError as error:
            if self.address is not None:
                raise self._failed("write", path, error) from None
            self._put_pieces(path, [data])

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Write files, replacing those that are there; into an object store several at once."""
        if self.address is None or len(files) < 2:
            for path, data in files.items():
                self.put(path, data)
            return
        with ThreadPoolExecutor(min(AT_ONCE, len(files)), thread_name_prefix="put") as threads:
            list(threads.map(self.put, files, files.values()))

    def _put_whole(self, path: str, data: bytes) -> None:
        if self.disk is None:
            obstore.put(self._objects, path, data)
        else:  # obstore would hand it over to a thread of its own, which takes as long again as writing it
            replace_file(f"{self.disk}/{path}", data)

    def put_file(self, path: str, file: Path) -> None:
        """Write what is in a file of this machine, replacing what is there; into an object store anew where that fails."""
        if self.address is None:
            self.put(path, _read_in_pieces(file))
            return
        try:
            self._ask("write", path, lambda: self._stream(path, _read_in_pieces(file)))
        except FileNotFoundError as error:
            raise self._failed("write", path, error) from None

    def _put_pieces(self, path: str, pieces: Iterable[bytes]) -> None:
        """Of an object store few bytes are held, so that they can be sent again."""
        held, size, pieces = list[bytes](), 0, iter(pieces)
        while self.address is not None and size <= _PIECE:
            if (piece := next(pieces, None)) is None:
                self._put_bytes(path, b"".join(held))
                return
            held.append(piece)
            size += len(piece)
        try:
            self._stream(path, chain(held, pieces))
        except (BaseError, OSError) as error:
            if self.address is None and isinstance(error, FileNotFoundError):
                raise
            raise self._failed("write", path, error) from None

    def _stream(self, path: str, pieces: Iterable[bytes]) -> None:
        """Not a `with` block: leaving one closes the writer, and closing publishes, also after an error."""
        writer = obstore.open_writer(self._objects, path)
        for piece in pieces:
            writer.write(piece)
        writer.close()

    def stage(self, path: str) -> str:
        """A new, empty file beside one on a disk, to be written in parts and then to take its place; its path."""
        self._refuse_obstacle(path)
        return self._ask("write", path, lambda: staged_file(f"{self.disk}/{path}"))

    def put_at(self, path: str, staged: str, first: int, pieces: Iterable[bytes]) -> None:
        """Write a part of what is to be a file on a disk; FileNotFoundError where another driver swept it away."""
        self._ask("write", path, lambda: write_at(staged, first, pieces))

    def take(self, staged: str, path: str) -> bool:
        """Let what was written in parts take its place; False where another driver swept it away."""
        self._refuse_obstacle(path)
        return self._ask("write", path, lambda: take(staged, f"{self.disk}/{path}"))

    def create(self, path: str, data: bytes | Iterable[bytes]) -> bool:
        """Write a file unless it exists; whether it was written. Of two writers exactly one gets True.

        Of two that write the same into an object store, both may, where an answer was lost on the way. Of pieces no more
        than one is held on a disk, and all elsewhere.
        """
        self._refuse_obstacle(path)
        if self.disk is not None:  # see _put_whole
            pieces = [data] if isinstance(data, bytes) else data
            return self._ask("create", path, partial(create_file, f"{self.disk}/{path}", pieces))
        if not isinstance(data, bytes):
            data = b"".join(data)
        tries = 0

        def ask() -> None:
            nonlocal tries
            tries += 1
            obstore.put(self._objects, path, data, mode="create")

        try:
            self._ask("create", path, ask)
        except AlreadyExistsError:
            return tries > 1 and self.get(path) == data
        except FileNotFoundError as error:
            raise self._failed("create", path, error) from None
        return True

    def get(self, path: str) -> bytes:
        """The bytes of a file; FileNotFoundError where there is none."""
        self._refuse_endless(path)
        if self.disk is not None:  # obstore has a thread of its own for it, and reads no temporaries
            return self._ask("read", path, lambda: Path(f"{self.disk}/{path}").read_bytes())
        return self._ask("read", path, lambda: bytes(obstore.get(self._objects, path).bytes()))

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Part of a file."""
        if not length:
            return b""
        try:
            self._refuse_endless(path)
            data = self._ask("read", path, partial(self._span, path, start, length))
        except FileNotFoundError as error:
            raise self._failed("read", path, error) from None
        if len(data) < length:
            raise Corrupt(f"{path} is not what was written: it is too short")
        return data

    def _span(self, path: str, start: int, length: int) -> bytes:
        if self.disk is None:
            return bytes(obstore.get_range(self._objects, path, start=start, length=length))
        with open(f"{self.disk}/{path}", "rb") as file:  # noqa: PTH123  obstore has a thread of its own for it
            file.seek(start)
            return file.read(length)

    def tail(self, path: str, length: int) -> bytes:
        """The last bytes of a file, or all of a shorter one; FileNotFoundError where there is none."""
        if isinstance(self._objects, AzureStore):  # which counts from the front alone
            size = self.size(path)
            return self.get_range(path, max(0, size - length), min(length, size))
        self._refuse_endless(path)
        if self.disk is not None:  # asked twice for each batch; see _span
            return self._ask("read", path, partial(self._ending, path, length))
        return self._ask(
            "read",
            path,
            lambda: bytes(obstore.get(self._objects, path, options={"range": {"suffix": length}}).bytes()),
        )

    def _ending(self, path: str, length: int) -> bytes:
        with open(f"{self.disk}/{path}", "rb") as file:  # noqa: PTH123
            file.seek(max(0, file.seek(0, os.SEEK_END) - length))
            return file.read(length)

    def pieces(self, path: str, size: int) -> Iterator[bytes]:
        """A file's bytes, some at a time; `size` is all there are. FileNotFoundError where there is none."""
        for start in range(0, size, _PIECE):
            yield self.get_range(path, start, min(_PIECE, size - start))

    def size(self, path: str) -> int:
        """A file's bytes; FileNotFoundError where there is none."""
        self._refuse_endless(path)
        return int(self._ask("read", path, lambda: obstore.head(self._objects, path))["size"])

    def open(self, path: str) -> BinaryIO:
        """A file, to read; FileNotFoundError where there is none."""
        self._refuse_endless(path)
        if self.disk is not None:
            return self._file(path).open("rb")
        whole = ObjectFile(self.size(path), partial(self.get_range, path))
        return io.BufferedReader(whole, _READ_AHEAD)

    def listed_size(self, path: str) -> int | None:
        """What :meth:`sizes` tells of one path: of a link its own size; None where nothing lies there, or a folder."""
        if self.disk is None:
            with suppress(FileNotFoundError):
                return self.size(path)
            return None
        try:
            status = os.lstat(f"{self.disk}/{path}")
        except (OSError, ValueError):
            return None
        return None if stat.S_ISDIR(status.st_mode) else status.st_size

    def status(self, path: str) -> os.stat_result:
        """What the system tells of a file on a disk, of a link of itself."""
        return os.lstat(f"{self.disk}/{path}")

    def has(self, path: str) -> bool:
        """Whether a file is there."""
        try:
            self.size(path)
        except FileNotFoundError:
            return False
        return True

    def sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Path and size of all that is no folder below one, in no order; temporaries of killed writers included."""
        if self.disk is None:
            yield from self._listed(prefix)
            return
        yield from ((path, status.st_size) for path, status in self.found(prefix) if not stat.S_ISDIR(status.st_mode))

    def _listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        """A request for a thousand objects; where one fails, it goes on behind the last that came, as names are in order."""
        last: str | None = None
        pages: Iterator[Sequence[ObjectMeta]] | None = None

        def ask() -> Sequence[ObjectMeta]:
            nonlocal pages
            if pages is None:
                pages = iter(obstore.list(self._objects, prefix or None, offset=last))
            try:
                return next(pages, ())
            except BaseError:
                pages = None
                raise

        what = prefix or "its files"
        try:
            while page := self._ask("list", what, ask):
                yield from ((entry["path"], entry["size"]) for entry in page)
                last = page[-1]["path"]
        except FileNotFoundError as error:  # the bucket is not there
            raise self._failed("list", what, error) from None

    def found(self, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """Path and status of all that lies below a folder on disk, links as themselves and not followed."""
        # obstore hides its own temporaries (name#n); here they must be seen to be removed.
        assert self.disk is not None, "only a disk has a status of files"
        return below(self.disk, prefix)

    def delete(self, path: str) -> None:
        """Remove a file; none there is no error."""
        if self.disk is not None:
            self._refuse_obstacle(path)
            self._file(path).unlink(missing_ok=True)
        elif self.address is not None or self.has(path):  # of a store's own memory, deleting nothing is an error
            with suppress(FileNotFoundError):
                self._ask("remove", path, lambda: obstore.delete(self._objects, path))

    def delete_all(self, paths: Iterable[str]) -> None:
        """Remove files; of an object store several hundred by a request, where it can."""
        remaining = list(paths)
        if self.address is None:
            for path in remaining:
                self.delete(path)
            return
        for start in range(0, len(remaining), _PAGE):
            page = remaining[start : start + _PAGE]
            try:
                self._ask("remove", page[0], partial(obstore.delete, self._objects, page))
            except FileNotFoundError:  # some are gone already, which not every store takes for removed
                for path in page:
                    self.delete(path)

    def together(self, ask: Callable[[U], T], items: Iterable[U]) -> Iterator[T]:
        """What a function that asks for a file gives for each, in their order; of an object store several at once."""
        if self.address is None:
            yield from map(ask, items)
            return
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="get") as threads:
            yield from threads.map(ask, items)

    def is_file(self, path: str) -> bool:
        """Whether a plain file is there: no link to one, no folder, nor what can be read without an end."""
        if self.disk is None:
            return self.has(path)
        try:
            return stat.S_ISREG(self._file(path).lstat().st_mode)
        except OSError:
            return False

    def _file(self, path: str) -> Path:
        assert self.disk is not None, "only a disk has paths"
        return self.disk / path

    def _refuse_obstacle(self, path: str) -> None:
        if self.disk is not None and (obstacle := obstacle_at(self.disk, path)) is not None:
            raise NotNutonic(f"cannot write {path}: {obstacle}")

    def _refuse_endless(self, path: str) -> None:
        """Opening a pipe waits for its other end, and a device may never end."""
        if self.disk is None:
            return
        try:
            mode = self._file(path).stat().st_mode
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "no file", path) from None
        except OSError:  # reading will tell
            return
        if not stat.S_ISREG(mode):
            raise FileNotFoundError(errno.ENOENT, "no file", path)

    def _failed(self, verb: str, path: str, error: Exception) -> StoreError:
        if self.address is not None and not isinstance(error, StoreError):
            return failure(f"cannot {verb} {path} in {self.address}", error, self.address)
        return disk_error(error, path, self.disk, verb)


def create_marker(store: Store, path: str, content: bytes) -> bool:
    """Create the file by which a place is known to be nutonic's; whether there was none, of whatever content.

    Raises
    ------
    StoreError
        Of an object store that creates what is there already: two runs could overwrite each other.
    """
    new = store.create(path, content)
    if new and store.address is not None and store.create(path, b""):
        store.delete(path)
        raise StoreError(
            f"{store.address} creates what is there already: its server ignores conditional writes (If-None-Match), without "
            "which two runs could overwrite each other; name another store"
        )
    return new


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
