"""NAS with reinforcement learning: each architecture is trained by itself, its accuracy is the reward.

Source: Zoph and Le, "Neural Architecture Search with Reinforcement Learning", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from autodl.checks import check_whole
from autodl.nas.controller_learner import ControllerLearner, ControllerOptions
from autodl.nas.controller_search import controller_search
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator
from autodl.nas.fitting import FitOptions
from autodl.nas.policy_gradient import reinforce_loss
from autodl.nas.result import NASResult
from autodl.nas.space import Space


class REINFORCE:
    """A controller that learns by the plain policy gradient.

    Args:
        options: of the controller. The paper's LSTM learns from 12,800 networks with a rate of 6e-4;
            ours, from hundreds.
        fit: how networks are trained, where the search gets images.
        trials: architectures of a search whose budget names none.
        retrain_top: best architectures that are trained again in the end; 0: none, and the network
            of the result is untrained.

    Example::

        result = ad.nas.strategies.REINFORCE().search(space, data, budget=200)
    """

    name = "reinforce"

    def __init__(
        self,
        options: ControllerOptions | None = None,
        fit: FitOptions | None = None,
        *,
        trials: int = 200,
        retrain_top: int = 0,
    ) -> None:
        check_whole("trials", trials)
        check_whole("retrain_top", retrain_top, 0)
        self.options = options or ControllerOptions()
        self.fit, self.trials, self.retrain_top = fit, trials, retrain_top

    def search(self, space: Space, data: NASData | Evaluator, **settings: Any) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        return controller_search(self, space, data, **settings)

    def update(self, learner: ControllerLearner, archs: Sequence[Arch], advantages: Tensor) -> None:
        """One step along the policy gradient."""
        learner.descend(reinforce_loss(learner.log_probs(archs), advantages))
