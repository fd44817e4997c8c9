"""Captions on disk: one sealed file for the patches of each commit, created only where there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from nutonic.chips.scene.description import Task
from nutonic.core.model import Json
from nutonic.errors import Corrupt
from nutonic.io.objects import Store, sealed, unsealed
from nutonic.planning.layout import CommitName
from nutonic.planning.patches.layout import captions_path
from nutonic.rows.annotation.values import Annotation, PatchCaptions, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionCommit:
    """What captioning made of the patches of a commit."""

    commit: CommitName
    recipe_digest: str
    plan_digest: str
    patches: tuple[PatchCaptions, ...]
    """In the order of the commit."""


def captions_bytes(commit: CaptionCommit) -> bytes:
    """As they are kept."""
    return sealed(
        {
            "captions": commit.commit.text,
            "recipe_digest": commit.recipe_digest,
            "plan": commit.plan_digest,
            "patches": [asdict(patch) for patch in commit.patches],
        }
    )


def read_captions(store: Store, name: CommitName) -> CaptionCommit:
    """The captions of a commit's patches.

    Raises
    ------
    FileNotFoundError
        If there are none yet.
    Corrupt
        If they are not what was written.
    """
    path = captions_path(name)
    value = unsealed(store.get(path), path)
    if value.get("captions") != name.text:
        raise Corrupt(f"{path} holds captions of {str(value.get('captions'))[:40]}: it was copied or renamed")
    try:
        patches = tuple(map(_patch, value["patches"]))
        return CaptionCommit(
            commit=name, recipe_digest=str(value["recipe_digest"]), plan_digest=str(value["plan"]), patches=patches
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Corrupt(f"{path} holds no captions") from None


def _patch(value: Json) -> PatchCaptions:
    annotations = tuple(Annotation(**{**each, "task": Task(**each["task"])}) for each in value["annotations"])
    return PatchCaptions(
        patch_id=value["patch_id"],
        annotations=annotations,
        rejections=tuple(Rejection(**each) for each in value["rejections"]),
        usage=tuple((name, int(asked), int(answered)) for name, asked, answered in value["usage"]),
    )
