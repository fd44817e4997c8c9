"""The deep proof of a tree of patches: all that follows from something else in it is made again, patch by patch.

Pictures follow from their sources alone: some of them are made again where that is asked for.
"""

from __future__ import annotations

import io
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import shapely
from PIL import Image

from nutonic._version import __version__
from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.tasks import choose
from nutonic.core.grid import lonlat_bounds
from nutonic.core.model import Batch, Element, Json, PlannedPlace
from nutonic.dataset.commits import (
    Committed,
    CommittedPlace,
    committed,
    entries_of,
    is_canonical,
    place_done,
    read_commit,
    read_commits,
    unpacked,
)
from nutonic.dataset.proof.findings import ODD, Finding
from nutonic.dataset.proof.lattice_audit import patch_plan_findings
from nutonic.dataset.proof.place_audit import disjoint, unread_remote
from nutonic.dataset.shards.captions import CaptionCommit, captions_bytes, read_captions
from nutonic.dataset.shards.records import PatchRecord
from nutonic.errors import Corrupt, InputError, NutonicError
from nutonic.io.buckets.copies import read_as_file
from nutonic.io.limits import IN_FLIGHT
from nutonic.io.objects import Store, sha256
from nutonic.io.session import limited
from nutonic.planning.layout import CommitName
from nutonic.planning.patches.layout import captions_path
from nutonic.planning.patches.map import features
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.pins import changed, pins_from
from nutonic.planning.plan_file import PlanFile
from nutonic.run.patches.batch import REASONS, done_of, grid_of, image_of, maps_of, names_on_map, run_patch_batch
from nutonic.run.patches.captioning import captions_of
from nutonic.secrets import redact
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.batches import Pending, pending
from nutonic.sources.osm.index import build_index, info_of
from nutonic.sources.osm.overpass import Overpass
from nutonic.sources.osm.source import Extract, Features, extract_of, extract_pins


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """What every part of a deep proof needs."""

    store: Store
    plan: PlanFile
    spec: PatchSpec
    map: Features
    answers: Answers


def deep_findings(plan: PlanFile, spec: PatchSpec, done: Committed, *, map_is_whole: bool) -> Iterator[Finding]:
    """What of a plan, of its patches and of their captions does not follow from the rest of the tree.

    Where the map beside the plan is gone or damaged, which is told by who looks for it, nothing is wrong with the patches:
    they are not judged, and least of all taken out.
    """
    ours = plan.header["nutonic_version"] == __version__
    try:
        yield from patch_plan_findings(plan, spec, ours=ours)
    except ODD as error:
        yield Finding(f"the plan holds what no plan does ({type(error).__name__})")
        return
    if not ours:
        yield Finding("the tree was made by another nutonic: words and numbers are not made again", note=True)
        return
    if not map_is_whole:
        text = "nothing of patches is made again: the map beside the plan is not the one that it was made with"
        yield Finding(text, note=True)
        return
    yield from _map_findings(plan)
    answers = Answers(plan.store, pending)
    proof = _Proof(store=plan.store, plan=plan, spec=spec, map=_kept_map(plan, spec), answers=answers)
    batches, last = plan.batches(sorted({name.batch for name in _names(plan, done)})), None
    for name in _names(plan, done):
        while last is None or last[0].index != name.batch:
            batch = next(batches)
            last = batch, _maps(batch, proof)
        yield from _of_commit(proof, name, *last)


def _map_findings(plan: PlanFile) -> Iterator[Finding]:
    """What a plan tells of the map that is kept, and is not so."""
    told, store = plan.header.get("osm"), plan.store
    if told is None or not store.is_file(told["path"]):
        return  # that it is missing is found by its name
    try:
        info = info_of(read_as_file(store, told["path"], told["sha256"]))
    except NutonicError as error:
        yield Finding(str(error))
        return
    right = {"date": info.date, "elements": info.elements, "broken": info.broken + info.incomplete}
    if {key: told.get(key) for key in right} != right:
        yield Finding("the plan tells of another map than the one that is kept")


def _names(plan: PlanFile, done: Committed) -> Iterator[CommitName]:
    """The commits that count, of batches that the plan has."""
    every = sorted(filter(done.takes_effect, done.all_names()), key=lambda name: (name.batch, name.place or 0))
    return (name for name in every if name.batch < len(plan.index))


def _kept_map(plan: PlanFile, spec: PatchSpec) -> Features:
    """The map as the tree holds it: nobody is asked."""
    found = features(spec, plan.store, plan.header.get("osm"))
    return found.kept_alone() if isinstance(found, Overpass) else found


#: The elements over each patch of a batch, or why they cannot be told.
_Maps = list[tuple[Element, ...]] | NutonicError


