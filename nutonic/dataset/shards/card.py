"""The card of a dataset of patches: what is in its shards, how its captions were made, how to load it, who is to be named.

It is assembled as other recipes' cards are: a person's own words between two marks stay, the rest is sealed, and what others
wrote is shown letter by letter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nutonic.core.catalogs import Terms, terms_of
from nutonic.core.model import SPLITS, Json, Split
from nutonic.core.units import counted
from nutonic.dataset.card import sealed
from nutonic.dataset.card_front import framed, licence_of, size_of
from nutonic.dataset.card_text import markdown_of, naming, table, terms_in_words, whole_licence
from nutonic.dataset.shards.figures import TASKS
from nutonic.dataset.shards.samples import Made, kind_of_picture
from nutonic.dataset.shards.statistics import Statistics
from nutonic.inert import markdown_code, markdown_text
from nutonic.planning.patches.layout import FIGURES
from nutonic.planning.patches.shards import braces_of, pattern_of
from nutonic.recipe.annotation import Annotator, Captions
from nutonic.recipe.card import Card
from nutonic.recipe.patches import Patches, Shards

#: What is told of each figure where it is not seen.
_ALT: Mapping[str, str] = {
    "tasks.png": "Captions by task and annotator",
    "lengths.png": "Lengths of captions by task",
    "tags.png": "Tags of OpenStreetMap by frequency",
    "density.png": "Where captions are",
}

#: So many of the most frequent nouns and tags stand in the card; `statistics.json` has more.
_NOUNS, _TAGS = 25, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFacts:
    """What a card is about."""

    name: str
    card: Card
    patches: Patches
    captions: Captions
    shards: Shards
    statistics: Statistics
    made: Made
    prompts: str
    """SHA-256 (hex) of the templates of prompts."""
    tags: str
    """SHA-256 (hex) of the policy of tags."""
    collections: tuple[str, ...]
    """Ids of the collections that pictures are of."""
    days: tuple[str, ...]
    """The first and the last day of the pictures, or the one; none if they do not tell."""
    images: int
    """How many images patches are cut out of."""
    files: Mapping[Split, tuple[int, int]]
    """Of each split with patches: how many shards it has, and bytes in them."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """By collection: the licence, as its catalogue says."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Patches that are in no shard, by reason."""
    figures: tuple[str, ...] = ()
    """Names of files below `FIGURES`."""
    ground: str = ""
    """What decides about splits, where ground may be in two."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """Those that have patches; others are named nowhere."""
        return tuple(split for split in SPLITS if self.files.get(split, (0, 0))[0])

    @property
    def kind(self) -> str:
        """What its pictures are called: one word for all of them."""
        kinds = {kind_of_picture(each, self.patches.resolution_m) for each in self.collections}
        return kinds.pop() if len(kinds) == 1 else "overhead image"

    @property
    def terms(self) -> dict[str, Terms | None]:
        """What is known of the terms of each collection."""
        return {collection: terms_of(collection) for collection in sorted(self.collections)}


def text(facts: ShardFacts) -> str:
    """The card as Markdown with YAML front matter, sealed, with nothing of a person's in it yet."""
    return sealed(_front(facts), _opening(facts), _sections(facts))


def _front(facts: ShardFacts) -> str:
    """What the Hub reads: which shards each split has, and how many samples."""
    patches = dict(facts.statistics.patches)
    known = [terms.tag for terms in facts.terms.values() if terms is not None and terms.tag is not None]
    aerial = ["aerial-imagery"] if facts.kind == "aerial photograph" else []
    tags = ["earth-observation", "remote-sensing", "openstreetmap", *aerial]
    content: Json = {
        "pretty_name": facts.name,
        **licence_of(facts.card.licence),
        "task_categories": ["image-to-text", "image-text-to-text"],
        "language": ["en"],
        "tags": [*tags, *dict.fromkeys(known), "webdataset", "nutonic"],
        "size_categories": [size_of(sum(patches.values()))],
    }
    if facts.splits:
        sizes = {split: {"num_bytes": facts.files[split][1], "num_examples": patches[split]} for split in facts.splits}
        paths = [{"split": split, "path": pattern_of(facts.shards.name, split)} for split in facts.splits]
        content["dataset_info"] = {"splits": [{"name": split, **sizes[split]} for split in facts.splits]}
        content["configs"] = [{"config_name": "default", "data_files": paths}]
    return framed(content)


def _opening(facts: ShardFacts) -> str:
    patches, statistics = facts.patches, facts.statistics
    number = sum(count for _, count in statistics.patches)
    collections = ", ".join(map(markdown_code, sorted(facts.collections)))
    return f"""# {markdown_text(facts.name)}

{counted(number, facts.kind)} with {counted(statistics.total, "caption")}, \
for training vision-language models.

Each is a patch of {patches.size} × {patches.size} pixels at {patches.resolution_m:g} m of {collections},
on its image's own grid. Its captions speak of what OpenStreetMap knows of that ground: an area (task 1), a line such as a
road or a stream (task 2), or an earlier caption in other words (task 3).
"""


