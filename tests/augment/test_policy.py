from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.augment.op_table import OP_INDEX, OP_NAMES, OPS
from autodl.augment.policy import OpStep, Policy
from autodl.augment.policy_json import policy_from_json
from autodl.errors import OptionError, UnknownNameError
from tests.augment.made_policies import noise, seeded

share = st.floats(0.0, 1.0)


@st.composite
def steps(draw: st.DrawFn) -> OpStep:
    op = draw(st.sampled_from(OP_NAMES))
    sign = draw(st.sampled_from([-1, 0, 1])) if OPS[op].signed else 0
    return OpStep(op, draw(share), draw(share), sign)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    sub_policies = draw(st.lists(st.lists(steps(), max_size=3), max_size=4))
    size = len(sub_policies)
    weights = draw(st.none() | st.lists(st.floats(0.0, 1e9), min_size=size, max_size=size))
    if weights is not None and sum(weights) == 0.0:
        weights = None
    return Policy(sub_policies, weights)


@given(policies())
@settings(max_examples=60, deadline=None)
def test_json_round_trip(policy: Policy):
    again = policy_from_json(policy.to_json())
    assert again == policy and hash(again) == hash(policy)
    assert torch.equal(again(noise(3, 5, 4), seeded()), policy(noise(3, 5, 4), seeded()))


@given(policies())
@settings(max_examples=20, deadline=None)
def test_repr_is_short(policy: Policy):
    assert len(repr(policy)) < 2_000


def test_plain_lists_and_steps_make_the_same_policy():
    plain = Policy([[("Rotate", 0.5, 0.25), ["Brightness", 1, 1, -1]]], weights=[np.float64(2)])
    assert plain == Policy(((OpStep("Rotate", 0.5, 0.25), OpStep("Brightness", 1.0, 1.0, -1)),), (2.0,))


def test_repr_reads_as_the_call_that_makes_it():
    policy = Policy([[("Rotate", 0.5, 0.25), ("Brightness", 1, 1, -1)], []], weights=[1, 2])
    assert repr(policy) == (
        "Policy([\n    [('Rotate', 0.5, 0.25), ('Brightness', 1, 1, -1)],\n    [],\n], weights=(1, 2,))"
    )
    assert eval(repr(policy)) == policy
    assert eval(repr(Policy([[("Invert", 0.5, 0)]]))) == Policy([[("Invert", 0.5, 0)]])
    assert repr(Policy()) == "Policy([])"
    assert repr(Policy([[("Invert", 1, 0)]] * 250)).endswith("    ... and 242 more,\n])")


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy([[]]),
        Policy([[("Invert", 0.0, 1.0), ("Rotate", 0.0, 1.0)]]),
        Policy([[(op, 1.0, 0.0)] for op in OP_NAMES if op not in ("Invert", "Equalize", "AutoContrast")]),
        Policy([[("Identity", 1.0, 1.0)], [("Invert", 1.0, 1.0)]], weights=[1, 0]),
    ],
    ids=["no sub-policies", "no steps", "probability 0", "strength 0", "weight 0"],
)
def test_a_policy_that_does_nothing_returns_its_input(policy: Policy):
    images = noise(64)
    assert torch.equal(policy(images, seeded()), images)


def test_a_sure_step_is_the_op_itself():
    images = noise()
    assert torch.equal(Policy([[("Invert", 1.0, 0.0)]])(images, seeded()), 255 - images)
    twice = Policy([[("Invert", 1.0, 0.0), ("Invert", 1.0, 0.0)]])
    assert torch.equal(twice(images, seeded()), images)


def test_steps_are_carried_out_in_their_order():
    images = noise()
    first = Policy([[("Solarize", 1.0, 0.3), ("Invert", 1.0, 0.0)]])(images, seeded())
    stage = Policy([[("Solarize", 1.0, 0.3)]])(images, seeded())
    assert torch.equal(first, 255 - stage)


class TestDraws:
    NUMBER = 20_000

    def drawn(self, policy: Policy) -> list[tuple[torch.Tensor, torch.Tensor]]:
        stages = policy.draw(self.NUMBER, (32, 48), seeded(1))
        return [(stage.ops, stage.magnitudes) for stage in stages]

    def test_sub_policies_by_weight_and_steps_by_probability(self):
        policy = Policy([[("Rotate", 0.3, 0.5)], [("Invert", 1.0, 0.0)]], weights=[3, 1])
        ((ops, _),) = self.drawn(policy)
        shares = [(ops == OP_INDEX[op]).float().mean().item() for op in ("Rotate", "Invert", "Identity")]
        assert shares == pytest.approx([0.75 * 0.3, 0.25, 0.75 * 0.7], abs=0.01)

    def test_without_weights_all_alike(self):
        ((ops, _),) = self.drawn(Policy([[("Rotate", 1, 0)], [("Invert", 1, 0)], [("Color", 1, 0)]]))
        counts = torch.bincount(ops)[[OP_INDEX["Rotate"], OP_INDEX["Invert"], OP_INDEX["Color"]]]
        assert (counts / self.NUMBER).tolist() == pytest.approx([1 / 3] * 3, abs=0.01)

    @pytest.mark.parametrize("op", [op for op in OP_NAMES if OPS[op].signed])
    def test_directions_are_a_coin_unless_fixed(self, op: str):
        ((_, magnitudes),) = self.drawn(Policy([[(op, 1.0, 0.5)]]))
        low, high = magnitudes.unique().tolist()
        assert (magnitudes == high).float().mean() == pytest.approx(0.5, abs=0.02)
        for sign, value in ((-1, low), (1, high)):
            ((_, fixed),) = self.drawn(Policy([[(op, 1.0, 0.5, sign)]]))
            assert fixed.unique().tolist() == [value]

    def test_cutouts_are_anywhere(self):
        (stage,) = Policy([[("Cutout", 1.0, 1.0)]]).draw(self.NUMBER, (32, 32), seeded())
        assert stage.places is not None
        assert stage.places.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.01)
        assert (stage.places.min() >= 0) and (stage.places.max() < 1)

    def test_steps_are_independent(self):
        (first, _), (second, _) = self.drawn(Policy([[("Invert", 0.5, 0), ("Equalize", 0.5, 0)]]))
        both = ((first != 0) & (second != 0)).float().mean()
        assert both == pytest.approx(0.25, abs=0.01)


