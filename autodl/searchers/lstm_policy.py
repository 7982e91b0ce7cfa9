"""An LSTM that takes one decision after the other, knowing those before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from autodl.rng import torch_generator
from autodl.searchers.policies import Floats, Options, pick

if TYPE_CHECKING:
    import torch

_SPREAD = 0.08  # weights start uniform in +- this, as in Zoph & Le (2017), section 4.1


class LSTMPolicy:
    """One LSTM layer reads the option taken last and gives the logits of the next decision.

    Unlike a table it can learn that an option is good only after another. Computed in double
    precision on one thread of the CPU, so that the same reports give the same proposals.

    Args:
        counts: options of each decision.
        learning_rate: of Adam, for the network's weights.
        hidden: width of the layer.
        seed: of the initial weights.
    """

    def __init__(self, counts: Sequence[int], learning_rate: float, *, hidden: int, seed: int) -> None:
        import torch  # noqa: PLC0415  # heavy, and only this policy needs it

        self.counts = tuple(counts)
        # The embedding of option o of decision d is row offsets[d] + o; row 0 begins a config.
        self._offsets = [1 + sum(counts[:number]) for number in range(len(counts))]
        with _one_thread():
            double = torch.float64
            # Modules of torch start from its global generator, which is nobody's but the user's.
            with torch.random.fork_rng(devices=[]):
                self._embedding = torch.nn.Embedding(1 + sum(counts), hidden, dtype=double)
                self._cell = torch.nn.LSTMCell(hidden, hidden, dtype=double)
                self._heads = torch.nn.ModuleList([torch.nn.Linear(hidden, n, dtype=double) for n in counts])
            self._net = torch.nn.ModuleList([self._embedding, self._cell, self._heads])
            generator = torch_generator(seed, "policy")
            with torch.no_grad():
                for parameter in self._net.parameters():
                    parameter.uniform_(-_SPREAD, _SPREAD, generator=generator)
            self._adam = torch.optim.Adam(self._net.parameters(), lr=learning_rate)

    def begin(self) -> _LSTMChoices:
        """See `autodl.searchers.policies.Policy.begin`."""
        return _LSTMChoices(self)

    def log_probs(self, options: Options) -> Floats:
        """See `autodl.searchers.policies.Policy.log_probs`."""
        import torch  # noqa: PLC0415

        with _one_thread(), torch.no_grad():
            logs: Floats = self._run(options)[0].numpy()
        return logs

    def ascend(self, options: Options, weights: Floats, entropy_weight: float) -> None:
        """See `autodl.searchers.policies.Policy.ascend`."""
        import torch  # noqa: PLC0415

        if not self.counts:
            return
        with _one_thread(), torch.enable_grad():
            logs, entropies = self._run(options)
            loss = -(torch.from_numpy(weights) * logs + entropy_weight * entropies).mean()
            self._adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._adam.step()

    def _run(self, options: Options) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability and entropy of each row, summed over active decisions: (m,), (m,)."""
        import torch  # noqa: PLC0415

        taken = torch.from_numpy(np.ascontiguousarray(options))
        count, width = len(options), self._cell.hidden_size
        state = (torch.zeros(count, width, dtype=torch.float64),) * 2
        token = torch.zeros(count, dtype=torch.int64)
        total, entropies = torch.zeros(2, count, dtype=torch.float64)
        for number in range(len(self.counts)):
            is_active = taken[:, number] >= 0
            logits, after = self.next_logits(number, token, state)
            logs = torch.log_softmax(logits, dim=1)
            option = taken[:, number].clamp(min=0)
            total = total + torch.where(is_active, logs.gather(1, option[:, None])[:, 0], 0.0)
            entropies = entropies - torch.where(is_active, (logs.exp() * logs).sum(dim=1), 0.0)
            state = (
                torch.where(is_active[:, None], after[0], state[0]),
                torch.where(is_active[:, None], after[1], state[1]),
            )
            token = torch.where(is_active, self._offsets[number] + option, token)
        return total, entropies

    def next_logits(
        self, decision: int, token: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Logits (m, options) of a decision, and the state after it.

        Args:
            decision: its number.
            token: the embedding's row for the option taken last: (m,).
            state: of the layer; None at the start.
        """
        after = self._cell(self._embedding(token), state)
        return self._heads[decision](after[0]), after

    def token(self, decision: int, option: int) -> int:
        """The embedding's row for an option."""
        return self._offsets[decision] + option


class _LSTMChoices:
    def __init__(self, policy: LSTMPolicy) -> None:
        self._policy = policy
        self._token = 0
        self._state: tuple[torch.Tensor, torch.Tensor] | None = None

    def choose(self, decision: int, point: float) -> int:
        import torch  # noqa: PLC0415

        with _one_thread(), torch.no_grad():
            logits, self._state = self._policy.next_logits(decision, torch.tensor([self._token]), self._state)
            shares: Floats = torch.softmax(logits[0], dim=0).numpy()
        option = pick(shares, point)
        self._token = self._policy.token(decision, option)
        return option


@contextmanager
def _one_thread() -> Iterator[None]:
    """Networks this small lose far more to threads than they gain, and sums keep their order."""
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
