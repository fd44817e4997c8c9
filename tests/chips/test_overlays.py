"""Overlays: boxes at the right pixels of a picture twice as large, names and a legend that can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from nutonic.chips.overlays import overlay, styles
from nutonic.core.classes import DYNAMIC_WORLD, ESA_WORLDCOVER, PALETTE, TABLES, ClassTable, ink_on
from nutonic.core.model import Region

RGB = np.random.default_rng(5).integers(0, 256, (112, 112, 3), np.uint8)


def region(class_id: int, *bbox: int, table: ClassTable = DYNAMIC_WORLD) -> Region:
    return Region(label=table.labels[class_id], class_id=class_id, bbox=bbox, area_px=1)


def colour_of(class_id: int, table: ClassTable = DYNAMIC_WORLD) -> list[int]:
    return list(bytes.fromhex(table.color(class_id)[1:]))


def test_a_box_lies_on_the_outermost_pixels_of_its_region_and_nothing_else_changes():
    drawn = overlay(RGB, [region(1, 20, 30, 100, 90)], DYNAMIC_WORLD)
    double = RGB.repeat(2, axis=0).repeat(2, axis=1)
    assert drawn.shape[1:] == (224, 3)
    assert drawn.dtype == np.uint8
    line = np.zeros((224, 224), bool)
    line[60:180, 40:200] = True
    line[62:178, 42:198] = False
    name = np.zeros((224, 224), bool)
    name[60:90, 40:120] = True  # the name is in the upper left corner of the box
    assert (drawn[:224][line & ~name] == colour_of(1)).all()
    dark = np.zeros((224, 224), bool)
    dark[62:178, 42:198] = True
    dark[63:177, 43:197] = False  # a dark line inside of it
    assert (drawn[:224][dark & ~name] == 0).all()
    rest = ~(line | dark | name)
    assert (drawn[:224][rest] == double[rest]).all()


def test_without_regions_there_is_the_picture_alone():
    assert np.array_equal(overlay(RGB, [], DYNAMIC_WORLD), RGB.repeat(2, axis=0).repeat(2, axis=1))


def test_a_box_at_the_edge_is_whole():
    drawn = overlay(RGB, [region(4, 0, 0, 112, 112)], DYNAMIC_WORLD)
    for y, x in ((223, 0), (223, 223), (0, 223), (112, 0), (112, 223), (223, 112)):
        assert drawn[y, x].tolist() == colour_of(4), (y, x)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_no_two_classes_of_a_table_look_alike(table):
    looks = styles(table)
    assert len(set(looks.values())) == len(looks) == len(table.labels)
    assert {class_id: colour for class_id, (colour, _) in looks.items()} == {c: table.color(c) for c in table.labels}


def test_classes_of_one_colour_have_different_lines():
    labels = {1: "lake", 2: "pond", 3: "river", 4: "brook"}
    table = ClassTable(
        name="wet", labels=labels, unknown=0, colors={1: "#0000ff", 2: "#0000FF", 3: "#0000ff", 4: "#ff0000"}
    )
    assert len({dashes for _, dashes in styles(table).values()}) == 3
    drawn = overlay(np.zeros((112, 112, 3), np.uint8), [region(2, 10, 10, 100, 100, table=table)], table)
    line = (drawn[20, 20:200] == [0, 0, 255]).all(axis=-1)
    assert line.any()
    assert not line.all()


def test_a_dark_box_lies_beside_a_light_line_and_its_name_is_light():
    drawn = overlay(
        np.zeros((112, 112, 3), np.uint8), [region(10, 20, 30, 100, 90, table=ESA_WORLDCOVER)], ESA_WORLDCOVER
    )
    assert drawn[120, 40:44].tolist() == [colour_of(10, ESA_WORLDCOVER)] * 2 + [[255] * 3, [0] * 3]
    assert (drawn[60:75, 40:120] > 200).all(axis=-1).any()


@pytest.mark.parametrize(
    ("color", "ink"), [("#FFFFFF", "black"), ("#000000", "white"), ("#006400", "white"), ("#ffff4c", "black")]
)
def test_ink_stands_out_from_what_it_lies_on(color, ink):
    assert ink_on(color) == ink


@pytest.mark.parametrize("color", sorted({*PALETTE, *(c for table in TABLES.values() for c in table.colors.values())}))
def test_ink_has_contrast(color):
    """Of the 4.5 to 1 that WCAG asks of text, no less than 4.1 is there on any colour of a table."""
    parts = [part / 255 for part in bytes.fromhex(color[1:])]
    light = np.dot(
        [0.2126, 0.7152, 0.0722], [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    )
    assert (1.05 / (light + 0.05) if ink_on(color) == "white" else (light + 0.05) / 0.05) > 4.1


def test_a_class_looks_the_same_whatever_else_is_drawn():
    alone = overlay(RGB, [region(2, 10, 40, 60, 100)], DYNAMIC_WORLD)
    among = overlay(RGB, [region(2, 10, 40, 60, 100), region(0, 70, 5, 110, 30)], DYNAMIC_WORLD)
    assert alone[150, 20:22].tolist() == among[150, 20:22].tolist() == [colour_of(2)] * 2


def test_the_first_region_lies_on_top_and_names_do_not_cover_each_other():
    same = (20, 20, 90, 90)
    drawn = overlay(RGB, [region(1, *same), region(2, *same)], DYNAMIC_WORLD)
    assert drawn[150, 40].tolist() == colour_of(1)
    # The second name is in another corner: its colour fills a field there.
    field = (drawn[40:55, 60:180] == colour_of(2)).all(axis=-1)
    assert field.sum() > 100


def test_a_legend_names_every_class_that_is_drawn_and_grows_with_them():
    two = overlay(RGB, [region(1, 5, 5, 40, 40), region(2, 50, 50, 90, 90)], DYNAMIC_WORLD)
    many = [region(c, 5, 5, 40, 40, table=ESA_WORLDCOVER) for c in ESA_WORLDCOVER.labels]
    all_classes = overlay(RGB, many, ESA_WORLDCOVER)
    assert all_classes.shape[0] > two.shape[0] > 224
    legend = two[224:].reshape(-1, 3).tolist()
    assert {tuple(colour_of(1)), tuple(colour_of(2))} <= set(map(tuple, legend))
    assert tuple(colour_of(4)) not in set(map(tuple, legend))


def test_the_same_picture_gives_the_same_bytes():
    regions = [region(1, 5, 5, 40, 40), region(6, 50, 50, 90, 90)]
    assert overlay(RGB, regions, DYNAMIC_WORLD).tobytes() == overlay(RGB, regions, DYNAMIC_WORLD).tobytes()
