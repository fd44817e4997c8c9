"""What is different between two recipes that should be the same, key by key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from nutonic.recipe.fields import IDENTITY

#: Keys that a recipe's digest does not count, since they say where things lie or how they are read: of any part.
_WHERE_AND_HOW = frozenset(
    {"path", "url", "area", "engine", "sign", "allow_hosts", "keep_query", "project", "token_variable", *IDENTITY}
    | {"requests_per_minute", "base_url", "key_variable", "max_in_flight", "timeout_s", "mode"}
)
_UNCOUNTED_PARTS = frozenset({"card", "cube"})

#: Differences that are told one by one, and letters of a value.
_SHOWN, _LONGEST = 3, 60


def differences(before: str, now: str) -> list[str]:
    """Keys that determine a dataset and have other values now, each with both, in the order of the recipe.

    Parameters
    ----------
    before, now
        Recipes as :meth:`nutonic.Recipe.text` gives them, every default spelled out.
    """
    old, new = (dict(_leaves(yaml.safe_load(text), ())) for text in (before, now))
    keys = [key for key in dict.fromkeys((*new, *old)) if old.get(key) != new.get(key)]
    return [f"{'.'.join(key)} is {_shown(new, key)}, it was {_shown(old, key)}" for key in keys]


def differences_in_words(before: str, now: str) -> str:
    """The differences as a part of a sentence; where no key differs, that a text which a key names does."""
    found = differences(before, now)
    if not found:
        return "a text that it names (rows.wording, captions.prompts or osm.tags) is another"
    more = [f"{len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "; ".join([*found[:_SHOWN], *more])


def _leaves(value: Any, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no mapping, by the keys that lead to it."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            where = (*key, str(name))
            if where[0] not in _UNCOUNTED_PARTS and str(name) not in _WHERE_AND_HOW:
                yield from _leaves(part, where)
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for number, part in enumerate(value):
            yield from _leaves(part, (*key, str(number)))
    else:
        yield key, value


def _shown(values: dict[tuple[str, ...], Any], key: tuple[str, ...]) -> str:
    if key not in values:
        return "not there"
    value = values[key]
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
