"""Captioning one patch: who is asked, what becomes of each answer, and what is left when nobody has a good one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import orjson

from nutonic.chips.scene.description import SceneDescription, Task
from nutonic.core.model import Json
from nutonic.lazily import lazily
from nutonic.recipe.annotation import Annotator, Captions
from nutonic.rows.annotation import prompts
from nutonic.rows.annotation.gate import Gate
from nutonic.rows.annotation.talk import Problem
from nutonic.rows.annotation.values import Annotation, PatchCaptions, Rejection
from nutonic.sources.annotators.answers import Answers, caption_of, digest_of, request_of
from nutonic.sources.annotators.batches import Pending
from nutonic.sources.annotators.endpoint import REFUSED

#: Of an answer that was not let through, so many letters are kept.
_KEPT = 1000


class Judge(Protocol):
    """Who lets answers through: :class:`nutonic.rows.annotation.gate.Gate`, or one that asks for more."""

    def problem_of(
        self, text: str, task: Task, *, before: str | None = None, prompt: str = "", seen: bool = False
    ) -> Problem | None:
        """Why an answer is not let through; None if it is."""
        ...


@dataclass
class _Desk:
    """One patch on its way through captioning."""

    description: SceneDescription
    answers: Answers
    captions: Captions
    texts: Mapping[str, str]
    gate: Judge
    picture: bytes | None
    from_space: bool
    rejections: list[Rejection] = field(default_factory=list)
    usage: list[tuple[str, int, int]] = field(default_factory=list)
    _asked: dict[tuple[Task, str | None, bool], list[Json]] = field(default_factory=dict)

    def messages(self, task: Task, before: str | None, *, picture: bool) -> list[Json]:
        """What is asked for a task, whoever is asked, and however often: another attempt has another seed alone."""
        key = task, before, picture
        if key not in self._asked:
            shown = self.picture if picture else None
            self._asked[key] = prompts.messages(
                self.description, task, before, self.captions, self.texts, picture=shown
            )
        return self._asked[key]

    @property
    def is_refused(self) -> bool:
        """Whether the endpoint that was asked last does not take the request."""
        return bool(self.rejections) and self.rejections[-1].reason == "refused"

    @lazily
    def digest(self) -> str:
        """SHA-256 (hex) of the description; it may have hundreds of elements, and is asked for by each caption."""
        return hashlib.sha256(orjson.dumps(self.description)).hexdigest()


def annotate(
    description: SceneDescription,
    tasks: Sequence[Task],
    annotators: Sequence[Annotator],
    answers: Answers,
    captions: Captions,
    *,
    texts: Mapping[str, str],
    nouns: Collection[str] = (),
    hidden: Collection[str] = (),
    picture: bytes | None = None,
    from_space: bool = False,
) -> PatchCaptions:
    """Caption a patch. Given the answers, the result is the same; safe in threads.

    Each task has annotators in an order of its own, drawn by their weights. Each is asked as often as `captions.attempts`
    says, with another seed each time; then the next one is. A revision that nobody can make is left out; where the first
    caption is, the patch is.

    Parameters
    ----------
    description
        What is known of the patch.
    tasks
        The first caption (task 1 or 2), then its revisions (task 3).
    annotators
        Who may be asked.
    answers
        Where answers are kept, and who is asked for those that are not.
    captions
        What is asked for.
    texts
        Templates of prompts, by name.
    nouns
        All that the policy of tags can call a thing: what no element is called is not there.
    hidden
        Names that elements of the patch have, which no caption says unless names are asked for.
    picture, from_space
        The patch as JPEG, for annotators that see; and whether it is a satellite's, and no aerial picture.

    Raises
    ------
    Pending
        If answers are to come by file, with all requests that can be told by now.
    NutonicError
        If an annotator cannot be asked; nothing is lost by asking again later.
    """
    gate = Gate(description, captions, nouns=nouns, hidden=hidden)
    desk = _Desk(description, answers, captions, _worded(texts, from_space), gate, picture, from_space)
    first = next(task for task in tasks if task.number != 3)
    base = _done(desk, first, None, annotators)
    later = [task for task in tasks if task.number == 3]
    made = [] if base is None else [base, *_revisions(desk, later, base.text, annotators)]
    return PatchCaptions(
        patch_id=description.patch_id,
        annotations=tuple(made),
        rejections=tuple(desk.rejections),
        usage=tuple(desk.usage),
    )


def revise(
    description: SceneDescription,
    element: str,
    before: str,
    captions: Captions,
    answers: Answers,
    *,
    texts: Mapping[str, str],
    gate: Judge,
    from_space: bool = False,
) -> PatchCaptions:
    """Say a caption in other words, as :func:`annotate` makes revisions; without an annotation if nobody can.

    `element` is the one that it is about, `gate` judges what is answered; the others are as of :func:`annotate`, and so is
    what is raised.
    """
    desk = _Desk(description, answers, captions, _worded(texts, from_space), gate, None, from_space)
    made = _done(desk, Task(number=3, element=element), before, captions.annotators)
    return PatchCaptions(
        patch_id=description.patch_id,
        annotations=() if made is None else (made,),
        rejections=tuple(desk.rejections),
        usage=tuple(desk.usage),
    )


def _worded(texts: Mapping[str, str], from_space: bool) -> Mapping[str, str]:
    return prompts.of_satellites(texts) if from_space else texts


def _revisions(desk: _Desk, tasks: list[Task], base: str, annotators: Sequence[Annotator]) -> list[Annotation]:
    """Those revisions that are let through; Pending with all requests of those that wait."""
    made, waiting = list[Annotation](), list[tuple[str, Json]]()
    for task in tasks:
        try:
            revision = _done(desk, task, base, annotators)
        except Pending as found:
            waiting += found.requests
        else:
            made += [revision] if revision is not None else []
    if waiting:
        raise Pending(waiting)
    return made


def _done(desk: _Desk, task: Task, before: str | None, annotators: Sequence[Annotator]) -> Annotation | None:
    """The first caption that is let through; None if there is none."""
    key = f"{desk.captions.seed} {desk.description.patch_id} {task.number} {task.element} {task.index}"
    for annotator in in_order(annotators, key):
        for attempt in range(desk.captions.attempts):
            seed = _drawn(f"{key} {annotator.name} {attempt}", 2**31)
            ask = _from_template if annotator.kind == "template" else _from_model
            annotation = ask(desk, task, before, annotator, seed)
            if annotation is not None:
                return annotation
            if desk.is_refused:
                break  # whatever the seed is
    return None


def in_order(annotators: Sequence[Annotator], key: str) -> list[Annotator]:
    """Annotators in an order that a key decides: the first by weight, each next one by weight among those that are left."""
    left, order = list(annotators), list[Annotator]()
    while left:
        point = _drawn(f"{key} {len(order)}", 2**53) / 2**53 * sum(each.weight for each in left)
        index = 0
        while index + 1 < len(left) and point >= left[index].weight:
            point -= left[index].weight
            index += 1
        order.append(left.pop(index))
    return order


def _drawn(key: str, below: int) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % below


def _from_template(desk: _Desk, task: Task, before: str | None, annotator: Annotator, seed: int) -> Annotation | None:
    """A caption of templates, if the gate lets it through: where there is too little to say, it does not."""
    from nutonic.rows.annotation.captions import template_caption

    text = template_caption(desk.description, task, before, desk.captions, seed, from_space=desk.from_space)
    made = {"description": desk.digest, "task": asdict(task), "before": before, "seed": seed}
    made["captions"] = desk.captions.model_dump(mode="json", include={"words", "names"})
    digest = hashlib.sha256(orjson.dumps(made, option=orjson.OPT_SORT_KEYS)).hexdigest()
    problem = _problem_of(desk, task, before, text, annotator)
    if problem is not None:
        _reject(desk, task, annotator, problem, text)
        return None
    return Annotation(task=task, text=text, annotator=annotator.name, request=digest, prompt=digest, seed=seed)


def _from_model(desk: _Desk, task: Task, before: str | None, annotator: Annotator, seed: int) -> Annotation | None:
    """A model's caption, if the gate lets it through."""
    asked = desk.messages(task, before, picture=annotator.picture)
    request = request_of(annotator, asked, seed)
    answer = desk.answers.ask(annotator, request)
    desk.usage.append((annotator.name, answer.prompt_tokens, answer.completion_tokens))
    text = caption_of(answer, structured=annotator.structured)
    problem = _cut_or_malformed(text, answer.finish_reason) or _problem_of(desk, task, before, text or "", annotator)
    if problem is not None:
        _reject(desk, task, annotator, problem, answer.text)
        return None
    return Annotation(
        task=task,
        text=text or "",
        annotator=annotator.name,
        request=digest_of(request),
        prompt=prompts.digest_of(asked),
        seed=seed,
        model=annotator.model,
        temperature=annotator.temperature,
    )


