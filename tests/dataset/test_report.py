"""A report against the tree's own files, counted here without it; and what it must not do."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter, defaultdict
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support.cli import nutonic
from support.trees import FEW, tree

import nutonic as nt
from nutonic.dataset.reasons import WHAT_TO_DO
from nutonic.dataset.report import world
from nutonic.dataset.report.drawing import Drawn
from nutonic.dataset.report.page import render
from nutonic.dataset.report.report import report, report_of
from nutonic.dataset.report.values import Dots, Limits
from nutonic.dataset.verify import verify
from nutonic.errors import InputError, NotNutonic


class Reader(HTMLParser):
    """Tables by caption, figures at the top, headings, notes, and the data of the script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.figures: dict[str, str] = {}
        self.notes: list[str] = []
        self.data: dict = {}
        self._open: list[str] = []
        self._said, self._rows, self._caption, self._name = "", [], "", ""
        self._is_data = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self._open.append(tag)
        self._is_data = tag == "script" and ("id", "data") in attrs
        if tag in ("td", "th", "caption", "p", "dt", "dd", "script"):
            self._said = ""
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])

    def handle_data(self, data):
        self._said += data

    def handle_endtag(self, tag):
        said = " ".join(self._said.split())
        if tag in ("td", "th"):
            self._rows[-1].append(said)
        elif tag == "caption":
            self._caption = said
        elif tag == "table":
            self.tables[self._caption] = self._rows
        elif tag == "p":
            self.notes.append(said)
        elif tag == "dt":
            self._name = said
        elif tag == "dd":
            self.figures.setdefault(self._name, said)
        elif tag == "script" and self._is_data:
            self.data, self._is_data = json.loads(self._said), False


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


@pytest.fixture
def copy(clean, tmp_path):
    return shutil.copytree(clean.out, tmp_path / "out")


def sidecars(out: Path) -> list[dict]:
    return [json.loads(path.read_bytes()) for path in sorted((out / "metadata").rglob("*.json"))]


def rows(out: Path) -> dict[str, tuple[str, dict]]:
    """Split and row by id, from the files that trainers read."""
    lines = ((path.stem, json.loads(line)) for path in (out / "data").glob("*.jsonl") for line in path.open("rb"))
    return {row["id"]: (split, row) for split, row in lines}


def test_numbers_are_those_of_the_files(copy):
    page, known, written = read(report(copy)), sidecars(copy), rows(copy)
    assert page.figures["chips"] == str(len(known))
    assert page.figures["rows"] == f"{len(written):,}"
    assert page.figures["scenes"] == str(len({each["imagery"]["item_id"] for each in known}))
    assert page.figures["places"] == f"{len({each['poi_id'] for each in known})} of {len(FEW) - 1}"
    tasks = Counter((row["task"], split) for split, row in written.values())
    heads, *lines = page.tables["Rows by task and split"]
    assert heads == ["task", "train", "validation", "test", "all"]
    assert {
        (line[0], split): int(n) for line in lines for split, n in zip(heads[1:4], line[1:4], strict=True) if n != "0"
    } == tasks
    assert all(int(line[4]) == sum(map(int, line[1:4])) for line in lines)


def test_classes_are_balanced_as_the_masks_are(copy):
    pixels = defaultdict(Counter)
    for each in sidecars(copy):
        pixels[each["split"]].update({int(k): n for k, n in each["land_cover_label_meta"]["classes"].items()})
        pixels["all"].update({int(k): n for k, n in each["land_cover_label_meta"]["classes"].items()})
    labels = nt.load_recipe(copy / "_nutonic" / "recipe.yaml").labels.table.labels
    heads, *lines = read(report(copy)).tables["Classes by split, as shares of the labelled pixels"]
    for line in lines:
        (class_id,) = (key for key, label in labels.items() if label == line[0])
        for split, told in zip(heads[1:], line[1:], strict=True):
            total = sum(pixels[split].values())
            assert told == (f"{pixels[split][class_id] / total:.1%}" if total else "")
    assert len(lines) == len(labels)