def _sections(facts: ShardFacts) -> Iterator[str]:
    if facts.card.text is not None:
        yield markdown_of(facts.card.text) + "\n"
    yield _splits(facts)
    yield _making(facts)
    yield from _statistics(facts)
    yield _layout(facts)
    if facts.splits:
        yield _loading(facts)
    yield _provenance(facts)
    yield _licences(facts)
    yield from naming(facts.card, facts.terms.values())


def _splits(facts: ShardFacts) -> str:
    statistics = facts.statistics
    patches, crossed, tasks = dict(statistics.patches), statistics.by_split_and_task(), list(statistics.by_task())
    total, rows = sum(patches.values()), []
    for split in facts.splits:
        counts = [crossed.get((split, task), 0) for task in tasks]
        share = f"{100 * patches[split] / max(1, total):.1f}%"
        rows.append((split, patches[split], share, facts.files[split][0], sum(counts), *counts))
    head = ("split", "patches", "share", "shards", "captions", *(f"task {TASKS.get(task, task)}" for task in tasks))
    return table("Splits", head, rows) + (f"\n{facts.ground}\n" if facts.ground else "")


def _making(facts: ShardFacts) -> str:
    captions, statistics = facts.captions, facts.statistics
    crossed, usage = statistics.by_task_and_annotator(), dict(statistics.usage)
    rows = [
        (TASKS.get(task, task), name, count, f"{100 * statistics.share(count):.1f}%")
        for (task, name), count in crossed.items()
    ]
    shares = table("Tasks and annotators", ("task", "annotator", "captions", "share"), rows)
    words = captions.words
    limits = ", ".join(
        f"{low} to {high} (task {k})" for k, (low, high) in enumerate((words.area, words.line, words.revision), 1)
    )
    used = [
        (name, each.answers, each.input_tokens, each.output_tokens, f"{each.money:,.2f}")
        for name, each in usage.items()
    ]
    cost = table("Tokens", ("annotator", "answers", "tokens asked", "tokens answered", "money"), used) if used else ""
    names = "Names of places are told." if captions.names else "Names, which no picture shows, are left out."
    lines = [
        "## How captions were made\n",
        "What the map says of a patch is cut at its edge, measured in its own grid, and put into words and numbers; nobody",
        f"is given a raw coordinate. {names} An answer that fails the gate (by its length, its",
        "letters or what it claims) is not let through, and counted below. Up is north.\n",
        *(f"- {_annotator(each)}" for each in captions.annotators),
        f"- Words of a caption: {limits}",
        f"- Templates of prompts: SHA-256 {markdown_code(facts.prompts)}",
        f"- Policy of tags: SHA-256 {markdown_code(facts.tags)}",
        "- Each caption's request, prompt (by SHA-256), seed, model and temperature stand in its sample's `provenance`",
        "",
    ]
    return "\n".join(part for part in ["\n".join(lines), shares, cost] if part)


def _annotator(annotator: Annotator) -> str:
    name = markdown_code(annotator.name)
    if annotator.kind == "template":
        return f"{name}: templates, without a model"
    sees = "; it sees the picture" if annotator.picture else ""
    return f"{name}: model {markdown_code(annotator.model)}, temperature {annotator.temperature:g}{sees}"


def _statistics(facts: ShardFacts) -> Iterator[str]:
    statistics = facts.statistics
    lengths = [
        (
            TASKS.get(task, task),
            each.captions,
            f"{each.mean:.1f}",
            f"{each.median:g}",
            each.counts[0][0],
            each.counts[-1][0],
        )
        for task, each in statistics.lengths
    ]
    yield table("Lengths in words", ("task", "captions", "mean", "median", "shortest", "longest"), lengths)
    at_least = "at least " if statistics.vocabulary.beyond else ""
    nouns = ", ".join(f"{markdown_text(noun)} ({count:,})" for noun, count in statistics.nouns.top[:_NOUNS])
    yield (
        f"{counted(statistics.words, 'word')}, {at_least}{statistics.vocabulary.different:,} of them different. The most "
        f"frequent nouns, with how often each word stands in captions: {nouns or 'none'}.\n"
    )
    yield table("Tags", ("tag of OpenStreetMap", "elements that captions speak of"), statistics.tags.top[:_TAGS])
    rejections = [(f"answer: {reason}", each.count) for reason, each in statistics.rejections]
    patches = [(f"patch: {reason}", count) for reason, count in sorted(facts.left_out.items())]
    yield table("Left out", ("what and why", "how many"), [*rejections, *patches])
    figures = [f"![{_ALT[name]}]({FIGURES}/{name})\n" for name in _ALT if name in facts.figures]
    if figures:
        yield "\n".join(["## Figures\n", *figures])
    yield "More numbers, and examples of what was not let through: `statistics.json`.\n"


