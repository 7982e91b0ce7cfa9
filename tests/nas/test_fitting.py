"""Plain training."""

import torch
from torch import nn

from autodl.nas import FitOptions
from autodl.nas.fitting import accuracy, fit, weights_step
from autodl.rng import torch_generator
from autodl.testing.nas_strategies import tiny_data


def test_training_can_be_ended_and_needs_no_weights():
    data = tiny_data()
    asked = []
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    fit(net, data, FitOptions(), torch_generator(0), until=lambda: asked.append(1) or len(asked) == 3)
    assert len(asked) == 3
    assert fit(nn.Identity(), data, FitOptions(), torch_generator(0)) >= 0


def test_unused_weights_stay_whatever_momentum_and_decay_say():
    used, unused = nn.Linear(2, 1), nn.Linear(2, 1)
    net = nn.ModuleList([used, unused])
    optimizer = FitOptions(lr=0.1, weight_decay=0.1).optimizer(net)
    for module in (unused, used):  # the first step leaves momentum behind
        kept = unused.weight.clone()
        weights_step(net, optimizer, module(torch.ones(4, 2)).square().mean())
    assert torch.equal(kept, unused.weight)


def test_accuracy_puts_the_mode_back():
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 2), nn.Dropout()).train()
    assert 0 <= accuracy(net, tiny_data()) <= 1 and net.training
