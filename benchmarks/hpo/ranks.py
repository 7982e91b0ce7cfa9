"""Ranks of methods over paired runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np


def mean_ranks(by: Mapping[Any, Mapping[str, float]]) -> dict[str, float]:
    """Mean rank of each method, 1 the best (smallest); equals share their ranks' mean.

    Args:
        by: pair (problem, seed) -> method -> value. Only pairs that every method ran count.
    """
    methods = {method for values in by.values() for method in values}
    collected: dict[str, list[float]] = defaultdict(list)
    for values in by.values():
        if set(values) != methods:
            continue
        numbers = np.array(list(values.values()))
        for method, value in values.items():
            better, equal = int((numbers < value).sum()), int((numbers == value).sum())
            collected[method].append(better + (equal + 1) / 2)
    return {method: float(np.mean(found)) for method, found in collected.items()}