def test_op_weights_are_shares_of_probability():
    policy = Policy([[("Rotate", 0.5, 1), ("Invert", 1.0, 0)], [("Rotate", 1.0, 0)]], weights=[1, 3])
    assert policy.op_weights() == {"Rotate": pytest.approx(3.5 / 4.5), "Invert": pytest.approx(1 / 4.5)}
    assert Policy().op_weights() == {}


class TestFastAutoAugmentLevels:
    """Levels as the published files have them; value = low + level * (high - low)."""

    @pytest.mark.parametrize(
        ("op", "level", "values"),
        [
            ("ShearX", 0.75, {-0.15, 0.15}),
            ("ShearX", 0.25, {-0.15, 0.15}),
            ("Rotate", 1.0, {-30.0, 30.0}),
            ("Brightness", 0.75, {1.45}),
            ("Brightness", 0.25, {0.55}),
            ("Color", 0.0, {0.1}),
            ("Sharpness", 0.5, {1.0}),
            ("Solarize", 0.25, {64.0}),
            ("Cutout", 1.0, {20.0}),
        ],
    )
    def test_same_magnitude(self, op: str, level: float, values: set[float]):
        (stage,) = Policy.from_fast_autoaugment([[(op, 1.0, level)]]).draw(200, (100, 100), seeded())
        assert stage.magnitudes.unique().tolist() == pytest.approx(sorted(values), rel=1e-5)

    def test_posterize_runs_from_4_to_8_bits(self):
        for level, bits in ((0.0, 4), (1.0, 8)):
            (stage,) = Policy.from_fast_autoaugment([[("Posterize", 1.0, level)]]).draw(3, (9, 9), seeded())
            assert stage.magnitudes.tolist() == [bits] * 3

    def test_a_published_list(self):
        published = [
            [["Contrast", 0.8320659688593578, 0.49884310562180767], ["TranslateX", 0.41849, 0.394023]],
            [["Color", 0.3500483749890918, 0.43355143929883955], ["Color", 0.5120716140300229, 0.7508299]],
        ]
        policy = Policy.from_fast_autoaugment(published)
        assert [[s.op for s in steps] for steps in policy.sub_policies] == [
            ["Contrast", "TranslateX"],
            ["Color", "Color"],
        ]
        step = policy.sub_policies[0][1]
        assert (step.op, step.probability, step.sign) == ("TranslateX", 0.41849, 0)
        assert step.strength == pytest.approx(1 - 2 * 0.394023)

    def test_unknown_ops_and_levels(self):
        with pytest.raises(UnknownNameError, match="unknown op 'CutoutAbs'; known: Identity"):
            Policy.from_fast_autoaugment([[("CutoutAbs", 0.5, 0.5)]])
        with pytest.raises(OptionError, match=r"Rotate: level must be a number in 0..1, got 7"):
            Policy.from_fast_autoaugment([[("Rotate", 0.5, 7)]])


@pytest.mark.parametrize(
    ("sub_policies", "weights", "message"),
    [
        ([[("Rotat", 0.5, 0.5)]], None, r"unknown op 'Rotat'; known: Identity, ShearX"),
        ([[(3, 0.5, 0.5)]], None, r"unknown op 3; known"),
        ([[], [("Rotate", 1.5, 0.5)]], None, r"sub-policy 1: Rotate: probability .* 0..1, got 1.5"),
        ([[("Rotate", 0.5, float("nan"))]], None, r"Rotate: strength must be a number in 0..1, got nan"),
        ([[("Rotate", True, 0.5)]], None, r"probability must be a number in 0..1, got True"),
        ([[("Rotate", "1", 0.5)]], None, r"probability must be a number in 0..1, got '1'"),
        ([[("Rotate", 0.5)]], None, r"a step is \(op, probability, strength\), got \('Rotate', 0.5\)"),
        ([["Rotate"]], None, r"a step is \(op, probability, strength\), got 'Rotate'"),
        ([("Rotate", 0.5, 0.5)], None, r"a step is \(op, probability, strength\), got 'Rotate'"),
        (["Rotate"], None, r"sub-policy 0 must be a list"),
        ("Rotate", None, r"sub_policies must be a list of lists"),
        (None, None, r"sub_policies must be a list of lists"),
        ([[("Rotate", 0.5, 0.5, 2)]], None, r"Rotate: sign must be -1, 0 or 1, got 2"),
        ([[("Invert", 0.5, 0.5, 1)]], None, r"Invert has no directions: sign must be 0, got 1"),
        ([[]], [1, 2], r"weights must be one for each of 1 sub-policies, got 2"),
        ([[]], [-1], r"weights must be finite numbers >= 0, got -1"),
        ([[]], [float("inf")], r"weights must be finite numbers >= 0, got inf"),
        ([[]], [0], r"weights must have a finite sum above 0, got \[0\]"),
        ([[]], "1", r"weights must be a list of numbers or None, got '1'"),
    ],
)
def test_what_is_no_policy(sub_policies: object, weights: object, message: str):
    with pytest.raises(OptionError, match=message):
        Policy(sub_policies, weights)  # type: ignore[arg-type]
