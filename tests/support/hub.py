"""A stand-in for the Hugging Face Hub on loopback: enough of its API for the real client, and it counts what it serves."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

SIGNATURE = "0123456789abcdef-signature"


@dataclass
class Repo:
    """One dataset: the files of each commit, and what its branches and tags name."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    token: str | None = None
    """Without it the dataset does not exist."""
    gated: bool = False


@dataclass
class Hub:
    """What is served, and what was asked."""

    repos: dict[str, Repo] = field(default_factory=dict)
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    sent: int = 0
    """Bytes of files that were sent."""
    tokens: set[str | None] = field(default_factory=set)
    store_url: str = ""
    """Another origin, where the Hub sends those who ask for a file's bytes, with a signed address."""
    store_tokens: set[str | None] = field(default_factory=set)
    broken: int | None = None
    """Status of every answer with a file's bytes."""
    slow: str | None = None
    """Where answers come byte by byte: paths that begin so."""

    def put(self, name: str, files: dict[str, bytes], **options) -> str:
        """Add a commit to a dataset, main from now on; its sha."""
        content = json.dumps([[path, hashlib.sha1(data).hexdigest()] for path, data in sorted(files.items())])
        sha = hashlib.sha1(content.encode()).hexdigest()
        repo = self.repos.setdefault(name, Repo({}, {}, **options))
        repo.commits[sha] = files
        repo.refs["main"] = sha
        return sha

    def forget(self) -> None:
        """Start counting anew."""
        self.asked.clear()
        self.tokens.clear()
        self.sent = 0


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub on a free port, and its store on another."""
    hub = Hub()
    handler = type("Bound", (_Handler,), {"hub": hub})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    hub.url, hub.store_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET(body)

    def do_GET(self, body: bytes = b"") -> None:
        path = urlsplit(self.path).path
        if path.startswith("/blob/"):
            self.hub.store_tokens.add(self.headers.get("Authorization"))
            _, _, owner, name, sha, inside = path.split("/", 5)
            return self.file(self.hub.repos[f"{owner}/{name}"].commits[sha], unquote(inside), sha)
        self.hub.asked.append((self.command, path))
        self.hub.tokens.add(self.headers.get("Authorization"))
        found = re.fullmatch(
            r"(/api)?/datasets/([^/]+/[^/]+)(?:/(revision|tree|resolve|paths-info)/([^/]+)(?:/(.*))?)?", path
        )
        repo = self.hub.repos.get(found[2]) if found else None
        if repo is None or (repo.token and self.headers.get("Authorization") != f"Bearer {repo.token}"):
            return self.fail(401, "RepoNotFound")
        if repo.gated:
            return self.fail(403, "GatedRepo")
        revision = unquote(found[4] or "main")
        sha = repo.refs.get(revision, revision)
        if sha not in repo.commits:
            return self.fail(404, "RevisionNotFound")
        files, inside = repo.commits[sha], unquote(found[5] or "")
        if found[3] == "resolve":
            if inside not in files:
                return self.fail(404, "EntryNotFound")
            where = f"{self.hub.store_url}/blob/{found[2]}/{sha}/{inside}?X-Signature={SIGNATURE}"
            return self.send(302, b"", "text/plain", {"Location": where})
        if found[3] == "tree":
            return self.tree(files, inside)
        return self.reply(
            {"_id": "0" * 24, "id": found[2], "sha": sha, "private": bool(repo.token), "tags": [], "siblings": []}
        )

    def tree(self, files: dict[str, bytes], folder: str) -> None:
        prefix = f"{folder}/" if folder else ""
        inside = {path: data for path, data in files.items() if path.startswith(prefix)}
        if not inside:
            return self.fail(404, "EntryNotFound")
        folders = {path.rpartition("/")[0] for path in inside} - {"", folder}
        return self.reply(
            [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)]
            + [
                {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": path}
                for path, data in inside.items()
            ]
        )

    def file(self, files: dict[str, bytes], path: str, sha: str) -> None:
        if self.hub.broken:
            return self.fail(self.hub.broken, "Broken")
        data, status = files[path], 200
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            start, end = int(asked[1]), min(int(asked[2]) + 1, len(data))
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
            data, status = data[start:end], 206
        if self.command != "HEAD":
            self.hub.sent += len(data)
        return self.send(status, data, "application/octet-stream", headers)

    def reply(self, value: object) -> None:
        self.send(200, json.dumps(value).encode(), "application/json")

    def fail(self, status: int, code: str) -> None:
        self.send(status, b'{"error":"no"}', "application/json", {"X-Error-Code": code, "X-Error-Message": "no"})

    def send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and self.hub.slow and self.path.startswith(self.hub.slow):
            return self.drip(body)
        if self.command != "HEAD":
            self.wfile.write(body)
        return None

    def drip(self, body: bytes) -> None:
        with suppress(OSError):
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
