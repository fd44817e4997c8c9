"""Words for shapes against shapes whose measures have closed forms."""

import math

import numpy as np
import pytest
import shapely
import shapely.affinity
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Point, Polygon, box
from support.plants import disc, rectangle

from nutonic.chips.scene.shapes import area_words, line_words

#: The eight directions by their angle from north, clockwise.
WAYS = (
    "north to south", "north-north-east to south-south-west", "north-east to south-west",
    "east-north-east to west-south-west", "east to west", "west-north-west to east-south-east",
    "north-west to south-east", "north-north-west to south-south-east",
)  # fmt: skip
L = Polygon([(0, 0), (60, 0), (60, 20), (20, 20), (20, 90), (0, 90)])
STAR = Polygon([((40 if k % 2 else 14) * math.cos(k * math.pi / 5), (40 if k % 2 else 14) * math.sin(k * math.pi / 5))
                for k in range(10)])  # fmt: skip


def polygon(corners: int, radius: float = 30.0):
    return Polygon([(radius * math.cos(2 * math.pi * k / corners), radius * math.sin(2 * math.pi * k / corners))
                    for k in range(corners)])  # fmt: skip


def word(shape, *, cut: bool = False):
    return area_words(shape, cut=cut)[0]


def ellipse(across: float, along: float):
    return shapely.affinity.scale(disc(1.0, (0, 0)), across, along)


@pytest.mark.parametrize(
    ("shape", "called"),
    [
        (rectangle(50, 50), "square"),
        (rectangle(50, 50, 31), "square"),
        (rectangle(57, 50, 12), "square"),  # 1.14
        (rectangle(58, 50, 12), "rectangular"),  # 1.16
        (rectangle(100, 40, 70), "rectangular"),
        (rectangle(149, 50, 5), "rectangular"),  # 2.98
        (rectangle(151, 50, 5), "elongated"),  # 3.02
        (ellipse(20, 65), "elongated"),
        (disc(30), "round"),
        (polygon(8), "round"),  # 4π area / perimeter² is π / (8 tan(π/8)) = 0.948
        (polygon(6), "compact"),  # 0.907, and fills 0.866 of its rectangle
        (polygon(3), "compact"),  # π / (3 √3) = 0.605: a triangle is never rectangular
        (ellipse(20, 22.5), "round"),
        (ellipse(20, 26), "compact"),  # 0.967, but an oval
        (ellipse(20, 38), "compact"),
        (L, "irregular"),
        (STAR, "irregular"),
        (disc(40).difference(disc(24)), "irregular"),  # a ring: 0.64 of its hull
    ],
)
def test_an_area_is_called_by_its_measures(shape, called):
    assert word(shape) == called
    assert word(shapely.affinity.scale(shape, 7, 7)) == called


def test_a_cut_area_is_not_said_to_be_what_its_edge_made_of_it():
    assert word(rectangle(50, 50), cut=True) is None
    assert word(disc(30), cut=True) is None
    assert word(rectangle(151, 50, 5), cut=True) == "elongated"
    assert word(STAR, cut=True) == "irregular"


def test_pieces_have_no_one_shape_unless_one_is_nearly_all():
    far = shapely.affinity.translate(rectangle(50, 50), 200, 0)
    assert area_words(MultiPolygon([rectangle(50, 50), far]), cut=False) == (None, None)
    crumb = shapely.affinity.translate(rectangle(15, 15), 200, 0)  # 225 of 2725 m²
    assert word(MultiPolygon([rectangle(50, 50), crumb])) == "square"


def turned(degrees: float):
    """A kite that is longer than wide, its blunt end in the direction that is told, clockwise from north."""
    kite = Polygon([(0, -60), (14, 20), (0, 40), (-14, 20)])
    return shapely.affinity.rotate(kite, -degrees, origin=(0, 0))


@pytest.mark.parametrize("index", range(16))
def test_directions_are_of_eight_and_up_is_north(index):
    shape = turned(index * 22.5)
    assert area_words(shape, cut=False)[1] == WAYS[index % 8]
    line = LineString([shape.exterior.coords[0], shape.exterior.coords[2]])
    assert line_words(line, 0.6)[2] == WAYS[index % 8]


def test_a_mirrored_shape_has_the_mirrored_direction():
    mirrored = {"north-east to south-west": "north-west to south-east",
                "north-north-east to south-south-west": "north-north-west to south-south-east"}  # fmt: skip
    for degrees, told in ((45, "north-east to south-west"), (22.5, "north-north-east to south-south-west")):
        flipped = shapely.affinity.scale(turned(degrees), -1, 1, origin=(0, 0))
        assert area_words(turned(degrees), cut=False)[1] == told
        assert area_words(flipped, cut=False)[1] == mirrored[told]


