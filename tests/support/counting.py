"""A store that counts what it is asked, by verb and kind of file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from nutonic.io.objects import Store

#: Who opens the store of a tree.
_OPENERS = ("nutonic.planning.prepare.Store", "nutonic.dataset.verify.Store")


def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What is asked of every tree's store from now on, such as ``read _nutonic/plan.jsonl``, ``list _nutonic/commits``."""
    counts: Counter[str] = Counter()

    class CountingStore(Store):
        def get(self, path: str) -> bytes:
            counts[f"read {path}"] += 1
            return super().get(path)

        def get_range(self, path: str, start: int, length: int) -> bytes:
            counts[f"read {path}"] += 1
            content = super().get_range(path, start, length)
            counts[f"bytes {path}"] += len(content)
            return content

        def tail(self, path: str, length: int) -> bytes:
            counts[f"tail {path}"] += 1
            return super().tail(path, length)

        def sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
            counts[f"list {prefix or 'all'}"] += 1
            return super().sizes(prefix)

    for name in _OPENERS:
        monkeypatch.setattr(name, CountingStore)
    return counts
