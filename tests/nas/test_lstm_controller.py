"""The controller's probabilities against enumeration, and that it learns what a table cannot."""

import pytest
import torch
from torch import nn

from autodl.errors import OptionError
from autodl.nas import LSTMController, OpChoice, Space


def nested_space() -> Space:
    def net() -> nn.Module:
        inner = OpChoice({name: nn.Identity() for name in "xyz"}, label="inner")
        return nn.Sequential(
            OpChoice({"conv": nn.Identity(), "skip": nn.Identity(), "deep": inner}, label="op"),
            OpChoice({"a": nn.Identity(), "b": nn.Identity()}, label="other"),
        )

    return Space(net)


def controller(**options) -> LSTMController:
    made = LSTMController(nested_space(), hidden=16, seed=1, **options)
    with torch.no_grad():  # far from uniform
        for weight in made.parameters():
            weight.mul_(12)
    return made.double()


@pytest.mark.parametrize("options", [{}, {"tanh_constant": 1.5, "temperature": 5.0}])
def test_probabilities_and_entropy_are_those_of_the_enumerated_distribution(options):
    made, space = controller(**options), nested_space()
    logs = torch.stack([made.log_prob(arch) for arch in space.enumerate()]).detach()
    p = logs.exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    # The estimate is unbiased: the mean of the steps' entropies over the distribution is its entropy.
    entropies = torch.stack([made.replay(arch).entropy for arch in space.enumerate()]).detach()
    assert (p * entropies).sum().item() == pytest.approx(-(p * logs).sum().item(), abs=1e-12)
    assert made.entropy(samples=400).item() == pytest.approx(-(p * logs).sum().item(), rel=0.1)


def test_an_episode_knows_its_probability():
    made = controller()
    episode = made.episode(torch.Generator().manual_seed(0))
    assert episode.log_prob.item() == pytest.approx(made.log_prob(episode.arch).item())
    assert made.sample(torch.Generator().manual_seed(0)) == episode.arch


def test_learns_that_one_choice_is_good_only_after_another():
    """Reward 1 for (conv, a) and (skip, b), 0 else: no row of its own for each decision finds both."""
    made = LSTMController(nested_space(), hidden=16, seed=0)
    adam = torch.optim.Adam(made.parameters(), lr=0.02)
    good = [{"op": "conv", "other": "a"}, {"op": "skip", "other": "b"}]
    for _ in range(60):
        loss = -torch.logsumexp(torch.stack([made.log_prob(arch) for arch in good]), 0)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.05
    assert made.mode() in good


def test_what_it_refuses():
    with pytest.raises(OptionError, match="above 0"):
        LSTMController(nested_space(), temperature=0.0)
    with pytest.raises(OptionError, match="'op' is one of"):
        controller().log_prob({"op": "none", "other": "a"})
