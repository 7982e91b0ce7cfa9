"""What a user's net stands for, and decided networks as files know them."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import autodl as ad
from autodl.errors import ConfigError, SpaceError
from autodl.nas import OpChoice, Space, Units
from autodl.nas.spaces import DARTS, ConvChain
from autodl.spaces import SearchSpace
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.open_network import (
    ArchSpace,
    ChosenNetwork,
    OwnSpace,
    as_factory,
    build_published,
    is_published,
    shown,
)

CHAIN = ConvChain(layers=2, kernels=(1, 3), filters=(2, 4))


class Open(nn.Sequential):
    def __init__(self, num_classes: int) -> None:
        head = {"flat": nn.Linear(192, num_classes), "deep": nn.Sequential(nn.Linear(192, num_classes))}
        super().__init__(nn.Flatten(), OpChoice(head, label="head"))


class Closed(nn.Linear):
    def __init__(self, num_classes: int) -> None:
        super().__init__(3, num_classes)


@ad.obj(hidden=ad.Categorical(2, 4))
class Unit(nn.Sequential):
    def __init__(self, hidden: int, num_classes: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(192, hidden), nn.Linear(hidden, num_classes))


def test_what_stands_for_a_space():
    assert as_factory(CHAIN) is CHAIN
    assert as_factory(DARTS) == DARTS()
    for net in (Open, Open(3), Space(Open, 3), lambda num_classes: Open(num_classes)):
        assert as_factory(net).space(num_classes=3, side=8).size() == 2
    assert isinstance(as_factory(Unit, searched=True), Units)
    assert as_factory("darts", searched=True) == DARTS()


def test_what_does_not():
    closed = Closed(3)
    before = torch.get_rng_state()
    for net in ("darts", None, Closed, closed, Unit, ["resnet18"], lambda wants, more: None):
        assert as_factory(net) is None
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(SpaceError, match="name a space"):
        as_factory(Closed(3), searched=True)


def test_a_file_names_a_published_space_and_its_architecture():
    space = CHAIN.space(num_classes=3, side=8)
    chosen = ChosenNetwork(CHAIN, space.sample(0))
    made = chosen.classifier(3, 8, seed=0)
    spec = NetworkSpec.from_json(json.loads(json.dumps(chosen.spec(3, made.preprocessing).to_json())))
    assert is_published(spec) and spec.name == "nas:chain"
    built = build_published(spec)
    built.load_state_dict(made.state_dict())
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(built.eval()(x), made.eval()(x))


def test_networks_are_those_that_are_retrained():
    chosen = ChosenNetwork(DARTS(cells=3, width=2), DARTS(cells=3, width=2).space(num_classes=2).sample(0))
    norms = [m for m in chosen.build(2, 16, seed=0).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and all(norm.affine for norm in norms)


def test_wrong_architectures_in_a_file_are_refused():
    options = {"space": CHAIN.to_json(), "arch": {"no such": 1}}
    chosen = ChosenNetwork(CHAIN, CHAIN.space(num_classes=3).sample(0))
    preprocessing = chosen.classifier(3, 8, seed=0).preprocessing
    with pytest.raises(ConfigError, match="unknown label"):
        build_published(NetworkSpec("nas:chain", options, 3, preprocessing))


@pytest.mark.parametrize("factory", [CHAIN, OwnSpace(Open)], ids=["published", "own"])
def test_decisions_are_a_part_of_the_engines_space(factory):
    part = ArchSpace(factory, factory.space(num_classes=3, side=8))
    space = SearchSpace({"net": pickle.loads(pickle.dumps(part)), "lr": ad.Real(0.1, 1.0)})
    config = space.sample(np.random.default_rng(0))
    chosen = space.build(config)["net"]
    assert all(config[f"net/{label}"] == value for label, value in chosen.arch.items())
    assert chosen.build(3, 8, seed=0)(torch.zeros(2, 3, 8, 8)).shape == (2, 3)


def test_names_for_people():
    assert shown(CHAIN) == "ConvChain(layers=2, kernels=(1, 3), filters=(2, 4))"
    assert shown(DARTS()) == "DARTS()"
    assert (shown(OwnSpace(Space(Open, 3))), shown(Units(Unit))) == ("Open", "Units()")
