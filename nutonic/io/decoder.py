"""JPEG 2000 decoded in processes of their own, which can be ended: a damaged file makes its library run in a circle.

A thread cannot be stopped, and a few bytes are enough to keep one busy for ever. So whatever reads such a file asks a
decoder, a small process that does one thing at a time, and that the system ends once it has used up its seconds of CPU.
These are counted, not those of the clock, so that a busy machine finds nothing wrong with a good file. A decoder opens
local files itself, and asks back for the bytes of what lies behind a URL; it has no session and no connection.
"""

from __future__ import annotations

import atexit
import contextvars
import itertools
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from nutonic.errors import BadPixels, GridError, NutonicError, ReadFailed
from nutonic.io.files import PositionedFile

#: What a file starts with that is decoded here: a JPEG 2000 file, or a bare codestream.
SIGNATURES = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")

#: Seconds of CPU for opening a file; and for a read, with those for each million bytes of blocks that it decodes. That is
#: more than ten times what the slowest good file takes.
OPEN_S, READ_S, MEGABYTE_S = 5.0, 20.0, 1.0

#: Seconds without an answer after which a decoder is ended that does not use its CPU, such as a stopped one.
IDLE_S = 300.0

#: Decoders of a process, all of them busy; as many as there are readers, since they also wait for what is fetched.
_MOST = 8

#: Files that a decoder keeps open.
_KEPT_OPEN = 16

#: What is told of a raster, by the names that rasterio has for it.
_FACTS = (
    "shape", "width", "height", "transform", "crs", "count", "dtypes", "nodata", "nodatavals", "block_shapes", "scales",
    "offsets", "mask_flag_enums", "colorinterp", "descriptions", "interleaving", "gcps", "rpcs",
)  # fmt: skip

