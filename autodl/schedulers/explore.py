"""A config near another one: the explore step of population based training.

Source: M. Jaderberg et al., "Population Based Training of Neural Networks" (2017), section 4.1.1
(perturb and resample).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from autodl.spaces.base import Config, Domain, Value
from autodl.spaces.domains import Int, Real
from autodl.spaces.search_space import SearchSpace

FACTORS = (0.8, 1.2)


def explore(
    space: SearchSpace,
    config: Config,
    rng: np.random.Generator,
    *,
    resample: float = 0.25,
    labels: Collection[str] | None = None,
) -> Config:
    """Perturb a config, within its space.

    Each number is multiplied by 0.8 or 1.2 (cut at the ends of its range; a whole number moves by
    at least 1), or drawn anew with probability `resample`. Choices have no neighbours: they are
    drawn anew with that probability, else kept. What becomes active by another choice is drawn.

    Args:
        space: what the result belongs to.
        config: where to start from, of that space.
        rng: draws.
        resample: probability, for each label, of a new draw from the whole range.
        labels: those that may change; None: all.
    """
    changed: Config = {}
    for parameter in space.parameters:
        label, domain = parameter.label, parameter.domain
        if not parameter.is_active(changed):
            continue
        if label not in config:
            changed[label] = domain.sample(rng)
        elif labels is not None and label not in labels:
            changed[label] = config[label]
        elif rng.random() < resample:
            changed[label] = domain.sample(rng)
        else:
            changed[label] = _perturbed(domain, config[label], FACTORS[int(rng.integers(2))])
    return changed


def _perturbed(domain: Domain, value: Value, factor: float) -> Value:
    if isinstance(domain, Real) and isinstance(value, int | float):
        return min(max(float(f"{value * factor:.10g}"), domain.low), domain.high)
    if isinstance(domain, Int) and isinstance(value, int):
        moved = round(value * factor)
        if moved == value:
            moved += 1 if factor > 1 else -1
        return min(max(moved, domain.low), domain.high)
    return value
