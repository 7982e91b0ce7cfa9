"""ProxylessNAS: one path in memory; binary gates get gradients, pairs of paths are compared.

Source: Cai, Zhu, Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware",
2019, section 3.2 and appendix.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from autodl.errors import OptionError
from autodl.nas.data import Batch, NASData
from autodl.nas.distributions import Independent
from autodl.nas.evaluators import Evaluator
from autodl.nas.gradient_options import GradientOptions
from autodl.nas.gradient_search import GradientSearch, gradient_search
from autodl.nas.objectives import MetricOnly
from autodl.nas.pairs import Pair, rescale_pair
from autodl.nas.plans import Chosen, Gate, OneHot, Plan, Selection
from autodl.nas.result import NASResult
from autodl.nas.space import Space


class ProxylessNAS:
    """Binarised paths with the memory of about one network.

    Args:
        update: "gradient": of the gates of two paths; "reinforce": of the log-probability of whole
            architectures, times their reward.
        options: of the optimizers; units of a budget are epochs. The first quarter trains weights
            only, along uniform paths.
        baseline_decay: of the mean reward that "reinforce" compares with.
    """

    def __init__(
        self,
        update: Literal["gradient", "reinforce"] = "gradient",
        options: GradientOptions | None = None,
        *,
        baseline_decay: float = 0.9,
    ) -> None:
        if update not in ("gradient", "reinforce"):
            raise OptionError(f'update is "gradient" or "reinforce", got {update!r}')
        self.update, self.baseline_decay = update, baseline_decay
        self.name = "proxyless" if update == "gradient" else "proxyless_reinforce"
        self.options = options or GradientOptions(
            epochs=120,
            lr_min=0.0,
            weight_decay=4e-5,
            alpha_least_lr=1e-3,
            alpha_betas=(0.0, 0.999),  # a path that is not drawn must not move on
            alpha_weight_decay=0.0,
            warmup=0.25,
        )

    def search(self, space: Space, data: NASData | Evaluator, **settings: Any) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        return gradient_search(self, space, data, **settings)

    def distribution(self, space: Space, seed: int) -> Independent:
        """Alphas close to 0; the baseline of "reinforce" is kept with them."""
        made = Independent(space, init_std=1e-3, seed=seed)
        made.register_buffer("baseline", torch.full((), torch.nan))
        return made

    def step(self, search: GradientSearch, train: Batch, val: Batch | None) -> None:
        """Weights along one drawn path, then alphas."""
        search.train_weights(OneHot(search.distribution.sample(search.generator)), train)
        if val is None:
            return
        search.alpha_optimizer.zero_grad(set_to_none=True)
        if self.update == "reinforce":
            self._reinforce(search, val)
        else:
            self._compare(search, val)

    def _compare(self, search: GradientSearch, val: Batch) -> None:
        x, y = val
        alphas = search.distribution.alphas
        pairs = {
            label: Pair.draw(alpha, search.generator) for label, alpha in alphas.items() if len(alpha) > 1
        }
        plan: dict[str, Selection] = {}
        probs: dict[str, Tensor] = {}
        for label, alpha in alphas.items():
            probs[label] = alpha.detach().softmax(0)
            if label not in pairs:
                plan[label] = Chosen(search.space.decisions()[label].choices[0])
                continue
            pair = pairs[label]
            first, second = pair.paths.tolist()
            plan[label] = Gate(pair.spread(torch.zeros_like(alpha), pair.shares), first, (second,))
            probs[label] = pair.spread(probs[label], pair.mass * pair.shares)
        loss = search.loss(search.judge(search.logits(Plan(plan), x), y), probs)
        grads = torch.autograd.grad(loss, list(alphas.values()), allow_unused=True)
        before = {label: alpha.detach().clone() for label, alpha in alphas.items()}
        for alpha, grad in zip(alphas.values(), grads, strict=True):
            alpha.grad = grad
        search.alpha_optimizer.step()
        for label, pair in pairs.items():
            rescale_pair(alphas[label], before[label], pair.paths)

    def _reinforce(self, search: GradientSearch, val: Batch) -> None:
        x, y = val
        arch = search.distribution.sample(search.generator)
        with torch.no_grad():
            logits = search.logits(OneHot(arch), x)
            search.judge(logits, y)
            accuracy = float((logits.argmax(1) == y).float().mean())
        objective = search.objective or MetricOnly()
        reward = objective.reward(accuracy, 1.0 if search.cost is None else search.cost.cost(arch))
        baseline = search.distribution.get_buffer("baseline")
        # Compared with rewards before this one: its own part in the mean would bias the gradient.
        advantage = 0.0 if torch.isnan(baseline) else reward - float(baseline)
        (-advantage * search.distribution.log_prob(arch)).backward()  # type: ignore[no-untyped-call]
        search.alpha_optimizer.step()
        kept = reward if torch.isnan(baseline) else float(baseline)
        baseline.fill_(self.baseline_decay * kept + (1 - self.baseline_decay) * reward)
