"""Which places a Dask cluster's workers offer: pure arithmetic on what the scheduler tells of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autodl.errors import OptionError

Resources = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Place:
    """Room for one trial at a time.

    Attributes:
        worker: the worker's address.
        index: of the place on that worker, from 0.
        device: the GPU that the worker's trials use, counted on its host; None: none is assigned.
    """

    worker: str
    index: int
    device: int | None = None


def check_resources(resources: Resources | None) -> dict[str, float]:
    """What a trial needs, as plain numbers.

    Raises:
        OptionError: a need is not a number above 0, or "CPU" is not whole.
    """
    needs = dict(resources or {})
    for name, value in needs.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value <= 0:
            raise OptionError(f"resources[{name!r}] must be a number above 0, got {value!r}")
    if "CPU" in needs and (needs["CPU"] < 1 or needs["CPU"] != int(needs["CPU"])):
        raise OptionError(f"resources['CPU'] counts threads of a trial: a whole number, got {needs['CPU']!r}")
    return needs


def places_of(workers: Mapping[str, Mapping[str, Any]], needs: Resources) -> list[Place]:
    """The places of all workers, one worker's after the other.

    A worker has as many as its declared resources hold trials, at most one a thread; a worker of
    which nothing is asked has one, because trials that share a process disturb each other.

    Args:
        workers: address -> what the scheduler knows: "nthreads", "host", "resources".
        needs: of a trial. "CPU" counts against the worker's declared CPUs; where it declares none,
            it only sets the trial's threads.
    """
    devices = _devices(workers) if "GPU" in needs else {}
    places = []
    for address in sorted(workers):
        declared = workers[address].get("resources") or {}
        asked = {name: need for name, need in needs.items() if name != "CPU" or "CPU" in declared}
        room = [math.floor(declared.get(name, 0.0) / need + 1e-9) for name, need in asked.items()]
        count = min([*room, int(workers[address].get("nthreads", 1))]) if room else 1
        places += [Place(address, index, devices.get(address)) for index in range(count)]
    return places


def _devices(workers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Of each worker with a GPU, its number among those of its host: worker i gets GPU i."""
    counts: dict[str, int] = defaultdict(int)
    devices = {}
    for address in sorted(workers):
        if (workers[address].get("resources") or {}).get("GPU", 0) > 0:
            host = str(workers[address].get("host", ""))
            devices[address] = counts[host]
            counts[host] += 1
    return devices
