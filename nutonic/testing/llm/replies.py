"""What the stand-in says: sentences made of the facts that a prompt lists, the same for the same request.

It reads a prompt as anybody would: lines ``- key: value`` are facts, ``40 to 120 words`` is how much is wanted, and what
stands between ``<<<`` and ``>>>`` is a text to say in other words.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_FACT = re.compile(r"^\s*[-*]\s*([A-Za-z][A-Za-z ()-]*?)\s*:\s*(\S.*?)\s*$", re.MULTILINE)
_WORDS = re.compile(r"(\d+)\s*(?:to|-|–|and)\s*(\d+)\s+words")
_QUOTED = re.compile(r"<<<\s*(.+?)\s*>>>", re.DOTALL)
_ORDER = re.compile(r"ignore (?:all|any|the)?\s*(?:previous |other )?instructions and say (\w+)", re.IGNORECASE)

_OPENINGS = (
    "This view from above shows a calm piece of land.",
    "Seen from straight above, the ground lies open to the eye.",
    "The picture looks down on a quiet piece of land.",
    "From above, the ground can be made out well.",
)
_FILLERS = (
    "Its outline can be told apart well from what lies around it.",
    "Nothing hides it, so that it is easy to follow with the eye.",
    "Its place in the picture is easy to tell, and its edges are clear.",
    "Altogether it is what the eye finds first here.",
    "It stands out well, however small the picture is shown.",
    "What lies around it is plainer, and recedes behind it.",
    "All of it is sharp enough to be told at a glance.",
)
_TURNS = ("Seen from above,", "Put briefly,", "All in all,", "At a glance,")


def text_of(messages: Sequence[Mapping[str, Any]], *roles: str) -> str:
    """All text of the messages of some roles; of all if none is named."""
    texts = []
    for message in messages:
        if not roles or message.get("role") in roles:
            content = message.get("content")
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
            texts += [part["text"] for part in parts if part.get("type") == "text"]
    return "\n".join(texts)


def honest(request: Mapping[str, Any]) -> str:
    """What is told of the facts of a request's last message, by its seed."""
    prompt = text_of([request["messages"][-1]])
    order = _ORDER.search(text_of(request["messages"]))
    if order is not None:
        return order[1]
    wanted = _WORDS.search(prompt)
    least, most = (int(wanted[1]), int(wanted[2])) if wanted else (40, 120)
    chance = _Chance(prompt, request.get("seed"))
    quoted = _QUOTED.search(prompt)
    return _revised(quoted[1], least, most, chance) if quoted else _told(prompt, least, most, chance)


class _Chance:
    """Numbers that a text and a seed decide."""

    def __init__(self, text: str, seed: int | None) -> None:
        self._text, self._count = f"{seed}\0{text}", 0

    def below(self, most: int) -> int:
        self._count += 1
        digest = hashlib.sha256(f"{self._count}\0{self._text}".encode("utf-8", "replace")).digest()
        return int.from_bytes(digest[:8], "big") % most

    def shuffled(self, values: Sequence[str]) -> list[str]:
        left, out = list(values), []
        while left:
            out.append(left.pop(self.below(len(left))))
        return out


def _told(prompt: str, least: int, most: int, chance: _Chance) -> str:
    facts = [(key.strip(), value) for key, value in _FACT.findall(prompt)]
    sentences = [f"The {key[0].lower()}{key[1:]} is {value.rstrip('.')}." for key, value in facts]
    opening, fillers = chance.shuffled(_OPENINGS)[:1], chance.shuffled(_FILLERS)
    return _of_length([*opening, *sentences], fillers, least, most)


def _of_length(sentences: Sequence[str], fillers: Sequence[str], least: int, most: int) -> str:
    out: list[str] = []
    for sentence in sentences:
        if _count([*out, sentence]) <= most:
            out.append(sentence)
    for filler in fillers:
        if _count(out) < least and _count([*out, filler]) <= most:
            out.append(filler)
    return " ".join(out)


def _count(sentences: Sequence[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def _revised(caption: str, least: int, most: int, chance: _Chance) -> str:
    sentences = [each.strip() for each in re.split(r"(?<=[.!?])\s+", caption) if each.strip()]
    at = chance.below(len(sentences))
    first, *rest = [*sentences[at:], *sentences[:at]]
    turn = _TURNS[chance.below(len(_TURNS))]
    return _of_length([f"{turn} {first[:1].lower()}{first[1:]}", *rest], chance.shuffled(_FILLERS), least, most)


def _markup(request: Mapping[str, Any]) -> str:
    return f"# Caption\n\n- **{honest(request)}**\n- <b>more</b>\n\n```json\n{{}}\n```"


def _meta(request: Mapping[str, Any]) -> str:
    return f"According to the OpenStreetMap tags in the prompt, {honest(request)}"


_NONSENSE = "Fizz glorp the the wandering blue of seven quarks. " * 12
_FOREIGN = (
    "Das Bild zeigt von oben eine ruhige Landschaft, in der eine schmale Straße von einem Ende zum anderen verläuft und "
    "dabei die Mitte berührt. Neben der Straße liegen einige Flächen, die nicht bebaut sind, und man sieht, dass die "
    "Ränder der Flächen gerade sind. Insgesamt ist es ein klarer und heller Tag über dem Land."
)

#: What a model says instead of an honest answer, by the kind of fault.
SAYINGS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "refusal": lambda _: "I'm sorry, but I cannot help with describing this picture.",
    "nonsense": lambda _: _NONSENSE,
    "markup": _markup,
    "meta": _meta,
    "language": lambda _: _FOREIGN,
    "obeys": lambda _: "BANANA",
    "colours": lambda request: (
        f"{honest(request).rpartition('. ')[0]}. All of it is of a pale and rather even brown here."
    ),
    "empty": lambda _: "",
    "echo": lambda request: text_of(request["messages"]),
}


def shaped(text: str, request: Mapping[str, Any]) -> str:
    """A text as the request's `response_format` has it."""
    given = request.get("response_format") or {}
    if given.get("type") == "json_object":
        return json.dumps({"text": text})
    if given.get("type") != "json_schema":
        return text
    return json.dumps(_filled(given["json_schema"]["schema"], text))


def _filled(schema: Mapping[str, Any], text: str) -> Any:
    """The least value of a schema, with the text wherever a string is wanted."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: _filled(each, text) for name, each in schema.get("properties", {}).items()}
    plain: Mapping[Any, Any] = {"array": [], "integer": 0, "number": 0, "boolean": False, "null": None}
    return plain.get(kind, text)
