"""The contract of a searcher, as tests to inherit, and a driver that runs one on a made problem.

Example::

    from autodl.testing.searchers import SearcherContract

    class TestMine(SearcherContract):
        def make(self):
            return MySearcher()
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from autodl.searchers.protocol import BindableSearcher, Searcher
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.trial import Config, Report, TrialState

Objective = Callable[[Config], float | None]
"""A config's score, larger is better; None: the trial fails."""

_LR = Real(1e-4, 1.0, log=True)
_NORM = Categorical({"batch": Dict(momentum=Real(0, 1)), "none": None})
_NETS = {
    "mlp": Dict(hidden=Int(4, 256, log=True)),
    "conv": Dict(kernel=Categorical(3, 5, 7), norm=_NORM),
    "linear": None,
}

SPACES: dict[str, SearchSpace] = {
    "numbers": SearchSpace({"lr": _LR, "width": Int(8, 512, log=True), "depth": Int(1, 9)}),
    "choices": SearchSpace({"act": Categorical("relu", "gelu", "tanh"), "flip": Bool(), "drop": Real(0, 1)}),
    "conditional": SearchSpace({"lr": _LR, "net": Categorical(_NETS)}),
    "finite": SearchSpace({"a": Int(1, 3), "b": Categorical("x", "y")}),
    "constants only": SearchSpace({"epochs": 3}),
}
"""Spaces that every searcher must cope with; those with reals are infinite."""


@dataclass(slots=True)
class Searched:
    """What came of a driven search: configs and scores by trial number.

    Attributes:
        configs: as proposed.
        scores: of each trial; None: it failed.
        is_used_up: the searcher had nothing to propose while nothing ran.
    """

    configs: list[Config] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    is_used_up: bool = False

    @property
    def best(self) -> float:
        """The highest score; minus infinity if there is none."""
        return max((score for score in self.scores if score is not None), default=-math.inf)


def search(
    searcher: Searcher,
    space: SearchSpace,
    objective: Objective,
    *,
    num_trials: int,
    num_workers: int = 1,
    seed: int = 0,
) -> Searched:
    """Bind a searcher and run trials on pretended workers, which finish in a seeded random order.

    Each trial reports once on the way (the score at half the resource, a little lower) and once
    at its end. Every proposal is checked against the space.

    Raises:
        AssertionError: a proposal is not a config of the space.
    """
    if isinstance(searcher, BindableSearcher):
        searcher.bind(space, seed=seed)
    rng = np.random.default_rng(seed)
    searched, running = Searched(), list[int]()
    while True:
        while len(running) < num_workers and len(searched.configs) < num_trials:
            config = searcher.suggest(len(searched.configs))
            if config is None:
                searched.is_used_up = not running
                break
            check_config(space, config)
            running.append(len(searched.configs))
            searched.configs.append(config)
            searched.scores.append(objective(config))
        if not running:
            return searched
        trial_id = running.pop(int(rng.integers(len(running))))
        _report(searcher, trial_id, searched.configs[trial_id], searched.scores[trial_id])


def _report(searcher: Searcher, trial_id: int, config: Config, score: float | None) -> None:
    if score is None:
        searcher.observe(Report(trial_id, config, TrialState.FAILED, 0, None, None))
        return
    early = score - 0.1 * abs(score)
    searcher.observe(Report(trial_id, config, TrialState.RUNNING, 1, early, early, {"score": early}))
    searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 2, score, score, {"score": score}))


def check_config(space: SearchSpace, config: Config) -> None:
    """Check that a proposal is valid and made of Python's own scalars.

    Raises:
        AssertionError: it is not; numpy's scalars count as wrong, for JSON does not know them.
    """
    space.validate(config)
    for label, value in config.items():
        assert value is None or type(value) in (int, float, bool, str), (
            f"{label}={value!r} is a {type(value)}"
        )
    assert json.loads(json.dumps(config)) == config


def smooth(config: Config) -> float:
    """A score for any config: best at small numbers, with a bonus for some choices."""
    score = 0.0
    for label, value in config.items():
        if isinstance(value, int | float):
            score -= abs(float(value)) / (1 + abs(float(value)))
        else:
            score += (sum(map(ord, f"{label}={value}")) % 7) / 7
    return score


