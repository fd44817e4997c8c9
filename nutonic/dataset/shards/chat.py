"""Captions as rows of chat: a question that names what kind of picture it is asked of, and the caption as its answer.

A caption speaks of one thing on the ground, so its question asks for one: the answer is whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from nutonic.core.model import Json
from nutonic.dataset.shards.samples import PatchImage, kind_of_picture
from nutonic.rows.annotation.values import Annotation

#: What rows call the three tasks.
NAMES: Mapping[int, str] = {1: "area_caption", 2: "line_caption", 3: "brief_caption"}

#: How captions are asked for, by task; ``{picture}`` is the kind of the picture. A caption of task 3 is a short one.
PROMPTS: Mapping[int, tuple[str, ...]] = {
    1: (
        "Describe one of the larger areas that can be seen in this {picture}.",
        "Pick an area that stands out in this {picture}, and describe it.",
        "Choose one of the areas that cover some of this {picture}: what is there to say about it?",
        "What is one of the main areas of this {picture}?",
        "Tell me about an area of ground that is easy to make out in this {picture}.",
        "Write a caption for this {picture} that is about one of its larger areas.",
        "Look at this {picture}, choose one area of the ground, and describe it.",
        "Which area catches the eye in this {picture}? Describe it.",
        "Give a description of one area in this {picture}.",
        "Describe one of the larger patches of ground in this {picture}.",
        "Find an area of some size in this {picture}, and say what you see there.",
        "In a few sentences, describe one area that this {picture} shows.",
    ),
    2: (
        "Describe one of the longer lines that run through this {picture}.",
        "Pick a linear feature of this {picture}, such as a road or a stream, and describe it.",
        "Choose one of the long and narrow things in this {picture}: what is there to say about it?",
        "What is one of the main lines of this {picture}?",
        "Tell me about a linear feature that is easy to follow in this {picture}.",
        "Write a caption for this {picture} that is about one of its linear features.",
        "Look at this {picture}, choose one line on the ground, and describe it.",
        "Which line on the ground catches the eye in this {picture}? Describe it.",
        "Give a description of one linear feature in this {picture}.",
        "Follow one of the long features of this {picture}, and describe it.",
        "Find something long and narrow in this {picture}, and say what you see.",
        "In a few sentences, describe one linear feature that this {picture} shows.",
    ),
    3: (
        "Give a short caption for something that can be seen in this {picture}.",
        "Briefly: what is one thing that this {picture} shows?",
        "Describe one feature of this {picture} in few words.",
        "Write a brief caption about one feature of this {picture}.",
        "Name one thing on the ground in this {picture}, and describe it briefly.",
        "In short, what is one of the features of this {picture}?",
        "Caption this {picture} in a sentence or two, about one feature of your choice.",
        "Say shortly what stands out in this {picture}.",
        "What would be a concise caption about one part of this {picture}?",
        "Pick one feature of this {picture}, and describe it concisely.",
        "Keep it short: what do you see in this {picture}? One feature is enough.",
        "A brief description of one thing in this {picture}, please.",
    ),
}


def chat_row(image: PatchImage, annotation: Annotation, path: str) -> Json:
    """A caption as a row with ``messages``, in the form of the rows of other recipes.

    Parameters
    ----------
    image
        The patch that the caption is about.
    annotation
        The caption.
    path
        Of the patch's picture, in the tree.

    Returns
    -------
    dict
        ``id``, ``task``, ``patch_id``, ``annotator`` and ``messages``. The id is of the patch, the task and, for the
        second of a task and those after it, its number.
    """
    number, index = annotation.task.number, annotation.task.index
    name = NAMES[number]
    row_id = f"{image.patch_id}__{name}" + (f"_{index}" if index else "")
    return {
        "id": row_id,
        "task": name,
        "patch_id": image.patch_id,
        "annotator": annotation.annotator,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "image": path},
                    {
                        "type": "text",
                        "text": prompt_of(row_id, number, kind_of_picture(image.collection, abs(image.grid.affine.a))),
                    },
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": annotation.text}]},
        ],
    }


def prompt_of(row_id: str, task: int, picture: str) -> str:
    """The question of a row, in words that its id alone chooses; `picture` is what it is asked of.

    >>> prompt_of("p0__line_caption", 2, "aerial photograph").count("aerial photograph")
    1
    """
    prompts = PROMPTS[task]
    chosen = np.random.default_rng([*hashlib.sha256(row_id.encode()).digest()]).integers(len(prompts))
    return prompts[int(chosen)].format(picture=picture)
