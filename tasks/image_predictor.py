"""From anything `fit` accepts as images to class probabilities, with a network that is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from autodl.data import ClassMap, ImageIssue, ImageTable
from autodl.data.scan import read_all
from autodl.errors import BadImageError, EmptyDataError
from autodl.tasks.ensemble_network import EnsembleNetwork
from autodl.training import inference_copy, pick_device
from autodl.training.device import PLANS
from autodl.training.parallel import map_parallel

OnBadImage = Literal["skip", "raise"]

PIXELS_AT_ONCE = 4 * 224 * 224
"""Of a batch on a CPU: larger ones spend their time on fetching memory from the system."""

DECODED_AT_ONCE = 256
"""Images decoded before they are predicted: bounds memory to some 50 MB at 256 px."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Probabilities for a table of images.

    Attributes:
        names: (n,) names of the images.
        probs: (n, k) float32; rows of images that could not be read are NaN.
        issues: what was wrong with unreadable ones.
    """

    names: tuple[str, ...]
    probs: NDArray[np.float32]
    issues: tuple[ImageIssue, ...]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(n,) which rows hold probabilities."""
        return np.asarray(np.isfinite(self.probs).all(axis=1))


class ImagePredictor:
    """A trained ensemble with all that is needed to feed it.

    Args:
        network: images in [0, 1] to probabilities.
        class_map: class numbers to labels.
        facts: ``input_size`` (side that networks see) and ``cache_size`` (side that images are
            brought to first), pixels.
    """

    def __init__(self, network: EnsembleNetwork, class_map: ClassMap, facts: Mapping[str, Any]) -> None:
        self.network = network.eval()
        self.class_map, self.facts = class_map, dict(facts)
        self.input_size, self.cache_size = int(facts["input_size"]), int(facts["cache_size"])
        self.device = pick_device()
        self.network.to(self.device)
        self._fast: Callable[[torch.Tensor], torch.Tensor] | None = None

    def predict_table(self, table: ImageTable, *, on_bad_image: OnBadImage = "skip") -> Prediction:
        """Probabilities of every image, in the table's order.

        Raises:
            EmptyDataError: the table is empty.
            BadImageError: an image is unreadable and `on_bad_image` is "raise".
        """
        if len(table) == 0:
            raise EmptyDataError(f"there is no image in {table.origin}")
        probs = np.full((len(table), len(self.class_map.names)), np.nan, dtype=np.float32)
        issues: list[ImageIssue] = []
        for start in range(0, len(table), DECODED_AT_ONCE):
            rows = range(start, min(start + DECODED_AT_ONCE, len(table)))
            pixels, kept, found = self._decode(table.select(rows), on_bad_image)
            issues += found
            if len(kept):
                probs[start + kept] = self.predict_pixels(pixels[kept])
        return Prediction(tuple(table.names), probs, tuple(issues))

    def _decode(
        self, table: ImageTable, on_bad_image: OnBadImage
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[ImageIssue]]:
        size = self.cache_size
        pixels = np.empty((len(table), size, size, 3), dtype=np.uint8)
        try:
            report = read_all(table, size=size, out=pixels, on_bad_image=on_bad_image)
        except EmptyDataError as error:  # not one of these is readable
            if on_bad_image == "raise":
                raise BadImageError(str(error)) from error
            issues = [ImageIssue(i, name, "unreadable", "skipped") for i, name in enumerate(table.names)]
            return pixels, np.zeros(0, np.int64), issues
        return pixels, report.kept, [i for i in report.issues if i.action == "skipped"]

    def predict_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (n, k) of decoded images (n, cache_size, cache_size, 3), uint8."""
        if self._fast is None:
            with torch.inference_mode():
                # Float32, so that an image has the same probabilities alone and in a batch.
                self._fast = inference_copy(self.network, next(self.batches(pixels)), PLANS["fp32"])
        parts = list(map_parallel(self._probs, self.batches(pixels), self.device))
        return np.concatenate(parts)

    def _probs(self, images: torch.Tensor) -> NDArray[np.float32]:
        assert self._fast is not None
        with torch.inference_mode():
            probs: NDArray[np.float32] = self._fast(images).cpu().numpy()
        return probs

    def batches(self, pixels: NDArray[np.uint8]) -> Iterator[torch.Tensor]:
        """The network's inputs: (b, 3, input_size, input_size) float32 in [0, 1]."""
        margin = (self.cache_size - self.input_size) // 2
        window = slice(margin, margin + self.input_size)
        most = PIXELS_AT_ONCE if self.device.type == "cpu" else 32 * PIXELS_AT_ONCE
        at_once = max(1, min(256, most // self.input_size**2))
        for start in range(0, len(pixels), at_once):
            part = torch.from_numpy(np.ascontiguousarray(pixels[start : start + at_once, window, window]))
            images = part.permute(0, 3, 1, 2).to(self.device)
            yield images.contiguous(memory_format=torch.channels_last).float() / 255
