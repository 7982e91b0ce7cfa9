"""Statistics after recalibration are those of the batches, and nothing else changes."""

import copy

import torch
from torch import nn

from autodl.nas import (
    Elastic,
    ElasticBatchNorm2d,
    ElasticConv2d,
    OneHot,
    OpChoice,
    active,
    recalibrate,
    statistics_kept,
)

GENERATOR = torch.Generator().manual_seed(0)
BATCHES = [torch.randn(16, 2, 4, 4, generator=GENERATOR) * 3 + shift for shift in (1.0, 5.0)]


def test_statistics_are_the_mean_over_batches_and_modes_stay():
    net = nn.Sequential(nn.BatchNorm2d(2, momentum=0.3), nn.Dropout(0.5)).train()
    net[1].eval()
    net[0].running_mean.fill_(99.0)
    recalibrate(net, BATCHES)
    expected = torch.stack([batch.mean((0, 2, 3)) for batch in BATCHES]).mean(0)
    assert torch.allclose(net[0].running_mean, expected)
    variances = torch.stack([batch.transpose(0, 1).flatten(1).var(1) for batch in BATCHES]).mean(0)
    assert torch.allclose(net[0].running_var, variances)
    assert (net.training, net[0].training, net[1].training, net[0].momentum) == (True, True, False, 0.3)


def test_each_path_of_a_supernet_gets_its_own_and_may_give_it_back():
    width = Elastic([1, 2], label="w")
    ops = {"double": nn.Conv2d(2, 2, 1, groups=2, bias=False), "same": nn.Identity()}
    net = nn.Sequential(
        OpChoice(ops, label="op"), nn.BatchNorm2d(2), ElasticConv2d(2, width, 1), ElasticBatchNorm2d(width)
    )
    with torch.no_grad():
        net[0]["double"].weight.fill_(2.0)
    before = copy.deepcopy(net.state_dict())
    mean = torch.stack([batch.mean((0, 2, 3)) for batch in BATCHES]).mean(0)
    for name, factor in [("double", 2), ("same", 1)]:
        with statistics_kept(net), active(net, OneHot({"op": name, "w": 1})):
            recalibrate(net, BATCHES)
            assert torch.allclose(net[1].running_mean, factor * mean)
            assert net[3].norm.running_mean[0] != 0 and net[3].norm.running_mean[1] == 0
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in before.items())


def test_network_without_statistics_is_left_alone():
    net = nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), nn.ReLU())
    recalibrate(net, BATCHES)
    assert net.training
