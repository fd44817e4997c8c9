"""What a card tells in words and tables: facts of the recipe, the plan and the commits, never constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nutonic.core.catalogs import AERIAL, SERVICE_TERMS, Terms, terms_of
from nutonic.core.classes import TABLES
from nutonic.core.model import SPLITS, Scene
from nutonic.core.units import counted, counted_of
from nutonic.dataset.index import Totals
from nutonic.dataset.reasons import BY_PLAN, account_of, of_what, tiles_in
from nutonic.inert import inert_lines, markdown_code, markdown_text
from nutonic.planning.layout import STILLS
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.card import Card
from nutonic.sources.stills import attribution

if TYPE_CHECKING:
    from nutonic.dataset.parts.guesses import Guesses
    from nutonic.planning.spec import BuildSpec
    from nutonic.recipe.outputs import Splits, Tiles

_LAYOUT = """## Layout

- `data/*.jsonl`: rows; images are named by their path in this folder
- `images/`: RGB PNG chips
- `metadata/`: a JSON sidecar per chip, at the same path: grid, scene, stretch, class fractions, regions
{stills}- `_nutonic/`: recipe, plan and commits, what `nutonic verify` stands on

Boxes are `[x1, y1, x2, y2]` from the upper left corner, half-open pixels divided by the chip's width and height.
{ground}
"""

#: Items of the land cover that the card names; of more it tells the number.
_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card is about."""

    spec: BuildSpec
    plan: PlanFile
    done: Totals
    splits: tuple[str, ...]
    """Those that have rows; others are named nowhere."""
    pictures: tuple[Scene, ...]
    """The scenes that chips show."""
    labels: tuple[Scene, ...]
    """The land cover's."""
    guessed: Guesses

    @classmethod
    def of(cls, spec: BuildSpec, plan: PlanFile, done: Totals, guessed: Guesses) -> CardFacts:
        """Sort a plan's scenes into pictures and land cover, which has nothing but classes, or no files at all."""
        pictures, labels = list[Scene](), list[Scene]()
        for scene in plan.scenes:
            if all(asset.name == spec.table.band.name for asset in scene.assets):
                labels.append(scene)
            elif scene.id in done.scenes:
                pictures.append(scene)
        splits = tuple(split for split in SPLITS if done.rows[split])
        shown, covers = tuple(pictures), tuple(labels)
        return cls(spec=spec, plan=plan, done=done, splits=splits, pictures=shown, labels=covers, guessed=guessed)

    @property
    def collections(self) -> list[str]:
        """Ids of the collections that pictures are of."""
        return sorted({scene.collection for scene in self.pictures} or {self.spec.imagery.collection})

    @property
    def aerial(self) -> bool:
        """Whether all pictures were taken from aeroplanes."""
        return set(self.collections) <= AERIAL

    @property
    def rendered(self) -> int:
        """How many scenes are pictures that their provider stretched."""
        return sum(scene.rendered for scene in self.pictures)

    @property
    def imagery_terms(self) -> dict[str, Terms | None]:
        """What is known of the terms of each collection."""
        return {collection: terms_of(collection) for collection in self.collections}

    @property
    def label_terms(self) -> Terms | None:
        """What is known of the land cover's terms.

        Of files in the classes of a known product that says nothing: they may be anybody's. A class table of one's own
        speaks of its files.
        """
        if any(scene.source == "raster" for scene in self.labels):
            return None if self.spec.table.name in TABLES else terms_of(self.spec.table.name)
        names = [*(scene.collection for scene in self.labels[:1]), self.spec.table.name]
        return next((terms for name in names if (terms := terms_of(name)) is not None), None)

    @property
    def tags(self) -> list[str]:
        """What the Hub finds such pictures by."""
        known = [terms.tag for terms in self.imagery_terms.values() if terms is not None and terms.tag is not None]
        return [*(["aerial-imagery"] if self.aerial else []), *dict.fromkeys(known)]

    @property
    def days(self) -> list[str]:
        """The first and the last day of the pictures; one if it is the same, none if they do not tell."""
        days = sorted(scene.datetime[:10] for scene in self.pictures if scene.datetime)
        return list(dict.fromkeys(days[:1] + days[-1:]))


