"""Folds side by side on any executor: each is one trial of a grid run by the engine.

A fold depends on the seed and its index alone, and runs on one CPU thread, so that the policy is the
same for any number of workers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from autodl.augment.folds import Split
from autodl.augment.search_data import SearchData
from autodl.augment.search_result import FoldResult, PolicySearchResult, merge_policy
from autodl.augment.theta import NetFactory, Theta, ThetaOptions, train_theta
from autodl.errors import TrialError
from autodl.executors.protocol import Executor
from autodl.rng import derive_seed
from autodl.spaces import Categorical, SearchSpace
from autodl.training.parallel import torch_threads
from autodl.trial import TrialState
from autodl.tuner import make_executor, tune

_RESERVE = 0.5  # of a fold's time that theta's training may take
_NO_TIME = "time_limit_s leaves no time to search a policy in any fold; give it more, or a smaller network"


class FoldMethod(Protocol):
    """A way to search a policy on one fold; ships to workers."""

    @property
    def name(self) -> str:
        """As `search_policy` calls it."""

    def search(self, fold: FoldInput, theta: Theta) -> FoldResult:
        """The fold's sub-policies and records; `FoldInput.deadline` is kept."""


@dataclass(frozen=True, slots=True)
class FoldInput:
    """What a method is given.

    Attributes:
        index: the fold's number.
        data: all images.
        split: the fold's rows.
        options: theta's.
        seed: the fold's own.
        deadline: on ``time.monotonic``'s scale, or None.
        started: likewise, the fold's begin.
        train_seconds: that training theta took.
    """

    index: int
    data: SearchData
    split: Split
    options: ThetaOptions
    seed: int
    deadline: float | None
    started: float
    train_seconds: float

    @property
    def is_late(self) -> bool:
        """Whether the time is used up."""
        return self.deadline is not None and time.monotonic() >= self.deadline


@dataclass(frozen=True, slots=True)
class SearchTask:
    """All folds of one search."""

    data: SearchData
    splits: tuple[Split, ...]
    method: FoldMethod
    net: NetFactory | None
    options: ThetaOptions
    seed: int

    def run_fold(self, index: int, left_s: float | None) -> FoldResult | None:
        """One fold within so many seconds; None if they are too few for anything."""
        if left_s is not None and left_s <= 0:
            return None
        with torch_threads(1):
            try:
                return self._run_fold(index, left_s)
            except TrialError as error:
                if left_s is not None and "time limit" in str(error):  # the loops' own words
                    return None
                raise

    def _run_fold(self, index: int, left_s: float | None) -> FoldResult:
        started = time.monotonic()
        deadline = None if left_s is None else started + left_s
        seed = derive_seed(self.seed, "fold", index)
        theta = train_theta(
            self.data,
            self.splits[index],
            net=self.net,
            options=self.options,
            seed=seed,
            deadline=None if left_s is None else started + _RESERVE * left_s,
        )
        trained = time.monotonic() - started
        fold = FoldInput(index, self.data, self.splits[index], self.options, seed, deadline, started, trained)
        return self.method.search(fold, theta)


class _Job:
    """One fold as a trial of the engine; its result travels as the trial's saved state."""

    def __init__(self, task: SearchTask, end: float | None, num_workers: int) -> None:
        self.task, self.end, self.num_workers = task, end, num_workers

    def __call__(self, args: Any, reporter: Any) -> None:
        index = int(args.fold)
        result = self.task.run_fold(index, self._left_s(index))
        if result is not None:
            reporter.save({"fold": json.dumps(result.to_dict())})
        reporter(done=float(result is not None))

    def _left_s(self, index: int) -> float | None:
        """The fold's share of what is left: later rounds of folds are left theirs."""
        if self.end is None:
            return None
        rounds = -(-len(self.task.splits) // self.num_workers)
        return (self.end - time.time()) / (rounds - index // self.num_workers)


def run_search(
    task: SearchTask, *, executor: Executor | None, num_workers: int, time_limit_s: float | None
) -> PolicySearchResult:
    """All folds, merged.

    Raises:
        TrialError: not one fold came to a policy within the time limit.
        AllTrialsFailedError: theta cannot be trained on these images; shows the traceback.
        KeyboardInterrupt: Ctrl-C; a part of the folds is no policy to go on with unasked.
    """
    started = time.monotonic()
    end = None if time_limit_s is None else time.time() + time_limit_s
    workers = make_executor(num_workers) if executor is None else executor
    number = len(task.splits)
    run = tune(
        _Job(task, end, workers.num_workers),
        SearchSpace({"fold": Categorical(*range(number))}),
        metric="done",
        mode="max",
        searcher="grid",
        num_trials=number,
        executor=workers,
        keep_checkpoints=None,
        seed=task.seed,
    )
    if run.stopped_by == "interrupted":
        raise KeyboardInterrupt
    failed = [trial for trial in run.trials if trial.state is TrialState.FAILED]
    if failed:
        raise TrialError(f"the policy search failed in {len(failed)} of {number} folds:\n{failed[0].error}")
    done = [trial.trial_id for trial in run.trials if trial.best is not None and trial.best.value == 1.0]
    folds = [FoldResult.from_dict(json.loads(run.load_state(trial_id)["fold"])) for trial_id in done]
    if not folds:
        raise TrialError(_NO_TIME)
    return make_result(folds, task.method.name, time.monotonic() - started, number)


def make_result(
    folds: Sequence[FoldResult], method: str, seconds: float, num_folds: int
) -> PolicySearchResult:
    """Folds in order, and their merged policy."""
    ordered = tuple(sorted(folds, key=lambda fold: fold.index))
    return PolicySearchResult(merge_policy(ordered), method, ordered, seconds, num_folds)
