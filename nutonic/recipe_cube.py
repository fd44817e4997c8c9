"""The part of a recipe that an area over time is made by: ``nutonic cube``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nutonic.fields import Part


class Cube(Part):
    """An area over time; a dataset does not depend on it."""

    area: tuple[float, float, float, float] | str | None = None
    """West, south, east, north in degrees, or the path of a GeoJSON file."""
    chunk: Annotated[int, Field(ge=16, le=8192)] = 1024
    """Side of tiles in pixels; a multiple of the files' blocks reads each block just once."""
    mask: str | None = None
    """Asset of a scene classification, such as ``scl``, by which clouds and shadows are left out."""
    reduce: Literal["median", "mean", "clearest"] | None = None
    """One picture of all times; by default each time is kept."""
    warp: bool = True
    """Whether scenes of other UTM zones are read by nearest neighbour, or left out."""
