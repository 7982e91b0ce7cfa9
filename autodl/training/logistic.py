"""Multinomial logistic regression by L-BFGS: the linear head on features computed once."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from autodl.errors import OptionError

Floats = NDArray[np.floating]

# L-BFGS runs in rounds of so many iterations; between them the clock is looked at.
ROUND = 10
MEMORY = 10  # past steps from which L-BFGS estimates the curvature
GRADIENT_TOLERANCE = 1e-4
SMALLEST_STD = 1e-3  # of the mean deviation; dead features are not blown up to unit variance


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """How a head is trained.

    Args:
        l2: strength of the penalty, as 1 / C in scikit-learn: summed cross-entropy plus
            ``l2 / 2`` times the squared weights (of standardised features).
        label_smoothing: 0..1, share of the target spread over all classes.
        standardise: scale features to zero mean and unit variance first; the scaling is folded
            into the head afterwards.
        max_iterations: of L-BFGS.
    """

    l2: float = 100.0
    label_smoothing: float = 0.0
    standardise: bool = True
    max_iterations: int = 200

    def __post_init__(self) -> None:
        if self.l2 < 0 or not 0 <= self.label_smoothing < 1 or self.max_iterations < 1:
            raise OptionError(
                f"l2 >= 0, label_smoothing in [0, 1) and max_iterations >= 1 must hold, got {self}"
            )


@dataclass(frozen=True, slots=True)
class LinearHead:
    """A linear layer on raw features.

    Args:
        weight: (k, d) float32.
        bias: (k,) float32.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: Floats) -> NDArray[np.float32]:
        """(n, k) logits of (n, d) features, or their mean over views of (v, n, d) features."""
        values = np.asarray(features, np.float32) @ self.weight.T + self.bias
        return values.mean(0) if values.ndim == 3 else values

    def probs(self, features: Floats) -> NDArray[np.float32]:
        """(n, k) class probabilities; see `logits`."""
        return torch.from_numpy(self.logits(features)).softmax(1).numpy()

    def to_linear(self) -> nn.Linear:
        """As a torch layer, to put on the backbone."""
        linear = nn.Linear(self.weight.shape[1], self.weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(self.weight))
            linear.bias.copy_(torch.from_numpy(self.bias))
        return linear


def train_head(  # facade; all but the first two have working defaults
    features: Floats,
    y: NDArray[np.int64],
    *,
    num_classes: int | None = None,
    options: HeadOptions | None = None,
    class_weight: Floats | None = None,
    start: LinearHead | None = None,
    deadline: float | None = None,
) -> LinearHead:
    """Fit multinomial logistic regression by L-BFGS.

    Args:
        features: (n, d), or (v, n, d) with v views of each image, which count 1 / v each.
        y: (n,) classes.
        num_classes: k; None takes the largest class + 1.
        options: penalty and the like.
        class_weight: (k,) factors of each class's loss, or None.
        start: a head to start from, such as that of another penalty.
        deadline: on ``time.monotonic``'s scale; the best found by then is returned.

    Raises:
        OptionError: shapes do not fit, or features are not finite.

    Source: Liu and Nocedal, On the Limited Memory BFGS Method for Large Scale Optimization, 1989.
    """
    problem = _Problem.of(features, y, num_classes, options or HeadOptions(), class_weight)
    problem.solve(start, deadline)
    return problem.head()


@dataclass
class _Problem:
    """Standardised features, targets and weights of one regression, and its current solution."""

    x: Tensor  # (m, d), m = views * n
    y: Tensor  # (m,)
    importance: Tensor  # (m,), summing to 1
    penalty: float  # of the mean loss
    options: HeadOptions
    mean: Tensor  # (d,)
    scale: Tensor  # (d,), 1 / standard deviation
    weight: Tensor  # (k, d)
    bias: Tensor  # (k,)

    @classmethod
    def of(
        cls,
        features: Floats,
        y: NDArray[np.int64],
        num_classes: int | None,
        options: HeadOptions,
        class_weight: Floats | None,
    ) -> _Problem:
        views = 1 if features.ndim == 2 else len(features)
        if features.ndim not in (2, 3) or features.shape[-2] != len(y) or not len(y):
            raise OptionError(f"features {features.shape} do not fit {len(y)} labels")
        # A copy, which is scaled in place; also, a memory map of features is read once only.
        x = torch.from_numpy(np.array(features, np.float32).reshape(-1, features.shape[-1]))
        if not bool(torch.isfinite(x).all()):
            raise OptionError("features hold NaN or infinity; was the backbone's input normalised?")
        labels = torch.from_numpy(np.tile(np.asarray(y, np.int64), views))
        importance = torch.ones(len(x))
        if class_weight is not None:
            importance = torch.as_tensor(class_weight, dtype=torch.float32)[labels]
        mean, scale = _standardise_(x, options.standardise)
        k = count_classes(y, num_classes)
        return cls(
            x,
            labels,
            importance / importance.sum(),
            options.l2 / len(y),
            options,
            mean,
            scale,
            torch.zeros(k, x.shape[1]),
            torch.zeros(k),
        )

    def solve(self, start: LinearHead | None, deadline: float | None) -> None:
        if start is not None:  # from raw features' scale to standardised ones'
            raw = torch.from_numpy(start.weight)
            self.weight = raw / self.scale
            self.bias = torch.from_numpy(start.bias) + raw @ self.mean
        for parameter in (self.weight, self.bias):
            parameter.requires_grad_(True)
        optimizer = torch.optim.LBFGS(
            [self.weight, self.bias],
            max_iter=ROUND,
            history_size=MEMORY,
            tolerance_grad=GRADIENT_TOLERANCE / math.sqrt(len(self.bias)),
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = self.loss()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        last = math.inf
        for _ in range(-(-self.options.max_iterations // ROUND)):
            loss = optimizer.step(closure).item()  # type: ignore[no-untyped-call]
            if last - loss < 1e-5 * abs(loss) or (deadline is not None and time.monotonic() >= deadline):
                break
            last = loss

    def loss(self) -> Tensor:
        logits = torch.addmm(self.bias, self.x, self.weight.T)
        smoothing = self.options.label_smoothing
        each = F.cross_entropy(logits, self.y, reduction="none", label_smoothing=smoothing)
        return (each * self.importance).sum() + 0.5 * self.penalty * self.weight.square().sum()

    def head(self) -> LinearHead:
        weight = self.weight.detach() * self.scale
        bias = self.bias.detach() - weight @ self.mean
        return LinearHead(weight.numpy(), bias.numpy())


def _standardise_(x: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
    """Scale ``x`` in place; the mean and 1 / standard deviation that were used."""
    if not wanted:
        return torch.zeros(x.shape[1]), torch.ones(x.shape[1])
    std, mean = torch.std_mean(x, dim=0, correction=0)
    floor = SMALLEST_STD * float(std.mean()) or 1.0
    scale = std.clamp(min=floor).reciprocal()
    x.sub_(mean).mul_(scale)
    return mean, scale


def count_classes(y: NDArray[np.int64], num_classes: int | None) -> int:
    """``num_classes``, or the largest class + 1.

    Raises:
        OptionError: a label lies outside.
    """
    k = int(y.max()) + 1 if num_classes is None else num_classes
    if int(y.max()) >= k or int(y.min()) < 0:
        raise OptionError(f"labels must lie in [0, {k}), got {int(y.min())}..{int(y.max())}")
    return k
