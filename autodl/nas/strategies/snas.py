"""SNAS: relaxed one-hot samples; weights and architecture parameters by one backward pass.

Source: Xie, Zheng, Liu, Lin, "SNAS: Stochastic Neural Architecture Search", 2019.
"""

from __future__ import annotations

from typing import Any

from torch.nn import functional as F

from autodl.nas.data import Batch, NASData
from autodl.nas.distributions import Gumbel, Schedule, exponential
from autodl.nas.evaluators import Evaluator
from autodl.nas.gradient_options import GradientOptions
from autodl.nas.gradient_search import GradientSearch, gradient_search
from autodl.nas.plans import Soft
from autodl.nas.result import NASResult
from autodl.nas.space import Space


class SNAS:
    """Stochastic search at one level: both kinds of parameters follow the training loss.

    Args:
        schedule: temperature of the samples by progress; the paper falls from 1 to 0.03.
        options: of the optimizers; units of a budget are epochs. The validation part only judges.
    """

    name = "snas"

    def __init__(self, schedule: Schedule | None = None, options: GradientOptions | None = None) -> None:
        self.schedule = schedule or exponential(1.0, 0.03)
        self.options = options or GradientOptions(epochs=150)

    def search(self, space: Space, data: NASData | Evaluator, **settings: Any) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        return gradient_search(self, space, data, **settings)

    def distribution(self, space: Space, seed: int) -> Gumbel:
        """Alphas close to 0, and the temperature."""
        return Gumbel(space, self.schedule, init_std=1e-3, seed=seed)

    def step(self, search: GradientSearch, train: Batch, val: Batch | None) -> None:
        """One sample, one backward pass, both optimizers."""
        distribution = search.distribution
        assert isinstance(distribution, Gumbel)
        x, y = train
        search.alpha_optimizer.zero_grad(set_to_none=True)
        logits = search.logits(distribution.plan(search.generator), x)
        task_loss = F.cross_entropy(logits, y)
        # The cost's expectation is exact in the probabilities: no need to sample it (equation 12).
        search.step_weights(search.loss(task_loss, distribution.probabilities()))
        if val is not None:
            search.alpha_optimizer.step()
        search.see("train_loss", float(task_loss.detach()))
        search.see("temperature", distribution.temperature)
        if val is not None:
            self._judge(search, distribution, val)

    @staticmethod
    def _judge(search: GradientSearch, distribution: Gumbel, val: Batch) -> None:
        """A look at images that nothing is trained on."""
        probs = {label: p.detach() for label, p in distribution.probabilities().items()}
        was_training = search.net.training
        search.net.eval()
        search.judge(search.logits(Soft(probs), val[0]).detach(), val[1])
        search.net.train(was_training)