def opening(facts: CardFacts) -> str:
    """Title and first paragraph."""
    spec, done = facts.spec, facts.done
    side = spec.tiles.size * spec.grid.resolution_m / 1000
    bands = markdown_text(", ".join(spec.imagery.bands))
    collections = ", ".join(map(markdown_code, facts.collections))
    sensors = [terms.sensor for terms in facts.imagery_terms.values() if terms is not None and terms.sensor is not None]
    taken = f" ({markdown_text(', '.join(dict.fromkeys(sensors)))})" if sensors else ""
    return f"""# {markdown_text(spec.name)}

{counted(done.tiles, f"{'aerial' if facts.aerial else 'satellite'} chip")} of {counted(done.places.total(), "place")} with \
{counted(done.rows.total(), "image–text row")}, for fine-tuning vision-language models.

Each chip shows {side:g} × {side:g} km: {bands} of {collections}{taken},
{_stretched(facts)}, {resized(facts.spec.tiles)}.
Land cover is {markdown_code(spec.table.name)} on the same {spec.grid.resolution_m:g} m grid, nearest neighbour.
Captions, shares and boxes are computed from those labels: they are as right as the labels are.
"""


def resized(tiles: Tiles) -> str:
    """What became of a tile's own pixels."""
    to = f"{tiles.output_size} × {tiles.output_size} pixels"
    if tiles.output_size == tiles.size:
        return f"at their own {to}"
    if tiles.output_size < tiles.size:
        return f"and averaged to {to}"
    return (
        f"and enlarged from {tiles.size} × {tiles.size} to {to}, which repeats pixels and shows no more of the ground"
    )


def _stretched(facts: CardFacts) -> str:
    stretch, rendered, scenes = facts.spec.stretch, facts.rendered, len(facts.pictures)
    own = f"stretched from percentile {stretch.low:g} to {stretch.high:g} per {stretch.scope}"
    if not rendered:
        return own
    if rendered == scenes:
        return "as their provider rendered them, not stretched again"
    others = counted_of(rendered, scenes, "scene", verb=("is not: it is as its", "are not: they are as their"))
    return f"{own} ({others} provider rendered {'it' if rendered == 1 else 'them'})"


def sections(facts: CardFacts) -> Iterator[str]:
    """Everything below the part that is a person's."""
    if facts.spec.card.text is not None:
        yield markdown_of(facts.spec.card.text) + "\n"
    yield _provenance(facts)
    yield from _tables(facts)
    yield _limits(facts)
    lies = f"- `{STILLS}/`: an overhead still of each place, PNG or JPEG as it was delivered\n"
    stills = lies if facts.spec.stills is not None else ""
    yield _LAYOUT.format(stills=stills, ground=how_split(facts.spec.splits, facts.plan))
    if facts.splits:
        yield _loading(facts)
    yield _licences(facts)
    yield from naming(facts.spec.card, (*facts.imagery_terms.values(), facts.label_terms))


def markdown_of(text: str) -> str:
    """A person's Markdown, without HTML."""
    return inert_lines(text.strip()).replace("<", "&lt;")


def _provenance(facts: CardFacts) -> str:
    spec, plan, days = facts.spec, facts.plan, facts.days
    when = f", from {days[0]} to {days[1]}" if len(days) == 2 else f", of {days[0]}" if days else ""
    source = f"{', '.join(map(markdown_code, facts.collections))}{markdown_text(when)}"
    labels = sorted({scene.id for scene in facts.labels})
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    stills = f"{attribution.provenance(spec.stills, facts.done.stills)}\n" if spec.stills is not None else ""
    return f"""## Provenance

- Imagery: {counted(len(facts.pictures), "scene")} of {source}; every sidecar names its own
- Land cover: {markdown_code(spec.table.name)}, from {", ".join(map(markdown_code, labels[:_NAMED]))}{more}
{stills}- Places: {counted(plan.header["rows"], "row")}, SHA-256 {markdown_code(plan.header["places_sha256"])}
- Recipe: {markdown_code(plan.header["recipe_digest"])}, built with nutonic {markdown_text(plan.header["nutonic_version"])}
"""


