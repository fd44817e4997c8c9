"""The door of reports: a tree becomes one HTML file, which replaces nothing but an earlier report."""

from __future__ import annotations

import os
from pathlib import Path

from nutonic.dataset.report.page import MARK, render
from nutonic.dataset.report.places import report_of_places
from nutonic.dataset.report.values import Limits, Report
from nutonic.errors import InputError, NotNutonic
from nutonic.io.atomic import disk_errors, new_file, refuse_unwritable, refuse_within
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.io.buckets.within import refuse_within_store
from nutonic.io.objects import Store
from nutonic.planning.layout import MARKER, REPORT
from nutonic.planning.ownership import is_marked, refuse_obstacles
from nutonic.planning.plan_file import read_plan


def report(directory: str | AnyPath, out: str | AnyPath | None = None) -> AnyPath:
    """Write what a tree holds as one HTML file, to be looked at in any browser; nothing is fetched for it.

    It has the numbers, a map, the balance of classes, what was left out and what to do about it, chips with their boxes
    and rows, and a sample of rows to be judged. Of large trees the gallery is a sample, and says so. A tree whose build
    has not finished has a report too, of what is committed.

    Parameters
    ----------
    directory
        The tree, of chips or of patches: its folder, or its address in an object store.
    out
        The file, or its address; by default ``report.html`` in the tree. One that is there already must be an earlier
        report.

    Returns
    -------
    Path or Address
        The file. The same tree gives the same bytes.

    Raises
    ------
    NotNutonic
        If the folder is no tree, or another file lies where the report would.
    Corrupt
        If the plan, a commit or its rows are not what was written.
    StoreError
        If the file cannot be written.
    """
    root = any_path_of(directory)
    refuse_no_tree(root)
    path = root / REPORT if out is None else any_path_of(out)
    refuse_other(path)
    write_over(path, render(report_of(root, Limits())))
    return path


def refuse_no_tree(root: AnyPath) -> None:
    """Raise :class:`NotNutonic` if a folder, or what is at an address, is no tree."""
    if not is_marked(root):
        raise NotNutonic(f"{root} is not a nutonic tree: it has no {MARKER} of nutonic's")
    refuse_obstacles(root)


def report_of(root: AnyPath, limits: Limits) -> Report:
    """What there is to tell of a tree, of chips or of patches."""
    store = Store(root)
    plan = read_plan(store)
    if plan.header.get("of") == "patches":
        from nutonic.dataset.report.patches import report_of_patches

        return report_of_patches(store, plan, limits)
    return report_of_places(store, plan, limits)


def refuse_other(path: AnyPath) -> None:
    """Raise if something lies there that is no earlier report, or if no file can be made there, as within a tree."""
    if isinstance(path, Address):
        refuse_within_store(path)
        if _is_other(*_in_store(path)):
            raise _other(path)
        return
    refuse_within(path)
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise InputError(f"{path} cannot be written: name a file in a folder that is there")
    refuse_unwritable(path)
    if not os.path.lexists(path):
        return
    plain = path.is_file() and not path.is_symlink()
    with disk_errors(path):
        if not plain or not path.read_bytes().startswith(MARK):
            raise _other(path)


def write_over(path: AnyPath, page: bytes) -> None:
    """Write a page in one step, over an earlier one."""
    if isinstance(path, Path):
        with disk_errors(path), new_file(path, prefix=".nutonic-") as new:
            new.write_bytes(page)
        return
    store, name = _in_store(path)
    if store.has(name):
        if _is_other(store, name):
            raise _other(path)
        store.put(name, page)
    elif not store.create(name, page):  # somebody was faster
        raise _other(path)


def _in_store(address: Address) -> tuple[Store, str]:
    """What an address lies in, and its name there."""
    above, _, name = address.path.rpartition("/")
    if not name:
        raise InputError(f"{address} cannot be written: name a file in the bucket")
    return Store(Address(address.scheme, address.bucket, above)), name


def _is_other(store: Store, name: str) -> bool:
    """Whether something is there that is no report."""
    try:
        size = store.size(name)
    except FileNotFoundError:
        return False
    return size < len(MARK) or store.get_range(name, 0, len(MARK)) != MARK


def _other(path: AnyPath) -> NotNutonic:
    return NotNutonic(f"{path} is there already, and no report of nutonic's: name another file with --out")
