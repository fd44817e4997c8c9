"""Wordings: templates that a person can edit, each of a claim that can be read back out of its sentences.

A template is one sentence in jinja2, such as ``{{ c }} {{ c | verb("cover") }} {{ share }} of the image, {{ where }}.`` It
may use the slots of its claim and a few filters: ``verb`` (the form that fits the word), ``it``, ``its`` and ``them`` (what
stands for the word), ``a`` (with its article) and ``cap`` (with a capital). It has no statements, so that whatever it
renders can be read back.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Any

import jinja2
import yaml
from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nutonic.core.classes import ClassTable
from nutonic.errors import RecipeError
from nutonic.lazily import lazily
from nutonic.recipe.texts import builtin
from nutonic.recipe.yaml import loaded
from nutonic.rows.claims import CLAIMS
from nutonic.rows.positions import DIRECTIONS, PLACES, SEVERAL, SPREAD, ZONES
from nutonic.rows.slots import KINDS, Kind, Lexicon, Pick, Word, either

#: Around the name of a slot, and around a pattern, where a template is made one.
_HOLE, _PATTERN = "\ue000", "\ue001"

#: What `phrases.yaml` must name.
_PHRASES = {"places": (*PLACES, SPREAD, SEVERAL), "zones": ZONES, "directions": DIRECTIONS}

#: Letters that are the same in every alphabet, whatever their case.
_PLAIN = re.compile("[A-Za-z ,]*")

#: How boxes are to be written: the only numbers that a template may hold itself.
_FORM = re.compile(r"\[x1, y1, x2, y2\]|0-1")

#: Slots that every template may use, and need not.
ALWAYS = {"picture": "picture", "size": "size"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A claim with its values: what a sentence says, whatever its words."""

    claim: str
    """Its name, such as ``"caption.dominated"``."""
    values: Mapping[str, Any]
    """By slot."""


class _Hole(Word):
    """A slot while a template is made a pattern."""


def _verb(word: Word, verb: str) -> str:
    """A verb as it follows a word: ``trees cover``, ``water covers``."""
    if isinstance(word, _Hole):
        return f"{_PATTERN}(?:{verb}|{_singular(verb)}){_PATTERN}"
    return verb if word.plural else _singular(verb)


def _singular(verb: str) -> str:
    irregular = {"are": "is", "have": "has", "do": "does"}.get(verb)
    if irregular is not None:
        return irregular
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x")) else "s")


def _standing_for(one: str, many: str) -> Callable[[Word], str]:
    """A filter that says "it" of water, and "they" of trees: what is read back does not say of which class."""

    def pronoun(word: Word) -> str:
        if isinstance(word, _Hole):
            return _Hole(f"{_PATTERN}(?:{one}|{many}){_PATTERN}")
        return many if word.plural else one

    return pronoun


#: What stands for a class, by the name of the filter.
_PRONOUNS = {"it": ("it", "they"), "its": ("its", "their"), "them": ("it", "them")}

#: What is spoken with a vowel first, numbers such as 8.2 and 11 too.
_AN = re.compile(r"[aeio]|un[^i]|8|1[18](?![0-9])", re.IGNORECASE)


def _a(word: str) -> Word:
    """A word with its indefinite article."""
    if isinstance(word, _Hole):
        return _Hole(f"{_PATTERN}an? {_PATTERN}{word}")
    return Word(f"{'an' if _AN.match(word) else 'a'} {word}")


def _cap(word: str) -> str:
    """A word with a capital letter; as it is where that is more than one letter, or another one when it is small again."""
    large = word[:1].upper()
    return word if isinstance(word, _Hole) or large.lower() != word[:1].lower() else large + word[1:]


_JINJA = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_JINJA.filters = {
    "verb": _verb,
    "a": _a,
    "cap": _cap,
    **{name: _standing_for(*each) for name, each in _PRONOUNS.items()},
}
_ALLOWED = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Filter, nodes.Const)


