"""Policies for detection, segmentation and pose: what moves the pixels moves boxes, masks and points, too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from autodl.augment.ops import OP_NAMES, OPS, apply_ops
from autodl.augment.policy_base import BatchPolicy
from autodl.augment.stages import check_generator, check_images
from autodl.errors import DataError, OptionError

if TYPE_CHECKING:
    from torchvision.tv_tensors import TVTensor


def augment_with_targets(
    policy: BatchPolicy, image: Tensor, *targets: TVTensor, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Change an image by a policy, and everything that belongs to places in it likewise.

    Colours change in the image only; geometry moves boxes, masks and key points with it. What leaves the
    image is clipped at its border: boxes without area are for the caller to drop
    (``v2.SanitizeBoundingBoxes``). Cutout leaves targets as they are.

    Args:
        policy: any but `AugMix`, which mixes several geometries in one image.
        image: (c, h, w) uint8, 1 or 3 channels.
        targets: ``torchvision.tv_tensors``: ``BoundingBoxes`` and ``KeyPoints`` on a canvas of (h, w),
            ``Mask`` (..., h, w).
        generator: CPU generator, the only source of randomness.

    Returns:
        The image, then the targets in the same order; the input is not written to.

    Raises:
        DataError: the image is not (c, h, w) uint8, or a target is of another kind or size.
        OptionError: the policy or the generator cannot be used.

    Example:
        >>> import torch
        >>> from torchvision.tv_tensors import BoundingBoxes
        >>> from autodl.augment import Policy, augment_with_targets
        >>> policy = Policy([[("TranslateX", 1.0, 0.5, 1)]])
        >>> boxes = BoundingBoxes([[0, 0, 8, 8]], format="XYXY", canvas_size=(32, 32))
        >>> image = torch.zeros(3, 32, 32, dtype=torch.uint8)
        >>> image, boxes = augment_with_targets(policy, image, boxes, generator=torch.Generator())
        >>> boxes.tolist()
        [[7, 0, 15, 8]]
    """
    _check(policy, image, targets)
    size = (image.shape[-2], image.shape[-1])
    for stage in policy.draw(1, size, check_generator(generator)):
        image = apply_ops(image[None], stage.ops, stage.magnitudes, places=stage.places)[0]
        name = OP_NAMES[int(stage.ops[0])]
        if OPS[name].kind == "geometric":
            targets = tuple(_moved(target, name, float(stage.magnitudes[0])) for target in targets)
    return (image, *targets)


def _check(policy: BatchPolicy, image: Tensor, targets: tuple[Any, ...]) -> None:
    # An op of a stage is carried out on the whole image only where the stages are simply in a row.
    if not isinstance(policy, BatchPolicy) or type(policy).carry_out is not BatchPolicy.carry_out:
        raise OptionError(f"targets cannot follow {policy!r:.80}: use a policy that applies ops in a row")
    if check_images(image).ndim != 3:
        raise DataError(f"targets belong to one image (c, h, w), got shape {tuple(image.shape)}")
    from torchvision import tv_tensors  # noqa: PLC0415  # costs 0.5 s; only this function needs it

    size = tuple(image.shape[-2:])
    kinds = (tv_tensors.BoundingBoxes, tv_tensors.KeyPoints, tv_tensors.Mask)
    for target in targets:
        if not isinstance(target, kinds):
            raise DataError(
                "targets are torchvision.tv_tensors (BoundingBoxes, KeyPoints or Mask), got "
                f"{type(target).__name__}: wrap it, as in tv_tensors.Mask(array)"
            )
        own = target.shape[-2:] if isinstance(target, tv_tensors.Mask) else target.canvas_size
        if tuple(own) != size:
            raise DataError(
                f"a {type(target).__name__} of size {tuple(own)} does not belong to an image of {size}"
            )


def _moved(target: TVTensor, name: str, magnitude: float) -> TVTensor:
    """The target under a geometric op, in the convention of `apply_ops`."""
    from torchvision.transforms.v2 import functional  # noqa: PLC0415  # see `_check`

    if name == "Rotate":
        rotated: TVTensor = functional.rotate(target, magnitude)
        return rotated
    shift = [0, 0]
    shear = [0.0, 0.0]
    axis = 0 if name.endswith("X") else 1
    if name.startswith("Shear"):
        shear[axis] = math.degrees(math.atan(magnitude))
    else:
        shift[axis] = int(magnitude)
    centre = [0.0, 0.0] if name.startswith("Shear") else None
    moved: TVTensor = functional.affine(
        target, angle=0.0, translate=shift, scale=1.0, shear=shear, center=centre
    )
    return moved