def test_rejects_come_with_examples_and_advice(copy):
    header, *lines = read(report(copy)).tables["Places and tiles that are left out for good, by reason"]
    assert header == ["reason", "how many", "such as", "what to do", "of what"]
    commits = [json.loads(path.read_bytes()) for path in (copy / "_nutonic" / "commits").iterdir()]
    plan = [json.loads(line) for line in (copy / "_nutonic" / "plan.jsonl").open("rb")]
    found = Counter(r["reason"] for c in commits for p in c["places"] for r in p["rejects"])
    found += Counter(line["reason"] for line in plan if line["kind"] == "reject")
    assert {line[0]: int(line[1]) for line in lines} == found
    assert len(found) >= 2
    assert all(re.search(r"\w: .*\d", line[2]) and line[3] == WHAT_TO_DO[line[0]] for line in lines)
    tiles = Counter(r["reason"] for c in commits for p in c["places"] for r in p["rejects"] if r["tile_id"])
    planned = Counter(line["reason"] for line in plan if line["kind"] == "reject")
    for reason, *_, what in lines:
        told = {noun.rstrip("s"): int(number) for number, noun in (part.split(" ", 1) for part in what.split(", "))}
        assert told.get("tile", 0) == tiles[reason]
        by_plan = sum(number for noun, number in told.items() if noun.endswith("by the plan"))
        assert by_plan == planned[reason]
        assert sum(told.values()) == found[reason]


#: What a place, a tile or a patch can be left out for.
REASONS = """bad coordinates, bad row, no point, outside UTM, duplicate id, duplicate coordinates, too close,
    crosses a block, no scene, no labels, off the lattice, asset gone, unusable asset, unusable labels, too little imagery,
    too few labels, flat imagery, too cloudy, in shadow, under snow, too much nodata, no still, nodata, unusable picture,
    too little on the map, nothing to describe"""


def test_there_is_advice_for_every_reason():
    reasons = {" ".join(reason.split()) for reason in REASONS.split(",")}
    assert reasons - set(WHAT_TO_DO) == set()
    sources = [
        path.read_text(encoding="utf-8") for path in Path(nt.__file__).parent.rglob("*.py") if path.name != "reasons.py"
    ]
    unknown = {reason for reason in reasons if not any(f'"{reason}"' in text for text in sources)}
    assert unknown <= {"too little imagery", "no still"}  # the one is made of two words, the other has a name


def test_cards_and_rows_are_those_of_the_tree(copy):
    data, written = read(report(copy)).data, rows(copy)
    cards = {card["id"]: card for card in data["gallery"]["cards"]}
    assert set(cards) == {path.stem for path in (copy / "images").rglob("*.png")}
    shown = {row["id"]: row for card in cards.values() for row in card["rows"]}
    assert set(shown) == set(written)
    for name, (split, row) in written.items():
        said = {m["role"]: "".join(p.get("text", "") for p in m["content"]) for m in row["messages"]}
        assert (shown[name]["prompt"], shown[name]["answer"]) == (said["user"], said["assistant"])
        assert cards[row["tile_id"]]["split"] == split
        if row["task"] == "grounding":
            boxes = [[*each["bbox"], each["label"]] for each in json.loads(said["assistant"])]
            assert [box[:5] for box in cards[row["tile_id"]]["boxes"]] == boxes
    drawn = [row["id"] for row in data["sample"]["rows"]]
    assert len(set(drawn)) == len(drawn) == min(200, len(written))
    assert set(drawn) <= set(written)
    assert drawn != sorted(drawn)  # in an order of their own
    assert set(data["pictures"]) >= {card["picture"] for card in cards.values()}
    assert all(url.startswith("data:image/jpeg;base64,") for url in data["pictures"].values())


