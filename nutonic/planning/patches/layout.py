"""Where everything of a tree of patches lies, beside what trees of places have too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nutonic.core.model import SPLITS
from nutonic.planning.layout import COMMITS, META, CommitName, commit_name
from nutonic.planning.ownership import Ownership
from nutonic.planning.patches.shards import expression_of
from nutonic.recipe.patches import Shards

#: Captions of the patches of each commit.
CAPTIONS = f"{META}/captions"

STATISTICS = "statistics.json"
FIGURES = "figures"

_FIGURE = re.compile(rf"{FIGURES}/[a-z_]+\.png")
_FOLDERS = frozenset({CAPTIONS, FIGURES})


def captions_path(name: CommitName) -> str:
    """Where the captions of a commit's patches lie."""
    return f"{CAPTIONS}/{name.text}.json"


def captioned(paths: Iterable[str]) -> set[CommitName]:
    """The commits whose captions lie at these paths."""
    names = (commit_name(path.replace(CAPTIONS, COMMITS, 1)) for path in paths if path.startswith(f"{CAPTIONS}/"))
    return {name for name in names if name is not None}


def patch_id(ordinal: int) -> str:
    """``patch_000607``: a patch by its position among all of the lattices."""
    return f"patch_{ordinal:06d}"


def image_path(patch: str, ordinal: int, files_per_folder: int = 8000) -> str:
    """Path of a patch's own picture, where rows of chat need one."""
    return f"images/s{ordinal // files_per_folder:05d}/{patch}.jpg"


@dataclass(frozen=True, kw_only=True)
class PatchOwnership(Ownership):
    """Which files of a tree of patches are nutonic's."""

    shards: Shards

    def has_folder(self, path: str) -> bool:
        """Whether nutonic writes files into the folder at this path."""
        shown = path in {f"data/{split}" for split in SPLITS} or re.fullmatch(r"images/s\d{5}", path) is not None
        return super().has_folder(path) or path in _FOLDERS or shown

    def _is_planned(self, path: str) -> bool:
        if path == STATISTICS or _FIGURE.fullmatch(path):
            return True
        if path.startswith(f"{CAPTIONS}/"):
            return bool(captioned([path]))
        if path.startswith("images/"):
            return self._is_picture(path)
        return self._is_data(path) if path.startswith("data/") else super()._is_planned(path)

    def _is_picture(self, path: str) -> bool:
        patch = path.rsplit("/", 1)[-1].removesuffix(".jpg")
        place = self.planned.by_id.get(patch)
        return place is not None and self.shards.chat and path == image_path(patch, place.ordinal)

    def _is_data(self, path: str) -> bool:
        return any(
            path == f"data/{split}.jsonl" or re.fullmatch(expression_of(self.shards.name, split), path)
            for split in SPLITS
        )
