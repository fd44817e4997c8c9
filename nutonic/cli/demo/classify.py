"""A small classifier of pixels: some Gaussians for each class, compared in whole numbers.

Every number that decides is an integer, or a float that holds an integer exactly: sums come out the same in whatever
order a processor makes them, and the classes are the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: How many Gaussians a class is made of, and of how many pixels each is fitted, at most and at least.
_CENTRES, _SAMPLE, _LEAST = 4, 10_000, 40

#: Rounds of k-means, and the part of each covariance that is replaced by an equal variance in every direction.
_ROUNDS, _SHRINKAGE = 10, 0.15

#: Steps to a standard deviation in standardised features, of which one counts this many at most; steps to 1 in whitening
#: matrices; steps to a standard deviation in whitened features, and the most there. Products and sums of so many steps
#: stay below 2**24, so that float32 holds them exactly.
_STEPS, _FARTHEST, _FINE, _WHITENED, _CAP = 16, 96, 64, 8, 1024

#: Rows that are scored at once, so that they stay in the processor's cache, and one thread multiplies them: products are
#: too small to be shared.
_BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaussian:
    """One of a class's Gaussians over standardised features, in whole numbers.

    Attributes
    ----------
    centre
        (features,).
    whitening
        (features, features): multiplied with it, offsets from the centre are in standard deviations.
    bonus
        What the score starts from: the logarithm of its density in the middle.
    """

    centre: np.ndarray
    whitening: np.ndarray
    bonus: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classifier:
    """What :func:`fit` found: how features are standardised, and the Gaussians of each class."""

    mean: np.ndarray
    deviation: np.ndarray
    gaussians: Mapping[int, tuple[Gaussian, ...]]

    def scores(self, features: np.ndarray) -> np.ndarray:
        """How well each class fits, (classes, rows) int32 in the order of the classes' ids; 64 are a squared deviation.

        Parameters
        ----------
        features
            (rows, features), whole numbers.
        """
        scores = np.empty((len(self.gaussians), len(features)), np.int32)
        for start in range(0, len(features), _BLOCK):
            block = slice(start, start + _BLOCK)
            standard = _standardised(features[block], self.mean, self.deviation)
            for row, ones in zip(scores, self.gaussians.values(), strict=True):
                row[block] = _scores(standard, ones).max(axis=1)
        return scores


def fit(features: np.ndarray, classes: np.ndarray) -> Classifier:
    """A classifier of the classes that occur; all count as equally likely.

    Parameters
    ----------
    features
        (rows, features), whole numbers below 2**15 in size.
    classes
        (rows,) class ids.
    """
    mean = features.sum(axis=0, dtype=np.int64) // len(features)
    squares = ((features.astype(np.int64) - mean) ** 2).sum(axis=0) // len(features)
    deviation = np.maximum(np.sqrt(squares).astype(np.int64), 1)
    gaussians = {}
    for class_id in np.unique(classes).tolist():
        rows = features[classes == class_id]
        gaussians[class_id] = _gaussians(_standardised(rows[:: -(-len(rows) // _SAMPLE)], mean, deviation))
    return Classifier(mean=mean, deviation=deviation, gaussians=gaussians)


def _standardised(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    steps = (features.astype(np.int64) - mean) * _STEPS // deviation
    return np.asarray(np.clip(steps, -_FARTHEST, _FARTHEST).astype(np.float32))


def _gaussians(standard: np.ndarray) -> tuple[Gaussian, ...]:
    rows = standard.astype(np.float64)
    nearest = _k_means(rows, min(_CENTRES, max(len(rows) // _LEAST, 1)))
    groups = [rows[nearest == k] for k in np.unique(nearest)]
    large = [group for group in groups if len(group) >= _LEAST] or [rows]
    return tuple(_gaussian(group, len(group) / len(rows)) for group in large)


def _k_means(rows: np.ndarray, count: int) -> np.ndarray:
    """Which of `count` groups of near rows each row belongs to; they begin at rows spread evenly over the class."""
    centres = rows[np.linspace(0, len(rows) - 1, count, dtype=np.int64)]
    nearest = np.zeros(len(rows), np.int64)
    for _ in range(_ROUNDS):
        nearest = np.argmin((centres**2).sum(axis=1) - 2 * rows @ centres.T, axis=1)
        groups = [rows[nearest == k] for k in range(count)]
        centres = np.stack([g.sum(axis=0) // len(g) if len(g) else c for g, c in zip(groups, centres, strict=True)])
    return nearest


def _gaussian(rows: np.ndarray, share: float) -> Gaussian:
    count, size = rows.shape
    centre = rows.sum(axis=0) // count
    offsets = rows - centre
    covariance = (offsets.T @ offsets) / count
    level = max(np.trace(covariance) / size, 1.0)
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * level * np.eye(size)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    density = 2 * (np.log(np.diag(whitening)).sum() + np.log(share))
    # Rounded, so that the last bits of one machine's linear algebra and another's come to the same.
    steps = np.clip(np.rint(whitening * _STEPS * _FINE), -_CAP, _CAP).astype(np.float32)
    return Gaussian(centre=centre.astype(np.float32), whitening=steps, bonus=int(np.rint(density * _WHITENED**2)))


def _scores(standard: np.ndarray, ones: Sequence[Gaussian]) -> np.ndarray:
    """Twice the logarithms of the densities, (rows, Gaussians), in units of 1 / 64.

    The Gaussians of a class share one product of matrices: each takes too little for a call of its own.
    """
    whitened = standard @ np.concatenate([one.whitening for one in ones], axis=1)
    whitened -= np.concatenate([one.centre @ one.whitening for one in ones])
    whitened *= _WHITENED / (_STEPS * _FINE)
    np.clip(np.floor(whitened, out=whitened), -_CAP, _CAP, out=whitened)
    offsets = whitened.reshape(len(standard), len(ones), standard.shape[1])
    squares = np.einsum("rgf,rgf->rg", offsets, offsets)
    return np.asarray(np.array([one.bonus for one in ones], np.float32) - squares)
