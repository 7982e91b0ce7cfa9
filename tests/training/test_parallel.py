from __future__ import annotations

import threading

import pytest
import torch

from autodl.training.parallel import map_parallel, torch_threads

CPU = torch.device("cpu")


def test_results_come_in_order_from_several_threads():
    both_there = threading.Barrier(2, timeout=20)
    seen = set()

    def function(number: int) -> int:
        if number < 2:
            both_there.wait()  # passes only if two calls are under way at once
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return number * number

    with torch_threads(2):
        assert list(map_parallel(function, range(20), CPU)) == [n * n for n in range(20)]
        assert torch.get_num_threads() == 2
    assert len(seen) == 2
    assert {threads for _, threads in seen} == {1}


def test_items_are_taken_only_a_little_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    with torch_threads(2):
        results = map_parallel(lambda n: n, items(), CPU)
        next(results)
        assert len(taken) <= 5
        results.close()


def test_an_error_reaches_the_caller_and_threads_are_restored():
    def function(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with torch_threads(2):
        with pytest.raises(ValueError, match="three"):
            list(map_parallel(function, range(10), CPU))
        assert torch.get_num_threads() == 2
