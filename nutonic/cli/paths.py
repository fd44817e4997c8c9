"""Paths and addresses as commands take them: what cannot be one is refused before any work.

And as lines to be copied have them, whatever is in their names.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click

from nutonic.errors import InputError
from nutonic.io.atomic import refuse_nowhere
from nutonic.io.buckets.address import Address, AnyPath, any_path_of, path_of


class PathOf(click.Path):
    """A path that may be; of an output, one at which something may be made. Others are refused before any work."""

    def __init__(self, *, output: bool = False, beside: int = 0) -> None:
        super().__init__(path_type=Path)
        self._output, self._beside = output, beside

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.

        Raises
        ------
        InputError
            If nothing can be there; and what :func:`~nutonic.planning.ownership.refuse_output` does.
        """
        from nutonic.planning.ownership import refuse_output

        if not str(value) or "\0" in str(value):
            raise InputError(f"{str(value)!r} is no path: name one")
        path_of(str(value))  # as it was written: a path of s3:// has no slash any more
        path = path_of(str(super().convert(value, param, ctx)))
        if self._output:
            refuse_output(path, beside=self._beside)
        refuse_nowhere(path)
        return path


class AnyPathOf(PathOf):
    """A path that may be, or an address in an object store."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path or the address; raises InputError of an address that is none."""
        path = self._parsed(value) if isinstance(value, str) else value
        if isinstance(path, Address) and path.scheme.endswith("memory"):
            raise InputError(f"{path} is gone when this command ends: name a folder or an object store")
        return path if isinstance(path, Address) else super().convert(value, param, ctx)

    def _parsed(self, value: str) -> AnyPath:
        return any_path_of(value)


class CubeOf(AnyPathOf):
    """Where a cube goes: also an address of a repository of Icechunk."""

    def _parsed(self, value: str) -> AnyPath:
        from nutonic.cube.save import cube_path_of

        return cube_path_of(value)


def in_shell(path: object) -> str:
    """A path as a word of a command."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def in_python(path: object) -> str:
    """A path as a literal of Python."""
    return json.dumps(str(path), ensure_ascii=False)


def in_yaml(path: object) -> str:
    """A path as a value in YAML, within braces too."""
    import yaml

    text = str(path)
    plain = re.fullmatch(r"[\w./][\w./-]*", text) is not None and yaml.safe_load(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)
