"""Which hyper-parameters mattered: permutation importance of a forest fitted to the trials.

A random forest predicts each trial's score from its config. A label's importance is how much the
forest's error on trials a tree has not seen grows when that label's values are shuffled among the
trials in which it is active. The forest splits on thresholds, so the scale of a domain (log or
linear) does not matter and the configs alone are enough.

Source: Breiman, "Random Forests", Machine Learning 45, 2001, section 10. We depart in three points:
inactive (conditional) labels are encoded below every active value and are shuffled among active
trials only; the resource a trial got is one more column of the forest, so that a trial stopped early
is not held against its config alone; importances are clipped at 0 and scaled to sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from autodl.report.ranking import config_labels
from autodl.report.view import TrialView
from autodl.trial import Value

MIN_TRIALS = 6
"""With fewer scored trials an importance would be read from noise."""

MAX_TRIALS = 2000
"""The forest sees the latest trials only beyond this, so that a report's cost stays flat."""

_TREES = 150
_REPEATS = 4
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importances:
    """Importance of each label.

    Attributes:
        values: label -> share in [0, 1], largest first; sums to 1 unless nothing mattered; empty when
            there is too little to learn from.
        explained: share of the scores' variance that the forest predicts, from config and resource, for
            trials it has not seen (out-of-bag R squared, at least 0); near 0 the shares mean little.
        num_trials: how many trials it was learnt from.
    """

    values: dict[str, float] = field(default_factory=dict)
    explained: float = 0.0
    num_trials: int = 0


def importances(trials: Sequence[TrialView], *, seed: int = 0) -> Importances:
    """Permutation importance of every label that varies.

    Args:
        trials: any trials; those without a score are left out.
        seed: of the forest and the shuffles.
    """
    kept, scores = scored(trials)
    columns = {label: encode_label([t.config for t in kept], label) for label in config_labels(trials)}
    columns = {label: column for label, column in columns.items() if _varies(column)}
    if len(kept) < MIN_TRIALS or not columns or np.ptp(scores) == 0.0:
        return Importances(num_trials=len(kept))
    resource = np.array([t.resource for t in kept], dtype=np.float64)
    growth, explained = _forest_importance(np.column_stack([*columns.values(), resource]), scores, seed)
    growth = growth[:-1]
    total = growth.sum()
    shares = growth / total if total > 0 else growth
    order = np.argsort(-shares, kind="stable")
    names = list(columns)
    return Importances({names[i]: float(shares[i]) for i in order}, explained, len(kept))


def scored(trials: Sequence[TrialView]) -> tuple[list[TrialView], _Floats]:
    """The latest trials that have a finite score, and their scores, shape (trials,)."""
    kept: list[TrialView] = []
    scores: list[float] = []
    for trial in trials:
        best = trial.best
        if best is not None and best.score is not None and np.isfinite(best.score):
            kept.append(trial)
            scores.append(best.score)
    return kept[-MAX_TRIALS:], np.array(scores[-MAX_TRIALS:], dtype=np.float64)


def encode_label(configs: Sequence[dict[str, Value]], label: str) -> _Floats:
    """One label's values as numbers, NaN where it is inactive.

    Numbers stay as they are; where some value is not a number (bool, str, None), all values become
    indices of the sorted distinct ones.

    Returns:
        Shape (trials,).
    """
    present = [config[label] for config in configs if label in config]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in present):
        return np.array([config.get(label, np.nan) for config in configs], dtype=np.float64)
    index = {key: i for i, key in enumerate(sorted({repr(value) for value in present}))}
    codes = [index[repr(config[label])] if label in config else np.nan for config in configs]
    return np.array(codes, dtype=np.float64)


def _varies(column: _Floats) -> bool:
    """A label counts if its active values differ; being active or not is its parent's doing."""
    active = column[~np.isnan(column)]
    return active.size > 0 and bool(np.ptp(active) > 0.0)


def _forest_importance(table: _Floats, scores: _Floats, seed: int) -> tuple[_Floats, float]:
    """Growth of the out-of-bag error by column, and the share of variance explained.

    Args:
        table: (trials, labels), NaN where inactive.
        scores: (trials,).
        seed: of the forest and the shuffles.
    """
    active = ~np.isnan(table)
    below = np.nanmin(table, axis=0) - 1.0
    filled = np.where(active, table, below)
    target = (scores - scores.mean()) / scores.std()
    forest = RandomForestRegressor(_TREES, max_features=0.6, bootstrap=True, random_state=seed, n_jobs=1)
    forest.fit(filled, target)
    rng = np.random.default_rng(seed)
    growth, total, votes = np.zeros(table.shape[1]), np.zeros(len(target)), np.zeros(len(target))
    for tree, seen in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        unseen = np.setdiff1d(np.arange(len(target)), seen)
        if unseen.size < 2:
            continue
        predicted, batch = _predict_shuffled(tree, filled[unseen], active[unseen], rng)
        total[unseen] += predicted
        votes[unseen] += 1
        errors = (batch - target[unseen]) ** 2
        growth += errors.mean(axis=(1, 2)) - ((predicted - target[unseen]) ** 2).mean()
    voted = votes > 0
    residual = target[voted] - total[voted] / votes[voted]
    explained = max(0.0, 1.0 - float((residual**2).sum() / (target[voted] ** 2).sum()))
    return np.clip(growth, 0.0, None), explained


def _predict_shuffled(
    tree: object, rows: _Floats, active: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[_Floats, _Floats]:
    """A tree's predictions as the rows are, and with each column shuffled, in one call.

    Args:
        tree: a fitted scikit-learn tree.
        rows: (n, labels).
        active: (n, labels), where shuffling may happen.
        rng: of the shuffles.

    Returns:
        (n,) and (labels, repeats, n).
    """
    n, labels = rows.shape
    stack = np.broadcast_to(rows, (labels, _REPEATS, n, labels)).copy()
    for label in range(labels):
        where = np.flatnonzero(active[:, label])
        for repeat in range(_REPEATS):
            stack[label, repeat, where, label] = rows[rng.permutation(where), label]
    everything = np.concatenate([rows, stack.reshape(-1, labels)])
    predicted = tree.predict(everything)  # type: ignore[attr-defined]  # scikit-learn has no types
    return predicted[:n], predicted[n:].reshape(labels, _REPEATS, n)
