"""Distributions over architectures with a probability for each choice.

`Uniform` learns nothing, `Independent` has a row of numbers for each decision, and `Gumbel` gives
relaxed samples of it. An LSTM is in `autodl.nas.lstm_controller`, a population in
`autodl.nas.population`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from autodl.errors import OptionError
from autodl.nas.counting import every_arch, groups, heads_of
from autodl.nas.decisions import Arch, Decision, decide
from autodl.nas.plans import OneHot, Plan, Soft
from autodl.nas.space import Space
from autodl.rng import torch_generator
from autodl.spaces import Value

Schedule = Callable[[float], float]
"""Temperature by the search's progress, 0..1."""


class Distribution(Protocol):
    """What architectures are drawn from."""

    def sample(self, generator: torch.Generator) -> Arch:
        """Draw an architecture; the generator is on the CPU."""
        ...

    def log_prob(self, arch: Mapping[str, Value]) -> Tensor:
        """Of an architecture, summed over its active decisions: (), with gradients."""
        ...

    def entropy(self) -> Tensor:
        """In nats: (), with gradients; an estimate where there is no closed form."""
        ...

    def mode(self) -> Arch:
        """The likeliest choice of each decision, those that others depend on first."""
        ...

    def plan(self, generator: torch.Generator) -> Plan:
        """What a super-net does in one step of a search."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """What an optimizer moves."""
        ...


class Independent(nn.Module):
    """A row of numbers (alphas) for each decision; probabilities are their softmax.

    Args:
        space: of the architectures.
        init_std: alphas start normal with this standard deviation (DARTS: 1e-3); 0: all equal.
        seed: of these.

    Attributes:
        alphas: label -> (choices,).
    """

    def __init__(self, space: Space, *, init_std: float = 1e-3, seed: int = 0) -> None:
        super().__init__()
        self._decisions = space.decisions()
        generator = torch_generator(seed, "alphas")
        # A list: labels may hold dots, which names of parameters must not.
        self._rows = nn.ParameterList(
            [
                nn.Parameter(init_std * torch.randn(len(decision.choices), generator=generator))
                for decision in self._decisions.values()
            ]
        )

    @property
    def alphas(self) -> dict[str, nn.Parameter]:
        """Label -> (choices,)."""
        return dict(zip(self._decisions, self._rows, strict=True))

    def log_probabilities(self) -> dict[str, Tensor]:
        """Label -> (choices,), given that the decision is active."""
        return {label: torch.log_softmax(alpha, 0) for label, alpha in self.alphas.items()}

    def probabilities(self) -> dict[str, Tensor]:
        """Label -> (choices,), given that the decision is active."""
        return {label: torch.softmax(alpha, 0) for label, alpha in self.alphas.items()}

    def sample(self, generator: torch.Generator) -> Arch:
        """See `Distribution.sample`."""
        shares = {label: p.detach().cpu() for label, p in self.probabilities().items()}
        return decide(
            self._decisions,
            lambda decision: int(torch.multinomial(shares[decision.label], 1, generator=generator)),
        )

    def mode(self) -> Arch:
        """See `Distribution.mode`."""
        alphas = self.alphas
        return decide(self._decisions, lambda decision: int(alphas[decision.label].detach().argmax()))

    def log_prob(self, arch: Mapping[str, Value]) -> Tensor:
        """See `Distribution.log_prob`."""
        logs = self.log_probabilities()
        chosen = [logs[label][_index(self._decisions[label], value)] for label, value in arch.items()]
        return torch.stack(chosen).sum()

    def entropy(self) -> Tensor:
        """Exact: each decision's entropy times the probability that it is active."""
        activity = self.activity()
        parts = [
            -activity[label] * (log.exp() * log).sum() for label, log in self.log_probabilities().items()
        ]
        return torch.stack(parts).sum()

    def activity(self) -> dict[str, Tensor]:
        """Label -> probability that its decision is active: (), with gradients."""
        logs = self.log_probabilities()
        found: dict[str, Tensor] = {}
        for group in groups(self._decisions):
            heads = heads_of(group)
            if not heads:
                found |= {label: logs[label].new_ones(()) for label in group}
                continue
            for label in group:
                found[label] = logs[label].new_zeros(())
            for partial in every_arch(heads):
                log = sum(logs[label][_index(heads[label], value)] for label, value in partial.items())
                for label, decision in group.items():
                    if decision.is_active(partial):
                        found[label] = found[label] + torch.as_tensor(log).exp()
        return found

    def plan(self, generator: torch.Generator) -> Plan:
        """All candidates, weighted by their probabilities (DARTS)."""
        return Soft(self.probabilities())


