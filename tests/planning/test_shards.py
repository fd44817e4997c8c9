"""Which patches are in which shard: each in one, in order, without a gap in the numbers."""

from __future__ import annotations

import fnmatch
import re
from itertools import groupby

import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from nutonic.core.model import SPLITS
from nutonic.errors import PlanError
from nutonic.planning.patches.shards import Shard, braces_of, expression_of, path_of, pattern_of, shards
from nutonic.recipe.patches import Shards

NAMES = ("{split}-%06d.tar", "Patches%04d.tar", "{split}%03d-x.tar", "%09d.tar")
COUNTS = st.dictionaries(st.sampled_from(SPLITS), st.integers(0, 400))


def told(shard: Shard) -> tuple[str, int, int]:
    return shard.path, shard.start, shard.stop


def test_a_dataset_s_shards():
    found = list(shards({"test": 5, "train": 11, "validation": 0}, name=Shards().name, samples=5))
    assert [told(each) for each in found] == [
        ("data/train-000000.tar", 0, 5),
        ("data/train-000001.tar", 5, 10),
        ("data/train-000002.tar", 10, 11),
        ("data/test-000000.tar", 0, 5),
    ]


def test_without_the_split_in_its_name_each_split_has_a_folder():
    found = list(shards({"train": 3, "validation": 1}, name="Patches%04d.tar", samples=2))
    assert [told(each) for each in found] == [
        ("data/train/Patches0000.tar", 0, 2),
        ("data/train/Patches0001.tar", 2, 3),
        ("data/validation/Patches0000.tar", 0, 1),
    ]


@given(COUNTS, st.sampled_from(NAMES), st.integers(1, 50))
def test_every_patch_is_in_one_shard_and_numbers_have_no_gaps(counts: dict, name: str, samples: int):
    Shards(name=name, samples=samples)  # a name that recipes take
    found = list(shards(counts, name=name, samples=samples))
    assert len({each.path for each in found}) == len(found)
    assert {each.split for each in found} == {split for split in SPLITS if counts.get(split, 0)}
    for split, group in groupby(found, key=lambda each: each.split):
        members = list(group)
        assert [each.number for each in members] == list(range(len(members)))
        held = [patch for each in members for patch in list(range(counts[split]))[each.patches]]
        assert held == list(range(counts[split]))
        assert {each.stop - each.start for each in members[:-1]} <= {samples}
        assert [each.path for each in members] == sorted(each.path for each in members)
        assert webdataset.shardlists.expand_urls(braces_of(name, split, len(members))) == [e.path for e in members]
        # A split's pattern finds its own shards, and no other's.
        assert fnmatch.filter([each.path for each in found], pattern_of(name, split)) == [e.path for e in members]


def test_numbers_that_do_not_fit_are_refused_before_anything_is_written():
    assert len(list(shards({"train": 10}, name="%01d.tar", samples=1))) == 10
    with pytest.raises(PlanError) as error:
        list(shards({"train": 11}, name="%01d.tar", samples=1))
    assert str(error.value) == (
        "11 patches of train make 11 shards of 1, but shards.name is '%01d.tar' and has numbers for 10: "
        "raise shards.samples, or give the number more digits"
    )


def test_where_a_shard_lies():
    assert path_of("{split}-%06d.tar", "train", 0) == "data/train-000000.tar"
    assert pattern_of("Patches%04d.tar", "test") == "data/test/Patches*.tar"
    assert braces_of("{split}-%06d.tar", "test", 12) == "data/test-{000000..000011}.tar"


@pytest.mark.parametrize("name", NAMES)
def test_a_shard_is_known_by_its_path(name: str):
    every = [path_of(name, split, number) for split in SPLITS for number in (0, 7, 12)]
    assert len(set(every)) == len(every)
    for split in SPLITS:
        known = [path for path in every if re.fullmatch(expression_of(name, split), path)]
        assert known == [path_of(name, split, number) for number in (0, 7, 12)]
        assert not re.fullmatch(expression_of(name, split), path_of(name, split, 0).replace(".tar", "-mine.tar"))
