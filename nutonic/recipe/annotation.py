"""The part of a patch recipe that says who captions patches, how long captions are, and what is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from nutonic.recipe.fields import Fraction01, Name, Part, Positive
from nutonic.recipe.texts import Prompts

#: A count of words: at least one.
_Words = Annotated[int, Field(ge=1, le=10_000)]


class Annotator(Part):
    """Who writes captions: templates, which need no model; or a model at an OpenAI-compatible endpoint."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$")]
    """What annotations call it; two annotators have two names."""
    kind: Literal["template", "openai"] = "openai"
    weight: Positive = 1.0
    """Its share of the captions is its weight over the sum of all."""
    base_url: str | None = None
    """Of the endpoint, such as ``http://127.0.0.1:8000/v1``; its key comes from the environment, never from here."""
    model: Name | None = None
    """As the endpoint calls it."""
    key_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")] = "OPENAI_API_KEY"
    """The variable of the environment that holds the key; an endpoint on this machine needs none."""
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.7
    max_tokens: Annotated[int, Field(ge=16, le=100_000)] = 300
    max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 8
    """Requests at the same time, of all workers together."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Of all workers together; None for as many as the endpoint takes."""
    timeout_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 60.0
    """Seconds until an attempt is given up."""
    picture: bool = False
    """Whether the picture goes along, for a model that sees."""
    structured: bool = False
    """Whether to ask for JSON by a schema, where the endpoint offers it."""
    mode: Literal["chat", "batch"] = "chat"
    """``batch``: requests are written to a file, and answers read from one, as hosted models take them at half the price."""
    input_price: Annotated[float, Field(ge=0.0)] = 0.0
    """Money per million tokens of requests."""
    output_price: Annotated[float, Field(ge=0.0)] = 0.0
    """Money per million tokens of answers."""
    licence: str | None = None
    """The model's terms, for the card."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
            raise ValueError("is no plain address: write http(s)://host/path, without a user and a query")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _complete(self) -> Annotator:
        if self.kind == "template":
            defaults = type(self)(name=self.name, kind="openai", base_url="http://x", model="x")
            same = {name for name in type(self).model_fields if getattr(self, name) == getattr(defaults, name)}
            strange = sorted(set(type(self).model_fields) - same - {"kind", "weight", "base_url", "model", "licence"})
            strange += [name for name in ("base_url", "model") if getattr(self, name) is not None]
            if strange:
                raise ValueError(f"has {', '.join(strange)}, which templates do not use")
        elif self.base_url is None or self.model is None:
            raise ValueError("needs base_url and model")
        return self


#: Who captions where a recipe names nobody.
TEMPLATES = Annotator(name="templates", kind="template")


class Lengths(Part):
    """The least and the most words of a caption, by task."""

    area: tuple[_Words, _Words] = (40, 120)
    line: tuple[_Words, _Words] = (40, 120)
    revision: tuple[_Words, _Words] = (10, 50)

    @field_validator("*")
    @classmethod
    def _ordered(cls, value: Any) -> Any:
        if value[0] > value[1]:
            raise ValueError(f"has more words at least than at most: {list(value)}")
        return value


class Captions(Part):
    """What captions are asked for, of whom, and when one is good enough."""

    annotators: Annotated[tuple[Annotator, ...], Field(min_length=1)] = (TEMPLATES,)
    min_area_share: Fraction01 = 0.05
    """Task 1 describes an area that covers more of the patch than this, ..."""
    min_line_share: Positive = 0.3
    """and task 2 a line that is longer than this part of the patch's side."""
    among: Annotated[int, Field(ge=1, le=100)] = 3
    """One of so many of the largest areas, or the longest lines, is chosen."""
    area_weight: Fraction01 = 0.6
    """Where both are there, task 1 has this chance."""
    revisions: dict[Annotated[int, Field(ge=0, le=4)], Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=lambda: {1: 0.97, 2: 0.02, 3: 0.007, 4: 0.003}
    )
    """Task 3: how many captions are made of the first, by the chance of each number. The default makes one of two captions
    a revision."""
    words: Lengths = Lengths()
    names: bool = False
    """Whether captions may say names, which no picture shows."""
    prompts: Prompts = "builtin"
    """A folder of templates for what models are asked."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """How often an annotator is asked, each time with another seed, before the next one is."""
    seed: Annotated[int, Field(ge=0)] = 0

    LONG = frozenset({"prompts"})

    @field_validator("annotators")
    @classmethod
    def _own_names(cls, value: tuple[Annotator, ...]) -> tuple[Annotator, ...]:
        names = [annotator.name for annotator in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"calls two annotators {twice!r}")
        return value

    @field_validator("revisions")
    @classmethod
    def _some(cls, value: dict[int, float]) -> dict[int, float]:
        if not sum(value.values()) > 0:
            raise ValueError("gives no number of revisions a chance; write {0: 1} for none")
        return value


class Polish(Part):
    """Who says the land-cover captions of chips in other words."""

    LONG = frozenset({"prompts"})

    annotators: Annotated[tuple[Annotator, ...], Field(min_length=1)]
    words: tuple[_Words, _Words] = (10, 120)
    """The least and the most words."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """How often an annotator is asked, each time with another seed, before the next one is."""
    prompts: Prompts = "builtin"
    """A folder of templates for what models are asked: ``system`` and ``revision`` of them."""
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("annotators")
    @classmethod
    def _models(cls, value: tuple[Annotator, ...]) -> tuple[Annotator, ...]:
        strange = next((each for each in value if each.kind != "openai" or each.picture), None)
        if strange is not None:
            what = "is shown the picture" if strange.picture else "is a template, which wrote them"
            raise ValueError(f"has {strange.name}, who {what}: captions are polished by models that read text")
        return value

    @model_validator(mode="after")
    def _as_captions(self) -> Polish:
        _ = self.captions
        return self

    @property
    def captions(self) -> Captions:
        """The same as is asked of revisions of patches' captions."""
        return Captions(
            annotators=self.annotators,
            words=Lengths(revision=self.words),
            attempts=self.attempts,
            prompts=self.prompts,
            seed=self.seed,
        )


#: Of annotators, what makes no caption another one: where they are, and how much they are asked.
WHERE_AND_HOW = ("base_url", "key_variable", "max_in_flight", "requests_per_minute", "timeout_s", "mode")
