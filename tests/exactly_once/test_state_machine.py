"""Whatever happens to a tree, and in whatever order: mended and built again it is the one that nothing happened to."""

from __future__ import annotations

import inspect
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support.crashing import MOMENTS, Forks, Point
from support.trees import called_whole, same_as, tree

from nutonic import load_recipe
from nutonic.dataset.card import is_theirs
from nutonic.dataset.verify import verify
from nutonic.errors import StoreError
from nutonic.io.objects import Store
from nutonic.run.run import build

CAN_FIX = "fix" in inspect.signature(verify).parameters

#: What is damaged: a kind of file, and how.
KINDS = (
    "images", "metadata", "data", "README.md", "_nutonic/parts", "_nutonic/commits", "_nutonic/summary.json",
)  # fmt: skip
HURTS = ("flip", "truncate", "delete", "empty")


def hurt(path: Path, how: str, chance: random.Random) -> None:
    content = path.read_bytes()
    if how == "delete":
        path.unlink()
    elif how == "truncate":
        path.write_bytes(content[: chance.randrange(max(1, len(content)))])
    elif how == "empty":
        path.write_bytes(b"")
    elif content:
        at = chance.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :])


class Life(RuleBasedStateMachine):
    """The life of one tree. What is damaged by hand may need mending; what is killed never does."""

    forks: Forks
    clean = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="nutonic-life-"))
        self.out = self.folder / "tree"
        self.recipe = load_recipe(self.clean.recipe)
        self.damaged = False

    def teardown(self) -> None:
        try:
            self.mended()
        finally:
            shutil.rmtree(self.folder)

    def mended(self) -> None:
        """What it must come to in the end."""
        if self.damaged and CAN_FIX:
            if (self.out / "README.md").is_file() and is_theirs(Store(self.out)):
                (self.out / "README.md").unlink()  # a card that may have been edited is a person's to move away
            verify(self.out, deep=True, fix=True)
            self.damaged = False
        if not self.damaged:
            assert build(self.recipe, self.out, workers=0).complete
            same_as(self.out, self.clean)

    def try_to_build(self, **options) -> None:
        """A damaged tree may refuse, and say so; any other builds."""
        try:
            summary = build(self.recipe, self.out, workers=0, **options)
        except StoreError:
            assert self.damaged
            return
        assert summary.complete

    @rule()
    def run(self) -> None:
        self.try_to_build()
        if not self.damaged:
            same_as(self.out, self.clean)

    @rule(limit=st.integers(1, 9))
    def run_with_a_limit(self, limit: int) -> None:
        self.try_to_build(limit=limit)

    @rule(at=st.integers(0, 36), moment=st.sampled_from(MOMENTS["create"]), limit=st.none() | st.integers(1, 9))
    def crash(self, at: int, moment: str, limit: int | None) -> None:
        ended = self.forks.run(self.clean.recipe, self.out, Point(at, moment), limit=limit)
        assert ended.killed or ended.code == 0 or self.damaged, ended.told

    @rule(at=st.integers(0, 36), moment=st.sampled_from(MOMENTS["create"]))
    def two_drivers_at_once_and_one_is_killed(self, at: int, moment: str) -> None:
        """The other must not notice."""
        first = self.forks.start(self.clean.recipe, self.out, Point(at, moment))
        second = self.forks.start(self.clean.recipe, self.out)
        first, second = first.wait(), second.wait()
        assert first.killed or first.code == 0 or self.damaged, first.told
        assert second.code == 0 or self.damaged, second.told

    @precondition(lambda self: self.out.exists())
    @rule(kind=st.sampled_from(KINDS), how=st.sampled_from(HURTS), seed=st.integers(0, 99))
    def damage(self, kind: str, how: str, seed: int) -> None:
        chance = random.Random(seed)
        names = (path.relative_to(self.out).as_posix() for path in self.out.rglob("*") if path.is_file())
        found = sorted(name for name in names if name.startswith(kind))
        if found:
            hurt(self.out / chance.choice(found), how, chance)
            self.damaged = True

    @precondition(lambda self: self.out.exists() and CAN_FIX)
    @rule()
    def repair(self) -> None:
        self.mended()

    @invariant()
    def whole_is_what_equals_the_clean_tree(self) -> None:
        """Or is a part of it, where a build had a limit."""
        if not self.out.exists() or not called_whole(self.out):
            return
        if verify(self.out).limit is None:
            same_as(self.out, self.clean)
            return
        found, right = tree(self.out), self.clean.files
        assert [
            name for name in found if name.startswith(("images/", "metadata/")) and found[name] != right[name]
        ] == []
        rows = {name: data.splitlines() for name, data in found.items() if name.startswith("data/")}
        for name, lines in rows.items():
            assert len(set(lines)) == len(lines)
            assert [line for line in lines if line not in right[name].splitlines()] == []


def test_whatever_happens_to_a_tree(forks, clean, sample):
    Life.forks, Life.clean = forks, clean
    seed(sample.seed)(Life)
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=sample.times(1, every=20),
            stateful_step_count=sample.times(8, every=10),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
