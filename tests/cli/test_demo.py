"""The demo's labels and its contact sheet: a planted scene whose classes are known, the real one, and drawings by hand."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import rasterio
import yaml
from PIL import Image
from scipy.ndimage import binary_dilation

from nutonic.cli.demo import sheet
from nutonic.cli.demo.classify import fit
from nutonic.cli.demo.data import GRID, PLACES, prepare
from nutonic.cli.demo.landcover import land_cover
from nutonic.core.classes import ClassTable
from nutonic.core.grid import transformer

# A planted scene

#: Digital numbers of blue, green, red and near infrared, and how much they vary from pixel to pixel.
LOOKS = {
    1: ((1400, 1050, 850, 550), 15),  # water
    2: ((1200, 870, 650, 1500), 40),  # trees
    3: ((1500, 1250, 1300, 1800), 40),  # fields
    4: ((1500, 1200, 1250, 1500), 350),  # built-up: as fields on the whole, but every pixel is another
}
SHAPE = (180, 240)


def planted() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Columns 60 wide of one class each, 30 rows of another across them, and a pond of 3 × 4 pixels in the fields."""
    truth = np.repeat(np.repeat([[1, 2, 3, 4]], 60, 1), SHAPE[0], 0)
    truth[150:] = 3
    truth[100:103, 150:154] = 1
    rng = np.random.default_rng(5)
    means = np.zeros((*SHAPE, 4))
    spread = np.zeros(SHAPE)
    for class_id, (mean, unrest) in LOOKS.items():
        means[truth == class_id], spread[truth == class_id] = mean, unrest
    pixels = means + spread[..., None] * rng.standard_normal((*SHAPE, 1)) + rng.normal(0, 8, (*SHAPE, 4))
    return truth, {name: pixels[..., k].astype(np.uint16) for k, name in enumerate(("blue", "green", "red", "nir"))}


