"""Measured latency: of whole networks on this device, and from a table of their layers.

Source: Cai et al., "ProxylessNAS", 2019, and Wu et al., "FBNet", 2019: the latency of a network is
close to the sum of its layers', so that a table of layers gives a differentiable expectation.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autodl.checks import check_whole
from autodl.errors import JournalError
from autodl.models.weights_io import write_atomically
from autodl.nas.elastic import ElasticModule
from autodl.nas.parts import Call, Contribution, CostTable, parts_of, sizes_of, traced
from autodl.nas.space import Space
from autodl.rng import trial_rng
from autodl.spaces import Value

CALIBRATION = 8
"""Whole networks that are measured to tie the sum of layers to what a network takes."""


class MeasuredLatency:
    """Milliseconds that the realised network takes for a batch, the median of repeated calls.

    Args:
        space: of the architectures.
        input_shape: of one input, (channels, height, width).
        batch_size: inputs at once.
        device: where it runs.
        repeats: timed calls; a few untimed ones go before.
    """

    def __init__(
        self,
        space: Space,
        input_shape: tuple[int, ...],
        *,
        batch_size: int = 1,
        device: str | torch.device = "cpu",
        repeats: int = 30,
    ) -> None:
        check_whole("batch_size", batch_size)
        check_whole("repeats", repeats)
        self.space, self.repeats = space, repeats
        self.device = torch.device(device)
        self._inputs = torch.randn(batch_size, *input_shape, generator=torch.Generator().manual_seed(0)).to(
            self.device
        )

    def cost(self, arch: Mapping[str, Value]) -> float:
        """Milliseconds, measured now."""
        net = self.space.realise(arch).to(self.device).eval()
        return milliseconds(lambda: net(self._inputs), self.device, self.repeats)


class LatencyTable:
    """Milliseconds as a sum over layers, each measured by itself at its place in the network.

    The sum is tied to whole networks by a straight line through a few measured ones, which takes up
    what layers do not know of: what happens between them, and what a call costs.

    Args:
        space: of the architectures.
        input_shape: of one input, (channels, height, width).
        batch_size: inputs at once.
        device: where it runs.
        repeats: timed calls of each layer.
        cache: a file; a table made there before by the same space, device, threads and version of
            torch is read instead of measured.

    Raises:
        JournalError: the cache holds something else than a table.
    """

    def __init__(
        self,
        space: Space,
        input_shape: tuple[int, ...],
        *,
        batch_size: int = 1,
        device: str | torch.device = "cpu",
        repeats: int = 30,
        cache: str | Path | None = None,
    ) -> None:
        check_whole("batch_size", batch_size)
        check_whole("repeats", repeats)
        self.device = torch.device(device)
        key = self._key(space, (batch_size, *input_shape), repeats)
        file = None if cache is None else Path(cache).expanduser()
        kept = None if file is None else _read(file, key)
        if kept is None:
            inputs = torch.zeros(batch_size, *input_shape)
            kept = self._measure(space, inputs, repeats)
            whole = MeasuredLatency(space, input_shape, batch_size=batch_size, device=device, repeats=repeats)
            kept["line"] = _line(CostTable(space, _contributions(kept)), space, whole)
            if file is not None:
                _write(file, key, kept)
        slope, offset = kept["line"]
        scaled = [Contribution(part.under, slope * part.amount) for part in _contributions(kept)]
        self._table = CostTable(space, scaled, offset)
        self.layers = {name: milli for name, _, milli in kept["layers"]}

    def cost(self, arch: Mapping[str, Value]) -> float:
        """Milliseconds of an architecture."""
        return self._table.cost(arch)

    def expected(self, probs: Mapping[str, Tensor]) -> Tensor:
        """The mean, with gradients; see `autodl.nas.costs.ExpectedCost.expected`."""
        return self._table.expected(probs)

    def _measure(self, space: Space, inputs: Tensor, repeats: int) -> dict[str, Any]:
        net = space.supernet()
        parts = list(parts_of(net))
        calls = traced(net, [part.module for part in parts], inputs)
        layers = []
        known: dict[str, float] = {}
        for part in parts:
            for under, module in sizes_of(part):
                milli = 0.0
                for call in calls.get(id(part.module), []):
                    args = _narrowed(part.module, module, call)
                    # Equal layers, as a search cell has by the dozen, are measured once.
                    kind = f"{module!r} {[tuple(arg.shape) for arg in args]}"
                    if kind not in known:
                        known[kind] = self._time(module, args, repeats)
                    milli += known[kind]
                layers.append((part.name, under, milli))
        return {"layers": layers}

    def _time(self, module: nn.Module, args: Sequence[Tensor], repeats: int) -> float:
        placed, inputs = module.to(self.device).eval(), [arg.to(self.device) for arg in args]
        return milliseconds(lambda: placed(*inputs), self.device, repeats)

    def _key(self, space: Space, shape: tuple[int, ...], repeats: int) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        told = [str(self.device), name, torch.__version__, torch.get_num_threads(), shape, repeats]
        described = json.dumps([*told, repr(space), repr(space.supernet())])
        return hashlib.sha256(described.encode()).hexdigest()


def milliseconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The median time of a call, after a few that do not count."""
    times = []
    with torch.inference_mode():
        for number in range(repeats + 3):
            _wait(device)
            start = time.perf_counter()
            call()
            _wait(device)
            if number >= 3:
                times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _narrowed(traced_module: nn.Module, made: nn.Module, call: Call) -> list[Tensor]:
    """What an ordinary layer reads where its elastic original read all channels."""
    args = [arg.detach() for arg in call.args]
    if not isinstance(traced_module, ElasticModule):
        return args
    if isinstance(made, nn.Conv2d):
        return [args[0][:, : made.in_channels].contiguous()]
    if isinstance(made, nn.BatchNorm2d):
        return [args[0][:, : made.num_features].contiguous()]
    if isinstance(made, nn.Linear):
        return [args[0][..., : made.in_features].contiguous()]
    return args


