"""Boosted symmetric trees in numpy: small, deterministic, made for some thousand rows and a few dozen columns.

Every level of a tree asks one question of all its rows, so a tree is six questions: little to over-fit with,
quick to fit and to apply. Trees only correct a `start` that each row brings along (what the customer's own
record says), and every answer is pulled towards "no correction" by `RIDGE` rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Slope = Callable[[Floats, Floats], tuple[Floats, Floats]]  # (score, outcome) → first and second derivative

BINS = 32
DEPTH = 6
RATE = 0.05  # how much of each tree's answer is believed
RIDGE = 20.0


@dataclass(frozen=True, slots=True)
class Tree:
    """`questions` are (column, bin): does the row lie above it? `answers` by the bits of the replies."""

    questions: tuple[tuple[int, int], ...]
    answers: Floats


@dataclass(frozen=True, slots=True)
class Forest:
    """`edges` are the cuts between the bins of each column."""

    edges: tuple[Floats, ...]
    trees: tuple[Tree, ...]

    def scores(self, columns: Floats, start: Floats) -> Floats:
        """One score a row, corrected from `start`: log odds after `chances`, the value after `middles`."""
        binned = _binned(columns, self.edges)
        total = start.astype(float)
        for tree in self.trees:
            total += tree.answers[_leaves(binned, tree.questions)]
        return total


def chances(columns: Floats, outcome: Floats, start: Floats, weight: Floats, trees: int) -> Forest:
    """Fit the log odds that `outcome` (0 or 1) is 1."""

    def slope(score: Floats, wanted: Floats) -> tuple[Floats, Floats]:
        chance = 1 / (1 + np.exp(-score))
        return chance - wanted, np.maximum(chance * (1 - chance), 1e-6)

    return _fit(columns, outcome, start, weight, trees, slope)


def middles(columns: Floats, outcome: Floats, start: Floats, weight: Floats, trees: int) -> Forest:
    """Fit the median of `outcome`: far values count no more than near ones."""
    width = 1.0 + float(np.median(np.abs(outcome - start))) if len(outcome) else 1.0

    def slope(score: Floats, wanted: Floats) -> tuple[Floats, Floats]:
        gap = score - wanted
        bend = np.sqrt(gap * gap + width * width)  # the absolute error, rounded off near zero
        return gap / bend, 1 / bend

    return _fit(columns, outcome, start, weight, trees, slope)


def _fit(columns: Floats, outcome: Floats, start: Floats, weight: Floats, trees: int, slope: Slope) -> Forest:
    edges = tuple(_edges(columns[:, c]) for c in range(columns.shape[1]))
    binned = _binned(columns, edges)
    cells = binned + np.arange(columns.shape[1]) * BINS
    score = start.astype(float)
    grown = []
    for _ in range(trees):
        first, second = slope(score, outcome)
        tree = _grow(binned, cells, first * weight, second * weight)
        score += tree.answers[_leaves(binned, tree.questions)]
        grown.append(tree)
    return Forest(edges, tuple(grown))


def _grow(binned: Codes, cells: Codes, first: Floats, second: Floats) -> Tree:
    count = cells.shape[1]
    width = count * BINS
    ridge = RIDGE * float(second.mean())
    leaf = np.zeros(len(first), np.int64)
    firsts, seconds = np.repeat(first, count), np.repeat(second, count)
    questions: list[tuple[int, int]] = []
    for level in range(DEPTH):
        at = (cells + leaf[:, None] * width).ravel()
        shape, size = (1 << level, count, BINS), width << level
        low_1 = np.bincount(at, firsts, size).reshape(shape).cumsum(axis=2)
        low_2 = np.bincount(at, seconds, size).reshape(shape).cumsum(axis=2)
        high_1, high_2 = low_1[:, :, -1:] - low_1, low_2[:, :, -1:] - low_2
        gain = (low_1**2 / (low_2 + ridge) + high_1**2 / (high_2 + ridge)).sum(axis=0)
        best = int(np.argmax(np.round(gain, 9)))  # rounded, so that the order of rows never decides
        question = divmod(best, BINS)
        questions.append(question)
        leaf = leaf * 2 + (binned[:, question[0]] > question[1])
    size = 1 << DEPTH
    answers = -RATE * np.bincount(leaf, first, size) / (np.bincount(leaf, second, size) + ridge)
    return Tree(tuple(questions), answers)


def _leaves(binned: Codes, questions: tuple[tuple[int, int], ...]) -> Codes:
    leaf = np.zeros(len(binned), np.int64)
    for column, cut in questions:
        leaf = leaf * 2 + (binned[:, column] > cut)
    return leaf


def _edges(values: Floats) -> Floats:
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))


def _binned(columns: Floats, edges: tuple[Floats, ...]) -> Codes:
    parts = [np.searchsorted(e, columns[:, c], side="left") for c, e in enumerate(edges)]
    return np.stack(parts, axis=1).astype(np.int64)
