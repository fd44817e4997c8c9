"""Elements in osmium's text form, OPL, a line each; what is read of it is put together as an extract is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from nutonic.core.model import Json

#: What osmium's text form takes as it stands; all else is written as its code.
_PLAIN = re.compile(r"[^A-Za-z0-9_:./-]")

#: Its letters of the types of elements.
LETTERS = {"node": "n", "way": "w", "relation": "r"}


def node_line(number: int, version: int, tags: Mapping[str, str], at: tuple[float, float]) -> str:
    """A node at a longitude and a latitude, of seven decimals."""
    return f"n{number} v{version} dV T{_tags(tags)} x{at[0]:.7f} y{at[1]:.7f}"


def way_line(number: int, version: int, tags: Mapping[str, str], nodes: Iterable[int]) -> str:
    """A way by its nodes."""
    return f"w{number} v{version} dV T{_tags(tags)} N{','.join(f'n{node}' for node in nodes)}"


def relation_line(number: int, version: int, tags: Mapping[str, str], members: Iterable[tuple[str, int, str]]) -> str:
    """A relation by its members: letter, id, role."""
    told = ",".join(f"{letter}{ref}@{_text(role)}" for letter, ref, role in members)
    return f"r{number} v{version} dV T{_tags(tags)} M{told}"


def opl_of(elements: Iterable[Json]) -> bytes:
    """Elements in osmium's text form: nodes, ways, relations, each by its id, and once.

    Of the nodes of ways nothing is known but where they are.
    """
    nodes: dict[int, str] = {}
    others: dict[tuple[str, int], str] = {}
    for each in elements:
        number, version, tags = each["id"], each["version"], each["tags"]
        if each["type"] == "node":
            nodes[number] = node_line(number, version, tags, each["at"])
        elif each["type"] == "way":
            for node, at in zip(each["nodes"], each["shape"], strict=True):
                nodes.setdefault(node, node_line(node, 1, {}, at))
            others["w", number] = way_line(number, version, tags, each["nodes"])
        else:
            members = ((LETTERS[kind], ref, role) for kind, ref, role in each["members"])
            others["x", number] = relation_line(number, version, tags, members)
    lines = [*(nodes[key] for key in sorted(nodes)), *(others[key] for key in sorted(others))]
    return "".join(f"{line}\n" for line in lines).encode()


def _tags(tags: Mapping[str, str]) -> str:
    return ",".join(f"{_text(key)}={_text(value)}" for key, value in sorted(tags.items()))


def _text(text: str) -> str:
    return _PLAIN.sub(lambda letter: f"%{ord(letter[0]):x}%", text)
