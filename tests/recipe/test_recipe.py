"""Recipes: product.md's defaults, one digest for one dataset, paths, intervals and class tables."""

from __future__ import annotations

import datetime as dt
import sys
from subprocess import check_output

import pytest
import yaml
from pydantic import ValidationError
from support.paths import ROOT

from nutonic.core.classes import TABLES
from nutonic.core.times import Interval, as_interval, parse_moment, utc_text
from nutonic.errors import InputError, RecipeError
from nutonic.recipe.recipe import CHOICES, Recipe
from nutonic.recipe.source_kinds import NEEDED, SOURCES
from nutonic.recipe.yaml import load_recipe, parse_recipe, parse_recipe_text
from nutonic.rows.slots import LETTERS

#: product.md's recipe, word for word; of it the keys that exist so far. What is required has the value given here.
PRODUCT = yaml.safe_load("""
name: my-dataset
pois:
  path: pois.csv
  columns: {id: null, lon: null, lat: null, point: null}
  keep: []
  limit: null
  min_spacing_m: 0
  jitter: {variants: 0, max_offset_m: 300, seed: 0}
  unsigned: false
  requester_pays: false
  bearer: {}
grid: {resolution_m: 10, extent_m: 5120, lattice: ten_metre}
imagery:
  source: stac
  url: https://earth-search.aws.element84.com/v1
  collection: sentinel-2-l2a
  datetime: 2024-04-01/2024-10-31
  max_cloud_cover: 20
  assets: [red, green, blue]
  engine: stackstac
  sign: null
  allow_hosts: []
  keep_query: []
  unsigned: false
  requester_pays: false
  bearer: {}
  project: null
  scale: null
  offset: null
  nodata: null
labels:
  source: raster
  path: land_cover.tif
  dataset: dynamic-world
  remap: {}
  url: null
  collection: null
  asset: null
  year: null
  sign: null
  allow_hosts: []
  keep_query: []
  unsigned: false
  requester_pays: false
  bearer: {}
  band: null
  rule: null
  windows_days: null
  project: null
tiles: {size: 512, stride: 512, output_size: 224, min_valid_fraction: 0.95, min_label_fraction: 0.35}
quality: {max_cloud: 0.1, max_shadow: 0.2, max_snow: 1.0, max_nodata: null, classes: scl}
stretch: {low: 2, high: 98, scope: tile}
rows: {captions: [full], grounding: true, per_class: true, per_class_grounding: true, absence: false, vqa: false,
       choice: false, referring: false, cross_view: false, whole_image: 0.9, min_class_fraction: 0.05, max_classes: 9,
       min_region_px: 50, max_regions_per_class: 24, max_boxes: 12, min_box_fill: 0.3, min_box_px: 6, shares: percent,
       prompt: [], wording: builtin, overlays: false, augment: [], polish: null}
splits: {train: 0.8, validation: 0.1, test: 0.1, by: place, block_km: 50}
output: {files_per_dir: 8000, rows_per_file: null, format: files}
context:
  mapbox: {enabled: false, style: mapbox/satellite-v9, zoom: 12, size: 1280, url: null,
           token_variable: MAPBOX_ACCESS_TOKEN, attribution: null}
card: {licence: null, citation: null, attribution: null, links: [], text: null}
cube: {area: null, chunk: 1024, mask: null, reduce: null, warp: true, on_damage: raise}
""")
REQUIRED = {
    "name": "my-dataset",
    "pois": {"path": "pois.csv"},
    "imagery": {
        "url": "https://earth-search.aws.element84.com/v1",
        "collection": "sentinel-2-l2a",
        "datetime": "2024-04-01/2024-10-31",
    },
    "labels": {"source": "raster", "path": "land_cover.tif"},
}
OWN = {"name": "mine", "classes": {1: "water", 2: "forest"}, "unknown": 0}


def recipe(**parts) -> Recipe:
    """The least recipe with values replaced, by part."""
    merged = {k: {**REQUIRED.get(k, {}), **v} if isinstance(v, dict) else v for k, v in parts.items()}
    return parse_recipe({**REQUIRED, **merged})


def problem(content) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(content)
    return str(caught.value)


# Defaults


def leaves(value, path=""):
    """Dotted key and value of everything in a mapping."""
    if isinstance(value, dict):
        return {k: v for name, part in value.items() for k, v in leaves(part, f"{path}.{name}".strip(".")).items()}
    return {path: value}


