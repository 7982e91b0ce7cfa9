from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from autodl.training.best import BestWeights
from autodl.training.metrics import get_metric

PROBS = np.full((2, 2), 0.5, np.float32)


def offer(best: BestWeights, value: float, loss: float, epoch: int) -> bool:
    net = nn.Linear(1, 1)
    nn.init.constant_(net.weight, epoch)
    return best.offer(net, value, loss, epoch, PROBS * epoch)


def test_the_best_value_is_kept_and_ties_go_to_the_lower_loss():
    best = BestWeights(get_metric("accuracy"))
    offers = [(0.5, 1.0), (0.7, 2.0), (0.6, 0.1), (0.7, 1.5), (0.7, 1.6)]
    improved = [offer(best, value, loss, epoch) for epoch, (value, loss) in enumerate(offers, 1)]
    assert improved == [True, True, False, True, False]
    assert (best.epoch, best.value, best.loss) == (4, 0.7, 1.5)
    assert best.state["weight"].item() == 4
    assert best.probs[0, 0] == 2


def test_undefined_values_are_beaten_by_any_and_tie_by_loss():
    best = BestWeights(get_metric("roc_auc"))
    assert offer(best, math.nan, 1.0, 1)
    assert not offer(best, math.nan, 2.0, 2)
    assert offer(best, math.nan, 0.5, 3)
    assert offer(best, 0.1, 9.0, 4)
    assert not offer(best, math.nan, 0.1, 5)


def test_what_is_kept_is_a_copy():
    best, net = BestWeights(get_metric("accuracy")), nn.Linear(1, 1)
    nn.init.constant_(net.weight, 1.0)
    best.offer(net, 0.5, 1.0, 1, PROBS)
    nn.init.constant_(net.weight, 2.0)
    assert best.state["weight"].item() == 1


def test_state_round_trip_through_a_safe_file(tmp_path):
    best, other = BestWeights(get_metric("accuracy")), BestWeights(get_metric("accuracy"))
    offer(best, 0.5, 1.0, 3)
    torch.save(best.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (other.epoch, other.value, other.loss) == (3, 0.5, 1.0)
    assert torch.equal(other.state["weight"], best.state["weight"])
    assert (other.probs == best.probs).all()
