from __future__ import annotations

import os

from autodl.threads import cpu_threads, thread_environment


def test_cores_are_divided_among_workers():
    assert cpu_threads(10_000) == 1
    assert 1 <= cpu_threads(1) <= (os.cpu_count() or 1)


def test_every_library_is_told_and_idle_threads_do_not_spin():
    environment = thread_environment(3)
    assert environment.pop("OMP_WAIT_POLICY") == "PASSIVE"
    assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"} < set(environment)
    assert set(environment.values()) == {"3"}
