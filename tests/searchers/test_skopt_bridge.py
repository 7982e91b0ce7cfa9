from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.searchers.skopt_bridge import SkoptSearcher
from autodl.spaces import Bool, Categorical, Int, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, search
from autodl.trial import Report, TrialState


def forest(**options):
    from skopt.learning import ExtraTreesRegressor

    return ExtraTreesRegressor(n_estimators=5, min_samples_leaf=2, random_state=0, **options)


class TestSkopt(SearcherContract):
    num_trials = 7

    def make(self):
        return SkoptSearcher(
            base_estimator=forest(), n_initial_points=3, acq_func="EI", acq_optimizer="sampling",
            acq_optimizer_kwargs={"n_points": 50},
        )  # fmt: skip


SPACE = SearchSpace(
    {"x": Real(1e-3, 1, log=True), "n": Int(1, 9), "flip": Bool(), "act": Categorical("a", "b", None)}
)


def test_a_given_optimizer_proposes():
    from skopt import Optimizer

    dimensions = [(1e-3, 1.0, "log-uniform"), (1, 9), [False, True], ["a", "b", "c"]]
    space = SearchSpace(
        {**{"x": Real(1e-3, 1), "n": Int(1, 9), "flip": Bool()}, "act": Categorical("a", "b", "c")}
    )
    searcher = SkoptSearcher(Optimizer(dimensions, random_state=3))
    theirs = Optimizer(dimensions, random_state=3)
    searcher.bind(space, seed=0)
    for trial_id in range(4):
        config, asked = searcher.suggest(trial_id), theirs.ask()
        assert list(config.values()) == [v.item() if hasattr(v, "item") else v for v in asked]
        theirs.tell(asked, float(trial_id))
        searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 1, -trial_id, -float(trial_id)))


def test_named_dimensions_may_come_in_any_order():
    from skopt import Optimizer
    from skopt.space import Integer
    from skopt.space import Real as SkoptReal

    optimizer = Optimizer([Integer(1, 9, name="n"), SkoptReal(0.0, 0.5, name="x")], random_state=0)
    searcher = SkoptSearcher(optimizer)
    searcher.bind(SearchSpace({"x": Real(0, 0.5), "n": Int(1, 9), "fixed": 3}), seed=0)
    config = searcher.suggest(0)
    assert isinstance(config["n"], int) and 0 <= config["x"] <= 0.5


def test_other_dimensions_are_refused():
    from skopt import Optimizer

    with pytest.raises(OptionError, match="one for each"):
        SkoptSearcher(Optimizer([(0.0, 1.0)])).bind(SPACE, seed=0)


def test_options_beside_an_optimizer_are_refused():
    with pytest.raises(OptionError, match="acq_func"):
        SkoptSearcher(object(), acq_func="EI")


def test_inactive_values_are_told_as_the_default():
    searcher = SkoptSearcher(base_estimator="RF")
    searcher.bind(SPACES["conditional"], seed=0)
    config = {"lr": 0.5, "net": "linear"}
    searcher.observe(Report(-1, config, TrialState.COMPLETED, 1, 0.25, 0.25))
    [point], [loss] = searcher._optimizer.Xi, searcher._optimizer.yi
    assert (point[0], point[1], loss) == (0.5, 2, -0.25)
    assert point[2] == SPACES["conditional"]["net/mlp/hidden"].domain.default


def test_failed_trials_are_told_as_the_worst():
    searcher = SkoptSearcher(base_estimator="RF")
    searcher.bind(SPACE, seed=0)
    for trial_id, score in enumerate([None, 1.0, -4.0, None]):
        config = searcher.suggest(trial_id)
        state = TrialState.FAILED if score is None else TrialState.COMPLETED
        searcher.observe(Report(trial_id, config, state, 1, score, score))
    assert searcher._optimizer.yi == [-1.0, -1.0, 4.0, 4.0]


def test_running_trials_are_not_asked_for_again():
    searcher = SkoptSearcher(base_estimator="GP", n_initial_points=4, acq_func="EI")
    space = SearchSpace({"x": Real(0, 1)})
    searcher.bind(space, seed=0)
    for trial_id in range(5):
        config = searcher.suggest(trial_id)
        score = -((config["x"] - 0.4) ** 2)
        searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 1, score, score))
    asked = sorted(searcher.suggest(trial_id)["x"] for trial_id in range(5, 8))
    assert np.diff(asked).min() > 1e-3


def test_learns():
    searcher = SkoptSearcher(base_estimator="GP", n_initial_points=5, acq_func="EI")
    searched = search(
        searcher, SearchSpace({"x": Real(0, 1)}), lambda c: -((c["x"] - 0.7) ** 2), num_trials=12
    )
    assert searched.best > -1e-4


def test_running_trials_of_the_initial_design_differ():
    searcher = SkoptSearcher(base_estimator="RF", initial_point_generator="sobol", n_initial_points=8)
    searcher.bind(SearchSpace({"x": Real(0, 1), "y": Real(0, 1)}), seed=0)
    configs = [searcher.suggest(trial_id) for trial_id in range(4)]
    assert len({config["x"] for config in configs}) == 4
