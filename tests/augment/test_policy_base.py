"""What holds for every policy."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from autodl.augment.policy import Policy
from autodl.augment.policy_base import BatchPolicy, shares
from autodl.augment.policy_json import policy_from_json
from autodl.errors import DataError, OptionError
from autodl.training import Compose, PadCropFlip
from tests.augment.made_policies import POLICIES, name_of, noise, seeded

every_policy = pytest.mark.parametrize("policy", POLICIES, ids=name_of)


@every_policy
class TestEveryPolicy:
    @pytest.mark.parametrize(
        ("channels", "height", "width"), [(3, 12, 17), (1, 9, 8), (3, 1, 1)], ids=["colour", "grey", "1x1"]
    )
    def test_keeps_type_and_shape_and_does_not_write_to_its_input(
        self, policy: BatchPolicy, channels: int, height: int, width: int
    ):
        images = noise(16, height, width, channels)
        before = images.clone()
        changed = policy(images, seeded())
        assert torch.equal(images, before)
        assert changed.shape == images.shape and changed.dtype == torch.uint8
        assert changed.data_ptr() != images.data_ptr()

    def test_does_change_images(self, policy: BatchPolicy):
        images = noise(32)
        changed = (policy(images, seeded()) != images).flatten(1).any(1)
        assert changed.float().mean() > 0.4

    def test_same_seed_same_result_and_another_seed_another(self, policy: BatchPolicy):
        images = noise(32)
        assert torch.equal(policy(images, seeded(3)), policy(images, seeded(3)))
        assert not torch.equal(policy(images, seeded(3)), policy(images, seeded(4)))

    def test_draws_from_the_given_generator_alone(self, policy: BatchPolicy):
        state = torch.get_rng_state()
        first = policy(noise(), seeded())
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(77)
        assert torch.equal(policy(noise(), seeded()), first)
        torch.set_rng_state(state)

    def test_memory_layout_makes_no_difference(self, policy: BatchPolicy):
        images = noise(32)
        last = images.contiguous(memory_format=torch.channels_last)
        assert torch.equal(policy(images, seeded()), policy(last, seeded()))

    def test_backends_agree(self, policy: BatchPolicy):
        images = noise(32)
        generators = seeded(), seeded()
        plain = policy(images, generators[0], backend="torch").int()
        chosen = policy(images, generators[1]).int()
        assert (plain - chosen).abs().max() <= len(plain.shape)  # a grey level an op
        assert torch.equal(generators[0].get_state(), generators[1].get_state())

    def test_an_image_does_not_depend_on_its_neighbours(self, policy: BatchPolicy):
        """Given the same draws, image i is the same whatever the other images are."""
        images = noise(16)
        others = images.flip(0).clone()
        others[5] = images[5]
        assert torch.equal(policy(images, seeded())[5], policy(others, seeded())[5])

    def test_takes_one_image(self, policy: BatchPolicy):
        image = noise(1)[0]
        assert torch.equal(policy(image, seeded()), policy(image[None], seeded())[0])

    def test_takes_an_empty_batch(self, policy: BatchPolicy):
        assert policy(noise(0), seeded()).shape == (0, 3, 12, 17)

    def test_is_an_augmentation_of_the_training_loop(self, policy: BatchPolicy):
        images = noise(16, 12, 12).contiguous(memory_format=torch.channels_last)
        assert Compose(policy, PadCropFlip(2))(images, seeded()).shape == images.shape

    def test_json_round_trip(self, policy: BatchPolicy):
        for again in (policy_from_json(policy.to_json()), type(policy).from_json(policy.to_json())):
            assert again == policy and hash(again) == hash(policy)
            assert torch.equal(again(noise(), seeded()), policy(noise(), seeded()))

    def test_copies_are_equal(self, policy: BatchPolicy):
        for again in (pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy)):
            assert again == policy and repr(again) == repr(policy)
            assert torch.equal(again(noise(), seeded()), policy(noise(), seeded()))

    def test_weights_are_shares_in_falling_order(self, policy: BatchPolicy):
        weights = policy.op_weights()
        assert sum(weights.values()) == pytest.approx(1.0)
        assert list(weights.values()) == sorted(weights.values(), reverse=True)
        assert "Identity" not in weights

    def test_captions_name_the_ops_that_were_drawn(self, policy: BatchPolicy):
        stages = policy.draw(16, (12, 17), seeded())
        captions = policy.captions(stages, 16)
        assert len(captions) == 16
        assert any(op in caption for caption in captions for op in policy.op_weights())

    def test_refuses_what_it_cannot_change(self, policy: BatchPolicy):
        with pytest.raises(DataError, match=r"uint8 pixels 0..255, got torch.float32; apply it before"):
            policy(noise().float() / 255, seeded())
        with pytest.raises(DataError, match=r"got shape \(16, 12, 17, 3\); move channels .*movedim"):
            policy(noise().movedim(1, -1), seeded())
        with pytest.raises(DataError, match=r"no pixels: shape \(2, 3, 0, 4\)"):
            policy(torch.zeros(2, 3, 0, 4, dtype=torch.uint8), seeded())
        with pytest.raises(DataError, match=r"torch tensors, got ndarray; use torch.from_numpy"):
            policy(noise().numpy(), seeded())  # type: ignore[arg-type]
        with pytest.raises(OptionError, match=r"torch.Generator on the CPU, got 0; use torch.Generator"):
            policy(noise(), 0)  # type: ignore[arg-type]


@pytest.mark.gpu
@every_policy
def test_same_draws_on_a_device(policy: BatchPolicy):
    images = noise(32)
    here, there = policy(images, seeded()), policy(images.cuda(), seeded()).cpu()
    assert (here.int() - there.int()).abs().max() <= 4


def test_policies_differ_by_kind_and_values():
    assert all(a != b for i, a in enumerate(POLICIES) for b in POLICIES[:i])


def test_another_kind_of_policy_is_refused():
    with pytest.raises(OptionError, match=r"this is a RandAugment, not a Policy; use RandAugment.from_json"):
        Policy.from_json(POLICIES[0].to_json())


def test_shares_leave_out_what_is_never_used():
    assert shares({"Identity": 3.0, "Invert": 1.0, "Rotate": 3.0, "Color": 0.0, "Cutout": 1.0}) == {
        "Rotate": 0.6,
        "Cutout": 0.2,
        "Invert": 0.2,
    }
    assert shares({"Identity": 1.0}) == {}
