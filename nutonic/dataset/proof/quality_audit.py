"""What sidecars say of cloud, shadow, snow and nodata: no picture tells it, but it must be possible, and allowed."""

from __future__ import annotations

from collections.abc import Iterator

from nutonic.chips.quality import too_poor
from nutonic.core.model import Scene, TileQuality
from nutonic.dataset.proof.shapes import Facts, Shares
from nutonic.planning.spec import BuildSpec

_KINDS = ("cloud", "shadow", "snow", "nodata")


def as_quality(shares: Shares | None) -> TileQuality | None:
    """The shares of a sidecar as the builder had them."""
    return None if shares is None else TileQuality(**shares.model_dump())


def wrong_quality(facts: Facts, scene: Scene, spec: BuildSpec) -> Iterator[str]:
    """What in the quality that a sidecar tells cannot be: each as text."""
    meaning, (of_tile, of_place) = (
        spec.quality.classification,
        (as_quality(facts.quality), as_quality(facts.imagery.place_quality)),
    )
    judged = meaning is not None and scene.has(meaning.asset)
    if of_tile is None or of_place is None:
        if judged or of_tile is not of_place:
            yield "its quality is missing, though its scene has a classification"
        return
    if not judged:
        yield "its quality is told, though its scene has no classification that the recipe asks for"
        return
    native, whole = spec.tiles.size**2, spec.side**2
    tile, place = _pixels(of_tile, native), _pixels(of_place, whole)
    if tile is None or place is None:
        yield "its quality has shares that are not of so many pixels"
    elif any(not inside <= all_ <= inside + whole - native for inside, all_ in zip(tile, place, strict=True)):
        yield "its quality is not that of a part of its place"
    elif too_poor(of_tile, spec.quality, spec.tiles) is not None:
        yield "its quality is too low for the recipe"


def _pixels(quality: TileQuality, of: int) -> list[int] | None:
    """How many pixels each share is, of so many; None if one is no number of pixels, or all are more than there are."""
    shares = [getattr(quality, kind) for kind in _KINDS]
    counts = [round(share * of) for share in shares]
    fits = sum(counts) <= of and all(count / of == share for count, share in zip(counts, shares, strict=True))
    return counts if fits else None
