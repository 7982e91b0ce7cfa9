"""Any `torch.nn.Module` as a `Classifier`: checked with empty images, its last linear layer made the head."""

from __future__ import annotations

import copy
from collections import Counter
from types import TracebackType

import torch
from torch import Tensor, nn

from autodl.errors import TrialError
from autodl.models.classifier import Backbone, Classifier, Preprocessing


class _Trace:
    """Notes which submodules ran, and which gave the last map and the last linear output."""

    def __init__(self, module: nn.Module) -> None:
        self._names = {child: name for name, child in module.named_modules() if name}
        self.calls: Counter[str] = Counter()
        self.last_map: str | None = None
        self.last_linear: str | None = None
        self.linear_output: Tensor | None = None

    def __enter__(self) -> _Trace:
        self._handles = [child.register_forward_hook(self._note) for child in self._names]
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()

    def _note(self, module: nn.Module, _inputs: object, output: object) -> None:
        name = self._names[module]
        self.calls[name] += 1
        if not isinstance(output, Tensor):
            return
        if output.dim() == 4 and min(output.shape[-2:]) > 1:
            self.last_map = name
        if isinstance(module, nn.Linear):
            self.last_linear, self.linear_output = name, output


def wrap_module(
    module: nn.Module,
    num_classes: int,
    input_size: int,
    channels: int = 3,
    *,
    preprocessing: Preprocessing | None = None,
) -> Classifier:
    """A copy of a module that maps images to logits, as a `Classifier`.

    When the module's output is that of one ``nn.Linear``, this layer becomes the head, so that
    features can be computed once; otherwise the head is the identity and `Classifier.splits` is
    False. A `Classifier` is checked and returned as it is.

    Args:
        module: (n, channels, input_size, input_size) float to (n, num_classes). It is not changed.
        num_classes: number of classes of the data.
        input_size: side of the images, pixels.
        channels: of the images.
        preprocessing: what the module wants; None: pixels centred and scaled (mean 0.5, std 0.25).

    Raises:
        TrialError: the module fails on empty images or gives another shape.
    """
    name = type(module).__name__
    if isinstance(module, Classifier):
        _logits(module, name, num_classes, module.preprocessing)
        return module
    preprocessing = preprocessing or Preprocessing(
        input_size, mean=(0.5,) * channels, std=(0.25,) * channels, channels=channels
    )
    module = copy.deepcopy(module)
    with _Trace(module) as trace:
        logits = _logits(module, name, num_classes, preprocessing)
    head: nn.Module = nn.Identity()
    last = trace.last_linear
    if last is not None and trace.linear_output is logits and trace.calls[last] == 1:
        head = module.get_submodule(last)
        parent, _, child = last.rpartition(".")
        setattr(module.get_submodule(parent), child, nn.Identity())
    stages = tuple(n for n, child in module.named_children() if next(child.parameters(), None) is not None)
    return Classifier(Backbone(module, stages, trace.last_map), head, preprocessing, num_classes=num_classes)


def _logits(module: nn.Module, name: str, num_classes: int, preprocessing: Preprocessing) -> Tensor:
    """The module's answer to two empty images, checked."""
    side = preprocessing.input_size
    shape = (2, preprocessing.channels, side, side)
    was_training = module.training
    try:
        with torch.no_grad():
            output = module.eval()(torch.zeros(shape))
    except Exception as error:  # the module is the user's: it may raise anything
        raise TrialError(
            f"{name} fails on images of shape {shape} (batch, channels, height, width): "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        module.train(was_training)
    if not isinstance(output, Tensor):
        raise TrialError(
            f"{name} returns {type(output).__name__}; it must return logits, a tensor (batch, {num_classes})"
        )
    if tuple(output.shape) != (2, num_classes):
        raise TrialError(
            f"{name} turns images of shape {shape} into {tuple(output.shape)}; the data has {num_classes} "
            f"classes, so it must be (2, {num_classes}): build it with num_classes={num_classes}"
        )
    return output
