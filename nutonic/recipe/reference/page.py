"""The keys of recipes as a page of Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nutonic.core.model import Json
from nutonic.recipe.reference.schema import schema

_OPENING = """# All keys of a recipe

Made from the code by `nutonic schema --page`. `nutonic schema > recipe.schema.json` writes the same as JSON Schema: with
`# yaml-language-server: $schema=recipe.schema.json` as the first line of a recipe, editors complete its keys and check them.

A key that has no default must be given. All others may be left out.
"""

_KINDS = {"else": "Recipes of places", "then": "Recipes of patches (`kind: patches`)"}


def page() -> str:
    """The page: a table for each part of both kinds, in the order of their keys."""
    told = schema()
    parts = [_OPENING]
    for branch, title in _KINDS.items():
        parts += [f"\n## {title}\n", *_table(told[branch], told["$defs"])]
        for name, value in told[branch]["properties"].items():
            parts += _sections(name, value, told["$defs"])
    return "\n".join(parts) + "\n"


def _sections(path: str, value: Json, parts: Mapping[str, Json]) -> Iterator[str]:
    """The section of a key that is a part of its own, and those of the keys in it."""
    for name in _referred(value):
        part = parts[name]
        if "properties" not in part:
            continue
        text = part.get("description", "").partition("\n\n")[0].replace("``", "`")
        yield f"\n### `{path}`\n"
        yield f"{' '.join(text.split())}\n"
        yield from _table(part, parts)
        for key, inner in part["properties"].items():
            yield from _sections(f"{path}.{key}", inner, parts)


def _table(part: Json, parts: Mapping[str, Json]) -> Iterator[str]:
    yield "| key | what it takes | default | what it is |"
    yield "|---|---|---|---|"
    required = set(part.get("required", ()))
    for name, value in part["properties"].items():
        default = "" if name in required else _default(value.get("default"))
        cells = (f"`{name}`", _takes(value, parts), default, value.get("description", ""))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(value: object) -> str:
    if isinstance(value, dict):
        return "its own"
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 60 else f"`{text[:56]} …`"


def _referred(value: Json) -> list[str]:
    """Names of the parts that a value may be."""
    found = [value["$ref"].rpartition("/")[2]] if "$ref" in value else []
    for each in (*value.get("anyOf", ()), *value.get("oneOf", ()), *value.get("allOf", ())):
        found += _referred(each)
    items = value.get("items")
    return found + (_referred(items) if isinstance(items, dict) else [])


def _takes(value: Json, parts: Mapping[str, Json]) -> str:
    """What a key takes, in a few words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return "keys of its own" if "properties" in parts[name] else _takes(parts[name], parts)
    choices = value.get("anyOf") or value.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(_takes(each, parts) for each in choices))
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    return _PLAIN.get(str(value.get("type")), _of_type)(value, parts)


def _of_type(value: Json, _: Mapping[str, Json]) -> str:
    return {"null": "null", "boolean": "yes or no"}.get(str(value.get("type")), "anything")


def _number(value: Json, _: Mapping[str, Json]) -> str:
    kind = "whole number" if value["type"] == "integer" else "number"
    bounds = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
    return " ".join([kind, *(f"{word} {value[key]:g}" for key, word in bounds if key in value)])


def _list(value: Json, parts: Mapping[str, Json]) -> str:
    items: Any = value.get("items") or next(iter(value.get("prefixItems", ())), {})
    return f"list of: {_takes(items, parts)}"


def _text(value: Json, _: Mapping[str, Json]) -> str:
    return {"date": "date", "date-time": "time"}.get(str(value.get("format")), "text")


def _object(value: Json, parts: Mapping[str, Json]) -> str:
    inner = value.get("additionalProperties")
    return f"names, each with: {_takes(inner, parts)}" if isinstance(inner, dict) and inner else "names and values"


_PLAIN = {"integer": _number, "number": _number, "array": _list, "string": _text, "object": _object}
