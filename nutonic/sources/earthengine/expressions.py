"""Land cover as Earth Engine computes it: one image with one band, in which class and date are packed.

A pixel is ``class + 256 · days``: within how many days of the wanted moment its class was seen, 0 where that is not asked.
What is masked is no class: Earth Engine's mask says so, and :data:`MASKED` in its place what it sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from nutonic.core.catalogs import Rule

#: An ``ee.Image`` and an ``ee.ImageCollection``, of which type checkers are told little.
Image: TypeAlias = Any
Images: TypeAlias = Any

#: What is sent where nothing was seen, and where something was that is no number from 0 to 255.
MASKED, STRANGE = 65535, 65534

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelImage:
    """Which classes, of when."""

    collection: str
    band: str
    rule: Rule
    windows_days: tuple[int, ...] = ()
    """For ``mode`` half-widths of windows, ascending; for ``nearest`` the last is the farthest that is taken."""
    when_ms: int | None = None
    """The wanted moment, milliseconds since 1970, UTC; None for a mosaic."""
    year: int | None = None
    """Of the images of a mosaic; None for all."""

    def expression(self) -> Image:
        """The image, for Earth Engine to compute."""
        import ee

        labels = ee.ImageCollection(self.collection).select([self.band], ["label"])
        if self.when_ms is None:
            image = _mosaic(labels, self.year)
        else:
            image = (_mode if self.rule == "mode" else _nearest)(labels, self.when_ms, self.windows_days)
        # A computed image has no time of its own, and xee asks for one.
        return image.rename(["label"]).set("system:time_start", self.when_ms or 0)


def _packed(label: Image, days: Image) -> Image:
    strange = label.lt(0).Or(label.gt(255))
    return label.toInt32().add(days.multiply(256)).where(strange, STRANGE).toUint16()


def _mosaic(labels: Images, year: int | None) -> Image:
    """The last image of the collection that has a class there."""
    import ee

    chosen = labels if year is None else labels.filterDate(f"{year}-01-01", f"{year + 1}-01-01")
    return _packed(_never_empty(chosen).mosaic(), ee.Image.constant(0))


def _mode(labels: Images, when_ms: int, windows: tuple[int, ...]) -> Image:
    """The most frequent class in the narrowest window around the moment that has any there."""
    import ee

    each = [_packed(_never_empty(_within(labels, when_ms, days)).mode(), ee.Image.constant(days)) for days in windows]
    return ee.ImageCollection(each[::-1]).mosaic()  # the last is on top


def _nearest(labels: Images, when_ms: int, windows: tuple[int, ...]) -> Image:
    """The image nearest in time that reaches there; its holes stay holes.

    Chosen pixel by pixel, since sorting would look at all images of the world.
    """
    import ee

    def dated(image: Image) -> Image:
        distance_ms = ee.Image.constant(ee.Number(image.get("system:time_start")).subtract(when_ms).abs())
        label = _packed(image, distance_ms.divide(_DAY_MS).ceil()).unmask(MASKED)  # within its footprint, not beyond
        return label.addBands(label.multiply(0).toDouble().subtract(distance_ms).rename(["nearness"]))

    nothing = _nothing().toUint16().addBands(_nothing().toDouble().rename(["nearness"]))
    near = _within(labels, when_ms, windows[-1]).map(dated).merge(ee.ImageCollection([nothing]))
    image = near.qualityMosaic("nearness").select(["label"])
    return image.updateMask(image.neq(MASKED))


def _within(labels: Images, when_ms: int, days: int) -> Images:
    reach = days * _DAY_MS
    return labels.filterDate(when_ms - reach, when_ms + reach + 1)  # the end is excluded


def _never_empty(labels: Images) -> Images:
    """With an image that shows nothing: an empty collection reduces to an image without bands."""
    import ee

    return labels.merge(ee.ImageCollection([_nothing()]))


def _nothing() -> Image:
    import ee

    return ee.Image.constant(0).toUint8().rename(["label"]).updateMask(0)
