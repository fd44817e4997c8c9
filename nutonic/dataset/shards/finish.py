"""From commits and captions to the finished tree: shards, rows of chat, statistics, figures, the card."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import orjson

from nutonic.core.grid import centre
from nutonic.core.model import SPLITS, Json, Split
from nutonic.dataset import card as cards
from nutonic.dataset.card_text import how_split
from nutonic.dataset.commits import Committed, CommittedPlace, entries_of, read_commits, unpacked
from nutonic.dataset.finalize import unnamed
from nutonic.dataset.index import NamedFiles, Spans
from nutonic.dataset.shards.captions import read_captions
from nutonic.dataset.shards.card import ShardFacts
from nutonic.dataset.shards.card import text as card_text
from nutonic.dataset.shards.chat import chat_row
from nutonic.dataset.shards.figures import figures
from nutonic.dataset.shards.records import PatchRecord
from nutonic.dataset.shards.samples import Made, content_of
from nutonic.dataset.shards.statistics import CountedPatch, Statistics, count
from nutonic.dataset.shards.tar import Sample, pieces
from nutonic.io.objects import Store, is_temporary, sha256
from nutonic.planning.layout import CommitName, part_name
from nutonic.planning.patches.layout import (
    CAPTIONS,
    FIGURES,
    STATISTICS,
    PatchOwnership,
    captioned,
    captions_path,
    image_path,
    patch_id,
)
from nutonic.planning.patches.shards import expression_of, shards
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.texts import digest_of
from nutonic.rows.annotation.values import PatchCaptions

#: Commits whose captions are held at a time: the patches of a shard come from a few neighbouring batches.
_HELD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedShards:
    """What was made of commits and captions, as the summary stores it."""

    card_sha256: str
    """SHA-256 (hex) of the card as nutonic writes it, before any edit by a person."""
    data: dict[str, tuple[int, str]]
    """Size in bytes and SHA-256 of each shard, row file and figure, and of the statistics, by path."""
    chips: int
    """Patches in shards."""
    captions: int
    rejected: dict[str, int]
    """Answers that were not let through, by reason."""
    uncaptioned: int
    """Patches none of whose captions was let through."""
    usage: dict[str, Json]
    """Answers, tokens and money, by annotator."""
    card: Json
    """What the recipe said for the card, where it is not the default."""

    def json(self) -> Json:
        """As it comes back from the summary."""
        told = {name: value for name, value in asdict(self).items() if name != "captions"}
        return {**told, "data": {path: list(entry) for path, entry in self.data.items()}, "captions": self.of_captions}

    @property
    def of_captions(self) -> Json:
        """What a summary tells of captions."""
        counts = {"captions": self.captions, "rejected": self.rejected}
        return {**counts, "uncaptioned": self.uncaptioned, "usage": self.usage}


class CommittedPatches:
    """What is committed of a tree of patches, in the order of the dataset; some 60 bytes a patch."""

    def __init__(self, store: Store, spans: Spans, names: Iterable[CommitName], rejects: Mapping[str, int]) -> None:
        """`names`: the commits; `rejects`: patches that were left out, by reason."""
        self.store, self.spans, self.rejects = store, spans, rejects
        self._captions = lru_cache(maxsize=_HELD)(self._captions_in)
        ordinals: list[int] = []
        self.uncaptioned, self.waiting, self._bare = 0, list[CommitName](), list[CommitName]()
        for name in names:
            try:
                patches = self._captions(name).values()
            except FileNotFoundError:
                self.waiting.append(name)
                continue
            ordinals += [int(each.patch_id.removeprefix("patch_")) for each in patches if each.annotations]
            bare = sum(not each.annotations for each in patches)
            self.uncaptioned += bare
            self._bare += [name] if bare else []
        self._captioned = np.sort(np.array(ordinals, np.int64))

    def _captions_in(self, name: CommitName) -> dict[str, PatchCaptions]:
        return {patch.patch_id: patch for patch in read_captions(self.store, name).patches}

    def has(self, ordinal: int) -> bool:
        """Whether a patch has captions."""
        at = int(np.searchsorted(self._captioned, ordinal))
        return at < len(self._captioned) and int(self._captioned[at]) == ordinal

    def pictures(self) -> Iterator[str]:
        """Where the pictures of patches with captions lie, if rows of chat are asked for."""
        return (image_path(patch_id(ordinal), ordinal) for ordinal in self._captioned.tolist())

    def without_captions(self) -> Iterator[PatchCaptions]:
        """What came of the patches of which nothing was let through."""
        for name in self._bare:
            yield from (each for each in self._captions(name).values() if not each.annotations)

    def of_split(self, split: Split) -> Spans:
        """Where its patches with captions lie, in order."""
        table = self.spans.of_split(SPLITS.index(split))
        return Spans(table.table[np.isin(table.column("ordinal"), self._captioned)], table.parts)

    def read(self, spans: Spans) -> Iterator[tuple[PatchRecord, PatchCaptions]]:
        """Patches with their captions, one at a time.

        Raises
        ------
        Corrupt
            If a file is not what was written.
        """
        for (part, start, length, size), ordinal in zip(spans, spans.column("ordinal").tolist(), strict=True):
            name = part_name(part)
            assert name is not None, "a part has the name of its commit"
            record = PatchRecord.of_line(unpacked(self.store.get_range(part, start, length), part, size))
            yield record, self._captions(name)[patch_id(ordinal)]


def committed_patches(store: Store, done: Committed, named: NamedFiles | None = None) -> CommittedPatches:
    """What is committed of a tree; each commit is read once."""
    commits = read_commits(store, done)
    noted = commits if named is None else named.noting(commits)
    rejects: Counter[str] = Counter()

    def counted() -> Iterator[CommittedPlace]:
        for name, content in noted:
            for entry in entries_of(name, content):
                rejects.update(reject["reason"] for reject in entry["rejects"])
                yield entry

    spans = Spans.of(counted())
    return CommittedPatches(store, spans, filter(done.takes_effect, done.all_names()), rejects)


def state_of(store: Store, done: Committed) -> str:
    """Digest of what is committed and captioned: a summary with another is out of date."""
    names = sorted(name.text for name in captioned(path for path, _ in store.sizes(CAPTIONS)))
    return sha256(orjson.dumps([done.digest(), names]))


#: Takes the content of a file by its path; gives its size in bytes and its SHA-256.
Put = Callable[[str, bytes | Iterable[bytes]], tuple[int, str]]


def hashed(_: str, data: bytes | Iterable[bytes]) -> tuple[int, str]:
    """Size and SHA-256 (hex) of what would be written."""
    whole = _Hashed([data] if isinstance(data, bytes) else data)
    for _piece in whole:
        pass
    return whole.entry


def written_to(store: Store) -> Put:
    """Write into a tree."""

    def put(path: str, data: bytes | Iterable[bytes]) -> tuple[int, str]:
        whole = _Hashed([data] if isinstance(data, bytes) else data)
        store.put(path, data if isinstance(data, bytes) else whole)
        return (len(data), sha256(data)) if isinstance(data, bytes) else whole.entry

    return put


def finish_patches(
    store: Store, spec: PatchSpec, plan: PlanFile, done: Committed, owned: PatchOwnership, *, complete: bool
) -> FinishedShards:
    """Write shards, rows, statistics, figures and the card from commits and captions.

    Then temporaries are removed; in a complete tree, so are all of nutonic's files that nothing names. A card that a
    person changed stays as it is.

    Raises
    ------
    PlanError
        If a split has more shards than their name has numbers for.
    """
    named = NamedFiles()
    patches = committed_patches(store, done, named)
    finished, card = made_of(patches, spec, plan, written_to(store))
    cards.put(store, card)
    kept = {captions_path(name) for name in filter(done.takes_effect, done.all_names())}
    for path in superfluous(store, plan, set(finished.data) | kept, named, patches if spec.shards.chat else None):
        # Answers that were paid for stay, whatever becomes of their patches; so does another driver's work.
        is_ours = path.startswith(("data/", "images/", f"{FIGURES}/")) or (complete and not owned.is_kept(path))
        if is_ours or is_temporary(path):
            owned.remove(path)
    return finished


def made_of(patches: CommittedPatches, spec: PatchSpec, plan: PlanFile, put: Put) -> tuple[FinishedShards, bytes]:
    """All that follows from commits and captions, handed to `put`; and the card, which is not."""
    files: dict[str, tuple[int, str]] = {}
    statistics = count(_written(patches, spec, put, files), spec.captions.annotators)
    files[STATISTICS] = put(STATISTICS, statistics.dumps())
    drawn = figures(statistics)
    for name, data in drawn.files.items():
        files[f"{FIGURES}/{name}"] = put(f"{FIGURES}/{name}", data)
    card = card_text(_facts(spec, plan, statistics, files, tuple(drawn.files), patches)).encode()
    finished = FinishedShards(
        card_sha256=sha256(card),
        data=files,
        chips=sum(number for _, number in statistics.patches),
        captions=statistics.total,
        rejected={reason: found.count for reason, found in statistics.rejections},
        uncaptioned=patches.uncaptioned,
        usage=statistics.json()["usage"],
        card=spec.card.model_dump(mode="json", exclude_defaults=True),
    )
    return finished, card


def _facts(
    spec: PatchSpec,
    plan: PlanFile,
    statistics: Statistics,
    files: dict[str, tuple[int, str]],
    drawn: tuple[str, ...],
    patches: CommittedPatches,
) -> ShardFacts:
    """What the card is about."""
    days = sorted(scene.datetime[:10] for scene in plan.scenes if scene.datetime)
    of_split = {split: re.compile(expression_of(spec.shards.name, split)) for split in SPLITS}
    sizes = {
        split: [files[path][0] for path in files if pattern.fullmatch(path)] for split, pattern in of_split.items()
    }
    bare = {"no caption was let through": patches.uncaptioned} if patches.uncaptioned else {}
    return ShardFacts(
        name=spec.name,
        card=spec.card,
        patches=spec.patches,
        captions=spec.captions,
        ground="" if spec.splits.keeps_ground_apart else how_split(spec.splits, plan, "patches"),
        shards=spec.shards,
        statistics=statistics,
        made=Made(osm_date=spec.osm.date or (plan.header.get("osm") or {}).get("date"), recipe_digest=spec.digest),
        prompts=digest_of(spec.captions.prompts, "prompts"),
        tags=digest_of(spec.osm.tags, "tags"),
        collections=tuple(sorted({scene.collection for scene in plan.scenes})),
        days=tuple(dict.fromkeys((days[0], days[-1]))) if days else (),
        images=len(plan.scenes),
        files={split: (len(each), sum(each)) for split, each in sizes.items() if each},
        left_out=Counter(plan.header["rejects"]) + Counter(patches.rejects) + Counter(bare),
        figures=drawn,
    )


def superfluous(
    store: Store, plan: PlanFile, ours: set[str], named: NamedFiles, shown: CommittedPatches | None
) -> list[str]:
    """Files that nothing names; pictures are named by the patches that rows of chat show."""
    paths = unnamed((path for path, _ in store.sizes()), plan, ours, named)
    return [path for path in paths if shown is None or not _is_shown(path, shown)]


def _is_shown(path: str, patches: CommittedPatches) -> bool:
    number = path.rsplit("/", 1)[-1].removeprefix("patch_").removesuffix(".jpg")
    if not (path.startswith("images/") and number.isdecimal()):
        return False
    return patches.has(int(number)) and path == image_path(patch_id(int(number)), int(number))


class _Hashed:
    """Bytes on their way into a file: how many, and their hash."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._hash, self.size = parts, hashlib.sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self._hash.update(part)
            self.size += len(part)
            yield part

    @property
    def entry(self) -> tuple[int, str]:
        return self.size, self._hash.hexdigest()