class Template:
    """One wording of a claim, for one lexicon."""

    def __init__(self, claim: str, source: str, lexicon: Lexicon) -> None:
        """Nothing is compiled yet."""
        self.claim, self.source, self._lexicon = claim, source, lexicon

    def refuse_unreadable(self) -> None:
        """Raise :class:`RecipeError` if its sentences could not be read back."""
        try:
            tree = _JINJA.parse(self.source)
        except TemplateError as error:
            raise RecipeError(f"{self}: {error}") from None
        strange = next((type(n).__name__ for n in tree.find_all(nodes.Node) if not isinstance(n, _ALLOWED)), None)
        if strange is not None or not all(map(_is_plain, tree.find_all((nodes.Output, nodes.Filter)))):
            raise RecipeError(
                f"{self} has a {strange or 'Filter'}: write slots and the filters {_listed(_JINJA.filters)} alone"
            )
        needed, used = set(CLAIMS[self.claim].slots), {name.name for name in tree.find_all(nodes.Name)}
        free = {*ALWAYS, *CLAIMS[self.claim].of}
        if not needed <= used <= needed | free:
            raise RecipeError(
                f"{self} uses {_listed(used)}: it must use {_listed(needed)}, and may use {_listed(free)}"
            )
        fixed = "".join(data.data for data in tree.find_all(nodes.TemplateData)).strip()
        if re.search(r"[0-9]", _FORM.sub("", fixed)) or not fixed.isprintable():
            raise RecipeError(f"{self} has a number or a break of its own: numbers come from slots alone")
        self._refuse_facts(fixed)

    def _refuse_facts(self, fixed: str) -> None:
        """Raise :class:`RecipeError` if its own words state what nobody checks: a class, or more than its claim does."""
        known = _own_words(self.claim)
        if self.source in known:
            return
        classes = either({*self._lexicon.nouns.values(), *self._lexicon.table.labels.values()})
        names = re.findall(rf"\b{classes}\b", fixed, re.IGNORECASE)
        pairs, ours = set().union(*(pairwise(words) for words in known.values())), _words(self.source)
        stated = {word for pair in set(pairwise(ours)) - pairs for word in pair if _states(word)}
        if names or stated:
            word = [*names, *sorted(stated)][0]
            raise RecipeError(
                f"{self} says {word!r} of its own: facts come from slots, and from what nutonic's own say"
            )

    def __str__(self) -> str:
        """What it is called when something is wrong with it."""
        return f"rows.wording: {self.claim}: {self.source!r:.120}"

    @lazily
    def _kinds(self) -> Mapping[str, Kind]:
        slots = {**ALWAYS, **CLAIMS[self.claim].of, **CLAIMS[self.claim].slots}
        return {name.name: KINDS[slots[name.name]] for name in _JINJA.parse(self.source).find_all(nodes.Name)}

    @lazily
    def says_always(self) -> bool:
        """Whether it uses a slot that every template may use."""
        return not ALWAYS.keys().isdisjoint(self._kinds)

    @lazily
    def _compiled(self) -> jinja2.Template:
        return _JINJA.from_string(self.source)

    def words(self, values: Mapping[str, Any], pick: Pick) -> str:
        """The sentence, with these values."""
        filled = {name: kind.words(values[name], self._lexicon, pick) for name, kind in self._kinds.items()}
        return _cap(self._render(filled))

    def _render(self, filled: Mapping[str, str]) -> str:
        """What jinja2 makes of the template; of slots and filters alone without it, which takes it a tenth of the time."""
        if self._form is None:
            return self._compiled.render(filled)
        text, slots = self._form
        return text % tuple([slot(filled) for slot in slots])

    @lazily
    def _form(self) -> tuple[str, Sequence[Callable[[Mapping[str, str]], str]]] | None:
        """The template's own words with ``%s`` for each slot, and what gives those of its slots."""
        if self._parts is None:
            return None
        text = "".join(part.replace("%", "%%") if isinstance(part, str) else "%s" for part in self._parts)
        return text, [part for part in self._parts if not isinstance(part, str)]

    @lazily
    def _parts(self) -> Sequence[str | Callable[[Mapping[str, str]], str]] | None:
        """The template's own words, and what gives those of its slots; None if there is more in it."""
        body, found = _JINJA.parse(self.source).body, list[str | Callable[[Mapping[str, str]], str]]()
        for node in (each for output in body for each in output.iter_child_nodes()):
            part = node.data if isinstance(node, nodes.TemplateData) else _slot(node)
            if part is None:
                return None
            found.append(part)
        return found if all(isinstance(output, nodes.Output) for output in body) else None

    @lazily
    def beginning(self) -> str:
        """Small letters that all its sentences begin with; none where a slot comes first, or what is no plain letter."""
        first = self._parts[0] if self._parts else ""
        start = _PLAIN.match(first) if isinstance(first, str) else None
        return start[0].lower() if start is not None else ""

    @lazily
    def held(self) -> str:
        """Small letters that each of its sentences holds somewhere, as many as there are in one piece."""
        texts = (part for part in self._parts or () if isinstance(part, str))
        return max((piece.lower() for text in texts for piece in _PLAIN.findall(text)), key=len, default="")

    @lazily
    def _pattern(self) -> re.Pattern[str]:
        """What its sentences look like, with a group for every slot."""
        text = self._compiled.render({name: _Hole(f"{_HOLE}{name}{_HOLE}") for name in self._kinds})
        parts, seen = [], set[str]()
        for part in re.split(f"({_HOLE}.*?{_HOLE}|{_PATTERN}.*?{_PATTERN})", text):
            name = part.strip(_HOLE)
            if part.startswith(_PATTERN):
                parts.append(part.strip(_PATTERN))
            elif not part.startswith(_HOLE):
                parts.append(re.escape(part))
            else:
                kind = self._kinds[name].pattern(self._lexicon)
                parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{kind})")
                seen.add(name)
        return re.compile("".join(parts), re.IGNORECASE)

    def read(self, text: str, at: int) -> tuple[Said, int] | None:
        """What a text says from a letter on, if it is in these words, and where the next sentence begins."""
        match = self._pattern.match(text, at)
        if match is None or not (match.end() == len(text) or text[match.end()] == " "):
            return None
        try:
            told = match.groupdict()  # of a slot that a pronoun stands for it has nothing
            values = {name: kind.value(told[name], self._lexicon) for name, kind in self._kinds.items() if name in told}
        except (LookupError, ValueError):
            return None
        return Said(claim=self.claim, values=values), match.end() + 1


