"""The content of one batch's places: every file is read once, and held against its commit, the plan and the recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import orjson
from odc.geo.geobox import GeoBox

from nutonic.chips.chip import view as view_of
from nutonic.chips.likeness import difference_hash
from nutonic.chips.overlays import overlay
from nutonic.chips.png import decode, encode
from nutonic.chips.regions import turned_box, turned_cells
from nutonic.core.model import Batch, Chip, Json, PlannedPlace, Tile
from nutonic.dataset.amend.polish import in_their_words, kept, polish
from nutonic.dataset.commits import CommittedPlace, is_canonical, unpacked
from nutonic.dataset.proof.derive import ChipFacts
from nutonic.dataset.proof.findings import Finding
from nutonic.dataset.proof.look import Look, Looked, read_file, secret_findings, square_of
from nutonic.dataset.proof.row_audit import NO_TILE, Row, against_sidecar, compared, count_findings, rows_in
from nutonic.dataset.proof.shapes import facts_of
from nutonic.dataset.reasons import NO_STILL
from nutonic.errors import Corrupt, GridError
from nutonic.io.objects import sha256
from nutonic.planning.layout import STILL_SUFFIXES, CommitName, is_overlay, tile_id
from nutonic.planning.pins import key_of, remote_hrefs, scenes_of
from nutonic.planning.spec import BuildSpec
from nutonic.rows.context import ChipContext
from nutonic.rows.rows import dumps
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.batches import Pending, pending
from nutonic.sources.stills.picture import suffix_of, texts_in


def audit_batch(look: Look, batch: Batch | None, commits: Sequence[tuple[CommitName, Json]]) -> Looked:
    """Look at the places of a batch's commits; `batch` is None if the plan has none of this number."""
    looked = Looked()
    for name, content in commits:
        part = _part(look, looked, name, content)
        if look.ours and (problem := disjoint(content, part) or unread_remote(content, batch)) is not None:
            looked.findings.append(Finding(f"{name.path} {problem}", path=name.path))
        for place in content["places"]:
            planned = batch.places[place["index"]] if batch and place["index"] < len(batch.places) else None
            if planned is not None and planned.poi.id != place["poi_id"]:
                planned = None
            looker = _Place(look, looked, CommittedPlace(content=place, name=name), planned)
            looker.audit(part)
    return looked


def unread_remote(content: Json, batch: Batch | None) -> str | None:
    """What is wrong with what a commit tells of remote files, in words: some that its batch does not read."""
    told = list(content.get("remote") or ())
    if told != sorted(told):
        return "tells of remote files in another order"
    if batch is not None and not set(told) <= set(map(key_of, remote_hrefs(scenes_of(batch)))):
        return "tells of remote files that its batch does not read"
    return None


def disjoint(content: Json, part: bytes | None) -> str | None:
    """What is wrong with a commit as a whole, in words: keys of its own, or rows that belong to no place."""
    keys = ["commit", "recipe_digest", "plan", "part", *(["remote"] if "remote" in content else []), "places"]
    if list(content) != keys:
        return "has other keys than a commit"
    at = 0
    for place in content["places"]:
        if place["rows"]["start"] != at:
            return "has rows that do not follow each other"
        at += place["rows"]["length"]
    return "names a part in which there is more than its rows" if part is not None and len(part) != at else None


def _part(look: Look, looked: Looked, name: CommitName, content: Json) -> bytes | None:
    """The packed rows of a commit; None if they are not what it says."""
    if name.part not in content["part"]:
        return b""
    return read_file(look, looked, name.part, tuple(content["part"][name.part]))


