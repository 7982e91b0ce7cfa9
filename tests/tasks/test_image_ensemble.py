"""The selection among planted members, and the network made of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from autodl.errors import AllTrialsFailedError
from autodl.models import build_network
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.image_ensemble import MOST_CANDIDATES, assemble, select
from autodl.tasks.member import Member
from autodl.training import get_metric
from tests.tasks import made

ACCURACY = get_metric("accuracy")


def sure(classes, *, of=3, certainty=0.8):
    """(n, k) probabilities that favour the given classes."""
    probs = np.full((len(classes), of), (1 - certainty) / (of - 1))
    probs[np.arange(len(classes)), classes] = certainty
    return probs


def complementary(truth):
    """Two tables that are right for the first and for the last two thirds, and right everywhere together."""
    rows, wrong = np.arange(len(truth)), (truth + 1) % 3
    right, unsure = sure(truth, certainty=0.9), sure(wrong, certainty=0.4)
    return (
        np.where((rows < 20)[:, None], right, unsure).astype(np.float32),
        np.where((rows >= 10)[:, None], right, unsure).astype(np.float32),
    )


@pytest.fixture
def data():
    """Thirty rows, ten of each class, all held out."""
    return made.run_data(np.repeat([0, 1, 2], 10), np.zeros(30, int))


def test_finds_the_pair_that_makes_up_for_each_others_mistakes(data):
    """One knows rows 0-19, one rows 10-29, each unsure elsewhere; a third makes the mistakes of both."""
    left, right = complementary(data.labels)
    rows, wrong = np.arange(30), (data.labels + 1) % 3
    sometimes = ((rows > 4) & (rows < 22))[:, None]
    third = np.where(sometimes, sure(data.labels, certainty=0.5), sure(wrong, certainty=0.9))
    members = [made.member(i, rows, p) for i, p in enumerate((third, left, right))]
    selection = select(members, data, ACCURACY)
    assert {m.trial_id for m in selection.members} == {1, 2}
    assert selection.value == 1
    assert selection.best_single == pytest.approx(20 / 30)
    assert sum(selection.weights) == pytest.approx(1)
    shares = dict(zip((m.trial_id for m in selection.members), selection.weights, strict=True))
    mixed = shares[1] * left + shares[2] * right
    np.testing.assert_allclose(selection.probs, mixed, atol=1e-6)


def test_one_member_predicts_alone_if_no_mixture_is_better(data):
    perfect = made.member(3, np.arange(30), sure(data.labels))
    twin = made.member(5, np.arange(30), sure(data.labels))
    poor = made.member(1, np.arange(30), sure((data.labels + 1) % 3))
    selection = select([poor, twin, perfect], data, ACCURACY)
    assert [m.trial_id for m in selection.members] == [3]
    assert selection.weights == (1.0,)
    assert selection.value == selection.best_single == 1
    np.testing.assert_array_equal(selection.probs, perfect.probs)


def test_a_metric_that_is_made_small_selects_the_smaller(data):
    metric = get_metric("log_loss")
    good = made.member(1, np.arange(30), sure(data.labels, certainty=0.9))
    bad = made.member(0, np.arange(30), sure(data.labels, certainty=0.4))
    selection = select([bad, good], data, metric)
    assert [m.trial_id for m in selection.members] == [1]
    assert selection.value == pytest.approx(-np.log(0.9), rel=1e-5)


def test_members_are_compared_on_the_rows_that_all_were_judged_on(data):
    """The second looks perfect on its own easy rows; on the shared ones it is not."""
    first = made.member(0, np.arange(30), sure(np.where(np.arange(30) < 27, data.labels, 0)))
    rows = np.arange(10, 30)
    second = made.member(1, rows, sure(np.where(rows < 29, data.labels[rows], 0)))
    selection = select([first, second], data, ACCURACY)
    np.testing.assert_array_equal(selection.rows, rows)
    assert selection.probs.shape == (20, 3)
    assert selection.best_single == pytest.approx(19 / 20)


def test_a_member_that_shares_too_few_rows_is_left_out(data):
    first = made.member(0, np.arange(20), sure(data.labels[:20]))
    stranger = made.member(1, np.arange(18, 30), sure(data.labels[18:]))
    selection = select([first, stranger], data, ACCURACY)
    assert [m.trial_id for m in selection.members] == [0]
    assert len(selection.rows) == 20


def test_a_member_judged_on_a_handful_of_rows_does_not_win(data):
    """Features cut short by the clock: perfect on five rows says less than 29 of 30."""
    whole = made.member(0, np.arange(30), sure(np.where(np.arange(30) < 29, data.labels, 0)))
    lucky = made.member(1, np.arange(0, 30, 6), sure(data.labels[::6]))
    selection = select([lucky, whole], data, ACCURACY)
    assert len(selection.rows) == 30
    assert [m.trial_id for m in selection.members] == [0]


def test_only_the_best_are_candidates_when_there_are_many(data):
    def wrong_in(count):
        return sure(np.where(np.arange(30) < 30 - count, data.labels, (data.labels + 1) % 3))

    members = [made.member(i, np.arange(30), wrong_in(25 if i < 40 else 1)) for i in range(41)]
    assert len(members) > MOST_CANDIDATES
    assert [m.trial_id for m in select(members, data, ACCURACY).members] == [40]


def test_a_member_without_a_value_comes_last(data):
    one_class = made.run_data(np.zeros(30, int), np.zeros(30, int))
    metric = get_metric("roc_auc")
    members = [made.member(i, np.arange(30), sure(np.zeros(30, int), of=2)) for i in (4, 2)]
    selection = select(members, one_class, metric)
    assert [m.trial_id for m in selection.members] == [2]
    assert np.isnan(selection.value)


def test_nothing_to_select_from_says_why(data):
    with pytest.raises(AllTrialsFailedError, match="longer time_limit"):
        select([], data, ACCURACY)
    with pytest.raises(AllTrialsFailedError, match="disk on fire"):
        select([], data, ACCURACY, errors=["disk on fire"])


# ---------------------------------------------------------------------- the network


def small(width, seed):
    return build_network("small_resnet", 3, input_size=8, width=width, blocks=1, seed=seed)


def keep(tmp_path, trial_id, net, state, rows, probs, *, frozen=False, flip=False, width=4):
    spec = NetworkSpec("small_resnet", {} if frozen else {"width": width, "blocks": 1}, 3, net.preprocessing)
    member = Member(trial_id, spec, frozen, flip, rows, probs)
    member.save(tmp_path / str(trial_id), state)
    return member


def test_whole_networks_are_put_together_with_their_own_weights(data, tmp_path):
    nets = [small(4, 1).eval(), small(6, 2).eval()]
    images = torch.rand(5, 3, 8, 8)
    rows, probs = np.arange(30), complementary(data.labels)
    for i, net in enumerate(nets):
        keep(tmp_path, i, net, net.state_dict(), rows, probs[i], width=(4, 6)[i], flip=bool(i))
    members = [Member.load(tmp_path / str(i)) for i in range(2)]
    selection = select(members, data, ACCURACY)
    assert len(selection.members) == 2
    network = assemble(
        selection,
        lambda trial_id: tmp_path / str(trial_id),
        user_body=lambda m: small(m.network.options["width"], 9),
        weights=None,
    )
    with torch.no_grad():
        x = (images - 0.5) / 0.25
        mirrored = (nets[1](x).softmax(1) + nets[1](x.flip(3)).softmax(1)) / 2
        parts = {0: nets[0](x).softmax(1), 1: mirrored}
        expected = sum(
            w * parts[m.trial_id] for m, w in zip(selection.members, selection.weights, strict=True)
        )
        torch.testing.assert_close(network(images), expected)
    assert not network.training


def test_heads_on_one_backbone_share_it(data, tmp_path):
    backbone = build_network("small_resnet", 3, input_size=8, seed=3).eval()
    weights = tmp_path / "backbone.safetensors"
    from autodl.models.weights_io import save_weights

    save_weights(backbone.state_dict(), weights)
    rows, generator = np.arange(30), torch.Generator().manual_seed(0)
    heads = []
    for i in range(2):
        head = nn.Linear(backbone.feature_dim, 3)
        with torch.no_grad():
            head.weight.normal_(generator=generator)
        heads.append(head)
        probs = complementary(data.labels)[i]
        keep(tmp_path, i, backbone, head.state_dict(), rows, probs, frozen=True, flip=True)
    selection = select([Member.load(tmp_path / str(i)) for i in range(2)], data, ACCURACY)
    assert len(selection.members) == 2
    network = assemble(selection, lambda i: tmp_path / str(i), user_body=pytest.fail, weights=weights)
    assert len(network.branches) == 1
    images = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        x = backbone.preprocessing.normalise(images * 255)
        features = (backbone.backbone(x) + backbone.backbone(x.flip(3))) / 2
        shares = dict(zip((m.trial_id for m in selection.members), selection.weights, strict=True))
        expected = sum(shares[i] * heads[i](features).softmax(1) for i in range(2))
        torch.testing.assert_close(network(images), expected)
