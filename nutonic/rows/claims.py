"""What sentences can claim, and whether a claim is true of a mask: the only judge of what rows say.

A claim has slots; a template (:mod:`nutonic.rows.wording`) puts one into words. Whatever chose the claim, whether it
holds is decided here, from counts, cells and regions alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from typing import Any

from nutonic.rows.positions import direction, quadrant, share
from nutonic.rows.quarters import QUARTERS, keeps_away, quarter
from nutonic.rows.slots import LETTERS
from nutonic.rows.truth import Truth, Values, in_zone, nearly_fills, patch_size, told_of_zone, zone_is_whole

# Claims

Holds = Callable[[Truth, Values], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something that a sentence can say."""

    slots: Mapping[str, str]
    """Name of each slot to its kind, one of :data:`nutonic.rows.slots.KINDS`."""
    whole: bool
    """Whether it speaks of the whole image."""
    holds: Holds
    """Whether it is true. The values of an answer come with those of its question."""
    of: Mapping[str, str] = field(default_factory=dict)
    """Slots that it can do without: what its question has named, so that "it" or "they" can stand for it."""


CLAIMS: dict[str, Claim] = {}

#: A full caption tells the places of so many classes; of others their shares alone.
PLACED = 3


def claim(
    name: str, *, whole: bool = False, of: Mapping[str, str] | None = None, **slots: str
) -> Callable[[Holds], Holds]:
    """Make a function the judge of a claim."""

    def put(judge: Holds) -> Holds:
        CLAIMS[name] = Claim(slots=slots, whole=whole, holds=judge, of=of or {})
        return judge

    return put


def ask(name: str, *, whole: bool = False, **slots: str) -> None:
    """A question that can be asked of anything."""
    CLAIMS[name] = Claim(slots=slots, whole=whole, holds=lambda _truth, _values: True)


def _first_of(truth: Truth, class_id: int) -> bool:
    return truth.cover.by_size()[:1] == [class_id]


def _ranked(truth: Truth, classes: Any) -> bool:
    ids = [each["c"] for each in classes]
    return (
        len(set(ids)) == len(ids)
        and ids == sorted(ids, key=lambda c: (-truth.count(c), c))
        and all(map(truth.count, ids))
    )


def _follow(truth: Truth, classes: Any, after: int) -> bool:
    """Whether classes are the next most common ones after the first so many: none is left out."""
    ids = [each["c"] for each in classes]
    return ids == truth.cover.by_size()[after : after + len(ids)]


def _shares_hold(truth: Truth, classes: Any, after: int) -> bool:
    return _follow(truth, classes, after) and all(each["share"] == truth.share(each["c"]) for each in classes)


# What a prompt tells of the picture


def _of_prompt(name: str, **slots: str) -> None:
    CLAIMS[name] = Claim(
        slots=slots, whole=False, holds=lambda truth, v: {k: v[k] for k in slots} == truth.prompt_values.get(name)
    )


_of_prompt("prompt.resolution", metres="number")
_of_prompt("prompt.enlarged", metres="number", native="number")
_of_prompt("prompt.date", date="date")
_of_prompt("prompt.season", season="season")

# Captions
ask("caption.ask_full")
ask("caption.ask_brief")
ask("caption.ask_zonal")
ask("caption.ask_zonal_seen")


@claim("caption.entire", whole=True, c="noun")
def _(truth: Truth, v: Values) -> bool:
    return truth.count(v["c"]) == truth.pixels


@claim("caption.dominated", whole=True, c="noun", share="share", where="where")
def _(truth: Truth, v: Values) -> bool:
    half = truth.is_half(v["c"])
    return half is True and v["share"] == truth.share(v["c"]) and truth.lies(v["c"], v["where"])


@claim("caption.mixed", whole=True, c="noun", share="share", where="where")
def _(truth: Truth, v: Values) -> bool:
    first = _first_of(truth, v["c"]) and truth.is_half(v["c"]) is False
    return first and v["share"] == truth.share(v["c"]) and truth.lies(v["c"], v["where"])


@claim("caption.further", whole=True, classes="placed")
def _(truth: Truth, v: Values) -> bool:
    return _shares_hold(truth, v["classes"], 1) and all(truth.lies(each["c"], each["where"]) for each in v["classes"])


@claim("caption.minor", whole=True, classes="shared")
def _(truth: Truth, v: Values) -> bool:
    return _shares_hold(truth, v["classes"], PLACED)


