"""Preloaded by Dask workers: they do not see paths that NUTONIC_TEST_UNSEEN names, or cannot write where it says so."""

import os
import sys


def dask_setup(worker) -> None:
    unseen, unwritable = (os.environ.get(f"NUTONIC_TEST_{what}") for what in ("UNSEEN", "UNWRITABLE"))

    def hook(event: str, args: tuple) -> None:
        if event != "open" or not isinstance(args[0], str):
            return
        if unseen and args[0].startswith(unseen):
            raise FileNotFoundError(2, "No such file or directory", args[0])
        if unwritable and args[0].startswith(unwritable) and args[2] & os.O_CREAT:
            raise PermissionError(13, "Permission denied", args[0])

    sys.addaudithook(hook)
