"""kill -9 in the middle of captioning, or of polishing: by the server's log nothing is asked again, and all is the same."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import yaml
from support.clusters import Cluster, Process, cluster, started, until
from support.country import country, pictured, recipe_in
from support.trees import small_planet, tree

import nutonic as nt
from nutonic.sources.annotators.answers import digest_of
from nutonic.testing.llm.server import ModelServer

#: Rows and columns of patches: few by default, as in other tests of captions.
FEW, MANY = (4, 5), (6, 8)

#: Requests in flight, of all workers together.
MOST = 4


def recipe_for(server: ModelServer, size: tuple[int, int]) -> Path:
    model = {"name": "model", "base_url": server.url, "model": "planted", "max_in_flight": MOST}
    return recipe_in(country(*size), {"annotators": [model], "revisions": {1: 1}}, name="kill.yaml")


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Callable[[tuple[int, int]], dict[str, bytes]]:
    """The files of a build that nobody disturbs."""

    @cache
    def built(size: tuple[int, int]) -> dict[str, bytes]:
        out = tmp_path_factory.mktemp("clean") / "out"
        with ModelServer() as server:
            recipe = recipe_for(server, size)
            pictured(recipe, *size, out)
            assert nt.build(nt.load_recipe(recipe), out, workers=0).complete
            assert len(server.requests) == requests_of(size)
        return tree(out)

    return built


def requests_of(size: tuple[int, int]) -> int:
    """A caption and a revision of each patch."""
    return 2 * size[0] * size[1]


def kept(out: Path) -> frozenset[str]:
    """Digests of the answers that are kept."""
    return frozenset(path.stem for path in (out / "_nutonic" / "answers").rglob("*.json"))


def send(processes: Iterable[Process | psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(process.pid, number)


class Kill(NamedTuple):
    """What was seen when somebody was killed, and all who write were stopped."""

    at_s: float
    """By the server's clock."""
    kept: frozenset[str]
    """Digests of the answers in the tree."""


