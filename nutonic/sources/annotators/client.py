"""One attempt at an endpoint over HTTP: JSON there, JSON back, and what went wrong in between.

It is ``aiohttp``, in one loop of this process, so that a whole attempt has one end, however slowly bytes come. What it sends
and takes is what OpenAI's own client does, in a third of the time: no redirect is followed, no cookie kept, and of an answer
no more is read than any may have.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from nutonic._version import __version__

if TYPE_CHECKING:
    import aiohttp

#: No answer is longer than this, in bytes as it comes.
MOST_BYTES = 4 * 2**20

#: What an account at OpenAI itself may be told apart by, and the header that says it.
_AT_HOME = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}

_T = TypeVar("_T")


class BadAnswer(ValueError):
    """What came cannot be what was asked for."""


class BadStatus(Exception):
    """An answer of another status than one of success."""

    def __init__(self, status: int, headers: Mapping[str, str], said: Any) -> None:
        super().__init__(str(status))
        self.status, self.headers = status, headers
        error = said.get("error", said) if isinstance(said, dict) else None
        self.error: Mapping[str, Any] = error if isinstance(error, dict) else {}
        """What the endpoint says of it: ``code``, ``type`` and ``message`` where it keeps to the API."""


class Client:
    """The connections to one endpoint; made, used and closed in one loop."""

    def __init__(self, url: str, key: str | None, *, is_here: bool, is_at_home: bool) -> None:
        """Nothing is opened yet.

        Parameters
        ----------
        url
            The endpoint's base, such as ``https://api.openai.com/v1``.
        key
            What it lets this process in by; None where it needs none.
        is_here
            Whether it is on this machine, so that no proxy stands in between.
        is_at_home
            Whether it is OpenAI's own, which alone is told the environment's organization and project.
        """
        self._url, self._is_here = url.rstrip("/"), is_here
        self._headers = {"Authorization": f"Bearer {key or 'none'}", "User-Agent": f"nutonic/{__version__}"}
        told = ((header, os.environ.get(name)) for name, header in _AT_HOME.items() if is_at_home)
        self._headers |= {header: value for header, value in told if value}
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str) -> Any:
        """The JSON of an address; raises as :meth:`post`."""
        return await self._asked("GET", path, None)

    async def post(self, path: str, body: Any) -> Any:
        """What is answered to JSON.

        Raises
        ------
        BadStatus
            If it is a refusal.
        BadAnswer, ValueError, RecursionError
            If it is longer than any may be, or no JSON.
        aiohttp.ClientError, OSError
            If it did not come, or not to its end.
        """
        return await self._asked("POST", path, orjson.dumps(body))

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _asked(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {} if body is None else {"Content-Type": "application/json"}
        asked = self._opened().request(method, self._url + path, data=body, headers=headers, allow_redirects=False)
        async with asked as response:
            data = await _read(response)
            if not 200 <= response.status < 300:
                raise BadStatus(response.status, response.headers, _json_or_none(data))
        return json.loads(data)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # how many are in flight is not its affair
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),
                headers=self._headers,
                trust_env=not self._is_here,
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """An answer to its end, or to where it is longer than any may be."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            response.close()
            raise BadAnswer(f"an answer is longer than {MOST_BYTES} bytes")
    return b"".join(parts)


def _json_or_none(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="annotators", daemon=True)
        self._thread.start()

    def run(self, what: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """The result of a coroutine; TimeoutError if it has none in so many seconds, and it is ended then."""

        async def within() -> _T:
            async with asyncio.timeout(seconds):
                return await what

        waited = asyncio.run_coroutine_threadsafe(within(), self._loop)
        try:
            return waited.result()
        finally:
            waited.cancel()  # of use where this thread is interrupted

    def close(self, closers: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """Await some last things, and end the thread."""

        async def end() -> None:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, *(closer() for closer in closers), return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
