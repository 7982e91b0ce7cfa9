"""What a family of networks hands to `build_network`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from autodl.models.classifier import Preprocessing

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Parts:
    """A backbone and what is needed to put a head on it and weights into it.

    Args:
        backbone: images to features (n, feature_dim).
        feature_dim: number of features.
        preprocessing: the input it wants.
        rename: keys of the family's published checkpoints to keys of a `Classifier`.
        published: reads the published weights (raises WeightsUnavailableError); None: there are none.
    """

    backbone: nn.Module
    feature_dim: int
    preprocessing: Preprocessing
    rename: Callable[[State], State] = dict
    published: Callable[[], State] | None = None
