"""Where a network looked: Grad-CAM.

Source: R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, equations 1 and 2. For a vision transformer the patch tokens before the last
attention are the map: behind it the logits depend on the class token alone.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from autodl.errors import OptionError
from autodl.models.classifier import Classifier


def grad_cam(net: Classifier, x: Tensor, class_index: int) -> NDArray[np.float32]:
    """How much each pixel's neighbourhood speaks for a class.

    Args:
        net: the network; its mode and gradients are left as they were.
        x: (1, c, h, w), one normalised image on the net's device.
        class_index: the class to explain.

    Returns:
        (h, w) in [0, 1]; all zero when nothing speaks for the class.

    Raises:
        OptionError: the network has no spatial map, or the arguments do not fit it.
    """
    layer = net.cam_layer
    if layer is None:
        raise OptionError(
            f"{type(net.backbone).__name__} has no layer with a spatial map: nothing to explain"
        )
    if x.dim() != 4 or x.shape[0] != 1:
        raise OptionError(f"grad_cam explains one image of shape (1, c, h, w), got {tuple(x.shape)}")
    if not 0 <= class_index < net.num_classes:
        raise OptionError(f"class_index must lie in [0, {net.num_classes}), got {class_index}")
    activation, gradient = _activation_and_gradient(net, layer, x, class_index)
    maps, slopes = _as_maps(activation), _as_maps(gradient)
    weights = slopes.mean((2, 3), keepdim=True)  # equation 1
    cam = F.relu((weights * maps).sum(1, keepdim=True))  # equation 2
    cam = F.interpolate(cam, size=x.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    cam = cam / cam.max().clamp_min(1e-12)
    result: NDArray[np.float32] = cam.clamp_(0, 1).cpu().numpy().astype(np.float32)
    return result


def _activation_and_gradient(
    net: Classifier, layer: nn.Module, x: Tensor, class_index: int
) -> tuple[Tensor, Tensor]:
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        seen.append(output)
        return output.clone()  # a later in-place ReLU must not change what was kept

    was_training = net.training
    handle = layer.register_forward_hook(keep)
    try:
        # The image needs a gradient so that a wholly frozen network has a graph at all.
        with torch.enable_grad():
            logit = net.eval()(x.detach().clone().requires_grad_())[0, class_index]
        gradient = torch.autograd.grad(logit, seen[-1], allow_unused=True)[0]
    finally:
        handle.remove()
        net.train(was_training)
    activation = seen[-1].detach().float()
    return activation, torch.zeros_like(activation) if gradient is None else gradient.float()


def _as_maps(values: Tensor) -> Tensor:
    """(1, c, h, w) as it is; tokens (1, [1 +] g * g, c) as (1, c, g, g) without the class token."""
    if values.dim() == 4:
        return values
    if values.dim() == 3:
        grid = math.isqrt(values.shape[1])
        if grid * grid in (values.shape[1], values.shape[1] - 1):
            tokens = values[:, -grid * grid :]
            return tokens.transpose(1, 2).reshape(1, -1, grid, grid)
    shape = tuple(values.shape)
    raise OptionError(f"Grad-CAM needs a map or a square of tokens, the layer gives {shape}")
