"""The part of a recipe that says what only a person knows of a dataset: its licence, whom to name, what to cite."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from nutonic.recipe.fields import Part
from nutonic.secrets import holds_address_with_query, holds_secret


def _shown(value: str) -> str:
    if "<!--" in value or "-->" in value:
        raise ValueError("holds an HTML comment, as which the card keeps its own marks: leave it out")
    if holds_secret(value) or holds_address_with_query(value.encode()):
        raise ValueError("holds what looks like a token, or an address with a query, which may hold one: leave it out")
    return value


def _link(value: str) -> str:
    address = urlsplit(value)
    if (
        address.scheme not in ("http", "https")
        or not address.hostname
        or any(c.isspace() or c in "<>()" for c in value)
    ):
        raise ValueError(f"is {value!r:.80}, no address: write https://example.org/…")
    return value


Line = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_shown)]
Link = Annotated[str, Field(max_length=500), AfterValidator(_shown), AfterValidator(_link)]


class Card(Part):
    """What the dataset's card says beside the facts. It changes neither pixels nor rows, nor the recipe's digest."""

    licence: Line | None = None
    """Of the dataset as a whole: an identifier of the Hub's, such as ``cc-by-4.0``, or a name."""
    citation: Annotated[str, Field(min_length=1), AfterValidator(_shown)] | None = None
    """How to cite the dataset, such as BibTeX."""
    attribution: Line | None = None
    """Whom to name."""
    links: tuple[Link, ...] = ()
    text: Annotated[str, Field(min_length=1), AfterValidator(_shown)] | None = None
    """A paragraph of Markdown."""