def _slot(node: nodes.Node) -> Callable[[Mapping[str, str]], str] | None:
    """What gives the words of a slot with its filters; None if the node is anything else."""
    if isinstance(node, nodes.Name):
        return itemgetter(node.name)
    inner = _slot(node.node) if isinstance(node, nodes.Filter) and node.node is not None else None
    if inner is None or not isinstance(node, nodes.Filter) or node.name not in _JINJA.filters or node.kwargs:
        return None
    given, apply = [each.value for each in node.args if isinstance(each, nodes.Const)], _JINJA.filters[node.name]
    return (lambda filled: apply(inner(filled), *given)) if len(given) == len(node.args) else None


#: Words that state something of a picture: where, how many, how much, whether at all.
_FACTS = frozenset(
    """above all always below beneath bottom cannot center central centre corner corners dominated dominates double
    dozen each east eastern edge edges eight eleven entire entirely every everything everywhere few five four
    fully half halves hardly hundred hundreds inner largest least left less lower majority many middle minority
    more most mostly neither never nine no nobody none nor north northern not nothing nowhere one only outer per
    percent quarter quarters rarely right scattered seldom seven several single six smallest sole south southern
    spring summer autumn winter ten tens third thirds thousands three top twelve twice two upper west western
    whole without yes zero""".split()  # noqa: SIM905 - a list of this length is a page
)