def _tables(facts: CardFacts) -> Iterator[str]:
    spec, done, splits = facts.spec, facts.done, facts.splits
    yield table(
        "Splits",
        ("split", "places", "chips", "rows"),
        [(s, done.places[s], done.chips[s], done.rows[s]) for s in splits],
    )
    tasks = [(task, *(done.split_tasks[s, task] for s in splits), count) for task, count in sorted(done.tasks.items())]
    yield table("Tasks", ("task", *splits, "rows"), tasks)
    if facts.guessed.kinds:
        yield _guessed(facts.guessed)
    if spec.rows.polish is not None:
        said = [(each.name, each.model, each.licence or "not stated") for each in spec.rows.polish.annotators]
        rows = [(*who, done.polished[who[0]]) for who in said]
        title = "Captions in other words, judged by what the sidecars say"
        yield table(
            title, ("by", "model", "its licence", "captions"), [*rows, ("templates", "", "", done.polished[""])]
        )
    yield table("Land cover", ("class", "id", "colour", "share of labelled pixels"), list(_classes(facts)))
    yield _coverage(done.labelled)
    limits = [("tiles", spec.tiles), ("quality", spec.quality), ("rows", spec.rows)]
    known = [
        (f"{part}.{key}", value)
        for part, settings in limits
        for key, value in settings.model_dump(mode="json").items()
        if part == "quality" or key.startswith(("min_", "max_"))
    ]
    yield table("Thresholds", ("key of the recipe", "value"), known)
    yield _left_out(facts)


def _guessed(found: Guesses) -> str:
    """How often each kind of question is answered right by somebody who sees no picture."""
    rows = [(each.kind, each.rows, f"{each.share:.0%}", f"{each.chance:.0%}") for each in found.kinds]
    told = table("Guessable without the picture", ("question", "rows", "guessed right", "by chance"), rows)
    warnings = [*(f"- {markdown_text(each)}" for each in found.warnings), ""] if found.warnings else []
    return "\n".join([told, f"{found.told}\n", *warnings])


def _left_out(facts: CardFacts) -> str:
    """What is left out by reason, places apart from tiles, so that every tile of every place is accounted for."""
    spec, done = facts.spec, facts.done
    counts: dict[str, dict[str, int]] = {BY_PLAN: facts.plan.header["rejects"]}
    for (kind, reason), number in done.rejects.items():
        counts.setdefault(kind, {})[reason] = number
    reasons = sorted({reason for of_kind in counts.values() for reason in of_kind})
    told = table("Left out", ("reason", "what"), [(reason, of_what(counts, reason)) for reason in reasons])
    per_place = len(spec.layout.tiles)
    left, kept = tiles_in(counts, per_place), done.tiles // (1 + len(spec.layout.views))
    return f"{told}\n{account_of(per_place, kept, left)}\n" if left else told


def _classes(facts: CardFacts) -> Iterator[tuple[object, ...]]:
    classes, known = facts.done.classes, facts.spec.table
    pixels = classes.total() or 1
    for key, count in sorted(classes.items(), key=lambda entry: (-entry[1], int(entry[0]))):
        number = int(key)
        yield known.labels[number], number, known.color(number), f"{count / pixels:.2%}"


def _coverage(labelled: Counter[int]) -> str:
    """The labelled share of chips; of `labelled` the keys are thousandths."""
    chips = labelled.total()
    if not chips:
        return ""
    mean = sum(share * count for share, count in labelled.items()) / chips
    low, median = (_quantile(labelled, percent) for percent in (5, 50))
    return (
        f"Of a chip's pixels, {mean / 10:.0f}% are labelled on average: at least {median / 10:.0f}% in half of the chips, "
        f"and at least {low / 10:.0f}% in 95 of 100.\n"
    )


def how_split(splits: Splits, plan: PlanFile, what: str = "places") -> str:
    """What decides about the split of a place, and whether ground may be in two."""
    if splits.keeps_ground_apart:
        return f"{what.capitalize()} whose squares overlap are in the same split, so no ground is in two."
    shared = plan.header.get("shared_ground") or 0
    ground = f"; {shared} of {plan.header['places']} {what} share ground with {what} of another split" if shared else ""
    if splits.by == "time":
        days = {"validation": splits.validation_from, "test": splits.test_from}
        told = " and ".join(f"{split} has scenes from {day} on" for split, day in days.items() if day is not None)
        return f"Splits are made by time: {told}. The same ground may be in two splits, seen on different days{ground}."
    column = markdown_code(splits.column)
    return f"Splits are made by {column}: its values keep apart, ground at a border between two may be in both{ground}."


