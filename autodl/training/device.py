"""Where a network runs and in which precision; the precision is measured, never guessed."""

from __future__ import annotations

import contextlib
import copy
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from autodl.errors import OptionError

Net = TypeVar("Net", bound=nn.Module)

# Measuring takes a few steps of each plan, so it is done on few images: large networks take seconds
# for a full batch.
MEASURED_IMAGES = 32
MEASURED_PIXELS = 4 * 224 * 224
# A change of precision must pay: below this gain the plain plan stays, which also keeps the choice
# the same from run to run on a noisy machine.
WORTHWHILE = 1.1


@dataclass(frozen=True, slots=True)
class PrecisionPlan:
    """How a network is run.

    Args:
        autocast_dtype: torch.bfloat16, or None for plain float32.
        channels_last: whether images and convolution weights lie in NHWC order.
        images_per_s: the speed measured with this plan; None when it was not measured.
    """

    autocast_dtype: torch.dtype | None = None
    channels_last: bool = False
    images_per_s: float | None = None

    @property
    def input_dtype(self) -> torch.dtype:
        """What a batch is converted to before it enters the network."""
        return self.autocast_dtype or torch.float32

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context in which the network's forward pass runs."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        # Without its cache, which threads that share weights would share, too; a weight is cast once a
        # forward pass either way.
        return torch.autocast(device.type, dtype=self.autocast_dtype, cache_enabled=False)

    def prepare(self, net: Net, device: torch.device) -> Net:
        """Move ``net`` (in place) to the device and into this plan's memory layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        net.to(device=device)
        net.to(memory_format=layout)
        return net


PLANS = {
    "fp32": PrecisionPlan(channels_last=True),
    "bf16": PrecisionPlan(torch.bfloat16, channels_last=True),
}


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device of that name, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Raises:
        OptionError: the named device does not exist here.
    """
    if name is None or name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:0, mps") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(f"device {name!r} was asked for, but torch finds no CUDA device; use 'cpu'")
    return device


def forked_rng(device: torch.device) -> AbstractContextManager[None]:
    """Inside, torch's global generators may be seeded and drawn from; outside nothing changes."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def measure_precision(
    net: nn.Module, example: Tensor, *, train: bool, repeats: int = 2, precision: str = "auto"
) -> PrecisionPlan:
    """Time float32 against bfloat16 with channels_last on this machine and take the faster.

    The network itself is not touched: a copy runs.

    Args:
        net: on the device it will run on.
        example: (b, c, h, w) float32 input on the same device; a part of it is used.
        train: time a training step (forward and backward) or a forward pass.
        repeats: timed steps a candidate, after one to warm up.
        precision: "auto", or a name of `PLANS` to time that plan alone.

    Returns:
        The fastest plan, with its ``images_per_s``.
    """
    per_image = example.shape[-1] * example.shape[-2]
    example = example[: max(2, min(len(example), MEASURED_IMAGES, MEASURED_PIXELS // per_image))]
    candidates = [PrecisionPlan(), PrecisionPlan(channels_last=True)]
    if _has_bfloat16(example.device):
        candidates.append(PLANS["bf16"])
    if precision != "auto":
        candidates = [PLANS[precision]]
    best, best_s = candidates[0], float("inf")
    for plan in candidates:
        seconds = _step_seconds(net, example, plan, train, repeats, give_up_s=2 * best_s)
        if seconds * (WORTHWHILE if plan.autocast_dtype else 1.0) < best_s:
            best, best_s = plan, seconds
    return replace(best, images_per_s=len(example) / best_s)


def _has_bfloat16(device: torch.device) -> bool:
    return device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())


def _step_seconds(  # private; what to time, how often, and when to give up
    net: nn.Module, example: Tensor, plan: PrecisionPlan, train: bool, repeats: int, give_up_s: float
) -> float:
    copied = plan.prepare(copy.deepcopy(net), example.device).train(train)
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    images = example.to(plan.input_dtype, memory_format=layout)
    best_s = float("inf")
    with forked_rng(example.device):
        for attempt in range(repeats + 1):
            seconds = _timed_step(copied, images, plan, train)
            if attempt or seconds > give_up_s:
                best_s = min(best_s, seconds)
            if seconds > give_up_s:  # hopeless even if the first step is twice as slow as the rest
                break
    return best_s


def _timed_step(net: nn.Module, images: Tensor, plan: PrecisionPlan, train: bool) -> float:
    started = time.perf_counter()
    with torch.set_grad_enabled(train), plan.autocast(images.device):
        outputs = net(images)
    if train:
        outputs.float().square().mean().backward()
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - started
