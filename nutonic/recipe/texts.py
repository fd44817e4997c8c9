"""Texts that are part of what a user asks for: wordings, prompts, a policy of tags; nutonic's own, or a person's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationInfo

from nutonic.io.files import read_regular

#: No file of templates is larger, in bytes; and a folder has no more of them.
_MOST_BYTES, _MOST_FILES = 2**16, 64


def _read(path: Path) -> str:
    try:
        return read_regular(path, _MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot be read from {path}: it is not UTF-8 text ({error.reason})") from None
    except (OSError, RuntimeError) as error:
        raise ValueError(f"cannot be read from {path}: {getattr(error, 'strerror', None) or error}") from None


def _placed(value: str, info: ValidationInfo) -> Path:
    try:
        return Path((info.context or {}).get("folder", "."), Path(value).expanduser())
    except RuntimeError as error:  # ~nobody
        raise ValueError(f"cannot be read: {error}") from None


def _texts(value: Any, info: ValidationInfo, suffix: str) -> Any:
    """The texts of a folder that a recipe names, by file name; what is no path stays what it is."""
    if isinstance(value, dict) and any(len(str(text)) > _MOST_BYTES for text in value.values()):
        raise ValueError(f"holds a text of more than {_MOST_BYTES:,} letters")
    if not isinstance(value, str) or value == "builtin":
        return value
    folder = _placed(value, info)
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == suffix)
    except OSError as error:
        raise ValueError(f"cannot be read from {folder}: {error.strerror or error}") from None
    if len(paths) > _MOST_FILES:
        raise ValueError(f"has {len(paths)} files in {folder}, more than {_MOST_FILES}")
    texts = {path.stem: _read(path) for path in paths}
    if not texts:
        raise ValueError(f"finds no {suffix} file in {folder}")
    return texts


def _text(value: Any, info: ValidationInfo) -> Any:
    """The text of a file that a recipe names, as ``{text: …}``; what is no path stays what it is."""
    if isinstance(value, dict) and len(str(value.get("text"))) > _MOST_BYTES:
        raise ValueError(f"holds a text of more than {_MOST_BYTES:,} letters")
    return {"text": _read(_placed(value, info))} if isinstance(value, str) and value != "builtin" else value


#: What texts are for: the words of rows, what models are asked, and what a map's tags mean to the eye. Each is a folder
#: beside this module, whose files end so.
Kind = Literal["wording", "prompts", "tags"]
SUFFIX: Mapping[Kind, str] = {"wording": ".yaml", "prompts": ".j2", "tags": ".yaml"}

_Texts = Literal["builtin"] | dict[str, str]

#: ``builtin``, or texts by the name of their task; a path stands for the folder that holds them.
Wording = Annotated[_Texts, BeforeValidator(partial(_texts, suffix=".yaml"))]

#: The same, of what models are asked: files ``.j2``.
Prompts = Annotated[_Texts, BeforeValidator(partial(_texts, suffix=".j2"))]

#: ``builtin``, or the text of a policy of tags; a path stands for the file that holds it.
TagPolicyText = Annotated[_Texts, BeforeValidator(_text)]


@cache
def builtin(kind: Kind = "wording") -> Mapping[str, str]:
    """The texts that come with nutonic, by the name of their task."""
    folder, suffix = files("nutonic.recipe") / kind, SUFFIX[kind]
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(suffix))
    return {name.removesuffix(suffix): (folder / name).read_text(encoding="utf-8") for name in names}


def texts_of(given: Literal["builtin"] | Mapping[str, str], kind: Kind = "wording") -> Mapping[str, str]:
    """The texts that a recipe works with; what a folder leaves out is as ever."""
    return builtin(kind) if given == "builtin" else {**builtin(kind), **given}


def digest_of(given: Literal["builtin"] | Mapping[str, str], kind: Kind = "wording") -> str:
    """SHA-256 (hex) of all texts: a copy of those that come with nutonic has theirs."""
    whole = hashlib.sha256()
    for name, text in sorted(texts_of(given, kind).items()):
        whole.update(f"{name}\0{text}\0".encode())
    return whole.hexdigest()
