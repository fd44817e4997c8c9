"""Recipes as YAML: relative paths are relative to the recipe's folder, and unknown keys are refused with a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from nutonic.errors import RecipeError
from nutonic.recipe.recipe import Recipe


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a YAML file; its relative paths come back absolute.

    Raises
    ------
    RecipeError
        If the file is missing, is not YAML, or does not describe a recipe; the message names the key and the value.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"cannot read the recipe {path}: {_reason(error)}; `nutonic init` writes one to start from"
        ) from None
    return _anchored(parse_recipe_text(text, str(path)), path.absolute().parent)


def parse_recipe(content: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Validate a recipe given as a mapping; a RecipeError says what is wrong, at most four problems at a time."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        more = [f"… and {len(lines) - 3} more"] if len(lines) > 4 else []
        shown = lines[: 3 if more else 4]
        raise RecipeError("\n".join([f"{where}: {shown[0]}", *shown[1:], *more])) from None


def parse_recipe_text(text: str, where: str = "recipe") -> Recipe:
    """Validate a recipe given as YAML; its paths come back as written."""
    try:
        content = yaml.load(text, Loader=_Yaml)
    except yaml.YAMLError as error:
        raise RecipeError(f"{where} is not YAML: {_one_line(error)}") from None
    if not isinstance(content, dict):
        raise RecipeError(
            f"{where} holds {type(content).__name__}, not a recipe: `nutonic init` writes one to start from"
        )
    return parse_recipe(content, where)


class _Yaml(yaml.SafeLoader):
    """YAML that refuses a key written twice instead of keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(problem=f"the key {twice!r} is written twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _anchored(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its paths made absolute, relative to `folder`."""

    def absolute(path: str | None) -> str | None:
        return path if path is None or "://" in path else str(folder / Path(path).expanduser())

    return recipe.model_copy(
        update={
            "pois": recipe.pois.model_copy(update={"path": absolute(recipe.pois.path)}),
            "imagery": recipe.imagery.model_copy(update={"url": absolute(recipe.imagery.url)}),
            "labels": recipe.labels.model_copy(
                update={"path": absolute(recipe.labels.path), "url": absolute(recipe.labels.url)}
            ),
            "cube": recipe.cube.model_copy(
                update={"area": absolute(recipe.cube.area) if isinstance(recipe.cube.area, str) else recipe.cube.area}
            ),
        }
    )


def _explain(problem: Mapping[str, Any]) -> str:
    """One line for one problem that pydantic found."""
    loc = tuple(part for part in problem["loc"] if part != "str" and not str(part).endswith("Classes]"))
    key = ".".join(map(str, loc)) or "recipe"
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(loc[-1]), list(_siblings(loc)), n=1)
        return f"{key} is not a key of a recipe" + (f": did you mean {close[0]}?" if close else "")
    if problem["type"] == "missing":
        return f"{key} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    return (
        f"{key}: {message}" if problem["type"] == "value_error" else f"{key}: {message}, not {problem['input']!r:.60}"
    )


def _siblings(loc: tuple[Any, ...]) -> Iterator[str]:
    """The keys that could have stood where `loc` points."""
    model: type[BaseModel] | None = Recipe
    for part in loc[:-1]:
        found = model.model_fields.get(part) if model is not None else None
        if found is None:
            return
        model = _model_in(found.annotation)
    if model is not None:
        yield from model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or "it is not UTF-8 text").lower()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