@given(st.floats(0.0, 360.0))
def test_a_direction_is_within_an_eighth_of_a_half_turn_or_is_not_told(degrees):
    bar = rectangle(30, 100, -degrees)
    for told in (area_words(bar, cut=False)[1], line_words(LineString([(0, 0), _tip(degrees)]), 0.6)[2]):
        off = 22.5 * WAYS.index(told) if told else None
        nearest = abs((degrees - (off if off is not None else 0) + 90) % 180 - 90)
        assert nearest <= 10.0 + 1e-6 if told else abs(degrees % 22.5 - 11.25) <= 1.25 + 1e-6


def _tip(degrees: float, length: float = 100.0):
    return length * math.sin(math.radians(degrees)), length * math.cos(math.radians(degrees))


def test_what_is_as_wide_as_long_has_no_direction():
    for shape in (
        disc(30),
        rectangle(50, 50, 45),
        rectangle(60, 41, 20),
        polygon(3),
        Polygon([(0, 0), (50, 0), (0, 50)]),
    ):
        assert area_words(shape, cut=False)[1] is None


def arc(turn: float, radius: float = 100.0, count: int = 400):
    """Of a circle so many degrees."""
    angles = np.radians(np.linspace(0, turn, count))
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], -1)


def s_of(turn: float):
    """Two arcs of one length that bend to different sides, joined smoothly."""
    first = arc(turn)
    return LineString(np.concatenate([first, 2 * first[-1] - first[::-1]]))


@pytest.mark.parametrize("bearing", range(0, 180, 7))
def test_a_straight_line_of_three_vertices_is_straight(bearing):
    # length / chord of exactly collinear points may come out below 1: it is 1
    (x, y), start = _tip(bearing, 211.7), np.array([385_472.4, 6_673_110.0])
    line = LineString([start, start + np.array([x, y]) * 0.37, start + np.array([x, y])])
    course, sinuosity, _ = line_words(line, 0.6)
    assert course == "straight"
    assert 1.0 <= sinuosity < 1 + 1e-9


@pytest.mark.parametrize(
    ("turn", "course"),
    [(2, "straight"), (8, "straight"), (10, "slightly curved"), (38, "slightly curved"), (41, "curved"), (180, "curved"),
     (300, "curved")],
)  # fmt: skip
def test_an_arc_is_as_curved_as_its_ratio_says(turn, course):
    half = math.radians(turn) / 2
    told, sinuosity, _ = line_words(LineString(arc(turn)), 0.6)
    assert sinuosity == pytest.approx(half / math.sin(half), rel=1e-4)
    assert told == course, "a bow turns to one side alone, so that it never winds"


@pytest.mark.parametrize(
    ("turn", "course"), [(20, "slightly curved"), (90, "curved"), (140, "winding"), (180, "winding")]
)
def test_an_s_winds_when_it_is_long_for_its_way(turn, course):
    told, sinuosity, _ = line_words(s_of(turn), 0.6)
    assert told == course
    half = math.radians(turn) / 2
    assert sinuosity == pytest.approx(half / math.sin(half), rel=1e-4), "both halves have one chord's direction"


def test_zigzags_wind_and_noise_does_not():
    zigzag = LineString([(0, 0), (40, 40), (80, 0), (120, 40), (160, 0)])
    assert line_words(zigzag, 0.6)[0] == "winding"
    rng = np.random.default_rng(7)
    along = np.linspace(0, 250, 40)
    assert line_words(LineString(np.stack([along, rng.uniform(-0.1, 0.1, 40)], -1)), 0.6)[0] == "straight"


def test_rings_are_closed_and_pieces_count_by_themselves():
    ring = disc(40).exterior
    assert line_words(LineString(ring), 0.6) == ("closed", None, None)
    pieces = MultiLineString([[(0, 0), (0, 80)], [(30, 80), (30, 0)]])
    assert line_words(pieces, 0.6) == ("straight", 1.0, "north to south"), "whichever way each is drawn"
    across = MultiLineString([[(0, 0), (0, 80)], [(30, 0), (110, 0)]])
    assert line_words(across, 0.6)[0] is None
    assert line_words(across, 0.6)[2] is None
    with_ring = MultiLineString([LineString(ring), LineString([(0, 0), (0, 80)])])
    assert line_words(with_ring, 0.6)[0] is None


@given(st.floats(1, 60), st.floats(1, 60), st.floats(0, 180), st.floats(-500, 500))
def test_a_rectangle_has_its_word_wherever_it_lies_and_however_it_is_turned(width, height, degrees, shift):
    shape = rectangle(width, height, degrees, at=(shift, 3 * shift))
    ratio = max(width, height) / min(width, height)
    wanted = "square" if ratio < 1.149 else "elongated" if ratio > 3.001 else "rectangular"
    if not (1.149 <= ratio <= 1.151 or 2.999 <= ratio <= 3.001):
        assert word(shape) == wanted


def test_a_point_like_area_is_told_no_shape_by_accident():
    assert area_words(Point(0, 0).buffer(0.3, quad_segs=1), cut=False)[0] == "square"
    assert area_words(box(0, 0, 300, 0.5), cut=True) == ("elongated", "east to west")