@claim("caption.sees", c="noun", where="where")
def _(truth: Truth, v: Values) -> bool:
    return truth.lies(v["c"], v["where"])


@claim("caption.sees_too", classes="spots")
def _(truth: Truth, v: Values) -> bool:
    return all(truth.lies(each["c"], each["where"]) for each in v["classes"])


@claim("caption.brief_entire", whole=True, c="noun")
def _(truth: Truth, v: Values) -> bool:
    return truth.count(v["c"]) == truth.pixels


@claim("caption.brief_most", whole=True, c="noun", classes="nouns")
def _(truth: Truth, v: Values) -> bool:
    return truth.is_half(v["c"]) is True and _follow(truth, [{"c": v["c"]}, *v["classes"]], 0)


@claim("caption.brief_mixed", whole=True, classes="nouns")
def _(truth: Truth, v: Values) -> bool:
    return _follow(truth, v["classes"], 0) and truth.is_half(v["classes"][0]["c"]) is False


@claim("caption.brief_seen", classes="nouns")
def _(truth: Truth, v: Values) -> bool:
    return _ranked(truth, v["classes"])


@claim("caption.zone_one", whole=True, zone="zone", c="noun")
def _(truth: Truth, v: Values) -> bool:
    held = in_zone(truth, v["zone"])
    return zone_is_whole(truth, v["zone"]) and held[0][0] == v["c"] and nearly_fills(truth, held[0][1], v["zone"])


@claim("caption.zone_ranked", whole=True, zone="zone", classes="nouns")
def _(truth: Truth, v: Values) -> bool:
    ids, held = [each["c"] for each in v["classes"]], in_zone(truth, v["zone"])
    told = [c for c, _ in held[: len(ids)]] == ids
    return told and zone_is_whole(truth, v["zone"]) and len({n for _, n in held[: len(ids)]}) == len(ids)


@claim("caption.zone_shared", whole=True, zone="zone", classes="nouns")
def _(truth: Truth, v: Values) -> bool:
    ids, held = [each["c"] for each in v["classes"]], in_zone(truth, v["zone"])
    return zone_is_whole(truth, v["zone"]) and len(ids) > 1 and [c for c, _ in held[: len(ids)]] == ids


@claim("caption.zone_seen", whole=True, zone="zone", classes="nouns")
def _(truth: Truth, v: Values) -> bool:
    ids = [each["c"] for each in v["classes"]]
    return bool(ids) and ids == told_of_zone(in_zone(truth, v["zone"]))[: len(ids)]


# Class captions
ask("class_caption.ask_share", whole=True, c="noun")
ask("class_caption.ask_where", c="noun")


@claim("class_caption.share", whole=True, c="noun", share="share", where="where")
def _(truth: Truth, v: Values) -> bool:
    return v["share"] == truth.share(v["c"]) and truth.lies(v["c"], v["where"])


@claim("class_caption.entire", whole=True, c="noun")
def _(truth: Truth, v: Values) -> bool:
    return truth.count(v["c"]) == truth.pixels


@claim("class_caption.seen", c="noun", where="where")
def _(truth: Truth, v: Values) -> bool:
    return truth.lies(v["c"], v["where"])


#: What is said of patches is said of the class that the sentence before has named.
_OF = {"c": "noun"}


@claim("class_caption.one_piece", whole=True, of=_OF)
def _(truth: Truth, v: Values) -> bool:
    return truth.cover.pieces.get(v["c"]) == 1


@claim("class_caption.one_patch", whole=True, of=_OF, number="number", unit="unit", share="share")
def _(truth: Truth, v: Values) -> bool:
    return truth.cover.large_regions[v["c"]] == 1 and _patches_hold(truth, v)


@claim("class_caption.patches", whole=True, of=_OF, count="count", number="number", unit="unit", share="share")
def _(truth: Truth, v: Values) -> bool:
    return truth.cover.large_regions[v["c"]] == v["count"] and _patches_hold(truth, v)


@claim("class_caption.scattered", whole=True, of=_OF, number="number", unit="unit")
def _(truth: Truth, v: Values) -> bool:
    return truth.cover.large_regions.get(v["c"]) == 0 and (v["number"], v["unit"]) == patch_size(truth)


def _patches_hold(truth: Truth, v: Values) -> bool:
    largest = truth.cover.regions_of(v["c"])[0].area_px
    told = share(largest, truth.count(v["c"]), truth.rows.shares)
    return v["share"] == told and (v["number"], v["unit"]) == patch_size(truth)