def _layout(facts: ShardFacts) -> str:
    shards = f"`{pattern_of(facts.shards.name, facts.splits[0])}`" if facts.splits else "`data/`"
    chat = "- `data/*.jsonl`: the same captions as rows of chat, `messages`\n" if facts.shards.chat else ""
    figures = f"- `{FIGURES}/`: the figures above\n" if facts.figures else ""
    return f"""## Layout

- {shards} and so on: WebDataset shards of up to {facts.shards.samples:,} patches, \
`{{patch_id}}.jpg` (JPEG, quality {facts.shards.quality}) before `{{patch_id}}.json`
{chat}{figures}- `statistics.json`: what this card tells in numbers, and more
- `_nutonic/`: recipe, plan and commits, what `nutonic verify` stands on

A patch's JSON holds `metadata` (`patch_id`, `image_name`), `annotations` (each with `task`, `text` and `annotator`) and
`provenance`: the image with its scene, grid and bounds, the elements of the map with their versions, and the trace of each
annotation, with the `elements` that the thing is which it describes. What is not known is an empty text.
"""


def _loading(facts: ShardFacts) -> str:
    split = facts.splits[0]
    urls = braces_of(facts.shards.name, split, facts.files[split][0])
    files = ", ".join(f'"{each}": f"{{folder}}/{pattern_of(facts.shards.name, each)}"' for each in facts.splits)
    return f"""## Loading

With `webdataset`, one caption of each patch at random:

```python
import random

import webdataset as wds

folder = "/path/to/this/folder"  # or "https://huggingface.co/datasets/OWNER/NAME/resolve/main"


def pick(sample):
    annotation = random.choice(sample["json"]["annotations"])
    return sample["jpg"], annotation["text"]


shards = folder + "/{urls}"
dataset = wds.WebDataset(shards, shardshuffle=False).decode("pil").map(pick)
picture, caption = next(iter(dataset))
print(picture.size, caption)
```

With `datasets`:

```python
from datasets import load_dataset

folder = "/path/to/this/folder"  # or "hf://datasets/OWNER/NAME"
files = {{{files}}}
dataset = load_dataset("webdataset", data_files=files)
row = dataset["{split}"][0]
print(row["jpg"].size, row["json"]["annotations"])
```
"""


def _provenance(facts: ShardFacts) -> str:
    days, made = facts.days, facts.made
    when = f", from {days[0]} to {days[-1]}" if len(days) > 1 else f", of {days[0]}" if days else ""
    collections = ", ".join(map(markdown_code, sorted(facts.collections)))
    map_of = f"as it was on {markdown_text(made.osm_date)}" if made.osm_date else "an extract that tells no date"
    return f"""## Provenance

- Imagery: {counted(facts.images, "image")} of {collections}{markdown_text(when)}; every sample names its own
- Map: OpenStreetMap, {map_of}; every sample names the elements that its captions speak of, with their versions
- Recipe: {markdown_code(made.recipe_digest)}, built with nutonic {markdown_text(made.version)}
"""


def _licences(facts: ShardFacts) -> str:
    years = "–".join(dict.fromkeys(day[:4] for day in facts.days))
    lines = [f"Imagery, {markdown_code(name)}: {_imagery(facts, name, years)}" for name in facts.terms]
    lines.append(f"Map: {terms_in_words(terms_of('openstreetmap'), years)}")
    for annotator in facts.captions.annotators:
        if annotator.kind == "openai":
            said = markdown_text(annotator.licence or "which the recipe does not name")
            lines.append(f"Captions by {markdown_code(annotator.model)}: the model's terms, {said}")
    listed = "\n".join(f"- {line}" for line in lines)
    return f"""## Licences

{whole_licence(facts.card.licence)}

{listed}

Captions say what OpenStreetMap's contributors have mapped. A collection of them that holds a substantial part of that data
is a database derived from theirs, as the [Open Database License 1.0](https://opendatacommons.org/licenses/odbl/1-0/) has it:
who publishes it, as it is or changed, does so under the same licence, names the source, and keeps this notice. A work that
is produced from it, and is no database, needs the attribution alone. Both are met with this line:

> Contains information from OpenStreetMap, © OpenStreetMap contributors, which is made available under the Open Database
> License (ODbL) 1.0: <https://www.openstreetmap.org/copyright>
"""


def _imagery(facts: ShardFacts, collection: str, years: str) -> str:
    terms, told = facts.terms[collection], facts.licences.get(collection)
    if terms is None and told:
        return f"as its catalogue says, {markdown_text(told)}"
    return terms_in_words(terms, years)
