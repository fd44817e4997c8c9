"""Captions of patches: by templates, patches per second of a core; by models, how near the wall clock is to the ideal.

``python -m benchmarks.captions --runs 5``. The pictures are the demo's (it takes pyrosm and osmium) and are made once. The
stand-in for a model answers after 50 ms, in a process of its own; the ideal is requests times that, by the requests in
flight. What is timed there is from the first request to the last answer, by the stand-in's clock. Beside it stands the
floor: the same number of requests of the same size, asked by the bare ``openai`` client with nothing of ours around it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import yaml

import nutonic as nt
from nutonic.cli.demo.rsteller.data import prepare
from nutonic.dataset.commits import committed
from nutonic.io.objects import Store
from nutonic.io.session import limited
from nutonic.planning.patches.spec import resolve_patches
from nutonic.planning.plan_file import digest_of
from nutonic.run.captions.stage import caption_all
from nutonic.run.patches.captioning import PatchCaptioner, waiting
from nutonic.testing.llm.replies import honest

LATENCY_S = 0.05


async def _serve() -> None:
    """Answer requests after a while each, until standard input ends; ``GET /seen`` tells how many, and in which time."""
    seen: list[float] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next(
                    (int(line[15:]) for line in head.lower().split("\r\n") if line[:15] == "content-length:"), 0
                )
                began, body = time.perf_counter(), await reader.readexactly(length)
                if head.startswith("GET /seen"):
                    told: Any = {"requests": len(seen) // 2, "seconds": max(seen, default=0.0) - min(seen, default=0.0)}
                    seen.clear()
                elif head.startswith("GET "):
                    told = {"object": "list", "data": [{"id": "stand-in"}]}
                else:
                    told = _completion(json.loads(body))
                    await asyncio.sleep(LATENCY_S - (time.perf_counter() - began))
                    seen.extend((began, time.perf_counter()))
                data = json.dumps(told).encode()
                headers = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
                writer.write(headers.encode() + data)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _completion(request: Mapping[str, Any]) -> Any:
    message = {"role": "assistant", "content": honest(request)}
    usage = {"prompt_tokens": 300, "completion_tokens": 80, "total_tokens": 380}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}


class _Pictures(nt.Callback):
    """Stops before captions."""

    left = 1

    def on_start(self, event: nt.BuildStarted, /) -> None:
        """Count places."""
        self.left = event.to_do

    def on_batch(self, event: nt.BatchFinished, /) -> None:
        """Count places off."""
        self.left -= event.result.finished

    def stop_requested(self) -> bool:
        """Whether all pictures are there."""
        return self.left <= 0


def pictured(folder: Path, captions: Mapping[str, Any], fraction: float, name: str) -> tuple[Path, Path]:
    """A recipe, and a tree with its pictures and without captions."""
    values = yaml.safe_load(prepare(folder / "inputs").read_text(encoding="utf-8"))
    values["patches"] |= {"stride": 32, "fraction": fraction}
    values["splits"]["block_km"] = 1.0  # fewer cross a border than in the demo
    values["captions"] = dict(captions)
    recipe, out = folder / "inputs" / f"{name}.yaml", folder / f"pictures-{name}"
    recipe.write_text(yaml.safe_dump(values), encoding="utf-8")
    if not out.exists():
        nt.build(nt.load_recipe(recipe), out, workers=0, callbacks=[_Pictures()])
    return recipe, out


def by_templates(folder: Path, fraction: float) -> float:
    """Patches that templates caption in a second of a core; reading and committing included."""
    recipe, pictures = pictured(folder, {}, fraction, "templates")
    shutil.copytree(pictures, folder / "out")
    store, spec, began = Store(folder / "out"), resolve_patches(nt.load_recipe(recipe)), time.process_time()
    done, patches = committed(store), 0
    with limited(8):
        captioner = PatchCaptioner(spec, store, digest_of(store) or "")
        caption_all(captioner, partial(waiting, store, done), None, nt.Callback(), max_cost=None, expected=0.0)
    spent = time.process_time() - began
    patches = sum(place["tiles"] for name in done.all_names() for place in json.loads(store.get(name.path))["places"])
    shutil.rmtree(folder / "out")
    return patches / spent


def by_model(folder: Path, url: str, fraction: float, in_flight: int, workers: int) -> tuple[float, int]:
    """Wall seconds over the ideal, and requests."""
    model = {"name": "model", "model": "stand-in", "base_url": f"{url}/v1", "max_in_flight": in_flight}
    recipe, pictures = pictured(folder, {"annotators": [model]}, fraction, "model")
    shutil.copytree(pictures, folder / "out")
    _get(url)
    command = [sys.executable, "-m", "nutonic", "build", recipe, "--out", folder / "out", "--workers", str(workers)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as build:
        _, told = build.communicate()
    assert build.returncode == 0, told.decode()
    seen = _get(url)
    shutil.rmtree(folder / "out")
    return seen["seconds"] / (seen["requests"] * LATENCY_S / in_flight), seen["requests"]


def by_bare_client(url: str, in_flight: int, requests: int) -> tuple[float, float]:
    """Wall seconds over the ideal of the client alone, and its milliseconds of a core for each request."""
    began, _ = time.process_time(), _get(url)
    asyncio.run(_asked_barely(url, in_flight, requests))
    spent = time.process_time() - began
    return _get(url)["seconds"] / (requests * LATENCY_S / in_flight), 1000 * spent / requests


async def _asked_barely(url: str, in_flight: int, requests: int) -> None:
    import openai

    left = list(range(requests))
    facts = "\n".join(f"- thing {number}: in the north of the picture, about {10 * number} m" for number in range(40))

    async def ask(client: openai.AsyncOpenAI) -> None:
        while left:
            messages = [{"role": "user", "content": f"Describe picture {left.pop()}.\n{facts}"}]
            body = {"model": "stand-in", "messages": messages, "temperature": 0.7, "max_tokens": 400, "seed": 1}
            await client.post("/chat/completions", cast_to=object, body=body)

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        await asyncio.gather(*(ask(client) for _ in range(in_flight)))


def _get(url: str) -> Any:
    from urllib.request import urlopen

    with urlopen(f"{url}/seen") as answer:
        return json.loads(answer.read())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.captions", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn")
    parser.add_argument("--fraction", type=float, default=0.2, help="of 2,485 patches")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--json", action="store_true", help="all figures as one line")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve())
        return
    command = [sys.executable, "-m", "benchmarks.captions", "--serve"]
    with (
        tempfile.TemporaryDirectory() as temporary,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        measure(Path(temporary), server.stdout.readline().strip(), asked)
        server.communicate()


def measure(folder: Path, url: str, asked: argparse.Namespace) -> None:
    """Print medians and spread, or a line of JSON with all figures."""
    if not asked.json:
        print(f"load of the machine before: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    rates = [by_templates(folder, asked.fraction) for _ in range(asked.runs)]
    lines, of_ideal = [f"templates: {_spread(rates, 0)} patches a second of a core"], dict[str, Any]()
    for in_flight, workers in product(asked.in_flight, asked.workers):
        found = [by_model(folder, url, asked.fraction, in_flight, workers) for _ in range(asked.runs)]
        ratios, requests = zip(*found, strict=True)
        floors, spent = zip(*(by_bare_client(url, in_flight, requests[0]) for _ in found), strict=True)
        name = f"{in_flight} in flight, {workers} workers"
        of_ideal[name] = {"nutonic": ratios, "bare client": floors}
        lines.append(
            f"{name}: {_spread(ratios, 2)} of the ideal ({requests[0]} requests), "
            f"{min(ratios) / min(floors):.2f} of the bare client's {_spread(floors, 2)}, "
            f"which takes {min(spent):.2f} ms of a core a request"
        )
    print(json.dumps({"patches_per_s": rates, "of_ideal": of_ideal}) if asked.json else "\n".join(lines))


def _spread(values: Any, digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
