"""Features of a frozen backbone, computed once and shared by all trials that train only a head."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor, nn

from autodl.errors import OptionError
from autodl.models.classifier import Classifier
from autodl.rng import torch_generator
from autodl.training.augmentation import CentreCrop, RandomResizedCropFlip
from autodl.training.batches import Batch, PixelBatches
from autodl.training.device import PrecisionPlan, measure_precision, pick_device
from autodl.training.inference import inference_copy
from autodl.training.parallel import map_parallel, torch_threads
from autodl.training.preprocess import Preprocess

# Six photos' activations fit into what the C library keeps for itself between layers; those of 32 are
# fetched from the system, page by page, for each layer: 1.5 times slower.
FEATURE_BATCH = 6
GPU_FEATURE_BATCH = 64
CROP_SCALE = (0.35, 1.0)

Floats = NDArray[np.floating]
View = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of some images, seen in several ways.

    Args:
        values: (v, n, d) float16 or float32, one layer a view; may be a memory map.
        views: names of the v views.
        rows: (n,) int64, which images.
        done: how many of the n rows each view has; less than n where a deadline came first.
        precision: how they were computed, for the next images; None when read from a file.
    """

    values: NDArray[np.floating]
    views: tuple[str, ...]
    rows: NDArray[np.int64]
    done: tuple[int, ...]
    precision: PrecisionPlan | None = None

    @property
    def complete_views(self) -> tuple[str, ...]:
        """The views that have every row."""
        return tuple(v for v, done in zip(self.views, self.done, strict=True) if done == len(self.rows))

    @property
    def rows_done(self) -> int:
        """How many rows the first view has."""
        return self.done[0]

    def view(self, name: str) -> NDArray[np.floating]:
        """(rows done, d) features in one view."""
        if name not in self.views:
            raise OptionError(f"no view {name!r}; there are {', '.join(self.views)}")
        number = self.views.index(name)
        return self.values[number, : self.done[number]]

    def stack(self, views: Sequence[str] | None = None) -> NDArray[np.floating]:
        """(v, n, d) features in these complete views (default: all that are)."""
        names = self.complete_views if views is None else tuple(views)
        missing = [name for name in names if name not in self.complete_views]
        if missing or not names:
            complete = ", ".join(self.complete_views) or "none"
            raise OptionError(f"views {missing} are not complete; complete: {complete}")
        return self.values[[self.views.index(name) for name in names]]


def extract_features(  # noqa: PLR0913  # facade; all but the first three have working defaults
    net: Classifier,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64] | None = None,
    views: Sequence[str] = ("centre",),
    *,
    preprocess: Preprocess | None = None,
    device: torch.device | str | None = None,
    precision: PrecisionPlan | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    deadline: float | None = None,
    out: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> FeatureTable:
    """Run ``net.backbone`` over images, one view after the other.

    Args:
        net: the classifier whose backbone is used; it is put into eval mode.
        pixels: (n, h, w, c) uint8, of which ``rows`` are taken.
        rows: (m,) image numbers, None for all. With a deadline let them be shuffled, so that the
            part that gets done is a fair sample.
        views: of "centre", "flip" (its mirror image) and "crop0", "crop1", ... (each a random
            resized crop, mirrored half the time).
        preprocess: None takes the network's own.
        device: None picks.
        precision: None measures which is faster.
        seed: fixes the random crops.
        batch_size: images a batch; None: what suits the device.
        deadline: on ``time.monotonic``'s scale; what is done by then is returned.
        out: an .npy file to hold the features as float16 (a .json beside it describes them; see
            `open_features`); None keeps them in memory as float32.
        on_progress: called after each batch with batches done and batches in all.

    Returns:
        The features of the m rows in every view.
    """
    where = pick_device(device)
    todo = np.arange(len(pixels)) if rows is None else np.asarray(rows, np.int64)
    extractor = _Extractor(net, preprocess or Preprocess.of(net.preprocessing), where, seed)
    functions = {name: extractor.view_function(name) for name in views}
    if batch_size is None:
        batch_size = FEATURE_BATCH if where.type == "cpu" else GPU_FEATURE_BATCH
    batches = PixelBatches(pixels, None, todo, batch_size)
    extractor.choose_plan(batches, precision)
    shape = (len(functions), len(todo), net.feature_dim)
    with _storage(out, shape) as values:
        done = dict.fromkeys(functions, 0)
        number, total = 0, len(functions) * len(batches)
        for layer, (name, function) in enumerate(functions.items()):
            for features in extractor.features(batches, name, function):
                start = done[name]
                values[layer, start : start + len(features)] = features
                done[name] += len(features)
                number += 1
                if on_progress is not None:
                    on_progress(number, total)
                if deadline is not None and time.monotonic() + extractor.slowest_s >= deadline:
                    break
            if done[name] < len(todo):
                break
        table = FeatureTable(values, tuple(functions), todo, tuple(done.values()), extractor.plan)
        if out is not None:
            _publish(out, table)
    return table