def _states(word: str) -> bool:
    return word in _FACTS or word.endswith(("n't", "wards", "most"))


def _is_plain(node: nodes.Node) -> bool:
    """Whether a node puts slots alone into a sentence; verbs are words that state nothing."""
    if isinstance(node, nodes.Filter):
        verbs = [each.value for each in node.args if isinstance(each, nodes.Const)]
        fits = all(isinstance(v, str) and re.fullmatch("[a-z]+", v) and not _states(v) for v in verbs)
        right = len(node.args) == len(verbs) == (node.name == "verb") and not node.kwargs
        return node.name in _JINJA.filters and right and fits and isinstance(node.node, nodes.Name | nodes.Filter)
    return not any(isinstance(each, nodes.Const) for each in node.iter_child_nodes())


def _words(source: str) -> list[str]:
    """The words of a template, a slot by its name in braces, from its beginning to its end."""
    found = re.findall(r"\{\{\s*(\w+)[^}]*\}\}|([a-z]+(?:'[a-z]+)?)", source, re.IGNORECASE)
    return ["^", *(f"{{{slot}}}" if slot else word.lower() for slot, word in found), "$"]


@cache
def _own_words(claim: str) -> Mapping[str, list[str]]:
    """The templates of a claim that come with nutonic, each with its words."""
    task, _, name = claim.partition(".")
    return {source: _words(source) for source in _sources(task, name, yaml.safe_load(builtin()[task])[name])}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "no slot"


#: Letters of a sentence by which the wordings are chosen that it may be in: nearly all wordings differ in so many.
_BEGINNING = 12


#: Claims of which texts that were written before know nothing: nutonic's own words say them then.
_LATER = ("prompt.enlarged", "caption.ask_zonal_seen", "caption.zone_shared", "caption.zone_seen")


class Wording:
    """All wordings of all claims."""

    def __init__(self, texts: Mapping[str, str], table: ClassTable) -> None:
        """Read texts, by the name of their task.

        Raises
        ------
        RecipeError
            If a text is not YAML of templates, leaves a claim without a wording, or words one that does not exist.
        """
        content = {task: _mapping(task, text) for task, text in texts.items()}
        self.lexicon = Lexicon(table=table, phrases=_phrases(content.pop("phrases", {})))
        self._templates = {
            claim: [Template(claim, source, self.lexicon) for source in _sources(task, name, sources)]
            for task, claims in content.items()
            for name, sources in claims.items()
            if (claim := f"{task}.{name}") in CLAIMS or _unknown(claim)
        }
        missing = sorted(set(CLAIMS) - set(self._templates))
        if told := [claim for claim in missing if claim not in _LATER]:
            raise RecipeError(f"rows.wording: no template for {', '.join(told[:3])}")
        for claim in missing:
            self._templates[claim] = [Template(claim, source, self.lexicon) for source in _own_words(claim)]

    def refuse_unreadable(self) -> None:
        """Raise :class:`RecipeError` if a template's sentences could not be read back."""
        for templates in self._templates.values():
            for template in templates:
                template.refuse_unreadable()

    def words(self, said: Said, key: str, always: Mapping[str, Any]) -> str:
        """A claim as a sentence; the key, such as a row's id, decides in which words.

        `always` are the values of the slots that every template may use.
        """
        digest = hashlib.sha256(f"{key} {said.claim}".encode()).digest()
        given: tuple[int, ...] = struct.unpack(">16H", digest)
        numbers = iter(given)

        def pick(of: int) -> int:
            return next(numbers, given[0]) % of

        templates = self._templates[said.claim]
        template = templates[pick(len(templates))]
        return template.words({**always, **said.values} if template.says_always else said.values, pick)

    def text(self, sentences: Sequence[Said], key: str, always: Mapping[str, Any]) -> str:
        """Claims as sentences, one after the other; parameters as of :meth:`words`."""
        return " ".join([self.words(said, f"{key} {k}", always) for k, said in enumerate(sentences)])

    def read(self, text: str, claims: Sequence[str]) -> list[Said] | None:
        """What a text says, if all of it is sentences of these claims; None if a part of it is none.

        Where a sentence can be read in two ways, the first in the order of claims and templates is taken.
        """
        found = self._whole(text, tuple(claims))
        return None if found is None else [*found]

    @lru_cache(maxsize=2048)  # noqa: B019 - wordings are few, and stay; prompts come again and again
    def _whole(self, text: str, claims: tuple[str, ...]) -> Sequence[Said] | None:
        # Of other alphabets small letters may be more than the large ones, or a plain one's too.
        return self._read(text, text.lower() if text.isascii() else None, 0, claims)

    def _read(self, text: str, small: str | None, at: int, claims: tuple[str, ...]) -> list[Said] | None:
        if at >= len(text):
            return []
        for template, held in self._candidates(claims, "" if small is None else small[at : at + _BEGINNING]):
            if small is not None and small.find(held, at) < 0:
                continue
            found = template.read(text, at)
            rest = self._read(text, small, found[1], claims) if found is not None else None
            if found is not None and rest is not None:
                return [found[0], *rest]
        return None

    @lru_cache(maxsize=4096)  # noqa: B019
    def _candidates(self, claims: tuple[str, ...], small: str) -> Sequence[tuple[Template, str]]:
        """The templates of claims in their order, without those whose sentences begin with other small letters.

        Each is with letters that all of its sentences hold: where a text does not, its pattern need not be tried.
        """
        templates = (template for claim in claims for template in self._templates[claim])
        return [(each, each.held) for each in templates if small.startswith(each.beginning[: len(small)])]


