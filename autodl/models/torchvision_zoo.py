"""torchvision's classification networks by name, with the last linear layer split off as the head."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from autodl.errors import OptionError
from autodl.models.classifier import Backbone, Preprocessing
from autodl.models.parts import Parts, State
from autodl.models.pretrained import hub_path, hub_weights
from autodl.models.weights_io import read_weights

# SqueezeNet ends in a convolution: there is no linear head to split off.
EXCLUDED = ("squeezenet1_0", "squeezenet1_1")
# The auxiliary heads train only with a loss of their own, and the published weights carry them.
AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


def zoo_names() -> tuple[str, ...]:
    """Every classification network of the installed torchvision that ends in a linear layer."""
    return tuple(n for n in models.list_models(module=models) if n not in EXCLUDED)


def weights_of(name: str) -> Any:
    """Torchvision's default weights entry of a network (url, transforms)."""
    return models.get_model_weights(name).DEFAULT


def cached_weights(name: str) -> Path | None:
    """The weights file in the hub cache; None when it was never downloaded."""
    path = hub_path(weights_of(name).url)
    return path if path.is_file() else None


def zoo_preprocessing(name: str, input_size: int | None) -> Preprocessing:
    """What the default weights were evaluated with, at ``input_size`` pixels if given."""
    preset = weights_of(name).transforms()
    crop, resize = preset.crop_size[0], preset.resize_size[0]
    return Preprocessing(
        input_size=input_size or crop,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        crop_fraction=min(1.0, crop / resize),
        interpolation=preset.interpolation.value,
    )


def zoo_parts(name: str, input_size: int | None, options: dict[str, Any]) -> Parts:
    """A network of the zoo without its last linear layer.

    Raises:
        OptionError: an option the network does not take, or an input size it cannot work with.
    """
    preprocessing = zoo_preprocessing(name, input_size)
    model = _construct(name, preprocessing.input_size, options)
    head_name, head = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
    _split_off(model, head_name)
    stages = stage_names(model)
    _check_forward(name, model, preprocessing.input_size, head.in_features)
    return Parts(
        backbone=Backbone(model, stages, cam_name(model, stages)),
        feature_dim=head.in_features,
        preprocessing=preprocessing,
        rename=partial(_rename, name=name, head_name=head_name, model=model),
        published=lambda: read_weights(hub_weights(name, weights_of(name).url)),
    )


def _construct(name: str, input_size: int, options: dict[str, Any]) -> nn.Module:
    fixed: dict[str, Any] = {}
    if name in AUXILIARY:
        fixed = {"aux_logits": False, "init_weights": name == "googlenet"}
    elif name.startswith("vit_"):
        fixed = {"image_size": input_size}
    elif name.startswith("maxvit"):
        fixed = {"input_size": (input_size, input_size)}
    try:
        model: nn.Module = models.get_model(name, weights=None, **fixed, **options)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise OptionError(
            f"{name} cannot be built at input_size={input_size} with {options or 'no options'}: {error}"
        ) from error
    return model


def _split_off(model: nn.Module, head_name: str) -> None:
    """Replaces the head by nothing, and the dropout right before it (`Classifier` has its own)."""
    parent_name, _, child = head_name.rpartition(".")
    parent = model.get_submodule(parent_name)
    setattr(parent, child, nn.Identity())
    if isinstance(parent, nn.Sequential) and child.isdigit() and int(child) > 0:
        before = parent[int(child) - 1]
        if isinstance(before, nn.Dropout):
            before.p = 0.0


def stage_names(model: nn.Module) -> tuple[str, ...]:
    """Paths of the stages, input side first: what one freezes from the front."""
    for path in ("features", "layers"):
        stages = getattr(model, path, None)
        if isinstance(stages, nn.Sequential):
            return tuple(f"{path}.{n}" for n, _ in stages.named_children())
    names: list[str] = []
    for name, child in model.named_children():
        inner = {"encoder": "layers", "blocks": "", "trunk_output": ""}.get(name)
        if inner is not None:
            prefix = f"{name}.{inner}" if inner else name
            names += [f"{prefix}.{n}" for n, _ in model.get_submodule(prefix).named_children()]
        elif name not in ("classifier", "heads", "head", "fc") and any(True for _ in child.parameters()):
            names.append(name)
    return tuple(names)


def cam_name(model: nn.Module, stages: tuple[str, ...]) -> str:
    """Path of the last layer that still knows where things are in the image."""
    if hasattr(model, "permute"):  # Swin: from (n, h, w, c) to (n, c, h, w)
        return "permute"
    if hasattr(model, "class_token"):
        # Behind the last attention the logits depend on the class token alone.
        return f"{stages[-1]}.ln_1"
    return stages[-1]


def _check_forward(name: str, model: nn.Module, input_size: int, feature_dim: int) -> None:
    """One empty image through the network: an input too small for it shows up here, not in training."""
    was_training = model.training
    try:
        with torch.no_grad():
            features = model.eval()(torch.zeros(1, 3, input_size, input_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        usual = zoo_preprocessing(name, None).input_size
        first = str(error).splitlines()[0]
        raise OptionError(
            f"{name} does not work at input_size={input_size} (usual: {usual}): {first}"
        ) from error
    finally:
        model.train(was_training)
    if tuple(features.shape) != (1, feature_dim):
        raise OptionError(f"{name}: cannot split off a head, features come out as {tuple(features.shape)}")


def _rename(state: State, *, name: str, head_name: str, model: nn.Module) -> State:
    """Torchvision's keys as a `Classifier`'s; a ViT's position embedding is resized to the input."""
    state = {k: v for k, v in state.items() if not k.startswith(AUXILIARY.get(name, ("\0",)))}
    embedding = "encoder.pos_embedding"
    if embedding in state and hasattr(model, "class_token"):
        state[embedding] = _resized_positions(state[embedding], model)
    return {_renamed_key(k, head_name): v for k, v in state.items()}


def _renamed_key(key: str, head_name: str) -> str:
    if key.startswith(f"{head_name}."):
        return "head." + key.removeprefix(f"{head_name}.")
    return f"backbone.module.{key}"


def _resized_positions(embedding: Tensor, model: nn.Module) -> Tensor:
    """Position embedding (1, 1 + g * g, d) brought to the model's grid (bicubic), class token kept."""
    wanted = model.get_parameter("encoder.pos_embedding").shape[1]
    if embedding.dim() != 3 or embedding.shape[1] == wanted:
        return embedding
    old, new = (round((n - 1) ** 0.5) for n in (embedding.shape[1], wanted))
    token, grid = embedding[:, :1], embedding[:, 1:]
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, size=(new, new), mode="bicubic", align_corners=True)
    return torch.cat([token, grid.flatten(2).transpose(1, 2)], dim=1)
