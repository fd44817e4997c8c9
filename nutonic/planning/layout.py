"""Where everything lies in a tree, from recipe and place alone: nothing moves when something is rejected."""

from __future__ import annotations

from dataclasses import dataclass

from nutonic.core.model import Poi, Tile
from nutonic.core.tiling import tiles
from nutonic.errors import PlanError
from nutonic.recipe.recipe import Recipe

META = "_nutonic"
PLAN = f"{META}/plan.jsonl"
RECIPE = f"{META}/recipe.yaml"
SUMMARY = f"{META}/summary.json"
COMMITS = f"{META}/commits"
PARTS = f"{META}/parts"
CARD = "README.md"

#: What makes a folder a nutonic tree, and nothing else does: this file with just these bytes, the first that is created
#: in it. It says neither when nor where. Its form is documented here only.
MARKER = f"{META}/tree.json"
MARKER_BYTES = b'{"nutonic":"tree","format":1}\n'

#: The folders that nutonic makes. What lies elsewhere in an output folder is the user's; of what lies in them,
#: :mod:`nutonic.planning.ownership` tells what is nutonic's.
OWN = ("images", "overlays", "metadata", "mapbox_stills", "data", META)


def is_own(path: str) -> bool:
    """Whether a path of a tree lies where only nutonic writes."""
    return path.split("/", 1)[0] in OWN or path.split("#")[0] in (CARD, "report.html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names of files and ids of tiles."""

    tiles: tuple[Tile, ...]
    """All full tiles of a place's square, by position."""
    views: tuple[str, ...]
    """Augmented views beside the original."""
    per_shard: int
    """Places, variants included, whose files share a folder."""
    variants: int

    def shard(self, poi: Poi) -> str:
        """``s00000``: the folder of a place's files, the same name below images, overlays and metadata."""
        return f"s{(poi.ordinal * (1 + self.variants) + poi.variant) // self.per_shard:05d}"

    def image(self, poi: Poi, tile_id: str) -> str:
        """Path of a chip."""
        return f"images/{self.shard(poi)}/{tile_id}.png"

    def sidecar(self, poi: Poi, tile_id: str) -> str:
        """Path of a chip's metadata."""
        return f"metadata/{self.shard(poi)}/{tile_id}.json"


def default_id(ordinal: int) -> str:
    """The id of a place whose row has none."""
    return f"poi_{ordinal:06d}"


def variant_id(base_id: str, variant: int) -> str:
    """The id of a jittered variant; variant 0 is the place itself."""
    return f"{base_id}_g{variant:03d}" if variant else base_id


def tile_id(poi_id: str, tile: Tile, view: str | None = None) -> str:
    """``poi_000012_t0003``, with ``_flip`` and so on for views."""
    return f"{poi_id}_t{tile.index:04d}" + (f"_{view}" if view else "")


def layout_of(recipe: Recipe) -> Layout:
    """The layout that a recipe leads to.

    Raises
    ------
    PlanError
        If one place alone has more files than a folder may hold.
    """
    positions = tiles((recipe.side, recipe.side), recipe.tiles.size, recipe.tiles.stride)
    files = len(positions) * (1 + len(recipe.rows.augment))
    per_shard = recipe.output.files_per_dir // files
    if not per_shard:
        raise PlanError(
            f"a place makes {files} files in one folder, output.files_per_dir allows {recipe.output.files_per_dir}: "
            "raise it, or use fewer tiles or views"
        )
    return Layout(tiles=positions, views=recipe.rows.augment, per_shard=per_shard, variants=recipe.pois.jitter.variants)
