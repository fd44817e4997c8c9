"""What polishing makes of the captions of a committed place, and how they are committed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from nutonic.dataset.amend.polish import in_their_words, kept, polish
from nutonic.dataset.commits import (
    CommittedPlace,
    Origin,
    commit,
    entries_of,
    pins_told,
    place_done,
    read_commit,
    unpacked,
)
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.spec import BuildSpec
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.sources.annotators.answers import Answers


@dataclass(frozen=True, slots=True)
class Polisher:
    """Polishes captions; a :class:`nutonic.run.captions.captioning.Captioner`."""

    spec: BuildSpec
    store: Store
    plan_digest: str

    @property
    def captions(self) -> Captions:
        """What is asked for, of whom."""
        assert self.spec.rows.polish is not None, "there is nothing to polish"
        return self.spec.rows.polish.captions

    def one(self, entry: CommittedPlace, answers: Answers) -> tuple[PatchCaptions, ...]:
        """What models make of the captions of a place."""
        paths = (path for path in entry["files"] if path.startswith("metadata/"))
        sidecars = {value["tile_id"]: value for value in (orjson.loads(self.store.get(path)) for path in paths)}
        return polish(self._rows(entry), sidecars, self.spec, answers)

    def put(self, name: CommitName, made: Sequence[tuple[CommittedPlace, tuple[PatchCaptions, ...]]]) -> int:
        """Commit the places of a commit again, with their captions as they are now."""
        polished, content = {entry["index"]: found for entry, found in made}, read_commit(self.store, name)
        places = []
        for entry in entries_of(name, content):
            found, rows = polished.get(entry["index"], ()), self._rows(entry)
            done = place_done(entry.content, in_their_words(rows, found))
            places.append(replace(done, captions=kept(found), remote=pins_told(content)))
        origin = Origin(recipe_digest=self.spec.digest, plan_digest=self.plan_digest)
        return commit(self.store, name.batch, places, origin, whole=name.place is None, polished=True).bytes

    def _rows(self, entry: CommittedPlace) -> bytes:
        told = entry["rows"]
        if not told["length"]:
            return b""
        member = self.store.get_range(entry.name.part, told["start"], told["length"])
        return unpacked(member, entry.name.part, told["size"])
