"""Run jobs on a Dask cluster: this machine, a scheduler's address, SSH hosts, Slurm, PBS."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autodl.errors import OptionError, WorkerLostError
from autodl.executors.dask_cluster import Connection, Target, connect, queue_cluster, ssh_cluster
from autodl.executors.dask_slots import Place, Resources, check_resources, places_of
from autodl.executors.dask_worker import (
    GRACE_S,
    Shipment,
    collect,
    deliver,
    end_process,
    pack,
    run_shipment,
    unpack,
)
from autodl.executors.functions import PickledFunctions, no_function
from autodl.executors.protocol import Decision, Failed, Finished, Job, Lost, Message, Reported

Handle = Callable[[Message], Decision]

LOOK_S = 1.0
"""How often the cluster is asked which workers it has."""
GONE_S = 2.0
"""How long to wait until workers that were ended are gone."""
OVERDUE_S = 2.0
"""How long past its deadline a worker may take to say that its trial was cut."""


@dataclass(slots=True)
class _Running:
    """An attempt under way."""

    job: Job
    place: Place
    future: Any
    stopping: bool = False


class DaskExecutor:
    """Runs each attempt of a trial as a Dask task, pinned to one worker.

    Workers may join and leave while a search runs: `num_workers` follows, and the trial of one
    that leaves is told `Lost`. Dask itself never repeats an attempt. Reports and answers travel over
    the cluster's own connections, with its TLS. The training function goes by cloudpickle; autodl
    and what the function imports must be installed on the workers. Checkpoints lie in the run's
    directory where a worker sees it; otherwise they travel to the driver with each report.

    A worker process runs one trial at a time, or as many as `resources` and its threads allow. GPU i
    of a host goes to its i-th worker (``CUDA_VISIBLE_DEVICES``, unless it is set already), so
    start one worker process for each GPU.

    Args:
        target: a scheduler's address (``"tcp://head:8786"``, ``"tls://..."``), a
            ``distributed.Client``, a cluster object; None: a cluster of its own on this machine.
        num_workers: with no target, its worker processes; with one, trials at once at most. None:
            all there are.
        resources: what a trial needs of a worker's declared resources: ``{"GPU": 0.5, "CPU": 2}``.
            "CPU" is also the number of a trial's threads.
        security: ``distributed.Security`` for an address with TLS.
        heartbeat_timeout_s: a worker that Dask has not heard of for so long counts as lost.
        wait_s: how long to wait for the scheduler, and for a first worker, before giving up.

    Raises:
        OptionError: an argument is not allowed.

    Example::

        ad.tune(train, metric="accuracy", num_trials=100, executor=ad.DaskExecutor("tcp://head:8786"))
    """

    def __init__(
        self,
        target: Target = None,
        *,
        num_workers: int | None = None,
        resources: Resources | None = None,
        security: Any = None,
        heartbeat_timeout_s: float = 120.0,
        wait_s: float = 60.0,
    ) -> None:
        is_count = isinstance(num_workers, int) and not isinstance(num_workers, bool) and num_workers >= 1
        if num_workers is not None and not is_count:
            raise OptionError(f"num_workers must be a whole number >= 1, got {num_workers!r}")
        self.resources = check_resources(resources)
        self._target, self._most, self._security = target, num_workers, security
        self._heartbeat_timeout_s, self._wait_s = heartbeat_timeout_s, wait_s
        self._connection: Connection | None = None
        self._topic = f"autodl-{uuid.uuid4().hex}"
        self._inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._running: dict[str, _Running] = {}
        self._places: list[Place] = []
        self._looked = -LOOK_S
        self._beats: dict[
            str, tuple[float, float]
        ] = {}  # worker -> (last seen there, when that was new here)
        self._functions = PickledFunctions()
        self._probes: set[Path] = set()
        self._depth = 0

    @classmethod
    def ssh(cls, hosts: Sequence[str], *, resources: Resources | None = None, **options: Any) -> DaskExecutor:
        """On hosts reached by SSH: the scheduler on the first, a worker on each of the others.

        Args:
            hosts: names or addresses, at least two; the first may come twice.
            resources: see the class.
            **options: for ``distributed.SSHCluster``.
        """
        if isinstance(hosts, str) or len(hosts) < 2:
            raise OptionError(f"hosts must be at least two, the scheduler's and a worker's, got {hosts!r}")
        return cls(ssh_cluster(hosts, dict(options)), resources=resources)

    @classmethod
    def slurm(cls, *, num_workers: int, resources: Resources | None = None, **options: Any) -> DaskExecutor:
        """Workers as jobs of a Slurm queue; `options` go to ``dask_jobqueue.SLURMCluster``."""
        return cls(queue_cluster("SLURMCluster", num_workers, options), resources=resources, wait_s=3600.0)

    @classmethod
    def pbs(cls, *, num_workers: int, resources: Resources | None = None, **options: Any) -> DaskExecutor:
        """Workers as jobs of a PBS queue; `options` go to ``dask_jobqueue.PBSCluster``."""
        return cls(queue_cluster("PBSCluster", num_workers, options), resources=resources, wait_s=3600.0)

    # ------------------------------------------------------------------ Executor

    @property
    def num_workers(self) -> int:
        """How many trials can run at once now; waits for a first worker where there is none.

        Raises:
            WorkerLostError: none came in time; the run's journal is complete, and can be resumed.
        """
        until = time.monotonic() + self._wait_s
        while not self._look():
            if time.monotonic() >= until:
                raise WorkerLostError(
                    f"the Dask cluster has had no worker for a trial in {self._wait_s:g} s (a trial "
                    f"needs {self.resources or 'one thread'}): start workers, and go on with resume=True"
                )
            if self._running:  # their loss has to be told first
                return len(self._running)
            time.sleep(0.2)
        return len(self._places)

    def submit(self, job: Job) -> None:
        """Give the job to a free place.

        Raises:
            RuntimeError: all places are taken.
        """
        self._look()
        taken = {running.place for running in self._running.values()}
        place = next((place for place in self._places if place not in taken), None)
        if place is None:
            raise RuntimeError(f"all {len(self._places)} places are taken")
        threads = int(self.resources["CPU"]) if "CPU" in self.resources else job.threads
        token, function = self._functions.pickled(job.function)
        shipment = Shipment(
            key=f"{self._topic}-{job.trial_id}-{job.attempt}-{uuid.uuid4().hex[:8]}",
            topic=self._topic,
            job=replace(job, function=no_function, threads=threads),
            token=f"{self._topic}-{token}",
            function=function,
            probe=str(self._probe(job.checkpoint_dir)),
            files=pack(job.checkpoint_dir),
            device=place.device,
        )
        future = self._client().submit(
            run_shipment,
            shipment,
            key=shipment.key,
            pure=False,
            retries=0,
            workers=[place.worker],
            allow_other_workers=False,  # were the worker lost, Dask would repeat the attempt elsewhere
        )
        self._running[shipment.key] = _Running(job, place, future)
        future.add_done_callback(lambda _: self._inbox.put({"kind": "done", "key": shipment.key}))

    def poll(self, handle: Handle, timeout_s: float) -> None:
        """Hand over what came, waiting up to `timeout_s` for the first message."""
        until = time.monotonic() + timeout_s
        while True:
            if self._connection is not None:
                self._look()
                if self._give_up_lost(handle):
                    return
            try:
                event = self._inbox.get(timeout=min(0.2, max(0.0, until - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= until:
                    return
                continue
            if self._on_event(event, handle):
                return

    def stop(self, trial_id: int) -> None:
        """End a running job at its next report; one past its deadline is cut by its worker."""
        for running in self._running.values():
            running.stopping |= running.job.trial_id == trial_id

    def shutdown(self, *, kill: bool = False) -> None:
        """Free the cluster: close what the executor made, leave the user's own running."""
        if self._connection is None:
            return
        if not kill:
            while self._running:
                self.poll(lambda message: Decision.STOP, 0.1)
        self._leave_jobs()
        for topic in (self._topic, "all"):  # or the scheduler would tell a client that it is leaving
            self._connection.client.unsubscribe_topic(topic)
        self._connection.close()
        self._connection = None
        for probe in self._probes:
            probe.unlink(missing_ok=True)
        self._probes.clear()
        self._places, self._looked = [], -LOOK_S

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Free the cluster; inside an outer ``with`` of the same executor only the busy workers."""
        self._depth -= 1
        if self._depth == 0:
            self.shutdown(kill=True)
        elif self._connection is not None:
            self._leave_jobs()

    # ------------------------------------------------------------------ messages

    def _on_event(self, event: dict[str, Any], handle: Handle) -> bool:
        """Act on an event of a worker or of a future; True if the driver was told something."""
        kind, key = event.pop("kind"), event.pop("key")
        running = self._running.get(key)
        if running is None:
            if kind == "reported":  # an attempt that was given up
                self._answer(str(event["worker"]), key, Decision.STOP)
            return False
        if kind == "done":
            return self._on_done(key, running, handle)
        if event.pop("files"):
            self._fetch_files(key, running)
        if kind == "reported":
            decision = handle(Reported(**event))
            self._answer(running.place.worker, key, Decision.STOP if running.stopping else decision)
            return True
        del self._running[key]
        if kind == "failed":
            handle(Failed(**event))
            return True
        finished = Finished(**{**event, "decision": Decision(event["decision"])})
        if finished.worker == "abandoned":  # its thread goes on, whatever it does: a new process is needed
            self._restart([running.place.worker])
        handle(finished)
        return True

    def _on_done(self, key: str, running: _Running, handle: Handle) -> bool:
        """A task is over for Dask; if its end was not told before, it was not the trial's doing."""
        status = running.future.status
        if status == "finished":  # the event comes over the same connections, maybe a moment later
            return False
        error = running.future.exception(timeout=5) if status == "error" else status
        self._lose(key, running, f"the Dask task ended: {error}", handle)
        return True

    def _lose(self, key: str, running: _Running, reason: str, handle: Handle) -> None:
        del self._running[key]
        self._cancel([running.future])
        handle(Lost(running.job.trial_id, running.job.attempt, f"{running.place.worker}: {reason}"))

    def _give_up_lost(self, handle: Handle) -> bool:
        """Tell of trials whose worker is gone, or did not cut them at their deadline."""
        workers = {place.worker for place in self._places}
        told = False
        for key, running in list(self._running.items()):
            deadline = running.job.deadline
            if running.place.worker not in workers:
                self._lose(key, running, "the worker is gone", handle)
            elif deadline is not None and time.time() >= deadline + GRACE_S + OVERDUE_S:
                del self._running[key]
                self._restart([running.place.worker])
                handle(
                    Finished(running.job.trial_id, running.job.attempt, Decision.STOP, running.place.worker)
                )
            else:
                continue
            told = True
        return told

    # ------------------------------------------------------------------ cluster

    def _client(self) -> Any:
        if self._connection is None:
            self._connection = connect(
                self._target, num_workers=self._most, security=self._security, timeout_s=self._wait_s
            )
            self._listen(self._connection.client)
        return self._connection.client

    def _listen(self, client: Any) -> None:
        client.subscribe_topic(self._topic, lambda event: self._inbox.put(dict(event[1])))
        client.subscribe_topic("all", self._on_cluster_event)

    def _on_cluster_event(self, event: Any) -> None:
        """Workers joined or left: look at once."""
        self._looked = -LOOK_S
        self._inbox.put({"kind": "look", "key": ""})

    def _look(self) -> list[Place]:
        """The places there are now; asked of the scheduler once in a while."""
        if time.monotonic() - self._looked < LOOK_S:
            return self._places
        client = self._client()
        self._looked = time.monotonic()
        try:
            workers = dict(client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, TimeoutError, ValueError, RuntimeError):
            self._reconnect()
            workers = {}
        alive = {address: told for address, told in workers.items() if self._is_heard(address, told)}
        self._places = places_of(alive, self.resources)[: self._most if self._target is not None else None]
        return self._places

    def _is_heard(self, address: str, told: Any) -> bool:
        """False once a worker's heartbeat has been the same for too long (by this machine's clock)."""
        seen, now = float(told.get("last_seen", 0.0)), time.monotonic()
        last = self._beats.get(address)
        if last is None or last[0] != seen:
            self._beats[address] = (seen, now)
            return True
        return now - last[1] < self._heartbeat_timeout_s

    def _reconnect(self) -> None:
        """The scheduler is lost: its workers' trials are, too. A new one at the same address will do."""
        connection = self._connection
        if connection is None or connection.address is None:
            return
        connection.client.close(timeout=0)
        from distributed import Client  # noqa: PLC0415  # Dask is loaded by now

        try:
            client = Client(connection.address, security=self._security, timeout=2, set_as_default=False)
        except (OSError, TimeoutError):
            return  # the next look tries again
        self._connection = Connection(client, connection.address, [client])
        self._listen(client)

    def _answer(self, worker: str, key: str, decision: Decision) -> None:
        try:
            self._client().run(deliver, key, decision.value, workers=[worker])
        except Exception:  # whatever Dask raises about a worker that is gone
            self._looked = -LOOK_S  # the worker is gone; the next look tells

    def _fetch_files(self, key: str, running: _Running) -> None:
        """Bring the files of a trial whose worker does not see the run's directory."""
        try:
            packed = self._client().run(collect, key, workers=[running.place.worker])
        except Exception:  # as above: the next look tells that the worker is gone
            return
        for files in packed.values():
            if files is not None:
                unpack(files, running.job.checkpoint_dir)

    def _probe(self, folder: Path) -> Path:
        """A file beside the trials' folders by which a worker knows that it sees them."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        probe = folder.parent / f".{self._topic}"
        if probe not in self._probes:
            probe.touch()
            self._probes.add(probe)
        return probe

    def _leave_jobs(self) -> None:
        """Give up what runs; workers of a cluster that goes on are started anew."""
        left = list(self._running.values())
        self._running.clear()
        self._cancel([running.future for running in left])
        if left:
            self._restart(sorted({running.place.worker for running in left}))

    def _cancel(self, futures: list[Any]) -> None:
        try:
            self._client().cancel(futures, force=True)
        except (OSError, TimeoutError, RuntimeError):
            pass  # nobody is there to run them either

    def _restart(self, workers: list[str]) -> None:
        """Start worker processes anew; those without a nanny are left to end by themselves."""
        try:
            self._client().run(end_process, workers=workers)
        except Exception:  # whatever Dask raises about a worker that is gone
            pass
        until = time.monotonic() + GONE_S
        while time.monotonic() < until:  # a job given to one that is about to end would be lost
            self._looked = -LOOK_S
            if not {place.worker for place in self._look()} & set(workers):
                return
            time.sleep(0.02)

    def __repr__(self) -> str:
        where = "its own cluster" if self._target is None else repr(self._target)
        return f"DaskExecutor({where}, resources={self.resources})"
