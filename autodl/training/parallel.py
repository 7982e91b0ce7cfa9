"""Inference on several cores: one batch a core, not one batch over all cores.

Threads inside a kernel wait for each other at its end, several times a layer. On a machine that does
other things as well, each wait lasts until the slowest of them gets a turn: two such threads were
measured at a tenth of the speed of one. Batches on threads of their own wait for nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2  # batches under way for each thread: enough to keep them busy, few enough to fit in memory


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Inside, torch's kernels use that many threads; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def map_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Iterator[Result]:
    """``map(function, items)`` on as many threads as torch may use, results in order.

    The results do not depend on the number of threads. On a GPU it is a plain map.

    Args:
        function: called from several threads at once; sets ``inference_mode`` itself, which is a
            thread's own.
        items: taken as needed.
        device: where `function` computes.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield from map(function, items)
        return
    with torch_threads(1):
        pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
