"""ENAS: a controller draws the paths along which shared weights are trained, and learns from them.

Source: Pham, Guan, Zoph, Le, Dean, "Efficient Neural Architecture Search via Parameter Sharing",
2018. We depart in one point: the architectures of one controller step are judged on the same
minibatch, so that their rewards differ by the architectures alone.
"""

from __future__ import annotations

from typing import Any

import torch

from autodl.checks import check_whole
from autodl.nas.controller_learner import ControllerLearner, ControllerOptions
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator
from autodl.nas.fitting import FitOptions
from autodl.nas.one_shot_search import OneShotSearch, one_shot_search
from autodl.nas.policy_gradient import reinforce_loss
from autodl.nas.result import NASResult
from autodl.nas.shared_training import Scoring
from autodl.nas.space import Space
from autodl.rng import torch_generator


class ENAS:
    """Weights and controller in turn; units of a budget are epochs of the weights.

    Args:
        fit: how the shared weights are trained.
        options: of the controller; `batch` architectures a step.
        controller_steps: steps of the controller after each epoch of the weights.
        entropy_bonus: of the policy's entropy in the reward.
        samples: architectures that the final controller draws, to keep the one that is best on the
            whole validation part.
        recalibration: minibatches for each one's statistics of batch normalisation.
        retrain_top: best of these that are trained from scratch, the best of which is the result;
            0: none, and the network of the result has the shared weights.
        retrain_fit: how.
    """

    name = "enas"

    def __init__(  # noqa: PLR0913  # all have working defaults
        self,
        fit: FitOptions | None = None,
        options: ControllerOptions | None = None,
        *,
        controller_steps: int = 5,
        entropy_bonus: float = 1e-4,
        samples: int = 50,
        recalibration: int = 4,
        retrain_top: int = 0,
        retrain_fit: FitOptions | None = None,
    ) -> None:
        check_whole("controller_steps", controller_steps)
        check_whole("samples", samples)
        check_whole("retrain_top", retrain_top, 0)
        self.fit = fit or FitOptions(epochs=100)
        self.options = options or ControllerOptions(lr=0.006, tanh_constant=2.5)
        self.controller_steps, self.entropy_bonus = controller_steps, entropy_bonus
        self.samples, self.recalibration = samples, recalibration
        self.retrain_top, self.retrain_fit = retrain_top, retrain_fit

    def search(self, space: Space, data: NASData | Evaluator, **settings: Any) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        return one_shot_search(self, space, data, **settings)

    def learner(self, space: Space, seed: int) -> ControllerLearner:
        """The controller."""
        return ControllerLearner(self.options, space, seed)

    def draw(self, search: OneShotSearch, generator: torch.Generator) -> list[Arch]:
        """One architecture of the controller."""
        return [_learner(search).controller.sample(generator)]

    def after_epoch(self, search: OneShotSearch, epoch: int, loss: float) -> None:
        """Steps of the controller by rewards on validation minibatches."""
        learner, judge = _learner(search), search.judge
        generator = torch_generator(search.seed, "controller", epoch)
        batches = search.training.data.stream("val", torch_generator(search.seed, "val", epoch))
        seen: list[float] = []
        for _ in range(self.controller_steps):
            batch = next(batches)
            episodes = [learner.episode(generator) for _ in range(self.options.batch)]
            rewards = []
            for episode in episodes:
                seen.append(search.training.batch_accuracy(episode.arch, batch))
                made = judge.weigh(seen[-1], judge.cost_of(episode.arch))
                # The entropy is a part of the reward: it brings no gradient of its own.
                bonus = self.entropy_bonus * float(episode.entropy.detach())
                rewards.append(self.options.powered(made.reward) + bonus)
            advantages = torch.tensor(learner.baseline.advantages(rewards))
            learner.descend(reinforce_loss(torch.stack([e.log_prob for e in episodes]), advantages))
        likeliest = learner.controller.mode()
        mean = sum(seen) / len(seen)
        search.run.record(likeliest, mean, judge.cost_of(likeliest), phase="training", train_loss=loss)

    def score(self, search: OneShotSearch, score: Scoring) -> None:
        """The likeliest architecture, and drawn ones."""
        controller = _learner(search).controller
        generator = torch_generator(search.seed, "derive")
        score(controller.mode())
        for _ in range(self.samples - 1):
            if search.is_over:
                return
            score(controller.sample(generator))


def _learner(search: OneShotSearch) -> ControllerLearner:
    assert search.learner is not None
    return search.learner
