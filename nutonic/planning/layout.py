"""Where everything lies in a tree, from recipe and place alone: nothing moves when something is rejected."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nutonic.core.model import Poi, Tile
from nutonic.core.tiling import tiles
from nutonic.errors import PlanError
from nutonic.io import atomic
from nutonic.recipe.recipe import Recipe

META = "_nutonic"
PLAN = f"{META}/plan.jsonl"
RECIPE = f"{META}/recipe.yaml"
SUMMARY = f"{META}/summary.json"
COMMITS = f"{META}/commits"
PARTS = f"{META}/parts"
CARD = "README.md"

#: The page that shows a tree to people. It is not judged.
REPORT = atomic.REPORT

STILLS = "mapbox_stills"

#: How files of stills end: as PNG or JPEG, whichever was delivered.
STILL_SUFFIXES = ("png", "jpg")

#: What makes a folder a nutonic tree, and nothing else does: this file with just these bytes, the first that is created
#: in it. It says neither when nor where. Its form is documented here only.
MARKER, MARKER_BYTES = atomic.MARKER, atomic.MARKER_BYTES

#: The folders that nutonic makes. What lies elsewhere in an output folder is the user's; of what lies in them,
#: :mod:`nutonic.planning.ownership` tells what is nutonic's.
OWN = ("images", "overlays", "metadata", STILLS, "data", META)


def is_own(path: str) -> bool:
    """Whether a path of a tree lies where only nutonic writes."""
    return path.split("/", 1)[0] in OWN or path.split("#")[0] in (CARD, REPORT)


def is_overlay(path: str) -> bool:
    """Whether a path of a tree is that of an overlay."""
    return path.startswith("overlays/")


@dataclass(frozen=True, slots=True)
class CommitName:
    """What a commit's name tells."""

    text: str
    """``000012`` or ``000012-003``; ``000012-polished`` where captions are polished."""
    batch: int
    place: int | None
    """Position within its batch; None where the whole batch is committed."""
    polished: bool = False
    """Whether its captions are polished: it takes the place of the commit with the same name but for that."""

    @property
    def whole(self) -> str:
        """The name of its whole batch's commit."""
        return self.text.partition("-")[0]

    @property
    def path(self) -> str:
        """Where the commit lies."""
        return f"{COMMITS}/{self.text}.json"

    @property
    def part(self) -> str:
        """Where the rows of its places lie."""
        return f"{PARTS}/{self.text}.jsonl.gz"


_COMMIT = re.compile(r"(?P<batch>[0-9]{6,})(?:-(?P<place>[0-9]{3}))?(?P<polished>-polished)?")


def named(batch: int, place: int | None = None, *, polished: bool = False) -> CommitName:
    """The name of a batch's commit, or of a place's own."""
    text = f"{batch:06d}" if place is None else f"{batch:06d}-{place:03d}"
    return CommitName(f"{text}-polished" if polished else text, batch, place, polished)


def commit_name(path: str) -> CommitName | None:
    """The name of the commit that lies at a path of a tree; None where no commit lies."""
    return _name_at(path, f"{COMMITS}/", ".json")


def part_name(path: str) -> CommitName | None:
    """The name of the commit whose rows lie at a path of a tree; None where no rows lie."""
    return _name_at(path, f"{PARTS}/", ".jsonl.gz")


def _name_at(path: str, folder: str, suffix: str) -> CommitName | None:
    text = path.removeprefix(folder).removesuffix(suffix)
    parts = _COMMIT.fullmatch(text)
    if parts is None or path != f"{folder}{text}{suffix}":
        return None
    place = None if parts["place"] is None else int(parts["place"])
    name = named(int(parts["batch"]), place, polished=parts["polished"] is not None)
    return name if name.text == text else None  # a number is written in one way


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
    stills: bool = False
    """Whether places have stills."""
    overlays: bool = False
    """Whether rows have overlays."""

    def shard(self, poi: Poi) -> str:
        """``s00000``: the folder of a place's files, the same name below images, overlays, metadata and mapbox_stills."""
        return self.shard_at(poi.ordinal, poi.variant)

    def shard_at(self, ordinal: int, variant: int) -> str:
        """The same, of a place by its position in the places file."""
        return f"s{(ordinal * (1 + self.variants) + variant) // self.per_shard:05d}"

    def image(self, poi: Poi, tile_id: str) -> str:
        """Path of a chip."""
        return f"images/{self.shard(poi)}/{tile_id}.png"

    def overlay(self, poi: Poi, row_id: str) -> str:
        """Path of the overlay of a row."""
        return f"overlays/{self.shard(poi)}/{row_id}.png"

    def sidecar(self, poi: Poi, tile_id: str) -> str:
        """Path of a chip's metadata."""
        return f"metadata/{self.shard(poi)}/{tile_id}.json"

    def still(self, poi: Poi, suffix: str) -> str:
        """Path of a place's still, which ends as its server delivered it."""
        return f"{STILLS}/{self.shard(poi)}/{poi.id}.{suffix}"


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
    files = len(positions) * (1 + len(recipe.rows.augment)) * max(1, recipe.rows.most_overlays)
    per_shard = recipe.output.files_per_dir // files
    if not per_shard:
        raise PlanError(
            f"a place makes {files} files in one folder, output.files_per_dir allows {recipe.output.files_per_dir}: "
            "raise it, or use fewer tiles or views, or no overlays"
        )
    return Layout(
        tiles=positions,
        views=recipe.rows.augment,
        per_shard=per_shard,
        variants=recipe.pois.jitter.variants,
        stills=recipe.context.mapbox.enabled,
        overlays=recipe.rows.overlays,
    )
