"""Real servers of object stores on loopback, of S3 and of Azure; a plugin for the modules that use them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from nutonic.io.buckets.bucket import opened
from support.processes import await_, free_port, running

if TYPE_CHECKING:
    from obstore.store import GCSConfig

KEY, SECRET, BUCKET = "a-key-of-the-tests", "a-canary-of-a-secret", "bucket"


#: The account of every Azurite, and its key, which its documentation tells.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Bucket:
    """A bucket on a server, as the tests see it: with a client of their own."""

    #: What begins its addresses, and the variable that names its server.
    scheme, endpoint_variable = "s3", "AWS_ENDPOINT_URL"

    client: S3Store | GCSStore | AzureStore

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client = S3Store(
            BUCKET,
            endpoint=endpoint,
            region="us-east-1",
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )

    def before(self, share: float = 0.0, *, without_conditions: bool = False) -> Faulty:
        """A server before this one that fails."""
        return Faulty(self, share, without_conditions=without_conditions)

    def address(self, path: str) -> str:
        """Where something lies."""
        return f"{self.scheme}://{BUCKET}/{path}"

    @property
    def secrets(self) -> tuple[str, str]:
        """What no message may tell."""
        return KEY, SECRET

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def use(self, monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
        """Let this process, and those that it starts, use it, and no other store."""
        for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "GS_"))]:
            monkeypatch.delenv(name)
        for name, value in {**self.environment, **changed}.items():
            monkeypatch.setenv(name, value)
        opened.cache_clear()

    def use_by(self, monkeypatch: pytest.MonkeyPatch, between: Faulty) -> None:
        """The same by a server before it."""
        self.use(monkeypatch, **{self.endpoint_variable: between.endpoint})

    def tree(self, prefix: str) -> dict[str, bytes]:
        """Every object below a prefix, and its bytes."""
        names = [entry["path"] for page in obstore.list(self.client, prefix) for entry in page]
        return {name.removeprefix(f"{prefix}/"): bytes(obstore.get(self.client, name).bytes()) for name in names}


class Container(Bucket):
    """One of Azure."""

    scheme, endpoint_variable = "az", "AZURE_STORAGE_ENDPOINT"

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client = AzureStore(
            BUCKET,
            endpoint=endpoint,
            account_name=ACCOUNT,
            account_key=ACCOUNT_KEY,
            client_options={"allow_http": True},
        )

    @property
    def secrets(self) -> tuple[str, str]:
        return ACCOUNT_KEY, ACCOUNT_KEY.rstrip("=")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AZURE_STORAGE_ENDPOINT": self.endpoint,
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
        }


class GoogleBucket(Bucket):
    """One of Google, as of its emulators: nobody is asked for a token."""

    scheme, endpoint_variable = "gs", "GOOGLE_BASE_URL"

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        config: GCSConfig = {"base_url": endpoint, "service_account_key": _NOBODY}
        self.client = GCSStore(BUCKET, config=config, client_options={"allow_http": True})

    @property
    def environment(self) -> dict[str, str]:
        # The last one is for inputs, which are asked for by addresses that only who has a key can sign.
        return {
            "GOOGLE_BASE_URL": self.endpoint,
            "GOOGLE_SERVICE_ACCOUNT_KEY": _NOBODY,
            "GS_NO_SIGN_REQUEST": "YES",
        }


_NOBODY = json.dumps({"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""})


@contextmanager
def _served(command: Callable[[Path], Sequence[str]], is_made: Callable[[], bool]) -> Iterator[None]:
    """A server with a folder of its own, for which it is told how to start; it is there once its bucket is."""
    with tempfile.TemporaryDirectory(prefix="nutonic-tests-", ignore_cleanup_errors=True) as name:
        folder, log = Path(name), Path(name) / "server.log"
        with running([*command(folder)], log, signal.SIGKILL, cwd=folder) as process:
            await_(is_made, process, log)
            yield


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Bucket]:
    """SeaweedFS, which checks signatures and conditions."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}")
    if program is None:
        pytest.skip("SeaweedFS is not installed")
    s3, master, volume, filer = (free_port() for _ in range(4))
    bucket = Bucket(f"http://127.0.0.1:{s3}")

    def command(folder: Path) -> list[str]:
        identity = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        grpc = [f"-{name}.port.grpc={free_port()}" for name in ("master", "volume", "filer", "s3")]
        return [
            program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-filer", "-s3", f"-s3.config={folder / 's3.json'}",
            f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", *grpc,
            "-s3.port.iceberg=0", "-s3.port.lance=0",  # which would be fixed, and another run's already
            "-volume.max=50", "-master.volumeSizeLimitMB=16",
        ]  # fmt: skip

    with _served(command, lambda: _made(bucket)):
        yield bucket


@pytest.fixture(scope="session")
def moto() -> Iterator[Bucket]:
    """Moto's S3, which checks conditions and no signatures."""
    pytest.importorskip("moto")
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    bucket = Bucket(f"http://127.0.0.1:{port}")
    with _served(lambda _: command, lambda: _made(bucket)):
        yield bucket