def test_the_defaults_are_product_mds():
    assert leaves(recipe().model_dump(mode="json")) == leaves(PRODUCT)


@pytest.mark.parametrize("key", sorted(set(leaves(REQUIRED)) - {"labels.path", "imagery.url"}))
def test_what_is_required_has_no_default(key):
    part, _, name = key.partition(".")
    without = {k: dict(v) if isinstance(v, dict) else v for k, v in REQUIRED.items()}
    if name:
        del without[part][name]
    else:
        del without[part]
    assert problem(without) == f"recipe: {key} is missing"


# The digest

PIXELS_AND_ROWS = [
    ("pois", "limit", 5), ("pois", "min_spacing_m", 100), ("pois", "jitter", {"variants": 1}),
    ("pois", "jitter", {"variants": 2}), ("pois", "jitter", {"variants": 2, "max_offset_m": 301}),
    ("pois", "jitter", {"variants": 2, "seed": 1}),
    ("grid", "resolution_m", 5), ("grid", "extent_m", 5130), ("grid", "lattice", "source"),
    ("imagery", "collection", "sentinel-2-l1c"), ("imagery", "datetime", "2024-04-01/2024-10-30"),
    ("imagery", "max_cloud_cover", 21), ("imagery", "assets", ["nir", "red", "green"]),
    ("imagery", "assets", ["blue", "green", "red"]),
    ("labels", "dataset", "esa-worldcover"), ("labels", "dataset", "dynamic-world"), ("labels", "dataset", OWN),
    ("labels", "dataset", {**OWN, "unknown": 3}), ("labels", "dataset", {**OWN, "classes": {1: "forest", 2: "water"}}),
    ("tiles", "size", 256), ("tiles", "stride", 256), ("tiles", "output_size", 256),
    ("tiles", "min_valid_fraction", 0.36), ("tiles", "min_label_fraction", 0.36),
    ("quality", "max_cloud", 0.2), ("quality", "max_shadow", 0.1), ("quality", "max_snow", 0.5),
    ("quality", "max_nodata", 0.5), ("quality", "classes", None), ("quality", "classes", {"asset": "qa", "cloud": [1]}),
    ("quality", "classes", {"asset": "qa", "cloud": [2]}),
    ("stretch", "low", 1), ("stretch", "high", 99), ("stretch", "scope", "poi"),
    ("rows", "captions", []), ("rows", "captions", ["full", "brief"]), ("rows", "absence", True), ("rows", "vqa", True),
    ("rows", "choice", True), ("rows", "referring", True), ("rows", "cross_view", True), ("rows", "whole_image", 0.8),
    ("rows", "max_boxes", 11), ("rows", "min_box_fill", 0.2), ("rows", "min_box_px", 5), ("rows", "shares", "words"),
    ("rows", "prompt", ["date"]), ("rows", "overlays", True), ("rows", "wording", {"absence": "ask: ['Is there {{ c }}?']"}),
    ("rows", "grounding", False), ("rows", "per_class", False),
    ("rows", "per_class_grounding", False), ("rows", "min_class_fraction", 0.06), ("rows", "max_classes", 8),
    ("rows", "min_region_px", 51), ("rows", "max_regions_per_class", 23), ("rows", "augment", ["flip"]),
    ("rows", "augment", ["r90"]),
    ("splits", "by", "block"),
]  # fmt: skip


def test_whatever_determines_pixels_or_rows_changes_the_digest():
    variants = [recipe(**{part: {name: value}}) for part, name, value in PIXELS_AND_ROWS]
    shares = recipe(splits={"train": 0.7, "validation": 0.2, "test": 0.1})
    digests = [r.digest() for r in (*variants, shares)]
    repeated = [entry[:2] for i, entry in enumerate(PIXELS_AND_ROWS) if digests[i] in digests[:i]]
    assert repeated == []
    # One of the two class tables is the default, so exactly one entry is the plain recipe.
    assert digests.count(recipe().digest()) == 1
    assert all(len(d) == 64 and int(d, 16) for d in digests)


