"""Files over HTTP in a process of its own, with a delay before each answer and a bandwidth: what a bucket is from afar.

It counts requests and bytes. Its CPU seconds are nobody's: it is no child of what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs."""

    url: str

    def take(self) -> dict[str, int]:
        """Requests and bytes since this was last called; and how many of the requests were of each file's first bytes."""
        with urllib.request.urlopen(f"{self.url}/?take") as answer:
            found: dict[str, int] = json.load(answer)
        return found


@contextmanager
def served(folder: Path, latency_ms: float = 0, megabytes_a_second: float = 0) -> Iterator[Served]:
    """Serve a folder for the block."""
    command = [sys.executable, "-m", "benchmarks.server", str(folder)]
    options = ["--latency-ms", str(latency_ms), "--megabytes-a-second", str(megabytes_a_second)]
    where = Path(__file__).parents[1]
    with subprocess.Popen(
        [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=where
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().strip())
        finally:
            process.stdin.close()
            process.wait(10)


class _Server:
    def __init__(self, folder: Path, latency_s: float, bytes_a_second: float) -> None:
        self._folder, self._latency_s, self._rate = folder.resolve(), latency_s, bytes_a_second
        self._free_at, self._counts = 0.0, {"requests": 0, "bytes": 0, "heads": 0}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                writer.write(await self._answer(request.decode("latin-1")))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: str) -> bytes:
        method, target, _ = request.split(" ", 2)
        if target == "/?take":
            content, self._counts = json.dumps(self._counts).encode(), dict.fromkeys(self._counts, 0)
            return _message("200 OK", content)
        path = (self._folder / unquote(target.partition("?")[0]).lstrip("/")).resolve()
        if not path.is_relative_to(self._folder) or not path.is_file():
            self._counts["requests"] += 1
            return _message("404 Not Found", b"")
        status, content, more = _part(path, request)
        self._count(content, more)
        await self._wait(len(content))
        return _message(status, b"" if method == "HEAD" else content, more, len(content))

    def _count(self, content: bytes, more: str) -> None:
        self._counts["requests"] += 1
        self._counts["bytes"] += len(content)
        self._counts["heads"] += "bytes 0-" in more

    async def _wait(self, size: int) -> None:
        """Until the answer would be here: the way there and back, then the bytes over a line that all share."""
        now = asyncio.get_running_loop().time()
        arrives = now + self._latency_s
        if self._rate:
            self._free_at = max(arrives, self._free_at) + size / self._rate
            arrives = self._free_at
        if arrives > now:
            await asyncio.sleep(arrives - now)


def _part(path: Path, request: str) -> tuple[str, bytes, str]:
    size = path.stat().st_size
    asked = re.search(r"(?i)\r\nrange: bytes=(\d+)-(\d*)\r\n", request)
    if asked is None:
        return "200 OK", path.read_bytes(), ""
    first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
    with path.open("rb") as file:
        file.seek(first)
        return "206 Partial Content", file.read(last + 1 - first), f"Content-Range: bytes {first}-{last}/{size}\r\n"


def _message(status: str, content: bytes, more: str = "", length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    facts = f'Accept-Ranges: bytes\r\nETag: "1"\r\nContent-Length: {size}\r\n{more}'
    return f"HTTP/1.1 {status}\r\n{facts}\r\n".encode() + content


async def _serve(asked: argparse.Namespace) -> None:
    handler = _Server(asked.folder, asked.latency_ms / 1000, asked.megabytes_a_second * 1e6)
    server = await asyncio.start_server(handler.talk, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--megabytes-a-second", type=float, default=0)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
