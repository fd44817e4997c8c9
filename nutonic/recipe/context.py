"""The part of a recipe that says what is put beside the chips of a place: a still from a server of static maps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator, model_validator

from nutonic.io.access import is_loopback
from nutonic.recipe.fields import Name, Part
from nutonic.secrets import holds_opaque_value, is_secret_name, speaks_of_secrets

#: What is filled in for each place; the token, in the query alone, where it is asked.
SLOTS = ("lon", "lat", "zoom", "size", "style")
TOKEN = "{token}"

#: Most pixels along a side that Mapbox takes.
_MOST_AT_MAPBOX = 1280

_SLOT = re.compile(r"\{([^{}]*)\}")


class Mapbox(Part):
    """A still of each place, of Mapbox or of another server of static maps. Its token is the environment's alone.

    Errors about addresses and names of variables tell no value: who puts a token there finds it in no log.
    """

    enabled: bool = False
    style: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_.-]{1,64}$")] = "mapbox/satellite-v9"
    zoom: Annotated[float, Field(ge=0.0, le=22.0)] = 12.0
    size: Annotated[int, Field(ge=1, le=4096)] = 1280
    """Pixels along a side, as they are asked for; Mapbox's pictures have twice as many."""
    url: str | None = None
    """Of another server: a template with ``{lon}`` and ``{lat}``, and ``{zoom}``, ``{size}``, ``{style}`` as it needs."""
    query: dict[Name, str] = Field(default_factory=dict)
    """The template's query, with the same slots and ``{token}``; what `url` has behind its question mark goes here."""
    token_variable: str = "MAPBOX_ACCESS_TOKEN"
    """Name of the environment variable that holds the token."""
    attribution: str | None = None
    """What the other server wants to be said beside its pictures; Mapbox's is known."""

    @model_validator(mode="before")
    @classmethod
    def _parted(cls, value: Any) -> Any:
        """The same with the query of `url` in its place."""
        if isinstance(value, Mapbox):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("is no part with keys: write {enabled: true}; a token never stands in a recipe")
        url = value.get("url")
        if not isinstance(url, str) or "?" not in url:
            return value
        bare, _, query = url.partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        except ValueError:
            raise ValueError("has a url with a query that is no list of key=value") from None
        if len(dict(pairs)) != len(pairs) or value.get("query"):
            raise ValueError("has a key of its url's query twice")
        return {**value, "url": bare, "query": dict(pairs)}

    @field_validator("token_variable", mode="before")
    @classmethod
    def _is_known_as_secret(cls, value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", value):
            raise ValueError("is no name of an environment variable, such as MAPBOX_ACCESS_TOKEN")
        if not is_secret_name(value):
            raise ValueError("names a variable that nobody knows for a secret: call it …_TOKEN or …_KEY")
        return value

    @field_validator("url")
    @classmethod
    def _is_a_template(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or "#" in value:
            raise ValueError("is no address: write https://HOST/… without a user or a fragment")
        if "{" in parts.netloc:
            raise ValueError("has a slot in its host: only path and query may have any")
        if TOKEN in value:
            raise ValueError("has {token} in its path, where addresses are told: only the query may hold it")
        _refuse_unknown_slots(value, SLOTS)
        return value

    @field_validator("query")
    @classmethod
    def _holds_no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        for key, text in value.items():
            _refuse_unknown_slots(text, (*SLOTS, "token"))
            bare = _SLOT.sub("", text)
            secret = bare if TOKEN in text else speaks_of_secrets(key)
            if secret or _SLOT.search(key) or holds_opaque_value(f"https://h/?{key}={bare}".encode()):
                raise ValueError(
                    f"has what looks like a key under {key[:40]!a}: write {{token}} there, and nothing else; "
                    "the token itself goes into the environment"
                )
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.url is None:
            if self.query:
                raise ValueError("has query, which is for a url of your own")
            if self.size > _MOST_AT_MAPBOX:
                raise ValueError(f"has size {self.size}, more than Mapbox's {_MOST_AT_MAPBOX}")
            return self
        whole = " ".join((self.url, *self.query.values()))
        if "{lon}" not in whole or "{lat}" not in whole:
            raise ValueError("has a url without {lon} or {lat}: all places would have one still")
        parts = urlsplit(self.url)
        if self.needs_token and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("has a url of plain http, which would show the token to all on the way: use https")
        return self

    @property
    def needs_token(self) -> bool:
        """Whether anything is asked with a token."""
        return self.url is None or any(TOKEN in text for text in self.query.values())


class Context(Part):
    """What is put beside the chips of a place."""

    mapbox: Mapbox = Mapbox()


def _refuse_unknown_slots(text: str, known: tuple[str, ...]) -> None:
    """Raise ValueError for braces that hold anything but a known slot."""
    unknown = [name for name in _SLOT.findall(text) if name not in known]
    if unknown or "{" in _SLOT.sub("", text) or "}" in _SLOT.sub("", text):
        raise ValueError(f"has a slot that is none of {', '.join('{' + name + '}' for name in (*SLOTS, 'token'))}")