@dataclass
class World:
    """A tree that is captioned again and again."""

    server: ModelServer
    folder: Path
    size: tuple[int, int]
    kills: list[Kill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recipe, self.requests = recipe_for(self.server, self.size), requests_of(self.size)
        self.out = pictured(self.recipe, *self.size, self.folder / "out")

    def rest(self) -> None:
        """Wait until what the killed asked for is answered, too: by the server's count it is in flight until then."""
        until(lambda: not self.server.inside, "the server to rest")

    def start(self, *options: object) -> Process:
        self.rest()
        return started(self.folder, "build", self.recipe, "--out", self.out, *options)

    def kill(self, victim: Process | psutil.Process, writers: Iterable, build: Process, more: int) -> bool:
        """Kill -9 once so many more requests were answered; False where captioning was over before."""
        due, writers = len(self.server.requests) + more, list(writers)
        while build.poll() is None:
            time.sleep(0.002)
            if len(self.server.requests) < due:
                continue
            send(writers, signal.SIGSTOP)
            seen = Kill(time.monotonic(), kept(self.out))
            hit = build.poll() is None and len(seen.kept) < self.requests
            send([victim] if hit else [], signal.SIGKILL)
            send(writers, signal.SIGCONT)
            if hit:
                self.kills.append(seen)
                victim.wait(30)
            return hit
        return False

    def proved(self, clean: Callable[[tuple[int, int]], dict[str, bytes]], *, deep: bool = True) -> None:
        """Go on to the end undisturbed; then nothing that was kept was asked for again, and all is as it should be."""
        self.rest()
        assert nt.build(nt.load_recipe(self.recipe), self.out, workers=0).complete
        whole = [request for request in self.server.requests if request.body]  # a kill may cut one short
        asked = [(digest_of(request.body), request.arrived_s) for request in whole]
        for kill in self.kills:
            assert [digest for digest, at in asked if digest in kill.kept and at > kill.at_s] == []
        assert len(asked) - self.requests <= MOST * len(self.kills)  # those that were on their way
        assert {digest for digest, _ in asked} == kept(self.out)
        assert len(kept(self.out)) == self.requests
        assert self.server.peak <= MOST
        assert tree(self.out) == clean(self.size)
        assert not deep or nt.verify(self.out, deep=True).problems == ()
        print(f"{len(self.kills)} kills, {len(asked)} requests, {self.requests} answers")


@dataclass
class Polished(World):
    """A tree of chips whose captions are polished again and again; its first build makes the chips too."""

    size: None = None
    requests: int = 0
    recipe: Path = Path()

    def __post_init__(self) -> None:
        self.out = self.folder / "out"


@pytest.fixture(scope="module")
def planet(tmp_path_factory) -> Path:
    return small_planet(tmp_path_factory.mktemp("planet"), rows={"captions": ["full", "brief"]})


def polishing(planet: Path, server: ModelServer, folder: Path) -> Path:
    """A planet's recipe whose captions a model polishes."""
    values = yaml.safe_load(planet.read_text(encoding="utf-8"))
    model = {"name": "model", "base_url": server.url, "model": "planted", "max_in_flight": MOST}
    values["rows"]["polish"] = {"annotators": [model]}
    path = planet.with_name(f"{folder.name}.yaml")
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(planet, tmp_path_factory) -> tuple[dict[str, bytes], int]:
    """The files of a polished tree that nobody disturbs, and how many answers it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with ModelServer() as server:
        assert nt.build(nt.load_recipe(polishing(planet, server, folder)), folder / "out", workers=0).complete
        return tree(folder / "out"), len(server.requests)


@pytest.fixture
def chips(planet, undisturbed, tmp_path):
    with ModelServer(latency_s=0.06) as server:
        yield Polished(server, tmp_path, recipe=polishing(planet, server, tmp_path), requests=undisturbed[1])


@pytest.fixture
def world(tmp_path, request):
    with ModelServer(latency_s=0.06) as server:
        yield World(server, tmp_path, FEW if request.node.get_closest_marker("exhaustive") is None else MANY)


def ended(family: list[psutil.Process]) -> None:
    gone = psutil.wait_procs(family, timeout=30)[1]
    send(gone, signal.SIGKILL)
    psutil.wait_procs(gone, timeout=10)


def kill_driver(world: World, more: int) -> bool:
    process = world.start("--workers", 0)
    return world.kill(process, [process], process, more)


def kill_driver_of_workers(world: World, more: int) -> bool:
    """Its workers end when it is gone; what they ask for until then is answered, and kept."""
    process = world.start("--workers", 2)
    while len(world.server.requests) < 1 and process.poll() is None:
        time.sleep(0.005)
    family = process.children()
    hit = world.kill(process, [process, *family], process, more)
    ended(family)
    return hit


def kill_worker(world: World, dask: Cluster, more: int) -> bool:
    """One of two workers, and another one comes in its place."""
    process = world.start("--scheduler", dask.address)
    victim = dask.workers[-1]
    hit = world.kill(victim, dask.workers, process, more)
    dask.workers.remove(victim) if hit else None
    dask.start_worker()
    assert process.ended() == 0, process.told()
    return hit


def kill_scheduler(world: World, more: int) -> bool:
    with cluster(world.folder / f"cluster-{len(world.kills)}-{more}") as dask:
        process = world.start("--scheduler", dask.address)
        hit = world.kill(dask.scheduler, [dask.scheduler, *dask.workers], process, more)
        assert process.ended(60) == (1 if hit else 0), process.told()
        assert "Traceback" not in process.told()
        ended([psutil.Process(worker.pid) for worker in dask.workers if worker.poll() is None] if hit else [])
    return hit


@pytest.mark.long
def test_a_driver_is_killed_while_it_captions(clean, world):
    assert kill_driver(world, 9)
    assert 5 <= len(world.kills[0].kept) < world.requests
    assert kill_driver(world, 12)
    world.proved(clean, deep=False)


@pytest.mark.exhaustive
@pytest.mark.cluster
@pytest.mark.parametrize(
    ("strike", "times", "seed"),
    [
        (kill_driver, 6, 0), (kill_driver_of_workers, 5, 0),
        (kill_scheduler, 2, 0), (kill_scheduler, 2, 1),  # its workers finish what they have
    ],
)  # fmt: skip
def test_driver_and_scheduler_are_killed_again_and_again(clean, world, strike, times: int, seed: int):
    chance = random.Random(seed)
    for _ in range(times):
        assert strike(world, chance.randint(2, 12))
    world.proved(clean)


@pytest.mark.exhaustive
@pytest.mark.cluster
@pytest.mark.parametrize("more", [1, 7, 20, 44, 80])
def test_a_worker_is_killed_and_the_build_goes_on(clean, world, more: int):
    with cluster(world.folder / "cluster") as dask:
        assert kill_worker(world, dask, more)
    world.proved(clean)


@pytest.mark.long
def test_a_driver_is_killed_while_it_polishes(undisturbed, chips):
    assert kill_driver(chips, 7)
    assert 3 <= len(chips.kills[0].kept) < chips.requests
    chips.proved(lambda _: undisturbed[0], deep=False)


@pytest.mark.exhaustive
@pytest.mark.cluster
@pytest.mark.parametrize(("strike", "times", "seed"), [(kill_driver, 5, 0), (kill_driver_of_workers, 4, 1)])
def test_drivers_are_killed_again_and_again_while_they_polish(undisturbed, chips, strike, times: int, seed: int):
    chance = random.Random(seed)
    for _ in range(times):
        assert strike(chips, chance.randint(1, max(1, chips.requests // (2 * times))))
    chips.proved(lambda _: undisturbed[0])


@pytest.mark.exhaustive
@pytest.mark.cluster
@pytest.mark.parametrize("more", [1, 5, 12])
def test_a_worker_is_killed_while_it_polishes(undisturbed, chips, more: int):
    with cluster(chips.folder / "cluster") as dask:
        assert kill_worker(chips, dask, more)
    chips.proved(lambda _: undisturbed[0])
