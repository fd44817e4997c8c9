"""Recipes as YAML: relative paths are relative to the recipe's folder, and unknown keys are refused with a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from nutonic.errors import RecipeError
from nutonic.io.files import read_regular
from nutonic.recipe.fields import Whole

if TYPE_CHECKING:
    from nutonic.recipe.patches import PatchRecipe
    from nutonic.recipe.recipe import Recipe

#: A recipe of either kind: one with ``kind: patches`` is of patches. Only the kind that is read is imported.
AnyRecipe: TypeAlias = "Recipe | PatchRecipe"
_Any = TypeVar("_Any", bound=BaseModel)

#: libyaml's parser where PyYAML was built with it: thirty times as fast.
_Safe, _Events = getattr(yaml, "CSafeLoader", yaml.SafeLoader), getattr(yaml, "CLoader", yaml.Loader)

#: No recipe is larger, in bytes; or deeper; or has more values once its aliases are written out.
MOST_BYTES, _MOST_DEEP, _MOST_NODES = 2**20, 32, 50_000

#: Letters of a line about a problem.
_LONGEST = 300


def load_recipe(path: str | Path) -> AnyRecipe:
    """Read a recipe from a YAML file; its relative paths come back absolute.

    Raises
    ------
    RecipeError
        If the file is missing, is not YAML, or does not describe a recipe; the message names the key and the value.
    """
    path = Path(path)
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"cannot read the recipe {path}: {_reason(error)}; `nutonic init` writes one to start from"
        ) from None
    return _anchored(parse_recipe_text(text, str(path), path.absolute().parent), path.absolute().parent)


def recipe_of(recipe: AnyRecipe | str | Path) -> AnyRecipe:
    """A recipe, as it is or read from its file.

    Raises
    ------
    TypeError
        If it is anything else.
    RecipeError
        As :func:`load_recipe`.
    """
    if isinstance(recipe, str | Path):
        return load_recipe(recipe)
    if isinstance(recipe, Whole):
        return recipe
    raise TypeError(
        f"a recipe is a nutonic.Recipe or the path of its file, and this is a {type(recipe).__name__}: of a dict, use "
        "nutonic.Recipe.model_validate"
    )


def of_places(recipe: AnyRecipe) -> Recipe:
    """The recipe, if it is one of places; RecipeError says that it is one of patches."""
    from nutonic.recipe.recipe import Recipe

    if not isinstance(recipe, Recipe):
        raise RecipeError(
            f"{recipe.name} is a recipe of patches, and this needs one of places: leave out kind: patches"
        )
    return recipe


def parse_recipe(content: Mapping[str, Any], where: str = "recipe", folder: Path | None = None) -> AnyRecipe:
    """Validate a recipe given as a mapping; a RecipeError says what is wrong, at most four problems at a time.

    A folder of templates that it names is read, relative to `folder`; other paths come back as written.
    """
    model = _kind_of(content)
    try:
        return model.model_validate(content, context={"folder": folder or Path()})
    except ValidationError as error:
        found = error.errors()
        problems = [problem for problem in found if not _is_echo(problem, found)]
        more = [f"… and {len(problems) - 3} more"] if len(problems) > 4 else []
        shown = [_explain(problem, model)[:_LONGEST] for problem in problems[: 3 if more else 4]]
        raise RecipeError("\n".join([f"{where}: {shown[0]}", *shown[1:], *more])) from None


def _kind_of(content: Mapping[str, Any]) -> type[AnyRecipe]:
    """The kind of recipe that a mapping is of."""
    if content.get("kind") == "patches":
        from nutonic.recipe.patches import PatchRecipe

        return PatchRecipe
    from nutonic.recipe.recipe import Recipe

    return Recipe


def _is_echo(problem: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> bool:
    """Whether pydantic finds a list too short only since something in it is wrong, which is told already."""
    loc = problem["loc"]
    if problem["type"] == "string_type" and loc and loc[-1] == "str":  # a name, in whose place there are keys
        loc = loc[:-1]
        return any(other is not problem and other["loc"][: len(loc)] == loc for other in problems)
    return problem["type"] == "too_short" and any(
        other is not problem and other["loc"][: len(loc)] == loc for other in problems
    )


def parse_recipe_text(text: str, where: str = "recipe", folder: Path | None = None) -> AnyRecipe:
    """Validate a recipe given as YAML; its paths come back as written."""
    try:
        _refuse_expansion(text)
        content = loaded(text)
    except _NoValueError as error:
        raise RecipeError(f"{where}: {error}") from None
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
        tab = "; is it a tab? Indent with blanks" if "cannot start any token" in str(error) and "\t" in text else ""
        raise RecipeError(f"{where} is not YAML: {_one_line(error)}{tab}") from None
    if not isinstance(content, dict):
        raise RecipeError(
            f"{where} holds {type(content).__name__}, not a recipe: `nutonic init` writes one to start from"
        )
    return parse_recipe(content, where, folder)


def loaded(text: str) -> Any:
    """What a text of YAML says; a key that is written twice, or a value that cannot be, is an error that tells where it is.

    Raises
    ------
    yaml.YAMLError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError
        As PyYAML says what it cannot read.
    """
    return yaml.load(text, Loader=_Yaml)


def _refuse_expansion(text: str) -> None:
    """Raise a YAMLError if a document is nested too deep, or becomes too large once its aliases are written out.

    Looks at events alone, before anything is built of them. An alias inside an anchor would multiply; it is refused.
    """
    nodes, sizes, opened = 0, dict[str | None, int](), list[tuple[str | None, int]]()
    for event in yaml.parse(text, Loader=_Events):
        if isinstance(event, yaml.AliasEvent):
            if any(anchor for anchor, _ in opened):
                raise _at(event, "an anchor holds an alias: write it out")
            nodes += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, start = opened.pop()
            sizes |= {anchor: nodes - start} if anchor else {}
        elif isinstance(event, yaml.ScalarEvent):
            sizes |= {event.anchor: 1} if event.anchor else {}
            nodes += 1
        if len(opened) > _MOST_DEEP or nodes > _MOST_NODES:
            raise _at(event, f"more than {_MOST_DEEP} levels or {_MOST_NODES:,} values")


def _at(where: yaml.Event | yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)  # type: ignore[arg-type]


class _NoValueError(yaml.YAMLError):
    """A value that looks like one of a kind, and is none, as a day of a thirteenth month."""

    def __init__(self, keys: Sequence[str], node: yaml.ScalarNode, problem: Exception) -> None:
        kind = _KINDS.get(node.tag.rpartition(":")[2], "such value")
        value, line = f"{node.value!r:.60}", node.start_mark.line + 1
        key = f"{'.'.join(keys)}: " if keys else ""
        super().__init__(f"{key}{value} in line {line} is no {kind}: {_one_line(problem)}")


#: What a value looks like, by its tag in YAML.
_KINDS = {
    "timestamp": "date",
    "int": "whole number",
    "float": "number",
    "bool": "yes or no",
    "binary": "data in base64",
}


class _Yaml(_Safe):  # type: ignore[misc, valid-type]
    """YAML that refuses a key written twice instead of keeping the last, and tells of which key a value cannot be read."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._keys: dict[int, tuple[str, ...]] = {}

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
            if not isinstance(node, yaml.ScalarNode):
                raise
            raise _NoValueError(self._keys.get(id(node), ()), node, error) from None

    def _name(self, node: yaml.Node, keys: tuple[str, ...]) -> None:
        """Take up of which key a value is."""
        self._keys[id(node)] = keys
        for number, item in enumerate(node.value if isinstance(node, yaml.SequenceNode) else ()):
            self._name(item, (*keys, str(number)))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, value in node.value:
            self._name(value, (*self._keys.get(id(node), ()), str(key.value)[:60]))
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        seen: set[Any] = set()
        for key in keys:
            if isinstance(key, Hashable) and key in seen:
                raise _at(node, f"the key {key!r:.60} is written twice")
            seen |= {key} if isinstance(key, Hashable) else set()
        return dict(super().construct_mapping(node, deep))

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number = int(super().construct_yaml_int(node))
        if number.bit_length() > 64:
            raise _at(node, "a number of more than 64 bits")
        return number


