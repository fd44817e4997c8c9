"""Shards as archives: their bytes against those of Python's tarfile, and what is refused."""

from __future__ import annotations

import io
import re
import tarfile
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.patches import jpeg, samples

from nutonic.dataset.shards.tar import Sample, header, pieces
from nutonic.errors import InputError

KEYS = st.text("abcXYZ0189_-", min_size=1, max_size=95)
TAILS = st.binary(max_size=1100)
SAMPLES = st.lists(st.tuples(KEYS, TAILS, TAILS), max_size=5, unique_by=lambda each: each[0])


def made(key: str, picture: bytes = b"", content: bytes = b"") -> Sample:
    return Sample(key=key, picture=b"\xff\xd8\xff" + picture, content=b"{" + content)


def by_tarfile(wanted: list[Sample]) -> bytes:
    """The same archive as Python's own library writes it."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for sample in wanted:
            for suffix, data in ((".jpg", sample.picture), (".json", sample.content)):
                info = tarfile.TarInfo(sample.key + suffix)
                info.size, info.mode, info.mtime, info.uid, info.gid = len(data), 0o644, 0, 0, 0
                info.uname = info.gname = ""
                archive.addfile(info, io.BytesIO(data))
    return whole.getvalue()


@settings(max_examples=60)
@given(SAMPLES)
def test_the_bytes_are_those_of_tarfile(parts: list[tuple[str, bytes, bytes]]):
    wanted = [made(*each) for each in parts]
    whole = b"".join(pieces(wanted))
    assert whole == by_tarfile(wanted)
    assert len(whole) % 10240 == 0


def test_tarfile_reads_pictures_and_contents_in_their_order():
    wanted = list(samples(4))
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces(wanted)))) as archive:
        members = archive.getmembers()
        found = [(member.name, archive.extractfile(member).read()) for member in members]
    files = [((s.key + ".jpg", s.picture), (s.key + ".json", s.content)) for s in wanted]
    assert found == [file for pair in files for file in pair]
    assert {(m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime, m.type) for m in members} == {
        (0o644, 0, 0, "", "", 0, b"0")
    }


@pytest.mark.parametrize("fill", [0, 9214, 9215])
def test_an_archive_ends_at_a_record_with_two_empty_blocks(fill: int):
    # A content of 9,214 bytes and a picture of one block leave no room for two empty blocks in two records.
    wanted = [made("a", b"", b"x" * fill)]
    whole = b"".join(pieces(wanted))
    assert whole == by_tarfile(wanted)
    assert whole.endswith(bytes(1024))
    assert b"".join(pieces([])) == bytes(10240)


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        (made("a.b"), "'a.b' is no key of a sample: it may have letters, digits, '_' and '-', no dot and no folder"),
        (made("../../etc/x"), "'../../etc/x' is no key"),
        (made(""), "'' is no key"),
        (made("a\n"), r"'a\\n' is no key"),
        (made("é"), "'é' is no key"),
        (made("a" * 96), "is no name for a file of a shard: it may have at most 100 ASCII characters"),
        (Sample(key="a", picture=b"\x89PNG", content=b"{}"), "the picture of 'a' is no JPEG"),
        (Sample(key="a", picture=b"", content=b"{}"), "the picture of 'a' is no JPEG"),
        (Sample(key="a", picture=jpeg(1), content=b"[]"), "the content of 'a' is no JSON object"),
    ],
)
def test_what_no_loader_would_read_is_refused(sample: Sample, says: str):
    with pytest.raises(InputError, match=re.escape(says) if "\\" not in says else says):
        list(pieces([sample]))


def test_two_samples_that_a_loader_would_take_for_one_are_refused():
    with pytest.raises(InputError, match="the sample 'a' follows itself"):
        list(pieces([made("a"), made("a")]))


def test_sizes_up_to_the_format_s_limit_fit():
    most = 8**11 - 1
    assert tarfile.TarInfo.frombuf(header("a.jpg", most), "ascii", "strict").size == most
    with pytest.raises(
        InputError, match=r"a\.jpg has 8,589,934,592 bytes; a file of a shard has less than 8,589,934,592"
    ):
        header("a.jpg", 8**11)


def test_memory_is_that_of_a_sample():
    big = 1_000_000
    wanted = (made(f"k{k}", bytes(big), bytes(big)) for k in range(40))
    tracemalloc.start()
    total = sum(len(piece) for piece in pieces(wanted))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 40 * 2 * big
    assert peak < 14 * big  # a sample, its piece and the one before, not forty of them
