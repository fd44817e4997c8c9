"""Remote files as a build knows them again: by its plan, and by what was committed of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from nutonic.dataset.commits import Committed, pins_told, read_commits
from nutonic.io.objects import Store
from nutonic.planning.pins import RemoteFiles, pins_from, remote_hrefs
from nutonic.planning.plan_file import PlanFile
from nutonic.run.jobs import Jobs, Scope, batches_left

if TYPE_CHECKING:
    from nutonic.planning.remote import Question
    from nutonic.sources.factory import AnySources

#: Known files that are looked at before a build goes on.
_FIRST = 64


def known_files(store: Store, plan: PlanFile, done: Committed) -> RemoteFiles:
    """What the plan and the commits tell; the commits are read, if there is any remote file.

    Raises
    ------
    RecipeChanged
        If two of them tell of two versions of a file.
    """
    files = RemoteFiles(store.root, pins_from(plan.header.get("remote") or {}))
    if remote_hrefs(plan.scenes):
        for _, content in read_commits(store, done):
            files.add(pins_told(content))
    return files


def refuse_changed_files(
    sources: AnySources, plan: PlanFile, scope: Scope, done: Committed, files: RemoteFiles
) -> None:
    """Raise :class:`RecipeChanged` if a known file that is to be read again is another one now, before anything is written.

    Some are asked for their first bytes, which in this process nobody asks for again. The others are told when they are
    read: what was written until then was made from what had not changed.
    """
    from nutonic.planning.remote import asked, questions

    known: dict[str, Question] = {}
    if files:
        for batch in plan.batches(batches_left(plan, scope, done)):
            best = replace(batch, places=tuple(replace(place, imagery=place.imagery[:1]) for place in batch.places))
            known |= {key: ask for key, ask in questions([best], sources).items() if files.knows(key)}
            if len(known) >= _FIRST:
                break
    files.refuse(asked(dict(islice(known.items(), _FIRST))))


def with_known(jobs: Jobs, files: RemoteFiles) -> Jobs:
    """Jobs, each with what is known of its files when it is handed out."""
    return replace(jobs, with_known=lambda job: replace(job, remote=files.among(job.batch)))


def have_changed(store: Store, sources: AnySources, plan: PlanFile, done: Committed) -> bool:
    """Whether any remote file that commits were made from is another one now: each is asked for its first bytes."""
    from nutonic.errors import RecipeChanged
    from nutonic.planning.remote import asked, questions

    if not remote_hrefs(plan.scenes):
        return False
    try:
        files = known_files(store, plan, done)
    except RecipeChanged:
        return True
    batches = sorted({name.batch for name in done.all_names() if name.batch < len(plan.index)})
    every = questions(plan.batches(batches), sources)
    return bool(files.changed(asked({key: ask for key, ask in every.items() if files.knows(key)})))
