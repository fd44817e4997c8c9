"""The card of a pack: that of its tree, a person's words included; how this form is loaded, instead of how the tree is."""

from __future__ import annotations

import re

import yaml

from nutonic._version import __version__
from nutonic.core.model import Json, Split
from nutonic.core.units import counted
from nutonic.dataset.card import NOTE_BEGINS, NOTE_ENDS, sealed
from nutonic.dataset.card_front import framed, size_of
from nutonic.dataset.packs.forms import Form, Loading, Shards
from nutonic.dataset.packs.tree import TreeFacts
from nutonic.inert import markdown_code

#: Sections of a tree's card that are about the tree's own files.
_OF_FILES = ("Layout", "Loading")


def card_of(form: Form, shards: Shards, facts: TreeFacts) -> bytes:
    """The card as Markdown with YAML front matter."""
    front, opening, sections = parted_card(facts.card)
    loading = form.loading(shards, facts)
    about = f"""## This pack

{_entries(loading, shards, facts)} as `{form.name}`, packed with nutonic {__version__} from a tree of recipe \
{markdown_code(facts.origin["recipe_digest"])}.

{loading.layout}

{loading.code}"""
    kept = [text for title, text in sections if title not in _OF_FILES]
    return sealed(_front(front, loading, shards), opening, [about, *kept]).encode()


def _entries(loading: Loading, shards: Shards, facts: TreeFacts) -> str:
    """How many entries there are, in all and by split; of chips, how many rows they have too."""
    rows = counted(sum(map(shards.rows, shards.splits)), "row")
    numbers = {split: _number(loading, shards, split) for split in shards.splits}
    counts = ", ".join(f"{count:,} in {split}" for split, count in numbers.items())
    if not loading.of_chips:
        return f"{rows} ({counts})"
    chips = counted(sum(numbers.values()), *(("patch", "patches") if facts.patches else ("chip",)))
    return f"{chips} ({counts}) with {rows}"


def _number(loading: Loading, shards: Shards, split: Split) -> int:
    return shards.chips(split) if loading.of_chips else shards.rows(split)


def _front(front: Json, loading: Loading, shards: Shards) -> str:
    """The tree's front matter, with the files of this form; the Hub's viewer is told to stay off what it cannot show.

    How many entries each split has is what a loader counts as it reads the files, and holds against what stands here.
    """
    kept = {key: value for key, value in front.items() if key not in ("configs", "dataset_info")}
    splits = []
    for name in [file["split"] for file in loading.configs[0]["data_files"]]:
        among = [split for split in shards.splits if split == name] or shards.splits
        size = sum(record.bytes for split in among for record in shards.of_split(split))
        number = sum(_number(loading, shards, split) for split in among)
        splits.append({"name": name, "num_bytes": size, "num_examples": number})
    about: Json = {
        "size_categories": [size_of(sum(split["num_examples"] for split in splits))],
        "dataset_info": {"splits": splits},
        "configs": list(loading.configs),
    }
    return framed({**kept, **about, **({} if loading.viewer else {"viewer": False})})


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
