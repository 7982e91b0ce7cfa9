"""The network a predictor holds: normalisation, mirror images, shares, its record."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from autodl.models import build_network
from autodl.models.classifier import Preprocessing
from autodl.tasks.ensemble_network import Branch, BranchSpec, EnsembleNetwork, NetworkSpec, empty_head


def spec(**changes):
    values = {"frozen": False, "flip": False, "trial_ids": (0,), "weights": (1.0,)} | changes
    network = NetworkSpec("small_resnet", {"width": 4, "blocks": 1}, 3, Preprocessing(8))
    return BranchSpec(values.pop("network", network), **values)


def body(seed=0, **options):
    net = build_network("small_resnet", 3, input_size=8, width=4, blocks=1, seed=seed, **options)
    return net.eval()


def test_records_survive_json():
    grey = Preprocessing(9, (0.1,), (0.2,), channels=1)
    for original in (
        spec(),
        spec(frozen=True, flip=True, trial_ids=(3, 5), weights=(0.25, 0.75)),
        spec(network=NetworkSpec("my.nets:Net", {"depth": 2}, 7, grey, True)),
    ):
        again = BranchSpec.from_json(json.loads(json.dumps(original.to_json())))
        assert again == original


def test_a_branch_weighs_its_probabilities():
    images = torch.rand(4, 3, 8, 8)
    whole, part = Branch(spec(), body()).eval(), Branch(spec(weights=(0.3,)), body()).eval()
    with torch.no_grad():
        torch.testing.assert_close(whole(images).sum(1), torch.ones(4))
        torch.testing.assert_close(part(images), 0.3 * whole(images))


def test_a_branch_that_flips_does_not_tell_left_from_right():
    images = torch.rand(4, 3, 8, 8)
    flipping, plain = Branch(spec(flip=True), body()).eval(), Branch(spec(), body()).eval()
    with torch.no_grad():
        torch.testing.assert_close(flipping(images), flipping(images.flip(3)))
        assert not torch.allclose(plain(images), plain(images.flip(3)))
        torch.testing.assert_close(flipping(images), (plain(images) + plain(images.flip(3))) / 2)


def test_a_grey_network_sees_luminance():
    one = Preprocessing(8, (0.5,), (0.25,), channels=1)
    branch = Branch(spec(network=NetworkSpec("small_resnet", {}, 3, one)), body(channels=1)).eval()
    colour = torch.rand(2, 3, 8, 8)
    grey = (colour * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(branch.normalise(colour), (grey - 0.5) / 0.25)
    with torch.no_grad():
        torch.testing.assert_close(branch(colour), branch(grey.expand(-1, 3, -1, -1)))


def test_the_ensemble_adds_its_branches_up():
    branches = [Branch(spec(weights=(w,)), body(seed)) for seed, w in ((1, 0.4), (2, 0.6))]
    network = EnsembleNetwork(branches).eval()
    images = torch.rand(3, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(network(images), branches[0](images) + branches[1](images))
        torch.testing.assert_close(network(images).sum(1), torch.ones(3))
    assert [s.weights for s in network.specs] == [(0.4,), (0.6,)]
    assert network.num_parameters == sum(p.numel() for b in branches for p in b.body.parameters())


def test_explaining_takes_the_heaviest_head():
    heads = [nn.Linear(body().feature_dim, 3) for _ in range(2)]
    frozen = spec(frozen=True, trial_ids=(1, 2), weights=(0.2, 0.8))
    branch = Branch(frozen, body(), heads).eval()
    classifier = branch.as_classifier()
    assert classifier.head is heads[1]
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(classifier(x), heads[1](branch.body(x)))
    assert Branch(spec(), net := body()).as_classifier() is net


@pytest.mark.parametrize("size", [1, 5])
def test_an_empty_head_draws_nothing(size):
    before = torch.get_rng_state()
    head = empty_head(size, 3)
    assert torch.equal(before, torch.get_rng_state())
    assert head.weight.shape == (3, size)
    assert head.weight.device.type == "cpu"
