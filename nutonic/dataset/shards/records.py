"""A committed patch: its picture, where it lies, and what the map says of it, as one line of JSON."""

from __future__ import annotations

import base64
import binascii
import zlib
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

#: What comes before a picture in a patch's line, and how many bytes of a line are unpacked at a time.
_PICTURE = b',"picture":"'
_STEP = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRecord:
    """A patch whose pixels are committed, and which waits for captions."""

    ordinal: int
    """Its position among all of the lattices."""
    image: PatchImage
    picture: bytes
    """JPEG; empty where it was not asked for."""
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
            "picture": base64.b64encode(self.picture).decode(),  # the last: see _before_picture
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


def records_of(store: Store, entries: list[CommittedPlace], *, pictures: bool = True) -> Iterator[PatchRecord]:
    """The patches that commits tell of, one at a time; places that were left out have none.

    Without `pictures`, those are empty, and none is unpacked: of most patches they are more than all the rest. The sum at
    its end does not prove what is read then; whoever puts the patch into a shard reads all of it.

    Raises
    ------
    Corrupt
        If a part is not what was written.
    """
    for entry in entries:
        rows, part = entry["rows"], entry.name.part
        if rows["length"]:
            member = store.get_range(part, rows["start"], rows["length"])
            yield PatchRecord.of_line(
                unpacked(member, part, rows["size"]) if pictures else _before_picture(member, part, rows["size"])
            )


def _before_picture(member: bytes, part: str, size: int) -> bytes:
    """A patch's line as far as its picture, with an empty one instead."""
    stream, line, packed, at = zlib.decompressobj(wbits=31), b"", member, -1
    try:
        while at < 0 and len(line) < size and (more := stream.decompress(packed, _STEP)):
            line, packed = line + more, stream.unconsumed_tail
            at = line.find(_PICTURE)  # quotes within texts are escaped: it is no part of one
    except zlib.error:
        at = -1
    if at < 0:
        return unpacked(member, part, size)  # which tells what is wrong, if anything is
    return line[:at] + _PICTURE + b'"}'
