"""Which captions patches get: what is large or long enough, in which shares, and by which annotator."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.scenes import area, line

from nutonic.chips.scene.description import Described, SceneDescription
from nutonic.chips.scene.policy import parse
from nutonic.chips.scene.tasks import choose
from nutonic.dataset.annotate import in_order
from nutonic.recipe.annotation import Annotator, Captions
from nutonic.recipe.texts import builtin

SIDE, POLICY = 268.8, parse(builtin("tags")["text"])
PLAIN = Captions()
#: Revisions as the shares of the document have them: one of two captions.
ONE_TO_FOUR = Captions(revisions={1: 0.4, 2: 0.3, 3: 0.2, 4: 0.1})


def scene(shares=(), lengths=(), name: str = "p") -> SceneDescription:
    """Areas of so many shares, and lines of so many metres, the larger first, as descriptions have them."""
    areas = [area(f"way/{k}", "forest", "north", share=share) for k, share in enumerate(shares)]
    lines = [line(f"way/{100 + k}", "road", ("north", "south"), "north", length=length, course="straight")
             for k, length in enumerate(lengths)]  # fmt: skip
    return SceneDescription(patch_id=name, side_m=SIDE, elements=(*areas, *lines))


def tasks_of(captions: Captions, count: int, **parts) -> list:
    return [choose(scene(**parts, name=f"patch_{k}"), captions, POLICY) for k in range(count)]


def firsts(captions: Captions, count: int, **parts) -> Counter:
    return Counter((tasks[0].number, tasks[0].element) for tasks in tasks_of(captions, count, **parts))


@pytest.mark.parametrize(
    ("shares", "lengths", "numbers"),
    [
        ((0.0501,), (), {1}), ((0.05,), (), set()), ((), (0.3 * SIDE + 0.1,), {2}), ((), (0.3 * SIDE,), set()),
        ((0.04,), (200.0,), {2}), ((0.2,), (80.0,), {1}), ((0.2,), (200.0,), {1, 2}), ((), (), set()),
    ],
)  # fmt: skip
def test_a_task_needs_an_area_of_5_percent_or_a_line_of_three_tenths_of_the_side(shares, lengths, numbers):
    found = tasks_of(PLAIN, 40, shares=shares, lengths=lengths)
    assert {tasks[0].number for tasks in found if tasks} == numbers
    assert all(tasks for tasks in found) == bool(numbers)


def test_it_is_one_of_the_three_largest_and_each_as_often():
    found = firsts(PLAIN, 900, shares=(0.3, 0.2, 0.1, 0.09, 0.06))
    assert set(found) == {(1, f"way/{k}") for k in range(3)}
    assert all(count == pytest.approx(300, abs=60) for count in found.values())
    found = firsts(PLAIN, 900, lengths=(270.0, 200.0, 150.0, 140.0, 81.0))
    assert set(found) == {(2, f"way/{k}") for k in (100, 101, 102)}
    assert all(count == pytest.approx(300, abs=60) for count in found.values())
    assert set(firsts(PLAIN, 200, shares=(0.3, 0.2, 0.04, 0.03))) == {(1, "way/0"), (1, "way/1")}, "if large enough"


def test_both_are_there_six_to_four():
    found = Counter(tasks[0].number for tasks in tasks_of(PLAIN, 2000, shares=(0.2,), lengths=(200.0,)))
    assert found[1] / 2000 == pytest.approx(0.6, abs=0.03)
    never = Captions(area_weight=0.0)
    assert {tasks[0].number for tasks in tasks_of(never, 50, shares=(0.2,), lengths=(200.0,))} == {2}


def test_revisions_are_one_to_four_of_the_same_element():
    found = tasks_of(ONE_TO_FOUR, 800, shares=(0.2,), lengths=(200.0,))
    for first, *later in found:
        assert [task.index for task in later] == list(range(len(later)))
        assert {(task.number, task.element) for task in later} == {(3, first.element)}
    counts = Counter(len(tasks) - 1 for tasks in found)
    assert set(counts) == {1, 2, 3, 4}
    assert all(counts[n] / 800 == pytest.approx(chance, abs=0.05) for n, chance in ONE_TO_FOUR.revisions.items())
    assert {len(tasks) for tasks in tasks_of(Captions(revisions={0: 1.0}), 20, shares=(0.2,))} == {1}


def test_a_patch_and_a_seed_decide_alone():
    parts = {"shares": (0.3, 0.2, 0.1), "lengths": (270.0, 200.0, 150.0)}
    assert tasks_of(PLAIN, 50, **parts) == tasks_of(PLAIN, 50, **parts)
    assert tasks_of(PLAIN, 50, **parts) != tasks_of(Captions(seed=1), 50, **parts)
    assert len(set(tasks_of(PLAIN, 50, **parts))) > 5
    backwards = [choose(scene(**parts, name=f"patch_{k}"), PLAIN, POLICY) for k in reversed(range(50))]
    assert backwards[::-1] == tasks_of(PLAIN, 50, **parts)


def test_on_a_realistic_mix_the_shares_are_the_documents():
    """Of 1,500 patches most have a road of some length, and three of four a large area."""
    rng = np.random.default_rng(0)
    counts: Counter[int] = Counter()
    for k in range(1500):
        areas = np.sort(rng.lognormal(np.log(0.02), 1.1, rng.integers(2, 12)))[::-1].clip(0, 1).tolist()
        lines = np.sort(rng.lognormal(np.log(70), 0.8, rng.integers(2, 10)))[::-1].tolist()
        counts.update(task.number for task in choose(scene(areas, lines, name=f"patch_{k:06d}"), PLAIN, POLICY))
    shares = {number: 100 * counts[number] / counts.total() for number in (1, 2, 3)}
    print(f"tasks 1, 2, 3: {shares[1]:.1f} / {shares[2]:.1f} / {shares[3]:.1f} % (the document: 22.7 / 27.3 / 50.0)")
    assert shares[1] == pytest.approx(22.7, abs=4)
    assert shares[2] == pytest.approx(27.3, abs=4)
    assert shares[3] == pytest.approx(50.0, abs=2)


def test_two_annotators_of_68_and_32_get_as_much_of_5000():
    both = [Annotator(name=name, weight=weight, base_url="http://127.0.0.1:1/v1", model="m")
            for name, weight in (("small", 32.0), ("large", 68.0))]  # fmt: skip
    asked = Counter(in_order(both, f"0 patch_{k:06d} 1 way/{k} 0")[0].name for k in range(5000))
    assert asked["large"] / 5000 == pytest.approx(0.68, abs=0.01)
    orders = {tuple(each.name for each in in_order(both, str(k))) for k in range(50)}
    assert orders == {("small", "large"), ("large", "small")}, "the other one is asked next"


# What is told apart


def chosen(*elements: Described, count: int = 60) -> set[str]:
    every = [SceneDescription(patch_id=f"p{k}", side_m=SIDE, elements=elements) for k in range(count)]
    return {choose(each, PLAIN, POLICY)[0].element for each in every}


def tagged(each: Described, **tags: str) -> Described:
    return replace(each, tags=tuple(tags.items()))


def test_of_the_three_largest_areas_those_that_are_seen_come_before_uses_of_land():
    town = tagged(area("way/1", "commercial area", "north", share=0.6), landuse="commercial")
    homes = tagged(area("way/2", "residential area", "north", share=0.3), landuse="residential")
    wood = tagged(area("way/3", "forest", "north", share=0.1), landuse="forest")
    park = tagged(area("way/4", "park", "north", share=0.08), leisure="park")
    assert chosen(town, homes, wood, park) == {"way/3"}
    assert chosen(town, wood, park) == {"way/3", "way/4"}
    assert chosen(town, homes) == {"way/1", "way/2"}, "where there is nothing else"


def test_one_of_many_tracks_beside_each_other_is_told_where_there_is_nothing_else():
    def track(number: int, noun: str = "railway track", direction="north to south") -> Described:
        one = line(f"way/{number}", noun, ("north", "south"), "north", length=260.0 - number, course="straight")
        return replace(one, orientation=direction)

    tracks = [track(k) for k in range(4)]
    pond = tagged(area("way/9", "pond", "south", share=0.06), natural="water", water="pond")
    assert chosen(*tracks[:3]) == {"way/0", "way/1", "way/2"}, "of three each may be meant"
    assert chosen(*tracks) == {"way/0", "way/1", "way/2"}
    assert chosen(pond, *tracks) == {"way/9"}
    street = track(0, "residential street", "east to west")
    assert chosen(street, *(track(k) for k in range(1, 6))) == {"way/0"}
