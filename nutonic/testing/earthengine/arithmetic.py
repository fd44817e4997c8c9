"""Functions on the bands of images, pixel by pixel: arithmetic, comparisons, casts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from nutonic.testing.earthengine.expressions import Function
from nutonic.testing.earthengine.faults import Problem
from nutonic.testing.earthengine.images import Band, EarthEngineImage, Pixels, PixelType, Points

Image = EarthEngineImage
Pairs = Iterator[tuple[Band, Band, Band]]

BOOLEAN = PixelType("int", 0, 1)


def pairs(name: str, one: Image, two: Image) -> Pairs:
    """Pairs of bands of two images, each with the band that the result is named after.

    If an image has a single band, it is paired with every band of the other image.
    """
    if len(two.bands) == 1:
        yield from ((band, two.bands[0], band) for band in one.bands)
    elif len(one.bands) == 1:
        yield from ((one.bands[0], band, band) for band in two.bands)
    elif len(one.bands) != len(two.bands):
        raise Problem(
            f"{name}: Images must contain the same number of bands, or one of them a single band. "
            f"Got {len(one.bands)} and {len(two.bands)}."
        )
    else:
        by_name = {band.id: band for band in two.bands}
        same = set(by_name) == {band.id for band in one.bands}
        others = [by_name[band.id] for band in one.bands] if same else two.bands
        yield from ((a, b, a) for a, b in zip(one.bands, others, strict=True))


def _binary(
    name: str, compute: Callable[..., np.ndarray], type_of: Callable[[PixelType, PixelType], PixelType]
) -> Function:
    """A function of two images. A pixel that is masked in either is masked in the result."""

    def function(one: Image, two: Image) -> Image:
        def band(a: Band, b: Band, name_source: Band) -> Band:
            kind = type_of(a.type, b.type)

            def read(points: Points) -> Pixels:
                (x, valid), (y, also) = a.at(points), b.at(points)
                with np.errstate(all="ignore"):
                    return Pixels(kind.cast(compute(x.astype("f8"), y.astype("f8"))), valid & also)

            return replace(a, id=name_source.id, type=kind, read=read)

        return one.computed(tuple(band(*trio) for trio in pairs(f"Image.{name}", one, two)))

    return function


def _unary(compute: Callable[[np.ndarray], np.ndarray], type_of: Callable[[PixelType], PixelType]) -> Function:
    """A function of one image. Masked pixels stay masked."""

    def band(a: Band) -> Band:
        kind = type_of(a.type)

        def read(points: Points) -> Pixels:
            values, valid = a.at(points)
            with np.errstate(all="ignore"):
                return Pixels(kind.cast(compute(values)), valid)

        return a.computed(kind, read)

    return lambda image: image.computed(tuple(map(band, image.bands)))


def _span(compute: Callable[..., Any]) -> Callable[[PixelType, PixelType], PixelType]:
    """The type of arithmetic.

    Assumed: integers stay integers, and their range is that of all possible results, so that nothing is cut off. (The
    documentation says "the union of the input types".)
    """

    def type_of(a: PixelType, b: PixelType) -> PixelType:
        both = a.union(b)
        if both.precision != "int":
            return both
        ends = [int(compute(float(x), float(y))) for x in (a.low, a.high) for y in (b.low, b.high)]
        return PixelType("int", min(ends), max(ends))

    return type_of


def _divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(x, y, out=np.zeros(np.broadcast(x, y).shape), where=y != 0))


def _modulo(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(np.fmod(x, y, out=np.zeros(np.broadcast(x, y).shape), where=y != 0))


def _clamp(image: Image, low: float, high: float) -> Image:
    """An image with values from `low` to `high`. Its type stays (assumed)."""
    clamped: Image = _unary(lambda values: np.clip(values.astype("f8"), low, high), _same)(image)
    return clamped


def _quotient(a: PixelType, b: PixelType) -> PixelType:
    """The type of a quotient. Assumed: of two integers it is a float."""
    both = a.union(b)
    return PixelType("float") if both.precision == "int" else both


def _on_integers(compute: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda x, y: compute(x.astype("i8"), y.astype("i8"))


def _bits(a: PixelType, b: PixelType) -> PixelType:
    """The type of bitwise operations. Assumed: an integer of 32 bits, or of 64 if 32 are too few."""
    return PixelType.of("i8") if max(a.high, b.high) > 2**31 - 1 else PixelType.of("i4")


def _boolean(*_: PixelType) -> PixelType:
    return BOOLEAN


def _same(kind: PixelType) -> PixelType:
    return kind


def _double(*_: PixelType) -> PixelType:
    return PixelType("double")


def _real(compute: Callable[..., np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """A function that computes in double precision; of small integers numpy would make small floats."""
    return lambda values: compute(values.astype("f8"))


def _cast(kind: PixelType) -> Function:
    return _unary(lambda values: values, lambda _: kind)


def _binaries() -> Iterator[tuple[str, Function]]:
    spans = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "max": np.maximum, "min": np.minimum}
    tests = {"eq": np.equal, "neq": np.not_equal, "gt": np.greater, "gte": np.greater_equal, "lt": np.less,
             "lte": np.less_equal, "and": np.logical_and, "or": np.logical_or}  # fmt: skip
    yield from ((name, _binary(name, compute, _span(compute))) for name, compute in spans.items())
    yield from ((name, _binary(name, compute, _boolean)) for name, compute in tests.items())
    yield "mod", _binary("mod", _modulo, lambda a, b: a.union(b))
    yield "pow", _binary("pow", np.power, _double)  # assumed
    yield "divide", _binary("divide", _divide, _quotient)
    bits = {"bitwiseAnd": np.bitwise_and, "bitwiseOr": np.bitwise_or, "leftShift": np.left_shift,
            "rightShift": np.right_shift}  # fmt: skip
    yield from ((name, _binary(name, _on_integers(compute), _bits)) for name, compute in bits.items())


def _unaries() -> Iterator[tuple[str, Function]]:
    yield "not", _unary(np.logical_not, _boolean)
    yield "abs", _unary(np.abs, lambda kind: _span(lambda x, _: abs(x))(kind, kind).union(PixelType("int", 0, 0)))
    yield from ((name, _unary(_real(getattr(np, name)), _same)) for name in ("floor", "ceil", "round"))
    yield from ((name, _unary(_real(getattr(np, name)), _double)) for name in ("sqrt", "log", "exp"))
    yield "clamp", _clamp
    sizes = {"uint8": "u1", "int8": "i1", "uint16": "u2", "int16": "i2", "uint32": "u4", "int32": "i4", "int64": "i8"}
    words = {"byte": "u1", "short": "i2", "int": "i4", "long": "i8", "float": "f4", "double": "f8"}
    for name, dtype in {**sizes, **words}.items():
        yield from ((alias, _cast(PixelType.of(dtype))) for alias in (name, f"to{name.capitalize()}"))


#: By Earth Engine's names.
FUNCTIONS: dict[str, Function] = {f"Image.{name}": function for name, function in (*_binaries(), *_unaries())}
