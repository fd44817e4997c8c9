"""The sources that a recipe names, made."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from typing import Any, NamedTuple

from nutonic.core.model import Band
from nutonic.io.buckets.inputs import Credentials
from nutonic.recipe.inputs import Imagery, Labels
from nutonic.recipe.outputs import Quality
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.recipe import Recipe
from nutonic.recipe.source_kinds import SOURCES
from nutonic.sources.source import Account, Settings, Source, TimedSource


class Sources(NamedTuple):
    """What a recipe's places are read from, in the order in which they are opened."""

    imagery: TimedSource
    labels: Source

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The services that are asked, each once."""
        return _accounts(self)

    def most_requests(self, limit: int | None) -> int | None:
        """Most requests in flight over all workers: the smallest of `limit` and the services' limits, None if none."""
        return most_requests(self.accounts, limit)


class PatchSources(NamedTuple):
    """What a recipe's patches are read from."""

    imagery: TimedSource

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The services that are asked, each once."""
        return _accounts(self)

    def most_requests(self, limit: int | None) -> int | None:
        """Most requests in flight over all workers: the smallest of `limit` and the services' limits, None if none."""
        return most_requests(self.accounts, limit)


#: The sources of a recipe, of whichever kind.
AnySources = Sources | PatchSources


def _accounts(sources: Iterable[Source]) -> tuple[Account, ...]:
    return tuple(dict.fromkeys(source.account for source in sources if source.account is not None))


def credentials_of(sources: AnySources) -> tuple[Credentials, ...]:
    """What stores want of who reads from them, each once."""
    return tuple(account for account in sources.accounts if isinstance(account, Credentials))


def most_requests(accounts: Iterable[Account], limit: int | None) -> int | None:
    """Most requests in flight over all workers: the smallest of `limit` and the services' limits, None if none."""
    limits = [limit, *(account.most_requests for account in accounts)]
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
    resolution, tiles = recipe.grid.resolution_m, recipe.tiles
    imagery: Settings[Imagery] = Settings(
        part=recipe.full_imagery,
        resolution_m=resolution,
        min_valid_fraction=tiles.min_valid_fraction,
        judged_by=judging_band(recipe.quality),
    )
    labels: Settings[Labels] = Settings(
        part=recipe.full_labels, resolution_m=resolution, min_valid_fraction=tiles.min_label_fraction
    )
    return Sources(_source("imagery", imagery), _source("labels", labels))


def patch_sources_of(recipe: PatchRecipe) -> PatchSources:
    """The source of the pictures of a recipe of patches; raises what :func:`sources_of` does."""
    patches = recipe.patches
    imagery: Settings[Imagery] = Settings(
        part=recipe.imagery, resolution_m=patches.resolution_m, min_valid_fraction=max(patches.min_valid_fraction, 0.01)
    )
    return PatchSources(_source("imagery", imagery))


def judging_band(quality: Quality) -> Band | None:
    """The variable of the classes that tiles are judged by: uint8, with a value of nodata that is no other class."""
    meaning = quality.classification
    return None if meaning is None else Band(name=meaning.asset, kind="class", dtype="uint8", nodata=meaning.nodata[0])


def _source(part: str, settings: Settings[Any]) -> Any:
    return pkgutil.resolve_name(SOURCES[part, settings.part.source]).from_recipe(settings)
