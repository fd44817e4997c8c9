"""The forms that there are, by name."""

from __future__ import annotations

import pkgutil
from typing import Any

from nutonic.dataset.catalogue.cells import cell_namer
from nutonic.dataset.packs.boxes import AS_BUILT, box_form
from nutonic.dataset.packs.forms import Form
from nutonic.dataset.packs.tree import TreeFacts
from nutonic.errors import InputError

#: Where each form is, and how its trainer writes boxes; None where it has a way of its own.
_HOMES: dict[str, tuple[str, str | None]] = {
    "parquet": ("parquet:Parquet", AS_BUILT.name),
    "webdataset": ("webdataset:WebDataset", AS_BUILT.name),
    "leap": ("trainers.forms:Chat", None),
    "trl": ("trainers.forms:Inside", AS_BUILT.name),
    "ms-swift": ("trainers.forms:Chat", AS_BUILT.name),
    "llama-factory": ("trainers.forms:Chat", AS_BUILT.name),
    "axolotl": ("trainers.forms:Chat", AS_BUILT.name),
    "unsloth": ("trainers.forms:Inside", AS_BUILT.name),
    "qwen": ("trainers.forms:Chat", "qwen3"),
    "imagefolder": ("chips:ImageFolder", None),
    "coco": ("chips:Detection", None),
    "yolo": ("chips:Detection", None),
    "geoparquet": ("catalogue:Catalogue", None),
    "geojson": ("catalogue:Catalogue", None),
    "stac": ("catalogue:Catalogue", None),
}

#: Forms that name the cell of each chip.
_WITH_CELLS = frozenset({"parquet", "geoparquet", "geojson", "stac"})

#: Forms of boxes alone, which patches have none of.
_OF_BOXES = frozenset({"coco", "yolo"})

#: Names of all forms.
FORMS = tuple(_HOMES)


def form_of(name: str, boxes: str | None = None, cells: str | None = None) -> Form:
    """A form by its name.

    Parameters
    ----------
    name
        One of `FORMS`.
    boxes
        A convention of :mod:`nutonic.dataset.packs.boxes`; by default the one of those that the form is for.
    cells
        How cells are named, one of :data:`~nutonic.dataset.catalogue.cells.CELLS`; by default UTM cells of 2,560 m.

    Raises
    ------
    InputError
        If there is none of that name, or its boxes or cells cannot be chosen.
    """
    if name not in _HOMES:
        raise InputError(f"{name!r:.60} is no form of a pack: there are {', '.join(FORMS)}")
    home, usual = _HOMES[name]
    options: dict[str, Any] = {}
    if usual is not None:
        options["boxes"] = box_form(boxes or usual)
    elif boxes is not None:
        raise InputError(f"{name} has one way to write boxes: leave out --boxes")
    if cells is not None and name not in _WITH_CELLS:
        raise InputError(f"{name} names no cells: leave out --cells, or take {', '.join(sorted(_WITH_CELLS))}")
    if cells is not None:
        cell_namer(cells)
        options["cells"] = cells
    form: Form = pkgutil.resolve_name(f"nutonic.dataset.packs.{home}")(name=name, **options)
    return form


def refuse_without_boxes(form: Form, facts: TreeFacts) -> None:
    """Raise :class:`InputError` where a form would have nothing to say of a tree."""
    if facts.patches and form.name in _OF_BOXES:
        raise InputError(f"{form.name} is boxes, and patches have none: take parquet, webdataset or a trainer's form")
