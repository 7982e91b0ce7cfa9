import numpy as np
import pytest

from autodl.report.importance import Importances, encode_label, importances
from autodl.trial import TrialState


def test_finds_what_decides_and_gives_noise_little(make_run):
    found = importances(make_run(60).trials)
    assert next(iter(found.values)) == "lr"
    assert found.values["lr"] > 0.8
    assert found.values["noise"] < 0.1
    assert found.explained > 0.5
    assert sum(found.values.values()) == pytest.approx(1.0)
    assert found.num_trials == 59


def test_finds_a_conditional_label(make_trial):
    rng = np.random.default_rng(1)
    trials = []
    for i in range(80):
        config = {"net": "a" if i % 2 else "b", "noise": float(rng.uniform())}
        if i % 2:
            config["net/width"] = float(rng.uniform())
        trials.append(make_trial(i, config, [config.get("net/width", 0.5)]))
    assert next(iter(importances(trials).values)) == "net/width"


def test_trials_stopped_early_do_not_hide_the_cause(make_trial):
    """Half the trials end after one epoch by lot; lr still decides among equals."""
    rng = np.random.default_rng(2)
    trials = []
    for i in range(80):
        lr = float(rng.uniform())
        values = [0.3 * lr] if rng.random() < 0.5 else [0.3 * lr, 0.5 + 0.3 * lr]
        trial = make_trial(i, {"lr": lr, "noise": float(rng.uniform())}, values)
        trial.state = TrialState.STOPPED
        trials.append(trial)
    found = importances(trials)
    assert found.values["lr"] > 0.8


def test_same_seed_same_answer(run):
    assert importances(run.trials, seed=3) == importances(run.trials, seed=3)


@pytest.mark.parametrize("scores", [[], [0.5] * 3, [0.5] * 20])
def test_too_little_to_learn_from(make_trial, scores):
    trials = [make_trial(i, {"lr": float(i)}, [score]) for i, score in enumerate(scores)]
    assert importances(trials) == Importances(num_trials=len(scores))


def test_constant_labels_are_left_out(make_trial):
    trials = [make_trial(i, {"lr": float(i), "epochs": 9}, [0.1 * i]) for i in range(8)]
    assert set(importances(trials).values) == {"lr"}


def test_encoding_of_mixed_values():
    configs = [{"a": None}, {"a": True}, {}, {"a": "x"}, {"a": None}]
    codes = encode_label(configs, "a")
    assert np.isnan(codes[2])
    assert codes[0] == codes[4]
    assert len({codes[0], codes[1], codes[3]}) == 3
