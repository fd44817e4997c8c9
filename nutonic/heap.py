"""The heap of this process, where it is that of glibc: how threads share it, and how it is given back to the system."""

from __future__ import annotations

import ctypes
import os

#: What `mallopt` of glibc calls the most heaps: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_ARENA_MAX = -8


def share_heap() -> None:
    """Have threads that are started from now on share one heap, unless somebody has set how many there are.

    By default each has its own, with room in it that no other may use: those that read took 50 MB more.
    """
    if os.name == "posix" and "MALLOC_ARENA_MAX" not in os.environ:
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give memory that is free back to the system: what planning took lies between what stays."""
    if os.name == "posix":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
