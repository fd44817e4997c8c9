"""Which rows are a test of what, by metrics that score them as they are meant: of validation and test rows alone."""

from __future__ import annotations

import re

from nutonic.core.model import Json, Split
from nutonic.dataset.packs.forms import Shards

#: Benchmarks by name, with leap-finetune's metric.
METRICS = {
    "grounding": "grounding_iou_f1",
    "referring": "grounding_iou",
    "short": "short_answer",
    "choice": "mcq_gen",
    "choice_logprob": "logprob_zero_shot",
}

#: Splits that tests are made of.
TESTED: tuple[Split, ...] = ("validation", "test")


def benchmarks_of(row: Json) -> dict[str, Json]:
    """The benchmarks that a row is part of, each with the row as it is asked there.

    Captions are part of none: their answers are long. For log-probabilities the answers to choose from are the letters that
    the question asks for, and there is no turn of the assistant.
    """
    task, answer = row["task"], row["messages"][-1]["content"][0]["text"]
    asked = {"id": row["id"], "messages": row["messages"]}
    if task in ("grounding", "class_grounding"):
        return {"grounding": asked}
    if task == "referring":
        return {"referring" if answer.startswith("[") else "short": asked}
    if task in ("vqa", "absence"):
        return {"short": asked}
    if task == "choice" and row.get("options"):
        letters = [chr(ord("A") + k) for k in range(len(row["options"]))]
        known = {"options": letters, "answer_id": row["answer_id"]}
        if not re.fullmatch("[A-Z]", answer) or letters[row["answer_id"]] != answer:
            return {}
        return {"choice": asked, "choice_logprob": {"id": row["id"], "messages": row["messages"][:-1], **known}}
    return {}


def eval_file(name: str, split: Split) -> str:
    """Path of the rows of a benchmark."""
    return f"evals/{split}_{name}.jsonl"


def benchmarks_with_rows(shards: Shards) -> list[tuple[Split, str]]:
    """The benchmarks that have rows."""
    counts: dict[tuple[Split, str], int] = {}
    for record in shards.records:
        for name, count in record.form_facts.get("evals", {}).items():
            counts[record.split, name] = counts.get((record.split, name), 0) + count
    return [(split, name) for split in TESTED for name in METRICS if counts.get((split, name))]
