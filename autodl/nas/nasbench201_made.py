"""A made table in the format of NAS-Bench-201, for tests and tutorials where the real one is absent.

Accuracy follows a planted rule with the real table's rough shape: convolutions on live paths help,
a mixture with one skip connection is best, cells whose output is cut off stay at chance. Numbers from
it say nothing about real networks.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from autodl.checks import check_whole
from autodl.nas.nasbench201_cell import EDGES, SIZE, as_config, network_key, to_string

__all__ = ["made_table"]

_WORTH = {"none": 0.0, "skip_connect": 0.8, "avg_pool_3x3": 0.1, "nor_conv_1x1": 1.2, "nor_conv_3x3": 2.0}
_PEAK = {"cifar10": (10.0, 94.0), "cifar100": (1.0, 73.0), "imagenet16_120": (0.8, 46.0)}
_MACS = {"nor_conv_3x3": 9, "nor_conv_1x1": 1}


def made_table(seed: int = 0, size: int | None = None) -> Any:
    """A pandas DataFrame that `autodl.nas.nasbench201.NASBench201` takes.

    Args:
        seed: of the noise, and of which cells are chosen.
        size: how many of the 15,625 cells, drawn at random; None: all.
    """
    import pandas as pd  # noqa: PLC0415  # only those who make a table need it

    check_whole("size", SIZE if size is None else size)
    rng = np.random.default_rng(seed)
    numbers = np.arange(SIZE) if size is None else np.sort(rng.choice(SIZE, min(size, SIZE), replace=False))
    configs = [as_config(int(number)) for number in numbers]
    quality = np.array([_quality(config) for config in configs])
    macs = np.array([sum(_MACS.get(str(op), 0) for op in config.values()) for config in configs])
    columns: dict[str, Any] = {"arch": [to_string(c) for c in configs]}
    columns["unique_str"] = [network_key(c) for c in configs]
    for dataset, (chance, best) in _PEAK.items():
        columns |= _of_dataset(dataset, chance + (best - chance) * quality, macs, rng)
    return pd.DataFrame(columns)


def _of_dataset(dataset: str, mean: Any, macs: Any, rng: np.random.Generator) -> dict[str, Any]:
    width = len(mean)
    runs = mean[:, None] + rng.normal(0.0, 0.3, (width, 3))
    runs[rng.random(width) < 0.4, 2] = np.nan  # some were trained twice only
    early = 0.7 * mean + rng.normal(0.0, 2.0, width)
    columns = {f"{dataset}_valid_acc_12ep": early, f"{dataset}_test_acc_12ep": early + 0.5}
    columns |= {f"{dataset}_valid_acc_200ep_s{i}": runs[:, i] for i in range(3)}
    columns[f"{dataset}_test_acc_200ep"] = mean + rng.normal(0.0, 0.1, width)
    columns[f"{dataset}_gpu_latency_s"] = 0.008 + 0.0003 * macs
    columns[f"{dataset}_params"] = 70_000 + 27_000 * macs
    columns[f"{dataset}_flops"] = (7_800_000 + 3_900_000 * macs) // (4 if dataset == "imagenet16_120" else 1)
    return columns


def _quality(config: Any) -> float:
    """From 0, cut off, to 1."""
    ops = {edge: str(config[f"edge_{edge[0]}_{edge[1]}"]) for edge in EDGES}
    ways = [((0, 3),), ((0, 1), (1, 3)), ((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3))]
    live = {e for way in ways if all(ops[e] != "none" for e in way) for e in way}
    if not live:
        return 0.0
    worth = sum(_WORTH[ops[edge]] for edge in live)
    pairs = itertools.combinations(sorted(live), 2)
    alike = sum(ops[a] == ops[b] != "nor_conv_3x3" for a, b in pairs)
    return float(1.0 - 0.75 * np.exp(-0.35 * max(worth - 0.4 * alike, 0.0)))
