"""What holds for every published space."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
import torch
from torch import nn

from autodl.errors import OptionError, UnknownNameError
from autodl.nas import OneHot, active
from autodl.nas.costs import MACs, Params
from autodl.nas.space_factory import SpaceFactory
from autodl.nas.spaces import DARTS, SPACES, get_space, space_from_json
from autodl.nas.spaces.ops import DropPath, set_drop_path

SMALL = {
    "chain": {"layers": 2, "kernels": (1, 3), "filters": (2, 4), "skips": True},
    "darts": {"cells": 3, "width": 2, "nodes": 3},
    "enas_macro": {"layers": 3, "width": 4},
    "enas_micro": {"nodes": 4, "width": 2},
    "nasbench201": {"width": 2},
    "nasnet": {"blocks": 2, "width": 2},
}


@pytest.mark.parametrize("name", SPACES)
def test_descriptions_are_values(name) -> None:
    options = SMALL.get(name, {})
    factory = get_space(name, **options)
    assert isinstance(factory, SpaceFactory)
    data = json.loads(json.dumps(factory.to_json()))
    assert data["name"] == name
    again = space_from_json(data)
    assert again == factory
    assert hash(again) == hash(factory)
    assert repr(again) == repr(factory)
    assert pickle.loads(pickle.dumps(factory)) == copy.deepcopy(factory) == factory
    assert get_space(name, size="large") != factory
    assert isinstance(factory.for_retraining(), SPACES[name])


@pytest.mark.parametrize("name", SPACES)
def test_counted_costs_are_those_of_the_realised_network(name) -> None:
    space = get_space(name, **SMALL.get(name, {})).space(num_classes=3, channels=1, side=8)
    params, macs = Params(space), MACs(space, (1, 8, 8))
    for seed in range(2):
        arch = space.sample(seed)
        net = space.realise(arch)
        assert params.cost(arch) == sum(p.numel() for p in net.parameters())
        assert macs.cost(arch) * 1e6 == pytest.approx(multiply_adds(net), rel=1e-9)


def multiply_adds(net: nn.Module) -> float:
    found = []

    def listen(module, _, out):
        places = out.shape[-1] * out.shape[-2] if isinstance(module, nn.Conv2d) else 1
        found.append(module.weight.numel() * places)

    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(listen)
    with torch.no_grad():
        net.eval()(torch.zeros(1, 1, 8, 8))
    return float(sum(found))


@pytest.mark.parametrize("name", SPACES)
def test_networks_for_retraining_take_the_same_architectures(name) -> None:
    factory = get_space(name, **SMALL.get(name, {}))
    arch = factory.space(num_classes=2, side=8).sample(3)
    net = factory.for_retraining().space(num_classes=2, side=8).realise(arch)
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 2)
    assert net.splits
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.affine for norm in norms)


@pytest.mark.parametrize("name", ["darts", "enas_macro", "enas_micro", "nasnet"])
def test_gates_choose_the_active_path(name) -> None:
    from autodl.nas import Gated

    space = get_space(name, **SMALL[name]).space(num_classes=2, side=8)
    net = space.supernet().eval()
    arch = space.sample(1)
    full = {label: arch.get(label, d.choices[0]) for label, d in space.decisions().items()}
    gates = {}
    for label, decision in space.decisions().items():
        count = len(decision.choices)
        probs = torch.full((count,), 1 / count, requires_grad=True)
        gates[label] = (probs, decision.index(full[label]), ())
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with active(net, Gated(gates)):
        gated = net(x)
    with active(net, OneHot(arch)):
        torch.testing.assert_close(gated, net(x))


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="unknown space 'dart'"):
        get_space("dart")
    with pytest.raises(UnknownNameError, match="option of darts"):
        get_space("darts", depth=3)
    with pytest.raises(OptionError, match="num_classes"):
        DARTS().space(num_classes=0)


def test_missing_probabilities_are_named() -> None:
    space = DARTS(cells=3, width=2, nodes=1).space(num_classes=2, side=8)
    with pytest.raises(OptionError, match="no probabilities for 'normal/2/from_0'"):
        space.derive({})
    with pytest.raises(OptionError, match="7 choices"):
        space.derive({label: [0.5, 0.5] for label in space.decisions()})


def test_dropped_paths_keep_the_mean_and_can_be_scheduled() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(20_000, 1, 1, 1)
    out = drop(x)
    assert sorted(set(out.flatten().tolist())) == pytest.approx([0.0, 4 / 3])
    assert float(out.mean()) == pytest.approx(1.0, abs=0.02)
    set_drop_path(nn.Sequential(drop), 0.0)
    assert torch.equal(drop(x), x)
    with pytest.raises(OptionError):
        DropPath(1.0)
