"""What models are asked: checked words and numbers of a patch, in templates that a person can edit.

A model gets no coordinate, and of tags' values only plain words: what a stranger wrote into a map (a name, a note) does not
reach it, unless the recipe asks for names; then they are cleaned, cut and quoted.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import StrictUndefined, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nutonic.chips.scene.description import Cell, Described, SceneDescription, Task
from nutonic.chips.scene.frame import CELLS
from nutonic.chips.scene.policy import parse
from nutonic.core.model import Json
from nutonic.errors import RecipeError
from nutonic.inert import inert
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.phrases import ALL, place

#: The longest prompt, in letters, and the most other elements that it tells of.
_LONGEST, _MOST_OTHERS = 20_000, 12

#: A key that is shown, a value that is shown as it is, and how many words it may have: no sentence is one.
_KEY = re.compile(r"[a-z0-9_:]{1,40}")
_PLAIN = re.compile(r"[a-z0-9_:;. -]{1,40}")
_MOST_WORDS = 4

#: Keys of what one thing is called, or whose it is.
_NAMES = frozenset({"name", "brand", "operator", "owner", "network", "ref"})

#: Keys that say what a thing is; as words of their own they would say something else, as highway does.
_CLASSES = frozenset(
    """aeroway amenity barrier building emergency golf highway historic junction landuse leisure man_made military
    natural office place power public_transport railway shop tourism water waterway""".split()  # noqa: SIM905
)

#: Words of values that a picture shows: surfaces, colours, roofs, trees, crops, markings; each list of keys takes any value.
_WORDS_OF_VALUES = frozenset(
    """yes both left right separate lane track asphalt concrete plates lanes gravel fine grass dirt sand paving stones sett
    cobblestone unhewn unpaved paved ground compacted wood metal earth clay tartan artificial turf pebblestone mud
    rock rubber acrylic carpet bricks brick tiles woodchips shells snow ice salt white grey gray black red green blue
    yellow brown beige orange pink purple silver maroon olive teal tan cream flat gabled hipped half pyramidal
    skillion round dome gambrel mansard saltbox onion cone tin slate thatch glass copper tile roof broadleaved
    needleleaved leafless mixed deciduous evergreen semi wheat maize corn rice barley rye oat soy soybean rapeseed
    canola sunflower potato beet sugar cotton hop hops vegetable vegetables grape fruit apple pear cherry lemon
    coconut oil palm banana coffee tea zebra lines dashes dots ladder surface parallel perpendicular diagonal viaduct
    aqueduct boardwalk cantilever movable trestle reedbed marsh swamp bog fen saltmarsh mangrove tidalflat wet meadow
    string grade1 grade2 grade3 grade4 grade5 soccer multi photovoltaic panel wind turbine communication cooling
    lighting observation water urban rural apartments garden single detached trailer park storey street side""".split()  # noqa: SIM905
)

#: The longest name.
_LONGEST_NAME = 60


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox without what is large by itself: templates put words in places, and do not reckon."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        raise SecurityError(f"{operator} is not for prompts")


def _environment() -> _Environment:
    made = _Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    harmless = ("join", "length", "lower", "upper", "capitalize", "trim", "first")
    made.filters = {name: made.filters[name] for name in harmless}
    made.globals.clear()
    return made


_JINJA = _environment()

#: The template of each task.
TEMPLATES: Mapping[int, str] = {1: "area", 2: "line", 3: "revision"}


def messages(
    description: SceneDescription,
    task: Task,
    before: str | None,
    captions: Captions,
    texts: Mapping[str, str],
    *,
    picture: bytes | None = None,
) -> list[Json]:
    """The messages of a request, the same for the same values.

    Parameters
    ----------
    description
        What is known of the patch.
    task
        What is wanted.
    before
        Of a revision: the caption that is to be said in other words.
    captions
        How long captions are, and whether they may say names.
    texts
        Templates by name: ``system``, ``area``, ``line``, ``revision``.
    picture
        A JPEG to send along, for a model that sees.

    Raises
    ------
    RecipeError
        If a template cannot be rendered.
    """
    values = _values(description, task, before, captions, texts.get(TEMPLATES[task.number], ""))
    system = _rendered("system", texts, {"names": captions.names})
    asked = _rendered(TEMPLATES[task.number], texts, values)
    content: Any = asked
    if picture is not None:
        url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        content = [{"type": "text", "text": asked}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def text_of(asked: list[Json]) -> str:
    """All words of messages, without pictures."""
    contents = [message["content"] for message in asked]
    parts = [
        [content] if isinstance(content, str) else [part.get("text", "") for part in content] for content in contents
    ]
    return "\n\n".join(text for each in parts for text in each if text)


def digest_of(asked: list[Json]) -> str:
    """SHA-256 (hex) of all words of messages."""
    return hashlib.sha256(text_of(asked).encode()).hexdigest()


def refuse_unusable(captions: Captions, texts: Mapping[str, str]) -> None:
    """Raise :class:`RecipeError` if a template is missing, or cannot be rendered with what templates are given."""
    missing = sorted({"system", *TEMPLATES.values()} - set(texts))
    if missing:
        raise RecipeError(f"captions.prompts: no {', '.join(missing)}.j2")
    area = Described(
        element="way/1", version=1, kind="area", tags=(("natural", "water"),), noun="body of water", where="centre",
        cells=("centre",), share=0.2, area_m2=14_450.0, shape="compact",
    )  # fmt: skip
    line = Described(
        element="way/2", version=1, kind="line", tags=(), noun="street", where="north", cells=("north",),
        ends=("north-west", "north-east"), length_m=200.0, course="straight", orientation="east to west",
    )  # fmt: skip
    whole = SceneDescription(patch_id="example", side_m=268.8, elements=(area, line))
    messages(whole, Task(number=1, element="way/1"), None, captions, texts)
    messages(whole, Task(number=2, element="way/2"), None, captions, texts)
    messages(whole, Task(number=3, element="way/1"), "A body of water lies in the centre.", captions, texts)


def of_satellites(texts: Mapping[str, str]) -> dict[str, str]:
    """Templates for pictures from space: nutonic's own speak of aerial ones; those of others stay as they are."""
    own = builtin("prompts")
    return {
        name: text.replace("aerial picture", "satellite image") if text == own.get(name) else text
        for name, text in texts.items()
    }


