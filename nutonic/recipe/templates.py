"""The texts of wordings, one file a task: those that come with nutonic, or a person's own folder of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationInfo

from nutonic.io.files import read_regular

#: No file of templates is larger, in bytes; and a folder has no more of them.
_MOST_BYTES, _MOST_FILES = 2**16, 64


def _texts(value: Any, info: ValidationInfo) -> Any:
    """The texts of a folder that a recipe names, by file name; what is no path stays what it is."""
    if isinstance(value, dict) and any(len(str(text)) > _MOST_BYTES for text in value.values()):
        raise ValueError(f"holds a text of more than {_MOST_BYTES:,} letters")
    if not isinstance(value, str) or value == "builtin":
        return value
    folder = Path((info.context or {}).get("folder", "."), Path(value).expanduser())
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".yaml")
        if len(paths) > _MOST_FILES:
            raise ValueError(f"has {len(paths)} files in {folder}, more than {_MOST_FILES}")
        texts = {path.stem: read_regular(path, _MOST_BYTES).decode("utf-8-sig") for path in paths}
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot be read from {folder}: a file is not UTF-8 text ({error.reason})") from None
    except (OSError, RuntimeError) as error:
        raise ValueError(f"cannot be read from {folder}: {getattr(error, 'strerror', None) or error}") from None
    if not texts:
        raise ValueError(f"finds no .yaml file in {folder}")
    return texts


#: ``builtin``, or texts by the name of their task; a path stands for the folder that holds them.
Wording = Annotated[Literal["builtin"] | dict[str, str], BeforeValidator(_texts)]


@cache
def builtin() -> Mapping[str, str]:
    """The texts that come with nutonic, by the name of their task."""
    folder = files("nutonic.recipe") / "wording"
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(".yaml"))
    return {name.removesuffix(".yaml"): (folder / name).read_text(encoding="utf-8") for name in names}


def texts_of(wording: Literal["builtin"] | Mapping[str, str]) -> Mapping[str, str]:
    """The texts that a recipe words its rows with; a task that a folder leaves out is worded as ever."""
    return builtin() if wording == "builtin" else {**builtin(), **wording}


def digest_of(wording: Literal["builtin"] | Mapping[str, str]) -> str:
    """SHA-256 (hex) of all texts: a copy of those that come with nutonic has theirs."""
    whole = hashlib.sha256()
    for name, text in sorted(texts_of(wording).items()):
        whole.update(f"{name}\0{text}\0".encode())
    return whole.hexdigest()
