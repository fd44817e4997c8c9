"""The dataset card: what is in the tree, where it comes from, and how to load it. A function of the commits alone.

But for one part: what a person writes between the two marks is kept as it is whenever the card is written anew. The last
line seals the rest, so that a card which was changed elsewhere is known as the person's, and is never written over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import yaml

from nutonic.core.model import SPLITS, Scene
from nutonic.dataset.index import Totals
from nutonic.inert import markdown_code, markdown_text
from nutonic.io.objects import Store, sha256
from nutonic.planning.layout import CARD, STILLS
from nutonic.planning.plan_file import PlanFile
from nutonic.sources.stills import attribution

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec

#: What a person writes after the one and before the other is theirs.
NOTE_BEGINS = b"<!-- Yours: what you write below this line is kept. -->\n"
NOTE_ENDS = b"<!-- Yours: what you write above this line is kept. -->\n"

#: Items of the land cover that the card names; of more it tells the number.
_NAMED = 12

#: What is told of a card that is not written over.
KEPT = f"{CARD} was changed outside its two marks: it is kept as it is; move it away to have a new one"

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def text(spec: BuildSpec, plan: PlanFile, done: Totals) -> str:
    """The card as Markdown with YAML front matter, sealed, with nothing of a person's in it yet."""
    parts = [
        _front_matter(spec, done.rows),
        _opening(spec, done),
        (NOTE_BEGINS + NOTE_ENDS).decode(),
        _provenance(spec, plan, done),
        _tables(spec, plan, done),
        _usage(spec),
    ]
    body = "\n".join(parts)
    return body + _seal(body.encode()).decode()


def _seal(body: bytes) -> bytes:
    return f"\n<!-- Sealed by nutonic: {sha256(body)} -->\n".encode()


def parted(card: bytes) -> tuple[bytes, bytes]:
    """A card without what a person wrote between its marks, and just that; all is the former where there are none."""
    start, end = card.find(NOTE_BEGINS), card.rfind(NOTE_ENDS)
    start += len(NOTE_BEGINS)
    if start < len(NOTE_BEGINS) or end < start:
        return card, b""
    return card[:start] + card[end:], card[start:end]


def is_theirs(store: Store) -> bool:
    """Whether the card that is there is not, outside its marks, what nutonic wrote; an empty file is nobody's."""
    card = store.get(CARD) if store.has(CARD) else b""
    rest, _ = parted(card)
    length = len(_seal(b""))
    return bool(card) and _seal(rest[:-length]) != rest[-length:]


def digest_of(store: Store) -> str:
    """SHA-256 (hex) of the card that is there, without what a person wrote between its marks."""
    return sha256(parted(store.get(CARD))[0])


def put(store: Store, new: bytes) -> None:
    """Write a card, unless the one that is there is a person's, or the same; what is between its marks stays."""
    if is_theirs(store):
        return
    old = store.get(CARD) if store.has(CARD) else b""
    begins = new.index(NOTE_BEGINS) + len(NOTE_BEGINS)
    card = new[:begins] + parted(old)[1] + new[begins:]
    if card != old:
        store.put(CARD, card)


def _front_matter(spec: BuildSpec, rows: Mapping[str, int]) -> str:
    total = sum(rows.values())
    files = "-*" if spec.output.rows_per_file is not None else ""
    content = {
        "pretty_name": spec.name,
        "license": "other",
        "task_categories": ["image-text-to-text", "object-detection"],
        "language": ["en"],
        "tags": ["earth-observation", "remote-sensing", "land-cover", "sentinel-2", "nutonic"],
        "size_categories": [next((name for below, name in _SIZES if total < below), "n>10M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": s, "path": f"data/{s}{files}.jsonl"} for s in SPLITS if rows[s]],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False)}---\n"


def _opening(spec: BuildSpec, done: Totals) -> str:
    bands, collection = markdown_text(", ".join(spec.imagery.bands)), markdown_code(spec.imagery.collection)
    side = spec.tiles.size * spec.grid.resolution_m / 1000
    stretch, chip = spec.stretch, spec.tiles.output_size
    places, rows = done.places.total(), done.rows.total()
    return f"""# {markdown_text(spec.name)}

{done.tiles} satellite chips of {places} places with {rows} image–text rows, for fine-tuning vision-language models.

Each chip shows {side:g} × {side:g} km: {bands} of {collection}, stretched
from percentile {stretch.low:g} to {stretch.high:g} per {stretch.scope} and averaged to {chip} × {chip} pixels.
Land cover is {markdown_code(spec.table.name)} on the same {spec.grid.resolution_m:g} m grid, nearest neighbour.
Captions, shares and boxes are computed from those labels: they are as right as the labels are.
"""