def test_of_earth_engine_what_determines_pixels_changes_the_digest_and_who_asks_does_not():
    def digest(**labels) -> str:
        return parse_recipe({**REQUIRED, "labels": {"source": "earthengine", **labels}}).digest()

    own = {"collection": "projects/me/assets/cover", "band": "classes", "dataset": OWN}
    changes = [
        *({}, {"collection": "projects/me/assets/cover"}, {"band": "classes"}, {"rule": "nearest"}),
        *({"windows_days": [7, 30]}, {"dataset": "esa-worldcover"}, {"dataset": "esa-worldcover", "year": 2021}, own),
    ]
    assert len({digest(**change) for change in changes}) == len(changes)
    assert digest(project="mine") == digest(url="http://127.0.0.1:8000") == digest()


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("pois", "path", "/elsewhere/places.csv"),
        ("imagery", "url", "/elsewhere/catalog.json"),
        ("labels", "path", "/elsewhere/labels.tif"),
    ],
)
def test_where_things_lie_does_not_change_the_digest(part, name, value):
    assert recipe(**{part: {name: value}}).digest() == recipe().digest()


def test_how_scenes_are_read_does_not_change_the_digest():
    plain = recipe()
    imagery = plain.imagery.model_copy(update={"engine": "odc-stac"})  # not to be had yet, but never in the digest
    assert plain.model_copy(update={"imagery": imagery}).digest() == plain.digest()


def test_a_default_spelled_out_is_the_same_recipe():
    spelled = {**PRODUCT, "labels": {**PRODUCT["labels"], "dataset": recipe().labels.dataset}}
    assert parse_recipe(spelled).digest() == recipe().digest()
    assert recipe(grid={"extent_m": 5120.0}).digest() == recipe(grid={"extent_m": 5120}).digest() == recipe().digest()


def test_the_order_of_keys_does_not_matter():
    mirrored = dict(
        reversed({k: dict(reversed(v.items())) if isinstance(v, dict) else v for k, v in REQUIRED.items()}.items())
    )
    assert list(mirrored) != list(REQUIRED)
    assert parse_recipe(mirrored).digest() == recipe().digest()


# Values


