"""Some of many cases, chosen by the session's seed; all of them in the exhaustive tier."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import wraps
from hashlib import sha256
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

#: Of so many cases one is in the default run, and at least one of each kind.
ONE_IN = 12

#: Seeds of commits are below it: short enough to be typed.
_SEEDS = 10**6


def seed_of(told: str, folder: Path) -> int:
    """The seed that is meant: a number, one at ``random``, or the one of the ``commit`` that a folder has checked out."""
    if told == "random":
        return random.SystemRandom().randrange(_SEEDS)
    return seed_of_commit(folder) if told == "commit" else int(told)


def seed_of_commit(folder: Path) -> int:
    """A seed that each commit has another of, so that many commits see all cases: by its files, whoever made it and when.

    Where a folder is no working tree of git, it is 0.
    """
    command = ["git", "-C", folder, "rev-parse", "--show-prefix", "HEAD^{tree}"]
    try:
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(told[1], 16) % _SEEDS if told[0] == "" else 0  # it may lie in a repository of something else


@dataclass(frozen=True, slots=True)
class Sample:
    """Chooses among the cases of a test."""

    seed: int
    every: bool = False
    """Whether this is the exhaustive tier."""

    def __call__(
        self, cases: Iterable[T], kind: Callable[[T], Hashable] = lambda case: None, one_in: int = ONE_IN
    ) -> list[T]:
        """All cases, or of each kind every so manieth (at least one), in their order."""
        cases = list(cases)
        if self.every:
            return cases
        chance, kinds = self.random(), {}
        for i, case in enumerate(cases):
            kinds.setdefault(kind(case), []).append(i)
        chosen = [i for of_kind in kinds.values() for i in chance.sample(of_kind, -(-len(of_kind) // one_in))]
        return [cases[i] for i in sorted(chosen)]

    def times(self, some: int, every: int) -> int:
        """How often to try at random."""
        return every if self.every else some

    def random(self) -> random.Random:
        """Chance that is the same in every run with this seed."""
        return random.Random(self.seed)


def leftover(cases: list[T], name: Callable[[T], str], one_in: int, seed: int) -> list[T]:
    """The cases that the default run leaves out: all but one in so many, the same names for every test with these names."""
    order = sorted(cases, key=lambda case: sha256(f"{seed} {name(case)}".encode()).digest())
    return order[-(-len(order) // one_in) :]


def examples(some: int, every: int, *args: SearchStrategy, **kwargs: SearchStrategy) -> Callable[[Callable], Callable]:
    """As Hypothesis's `given`: of so many examples in the default run, and of more in the exhaustive tier."""

    def decorate(test: Callable) -> Callable:
        @wraps(test)
        def tried(*, sample: Sample, **fixtures: object) -> None:
            how = settings(
                max_examples=sample.times(some, every),
                database=None,
                suppress_health_check=[HealthCheck.function_scoped_fixture],
            )
            seed(sample.seed)(how(given(*args, **kwargs)(test)))(**fixtures)

        known = list(signature(test).parameters.values())
        fixtures = [p for p in known[: len(known) - len(args)] if p.name not in kwargs]
        names = ["sample", *(p.name for p in fixtures)]
        tried.__signature__ = Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in names])
        return tried

    return decorate
