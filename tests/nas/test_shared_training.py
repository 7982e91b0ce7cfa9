"""Weights that are shared: who touches what, and what the scoring leaves behind."""

from __future__ import annotations

import copy

import pytest
import torch

from autodl.nas import Elastic, ElasticBatchNorm2d, FitOptions, OneHot, Run, SharedWeights, Space, active
from autodl.nas.judge import Judge
from autodl.nas.shared_training import Scoring, SharedTraining, batch_statistics, fair_archs
from autodl.rng import torch_generator
from autodl.testing.mini_space import mini_space
from autodl.testing.nas_strategies import TinyNet, tiny_data


@pytest.fixture
def training() -> SharedTraining:
    return SharedTraining(Space(TinyNet), tiny_data(), FitOptions(epochs=2), 0)


def touched(training: SharedTraining, arch) -> dict[str, torch.Tensor]:
    training.step([arch], next(training.data.in_order("train")))
    return {name: p for name, p in training.net.named_parameters() if p.grad is not None}


def test_architectures_with_the_same_op_touch_the_same_parameter(training):
    first = touched(training, {"layer0": "conv", "layer1": "skip"})
    second = touched(training, {"layer0": "conv", "layer1": "conv"})
    shared = [name for name in first if name.startswith("layers.0")]
    assert shared and all(first[name] is second[name] for name in shared)


def test_an_op_that_was_not_drawn_has_no_gradient_and_stays(training):
    touched(training, {"layer0": "conv", "layer1": "conv"})  # its momentum is not zero
    before = {name: p.detach().clone() for name, p in training.net.named_parameters()}
    names = touched(training, {"layer0": "conv", "layer1": "skip"})
    for name, parameter in training.net.named_parameters():
        if name.startswith("layers.1"):
            assert parameter.grad is None
            assert torch.equal(parameter, before[name])
        else:
            assert name in names


def test_a_step_averages_over_its_architectures():
    space, batch = Space(TinyNet), next(tiny_data().in_order("train"))
    archs = [{"layer0": "conv", "layer1": "skip"}, {"layer0": "pool", "layer1": "conv"}]
    grads = []
    for group in (archs[:1], archs[1:], archs):
        made = SharedTraining(space, tiny_data(), FitOptions(epochs=1, clip_norm=None), 0)
        made.step(group, batch)
        grads.append({name: p.grad for name, p in made.net.named_parameters()})
    for name, both in grads[2].items():
        parts = [g[name] for g in grads[:2] if g[name] is not None]
        expected = sum(parts) / 2
        assert torch.allclose(both, expected, atol=1e-6), name


def test_fair_architectures_take_every_choice_once():
    space = mini_space()
    archs = fair_archs(space, torch_generator(0, "fair"))
    assert len(archs) == 4
    for label, decision in space.decisions().items():
        assert sorted(arch[label] for arch in archs) == sorted(decision.choices)
    for arch in archs:
        assert space.validate(arch) == arch


def test_batch_statistics_leave_modes_and_running_statistics_alone(training):
    net = training.net.train()
    before = {name: b.clone() for name, b in net.named_buffers()}
    x, _ = next(training.data.in_order("train"))
    with batch_statistics(net), active(net, OneHot({"layer0": "conv", "layer1": "skip"})):
        found = net(x)
    assert all(torch.equal(b, before[name]) for name, b in net.named_buffers())
    assert all(module.training for module in net.modules())
    with active(net, OneHot({"layer0": "conv", "layer1": "skip"})):
        assert torch.allclose(found, net(x), atol=1e-6)


def test_batch_statistics_reach_elastic_normalisation():
    norm = ElasticBatchNorm2d(Elastic([2, 4], label="width"))
    before = {name: b.clone() for name, b in norm.named_buffers()}
    x = 5 + 3 * torch.randn(64, 2, 4, 4, generator=torch_generator(0, "x"))
    with batch_statistics(norm), active(norm, OneHot({"width": 2})):
        found = norm(x)
    assert found.mean((0, 2, 3)).abs().max() < 1e-5
    assert all(torch.equal(b, before[name]) for name, b in norm.named_buffers())
    with active(norm, OneHot({"width": 2})):
        assert torch.allclose(found, norm.train()(x), atol=1e-6)


def test_scores_are_noted_once_and_taken_over_from_a_history(training):
    run = Run("test", 1, default_units=1)
    judge = Judge(SharedWeights(training.net, training.data, recalibration=1))
    score = Scoring(run, judge, "scoring")
    arch = {"layer0": "conv", "layer1": "skip"}
    assert score(arch) == score(arch)
    assert len(run.history) == 1
    assert Scoring(run, judge, "scoring")(arch) == score(arch)
    assert len(run.history) == 1


def test_a_state_goes_on_as_an_unbroken_training(training):
    run, space = Run("test", 2, default_units=2), Space(TinyNet)

    def draw(generator):
        return [space.sample(generator)]

    training.epoch(0, draw, run)
    other = SharedTraining(space, tiny_data(), FitOptions(epochs=2), 1)
    other.load(copy.deepcopy(training.state()))
    other.seed = training.seed
    assert training.epoch(1, draw, run) == other.epoch(1, draw, run)
    for a, b in zip(training.net.parameters(), other.net.parameters(), strict=True):
        assert torch.equal(a, b)