def _written(
    patches: CommittedPatches, spec: PatchSpec, put: Put, files: dict[str, tuple[int, str]]
) -> Iterator[CountedPatch]:
    """Write all shards, and rows of chat where they are asked for; gives each patch to be counted, a shard at a time."""
    spans = {split: patches.of_split(split) for split in SPLITS}
    counts = {split: len(found) for split, found in spans.items()}
    for shard in shards(counts, name=spec.shards.name, samples=spec.shards.samples):
        found, counted = spans[shard.split], list[CountedPatch]()
        within = Spans(found.table[shard.patches], found.parts)
        files[shard.path] = put(shard.path, pieces(_samples(patches.read(within), spec, counted)))
        yield from counted
    for captions in patches.without_captions():
        yield CountedPatch(split="train", longitude=0.0, latitude=0.0, captions=captions, tags=())
    for split in SPLITS if spec.shards.chat else ():
        if counts[split]:
            files[f"data/{split}.jsonl"] = put(f"data/{split}.jsonl", _rows(patches.read(spans[split]), put))


def _samples(
    found: Iterable[tuple[PatchRecord, PatchCaptions]], spec: PatchSpec, counted: list[CountedPatch]
) -> Iterator[Sample]:
    for record, captions in found:
        made = Made(osm_date=record.osm_date, recipe_digest=spec.digest)
        content = content_of(record.image, record.described, captions, made)
        counted.append(_counted(record, captions))
        yield Sample(key=record.image.patch_id, picture=record.picture, content=content)


def _counted(record: PatchRecord, captions: PatchCaptions) -> CountedPatch:
    spoken = {annotation.task.element for annotation in captions.annotations}
    lon, lat = centre(record.image.grid)
    tags = tuple(tag for each in record.described.elements if each.element in spoken for tag in each.tags)
    return CountedPatch(split=record.image.split, longitude=lon, latitude=lat, captions=captions, tags=tags)


def _rows(found: Iterable[tuple[PatchRecord, PatchCaptions]], put: Put) -> Iterator[bytes]:
    """Rows of chat; the pictures that they show are written before them."""
    for record, captions in found:
        path = image_path(record.image.patch_id, record.ordinal)
        put(path, record.picture)
        for annotation in captions.annotations:
            yield orjson.dumps(chat_row(record.image, annotation, path), option=orjson.OPT_APPEND_NEWLINE)