#: How a process ends that used up its CPU, or that crashed, where the system has signals.
_OUT_OF_CPU = getattr(signal, "SIGXCPU", None)
_CRASHES = {-getattr(signal, name) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE") if hasattr(signal, name)}


class Bytes(Protocol):
    """A file behind a URL: its size, and its bytes from where it stands."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        ...

    def seek(self, offset: int) -> int:
        """Stand elsewhere."""
        ...

    def read(self, size: int) -> bytes:
        """Bytes from here on; fewer where it fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file as a decoder is told of it."""

    number: int
    """The same for all who have the file open: who has it decoded then finds what was decoded for others."""
    href: str
    size: int | None
    """Of what is asked for byte by byte; None of a local file."""
    options: Mapping[str, str | int]
    """GDAL's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    file: _File
    what: str
    """``facts``, or the name of a method of rasterio's that gives pixels."""
    band: int = 1
    window: tuple[slice, slice] | None = None
    cpu_s: float


class DecodedRaster:
    """A JPEG 2000 file, with what rasterio tells of a dataset and its methods that give pixels.

    Parameters
    ----------
    href
        Path or address.
    file
        Its bytes, where it is not local.
    options
        GDAL's options.
    version
        What tells this file from others that are at this path or address at another time.

    Raises
    ------
    RasterioError
        If it cannot be opened.
    GridError
        If opening it does not end.
    """

    def __init__(
        self, href: str, file: Bytes | None, options: Mapping[str, str | int], version: Hashable = None
    ) -> None:
        size = None if file is None else file.size
        self._bytes, self._key = file, (href, version)
        self._file = _File(number=_numbers.of(self._key), href=href, size=size, options=options)
        try:
            self._facts = self._ask(_Question(file=self._file, what="facts", cpu_s=OPEN_S))
        except BaseException:
            self.close()
            raise

    def __getattr__(self, name: str) -> Any:
        if name in _FACTS:
            return self._facts[name]
        raise AttributeError(name)

    def read(self, band: int, window: Window) -> np.ndarray:
        """A window's pixels of a band."""
        return self._pixels("read", band, window)

    def read_masks(self, band: int, window: Window) -> np.ndarray:
        """A window of the mask that goes with a band."""
        return self._pixels("read_masks", band, window)

    def close(self) -> None:
        """Have it opened anew by whoever opens it next; decoders close what has not been used for long."""
        _numbers.forget(self._key, self._file.number)

    def _pixels(self, what: str, band: int, window: Window) -> np.ndarray:
        parts = window.toslices()
        blocks = math.prod(
            side * (math.ceil(part.stop / side) - part.start // side)
            for part, side in zip(parts, self.block_shapes[0], strict=True)
        )
        megabytes = blocks * self.count * np.dtype(self.dtypes[0]).itemsize / 1e6
        cpu_s = READ_S + MEGABYTE_S * megabytes
        pixels: np.ndarray = self._ask(_Question(file=self._file, what=what, band=band, window=parts, cpu_s=cpu_s))
        return pixels

    def _ask(self, question: _Question) -> Any:
        with _decoders.borrow(question.file.number) as decoder:
            return decoder.ask(question, self._bytes)


class _Numbers:
    """The numbers of the files that are open."""

    def __init__(self) -> None:
        self._next = itertools.count()
        self.begin()

    def begin(self) -> None:
        """Start anew, in a fork: there the lock may be a thread's that is not there."""
        self._lock, self._known = threading.Lock(), dict[Hashable, int]()

    def of(self, key: Hashable) -> int:
        """The number of a file that is opened now."""
        with self._lock:
            if key not in self._known:
                self._known[key] = next(self._next)
            return self._known[key]

    def forget(self, key: Hashable, number: int) -> None:
        """Give another number to whoever opens a file next, unless it has another one already."""
        with self._lock:
            if self._known.get(key) == number:
                del self._known[key]


_numbers = _Numbers()


# The asking process


class _Decoder:
    """A process that decodes, and the pipes to it; asked by one thread at a time."""

    def __init__(self) -> None:
        self.holds: OrderedDict[int, None] = OrderedDict()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from nutonic.io.decoder import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONWARNINGS": "ignore"},
        )

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, question: _Question, file: Bytes | None) -> Any:
        """What a decoder answers; it is fed with the bytes it asks for meanwhile."""
        started = time.thread_time()
        try:
            _send(self._process.stdin, question)
            while True:
                kind, value = self._heard()
                if kind != "bytes" or file is None:
                    break
                if time.thread_time() - started > question.cpu_s:  # it asks in a circle, which is our CPU
                    self._process.send_signal(_OUT_OF_CPU or signal.SIGTERM)
                    raise EOFError
                file.seek(value[0])
                _send(self._process.stdin, file.read(value[1]))
        except (OSError, EOFError, pickle.UnpicklingError):
            raise self._ended(question) from None
        except BaseException:
            self.end()
            raise
        if kind == "failed":
            raise RasterioError(value)
        return value

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]  # both are pipes

    def _heard(self) -> Any:
        timer = threading.Timer(IDLE_S, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            return pickle.load(self._process.stdout)  # type: ignore[arg-type]  # a pipe
        finally:
            timer.cancel()

    def _ended(self, question: _Question) -> NutonicError:
        """What is to be told of a decoder that is no more: of a file that brought it down, or of one that was killed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.poll()
        self.end()
        href, opening = question.file.href, question.what == "facts"
        doing = "opened" if opening else "decoded"
        damaged = GridError if opening else BadPixels
        if _OUT_OF_CPU is not None and code == -_OUT_OF_CPU:
            return damaged(f"{href} is damaged: it is not {doing} within {question.cpu_s:.0f} s of CPU")
        if code in _CRASHES:
            return damaged(f"{href} is damaged: it ends the process in which it is {doing}")
        return ReadFailed(f"cannot read {href}: the process in which it is {doing} was ended ({code})")


class _Decoders:
    """The decoders of this process: started when they are needed, kept for the next."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start anew: those of the process that this is a fork of are not this one's."""
        self._all, self._idle = list[_Decoder](), list[_Decoder]()
        self._changed = threading.Condition()

    @contextmanager
    def borrow(self, number: int) -> Iterator[_Decoder]:
        """A decoder for one thread: the one that has a file open, if any has, since that has its blocks as well."""
        with self._changed:
            while (decoder := self._choice(number)) is None:
                self._changed.wait()
            # Here alone, where no other thread gives the file away meanwhile: else it would be in two of them.
            decoder.holds[number] = None
            decoder.holds.move_to_end(number)
            while len(decoder.holds) > _KEPT_OPEN:
                decoder.holds.popitem(last=False)
            self._idle.remove(decoder)
        try:
            yield decoder
        finally:
            with self._changed:
                self._idle.append(decoder)
                self._changed.notify_all()

    def close(self) -> None:
        """End those that are idle."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._all = [decoder for decoder in self._all if decoder not in idle]
        for decoder in idle:
            decoder.end()

    def _choice(self, number: int) -> _Decoder | None:
        """An idle decoder for a file; None to wait.

        A file moves from a busy decoder only to one that has fewer, so that files come to rest, each with decoders of its
        own as far as there are some, and no block is decoded in all of them.
        """
        for dead in [decoder for decoder in self._idle if not decoder.is_alive]:
            self._idle.remove(dead)
            self._all.remove(dead)
            dead.end()
        holder = next((decoder for decoder in self._all if number in decoder.holds), None)
        if holder in self._idle:
            return holder
        if holder is None and self._idle:
            return min(self._idle, key=lambda decoder: len(decoder.holds))
        if holder is not None and len(holder.holds) == 1:
            return None
        fewer = min(self._idle, key=lambda decoder: len(decoder.holds), default=None)
        if fewer is None or (holder is not None and len(fewer.holds) + 1 >= len(holder.holds)):
            fewer = self._started()
        if fewer is not None and holder is not None:
            holder.holds.pop(number, None)
        return fewer

    def _started(self) -> _Decoder | None:
        """One more, unless there are enough."""
        if len(self._all) >= _MOST:
            return None
        decoder = _Decoder()
        self._all.append(decoder)
        self._idle.append(decoder)
        return decoder


_decoders = _Decoders()
atexit.register(_decoders.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_decoders.begin)
    os.register_at_fork(after_in_child=_numbers.begin)


def _send(pipe: Any, value: object) -> None:
    pickle.dump(value, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


# The decoding process


@dataclass(slots=True)
class _Served:
    """A dataset that is open in a decoder, in a context of its own; see :class:`nutonic.io.gdal.OpenRaster`."""

    raster: Any
    context: contextvars.Context = field(default_factory=contextvars.Context)


class _Asked(PositionedFile):
    """A file whose bytes the asking process has."""

    def __init__(self, size: int, ask: Callable[[int, int], bytes]) -> None:
        self._size, self._ask = size, ask

    @property
    def size(self) -> int:
        return self._size

    def _span(self, start: int, end: int) -> bytes:
        return self._ask(start, end - start)


def serve() -> None:
    """Be a decoder: answer what is asked on the standard input until that is closed."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks decides when this ends
    warnings.simplefilter("ignore")
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    opened: OrderedDict[int, _Served] = OrderedDict()
    with suppress(EOFError, BrokenPipeError):
        while True:
            question = pickle.load(questions)
            _limit_cpu(question.cpu_s)
            try:
                answer = "done", _answer(question, opened, questions, answers)
            except (RasterioError, ValueError, OSError, MemoryError) as error:
                answer = "failed", str(error) or type(error).__name__
            _send(answers, answer)


def _limit_cpu(seconds: float) -> None:
    """Have the system end this process once it has used so many seconds more."""
    try:
        import resource
    except ImportError:  # where there is no such limit, who asks stops waiting some time
        return
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    at = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (at if most == resource.RLIM_INFINITY else min(at, most), most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _answer(question: Any, opened: OrderedDict[int, _Served], questions: BinaryIO, answers: BinaryIO) -> Any:
    def ask(first: int, size: int) -> bytes:
        _send(answers, ("bytes", (first, size)))
        content: bytes = pickle.load(questions)
        return content

    with rasterio.Env(**question.file.options):
        served = opened.pop(question.file.number, None) or _opened(question.file, ask)
        opened[question.file.number] = served
        if len(opened) > _KEPT_OPEN:
            old = opened.popitem(last=False)[1]
            old.context.run(old.raster.close)
        if question.what == "facts":
            return served.context.run(lambda: {name: getattr(served.raster, name) for name in _FACTS})
        action = getattr(served.raster, question.what)
        return served.context.run(action, question.band, window=Window.from_slices(*question.window))


def _opened(file: _File, ask: Callable[[int, int], bytes]) -> _Served:
    context = contextvars.Context()
    if file.size is None:
        return _Served(context.run(lambda: rasterio.open(file.href, driver="JP2OpenJPEG", sharing=False)), context)
    size = file.size

    def only(name: str, mode: str = "rb") -> _Asked:  # noqa: ARG001  rasterio names it
        """The one file that GDAL may open: it looks for masks and metadata beside it too."""
        if name != _NAME:
            raise FileNotFoundError(name)
        return _Asked(size, ask)

    return _Served(context.run(lambda: rasterio.open(_NAME, driver="JP2OpenJPEG", sharing=False, opener=only)), context)


#: What GDAL knows a remote file by.
_NAME = "remote"
