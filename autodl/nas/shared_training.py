"""A super-net that is trained along drawn architectures, and the scoring of architectures in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from autodl.errors import OptionError
from autodl.nas.data import Batch, NASData
from autodl.nas.decisions import Arch, decide
from autodl.nas.elastic_layers import ElasticBatchNorm2d
from autodl.nas.evaluators import arch_key
from autodl.nas.fitting import FitOptions, set_lr
from autodl.nas.judge import Judge
from autodl.nas.plans import OneHot, active
from autodl.nas.result import Record
from autodl.nas.space import Space
from autodl.nas.strategy import Run
from autodl.rng import torch_generator
from autodl.spaces import Value

Draw = Callable[[torch.Generator], Sequence[Arch]]
"""Architectures of one step; their gradients are averaged."""


class SharedTraining:
    """Weights that all architectures of a space share.

    Args:
        space: of the architectures.
        data: images.
        fit: how the super-net is trained; its epochs shape the rate's fall.
        seed: of weights and orders of images.

    Attributes:
        net: the super-net.
        optimizer: SGD over its weights.
    """

    def __init__(self, space: Space, data: NASData, fit: FitOptions, seed: int) -> None:
        self.space, self.data, self.fit, self.seed = space, data, fit, seed
        self.net = space.supernet(seed).to(data.device)
        optimizer = fit.optimizer(self.net)
        if optimizer is None:
            raise OptionError("the super-net has no weights to train")
        self.optimizer = optimizer

    def epoch(self, number: int, draw: Draw, run: Run, *, time_share: float = 1.0) -> float:
        """One pass over the training part; returns the mean loss.

        Args:
            number: of the epoch, from 0.
            draw: gives the architectures of a step.
            run: the search, for its units and time limit.
            time_share: of the time limit that training may take.
        """
        # Drawn from the epoch's number: a resumed search sees what an unbroken one would have seen.
        batches = self.data.epoch("train", torch_generator(self.seed, "train", number))
        generator = torch_generator(self.seed, "architectures", number)
        count, losses = self.data.num_batches(), []
        self.net.train()
        for step, batch in enumerate(batches):
            share = run.spent(number + step / count, time_share)
            set_lr(self.optimizer, self.fit.lr * 0.5 * (1 + math.cos(math.pi * share)))
            losses.append(self.step(draw(generator), batch))
            if run.ends(time_share):
                break
        return sum(losses) / len(losses)

    def step(self, archs: Sequence[Arch], batch: Batch) -> float:
        """One step of the weights; those that no architecture uses stay where they are."""
        x, y = batch
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for arch in archs:
            with active(self.net, OneHot(arch)):
                loss = F.cross_entropy(self.net(x), y) / len(archs)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if self.fit.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.fit.clip_norm)
        self.optimizer.step()
        return total

    @torch.no_grad()
    def batch_accuracy(self, arch: Mapping[str, Value], batch: Batch) -> float:
        """The share of a minibatch that an architecture names rightly, with the batch's statistics."""
        x, y = batch
        with batch_statistics(self.net), active(self.net, OneHot(arch)):
            logits: Tensor = self.net(x)
        return float((logits.argmax(1) == y).float().mean())

    def state(self) -> dict[str, Any]:
        """To resume from."""
        return {"net": self.net.state_dict(), "weights_optimizer": self.optimizer.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["weights_optimizer"])


@contextmanager
def batch_statistics(net: nn.Module) -> Iterator[None]:
    """Evaluation mode within the block, but batch normalisation uses each minibatch's statistics."""
    modes = {module: module.training for module in net.modules()}
    norms = [module for module in modes if isinstance(module, _BatchNorm) and module.track_running_stats]
    try:
        net.eval()
        for module in modes:
            if isinstance(module, ElasticBatchNorm2d):
                module.training = True
        for norm in norms:
            norm.training = True
            norm.track_running_stats = False  # running statistics stay as they are
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        for module, mode in modes.items():
            module.training = mode


class Scoring:
    """Scores architectures and notes each once; a resumed search goes on after the last noted one.

    Args:
        run: the search.
        judge: of architectures.
        phase: name of this part of the search, noted with each record.
    """

    def __init__(self, run: Run, judge: Judge, phase: str) -> None:
        self.run, self.judge, self.phase = run, judge, phase
        self.known: dict[str, Record] = {
            arch_key(record.arch): record
            for record in run.history
            if record.arch is not None and record.extra.get("phase") == phase
        }

    def __call__(self, arch: Arch) -> float:
        """The reward of an architecture."""
        key = arch_key(arch)
        if key not in self.known:
            made = self.judge(arch)
            self.known[key] = self.run.record(
                arch, made.metric, made.cost, phase=self.phase, reward=made.reward
            )
        reward: float = self.known[key].extra["reward"]
        return reward

    def is_new(self, arch: Arch) -> bool:
        """Whether it was not scored yet."""
        return arch_key(arch) not in self.known


def fair_archs(space: Space, generator: torch.Generator) -> list[Arch]:
    """Architectures that together take every choice of each decision equally often.

    As many as the most choices of a decision; one with fewer choices repeats its own, in new orders.

    Source: Chu, Zhang, Xu, "FairNAS", 2021, section 3.2 (strict fairness).
    """
    decisions = space.decisions()
    count = max(len(decision.choices) for decision in decisions.values())
    turns: dict[str, list[int]] = {}
    for label, decision in decisions.items():
        turns[label] = []
        while len(turns[label]) < count:
            turns[label] += torch.randperm(len(decision.choices), generator=generator).tolist()
    return [
        decide(decisions, lambda decision: turns[decision.label][number])  # noqa: B023  # called at once
        for number in range(count)
    ]
