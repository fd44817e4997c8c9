"""Places files as somebody wrote them, and what is read of them."""

from __future__ import annotations

from pathlib import Path

from nutonic.planning.places.read import PoiFile, read_pois
from nutonic.recipe.inputs import Pois


def read_as(path: Path, content: str | bytes, **wanted: object) -> PoiFile:
    """Write a file and read it as `pois` of a recipe would be."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_pois(Pois(path=str(path), **wanted))


def told(file: PoiFile) -> list[tuple[str, float, float]]:
    """Id, longitude and latitude of each place."""
    return [(poi.id, poi.lon, poi.lat) for poi in file.places]
