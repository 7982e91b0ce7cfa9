from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from autodl.errors import OptionError
from autodl.training import device as device_module
from autodl.training.device import PLANS, PrecisionPlan, measure_precision, pick_device


def test_pick_device():
    assert pick_device("cpu").type == "cpu"
    assert pick_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(OptionError, match="known: auto, cpu"):
        pick_device("warp")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_an_error():
    with pytest.raises(OptionError, match="no CUDA device"):
        pick_device("cuda")


def test_a_plan_prepares_layout_and_autocast():
    net = PLANS["bf16"].prepare(nn.Conv2d(3, 4, 3), torch.device("cpu"))
    assert net.weight.is_contiguous(memory_format=torch.channels_last)
    with PLANS["bf16"].autocast(torch.device("cpu")):
        assert net(torch.zeros(1, 3, 4, 4)).dtype == torch.bfloat16
    with PrecisionPlan().autocast(torch.device("cpu")):
        assert net(torch.zeros(1, 3, 4, 4)).dtype == torch.float32


@pytest.mark.parametrize("train", [True, False])
def test_measuring_leaves_the_network_and_the_generators_alone(make_net, train):
    net = make_net(dropout=0.5)
    images = torch.randn(8, 3, 8, 8)
    before, random = copy.deepcopy(net.state_dict()), torch.random.get_rng_state()
    plan = measure_precision(net, images, train=train)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert plan.images_per_s > 0
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    ("bf16_s", "expected"),
    [(0.5, torch.bfloat16), (0.95, None), (2.0, None)],
    ids=["faster", "barely", "slower"],
)
def test_bfloat16_must_pay(monkeypatch, make_net, bf16_s, expected):
    def step_s(net, images, plan, train):
        return bf16_s if plan.autocast_dtype else 1.0

    monkeypatch.setattr(device_module, "_timed_step", step_s)
    plan = measure_precision(make_net(), torch.zeros(4, 3, 8, 8), train=True)
    assert plan.autocast_dtype is expected
    assert plan.images_per_s == pytest.approx(4 / (bf16_s if expected else 1.0))


def test_a_hopeless_candidate_is_given_up_after_one_step(monkeypatch, make_net):
    steps = []

    def step_s(net, images, plan, train):
        steps.append(plan.autocast_dtype)
        return 100.0 if plan.autocast_dtype else 1.0

    monkeypatch.setattr(device_module, "_timed_step", step_s)
    measure_precision(make_net(), torch.zeros(4, 3, 8, 8), train=True)
    assert steps.count(torch.bfloat16) == 1
