"""A space of 64 networks on scikit-learn's digits whose every accuracy is known.

Strategies are gated on it: whoever writes one can ask how far from the best its answer is. The
table beside this file was made by ``benchmarks/nas_mini_space.py table``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from autodl.errors import OptionError
from autodl.nas.choices import OpChoice
from autodl.nas.data import NASData
from autodl.nas.fitting import FitOptions
from autodl.nas.space import Space
from autodl.rng import trial_rng
from autodl.spaces import Value

LAYERS = 3
WIDTH = 8
OPS = ("conv3", "conv1", "pool", "identity")
PARTS = (600, 600, 597)
"""Images that train weights, judge architectures, and test."""

FIT = FitOptions(epochs=20, lr=0.03, weight_decay=3e-4)
"""How each network of the table was trained."""

TABLE_FILE = Path(__file__).with_name("mini_space.json")


def _conv(kernel: int) -> nn.Module:
    conv = nn.Conv2d(WIDTH, WIDTH, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(WIDTH), nn.ReLU())


class MiniNet(nn.Module):
    """A stem, three layers with an open op each, a linear head: (n, 1, 8, 8) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()
        )
        self.layers = nn.Sequential(
            *(
                OpChoice(
                    {
                        "conv3": _conv(3),
                        "conv1": _conv(1),
                        "pool": nn.AvgPool2d(3, stride=1, padding=1),
                        "identity": nn.Identity(),
                    },
                    label=f"layer{number}/op",
                )
                for number in range(LAYERS)
            )
        )
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 8, 8) -> (n, 10)."""
        logits: Tensor = self.head(self.layers(self.stem(x)).mean((2, 3)))
        return logits


def mini_space() -> Space:
    """The 64 networks."""
    return Space(MiniNet)


def mini_data(batch_size: int = 50) -> tuple[NASData, NASData]:
    """Digits: (train and validation, train and test), 1,797 images of 8 x 8 in all."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  # slow to import

    digits = load_digits()
    order = trial_rng(0, 0).permutation(len(digits.target))
    x = (digits.images[order, None] / 16).astype("float32")
    y = digits.target[order]
    first, second = PARTS[0], PARTS[0] + PARTS[1]
    val = NASData(x[:first], y[:first], x[first:second], y[first:second], batch_size=batch_size)
    test = NASData(x[:first], y[:first], x[second:], y[second:], batch_size=batch_size)
    return val, test


@dataclass(frozen=True, slots=True)
class MiniTable:
    """What the 64 networks reach when each is trained by itself.

    Attributes:
        accuracy: ops, joined by commas, -> mean validation accuracy over the seeds.
        seeds: the accuracies it is the mean of.
    """

    accuracy: dict[str, float]
    seeds: dict[str, list[float]]

    @classmethod
    def load(cls) -> MiniTable:
        """The table that comes with the package."""
        kept: dict[str, list[float]] = json.loads(TABLE_FILE.read_text())["val_accuracy"]
        return cls({ops: sum(values) / len(values) for ops, values in kept.items()}, kept)

    def of(self, arch: Mapping[str, Value]) -> float:
        """The accuracy of an architecture."""
        return self.accuracy[mini_key(arch)]

    def rank(self, arch: Mapping[str, Value]) -> int:
        """1 for the best of the 64."""
        own = self.of(arch)
        return 1 + sum(other > own for other in self.accuracy.values())

    def regret(self, arch: Mapping[str, Value]) -> float:
        """How much worse than the best."""
        return max(self.accuracy.values()) - self.of(arch)


def mini_key(arch: Mapping[str, Value]) -> str:
    """An architecture's ops, joined by commas."""
    labels = [f"layer{number}/op" for number in range(LAYERS)]
    if set(arch) != set(labels):
        raise OptionError(f"an architecture of the mini space has the labels {labels}, got {list(arch)}")
    return ",".join(str(arch[label]) for label in labels)
