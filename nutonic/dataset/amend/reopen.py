"""Places that were left out, opened again: taken out of their commits, so that a build tries them once more.

A reject is for ever as long as nobody says otherwise: a server that had lost a file may have it again, labels that could
not be used may have been mended. What the plan left out is not here: it is searched for again with a new plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextlib import suppress

from nutonic.core.model import Json
from nutonic.dataset.amend.repair import uncommit
from nutonic.dataset.commits import Committed, read_commits
from nutonic.errors import Corrupt, InputError
from nutonic.io.objects import Store, sealed, sha256, unsealed
from nutonic.planning.layout import SUMMARY, CommitName
from nutonic.planning.ownership import Ownership

#: Every reason.
ANY = ""


def reopen(
    store: Store, ownership: Ownership, done: Committed, reason: str = ANY, *, of_plan: Collection[str] = ()
) -> list[str]:
    """Take places out of their commits that were left out; their ids, in the order of the plan.

    Killed at any moment, this leaves the places committed that it should, and some or all of the others open.

    Parameters
    ----------
    store, ownership, done
        The tree, which of its files are nutonic's, and what is committed.
    reason
        Only places that were left out for it, or have a tile that was; :data:`ANY` for all that were left out as a whole, or
        have no still that was wanted.
    of_plan
        Reasons for which the plan itself left places out.

    Raises
    ------
    InputError
        If no place was left out for that reason; nothing is changed then.
    """
    found: dict[CommitName, tuple[Json, dict[int, str]]] = {}
    reasons: Counter[str] = Counter()
    for name, content in read_commits(store, done):
        reasons.update(reject["reason"] for place in content["places"] for reject in place["rejects"])
        places = {place["index"]: place["poi_id"] for place in content["places"] if _is_wanted(place, reason)}
        if places:
            found[name] = (content, places)
    if reason and not found:
        raise InputError(_none(reason, reasons, of_plan))
    if found:
        _outdate_summary(store)  # before any commit, whose name alone does not tell that it was made again
    for name, (content, places) in found.items():
        uncommit(store, ownership, name, content, places)
    return [poi_id for _, places in found.values() for poi_id in places.values()]


def _outdate_summary(store: Store) -> None:
    """Have the last summary be of no commits that there will be, so that ``data/`` and the card are made again."""
    with suppress(FileNotFoundError, Corrupt):
        last = unsealed(store.get(SUMMARY), SUMMARY)
        store.put(SUMMARY, sealed({**last, "commits": sha256(b"places were opened again")}))


def _is_wanted(place: Json, reason: str) -> bool:
    return any(reject["reason"] == reason if reason else reject["tile_id"] is None for reject in place["rejects"])


def _none(reason: str, reasons: Counter[str], of_plan: Collection[str]) -> str:
    if reason in of_plan:
        return f"--retry-rejects: {reason!r} was found out by the plan: --replan looks again"
    told = ", ".join(f"{each} ({count})" for each, count in reasons.most_common())
    others = f"reasons are: {told}" if told else "none was left out for any other reason"
    return f"--retry-rejects: no place was left out for {reason!r:.60}; {others}"
