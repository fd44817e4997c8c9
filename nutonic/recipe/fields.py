"""Base class and field types of a recipe's parts."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Fraction01 = Annotated[float, Field(ge=0.0, le=1.0)]
Percent = Annotated[float, Field(ge=0.0, le=100.0)]
Positive = Annotated[float, Field(gt=0.0)]
Name = Annotated[str, Field(min_length=1)]


def _host(value: str) -> str:
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]+(:\d+)?|\[[0-9a-fA-F:]+\]:\d+", value):
        raise ValueError(f"is {value!r}, no host: write example.org, *.example.org or 127.0.0.1:8000")
    return value


#: Hosts: ``example.org``, ``*.example.org``; with a port also a private one: ``127.0.0.1:8000``.
Hosts = tuple[Annotated[str, AfterValidator(_host)], ...]
Sign = Literal["planetary-computer"] | None


class Part(BaseModel):
    """Base of a recipe's parts: frozen, no unknown keys, finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError(f"is {str(value).lower()}, a yes or no: quote it if it is text")
        return value
