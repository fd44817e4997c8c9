"""Answers by file: requests are written in the form of OpenAI's batch API, and the results that it gives are read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from nutonic.core.model import Json
from nutonic.core.units import counted
from nutonic.errors import NutonicError
from nutonic.io.objects import Store
from nutonic.recipe.annotation import Annotator
from nutonic.sources.annotators import REQUESTS as FOLDER
from nutonic.sources.annotators.answers import Answers, digest_of
from nutonic.sources.annotators.client import BadAnswer
from nutonic.sources.annotators.endpoint import Answer, Endpoints, answer_of

#: Bytes of requests that are held before they go to a temporary file, and that are read at a time.
_IN_MEMORY, _PIECE = 64 * 2**20, 4 * 2**20

_DIGEST = re.compile("[0-9a-f]{64}")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_ .-]{0,60}")


class Pending(NutonicError):
    """Answers that were not asked for, since they are to come by file."""

    def __init__(self, requests: Iterable[tuple[str, Json]]) -> None:
        self.requests = tuple(requests)
        """Each with the name of its annotator."""
        super().__init__(f"{counted(len(self.requests), 'request waits', 'requests wait')} for answers by file")

    def __reduce__(self) -> tuple[Any, ...]:
        return Pending, (self.requests,)


def pending(annotator: Annotator, request: Json) -> Answer:
    """Ask nobody.

    Raises
    ------
    Pending
        Always, with the request.
    """
    raise Pending([(annotator.name, request)])


def asker(endpoints: Endpoints) -> Callable[[Annotator, Json], Answer]:
    """Who is asked for what is not kept: an endpoint, or nobody where an annotator's answers come by file."""

    def ask(annotator: Annotator, request: Json) -> Answer:
        return (pending if annotator.mode == "batch" else endpoints.ask)(annotator, request)

    return ask


def requests_path(annotator: str) -> str:
    """Where the requests for an annotator lie in a tree."""
    return f"{FOLDER}/{annotator}.jsonl"


class RequestFiles:
    """Requests on their way into files: each once, in the order of their digests, a file an annotator. To be closed.

    Requests with pictures are large, and there may be a million: they wait in a temporary file.
    A service takes only so many lines in a file (OpenAI 50,000, of 200 MB): a longer one can be split at any line.
    """

    def __init__(self) -> None:
        self._spool = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._places: dict[str, dict[str, tuple[int, int]]] = {}

    def __enter__(self) -> RequestFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def add(self, requests: Iterable[tuple[str, Json]]) -> None:
        """Take requests, each with the name of its annotator."""
        for annotator, request in requests:
            digest = digest_of(request)
            found = self._places.setdefault(annotator, {})
            if digest not in found:
                line = _line(digest, request)
                found[digest] = (self._spool.seek(0, 2), len(line))
                self._spool.write(line)

    def write(self, store: Store) -> dict[str, int]:
        """Write them; gives how many, by annotator."""
        for annotator, found in sorted(self._places.items()):
            store.put(requests_path(annotator), self._pieces(found[digest] for digest in sorted(found)))
        return {annotator: len(found) for annotator, found in sorted(self._places.items())}

    def _pieces(self, places: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        for at, length in places:
            self._spool.seek(at)
            yield self._spool.read(length)


def write_requests(store: Store, requests: Iterable[tuple[str, Json]]) -> dict[str, int]:
    """Write requests as :class:`RequestFiles` does; gives how many, by annotator."""
    with RequestFiles() as files:
        files.add(requests)
        return files.write(store)


def _line(digest: str, request: Json) -> bytes:
    line = {"custom_id": digest, "method": "POST", "url": "/v1/chat/completions", "body": request}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def requested(store: Store, annotator: str) -> dict[str, str]:
    """Digests of the requests that were written for an annotator, each with its name."""
    path = requests_path(annotator)
    size = next((size for name, size in store.sizes(FOLDER) if name == path), 0)
    return {orjson.loads(line)["custom_id"]: annotator for line in _lines(store, path, size)}


def _lines(store: Store, path: str, size: int) -> Iterator[bytes]:
    """The lines of a file, of which no more is held than a piece and a line."""
    rest = b""
    for at in range(0, size, _PIECE):
        *lines, rest = (rest + store.get_range(path, at, min(_PIECE, size - at))).split(b"\n")
        yield from lines
    yield from [rest] if rest else []


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRead:
    """What was found in a file of results."""

    lines: int
    kept: int
    """Answers that are kept now and were not before."""
    known: int
    """Answers that were kept already."""
    problems: Mapping[str, int] = field(default_factory=dict)
    """Lines that hold no answer, counted by why."""
    details: tuple[str, ...] = ()
    """Of the first ten of them: the number of the line, from 1, and why."""


def read_results(lines: Iterable[bytes], answers: Answers, asked: Mapping[str, str]) -> BatchRead:
    """Keep the answers of a file of results; those to requests that nobody wrote are left out and counted.

    Parameters
    ----------
    lines
        Of one file, or of several: results, and errors.
    asked
        Digests of the requests with the names of their annotators, as :func:`requested` gives them.
    """
    count, kept, known = 0, 0, 0
    problems: Counter[str] = Counter()
    details: list[str] = []
    for number, result in enumerate(_results(lines, asked), 1):
        count = number
        if isinstance(result, str):
            problems[result] += 1
            details += [f"line {number}: {result}"] if len(details) < 10 else []
            continue
        digest, answer = result
        if answers.stored(digest) is None:
            answers.keep(digest, answer, asked[digest])
            kept += 1
        else:
            known += 1
    return BatchRead(
        lines=count, kept=kept, known=known, problems=dict(sorted(problems.items())), details=tuple(details)
    )


def _results(lines: Iterable[bytes], asked: Collection[str]) -> Iterator[tuple[str, Answer] | str]:
    return (_result(line, asked) for line in lines if line.strip())


def _result(line: bytes, asked: Collection[str]) -> tuple[str, Answer] | str:
    """The digest and the answer of a line; or why there is none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "no JSON"
    if not isinstance(value, dict):
        return "no result"
    digest = value.get("custom_id")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or digest not in asked:
        return "no request of ours"
    response = value.get("response")
    if not isinstance(response, dict):
        error = value.get("error")
        code = str(error.get("code") or "") if isinstance(error, dict) else ""
        return f"error {code}" if _CODE.fullmatch(code) else "error"
    status = response.get("status_code")
    if status != 200:
        return f"status {status}" if type(status) is int else "no status"
    try:
        return digest, answer_of(response.get("body"))
    except BadAnswer:
        return "no completion"
