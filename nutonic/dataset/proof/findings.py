"""The tree that checks read, and the findings that they give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nutonic.core.model import Json
from nutonic.dataset.commits import CommittedPlace, entries_of, read_commit
from nutonic.dataset.index import NamedFiles, Spans
from nutonic.inert import inert
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.ownership import Ownership
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.outputs import Output

#: Letters of a finding that are told.
_LONGEST = 800

#: What goes wrong where a value that was read is not of the type that it should be.
ODD = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, AssertionError)


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of a tree, and what would fix it."""

    text: str
    path: str | None = None
    """The file that is wrong, missing or superfluous; once it is removed, the next build fixes it."""
    place: CommittedPlace | None = None
    """The place whose commit is wrong; once it is out of the commit, the next build makes it again."""
    to_build: bool = False
    """Whether something is only not built yet."""
    note: bool = False
    """Whether nothing is wrong: something was seen, and is not judged."""

    def message(self, fixing: bool) -> str:
        """The text; with `fixing`, also a note if removing files cannot fix the problem."""
        curable = self.path is not None or self.place is not None or self.to_build or self.note
        text = inert(self.text)
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"  # it may quote what has no end
        return text if curable or not fixing else f"{text} (nothing to remove would fix it)"


def unlike(there: int | None, size: int) -> str:
    """What is wrong with a file that has another size than its commit says, or None where none is there."""
    return "is missing" if there is None else f"has {there} bytes, its commit says {size}"


class CommitFiles(Mapping[CommitName, Json]):
    """Commits that count, each read when it is asked for: all of a large tree would take gigabytes."""

    def __init__(self, store: Store, names: Iterable[CommitName]) -> None:
        self._store, self._names = store, dict.fromkeys(names)

    def __getitem__(self, name: CommitName) -> Json:
        if name not in self._names:
            raise KeyError(name)
        return read_commit(self._store, name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[CommitName]:
        return iter(self._names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree, as its plan and commits describe it."""

    store: Store
    plan: PlanFile
    recipe_digest: str
    """Digest of the recipe in the plan."""
    chip_side: int
    """Pixels along a side of a chip."""
    output: Output
    ownership: Ownership
    """Which of its files are nutonic's to remove."""
    commits: CommitFiles
    """Every commit that counts, by name."""
    spans: Spans
    """Where the rows of the committed places lie."""
    named: NamedFiles
    """Every file that commits name, with its size."""

    def entries(self) -> Iterator[CommittedPlace]:
        """The committed places, as their commits come."""
        return (entry for name, content in self.commits.items() for entry in entries_of(name, content))