def test_the_same_tree_gives_the_same_bytes_wherever_it_lies(copy, clean, tmp_path):
    here, again = report(copy).read_bytes(), report(copy).read_bytes()
    other = shutil.copytree(clean.out, tmp_path / "elsewhere" / "of another name")
    assert here == again == report(other, tmp_path / "page.html").read_bytes()
    assert str(tmp_path).encode() not in here
    assert not (other / "report.html").exists()


def test_nothing_else_of_the_tree_is_another(copy, clean):
    report(copy)
    found = tree(copy)
    assert found.pop("report.html")
    assert found == clean.files
    assert verify(copy, deep=True).whole


def test_an_unfinished_tree_has_a_report_of_what_is_there(copy):
    first = sorted((copy / "_nutonic" / "commits").iterdir())[0]
    lost = json.loads(first.read_bytes())["places"]
    first.unlink()
    (copy / "_nutonic" / "summary.json").unlink()
    shutil.rmtree(copy / "data")
    page = read(report(copy))
    assert any(f"Not finished: {len(lost)} of {len(FEW) - 1} places" in note for note in page.notes)
    gone = {place["poi_id"] for place in lost}
    assert gone.isdisjoint(card["id"].rpartition("_t")[0] for card in page.data["gallery"]["cards"])
    assert len(page.data["gallery"]["cards"]) == sum(each["poi_id"] not in gone for each in sidecars(copy))


def test_a_tree_of_nothing_yet_has_a_report(copy):
    shutil.rmtree(copy / "_nutonic" / "commits")
    page = read(report(copy))
    assert page.figures["chips"] == "0"
    assert page.data["gallery"]["cards"] == page.data["sample"]["rows"] == []


