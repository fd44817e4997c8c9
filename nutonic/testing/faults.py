"""The faults of a file server: by script, or for a share of all requests, and always for the same ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from fnmatch import fnmatchcase
from hashlib import sha256

#: Every kind of fault. A number is the status of the answer.
KINDS = {
    *("403", "404", "408", "410", "429", "500", "503"),  # 429 with Retry-After
    "drop",  # the connection is reset before any byte
    "stall",  # no byte for a while, then the connection is closed
    "truncate",  # all headers, half of the body, then the connection is closed
    "short",  # a correct 206 with half of the requested range
    "html",  # a page with status 200
    "zeros",  # the right length, but every byte is 0
    "redirect",  # 302 to another address
    # Parts of a file that are not what was asked for, or not what they say; see LIES.
    "elsewhere",  # 206 with another range, and it says so
    "untold",  # 206 that does not say which range it is
    "twofold",  # 206 that says two ranges
    "absurd",  # 206 with negative and huge numbers
    "resized",  # 206 with another size of the file
    "multipart",  # 206 with the range as one of several parts
    "whole",  # 200 with as many bytes as the whole file has
    "surplus",  # more bytes than the range has
    "few",  # fewer bytes than the range has that it says it is
    "416",  # no such range
    "gzip",  # the right bytes, compressed
    "no-gzip",  # the right bytes, not compressed, though it says so
    "http10",  # half the bytes, with HTTP/1.0 and no length, then the connection is closed
    "etag",  # the right bytes, of another ETag
    "forged",  # the right answer, and behind it another that nobody has asked for
    # What has no end, or a late one: a piece every `after_s` seconds, or as fast as it can be.
    "drip-head",  # a header that never ends
    "continue",  # 100 Continue, again and again
    "trailers",  # the body, and then trailers for ever
    "chunks",  # a body of one byte after another, for ever
    "drip",  # the right body, byte by byte
    "drip-error",  # 503, and a body that comes byte by byte
    # What fills the memory.
    "headers",  # 100 MB of headers
    "bomb",  # a body that unpacks to 1 GiB
}

#: The kinds that `share` chooses from unless it is told others: a retry may succeed after them.
TRANSIENT = ("503", "429", "drop", "truncate", "short", "html")

#: Kinds of a server that lies once in a while; a client that compares the answer with the question may ask again.
LIES = (
    *("elsewhere", "untold", "twofold", "absurd", "resized", "multipart", "whole", "surplus", "few", "416"),
    *("gzip", "no-gzip", "http10", "forged"),
)

#: Kinds of a server that keeps a client waiting.
ENDLESS = ("drip-head", "continue", "trailers", "chunks", "drip", "drip-error")

#: How often in a row `share` spoils the same request, so that a client with a few retries succeeds.
MOST_IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and the requests that it happens to.

    Where a kind is not possible, another one happens: ``short``, and each of LIES, becomes ``truncate`` if no range was
    requested, and ``truncate`` becomes ``drop`` if the body is empty, as in the answer to a HEAD. ``zeros`` does nothing to
    an empty body.
    """

    kind: str
    """One of KINDS."""
    path: str = "*"
    """Pattern of the paths (fnmatch) that it happens to. A path begins with a slash, and ``*`` matches slashes too."""
    first: int = 0
    """Number of the first request that it happens to, counted for each path and Range since the script began."""
    times: int | None = 1
    """How many requests in a row it happens to; None for all from the first on."""
    _: KW_ONLY
    after_s: float = 0.0
    """Seconds that a stall lasts, that Retry-After gives (rounded to a whole number), or between two pieces of an answer
    that does not end."""
    to: str = ""
    """Where a redirect leads."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of fault; choose from {', '.join(sorted(KINDS))}")

    def due(self, path: str, number: int) -> bool:
        """Whether it happens to this request, by its number."""
        last = number if self.times is None else self.first + self.times - 1
        return self.first <= number <= last and fnmatchcase(path, self.path)


class Choice:
    """Chooses the fault of each request: the first one of the script that is due, else perhaps a random one."""

    def __init__(self, script: Iterable[Fault], share: float, seed: int, kinds: Sequence[str] = TRANSIENT) -> None:
        self.share, self.seed, self.kinds = share, seed, tuple(kinds)
        self.begin(script)

    def begin(self, script: Iterable[Fault]) -> None:
        """Take a script and count anew."""
        self.script = tuple(script)
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._in_a_row: Counter[tuple[str, str]] = Counter()

    def next(self, path: str, span: str) -> Fault | None:
        """The fault of the next request for a path and Range; None for no fault."""
        key = (path, span)
        number, self._numbers[key] = self._numbers[key], self._numbers[key] + 1
        fault = next((fault for fault in self.script if fault.due(path, number)), None)
        if fault is None and self._in_a_row[key] < MOST_IN_A_ROW:
            fault = self._by_chance(f"{self.seed}\n{path}\n{span}\n{number}")
        self._in_a_row[key] = 0 if fault is None else self._in_a_row[key] + 1
        return fault

    def _by_chance(self, key: str) -> Fault | None:
        """One of some kinds of faults for a share of all keys, always the same for the same key."""
        digest = sha256(key.encode()).digest()
        if int.from_bytes(digest[:8], "big") >= self.share * 2**64:
            return None
        return Fault(self.kinds[digest[8] % len(self.kinds)])
