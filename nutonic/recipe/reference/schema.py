"""The keys of recipes as JSON Schema, from which an editor completes and checks them."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from nutonic.core.model import Json
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.recipe import Recipe

#: The version of JSON Schema that pydantic writes.
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> Json:
    """The schema of a recipe of either kind.

    Returns
    -------
    dict
        JSON Schema, draft 2020-12. A recipe that says ``kind: patches`` is one of patches, any other one of places.
        What one key makes of another is not in it: a recipe that fits may still be refused, and is told why.
    """
    places, patches = (_of(kind) for kind in (Recipe, PatchRecipe))
    shared = {**places.pop("$defs"), **patches.pop("$defs")}
    return {
        "$schema": _DIALECT,
        "title": "A recipe of nutonic",
        "if": {"properties": {"kind": {"const": "patches"}}, "required": ["kind"]},
        "then": patches,
        "else": places,
        "$defs": dict(sorted(shared.items())),
    }


def _of(kind: type[Recipe] | type[PatchRecipe]) -> Json:
    """Validation, since that is what a person writes; a part that both kinds share has one definition."""
    return dict(kind.model_json_schema(schema_generator=_Described, mode="validation"))


class _Described(GenerateJsonSchema):
    """With what the code says of each key, and without titles that say nothing more than the key."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The schema of a part, its keys described."""
        made = super().model_schema(schema)
        texts = described(schema["cls"])
        for name, value in made.get("properties", {}).items():
            value.pop("title", None)
            if name in texts:
                value["description"] = texts[name]
        return made


def described(part: type[Any]) -> dict[str, str]:
    """What stands below the fields of a class, by their names, each as one paragraph without the marks of code."""
    texts = dict[str, str]()
    for base in reversed(part.__mro__):
        if base.__module__.startswith("nutonic."):
            texts |= _below_fields(base)
    return texts


def _below_fields(part: type[Any]) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = dict[str, str]()
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            value = text.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[field.target.id] = _plain(value.value)
    return found


def _plain(text: str) -> str:
    """A docstring without the marks of code, and roles as the last part of what they name."""
    named = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", text)
    return " ".join(named.replace("``", "").split())
