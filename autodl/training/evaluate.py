"""Probabilities for images of the cache, through the same uint8 pipeline as training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autodl.training.batches import Batch, PixelBatches
from autodl.training.device import PrecisionPlan, pick_device
from autodl.training.inference import inference_copy
from autodl.training.parallel import map_parallel
from autodl.training.preprocess import Preprocess

Forward = Callable[[Tensor], Tensor]

EVAL_BATCH = 128
FAST_FROM = 64  # images from which making a faster copy of the network pays
EVAL_PIXELS = 6 * 224 * 224  # larger images go in smaller batches, see `features.FEATURE_BATCH`


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
    try:
        compute = _forward(net, batches, preprocess, where, plan)

        def probs(batch: Batch) -> Tensor:
            return _probs(compute, _inputs(batch[0].to(where), preprocess, plan), tta)

        def in_time() -> Iterator[Batch]:
            for batch in batches:
                if deadline is not None and time.monotonic() >= deadline:
                    return
                yield batch

        parts = list(map_parallel(probs, in_time(), where))
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


def _inputs(images: Tensor, preprocess: Preprocess, plan: PrecisionPlan) -> Tensor:
    if preprocess.view is not None:
        images = preprocess.view(images)
    return preprocess.normalise(images, plan.input_dtype, plan.channels_last)


def _forward(
    net: nn.Module, batches: PixelBatches, preprocess: Preprocess, device: torch.device, plan: PrecisionPlan
) -> Forward:
    """``net`` under ``plan``, as a faster copy where there are enough images to earn it."""
    if batches.num_images >= FAST_FROM:
        images, _ = batches.gather(batches.rows[:2])
        return inference_copy(net, _inputs(images.to(device), preprocess, plan), plan)

    def forward(inputs: Tensor) -> Tensor:
        with plan.autocast(inputs.device):
            outputs: Tensor = net(inputs)
        return outputs

    return forward


def _probs(compute: Forward, inputs: Tensor, tta: bool) -> Tensor:
    """(b, k) float32 on the device."""
    with torch.inference_mode():
        probs = compute(inputs).float().softmax(1)
        if tta:
            probs = 0.5 * (probs + compute(inputs.flip(-1)).float().softmax(1))
    return probs
