"""What the compiled ops share: the compiler's options, and the simplest loops.

Nothing here or in the kernels beside it is cached by itself: one function, `run_batch` in
`numba_kernels`, is, and its cache knows the text of all of these files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

F32 = np.float32
ZERO, FULL = F32(0), F32(255)


def compiled(function: Callable[..., Any]) -> Any:
    """A function that others of its kind may call; it is compiled into them."""
    return njit(nogil=True, error_model="numpy")(function)


@compiled
def copy(src, dst):  # type: ignore[no-untyped-def]
    """All bytes."""
    # numba compiles `dst[:] = src` to a slower loop, and takes longer over it.
    for i in range(src.size):
        dst[i] = src[i]


@compiled
def clear(dst):  # type: ignore[no-untyped-def]
    """Black."""
    for i in range(dst.size):
        dst[i] = 0
