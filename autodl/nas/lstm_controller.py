"""An LSTM that takes one decision after the other, knowing those before.

The searcher `autodl.searchers.reinforce` has an LSTM, too; that one moves itself by its own Adam
and speaks numpy. This one hands out log-probabilities with gradients, for losses of strategies.

Source: Zoph and Le, Neural Architecture Search with Reinforcement Learning, 2017, section 3.1;
Pham et al., ENAS, 2018, for the squashed logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.decisions import Arch
from autodl.nas.plans import OneHot, Plan
from autodl.nas.space import Space, seeded
from autodl.rng import derive_seed, torch_generator
from autodl.spaces import Value

INIT_RANGE = 0.08  # weights start uniform in +- this (Zoph and Le, 2017, section 4.1)


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """An architecture as the controller decided it.

    Attributes:
        arch: the architecture.
        log_prob: (), with gradients.
        entropy: (), of its steps, summed, with gradients.
    """

    arch: Arch
    log_prob: Tensor
    entropy: Tensor


class LSTMController(nn.Module):
    """An LSTM reads the choice made last and gives the logits of the next active decision.

    Args:
        space: of the architectures; tied decisions are taken once.
        hidden: width of the layer.
        tanh_constant: logits are squashed to ``c * tanh(logit / temperature)``, which keeps the
            policy from settling early (ENAS: 1.1 to 2.5); None: as they are.
        temperature: divides logits.
        seed: of the weights.
    """

    def __init__(
        self,
        space: Space,
        *,
        hidden: int = 64,
        tanh_constant: float | None = None,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_whole("hidden", hidden)
        if not temperature > 0 or (tanh_constant is not None and not tanh_constant > 0):
            raise OptionError("temperature and tanh_constant must be above 0")
        self._decisions = space.decisions()
        self.tanh_constant, self.temperature = tanh_constant, temperature
        counts = [len(decision.choices) for decision in self._decisions.values()]
        # Row 0 begins; the choices of all decisions follow, so that none shares a row.
        starts = torch.tensor([1, *counts]).cumsum(0).tolist()
        self._first_row = dict(zip(self._decisions, starts, strict=False))
        with seeded(derive_seed(seed, "controller")):
            self.embedding = nn.Embedding(1 + sum(counts), hidden)
            self.cell = nn.LSTMCell(hidden, hidden)
            self.heads = nn.ModuleList([nn.Linear(hidden, count) for count in counts])
        generator = torch_generator(seed, "controller weights")
        with torch.no_grad():
            for weight in self.parameters():
                weight.uniform_(-INIT_RANGE, INIT_RANGE, generator=generator)

    def run(self, pick: Callable[[str, Tensor], int]) -> Episode:
        """Decide an architecture.

        Args:
            pick: gets the label and the log-probabilities (choices,), returns a position.
        """
        device = self.embedding.weight.device
        arch: Arch = {}
        state: tuple[Tensor, Tensor] | None = None
        token = torch.zeros(1, dtype=torch.int64, device=device)
        log_prob, entropy = torch.zeros(2, device=device)
        for (label, decision), head in zip(self._decisions.items(), self.heads, strict=True):
            if not decision.is_active(arch):
                continue
            state = self.cell(self.embedding(token), state)
            logs = torch.log_softmax(self._squashed(head(state[0])[0]), 0)
            number = pick(label, logs.detach())
            arch[label] = decision.choices[number]
            log_prob = log_prob + logs[number]
            entropy = entropy - (logs.exp() * logs).sum()
            token = torch.full_like(token, self._first_row[label] + number)
        return Episode(arch, log_prob, entropy)

    def _squashed(self, logits: Tensor) -> Tensor:
        logits = logits / self.temperature
        return logits if self.tanh_constant is None else self.tanh_constant * torch.tanh(logits)

    def episode(self, generator: torch.Generator) -> Episode:
        """A drawn architecture with its log-probability and entropy, in one pass."""
        return self.run(lambda _, logs: int(torch.multinomial(logs.exp().cpu(), 1, generator=generator)))

    def replay(self, arch: Mapping[str, Value]) -> Episode:
        """A given architecture with its log-probability and entropy under the present weights."""

        def given(label: str, _: Tensor) -> int:
            number = self._decisions[label].index(arch.get(label))
            if number is None:
                raise OptionError(f"{label!r} is one of {list(self._decisions[label].choices)}")
            return number

        return self.run(given)

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> Arch:
        """See `autodl.nas.distributions.Distribution.sample`."""
        return self.episode(generator).arch

    def log_prob(self, arch: Mapping[str, Value]) -> Tensor:
        """See `autodl.nas.distributions.Distribution.log_prob`."""
        return self.replay(arch).log_prob

    def entropy(self, generator: torch.Generator | None = None, samples: int = 8) -> Tensor:
        """An unbiased estimate: the mean over drawn architectures of their steps' entropies.

        Args:
            generator: of the draws; None: always the same ones.
            samples: drawn architectures.
        """
        generator = generator or torch_generator(0, "entropy")
        return torch.stack([self.episode(generator).entropy for _ in range(samples)]).mean()

    @torch.no_grad()
    def mode(self) -> Arch:
        """The likeliest choice at each step."""
        return self.run(lambda _, logs: int(logs.argmax())).arch

    def plan(self, generator: torch.Generator) -> Plan:
        """One architecture."""
        return OneHot(self.sample(generator))