@pytest.mark.parametrize(
    "part", [None, "pois", "grid", "imagery", "labels", "tiles", "stretch", "rows", "splits", "output"]
)
def test_a_recipe_is_frozen(part):
    value = recipe() if part is None else getattr(recipe(), part)
    name = next(iter(type(value).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(value, name, getattr(value, name))


@pytest.mark.parametrize("dataset", ["dynamic-world", {**OWN, "colors": {1: "#0064c8"}}], ids=["known", "own"])
def test_the_text_is_the_recipe_without_this_machine(dataset, tmp_path):
    file = tmp_path / "recipe.yaml"
    parts = {**REQUIRED, "imagery": {**REQUIRED["imagery"], "url": "sub/items.json"}, "tiles": {"size": 64}}
    file.write_text(yaml.safe_dump({**parts, "labels": {**REQUIRED["labels"], "dataset": dataset}}))
    loaded = load_recipe(file)
    assert loaded.pois.path == str(tmp_path / "pois.csv")
    assert loaded.imagery.url == str(tmp_path / "sub" / "items.json")
    assert loaded.labels.path == str(tmp_path / "land_cover.tif")
    text = loaded.text()
    assert str(tmp_path) not in text
    assert not any(str(value).startswith("/") for value in leaves(yaml.safe_load(text)).values())
    again = parse_recipe_text(text)
    assert again.digest() == loaded.digest()
    assert again.text() == text
    assert (again.pois.path, again.imagery.url, again.labels.path) == ("pois.csv", "items.json", "land_cover.tif")


def test_paths_are_relative_to_the_recipe_and_absolute_ones_stay(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    content = {**REQUIRED, "pois": {"path": "../up.csv"}, "labels": {"source": "raster", "path": "/data/labels.tif"}}
    (tmp_path / "sub" / "recipe.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    loaded = load_recipe("sub/recipe.yaml")
    assert loaded.pois.path == str(tmp_path / "sub" / ".." / "up.csv")
    assert loaded.labels.path == "/data/labels.tif"
    assert loaded.imagery.url == REQUIRED["imagery"]["url"]  # an address is no path


def test_a_recipe_shows_itself_on_a_screen(tmp_path):
    path = tmp_path / "recipe.yaml"
    url = "https://example.org/stac?token=secret"
    path.write_text(yaml.safe_dump({**REQUIRED, "imagery": {**REQUIRED["imagery"], "url": url}}))
    whole = load_recipe(path)
    lines = repr(whole).splitlines()
    assert lines[0] == "Recipe my-dataset"
    assert [line.split()[0] for line in lines[1:]] == ["pois", "imagery", "labels"]  # what else is at its default
    assert "  pois     path: pois.csv" in lines
    assert max(map(len, lines)) <= 125
    assert "https://example.org/stac" in repr(whole)
    for shown in (repr(whole), str(whole), whole._repr_html_()):
        assert "secret" not in shown
        assert str(tmp_path) not in shown
    assert "<script>" not in recipe(card={"attribution": "<script>x</script>"})._repr_html_()


@pytest.mark.parametrize(("classes", "told"), [(4, 1), (5, 0)])
def test_a_choice_of_more_classes_than_there_are_is_told(classes, told):
    own = {"name": "own", "unknown": 0, "classes": {k: f"class {k}" for k in range(1, classes + 1)}}
    asked = recipe(labels={"dataset": own}, rows={"choice": True}).in_vain
    assert len(asked) == told
    assert all("rows.choice asks to choose from 5 classes, and labels.dataset has 4" in line for line in asked)
    assert recipe(labels={"dataset": own}).in_vain == ()
    assert len(LETTERS) == CHOICES


def test_an_anchor_may_be_merged():
    text = yaml.safe_dump(REQUIRED) + "tiles: {<<: {size: 64, stride: 64}, stride: 32}\n"
    assert parse_recipe_text(text).digest() == recipe(tiles={"size": 64, "stride": 32}).digest()


@pytest.mark.parametrize(
    ("part", "content", "expected"),
    [
        ("tiles", {"size": -64}, "recipe: tiles.size: Input should be greater than or equal to 16, not -64"),
        ("tiles", {"stride": 0}, "recipe: tiles.stride: Input should be greater than or equal to 1, not 0"),
        ("tiles", {"strid": 64}, "recipe: tiles.strid is not a key of a recipe: did you mean stride?"),
        ("stretch", {"low": 200}, "recipe: stretch.low: Input should be less than or equal to 100, not 200"),
        ("stretch", {"low": 98}, "recipe: stretch: low (98) must be below high (98)"),
        ("splits", {"train": 0.9}, "recipe: splits: train + validation + test is 1.1, not 1"),
        ("rows", {"augment": ["flip", "flip"]}, "recipe: rows.augment: names one twice: ['flip', 'flip']"),
        (
            "imagery",
            {"assets": ["red", "red", "blue"]},
            "recipe: imagery.assets: names an asset twice: ['red', 'red', 'blue']",
        ),
        (
            "imagery",
            {"datetime": "spring"},
            "recipe: imagery.datetime: 'spring' is not a date: write 2024-04-01/2024-10-31",
        ),
        ("pois", {"jitter": {"seeed": 1}}, "recipe: pois.jitter.seeed is not a key of a recipe: did you mean seed?"),
        ("pois", {"zzz": 1}, "recipe: pois.zzz is not a key of a recipe"),
        (
            "grid",
            {"extent_m": 5125},
            "recipe: an extent of 5125.0 m is not a whole number of 10.0 m pixels: see grid.extent_m and grid.resolution_m",
        ),
        (
            "labels",
            {"dataset": "worldcover"},
            "recipe: labels.dataset: no class table 'worldcover': use one of dynamic-world, esa-worldcover, io-lulc or one "
            "of your own",
        ),
    ],
)
def test_a_mistake_is_told_with_its_key_and_value(part, content, expected):
    told = problem({**REQUIRED, part: {**REQUIRED.get(part, {}), **content}})
    assert told.replace("recipe: recipe: ", "recipe: ") == expected


def test_what_a_kind_of_source_needs_is_said_beside_its_name(monkeypatch):
    """A kind that is new says it in a line, of imagery as of labels; nothing else knows of it."""
    assert {*NEEDED} <= {*SOURCES}
    without = {key: value for key, value in REQUIRED["imagery"].items() if key not in ("source", "url")}
    for part, content, needed in (("imagery", without, ("url", "project")), ("labels", {}, ("path", "band"))):
        monkeypatch.setitem(SOURCES, (part, "mine"), "nowhere:Nobody")
        assert parse_recipe({**REQUIRED, part: {**content, "source": "mine"}}) is not None
        monkeypatch.setitem(NEEDED, (part, "mine"), needed)
        told = problem({**REQUIRED, part: {**content, "source": "mine", needed[0]: "there"}})
        assert told == f"recipe: {part}: needs {needed[1]} where source is mine"
    told = problem({**REQUIRED, "imagery": {**without, "source": "stac"}})
    assert told == "recipe: imagery: needs url where source is stac"


@pytest.mark.parametrize(
    ("kind", "other"), [("nutonic", "nutonic.recipe.patches"), ("rsteller", "nutonic.recipe.recipe")]
)
def test_of_two_kinds_of_recipes_only_the_one_that_is_read_is_imported(kind: str, other: str):
    script = f"import sys, nutonic as nt; nt.load_recipe('recipes/{kind}.yaml'); print({other!r} in sys.modules)"
    assert check_output([sys.executable, "-c", script], cwd=ROOT, text=True) == "False\n"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"source": "raster"}, "labels: needs path where source is raster"),
        ({"source": "raster", "path": "a.tif", "year": 2020}, "labels: has year, which a source raster does not use"),
        ({"source": "stac"}, "labels: needs url, collection, asset where source is stac"),
        ({"source": "earthengine", "dataset": OWN}, "labels: needs collection, band where source is earthengine"),
        ({"source": "earthengine", "asset": "a"}, "labels: has asset, which a source earthengine does not use"),
        ({"source": "stac", "rule": "mode"}, "labels: needs url"),
        ({"source": "earthengine", "year": 2020}, "labels: has year, which is for the rule mosaic: mode looks"),
        (
            {"source": "earthengine", "rule": "mosaic", "windows_days": [7]},
            "labels: has windows_days, which the rule mo",
        ),
        (
            {"source": "earthengine", "windows_days": [30, 7]},
            "labels.windows_days: [30, 7] are no windows: write whole days",
        ),
        (
            {"source": "earthengine", "windows_days": [300]},
            "labels.windows_days: [300] are no windows: write",
        ),
        ({"source": "earthengine", "rule": "newest"}, "labels.rule: Input should be 'mode', 'nearest' or 'mosaic'"),
        (
            {"source": "stac", "dataset": "io-lulc", "path": "a.tif"},
            "labels: has path, which a source stac does not use",
        ),
        (
            {"source": "stac", "dataset": "io-lulc", "allow_hosts": ["http://x.org"]},
            "labels.allow_hosts.0: is 'http://x.org', no host: write example.org",
        ),
    ],
)
def test_labels_need_what_their_source_needs(labels, expected):
    assert problem({**REQUIRED, "labels": labels}).startswith(f"recipe: {expected}")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1, 0, "big", None])
