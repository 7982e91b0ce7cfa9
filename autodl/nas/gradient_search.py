"""The loop that gradient methods share: a super-net, a row of numbers a decision, epochs of steps.

A method says how one step moves weights and architecture parameters (`Method.step`) and what it
starts from; optimizers, minibatches, costs, the history, resuming and deriving are here.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, Unpack, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from autodl.errors import OptionError
from autodl.nas.costs import Cost, ExpectedCost
from autodl.nas.data import Batch, NASData
from autodl.nas.decisions import Arch
from autodl.nas.distributions import Gumbel, Independent
from autodl.nas.evaluators import Evaluator, arch_key
from autodl.nas.fitting import set_lr, weights_step
from autodl.nas.gradient_options import GradientOptions
from autodl.nas.judge import Judge, as_evaluator
from autodl.nas.objectives import Objective
from autodl.nas.plans import Plan, active
from autodl.nas.result import NASResult, plain_probabilities
from autodl.nas.retrain import Candidate, finish, search_share
from autodl.nas.space import Space
from autodl.nas.strategy import Run, RunSettings
from autodl.rng import torch_generator

TRAVEL = 6.0
"""How far Adam can move an architecture parameter in a search. DARTS: 50 epochs of 390 steps of 3e-4."""

FIRST_LOOK = 0.05
"""Share of a time limit after which the steps so far tell how many there will be."""

TRIES = 20
"""Draws for each further candidate: where probabilities are sharp, most draws come twice."""


class Method(Protocol):
    """What makes a gradient method."""

    name: str
    options: GradientOptions

    def distribution(self, space: Space, seed: int) -> Independent:
        """The architecture parameters to start from."""

    def step(self, search: GradientSearch, train: Batch, val: Batch | None) -> None:
        """Move weights by `train`, architecture parameters by `val`; None: weights only."""


class GradientSearch:
    """One search in the making; methods use its attributes.

    Args:
        method: what runs.
        space: of the architectures.
        data: two disjoint parts.
        objective: see `Strategy.search`.
        cost: see `Strategy.search`; beside an objective it must offer `expected`.
        seed: of everything random.

    Attributes:
        net: the super-net.
        distribution: the architecture parameters.
        weights_optimizer: SGD.
        alpha_optimizer: Adam.
        lr: of the weights at this step.
        generator: of what is drawn in this epoch.
    """

    def __init__(
        self,
        method: Method,
        space: Space,
        data: NASData,
        *,
        objective: Objective | None,
        cost: Cost | None,
        seed: int,
    ) -> None:
        if not isinstance(data, NASData):
            raise OptionError(
                f"{method.name} trains a super-net and needs images (NASData), got {type(data).__name__}"
            )
        if objective is not None and (cost is None or not hasattr(cost, "expected")):
            raise OptionError(
                f"{method.name} lowers an expected cost: pass cost=MACs(...), Params(...) or "
                f"LatencyTable(...) beside the objective, got {cost!r}"
            )
        self.method, self.space, self.data, self.seed = method, space, data, seed
        self.objective, self.cost = objective, cast("ExpectedCost | None", cost)
        self.net = space.supernet(seed).to(data.device)
        self.distribution = method.distribution(space, seed).to(data.device)
        options = method.options
        self.weights_optimizer = torch.optim.SGD(
            self.net.parameters(), options.lr, options.momentum, weight_decay=options.weight_decay
        )
        self.alpha_optimizer = torch.optim.Adam(
            self.distribution.parameters(),
            options.alpha_lr or options.alpha_least_lr,
            betas=options.alpha_betas,
            weight_decay=options.alpha_weight_decay,
        )
        self.lr = options.lr
        self.generator = torch_generator(seed, "search", 0)
        self._sums: dict[str, list[float]] = {}

    def run(self, run: Run) -> NASResult:
        """Search until the budget is spent."""
        if run.restored is not None:
            self._load(run.restored)
        top, fit = self.method.options.retrain_top, self.method.options.retrain_fit
        self._pace(run.units * self.data.num_batches())
        for epoch in run.steps(search_share(top)):
            self._epoch(epoch, run, search_share(top))
            run.save(self._state)
        judge = Judge(
            as_evaluator(self.space, self.data, fit, self.seed), objective=self.objective, cost=self.cost
        )
        return finish(
            run,
            self.space,
            self.data,
            [Candidate(arch, None, judge.cost_of(arch), 0.0) for arch in self.candidates(max(1, top))],
            judge,
            self._state,
            top=top,
            fit=fit,
            probabilities=plain_probabilities(self.distribution.probabilities()),
        )

    def candidates(self, count: int) -> list[Arch]:
        """The derived architecture, then others drawn from the probabilities, each once."""
        generator = torch_generator(self.seed, "candidates")
        found = {arch_key(arch): arch for arch in [self.derive()]}
        for _ in range(TRIES * (count - 1)):
            if len(found) == count:
                break
            arch = self.distribution.sample(generator)
            found.setdefault(arch_key(arch), arch)
        return list(found.values())

    def derive(self) -> Arch:
        """The architecture: by the space's own rule if it has one, else the likeliest choices."""
        rule = getattr(self.space, "derive", None)
        if rule is None:
            return self.distribution.mode()
        probabilities = {label: p.detach().cpu() for label, p in self.distribution.probabilities().items()}
        return self.space.validate(rule(probabilities))

    def _pace(self, steps: float) -> None:
        """Set the rate at which alphas travel in a search of so many steps of the weights."""
        options = self.method.options
        moved = max(1.0, steps * (1 - options.warmup) / options.alpha_every)
        set_lr(self.alpha_optimizer, options.alpha_lr or max(options.alpha_least_lr, TRAVEL / moved))

    def _epoch(self, epoch: int, run: Run, time_share: float) -> None:
        options, count = self.method.options, self.data.num_batches()
        # Drawn from the epoch's number: a resumed search sees what an unbroken one would have seen.
        train = self.data.epoch("train", torch_generator(self.seed, "train", epoch))
        val = self.data.stream("val", torch_generator(self.seed, "val", epoch))
        self.generator = torch_generator(self.seed, "search", epoch)
        self._sums = {}
        self.net.train()
        for number, batch in enumerate(train):
            step = epoch * count + number
            share = run.spent(step / count, time_share)
            if run.seconds is not None and share > FIRST_LOOK:
                self._pace(step / share)
            self.lr = options.lr_min + (options.lr - options.lr_min) * 0.5 * (1 + math.cos(math.pi * share))
            set_lr(self.weights_optimizer, self.lr)
            if isinstance(self.distribution, Gumbel):
                self.distribution.progress = share
            is_due = share >= options.warmup and step % options.alpha_every == 0
            self.method.step(self, batch, next(val) if is_due else None)
            if run.ends(time_share):
                break
        self._note(run)

    def _note(self, run: Run) -> None:
        with torch.no_grad():
            probs = self.distribution.probabilities()
            extra: dict[str, Any] = {name: sum(v) / len(v) for name, v in self._sums.items()}
            extra["entropy"] = float(self.distribution.entropy())
            # A cost without an expectation is recorded, and does not count.
            if self.cost is not None and hasattr(self.cost, "expected"):
                extra["expected_cost"] = float(self.cost.expected({k: p.cpu() for k, p in probs.items()}))
        arch = self.derive()
        extra["skips"] = sum("skip" in str(v) or v == "identity" for v in arch.values())
        run.record(
            arch,
            extra.pop("val_accuracy", None),
            None if self.cost is None else self.cost.cost(arch),
            **extra,
        )

    # ------------------------------------------------------------------ what methods use

    def loss(self, task_loss: Tensor, probs: dict[str, Tensor]) -> Tensor:
        """The task's loss, joined with the expected cost of architectures drawn from `probs`."""
        if self.objective is None or self.cost is None:
            return task_loss
        return self.objective.loss(task_loss, self.cost.expected(probs).to(task_loss.device))

    def logits(self, plan: Plan, x: Tensor) -> Tensor:
        """What the super-net gives under a plan."""
        with active(self.net, plan):
            found: Tensor = self.net(x)
        return found

    def train_weights(self, plan: Plan, batch: Batch) -> None:
        """One step of the weights; those that the plan does not use stay where they are."""
        x, y = batch
        loss = F.cross_entropy(self.logits(plan, x), y)
        self.step_weights(loss)
        self.see("train_loss", float(loss.detach()))

    def step_weights(self, loss: Tensor) -> None:
        """One step of the weights down a loss; its gradients reach the alphas, too."""
        weights_step(self.net, self.weights_optimizer, loss, self.method.options.clip_norm)

    def see(self, name: str, value: float) -> None:
        """Add to an epoch's mean."""
        self._sums.setdefault(name, []).append(value)

    def judge(self, logits: Tensor, y: Tensor) -> Tensor:
        """The validation batch's cross-entropy; notes it and the accuracy."""
        loss = F.cross_entropy(logits, y)
        self.see("val_loss", float(loss.detach()))
        self.see("val_accuracy", float((logits.detach().argmax(1) == y).float().mean()))
        return loss

    # ------------------------------------------------------------------ state

    def _state(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "distribution": self.distribution.state_dict(),
            "weights_optimizer": self.weights_optimizer.state_dict(),
            "alpha_optimizer": self.alpha_optimizer.state_dict(),
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.distribution.load_state_dict(state["distribution"])
        self.weights_optimizer.load_state_dict(state["weights_optimizer"])
        self.alpha_optimizer.load_state_dict(state["alpha_optimizer"])


def gradient_search(
    method: Method,
    space: Space,
    data: NASData | Evaluator,
    *,
    objective: Objective | None = None,
    cost: Cost | None = None,
    **settings: Unpack[RunSettings],
) -> NASResult:
    """Search with a gradient method; the budget's units are epochs. See `Strategy.search`."""
    run = Run(method.name, default_units=method.options.epochs, **settings)
    search = GradientSearch(method, space, cast(NASData, data), objective=objective, cost=cost, seed=run.seed)
    return search.run(run)
