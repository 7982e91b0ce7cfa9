from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from autodl.errors import OptionError, UnknownNameError
from autodl.training.metrics import Metric, confusion_matrix, get_metric, known_metrics

RNG = np.random.default_rng(0)


def made(n: int, k: int, present: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of ``present`` of k classes, and probabilities (with ties) that know a little."""
    y = RNG.integers(0, present, n)
    logits = RNG.normal(size=(n, k)).round(1)
    logits[np.arange(n), y] += 1
    probs = np.exp(logits)
    return y, probs / probs.sum(1, keepdims=True)


CASES = [made(200, 4, 4), made(60, 5, 3), made(40, 2, 2)]


@pytest.mark.parametrize(("y", "probs"), CASES, ids=["all classes", "classes missing", "binary"])
def test_agrees_with_scikit_learn(y, probs):
    guess, classes = probs.argmax(1), np.arange(probs.shape[1])
    expected = {
        "accuracy": reference.accuracy_score(y, guess),
        "log_loss": reference.log_loss(y, probs.astype(float), labels=classes),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about predicted classes that do not occur
        expected |= {
            "balanced_accuracy": reference.balanced_accuracy_score(y, guess),
            "f1_macro": reference.f1_score(y, guess, average="macro"),
            "precision_macro": reference.precision_score(y, guess, average="macro", zero_division=0),
            "recall_macro": reference.recall_score(y, guess, average="macro", zero_division=0),
        }
    if probs.shape[1] > 2:
        for k in (2, 3):
            expected[f"top_{k}"] = reference.top_k_accuracy_score(y, probs, k=k, labels=classes)
    for name, value in expected.items():
        # The ties of top-k are broken by order in scikit-learn, for the image here.
        tolerance = 0.02 if name.startswith("top") else 1e-6
        assert get_metric(name)(y, probs) == pytest.approx(value, abs=tolerance), name
    assert (confusion_matrix(y, probs) == reference.confusion_matrix(y, guess, labels=classes)).all()


def test_roc_auc_agrees_with_scikit_learn():
    y, probs = CASES[0]
    scores = [reference.roc_auc_score(y == c, probs[:, c]) for c in range(4)]
    assert get_metric("roc_auc")(y, probs) == pytest.approx(np.mean(scores))
    y, probs = CASES[2]
    assert get_metric("roc_auc")(y, probs) == pytest.approx(reference.roc_auc_score(y, probs[:, 1]))


def test_roc_auc_leaves_missing_classes_out_and_is_nan_when_none_is_left():
    y, probs = CASES[1]
    scores = [reference.roc_auc_score(y == c, probs[:, c]) for c in range(3)]
    assert get_metric("roc_auc")(y, probs) == pytest.approx(np.mean(scores))
    assert math.isnan(get_metric("roc_auc")(np.zeros(5, int), probs[:5]))


def test_top_5_of_fewer_classes_is_always_right():
    assert get_metric("top_5")(*CASES[0]) == 1.0


def test_the_log_loss_of_a_certain_mistake_is_finite():
    assert math.isfinite(get_metric("log_loss")(np.array([0]), np.array([[0.0, 1.0]])))


def test_a_callable_is_a_metric():
    def my_score(y_true, probs):
        return 0.25

    metric = get_metric(my_score)
    assert (metric.name, metric.mode, metric(*CASES[0])) == ("my_score", "max", 0.25)
    my_score.mode = "min"
    assert get_metric(my_score).mode == "min"
    assert get_metric(metric) is metric


def test_better_knows_the_mode_and_nan():
    high, low = get_metric("accuracy"), get_metric("log_loss")
    assert high.better(0.6, 0.5) and not high.better(0.5, 0.5)
    assert low.better(0.5, 0.6) and not low.better(0.6, 0.5)
    assert high.better(0.0, math.nan) and not high.better(math.nan, 0.0)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"acuracy.*accuracy.*log_loss.*top_<k>"):
        get_metric("acuracy")
    assert "f1_macro" in known_metrics()


def test_nothing_to_judge_is_nan_and_misfits_are_refused():
    assert math.isnan(get_metric("accuracy")(np.zeros(0, int), np.zeros((0, 3))))
    with pytest.raises(OptionError, match="3 labels do not fit"):
        get_metric("accuracy")(np.zeros(3, int), np.zeros((2, 3)))
    with pytest.raises(OptionError, match="mode"):
        Metric("x", "up", lambda y, p: 0.0)
