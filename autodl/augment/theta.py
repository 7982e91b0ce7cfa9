"""Theta: the network that is trained once a fold, and then judges augmented images.

It is trained without a policy. Shifts, and mirroring where the data allows it, stay on, as in the
published method: they belong to the plain training that a policy is added to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from autodl import optim
from autodl.augment.folds import Split
from autodl.augment.search_data import SearchData
from autodl.checks import check_whole
from autodl.errors import OptionError, TrialError
from autodl.models import Classifier, build_network
from autodl.rng import derive_seed
from autodl.training import Augmentation, PadCropFlip, PixelBatches, Preprocess, TrainOptions, train_network
from autodl.training.device import PLANS
from autodl.training.inference import inference_copy

NetFactory = Callable[[int], nn.Module]
"""From a number of classes to a network: normalised images (b, c, h, w) to logits (b, classes)."""

FORWARD_BATCH = 256
_PLAN = PLANS["fp32"]  # a measured precision could differ from run to run, and the policy with it
_CHECKED = 256  # images of D_M on which the best epoch is told; none of D_A, which must stay unknown
_STEPS = 300  # of a default training, about; few images are seen more often
_EPOCHS = (12, 30)


@dataclass(frozen=True, slots=True)
class ThetaOptions:
    """How theta is trained.

    Args:
        epochs: passes over D_M; None: for about 300 steps, 12 to 30 passes.
        batch_size: images a step; None: 128, or 64 for fewer than 2,000 images.
        lr: highest learning rate of SGD with Nesterov momentum.
        weight_decay: pull of weights to 0.
        flip: mirror images left-right; None: unless all images are grey (digits, text, scans), for
            whose classes sides may matter.
        device: where; None picks.
    """

    epochs: int | None = None
    batch_size: int | None = None
    lr: float = 0.1
    weight_decay: float = 5e-4
    flip: bool | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name))
        if not self.lr > 0 or not self.weight_decay >= 0:
            raise OptionError(f"lr must be > 0 and weight_decay >= 0, got {self}")

    def base(self, data: SearchData) -> PadCropFlip:
        """The augmentation that is no policy: shifts of an eighth of the side, and mirroring."""
        flip = not data.is_grey if self.flip is None else self.flip
        return PadCropFlip(pad=max(1, data.side // 8), flip=flip)


class Theta:
    """A trained network that takes pixels.

    Args:
        net: normalised images to logits.
        preprocess: its normalisation.
        device: where it is.
        example: (b, c, h, w) uint8, a few images, for checking the faster copy that is run.
    """

    def __init__(self, net: nn.Module, preprocess: Preprocess, device: torch.device, example: Tensor) -> None:
        self.device, self._preprocess = device, preprocess
        self.num_forwards = 0
        self._forward = inference_copy(net, self._inputs(example[:2]), _PLAN)

    def __call__(self, images: Tensor) -> Tensor:
        """(n, c, h, w) uint8 to logits (n, k) float32 on the CPU; counts the images."""
        self.num_forwards += len(images)
        with torch.inference_mode():
            parts = [
                self._forward(self._inputs(part)).float().cpu() for part in torch.split(images, FORWARD_BATCH)
            ]
        return torch.cat(parts).clone()  # a plain tensor, not one of inference mode

    def _inputs(self, images: Tensor) -> Tensor:
        return self._preprocess.normalise(images.to(self.device), torch.float32, _PLAN.channels_last)


def small_network(side: int, channels: int, num_classes: int) -> nn.Module:
    """The network that is used where none is given: some 23,000 images of 32 px a second on a core."""
    return build_network(
        "small_resnet", num_classes, input_size=side, width=16, first_map=8, channels=channels
    )


def train_theta(  # the fold, the network, how, with what, until when
    data: SearchData,
    split: Split,
    *,
    net: NetFactory | None,
    options: ThetaOptions,
    seed: int,
    deadline: float | None = None,
) -> Theta:
    """Train on D_M.

    Args:
        data: images and labels.
        split: the fold; its search_rows are not looked at.
        net: builds the network; None: `small_network`. It gets images in their own size, normalised
            as a `Classifier`'s own record asks for, else by mean 0.5 and deviation 0.25.
        options: how to train.
        seed: of weights, order and augmentation.
        deadline: on ``time.monotonic``'s scale; the training is shortened to end before it.

    Raises:
        TrialError: the network does not fit the images, or the deadline is too early.
    """
    network = _build(data, net, seed)
    preprocess = _preprocess(network, data)
    pixels = data.images[torch.from_numpy(split.train_rows)].permute(0, 2, 3, 1).contiguous().numpy()
    labels = data.labels[split.train_rows]
    # Rows in the order of the data would be of one class where a data set is sorted by class.
    checked = np.random.default_rng(derive_seed(seed, "checked")).permutation(len(pixels))
    size = options.batch_size or (128 if len(pixels) >= 2000 else 64)
    epochs = options.epochs or int(np.clip(math.ceil(_STEPS * size / len(pixels)), *_EPOCHS))
    train_network(
        network,
        train_batches=PixelBatches(pixels, labels, None, min(size, len(pixels)), shuffle=True),
        val_batches=PixelBatches(pixels, labels, checked[:_CHECKED], 128),
        preprocess=preprocess,
        optimizer_factory=optim.OptimizerFactory(
            "SGD",
            tuple(
                {
                    "lr": options.lr,
                    "momentum": 0.9,
                    "weight_decay": options.weight_decay,
                    "nesterov": True,
                }.items()
            ),
        ),
        options=TrainOptions(epochs=epochs, batch_size=size, precision=_PLAN, clip_norm=5.0),
        augmentation=options.base(data),
        seed=derive_seed(seed, "train"),
        device=options.device,
        deadline=deadline,
    )
    device = next(network.parameters()).device
    return Theta(network, preprocess, device, data.images[:2])


def _build(data: SearchData, net: NetFactory | None, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        if net is None:
            return small_network(data.side, data.images.shape[1], data.num_classes)
        built = net(data.num_classes)
    if not isinstance(built, nn.Module):
        raise TrialError(f"net({data.num_classes}) must return a torch.nn.Module, got {type(built).__name__}")
    return built


def _preprocess(net: nn.Module, data: SearchData) -> Preprocess:
    channels = data.images.shape[1]
    if isinstance(net, Classifier):
        own = net.preprocessing
        return Preprocess(own.mean, own.std)
    return Preprocess((0.5,) * channels, (0.25,) * channels)


def base_draw(base: Augmentation | None, images: Tensor, generator: torch.Generator) -> Tensor:
    """Images after the augmentation that is no policy."""
    return images if base is None else base(images, generator)
