"""Committed patches, read with their pictures and without them."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from support.patches import described, element, image, jpeg

from nutonic.dataset.commits import CommittedPlace, packed
from nutonic.dataset.shards.records import PatchRecord, records_of
from nutonic.errors import Corrupt
from nutonic.io.objects import Store
from nutonic.planning.layout import named


def record(elements: int) -> PatchRecord:
    """A patch with a picture that cannot be packed, and texts that look like the beginning of one."""
    about = image()
    odd = (("picture", ',"picture":"'), ("name", '","picture":"x'))
    return PatchRecord(
        ordinal=3,
        image=about,
        picture=jpeg(9) + random.Random(0).randbytes(150_000),
        described=described(about.patch_id, *(element(f"way/{number}", tags=odd) for number in range(elements))),
        osm_date="2022-06-01",
        hidden=(',"picture":"',),
    )


def written(folder: Path, member: bytes, size: int) -> tuple[Store, CommittedPlace]:
    store, name = Store(folder), named(0)
    store.put(name.part, b"before" + member)
    return store, CommittedPlace(content={"rows": {"start": 6, "length": len(member), "size": size}}, name=name)


@pytest.mark.long
@pytest.mark.parametrize("elements", [1, 300, 2000])
def test_without_its_picture_a_patch_is_the_same(tmp_path: Path, elements: int):
    whole = record(elements)
    store, entry = written(tmp_path, packed(whole.line()), len(whole.line()))
    assert list(records_of(store, [entry])) == [whole]
    assert list(records_of(store, [entry], pictures=False)) == [replace(whole, picture=b"")]


def test_a_part_that_is_damaged_before_the_picture_is_told(tmp_path: Path):
    line = record(300).line()
    whole = packed(line)
    for damaged in (whole[:200], whole[:100] + bytes(50) + whole[150:], packed(b'{"ordinal":3}'), b"x" * 500):
        store, entry = written(tmp_path, damaged, len(line))
        with pytest.raises(Corrupt):
            list(records_of(store, [entry], pictures=False))
