from __future__ import annotations

import pytest
import torch
from torch import nn

from autodl.training.ema import averaged


def test_the_first_update_copies_and_later_ones_warm_up():
    net = nn.Linear(1, 1, bias=False)
    ema = averaged(net, 0.999)
    value, average = 0.0, 0.0
    for updates in range(50):
        value += 1.0
        nn.init.constant_(net.weight, value)
        ema.update_parameters(net)
        decay = 0.0 if updates == 0 else min(0.999, (1 + updates) / (10 + updates))
        average = decay * average + (1 - decay) * value
        assert ema.module.weight.item() == pytest.approx(average, rel=1e-4)


def test_the_decay_is_never_above_the_one_asked_for():
    net = nn.Linear(1, 1, bias=False)
    ema = averaged(net, 0.0)
    for value in (1.0, 5.0):
        nn.init.constant_(net.weight, value)
        ema.update_parameters(net)
    assert ema.module.weight.item() == 5.0


def test_statistics_are_averaged_and_counters_copied():
    norm = nn.BatchNorm1d(2)
    ema = averaged(norm, 0.5)
    for _ in range(3):
        norm(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)) + 4)
        ema.update_parameters(norm)
    assert int(ema.module.num_batches_tracked) == 3
    assert 0 < float(ema.module.running_mean[0]) < float(norm.running_mean[0])