def failing(config: Config) -> float | None:
    """`smooth`, but about a third of the configs fail."""
    return None if sum(map(ord, json.dumps(config))) % 3 == 0 else smooth(config)


class SearcherContract:
    """What every searcher must do. Inherit, name the class ``Test...``, and define `make`."""

    num_trials = 14
    """Trials of each search in the suite."""

    def make(self) -> Searcher:
        """A new searcher, not bound yet."""
        raise NotImplementedError

    def spaces(self) -> dict[str, SearchSpace]:
        """The spaces it is tried on; override for a searcher that serves one space only."""
        return SPACES

    def test_has_the_methods_of_the_protocol(self) -> None:
        """`suggest` and `observe` are there."""
        assert isinstance(self.make(), Searcher)

    def test_proposals_belong_to_the_space(self) -> None:
        """In every space, with one worker and several, whatever order trials end in."""
        for name, space in self.spaces().items():
            for workers in (1, 5):
                searched = search(
                    self.make(), space, smooth, num_trials=self.num_trials, num_workers=workers, seed=workers
                )
                assert searched.configs, f"nothing proposed in the space {name!r}"
                assert searched.is_used_up or len(searched.configs) == self.num_trials

    def test_infinite_space_never_runs_dry(self) -> None:
        """A searcher may wait for reports, but not give up."""
        for space in self.spaces().values():
            if space.size is None:
                searched = search(self.make(), space, smooth, num_trials=self.num_trials)
                assert len(searched.configs) == self.num_trials

    def test_same_seed_and_reports_give_the_same_proposals(self) -> None:
        """Resume is replay."""
        for space in self.spaces().values():
            for workers in (1, 3):
                runs = [
                    search(
                        self.make(), space, failing, num_trials=self.num_trials, num_workers=workers, seed=7
                    )
                    for _ in range(2)
                ]
                assert runs[0].configs == runs[1].configs

    def test_leaves_numpys_global_generator_alone(self) -> None:
        """No hidden randomness, taken or given."""
        before = np.random.get_state()  # noqa: NPY002  # that is what is checked
        for space in self.spaces().values():
            search(self.make(), space, smooth, num_trials=self.num_trials)
        after = np.random.get_state()  # noqa: NPY002
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))

    def test_goes_on_after_failed_trials(self) -> None:
        """Some fail, or all do: their score is None."""
        objectives: tuple[Objective, ...] = (failing, lambda config: None)
        for space in self.spaces().values():
            for objective in objectives:
                searched = search(self.make(), space, objective, num_trials=self.num_trials, num_workers=2)
                assert searched.is_used_up or len(searched.configs) == self.num_trials

    def test_takes_equal_and_extreme_scores(self) -> None:
        """Plateaus, huge and infinite scores."""
        for scores in ([0.5], [1e300, -1e300, 0.0], [0.1, -math.inf, 0.2, math.inf]):
            for space in self.spaces().values():
                turn = iter(scores * self.num_trials)
                search(self.make(), space, lambda config, turn=turn: next(turn), num_trials=self.num_trials)  # type: ignore[misc]

    def test_proposes_for_many_workers_before_any_report(self) -> None:
        """All trials running, nothing known: waiting (None) is allowed, but not at the first."""
        for space in self.spaces().values():
            searched = search(
                self.make(), space, smooth, num_trials=self.num_trials, num_workers=self.num_trials
            )
            assert searched.configs

    def test_takes_reports_of_trials_it_did_not_propose(self) -> None:
        """Given points have numbers of the run, those of warm starts are negative; some fail."""
        for space in self.spaces().values():
            for first in (0, -6):
                searcher = self.make()
                if isinstance(searcher, BindableSearcher):
                    searcher.bind(space, seed=0)
                for trial_id in range(first, first + 6):
                    config = space.sample(np.random.default_rng(trial_id - first))
                    _report(searcher, trial_id, config, failing(config))
                for trial_id in range(max(first + 6, 0), max(first + 6, 0) + 3):
                    config_or_none = searcher.suggest(trial_id)
                    if config_or_none is not None:
                        check_config(space, config_or_none)
                        _report(searcher, trial_id, config_or_none, smooth(config_or_none))
