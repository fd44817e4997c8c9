"""A recipe of patches, resolved once into one value; functions below get the parts they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nutonic.chips.scene.policy import TagPolicy, parse
from nutonic.io.access import ANYBODY, Identity, identity_of
from nutonic.recipe.annotation import Captions
from nutonic.recipe.card import Card
from nutonic.recipe.inputs import Imagery
from nutonic.recipe.osm import Osm
from nutonic.recipe.outputs import Splits
from nutonic.recipe.patches import Patches, PatchRecipe, Shards
from nutonic.recipe.texts import texts_of
from nutonic.rows.annotation.prompts import refuse_unusable
from nutonic.sources.factory import PatchSources, patch_sources_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSpec:
    """What is to be built of a recipe of patches. It travels to workers, and holds no secret."""

    name: str
    digest: str
    """Of the recipe; see :meth:`.PatchRecipe.digest`."""
    text: str
    """The recipe as YAML, every default spelled out."""
    inputs: tuple[str, ...]
    """Paths and addresses that it names to be read."""
    imagery: Imagery
    patches: Patches
    osm: Osm
    captions: Captions
    splits: Splits
    shards: Shards
    card: Card
    """What a person says of the dataset."""
    sources: PatchSources
    """What pictures are read from; made once."""
    policy: TagPolicy
    """What the map's tags mean to the eye."""

    texts: Mapping[str, str]
    """What models are asked, by the name of the template."""

    @property
    def places(self) -> str | None:
        """Path of the places file; None where patches are not taken around places."""
        return None if self.patches.around is None else self.patches.around.path

    @property
    def identity(self) -> Identity:
        """Who asks for the places file, where that is at an address."""
        return ANYBODY if self.patches.around is None else identity_of(self.patches.around)


def resolve_patches(recipe: PatchRecipe) -> PatchSpec:
    """Resolve a recipe of patches; nothing is read.

    Raises
    ------
    MissingExtra
        If what a source needs is not installed.
    InputError
        If the source cannot be made with the recipe's settings.
    RecipeError
        If the recipe's policy of tags, or one of its prompts, cannot be used.
    """
    texts = dict(texts_of(recipe.captions.prompts, "prompts"))
    refuse_unusable(recipe.captions, texts)
    return PatchSpec(
        name=recipe.name,
        digest=recipe.digest(),
        text=recipe.text(),
        inputs=recipe.inputs,
        imagery=recipe.imagery,
        patches=recipe.patches,
        osm=recipe.osm,
        captions=recipe.captions,
        splits=recipe.splits,
        shards=recipe.shards,
        card=recipe.card,
        sources=patch_sources_of(recipe),
        policy=parse(texts_of(recipe.osm.tags, "tags")["text"]),
        texts=texts,
    )
