"""Recipes that are bombs, nonsense or no files: each is refused in a moment, in a few lines, and nothing is built of it."""

from __future__ import annotations

import os
import re
import time
import tracemalloc
from pathlib import Path

import pytest
import yaml
from support import warm

from nutonic.errors import RecipeError
from nutonic.recipe.yaml import MOST_BYTES, load_recipe, parse_recipe

RECIPE = """
name: x
pois: {path: pois.csv}
imagery: {url: items.json, collection: c, datetime: 2024-01-01/2024-02-01}
labels: {source: raster, path: lc.tif, dataset: esa-worldcover}
"""


def lines_of(count: int, line: str, start: int = 0) -> str:
    return "\n".join(line.format(i=i, before=i - 1) for i in range(start, count))


#: Text of a recipe, and words of what is said of it.
TEXTS = {
    "nested lists": ("a: " + "[" * 20_000, "levels"),
    "nested maps": ("\n".join(" " * i + "a:" for i in range(1000)), "levels"),
    "nested flow maps": ("{a: " * 5000, "levels"),
    "a laugh": ("a0: &a0 [x, x, x]\n" + lines_of(30, "a{i}: &a{i} [*a{before}, *a{before}, *a{before}]", 1), "alias"),
    "merges of merges": (
        "a0: &a0 {k0: 1}\n" + lines_of(30, "a{i}: &a{i} {{<<: [*a{before}, *a{before}]}}", 1),
        "alias",
    ),
    "one anchor many times": ("a: &a [" + "x, " * 3000 + "]\n" + lines_of(3000, "b{i}: *a"), "values"),
    "one map merged many times": (
        "a: &a {" + lines_of(3000, "k{i}: 1,") + "}\n" + lines_of(3000, "b{i}: {{<<: *a}}"),
        "values",
    ),
    "a list that holds itself": ("a: &a [*a]", "alias"),
    "a map that holds itself": ("&a {b: *a}", "alias"),
    "no such anchor": ("a: *b", "undefined alias"),
    "twenty thousand keys": (lines_of(20_000, "k{i}: 1"), "more"),
    "twenty thousand keys twice": (lines_of(10_000, "k{i}: 1") + "\n" + lines_of(10_000, "k{i}: 1"), "written twice"),
    "as large as may be": (f"name: {'x' * (MOST_BYTES - 100)}", "letters"),
    "too large": (f"name: {'x' * MOST_BYTES}", "larger than 1,048,576 bytes"),
    "an object": ("name: !!python/object/apply:os.system [touch here]", "constructor"),
    "a module": ("name: !!python/module:os", "constructor"),
    "a tag of one's own": ("name: !thing x", "constructor"),
    "bytes": ('name: !!binary "eA=="', "bytes"),
    "bytes that are none": ('name: !!binary "é"', "not YAML"),
    "a set": ("name: !!set {a}", "name"),
    "a set of anchors": ("&a !!set {? *a}", "alias"),
    "pairs": ("name: !!pairs x", "pairs"),
    "an ordered map": ("!!omap [a: 1]", "holds list"),
    "no list": ("name: !!seq {}", "sequence"),
    "no map": ("name: !!map x", "not YAML"),
    "no truth": ("name: !!bool maybe", " is no "),
    "no number": ("name: !!int maybe", " is no "),
    "no float": ("name: !!float maybe", " is no "),
    "no time": ("name: !!timestamp maybe", " is no "),
    "month 13": ("name: 2024-13-45", "month"),
    "30 February": ("name: 2024-02-30T00:00:00", "day"),
    "a year of five digits": (RECIPE.replace("2024-01", "20245-01"), "datetime"),
    "six thousand digits": (f"name: {'9' * 6000}", " is no "),
    "six thousand hexadecimals": (f"name: 0x{'f' * 6000}", "64 bits"),
    "sixty to the sixty": ("name: 1" + ":59" * 60, "64 bits"),
    "a list for a key": ("? [a]\n: b", "unhashable"),
    "a map for a key": ("? {a: b}\n: c", "unhashable"),
    "a date for a key": (RECIPE + "2024-01-01: x", "Keys should be strings"),
    "nothing for a key": (RECIPE + "~: x", "Keys should be strings"),
    "two documents": ("a: 1\n---\nb: 2", "single document"),
    "a version to come": ("%YAML 9.9\n---\na: 1", "incompatible"),
    "a bell": ("name: \x07", "control characters"),
    "a bell, escaped": ('name: "\\a"', "not seen"),
    "an escape sequence": ('name: "\\e[31mred"', "not seen"),
    "text turned around": ('pois: {path: "\u202egnp.exe"}', "turns text around"),
    "half a character": ('name: "\\ud800"', "not YAML"),
    "a home of nobody": (RECIPE.replace("pois.csv", "~nosuchuser/pois.csv"), "home"),
    "nothing": ("", "holds NoneType"),
    "a text": ("just text", "holds str"),
    "a list": ("- a", "holds list"),
    "a tab": ("a:\n\t- b", "not YAML"),
    "JSON that is cut off": ('{"name": "x"', "not YAML"),
}