@dataclass
class _Place:
    """One committed place, while it is looked at."""

    look: Look
    looked: Looked
    entry: CommittedPlace
    planned: PlannedPlace | None
    chips: dict[str, ChipFacts] = field(default_factory=dict)
    """By tile id, those whose facts can be."""
    sidecars: dict[str, Json] = field(default_factory=dict)
    """By tile id, all that are JSON objects."""
    raw: dict[str, bytes] = field(default_factory=dict)
    """Their bytes."""
    square: GeoBox | None = None

    def wrong(self, text: str) -> None:
        """Note a finding about the place."""
        self.looked.findings.append(Finding(f"{self.entry['poi_id']}: {text}", place=self.entry))

    def audit(self, part: bytes | None) -> None:
        """Look at all files of the place, its rows, and what its commit says of both."""
        spec, place = self.look.spec, self.planned
        if spec is None or place is None or not self._files_fit(spec, place):
            for path, entry in self.entry["files"].items():
                read_file(self.look, self.looked, path, tuple(entry))
            return
        for tile in self._kept(spec, place):
            original: ChipFacts | None = None
            for view in (None, *spec.layout.views):
                chip = self._chip(spec, place, tile, view)
                if chip is not None and view is None:
                    original = chip
                elif chip is not None and original is not None:
                    self._compare_views(original, chip)
        if (still := self._still_of(spec, place)) is not None:
            self._still(spec, still)
        if part is not None:
            self._rows(part)
        self._sums()

    # Files

    def _kept(self, spec: BuildSpec, place: PlannedPlace) -> list[Tile]:
        """The tiles that became chips, by the commit."""
        files = self.entry["files"]
        return [t for t in spec.layout.tiles if spec.layout.image(place.poi, tile_id(place.poi.id, t)) in files]

    def _files_fit(self, spec: BuildSpec, place: PlannedPlace) -> bool:
        """Whether the commit names just the files of some tiles, and says of each other tile why it is not there."""
        kept, entry, layout = self._kept(spec, place), self.entry, spec.layout
        names = [tile_id(place.poi.id, tile, view) for tile in kept for view in (None, *layout.views)]
        files = [path for n in names for path in (layout.image(place.poi, n), layout.sidecar(place.poi, n))]
        still, missing = self._still_of(spec, place), list[None]()
        if layout.stills and kept:
            files, missing = ([*files, still], []) if still is not None else (files, [None])
        left_out: list[str | None] = [tile_id(place.poi.id, tile) for tile in layout.tiles if tile not in kept]
        rejected = [reject["tile_id"] for reject in entry["rejects"]]
        fits = [path for path in entry["files"] if not is_overlay(path)] == files and entry["tiles"] == len(names)
        whole = not kept and entry["item_id"] is None and rejected == [None] and not entry["rows"]["size"]
        if not fits:
            self.wrong("the files that its commit names are not those of its tiles")
        elif not whole and (rejected != [*left_out, *missing] or entry["item_id"] is None):
            self.wrong("its commit does not say of each tile why it is left out, or which scene the others show")
        elif not whole and missing and entry["rejects"][-1]["reason"] != NO_STILL:
            self.wrong("its commit does not say why it has no still")
        return fits

    def _still_of(self, spec: BuildSpec, place: PlannedPlace) -> str | None:
        """The path of the place's still, by the commit; None where it has none."""
        paths = (spec.layout.still(place.poi, suffix) for suffix in STILL_SUFFIXES if spec.layout.stills)
        return next((path for path in paths if path in self.entry["files"]), None)

    def _still(self, spec: BuildSpec, path: str) -> None:
        """A still is a whole picture of the kind that its name says, and of the size that the recipe asks for."""
        data = read_file(self.look, self.looked, path, tuple(self.entry["files"][path]))
        if data is None or spec.stills is None:
            return
        try:
            if not path.endswith(f".{suffix_of(data)}"):
                raise ValueError("is another kind of picture than its name says, or none")
            if (problem := spec.stills.missized(data)) is not None:
                raise ValueError(problem)
            texts = texts_in(data)
            if any(value in text.encode("utf-8", "replace") for text in texts for value in self.look.secrets):
                raise ValueError("holds the value of a secret from the environment")
        except ValueError as error:
            self.looked.findings.append(Finding(f"{path} {error}", path=path))

    def _chip(self, spec: BuildSpec, place: PlannedPlace, tile: Tile, view: str | None) -> ChipFacts | None:
        """A chip with its facts, its picture and sidecar looked at; None if either cannot be used."""
        name = tile_id(place.poi.id, tile, view)
        image, path = spec.layout.image(place.poi, name), spec.layout.sidecar(place.poi, name)
        picture = read_file(self.look, self.looked, image, tuple(self.entry["files"][image]))
        data = read_file(self.look, self.looked, path, tuple(self.entry["files"][path]))
        if data is None:
            return None
        try:
            facts, sidecar = facts_of(data), orjson.loads(data)
        except ValueError as error:
            text = "it is no JSON" if isinstance(error, orjson.JSONDecodeError) else str(error)
            self.looked.findings.append(Finding(f"{path} is no sidecar: {text}", path=path))
            return None
        self.sidecars[name], self.raw[name] = sidecar, data
        rgb = self._picture(image, picture, facts.pixels_sha256, path)
        blank = np.empty((0, 0, 3), np.uint8)
        chip = ChipFacts(
            spec=spec,
            place=place,
            tile=tile,
            view=view,
            facts=facts,
            rgb=blank if rgb is None else rgb,
            still=self._still_of(spec, place),
        )
        problems = list(dict.fromkeys(chip.problems()))
        self.looked.findings += [Finding(f"{path}: {problem}", path=path) for problem in problems]
        if not problems:
            self.chips[name] = chip
        return chip if not problems and rgb is not None else None

    def _picture(self, image: str, data: bytes | None, digest: str, sidecar: str) -> np.ndarray | None:
        """The pixels of a picture; None, and a finding, if they are not those of the sidecar."""
        if data is None:
            return None
        try:
            rgb = decode(data, self.look.chip_side)
            if sha256(rgb.tobytes()) != digest:
                raise ValueError("does not show the pixels of its sidecar")
            if (rgb == rgb[0, 0]).all():
                raise ValueError("is one colour")
        except ValueError as problem:
            self.looked.findings.append(Finding(f"{image} {problem}", path=sidecar))
            return None
        return rgb

    def _compare_views(self, original: ChipFacts, chip: ChipFacts) -> None:
        """A view shows the original, turned, and has its classes and regions."""
        assert chip.view is not None
        spec, side = chip.spec, chip.spec.tiles.output_size
        plain = Chip(rgb=original.rgb, mask=original.rgb[..., 0], limits=(), valid_fraction=1.0)
        path = spec.layout.sidecar(chip.place.poi, chip.tile_id)
        problem = None
        if not np.array_equal(view_of(plain, chip.view).rgb, chip.rgb):
            problem = "its picture is not the original's, turned"
        elif _unturned(original) != _unturned(chip):
            problem = "it does not say of its classes, scene and limits what the original says"
        elif not _same_regions(original, chip, side):
            problem = "its regions are not the original's, turned"
        if problem is not None:
            self.looked.findings.append(Finding(f"{path}: {problem}", path=path))

    # Rows, sidecars and sums

    def _rows(self, part: bytes) -> None:
        """Compare rows and sidecars with those that follow from the sidecars' facts."""
        rows = self._unpacked(part)
        if rows is None:
            return
        self.looked.findings += count_findings(rows, self.entry)
        if self.look.ours and not is_canonical(self.entry, b"".join(row.line for row in rows)):
            self.wrong("its commit is not written as nutonic writes it")
        expected: dict[str, Sequence[bytes]] = {}
        for name, chip in self.chips.items():
            try:
                context = chip.context()
            except GridError as error:
                self.sidecar_wrong(chip, str(error))
                continue
            self._sidecar(chip, context, rows)
            expected[name] = chip.rows(context)
            self._overlays(chip, context)
            self._untrue(chip, context, [row for row in rows if row.tile_id == name])
            if chip.view is None:
                self.square = context.place_result.geobox
        if self.look.ours:
            expected = self._polished(expected) if self.entry.name.polished else expected
            self.looked.findings += compared(rows, expected, self.sidecars, self.entry, self.named)
        else:
            self._told_alike(rows)
        if self.square is not None and self.planned is not None:
            self.looked.squares.append(square_of(self.planned.poi.id, self.planned.split, self.square))

    def _untrue(self, chip: ChipFacts, context: ChipContext, rows: Sequence[Row]) -> None:
        """Findings for rows of a chip that say what its sidecar does not; a model's are judged with _polished."""
        for row in rows:
            if self.look.ours and row.id not in self.polished:
                untrue = chip.untrue(context, row.value)
                if untrue is not None:
                    self.looked.findings.append(Finding(f"row {row.id[:200]}: {untrue}", place=self.entry))

    @property
    def polished(self) -> set[str]:
        """Ids of the rows whose text is a model's, by the commit."""
        return {each["patch_id"] for each in self.entry.content.get("captions", ()) if each["annotations"]}

    def _polished(self, expected: dict[str, Sequence[bytes]]) -> dict[str, Sequence[bytes]]:
        """The rows of templates, with what the kept answers make of their captions; and a finding where that is not told."""
        spec = self.look.spec
        if spec is None or spec.rows.polish is None:
            return expected
        lines = [line for each in expected.values() for line in each]
        try:
            made = polish(b"".join(lines), self.sidecars, spec, Answers(self.look.store, pending))
        except Pending:
            self.wrong("an answer that its captions are made of is not kept, or was changed")
            return expected
        told = [
            each for each in self.entry.content.get("captions", ()) if each["patch_id"].rpartition("__")[0] in expected
        ]
        if list(kept(made)) != told:
            self.wrong("its captions are not what its sidecars and the kept answers give")
        after = in_their_words(b"".join(lines), made).splitlines(keepends=True)
        sizes = [len(each) for each in expected.values()]
        cut = iter(after)
        return {name: list(islice(cut, size)) for name, size in zip(expected, sizes, strict=True)}

    def _unpacked(self, part: bytes) -> list[Row] | None:
        """The rows of the place; None, and a finding, if they are not what the commit says."""
        told, path = self.entry["rows"], self.entry.name.part
        try:
            member = part[told["start"] :][: told["length"]]
            data = unpacked(member, path, told["size"]) if told["length"] else b""
            if len(data) != told["size"]:
                raise Corrupt(f"{path} is not what was written")
            self.looked.findings += secret_findings(self.look, path, data)
            return rows_in(data)
        except Corrupt:
            self.wrong(f"its rows in {path} are not what was written")
        except ValueError as error:
            self.wrong(str(error))
        return None

    def _told_alike(self, rows: Sequence[Row]) -> None:
        """Of a tree of another version: that rows say what sidecars say, in whatever words."""
        for row in rows:
            sidecar = self.sidecars.get(row.tile_id)
            if row.id in self.polished and sidecar is not None:
                continue
            problem = NO_TILE if sidecar is None else against_sidecar(row, sidecar)
            if problem is not None and (sidecar is not None or row.tile_id not in self.named):
                self.looked.findings.append(Finding(f"row {row.id[:200]}: {problem}", place=self.entry))

    @property
    def named(self) -> set[str]:
        """Ids of the tiles and views of which the commit names files."""
        return {path.rsplit("/", 1)[1].rpartition(".")[0] for path in self.entry["files"]}

    def sidecar_wrong(self, chip: ChipFacts, text: str) -> None:
        """Note a finding about a sidecar."""
        path = chip.spec.layout.sidecar(chip.place.poi, chip.tile_id)
        self.looked.findings.append(Finding(f"{path}: {text}", path=path))

    def _sidecar(self, chip: ChipFacts, context: ChipContext, rows: Sequence[Row]) -> None:
        """Compare a sidecar with the one that follows from its facts."""
        told, expected = self.sidecars[chip.tile_id], chip.sidecar(context)
        if not chip.rgb.size:  # of a picture that is damaged nothing follows
            expected["pixels_sha256"] = told["pixels_sha256"]
        if not self.look.ours:
            expected |= {"caption": told["caption"], "nutonic_version": self.look.made_by}
        wrong = [key for key in {**expected, **told} if orjson.dumps(expected.get(key)) != orjson.dumps(told.get(key))]
        if wrong:
            names = ", ".join(str(key)[:40] for key in wrong[:6])
            self.sidecar_wrong(chip, f"{names} is not what follows from the plan, the recipe and the rest of it")
            self._told_alike([row for row in rows if row.tile_id == chip.tile_id])
        elif dumps(expected) != self.raw[chip.tile_id]:
            self.sidecar_wrong(chip, "it is not written as nutonic writes it")

    def _overlays(self, chip: ChipFacts, context: ChipContext) -> None:
        """Compare the overlays of a chip with those that are drawn again."""
        prefix, files = chip.spec.layout.overlay(chip.place.poi, f"{chip.tile_id}__"), self.entry["files"]
        named = [path for path in files if path.startswith(prefix.removesuffix(".png"))]
        drawn = {chip.spec.layout.overlay(chip.place.poi, row): regions for row, regions in chip.overlays(context)}
        if named != list(drawn):
            self.wrong(f"the overlays that its commit names are not those of {chip.tile_id}")
            return
        for path, regions in drawn.items():
            data = read_file(self.look, self.looked, path, tuple(files[path]))
            right = encode(overlay(chip.rgb, regions, chip.spec.table)) if chip.rgb.size else data
            if data is not None and data != right and self.look.ours:
                self.looked.findings.append(Finding(f"{path} does not show the boxes of its row", path=path))

    def _sums(self) -> None:
        """Compare what the commit counts with the sidecars."""
        if len(self.chips) != self.entry["tiles"]:
            return  # told already
        classes: Counter[str] = Counter()
        for chip in self.chips.values():
            classes.update({str(c): n for c, n in chip.counts.items()} if chip.view is None else {})
        told = self.entry.content.get("chips")
        if (told is not None or self.look.ours) and told != self._seen_chips(told or {}):
            self.wrong("its commit tells other looks or labelled pixels of its chips than their pictures and sidecars")
        if dict(classes) != self.entry["classes"]:
            self.wrong("its commit counts other classes than its sidecars")
        if {chip.facts.imagery.item_id for chip in self.chips.values()} - {self.entry["item_id"]}:
            self.wrong("its commit names another scene than its sidecars")
        if len({repr(chip.facts.imagery.place_quality) for chip in self.chips.values()}) > 1:
            self.wrong("its sidecars differ in the quality of the place")

    def _seen_chips(self, told: Json) -> Json:
        """What the commit must tell of the original chips; of pictures that are damaged, what it tells."""
        seen = Json()
        for chip in (chip for chip in self.chips.values() if chip.view is None):
            key, labelled = str(chip.tile.index), sum(chip.counts.values())
            dhash = difference_hash(chip.rgb) if chip.rgb.size else int(told.get(key, {}).get("dhash", "0"), 16)
            seen[key] = {"dhash": f"{dhash:016x}", "labelled": labelled}
        return seen


def _unturned(chip: ChipFacts) -> Json:
    """What is the same in all views of a tile."""
    facts = chip.facts
    meta = facts.land_cover_label_meta.model_dump(exclude={"cells"})
    seen = {"valid": facts.valid_fraction, "quality": facts.quality}
    return {"imagery": facts.imagery, "stretch": facts.stretch, "labels": meta, **seen}


def _same_regions(original: ChipFacts, chip: ChipFacts, side: int) -> bool:
    """Whether regions and cells of a view are the original's, turned."""
    assert chip.view is not None
    turned = [(p.class_id, p.area_px, turned_box(p.box, chip.view, side)) for p in original.facts.regions]
    cells = {c: turned_cells(tuple(n), chip.view) for c, n in original.facts.land_cover_label_meta.cells.items()}
    told = {c: tuple(n) for c, n in chip.facts.land_cover_label_meta.cells.items()}
    return turned == [(p.class_id, p.area_px, p.box) for p in chip.facts.regions] and cells == told
