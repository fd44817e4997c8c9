"""Names of classes that would make rows unclear: found before anything is built, and told by the class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nutonic.core.classes import lists_of_classes
from nutonic.errors import RecipeError
from nutonic.rows.positions import Position
from nutonic.rows.slots import KINDS, Lexicon


def refuse_unclear_names(lexicon: Lexicon) -> None:
    """Raise :class:`RecipeError` if classes could not be told apart in sentences.

    What a name holds does not matter by itself: a class may be called ``"yes"``, ``"{share}"`` or ``"and"``. It is refused
    where a list of classes can be read as one of others.
    """
    ids, first = [*lexicon.nouns], dict[str, int]()
    for c, noun in lexicon.nouns.items():
        if (other := first.setdefault(noun.lower(), c)) != c:
            both = f"{_named(lexicon, other)} and {_named(lexicon, c)}"
            raise RecipeError(
                f"labels.dataset: {both} are both called {noun!r:.80} in sentences: call one of them otherwise"
            )
    for c, noun in lexicon.nouns.items():
        if (other := first.get(noun.lower().rstrip(" ,;"), c)) != c:
            raise RecipeError(
                f"labels.dataset: {_named(lexicon, c)} cannot be told from {_named(lexicon, other)} in a list: call it "
                "otherwise"
            )
    for c, others in lists_of_classes(lexicon.nouns).items():
        for listed in _lists(c, ids, others):
            text = _misread(lexicon, listed)
            if text is not None:
                raise RecipeError(
                    f"labels.dataset: {_named(lexicon, c)} cannot be told from other classes in a list, "
                    f"such as {text!r:.120}: call it otherwise"
                )


def _named(lexicon: Lexicon, c: int) -> str:
    return f"class {c}, {lexicon.table.labels[c]!r:.80},"


def _lists(c: int, ids: Sequence[int], others: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Lists of two and three classes that could be taken for others."""
    for a in (c, *others):
        for b in ids:
            rest = [each for each in ids if each not in (a, b)][:1]
            if a != b:
                yield from ((a, b), (b, a), (a, b, *rest), (b, a, *rest))


def _misread(lexicon: Lexicon, listed: Sequence[int]) -> str | None:
    """A list in words, if it is read as another; None if it is clear."""
    for name in ("nouns", "spots"):
        kind, value = KINDS[name], [{"c": c, **({"where": Position("top")} if name == "spots" else {})} for c in listed]
        text = kind.words(value, lexicon, lambda _of: 0)
        try:
            read = [dict(each) for each in kind.value(text, lexicon)]
        except (LookupError, ValueError):
            return text
        if read != value:
            return text
    return None
