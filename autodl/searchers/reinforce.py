"""Reinforcement learning: a policy proposes configs, rewards make the good ones likelier.

Source: B. Zoph, Q. V. Le, "Neural Architecture Search with Reinforcement Learning" (ICLR 2017),
section 3.2; with PPO: B. Zoph, V. Vasudevan, J. Shlens, Q. V. Le, "Learning Transferable
Architectures for Scalable Image Recognition" (CVPR 2018). We depart in three points: rewards are
measured in units of their usual deviation, numbers are decided by bins, and a config that was
tried before teaches its known reward again instead of being trained again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodl.checks import check_whole
from autodl.errors import OptionError, UnknownNameError
from autodl.rng import derive_seed
from autodl.searchers.binding import Binding, bound
from autodl.searchers.decisions import Decisions
from autodl.searchers.policies import Policy, TablePolicy
from autodl.searchers.policy_gradient import ALGORITHMS, PolicyGradient
from autodl.searchers.unseen import Unseen, config_key
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report, TrialState

POLICIES = ("table", "lstm")
_LEARNING_RATES = {
    ("table", "reinforce"): 0.15,
    ("table", "ppo"): 0.05,
    ("lstm", "reinforce"): 0.01,
    ("lstm", "ppo"): 0.005,
}
_HIDDEN = 32  # width of the LSTM; the paper's has 35
_TRIES = 50  # configs drawn before one that was not tried is drawn at random


@dataclass(frozen=True, slots=True)
class _Episode:
    """A config that the policy drew: its options, and how likely they were at that time."""

    options: list[int]
    log_prob: float


class ReinforceSearcher:
    """Draws configs from a policy and moves it, every `batch_size` trials, towards the rewarded ones.

    Suits large spaces of choices and hundreds of trials or more; with fewer, others find more.
    Failed trials are rewarded like the worst seen. Any number of trials may run; those of an older
    policy count as if they were of the present one (PPO corrects for that). Trials it did not
    propose itself move the baseline only. No config of a finite space is proposed twice; drawn
    again, a known one counts with its known reward at no cost. Deterministic given the seed and
    the reports.

    Args:
        policy: ``"table"`` (each decision on its own) or ``"lstm"`` (each knows those before it).
        algorithm: ``"reinforce"``, or ``"ppo"``, which takes several careful steps on each batch.
        batch_size: trials for an update.
        learning_rate: of Adam; None: 0.15 and 0.05 for the table, 0.01 and 0.005 for the LSTM,
            each with "reinforce" and "ppo".
        bins: options of a number; where it lies inside its bin is drawn.
        baseline_decay: of the moving average that rewards are compared with, in [0, 1).
        entropy_weight: reward for staying undecided, in units of the rewards' usual deviation a nat.

    Raises:
        UnknownNameError: no such policy or algorithm.
        OptionError: a number that is not allowed.
    """

    def __init__(  # the method's own numbers
        self,
        policy: str = "table",
        algorithm: str = "reinforce",
        *,
        batch_size: int = 8,
        learning_rate: float | None = None,
        bins: int = 8,
        baseline_decay: float = 0.9,
        entropy_weight: float = 0.01,
    ) -> None:
        if policy not in POLICIES:
            raise UnknownNameError("policy", policy, POLICIES)
        if algorithm not in ALGORITHMS:
            raise UnknownNameError("algorithm", algorithm, ALGORITHMS)
        check_whole("batch_size", batch_size, 2)
        check_whole("bins", bins, 2)
        rate = _LEARNING_RATES[policy, algorithm] if learning_rate is None else learning_rate
        if not (rate > 0.0 and 0.0 <= baseline_decay < 1.0 and entropy_weight >= 0.0):
            raise OptionError(
                "needed: learning_rate > 0, baseline_decay in [0, 1), entropy_weight >= 0; got "
                f"{rate!r}, {baseline_decay!r}, {entropy_weight!r}"
            )
        self.policy = policy
        self.algorithm = algorithm
        self.batch_size = batch_size
        self.learning_rate = rate
        self.bins = bins
        self.baseline_decay = baseline_decay
        self.entropy_weight = entropy_weight
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._unseen = Unseen(space)
        self._decisions = Decisions(space, self.bins)
        self._policy = self._made_policy(derive_seed(seed, "reinforce"))
        self._learner = PolicyGradient(
            self._policy,
            self.algorithm,
            decay=self.baseline_decay,
            entropy_weight=self.entropy_weight,
        )
        self._running: dict[int, _Episode] = {}
        self._rewards: dict[str, float] = {}  # by config, of finite spaces
        self._ended: set[int] = set()
        self._batch: list[tuple[_Episode, float]] = []
        self._unrewarded: list[_Episode] = []  # failed before anything was rewarded
        self._worst: float | None = None

    def _made_policy(self, seed: int) -> Policy:
        counts = self._decisions.counts
        if self.policy == "table":
            return TablePolicy(counts, self.learning_rate)
        from autodl.searchers.lstm_policy import LSTMPolicy  # noqa: PLC0415  # torch

        return LSTMPolicy(counts, self.learning_rate, hidden=_HIDDEN, seed=seed)

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """A config drawn from the policy; None: a finite space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._unseen.used_up:
            return None
        for _ in range(_TRIES):
            config, episode = self._draw(rng)
            if config in self._unseen:
                self._unseen.see(config)
                self._running[trial_id] = episode
                return config
            known = self._rewards.get(config_key(config))
            if known is not None:
                self._learn(episode, known)
        return self._unseen.draw(rng)

    def observe(self, report: Report) -> None:
        """The end of a trial is its reward."""
        self._unseen.see(report.config)
        if not report.state.ended or report.trial_id in self._ended:
            return
        self._ended.add(report.trial_id)
        episode = self._running.pop(report.trial_id, None)
        reward = self._reward(report)
        if reward is None:
            if episode is not None:
                self._unrewarded.append(episode)
            return
        if self._unseen.size is not None:
            self._rewards[config_key(report.config)] = reward
        waiting, self._unrewarded = self._unrewarded, []
        for failed in waiting:
            self._learn(failed, reward)
        if episode is not None:
            self._learn(episode, reward)
        else:
            self._learner.baseline.update([reward])

    def _reward(self, report: Report) -> float | None:
        """The score; of a failed trial the worst so far, None while there is none."""
        score = report.score
        if report.state is TrialState.FAILED or score is None or not math.isfinite(score):
            return self._worst
        self._worst = score if self._worst is None else min(score, self._worst)
        return score

    def _draw(self, rng: np.random.Generator) -> tuple[Config, _Episode]:
        choices = self._policy.begin()
        config, options = self._decisions.decode(
            lambda decision: choices.choose(decision, float(rng.random())), rng
        )
        log_prob = float(self._policy.log_probs(np.array([options], dtype=np.int64))[0])
        return config, _Episode(options, log_prob)

    def _learn(self, episode: _Episode, reward: float) -> None:
        self._batch.append((episode, reward))
        if len(self._batch) < self.batch_size:
            return
        episodes = [episode for episode, _ in self._batch]
        rewards = [reward for _, reward in self._batch]
        self._batch = []
        self._learner.learn(
            np.array([episode.options for episode in episodes], dtype=np.int64),
            np.array([episode.log_prob for episode in episodes]),
            rewards,
        )

    def __repr__(self) -> str:
        shown: dict[str, Any] = {
            "policy": self.policy,
            "algorithm": self.algorithm,
            "batch_size": self.batch_size,
        }
        return f"ReinforceSearcher({', '.join(f'{k}={v!r}' for k, v in shown.items())})"