def _quantile(counts: Counter[int], percent: int) -> int:
    """The max(1, ⌈p·n/100⌉)-th smallest of n values, of which it is counted how often each occurs."""
    rank, seen = max(1, -(-percent * counts.total() // 100)), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= rank:
            return value
    return 0


def table(title: str, head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """A section with one table, in which others' words are shown letter by letter."""
    lines = [f"## {title}\n", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    body = [f"| {' | '.join(markdown_text(cell) for cell in row)} |" for row in rows]
    return "\n".join([*lines, *(body or [f"| none |{' |' * (len(head) - 1)}"]), ""])


def _limits(facts: CardFacts) -> str:
    twins, views = facts.done.likenesses.near_duplicates(), facts.spec.layout.views
    plain = f"; {counted(twins.plain, 'chip')} too plain to compare" if twins.plain else ""
    alike = markdown_text(twins.in_words() or "no two chips in different splits look alike")
    lines = [
        "Captions, shares and boxes know what the labels know: their classes, their errors, and the day they were made.",
        "Each place is seen once, in one scene.",
        f"By their difference hashes, {alike}{plain}.",
    ]
    if facts.spec.quality.classes is not None:
        lines.append("Where a scene has a classification, each chip is judged by it; every sidecar tells its shares.")
    if facts.spec.imagery.max_cloud_cover is not None:
        most = facts.spec.imagery.max_cloud_cover
        lines.append(f"Scenes that tell of clouds have at most {most:g}% of them, over the whole scene.")
    if views:
        lines.append(f"{', '.join(views)} are the same chips, turned.")
    return "\n".join(["## Known limits\n", *(f"- {line}" for line in lines), ""])


def _loading(facts: CardFacts) -> str:
    return f"""## Loading

```python
from datasets import Image, load_dataset

folder = "/path/to/this/folder"  # or "hf://datasets/OWNER/NAME"


def with_images(row):
    parts = [part for message in row["messages"] for part in message["content"]]
    return {{"images": [f"{{folder}}/{{part['image']}}" for part in parts if part["type"] == "image"]}}


dataset = load_dataset(folder.removeprefix("hf://datasets/"))
dataset = dataset.map(with_images).cast_column("images", [Image()])
row = dataset["{facts.splits[0]}"][0]
print(row["images"][0].size, row["messages"])
```

Without `datasets`: `nutonic.open_dataset(folder)`.
"""


def _licences(facts: CardFacts) -> str:
    days, licence = facts.days, facts.spec.card.licence
    years = "–".join(dict.fromkeys(day[:4] for day in days))
    lines = [f"Imagery, {markdown_code(c)}: {terms_in_words(terms, years)}" for c, terms in facts.imagery_terms.items()]
    lines.append(f"Land cover, {markdown_code(facts.spec.table.name)}: {terms_in_words(facts.label_terms, years)}")
    services = [account.service for account in facts.spec.sources.accounts]
    lines += [f"{name}: {terms_in_words(SERVICE_TERMS[name], years)}" for name in services if name in SERVICE_TERMS]
    lines.append("Places: their provider's, which nutonic does not know")
    stills = ["", attribution.licence(facts.spec.stills)] if facts.spec.stills is not None else []
    return "\n".join(["## Licences\n", whole_licence(licence), "", *(f"- {line}" for line in lines), *stills, ""])


def whole_licence(licence: str | None) -> str:
    """What is said before the licences of the parts."""
    if licence is not None:
        return f"Licence of the whole: {markdown_text(licence)}. It is made of:"
    return (
        "Nobody has said yet which licence the whole has (`card.licence` of the recipe); the rows carry those of what they "
        "are made of:"
    )


def terms_in_words(terms: Terms | None, years: str) -> str:
    """Under which terms a product is, and what is to be stated with it."""
    if terms is None:
        return "its provider's licence, which nutonic does not know"
    credit = f"; to be stated: “{terms.credit.format(years=years).rstrip(', ')}”" if terms.credit else ""
    return f"{terms.title}, {terms.licence} (<{terms.link}>){credit}"


def naming(card: Card, known_terms: Iterable[Terms | None]) -> Iterator[str]:
    """Whom to name, what to cite, and where more is."""
    if card.attribution is not None:
        yield f"## Attribution\n\n{markdown_text(card.attribution)}\n"
    known = [terms.citation for terms in known_terms if terms and terms.citation]
    if card.citation is not None or known:
        fence = "```" if "```" not in (card.citation or "") else "~~~~~~"
        own = [f"{fence}\n{inert_lines(card.citation.strip())}\n{fence}\n"] if card.citation is not None else []
        yield "\n".join(["## Citation\n", *own, *(f"- {citation}" for citation in dict.fromkeys(known)), ""])
    if card.links:
        yield "\n".join(["## Links\n", *(f"- <{link}>" for link in card.links), ""])
