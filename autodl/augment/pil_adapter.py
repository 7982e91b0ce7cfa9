"""A policy as a transform of single images: torchvision's ``Compose``, data sets, DataLoader workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import get_worker_info

from autodl.errors import DataError, OptionError
from autodl.rng import torch_generator

if TYPE_CHECKING:
    from autodl.augment.policy_base import BatchPolicy

_MODES = ("L", "RGB")


class ImageTransform:
    """A policy that takes one PIL image or uint8 tensor after the other; made by `BatchPolicy.for_pil`.

    It keeps a generator of its own. In the worker processes of a DataLoader each worker, and each epoch,
    draws other ops: the generator starts from the worker's seed, which torch derives from the loader's
    generator, together with `seed`. So a run repeats under ``torch.manual_seed`` (or with the loader's
    ``generator=``) and the same number of workers. Without workers the `seed` alone decides.

    Args:
        policy: what to draw from.
        seed: >= 0; None draws one from torch's global generator at the first image, as torchvision's
            transforms do.
    """

    def __init__(self, policy: BatchPolicy, seed: int | None = None) -> None:
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
            raise OptionError(f"seed must be a whole number >= 0 or None, got {seed!r}")
        self.policy, self.seed = policy, seed
        self._process: tuple[int, int | None] | None = None
        self._generator: torch.Generator | None = None

    def __call__(self, image: Any) -> Any:
        """Change one image.

        Args:
            image: PIL image of mode L or RGB, or a (c, h, w) or (n, c, h, w) uint8 tensor.

        Returns:
            The changed image, of the same type, mode and size.

        Raises:
            DataError: another mode, dtype or shape.
        """
        if isinstance(image, Tensor):
            return self.policy(image, self._own_generator())
        if not isinstance(image, Image.Image):
            raise DataError(
                f"a PIL image or a uint8 tensor is needed, got {type(image).__name__}; use "
                "PIL.Image.fromarray(array)"
            )
        return to_pil(self.policy(to_tensor(image), self._own_generator()))

    def _own_generator(self) -> torch.Generator:
        """The generator of this process, started anew in each worker and after a fork."""
        worker = get_worker_info()
        process = (os.getpid(), None if worker is None else worker.seed)
        if self._generator is None or process != self._process:
            if self.seed is None:
                self._generator = torch_generator(int(torch.randint(2**62, ())))
            else:
                keys = () if worker is None else (worker.seed,)
                self._generator = torch_generator(self.seed, *keys)
            self._process = process
        return self._generator

    def __getstate__(self) -> dict[str, Any]:
        return {"policy": self.policy, "seed": self.seed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["policy"], state["seed"])  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"{self.policy!r}.for_pil(seed={self.seed})"


def to_tensor(image: Image.Image) -> Tensor:
    """A (c, h, w) uint8 copy of an image's pixels.

    Raises:
        DataError: the mode is neither L nor RGB, or there are no pixels.
    """
    if image.mode not in _MODES:
        raise DataError(
            f"a policy changes PIL images of mode L or RGB, got mode {image.mode}; put "
            "lambda image: image.convert('RGB') before it"
        )
    pixels = np.array(image, dtype=np.uint8)
    if pixels.size == 0:
        raise DataError(f"the image has no pixels: {image.width} x {image.height}")
    tensor = torch.from_numpy(pixels)
    return tensor.unsqueeze(0) if tensor.ndim == 2 else tensor.permute(2, 0, 1)


def to_pil(image: Tensor) -> Image.Image:
    """The PIL image of a (c, h, w) uint8 tensor of 1 or 3 channels."""
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