@pytest.fixture(scope="session")
def google(moto: Bucket) -> Iterator[Bucket]:
    """Moto's S3 by Google's XML API, which is S3's but for conditions and versions; their headers are translated."""
    with Faulty(moto, in_googles_words=True).running() as translated:
        yield GoogleBucket(translated.endpoint)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Bucket]:
    """Microsoft's server for tests, which checks signatures and conditions. It takes 360 MB, and is installed by hand."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed: npm install --global azurite")
    port, where = free_port(), ("--blobHost", "127.0.0.1", "--silent", "--location")
    container = Container(f"http://127.0.0.1:{port}/{ACCOUNT}")
    with _served(lambda folder: [program, *where, str(folder), "--blobPort", str(port)], lambda: _made_container(port)):
        yield container


#: All of them. One is in the default run.
SERVERS = ["seaweed", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("moto", "google", "azurite"))]


@pytest.fixture(params=SERVERS)
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket, which this process and those that it starts may use."""
    found: Bucket = request.getfixturevalue(request.param)
    found.use(monkeypatch)
    yield found
    opened.cache_clear()


def _made(bucket: Bucket) -> bool:
    """Whether the bucket is there, which is made by the first who asks."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    with suppress(BotoCoreError, ClientError):
        boto3.client(
            "s3",
            endpoint_url=bucket.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10),
        ).create_bucket(Bucket=BUCKET)
        obstore.put(bucket.client, "there", b"")
        obstore.delete(bucket.client, "there")
        return True
    return False


def _made_container(port: int) -> bool:
    """The same of a container, which obstore cannot make: a request signed as Azure's documentation of shared keys says."""
    now, version = format_datetime(datetime.now(UTC), usegmt=True), "2021-08-06"
    what = f"x-ms-date:{now}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    signed = hmac.new(base64.b64decode(ACCOUNT_KEY), f"PUT{chr(10) * 12}{what}".encode(), hashlib.sha256).digest()
    headers = {"x-ms-date": now, "x-ms-version": version, "Content-Length": "0"}
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with suppress(OSError):
        connection.request("PUT", f"/{ACCOUNT}/{BUCKET}?restype=container", headers=headers)
        return connection.getresponse().status in (201, 409)
    return False


class Faulty:
    """A server before another: of the requests that it passes on, and notes, some fail, before or after they were done.

    Parameters
    ----------
    bucket
        The server behind.
    share
        Of requests that fail.
    without_conditions
        Whether conditions of requests are left out, as by a server that does not know them.
    in_googles_words
        Whether requests are Google's, and the server behind is one of S3.
    """

    def __init__(
        self,
        bucket: Bucket,
        share: float = 0.0,
        *,
        without_conditions: bool = False,
        in_googles_words: bool = False,
    ) -> None:
        self.faults, self._random, self._share = Counter[str](), random.Random(7), share
        self.requests: list[tuple[str, str]] = []
        self.behind, _, account = bucket.endpoint.removeprefix("http://").partition("/")
        self.left_out = {"connection"}
        self.more: list[tuple[str, str]] = []
        if without_conditions:
            self.left_out.add("if-none-match")
        self.renamed: dict[str, tuple[str, str]] = {}
        self.sent: dict[str, str] = {}
        if in_googles_words:
            signed = (
                f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
            )
            self.left_out.add("authorization")
            self.sent = {"Authorization": signed}  # which moto does not check, but wants of who reads and writes
            self.renamed["x-goog-if-generation-match"] = ("If-None-Match", "*")  # 0: that there is none yet
            self.more = [("x-goog-generation", "1")]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _PassingOn)
        self._server.daemon_threads, self._server.faulty = True, self
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/{account}".rstrip("/")

    def fault(self) -> str | None:
        """What becomes of the next request."""
        if self._random.random() >= self._share:
            return None
        fault = self._random.choice(["503", "503 once done", "dropped", "dropped once done", "cut off"])
        self.faults[fault] += 1
        return fault

    def asked(self) -> Counter[str]:
        """How often each thing was asked for; a list of objects is one of them."""
        return Counter("list" if re.search(r"list-type|comp=list", path) else verb for verb, path in self.requests)

    @contextmanager
    def running(self) -> Iterator[Faulty]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _PassingOn(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        faulty: Faulty = self.server.faulty
        body, fault = self.rfile.read(int(self.headers.get("Content-Length") or 0)), faulty.fault()
        faulty.requests.append((self.command, self.path))
        if fault == "503":
            self._answer(503)
        elif fault == "dropped":
            self._drop()
        else:
            kept = ((name, value) for name, value in self.headers.items() if name.lower() not in faulty.left_out)
            headers = dict(faulty.renamed.get(name.lower(), (name, value)) for name, value in kept) | faulty.sent
            self._done(fault, faulty, body, headers)

    def _done(self, fault: str | None, faulty: Faulty, body: bytes, headers: dict[str, str]) -> None:
        connection = http.client.HTTPConnection(faulty.behind, timeout=30)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault == "503 once done":
            self._answer(503)
        elif fault == "dropped once done":
            self._drop()
        else:
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OWN]
            kept += faulty.more
            if answer.chunked:  # which is put together here
                kept.append(("Content-Length", str(len(content))))
            self._answer(answer.status, kept, content[: len(content) // 2] if fault == "cut off" else content)

    def _answer(self, status: int, headers: Sequence[tuple[str, str]] = (), content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers or [("Content-Length", "0")]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        if len(content) < int(dict(headers).get("Content-Length", 0)) and self.command != "HEAD":
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

    def log_message(self, *_: object) -> None:
        """Nothing is told."""


_OWN = frozenset({"connection", "transfer-encoding", "date", "server"})