def open_features(path: Path) -> FeatureTable:
    """What `extract_features` wrote to ``path``, as a read-only memory map.

    Raises:
        OptionError: there is no such file, or it and its description do not belong together.
    """
    description = path.with_suffix(".json")
    try:
        facts = json.loads(description.read_text())
        values = np.load(path, mmap_mode="r")
        rows = np.asarray(facts["rows"], np.int64)
        table = FeatureTable(values, tuple(facts["views"]), rows, tuple(facts["done"]))
    except (OSError, ValueError, KeyError) as error:
        raise OptionError(f"{path} and {description.name} do not hold features: {error}") from error
    if values.shape[:2] != (len(table.views), len(rows)):
        raise OptionError(f"{path} holds {values.shape}, but {description.name} says otherwise")
    return table


def feature_key(*parts: object) -> str:
    """A file name for features that depend on these facts (network, data, size, views, seed)."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class _Extractor:
    """A backbone in eval mode on its device, with its preprocessing."""

    def __init__(self, net: Classifier, preprocess: Preprocess, device: torch.device, seed: int) -> None:
        self.backbone: nn.Module = net.backbone.eval()
        self.compute: Callable[[Tensor], Tensor] = self.backbone
        self.preprocess, self.device, self.seed = preprocess, device, seed
        self.size = net.preprocessing.input_size
        self.plan = PrecisionPlan()
        self.slowest_s = 0.0

    def choose_plan(self, batches: PixelBatches, precision: PrecisionPlan | None) -> None:
        """Take the given plan, or measure one; then lay the backbone out for it."""
        images, _ = batches.gather(batches.rows[: batches.batch_size])
        example = self._inputs(self._centre(images.to(self.device)))
        self.backbone.to(self.device)
        if precision is None:
            with torch_threads(1) if self.device.type == "cpu" else nullcontext():
                precision = measure_precision(self.backbone, example, train=False)
        self.plan = precision
        self.compute = inference_copy(self.backbone, example, precision)

    def features(self, batches: PixelBatches, name: str, function: View) -> Iterator[Floats]:
        """Yields (b, d) float32 arrays, one a batch."""

        def compute(numbered: tuple[int, Batch]) -> Floats:
            number, (images, _) = numbered
            started = time.monotonic()
            generator = torch_generator(self.seed, name, number)
            with torch.inference_mode():
                inputs = self._inputs(function(images.to(self.device), generator))
                features = self.compute(inputs).float().cpu().numpy()
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            return features

        return map_parallel(compute, enumerate(batches), self.device)

    def view_function(self, name: str) -> Callable[[Tensor, torch.Generator], Tensor]:
        """The change of a batch that a view's name stands for."""
        if name == "centre":
            return lambda images, _: self._centre(images)
        if name == "flip":
            return lambda images, _: self._centre(images).flip(-1)
        if name.removeprefix("crop").isdigit() and name.startswith("crop"):
            return RandomResizedCropFlip(self.size, CROP_SCALE)
        raise OptionError(f"unknown view {name!r}; known: centre, flip, crop0, crop1, ...")

    def _centre(self, images: Tensor) -> Tensor:
        return (self.preprocess.view or CentreCrop(self.size))(images)

    def _inputs(self, images: Tensor) -> Tensor:
        return self.preprocess.normalise(images, self.plan.input_dtype, self.plan.channels_last)


@contextmanager
def _storage(out: Path | None, shape: tuple[int, int, int]) -> Iterator[Floats]:
    """Where features go: memory, or a temporary file that is gone afterwards unless it was published."""
    if out is None:
        yield np.zeros(shape, np.float32)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = _unfinished(out)
    try:
        yield open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
    finally:
        temporary.unlink(missing_ok=True)


def _unfinished(out: Path) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}.tmp")


def _publish(out: Path, table: FeatureTable) -> None:
    """Put the features in their place, then their description: without one they are not believed.

    Readers of older features keep the file that they have mapped.
    """
    if isinstance(table.values, np.memmap):
        table.values.flush()
    facts = {"views": table.views, "done": table.done, "rows": table.rows.tolist()}
    temporary = out.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(facts))
    out.with_suffix(".json").unlink(missing_ok=True)  # it speaks of the file that goes now
    os.replace(_unfinished(out), out)
    os.replace(temporary, out.with_suffix(".json"))
