"""From a config's values to a network: a zoo's, or a user's own; with pretrained weights or without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from torch.optim import Optimizer

from autodl.models import Classifier, build_network, wrap_module
from autodl.tasks.augment_choice import mirrors
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.feature_store import FeatureStore
from autodl.tasks.open_network import ChosenNetwork
from autodl.tasks.run_data import RunData
from autodl.tasks.trial_context import TrialContext
from autodl.training import train_head
from autodl.trial import Config


@dataclass(frozen=True)
class WholeNetwork:
    """A config's values for training a whole network.

    Attributes:
        net: a network's name, a module, the arguments of a named one (``{"name": ..., **options}``), or a
            decided network of a space.
        optimizer: parameter groups to an optimizer.
        augment: a name of `autodl.tasks.augment_choice.AUGMENTATIONS`, a policy, another augmentation,
            or None.
        flip: whether a mirrored image keeps its class (used by "standard" and after policies).
        cutout: part of the side that a grey square covers, in [0, 1).
        label_smoothing: in [0, 1).
        mixup: alpha, 0 = off.
        cutmix: alpha, 0 = off.
        ema_decay: 0 = off.
        weights: None, "pretrained", or a path.
        dropout: of features before the head.
        backbone_lr_scale: learning rate of the backbone over that of the head.
    """

    net: Any
    optimizer: Callable[[Any], Optimizer]
    augment: Any = "standard"
    flip: bool = True
    cutout: float = 0.0
    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    ema_decay: float = 0.0
    weights: str | Path | None = None
    dropout: float = 0.0
    backbone_lr_scale: float = 1.0


def build_arguments(data: RunData) -> dict[str, Any]:
    """What a user's decorated network may ask for in its constructor."""
    return {"num_classes": data.num_classes, "input_size": data.facts["input_size"]}


def build_net(
    context: TrialContext, config: Config, values: WholeNetwork, data: RunData, *, seed: int
) -> tuple[Classifier, NetworkSpec]:
    """The network of a config, and the record from which it can be built again.

    A user's own module keeps the initial weights its author gave it.
    """
    classes, size = data.num_classes, int(data.facts["input_size"])
    if isinstance(values.net, ChosenNetwork):
        made = values.net.classifier(classes, size, seed=seed)
        return made, values.net.spec(classes, made.preprocessing)
    if isinstance(values.net, nn.Module):
        wrapped = wrap_module(values.net, classes, size, 3)
        name, arguments = context.origin_of("net", config, **build_arguments(data))
        name = name or f"{type(values.net).__module__}:{type(values.net).__qualname__}"
        return wrapped, NetworkSpec(name, arguments, classes, wrapped.preprocessing, user_defined=True)
    options = {"name": values.net} if isinstance(values.net, str) else dict(values.net)
    name = options.pop("name")
    net = build_network(
        name, classes, input_size=size, weights=values.weights, dropout=values.dropout, seed=seed, **options
    )
    return net, NetworkSpec(name, options, classes, net.preprocessing)


def start_from_linear_probe(
    context: TrialContext, data: RunData, values: WholeNetwork, net: Classifier
) -> None:
    """Give a pretrained network the head that its frozen features want, if they were computed already.

    Source: A. Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", ICLR 2022 (linear probing, then fine-tuning).
    """
    assert values.weights is not None
    store = FeatureStore(context.cache, data, str(values.net), values.weights, net)
    table = store.find("centre")
    if table is None or not net.splits:
        return
    rows = table.rows[: table.rows_done]
    mine = np.flatnonzero(data.folds[rows] != 0)
    head = train_head(
        table.view("centre")[mine], data.labels[rows[mine]], num_classes=data.num_classes
    ).to_linear()
    net.head.load_state_dict(head.state_dict())


def flips_allowed(values: WholeNetwork) -> bool:
    """Whether training mirrors images, so that predictions may, too."""
    return values.flip and mirrors(values.augment)


def default_batch_size(num_images: int) -> int:
    """A power of two that leaves some twenty steps an epoch, between 16 and 128."""
    size = 16
    while size < 128 and num_images >= 40 * size:
        size *= 2
    return size
