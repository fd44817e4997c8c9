"""Scenes for places: searched for, and of use on the recipe's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nutonic.core.model import Reject, Scene
from nutonic.errors import GridError
from nutonic.planning.places.columns import Places
from nutonic.planning.spec import BuildSpec
from nutonic.recipe.inputs import Imagery
from nutonic.recipe.outputs import Grid
from nutonic.sources.grids import place_grid
from nutonic.sources.missing import Found, why_not


@dataclass(frozen=True, slots=True)
class SceneTable:
    """A tuple of scenes for each place; 4 bytes a place, and each combination once."""

    numbers: np.ndarray
    """(places,) int32: which of `values` is a place's."""
    values: tuple[tuple[Scene, ...], ...]

    @classmethod
    def of(cls, each: Sequence[tuple[Scene, ...]]) -> SceneTable:
        """From one tuple a place; those that are the same object are one value, equal ones need not be."""
        number: dict[int, int] = {}
        values: list[tuple[Scene, ...]] = []
        numbers = np.empty(len(each), np.int32)
        for i, scenes in enumerate(each):
            if id(scenes) not in number:
                number[id(scenes)] = len(values)
                values.append(scenes)
            numbers[i] = number[id(scenes)]
        return cls(numbers, tuple(values))

    def __getitem__(self, i: int) -> tuple[Scene, ...]:
        return self.values[int(self.numbers[i])]

    def take(self, index: np.ndarray) -> SceneTable:
        """Those of the places at these positions."""
        return SceneTable(self.numbers[index], self.values)

    def compact(self) -> SceneTable:
        """Without the values that no place has any more."""
        used, numbers = np.unique(self.numbers, return_inverse=True)
        return SceneTable(numbers.ravel().astype(np.int32), tuple(self.values[k] for k in used.tolist()))

    def empty(self) -> np.ndarray:
        """(places,) bool: where there is no scene at all."""
        return np.asarray(np.array([not scenes for scenes in self.values], bool)[self.numbers])

    def filtered(self, keep: Callable[[Scene, int], bool]) -> SceneTable:
        """Only the scenes for which `keep(scene, i)` is true, with `i` the position of a place that has the scene."""
        used, first = np.unique(self.numbers, return_index=True)
        values = list(self.values)
        for number, place in zip(used.tolist(), first.tolist(), strict=True):
            values[number] = tuple(scene for scene in values[number] if keep(scene, place))
        return SceneTable(self.numbers, tuple(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Places with their splits and scenes, before they become a plan; all columns have the same length."""

    places: Places
    split: np.ndarray
    """Index into SPLITS, int8."""
    imagery: SceneTable
    labels: SceneTable

    def take(self, index: np.ndarray) -> Candidates:
        """Those of the places at these positions."""
        return Candidates(
            places=self.places.take(index),
            split=self.split[index],
            imagery=self.imagery.take(index),
            labels=self.labels.take(index),
        )


def with_scenes(places: Places, split: np.ndarray, spec: BuildSpec) -> tuple[Candidates, np.ndarray, list[Reject], str]:
    """The scenes of each place that can be opened on the recipe's grid.

    Returns
    -------
    candidates
        All places, also those without a scene or labels.
    kept
        Positions of those that have both.
    rejects
        One for each of the others.
    in_all
        Where no place has a scene, what the catalogue has near all of them.
    """
    extent, time = spec.grid.extent_m, spec.imagery.time
    of_labels = spec.sources.labels.search(places.lon, places.lat, extent, time)
    of_imagery = spec.sources.imagery.search(places.lon, places.lat, extent, time)
    labels, imagery = SceneTable.of(of_labels), SceneTable.of(of_imagery)
    problems = _Problems(spec.grid)
    usable = imagery.filtered(lambda scene, i: problems.of(scene, places, i) is None)
    candidates = Candidates(places=places, split=split, imagery=usable, labels=labels)
    bare, unlabelled = usable.empty(), labels.empty()
    rejects = [
        _off_lattice(i, imagery[i][0], problems, places)
        if imagery[i]
        else _no_scene(i, spec.imagery, of_imagery, places)
        for i in np.flatnonzero(bare).tolist()
    ]
    detail = f"nothing of {spec.table.name} touches the square"
    for i in np.flatnonzero(unlabelled & ~bare).tolist():
        why = why_not(of_labels, i)
        rejects.append(Reject(poi_id=places[i].id, reason="no labels", detail=f"{detail}{why}"))
    in_all = of_imagery.in_all if isinstance(of_imagery, Found) else ""
    return candidates, np.flatnonzero(~bare & ~unlabelled), rejects, in_all


class _Problems:
    """Whether scenes lie on the recipe's lattice, asked once per scene: it does not depend on the place."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._known: dict[Scene, str | None] = {}

    def of(self, scene: Scene, places: Places, i: int) -> str | None:
        """What is wrong with a scene, or None; place `i` is one that it serves."""
        if scene not in self._known:
            try:
                place_grid(float(places.lon[i]), float(places.lat[i]), scene, self._grid)
                self._known[scene] = None
            except GridError as error:
                self._known[scene] = str(error)
        return self._known[scene]


def _off_lattice(i: int, best: Scene, problems: _Problems, places: Places) -> Reject:
    return Reject(poi_id=places[i].id, reason="off the lattice", detail=str(problems.of(best, places, i)))


def _no_scene(i: int, imagery: Imagery, found: Sequence[tuple[Scene, ...]], places: Places) -> Reject:
    detail = (
        f"no item of {imagery.collection} with {', '.join(imagery.bands)} covers enough of the square "
        f"in {imagery.datetime} with at most {imagery.max_cloud_cover:g} % cloud{why_not(found, i)}"
    )
    return Reject(poi_id=places[i].id, reason="no scene", detail=detail)
