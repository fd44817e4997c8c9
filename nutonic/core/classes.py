"""Land-cover class tables: what a pixel value of the labels means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, cycle
from typing import TYPE_CHECKING

from nutonic.core.model import Band, Json
from nutonic.core.showing import ShortRepr
from nutonic.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap

#: Eight colours that people with any colour vision tell apart: M. Okabe and K. Ito, Color Universal Design (2008); black is
#: white here, since boxes lie on pictures.
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#FFFFFF")

#: Which of them a label lets expect, by the words in it.
_EXPECTED = (
    (re.compile(r"\b(water|lake|river|ocean|seas?\b)"), "#56B4E9"),
    (re.compile(r"\b(tree|forest|wood)"), "#009E73"),
    (re.compile(r"\b(crop|farm|field|agricultur)"), "#F0E442"),
    (re.compile(r"\b(built|building|urban|settlement)"), "#D55E00"),
    (re.compile(r"\b(snow|ice\b|glacier)"), "#FFFFFF"),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClassTable(ShortRepr):
    """The classes of a land-cover product."""

    name: str
    """Identifier of the product, such as ``"esa-worldcover"``."""
    labels: Mapping[int, str]
    """Class id (0–255) to label, lower case. `unknown` is not among them."""
    unknown: int
    """The pixel value that is no class: masked, cloudy, outside. Excluded from every count."""
    colors: Mapping[int, str]
    """Class id to ``"#rrggbb"``, for pictures only; ids may be missing: :meth:`color` has one for each."""
    masked: tuple[int, ...] = ()
    """Values that tell why there is no class, such as clouds; they are read as `unknown`."""
    nouns: Mapping[int, str] = field(default_factory=dict)
    """Class id to what the class is called in a sentence, such as ``"trees"``, where that is not its label."""

    def noun(self, class_id: int) -> str:
        """What a class is called in a sentence."""
        return self.nouns.get(class_id, self.labels[class_id])

    def _facts(self) -> Json:
        return {"name": self.name, "labels": ", ".join(self.labels.values()), "unknown": self.unknown}

    def color(self, class_id: int) -> str:
        """The colour of a class, ``"#rrggbb"``: its own, what its label lets expect, or one left of :data:`PALETTE`."""
        return self.colors.get(class_id) or _without_own(self)[class_id]

    def cmap(self) -> ListedColormap:
        """A colormap of matplotlib with a colour for each class id, to be used with ``vmin=0, vmax=255``.

        ``plt.imshow(cube.label, cmap=table.cmap(), vmin=0, vmax=255, interpolation="none")`` then shows each class in its
        own colour, whatever ids there are. Values that are no class are transparent.
        """
        try:
            from matplotlib.colors import ListedColormap
        except ImportError:
            raise MissingExtra("a colormap needs matplotlib: pip install 'nutonic[notebook]'") from None
        return ListedColormap([self.color(i) if i in self.labels else "#00000000" for i in range(256)], name=self.name)

    @property
    def band(self) -> Band:
        """The variable that land cover of this table is read into: ``label``, uint8, nodata as `unknown`."""
        flags = tuple((class_id, label, self.color(class_id)) for class_id, label in sorted(self.labels.items()))
        return Band(
            name="label",
            kind="class",
            dtype="uint8",
            nodata=self.unknown,
            masked=self.masked,
            flags=flags,
            title=f"land cover, {self.name}",
        )

    def band_of(self, remap: Mapping[int, int]) -> Band:
        """The same of files with codes of their own: `remap` says which class each code is.

        A class of the table that is not among the codes stays what it is.

        Raises
        ------
        InputError
            If a code becomes what is neither a class of the table nor its unknown value.
        """
        refuse_unknown_classes(remap, self)
        every = {**{value: value for value in (*self.labels, self.unknown)}, **remap}
        return replace(self.band, remap=tuple(sorted(every.items())) if remap else ())


#: What stands between classes in a list, or could be taken for it.
_JOINT = re.compile(r"[,;]|\band\b")


def lists_of_classes(names: Mapping[int, str]) -> dict[int, list[int]]:
    """Classes in whose names others of them stand before or behind a comma, a semicolon or an "and", with these."""
    ids, found = {name.lower(): class_id for class_id, name in names.items()}, dict[int, list[int]]()
    for class_id, name in names.items():
        cuts = [(name[: joint.start()], name[joint.end() :]) for joint in _JOINT.finditer(name)]
        parts = {part.strip().lower() for cut in cuts for part in cut} - {name.lower()}
        others = [ids[part] for part in sorted(parts) if part in ids]
        if others:
            found[class_id] = others
    return found


_PART = r"(?:(?:upper|lower|top|bottom|left|right|middle|cent(?:re|er)|inner)(?:[ -]hand)?)"
#: Names that sentences use otherwise: answers, places, numbers, letters of options, and what models read as a picture.
_MISLEADING = re.compile(
    r"(?:all|any|both|each|every|few|many|most|mostly|no|none|not|nothing|only|several|some)\b.*"
    rf"|(?:the )?{_PART}(?: {_PART})?(?: (?:half|third|quarter|quadrant|corner|side|edge|part))?|above|below"
    r"|yes|and|or|the|an?|it|of|in|with|[\W\d_]+"
    r"|.*<[^<>]*>.*|.*;.*|(?:.*\s)?[a-e]\)(?:\s.*)?",
    re.IGNORECASE,
)


def misleading(names: Mapping[int, str]) -> dict[int, str]:
    """Names, by class id, of which sentences could be misunderstood: ``"left"``, ``"no"``, ``"42"``, ``"all trees"``."""
    return {class_id: name for class_id, name in names.items() if _MISLEADING.fullmatch(name)}


def _without_own(table: ClassTable) -> dict[int, str]:
    """Colours of the classes that have none, of :data:`PALETTE`, no two alike until it is used up: water is blue."""
    labels = {class_id: label for class_id, label in table.labels.items() if class_id not in table.colors}
    found: dict[int, str] = {}
    for class_id, label in labels.items():
        expected = next((colour for words, colour in _EXPECTED if words.search(label)), None)
        if expected and expected not in found.values():
            found[class_id] = expected
    used = {colour.upper() for colour in (*found.values(), *table.colors.values())}
    left = chain((colour for colour in PALETTE if colour not in used), cycle(PALETTE))
    return {class_id: found.get(class_id) or next(left) for class_id in labels}


def ink_on(color: str) -> str:
    """Black or white, whichever stands out from a colour ``"#rrggbb"``: letters on it, a line beside it.

    The two are about equally far from a luma (ITU-R BT.601) of 90 of 255.
    """
    red, green, blue = bytes.fromhex(color[1:])
    return "black" if 299 * red + 587 * green + 114 * blue > 90_000 else "white"


def refuse_unknown_classes(remap: Mapping[int, int], table: ClassTable) -> None:
    """Raise :class:`InputError` if codes become values that a class table does not have."""
    wrong = next((code for code, to in remap.items() if to not in table.labels and to != table.unknown), None)
    if wrong is not None:
        raise InputError(
            f"remap makes {wrong} a {remap[wrong]}, which {table.name} does not list: use one of its classes "
            f"({', '.join(map(str, table.labels))}), or {table.unknown} for unknown"
        )


#: Beside `label` where classes are those around a date: within how many days of it a pixel's class was seen.
DAYS = Band(name="days", kind="class", dtype="uint8", nodata=255)


ESA_WORLDCOVER = ClassTable(
    # ESA WorldCover 10 m 2021 v200, Product User Manual v2.0, table 3.
    name="esa-worldcover",
    labels={
        10: "tree cover",
        20: "shrubland",
        30: "grassland",
        40: "cropland",
        50: "built-up",
        60: "bare or sparse vegetation",
        70: "snow and ice",
        80: "permanent water bodies",
        90: "herbaceous wetland",
        95: "mangroves",
        100: "moss and lichen",
    },
    unknown=0,
    colors={
        10: "#006400",
        20: "#ffbb22",
        30: "#ffff4c",
        40: "#f096ff",
        50: "#fa0000",
        60: "#b4b4b4",
        70: "#f0f0f0",
        80: "#0064c8",
        90: "#0096a0",
        95: "#00cf75",
        100: "#fae6a0",
    },
    nouns={
        10: "trees",
        50: "built-up land",
        60: "bare or sparsely vegetated ground",
        80: "open water",
        90: "wetland",
    },
)

DYNAMIC_WORLD = ClassTable(
    # GOOGLE/DYNAMICWORLD/V1 in the Earth Engine data catalogue. Class 0 is water, so the unknown value cannot be 0.
    name="dynamic-world",
    labels={
        0: "water",
        1: "trees",
        2: "grass",
        3: "flooded vegetation",
        4: "crops",
        5: "shrub and scrub",
        6: "built",
        7: "bare ground",
        8: "snow and ice",
    },
    unknown=255,
    colors={
        0: "#419bdf",
        1: "#397d49",
        2: "#88b053",
        3: "#7a87c6",
        4: "#e49635",
        5: "#dfc35a",
        6: "#c4281b",
        7: "#a59b8f",
        8: "#b39fe1",
    },
    nouns={6: "built-up land"},
)

IO_LULC = ClassTable(
    # Impact Observatory, Esri and Microsoft: 10 m annual land use land cover, 9 classes, v02; file:values of its items.
    name="io-lulc",
    labels={
        1: "water",
        2: "trees",
        4: "flooded vegetation",
        5: "crops",
        7: "built area",
        8: "bare ground",
        9: "snow and ice",
        11: "rangeland",
    },
    unknown=0,
    colors={
        1: "#419bdf",
        2: "#397d49",
        4: "#7a87c6",
        5: "#e49635",
        7: "#c4281b",
        8: "#a59b8f",
        9: "#a8ebff",
        11: "#e3e2c3",
    },
    masked=(10,),  # clouds
    nouns={7: "built-up land"},
)

TABLES: Mapping[str, ClassTable] = {table.name: table for table in (ESA_WORLDCOVER, DYNAMIC_WORLD, IO_LULC)}


#: What stands for a class table: itself, its name where it is known, or labels by class id.
AnyTable = ClassTable | str | Mapping[int, str]


def table_of(table: AnyTable) -> ClassTable:
    """A class table, the one of this name, or one of labels by class id.

    Of a table that is given by its labels alone ``unknown`` is 0, or else 255, or else the first id that is free.

    Raises
    ------
    InputError
        If there is none of this name, or an id is not from 0 to 255, or two classes have one label.
    """
    if isinstance(table, ClassTable):
        return table
    if isinstance(table, Mapping):
        return _table_of_labels(table)
    if not isinstance(table, str):
        raise InputError(
            f"classes is a {type(table).__name__}: give the name of a class table ({', '.join(sorted(TABLES))}), a "
            "nutonic.ClassTable, or labels by class id, such as {10: 'trees'}"
        )
    if table not in TABLES:
        raise InputError(f"no class table {table!r}: use one of {', '.join(sorted(TABLES))} or one of your own")
    return TABLES[table]


def _table_of_labels(labels: Mapping[int, str]) -> ClassTable:
    strange = [key for key in labels if isinstance(key, bool) or key not in range(256)]
    if strange or not labels:
        what = f"{strange[0]!r} for a class id" if strange else "no class"
        raise InputError(f"classes has {what}: write labels by whole numbers from 0 to 255, such as {{10: 'trees'}}")
    clean = {int(key): " ".join(str(label).lower().split()) for key, label in labels.items()}
    if len(set(clean.values())) != len(clean) or not all(clean.values()):
        raise InputError("classes needs a label of its own for every class id")
    unknown = next((value for value in (0, 255, *range(1, 255)) if value not in clean), None)
    if unknown is None:
        raise InputError("classes uses all ids from 0 to 255: one must be left for what is unknown")
    return ClassTable(name="classes", labels=clean, unknown=unknown, colors={})
