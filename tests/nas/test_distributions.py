"""Probabilities against enumeration, relaxed samples against closed forms, gradients."""

import math

import pytest
import torch
from torch import nn

from autodl.errors import OptionError
from autodl.nas import Gumbel, Independent, OneHot, OpChoice, Soft, Space, Uniform
from autodl.nas.distributions import exponential, gumbel_softmax, linear


def nested_space() -> Space:
    """op: conv, skip, inner; inner: x, y, z only within."""

    def net() -> nn.Module:
        inner = OpChoice({name: nn.Identity() for name in "xyz"}, label="in.ner")
        return nn.Sequential(
            OpChoice({"conv": nn.Identity(), "skip": nn.Identity(), "inner": inner}, label="op"),
            OpChoice({"a": nn.Identity(), "b": nn.Identity()}, label="other"),
        )

    return Space(net)


def independent() -> Independent:
    return Independent(nested_space(), init_std=1.0, seed=3).double()


def test_probabilities_of_all_architectures_sum_to_one():
    distribution, space = independent(), nested_space()
    logs = torch.stack([distribution.log_prob(arch) for arch in space.enumerate()]).detach()
    assert len(logs) == 10
    assert logs.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_entropy_is_that_of_the_enumerated_distribution_gradient_too():
    distribution, space = independent(), nested_space()
    logs = torch.stack([distribution.log_prob(arch) for arch in space.enumerate()])
    expected = -(logs.exp() * logs).sum()
    assert distribution.entropy().item() == pytest.approx(expected.item(), abs=1e-12)
    rows = list(distribution.parameters())
    ours = torch.autograd.grad(distribution.entropy(), rows)
    theirs = torch.autograd.grad(expected, rows)
    assert all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True))


def test_samples_follow_the_probabilities():
    distribution, space = independent(), nested_space()
    generator = torch.Generator().manual_seed(0)
    count = 4000
    drawn = [distribution.sample(generator) for _ in range(count)]
    for arch in space.enumerate():
        p = distribution.log_prob(arch).exp().item()
        assert abs(drawn.count(arch) / count - p) < 4 * math.sqrt(p * (1 - p) / count)


def test_mode_takes_the_likeliest_choices():
    distribution = independent()
    with torch.no_grad():
        for label, best in {"op": 2, "in.ner": 1, "other": 0}.items():
            distribution.alphas[label][best] = 9.0
    assert distribution.mode() == {"op": "inner", "in.ner": "y", "other": "a"}


def test_uniform_learns_nothing():
    distribution = Uniform(nested_space())
    assert list(distribution.parameters()) == []
    arch = {"op": "inner", "in.ner": "x", "other": "a"}
    assert distribution.log_prob(arch).exp().item() == pytest.approx(1 / 18)
    assert isinstance(distribution.plan(torch.Generator().manual_seed(0)), OneHot)


@pytest.mark.parametrize("temperature", [5.0, 1.0, 0.1])
def test_argmax_of_a_relaxed_sample_is_drawn_from_the_softmax(temperature):
    logits = torch.tensor([0.5, -1.0, 0.0, 1.5], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    count = 8000
    hits = torch.zeros(4)
    for _ in range(count):
        hits[gumbel_softmax(logits, temperature, generator).argmax()] += 1
    p = torch.softmax(logits, 0)
    assert ((hits / count - p).abs() < 4 * (p * (1 - p) / count).sqrt()).all()


def test_relaxed_samples_harden_as_the_temperature_falls():
    generator = torch.Generator().manual_seed(0)
    largest = [
        torch.stack([gumbel_softmax(torch.zeros(4), t, generator).max() for _ in range(400)]).mean().item()
        for t in (5.0, 1.0, 0.1, 0.01)
    ]
    assert largest == sorted(largest)
    assert largest[0] < 0.4 and largest[-1] > 0.98


def test_hard_samples_are_exactly_one_hot_with_the_relaxed_gradient():
    logits = torch.tensor([0.5, -1.0, 0.0], requires_grad=True)
    weights = torch.tensor([1.0, 2.0, 3.0])
    grads = []
    for hard in (True, False):
        sample = gumbel_softmax(logits, 0.7, torch.Generator().manual_seed(1), hard=hard)
        grads.append(torch.autograd.grad((sample * weights).sum(), logits)[0])
        if hard:
            assert sorted(sample.tolist()) == [0, 0, 1]
    assert torch.allclose(*grads)


def test_gumbel_plan_follows_the_schedule():
    distribution = Gumbel(nested_space(), exponential(5.0, 0.05))
    assert distribution.temperature == pytest.approx(5.0)
    distribution.progress = 0.5
    assert distribution.temperature == pytest.approx(0.5)
    plan = distribution.plan(torch.Generator().manual_seed(0))
    assert isinstance(plan, Soft) and plan["op"].weights.sum().item() == pytest.approx(1)
    plan["op"].weights[0].backward()
    assert distribution.alphas["op"].grad is not None
    assert linear(5.0, 1.0)(0.5) == 3.0
    with pytest.raises(OptionError, match="above 0"):
        exponential(5.0, 0.0)


def test_state_goes_through_a_state_dict():
    first, second = independent(), Independent(nested_space()).double()
    second.load_state_dict(first.state_dict())
    assert second.mode() == first.mode()
    with pytest.raises(OptionError, match="'op' is one of"):
        first.log_prob({"op": "none"})