def _line(table: CostTable, space: Space, whole: MeasuredLatency) -> tuple[float, float]:
    """Slope, above 0, and offset of the line from sums of layers to what whole networks take."""
    archs = [space.sample(trial_rng(0, number)) for number in range(CALIBRATION)]
    sums = np.array([table.cost(arch) for arch in archs])
    taken = np.array([whole.cost(arch) for arch in archs])
    both = itertools.combinations(range(CALIBRATION), 2)
    pairs = [(i, j) for i, j in both if abs(sums[j] - sums[i]) > 1e-9]
    if not pairs:
        return 1.0, float(np.median(taken - sums))
    # Medians (Theil and Sen): one network that something else held up would tilt a least squares line.
    slope = float(np.median([(taken[j] - taken[i]) / (sums[j] - sums[i]) for i, j in pairs]))
    if slope <= 0:  # noise outweighs what the layers differ by: trust the sum
        return 1.0, float(np.median(taken - sums))
    offset = float(np.median(taken - slope * sums))
    if offset < 0 and sums.min() > 0:  # too steep: no network takes less than nothing
        return float(np.median(taken / sums)), 0.0
    return slope, offset


def _contributions(kept: Mapping[str, Any]) -> list[Contribution]:
    return [
        Contribution(tuple((label, tuple(allowed)) for label, allowed in under), float(milli))
        for _, under, milli in kept["layers"]
    ]


def _read(file: Path, key: str) -> dict[str, Any] | None:
    if not file.exists():
        return None
    try:
        kept = json.loads(file.read_text())
        found: dict[str, Any] | None = kept["table"] if kept["key"] == key else None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise JournalError(
            f"{file} holds no latency table: {error!r}; remove it, or name another cache"
        ) from error
    return found


def _write(file: Path, key: str, kept: dict[str, Any]) -> None:
    write_atomically(file, json.dumps({"key": key, "table": kept}).encode())
