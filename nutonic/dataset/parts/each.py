"""Who does the parts of a work: this process, its threads, or others; to what comes of it that makes no difference."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

Part = TypeVar("Part")
Made = TypeVar("Made")

#: Parts that are worked on at once by threads: pictures are unpacked and hashed beside Python.
_THREADS = 4


class Each(Protocol):
    """Does a work of parts. It may do several at once, and a part twice, but no more than some ahead of what is taken."""

    def __call__(self, work: Callable[[Part], Made], parts: Iterable[Part], /) -> Iterator[Made]:
        """What the work makes of each part, in the order of the parts.

        `work` and parts are values that can be sent, and `work` does the same wherever and however often it is done.
        """
        ...


def here(work: Callable[[Part], Made], parts: Iterable[Part], /) -> Iterator[Made]:
    """One part after another, in this thread."""
    return map(work, parts)


def in_threads(work: Callable[[Part], Made], parts: Iterable[Part], /) -> Iterator[Made]:
    """Some parts at once, in threads of this process."""
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        ahead: deque[Future[Made]] = deque()
        for part in parts:
            ahead.append(threads.submit(work, part))
            if len(ahead) > 2 * _THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