# Grounding: the limits stand in the question, and the answer is compared as a whole.


#: Their slots.
LIMITS = {"count": "count", "fill": "number", "side": "number", "most": "number"}


def _limits_hold(truth: Truth, v: Values) -> bool:
    return {name: v[name] for name in LIMITS} == truth.box_limits


def _and_all_are_known(truth: Truth, v: Values) -> bool:
    return _limits_hold(truth, v) and truth.vouches(v.get("c"))


def _ask_for_boxes(task: str, **slots: str) -> None:
    slots |= LIMITS
    CLAIMS[f"{task}.ask"] = Claim(slots=slots, whole=True, holds=_and_all_are_known)
    CLAIMS[f"{task}.ask_some"] = Claim(slots=slots, whole=False, holds=_limits_hold)


_ask_for_boxes("grounding")
_ask_for_boxes("class_grounding", c="noun")


# Questions. A question is a claim that is true where it has one answer only; the answers ask it what is right.

Right = Callable[[Truth, Values], Any]
RIGHT: dict[str, Right] = {}

#: The claims of which one answers a question, whatever else its words might say: a class may be called "yes", or "left".
ANSWERS: dict[str, tuple[str, ...]] = {}


def question(name: str, right: Right, by: str | None = None, *, whole: bool = True, **slots: str) -> None:
    """A question with what its right answer is, None where it has none that is clear; by which claim, or yes or no."""
    RIGHT[name] = right
    ANSWERS[name] = tuple(f"{name.partition('.')[0]}.{answer}" for answer in ((by,) if by else ("yes", "no")))
    CLAIMS[name] = Claim(slots=slots, whole=whole, holds=lambda truth, values: right(truth, values) is not None)


def answer(name: str, **slots: str) -> None:
    """A short answer: right if its one value is the question's; a yes and a no have none."""
    slot = next(iter(slots), None)
    said = name.rpartition(".")[2] == "yes"

    def judge(truth: Truth, v: Values) -> bool:
        right, told = RIGHT[v["asked"]](truth, v), said if slot is None else v[slot]
        return type(right) is type(told) and bool(right == told)  # True is not class 1

    CLAIMS[name] = Claim(slots=slots, whole=False, holds=judge)


def is_there(truth: Truth, v: Values) -> bool | None:
    """Whether a class is in a quarter; it is only clear of one that has patches, and holds a tenth of it or keeps well away.

    None too where it is not in one quarter and out of another: what it is called says the answer then, since most of what
    is in all of one picture is in most.
    """
    found: bool | None = balanced(truth, v, _is_in)
    return found


def _is_in(truth: Truth, v: Values) -> bool | None:
    held = quarter(truth, v["zone"])
    if held is None:
        return None
    if 20 * held.get(v["c"], 0) >= held.size:
        return True if truth.cover.large_regions[v["c"]] else None
    return False if keeps_away(truth, v["c"], v["zone"]) else None


def balanced(truth: Truth, v: Values, right: Right) -> Any:
    """The right answer of a quarter, if of another quarter the same question has another answer; None if of none."""
    found = right(truth, v)
    others = (right(truth, {**v, "zone": zone}) for zone in QUARTERS)
    return found if any(other is not None and other != found for other in others) else None


def most_common(truth: Truth, v: Values) -> int | None:
    """The class that holds most of a quarter, by at least a tenth of it; None where one holds most of all."""
    found: int | None = balanced(truth, v, lambda truth, v: most_of_quarter(truth, v["zone"]))
    return found


def larger(truth: Truth, v: Values) -> int | None:
    """Which of two classes holds more of a quarter, by at least a tenth of it; None where either holds more of all."""
    found: int | None = balanced(truth, v, _larger)
    return found


def _larger(truth: Truth, v: Values) -> int | None:
    held = quarter(truth, v["zone"])
    return None if held is None else held.well_most((int(v["c"]), int(v["d"])))


def in_tens(truth: Truth, v: Values) -> str | None:
    """A share to the nearest ten per cent; none if it is, or may be, within a per cent of where the next begins, or all."""
    count = truth.count(v["c"])
    tens, rest = divmod(Fraction(100 * count, truth.pixels) + 5, 10)
    most = rest + Fraction(100 * truth.unlabelled, truth.pixels)
    return str(int(tens) * 10) if count and rest >= 1 and most <= 9 and 0 < tens < 10 else None


