"""What a dataset holds, in numbers: counted patch by patch, in memory that does not grow with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from nutonic.core.model import SPLITS, Json, Split
from nutonic.dataset.shards.density import Density, DensityCounts
from nutonic.dataset.shards.words import length_of, nouns_of, words_of
from nutonic.recipe.annotation import Annotator
from nutonic.rows.annotation.values import PatchCaptions, Rejection

#: So many different words, and so many different tags, are told apart; of others it is told how often they came.
_TOLD_APART = 200_000

#: So many of the most frequent are told.
_TOLD = 50

#: So many examples of each reason are told, of so many letters, and so many reasons.
_EXAMPLES, _LETTERS, _REASONS = 3, 200, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedPatch:
    """What statistics look at of a patch. One without captions counts for its rejections and its tokens alone."""

    split: Split
    longitude: float
    latitude: float
    captions: PatchCaptions
    tags: tuple[tuple[str, str], ...]
    """Of the elements that captions speak of, as often as elements have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long the captions of a task are, in words."""

    counts: tuple[tuple[int, int], ...]
    """Words, and how many captions have so many; ascending."""

    @property
    def captions(self) -> int:
        """How many there are."""
        return sum(count for _, count in self.counts)

    @property
    def mean(self) -> float:
        """Words, to the hundredth; 0 of no caption."""
        return round(sum(words * count for words, count in self.counts) / max(1, self.captions), 2)

    @property
    def median(self) -> float:
        """Words: the middle caption's, or halfway between the middle two; 0 of no caption."""
        total, low, high = self.captions, 0, 0
        seen = 0
        for words, count in self.counts:
            if seen < (total + 1) // 2 <= seen + count:
                low = words
            if seen < total // 2 + 1 <= seen + count:
                high = words
            seen += count
        return (low + high) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an annotator was asked and answered, let through or not."""

    answers: int
    input_tokens: int
    output_tokens: int
    money: float
    """At the prices of the recipe, in their currency, to the millionth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequent:
    """The most frequent of words or tags, by frequency and then by name."""

    different: int
    """At least so many different ones there are; exactly so many where nothing is `beyond`."""
    beyond: int
    """How often others came, after so many different ones that no more were told apart."""
    top: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Answers of one reason that were not let through."""

    count: int
    examples: tuple[Rejection, ...]
    """The first, at most three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a dataset holds, in numbers. Shares are of all captions."""

    patches: tuple[tuple[Split, int], ...]
    """With captions, by split; splits without any are left out."""
    captions: tuple[tuple[Split, int, str, int], ...]
    """Split, task, annotator, captions."""
    lengths: tuple[tuple[int, Lengths], ...]
    """By task."""
    words: int
    """Of all captions."""
    vocabulary: Frequent
    nouns: Frequent
    """Those of the words that end a noun phrase, as often as they stand in captions, and so as in `vocabulary`."""
    tags: Frequent
    """``key=value`` of the elements that captions speak of."""
    density: Density
    rejections: tuple[tuple[str, Rejected], ...]
    """By reason, the most frequent first."""
    usage: tuple[tuple[str, Usage], ...]
    """By annotator."""

    @property
    def total(self) -> int:
        """All captions."""
        return sum(count for *_, count in self.captions)

    def by_task(self) -> dict[int, int]:
        """Captions by task, ascending."""
        found = Counter[int]()
        for _, task, _, count in self.captions:
            found[task] += count
        return dict(sorted(found.items()))

    def by_task_and_annotator(self) -> dict[tuple[int, str], int]:
        """Captions by task and annotator, ascending."""
        found = Counter[tuple[int, str]]()
        for _, task, annotator, count in self.captions:
            found[task, annotator] += count
        return dict(sorted(found.items()))

    def by_split_and_task(self) -> dict[tuple[Split, int], int]:
        """Captions by split and task."""
        found = Counter[tuple[Split, int]]()
        for split, task, _, count in self.captions:
            found[split, task] += count
        return dict(found)

    def share(self, count: int) -> float:
        """The part of all captions that so many are, to the millionth."""
        return round(count / max(1, self.total), 6)

    def json(self) -> Json:
        """As ``statistics.json`` has it."""
        crossed = [
            {"task": task, "annotator": name, "captions": count, "share": self.share(count)}
            for (task, name), count in self.by_task_and_annotator().items()
        ]
        return {
            "patches": dict(self.patches),
            "captions": self.total,
            "tasks": {str(task): {"captions": n, "share": self.share(n)} for task, n in self.by_task().items()},
            "tasks_by_annotator": crossed,
            "captions_by_split": [
                {"split": split, "task": task, "captions": count}
                for (split, task), count in self.by_split_and_task().items()
            ],
            "words_per_caption": {
                str(task): {
                    "mean": each.mean,
                    "median": each.median,
                    "histogram": [list(pair) for pair in each.counts],
                }
                for task, each in self.lengths
            },
            "words": {"all": self.words, **_frequent(self.vocabulary), "nouns": _frequent(self.nouns)["most_frequent"]},
            "tags": _frequent(self.tags),
            "density": self.density.json(),
            "rejections": {reason: _rejected(each) for reason, each in self.rejections},
            "usage": {
                name: {
                    "answers": each.answers,
                    "input_tokens": each.input_tokens,
                    "output_tokens": each.output_tokens,
                    "money": each.money,
                }
                for name, each in self.usage
            },
        }

    def dumps(self) -> bytes:
        """``statistics.json``: the same bytes for the same patches in the same order."""
        return orjson.dumps(self.json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _frequent(found: Frequent) -> Json:
    more = {"beyond": found.beyond} if found.beyond else {}
    return {"different": found.different, **more, "most_frequent": [list(pair) for pair in found.top]}


def _rejected(found: Rejected) -> Json:
    told = ("patch_id", "task", "annotator", "detail", "text")
    return {
        "count": found.count,
        "examples": [{name: getattr(each, name) for name in told} for each in found.examples],
    }


def count(patches: Iterable[CountedPatch], annotators: Sequence[Annotator]) -> Statistics:
    """Count the patches of a dataset.

    Parameters
    ----------
    patches
        In the order of the dataset's shards; it decides which examples are told, and nothing else unless there are more
        than 200,000 different words or tags.
    annotators
        Those of the recipe, whose prices make money of tokens.
    """
    counts = _Counts()
    for patch in patches:
        counts.add(patch)
    return counts.whole({each.name: each for each in annotators})


class _Few:
    """A counter of others' words that holds no more than so many."""

    def __init__(self) -> None:
        self.counts, self.beyond = Counter[str](), 0

    def add(self, words: Iterable[str]) -> None:
        for word in words:
            if word in self.counts or len(self.counts) < _TOLD_APART:
                self.counts[word] += 1
            else:
                self.beyond += 1

    def whole(self) -> Frequent:
        top = sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_TOLD]
        return Frequent(different=len(self.counts), beyond=self.beyond, top=tuple(top))


