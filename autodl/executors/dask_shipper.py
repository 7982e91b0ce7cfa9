"""Attempts on their way to Dask workers, and their files on the way back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autodl.executors.dask_files import pack, unpack
from autodl.executors.dask_link import Link
from autodl.executors.dask_slots import Place
from autodl.executors.dask_worker import Shipment, collect, run_shipment
from autodl.executors.functions import PickledFunctions, no_function
from autodl.executors.protocol import Job


@dataclass(slots=True)
class Running:
    """An attempt under way.

    Attributes:
        job: what runs.
        place: where.
        future: of the Dask task; None: not handed over.
        stopping: it shall end at its next report.
        run: drawn anew by each start of the task: Dask starts one again if a worker comes back.
        done_at: when Dask said that the task is over.
    """

    job: Job
    place: Place
    future: Any = None
    stopping: bool = False
    run: str | None = None
    done_at: float | None = None


class Shipper:
    """Hands attempts to Dask, each pinned to its place, and brings files that a worker keeps.

    Args:
        link: to the cluster.
        resources: what a trial needs.
    """

    def __init__(self, link: Link, resources: Mapping[str, float]) -> None:
        self._link, self._resources = link, resources
        self._functions = PickledFunctions()
        self._probes: set[Path] = set()

    def running(self, job: Job, place: Place) -> tuple[str, Running]:
        """A key that no other attempt has, and the attempt, not yet shipped."""
        key = f"{self._link.topic}-{job.trial_id}-{job.attempt}-{uuid.uuid4().hex[:8]}"
        return key, Running(job, place)

    def ship(self, key: str, running: Running) -> None:
        """Hand an attempt to Dask; if that fails, an event "unreachable" tells.

        Raises:
            OptionError: the function cannot be pickled.
        """
        job, worker = running.job, running.place.worker
        inbox = self._link.inbox
        threads = int(self._resources["CPU"]) if "CPU" in self._resources else job.threads
        number, function = self._functions.pickled(job.function)
        shipment = Shipment(
            key=key,
            topic=self._link.topic,
            job=replace(job, function=no_function, threads=threads),
            token=f"{self._link.topic}-{number}",
            probe=str(self._probe(job.checkpoint_dir)),
            files=pack(job.checkpoint_dir),
            device=running.place.device,
        )
        try:
            self._link.give_function(worker, shipment.token, function)
            running.future = self._link.client.submit(
                run_shipment,
                shipment,
                key=key,
                pure=False,
                retries=0,
                workers=[worker],
                allow_other_workers=False,  # were the worker lost, Dask would repeat the attempt elsewhere
            )
        except (OSError, RuntimeError) as error:  # the worker or the scheduler is gone
            inbox.put({"kind": "unreachable", "key": key, "reason": str(error)})
            return
        running.future.add_done_callback(lambda _: inbox.put({"kind": "done", "key": key}))

    def fetch(self, key: str, running: Running, *, is_last: bool) -> None:
        """Bring the files of a trial whose worker does not see the run's directory.

        Raises:
            WorkerLostError: the worker does not answer.
        """
        packed = self._link.call(running.place.worker, collect, key, is_last)
        if packed is not None:
            unpack(packed, running.job.checkpoint_dir)

    def _probe(self, folder: Path) -> Path:
        """A file beside the trials' folders by which a worker knows that it sees them."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        probe = folder.parent / f".{self._link.topic}"
        if probe not in self._probes:
            probe.touch()
            self._probes.add(probe)
        return probe

    def close(self) -> None:
        """Remove the probes."""
        for probe in self._probes:
            probe.unlink(missing_ok=True)
        self._probes.clear()
