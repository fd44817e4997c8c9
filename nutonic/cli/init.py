"""``nutonic init``: recipes to start from, and the texts that recipes can name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from nutonic.io.atomic import refuse_unusable


@click.command(short_help="Write a commented recipe to start from.")
@click.argument("template", required=False)
@click.argument("path", required=False)
def init(template: str | None, path: str | None) -> None:
    """Write a commented recipe to start from, or texts that a recipe can name instead of nutonic's own.

    TEMPLATE is nutonic, the default, or rsteller, a recipe of patches; PATH is recipe.yaml unless you say otherwise.
    wording and prompts write templates, of rows and for models, into a new folder of that name; tags writes the policy that
    says what a picture shows of a map, into tags.yaml. Edit them, and name them in rows.wording, captions.prompts, osm.tags.
    """
    from nutonic.recipe.template import NAMES
    from nutonic.recipe.template import template as recipe_template

    if template in ("wording", "prompts"):
        _write_texts("wording" if template == "wording" else "prompts", Path(path or template))
        return
    if template == "tags":
        from nutonic.recipe.templates import builtin

        target = Path(path or "tags.yaml")
        _write_new(target, builtin("tags")["text"], f"edit it, and say  osm: {{tags: {target}}}  in a recipe beside it")
        return
    if template not in NAMES and path is not None:
        others = ", ".join((*NAMES, "wording", "prompts", "tags"))
        raise click.ClickException(f"{template!r} is not a template: use {others}")
    name, target = (
        (template, Path(path or "recipe.yaml")) if template in NAMES else ("nutonic", Path(template or "recipe.yaml"))
    )
    keys = "imagery, patches and osm" if name == "rsteller" else "pois.path, imagery and labels"
    _write_new(target, recipe_template(name or "nutonic"), f"set {keys}, then run  nutonic plan {target}")


def _write_texts(kind: Literal["wording", "prompts"], folder: Path) -> None:
    from nutonic.recipe.templates import SUFFIX, builtin

    refuse_unusable(folder)
    try:
        folder.mkdir()
        for name, text in builtin(kind).items():
            (folder / f"{name}{SUFFIX[kind]}").write_text(text, encoding="utf-8")
    except FileExistsError:
        raise click.ClickException(f"{folder} exists: name another folder") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {folder}: {(error.strerror or 'unwritable').lower()}") from None
    where = f"rows: {{wording: {folder}}}" if kind == "wording" else f"captions: {{prompts: {folder}}}"
    click.echo(f"wrote {folder}: edit its templates, and say  {where}  in a recipe beside it")


def _write_new(path: Path, text: str, then: str) -> None:
    refuse_unusable(path)
    try:
        with path.open("x", encoding="utf-8") as file:  # not through a link either
            file.write(text)
    except FileExistsError:
        raise click.ClickException(f"{path} exists: name another file") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {(error.strerror or 'unwritable').lower()}") from None
    click.echo(f"wrote {path}: {then}")
