"""Answers that lie, that never end, or that are meant to fill a client's memory; as bytes, so that nothing mends them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain, repeat

from nutonic.testing.answers import Answer

#: Bytes by which an answer is beside what was asked for.
_BESIDE = 16

#: Bytes of zeros that a bomb unpacks to, and of headers that no client should take.
_BOMB, _HEADERS = 2**30, 100 * 2**20


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it goes over the wire, piece by piece, with a pause after each; it need not have an end."""

    status: int
    pieces: Callable[[], Iterable[bytes]]
    pause_s: float
    body: bytes
    """What of it is a body, if it is read to its end."""
    span: tuple[int, int] | None
    close: bool = True
    """Whether the connection ends after it."""


def lie(answer: Answer, kind: str) -> Answer | None:
    """A part of a file that is not what it says, or not what was asked for; None if this kind is none of these."""
    first, last, size = _content_range(answer)
    body, length = answer.body, len(answer.body)
    if kind == "elsewhere":
        return _with_range(answer, f"bytes {first + _BESIDE}-{last + _BESIDE}/{size}", body[_BESIDE:] + body[:_BESIDE])
    if kind == "untold":
        return _with_range(answer, None, body)
    if kind == "absurd":
        return _with_range(answer, f"bytes -{first}-{last}/{10**30}", body)
    if kind == "resized":
        return _with_range(answer, f"bytes {first}-{last}/{size + 1000}", body)
    if kind == "surplus":
        return replace(answer, body=body + bytes(_BESIDE))
    if kind == "few":
        return replace(answer, body=body[: length - length // 2])
    if kind == "whole":
        return replace(_with_range(answer, None, bytes(first) + body + bytes(size - last - 1)), status=200)
    if kind == "multipart":
        part = b"--part\r\nContent-Range: bytes %d-%d/%d\r\n\r\n%s\r\n--part--\r\n" % (first, last, size, body)
        return _with(_with_range(answer, None, part), {"Content-Type": "multipart/byteranges; boundary=part"})
    if kind == "416":
        return replace(_with_range(answer, f"bytes */{size}", b""), status=416)
    return _coded(answer, kind)


def _coded(answer: Answer, kind: str) -> Answer | None:
    """Bytes that are right, and a header that says something else of them."""
    if kind == "gzip":  # as a proxy does that packs whatever goes through it: harmless to who unpacks it
        return _with(replace(answer, body=gzip.compress(answer.body)), {"Content-Encoding": "gzip"})
    if kind == "no-gzip":
        return _with(answer, {"Content-Encoding": "gzip"})
    if kind == "etag":
        return _with(answer, {"ETag": f'"another-{hash(answer.span) & 0xFFFF:x}"'})
    return None


def raw(answer: Answer, kind: str, pause_s: float) -> Raw | None:
    """An answer that Python's server would not send; None if this kind is none of these."""
    head, body = _head(answer), answer.body
    chunked = _head(answer, {"Transfer-Encoding": "chunked", "Content-Length": None})
    whole = b"%x\r\n%s\r\n" % (len(body), body)
    pieces: dict[str, Callable[[], Iterable[bytes]]] = {
        "drip-head": lambda: chain([head[:-2]], _bytes_of(b"X-Slow: ", repeat(b"a"))),
        "continue": lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
        "trailers": lambda: chain([chunked, whole, b"0\r\n"], repeat(b"X-Trailer: a\r\n")),
        "chunks": lambda: chain([chunked], repeat(b"1\r\n\0\r\n")),
        "drip": lambda: chain([head], _bytes_of(body)),
        "drip-error": lambda: chain([_error(10**6)], repeat(b"x")),
        "headers": lambda: chain([head[:-2]], repeat(b"X-Bomb: %s\r\n" % (b"a" * 60_000), _HEADERS // 60_000)),
        "bomb": lambda: [_bomb(answer)],
        "twofold": lambda: [_head(answer, again={"Content-Range": f"bytes 1-{len(body)}/{len(body) + 1}"}), body],
        "http10": lambda: [_head(answer, {"Content-Length": None}, version=b"HTTP/1.0"), body[: len(body) // 2]],
        "forged": lambda: [head, body + _forged(answer)],
    }
    if kind not in pieces:
        return None
    status = 503 if kind == "drip-error" else answer.status
    return Raw(status, pieces[kind], pause_s, body, answer.span, close=kind != "forged")


def _content_range(answer: Answer) -> tuple[int, int, int]:
    """First and last byte, and the size of the file, as the right answer tells them; of a whole file all of it."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
    if match is None:
        return 0, len(answer.body) - 1, len(answer.body)
    return int(match[1]), int(match[2]), int(match[3])


def _with(answer: Answer, headers: dict[str, str]) -> Answer:
    return replace(answer, headers={**answer.headers, **headers})


def _with_range(answer: Answer, told: str | None, body: bytes) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Range"}
    return replace(answer, body=body, headers=headers | ({"Content-Range": told} if told else {}))


def _head(
    answer: Answer,
    other: dict[str, str | None] | None = None,
    *,
    again: dict[str, str] | None = None,
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """Status and headers; with some others, without those that are None, and some twice."""
    headers = {"Content-Length": str(len(answer.body)), **answer.headers, **(other or {})}
    lines = [*headers.items(), *(again or {}).items()]
    told = "".join(f"{name}: {value}\r\n" for name, value in lines if value is not None)
    return b"%s %d %s\r\n%s\r\n" % (version, answer.status, HTTPStatus(answer.status).phrase.encode(), told.encode())


def _bytes_of(*parts: Iterable[bytes] | bytes) -> Iterator[bytes]:
    """Each byte by itself."""
    for part in parts:
        yield from ((part[at : at + 1] for at in range(len(part))) if isinstance(part, bytes) else part)


def _error(length: int) -> bytes:
    return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n" % length


def _bomb(answer: Answer) -> bytes:
    packed = gzip.compress(bytes(2**20), 9) * (_BOMB // 2**20)
    return _head(answer, {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}) + packed


def _forged(answer: Answer) -> bytes:
    """An answer to a request that has not been made: the same range, of zeros."""
    return _head(answer) + bytes(len(answer.body))