def test_an_extent_is_a_positive_finite_number(number):
    assert "grid.extent_m" in problem({**REQUIRED, "grid": {"extent_m": number}})


def test_yes_is_no_number():
    # YAML reads `limit: yes` as true, and Python takes true for 1: a dataset of one place.
    assert "pois.limit" in problem({**REQUIRED, "pois": {"path": "pois.csv", "limit": True}})


def test_many_mistakes_fit_into_five_lines():
    told = problem({**REQUIRED, "a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}).splitlines()
    assert len(told) == 4
    assert told[-1] == "… and 3 more"
    four = problem({**REQUIRED, "a": 1, "b": 2, "c": 3, "d": 4}).splitlines()
    assert [line.split(" is not a key")[0][-1] for line in four] == ["a", "b", "c", "d"]


# Intervals


def utc(*parts):
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024-04-01/2024-10-31", utc(2024, 4, 1), utc(2024, 10, 31, 23, 59, 59, 999999)),
        ("2024-04-01", utc(2024, 4, 1), utc(2024, 4, 1, 23, 59, 59, 999999)),
        ("2024-04-01/2024-04-01", utc(2024, 4, 1), utc(2024, 4, 1, 23, 59, 59, 999999)),
        ("2024-04-01T10:00:00Z/2024-04-01T11:30:00Z", utc(2024, 4, 1, 10), utc(2024, 4, 1, 11, 30)),
        ("2024-04-01T10:00:00/2024-04-02", utc(2024, 4, 1, 10), utc(2024, 4, 2, 23, 59, 59, 999999)),
        ("2024-04-01T00:30:00+02:00/2024-04-02", utc(2024, 3, 31, 22, 30), utc(2024, 4, 2, 23, 59, 59, 999999)),
        ("2024-02-29 / 2024-03-01", utc(2024, 2, 29), utc(2024, 3, 1, 23, 59, 59, 999999)),
    ],
)
def test_an_interval_holds_both_its_ends(text, start, end):
    period = Interval.parse(text)
    assert (period.start, period.end) == (start, end)
    assert {period.start.utcoffset(), period.end.utcoffset()} == {dt.timedelta(0)}
    assert Interval.parse(period.isoformat()) == Interval.parse(str(period)) == period
    assert period.contains(start)
    assert period.contains(end)
    assert period.contains(period.middle)
    assert not period.contains(end + dt.timedelta(microseconds=1))
    assert not period.contains(start - dt.timedelta(microseconds=1))


