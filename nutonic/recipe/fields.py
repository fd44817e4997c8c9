"""Base class and field types of a recipe's parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from nutonic.core.showing import short_address
from nutonic.inert import inert, unseen
from nutonic.io.buckets.address import refuse_misspelt
from nutonic.secrets import speaks_of_secrets

Fraction01 = Annotated[float, Field(ge=0.0, le=1.0)]
Percent = Annotated[float, Field(ge=0.0, le=100.0)]
Positive = Annotated[float, Field(gt=0.0)]
Name = Annotated[str, Field(min_length=1)]


def _host(value: str) -> str:
    if re.fullmatch(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*", value):
        return value
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]+(:\d+)?|\[[0-9a-fA-F:]+\]:\d+", value):
        raise ValueError(f"is {value!r}, no host: write example.org, *.example.org, 127.0.0.1:8000 or s3://bucket")
    return value


def _web_host(value: str) -> str:
    if "://" in _host(value):
        raise ValueError(f"is {value!r}, a bucket: credentials for buckets come from the environment by themselves")
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,99}", value):
        raise ValueError("needs the name of an environment variable, such as EARTHDATA_TOKEN, never a token itself")
    return value


def _harmless(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", key):
        raise ValueError(f"is {key!r:.60}, no key of a query: write the name alone, such as versionId")
    if speaks_of_secrets(key):
        raise ValueError(f"is {key!r}, which signs addresses or says who asks: such a key is never kept")
    return key


#: Keys of queries that say nothing that others may not know: ``versionId``.
Keys = tuple[Annotated[str, AfterValidator(_harmless)], ...]

#: Hosts: ``example.org``, ``*.example.org``; with a port also a private one: ``127.0.0.1:8000``. Buckets: ``s3://bucket``.
Hosts = tuple[Annotated[str, AfterValidator(_host)], ...]

#: By host, the environment variable that holds a token for it: ``{data.example.org: EARTHDATA_TOKEN}``.
Bearer = dict[Annotated[str, AfterValidator(_web_host)], Annotated[str, AfterValidator(_variable)]]
Sign = Literal["planetary-computer"] | None


#: Of a whole number, and of a text.
_MOST_BITS, _MOST_LETTERS = 63, 10_000


#: Keys that say who asks for inputs.
IDENTITY = ("unsigned", "requester_pays", "bearer")


def without_unused(part: dict[str, Any], keys: Iterable[str]) -> None:
    """Take keys that say nothing out of a part's dump, so that texts of recipes without them stay what they were."""
    for key in keys:
        if not part.get(key, True):
            del part[key]


class Part(BaseModel):
    """Base of a recipe's parts: frozen, no unknown keys, finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    LONG: ClassVar[frozenset[str]] = frozenset()
    """Fields that hold long texts, and see to their length themselves."""

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and not _takes(cls.model_fields[str(info.field_name)].annotation, value):
            raise ValueError(f"is {str(value).lower()}, a yes or no: quote it if it is text")
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ValueError(f"is a number of more than {_MOST_BITS} bits")
        if isinstance(value, bytes):
            raise ValueError("is bytes, no text")
        if info.field_name in _WHERE:
            for text in _texts(value):
                refuse_misspelt(text)
        if info.field_name not in cls.LONG:
            for text in _texts(value):
                _refuse_text(text)
        return value


class Identified(Part):
    """Base of parts whose inputs may lie at addresses: the keys of :data:`IDENTITY` say who asks for them.

    Each part declares them where they stand among its own: fields of a base come first, and a recipe's text has its keys in
    the order of the fields.
    """

    @model_validator(mode="after")
    def _somebody_pays(self) -> Self:
        unsigned, requester_pays, _ = (getattr(self, key) for key in IDENTITY)
        if unsigned and requester_pays:
            raise ValueError("has unsigned and requester_pays: who pays must be known, so leave out unsigned")
        return self


#: Letters of a part that are shown, in a notebook's table too; and keys of where things lie, of which the last name is.
_SHOWN, _SHOWN_OF_HTML = 110, 1000
_WHERE = frozenset({"path", "url", "base_url", "area"})


class Whole(Part):
    """Base of whole recipes: shown on a screen, a line for each part, of keys those that are not at their default."""

    PATHS: ClassVar[tuple[str, ...]] = ()
    """Keys, from the top, that hold paths: in a file they are relative to its folder."""

    def __repr__(self) -> str:
        """Name and parts; :meth:`text` has every key."""
        parts = self._parts()
        width = max(map(len, parts), default=0)
        lines = (f"  {name:{width}}  {_cut(text, _SHOWN)}" for name, text in parts.items())
        return "\n".join([f"{type(self).__name__} {getattr(self, 'name', '')}", *lines])

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        style = "style='text-align:left;vertical-align:top'"
        parts = ((escape(name), escape(_cut(text, _SHOWN_OF_HTML))) for name, text in self._parts().items())
        rows = "".join(f"<tr><th {style}>{name}</th><td {style}><code>{text}</code></td></tr>" for name, text in parts)
        caption = escape(f"{type(self).__name__} {getattr(self, 'name', '')}")
        return f"<table><caption>{caption}; the other keys are at their defaults</caption>{rows}</table>"

    def _parts(self) -> dict[str, str]:
        """Parts that say anything, each in a line of YAML."""
        dumped = self.model_dump(exclude_defaults=True, exclude={"name", "kind"})
        return {name: _in_a_line(value) for name, value in dumped.items() if value not in ({}, None)}


def _in_a_line(part: Any) -> str:
    text = yaml.safe_dump(_named(part), default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True)
    return inert(text.strip().removesuffix("\n...").removeprefix("{").removesuffix("}"))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _named(value: Any, key: str = "") -> Any:
    """A value with the last names of paths, and addresses without queries."""
    if isinstance(value, Mapping):
        return {name: _named(each, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_named(each, key) for each in value]
    return short_address(value) if key in _WHERE and isinstance(value, str) else value


def _refuse_text(text: str) -> None:
    if len(text) > _MOST_LETTERS:
        raise ValueError(f"is a text of {len(text):,} letters, more than {_MOST_LETTERS:,}: {text[:40]!a}…")
    if unseen(text):
        raise ValueError(f"holds a character that is not seen or turns text around: {text!a:.60}")
    if "://" in text:
        try:
            _ = urlsplit(text).port
        except ValueError as error:
            raise ValueError(f"is {text!a:.60}, no URL: {error}") from None


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value as YAML gives it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(key)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _takes(annotation: Any, value: bool) -> bool:
    """Whether a field is a yes or no, or has this one among its values, as ``Literal[False]`` has."""
    return annotation is bool or any(given is value for kind in get_args(annotation) for given in get_args(kind))
