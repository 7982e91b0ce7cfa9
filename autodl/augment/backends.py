"""Which implementation of the ops runs."""

from __future__ import annotations

from torch import Tensor

from autodl.augment.numba_ops import numba_ops
from autodl.augment.torch_ops import torch_ops
from autodl.errors import UnknownNameError

BACKENDS = ("auto", "torch", "numba", "pil")


def run_ops(images: Tensor, ops: Tensor, magnitudes: Tensor, places: Tensor | None, backend: str) -> Tensor:
    """`apply_ops` on checked arguments."""
    if backend not in BACKENDS:
        raise UnknownNameError("backend", backend, BACKENDS)
    if backend == "numba":
        return numba_ops(images, ops, magnitudes, places)
    return torch_ops(images, ops, magnitudes, places)
