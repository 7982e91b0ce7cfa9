from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.training.ensemble import greedy_ensemble
from autodl.training.metrics import get_metric


def one_hot(classes: list[int], k: int = 3, sure: float = 0.8) -> np.ndarray:
    probs = np.full((len(classes), k), (1 - sure) / (k - 1))
    probs[np.arange(len(classes)), classes] = sure
    return probs


Y = np.array([0, 1, 2, 0, 1, 2])


def test_models_that_err_apart_are_combined():
    models = [one_hot([0, 1, 2, 0, 2, 1]), one_hot([1, 0, 2, 0, 1, 2]), one_hot([0, 1, 0, 1, 1, 2])]
    weights = greedy_ensemble(models, Y, "accuracy")
    accuracy = get_metric("accuracy")
    assert accuracy(Y, np.tensordot(weights, np.stack(models), 1)) == 1.0
    assert max(accuracy(Y, m) for m in models) < 1.0
    assert weights.sum() == pytest.approx(1)


def test_never_worse_than_the_best_single_model():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 80)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        models = []
        for _ in range(6):
            logits = rng.normal(size=(80, 4)) * 2
            logits[np.arange(80), y] += rng.uniform(0, 2)
            models.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
        for name in ("accuracy", "log_loss", "f1_macro"):
            metric = get_metric(name)
            weights = greedy_ensemble(models, y, name)
            together = metric(y, np.tensordot(weights, np.stack(models), 1))
            for model in models:
                assert not metric.better(
                    metric(y, model), together + (1e-9 if metric.mode == "min" else -1e-9)
                )


def test_a_useless_model_gets_no_weight():
    weights = greedy_ensemble([one_hot([2, 2, 0, 1, 0, 1]), one_hot(list(Y))], Y, "accuracy")
    assert weights.tolist() == [0, 1]


def test_equals_go_to_the_earlier():
    weights = greedy_ensemble([one_hot(list(Y)), one_hot(list(Y))], Y, "accuracy", rounds=1)
    assert weights.tolist() == [1, 0]


def test_ties_of_the_metric_go_to_the_lower_log_loss():
    weights = greedy_ensemble(
        [one_hot(list(Y), sure=0.5), one_hot(list(Y), sure=0.9)], Y, "accuracy", rounds=1
    )
    assert weights.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("models", "rounds"), [([], 5), ([one_hot([0, 1])], 5), ([one_hot(list(Y)), one_hot(list(Y), 4)], 5)]
)
def test_misfits_are_refused(models, rounds):
    with pytest.raises(OptionError, match="one shape for 6 labels"):
        greedy_ensemble(models, Y, "accuracy", rounds=rounds)
    with pytest.raises(OptionError, match="rounds"):
        greedy_ensemble([one_hot(list(Y))], Y, "accuracy", rounds=0)
