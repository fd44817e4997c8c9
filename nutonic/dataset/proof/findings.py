"""The tree that checks read, and the findings that they give."""

from __future__ import annotations

from dataclasses import dataclass, field

from nutonic.core.model import Json
from nutonic.dataset.commits import CommittedPlace
from nutonic.inert import inert
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.ownership import Ownership
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.outputs import Output

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
        return text if curable or not fixing else f"{text} (nothing to remove would fix it)"


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
    done: list[CommittedPlace]
    commits: dict[CommitName, Json] = field(default_factory=dict)
    """Name and content of every commit that counts."""
    named: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Every committed file with size and SHA-256."""
