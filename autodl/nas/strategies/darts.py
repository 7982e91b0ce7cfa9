"""DARTS: every candidate at once, weighted by a softmax; weights and alphas in turn.

Source: Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", 2019, algorithm 1.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from autodl.errors import OptionError
from autodl.nas.bilevel import architecture_gradient, loss_at, sgd_direction
from autodl.nas.data import Batch, NASData
from autodl.nas.distributions import Independent
from autodl.nas.evaluators import Evaluator
from autodl.nas.gradient_options import GradientOptions
from autodl.nas.gradient_search import GradientSearch, gradient_search
from autodl.nas.plans import Soft
from autodl.nas.result import NASResult
from autodl.nas.space import Space


class DARTS:
    """Differentiable architecture search.

    Args:
        order: 2: alphas are judged after a step of the weights that follows them; 1: at the weights
            as they are, three times as fast.
        options: of the optimizers; units of a budget are epochs. By default weights are trained alone
            for the first quarter, which the paper does not do: alphas that move while all weights are
            random favour what has none (pooling, skip), and in short searches do not come back.

    Example::

        result = ad.nas.strategies.DARTS().search(space, data, budget=30)
        result.best_arch, result.net
    """

    name = "darts"

    def __init__(self, order: int = 1, options: GradientOptions | None = None) -> None:
        if order not in (1, 2):
            raise OptionError(f"order is 1 or 2, got {order!r}")
        self.order = order
        self.options = options or GradientOptions(warmup=0.25)

    def search(self, space: Space, data: NASData | Evaluator, **settings: Any) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        return gradient_search(self, space, data, **settings)

    def distribution(self, space: Space, seed: int) -> Independent:
        """Alphas close to 0."""
        return Independent(space, init_std=1e-3, seed=seed)

    def step(self, search: GradientSearch, train: Batch, val: Batch | None) -> None:
        """Alphas by the validation batch, then weights by the training batch."""
        if val is not None:
            self._move_alphas(search, train, val)
        probs = {label: p.detach() for label, p in search.distribution.probabilities().items()}
        search.train_weights(Soft(probs), train)

    def _move_alphas(self, search: GradientSearch, train: Batch, val: Batch) -> None:
        distribution, weights = search.distribution, dict(search.net.named_parameters())
        alphas = list(distribution.parameters())

        def plan() -> Soft:
            return Soft(distribution.probabilities())

        grads = architecture_gradient(
            weights,
            alphas,
            loss_at(search.net, plan, lambda logits: nn.functional.cross_entropy(logits, train[1]), train[0]),
            loss_at(
                search.net,
                plan,
                lambda logits: search.loss(search.judge(logits, val[1]), distribution.probabilities()),
                val[0],
            ),
            xi=search.lr if self.order == 2 else 0.0,
            direction=sgd_direction(search.weights_optimizer, weights),
        )
        for alpha, grad in zip(alphas, grads, strict=True):
            alpha.grad = grad
        search.alpha_optimizer.step()
