"""From one seed to independent streams.

A trial's stream depends on (seed, trial_id) alone, never on finishing order or on a global
generator, so that the same seed gives the same trials on any number of workers.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def trial_rng(seed: int, trial_id: int) -> np.random.Generator:
    """The generator of one trial.

    Args:
        seed: the run's seed, >= 0.
        trial_id: the trial's number, >= 0.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(trial_id,)))


def derive_seed(seed: int, *keys: int | str) -> int:
    """A seed in [0, 2**63) for a named purpose: ``derive_seed(seed, "split")``.

    Different keys give statistically independent streams (``numpy.random.SeedSequence``).
    """
    spawn_key = tuple(zlib.crc32(k.encode()) if isinstance(k, str) else k for k in keys)
    state = np.random.SeedSequence(seed, spawn_key=spawn_key).generate_state(1, np.uint64)
    return int(state[0]) >> 1


def torch_generator(seed: int, *keys: int | str, device: str = "cpu") -> torch.Generator:
    """A torch generator for a named purpose; see `derive_seed`."""
    import torch  # noqa: PLC0415  # `import autodl` must not import torch

    return torch.Generator(device=device).manual_seed(derive_seed(seed, *keys))
