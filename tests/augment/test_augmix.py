from __future__ import annotations

from typing import Any

import pytest
import torch

from autodl.augment.augmix import ALL_OPS, AUGMIX_OPS, AugMix, MixedStage
from autodl.augment.op_table import OP_INDEX, OP_NAMES
from autodl.augment.stages import IDENTITY, apply_stages
from autodl.errors import OptionError
from tests.augment.made_policies import noise, seeded
from tests.augment.torchvision_spaces import magnitudes_of


def shares_of(policy: AugMix, number: int) -> torch.Tensor:
    stage = policy.draw(number, (8, 8), seeded())[-1]
    assert isinstance(stage, MixedStage) and stage.shares is not None
    return stage.shares


@pytest.mark.parametrize("all_ops", [True, False])
def test_draws_torchvisions_ops_and_magnitudes(all_ops: bool):
    from torchvision.transforms import v2

    space = v2.AugMix._AUGMENTATION_SPACE if all_ops else v2.AugMix._PARTIAL_AUGMENTATION_SPACE
    assert set(space) == set(ALL_OPS if all_ops else AUGMIX_OPS)
    stage = AugMix(severity=4, width=1, depth=1, all_ops=all_ops).draw(20_000, (40, 33), seeded())[0]
    assert {OP_NAMES[i] for i in stage.ops.unique().tolist()} == set(space)
    for op in space:
        values = stage.magnitudes[stage.ops == OP_INDEX[op]].unique().tolist()
        assert values == pytest.approx(sorted(set(magnitudes_of(space, op, 10, 40, 33, range(4)))), abs=1e-5)


def test_depths_are_1_2_3_alike():
    stages = AugMix(width=3).draw(10_000, (8, 8), seeded())
    depths = sum((stage.ops != IDENTITY).int() for stage in stages)
    assert (torch.bincount(depths) / 30_000).tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3], abs=0.01)


@pytest.mark.parametrize("alpha", [0.05, 1.0, 20.0])
def test_shares_are_beta_and_dirichlet(alpha: float):
    width = 3
    shares = shares_of(AugMix(width=width, alpha=alpha), 20_000)
    assert torch.allclose(shares.sum(0), torch.ones(20_000), atol=1e-5)
    assert shares.mean(1).tolist() == pytest.approx([1 / 2] + [1 / 6] * 3, abs=0.01)
    assert shares[0].var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)  # of Beta(a, a)
    inner = shares[1:, shares[0] < 0.9] / shares[1:, shares[0] < 0.9].sum(0)
    assert inner[0].var() == pytest.approx((2 / 9) / (width * alpha + 1), rel=0.1)  # of a Dirichlet's part


def test_is_the_weighted_mean_of_its_chains():
    policy, images = AugMix(width=2, depth=2), noise(6)
    stages = policy.draw(6, (12, 17), seeded())
    chains = apply_stages(torch.cat([images, images]), stages).double()
    shares = stages[0].shares.double()[..., None, None, None]  # type: ignore[attr-defined]
    wanted = images * shares[0] + chains[:6] * shares[1] + chains[6:] * shares[2]
    assert (policy(images, seeded()) - wanted).abs().max() <= 0.501


def test_a_mean_of_equal_images_is_the_image():
    flat = torch.arange(256, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    policy = AugMix(severity=1, all_ops=False)  # ops at level 0, of which Posterize and Equalize change
    stages = policy.draw(256, (4, 4), seeded())
    still = tuple(
        MixedStage(torch.zeros_like(s.ops), s.magnitudes, None, s.shares)  # type: ignore[attr-defined]
        for s in stages
    )
    assert OP_NAMES[0] == "Identity"
    assert torch.equal(policy.carry_out(flat, still), flat)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"severity": 0}, "severity must be a whole number >= 1, got 0"),
        ({"severity": 11}, r"severity must be in 1..10, got 11"),
        ({"width": 0}, "width must be a whole number >= 1, got 0"),
        ({"depth": 0}, "depth must be a whole number >= 1, or -1 to draw it, got 0"),
        ({"depth": True}, "depth must be a whole number >= 1"),
        ({"alpha": 0.0}, "alpha must be a finite number above 0, got 0.0"),
        ({"alpha": float("inf")}, "alpha must be a finite number above 0, got inf"),
        ({"all_ops": 1}, "all_ops must be True or False, got 1"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str):
    with pytest.raises(OptionError, match=message):
        AugMix(**arguments)
