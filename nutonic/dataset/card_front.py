"""The front matter of a card: what the Hugging Face Hub, and ``load_dataset``, read of a dataset."""

from __future__ import annotations

from collections.abc import Collection

import yaml

from nutonic.core.model import Json
from nutonic.dataset.card_text import CardFacts

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)

#: Identifiers by which the Hub knows licences of data; others are told by name.
_LICENCES = (
    " apache-2.0 bsd bsd-2-clause bsd-3-clause c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0"
    " cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-"
    " nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-permissive-1.0 cdla-permissive-2.0"
    " cdla-sharing-1.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl-3.0 mit mpl-2.0 odbl odc-by other pddl"
    " unknown unlicense"
    " "
)

#: Categories of the Hub by what a task's name holds.
_CATEGORIES = (
    ("image-to-text", ("caption", "overview")),
    ("object-detection", ("grounding", "referring")),
    ("visual-question-answering", ("vqa", "choice", "absence")),
)


def front_matter(facts: CardFacts) -> str:
    """YAML between two lines of dashes.

    It says which files each split has, and how many rows. Of features it says nothing: those of the newest `datasets`
    (parts of any keys, as JSON) are unknown to 3.6, and those of 3.6 would give each part every key in the newest.
    """
    done, files = facts.done, "-*" if facts.spec.output.rows_per_file is not None else ""
    total = done.rows.total()
    content = {
        "pretty_name": facts.spec.name,
        **licence_of(facts.spec.card.licence),
        "task_categories": _categories(done.tasks),
        "language": ["en"],
        "tags": ["earth-observation", "remote-sensing", "land-cover", *facts.tags, "nutonic"],
        "size_categories": [size_of(total)],
        "dataset_info": {
            "splits": [{"name": s, "num_bytes": done.bytes[s], "num_examples": done.rows[s]} for s in facts.splits]
        },
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": s, "path": f"data/{s}{files}.jsonl"} for s in facts.splits],
            }
        ],
    }
    if not facts.splits:
        del content["dataset_info"], content["configs"]
    return framed(content)


def framed(content: Json) -> str:
    """YAML between two lines of dashes."""
    return f"---\n{yaml.safe_dump(content, sort_keys=False)}---\n"


def size_of(rows: int) -> str:
    """The Hub's word for so many rows."""
    return next((name for below, name in _SIZES if rows < below), "n>1T")


def licence_of(licence: str | None) -> Json:
    """A licence as the Hub knows it, or by its name."""
    if licence is None:
        return {"license": "other"}
    if licence.lower() in _LICENCES.split():
        return {"license": licence.lower()}
    return {"license": "other", "license_name": licence}


def _categories(tasks: Collection[str]) -> list[str]:
    found = [name for name, words in _CATEGORIES if any(word in task for task in tasks for word in words)]
    return ["image-text-to-text", *found]