def corner(truth: Truth, v: Values) -> str | None:
    """The quarter that the largest region of a class lies in, if it lies in one."""
    region = truth.lone(v["c"])
    return None if region is None else quadrant(region, truth.cover.shape)


def relative(truth: Truth, v: Values) -> str | None:
    """The direction in which the one region of a class lies from that of another."""
    a, b = truth.lone(v["c"]), truth.lone(v["d"])
    return None if a is None or b is None or v["c"] == v["d"] else direction(a, b)


def touch(truth: Truth, v: Values) -> bool | None:
    """Whether two classes touch; None too where all pairs that could be asked for do, or none: that says it all."""
    here = sorted(truth.cover.by_size())
    answers = {_touch(truth, {"c": c, "d": d}) for c, d in combinations(here, 2)}
    return _touch(truth, v) if {True, False} <= answers else None


def _touch(truth: Truth, v: Values) -> bool | None:
    """Whether two classes touch: along at least a twentieth of the side, or they keep well apart."""
    edges = truth.cover.borders.get((min(v["c"], v["d"]), max(v["c"], v["d"])))
    if edges is None or 0 < edges * 20 < truth.cover.shape[1]:
        return None
    return edges > 0


question("absence.ask", is_there, c="noun", zone="zone")
answer("absence.yes")
answer("absence.no")
question("vqa.ask_presence", is_there, c="noun", zone="zone")
question("vqa.ask_dominant", most_common, "class", zone="zone")
question("vqa.ask_larger", larger, "class", c="noun", d="noun", zone="zone")
question("vqa.ask_share", in_tens, "share", c="noun")
question("vqa.ask_quadrant", corner, "quadrant", c="noun")
question("vqa.ask_direction", relative, "direction", c="noun", d="noun")
question("vqa.ask_touch", touch, c="noun", d="noun")
answer("vqa.yes")
answer("vqa.no")
answer("vqa.class", e="noun")
answer("vqa.share", percent="number")
answer("vqa.quadrant", zone="quadrant")
answer("vqa.direction", direction="direction")


def chosen(truth: Truth, v: Values) -> str | None:
    """The letter of the class that holds most of a quarter, of five of which another one holds most of another quarter."""
    found: str | None = balanced(truth, v, _chosen) if len(set(v["options"])) == len(LETTERS) else None
    return found


def _chosen(truth: Truth, v: Values) -> str | None:
    right, options = most_of_quarter(truth, v["zone"]), list(v["options"])
    return LETTERS[options.index(right)] if right in options else None


def most_of_quarter(truth: Truth, zone: str) -> int | None:
    """The class that holds most of a quarter, by at least a tenth of it."""
    held = quarter(truth, zone)
    return None if held is None else held.well_most(held)


question("choice.ask", chosen, "letter", options="options", zone="zone")
answer("choice.letter", letter="letter")


# Referring


def lone_box(truth: Truth, v: Values) -> tuple[float, ...] | None:
    """The box of the one region of a class that is largest, if it is worth one."""
    region = truth.lone(v["c"])
    return truth.box(region) if region is not None and region in truth.boxable(v["c"]) else None


def only_box(truth: Truth, v: Values) -> tuple[float, ...] | None:
    """The box of the only region of a class."""
    return lone_box(truth, v) if truth.cover.pieces.get(v["c"]) == 1 else None


def boxed_class(truth: Truth, v: Values) -> int | None:
    """The class of the region whose box this is, if it fills more than half of it."""
    fitting = [r for r in truth.boxable() if truth.box(r) == tuple(v["box"])]
    return fitting[0].class_id if len(fitting) == 1 and fitting[0].fill > 0.5 else None


question("referring.ask_largest", lone_box, "box", c="noun")
question("referring.ask_only", only_box, "box", c="noun")
question("referring.ask_class", boxed_class, "class", whole=False, box="box")
answer("referring.box", box="box")
answer("referring.class", e="noun")

# An overhead still, beside a chip or alone: what is said is what the place's chips show.
ask("cross_view.ask")


@claim("overview.ask", whole=True, side="size")
def _(truth: Truth, v: Values) -> bool:
    return bool(v["side"] == truth.size)


for _name in ("entire", "most", "mixed"):
    CLAIMS[f"overview.{_name}"] = CLAIMS[f"caption.brief_{_name}"]
