"""FBNet: relaxed samples, weights and architecture parameters in turn, latency in the loss.

Source: Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural
Architecture Search", 2019.
"""

from __future__ import annotations

from typing import Any

import torch

from autodl.nas.data import Batch, NASData
from autodl.nas.distributions import Gumbel, Schedule, exponential
from autodl.nas.evaluators import Evaluator
from autodl.nas.gradient_options import GradientOptions
from autodl.nas.gradient_search import GradientSearch, gradient_search
from autodl.nas.plans import Soft
from autodl.nas.result import NASResult
from autodl.nas.space import Space


class FBNet:
    """Gumbel-softmax samples at two levels.

    Pass ``objective=LogProduct(...)`` and ``cost=LatencyTable(...)`` for the paper's latency-aware
    loss; without them accuracy alone counts.

    Args:
        schedule: temperature by progress; the paper's 5 exp(-0.045 epoch) over 90 epochs.
        options: of the optimizers; units of a budget are epochs. The first tenth trains weights only. The
            paper draws architectures from the final probabilities and trains them: ``retrain_top``.
    """

    name = "fbnet"

    def __init__(self, schedule: Schedule | None = None, options: GradientOptions | None = None) -> None:
        self.schedule = schedule or exponential(5.0, 0.087)
        self.options = options or GradientOptions(
            epochs=90,
            lr=0.1,
            lr_min=0.0,
            weight_decay=1e-4,
            alpha_least_lr=0.01,
            alpha_betas=(0.9, 0.999),
            alpha_weight_decay=5e-4,
            warmup=0.1,
        )

    def search(self, space: Space, data: NASData | Evaluator, **settings: Any) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        return gradient_search(self, space, data, **settings)

    def distribution(self, space: Space, seed: int) -> Gumbel:
        """Alphas of 0, and the temperature."""
        return Gumbel(space, self.schedule, init_std=0.0, seed=seed)

    def step(self, search: GradientSearch, train: Batch, val: Batch | None) -> None:
        """Weights by a sample on the training batch, then alphas by another on the validation batch."""
        distribution = search.distribution
        assert isinstance(distribution, Gumbel)
        sample = {label: w.detach() for label, w in distribution.weights(search.generator).items()}
        search.train_weights(Soft(sample), train)
        search.see("temperature", distribution.temperature)
        if val is None:
            return
        x, y = val
        weights = distribution.weights(search.generator)
        loss = search.loss(search.judge(search.logits(Soft(weights), x), y), weights)
        alphas = list(distribution.parameters())
        grads = torch.autograd.grad(loss, alphas, allow_unused=True)
        for alpha, grad in zip(alphas, grads, strict=True):
            alpha.grad = grad
        search.alpha_optimizer.step()
