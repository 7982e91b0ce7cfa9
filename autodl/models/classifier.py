"""The one shape every network has here: a backbone, then a linear head on its features.

The split is what makes the fast paths possible: features of a frozen backbone are computed once
and shared by all trials that train only a head, and a head can be replaced without touching the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autodl.errors import OptionError

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pixels become a network's input.

    Args:
        input_size: side of the square input, pixels.
        mean: one value a channel, in units of pixel / 255.
        std: one value a channel, in units of pixel / 255.
        crop_fraction: the input's share of the resized short side, in (0, 1]; 0.875 means that
            the short side is resized to ``input_size / 0.875`` and the centre is cropped.
        interpolation: "nearest", "bilinear" or "bicubic".
        channels: 3 (RGB) or 1 (grey); any number for a network of one's own.
    """

    input_size: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    crop_fraction: float = 1.0
    interpolation: str = "bilinear"
    channels: int = 3

    def __post_init__(self) -> None:
        """Refuse values no network can use."""
        if self.input_size < 1 or self.channels < 1:
            raise OptionError(f"input_size and channels must be >= 1, got {self.input_size}, {self.channels}")
        if not 0 < self.crop_fraction <= 1:
            raise OptionError(f"crop_fraction must lie in (0, 1], got {self.crop_fraction}")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise OptionError(f"unknown interpolation {self.interpolation!r}; known: {known}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise OptionError(f"{name} has {len(values)} values for {self.channels} channels")
        if min(self.std) <= 0:
            raise OptionError(f"std must be > 0, got {self.std}")

    @property
    def resize_size(self) -> int:
        """Short side before the centre crop, pixels."""
        return round(self.input_size / self.crop_fraction)

    def normalise(self, images: Tensor) -> Tensor:
        """Pixels to the network's input, as one multiply-add on the images' device.

        Args:
            images: (n, channels, h, w), uint8 or float, values in [0, 255].

        Returns:
            float32 (n, channels, h, w), in the memory format of ``images``.
        """
        scale = torch.tensor(self.std, device=images.device).mul_(255.0).reciprocal_()
        shift = torch.tensor(self.mean, device=images.device).mul_(-255.0).mul_(scale)
        pixels = images if images.dtype == torch.uint8 else images.to(torch.float32)
        return (pixels * scale.view(1, -1, 1, 1)).add_(shift.view(1, -1, 1, 1))

    def to_json(self) -> dict[str, Any]:
        """As a JSON-able dict; see `from_json`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_json`."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**fields)


class Backbone(nn.Module):
    """A module of someone else's as a backbone, with the names of its stages.

    Args:
        module: images (n, c, h, w) to features (n, feature_dim).
        stage_names: paths of its stages below ``module``, input side first.
        cam_name: path of the layer Grad-CAM looks at; None: it has no map to show.
    """

    def __init__(self, module: nn.Module, stage_names: tuple[str, ...], cam_name: str | None) -> None:
        super().__init__()
        self.module = module
        self.stage_names = tuple(f"module.{name}" for name in stage_names)
        self.cam_name = None if cam_name is None else f"module.{cam_name}"

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, feature_dim)."""
        features: Tensor = self.module(x)
        return features


class Classifier(nn.Module):
    """``head(dropout(backbone(x)))``: images (n, c, h, w) to logits (n, num_classes).

    Args:
        backbone: maps (n, c, h, w) to features (n, feature_dim). It may carry ``stage_names``
            (paths of its stages, input side first) and ``cam_name`` (path of the layer whose
            output Grad-CAM looks at); without them its children are the stages.
        head: usually ``nn.Linear(feature_dim, num_classes)``; ``nn.Identity()`` for a module of the
            user's that cannot be split and ends in logits itself (`splits` is False then).
        preprocessing: what the input must look like.
        num_classes: number of logits; needed only where the head does not tell.
        dropout: probability of dropping a feature before the head, in [0, 1).
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        preprocessing: Preprocessing,
        *,
        dropout: float = 0.0,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        if num_classes is None and not isinstance(head, nn.Linear):
            raise OptionError(f"num_classes must be given with a head that is {type(head).__name__}")
        if not 0 <= dropout < 1:
            raise OptionError(f"dropout must lie in [0, 1), got {dropout}")
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = head
        self.preprocessing = preprocessing
        self._num_classes = num_classes or 0

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, num_classes) of normalised images (n, c, h, w)."""
        logits: Tensor = self.head(self.dropout(self.backbone(x)))
        return logits

    @property
    def splits(self) -> bool:
        """Whether there is a linear head to train on features computed once."""
        return isinstance(self.head, nn.Linear)

    @property
    def feature_dim(self) -> int:
        """Number of features the backbone gives (of logits, when there is no head)."""
        return self.head.in_features if isinstance(self.head, nn.Linear) else self.num_classes

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.head.out_features if isinstance(self.head, nn.Linear) else self._num_classes

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Paths of the stages below ``backbone``, input side first."""
        names = getattr(self.backbone, "stage_names", None)
        return tuple(names) if names is not None else tuple(n for n, _ in self.backbone.named_children())

    @property
    def stages(self) -> list[nn.Module]:
        """The backbone's stages, input side first: freeze a prefix to fine-tune the rest."""
        return [self.backbone.get_submodule(name) for name in self.stage_names]

    @property
    def cam_layer(self) -> nn.Module | None:
        """The layer whose output Grad-CAM looks at; None when the network has no map to show."""
        names = self.stage_names
        name = getattr(self.backbone, "cam_name", names[-1] if names else None)
        return None if name is None else self.backbone.get_submodule(name)
