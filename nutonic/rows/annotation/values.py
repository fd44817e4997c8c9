"""The values of captioning: a caption, where it came from, and what was not let through."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from nutonic.chips.scene.description import Task
from nutonic.core.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A caption that was let through."""

    task: Task
    text: str
    annotator: str
    """Its name in the recipe."""
    request: str
    """SHA-256 (hex) of the whole request that it answers; of a template, of what it was made of."""
    prompt: str
    """SHA-256 (hex) of the text of the prompt."""
    seed: int
    model: str | None = None
    temperature: float | None = None

    def row(self) -> Json:
        """As shards tell it: task, text, annotator."""
        return {"task": self.task.number, "text": self.text, "annotator": self.annotator}

    def trace(self) -> Json:
        """Where it came from, as shards tell it beside the row."""
        return {name: value for name, value in asdict(self).items() if name != "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An answer that was not let through."""

    patch_id: str
    task: int
    annotator: str
    reason: str
    """A short phrase to count by."""
    detail: str
    """What was found."""
    text: str
    """The answer, no longer than 1,000 letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchCaptions:
    """What captioning made of a patch."""

    patch_id: str
    annotations: tuple[Annotation, ...]
    """In the order of their tasks; none if nothing was let through, and the patch is left out."""
    rejections: tuple[Rejection, ...] = ()
    usage: tuple[tuple[str, int, int], ...] = field(default=())
    """Annotator, tokens of requests and tokens of answers, of every answer, let through or not."""
