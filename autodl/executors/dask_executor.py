"""Run jobs on a Dask cluster: this machine, a scheduler's address, SSH hosts, Slurm, PBS."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from autodl.checks import check_whole
from autodl.errors import OptionError, WorkerLostError
from autodl.executors.dask_cluster import Target, queue_cluster, ssh_cluster
from autodl.executors.dask_link import Link, LinkOptions
from autodl.executors.dask_shipper import Running, Shipper
from autodl.executors.dask_slots import Resources, check_resources
from autodl.executors.dask_worker import ABANDONED, GRACE_S, deliver
from autodl.executors.joblib_pool import check_limit
from autodl.executors.protocol import Decision, Failed, Finished, Job, Lost, Message, Reported

Handle = Callable[[Message], Decision]

OVERDUE_S = 2.0
"""How long past its deadline a worker may take to say that its trial was cut."""
END_S = 10.0
"""How long after the end of a task its trial's last message may come."""


class DaskExecutor:
    """Runs each attempt of a trial as a Dask task, pinned to one worker.

    Workers may join and leave while a search runs: `num_workers` follows, and the trial of one
    that leaves is told `Lost`. Dask itself never repeats an attempt. Reports and answers travel over
    the cluster's own connections, with its TLS. The training function goes by cloudpickle; autodl
    and what the function imports must be installed on the workers. Checkpoints lie in the run's
    directory where a worker sees it; otherwise they travel to the driver with each report.

    A worker process runs one trial at a time, or as many as `resources` and its threads allow. Each
    worker that declares a GPU is given one of its host's (``CUDA_VISIBLE_DEVICES``, unless it is
    set already), so start one worker process for each GPU.

    Args:
        target: a scheduler's address (``"tcp://head:8786"``, ``"tls://..."``), a
            ``distributed.Client``, a cluster object; None: a cluster of its own on this machine.
        num_workers: with no target, its worker processes; with one, trials at once at most. None:
            all there are.
        resources: what a trial needs of a worker's declared resources: ``{"GPU": 0.5, "CPU": 2}``.
            "CPU" is also the number of a trial's threads.
        security: ``distributed.Security`` for an address with TLS.
        heartbeat_timeout_s: a worker that Dask has not heard of for so many seconds counts as lost
            until it is heard again; a stopped process, or a C call that holds the interpreter's lock.
            None: no such check of its own (Dask's own is ``distributed.scheduler.worker-ttl``).
        wait_s: how long to wait for the scheduler, and for a worker where there is none, at the start
            and whenever all are lost. Then the run ends with what it has, and can be resumed.

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
        heartbeat_timeout_s: float | None = 120.0,
        wait_s: float = 60.0,
    ) -> None:
        if num_workers is not None:
            check_whole("num_workers", num_workers)
        check_limit("heartbeat_timeout_s", heartbeat_timeout_s)
        check_limit("wait_s", wait_s)
        self.resources = check_resources(resources)
        self._target = target
        self._link = Link(
            target, LinkOptions(self.resources, num_workers, security, heartbeat_timeout_s, wait_s)
        )
        self._shipper = Shipper(self._link, self.resources)
        self._running: dict[str, Running] = {}
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
        """How many trials can run at once now; 0 while a cluster has no workers."""
        return len(self._link.places())

    def submit(self, job: Job) -> None:
        """Give the job to a free place.

        Raises:
            RuntimeError: all places are taken.
        """
        places = self._link.places()
        taken = {running.place for running in self._running.values()}
        place = next((place for place in places if place not in taken), None)
        if place is None:
            raise RuntimeError(f"all {len(places)} places are taken")
        key, running = self._shipper.running(job, place)
        self._running[key] = running
        self._shipper.ship(key, running)

    def poll(self, handle: Handle, timeout_s: float) -> None:
        """Hand over what came, waiting up to `timeout_s` for the first message.

        Raises:
            WorkerLostError: the cluster has had no worker for too long; the run can be resumed.
        """
        until = time.monotonic() + timeout_s
        while True:
            if self._link.is_open:
                self._link.places()
                if self._give_up_lost(handle):
                    return
                self._link.check_company()
            try:
                event = self._link.inbox.get(timeout=min(0.2, max(0.0, until - time.monotonic())))
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
        if not self._link.is_open:
            return
        if not kill:
            while self._running:
                self.poll(lambda message: Decision.STOP, 0.1)
        self._leave_jobs()
        self._link.close()
        self._shipper.close()

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
        elif self._link.is_open:
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
        if kind == "unreachable":
            self._lose(key, running, event["reason"], handle)
            return True
        run, has_files = event.pop("run"), event.pop("files")
        if running.run not in (None, run):
            self._lose(key, running, "the worker died, and Dask repeated the trial by itself", handle)
            return True
        running.run = run
        try:
            if has_files:
                self._shipper.fetch(key, running, is_last=kind != "reported")
        except WorkerLostError as error:  # what it reports is not backed by its files
            self._lose(key, running, str(error), handle)
            return True
        if kind == "reported":
            self._on_report(key, running, Reported(**event), handle)
        else:
            self._on_end(kind, key, event, handle)
        return True

    def _on_report(self, key: str, running: Running, report: Reported, handle: Handle) -> None:
        decision = handle(report)
        self._answer(report.worker, key, Decision.STOP if running.stopping else decision)

    def _on_end(self, kind: str, key: str, event: dict[str, Any], handle: Handle) -> None:
        running = self._running.pop(key)
        if kind == "failed":
            handle(Failed(**event))
        elif kind == "lost":
            self._link.forget(running.place.worker)
            handle(Lost(**event))
        else:
            finished = Finished(**{**event, "decision": Decision(event["decision"])})
            if finished.worker == ABANDONED:  # its thread goes on, whatever it does: a new process is needed
                self._link.restart([running.place.worker])
            handle(finished)

    def _on_done(self, key: str, running: Running, handle: Handle) -> bool:
        """A task is over for Dask; if its end was not told before, it was not the trial's doing."""
        status = running.future.status
        if status == "finished":  # the event comes over the same connections, maybe a moment later
            running.done_at = time.monotonic()
            return False
        error = running.future.exception(timeout=5) if status == "error" else status
        self._lose(key, running, f"the Dask task ended: {error}", handle)
        return True

    def _lose(self, key: str, running: Running, reason: str, handle: Handle) -> None:
        del self._running[key]
        self._link.cancel([running.future])
        self._link.suspect(running.place.worker)
        handle(Lost(running.job.trial_id, running.job.attempt, f"{running.place.worker}: {reason}"))

    def _give_up_lost(self, handle: Handle) -> bool:
        """Tell of trials whose worker is gone or hangs, or did not cut them at their deadline."""
        workers = {place.worker for place in self._link.places()}
        told = False
        for key, running in list(self._running.items()):
            deadline, worker = running.job.deadline, running.place.worker
            if worker not in workers:
                self._link.end_silent(worker)
                self._lose(key, running, "the worker is gone, or gave no sign of life for too long", handle)
            elif running.done_at is not None and time.monotonic() - running.done_at > END_S:
                self._lose(key, running, "the trial's end was not told", handle)
            elif deadline is not None and time.time() >= deadline + GRACE_S + OVERDUE_S:
                del self._running[key]
                self._link.restart([worker])
                handle(Finished(running.job.trial_id, running.job.attempt, Decision.STOP, worker))
            else:
                continue
            told = True
        return told

    def _answer(self, worker: str, key: str, decision: Decision) -> None:
        self._link.send(key, worker, deliver, key, decision.value)

    def _leave_jobs(self) -> None:
        """Give up what runs; workers of a cluster that goes on are started anew."""
        left = list(self._running.values())
        self._running.clear()
        if left:
            self._link.cancel([running.future for running in left])
            self._link.restart(sorted({running.place.worker for running in left}))

    def __repr__(self) -> str:
        where = "its own cluster" if self._target is None else repr(self._target)
        return f"DaskExecutor({where}, resources={self.resources})"
