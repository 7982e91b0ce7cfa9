"""What draws architectures in reinforcement learning, and how it is moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.decisions import Arch
from autodl.nas.distributions import Independent
from autodl.nas.lstm_controller import Episode, LSTMController
from autodl.nas.policy_gradient import Baseline
from autodl.nas.result import plain_probabilities
from autodl.nas.space import Space


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """What draws architectures and how it learns.

    Args:
        kind: "lstm": one decision after the other, knowing those before; "independent": a row of
            numbers for each decision, for few trials or decisions that hardly interact.
        hidden: width of the LSTM.
        lr: of Adam.
        batch: architectures between two steps of the controller.
        baseline_decay: of the mean reward that rewards are compared with; None: no baseline.
        entropy_weight: of the policy's entropy in the loss; keeps it from settling early.
        reward_power: rewards are raised to it, signs kept (Zoph and Le: 3).
        tanh_constant: see `LSTMController`.
        temperature: see `LSTMController`.
    """

    kind: Literal["lstm", "independent"] = "lstm"
    hidden: int = 64
    lr: float = 0.004
    batch: int = 8
    baseline_decay: float | None = 0.9
    entropy_weight: float = 0.0
    reward_power: float = 1.0
    tanh_constant: float | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_whole("batch", self.batch)
        if self.kind not in ("lstm", "independent"):
            raise OptionError(f'a controller is "lstm" or "independent", got {self.kind!r}')
        if not self.reward_power > 0:
            raise OptionError(f"reward_power must be above 0, got {self.reward_power!r}")

    def controller(self, space: Space, seed: int) -> LSTMController | Independent:
        """A new controller."""
        if self.kind == "independent":
            return Independent(space, init_std=0.0, seed=seed)
        return LSTMController(
            space,
            hidden=self.hidden,
            tanh_constant=self.tanh_constant,
            temperature=self.temperature,
            seed=seed,
        )

    def powered(self, reward: float) -> float:
        """The reward that the controller learns from."""
        return math.copysign(abs(reward) ** self.reward_power, reward)


class ControllerLearner:
    """A controller with its optimizer and baseline.

    Args:
        options: of the controller.
        space: of the architectures.
        seed: of its weights.

    Attributes:
        controller: draws architectures.
        optimizer: Adam over its parameters.
        baseline: the mean reward so far.
    """

    def __init__(self, options: ControllerOptions, space: Space, seed: int) -> None:
        self.options = options
        self.controller = options.controller(space, seed)
        self.optimizer = torch.optim.Adam(self.controller.parameters(), options.lr)
        self.baseline = Baseline(options.baseline_decay)

    def log_probs(self, archs: Sequence[Arch]) -> Tensor:
        """(len(archs),) of whole architectures under the present controller, with gradients."""
        return torch.stack([self.controller.log_prob(arch) for arch in archs])

    def episode(self, generator: torch.Generator) -> Episode:
        """A drawn architecture with its log-probability and entropy, with gradients."""
        if isinstance(self.controller, LSTMController):
            return self.controller.episode(generator)
        arch = self.controller.sample(generator)
        return Episode(arch, self.controller.log_prob(arch), self.controller.entropy())

    def descend(self, loss: Tensor) -> None:
        """One step of the controller.

        Args:
            loss: (), without the entropy.
        """
        if self.options.entropy_weight:
            loss = loss - self.options.entropy_weight * self.controller.entropy()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def probabilities(self) -> dict[str, list[float]]:
        """Of each choice, where the controller has them without its choices before."""
        if isinstance(self.controller, Independent):
            return plain_probabilities(self.controller.probabilities())
        return {}

    def state(self) -> dict[str, Any]:
        """To resume from."""
        return {
            "controller": self.controller.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "baseline": self.baseline.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.controller.load_state_dict(state["controller"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.baseline.load_state_dict(state["baseline"])
