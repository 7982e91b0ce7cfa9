"""CPU threads: how many a process may have, and how libraries are told."""

from __future__ import annotations

import os
import sys

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def cpu_threads(num_workers: int = 1) -> int:
    """Threads for one of ``num_workers`` that share this machine's cores, at least 1.

    Counts the cores this process may use, which containers and ``taskset`` limit.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, num_workers))


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables for a new process whose libraries use so many threads."""
    environment = {name: str(threads) for name in _VARIABLES}
    environment["OMP_WAIT_POLICY"] = "PASSIVE"  # idle OpenMP threads that spin slow small nets 300-fold
    return environment


def set_threads(threads: int | None) -> None:
    """Limit the threads of a job; torch reads the variable when it is imported, later ones need telling."""
    if threads is None:
        return
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
