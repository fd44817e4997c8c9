"""A committed patch: its picture, where it lies, and what the map says of it, as one line of JSON."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.chips.scene.description import SceneDescription
from nutonic.core.grid import describe
from nutonic.core.model import Json, Split
from nutonic.dataset.commits import CommittedPlace, unpacked
from nutonic.dataset.shards.samples import PatchImage
from nutonic.errors import Corrupt
from nutonic.io.objects import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRecord:
    """A patch whose pixels are committed, and which waits for captions."""

    ordinal: int
    """Its position among all of the lattices."""
    image: PatchImage
    picture: bytes
    """JPEG."""
    described: SceneDescription
    osm_date: str | None
    """The day of the map, ISO 8601; None where it is not told."""
    hidden: tuple[str, ...] = ()
    """Names on the map that no caption says. They are in no shard."""

    def line(self) -> bytes:
        """As it is committed. The picture is in base64, which packs to its own size again."""
        image = self.image
        value = {
            "ordinal": self.ordinal,
            "patch_id": image.patch_id,
            "image_name": image.image_name,
            "scene": image.scene,
            "collection": image.collection,
            "datetime": image.datetime,
            "grid": describe(image.grid),
            "split": image.split,
            "osm_date": self.osm_date,
            "described": self.described,  # as it is: orjson is ten times as fast as asdict
            "hidden": self.hidden,
            "picture": base64.b64encode(self.picture).decode(),
        }
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def of_line(cls, line: bytes) -> PatchRecord:
        """The patch that `line` gave; :class:`Corrupt` if it is none."""
        try:
            return cls._of(orjson.loads(line))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, binascii.Error) as error:
            raise Corrupt(f"a committed patch cannot be read ({type(error).__name__})") from None

    @classmethod
    def _of(cls, value: Json) -> PatchRecord:
        grid = value["grid"]
        split: Split = value["split"]
        image = PatchImage(
            **{key: value[key] for key in ("patch_id", "image_name", "scene", "collection", "datetime")},
            grid=GeoBox(tuple(grid["shape"]), Affine(*grid["transform"]), grid["crs"]),
            split=split,
        )
        return cls(
            ordinal=value["ordinal"],
            image=image,
            picture=base64.b64decode(value["picture"], validate=True),
            described=SceneDescription.from_json(value["described"]),
            osm_date=value["osm_date"],
            hidden=tuple(value["hidden"]),
        )


def records_of(store: Store, entries: list[CommittedPlace]) -> Iterator[PatchRecord]:
    """The patches that commits tell of, one at a time; places that were left out have none.

    Raises
    ------
    Corrupt
        If a part is not what was written.
    """
    for entry in entries:
        rows = entry["rows"]
        if rows["length"]:
            member = store.get_range(entry.name.part, rows["start"], rows["length"])
            yield PatchRecord.of_line(unpacked(member, entry.name.part, rows["size"]))
