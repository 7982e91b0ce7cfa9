"""NASNet's and MnasNet's controller: several steps on one batch, none too far from what drew it.

Sources: Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", 2018,
appendix A; Tan et al., "MnasNet", 2019, with `autodl.nas.objectives.Power` as the objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.controller_learner import ControllerLearner, ControllerOptions
from autodl.nas.controller_search import controller_search
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator
from autodl.nas.fitting import FitOptions
from autodl.nas.policy_gradient import clipped_loss
from autodl.nas.result import NASResult
from autodl.nas.space import Space


class PPO:
    """A controller that learns by proximal policy optimisation.

    Args:
        options: of the controller.
        fit: how networks are trained, where the search gets images.
        clip: how far the probability of an architecture moves on one batch, relative to 1.
        passes: steps on each batch.
        trials: architectures of a search whose budget names none.
        retrain_top: best architectures that are trained again in the end; 0: none, and the network
            of the result is untrained.
    """

    name = "ppo"

    def __init__(
        self,
        options: ControllerOptions | None = None,
        fit: FitOptions | None = None,
        *,
        clip: float = 0.2,
        passes: int = 4,
        trials: int = 200,
        retrain_top: int = 0,
    ) -> None:
        check_whole("passes", passes)
        check_whole("trials", trials)
        check_whole("retrain_top", retrain_top, 0)
        if not 0 < clip < 1:
            raise OptionError(f"clip lies in (0, 1), got {clip!r}")
        self.options = options or ControllerOptions()
        self.fit, self.clip, self.passes = fit, clip, passes
        self.trials, self.retrain_top = trials, retrain_top

    def search(self, space: Space, data: NASData | Evaluator, **settings: Any) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        return controller_search(self, space, data, **settings)

    def update(self, learner: ControllerLearner, archs: Sequence[Arch], advantages: Tensor) -> None:
        """Some steps of the clipped loss."""
        # The controller has not moved since it drew the batch: these are the probabilities it drew with.
        old = learner.log_probs(archs).detach()
        for _ in range(self.passes):
            learner.descend(clipped_loss(learner.log_probs(archs), old, advantages, self.clip))
