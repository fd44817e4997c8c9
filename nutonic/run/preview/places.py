"""Some places of a recipe, built in memory: the same chips, byte for byte, as the build will write."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from nutonic.core.model import SPLITS, Batch, Json, PlannedPlace, Reject
from nutonic.core.units import counted, counted_of
from nutonic.dataset.commits import CommittedPlace, committed, entries_of, read_commits
from nutonic.dataset.report import cards, tree
from nutonic.dataset.report.drawing import Pictures
from nutonic.dataset.report.values import Dots, Gallery, Limits, Note, Report, Section, Table, number, text
from nutonic.inert import inert
from nutonic.io.limits import IN_FLIGHT
from nutonic.io.objects import Store
from nutonic.io.session import limited
from nutonic.planning.places.columns import in_drawn_order
from nutonic.planning.plan import Plan, plan_of
from nutonic.planning.spec import BuildSpec, resolve
from nutonic.recipe.recipe import Recipe
from nutonic.run.batch import run_batch
from nutonic.run.results import Failure

#: So many times as many places as chips are tried.
TRIED = 4


def preview_of_places(recipe: Recipe, n: int) -> Report:
    """A few chips of a recipe of places; raises as :func:`nutonic.preview`."""
    spec, store, failures = replace(resolve(recipe), stills=None), Store(None), list[Failure]()
    with limited(min(IN_FLIGHT, spec.sources.most_requests(None) or IN_FLIGHT)):
        for service in spec.accounts:
            service.sign_in()
        plan = plan_of(spec, draw=TRIED * n)
        tried = _built(_in_drawn_order(plan), spec, store, n, failures)
    entries = list(_entries(store))
    shown, pictures, rows = _chosen(entries, n), Pictures(Limits().picture_bytes), cards.RowsOf(store)
    told = cards.gallery(store, shown, rows, pictures, spec.table)
    left_out = tree.LeftOut()
    for reject in plan.rejects:
        left_out.add(reject, by_plan=True)
    for reject in (Reject(poi_id=e["poi_id"], **r) for e in entries for r in e["rejects"]):
        left_out.add(reject)
    return Report(
        name=inert(spec.name),
        kind="chips",
        state=_state(len(told), n, len(tried), plan, failures, left_out=bool(left_out.counts)),
        complete=len(told) == n or (bool(told) and not (failures or left_out.counts)),
        figures=(("places tried", number(len(tried))), ("chips made", number(sum(e["tiles"] for e in entries)))),
        places=dots(tried),
        sections=(*failed(failures), left_out.section(), judged_by(plan, recipe.in_vain)),
        gallery=Gallery(
            cards=tuple(told), of=len(told), filters=(("split", "split"), ("labels", "class"), ("tasks", "task"))
        ),
        sample=None,
        pictures=pictures.urls,
        recipe=spec.text,
        digest=spec.digest,
    )


def _in_drawn_order(plan: Plan) -> list[PlannedPlace]:
    """The places of a plan in the order in which they were drawn."""
    places = [place for batch in plan.batches() for place in batch.places]
    return [places[i] for i in in_drawn_order(plan.places).tolist()]


def _built(
    places: Sequence[PlannedPlace], spec: BuildSpec, store: Store, n: int, failures: list[Failure]
) -> list[PlannedPlace]:
    """Build places into a store until there are enough with chips; the places that were tried."""
    tried, made, index = list[PlannedPlace](), 0, 0
    waiting = deque(places)
    while waiting and made < n:
        some = [waiting.popleft() for _ in range(min(n - made, len(waiting)))]
        for group in _together(some):
            done = run_batch(Batch(index=index, places=group), spec, store, plan_digest="")
            failures += done.failures
            made, index = made + done.places, index + 1
        tried += some
    return tried


def _together(places: Iterable[PlannedPlace]) -> list[tuple[PlannedPlace, ...]]:
    """Places by their scenes: those of one share what is read."""
    groups: dict[tuple[object, object], list[PlannedPlace]] = {}
    for place in places:
        groups.setdefault((place.imagery[0], place.labels), []).append(place)
    return [tuple(group) for group in groups.values()]


def _entries(store: Store) -> Iterable[CommittedPlace]:
    commits = read_commits(store, committed(store))
    return sorted((e for name, content in commits for e in entries_of(name, content)), key=lambda e: e.order)


def _chosen(entries: Sequence[CommittedPlace], n: int) -> list[tuple[CommittedPlace, str]]:
    """So many chips, of as many places as there are: the middle one of each place first."""
    queues = []
    for entry in entries:
        images = [path for path in entry["files"] if path.startswith("images/")]
        middle = len(images) // 2
        queues.append([(entry, image) for image in (images[middle:] + images[:middle])])
    ranked = [queue[k] for k in range(max(map(len, queues), default=0)) for queue in queues if k < len(queue)]
    return ranked[:n]


def _state(made: int, n: int, tried: int, plan: Plan, failures: Sequence[Failure], *, left_out: bool) -> str:
    failed_too = f"; {len(failures)} failed for now" if failures else ""
    places = f"{counted(tried, 'place')}{_of_how_many(tried, n, plan)}"
    asked = counted_of(made, n, "chip that was asked for", "chips that were asked for")
    if made == n:
        return f"A preview: {counted(made, 'chip')} of {places}. Nothing is built yet{failed_too}."
    if failures or left_out:
        why = " See what was left out, below." if left_out else ""
        return f"A preview: {places}{',' * (',' in places)} gave {asked}{failed_too}.{why}"
    return f"A preview: {counted(made, 'chip')} of {places}: {n} were asked for. Nothing is built yet."


def _of_how_many(tried: int, n: int, plan: Plan) -> str:
    """Of how many places some were tried: of all that can be used, or of those of them that have a scene."""
    if tried == plan.drawn_from:
        return ", all that there are"
    if tried == len(plan.places) and TRIED * n >= plan.drawn_from:
        return f", all that are left of {plan.drawn_from:,}"
    return f" that {'was' if tried == 1 else 'were'} drawn at random from {plan.drawn_from:,}"


def dots(places: Iterable[PlannedPlace]) -> dict[str, Dots]:
    """Where places lie, by split."""
    found: dict[str, list[tuple[float, float]]] = {split: [] for split in SPLITS}
    for place in places:
        found[place.split].append((place.poi.lon, place.poi.lat))
    lists = {split: list(zip(*points, strict=True)) for split, points in found.items() if points}
    return {split: Dots(lon=lon, lat=lat) for split, (lon, lat) in lists.items()}


def failed(failures: Sequence[Failure]) -> tuple[Section, ...]:
    """What failed for now, if anything did."""
    told: Json = {
        "failures": [{"poi_id": each.poi_id, "reason": each.reason, "error": each.error} for each in failures]
    }
    section = tree.failures(told)
    return () if section is None else (section,)


def judged_by(plan: Plan, in_vain: Sequence[str] = ()) -> Section:
    """What else the plan says, with the recipe, and what of it is asked for in vain."""
    header = plan.header()
    scenes = Counter(scene.datetime[:10] for scene in plan.scenes() if scene.datetime)
    days = tuple((text(day), text(str(count))) for day, count in sorted(scenes.items())[:20])
    warnings = tuple(Note(text=inert(warning), warns=True) for warning in (*in_vain, *plan.of_places))
    quality = (Note(text=inert(header["judging"])),) if header["judging"] else ()
    table = Table(caption="Scenes by day", heads=("day", "scenes"), rows=days, empty="no dates told")
    return Section(id="versions", title="Scenes and recipe", blocks=(*warnings, *quality, table))