_Yaml.add_constructor("tag:yaml.org,2002:int", _Yaml.construct_yaml_int)


def _anchored(recipe: AnyRecipe, folder: Path) -> AnyRecipe:
    """The recipe with its paths made absolute, relative to `folder`."""

    def absolute(path: Any) -> Any:
        if isinstance(path, tuple) and all(isinstance(each, str) for each in path):
            return tuple(map(absolute, path))
        try:
            return path if not isinstance(path, str) or "://" in path else str(folder / Path(path).expanduser())
        except RuntimeError as error:  # ~nobody
            raise RecipeError(f"the path {path!r:.60} names a home that is not there: {_one_line(error)}") from None

    for key in recipe.PATHS:
        recipe = _with(recipe, key.split("."), absolute)
    return recipe


def _with(part: _Any, keys: Sequence[str], change: Callable[[Any], Any]) -> _Any:
    """A part of a recipe with a value that is in it changed; a part on the way that is not there stays away."""
    (key, *further), value = keys, getattr(part, keys[0])
    changed = change(value) if not further else value and _with(value, further, change)
    return part.model_copy(update={key: changed})


#: What a person may do, for what pydantic says in terms of Python.
_PLAINER = {
    "tuple_type": "Input should be a list in brackets, such as [a, b]",
    "list_type": "Input should be a list in brackets, such as [a, b]",
    "model_type": "Input should be keys with values, such as {key: value}",
    "dict_type": "Input should be keys with values, such as {key: value}",
}

