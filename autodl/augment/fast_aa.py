"""Fast AutoAugment as published: trials of random-draw rewards, the best of each fold merged.

Source: S. Lim, I. Kim, T. Kim, C. Kim, S. Kim, "Fast AutoAugment" (NeurIPS 2019), algorithm 1, with
the settings of its released code: 5 sub-policies of 2 ops a trial, 200 trials a fold by TPE, an image
counts as right when any of 5 draws is, the 10 best trials of each fold are kept.

Departures: the trials of a fold run one after the other, so that each is proposed with all results
before it (the released code has up to 80 under way); Color is left out where images have no colour.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from autodl.augment.bank import search_ops
from autodl.augment.fold_jobs import FoldInput
from autodl.augment.policy import Policy
from autodl.augment.rewards import DRAWS, REWARDS, policy_rewards
from autodl.augment.search_result import FoldResult, PolicyTrial, Steps
from autodl.augment.theta import Theta, base_draw
from autodl.checks import check_whole
from autodl.errors import TrialError, UnknownNameError
from autodl.executors import SerialExecutor
from autodl.rng import torch_generator
from autodl.searchers.protocol import Searcher
from autodl.searchers.registry import get_searcher
from autodl.spaces import Categorical, Real, SearchSpace
from autodl.trial import Config, Trial, TrialState
from autodl.tuner import tune

SUB_POLICIES = 5
STEPS = 2


@dataclass(frozen=True, slots=True)
class FastAAMethod:
    """See `autodl.augment.fast_autoaugment`.

    Args:
        trials: policies scored on each fold.
        top: policies of each fold that go into the result.
        draws: of D_A for each policy.
        reward: what is searched by: one of `autodl.augment.rewards.REWARDS`.
        searcher: a name, or a searcher, of which each fold gets a copy.
    """

    trials: int = 200
    top: int = 10
    draws: int = DRAWS
    reward: str = "any_of"
    searcher: str | Searcher = "tpe"
    name: str = field(default="fast_aa", init=False)

    def __post_init__(self) -> None:
        for name in ("trials", "top", "draws"):
            check_whole(name, getattr(self, name))
        if self.reward not in REWARDS:
            raise UnknownNameError("reward", self.reward, REWARDS)
        get_searcher(self.searcher, num_trials=self.trials)  # a wrong name is told before theta is trained

    def search(self, fold: FoldInput, theta: Theta) -> FoldResult:
        """All trials of a fold, one after the other."""
        objective = _Objective(self, fold, theta)
        accuracy = objective.accuracy()
        trials = self._run(objective, fold)
        best = select_top(trials, self.top)
        kept = [steps for trial in best for steps in without_doubles(trial.sub_policies)]
        numbers = {trial.trial_id for trial in best}
        counts = {steps: float(kept.count(steps)) for steps in kept}
        return FoldResult(
            index=fold.index,
            split=fold.split,
            accuracy=accuracy,
            sub_policies=tuple(counts),
            weights=tuple(counts.values()),
            reward=best[0].rewards["any_of"],
            forwards=theta.num_forwards,
            seconds=time.monotonic() - fold.started,
            train_seconds=fold.train_seconds,
            is_complete=len(trials) >= self.trials,
            trials=tuple(replace(trial, selected=trial.trial_id in numbers) for trial in trials),
        )

    def _run(self, objective: _Objective, fold: FoldInput) -> list[PolicyTrial]:
        limit = None if fold.deadline is None else max(1e-3, fold.deadline - time.monotonic())
        space = policy_space(search_ops(is_grey=fold.data.is_grey))
        run = tune(
            objective,
            space,
            metric=self.reward,
            mode="max",
            searcher=copy.deepcopy(self.searcher),
            num_trials=self.trials,
            time_limit=limit,
            executor=SerialExecutor(),
            seed=fold.seed,
        )
        trials = [trial for each in run.trials if (trial := as_policy_trial(each)) is not None]
        if not trials:
            raise TrialError("the time limit left no time to score one policy")
        return trials


class _Objective:
    """Scores one policy on D_A by fresh draws."""

    def __init__(self, method: FastAAMethod, fold: FoldInput, theta: Theta) -> None:
        rows = torch.from_numpy(fold.split.search_rows)
        self.images = fold.data.images[rows].to(theta.device)
        self.labels = torch.from_numpy(fold.data.labels)[rows]
        self.draws, self.seed, self.theta = method.draws, fold.seed, theta
        self.base = fold.options.base(fold.data)

    def accuracy(self) -> float:
        """Of the images as they are."""
        return float((self.theta(self.images).argmax(1) == self.labels).double().mean())

    def __call__(self, args: Any, reporter: Any) -> None:
        policy = policy_of(args.config)
        generator = torch_generator(self.seed, "draws", reporter.trial_id)
        logits = torch.stack([self.theta(self._draw(policy, generator)) for _ in range(self.draws)])
        reporter(**policy_rewards(logits, self.labels))

    def _draw(self, policy: Policy, generator: torch.Generator) -> torch.Tensor:
        return base_draw(self.base, policy(self.images, generator), generator)


def policy_space(ops: tuple[str, ...]) -> SearchSpace:
    """30 parameters: op, probability and level of each step of each sub-policy."""
    space: dict[str, Any] = {}
    for sub in range(SUB_POLICIES):
        for step in range(STEPS):
            space[f"op_{sub}_{step}"] = Categorical(*ops)
            space[f"probability_{sub}_{step}"] = Real(0.0, 1.0)
            space[f"level_{sub}_{step}"] = Real(0.0, 1.0)
    return SearchSpace(space)


def policy_of(config: Config) -> Policy:
    """The policy that a config of `policy_space` stands for."""
    names = ("op", "probability", "level")
    return Policy.from_fast_autoaugment(
        [
            [tuple(config[f"{name}_{sub}_{step}"] for name in names) for step in range(STEPS)]
            for sub in range(SUB_POLICIES)
        ]
    )


def sub_policies_of(config: Config) -> tuple[Steps, ...]:
    """The sub-policies of a config, as plain values."""
    return tuple(tuple(tuple(step.values()) for step in steps) for steps in policy_of(config).sub_policies)


def as_policy_trial(trial: Trial) -> PolicyTrial | None:
    """A trial of the engine that came to its end; None for any other."""
    best = trial.best
    if trial.state is not TrialState.COMPLETED or best is None or best.value is None:
        return None
    if not math.isfinite(best.value):
        return None
    return PolicyTrial(trial.trial_id, sub_policies_of(trial.config), best.value, dict(best.metrics))


def select_top(trials: list[PolicyTrial], top: int) -> list[PolicyTrial]:
    """The trials with the largest rewards, best first, the earlier of equals first."""
    return sorted(trials, key=lambda trial: (-trial.reward, trial.trial_id))[:top]


def without_doubles(sub_policies: tuple[Steps, ...]) -> list[Steps]:
    """A trial's sub-policies whose ordered op names did not occur before in it."""
    first: dict[tuple[str, ...], Steps] = {}
    for steps in sub_policies:
        first.setdefault(tuple(step[0] for step in steps), steps)
    return list(first.values())