class Uniform(Independent):
    """Every choice of an active decision alike; nothing to learn.

    Args:
        space: of the architectures.
    """

    def __init__(self, space: Space) -> None:
        super().__init__(space, init_std=0.0)
        self.requires_grad_(False)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """None."""
        return iter(())

    def plan(self, generator: torch.Generator) -> Plan:
        """One architecture."""
        return OneHot(self.sample(generator))


class Gumbel(Independent):
    """Independent decisions with relaxed samples: ``softmax((log p + G) / temperature)``.

    Args:
        space: of the architectures.
        schedule: temperature by progress; see `exponential` and `linear`.
        hard: the sample is one-hot in the forward pass, relaxed in the backward pass; one path runs.
        init_std: see `Independent`.
        seed: see `Independent`.

    Attributes:
        progress: of the search, 0..1; the strategy moves it.

    Source: Xie et al., SNAS, 2019, equation 4; Wu et al., FBNet, 2019, equation 7.
    """

    def __init__(
        self,
        space: Space,
        schedule: Schedule | None = None,
        *,
        hard: bool = False,
        init_std: float = 1e-3,
        seed: int = 0,
    ) -> None:
        super().__init__(space, init_std=init_std, seed=seed)
        self.schedule = schedule or exponential(5.0, 0.1)
        self.hard = hard
        self.progress = 0.0

    @property
    def temperature(self) -> float:
        """At the present progress."""
        return self.schedule(self.progress)

    def weights(self, generator: torch.Generator) -> dict[str, Tensor]:
        """A relaxed sample: label -> (choices,), positive, sums to 1."""
        return {
            label: gumbel_softmax(log, self.temperature, generator, hard=self.hard)
            for label, log in self.log_probabilities().items()
        }

    def plan(self, generator: torch.Generator) -> Plan:
        """All candidates, weighted by a relaxed sample."""
        return Soft(self.weights(generator))


def gumbel_softmax(
    log_probs: Tensor, temperature: float, generator: torch.Generator, *, hard: bool = False
) -> Tensor:
    """``softmax((log p + G) / temperature)`` with ``G = -log(-log U)``; its argmax is drawn from p.

    Args:
        log_probs: (choices,), up to a constant.
        temperature: > 0.
        generator: on the CPU, of U.
        hard: one-hot values (the other entries exactly 0) with the relaxed sample's gradient.

    Source: Jang, Gu, Poole, Categorical Reparameterization with Gumbel-Softmax, 2017, equation 2.
    """
    # Exponential(1) variables are -log U, and are never 0 in double precision.
    noise = torch.empty(log_probs.shape, dtype=torch.float64).exponential_(generator=generator)
    gumbel = -noise.log().to(log_probs)
    soft = torch.softmax((log_probs + gumbel) / temperature, dim=0)
    if not hard:
        return soft
    one_hot = torch.zeros_like(soft)
    one_hot[soft.argmax()] = 1.0
    return one_hot + (soft - soft.detach())


def exponential(start: float, end: float) -> Schedule:
    """Falls (or rises) by one factor in equal times, from ``start`` to ``end``, both above 0."""
    if not (start > 0 and end > 0):
        raise OptionError(f"temperatures must be above 0, got {start!r} and {end!r}")
    return lambda progress: start * math.exp(progress * math.log(end / start))


def linear(start: float, end: float) -> Schedule:
    """In a straight line from ``start`` to ``end``, both above 0."""
    if not (start > 0 and end > 0):
        raise OptionError(f"temperatures must be above 0, got {start!r} and {end!r}")
    return lambda progress: start + progress * (end - start)


def _index(decision: Decision, value: Value) -> int:
    number = decision.index(value)
    if number is None:
        raise OptionError(f"{decision.label!r} is one of {list(decision.choices)}, got {value!r}")
    return number