@lru_cache(maxsize=8)
def _wording(texts: tuple[tuple[str, str], ...], classes: tuple[tuple[int, str, str | None], ...]) -> Wording:
    labels = {class_id: label for class_id, label, _ in classes}
    nouns = {class_id: noun for class_id, _, noun in classes if noun is not None}
    return Wording(dict(texts), ClassTable(name="", labels=labels, unknown=-1, colors={}, nouns=nouns))


def wording_of(texts: Mapping[str, str], table: ClassTable) -> Wording:
    """The wording of these texts for these classes; made once in a process.

    Raises
    ------
    RecipeError
        As :class:`Wording` says.
    """
    classes = tuple((class_id, label, table.nouns.get(class_id)) for class_id, label in table.labels.items())
    return _wording(tuple(sorted(texts.items())), classes)


def _mapping(task: str, text: str) -> dict[str, Any]:
    try:
        content = loaded(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"rows.wording: {task}.yaml is not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"rows.wording: {task}.yaml holds no claims with their templates")
    return content


def _sources(task: str, name: str, sources: Any) -> list[str]:
    if not isinstance(sources, list) or not sources or not all(isinstance(source, str) for source in sources):
        raise RecipeError(f"rows.wording: {task}.yaml: {name!r:.60} is no list of templates")
    return [source.strip() for source in sources]


def _unknown(claim: str) -> bool:
    raise RecipeError(f"rows.wording: {claim!r:.80} is no claim: there are {', '.join(sorted(CLAIMS))}"[:300])


def _phrases(content: Mapping[str, Any]) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Phrases, of which no two things of a kind share one."""
    for kind, names in _PHRASES.items():
        given = content.get(kind)
        if not isinstance(given, dict) or set(given) != set(names):
            raise RecipeError(f"rows.wording: phrases.yaml must name as {kind} just {', '.join(names)}")
        every = [phrase.lower() for name in names for phrase in _sources("phrases", name, given[name])]
        double = next((phrase for phrase in every if every.count(phrase) > 1), None)
        if double is not None:
            raise RecipeError(f"rows.wording: phrases.yaml says {double!r:.80} of two {kind}")
    return content