@dataclass(slots=True)
class _Counts:
    patches: Counter[Split] = field(default_factory=Counter)
    captions: Counter[tuple[Split, int, str]] = field(default_factory=Counter)
    lengths: defaultdict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    words: Counter[str] = field(default_factory=Counter)
    vocabulary: _Few = field(default_factory=_Few)
    nouns: _Few = field(default_factory=_Few)
    tags: _Few = field(default_factory=_Few)
    density: DensityCounts = field(default_factory=DensityCounts)
    rejected: Counter[str] = field(default_factory=Counter)
    examples: defaultdict[str, list[Rejection]] = field(default_factory=lambda: defaultdict(list))
    usage: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))

    def add(self, patch: CountedPatch) -> None:
        found = patch.captions
        if found.annotations:
            self.patches[patch.split] += 1
            self.density.add(patch.longitude, patch.latitude, len(found.annotations))
            self.tags.add(f"{key}={value}" for key, value in patch.tags)
        for annotation in found.annotations:
            task, text = annotation.task.number, annotation.text
            self.captions[patch.split, task, annotation.annotator] += 1
            self.lengths[task][length_of(text)] += 1
            words = words_of(text)
            self.words["all"] += len(words)
            self.vocabulary.add(words)
            self.nouns.add(nouns_of(text))
        for rejection in found.rejections:
            self._reject(rejection)
        for name, given, taken in found.usage:
            for k, number in enumerate((1, given, taken)):
                self.usage[name][k] += number

    def _reject(self, rejection: Rejection) -> None:
        known = rejection.reason in self.rejected or len(self.rejected) < _REASONS
        reason = rejection.reason if known else "other reasons"
        self.rejected[reason] += 1
        if len(self.examples[reason]) < _EXAMPLES:
            self.examples[reason].append(rejection)

    def _nouns(self) -> _Few:
        """Words that are nouns by the rule in one of ten places or more, each as often as it stands in captions."""
        found = _Few()
        found.beyond = self.nouns.beyond
        counts = self.vocabulary.counts
        found.counts = Counter(
            {word: counts[word] for word, n in self.nouns.counts.items() if counts[word] and 10 * n >= counts[word]}
        )
        return found

    def whole(self, annotators: dict[str, Annotator]) -> Statistics:
        by_frequency = sorted(self.rejected.items(), key=lambda pair: (-pair[1], pair[0]))
        order = {split: k for k, split in enumerate(SPLITS)}
        captions = sorted(self.captions.items(), key=lambda pair: (order[pair[0][0]], pair[0][1:]))
        return Statistics(
            patches=tuple((split, self.patches[split]) for split in SPLITS if self.patches[split]),
            captions=tuple((*key, number) for key, number in captions),
            lengths=tuple((task, Lengths(counts=tuple(sorted(n.items())))) for task, n in sorted(self.lengths.items())),
            words=self.words["all"],
            vocabulary=self.vocabulary.whole(),
            nouns=self._nouns().whole(),
            tags=self.tags.whole(),
            density=self.density.whole(),
            rejections=tuple(
                (reason, Rejected(count=n, examples=tuple(map(_short, self.examples[reason]))))
                for reason, n in by_frequency
            ),
            usage=tuple((name, _used(numbers, annotators.get(name))) for name, numbers in sorted(self.usage.items())),
        )


def _short(rejection: Rejection) -> Rejection:
    return Rejection(
        patch_id=rejection.patch_id,
        task=rejection.task,
        annotator=rejection.annotator,
        reason=rejection.reason,
        detail=rejection.detail[:_LETTERS],
        text=rejection.text[:_LETTERS],
    )


def _used(numbers: Sequence[int], annotator: Annotator | None) -> Usage:
    answers, given, taken = numbers
    money = 0.0 if annotator is None else (given * annotator.input_price + taken * annotator.output_price) / 1e6
    return Usage(answers=answers, input_tokens=given, output_tokens=taken, money=round(money, 6))
