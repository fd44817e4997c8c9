"""``nutonic init``: recipes to start from, and the texts that recipes can name."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Literal

import click

from nutonic.cli.ending import print_text
from nutonic.cli.paths import in_shell, in_yaml
from nutonic.inert import inert
from nutonic.io.buckets.address import path_of
from nutonic.recipe.starts import NAMES, places, recipe_text, start

#: Beside recipes: the texts that a recipe can name.
_TEXTS = {
    "wording": "templates of rows, for rows.wording",
    "prompts": "templates of what models are asked, for captions.prompts",
    "tags": "what a picture shows of a map, for osm.tags",
}


def _help() -> str:
    lines = [f"  {name:<20}{start(name).about}" for name in NAMES] + [
        f"  {name:<20}{about}" for name, about in _TEXTS.items()
    ]
    return "\n".join(
        [
            "Write a commented recipe to start from, or texts that a recipe can name.",
            "",
            "PATH is recipe.yaml unless you say otherwise. WHAT is one of these, nutonic by default:",
            "",
            "\b",
            *lines,
        ]
    )


@click.command(short_help="Write a commented recipe to start from.", help=_help())
@click.argument("template", required=False, metavar="[WHAT]")
@click.argument("path", required=False)
def init(template: str | None, path: str | None) -> None:
    """Write a recipe or texts, never over what is there."""
    for text in (template, path):
        path_of(text or "")
    if template in ("wording", "prompts"):
        _write_texts("wording" if template == "wording" else "prompts", Path(path or template))
        return
    if template == "tags":
        from nutonic.recipe.texts import builtin

        target = Path(path or "tags.yaml")
        _write_new(
            target,
            builtin("tags")["text"],
            f"edit it, and say  osm: {{tags: {in_yaml(target)}}}  in a recipe beside it",
        )
        return
    if template not in NAMES and (path is not None or _is_a_name(template)):
        close = difflib.get_close_matches(template or "", (*NAMES, *_TEXTS), n=1)
        guess = f"did you mean {close[0]}?" if close else f"use {', '.join((*NAMES, *_TEXTS))}"
        raise click.ClickException(f"{template!r} is not a template: {guess}")
    name, target = (
        (template, Path(path or "recipe.yaml")) if template in NAMES else ("nutonic", Path(template or "recipe.yaml"))
    )
    _write_recipe(name or "nutonic", target)


def _is_a_name(text: str | None) -> bool:
    """Whether a word looks like the name of a template rather than like a path: no folder, and no suffix."""
    return text is not None and Path(text).name == text and not Path(text).suffix


def _write_recipe(name: str, target: Path) -> None:
    chosen = start(name)
    then = f"nutonic plan {in_shell(target)}"
    _write_new(target, recipe_text(name), f"set {chosen.to_set}, then run  {then}" if chosen.to_set else f"run  {then}")
    beside = target.with_name("places.csv")
    if chosen.needs_places and not beside.exists():
        _write_new(beside, places(), "twelve places to try it on; put your own there")


def _write_texts(kind: Literal["wording", "prompts"], folder: Path) -> None:
    from nutonic.planning.ownership import refuse_output
    from nutonic.recipe.texts import SUFFIX, builtin

    refuse_output(folder)
    try:
        folder.mkdir()
        for name, text in builtin(kind).items():
            (folder / f"{name}{SUFFIX[kind]}").write_text(text, encoding="utf-8")
    except FileExistsError:
        raise click.ClickException(f"{folder} exists: name another folder") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {folder}: {(error.strerror or 'unwritable').lower()}") from None
    where = (
        f"rows: {{wording: {in_yaml(folder)}}}" if kind == "wording" else f"captions: {{prompts: {in_yaml(folder)}}}"
    )
    print_text(inert(f"wrote {folder}: edit its templates, and say  {where}  in a recipe beside it"))


def _write_new(path: Path, text: str, then: str) -> None:
    write_new(path, text)
    print_text(inert(f"wrote {path}: {then}"))


def refuse_existing(path: Path) -> None:
    """Raise if anything is at a path, also a link to nothing."""
    if os.path.lexists(path):
        raise click.ClickException(f"{path} exists: name another file")


def write_new(path: Path, text: str) -> None:
    """Write a file where there is none, wholly or not at all."""
    from nutonic.planning.ownership import refuse_output

    refuse_output(path)
    content = text.encode("utf-8")
    try:
        with path.open("xb") as file:  # not through a link either
            try:
                file.write(content)
                file.flush()
            except OSError:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise click.ClickException(f"{path} exists: name another file") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {(error.strerror or 'unwritable').lower()}") from None
