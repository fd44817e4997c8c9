"""Captions of patches: by templates, patches per second of a core; by models, how near the wall clock is to the ideal.

``python -m benchmarks.captions --runs 5``. The pictures are the demo's (it takes pyrosm and osmium) and are made once; each
patch then stands there many times, under names of its own, since a few hundred answers are over before anything is warm. The
stand-in for a model answers after 50 ms, or a second, in a process of its own; the ideal is requests times that, by the
requests in flight. Some answers warm the processes up. What is timed is from the first request after them to the last
answer, by the stand-in's clock, with the CPU of nutonic's processes and of the stand-in. Beside it stands the floor: as
many requests of the same size, asked by a bare client with nothing of ours around it.
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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import yaml

import nutonic as nt
from nutonic.cli.demo.rsteller.data import prepare
from nutonic.dataset.commits import Origin, commit, committed, place_done, read_commit, unpacked
from nutonic.dataset.shards.records import PatchRecord
from nutonic.io.objects import Store
from nutonic.io.session import limited
from nutonic.planning.layout import CommitName
from nutonic.planning.patches.spec import resolve_patches
from nutonic.planning.plan_file import digest_of
from nutonic.run.captions.stage import caption_all, captioners
from nutonic.run.executor import workers_for
from nutonic.run.patches.captioning import PatchCaptioner, waiting
from nutonic.testing.llm.replies import honest

#: Patches that are captioned before anything is measured, and answers that are measured for each request in flight: with
#: fewer, those in which turns are empty at the beginning and the end would count.
WARM_UP, ANSWERS_A_TURN = 100, 20


async def _serve() -> None:
    """Answer requests after a while each, until standard input ends; ``GET /seen`` tells how many, and in which time.

    After how many milliseconds is the first part of a request's path.
    """
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
                    latency_s = int(head.split("/", 2)[1]) / 1000
                    await asyncio.sleep(latency_s - (time.perf_counter() - began))
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


def copied(pictures: Path, out: Path, patches: int) -> Path:
    """A tree of pictures in which the patches of another stand again and again, each under a name of its own."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(pictures, out)
    store = Store(out)
    names, count = list(committed(store).all_names()), 0
    for turn in range(1, 10_000):
        for name in names:
            content = read_commit(store, name)
            places = [_renamed(store, name, place, turn) for place in content["places"] if place["tiles"]]
            origin = Origin(recipe_digest=content["recipe_digest"], plan_digest=content["plan"])
            commit(store, name.batch + 1000 * turn, places, origin, whole=True)
            count += len(places)
            if count >= patches:
                return out
    raise AssertionError("there are no patches")


def _renamed(store: Store, name: CommitName, place: Mapping[str, Any], turn: int) -> Any:
    told = place["rows"]
    line = unpacked(store.get_range(name.part, told["start"], told["length"]), name.part, told["size"])
    patch = PatchRecord.of_line(line)
    named = f"{patch.image.patch_id}-{turn}"
    again = replace(
        patch, image=replace(patch.image, patch_id=named), described=replace(patch.described, patch_id=named)
    )
    return place_done({**place, "captions": ()}, again.line())


def _waiting(store: Store, *, most: int | None = None) -> Iterator[tuple[CommitName, int]]:
    """Commits of copies that wait for captions; some of them, for so many patches in all."""
    there = (each for each in waiting(store, committed(store)) if each[0].batch >= 1000)
    count = 0
    for name, patches in there:
        yield name, patches
        count += patches
        if most is not None and count >= most:
            return


def by_templates(folder: Path, fraction: float, patches: int) -> float:
    """Patches that templates caption in a second of a core; reading and committing included."""
    recipe, pictures = pictured(folder, {}, fraction, "templates")
    store, spec = Store(copied(pictures, folder / "out", WARM_UP + patches)), resolve_patches(nt.load_recipe(recipe))
    with limited(8):
        captioner = PatchCaptioner(spec, store, digest_of(store) or "")
        stage = partial(caption_all, captioner, pool=None, callback=nt.Callback(), max_cost=None, expected=0.0)
        stage(partial(_waiting, store, most=WARM_UP))
        left = sum(count for _, count in _waiting(store))
        began = time.process_time()
        stage(partial(_waiting, store))
        return left / (time.process_time() - began)


