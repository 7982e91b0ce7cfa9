"""Our training loop against a bare hand-written PyTorch loop, side by side.

Both train the same network on the same images with the same batch size and precision, in turns
within one run, so that a busy machine slows both. The bare loop indexes float tensors that are
normalised beforehand and does nothing else; ours gathers uint8 images from a memory map, shifts,
flips and cuts them, normalises them, follows its schedule and watches for NaN.

    python benchmarks/training_throughput.py [--rounds 11] [--steps 12] [--threads 1]
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from autodl.models.network import build_network
from autodl.training.augmentation import PadCropFlip
from autodl.training.batches import PixelBatches
from autodl.training.device import PLANS, PrecisionPlan
from autodl.training.loop import Trainer
from autodl.training.metrics import get_metric
from autodl.training.options import TrainOptions
from autodl.training.parallel import torch_threads
from autodl.training.preprocess import Preprocess

RESULT = Path(__file__).parent / "results" / "training_throughput.md"
SIZE, CLASSES, BATCH, WIDTH = 32, 10, 128, 32
CPU = torch.device("cpu")


def network() -> torch.nn.Module:
    return build_network("small_resnet", CLASSES, input_size=SIZE, width=WIDTH, seed=0)


def optimizer(params):
    return torch.optim.SGD(params, lr=0.01, momentum=0.9, weight_decay=5e-4)


class BareLoop:
    """What one would write by hand."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, plan: PrecisionPlan) -> None:
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        self.images = Preprocess().normalise(images, torch.float32, channels_last=True)
        self.labels = torch.from_numpy(labels)
        self.net = plan.prepare(network(), CPU).train()
        self.optimizer = optimizer(self.net.parameters())
        self.plan = plan

    def epoch(self) -> None:
        """One pass over the images."""
        order = torch.randperm(len(self.images))
        for rows in order.split(BATCH):
            images, labels = self.images[rows], self.labels[rows]
            with self.plan.autocast(CPU):
                loss = F.cross_entropy(self.net(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


class OurLoop:
    """The product's trainer, with the augmentation it would use."""

    def __init__(self, path: Path, labels: np.ndarray, plan: PrecisionPlan) -> None:
        # Under a time limit the product gives each thread a part of the batch.
        threads = torch.get_num_threads()
        pixels = np.load(path, mmap_mode="r")
        batches = PixelBatches(pixels, labels, None, BATCH, shuffle=True)
        self.trainer = Trainer(
            network(),
            (batches, PixelBatches(pixels, labels, np.arange(BATCH), BATCH)),
            Preprocess(),
            optimizer,
            TrainOptions(epochs=1000, precision=plan, replicas=threads),
            augmentation=PadCropFlip(4, cutout=8),
            metric=get_metric("accuracy"),
            class_weight=None,
            seed=0,
            device=CPU,
            deadline=time.monotonic() + 3600,
        )
        self.number = 0

    def epoch(self) -> None:
        """One pass over the images."""
        self.number += 1
        with torch_threads(1) if len(self.trainer.step.replicas) > 1 else contextlib.nullcontext():
            self.trainer.train_epoch(self.number)


def seconds(epoch) -> tuple[float, float]:
    """Wall-clock and processor seconds of one pass."""
    wall, cpu = time.perf_counter(), time.process_time()
    epoch()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(plan: PrecisionPlan, rounds: int, steps: int) -> tuple[float, float, float, float]:
    """Images/s of both loops; the median of the rounds' ratios, by the wall clock and by processor time."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (steps * BATCH, SIZE, SIZE, 3), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, len(pixels))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pixels.npy"
        np.save(path, pixels)
        loops = BareLoop(pixels, labels, plan), OurLoop(path, labels, plan)
        times = np.zeros((rounds + 1, 2, 2))
        for turn in range(rounds + 1):
            for which in (0, 1) if turn % 2 else (1, 0):
                times[turn, which] = seconds(loops[which].epoch)
    times = times[1:]  # the first round warms up
    wall, cpu = np.median(times[:, 0] / times[:, 1], axis=0)
    bare_s, ours_s = np.median(times[:, :, 0], axis=0)
    return len(pixels) / bare_s, len(pixels) / ours_s, float(wall), float(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    command = f"--rounds {args.rounds} --steps {args.steps} --threads {args.threads}"
    lines = [
        "# Training throughput",
        "",
        f"`python benchmarks/training_throughput.py {command}`: small_resnet of width {WIDTH}, {SIZE} px, "
        f"batch {BATCH}, SGD; {args.threads} thread(s), torch {torch.__version__}, {platform.machine()}. "
        f"Medians of {args.rounds} rounds in turns. The target is a ratio of at least 0.9. The bare loop "
        "does not augment, ours does. The processor-time ratio is the steadier one on a busy machine.",
        "",
        "| precision | bare loop, images/s | autodl, images/s | ratio | ratio of processor time |",
        "|---|---|---|---|---|",
    ]
    for name, plan in PLANS.items():
        bare, ours, wall, cpu = compare(plan, args.rounds, args.steps)
        lines.append(f"| {name} | {bare:,.0f} | {ours:,.0f} | {wall:.2f} | {cpu:.2f} |")
        print(lines[-1], flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
