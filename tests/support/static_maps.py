"""A stand-in for Mapbox's Static Images API and its Tokens API, on loopback, written from their documentation.

docs.mapbox.com/api/maps/static-images: ``GET /styles/v1/{username}/{style_id}/static/{lon},{lat},{zoom},{bearing},{pitch}/
{width}x{height}{@2x}?access_token=…``; bearing and pitch may be left out. Longitude within ±180, latitude within ±85.0511,
zoom 0 to 22, width and height 1 to 1280. A style with only rasters gives a JPEG, any other a PNG. Errors are JSON with a
``message``. docs.mapbox.com/api/accounts/tokens: ``GET /tokens/v2?access_token=…`` answers 200 and a ``code``.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from PIL import Image, PngImagePlugin

from nutonic.testing.server_process import LoopbackServer

#: A token of the real ones' form, and nobody's.
CANARY = "pk.eyJ1IjoiY2FuYXJ5LWZvci10ZXN0cyJ9.c4n4ry-n0b0dy_T0k3n"

#: Styles that are there, and the format of their pictures.
STYLES = {"mapbox/satellite-v9": "JPEG", "mapbox/satellite-streets-v12": "PNG"}

_STATIC = re.compile(
    r"/styles/v1/(?P<style>[\w-]+/[\w.-]+)/static/(?P<where>[-\d.]+,[-\d.]+,[-\d.]+(?:,[-\d.]+){0,2})"
    r"/(?P<width>\d+)x(?P<height>\d+)(?P<twice>@2x)?"
)


class Asked(NamedTuple):
    """A request, without the token: whether it was the right one."""

    method: str
    path: str
    authorized: bool

    @property
    def is_still(self) -> bool:
        return self.method == "GET" and "/static/" in self.path


class Said(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    headers: dict[str, str]


def message(status: int, text: str, **headers: str) -> Said:
    """An error as the API gives it."""
    return Said(status, json.dumps({"message": text}).encode(), {"Content-Type": "application/json", **headers})


#: What goes wrong with a request: it gets the right answer and the whole address that was asked, and gives another.
Trouble = Callable[[Said, str], Said | None]


@dataclass
class StaticMaps:
    """Serves stills within a ``with`` block."""

    token: str = CANARY
    trouble: Trouble | None = None
    """What happens to requests for stills; None from it where nothing does."""
    latency_s: float = 0.0
    tells_of_tokens: bool = True
    """Whether it has the Tokens API, which other servers lack."""
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    _inside: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def stills(self) -> list[str]:
        """Paths of the requests for stills."""
        return [each.path for each in self.asked if each.is_still]

    @property
    def template(self) -> str:
        """Where its pictures are, as a recipe has it for Mapbox at another address."""
        return self.url + "/styles/v1/{style}/static/{lon},{lat},{zoom},0/{size}x{size}@2x?access_token={token}"

    def answer(self, method: str, target: str) -> Said:
        parts = urlsplit(target)
        given = parse_qs(parts.query).get("access_token", [""])[0]
        with self._lock:
            self.asked.append(Asked(method, parts.path, given == self.token))
        if parts.path == "/tokens/v2" and self.tells_of_tokens:
            code = "TokenValid" if given == self.token else "TokenInvalid"
            return Said(200, json.dumps({"code": code}).encode(), {"Content-Type": "application/json"})
        if given != self.token:
            return message(401, f"Not Authorized - {'Invalid' if given else 'No'} Token")
        said = self._style(parts.path) or self._still(parts.path)
        troubled = self.trouble(said, target) if self.trouble and method == "GET" and "/static/" in target else None
        return troubled or said

    def _style(self, path: str) -> Said | None:
        found = re.fullmatch(r"/styles/v1/([\w-]+/[\w.-]+)", path)
        if found is None:
            return None
        known = found[1] in STYLES
        return (
            Said(200, b'{"version": 8}', {"Content-Type": "application/json"})
            if known
            else message(404, "Style not found")
        )

    def _still(self, path: str) -> Said:
        found = _STATIC.fullmatch(path)
        if found is None:
            return message(404, "Not Found")
        if found["style"] not in STYLES:
            return message(404, "Style not found")
        lon, lat, zoom, *_ = map(float, found["where"].split(","))
        if not (abs(lon) <= 180 and abs(lat) <= 85.0511 and 0 <= zoom <= 22):
            return message(422, "Longitude, latitude or zoom out of range")
        width, height = int(found["width"]), int(found["height"])
        if not (1 <= width <= 1280 and 1 <= height <= 1280):
            return message(422, "Width and height must be between 1-1280.")
        times = 2 if found["twice"] else 1
        kind = STYLES[found["style"]]
        return Said(
            200, picture(path, (width * times, height * times), kind), {"Content-Type": f"image/{kind.lower()}"}
        )


def picture(seed: str, size: tuple[int, int], kind: str = "JPEG", **save: object) -> bytes:
    """A picture that nobody else has: four colours from a seed, in the corners."""
    digest = hashlib.sha256(seed.encode()).digest()
    small = Image.frombytes("RGB", (2, 2), digest[:12])
    small.resize(size, Image.Resampling.BILINEAR).save(out := io.BytesIO(), kind, **save)
    return out.getvalue()


def with_text(data: bytes, text: str, *, packed: bool) -> bytes:
    """The pixels of a picture as a PNG that says something beside them."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", text, zip=packed)
    with Image.open(io.BytesIO(data)) as opened:
        opened.save(out := io.BytesIO(), "PNG", pnginfo=info)
    return out.getvalue()


@contextmanager
def static_maps(**settings: object) -> Iterator[StaticMaps]:
    """A stand-in that runs."""
    maps = StaticMaps(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with maps._lock:
                maps._inside += 1
                maps.most_at_once = max(maps.most_at_once, maps._inside)
            time.sleep(maps.latency_s)
            said = maps.answer(self.command, self.path)
            with maps._lock:
                maps._inside -= 1
            self.send_response(said.status)
            for name, value in {"Content-Length": str(len(said.body)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = LoopbackServer(Handler)
    maps.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield maps
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
