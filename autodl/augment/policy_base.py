"""What all policies share: calls on batches and single images, other people's pipelines, JSON, pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from autodl.augment.pil_adapter import ImageTransform
from autodl.augment.policy_json import KINDS, policy_from_json, write_document
from autodl.augment.stages import Stage, apply_stages, check_generator, check_images
from autodl.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class BatchPolicy(ABC):
    """A random change of images in which each image of a batch draws its own ops.

    Every policy is an `autodl.training.Augmentation`, picklable, and equal to one with the same values.
    A subclass whose document is to be read again by `policy_from_json` gets an entry by its name.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        KINDS[cls.__name__] = cls

    def __call__(self, images: Tensor, generator: torch.Generator, *, backend: str = "auto") -> Tensor:
        """Change a batch, or one image.

        Args:
            images: (n, c, h, w) or (c, h, w) uint8 with 1 or 3 channels, on any device; not written to.
            generator: CPU generator, the only source of randomness: the same state draws the same ops on
                every device and with every backend.
            backend: of `apply_ops`; name one ("torch") where large images must repeat to the byte.

        Returns:
            uint8 of the same shape on the same device.

        Raises:
            DataError: the images have another dtype or shape.
            OptionError: the generator is none, or lives on a device.
        """
        images, generator = check_images(images), check_generator(generator)
        batch = images if images.ndim == 4 else images.unsqueeze(0)
        if len(batch) == 0:
            return images.clone()
        stages = self.draw(len(batch), (batch.shape[-2], batch.shape[-1]), generator)
        changed = self.carry_out(batch, stages, backend=backend)
        return changed if images.ndim == 4 else changed.squeeze(0)

    @abstractmethod
    def draw(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Stage, ...]:
        """Draw the ops of `number` images.

        Args:
            number: of images.
            size: their height and width in pixels.
            generator: on the CPU.
        """

    def carry_out(self, images: Tensor, stages: tuple[Stage, ...], *, backend: str = "auto") -> Tensor:
        """Apply what `draw` drew to a (n, c, h, w) uint8 batch."""
        return apply_stages(images, stages, backend=backend)

    def captions(self, stages: tuple[Stage, ...], number: int) -> list[str]:
        """For each of the images what `draw` drew, ``"Rotate -21°, Invert"``; empty for nothing."""
        words = [[stage.caption(image) for stage in stages] for image in range(number)]
        return [", ".join(word for word in row if word) for row in words]

    @abstractmethod
    def op_weights(self) -> dict[str, float]:
        """Each op's share of the ops that are carried out, largest first; empty if none ever is."""

    @abstractmethod
    def to_data(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The policy that `to_data` described."""
        return cls(**data)

    def to_json(self) -> str:
        """A versioned document that `from_json` and `policy_from_json` read."""
        return write_document(type(self).__name__, self.to_data())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            OptionError: damaged, from another version, with values that are not allowed, or another
                kind of policy.
        """
        policy = policy_from_json(text)
        if not isinstance(policy, cls):
            raise OptionError(
                f"this is a {type(policy).__name__}, not a {cls.__name__}; "
                f"use {type(policy).__name__}.from_json, or autodl.augment.policy_from_json for any policy"
            )
        return policy

    def for_pil(self, seed: int | None = None) -> ImageTransform:
        """This policy as a transform of single images for torchvision's ``Compose`` and data sets.

        Args:
            seed: of its draws; None follows ``torch.manual_seed`` as torchvision's transforms do.

        Returns:
            A picklable callable: PIL image in, PIL image out; (c, h, w) or (n, c, h, w) uint8 tensor in,
            tensor out; safe in the worker processes of a DataLoader.

        Example:
            >>> from torchvision.transforms import v2
            >>> from autodl.augment import RandAugment
            >>> transform = v2.Compose([RandAugment().for_pil(), v2.RandomHorizontalFlip()])
        """
        return ImageTransform(self, seed)

    def show(self, images: Tensor, seed: int = 0, *, draws: int = 5) -> Figure:
        """A picture of what the policy does.

        Args:
            images: (n, c, h, w) or (c, h, w) uint8; the first six are shown.
            seed: of the draws.
            draws: changed versions of each image, 1..12.

        Returns:
            Each image before and after with the ops it drew, and the ops' weights.
        """
        from autodl.augment.show import show_policy  # noqa: PLC0415  # matplotlib is slow to import

        return show_policy(self, images, seed, draws=draws)


def shares(amounts: Mapping[str, float]) -> dict[str, float]:
    """Amounts as shares of their sum, largest first, equal ones by name; without Identity and zeros."""
    kept = {name: amount for name, amount in amounts.items() if amount > 0.0 and name != "Identity"}
    total = sum(kept.values())
    ordered = sorted(kept.items(), key=lambda item: (-item[1], item[0]))
    return {name: amount / total for name, amount in ordered}
