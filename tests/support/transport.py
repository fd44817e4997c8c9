"""Servers that answer out of memory, without sockets, threads and waiting; and a record of what real ones are asked."""

from __future__ import annotations

import io
from collections.abc import Callable

import urllib3

from nutonic.io.connections import Message, PooledTransport

#: Status, headers and body; or an error that a connection may end with.
Reply = tuple[int, dict[str, str], bytes] | Exception


class MockTransport:
    """Answers messages by a function, and keeps them.

    Parameters
    ----------
    reply
        To a message; an error is raised. One reply for all, or a list to be used up, the last for ever.
    """

    def __init__(self, reply: Callable[[Message], Reply] | Reply | list[Reply]) -> None:
        self._reply = reply
        self.messages: list[Message] = []
        self.closed = False

    def send(self, message: Message) -> urllib3.BaseHTTPResponse:
        self.messages.append(message)
        reply = self._reply(message) if callable(self._reply) else self._reply
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if isinstance(reply, Exception):
            raise reply
        status, headers, body = reply
        return urllib3.HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)

    def close(self) -> None:
        self.closed = True


class RecordingTransport(PooledTransport):
    """Sends messages as usual, and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def send(self, message: Message) -> urllib3.BaseHTTPResponse:
        self.messages.append(message)
        return super().send(message)