def _provenance(spec: BuildSpec, plan: PlanFile, done: Totals) -> str:
    pictures = [scene for scene in plan.scenes if scene.id in done.scenes and not _is_land_cover(spec, scene)]
    dates = sorted(scene.datetime[:10] for scene in pictures if scene.datetime)
    when = (
        f", from {dates[0]} to {dates[-1]}" if dates and dates[0] != dates[-1] else f", of {dates[0]}" if dates else ""
    )
    source = f"{markdown_code(spec.imagery.collection)}{markdown_text(when)}"
    labels = sorted({scene.id for scene in plan.scenes if _is_land_cover(spec, scene)})
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    stills = f"{attribution.provenance(spec.stills, done.stills)}\n" if spec.stills is not None else ""
    return f"""## Provenance

- Imagery: {_counted(len(pictures), "scene")} of {source}; every sidecar names its own
- Land cover: {markdown_code(spec.table.name)}, from {", ".join(map(markdown_code, labels[:_NAMED]))}{more}
{stills}- Places: {_counted(plan.header["rows"], "row")}, SHA-256 {markdown_code(plan.header["places_sha256"])}
- Recipe: {markdown_code(plan.header["recipe_digest"])}, built with nutonic {markdown_text(plan.header["nutonic_version"])}
"""


def _is_land_cover(spec: BuildSpec, scene: Scene) -> bool:
    """Whether a scene is one of the labels': it has nothing but classes, or no files at all."""
    return all(asset.name == spec.table.band.name for asset in scene.assets)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _tables(spec: BuildSpec, plan: PlanFile, done: Totals) -> str:
    pixels = done.classes.total() or 1
    table = spec.table
    rejects = done.rejects + Counter(plan.header["rejects"])
    share = [
        (table.labels[int(c)], f"{count / pixels:.2%}")
        for c, count in sorted(done.classes.items(), key=lambda e: (-e[1], int(e[0])))
    ]
    return "\n".join(
        [
            _table("Splits", ("split", "places", "rows"), [(s, done.places[s], done.rows[s]) for s in SPLITS]),
            _table("Tasks", ("task", "rows"), sorted(done.tasks.items())),
            _table("Land cover", ("class", "share of labelled pixels"), share),
            _table("Left out", ("reason", "places or tiles"), sorted(rejects.items())),
        ]
    )


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    lines = [f"## {title}\n", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    body = [f"| {' | '.join(markdown_text(cell) for cell in row)} |" for row in rows]
    return "\n".join([*lines, *(body or [f"| none |{' |' * (len(head) - 1)}"]), ""])


def _usage(spec: BuildSpec) -> str:
    many = "-*" if spec.output.rows_per_file is not None else ""
    lies = f"- `{STILLS}/`: an overhead still of each place, PNG or JPEG as it was delivered\n" if spec.stills else ""
    licence = f"\n{attribution.licence(spec.stills)}\n" if spec.stills is not None else ""
    return f"""## Layout

- `data/*.jsonl`: rows; images are named by their path in this folder
- `images/`: RGB PNG chips
- `metadata/`: a JSON sidecar per chip, at the same path: grid, scene, stretch, class fractions, regions
{lies}- `_nutonic/`: recipe, plan and commits, what `nutonic verify` stands on

Boxes are `[x1, y1, x2, y2]` from the upper left corner, half-open pixels divided by the chip's width and height.
Places whose squares overlap are in the same split, so no ground is in two.

## Loading

```python
from datasets import load_dataset

rows = load_dataset("json", data_files={{"train": "data/train{many}.jsonl"}})["train"]
```

## Licences

The rows carry the licences of what they are made of: the imagery provider's (Sentinel-2: the Copernicus Sentinel data
terms), the land cover's (ESA WorldCover: CC BY 4.0; Dynamic World: CC BY 4.0; OpenStreetMap: ODbL), and those of the
places. Check them before you publish.
{licence}"""
