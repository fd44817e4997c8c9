"""Recipes to start from: what ``nutonic init`` writes, as files beside this module."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple


class Start(NamedTuple):
    """A recipe to start from."""

    file: str
    """Beside this module."""
    about: str
    """What it is for, in a line."""
    to_set: str
    """What a person sets before it is planned; empty where it runs as it is."""
    needs_places: bool
    """Whether it reads ``places.csv`` beside it, of which there is one to start from."""


_STARTS = {
    "nutonic": Start("nutonic.yaml", "every key, with its default", "pois.path, imagery and labels", False),
    "demo": Start("demo.yaml", "what nutonic demo built, to be changed", "", False),
    "quick-test": Start("quick-test.yaml", "four places in a minute or two, no account", "", True),
    "planetary-computer": Start("planetary-computer.yaml", "Sentinel-2 with WorldCover, no account", "pois.path", True),
    "earth-engine": Start("earth-engine.yaml", "Sentinel-2 with Dynamic World", "pois.path and labels.project", True),
    "dataset-card": Start("dataset-card.yaml", "NU-TONIC raw SFT as its card tells it", "labels.project", False),
    "cluster": Start("cluster.yaml", "a large dataset on a Dask cluster", "pois.path", True),
    "rsteller": Start("rsteller.yaml", "captioned patches from OpenStreetMap", "imagery, patches and osm", False),
}

NAMES = tuple(_STARTS)


def start(name: str) -> Start:
    """A recipe to start from, by one of :data:`NAMES`."""
    return _STARTS[name]


def recipe_text(name: str) -> str:
    """The text of a recipe to start from, by one of :data:`NAMES`."""
    return _text(start(name).file)


def places() -> str:
    """Places to start from, as the CSV that some of these recipes read: twelve, around the world."""
    return _text("places.csv")


def _text(file: str) -> str:
    return files("nutonic.recipe.starts").joinpath(file).read_text(encoding="utf-8")
