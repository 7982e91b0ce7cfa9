from __future__ import annotations

from typing import Any

import pytest

from autodl.errors import OptionError
from autodl.executors.dask_slots import Devices, Place, check_resources, places_of


def worker(host: str, nthreads: int = 1, **resources: float) -> dict[str, Any]:
    return {"host": host, "nthreads": nthreads, "resources": resources}


def test_a_worker_of_which_nothing_is_asked_has_one_place() -> None:
    assert places_of({"a": worker("h", nthreads=8), "b": worker("h")}, {}) == [Place("a", 0), Place("b", 0)]


def test_half_a_gpu_makes_two_places_on_the_same_device() -> None:
    workers = {"a": worker("h", 4, GPU=1), "b": worker("h", 4, GPU=1), "c": worker("other", 4, GPU=1)}
    assert places_of(workers, {"GPU": 0.5}, Devices().assign(workers)) == [
        Place("a", 0, "0"),
        Place("a", 1, "0"),
        Place("b", 0, "1"),
        Place("b", 1, "1"),
        Place("c", 0, "0"),
        Place("c", 1, "0"),
    ]


def test_workers_keep_their_gpus_while_others_come_and_go() -> None:
    devices = Devices()
    a, b, c = (worker("h", GPU=1) for _ in range(3))
    assert devices.assign({"a": a, "b": b}) == {"a": "0", "b": "1"}
    assert devices.assign({"b": b}) == {"b": "1"}
    assert devices.assign({"aa": c, "b": b}) == {"aa": "0", "b": "1"}
    assert devices.assign({"aa": c, "b": b, "big": worker("h", GPU=2)})["big"] == "2,3"
    assert "none" not in devices.assign({"none": worker("h")})


def test_a_worker_with_several_gpus_has_one_trial_that_sees_them() -> None:
    workers = {"a": worker("h", 4, GPU=2)}
    assert places_of(workers, {"GPU": 2}, {"a": "0,1"}) == [Place("a", 0, "0,1")]
    with pytest.warns(RuntimeWarning, match="one worker process for each GPU"):
        assert places_of(workers, {"GPU": 1}, {"a": "0,1"}) == [Place("a", 0, "0,1")]


def test_the_scarcest_resource_and_the_threads_decide() -> None:
    workers = {"a": worker("h", 8, GPU=1, CPU=6), "b": worker("h", 1, GPU=1, CPU=6), "c": worker("h", 8)}
    places = places_of(workers, {"GPU": 0.25, "CPU": 2})
    assert [(place.worker, place.index) for place in places] == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]


def test_thirds_are_not_lost_to_rounding() -> None:
    assert len(places_of({"a": worker("h", 9, GPU=1)}, {"GPU": 1 / 3})) == 3


@pytest.mark.parametrize("needs", [{"GPU": 0}, {"GPU": -1}, {"GPU": "1"}, {"CPU": 1.5}, {"GPU": True}])
def test_refuses_needs_that_make_no_sense(needs: Any) -> None:
    with pytest.raises(OptionError, match="resources"):
        check_resources(needs)
