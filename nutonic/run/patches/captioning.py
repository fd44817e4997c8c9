"""The second stage of a recipe of patches: captions of each, by what is committed of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nutonic.chips.scene.tasks import choose
from nutonic.dataset.annotate import annotate
from nutonic.dataset.commits import Committed, CommittedPlace, read_commit
from nutonic.dataset.shards.captions import CaptionCommit, captions_bytes
from nutonic.dataset.shards.records import PatchRecord, records_of
from nutonic.dataset.shards.samples import SATELLITE, kind_of_picture
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.patches.layout import CAPTIONS, captioned, captions_path
from nutonic.planning.patches.spec import PatchSpec
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.sources.annotators.answers import Answers


def waiting(store: Store, done: Committed) -> Iterator[tuple[CommitName, int]]:
    """The commits whose patches have no captions yet, in order, and how many patches each has."""
    there = captioned(path for path, _ in store.sizes(CAPTIONS))
    for name in filter(done.takes_effect, done.all_names()):
        if name not in there:
            yield name, sum(place["tiles"] for place in read_commit(store, name)["places"])


@dataclass(frozen=True, slots=True)
class PatchCaptioner:
    """Captions patches, into a file beside each commit; a :class:`nutonic.run.captions.captioning.Captioner`."""

    spec: PatchSpec
    store: Store
    plan_digest: str

    @property
    def captions(self) -> Captions:
        """The recipe's."""
        return self.spec.captions

    def one(self, entry: CommittedPlace, answers: Answers) -> tuple[PatchCaptions, ...]:
        """The captions of a committed patch."""
        seen = any(annotator.picture for annotator in self.captions.annotators)
        (record,) = records_of(self.store, [entry], pictures=seen)
        return (captions_of(record, self.spec, answers),)

    def put(self, name: CommitName, made: Sequence[tuple[CommittedPlace, tuple[PatchCaptions, ...]]]) -> int:
        """Write the captions of a commit's patches."""
        patches = tuple(each for _, (each,) in made)
        commit = CaptionCommit(
            commit=name, recipe_digest=self.spec.digest, plan_digest=self.plan_digest, patches=patches
        )
        data = captions_bytes(commit)
        self.store.create(captions_path(name), data)
        return len(data)


def captions_of(record: PatchRecord, spec: PatchSpec, answers: Answers) -> PatchCaptions:
    """The captions of a patch, by the answers that are kept or asked for; raises as :func:`.annotate.annotate`."""
    kind = kind_of_picture(record.image.collection, abs(record.image.grid.affine.a))
    return annotate(
        record.described,
        choose(record.described, spec.captions, spec.policy),
        spec.captions.annotators,
        answers,
        spec.captions,
        texts=spec.texts,
        nouns=spec.policy.called,
        hidden=record.hidden,
        picture=record.picture,
        from_space=kind == SATELLITE,
    )
