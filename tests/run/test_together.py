"""Pixels of a batch: a few places at a time, the next ones while these are worked on."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from nutonic.errors import ReadFailed, RecipeChanged
from nutonic.planning.cost import NEIGHBOURS
from nutonic.run.read import Together


def places(count: int) -> list:
    return [SimpleNamespace(poi=SimpleNamespace(id=f"p{k}")) for k in range(count)]


@pytest.mark.parametrize("count", [0, 1, NEIGHBOURS, NEIGHBOURS + 1, 3 * NEIGHBOURS + 2])
def test_each_place_has_its_own_pixels_once_and_no_more_are_read_than_two_groups_ahead(count):
    asked, many = list[str](), places(count)

    def reading(some):
        asked.extend(place.poi.id for place in some)
        return [f"pixels of {place.poi.id}" for place in some]

    together = Together(many, reading)
    for k, place in enumerate(many):
        assert together.pop(place) == f"pixels of {place.poi.id}"
        assert k < len(asked) <= (k // NEIGHBOURS + 2) * NEIGHBOURS
        assert together.pop(place) is None
    assert asked == [place.poi.id for place in many]


def test_the_next_ones_are_read_while_these_are_worked_on():
    began = [threading.Event(), threading.Event()]

    def reading(some):
        began[some[0] is not many[0]].set()
        return ["pixels"] * len(some)

    many = places(2 * NEIGHBOURS)
    together = Together(many, reading)
    assert together.pop(many[0]) == "pixels"
    assert began[1].wait(10)  # though nobody has asked for them


def test_what_cannot_be_read_is_nothing_and_only_there():
    def reading(some):
        if some[0] is many[0]:
            raise ReadFailed("a.tif cannot be read")
        return ["pixels"] * len(some)

    many = places(2 * NEIGHBOURS)
    together = Together(many, reading)
    assert [together.pop(place) for place in many] == [None] * NEIGHBOURS + ["pixels"] * NEIGHBOURS


def test_a_file_that_is_another_now_ends_it():
    def reading(some):
        raise RecipeChanged("a.tif changed")

    many = places(1)
    with pytest.raises(RecipeChanged, match=r"a\.tif changed"):
        Together(many, reading).pop(many[0])
