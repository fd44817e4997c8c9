"""Commands that help to write a recipe: its keys, and a catalogue of one's own rasters."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(short_help="All keys of a recipe, for editors or as a page.")
@click.option("--page", is_flag=True, help="A page for people, in Markdown, instead of JSON Schema.")
def schema(page: bool) -> None:
    """Write all keys of a recipe as JSON Schema, for editors that complete and check them."""
    if page:
        from nutonic.recipe.reference.page import page as text

        click.echo(text(), nl=False)
        return
    from nutonic.recipe.reference.schema import schema as keys

    click.echo(json.dumps(keys(), indent=2, ensure_ascii=False))


@click.command(short_help="A catalogue of your own GeoTIFFs, for a recipe.")
@click.argument("files", nargs=-1, required=True)
@click.option("--datetime", metavar="DAY", required=True, help="When they were taken, such as 2024-06-01.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("items.json"), show_default=True, help="The catalogue."
)
@click.option("--collection", default="own", show_default=True, help="What it is called.")
def catalogue(files: tuple[str, ...], datetime: str, out: Path, collection: str) -> None:
    """Write a STAC catalogue of your own GeoTIFFs, which a recipe then names as its imagery.

    FILES are GeoTIFFs, folders or globs of them: each is a scene, with all of its bands.
    """
    from nutonic.sources.stac.own import catalogue_of, shown_as

    items = catalogue_of(files, datetime, out.parent, collection)
    try:
        with out.open("x", encoding="utf-8") as file:
            json.dump(items, file, indent=1, ensure_ascii=False)
            file.write("\n")
    except FileExistsError:
        raise click.ClickException(f"{out} exists: name another file with --out") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {out}: {(error.strerror or 'unwritable').lower()}") from None
    count = len(items["features"])
    click.echo(f"wrote {out}: {count} item{'s' * (count > 1)}; in a recipe beside it say")
    click.echo(f"imagery:\n  url: {out.name}\n  collection: {collection}\n  datetime: {datetime}\n{shown_as(items)}")