def mapped(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Polygons of 12 × 12 pixels on a third of the scene, five or more to a class, and their classes."""
    polygons, classes = np.zeros(SHAPE, np.int32), [0]
    for row in range(4, 140, 24):
        for col in range(6, 240, 30):
            polygons[row : row + 12, col : col + 12] = len(classes)
            classes.append(int(truth[row, col]))
    return polygons, np.array(classes)


def test_a_planted_scene_is_labelled_as_it_was_planted():
    truth, bands = planted()
    polygons, classes = mapped(truth)
    found = land_cover(bands, polygons, classes, np.zeros(SHAPE, bool))
    assert set(found.accuracies) == {1, 2, 3, 4}
    assert not found.untold
    assert found.overall > 0.97
    sure = np.ones(SHAPE, bool)  # windows look over borders
    for border in (60, 120, 180):
        sure[:, border - 11 : border + 11] = False
    sure[139:161] = sure[96:107, 146:158] = False
    assert (found.labels == truth)[sure].mean() > 0.995
    assert (found.labels[:150, :58] == 1).all()
    assert (found.labels[100:103, 150:154] == 1).sum() >= 6  # the pond, but for its corners
    assert (found.labels[truth != 1] == 1).mean() < 0.001


def test_what_cannot_be_told_is_not_predicted_and_its_polygons_stay_unknown():
    truth, bands = planted()
    polygons, classes = mapped(truth)
    rng = np.random.default_rng(2)
    alike = np.flatnonzero((classes == 2) | (classes == 3))
    classes[rng.choice(alike, len(alike) // 3, replace=False)] = 5  # "reeds", which look like trees or like fields
    found = land_cover(bands, polygons, classes, np.zeros(SHAPE, bool))
    assert set(found.untold) == {5}
    assert found.untold[5].found < 0.7 <= min(accuracy.found for accuracy in found.accuracies.values())
    assert (found.labels[classes[polygons] == 5] == 0).all()
    assert set(np.unique(found.labels)) == {0, 1, 2, 3, 4}


def test_clouds_sand_shadows_and_contradicted_polygons_stay_unknown():
    truth, bands = planted()
    polygons, classes = mapped(truth)
    for name in bands:
        bands[name][10:80, 125:175] = 2600  # a cloud over fields
        bands[name][10:22, 70:82] = 3000  # a sand pit among trees
    polygons[110:130, 20:40] = len(classes)
    classes = np.append(classes, 3)  # "a meadow", in the lake
    shadows = np.zeros(SHAPE, bool)
    shadows[80:140, 40:70] = True  # half on water, which is told in a shadow, too
    found = land_cover(bands, polygons, classes, shadows)
    assert found.clouds[10:80, 125:175].all()
    assert not found.clouds[10:22, 70:82].any()
    assert not found.clouds[:, :60].any()
    assert (found.labels[found.clouds] == 0).all()
    assert (found.labels[11:21, 71:81] == 0).all()
    assert (found.labels[112:128, 22:38] == 0).all()
    assert (found.labels[82:138, 42:58] == 1).all()
    assert (found.labels[80:140, 62:70] == 0).all()
    assert (found.labels[40:70, 70:100] == 2).all()


def test_scores_are_the_whole_numbers_that_python_computes(monkeypatch):
    rng = np.random.default_rng(3)
    features = rng.integers(-3000, 3000, (600, 5))
    classes = np.where(features[:, 0] + features[:, 1] > 0, 7, 4)
    classifier = fit(features, classes)
    scores = classifier.scores(features)
    for row in (0, 1, 299, 599):
        mean, deviation = classifier.mean.tolist(), classifier.deviation.tolist()
        standard = [
            max(-96, min(96, (x - m) * 16 // d))
            for x, m, d in zip(features[row].tolist(), mean, deviation, strict=True)
        ]
        for place, gaussians in enumerate(classifier.gaussians.values()):
            exact = []
            for one in gaussians:
                offsets = [x - int(c) for x, c in zip(standard, one.centre.tolist(), strict=True)]
                whitened = [
                    sum(o * int(w) for o, w in zip(offsets, col, strict=True)) for col in one.whitening.T.tolist()
                ]
                exact.append(one.bonus - sum(max(-1024, min(1024, value * 8 // (16 * 64))) ** 2 for value in whitened))
            assert scores[place, row] == max(exact)
    assert list(classifier.gaussians) == [4, 7]
    assert (np.array([4, 7])[scores.argmax(axis=0)] == classes).mean() > 0.9
    monkeypatch.setattr("nutonic.cli.demo.classify._BLOCK", 17)
    np.testing.assert_array_equal(classifier.scores(features), scores)
    assert classifier.scores(features[:0]).shape == (2, 0)


# The real scene


def pixels(path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read(1)


#: Columns and rows, read off the picture: lakes, ponds of some pixels, and the lake's black ice in a cloud's shadow.
WET = [
    (1230, 290), (1160, 320), (760, 410), (930, 390), (490, 700), (1465, 60), (1260, 60), (510, 560),
    (600, 500), (20, 670), (375, 242), (460, 484), (1215, 385), (1260, 620), (1440, 535), (765, 460),
]  # fmt: skip

#: And what is no water though it is blue or dark: grey fields, roofs, a pine wood, dark soil, a town.
DRY = [(1430, 450), (1300, 485), (985, 452), (60, 30), (220, 420), (150, 100), (1490, 600), (640, 130), (1050, 520)]


def test_every_lake_is_water_and_no_field_is(demo_inputs):
    labels = pixels(demo_inputs / "landuse.tif")
    assert {at: int(labels[at[1], at[0]]) for at in WET} == dict.fromkeys(WET, 1)
    assert not [at for at in DRY if labels[at[1], at[0]] == 1]


def test_lakes_have_no_holes_and_their_neighbours_are_the_shore(demo_inputs):
    """Within the large lakes all is water; what touches water is never the middle of a field or of a wood."""
    labels = pixels(demo_inputs / "landuse.tif")
    for lake in (np.s_[270:300, 1190:1290], np.s_[388:425, 745:845], np.s_[520:600, 485:535], np.s_[690:768, 475:510]):
        assert (labels[lake] == 1).all()
    blue, red = (pixels(demo_inputs / f"{band}.tif").astype(int) for band in ("B02", "B04"))
    bluer = blue * 100 // red  # than red, per cent: ice and water by far, fields hardly
    assert np.percentile(bluer[labels == 1], 10) > np.percentile(bluer[labels == 3], 90)
    near = binary_dilation(labels == 1, iterations=1) & (labels != 1)
    assert np.median(bluer[near]) > np.median(bluer[labels == 3])  # a shore's pixels are half water


def test_the_labels_cover_the_scene_but_for_clouds(demo_inputs):
    labels = pixels(demo_inputs / "landuse.tif")
    blue = pixels(demo_inputs / "B02.tif")
    assert (labels[blue > 2600] == 0).mean() > 0.97  # clouds, and a few roofs
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}
    recipe = yaml.safe_load((demo_inputs / "recipe.yaml").read_text("utf-8"))
    assert set(recipe["labels"]["dataset"]["classes"]) == {1, 2, 3, 4}
    assert (labels > 0).mean() > 0.82  # of all, clouds and their shadows included, which are 15 %
    to_grid = transformer("EPSG:4326", str(GRID.crs))
    for name, place in PLACES.items():
        x, y = to_grid.transform(*place)
        col, row = ~GRID.affine @ (x, y)
        square = np.s_[round(row) - 96 : round(row) + 96, round(col) - 96 : round(col) + 96]
        assert labels[square].shape == (192, 192), name
        assert (labels[square] > 0).mean() >= 0.93, name
        assert (blue[square] > 2600).mean() < 0.003, name
    assert len(PLACES) == 12


def test_the_accuracy_on_polygons_held_out_is_kept_and_told(demo_inputs):
    accuracy = json.loads((demo_inputs / "accuracy.json").read_text())
    assert accuracy["overall"] >= 0.75
    assert accuracy["predicted"]["water"]["found"] >= 0.9
    assert all(one["found"] >= 0.7 for one in accuracy["predicted"].values())
    assert list(accuracy["left unknown"]) == ["wetland"]
    assert accuracy["left unknown"]["wetland"]["found"] < 0.7
    recipe = " ".join((demo_inputs / "recipe.yaml").read_text("utf-8").replace("\n# ", " ").split())
    assert accuracy["text"] in recipe
    assert f"{accuracy['overall']:.0%} of the pixels" in accuracy["text"]
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text("utf-8").split())
    assert f"the right one on {100 * accuracy['overall']:.0f} % of the pixels" in readme
    assert all(f"{name} {100 * one['found']:.0f} %" in readme for name, one in accuracy["predicted"].items())


def test_the_five_lines_of_the_readme_run(demo_inputs, monkeypatch, tmp_path):
    """As they stand, where the demo was made."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    lines, more = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[:2]
    (tmp_path / "demo").symlink_to(demo_inputs.parent)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(lines, names)
    assert set(names["cube"].data_vars) == {"red", "green", "blue", "label"}
    assert dict(names["cube"].sizes) == {"y": names["recipe"].side, "x": names["recipe"].side}
    assert "nt.build(recipe" in more


def test_the_labels_are_the_same_bytes_everywhere(demo_inputs):
    labels = pixels(demo_inputs / "landuse.tif")
    assert hashlib.sha256(labels.tobytes()).hexdigest()[:16] == "6027b201171b75ca"
    before = (demo_inputs / "landuse.tif").stat().st_mtime_ns
    prepare(demo_inputs)  # finds its work done
    assert (demo_inputs / "landuse.tif").stat().st_mtime_ns == before


# The contact sheet

TABLE = ClassTable(
    name="two", labels={1: "water", 2: "trees and scrub"}, unknown=0, colors={1: "#56b4e9", 2: "#009e73"}
)


def region(class_id: int, bbox: list[int], area_px: int):
    return {"class_id": class_id, "label": TABLE.labels[class_id], "bbox": bbox, "area_px": area_px}


def sample(regions, caption="A lake."):
    sidecar = {"tile_id": "lake_t0000", "split": "test", "caption": caption, "regions": regions}
    return sheet.Sample(rgb=Image.new("RGB", (100, 100), "#808080"), sidecar=sidecar)


def test_boxes_are_of_large_compact_regions_two_of_a_class():
    thin = region(1, [0, 0, 100, 100], 900)
    lakes = [region(1, [0, 0, 50, 40], 1900), region(1, [60, 0, 90, 30], 890), region(1, [0, 60, 30, 90], 880)]
    tiny = region(2, [50, 50, 57, 90], 250)
    assert sheet.boxed_regions(sample([thin, *lakes, tiny])) == lakes[:2]
    size = sample([]).rgb.width
    around = {**lakes[0], "bbox": [0, 0, size, size], "area_px": size * size}  # of which nothing is seen
    assert sheet.boxed_regions(sample([around, *lakes])) == lakes[:2]


def test_a_box_is_drawn_where_its_region_is_with_its_name():
    picture = np.array(sheet.with_boxes(sample([region(1, [10, 20, 60, 70], 2400)]), TABLE, 400))
    color = np.array([0x56, 0xB4, 0xE9])
    for row, col in ((82, 100), (277, 100), (150, 42), (150, 237)):  # inside the four edges of x 40 to 239, y 80 to 279
        assert (picture[row, col] == color).all() or (picture[row, col] == 0).all()
    assert (picture[150, 42] == color).all()
    changed = (picture != 0x80).any(axis=2)
    rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (rows[0], rows[-1], cols[0], cols[-1]) == (80, 279, 40, 239)
    plate = (picture[84:104, 44:] == color).all(axis=2)
    assert plate.sum() > 500


def test_a_class_without_a_colour_of_its_own_is_drawn_in_that_of_its_table():
    bare = ClassTable(name="bare", labels=TABLE.labels, unknown=0, colors={})
    regions = [region(1, [10, 20, 60, 70], 2400)]
    assert np.array_equal(sheet.with_boxes(sample(regions), bare, 400), sheet.with_boxes(sample(regions), TABLE, 400))
    sheets = [np.array(sheet.contact_sheet([sample(regions)], table)) for table in (bare, TABLE)]
    assert np.array_equal(*sheets)
    assert (sheets[0][14:30, 16:32].reshape(-1, 3) == [0x56, 0xB4, 0xE9]).all(axis=1).any()


def test_names_hide_no_other_names():
    boxes = [region(1 + k % 2, [0, 0, 100 - 3 * k, 100 - 3 * k], 9000 - 900 * k) for k in range(4)]
    plain = sheet.with_boxes(sample([]), TABLE, 448)
    taken = []
    for one in boxes:
        box = tuple(4.48 * value for value in one["bbox"])
        plate = sheet._draw_name(sheet.ImageDraw.Draw(plain), box, one["label"], "#ffffff", (448, taken))
        assert not any(sheet._overlap(plate, other) for other in taken)
        assert 0 <= plate[0] < plate[2] < 448
        assert 0 <= plate[1] < plate[3] < 448
        taken.append(plate)


def test_captions_are_whole_and_no_line_is_too_wide():
    text = " ".join(f"word{k} of a long caption," for k in range(60))
    font = sheet.font(15)
    lines = sheet.lines_of(text, 300, font)
    assert " ".join(lines) == text
    assert max(font.getlength(line) for line in lines) <= 300
    short, long = (sheet.contact_sheet([sample([], caption)], TABLE) for caption in ("A lake.", text))
    written = np.array(long.convert("L"))[sheet._LEGEND + 448 + 8 :] < 128
    count = len(sheet.lines_of(f"lake_t0000 (test): {text}", 448, font))
    assert long.height - short.height == (count - 1) * 20
    assert written[-sheet._GAP :].sum() == 0  # nothing is cut off below
    assert written[-2 * sheet._GAP - 20 : -sheet._GAP].any()  # and the last line is there
