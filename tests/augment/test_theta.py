from __future__ import annotations

import pytest
import torch
from torch import nn

from autodl.augment.folds import shuffle_splits
from autodl.augment.search_data import as_search_data
from autodl.augment.theta import ThetaOptions, train_theta
from autodl.errors import OptionError, TrialError
from autodl.models import build_network
from tests.augment.made_searches import QUICK, small_digits, tiny_net

DATA = as_search_data(*small_digits(400))
SPLIT = shuffle_splits(DATA.labels, 1, seed=0)[0]


def test_theta_learns_from_d_m_and_counts_what_it_sees_later() -> None:
    theta = train_theta(DATA, SPLIT, net=tiny_net, options=QUICK, seed=0)
    images = DATA.images[torch.from_numpy(SPLIT.search_rows)]
    logits = theta(images)
    assert logits.shape == (len(images), 10) and not logits.is_inference()
    accuracy = (logits.argmax(1).numpy() == DATA.labels[SPLIT.search_rows]).mean()
    assert accuracy > 0.75
    assert theta.num_forwards == len(images)
    again = train_theta(DATA, SPLIT, net=tiny_net, options=QUICK, seed=0)
    assert torch.equal(again(images), logits)


def test_images_of_d_a_do_not_reach_the_training() -> None:
    """What D_A holds makes no difference to theta."""
    changed = DATA.images.clone()
    changed[torch.from_numpy(SPLIT.search_rows)] = 0
    other = as_search_data(changed, DATA.labels)
    images = DATA.images[:20]
    options = ThetaOptions(epochs=2, device="cpu")
    first = train_theta(DATA, SPLIT, net=tiny_net, options=options, seed=0)(images)
    assert torch.equal(first, train_theta(other, SPLIT, net=tiny_net, options=options, seed=0)(images))


def test_grey_images_are_not_mirrored_and_coloured_ones_are() -> None:
    assert not ThetaOptions().base(DATA).flip
    assert ThetaOptions(flip=True).base(DATA).flip
    coloured = DATA.images.clone()
    coloured[:, 0] //= 2
    assert ThetaOptions().base(as_search_data(coloured, DATA.labels)).flip


def test_a_network_of_ours_brings_its_own_normalisation() -> None:
    def grey(num_classes: int) -> nn.Module:
        return build_network("small_resnet", num_classes, input_size=16, width=8, channels=1)

    one = as_search_data(DATA.images[:, :1], DATA.labels)
    options = ThetaOptions(epochs=1, device="cpu")
    assert train_theta(one, SPLIT, net=grey, options=options, seed=0)(one.images[:3]).shape == (3, 10)


def test_networks_that_do_not_fit_are_told() -> None:
    with pytest.raises(TrialError, match=r"torch\.nn\.Module, got str"):
        train_theta(DATA, SPLIT, net=lambda k: "resnet", options=QUICK, seed=0)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"weight_decay": -1.0}])
def test_bad_options_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=next(iter(bad))):
        ThetaOptions(**bad)  # type: ignore[arg-type]
