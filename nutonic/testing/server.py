"""A file server in a process of its own, which logs its requests and fails by script."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from nutonic.testing.faults import Fault
from nutonic.testing.server_process import CONTROL, Settings, main


def remote_catalogue(folder: str | Path, url: str, prefix: str = "") -> Path:
    """Write ``items-http.json`` beside ``items.json``, with all hrefs absolute, and return its path.

    ``recipe-http.yaml`` goes beside it: the folder's recipe, with that catalogue and the server's address allowed.

    Parameters
    ----------
    folder
        The folder that ``SyntheticPlanet.write`` wrote.
    url
        The address that serves it.
    prefix
        Path of the folder below `url`.
    """
    import yaml  # not at the top: the server's process does not need it

    folder, base_url = Path(folder), "/".join(part.strip("/") for part in (url, prefix) if part)
    catalogue = json.loads((folder / "items.json").read_text(encoding="utf-8"))
    for asset in (asset for item in catalogue["features"] for asset in item["assets"].values()):
        asset["href"] = f"{base_url}/{asset['href']}"
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    recipe["imagery"] |= {"url": "items-http.json", "allow_hosts": [urlsplit(url).netloc]}
    (folder / "items-http.json").write_text(json.dumps(catalogue, indent=1), encoding="utf-8")
    (folder / "recipe-http.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return folder / "items-http.json"


#: Seconds within which the server must end, or answer about its log.
_PATIENCE_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to a FileServer, and how it was answered."""

    method: str
    path: str
    """Without its query, and unquoted."""
    query_keys: tuple[str, ...]
    """The query's keys; its values may be secret and are not logged."""
    span: tuple[int, int] | None
    """First and last byte of the Range, within the file; None for a whole file, or for bytes that it does not have."""
    status: int
    """Status of the answer; 0 if there was none."""
    fault: str | None
    """Kind of the fault that happened, or None."""
    sent: int
    """How many bytes of the answer's body were sent."""


class FileServer(Settings):
    """Serves a folder over HTTP on loopback, in a process that ends with the ``with`` block or with its parent.

    Files are read when they are requested. The server answers ``GET`` (with one range), ``HEAD`` and ``POST``, which it
    treats like ``GET``; paths with ``..`` are not found. With `signed`, a file at ``/ACCOUNT/CONTAINER/…`` needs a token,
    and ``/api/sas/v1/token/ACCOUNT/CONTAINER`` issues one, as at the Planetary Computer. Files outside of containers are
    public.

    Examples
    --------
    >>> with FileServer("planet", faults=[Fault("503", "*/red.tif", times=2)]) as server:  # doctest: +SKIP
    ...     read(f"{server.url}/west/red.tif")
    ...     server.fault_counts()
    Counter({'503': 2})
    """

    address: str
    """Host and port, once the server runs."""
    _process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The folder's address, without a slash at the end."""
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        command, pipe = [sys.executable, "-m", "nutonic.testing.server"], subprocess.PIPE
        # In its own session, Ctrl-C does not reach the server. It ends when stdin ends, however its parent ends.
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        try:
            self.address = f"127.0.0.1:{self._start()}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> int:
        """Hand over the settings and return the port."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        pickle.dump(Settings(**{field.name: getattr(self, field.name) for field in fields(Settings)}), stdin)
        stdin.flush()
        if not (port := stdout.readline()):
            raise ChildProcessError("the file server did not start; what it wrote to stderr says why")
        return int(port)

    def __exit__(self, *_: object) -> None:
        process = self._process
        process.terminate()
        try:
            process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def requests(self) -> list[Request]:
        """All requests since the start or the last reset, in the order of their answers."""
        return [
            Request(
                **{**entry, "query_keys": tuple(entry["query_keys"]), "span": entry["span"] and tuple(entry["span"])}
            )
            for entry in self._order("log")
        ]

    def fault_counts(self) -> Counter[str]:
        """The number of requests that each kind of fault happened to."""
        return Counter(request.fault for request in self.requests() if request.fault)

    def reset(self) -> None:
        """Clear the log and begin the script again. Tokens stay valid."""
        self._order("reset")

    def script(self, faults: Iterable[Fault]) -> None:
        """Replace the script; it counts requests from now on."""
        self._order("script", [asdict(fault) for fault in faults])

    def revoke(self) -> None:
        """Make all tokens issued so far invalid."""
        self._order("revoke")

    def _order(self, order: str, content: Any = None) -> Any:
        with closing(HTTPConnection(self.address, timeout=_PATIENCE_S)) as connection:
            connection.request("POST", f"{CONTROL}{order}", json.dumps(content))
            return json.loads(connection.getresponse().read())


if __name__ == "__main__":
    main()
