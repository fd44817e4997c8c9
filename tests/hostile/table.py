"""The table: kinds, and their rows by name."""

from __future__ import annotations

from hostile import files, network, systems, trees, words
from hostile.row import Row
from hostile.worlds import CANARY, small

__all__ = ["CANARY", "KINDS", "TABLE", "small"]

KINDS: dict[str, list[Row]] = {
    "the network lies": network.LYING,
    "the network never ends": network.ENDING,
    "opened by a suffix": files.GUESSED,
    "secrets": words.SECRETS,
    "files that are no files": files.NO_FILES + files.HUGE,
    "recipes": words.RECIPES,
    "forged and malformed trees": trees.MALFORMED,
    "names that act": words.INERT,
    "processes": systems.PROCESSES,
    "inputs that change": trees.CHANGED,
    "neighbours": trees.BESIDES,
    "other users": systems.USERS,
    "broken environments": systems.ENVIRONMENT,
}

TABLE: dict[str, Row] = {f"{kind}: {row.name}": row for kind, rows in KINDS.items() for row in rows}