def _problem_of(desk: _Desk, task: Task, before: str | None, text: str, annotator: Annotator) -> tuple[str, str] | None:
    """Why the gate lets a text not through; whoever wrote it."""
    seen = annotator.picture and desk.picture is not None
    return desk.gate.problem_of(text, task, before=before, prompt=_rules_of(desk, task), seen=seen)


def _cut_or_malformed(text: str | None, finish_reason: str) -> tuple[str, str] | None:
    if finish_reason.startswith(REFUSED):
        return "refused", f"the endpoint answers {finish_reason.removeprefix(REFUSED)}"
    if finish_reason == "length":
        return "cut off", "it reached max_tokens"
    if finish_reason == "content_filter":
        return "refusal", "the endpoint's filter of contents"
    return ("no JSON", "it is not what was asked for by a schema") if text is None else None


def _rules_of(desk: _Desk, task: Task) -> str:
    """The words of the prompt that are no facts: an answer that repeats them is an echo."""
    return "\n".join(desk.texts[name] for name in ("system", prompts.TEMPLATES[task.number]))


def _reject(desk: _Desk, task: Task, annotator: Annotator, problem: tuple[str, str], text: str) -> None:
    reason, detail = problem
    desk.rejections.append(
        Rejection(
            patch_id=desk.description.patch_id,
            task=task.number,
            annotator=annotator.name,
            reason=reason,
            detail=detail[:200],
            text=text[:_KEPT],
        )
    )