#: What pydantic puts between keys: which of several forms a value was taken for.
_TAGS = ("str", "a name", "a band")
_FORMS = ("tuple[", "list[", "dict[", "function-")


def _explain(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    """One line for one problem that pydantic found."""
    loc = tuple(part for part in problem["loc"] if part not in _TAGS and not _is_form(str(part)))
    key = ".".join(map(str, loc)) or "recipe"
    if loc == ("kind",) and "kind" not in model.model_fields:
        return f"kind: {_shown(problem['input'])} is no kind of recipe: write kind: patches, or leave it out"
    if problem["type"] == "extra_forbidden":
        return f"{key} is not a key of a recipe{_meant(loc, model)}"
    if loc[:2] == ("patches", "area") and problem["type"] != "value_error":
        form = "[west, south, east, north] in degrees, or the name of a GeoJSON file"
        return f"patches.area: write {form}, not {_shown(problem['input'])}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "string_pattern_mismatch" and loc[-1] == "name":
        return f"{key}: write letters, digits, dots, dashes and underscores, without blanks, not {_shown(problem['input'])}"
    if problem["type"] == "string_pattern_mismatch" and "colors" in loc:
        return f"{key}: write #rrggbb, such as #56b4e9, not {_shown(problem['input'])}"
    if loc[-1:] == ("assets",) and problem["type"] in ("too_short", "too_long"):
        return f"{key}: name three, to be red, green and blue, not {_shown(problem['input'])}"
    if loc[-1:] == ("[key]",) and problem["type"] == "int_parsing":
        counts = "counts" if loc[0] == "captions" else "values of pixels"
        return f"{'.'.join(map(str, loc[:-2]))}: its keys are {counts}, whole numbers, not {_shown(loc[-2])}"
    message = _PLAINER.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    if problem["type"] == "value_error":
        return f"{key}: {message}"
    return f"{key}: {message}, not {_shown(problem['input'])}{_percent(problem)}"


def _is_form(part: str) -> bool:
    return part.startswith(_FORMS) or part.endswith("Classes]")


def _meant(loc: tuple[Any, ...], model: type[BaseModel]) -> str:
    """The key that was meant: one that is spelt nearly so, or one of the same name elsewhere."""
    close = difflib.get_close_matches(str(loc[-1])[:40], list(_siblings(loc, model)), n=1)
    if close:
        return f": did you mean {close[0]}?"
    fields = {
        name: getattr(_model_in(field.annotation), "model_fields", ()) for name, field in model.model_fields.items()
    }
    parts = [name for name, of_part in fields.items() if loc[-1] in of_part]
    return f": did you mean {' or '.join(f'{part}.{loc[-1]}' for part in parts[:2])}?" if parts else ""


def _percent(problem: Mapping[str, Any]) -> str:
    """How a share is written, where it was given in percent."""
    value = problem["input"]
    is_share = problem["type"] == "less_than_equal" and problem.get("ctx", {}).get("le") == 1
    if not is_share or not isinstance(value, int | float) or not 1 < value <= 100:
        return ""
    return f": write {value / 100:g} for {value:g} %"


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except (ValueError, RecursionError):  # a number of thousands of digits
        return f"such a {type(value).__name__}"


def _siblings(loc: tuple[Any, ...], recipe: type[BaseModel]) -> Iterator[str]:
    """The keys that could have stood where `loc` points."""
    model: type[BaseModel] | None = recipe
    for part in (part for part in loc[:-1] if not isinstance(part, int)):
        found = model.model_fields.get(part) if model is not None else None
        if found is None:
            return
        model = _model_in(found.annotation)
    if model is not None:
        yield from model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or "it is not UTF-8 text").lower()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
