"""Evaluators agree with what they stand for."""

import copy

import numpy as np
import pytest
import torch

from autodl.errors import NotFittedError, OptionError
from autodl.nas import FitOptions, Predictor, SharedWeights, Space, Trained
from autodl.nas.bn_recalibration import recalibrate
from autodl.nas.evaluators import one_hot
from autodl.nas.fitting import accuracy
from autodl.testing.nas_strategies import TinyNet, tiny_data

ARCH = {"layer0": "conv", "layer1": "skip"}


def test_trained_is_the_same_whatever_came_before():
    space, data = Space(TinyNet), tiny_data()
    options = FitOptions(epochs=2, lr=0.05)
    first = Trained(space, data, options, seed=1)
    first.evaluate({"layer0": "pool", "layer1": "pool"})
    one = first.evaluate(ARCH)
    other = Trained(space, data, options, seed=1).evaluate(ARCH)
    assert one.metric == other.metric and one.resource == 2 and one.seconds > 0
    nets = [Trained(space, data, options, seed=seed).train(ARCH) for seed in (1, 1, 2)]
    weights = [next(net.parameters()) for net in nets]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_more_epochs_learn_the_made_classes():
    evaluation = Trained(Space(TinyNet), tiny_data()).evaluate(ARCH, resource=8)
    assert evaluation.metric > 0.9 and evaluation.resource == 8


def test_shared_weights_judge_the_recalibrated_subnetwork_and_change_nothing():
    space, data = Space(TinyNet), tiny_data()
    supernet = space.supernet(0)
    before = copy.deepcopy(supernet.state_dict())
    evaluator = SharedWeights(supernet, data, recalibration=2, batch_size=32)
    found = evaluator.evaluate(ARCH)
    assert all(torch.equal(tensor, supernet.state_dict()[name]) for name, tensor in before.items())
    assert supernet.training
    net = space.realise(ARCH, inherit=supernet)
    recalibrate(net, evaluator._batches)
    assert found.metric == accuracy(net, data)


@pytest.mark.parametrize("model", ["gp", "ridge"])
def test_predictor_learns_an_additive_score(model):
    space = Space(TinyNet)
    archs = list(space.enumerate())
    points = {"conv": 0.6, "pool": 0.1, "skip": 0.3}
    scores = [points[str(arch["layer0"])] + 0.5 * points[str(arch["layer1"])] for arch in archs]
    seen = [0, 1, 3, 4, 5, 6, 8]
    predictor = Predictor(space, model).fit([archs[i] for i in seen], [scores[i] for i in seen])
    found = predictor.predict([archs[2], archs[7]])
    assert np.allclose(found, [scores[2], scores[7]], atol=0.08)
    assert predictor.evaluate(archs[2]).metric == pytest.approx(found[0])


def test_one_hot_rows():
    rows = one_hot(Space(TinyNet), [ARCH])
    assert rows.tolist() == [[1, 0, 0, 0, 0, 1]]


def test_predictor_says_what_is_missing():
    with pytest.raises(NotFittedError, match="call fit"):
        Predictor(Space(TinyNet)).predict([ARCH])
    with pytest.raises(OptionError, match="gp, ridge"):
        Predictor(Space(TinyNet), "magic")
