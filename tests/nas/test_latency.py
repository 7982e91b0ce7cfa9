"""Times are made by hand here: a clock that a test reads is no fact about code."""

import json

import pytest
import torch
from torch import nn

from autodl.errors import JournalError
from autodl.nas import Elastic, ElasticConv2d, OpChoice, Space, latency
from autodl.nas.latency import LatencyTable, MeasuredLatency


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = Elastic([2, 4], label="width")
        self.stem = ElasticConv2d(3, width, 3)
        self.mid = ElasticConv2d(width, 4, 1)
        ops = {"slow": nn.Conv2d(4, 4, 5, padding=2), "fast": nn.Conv2d(4, 4, 1), "none": nn.Identity()}
        self.op = OpChoice(ops, label="op")

    def forward(self, x):
        return self.op(self.mid(self.stem(x)))


def weights_of(module):
    return float(sum(p.numel() for p in module.parameters()))


@pytest.fixture
def made_clock(monkeypatch):
    """A layer takes as many milliseconds as it has weights, a whole network half as much more and 7."""
    calls = []

    def layer(self, module, args, repeats):
        calls.append([tuple(arg.shape) for arg in args])
        module(*args)  # what it reads must fit
        return weights_of(module)

    def whole(self, arch):
        return 1.5 * weights_of(self.space.realise(arch)) + 7.0

    monkeypatch.setattr(LatencyTable, "_time", layer)
    monkeypatch.setattr(MeasuredLatency, "cost", whole)
    return calls


def test_the_table_is_tied_to_whole_networks(made_clock):
    space = Space(Net)
    table = LatencyTable(space, (3, 6, 6))
    for arch in space.enumerate():
        expected = 1.5 * weights_of(space.realise(arch)) + 7.0
        assert table.cost(arch) == pytest.approx(expected, rel=1e-6)


def test_the_expectation_has_gradients_and_is_linear_in_each_probability(made_clock):
    space = Space(Net)
    table = LatencyTable(space, (3, 6, 6))
    op = torch.tensor([0.2, 0.3, 0.5], requires_grad=True)
    width = torch.tensor([0.0, 1.0])
    expected = table.expected({"op": op, "width": width})
    costs = [table.cost({"op": name, "width": 4}) for name in ("slow", "fast", "none")]
    mean = 0.2 * costs[0] + 0.3 * costs[1] + 0.5 * costs[2]
    assert float(expected.detach()) == pytest.approx(mean, rel=1e-5)
    expected.backward()
    assert float(op.grad[0] - op.grad[2]) == pytest.approx(costs[0] - costs[2], rel=1e-4)


def test_one_network_that_was_held_up_does_not_tilt_the_table(made_clock, monkeypatch):
    space = Space(Net)
    steady, calls = MeasuredLatency.cost, []

    def whole(self, arch):
        calls.append(arch)
        return steady(self, arch) * (20.0 if len(calls) == 3 else 1.0)

    monkeypatch.setattr(MeasuredLatency, "cost", whole)
    table = LatencyTable(space, (3, 6, 6))
    for arch in space.enumerate():
        expected = 1.5 * weights_of(space.realise(arch)) + 7.0
        assert table.cost(arch) == pytest.approx(expected, rel=1e-6)


def test_no_network_takes_less_than_nothing(made_clock, monkeypatch):
    space = Space(Net)
    steep = {"slow": 900.0, "fast": 10.0, "none": 1.0}
    monkeypatch.setattr(MeasuredLatency, "cost", lambda self, arch: steep[arch["op"]])
    table = LatencyTable(space, (3, 6, 6))
    assert min(table.cost(arch) for arch in space.enumerate()) > 0


def test_a_cached_table_is_read_and_a_stale_one_made_again(made_clock, tmp_path):
    space, cache = Space(Net), tmp_path / "deep" / "table.json"
    first = LatencyTable(space, (3, 6, 6), cache=cache)
    count = len(made_clock)
    again = LatencyTable(space, (3, 6, 6), cache=cache)
    assert len(made_clock) == count
    arch = {"op": "slow", "width": 2}
    assert again.cost(arch) == first.cost(arch)
    LatencyTable(space, (3, 8, 8), cache=cache)
    assert len(made_clock) > count


def test_a_strange_cache_is_named(tmp_path):
    cache = tmp_path / "table.json"
    cache.write_text(json.dumps({"something": 1}))
    with pytest.raises(JournalError, match=r"table\.json holds no latency table"):
        LatencyTable(Space(Net), (3, 6, 6), cache=cache)


def test_a_measured_latency_is_the_median_of_its_calls(monkeypatch):
    ticks = iter([0, 9, 9, 0, 1, 1, 3, 3, 103])  # three calls to warm up, then 1, 2 and 100 s
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(ticks))
    space = Space(Net)
    measured = MeasuredLatency(space, (3, 6, 6), repeats=3)
    assert measured.cost({"op": "none", "width": 2}) == 2000.0
