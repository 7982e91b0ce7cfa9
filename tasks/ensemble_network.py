"""The network a predictor holds: weighted members, each a body with one head or several.

Heads that were trained on the features of the same frozen backbone share it, so an ensemble of
ten of them costs one forward pass. The whole is an ordinary `torch.nn.Module` from pixels to
probabilities: it exports as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autodl.models.classifier import Classifier, Preprocessing
from autodl.training.preprocess import LUMA


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """How to build a network again.

    Attributes:
        name: a name `autodl.models.build_network` knows, or ``"module:qualname"`` of a user's class.
        options: keyword arguments, JSON-able.
        num_classes: number of logits.
        preprocessing: what its input must look like.
        user_defined: True when `name` is an import path, which is followed only on trust.
    """

    name: str
    options: Mapping[str, Any]
    num_classes: int
    preprocessing: Preprocessing
    user_defined: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a JSON-able dict."""
        return {**asdict(self), "options": dict(self.options), "preprocessing": self.preprocessing.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkSpec:
        """The inverse of `to_json`."""
        return cls(**{**data, "preprocessing": Preprocessing.from_json(data["preprocessing"])})


@dataclass(frozen=True, slots=True)
class BranchSpec:
    """One body and its heads.

    Attributes:
        network: the body (with its own head when `frozen` is False).
        frozen: the body is a pretrained backbone whose features several heads read.
        flip: average each image's probabilities with those of its mirror image.
        trial_ids: the trials whose weights these are, one a head.
        weights: their shares in the ensemble; over all branches they add up to 1.
    """

    network: NetworkSpec
    frozen: bool
    flip: bool
    trial_ids: tuple[int, ...]
    weights: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON-able dict."""
        return {
            "network": self.network.to_json(),
            "frozen": self.frozen,
            "flip": self.flip,
            "trial_ids": list(self.trial_ids),
            "weights": list(self.weights),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BranchSpec:
        """The inverse of `to_json`."""
        return cls(
            network=NetworkSpec.from_json(data["network"]),
            frozen=bool(data["frozen"]),
            flip=bool(data["flip"]),
            trial_ids=tuple(int(i) for i in data["trial_ids"]),
            weights=tuple(float(w) for w in data["weights"]),
        )


class Branch(nn.Module):
    """Pixels to the weighted sum of its heads' probabilities.

    Args:
        spec: weights, mirror image, preprocessing.
        body: a `Classifier`; when ``spec.frozen`` its own head is not used.
        heads: linear heads on the body's features; empty unless ``spec.frozen``.
    """

    mean: Tensor
    std: Tensor
    luma: Tensor

    def __init__(self, spec: BranchSpec, body: Classifier, heads: Sequence[nn.Linear] = ()) -> None:
        super().__init__()
        self.spec = spec
        if spec.frozen:
            body.head = nn.Identity()
        self.body = body
        self.heads = nn.ModuleList(heads)
        preprocessing = spec.network.preprocessing
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1), persistent=False)
        self.channels = preprocessing.channels

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 3, s, s) in [0, 1] to (n, num_classes), rows that add up to the branch's weight."""
        x = self.normalise(images)
        if self.spec.frozen:
            features = self.body(x)
            if self.spec.flip:  # a linear head's mean logits are its logits of the mean features
                features = (features + self.body(x.flip(3))) / 2
            probs = [head(features).softmax(1) for head in self.heads]
        else:
            probs = [self.body(x).softmax(1)]
            if self.spec.flip:
                probs = [(probs[0] + self.body(x.flip(3)).softmax(1)) / 2]
        weighted = [w * p for w, p in zip(self.spec.weights, probs, strict=True)]
        return torch.stack(weighted).sum(0)

    def normalise(self, images: Tensor) -> Tensor:
        """Images (n, 3, s, s) in [0, 1] as the body takes them."""
        if self.channels == 1:
            images = (images * self.luma).sum(1, keepdim=True)
        out: Tensor = (images - self.mean) / self.std
        return out

    def as_classifier(self) -> Classifier:
        """Body and heaviest head as one network, sharing their weights."""
        if not self.spec.frozen:
            return self.body
        heaviest = max(range(len(self.heads)), key=lambda i: self.spec.weights[i])
        return Classifier(self.body.backbone, self.heads[heaviest], self.body.preprocessing)


def empty_head(feature_dim: int, num_classes: int) -> nn.Linear:
    """A linear head to load weights into; nothing is drawn from torch's global generator."""
    head = nn.Linear(feature_dim, num_classes, device="meta")
    return head.to_empty(device="cpu")


class EnsembleNetwork(nn.Module):
    """Weighted mean of its branches' probabilities.

    Args:
        branches: their weights add up to 1.
    """

    def __init__(self, branches: Sequence[Branch]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (n, num_classes) of images (n, 3, s, s), RGB in [0, 1]."""
        return torch.stack([branch(images) for branch in self.branches]).sum(0)

    @property
    def specs(self) -> tuple[BranchSpec, ...]:
        """What would build it again, without the weights."""
        return tuple(branch.spec for branch in self.branches)  # type: ignore[misc]  # all are Branch

    @property
    def num_parameters(self) -> int:
        """Number of learned values."""
        return sum(p.numel() for p in self.parameters())
