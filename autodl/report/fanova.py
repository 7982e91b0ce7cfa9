"""Functional ANOVA: how much of the metric's variance each hyper-parameter explains, alone or in pairs.

A random forest predicts the score from the config. Each of its trees is constant on boxes, so the
mean over all other hyper-parameters, and the variance of that mean, are exact sums over the boxes.
Unlike permutation importance it speaks of the whole space, not of where the search went.

Source: F. Hutter, H. Hoos, K. Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter
Importance" (ICML 2014), algorithm 2. Each label runs over [0, 1], uniformly on the scale of its
domain, choices in bins of equal width; where no space is known, by the ranks of the values that
were tried. Inactive labels stand at 0.5, which shrinks the share of conditional labels by how
rarely they are active.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from autodl.report.importance import MIN_TRIALS, encode_label, scored
from autodl.report.ranking import config_labels
from autodl.report.view import TrialView
from autodl.spaces.search_space import SearchSpace

_TREES = 32
_PAIRED = 6  # labels whose pairs are looked at: those with most effect alone
_INACTIVE = 0.5
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effects:
    """Shares of the variance of a forest's predictions, means over its trees.

    What the resource (epochs) explains alone is taken out of the variance first.

    Attributes:
        alone: label -> share in [0, 1], largest first; empty when there is too little to learn from.
        pairs: two labels -> share that they explain together beyond what each does alone.
        num_trials: how many trials it was learnt from.
    """

    alone: dict[str, float] = field(default_factory=dict)
    pairs: dict[tuple[str, str], float] = field(default_factory=dict)
    num_trials: int = 0


def effects(trials: Sequence[TrialView], *, space: SearchSpace | None = None, seed: int = 0) -> Effects:
    """Main effects of all labels that vary, and effects of pairs of the strongest.

    Args:
        trials: any trials; those without a score are left out.
        space: gives each label its scale.
        seed: of the forest.
    """
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415  # beside its only use

    kept, scores = scored(trials)
    columns = {label: _unit_column(kept, label, space) for label in config_labels(kept)}
    columns = {label: column for label, column in columns.items() if np.ptp(column) > 0.0}
    if len(kept) < MIN_TRIALS or not columns or np.ptp(scores) == 0.0:
        return Effects(num_trials=len(kept))
    forest = RandomForestRegressor(_TREES, min_samples_leaf=3, random_state=seed, n_jobs=1)
    columns_and_resource = [*columns.values(), _ranks(np.array([t.resource for t in kept], dtype=np.float64))]
    forest.fit(np.column_stack(columns_and_resource), (scores - scores.mean()) / scores.std())
    boxes = [_Boxes(tree.tree_, len(columns_and_resource)) for tree in forest.estimators_]
    for box in boxes:  # how far a trial got is not its config's doing
        box.variance -= box.explained((len(columns),))
    boxes = [box for box in boxes if box.variance > 1e-12]
    names = list(columns)
    main = np.array([_mean_share(boxes, (i,)) for i in range(len(names))])
    order = [int(i) for i in np.argsort(-main, kind="stable")]
    pairs = {
        (names[i], names[j]): max(0.0, _mean_share(boxes, (i, j)) - main[i] - main[j])
        for i, j in combinations(order[:_PAIRED], 2)
    }
    ranked = sorted(pairs.items(), key=lambda pair: -pair[1])
    return Effects({names[i]: float(main[i]) for i in order}, dict(ranked), len(kept))


def _mean_share(boxes: Sequence[_Boxes], columns: tuple[int, ...]) -> float:
    return float(np.mean([box.explained(columns) / box.variance for box in boxes])) if boxes else 0.0


def _unit_column(trials: Sequence[TrialView], label: str, space: SearchSpace | None) -> _Floats:
    """A label's values in [0, 1]: (trials,)."""
    configs = [trial.config for trial in trials]
    if space is not None and label in space:
        domain = space[label].domain
        return np.array([domain.to_unit(c[label]) if label in c else _INACTIVE for c in configs])
    codes = encode_label(configs, label)
    active = ~np.isnan(codes)
    column = np.full(len(codes), _INACTIVE)
    column[active] = _ranks(codes[active])
    return column


def _ranks(values: _Floats) -> _Floats:
    """The distinct values spread evenly over [0, 1]: (n,)."""
    distinct, ranks = np.unique(values, return_inverse=True)
    spread: _Floats = (ranks + 0.5) / max(len(distinct), 1)
    return spread


class _Boxes:
    """A tree as boxes of the unit cube, each with a value.

    Attributes:
        variance: of the tree's predictions over the whole cube.
    """

    def __init__(self, tree: object, dim: int) -> None:
        self._low, self._high, self._values = _leaves(tree, dim)
        self._volumes = np.prod(self._high - self._low, axis=1)
        self._mean = float(self._volumes @ self._values)
        self.variance = float(self._volumes @ self._values**2) - self._mean**2

    def explained(self, columns: tuple[int, ...]) -> float:
        """The variance of the mean prediction as a function of one or two columns alone."""
        covers, widths = [], []
        weights = self._values * self._volumes
        for column in columns:
            low, high = self._low[:, column], self._high[:, column]
            edges = np.unique(np.concatenate([low, high]))
            middles = 0.5 * (edges[1:] + edges[:-1])
            covers.append(((low[:, None] < middles) & (middles < high[:, None])).astype(np.float64))
            widths.append(np.diff(edges))
            weights = weights / (high - low)
        if len(columns) == 1:
            marginal = weights @ covers[0]
            second = float(widths[0] @ marginal**2)
        else:
            marginal = (covers[0] * weights[:, None]).T @ covers[1]
            second = float(widths[0] @ marginal**2 @ widths[1])
        return max(0.0, second - self._mean**2)


def _leaves(tree: object, dim: int) -> tuple[_Floats, _Floats, _Floats]:
    """Lower and upper corners (leaves, dim) and values (leaves,) of a fitted scikit-learn tree."""
    left, right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    feature, threshold = tree.feature, tree.threshold  # type: ignore[attr-defined]
    values = tree.value[:, 0, 0]  # type: ignore[attr-defined]
    lows, highs, found = [], [], []
    stack = [(0, np.zeros(dim), np.ones(dim))]
    while stack:
        node, low, high = stack.pop()
        if left[node] < 0:
            lows.append(low)
            highs.append(high)
            found.append(float(values[node]))
            continue
        below, above = high.copy(), low.copy()
        below[feature[node]] = above[feature[node]] = threshold[node]
        stack += [(left[node], low, below), (right[node], above, high)]
    return np.array(lows), np.array(highs), np.array(found)
