"""The part of a patch recipe that says where the map comes from, and which of its words a picture can show."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from nutonic.recipe.fields import IDENTITY, Bearer, Identified
from nutonic.recipe.texts import TagPolicyText


class Osm(Identified):
    """OpenStreetMap: an extract, or a server of Overpass."""

    source: Literal["pbf", "overpass"] = "pbf"
    path: str | None = None
    """Of an extract, ``*.osm.pbf``; at an address (https://, s3://, gs://, az://) too."""
    url: str | None = None
    """Of an Overpass interpreter, such as ``https://overpass-api.de/api/interpreter``."""
    date: str | None = None
    """Overpass: the map as it was on this day, ``2022-06-01``; an extract tells its own."""
    tags: TagPolicyText = "builtin"
    """A file that says which tags are visible, implied and invisible."""
    requests_per_minute: Annotated[int, Field(ge=1, le=6000)] = 30
    """Overpass: of all workers together."""
    unsigned: bool = False
    """Of an extract at an address, as of imagery."""
    requester_pays: bool = False
    """Of an extract at an address, as of imagery."""
    bearer: Bearer = Field(default_factory=dict)
    """Of an extract at an address, as of imagery."""

    LONG = frozenset({"tags"})

    @field_validator("date", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, dt.date) else value

    @field_validator("date")
    @classmethod
    def _is_day(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                dt.date.fromisoformat(value)
            except ValueError:
                raise ValueError(f"is {value!r:.40}, no day: write 2022-06-01") from None
        return value

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
                raise ValueError("is no plain address: write http(s)://host/path, without a user and a query")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Osm:
        needed, others = ("path", ("url", "date")) if self.source == "pbf" else ("url", ("path", *IDENTITY))
        if getattr(self, needed) is None:
            raise ValueError(f"needs {needed} where source is {self.source}")
        strange = [key for key in others if getattr(self, key) not in (None, False, {})]
        if strange:
            raise ValueError(f"has {', '.join(strange)}, which a source {self.source} does not use")
        return self
