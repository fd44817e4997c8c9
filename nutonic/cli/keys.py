"""Commands that help to write a recipe: its keys, and a catalogue of one's own rasters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from nutonic.cli.ending import print_text
from nutonic.cli.init import refuse_existing, write_new
from nutonic.cli.paths import PathOf
from nutonic.inert import inert

#: The forms of packs, written out, since what makes them takes long to be imported.
FORMS = (
    "parquet, webdataset, leap, trl, ms-swift, llama-factory, axolotl, unsloth, qwen, imagefolder, coco, yolo, geoparquet, "
    "geojson or stac: see docs/packs.md."
)


@click.command(short_help="All keys of a recipe, for editors or as a page.")
@click.option("--page", is_flag=True, help="A page for people, in Markdown, instead of JSON Schema.")
def schema(page: bool) -> None:
    """Write all keys of a recipe as JSON Schema, for editors that complete and check them."""
    if page:
        from nutonic.recipe.reference.page import page as text

        print_text(text(), nl=False)
        return
    from nutonic.recipe.reference.schema import schema as keys

    print_text(json.dumps(keys(), indent=2, ensure_ascii=False))


@click.command(short_help="A catalogue of your own GeoTIFFs, for a recipe.")
@click.argument("files", nargs=-1, required=True)
@click.option("--datetime", metavar="DAY", required=True, help="When they were taken, such as 2024-06-01.")
@click.option("--out", type=PathOf(output=True), default=Path("items.json"), show_default=True, help="The catalogue.")
@click.option("--collection", default="own", show_default=True, help="What it is called.")
def catalogue(files: tuple[str, ...], datetime: str, out: Path, collection: str) -> None:
    """Write a STAC catalogue of your own GeoTIFFs, which a recipe then names as its imagery.

    FILES are GeoTIFFs, folders or globs of them: each is a scene, with all of its bands.
    """
    from nutonic.sources.stac.own import catalogue_of, shown_as

    refuse_existing(out)  # before files are opened
    items = catalogue_of(files, datetime, out.parent, collection)
    write_new(out, json.dumps(items, indent=1, ensure_ascii=False) + "\n")
    count = len(items["features"])
    print_text(inert(f"wrote {out}: {count} item{'s' * (count > 1)}; in a recipe beside it say"))
    told = {"url": out.name, "collection": collection, "datetime": datetime}
    lines = "".join(f"  {key}: {_scalar(value)}\n" for key, value in told.items())
    print_text(f"imagery:\n{lines}{shown_as(items)}")


def _scalar(text: str) -> str:
    """A text as a value in YAML, on one line of ASCII; days stay what they are."""
    import yaml

    plain = yaml.safe_dump(text, width=10**6).splitlines()[0]
    return text if re.fullmatch(r"[0-9-]+", text) else plain
