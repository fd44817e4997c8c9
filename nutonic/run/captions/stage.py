"""The driver's part of captioning: what is handed out, for how much money, and what is told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from nutonic.core.units import counted
from nutonic.errors import InputError
from nutonic.io.buckets.address import AnyPath
from nutonic.io.files import open_regular
from nutonic.io.objects import Store
from nutonic.io.session import current
from nutonic.planning.layout import CommitName
from nutonic.recipe.annotation import Annotator, Captions
from nutonic.run.callbacks import Callback, CallbackGroup, CaptionsFinished, Note
from nutonic.run.captions.budget import Budget
from nutonic.run.captions.captioning import Captioner, caption
from nutonic.run.captions.jobs import caption_jobs
from nutonic.run.executor import results_of
from nutonic.run.preflight import WorkerPool, worker_pool
from nutonic.run.results import Captioned, CaptionsDone
from nutonic.sources.annotators.answers import Answers, tokens_of
from nutonic.sources.annotators.asking import Asking, asked, units_of
from nutonic.sources.annotators.batches import RequestFiles, pending, read_results, requested, requests_path
from nutonic.sources.annotators.cost import price
from nutonic.sources.annotators.endpoint import Endpoint
from nutonic.sources.annotators.limits import most_in_flight
from nutonic.sources.factory import AnySources

#: Seconds between looks whether to stop.
_LOOK_S = 0.2


class _Brake(Callback):
    """Stops captions where nobody can be asked any more."""

    is_on = False

    def stop_requested(self) -> bool:
        """Whether it is so."""
        return self.is_on


#: Commits that wait for captions, each with how many patches it has.
Waiting = Callable[[], Iterator[tuple[CommitName, int]]]


def caption_all(
    captioner: Captioner,
    waiting: Waiting,
    pool: WorkerPool | None,
    callback: Callback,
    *,
    max_cost: float | None,
    expected: float,
) -> Captioned:
    """Caption what waits, as far as money goes and as long as somebody answers.

    Parameters
    ----------
    captioner
        What captions are of, and where they go.
    waiting
        Tells what waits.
    pool
        Workers with shares of what endpoints take; None to do all here.
    callback
        What follows the build and may stop it.
    max_cost
        What captions may cost, by the recipe's prices, in all builds of the tree together; None for any.
    expected
        What the captions of a patch are expected to cost.
    """
    captioned, brake, annotators = Captioned(), _Brake(), captioner.captions.annotators
    commits = list(waiting())
    if not commits or callback.stop_requested():
        captioned.waiting = sum(count for _, count in commits)
        return captioned
    budget = _budget(captioner, max_cost, expected)
    workers = 1 if pool is None else max(1, len(pool.client.nthreads()))
    turns = -(-sum(map(most_in_flight, asked(annotators))) // workers)
    jobs, to_do = caption_jobs(commits, turns, workers), sum(count for _, count in commits)
    work, left = partial(caption, captioner=captioner), CallbackGroup([callback, brake])
    with RequestFiles() as requests, _stopping(left):
        while jobs:
            for result in results_of(pool, work, left, budget.jobs(jobs)):
                budget.settle(result)
                captioned.add(result)
                if isinstance(result, CaptionsDone):
                    requests.add(result.requests)
                    brake.is_on = brake.is_on or result.ended is not None
                callback.on_batch(CaptionsFinished(result=result, to_do=to_do))
            jobs = [] if left.stop_requested() else budget.again()
        written = requests.write(captioner.store)
    captioned.waiting = sum(count for _, count in waiting())
    for line in _told(captioner.store, written, budget, captioned):
        callback.on_note(Note(text=line))
    return captioned


def captioners(
    stack: ExitStack, pool: WorkerPool, sources: AnySources, out: AnyPath | None, annotators: Sequence[Annotator]
) -> WorkerPool:
    """The same workers, with shares of what endpoints take instead of shares of requests; `out` where they are elsewhere."""
    who = asked(annotators)
    accounts = [Endpoint(annotator=each) for each in who]
    again = worker_pool(
        pool.client,
        sources,
        out,
        units_of(annotators),
        accounts,
        annotators=who,
        watch=pool.watch,
        patience=pool.patience,
    )
    return stack.enter_context(again)


def take_answers(captions: Captions, store: Store, path: Path, callback: Callback) -> None:
    """Keep the answers of a file of results, and tell what was in it."""
    names = [each.name for each in captions.annotators if each.mode == "batch"]
    wanted = dict(chain.from_iterable(requested(store, name).items() for name in names))
    with open_regular(str(path)) as file:
        read = read_results(file, Answers(store, pending), wanted)
    problems = ", ".join(f"{count} × {problem}" for problem, count in read.problems.items())
    told = f"{path}: {counted(read.kept, 'new answer')} of {counted(read.lines, 'line')}, {read.known} known before"
    callback.on_note(Note(text=f"{told}; without an answer: {problems}" if problems else told))


def refuse_unreadable(answers: Path | None) -> None:
    """Raise :class:`InputError` if a file of answers cannot be read; None is none."""
    if answers is None:
        return
    try:
        open_regular(str(answers)).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read the answers {answers}: {reason}") from None


def _told(store: Store, written: dict[str, int], budget: Budget, captioned: Captioned) -> Iterator[str]:
    """What a person may do next."""
    for annotator, count in written.items():
        where = f"{store.root}/{requests_path(annotator)}"
        waiting = counted(count, "request waits", "requests wait")
        yield f"{waiting} in {where}: have all answered, then run the same command with --answers FILE"
    if budget.is_out:
        spent = f"captions have cost {budget.spent:.4g} of the {budget.most:.4g} that --max-cost allows"
        left = counted(captioned.waiting, "patch waits for captions", "patches wait for captions")
        yield f"{spent}, and {left}: what was answered is kept; run the same command with more to go on"


def _budget(captioner: Captioner, most: float | None, expected: float) -> Budget:
    """What may be spent.

    Raises
    ------
    InputError
        If there is a limit, and models are asked whose answers have no price.
    """
    if most is None:
        return Budget(most=None)
    annotators = {each.name: each for each in captioner.captions.annotators}
    free = [each.name for each in asked(annotators.values()) if not each.input_price + each.output_price]
    if free:
        raise InputError(
            f"--max-cost: {free[0]} has no prices, so that nothing can be counted: "
            "say input_price and output_price of captions.annotators, per million tokens"
        )
    money = sum(_price(annotators, name, *tokens) for name, tokens in tokens_of(captioner.store).items())
    return Budget(most=most, spent=money, expected=expected)


def _price(annotators: dict[str, Annotator], name: str, prompt: int, answer: int) -> float:
    return price(annotators[name], prompt, answer) if name in annotators else 0.0


@contextmanager
def _stopping(callback: Callback) -> Iterator[None]:
    """Within the block, let a stop request reach what is asked in this process; the executor tells workers."""
    over, asking = threading.Event(), current().resource(Asking)

    def look() -> None:
        while not over.wait(_LOOK_S):
            if callback.stop_requested():
                asking.stop()
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
