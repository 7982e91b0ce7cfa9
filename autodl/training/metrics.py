"""Metrics of predicted probabilities, by name or as a callable.

Undefined cases: a class that is missing from ``y_true`` counts as scikit-learn counts it (left out
of balanced accuracy and of macro ROC AUC, 0 in macro F1 only if it was predicted); a metric that
has no value at all (ROC AUC of one class) is NaN, and the loop treats NaN as worse than any value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autodl.errors import OptionError, UnknownNameError

Labels = NDArray[np.int64]
Probs = NDArray[np.floating]
MetricFunction = Callable[[Labels, Probs], float]

SMALLEST = 1e-15  # probabilities are clipped to this in the log loss


@dataclass(frozen=True, slots=True)
class Metric:
    """A named number to maximise or minimise.

    Args:
        name: how it is called in tables.
        mode: "max" or "min".
        function: (y_true (n,) int64, probs (n, k)) to a float.
    """

    name: str
    mode: str
    function: MetricFunction

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise OptionError(f"mode must be 'min' or 'max', got {self.mode!r}")

    def __call__(self, y_true: Labels, probs: Probs) -> float:
        """The metric's value; NaN where it is not defined.

        Raises:
            OptionError: the arrays do not fit each other.
        """
        if probs.ndim != 2 or len(y_true) != len(probs):
            raise OptionError(f"{self.name}: {len(y_true)} labels do not fit probabilities {probs.shape}")
        return float(self.function(y_true, probs)) if len(y_true) else math.nan

    def better(self, value: float, than: float) -> bool:
        """Whether ``value`` beats ``than``; NaN beats nothing and is beaten by any number."""
        if math.isnan(value):
            return False
        if math.isnan(than):
            return True
        return value > than if self.mode == "max" else value < than


def get_metric(metric: str | Metric | MetricFunction) -> Metric:
    """The metric of that name (see `known_metrics`; also ``top_<k>``), or a callable as one.

    A callable takes (y_true, probs) and is maximised, unless it has an attribute ``mode``.

    Raises:
        UnknownNameError: no metric has that name.
    """
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(name, getattr(metric, "mode", "max"), metric)
    match = re.fullmatch(r"top_([1-9]\d*)", metric)
    if match:
        k = int(match.group(1))
        return Metric(metric, "max", lambda y_true, probs: top_k(y_true, probs, k))
    if metric not in METRICS:
        raise UnknownNameError("metric", metric, (*known_metrics(), "top_<k>"))
    return METRICS[metric]


def known_metrics() -> tuple[str, ...]:
    """The names `get_metric` knows, ``top_<k>`` apart."""
    return tuple(METRICS)


def accuracy(y_true: Labels, probs: Probs) -> float:
    """Share of images whose most probable class is right."""
    return float((probs.argmax(1) == y_true).mean())


def top_k(y_true: Labels, probs: Probs, k: int) -> float:
    """Share of images whose class is among the k most probable; ties count for the image."""
    own = np.take_along_axis(probs, y_true[:, None], axis=1)
    return float(((probs > own).sum(1) < k).mean())


def log_loss(y_true: Labels, probs: Probs) -> float:
    """Mean negative log-probability of the right class, natural logarithm."""
    own = np.take_along_axis(probs.astype(np.float64), y_true[:, None], axis=1)
    return float(-np.log(np.clip(own, SMALLEST, 1)).mean())


def balanced_accuracy(y_true: Labels, probs: Probs) -> float:
    """Mean recall over the classes that occur in ``y_true``."""
    matrix = confusion_matrix(y_true, probs)
    totals = matrix.sum(1)
    return float((np.diag(matrix)[totals > 0] / totals[totals > 0]).mean())


def f1_macro(y_true: Labels, probs: Probs) -> float:
    """Mean F1 over the classes that occur or are predicted."""
    matrix = confusion_matrix(y_true, probs)
    both = matrix.sum(0) + matrix.sum(1)
    return float((2 * np.diag(matrix)[both > 0] / both[both > 0]).mean())


def precision_macro(y_true: Labels, probs: Probs) -> float:
    """Mean precision over the classes that occur or are predicted; never predicted counts 0."""
    matrix = confusion_matrix(y_true, probs)
    present = matrix.sum(0) + matrix.sum(1) > 0
    return float((np.diag(matrix) / np.maximum(matrix.sum(0), 1))[present].mean())


def recall_macro(y_true: Labels, probs: Probs) -> float:
    """Mean recall over the classes that occur or are predicted; never seen counts 0."""
    matrix = confusion_matrix(y_true, probs)
    present = matrix.sum(0) + matrix.sum(1) > 0
    return float((np.diag(matrix) / np.maximum(matrix.sum(1), 1))[present].mean())


def roc_auc(y_true: Labels, probs: Probs) -> float:
    """Area under the ROC curve: of class 1 for two classes, else the mean of one against the rest.

    Classes that are absent from ``y_true``, or are all there is, are left out; NaN if none is left.
    """
    classes = [1] if probs.shape[1] == 2 else range(probs.shape[1])
    areas = [_binary_auc(y_true == c, probs[:, c]) for c in classes]
    defined = [area for area in areas if not math.isnan(area)]
    return float(np.mean(defined)) if defined else math.nan


def confusion_matrix(y_true: Labels, probs: Probs) -> NDArray[np.int64]:
    """(k, k) counts: row = the right class, column = the most probable one."""
    k = probs.shape[1]
    cells = np.bincount(y_true * k + probs.argmax(1), minlength=k * k)
    return cells.reshape(k, k).astype(np.int64)


def _binary_auc(positive: NDArray[np.bool_], scores: Probs) -> float:
    """Mann-Whitney statistic with ties at half."""
    number = int(positive.sum())
    if number in (0, len(positive)):
        return math.nan
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    assert len(values) == len(ranks)
    total = ranks[inverse][positive].sum()
    return float((total - number * (number + 1) / 2) / (number * (len(positive) - number)))


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "max", accuracy),
        Metric("top_5", "max", lambda y_true, probs: top_k(y_true, probs, 5)),
        Metric("f1_macro", "max", f1_macro),
        Metric("roc_auc", "max", roc_auc),
        Metric("log_loss", "min", log_loss),
        Metric("balanced_accuracy", "max", balanced_accuracy),
        Metric("precision_macro", "max", precision_macro),
        Metric("recall_macro", "max", recall_macro),
    )
}
