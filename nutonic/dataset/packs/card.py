"""The card of a pack: that of its tree, a person's words included; how this form is loaded, instead of how the tree is."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from nutonic._version import __version__
from nutonic.core.model import Json, Split
from nutonic.core.units import counted
from nutonic.dataset.card import NOTE_BEGINS, NOTE_ENDS, sealed
from nutonic.dataset.card_front import framed, size_of
from nutonic.dataset.packs.forms import Form, Shards
from nutonic.dataset.packs.tree import TreeFacts
from nutonic.inert import markdown_code

#: Sections of a tree's card that are about the tree's own files.
_OF_FILES = ("Layout", "Loading")


def card_of(form: Form, shards: Shards, facts: TreeFacts) -> bytes:
    """The card as Markdown with YAML front matter."""
    front, opening, sections = parted_card(facts.card)
    loading = form.loading(shards, facts)
    rows = {split: shards.rows(split) for split in shards.splits}
    counts = ", ".join(f"{count:,} in {split}" for split, count in rows.items())
    about = f"""## This pack

{counted(sum(rows.values()), "row")} ({counts}) as `{form.name}`, packed with nutonic {__version__} from a tree of recipe \
{markdown_code(facts.origin["recipe_digest"])}.

{loading.layout}

{loading.code}"""
    kept = [text for title, text in sections if title not in _OF_FILES]
    return sealed(_front(front, loading.configs, rows, shards), opening, [about, *kept]).encode()


def _front(front: Json, configs: tuple[Json, ...], rows: Mapping[Split, int], shards: Shards) -> str:
    """The tree's front matter, with the files of this form; the Hub's viewer is told to stay off what it cannot show."""
    sizes = {split: sum(record.bytes for record in shards.of_split(split)) for split in shards.splits}
    kept = {key: value for key, value in front.items() if key not in ("configs", "dataset_info")}
    about: Json = {"size_categories": [size_of(sum(rows.values()))]}
    if configs:
        splits = [{"name": split, "num_bytes": sizes[split], "num_examples": rows[split]} for split in rows]
        about |= {"dataset_info": {"splits": splits}, "configs": list(configs)}
    else:
        about |= {"viewer": False}
    return framed({**kept, **about})


def parted_card(card: str) -> tuple[Json, str, list[tuple[str, str]]]:
    """Front matter, opening, and sections by title, of a card; its seal and its marks are no part of them."""
    text = re.sub(r"\n<!-- Sealed by nutonic: [0-9a-f]{64} -->\n", "\n", card)
    found = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    front = _mapping(found[1]) if found else {}
    body = text[found.end() :] if found else text
    opening, sections, title, fence = list[str](), list[tuple[str, list[str]]](), "", ""
    for line in body.splitlines():
        if line.encode() + b"\n" in (NOTE_BEGINS, NOTE_ENDS):
            continue
        mark = re.match(r"```|~~~", line)
        fence = (mark[0] if not fence else "" if fence == mark[0] else fence) if mark else fence
        if line.startswith("## ") and not fence:
            title = line[3:].strip()
            sections.append((title, []))
        (sections[-1][1] if sections else opening).append(line)
    return front, _joined(opening), [(title, _joined(lines)) for title, lines in sections]


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n") + "\n"


def _mapping(text: str) -> Json:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    return dict(value) if isinstance(value, dict) else {}
