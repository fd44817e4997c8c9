"""Recipes to start from: what ``nutonic init`` writes, as files beside this module."""

from __future__ import annotations

from importlib.resources import files

#: Name to file.
_FILES = {"nutonic": "template.yaml", "rsteller": "template-rsteller.yaml"}

NAMES = tuple(_FILES)


def template(name: str) -> str:
    """The text of a recipe to start from, by one of :data:`NAMES`."""
    return (files("nutonic.recipe") / _FILES[name]).read_text(encoding="utf-8")
