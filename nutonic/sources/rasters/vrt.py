"""VRTs that lay files side by side: their XML says which; GDAL never opens one.

Much else that a VRT can be is code to run, or an address to read. Such a one is refused, and so is one that moves, scales
or cuts its files, since what it shows is not what they hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from nutonic.errors import InputError
from nutonic.io.files import read_regular, real_path

#: Bytes of a VRT that is read; one of a hundred thousand files has about 60 MB.
_LARGEST = 128 * 2**20

#: What a source may say besides its file and where it goes; the rest would change its pixels.
_HARMLESS = frozenset(
    {"SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect", "NODATA", "UseMaskBand"}
)

#: What a band may have besides sources; the rest would change its pixels.
_TOLD = frozenset(
    {"NoDataValue", "HideNoDataValue", "ColorInterp", "ColorTable", "CategoryNames", "Metadata", "Description"}
    | {"Histograms", "Overview", "UnitType", "GDALRasterAttributeTable"}
)

_ADVICE = "list the files themselves, or a glob of them, in labels.path"


@dataclass(frozen=True, slots=True)
class Placement:
    """What a VRT says of one of its files."""

    vrt: str
    """Name of the VRT, for messages."""
    band: int
    """From 1."""
    nodata: float | None
    """The value that is no class, besides the file's own."""
    crs: str | None
    """Of the VRT, as it is written; None where it tells none."""
    transform: tuple[float, float, float, float]
    """Width of a pixel, left edge, height of a pixel (negative) and top edge, where the VRT puts the file."""
    shape: tuple[int, int]
    """Height and width of what the VRT takes of the file."""


def sources_of(path: Path) -> list[tuple[Path, Placement]]:
    """The files that a VRT lays side by side, the one on top first.

    Raises
    ------
    InputError
        If it is no VRT, or is more than files of its own folder, side by side.
    """
    root = _parsed(path)
    bands = root.findall("VRTRasterBand")
    if len(bands) != 1:
        raise InputError(f"{path} has {len(bands)} bands; labels need one band of class ids")
    strange = [root.get("subClass"), bands[0].get("subClass")]
    strange += ["MaskBand" for _ in root.iter("MaskBand")] + ["GCPList" for _ in root.iter("GCPList")]
    if kind := next(filter(None, strange), None):
        raise InputError(f"{path} is a VRT with {kind}, which computes pixels: {_ADVICE}")
    return list(reversed(list(_sources(path, root, bands[0]))))


def _parsed(path: Path) -> ElementTree.Element:
    try:
        text = read_regular(path, _LARGEST).decode("utf-8-sig")
        if "<!doctype" in text.lower() or "<!entity" in text.lower():
            raise InputError(f"{path} is XML with a document type, which is not read: {_ADVICE}")
        root = ElementTree.fromstring(text)
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or 'unreadable').lower()}; see labels.path") from None
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no VRT: {error}") from None
    if root.tag != "VRTDataset":
        raise InputError(f"{path} is no VRT: its XML is a {root.tag[:40]}")
    return root


def _sources(path: Path, root: ElementTree.Element, band: ElementTree.Element) -> Iterator[tuple[Path, Placement]]:
    """The files in the order in which the VRT paints them."""
    crs, transform = _text(root, "SRS") or None, _transform(path, root)
    nodata = _number(path, _text(band, "NoDataValue"))
    found = 0
    for source in band:
        if source.tag in _TOLD:
            continue
        if source.tag not in ("SimpleSource", "ComplexSource") or {child.tag for child in source} - _HARMLESS:
            inside = sorted({child.tag for child in source} - _HARMLESS)
            what = inside[0] if source.tag in ("SimpleSource", "ComplexSource") else source.tag
            raise InputError(f"{path} is a VRT with {what[:40]}, which changes pixels: {_ADVICE}")
        found += 1
        yield _file(path, source), _placement(path, source, crs, transform, nodata)
    if not found:
        raise InputError(f"{path} is a VRT of no file; see labels.path")


def _file(path: Path, source: ElementTree.Element) -> Path:
    """The file of a source, if it lies beside the VRT or below its folder."""
    element = source.find("SourceFilename")
    name = (element.text or "").strip() if element is not None else ""
    relative = element is not None and element.get("relativeToVRT") == "1"
    folder = str(real_path(path.parent))
    file = str(real_path(os.path.join(folder, name) if relative else name))  # noqa: PTH118  names may be anything
    odd = not name or name.startswith("/vsi") or "://" in name or name.lower().endswith(".vrt")
    if odd or os.path.commonpath([folder, file]) != folder:
        raise InputError(
            f"{path} names {name[:120] or 'no file'}, which is no file in its own folder or below: {_ADVICE}"
        )
    return path.parent / Path(file).relative_to(folder)


def _placement(
    path: Path,
    source: ElementTree.Element,
    crs: str | None,
    transform: tuple[float, float, float, float],
    nodata: float | None,
) -> Placement:
    name = _text(source, "SourceFilename")
    src, dst = (_rectangle(source.find(tag)) for tag in ("SrcRect", "DstRect"))
    band = _text(source, "SourceBand") or "1"
    if not band.isdigit():
        raise InputError(f"{path} takes band {band[:40]!r} of {name[:120]}, which is no number: {_ADVICE}")
    if src is None or dst is None or src[:2] != (0, 0) or max(abs(src[k] - dst[k]) for k in (2, 3)) > 1e-6:
        raise InputError(f"{path} cuts or scales {name[:120]}: {_ADVICE}")
    a, c, e, f = transform
    own = _number(path, _text(source, "NODATA"))
    return Placement(
        vrt=path.name,
        band=int(band),
        nodata=nodata if own is None else own,
        crs=crs,
        transform=(a, c + a * dst[0], e, f + e * dst[1]),
        shape=(round(src[3]), round(src[2])),
    )


def _rectangle(element: ElementTree.Element | None) -> tuple[float, float, float, float] | None:
    """xOff, yOff, xSize, ySize."""
    try:
        if element is None:
            return None
        return tuple(float(element.attrib[name]) for name in ("xOff", "yOff", "xSize", "ySize"))  # type: ignore[return-value]
    except (KeyError, ValueError):
        return None


def _transform(path: Path, root: ElementTree.Element) -> tuple[float, float, float, float]:
    """Width of a pixel, left, height of a pixel and top."""
    try:
        c, a, b, f, d, e = (float(part) for part in _text(root, "GeoTransform").split(","))
    except ValueError:
        raise InputError(f"{path} is a VRT without a geotransform: {_ADVICE}") from None
    if b or d:
        raise InputError(f"{path} is a VRT that is rotated: {_ADVICE}")
    return a, c, e, f


def _number(path: Path, text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise InputError(f"{path} has the nodata value {text[:40]!r}, which is no number") from None


def _text(element: ElementTree.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()
