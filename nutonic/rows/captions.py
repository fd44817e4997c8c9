"""What to say of a mask in a caption: which claims, in which order. Words are :mod:`nutonic.rows.wording`'s.

Where too little of the mask is labelled to speak of the whole image, or to say whether a class has half of it, a caption
says what is there and where, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from nutonic.core.model import Json
from nutonic.rows.claims import PLACED
from nutonic.rows.positions import ZONES, position, share
from nutonic.rows.truth import Truth, in_zone, nearly_fills, patch_size, told_of_zone, zone_is_whole
from nutonic.rows.wording import Said


def caption(truth: Truth, length: Literal["brief", "full", "zonal"] = "full") -> tuple[Said, ...]:
    """What a picture shows, as claims.

    ``full`` has its classes by share and where they lie; ``brief`` names the most important in one line; ``zonal`` goes
    through the four quarters and the centre, all of them. A zonal caption is empty of a mask that is not labelled enough,
    or of one with a part in which nothing has a class.
    """
    if length == "brief":
        return (_brief(truth),)
    if length == "zonal":
        parts = [_of_zone(truth, zone) for zone in ZONES] if truth.whole else [None]
        return () if None in parts else tuple(part for part in parts if part is not None)
    known = truth.whole and truth.is_half(truth.cover.by_size()[0]) is not None
    return tuple(_full(truth) if known else _seen(truth))


def _said(claim: str, **values: object) -> Said:
    return Said(claim=claim, values=values)


def _full(truth: Truth) -> Iterator[Said]:
    cover, (first, *others) = truth.cover, truth.cover.by_size()
    if truth.count(first) == truth.pixels:
        yield _said("caption.entire", c=first)
        return
    kind = "dominated" if truth.is_half(first) else "mixed"
    yield _said(f"caption.{kind}", c=first, share=truth.share(first), where=position(cover, first))
    large = [c for c in others if 100 * cover.counts[c] >= cover.valid]
    placed = [{"c": c, "share": truth.share(c), "where": position(cover, c)} for c in large[: PLACED - 1]]
    if placed:
        yield _said("caption.further", classes=placed)
    if large[PLACED - 1 :]:
        yield _said("caption.minor", classes=[{"c": c, "share": truth.share(c)} for c in large[PLACED - 1 :]])


def _large(truth: Truth) -> list[int]:
    """Classes with a twentieth of the labelled pixels, or else the first."""
    by_size = truth.cover.by_size()
    return [c for c in by_size if 20 * truth.count(c) >= truth.cover.valid] or by_size[:1]


def _seen(truth: Truth) -> Iterator[Said]:
    first, *others = _large(truth)
    yield _said("caption.sees", c=first, where=position(truth.cover, first))
    if others:
        spots = [{"c": c, "where": position(truth.cover, c)} for c in others[:PLACED]]
        yield _said("caption.sees_too", classes=spots)


def _brief(truth: Truth) -> Said:
    first, *others = large = _large(truth)[:PLACED]
    if not truth.whole:
        return _said("caption.brief_seen", classes=_each(large))
    if truth.count(first) == truth.pixels:
        return _said("caption.brief_entire", c=first)
    half = truth.is_half(first) if others else None
    if half:
        return _said("caption.brief_most", c=first, classes=_each(others))
    return _said("caption.brief_seen" if half is None else "caption.brief_mixed", classes=_each(large))


def _each(classes: Sequence[int]) -> list[Json]:
    return [{"c": c} for c in classes]


def zonal_question(said: Sequence[Said]) -> str:
    """The claim that asks for a zonal caption: for what leads in each part, or for what can be seen where one is unclear."""
    return "caption.ask_zonal_seen" if any(each.claim == "caption.zone_seen" for each in said) else "caption.ask_zonal"


def _of_zone(truth: Truth, zone: str) -> Said | None:
    """What is told of a part of the image; None if nothing in it has a class."""
    held, whole = in_zone(truth, zone), zone_is_whole(truth, zone)
    told = told_of_zone(held)
    if not told:
        return None
    if whole and nearly_fills(truth, held[0][1], zone):
        return _said("caption.zone_one", zone=zone, c=told[0])
    if not whole or len(held) == 1:  # what has no class may have the rest, or not
        return _said("caption.zone_seen", zone=zone, classes=_each(told))
    alike = len({n for _, n in held[: len(told)]}) < len(told)
    return _said(f"caption.zone_{'shared' if alike else 'ranked'}", zone=zone, classes=_each(told))


def class_caption(truth: Truth, c: int) -> tuple[Said, tuple[Said, ...]]:
    """A question about a class, and what is said of it: its share, where it lies, and in how many patches."""
    if not truth.whole:
        return _said("class_caption.ask_where", c=c), (
            _said("class_caption.seen", c=c, where=position(truth.cover, c)),
        )
    asked = _said("class_caption.ask_share", c=c)
    if truth.count(c) == truth.pixels:
        return asked, (_said("class_caption.entire", c=c),)
    first = _said("class_caption.share", c=c, share=truth.share(c), where=position(truth.cover, c))
    return asked, (first, _patches(truth, c))


def _patches(truth: Truth, c: int) -> Said:
    cover = truth.cover
    if cover.pieces[c] == 1:
        return _said("class_caption.one_piece", c=c)
    number, unit = patch_size(truth)
    if not cover.large_regions[c]:
        return _said("class_caption.scattered", c=c, number=number, unit=unit)
    largest = share(cover.regions_of(c)[0].area_px, cover.counts[c], truth.rows.shares)
    values = {"c": c, "number": number, "unit": unit, "share": largest}
    if cover.large_regions[c] == 1:
        return _said("class_caption.one_patch", **values)
    return _said("class_caption.patches", count=cover.large_regions[c], **values)
