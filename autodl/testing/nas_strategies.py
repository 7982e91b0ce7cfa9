"""The contract of an architecture search strategy, as tests to inherit.

Example::

    from autodl.testing.nas_strategies import StrategyContract

    class TestMine(StrategyContract):
        def make(self):
            return MyStrategy()
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autodl.errors import RunExistsError
from autodl.nas import Budget, NASData, NASResult, OpChoice, Record, Space, Strategy
from autodl.rng import torch_generator


class TinyNet(nn.Module):
    """Two choices between three layers each, on images of 1 x 6 x 6, two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.layers = nn.ModuleList([self._choice(number) for number in range(2)])
        self.head = nn.Linear(4, 2)

    def _choice(self, number: int) -> OpChoice:
        conv = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        candidates = {"conv": conv, "pool": nn.AvgPool2d(3, 1, 1), "skip": nn.Identity()}
        return OpChoice(candidates, label=f"layer{number}")

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 6, 6) -> (n, 2)."""
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def tiny_data(count: int = 64) -> NASData:
    """Noise, half of it with a bright left half; two classes."""
    generator = torch_generator(0, "tiny data")
    x = torch.rand(2 * count, 1, 6, 6, generator=generator)
    y = torch.arange(2 * count) % 2
    x[y == 1, :, :, :3] += 0.5
    return NASData.split(x, y, seed=0, batch_size=16)


class _Broken(Exception):
    """Stands for a process that dies."""


class StrategyContract:
    """What every strategy must do. Inherit, name the class ``Test...``, and define `make`."""

    budget: int = 3
    """Units of the searches in the suite; at least 2."""

    def make(self) -> Strategy:
        """A new strategy, as small as it can be."""
        raise NotImplementedError

    def space(self) -> Space:
        """The space that is searched."""
        return Space(TinyNet)

    def data(self) -> Any:
        """Images, or an evaluator for strategies that take one."""
        return tiny_data()

    def search(self, **options: Any) -> NASResult:
        """A search of the suite."""
        return self.make().search(self.space(), self.data(), **{"budget": self.budget, "seed": 0, **options})

    def test_has_the_method_of_the_protocol(self) -> None:
        """`search` is there."""
        assert isinstance(self.make(), Strategy)

    def test_result_is_an_architecture_with_its_ordinary_network(self) -> None:
        """Which runs without a plan."""
        space, result = self.space(), self.search()
        assert space.validate(result.best_arch) == result.best_arch
        assert isinstance(result.net, nn.Module)
        data = tiny_data()
        x, _ = next(data.in_order("val"))
        assert torch.isfinite(result.net.eval()(x)).all()
        expected = space.realise(result.best_arch).state_dict()
        assert {name: t.shape for name, t in result.net.state_dict().items()} == {
            name: t.shape for name, t in expected.items()
        }

    def test_same_seed_same_search(self) -> None:
        """And torch's global generator stays as it is."""
        before = torch.get_rng_state()
        first, second = self.search(seed=3), self.search(seed=3)
        assert torch.equal(before, torch.get_rng_state())
        assert first.best_arch == second.best_arch
        assert _plain(first.history) == _plain(second.history)
        assert first.probabilities == second.probabilities

    def test_history_is_told_to_callbacks_and_goes_through_json(self) -> None:
        """Record by record, with architectures of the space."""
        told: list[Record] = []
        result = self.search(callbacks=[told.append])
        assert told == result.history != []
        assert [record.step for record in told] == list(range(len(told)))
        space = self.space()
        for record in told:
            assert record.arch is None or space.validate(record.arch) == record.arch
            json.dumps(record.extra)

    def test_a_callback_can_end_the_search(self) -> None:
        """By returning True."""
        result = self.search(callbacks=[lambda record: True])
        assert result.stopped_by == "callback"
        assert len(result.history) <= len(self.search().history)

    def test_time_limit_ends_the_search(self) -> None:
        """After the unit at hand."""
        result = self.search(budget=Budget(units=10_000, seconds=0.01))
        assert result.stopped_by == "time"
        assert result.seconds < 60

    def test_result_is_written_and_read_back(self) -> None:
        """With the network's weights."""
        with tempfile.TemporaryDirectory() as folder:
            result = self.search(path=folder)
            found = NASResult.load(folder, self.space())
        assert found.best_arch == result.best_arch and found.history == result.history
        assert found.net is not None and result.net is not None
        for a, b in zip(found.net.state_dict().values(), result.net.state_dict().values(), strict=True):
            assert torch.equal(a, b.cpu())

    def test_a_killed_search_goes_on_as_if_nothing_had_happened(self) -> None:
        """Killed in its last unit; a second search at the path needs ``resume``."""
        whole = self.search()
        fatal = len(whole.history) - 1

        def die(record: Record) -> None:
            if record.step == fatal:
                raise _Broken

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run"
            try:
                self.search(path=path, callbacks=[die])
            except _Broken:
                pass
            else:
                raise AssertionError("an error of a callback was swallowed")
            try:
                self.search(path=path)
            except RunExistsError:
                pass
            else:
                raise AssertionError("a search was overwritten without resume=True")
            resumed = self.search(path=path, resume=True)
        assert resumed.best_arch == whole.best_arch
        assert _plain(resumed.history) == _plain(whole.history)


def _plain(history: list[Record]) -> list[tuple[Any, ...]]:
    """All but what a clock said."""
    extras = [{k: v for k, v in r.extra.items() if not k.endswith("seconds")} for r in history]
    return [(r.step, r.arch, r.metric, r.cost, e) for r, e in zip(history, extras, strict=True)]