def by_model(
    folder: Path, url: str, fraction: float, in_flight: int, workers: int, latency_ms: int
) -> tuple[float, int, float, float]:
    """Wall seconds over the ideal, requests, and milliseconds of CPU for each: of nutonic, and of the stand-in."""
    model = {"name": "model", "model": "stand-in", "base_url": f"{url}/{latency_ms}/v1", "max_in_flight": in_flight}
    recipe, pictures = pictured(folder, {"annotators": [model]}, fraction, "model")
    spec, patches = resolve_patches(nt.load_recipe(recipe)), WARM_UP + ANSWERS_A_TURN * in_flight // 2
    store = Store(copied(pictures, folder / "out", patches))
    with ExitStack() as stack:
        stack.enter_context(limited(8))
        pool = None
        if workers:
            cluster = nt.Cluster(workers=workers)
            pool = stack.enter_context(workers_for(spec.sources, folder / "out", cluster, nt.Callback(), ()))
            pool = captioners(stack, pool, spec.sources, None, spec.captions.annotators)
        captioner = PatchCaptioner(spec, store, digest_of(store) or "")
        stage = partial(caption_all, captioner, pool=pool, callback=nt.Callback(), max_cost=None, expected=0.0)
        stage(partial(_waiting, store, most=WARM_UP))
        _get(url)
        before = _cpu_s(), _cpu_s(of_server=True)
        stage(partial(_waiting, store))
        ours, theirs = _cpu_s() - before[0], _cpu_s(of_server=True) - before[1]
        seen = _get(url)
    count = seen["requests"]
    ideal_s = count * latency_ms / 1000 / in_flight
    return seen["seconds"] / ideal_s, count, 1000 * ours / count, 1000 * theirs / count


#: The process of the stand-in.
_server: list[int] = []


def _cpu_s(*, of_server: bool = False) -> float:
    """Seconds of CPU of this process and those that it started; or of the stand-in's alone."""
    own = psutil.Process()
    family = [psutil.Process(_server[0])] if of_server else [own, *own.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in family if of_server or each.pid not in _server)


def by_bare_client(url: str, in_flight: int, requests: int, latency_ms: int) -> tuple[float, float]:
    """Wall seconds over the ideal of the client alone, and its milliseconds of a core for each request."""
    began, _ = time.process_time(), _get(url)
    asyncio.run(_asked_barely(f"{url}/{latency_ms}", in_flight, requests))
    spent = time.process_time() - began
    return _get(url)["seconds"] / (requests * latency_ms / 1000 / in_flight), 1000 * spent / requests


async def _asked_barely(url: str, in_flight: int, requests: int) -> None:
    import aiohttp

    left = list(range(requests))
    facts = "\n".join(f"- thing {number}: in the north of the picture, about {10 * number} m" for number in range(40))

    async def ask(client: aiohttp.ClientSession) -> None:
        while left:
            messages = [{"role": "user", "content": f"Describe picture {left.pop()}.\n{facts}"}]
            body = {"model": "stand-in", "messages": messages, "temperature": 0.7, "max_tokens": 400, "seed": 1}
            async with client.post(f"{url}/v1/chat/completions", json=body) as answer:
                await answer.json()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        await asyncio.gather(*(ask(client) for _ in range(in_flight)))


def _get(url: str) -> Any:
    from urllib.request import urlopen

    with urlopen(f"{url}/seen") as answer:
        return json.loads(answer.read())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.captions", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn")
    parser.add_argument("--fraction", type=float, default=0.05, help="of 2,485 patches, whose copies are captioned")
    parser.add_argument("--patches", type=int, default=300, help="that templates caption; 0 for none")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--latency-ms", type=int, nargs="+", default=[50], help="after which the model answers")
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
        _server.append(server.pid)
        measure(Path(temporary), server.stdout.readline().strip(), asked)
        server.communicate()


def measure(folder: Path, url: str, asked: argparse.Namespace) -> None:
    """Print medians and spread, or a line of JSON with all figures."""
    if not asked.json:
        print(f"load of the machine before: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    rates = [by_templates(folder, asked.fraction, asked.patches) for _ in range(asked.runs) if asked.patches]
    cpu_ms = dict[str, Any]()
    lines = [f"templates: {_spread(rates, 0)} patches a second of a core"] if rates else []
    of_ideal = dict[str, Any]()
    for in_flight, workers, latency_ms in product(asked.in_flight, asked.workers, asked.latency_ms):
        found = [by_model(folder, url, asked.fraction, in_flight, workers, latency_ms) for _ in range(asked.runs)]
        ratios, requests, ours, theirs = zip(*found, strict=True)
        floors, spent = zip(*(by_bare_client(url, in_flight, requests[0], latency_ms) for _ in found), strict=True)
        name = f"{in_flight} in flight, {workers} workers, {latency_ms} ms"
        of_ideal[name] = {"nutonic": ratios, "bare client": floors}
        cpu_ms[name] = {"nutonic": ours, "bare client": spent, "stand-in": theirs, "requests": requests}
        lines.append(
            f"{name}: {_spread(ratios, 2)} of the ideal ({requests[0]} requests, {_spread(ours, 2)} ms of CPU each, beside "
            f"{min(theirs):.2f} of the stand-in), the bare client {_spread(floors, 2)} with {min(spent):.2f} ms"
        )
    print(
        json.dumps({"patches_per_s": rates, "of_ideal": of_ideal, "cpu_ms": cpu_ms}) if asked.json else "\n".join(lines)
    )


def _spread(values: Any, digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