def test_what_cannot_be_read_is_told_and_not_only_left_out(copy, clean):
    whole = len(read(report(clean.out, copy.parent / "whole.html")).data["gallery"]["cards"])
    images = sorted(copy.glob("images/**/*.png"))
    images[0].write_bytes(b"no picture")
    images[1].unlink()
    sidecar = sorted(copy.glob("metadata/**/*.json"))[-1]
    sidecar.write_text("{")
    page = read(report(copy))
    names = [path.relative_to(copy).as_posix() for path in (*images[:2], sidecar)]
    (said,) = (note for note in page.notes if "cannot be read" in note)
    assert said.startswith(
        f"Of the files of chips that were to be shown, 3 cannot be read: {', '.join(names)}. nutonic verify"
    )
    assert len(page.data["gallery"]["cards"]) == whole - 3


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "pipe", "folder"])
def test_a_users_file_is_not_replaced(copy, clean, tmp_path, kind):
    path = copy / "report.html"
    {
        "file": lambda: path.write_text("<!doctype html>\n<html lang='en'>mine"),
        "link": lambda: path.symlink_to(clean.recipe),
        "dangling": lambda: path.symlink_to(tmp_path / "no"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()
    before = path.lstat()
    with pytest.raises((NotNutonic, InputError), match=r"report.html"):
        report(copy)
    assert path.lstat() == before


def test_the_command_says_where_it_is(copy, tmp_path):
    said = nutonic("report", copy)
    assert (said.code, said.err) == (0, "")
    assert f"wrote {copy / 'report.html'}" in said.out
    again = nutonic("report", copy, "--out", tmp_path / "page.html")
    assert again.code == 0
    assert (tmp_path / "page.html").read_bytes() == (copy / "report.html").read_bytes()
    for args in ([tmp_path], [copy, "--out", tmp_path / "no" / "page.html"], [tmp_path / "none"]):
        wrong = nutonic("report", *args)
        assert (wrong.code, wrong.out) == (2, "")
        assert "Traceback" not in wrong.err


# Samples


def test_what_is_drawn_does_not_depend_on_the_order():
    keys = [f"place-{number}" for number in range(500)]
    one, other = Drawn(40), Drawn(40)
    for key in keys:
        one.add(key, key)
    for key in reversed(keys):
        other.add(key, key)
    assert one.values() == other.values()
    assert len(set(one.values())) == 40
    assert one.of == 500
    few = Drawn(10)
    for key in keys:
        few.add(key, key)
    assert few.values() == one.values()[:10]  # any beginning of a sample is one


def test_every_key_is_as_likely():
    """Of many independent draws, each of ten positions is drawn about equally often: chi-squared, 9 degrees of freedom."""
    counts = np.zeros(10)
    for trial in range(600):
        drawn = Drawn(3)
        for position in range(10):
            drawn.add(f"{trial}/{position}", position)
        counts[drawn.values()] += 1
    assert counts.sum() == 1800
    assert ((counts - 180) ** 2 / 180).sum() < 27.9  # one in a thousand


def test_a_page_of_many_chips_is_a_light_sample(copy):
    def page(**limits: int) -> Reader:
        return Reader(render(report_of(copy, Limits(**limits))).decode())

    few, chips = page(cards=3, rows=5, sidecars=2, places=2), len(sidecars(copy))
    assert f"3 of {chips} chips, drawn at random so that the page stays light." in few.notes
    assert len(few.data["gallery"]["cards"]) == 3
    assert len(few.data["sample"]["rows"]) == 5
    assert f"Of 2 chips, drawn at random from {chips}." in few.notes
    assert len(page(picture_bytes=1).data["pictures"]) == 1


# Maps


def test_places_are_where_they_lie():
    (whole, near, close) = world.maps({"train": Dots(lon=[12.5, 12.6], lat=[-3.25, -3.2])})
    assert whole.box == (-1800.0, -900.0, 3600.0, 1800.0)
    for one in (whole, near, close):
        (_, path), *_ = one.marks
        points = [tuple(map(float, point)) for point in re.findall(r"M(-?[\d.]+) (-?[\d.]+)h0", path)]
        left, top, wide, high = one.box
        assert np.allclose(points, [(125, 32.5), (126, 32)], atol=wide / 500)
        assert all(left < x * one.stretch < left + wide and top < y < top + high for x, y in points)
    x, y, wide, high = near.frame
    assert x < 125 < 126 < x + wide
    assert y < 32 < 32.5 < y + high
    assert (whole.land, near.land, close.land) == (True, True, False)


def test_places_all_over_the_world_are_on_one_map():
    assert len(world.maps({"train": Dots(lon=[-179.0, 179.0], lat=[10.0, 12.0])})) == 1
    assert len(world.maps({})) == 1


def test_outlines_are_the_world():
    """São Tomé's gulf is sea, Brasília is land: by the even-odd rule, since no country lies in another's outline twice."""
    rings = []
    for ring in world.outlines().split("M")[1:]:
        first, steps = ring.removesuffix("z").split("l")
        start = np.array([int(n) for n in re.findall(r"-?\d+", first)])
        moves = np.array([int(n) for n in re.findall(r"-?\d+", steps)]).reshape(-1, 2)
        rings.append(np.vstack([start, start + np.cumsum(moves, axis=0)]) / 10)

    def inside(lon: float, lat: float) -> bool:
        crossings = 0
        for ring in rings:
            x, y = ring[:, 0], -ring[:, 1]
            x2, y2 = np.roll(x, -1), np.roll(y, -1)
            crosses = (y > lat) != (y2 > lat)
            at = x + (lat - y) * (x2 - x) / np.where(y2 == y, 1, y2 - y)
            crossings += int((crosses & (at > lon)).sum())
        return crossings % 2 == 1

    land = {"Brasília": (-47.9, -15.8), "Berlin": (13.4, 52.5), "Alice Springs": (133.9, -23.7), "Denver": (-105, 39.7)}
    sea = {
        "Gulf of Guinea": (4.0, 0.0),
        "mid-Atlantic": (-35.0, 30.0),
        "Pacific": (-150.0, 0.0),
        "Tasman Sea": (160, -38),
    }
    assert {name for name, at in land.items() if not inside(*at)} == set()
    assert {name for name, at in sea.items() if inside(*at)} == set()
    assert "public domain" in world.credit()
