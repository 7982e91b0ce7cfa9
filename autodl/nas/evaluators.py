"""How good an architecture is: trained by itself, with shared weights, or predicted."""

from __future__ import annotations

import itertools
import json
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from autodl.errors import NotFittedError, OptionError
from autodl.nas.bn_recalibration import recalibrate, statistics_kept
from autodl.nas.data import NASData
from autodl.nas.fitting import FitOptions, accuracy, fit
from autodl.nas.plans import OneHot, active
from autodl.nas.space import Space
from autodl.rng import derive_seed, torch_generator
from autodl.spaces import Value


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation came to.

    Attributes:
        metric: larger is better.
        seconds: it took (a table's entry: its training took).
        resource: epochs it was trained.
        cost: in a cost model's unit, where the evaluator knows one.
    """

    metric: float
    seconds: float = 0.0
    resource: int = 1
    cost: float | None = None


class Evaluator(Protocol):
    """Tells how good an architecture is."""

    def evaluate(self, arch: Mapping[str, Value], *, resource: int | None = None) -> Evaluation:
        """Judge an architecture.

        Args:
            arch: a valid architecture.
            resource: epochs to train, where that can be chosen; None: the evaluator's default.
        """


def arch_key(arch: Mapping[str, Value]) -> str:
    """A text that is equal for equal architectures."""
    return json.dumps(dict(arch), sort_keys=True)


class Trained:
    """Each architecture trained from scratch, judged by its accuracy on the validation part.

    The same architecture and seed give the same network, whatever was evaluated before.

    Args:
        space: of the architectures.
        data: images.
        options: how to train.
        seed: of weights and orders of images.
    """

    def __init__(
        self, space: Space, data: NASData, options: FitOptions | None = None, *, seed: int = 0
    ) -> None:
        self.space, self.data, self.seed = space, data, seed
        self.options = options or FitOptions()

    def train(self, arch: Mapping[str, Value], *, resource: int | None = None) -> nn.Module:
        """The trained network of an architecture, in evaluation mode."""
        arch = self.space.validate(arch)
        seed = derive_seed(self.seed, arch_key(arch))
        net = self.space.realise(arch, seed=seed).to(self.data.device)
        options = self.options if resource is None else replace(self.options, epochs=resource)
        fit(net, self.data, options, torch_generator(seed, "order"))
        return net.eval()

    def evaluate(self, arch: Mapping[str, Value], *, resource: int | None = None) -> Evaluation:
        """See `Evaluator.evaluate`."""
        start = time.perf_counter()
        net = self.train(arch, resource=resource)
        metric = accuracy(net, self.data)
        return Evaluation(metric, time.perf_counter() - start, resource or self.options.epochs)


class SharedWeights:
    """Each architecture as a part of one super-net, with statistics of its own.

    The super-net is as before after every evaluation.

    Args:
        supernet: trained weights.
        data: images; statistics come from the training part.
        recalibration: minibatches for the statistics of batch normalisation; 0: keep the
            super-net's, which ranks architectures far worse.
        batch_size: of those minibatches.
        seed: which images they are.
    """

    def __init__(
        self,
        supernet: nn.Module,
        data: NASData,
        *,
        recalibration: int = 4,
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        self.supernet, self.data = supernet, data
        order = torch_generator(seed, "recalibration")
        sample = NASData.__new__(NASData)
        sample.__dict__ |= data.__dict__ | {"batch_size": min(batch_size, data.count("train"))}
        batches = itertools.islice(sample.stream("train", order), recalibration)
        self._batches = [x for x, _ in batches]

    def evaluate(self, arch: Mapping[str, Value], *, resource: int | None = None) -> Evaluation:
        """See `Evaluator.evaluate`; there is no resource to choose."""
        start = time.perf_counter()
        with statistics_kept(self.supernet), active(self.supernet, OneHot(arch)):
            if self._batches:
                recalibrate(self.supernet, self._batches)
            metric = accuracy(self.supernet, self.data)
        return Evaluation(metric, time.perf_counter() - start)


class Predictor:
    """A regression from choices to the metric, learnt from evaluated architectures.

    Args:
        space: of the architectures.
        model: "gp" (a Gaussian process, predicts its own error), "ridge" (each choice adds its
            share), or any regressor of scikit-learn.
    """

    def __init__(self, space: Space, model: Any = "gp") -> None:
        self.space = space
        self.model = _regressor(model) if isinstance(model, str) else model
        self._is_fitted = False

    def fit(self, archs: Sequence[Mapping[str, Value]], metrics: Iterable[float]) -> Predictor:
        """Learn from evaluated architectures; returns itself."""
        with warnings.catch_warnings():  # of a length scale at its bound: it is there to be met
            warnings.simplefilter("ignore")
            self.model.fit(one_hot(self.space, archs), np.asarray(list(metrics), dtype=float))
        self._is_fitted = True
        return self

    def predict(self, archs: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
        """Predicted metrics: (len(archs),)."""
        if not self._is_fitted:
            raise NotFittedError("the predictor has seen no architectures yet; call fit(archs, metrics)")
        return np.asarray(self.model.predict(one_hot(self.space, archs)), dtype=float)

    def evaluate(self, arch: Mapping[str, Value], *, resource: int | None = None) -> Evaluation:
        """See `Evaluator.evaluate`."""
        start = time.perf_counter()
        return Evaluation(float(self.predict([arch])[0]), time.perf_counter() - start, 0)


def one_hot(space: Space, archs: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
    """A column for each choice of each decision; zeros where a decision is inactive.

    Args:
        space: of the architectures.
        archs: valid architectures.

    Returns:
        (len(archs), choices of all decisions).
    """
    decisions = space.decisions()
    starts = np.cumsum([0, *(len(decision.choices) for decision in decisions.values())])
    table = np.zeros((len(archs), int(starts[-1])))
    for row, arch in zip(table, map(space.validate, archs), strict=True):
        for (label, decision), start in zip(decisions.items(), starts, strict=False):
            if label in arch:
                row[int(start) + (decision.index(arch[label]) or 0)] = 1.0
    return table


def _regressor(name: str) -> Any:
    makers: dict[str, Callable[[], Any]] = {"gp": _gaussian_process, "ridge": _ridge}
    if name not in makers:
        raise OptionError(f"a predictor is gp, ridge or a regressor of scikit-learn, got {name!r}")
    return makers[name]()


def _gaussian_process() -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415  # heavy
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel  # noqa: PLC0415

    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * RBF(2.0, (0.3, 30.0)) + WhiteKernel(1e-2, (1e-6, 1.0))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


def _ridge() -> Any:
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415  # heavy

    return RidgeCV(alphas=np.logspace(-3, 3, 13))
