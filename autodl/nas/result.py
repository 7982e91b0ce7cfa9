"""What a search came to, and its way to disk and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autodl.errors import PredictorFormatError
from autodl.models.weights_io import write_atomically
from autodl.nas.decisions import Arch
from autodl.nas.space import Space

VERSION = 1
RESULT_NAME = "nas.json"
WEIGHTS_NAME = "net.pt"


@dataclass(frozen=True, slots=True)
class Record:
    """One step of a search.

    Attributes:
        step: from 0.
        arch: what was evaluated; None for a step that is about no single architecture.
        metric: larger is better; None: not measured.
        cost: in the cost model's unit; None: not asked for.
        seconds: since the search began.
        extra: what else the strategy tells, numbers and texts.
    """

    step: int
    arch: Arch | None
    metric: float | None
    cost: float | None
    seconds: float
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class NASResult:
    """What a search came to.

    Attributes:
        best_arch: the architecture.
        history: one record a step.
        net: the derived network, with weights as far as the strategy trained them; None where a
            result was read back without its space.
        probabilities: label -> probability of each choice at the end, of strategies that learn some.
        metric: of the best architecture, as the strategy measured it.
        cost: of the best architecture.
        seconds: the search took.
        strategy: its name.
        seed: of the search.
        stopped_by: "budget", "time", "callback" or "interrupted" (Ctrl-C).
    """

    best_arch: Arch
    history: list[Record]
    net: nn.Module | None = None
    probabilities: dict[str, list[float]] = field(default_factory=dict)
    metric: float | None = None
    cost: float | None = None
    seconds: float = 0.0
    strategy: str = ""
    seed: int = 0
    stopped_by: str = "budget"

    def save(self, path: str | Path) -> Path:
        """Write ``nas.json``, and the network's weights beside it.

        Args:
            path: a directory; made if absent.
        """
        path = Path(path).expanduser()
        path.mkdir(parents=True, exist_ok=True)
        data = {name: getattr(self, name) for name in _PLAIN}
        data |= {"version": VERSION, "history": [asdict(record) for record in self.history]}
        if self.net is not None:
            torch.save(self.net.state_dict(), path / WEIGHTS_NAME)
        write_atomically(path / RESULT_NAME, (json.dumps(data, indent=1) + "\n").encode())
        return path

    @classmethod
    def load(cls, path: str | Path, space: Space | None = None) -> NASResult:
        """Read what `save` wrote.

        Args:
            path: the directory.
            space: brings the network back, with its weights.

        Raises:
            PredictorFormatError: no such result there, a damaged one, or one of a newer version.
        """
        path = Path(path).expanduser()
        try:
            data = json.loads((path / RESULT_NAME).read_text())
            if data["version"] > VERSION:
                raise PredictorFormatError(f"{path} comes from a newer version of autodl")
            history = [Record(**record) for record in data["history"]]
            result = cls(history=history, **{name: data[name] for name in _PLAIN})
        except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise PredictorFormatError(f"{path} holds no result of a search: {error!r}") from error
        weights = path / WEIGHTS_NAME
        if space is not None and weights.exists():
            result.net = space.realise(result.best_arch)
            result.net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return result


_PLAIN = ("best_arch", "probabilities", "metric", "cost", "seconds", "strategy", "seed", "stopped_by")


def plain_probabilities(probabilities: Mapping[str, torch.Tensor]) -> dict[str, list[float]]:
    """Probabilities as lists, for a result."""
    return {label: tensor.detach().cpu().tolist() for label, tensor in probabilities.items()}
