"""Probabilities for images of the cache, through the same uint8 pipeline as training."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autodl.training.batches import PixelBatches
from autodl.training.device import PrecisionPlan, pick_device
from autodl.training.preprocess import Preprocess

EVAL_BATCH = 128
EVAL_PIXELS = 32 * 224 * 224  # larger images go in smaller batches


def predict_probs(  # noqa: PLR0913  # facade; all but the first two have working defaults
    net: nn.Module,
    pixels: NDArray[np.uint8] | PixelBatches,
    rows: NDArray[np.int64] | None = None,
    *,
    preprocess: Preprocess,
    device: torch.device | str | None = None,
    precision: PrecisionPlan | None = None,
    tta: bool = False,
    deadline: float | None = None,
) -> NDArray[np.float32]:
    """Class probabilities of images.

    Args:
        net: (b, c, h, w) to logits (b, k); its mode is restored afterwards.
        pixels: (n, h, w, c) uint8, or batches (of which order and rows are then taken).
        rows: which images, (m,); None means all.
        preprocess: the network's eval view and normalisation.
        device: where to run; None picks.
        precision: None runs plain float32.
        tta: average over the image and its mirror image.
        deadline: on ``time.monotonic``'s scale; None for none.

    Returns:
        (m, k) float32, rows summing to 1; fewer rows if the deadline came first.
    """
    batches = pixels if isinstance(pixels, PixelBatches) else eval_batches(pixels, rows)
    where, plan = pick_device(device), precision or PrecisionPlan()
    plan.prepare(net, where)
    was_training = net.training
    net.eval()
    parts: list[Tensor] = []
    try:
        with torch.inference_mode():
            for images, _ in batches:
                if deadline is not None and time.monotonic() >= deadline:
                    break
                parts.append(_probs(net, images.to(where), preprocess, plan, tta))
    finally:
        net.train(was_training)
    if not parts:
        return np.zeros((0, 0), np.float32)
    return torch.cat(parts).cpu().numpy()


def eval_batches(
    pixels: NDArray[np.uint8], rows: NDArray[np.int64] | None = None, labels: NDArray[np.int64] | None = None
) -> PixelBatches:
    """Batches in order, as large as is sensible for this image size."""
    size = max(1, min(EVAL_BATCH, EVAL_PIXELS // max(1, pixels.shape[1] * pixels.shape[2])))
    return PixelBatches(pixels, labels, rows, size)


def _probs(net: nn.Module, images: Tensor, preprocess: Preprocess, plan: PrecisionPlan, tta: bool) -> Tensor:
    """(b, k) float32 on the device."""
    if preprocess.view is not None:
        images = preprocess.view(images)
    inputs = preprocess.normalise(images, plan.input_dtype, plan.channels_last)
    with plan.autocast(images.device):
        probs = net(inputs).float().softmax(1)
        if tta:
            probs = 0.5 * (probs + net(inputs.flip(-1)).float().softmax(1))
    return probs  # type: ignore[no-any-return]
