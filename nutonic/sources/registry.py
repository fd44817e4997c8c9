"""The sources that a recipe names, made."""

from __future__ import annotations

import pkgutil
from typing import Any, NamedTuple

from nutonic.recipe.kinds import SOURCES
from nutonic.recipe.recipe import Recipe
from nutonic.sources.source import Account, Settings, Source, TimedSource


class Sources(NamedTuple):
    """What a recipe's places are read from, in the order in which they are opened."""

    imagery: TimedSource
    labels: Source

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The services that are asked, each once."""
        return tuple(dict.fromkeys(source.account for source in self if source.account is not None))

    def most_requests(self, limit: int | None) -> int | None:
        """Most requests in flight over all workers: the smallest of `limit` and the services' limits, None if none."""
        limits = [limit, *(account.most_requests for account in self.accounts)]
        return min((each for each in limits if each is not None), default=None)


def sources_of(recipe: Recipe) -> Sources:
    """The sources of a recipe's pictures and of its land cover.

    Raises
    ------
    MissingExtra
        If what one needs is not installed.
    InputError
        If one cannot be as the recipe has it.
    """
    grid, tiles = recipe.grid, recipe.tiles
    imagery, labels = (
        _source(name, Settings(part=part, resolution_m=grid.resolution_m, min_valid_fraction=tiles.min_valid_fraction))
        for name, part in (("imagery", recipe.full_imagery), ("labels", recipe.full_labels))
    )
    return Sources(imagery, labels)


def _source(part: str, settings: Settings[Any]) -> Any:
    return pkgutil.resolve_name(SOURCES[part, settings.part.source]).from_recipe(settings)