@lru_cache(maxsize=64)
def _compiled(source: str) -> jinja2.Template:
    return _JINJA.from_string(source)


def _rendered(name: str, texts: Mapping[str, str], values: Mapping[str, Any]) -> str:
    try:
        text = _compiled(texts[name]).render(values)
    except KeyError:
        raise RecipeError(f"captions.prompts: no {name}.j2") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise RecipeError(f"captions.prompts: {name}.j2: {error}"[:300]) from None
    if len(text) > _LONGEST:
        raise RecipeError(f"captions.prompts: {name}.j2 makes {len(text):,} letters, more than {_LONGEST:,}")
    return text.strip()


def _values(
    description: SceneDescription, task: Task, before: str | None, captions: Captions, template: str
) -> dict[str, Any]:
    """What a template may use; of what takes long, that which it speaks of."""
    main = description.of(task.element)
    least, most = captions.words.revision if task.number == 3 else getattr(captions.words, TEMPLATES[task.number])
    return {
        "noun": main.noun,
        "least": least,
        "most": most,
        "side": f"{round(description.side_m)} m",
        **({"facts": facts_of(main, names=captions.names)} if "facts" in template else {}),
        **({"others": others_of(description, main)} if "others" in template else {}),
        "before": before or "",
        "index": task.index,
        "names": captions.names,
    }


def facts_of(main: Described, *, names: bool) -> list[tuple[str, str]]:
    """What is told of the element that is described, as keys and values."""
    facts = [("position", f"{place(main.cells)} of the picture")]
    if main.share is not None:
        facts.append(("part of the picture", _percent(main.share)))
    if main.area_m2 is not None:
        facts.append(("size", f"about {_rounded(main.area_m2)} square metres"))
    if main.shape is not None:
        facts.append(("shape", main.shape))
    if main.length_m is not None:
        facts.append(("length", f"about {_rounded(main.length_m)} m"))
    if main.course is not None:
        facts.append(("course", main.course))
    if main.orientation is not None:
        facts.append(("direction", f"from {main.orientation}"))
    return facts + _ends(main) + tags_of(main, names=names)


