from __future__ import annotations

import pytest
import torch

from autodl.errors import OptionError
from autodl.nas import Independent, LSTMController, Space
from autodl.nas.controller_learner import ControllerLearner, ControllerOptions
from autodl.rng import torch_generator
from autodl.testing.nas_strategies import TinyNet


@pytest.mark.parametrize(("kind", "made"), [("lstm", LSTMController), ("independent", Independent)])
def test_kinds(kind, made):
    learner = ControllerLearner(ControllerOptions(kind), Space(TinyNet), 0)
    assert isinstance(learner.controller, made)
    episode = learner.episode(torch_generator(0, "test"))
    assert torch.allclose(episode.log_prob, learner.log_probs([episode.arch])[0])
    assert 0 < float(episode.entropy.detach()) <= 2 * torch.tensor(3.0).log() + 1e-6


def test_a_controller_without_its_choices_before_has_probabilities():
    assert ControllerLearner(ControllerOptions("lstm"), Space(TinyNet), 0).probabilities() == {}
    shares = ControllerLearner(ControllerOptions("independent"), Space(TinyNet), 0).probabilities()
    assert shares["layer0"] == pytest.approx([1 / 3] * 3)


def test_entropy_in_the_loss_flattens_the_policy():
    learner = ControllerLearner(
        ControllerOptions("independent", lr=0.1, entropy_weight=1.0), Space(TinyNet), 0
    )
    with torch.no_grad():
        learner.controller.alphas["layer0"][0] = 3.0
    before = float(learner.controller.entropy().detach())
    for _ in range(20):
        learner.descend(torch.zeros((), requires_grad=True))
    assert float(learner.controller.entropy().detach()) > before + 0.3


def test_powers_keep_signs():
    options = ControllerOptions(reward_power=3.0)
    assert options.powered(0.5) == 0.125
    assert options.powered(-0.5) == -0.125


@pytest.mark.parametrize(
    "options", [{"kind": "mlp"}, {"batch": 0}, {"reward_power": 0.0}, {"baseline_decay": 1.0}]
)
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(OptionError):
        ControllerLearner(ControllerOptions(**options), Space(TinyNet), 0)
