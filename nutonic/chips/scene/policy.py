"""Which of a map's tags a picture shows, and what things are called: a policy, read from a text that a person can edit.

The text is YAML with six parts. ``visible`` maps ``key`` (any value) or ``key=value`` to a noun, or to nothing where a tag
is seen but calls nothing by a name, such as a surface. ``areas`` and ``lines`` say what an area, or a line, is called
instead, or that it is nothing: a pedestrian street that is an area is a pedestrian area, and an open line is no building.
``implied``, ``invisible`` and ``dropped`` are lists of keys, of ``key=value``, or of patterns such as ``name:*``. A key of
which nothing is said is invisible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import yaml

from nutonic.errors import RecipeError

#: Values by which a thing says that it is none.
_NOT = frozenset({"no", "none", ""})

#: What tells one thing from others of its kind; shown only where a recipe asks for names.
NAMES = frozenset({"name", "official_name", "short_name", "brand", "operator", "ref"})

#: What is only on paper, and yet drops nothing that it runs along: a border that is a river, a coast or a road as well.
_ON_PAPER = frozenset({"boundary", "admin_level", "leisure"})
_ON_GROUND = frozenset({"highway", "waterway", "railway"})

#: Parts of the text that map tags to nouns, and those that list tags.
_NAMING, _LISTS = ("visible", "areas", "lines"), ("implied", "invisible", "dropped")
_PARTS = (*_NAMING, *_LISTS)
_RULE = re.compile(r"[^\s=*]{1,80}(?:\*|=[^\s=*][^=*]{0,80})?")
_NOUN = re.compile(r"[^\W\d_](?:[^\W\d_]|['’ -](?=[^\W\d_])){0,59}")

_Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A list of keys, of tags and of beginnings of keys."""

    exact: frozenset[str] = field(default=frozenset())
    """``key`` and ``key=value``."""
    starts: tuple[str, ...] = ()
    """Of ``name:*`` the letters before the star."""

    def fit(self, key: str, value: str) -> bool:
        """Whether one of the rules is of this tag."""
        return key in self.exact or f"{key}={value}" in self.exact or key.startswith(self.starts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPolicy:
    """What can be seen of the things on a map, by their tags."""

    nouns: Mapping[str, str | None]
    """By ``key`` or ``key=value``, in the order of the text: what a thing is called; None where that is for another tag."""
    areas: Mapping[str, str | None] = field(default_factory=dict)
    """The same of areas that are called otherwise than lines and points; None of those that are nothing."""
    lines: Mapping[str, str | None] = field(default_factory=dict)
    """The same of lines."""
    implied: Rules = Rules()
    invisible: Rules = Rules()
    dropped: Rules = Rules()
    called: frozenset[str] = field(init=False)
    """All that things are called."""
    _naming: Mapping[str, tuple[int, str, str]] = field(init=False, repr=False, compare=False)
    """Of lines that have a noun their place in the text, the noun, and the line."""

    def __post_init__(self) -> None:
        """Put together what things are called; many patches ask for it."""
        named = {line: (at, noun, line) for at, (line, noun) in enumerate(self.nouns.items()) if noun is not None}
        object.__setattr__(self, "_naming", named)
        more = (noun for nouns in (self.areas, self.lines) for noun in nouns.values() if noun is not None)
        object.__setattr__(self, "called", frozenset((*(noun for _, noun, _ in named.values()), *more)))

    def noun(self, tags: _Tags, kind: str = "") -> str | None:
        """What a thing with these tags is called, without an article; None if a picture cannot show it.

        Of the lines that fit its tags the first with a noun names it; a line ``key`` fits no value with a line of its own.
        `kind`: ``area`` or ``line``, if it is to be called as one.
        """
        found = self.naming(tags, kind)
        return None if found is None else found[0]

    def naming(self, tags: _Tags, kind: str = "") -> tuple[str, str] | None:
        """What a thing with these tags is called, and the line of the text that says so: ``("lake", "water=lake")``.

        Of an area or a line, by `kind`, a tag that makes it nothing is passed over.
        """
        instead = {"area": self.areas, "line": self.lines}.get(kind, {})
        lines = {self._line(key, value) for key, value in tags.items() if self._counts(key, value)}
        for _, noun, line in sorted(self._naming[line] for line in lines if line in self._naming):
            by = line if line in instead else line.partition("=")[0]
            said = instead.get(by, noun)
            if said is not None:
                return said, line
        return None

    def is_implied(self, tags: _Tags) -> bool:
        """Whether a thing with these tags is called by what a picture suggests and does not prove, such as a use of land."""
        found = self.naming(tags)
        return found is not None and found[1] in self.implied.exact

    def visible_tags(self, tags: _Tags, *, names: bool = False) -> tuple[tuple[str, str], ...]:
        """Those tags that a picture shows or implies, sorted by key.

        Parameters
        ----------
        tags
            All that a thing has.
        names
            Whether to add what it is called, and whose it is: `NAMES`.
        """
        return tuple(sorted((k, v) for k, v in tags.items() if self._shows(k, v) or (names and k in NAMES)))

    def drops(self, tags: _Tags) -> bool:
        """Whether a thing with these tags is none that counts, such as a boundary; ``indoor=no`` drops nothing.

        A boundary that is a road, a railway, a waterway or a coastline as well is one of these.
        """
        by = [key for key, value in tags.items() if value not in _NOT and self.dropped.fit(key, value)]
        return bool(by) and not (_ON_PAPER.issuperset(by) and _is_on_ground(tags))

    def _line(self, key: str, value: str) -> str:
        """The line of the text that is of a tag; of several values, as in ``house;garage``, the first may have one."""
        lines = (f"{key}={value}", f"{key}={value.split(';')[0].strip()}")
        return next((line for line in lines if line in self.nouns), key)

    def _counts(self, key: str, value: str) -> bool:
        return value not in _NOT and not self.invisible.fit(key, value)

    def _shows(self, key: str, value: str) -> bool:
        return self._counts(key, value) and (self._line(key, value) in self.nouns or self.implied.fit(key, value))


def _is_on_ground(tags: _Tags) -> bool:
    return tags.get("natural") == "coastline" or any(tags.get(key, "no") not in _NOT for key in _ON_GROUND)


@lru_cache(maxsize=8)
def parse(text: str) -> TagPolicy:
    """The policy that a text states.

    Raises
    ------
    RecipeError
        If it is no YAML of the six parts, or an entry is no rule, no noun, or there twice; the message tells the line.
    """
    parts = _parts(text)
    visible = parts.get("visible")
    if not isinstance(visible, yaml.MappingNode) or not visible.value:
        raise RecipeError("osm.tags: visible names no tag: write at least one line such as 'building: building'")
    nouns, areas, lines = ({} if name not in parts else _nouns(parts[name], name) for name in _NAMING)
    lists = {name: _rules(parts[name], name) for name in _LISTS if name in parts}
    return TagPolicy(nouns=nouns, areas=areas, lines=lines, **lists)


def _nouns(node: yaml.Node, part: str) -> dict[str, str | None]:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(node, f"{part} is no mapping: write lines such as 'highway=pedestrian: pedestrian area'")
    nouns: dict[str, str | None] = {}
    for key, value in node.value:
        rule = _rule(key, part)
        if rule in nouns:
            raise _wrong(key, f"{part}: {rule!r:.80} is there twice")
        if rule.endswith("*"):
            raise _wrong(key, f"{part}: {rule!r:.80} is a pattern: write a key, or key=value")
        nouns[rule] = _noun(value, rule, part)
    return nouns


def _parts(text: str) -> dict[str, yaml.Node]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"osm.tags: is not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(root, yaml.MappingNode):
        raise RecipeError(f"osm.tags: is no policy: write the parts {', '.join(_PARTS)}")
    parts: dict[str, yaml.Node] = {}
    for key, value in root.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name not in _PARTS or name in parts:
            problem = "is there twice" if name in parts else f"is none of {', '.join(_PARTS)}"
            raise _wrong(key, f"{str(name)!r:.80} {problem}")
        parts[name] = value
    return parts


def _rule(node: yaml.Node, part: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or not _RULE.fullmatch(node.value):
        shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
        raise _wrong(node, f"{part}: {shown!r:.80} is no tag: write key, key=value, or a beginning such as name:*")
    return str(node.value)


def _noun(node: yaml.Node, rule: str, part: str) -> str | None:
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        return None
    if not isinstance(node, yaml.ScalarNode) or not _NOUN.fullmatch(node.value):
        shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
        raise _wrong(node, f"{part}: {rule:.80} has {shown!r:.80}, no noun: write a word or a few, or null")
    return str(node.value)


def _rules(node: yaml.Node, part: str) -> Rules:
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        return Rules()
    if not isinstance(node, yaml.SequenceNode):
        raise _wrong(node, f"{part} is no list: write lines such as '- name'")
    rules = [_rule(each, part) for each in node.value]
    starts = tuple(sorted(rule[:-1] for rule in rules if rule.endswith("*")))
    return Rules(exact=frozenset(rule for rule in rules if not rule.endswith("*")), starts=starts)


def _wrong(node: yaml.Node, problem: str) -> RecipeError:
    return RecipeError(f"osm.tags: line {node.start_mark.line + 1}: {problem}")