def _maps(batch: Batch, proof: _Proof) -> _Maps:
    try:
        return maps_of(batch, proof.spec, proof.map)
    except NutonicError as error:
        return error


def _of_commit(proof: _Proof, name: CommitName, batch: Batch, maps: _Maps) -> Iterator[Finding]:
    """Findings for a commit and the captions of its patches."""
    try:
        content = read_commit(proof.store, name)
        problem = disjoint(content, _part(proof.store, content)) or unread_remote(content, batch)
        entries = entries_of(name, content)
        records = [_record(proof, batch, maps, entry) for entry in entries] if problem is None else []
    except (Corrupt, FileNotFoundError, *ODD) as error:
        if not isinstance(error, FileNotFoundError):  # which is told by its name
            yield Finding(str(error) or f"{name.path} cannot be read", path=name.path)
        return
    if problem is not None:
        yield Finding(f"{name.path} {problem}", path=name.path)
        return
    wrong = _of_captions(proof, name, [record for record in records if record is not None])
    if wrong is not None:
        yield Finding(f"{captions_path(name)}: {wrong}", path=captions_path(name))


def _part(store: Store, content: Json) -> bytes | None:
    """The rows of a commit, packed; Corrupt if they are not what it says."""
    data: bytes | None = b""
    for path, (_, digest) in content["part"].items():
        data = store.get(path)
        if sha256(data) != digest:
            raise Corrupt(f"{path} is not what its commit says")
    return data


# Pictures and descriptions


def _record(proof: _Proof, batch: Batch, maps: _Maps, entry: CommittedPlace) -> PatchRecord | None:
    """A committed patch; None of one that was left out. Corrupt, in words, where it is not what it follows from."""
    poi, place = entry["poi_id"], batch.places[entry["index"]]
    line = _line(proof.store, entry)
    told = place_done(entry.content, line)
    if place.poi.id != poi or not is_canonical(entry, line):
        raise Corrupt(f"{entry.name.path}: {poi} is not as the plan has it")
    if told != done_of(entry["index"], place, rows=line, rejects=told.rejects):
        raise Corrupt(f"{entry.name.path} says of {poi} what does not follow from its patch")
    if bool(line) == bool(told.rejects) or len(told.rejects) > 1 or not {r.reason for r in told.rejects} <= REASONS:
        raise Corrupt(f"{entry.name.path} does not say why {poi} is there or is not")
    if not line:
        return None
    record = PatchRecord.of_line(line)
    problem = _of_record(proof, place, record, maps if isinstance(maps, NutonicError) else maps[entry["index"]])
    if problem is not None or record.line() != line:
        raise Corrupt(f"{entry.name.path}: {problem or f'{poi} is written otherwise'}")
    return record


def _of_record(
    proof: _Proof, place: PlannedPlace, record: PatchRecord, over: tuple[Element, ...] | NutonicError
) -> str | None:
    """What is wrong with a committed patch, in words; None if nothing is."""
    spec, poi = proof.spec, place.poi.id
    if record.image != image_of(place, grid_of(place, spec)) or record.ordinal != place.poi.ordinal:
        return f"{poi} is not the patch of the plan"
    if record.osm_date != proof.map.date:
        return f"{poi} tells of a map of another day"
    if (problem := _of_picture(record.picture, spec.patches.size)) is not None:
        return f"the picture of {poi} {problem}"
    if isinstance(over, NutonicError):
        return f"the description of {poi} cannot be held against a map: {over}"
    described = describe(over, record.image.grid, spec.policy, patch_id=poi, names=spec.captions.names)
    if described != record.described:
        return f"the description of {poi} is not what the map says"
    if len(described.elements) < spec.patches.min_elements or not choose(described, spec.captions, spec.policy):
        return f"there is nothing to say of {poi}"
    if record.hidden != names_on_map(over, spec.captions):
        return f"the names of {poi} are not those of the map"
    return None


