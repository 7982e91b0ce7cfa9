"""Where an acquisition function is looked at, and how its best point is found.

Random points, neighbours of the best trials, then neighbours of the best of those at ever
smaller steps: needs no gradient, so it serves forests and conditional spaces alike.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from autodl.searchers.features import Features, Rows, stack
from autodl.searchers.unseen import Unseen

_LISTED = 1000  # finite spaces of so many configs are looked through entirely
_RANDOM = 1000
_NEIGHBOURS = 40
_KEPT = 5
_SCALES = (0.05, 0.015, 0.005, 0.0015)
_LOOKS = 100  # points looked at before giving up on one that was not tried yet


def candidate_rows(unseen: Unseen, features: Features, good: Rows, rng: np.random.Generator) -> Rows:
    """Canonical rows to start from: (n, dim).

    Args:
        unseen: knows the space, and what of it was tried.
        features: makes rows canonical.
        good: (k, dim), rows of the best trials so far.
        rng: where random rows come from.
    """
    if unseen.size is not None and unseen.size <= _LISTED:
        rest = [features.encode(config) for config in unseen.space.enumerate() if config in unseen]
        return stack(rest, features.dim)
    anywhere, _ = features.canonical(rng.random((_RANDOM, features.dim)))
    near = [features.vary(good, _NEIGHBOURS, scale, rng) for scale in (0.2, 0.05, 0.01)]
    return np.vstack([anywhere, *near])


def best_unseen(
    value: Callable[[Rows], Rows], rows: Rows, features: Features, unseen: Unseen, rng: np.random.Generator
) -> Rows | None:
    """The row of highest value that was not tried yet, searched for from given ones.

    Args:
        value: the acquisition: (n, dim) -> (n,).
        rows: (n, dim), canonical.
        features: makes rows canonical and reads them back.
        unseen: says what was tried.
        rng: where steps come from.

    Returns:
        row: (dim,); None if all that was looked at was tried already.
    """
    values = value(rows)
    is_listed = unseen.size is not None and unseen.size <= _LISTED
    for scale in () if is_listed else _SCALES:
        top = rows[np.argsort(-values, kind="stable")[:_KEPT]]
        around = features.vary(top, _NEIGHBOURS, scale, rng)
        rows, values = np.vstack([rows, around]), np.concatenate([values, value(around)])
    for position in np.argsort(-values, kind="stable")[:_LOOKS]:
        if features.decode(rows[position]) in unseen:
            found: Rows = rows[position]
            return found
    return None
