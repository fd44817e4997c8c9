"""Chips in different splits that look alike: all pairs, whatever crowds a bucket, and told where a person looks."""

from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.forging import PLACE, Forger

import nutonic as nt
from nutonic.chips.png import decode
from nutonic.cli.main import cli
from nutonic.dataset.commits import CommittedPlace
from nutonic.dataset.duplicates import Likenesses, near
from nutonic.planning.layout import named

RANDOM = np.random.default_rng(14)


def flipped(value: int, *bits: int) -> int:
    return value ^ sum(1 << bit for bit in bits)


def likenesses(chips: list[tuple[int, str]]) -> Likenesses:
    """Of places with one chip each, by hash and split; commits tell them in no order."""
    entries = [
        {"poi_id": f"p{i}", "ordinal": i, "variant": 0, "split": split, "chips": {"2": {"dhash": f"{value:016x}"}}}
        for i, (value, split) in enumerate(chips)
    ]
    RANDOM.shuffle(entries)
    return Likenesses.of(CommittedPlace(content=entry, name=named(0)) for entry in entries)


def crowd(kind: str) -> np.ndarray:
    """Hashes of which many agree in many bits, each once."""
    base = RANDOM.integers(0, 2**64, 400, np.uint64)
    some = {
        "anywhere": base,
        "half black": RANDOM.integers(0, 2**32, 900, np.uint64) << np.uint64(32),
        "nearly black": RANDOM.integers(0, 2**64, 1500, np.uint64) & np.uint64(0x0013_0007_0021_0103),
    }[kind]
    flips = np.array(
        [flipped(0, *RANDOM.choice(64, count, replace=False)) for count in (1, 2, 3, 3, 4) * 20], np.uint64
    )
    return np.unique(np.concatenate([some, some[:100] ^ flips]))


@pytest.mark.parametrize("kind", ["anywhere", "half black", "nearly black"])
def test_every_near_pair_is_found_once(kind: str):
    values = crowd(kind)
    apart = np.bitwise_count(values[:, None] ^ values[None, :])
    expected = {(int(i), int(j)) for i, j in np.argwhere(apart <= 3) if i < j}
    found = [tuple(sorted(pair)) for i, j in near(values) for pair in zip(i.tolist(), j.tolist(), strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert len(expected) >= 80


def test_pairs_are_counted_by_their_splits_and_named_whatever_the_order():
    a, b = 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210
    chips = [
        (a, "train"), (a, "train"), (a, "test"), (flipped(a, 0, 17, 63), "validation"), (flipped(a, 1, 2, 3, 4), "test"),
        (b, "train"), (flipped(b, 5), "train"), (0, "train"), (1, "test"), (7, "validation"), (15, "test"),
    ]  # fmt: skip
    pairs: dict[tuple[str, str], int] = {}
    for one, other in combinations([chip for chip in chips if chip[0].bit_count() > 3], 2):
        splits = tuple(split for split in ("train", "validation", "test") if split in (one[1], other[1]))
        if one[1] != other[1] and (one[0] ^ other[0]).bit_count() <= 3:
            pairs[splits] = pairs.get(splits, 0) + 1
    for _ in range(3):
        told = likenesses(chips).near_duplicates()
        assert told.pairs == pairs == {("train", "validation"): 2, ("train", "test"): 2, ("validation", "test"): 1}
        assert (told.chips, told.plain) == (8, 3)
        assert told.in_words() == (
            "5 pairs of chips in different splits look alike (train and validation 2, train and test 2, validation and "
            "test 1), such as p0_t0002 (train) and p2_t0002 (test)"
        )


def test_pictures_that_show_nothing_are_not_pairs():
    told = likenesses([(0, "train"), (0, "test"), (0b111, "validation")]).near_duplicates()
    assert (told.in_words(), told.chips, told.plain) == (None, 0, 3)


@pytest.mark.long
def test_a_crowd_of_one_look_takes_no_longer_than_its_chips():
    chips = [(0xABCDEF, ("train", "test")[i % 2]) for i in range(20_000)]
    assert likenesses(chips).near_duplicates().pairs == {("train", "test"): 10_000**2}


def test_a_picture_that_two_splits_have_is_told_by_verify_and_in_the_card(built, tmp_path):
    forger = Forger(Path(shutil.copytree(built.out, tmp_path / "tree")))
    entries = [
        place
        for path in sorted((forger.out / "_nutonic/commits").iterdir())
        for place in json.loads(path.read_bytes())["places"]
    ]
    split = next(place["split"] for place in entries if place["poi_id"] == PLACE)
    twin = next(place for place in entries if place["split"] != split and place["tiles"])
    path = next(path for path in twin["files"] if path.endswith(".png"))
    forger.picture(decode((forger.out / path).read_bytes(), 40), told=True)
    for deep in (False, True):
        verdict = nt.verify(forger.out, deep=deep)
        (note,) = [note for note in verdict.notes if "look" in note]
        assert verdict.whole
        assert note.startswith("1 pair of chips in different splits looks alike")
        assert f"{PLACE}_t0001 ({split})" in note
        assert f"{Path(path).stem} ({twin['split']})" in note
    done = CliRunner().invoke(cli, ["verify", str(forger.out)])
    assert (done.exit_code, "looks alike" in " ".join(done.output.split())) == (0, True)
    assert f"By their difference hashes, {note}." in (forger.out / "README.md").read_text(encoding="utf-8")