def _of_picture(data: bytes, side: int) -> str | None:
    """What is wrong with a JPEG, in words; None if it is a picture of this side and nothing else."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            size, mode, more = picture.size, picture.mode, set(picture.info)
            if size != (side, side) or mode != "RGB":
                return f"is {size[0]} × {size[1]} {mode}"
            picture.load()
    except (OSError, ValueError, SyntaxError) as error:
        return f"cannot be read ({type(error).__name__})"
    if not data.endswith(b"\xff\xd9") or more - _OF_JFIF:
        return "holds more than a picture"
    return None


#: What Pillow tells of a JPEG that holds nothing but a picture.
_OF_JFIF = frozenset({"jfif", "jfif_version", "jfif_unit", "jfif_density"})


def _line(store: Store, entry: CommittedPlace) -> bytes:
    """What is committed of a patch."""
    rows = entry["rows"]
    if not rows["length"]:
        return b""
    return unpacked(store.get_range(entry.name.part, rows["start"], rows["length"]), entry.name.part, rows["size"])


# Captions


def _of_captions(proof: _Proof, name: CommitName, records: Sequence[PatchRecord]) -> str | None:
    """What is wrong with captions, in words; None if nothing is, if there are none yet, or it was told as they were read."""
    try:
        told = read_captions(proof.store, name)
    except (FileNotFoundError, Corrupt):
        return None
    if len(told.patches) != len(records):
        return "they are of other patches than the commit's"
    for record, captions in zip(records, told.patches, strict=True):
        try:
            again = captions_of(record, proof.spec, proof.answers)
        except Pending:
            return f"an answer that the captions of {record.image.patch_id} are made of is not kept, or was changed"
        if again != captions:
            return f"the captions of {record.image.patch_id} are not what its answers and its description give"
    right = CaptionCommit(
        commit=name, recipe_digest=proof.spec.digest, plan_digest=proof.plan.digest, patches=told.patches
    )
    return None if captions_bytes(right) == proof.store.get(captions_path(name)) else "they are written otherwise"


# Made again from their sources


def rebuilt(plan: PlanFile, spec: PatchSpec, done: Committed, count: int) -> tuple[list[str], int]:
    """Problems of some patches made again from images and map, and how many were compared."""
    if plan.header["nutonic_version"] != __version__:
        return ["no patch can be made again: the tree was made by another nutonic"], 0
    replaced = changed(plan.header.get("inputs") or {})
    if replaced:
        return [f"no patch can be made again: {replaced[0]} is not the file that was there when the plan was made"], 0
    entries = [e for name, content in read_commits(plan.store, done) for e in entries_of(name, content)]
    entries.sort(key=lambda entry: entry.order)
    chosen = random.Random(plan.digest).sample(entries, min(count, len(entries)))
    by_batch: dict[int, list[CommittedPlace]] = {}
    for entry in chosen:
        by_batch.setdefault(entry.name.batch, []).append(entry)
    batches = list(plan.batches(sorted(by_batch)))
    problems = list[str]()
    with limited(IN_FLIGHT), tempfile.TemporaryDirectory(prefix="nutonic-map-") as folder:
        try:
            map_ = _map_again(plan, spec, batches, Path(folder))
        except NutonicError as error:
            return [f"no patch can be made again: {error}"], 0
        for batch in batches:
            problems += _batch_again(plan, spec, batch, by_batch[batch.index], map_)
    return problems, len(chosen)


def _map_again(plan: PlanFile, spec: PatchSpec, batches: Sequence[Batch], folder: Path) -> Features:
    """What the extract says of some batches, read anew; of a server what it answered."""
    if spec.osm.source != "pbf":
        return _kept_map(plan, spec)
    name, inputs = Path(str(spec.osm.path)).name, plan.header.get("inputs") or {}
    there = next((Path(path) for path in inputs if Path(path).name == name), None)
    extract = extract_of(spec.osm) if there is None else there
    pins = pins_from(plan.header.get("remote") or {})
    if replaced := [at for at, pin in extract_pins(spec.osm).items() if at in pins and pins[at].differs(pin)]:
        raise InputError(f"{replaced[0]} is not the file that was there when the plan was made")
    grids = [grid_of(place, spec) for batch in batches for place in batch.places]
    boxes = [shapely.box(*box).buffer(1e-4) for box in map(lonlat_bounds, grids)]
    index = folder / "map.sqlite"
    build_index(extract, index, within=shapely.union_all(boxes), drops=spec.policy.drops)
    return Extract(index=index)


def _batch_again(
    plan: PlanFile, spec: PatchSpec, batch: Batch, entries: Sequence[CommittedPlace], map_: Features
) -> Iterator[str]:
    """Problems of some patches of a batch."""
    memory = Store(None)
    some = {entry["index"] for entry in entries}
    failed = {f.poi_id: f.error for f in run_patch_batch(batch, spec, memory, map_, some, plan_digest="").failures}
    made = {e["index"]: e for n, c in read_commits(memory, committed(memory)) for e in entries_of(n, c)}
    for entry in entries:
        again, poi = made.get(entry["index"]), entry["poi_id"]
        if again is None:
            why = redact(failed.get(poi, "it is not in the plan")).splitlines()[0][:300]
            yield f"{poi}: not judged, since it cannot be made again: {why}"
        elif _line(plan.store, entry) != _line(memory, again) or entry["rejects"] != again["rejects"]:
            yield f"{poi}: it is not what its sources give"
