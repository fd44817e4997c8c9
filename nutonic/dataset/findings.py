"""What a check looks at, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field

from nutonic.core.model import Json
from nutonic.dataset.commits import CommittedPlace
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.ownership import Ownership
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.outputs import Output


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and what there is to be done about it."""

    text: str
    path: str | None = None
    """The file that is wrong, missing or too much; the next build makes it right once it is gone."""
    place: CommittedPlace | None = None
    """The place that is wrong as it is committed; the next build makes it again once it is not."""
    to_build: bool = False
    """Whether nothing is wrong, only not there yet."""

    def told(self, fixing: bool) -> str:
        """The text; where one has tried to fix it, also that removing files is no help against it."""
        curable = self.path is not None or self.place is not None or self.to_build
        return self.text if curable or not fixing else f"{self.text} (nothing to remove would fix it)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree as its commits tell it."""

    store: Store
    plan: PlanFile
    recipe_digest: str
    """Of the recipe that the plan tells."""
    chip_side: int
    """Pixels along a side of its chips."""
    output: Output
    ownership: Ownership
    """Which files of it are nutonic's to remove."""
    done: list[CommittedPlace]
    commits: dict[CommitName, Json] = field(default_factory=dict)
    """Name and content of every commit that counts."""
    named: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Every committed file with size and SHA-256."""