#: A key of a recipe, a value, and words of what is said of it.
VALUES = {
    "23 digits": ("pois.limit", 10**23, "63 bits"),
    "minus 23 digits": ("pois.jitter.seed", -(10**23), "63 bits"),
    "a seed as long as a page": ("pois.jitter.seed", 10**5000, "63 bits"),
    "an extent of 10,000 km": ("grid.extent_m", 1e7, "200000"),
    "an endless extent": ("grid.extent_m", float("inf"), "finite"),
    "pixels of nothing": ("grid.resolution_m", 1e-320, "0.01"),
    "a pixel of 10,000 km": ("grid.resolution_m", 1e7, "10000"),
    "more pixels than there are": ("grid", {"extent_m": 200_000, "resolution_m": 0.01}, "pixels a side"),
    "a tile at every pixel": ("tiles", {"size": 16, "stride": 1, "output_size": 16, "x": 1}, "not a key"),
    "a million tiles": ("grid", {"extent_m": 200_000}, None),
    "an offset round the world": ("pois.jitter.max_offset_m", 4e7, "100000"),
    "no number": ("pois.min_spacing_m", float("nan"), "finite"),
    "an end of text in a path": ("pois.path", "a\x00b", "not seen"),
    "a path of a page": ("labels.path", "x/" * 10_000, "letters"),
    "half an address": ("imagery.url", "http://[", "no URL"),
    "an address with a strange port": ("imagery.url", "http://x:port/", "no URL"),
    "a port beyond all": ("imagery.url", "http://x:99999/", "no URL"),
    "a kind of a page": ("imagery.source", "x" * 9_000, "imagery.source"),
    "lists in lists": ("imagery.assets", [[["red"]]], "imagery.assets"),
    "bytes for a name": ("name", b"x", "bytes"),
    "an object for a name": ("name", object(), "name"),
    "a surrogate": ("name", "\ud800", "not seen"),
}


@pytest.mark.long
@pytest.mark.parametrize("case", TEXTS)
def test_a_hostile_text_is_told_in_a_moment_and_a_few_lines(tmp_path, case):
    text, words = TEXTS[case]
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(RecipeError) as told:
        load_recipe(path)
    took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    message = str(told.value)
    assert words in message
    assert len(message.splitlines()) <= 5
    assert len(message) < 2000
    assert took < 10  # tracing memory makes it many times as slow
    assert peak < 100 * 2**20
    assert [each.name for each in tmp_path.iterdir()] == ["recipe.yaml"]


@pytest.mark.parametrize("case", VALUES)
def test_a_hostile_value_is_told_with_its_key(case):
    key, value, words = VALUES[case]
    content = yaml.safe_load(RECIPE)
    *folders, last = key.split(".")
    part = content
    for folder in folders:
        part = part.setdefault(folder, {})
    part[last] = value
    if words is None:
        assert parse_recipe(content).grid.extent_m == 200_000
        return
    with pytest.raises(RecipeError) as told:
        parse_recipe(content)
    assert re.search(words, str(told.value))
    assert len(str(told.value).splitlines()) <= 5
    assert len(str(told.value)) < 2000


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device"])
def test_what_is_no_file_is_no_recipe(tmp_path, kind):
    path = tmp_path / "recipe.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "device":
        path = Path("/dev/zero")
    if kind == "link to a device":
        path.symlink_to("/dev/zero")
    with pytest.raises(RecipeError, match="it is no regular file"):
        load_recipe(path)


@pytest.mark.sampled(one_in=30)
@pytest.mark.parametrize("case", TEXTS)
def test_the_command_line_says_so_and_leaves_nothing(tmp_path, case):
    path = tmp_path / "recipe.yaml"
    path.write_text(TEXTS[case][0], encoding="utf-8", errors="surrogatepass")
    done = warm.run("nutonic", "plan", path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert 1 <= len(done.stderr.splitlines()) <= 5
    assert not (tmp_path / "out").exists()


#: Values that YAML takes for what they are not, and what is told of each.
NO_VALUES = {
    "a thirteenth month": (
        "imagery: {datetime: 2017-13-16}",
        "imagery.datetime: '2017-13-16' in line 2 is no date: month",
    ),
    "a day of no month": (
        "imagery:\n  datetime: 2017-02-30",
        "imagery.datetime: '2017-02-30' in line 3 is no date: day",
    ),
    "an hour": (
        "card: {links: [a, 2020-01-01T25:00:00]}",
        "card.links.1: '2020-01-01T25:00:00' in line 2 is no date: hour",
    ),
    "no number": ("rows: {max_boxes: !!int x}", "rows.max_boxes: 'x' in line 2 is no whole number: "),
    "no yes": ("rows:\n\n  vqa: !!bool perhaps", "rows.vqa: 'perhaps' in line 4 is no yes or no: "),
    "a key": ("pois:\n  2017-13-16: x", "'2017-13-16' in line 3 is no date: month"),
    "the whole": ("---\n2017-13-16", "'2017-13-16' in line"),
}


@pytest.mark.parametrize(("text", "told"), NO_VALUES.values(), ids=NO_VALUES)
def test_a_value_that_cannot_be_is_told_with_its_key_itself_and_its_line(tmp_path: Path, text, told):
    path = tmp_path / "q.yaml"
    path.write_text(text if text.startswith("---") else f"name: x\n{text}\n", encoding="utf-8")
    with pytest.raises(RecipeError) as refused:
        load_recipe(path)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert told in line
    assert "is not YAML" not in line
