"""Which shard holds which patches, and what shards are called: from the number of patches in each split alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nutonic.core.model import SPLITS, Split
from nutonic.errors import PlanError

#: The number in a name, such as ``%06d``.
_NUMBER = re.compile(r"%0([1-9])d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """An archive, and the patches of its split that it holds: from `start` up to `stop`, which is not in it."""

    split: Split
    number: int
    """From 0, without gaps."""
    path: str
    """In the tree: ``data/train-000000.tar``."""
    start: int
    stop: int

    @property
    def patches(self) -> slice:
        """Of the patches of its split, in their order."""
        return slice(self.start, self.stop)


def path_of(name: str, split: Split, number: int) -> str:
    """Where a shard lies in a tree; `name` is ``shards.name`` of the recipe.

    >>> path_of("{split}-%06d.tar", "train", 0), path_of("Patches%04d.tar", "test", 12)
    ('data/train-000000.tar', 'data/test/Patches0012.tar')
    """
    return _placed(name, split) % number


def pattern_of(name: str, split: Split) -> str:
    """The glob that finds all shards of a split: ``data/train-*.tar``."""
    return _NUMBER.sub("*", _placed(name, split))


def expression_of(name: str, split: Split) -> str:
    """A regular expression of the paths of a split's shards, whatever their numbers."""
    before, width, after = _NUMBER.split(_placed(name, split))
    return re.escape(before) + rf"\d{{{width}}}" + re.escape(after)


def braces_of(name: str, split: Split, shards: int) -> str:
    """All shards of a split as `webdataset` takes them: ``data/train-{000000..000011}.tar``; one, by its own path.

    Parameters
    ----------
    shards
        How many there are, at least one.
    """
    (width,) = _NUMBER.findall(name)
    if shards == 1:
        return path_of(name, split, 0)
    return _NUMBER.sub(f"{{{0:0{width}}..{shards - 1:0{width}}}}", _placed(name, split))


def shards(counts: Mapping[Split, int], *, name: str, samples: int) -> Iterator[Shard]:
    """All shards of a tree, split by split, in the order of their numbers.

    Parameters
    ----------
    counts
        Patches of each split; one without patches has no shards.
    name
        ``shards.name`` of the recipe.
    samples
        Patches in a shard; the last of a split may hold fewer.

    Raises
    ------
    PlanError
        If the numbers of a split do not fit the width that the name gives them: shards would not lie in their order.
    """
    (width,) = map(int, _NUMBER.findall(name))
    for split in SPLITS:
        count = counts.get(split, 0)
        needed = -(-count // samples)
        if needed > 10**width:
            raise PlanError(
                f"{count:,} patches of {split} make {needed:,} shards of {samples:,}, but shards.name is {name!r:.60} "
                f"and has numbers for {10**width:,}: raise shards.samples, or give the number more digits"
            )
        for number in range(needed):
            start = number * samples
            yield Shard(
                split=split,
                number=number,
                path=path_of(name, split, number),
                start=start,
                stop=min(count, start + samples),
            )


def _placed(name: str, split: Split) -> str:
    return f"data/{name.replace('{split}', split)}" if "{split}" in name else f"data/{split}/{name}"
