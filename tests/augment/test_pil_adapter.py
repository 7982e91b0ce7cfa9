from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from autodl.augment.pil_adapter import ImageTransform, to_pil, to_tensor
from autodl.augment.policy import Policy
from autodl.augment.policy_base import BatchPolicy
from autodl.augment.random_policies import RandAugment, TrivialAugmentWide
from autodl.errors import DataError, OptionError
from autodl.rng import torch_generator
from tests.augment.made_policies import POLICIES, name_of, noise, seeded


@pytest.mark.parametrize("policy", POLICIES, ids=name_of)
@pytest.mark.parametrize("channels", [1, 3])
def test_agrees_with_the_batch_path(policy: BatchPolicy, channels: int):
    images = noise(12, 11, 14, channels)
    transform, generator = policy.for_pil(seed=5), torch_generator(5)
    for image in images:
        changed = transform(to_pil(image))
        assert changed.mode == ("RGB" if channels == 3 else "L") and changed.size == (14, 11)
        wanted = policy(image[None], generator, backend="torch")[0]
        assert (to_tensor(changed).int() - wanted.int()).abs().max() <= 1


def test_pixels_survive_the_way_there_and_back():
    for channels in (1, 3):
        image = noise(1, channels=channels)[0]
        assert torch.equal(to_tensor(to_pil(image)), image)


def test_takes_tensors_too():
    transform = RandAugment().for_pil(seed=1)
    assert transform(noise(1)[0]).shape == (3, 12, 17)
    assert transform(noise(4)).shape == (4, 3, 12, 17)


def test_works_in_torchvisions_compose():
    from torchvision.transforms import v2

    compose = v2.Compose([
        TrivialAugmentWide().for_pil(seed=0), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)
    ])  # fmt: skip
    assert compose(to_pil(noise(1)[0])).dtype == torch.float32


def test_successive_images_differ_and_a_seed_repeats_them():
    image = to_pil(noise(1)[0])

    def run(transform: ImageTransform) -> list[bytes]:
        return [transform(image).tobytes() for _ in range(8)]

    first = run(RandAugment().for_pil(seed=1))
    assert len(set(first)) > 4
    assert run(RandAugment().for_pil(seed=1)) == first != run(RandAugment().for_pil(seed=2))


def test_without_a_seed_it_follows_torch_manual_seed():
    image, state = to_pil(noise(1)[0]), torch.get_rng_state()

    def run(seed: int) -> list[bytes]:
        torch.manual_seed(seed)
        transform = RandAugment().for_pil()
        return [transform(image).tobytes() for _ in range(8)]

    assert run(1) == run(1) != run(2)
    torch.set_rng_state(state)


def test_copies_start_anew():
    transform = RandAugment().for_pil(seed=1)
    first = transform(noise(1)[0])
    for again in (pickle.loads(pickle.dumps(transform)), copy.deepcopy(transform)):
        assert torch.equal(again(noise(1)[0]), first)
        assert again.policy == transform.policy and repr(again) == repr(transform)
    assert repr(transform) == "RandAugment(n=2, magnitude=9, num_levels=31).for_pil(seed=1)"


class Shifted(Dataset[int]):
    """Item i: the shift that the transform drew, seen at a single white pixel."""

    def __init__(self, transform: ImageTransform) -> None:
        self.transform = transform
        self.image = Image.fromarray(np.eye(1, 101, 50, dtype=np.uint8) * 255)

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> int:
        pixels = np.asarray(self.transform(self.image))
        return int(pixels.argmax()) if pixels.any() else -1


SHIFT = Policy([[("TranslateX", 1.0, strength / 64)] for strength in range(64)])


def epochs(transform: ImageTransform, loader_seed: int, **options: Any) -> list[list[int]]:
    loader: DataLoader[int] = DataLoader(
        Shifted(transform), batch_size=4, num_workers=2, generator=seeded(loader_seed), **options
    )
    return [torch.cat(list(loader)).tolist() for _ in range(2)]


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("persistent", [False, True])
def test_workers_and_epochs_draw_differently_and_repeat_with_the_loader(seed: int | None, persistent: bool):
    transform = SHIFT.for_pil(seed)
    first, second = epochs(transform, 0, persistent_workers=persistent)
    workers = [first[start::8] for start in (0, 4)]
    assert workers[0] != workers[1], "two workers drew the same"
    assert first != second, "two epochs drew the same"
    assert epochs(transform, 0, persistent_workers=persistent) == [first, second]
    assert epochs(transform, 1, persistent_workers=persistent) != [first, second]


def test_a_transform_used_before_the_fork_does_not_repeat_itself_in_all_workers():
    transform = SHIFT.for_pil(0)
    transform(noise(1)[0])
    first, second = epochs(transform, 0)
    assert first[0:4] != first[4:8] and first != second


def test_other_seeds_other_draws_in_workers():
    assert epochs(SHIFT.for_pil(0), 0) != epochs(SHIFT.for_pil(1), 0)


def test_wrong_images_and_seeds():
    transform = RandAugment().for_pil(seed=0)
    with pytest.raises(DataError, match=r"mode L or RGB, got mode RGBA; put lambda image: image.convert"):
        transform(Image.new("RGBA", (4, 4)))
    with pytest.raises(DataError, match=r"a PIL image or a uint8 tensor is needed, got ndarray"):
        transform(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match=r"uint8 pixels 0..255, got torch.float32"):
        transform(torch.zeros(3, 4, 4))
    with pytest.raises(DataError, match=r"the image has no pixels: 0 x 4"):
        transform(Image.new("L", (0, 4)))
    for seed in (-1, 1.5, True):
        with pytest.raises(OptionError, match="seed must be a whole number >= 0 or None"):
            RandAugment().for_pil(seed=seed)  # type: ignore[arg-type]
