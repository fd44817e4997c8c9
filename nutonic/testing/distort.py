"""What faults do to the answers of a file server."""

from __future__ import annotations

from dataclasses import replace

from nutonic.testing.answers import Answer, denial, text_answer
from nutonic.testing.faults import LIES, Fault
from nutonic.testing.lies import Raw, lie, raw

#: What can only happen to a part of a file.
_OF_RANGES = {"short", *LIES, "etag"}


def distort(answer: Answer, fault: Fault) -> tuple[str | None, Answer | Raw | None]:
    """Apply a fault to an answer.

    Returns
    -------
    tuple
        The kind of fault that was possible, or None; and the answer that is sent, or None if nothing is sent.
    """
    kind, half = fault.kind, len(answer.body) // 2
    if kind in _OF_RANGES and not (answer.status == 206 and half and answer.span):
        kind = "truncate"
    if kind == "truncate" and not answer.body:
        kind = "drop"
    if kind == "zeros":
        return (kind, replace(answer, body=bytes(len(answer.body)))) if answer.body else (None, answer)
    if kind in ("drop", "stall"):
        return kind, None
    if kind == "truncate":
        headers = {"Content-Length": str(len(answer.body))}
        return kind, replace(answer, body=answer.body[:half], headers={**answer.headers, **headers}, close=True)
    if kind == "short" and answer.span:
        first, size = answer.span[0], answer.headers["Content-Range"].partition("/")[2]
        headers = {"Content-Range": f"bytes {first}-{first + half - 1}/{size}"}
        return kind, replace(answer, body=answer.body[:half], headers={**answer.headers, **headers})
    spoilt = lie(answer, kind) or raw(answer, kind, fault.after_s)
    return kind, spoilt or replace(_instead(fault), span=answer.span)


def _instead(fault: Fault) -> Answer:
    """The answer that a fault sends in place of the right one."""
    if fault.kind == "html":
        return Answer(200, b"<!doctype html><html><body>Please sign in.</body></html>", {"Content-Type": "text/html"})
    if fault.kind == "redirect":
        return text_answer(302, {"Location": fault.to})
    if fault.kind == "403":
        return denial()
    return text_answer(int(fault.kind), {"Retry-After": f"{fault.after_s:.0f}"} if fault.kind == "429" else None)
