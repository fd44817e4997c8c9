"""A stand-in for the Hugging Face Hub that is written to, on loopback: what the real client sends, kept and counted.

It speaks what the client speaks without Xet: `preupload`, the batch API of Git LFS, uploads to signed addresses,
and commits of JSON lines. A large file that is not the one that its hash says is refused, as by the Hub's storage.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

SIGNATURE = "0123456789abcdef-signature"


@dataclass
class WrittenHub:
    """What is kept, what was asked, and what is to go wrong."""

    branches: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    """Files by path, of each branch of each repository."""
    private: dict[str, bool] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    """Large files by SHA-256."""
    token: str = "hf_secret_token_of_the_tests"
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    puts: Counter = field(default_factory=Counter)
    """How often each large file came."""
    put_bytes: int = 0
    regular: Counter = field(default_factory=Counter)
    """How often each small file was committed, by path."""
    commits: list[list[str]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    """What came with uploads to the storage: nothing, since addresses are signed."""
    faults: list[tuple[str, str, int]] = field(default_factory=list)
    """To come: what the path holds, what happens (``before``: nothing is done; ``after``: it is done), and the status."""
    retry_after: str | None = None

    def fault(self, path: str, when: str) -> int | None:
        """The next fault of a request, once."""
        for k, (part, moment, status) in enumerate(self.faults):
            if part in path and moment == when:
                del self.faults[k]
                return status
        return None


@contextmanager
def serve_written() -> Iterator[WrittenHub]:
    """A hub on a free port."""
    hub = WrittenHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: WrittenHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.answer()

    do_GET = do_PUT = do_POST

    def body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self.body()
        self.hub.asked.append((self.command, path))
        if (status := self.hub.fault(path, "before")) is not None:
            return self.fail(status)
        if path.startswith("/storage/"):
            return self.keep(path.rsplit("/", 1)[-1], body)
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self.fail(401)
        made = self.made(path, body)
        if made is not None and (status := self.hub.fault(path, "after")) is not None:
            return self.fail(status)
        return self.reply(made) if made is not None else self.fail(404)

    def keep(self, oid: str, body: bytes) -> None:
        """A large file comes."""
        self.hub.tokens.add(self.headers.get("Authorization"))
        if hashlib.sha256(body).hexdigest() != oid:
            return self.fail(400)
        self.hub.puts[oid] += 1
        self.hub.put_bytes += len(body)
        self.hub.stored[oid] = body
        return self.reply({})

    def made(self, path: str, body: bytes) -> object | None:
        """The answer to a request of the API; None where there is no such thing."""
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'owner'}/{asked['name']}"
            self.hub.branches.setdefault(name, {"main": {}})
            self.hub.private.setdefault(name, bool(asked.get("private") or asked.get("visibility") == "private"))
            return {"url": f"{self.hub.url}/datasets/{name}", "name": name, "id": name}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        found = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/(\w+)/([^/]+)(?:/.*)?", path)
        if found is not None and found[1] in self.hub.branches:
            return self.of_repo(found[1], found[2], found[3], body)
        batch = re.fullmatch(r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path)
        return self.lfs(json.loads(body)) if batch is not None else None

    def of_repo(self, repo: str, what: str, revision: str, body: bytes) -> object | None:
        branches = self.hub.branches[repo]
        if what == "branch":
            branches.setdefault(revision, dict(branches["main"]))
            return {}
        if revision not in branches:
            return None
        files = branches[revision]
        if what == "tree":
            return [self.entry(path, data) for path, data in sorted(files.items())]
        if what == "preupload":
            asked = json.loads(body)["files"]
            return {"files": [{"path": f["path"], "uploadMode": mode(f["path"]), "shouldIgnore": False} for f in asked]}
        return self.commit(repo, files, body) if what == "commit" else None

    @staticmethod
    def entry(path: str, data: bytes) -> dict:
        told = {"type": "file", "path": path, "size": len(data), "oid": git_hash(data)}
        if mode(path) == "lfs":
            told["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return told

    def lfs(self, asked: dict) -> dict:
        objects = []
        for each in asked["objects"]:
            told = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self.hub.stored:
                href = f"{self.hub.url}/storage/{each['oid']}?X-Signature={SIGNATURE}"
                told["actions"] = {"upload": {"href": href, "header": {}}}
            objects.append(told)
        return {"transfer": "basic", "objects": objects}

    def commit(self, repo: str, files: dict[str, bytes], body: bytes) -> dict | None:
        named = []
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
                self.hub.regular[value["path"]] += 1
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.stored:
                    return None
                files[value["path"]] = self.hub.stored[value["oid"]]
            else:
                continue
            named.append(value["path"])
        self.hub.commits.append(named)
        oid = hashlib.sha1(repr(sorted(files)).encode()).hexdigest()
        return {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/datasets/{repo}/commit/{oid}"}

    def reply(self, value: object) -> None:
        self.send(200, json.dumps(value).encode())

    def fail(self, status: int) -> None:
        self.send(status, b'{"error":"an echo of ' + self.headers.get("Authorization", "").encode() + b'"}')

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429 and self.hub.retry_after:
            self.send_header("Retry-After", self.hub.retry_after)
        self.end_headers()
        self.wfile.write(body)


def mode(path: str) -> str:
    """Large storage for what the Hub has there by its attributes."""
    return "lfs" if path.endswith((".parquet", ".png", ".jpg", ".tar")) else "regular"