def _ends(main: Described) -> list[tuple[str, str]]:
    """Where an element ends, and that it goes on there."""
    facts = []
    if main.ends is not None:
        same = main.ends[0] == main.ends[1]
        facts.append(("ends", f"both in the {main.ends[0]}" if same else _listed(list(main.ends))))
    if main.cut:
        facts.append(("edge", "it goes on beyond the edge of the picture"))
    if main.goes_on:
        facts.append(("continuation", "a further stretch of it follows, so that this is not all of it"))
    return facts


def tags_of(element: Described, *, names: bool) -> list[tuple[str, str]]:
    """Tags that may be told, keys with blanks for colons."""
    told = []
    for key, value in element.tags:
        if is_name(key) and names:
            told.append((key.replace(":", " ").replace("_", " "), _quoted(value)))
        elif not is_name(key) and _KEY.fullmatch(key) and is_plain(value) and value != "yes":
            called = "kind" if key in _CLASSES else key.replace(":", " ").replace("_", " ")
            told.append((called, value.replace("_", " ")))
    return told


def is_name(key: str) -> bool:
    """Whether values of a key are names: what one thing is called, and others of its kind are not."""
    return key in _NAMES or key.startswith("name:") or key.endswith("_name")


def is_plain(value: str) -> bool:
    """Whether a tag's value is a word or a few, of those that a map's keys are made for: orders are made of others."""
    told = re.split(r"[ _:;.-]+", value.strip())
    return (
        bool(_PLAIN.fullmatch(value))
        and len(told) <= _MOST_WORDS
        and all(word.isdigit() or word in _known_words() for word in told)
    )


@lru_cache(maxsize=1)
def _known_words() -> frozenset[str]:
    """The words of all values and nouns of nutonic's own policy of tags, and of values that need no line there."""
    policy = parse(builtin("tags")["text"])
    lines = [*policy.nouns, *policy.implied.exact, *(noun for noun in policy.nouns.values() if noun is not None)]
    return _WORDS_OF_VALUES | {word for line in lines for word in re.findall(r"[a-z0-9]+", line.lower())}


def _quoted(value: str) -> str:
    """A name on one line, without what is not seen, and no longer than a name is."""
    plain = " ".join(inert(value, keep="\n\t\r").split())
    return '"' + re.sub(r'["<>{}\\`]', "", plain)[:_LONGEST_NAME] + '"'


def others_of(description: SceneDescription, main: Described) -> list[tuple[str, str]]:
    """What else there is, neighbours first: what it is called, and where."""
    near = {element: rank for rank, element in enumerate(main.near)}
    others = [each for each in description.elements if each.element != main.element]
    beside = sorted((each for each in others if each.element in near), key=lambda each: near[each.element])
    by_noun: dict[str, list[Described]] = {}
    for other in (*beside, *(each for each in others if each.element not in near)):
        by_noun.setdefault(other.noun, []).append(other)
    lined = {each.noun for each in description.elements if each.kind == "line"}
    return [
        (noun, _where(found, near, noun == main.noun, noun in lined))
        for noun, found in list(by_noun.items())[:_MOST_OTHERS]
    ]


def _where(found: list[Described], near: Mapping[str, int], alike: bool, lined: bool) -> str:
    """`lined`: whether lines are called so, of which a map cuts one into many: their pieces are not counted."""
    reached = {cell for each in found for cell in each.cells}
    close = sum(each.element in near for each in found)
    if lined and (len(found) > 1 or alike):
        count = f"{'further ' if alike else ''}{'stretches' if len(found) > 1 else 'stretch'}, "
    else:
        more = "more " if alike else ""
        count = f"{len(found)} {more}of them, " if len(found) > 1 else "another one, " if alike else ""
    beside = "" if not close else ", close to it" if close == len(found) else ", some of them close to it"
    return f"{count}{place([cell for cell in CELLS if cell in reached])}{beside}"


def _listed(cells: list[Cell]) -> str:
    told = [f"in the {cell}" for cell in cells]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def _percent(share: float) -> str:
    percent = 100 * share
    if share >= ALL:
        return "all of it"
    return f"about {percent:.0f} percent" if percent >= 1 else "less than 1 percent"


def _rounded(value: float) -> str:
    """A number with two digits that count."""
    digits = max(0, len(str(int(value))) - 2)
    return f"{round(value, -digits):.0f}" if value >= 10 else f"{value:.0f}"
