"""What may be wrong with a world, as small functions that are put together."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.worlds import written

from hostile.row import Here, World
from nutonic.testing import Fault, FileServer, SyntheticPlanet, remote_catalogue

#: A secret that nothing may tell, write or log.
CANARY = "Zq7CANARYp4xW9kR2mVtB8sLh3Nd"

JSON = {"Content-Type": "application/geo+json"}


def small(folder: Path) -> Path:
    """Three places in one scene, of one tile each; the recipe."""
    recipe = written(SyntheticPlanet(3), folder, only=("west",), grid={"extent_m": 700})
    header, *lines = (folder / "pois.csv").read_text(encoding="utf-8").splitlines()
    (folder / "pois.csv").write_text("\n".join([header, *(lines[i] for i in (0, 1, 3)), ""]), encoding="utf-8")
    return recipe


# The recipe


def text(content: str | bytes) -> World:
    """A recipe of this text."""
    return lambda here: here.write("recipe.yaml", content)


def line(content: str) -> World:
    """A recipe with one line more."""
    return lambda here: here.write("recipe.yaml", (here.folder / "recipe.yaml").read_text() + content + "\n")


def part(name: str, value: Any = None, **values: Any) -> World:
    """A recipe with other values in a part."""
    return lambda here: here.recipe(**{name: values or value})


# Files


def file(name: str, content: str | bytes) -> World:
    """Another file, in place of one that is there or not."""
    return lambda here: here.write(name, content)


def pipe(name: str) -> World:
    """A pipe, in place of a file."""

    def world(here: Here) -> None:
        path = here.folder / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)

    return world


def link(name: str, target: str) -> World:
    """A link, in place of a file or folder."""

    def world(here: Here) -> None:
        path = here.folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target.replace("HERE", str(here.folder)))

    return world


def folder(name: str) -> World:
    """A folder, in place of a file."""

    def world(here: Here) -> None:
        (here.folder / name).unlink(missing_ok=True)
        (here.folder / name).mkdir(parents=True, exist_ok=True)

    return world


def sparse(name: str, size: int) -> World:
    """A file of zeros that takes no room on the disk."""

    def world(here: Here) -> None:
        with here.write(name, b"").open("wb") as out:
            out.truncate(size)

    return world


def moved(name: str, to: str) -> World:
    """A file under another name."""
    return lambda here: (here.folder / name).rename(here.folder / to)


def damaged(name: str, change: Callable[[bytes], bytes]) -> World:
    """A file with other bytes."""
    return lambda here: here.write(name, change((here.folder / name).read_bytes()))


# The catalogue


def items(change: Callable[[dict[str, Any]], object]) -> World:
    """A catalogue in which each item is another."""

    def world(here: Here) -> None:
        catalogue = json.loads((here.folder / "items.json").read_text())
        for item in catalogue["features"]:
            change(item)
        here.write("items.json", json.dumps(catalogue))

    return world


def item(**values: Any) -> World:
    """A catalogue whose items have other values."""
    return items(lambda each: each.update(values))


def properties(**values: Any) -> World:
    """A catalogue whose items have other properties; colons are written as two underscores."""
    return items(lambda each: each["properties"].update({k.replace("__", ":"): v for k, v in values.items()}))


def assets(**values: Any) -> World:
    """A catalogue whose items have assets with other values; ``{0}`` in text is the band's name."""

    def change(each: dict[str, Any]) -> None:
        for band, asset in each["assets"].items():
            told = {
                k.replace("__", ":"): v.replace("{0}", band) if isinstance(v, str) else v for k, v in values.items()
            }
            asset.update(told)

    return items(change)


# Servers


def served(*faults: Fault, timeout_s: float = 0.4, **settings: Any) -> World:
    """Imagery comes from a server that fails by script; time-outs are short."""

    def world(here: Here) -> None:
        server = here.stack.enter_context(FileServer(here.folder, faults=list(faults), **settings))
        remote_catalogue(here.folder, server.url)
        here.write("recipe.yaml", (here.folder / "recipe-http.yaml").read_bytes())
        here.address = server.url
        here.environment["NUTONIC_HTTP_TIMEOUT"] = str(timeout_s)
        here.heal.append(lambda: server.script([]))

    return world


def fault(kind: str, times: int | None = 1, path: str = "/west/*", **how: Any) -> World:
    """Imagery from a server with one fault."""
    return served(Fault(kind, path=path, times=times, **how))


Answer = tuple[int, dict[str, str], bytes]


def answering(answer: Callable[[Here, str, int], Answer], timeout_s: float = 0.4) -> World:
    """The catalogue is an API that answers so: by path with its query, and by number of the request."""

    def world(here: Here) -> None:
        count = iter(range(10**9))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, body = answer(here, self.path, next(count))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        here.stack.callback(server.server_close)
        here.stack.callback(server.shutdown)
        here.environment["NUTONIC_HTTP_TIMEOUT"] = str(timeout_s)
        port = server.server_address[1]
        here.recipe(imagery={"url": f"http://127.0.0.1:{port}/api", "allow_hosts": [f"127.0.0.1:{port}"]})

    return world


def landing(**more: Any) -> dict[str, Any]:
    """The landing page of an API."""
    return {
        "type": "Catalog",
        "id": "api",
        "stac_version": "1.0.0",
        "description": "",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
        "links": [{"rel": "search", "href": "search", "type": "application/geo+json", "method": "GET"}],
    } | more


def api(page: Callable[[Here, int], Any], **how: Any) -> World:
    """An API with a good landing page, and these pages of items: an object, or bytes as they are."""

    def answer(here: Here, path: str, number: int) -> Answer:
        if path.partition("?")[0] == "/api":
            return 200, JSON, json.dumps(landing()).encode()
        told = page(here, number)
        return 200, JSON, told if isinstance(told, bytes) else json.dumps(told).encode()

    return answering(answer, **how)


def features(here: Here) -> list[dict[str, Any]]:
    """The items of the world."""
    return json.loads((here.folder / "items.json").read_text())["features"]


def page_of(found: list[Any], following: str | None = None) -> dict[str, Any]:
    """A page of items, with a link to another."""
    links = [{"rel": "next", "href": following}] if following else []
    return {"type": "FeatureCollection", "features": found, "links": links}