def test_an_interval_is_told_as_people_and_as_stac_write_it():
    days, day, hours = map(
        Interval.parse, ("2024-04-01/2024-10-31", "2024-04-01", "2024-04-01T10:00:00+02:00/2024-04-02")
    )
    assert [str(days), str(day), str(hours)] == [
        "2024-04-01/2024-10-31",
        "2024-04-01",
        "2024-04-01T08:00:00Z/2024-04-02T23:59:59.999999Z",
    ]
    assert days.isoformat() == "2024-04-01T00:00:00Z/2024-10-31T23:59:59.999999Z"
    assert Interval.parse("2024-05-01/2024-05-02").middle == utc(2024, 5, 2)


def test_what_public_functions_take_as_a_time():
    period = Interval.parse("2024-04-01")
    assert as_interval(None) is None
    assert as_interval(period) is period
    assert as_interval("2024-04-01") == period
    for text in ("soon", "0001-01-01T00:00:00+05:00"):
        with pytest.raises(InputError, match="is not a date: write 2024-04-01/2024-10-31"):
            as_interval(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2024-05-01T10:21:01Z", "2024-05-01T10:21:01Z"),
        ("2024-05-01T10:21:01.024000Z", "2024-05-01T10:21:01.024000Z"),
        ("2024-05-01T12:21:01+02:00", "2024-05-01T10:21:01Z"),
        ("2024-05-01T10:21:01", "2024-05-01T10:21:01Z"),
    ],
)
def test_a_moment_is_told_in_utc(text, told):
    assert utc_text(parse_moment(text)) == told
    assert utc_text(dt.datetime.fromisoformat(text)) == told


@pytest.mark.parametrize("text", ["", "spring", "2023-02-29", "2024-04-01/soon", "2024-04-01/..", "2024-4-1/x"])
def test_what_is_no_date_is_named(text):
    with pytest.raises(ValueError, match=r"is not a date: write 2024-04-01/2024-10-31"):
        Interval.parse(text)


def test_an_interval_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="'2024-10-31/2024-04-01' ends before it starts"):
        Interval.parse("2024-10-31/2024-04-01")


def test_a_date_that_yaml_reads_as_one_is_taken():
    text = yaml.safe_dump(REQUIRED).replace("2024-04-01/2024-10-31", "2024-04-01")
    assert isinstance(yaml.safe_load(text)["imagery"]["datetime"], dt.date)
    assert parse_recipe_text(text).imagery.datetime == "2024-04-01"


# Class tables


def test_an_own_class_table_is_used_as_written():
    dataset = {"name": "mine", "classes": {0: "Open  Water", 7: "Tree Cover"}, "unknown": 255, "colors": {7: "#00FF00"}}
    table = recipe(labels={"dataset": dataset}).labels.table
    assert (table.name, dict(table.labels), table.unknown) == ("mine", {0: "open water", 7: "tree cover"}, 255)
    assert dict(table.colors) == {7: "#00FF00"}


@pytest.mark.parametrize("name", ["esa-worldcover", "dynamic-world"])
def test_a_known_class_table_is_taken_by_name(name):
    assert recipe(labels={"dataset": name}).labels.table is TABLES[name]
    assert TABLES[name].unknown not in TABLES[name].labels
    assert all(label == label.lower() for label in TABLES[name].labels.values())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"unknown": 1}, "uses 1 both as a class and as unknown"),
        ({"classes": {1: "Water", 2: " water"}}, "needs a label of its own for every class"),
        ({"classes": {1: " "}}, "needs a label of its own for every class"),
        ({"classes": {}}, "at least 1 item"),
        ({"classes": {256: "far"}}, "less than or equal to 255"),
        ({"classes": {-1: "far"}}, "greater than or equal to 0"),
        ({"unknown": 300}, "less than or equal to 255"),
        ({"colors": {1: "green"}}, "labels.dataset.colors.1"),
        ({"colour": {}}, "labels.dataset.colour is not a key of a recipe: did you mean colors?"),
        ({"name": "../mine"}, "labels.dataset.name"),
    ],
)
def test_a_class_table_that_cannot_be_is_refused(change, expected):
    told = problem({**REQUIRED, "labels": {**REQUIRED["labels"], "dataset": {**OWN, **change}}})
    assert expected in told
    assert "labels.dataset" in told
