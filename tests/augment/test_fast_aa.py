from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import pytest
import torch

from autodl.augment.fast_aa import (
    FastAAMethod,
    _Objective,
    as_policy_trial,
    policy_of,
    policy_space,
    select_top,
    sub_policies_of,
    without_doubles,
)
from autodl.augment.fold_jobs import FoldInput
from autodl.augment.folds import shuffle_splits
from autodl.augment.rewards import REWARDS
from autodl.augment.search_data import as_search_data
from autodl.augment.search_result import PolicyTrial
from autodl.augment.theta import ThetaOptions
from autodl.errors import OptionError, UnknownNameError
from autodl.trial import Report, Trial, TrialState
from tests.augment.made_searches import small_digits


def config(**changes: object) -> dict[str, object]:
    space = policy_space(("Rotate", "Invert", "Brightness"))
    return {**space.default, **changes}


def trial(number: int, state: TrialState, value: float | None) -> Trial:
    reports = []
    if value is not None:
        reports = [Report(number, config(), state, 1, value, value, {"any_of": value})]
    return Trial(number, config(), state, reports)


def test_thirty_numbers_make_five_sub_policies_of_two_ops() -> None:
    space = policy_space(("Rotate", "Invert"))
    assert len(space) == 30
    policy = policy_of(space.default)
    assert [len(steps) for steps in policy.sub_policies] == [2] * 5
    assert sub_policies_of(space.default)[0][0][0] == "Rotate"


def test_levels_are_those_of_the_published_files() -> None:
    steps = sub_policies_of(config(op_0_0="Rotate", probability_0_0=0.3, level_0_0=0.25))[0][0]
    assert steps == ("Rotate", 0.3, 0.5)
    steps = sub_policies_of(config(op_0_0="Brightness", probability_0_0=1.0, level_0_0=0.0))[0][0]
    assert steps == ("Brightness", 1.0, 1.0, -1)


def test_the_largest_rewards_are_kept_best_first() -> None:
    trials = [PolicyTrial(i, (), reward) for i, reward in enumerate([0.1, 0.9, 0.5, 0.9, 0.7])]
    assert [t.trial_id for t in select_top(trials, 3)] == [1, 3, 4]
    assert len(select_top(trials, 10)) == 5


@pytest.mark.parametrize(
    ("state", "value"),
    [
        (TrialState.RUNNING, 0.99),
        (TrialState.STOPPED, 0.99),
        (TrialState.FAILED, 0.99),
        (TrialState.COMPLETED, None),
        (TrialState.COMPLETED, math.nan),
    ],
)
def test_trials_that_came_to_nothing_are_never_selected(state: TrialState, value: float | None) -> None:
    assert as_policy_trial(trial(0, state, value)) is None
    kept = as_policy_trial(trial(4, TrialState.COMPLETED, 0.5))
    assert kept is not None and (kept.trial_id, kept.reward) == (4, 0.5)


def test_an_ordered_pair_of_ops_counts_once_in_a_trial() -> None:
    first = (("Rotate", 0.1, 0.2), ("Invert", 0.3, 0.0))
    again = (("Rotate", 0.9, 0.9), ("Invert", 0.9, 0.9))
    turned = (first[1], first[0])
    assert without_doubles((first, again, turned, first)) == [first, turned]


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(OptionError, match="trials"):
        FastAAMethod(trials=0)
    with pytest.raises(UnknownNameError, match="any_of"):
        FastAAMethod(reward="top1")
    with pytest.raises(UnknownNameError, match="tpe"):
        FastAAMethod(searcher="hyperopt")
    with pytest.raises(OptionError, match="searcher"):
        FastAAMethod(searcher=3)  # type: ignore[arg-type]


class Recorder:
    """In theta's place: keeps what it is shown."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images)
        return torch.zeros(len(images), 10)


def test_a_trial_shows_theta_its_policy_on_the_images_of_d_a() -> None:
    """A port of the method set the policy on a wrapper that was never asked for images."""
    data = as_search_data(*small_digits(120))
    split = shuffle_splits(data.labels, 1)[0]
    options, recorder = ThetaOptions(flip=False), Recorder()
    fold = FoldInput(0, data, split, options, seed=3, deadline=None, started=0.0, train_seconds=0.0)
    objective = _Objective(FastAAMethod(draws=5), fold, recorder)  # type: ignore[arg-type]
    always = {f"probability_{sub}_{step}": 1.0 for sub in range(5) for step in range(2)}
    inverts = {f"op_{sub}_0": "Invert" for sub in range(5)} | {f"op_{sub}_1": "Invert" for sub in range(5)}
    once = {f"probability_{sub}_1": 0.0 for sub in range(5)}
    reported: dict[str, float] = {}

    def report(**values: float) -> None:
        reported.update(values)

    report.trial_id = 0  # type: ignore[attr-defined]
    objective(SimpleNamespace(config=config(**always | inverts | once)), report)
    objective.accuracy()
    *draws, plain = recorder.seen
    assert torch.equal(plain, data.images[torch.from_numpy(split.search_rows)])
    assert len(draws) == 5 and set(reported) == set(REWARDS)
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(draws, 2))  # shifts of their own
    dark = plain.float().mean((1, 2, 3))
    for draw in draws:  # black borders, so that a shift of two pixels keeps the mean
        assert (draw.float().mean((1, 2, 3)) - (255 - dark)).abs().max() < 40
