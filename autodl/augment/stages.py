"""What a policy drew for a batch, and how it is carried out: one call of `apply_ops` a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodl.augment.backends import run_steps
from autodl.augment.op_table import OP_INDEX, OP_NAMES, OPS
from autodl.augment.ops import check_batch, checked_step
from autodl.errors import DataError, OptionError

IDENTITY = OP_INDEX["Identity"]

_UNITS = {"Rotate": "°", "TranslateX": " px", "TranslateY": " px", "Posterize": " bits", "Cutout": " px"}


@dataclass(frozen=True, slots=True)
class Stage:
    """One op for each image of a batch.

    Attributes:
        ops: (n,) int64 index into `OP_NAMES`; Identity where the image is left alone.
        magnitudes: (n,) float32 in the op's unit; see `apply_ops`.
        places: (n, 2) float32 in [0, 1), centre (y, x) of Cutout's square; None where no op needs it.
    """

    ops: Tensor
    magnitudes: Tensor
    places: Tensor | None = None

    def caption(self, index: int) -> str:
        """What happens to one image, ``"Rotate -21°"``; empty for Identity."""
        name = OP_NAMES[int(self.ops[index])]
        if name == "Identity":
            return ""
        if not OPS[name].has_level:
            return name
        return f"{name} {float(self.magnitudes[index]):.3g}{_UNITS.get(name, '')}"


def apply_stages(images: Tensor, stages: Sequence[Stage], *, backend: str = "auto") -> Tensor:
    """Carry stages out, one after the other.

    Args:
        images: (n, c, h, w) uint8; not written to.
        stages: of n images each.
        backend: of `apply_ops`.

    Returns:
        (n, c, h, w) uint8, a new tensor.
    """
    check_batch(images)
    steps = [checked_step(len(images), stage.ops, stage.magnitudes, stage.places) for stage in stages]
    return run_steps(images, steps, backend) if steps else images.clone()


def draw_places(number: int, generator: torch.Generator) -> Tensor:
    """(n, 2) places for Cutout."""
    return torch.rand(number, 2, generator=generator)


def check_images(images: object) -> Tensor:
    """Images that a policy can work on.

    Raises:
        DataError: not a (c, h, w) or (n, c, h, w) uint8 tensor of 1 or 3 channels.
    """
    if not isinstance(images, Tensor):
        raise DataError(
            f"a policy changes torch tensors, got {type(images).__name__}; use torch.from_numpy(array), "
            "or policy.for_pil() for PIL images"
        )
    if images.dtype != torch.uint8:
        raise DataError(
            f"a policy changes uint8 pixels 0..255, got {images.dtype}; apply it before the conversion to "
            "floats, or give (images * 255).round().to(torch.uint8) where they are in 0..1"
        )
    if images.ndim not in (3, 4) or images.shape[-3] not in (1, 3):
        raise DataError(
            "images must be (channels, height, width) or (number, channels, height, width) with 1 or 3 "
            f"channels, got shape {tuple(images.shape)}; move channels that come last with .movedim(-1, -3)"
        )
    if 0 in images.shape[-2:]:
        raise DataError(f"images have no pixels: shape {tuple(images.shape)}")
    return images


def check_generator(generator: object) -> torch.Generator:
    """A generator that policies can draw from.

    Raises:
        OptionError: it is none, or lives on a device.
    """
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise OptionError(
            f"policies draw from a torch.Generator on the CPU, got {generator!r}; use "
            "torch.Generator().manual_seed(0), also for images on a GPU: a seed means the same anywhere"
        )
    return generator
