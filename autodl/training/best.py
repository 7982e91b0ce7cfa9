"""The best weights so far, with the validation predictions they made."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autodl.training.metrics import Metric
from autodl.training.options import State


class BestWeights:
    """Keeps a copy of the weights that validate best; ties go to the lower log loss.

    Small validation sets tie often, and accuracy alone would keep the first, least trained weights.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.epoch = 0
        self.value, self.loss = math.nan, math.inf
        self.state: Mapping[str, Tensor] | None = None
        self.probs: NDArray[np.float32] | None = None

    def offer(
        self, net: nn.Module, value: float, loss: float, epoch: int, probs: NDArray[np.float32]
    ) -> bool:
        """Keep these weights if they are better; whether they were."""
        if self.state is not None and not self._beaten_by(value, loss):
            return False
        self.epoch, self.value, self.loss, self.probs = epoch, value, loss, probs
        self.state = {k: v.detach().to("cpu", copy=True) for k, v in net.state_dict().items()}
        return True

    def state_dict(self) -> State:
        """Plain values and tensors."""
        probs = None if self.probs is None else torch.from_numpy(self.probs)
        weights = None if self.state is None else dict(self.state)
        return {"epoch": self.epoch, "value": self.value, "loss": self.loss, "state": weights, "probs": probs}

    def load_state_dict(self, state: State) -> None:
        """Go on where `state_dict` was taken."""
        self.epoch, self.value, self.loss = int(state["epoch"]), state["value"], state["loss"]
        self.state = state["state"]
        self.probs = None if state["probs"] is None else state["probs"].numpy()

    def _beaten_by(self, value: float, loss: float) -> bool:
        if self.metric.better(value, self.value):
            return True
        tied = value == self.value or (math.isnan(value) and math.isnan(self.value))
        return tied and loss < self.loss
