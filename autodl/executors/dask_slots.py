"""Which places a Dask cluster's workers offer: pure arithmetic on what the scheduler tells of them."""

from __future__ import annotations

import itertools
import math
import warnings
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
        device: the GPUs that the worker's trials see, counted on its host, as CUDA_VISIBLE_DEVICES
            has them ("1", "0,1"); None: none are assigned.
    """

    worker: str
    index: int
    device: str | None = None


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


def places_of(
    workers: Mapping[str, Mapping[str, Any]], needs: Resources, devices: Mapping[str, str] | None = None
) -> list[Place]:
    """The places of all workers, one worker's after the other.

    A worker has as many as its declared resources hold trials, at most one a thread; a worker of
    which nothing is asked has one, because trials that share a process disturb each other.

    Args:
        workers: address -> what the scheduler knows: "nthreads", "host", "resources".
        needs: of a trial. "CPU" counts against the worker's declared CPUs; where it declares none,
            it only sets the trial's threads.
        devices: GPUs of each worker, from `Devices`.
    """
    places = []
    for address in sorted(workers):
        declared = workers[address].get("resources") or {}
        asked = {name: need for name, need in needs.items() if name != "CPU" or "CPU" in declared}
        room = [math.floor(declared.get(name, 0.0) / need + 1e-9) for name, need in asked.items()]
        count = min([*room, int(workers[address].get("nthreads", 1))]) if room else 1
        if count > 1 and "GPU" in needs and declared.get("GPU", 0.0) > 1:
            warnings.warn(
                f"the Dask worker {address} declares {declared['GPU']:g} GPUs, and trials of one process "
                "cannot be told to use different ones: it gets one trial at a time, which sees them all. "
                "Start one worker process for each GPU, each with --resources GPU=1",
                RuntimeWarning,
                stacklevel=2,
            )
            count = 1
        device = (devices or {}).get(address) if "GPU" in needs else None
        places += [Place(address, index, device) for index in range(count)]
    return places


class Devices:
    """Which GPUs of its host each worker uses; a worker keeps them while others come and go."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, tuple[int, ...]]] = {}  # worker -> (host, GPUs)

    def assign(self, workers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Give each worker with GPUs the lowest free ones of its host; those that are gone free theirs."""
        for address in self._taken.keys() - workers.keys():
            del self._taken[address]
        for address in sorted(workers):
            count = math.ceil((workers[address].get("resources") or {}).get("GPU", 0.0))
            if count > 0 and address not in self._taken:
                host = str(workers[address].get("host", ""))
                used = {gpu for where, gpus in self._taken.values() if where == host for gpu in gpus}
                free = (gpu for gpu in itertools.count() if gpu not in used)
                self._taken[address] = (host, tuple(itertools.islice(free, count)))
        return {address: ",".join(map(str, gpus)) for address, (_, gpus) in self._taken.items()}
