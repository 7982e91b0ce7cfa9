"""The driver's line to a Dask cluster: which places it has, calls to its workers, what they tell."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autodl.errors import WorkerLostError
from autodl.executors.dask_cluster import Connection, Target, connect, reconnect
from autodl.executors.dask_slots import Devices, Place, places_of
from autodl.executors.dask_worker import keep_function, kill_worker

LOOK_S = 1.0
"""How often the cluster is asked which workers it has."""
CALL_S = 20.0
"""How long a worker may take to answer a call; a stopped process would never."""
ASK_S = 5.0
"""How long a scheduler may take to say which workers it has."""
GONE_S = 3.0
"""How long to wait until workers that were ended are gone."""
SILENT = (OSError, TimeoutError, ValueError, RuntimeError)
"""What Dask raises when the scheduler does not answer."""


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How `Link` treats a cluster; see `DaskExecutor`."""

    needs: dict[str, float]
    num_workers: int | None
    security: Any
    heartbeat_timeout_s: float | None
    wait_s: float


class Link:
    """A connection that finds its scheduler again, and a view of the cluster's workers.

    Args:
        target: see `DaskExecutor`.
        options: how to treat it.
    """

    def __init__(self, target: Target, options: LinkOptions) -> None:
        self._target, self._options = target, options
        self.topic = f"autodl-{uuid.uuid4().hex}"
        self.inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._places: list[Place] = []
        self._looked = -LOOK_S
        self._lonely_since: float | None = None
        self._beats: dict[str, tuple[float, float]] = {}  # worker -> (last beat there, when it was new here)
        self._scheduler: str | None = None  # its id: one that was started anew has another
        self._silent: set[str] = set()
        self._suspects: dict[str, float | None] = {}  # worker that lost a trial -> its last beat since then
        self._known: dict[str, str] = {}  # worker -> token of the function it has
        self._devices = Devices()

    @property
    def is_open(self) -> bool:
        """True while there is a connection, or an attempt to get it back."""
        return self._connection is not None

    @property
    def client(self) -> Any:
        """The ``distributed.Client``; connects at the first use.

        Raises:
            WorkerLostError: nobody answers at the address.
        """
        if self._connection is None:
            options = self._options
            try:
                self._connection = connect(
                    self._target,
                    num_workers=options.num_workers,
                    security=options.security,
                    timeout_s=options.wait_s,
                )
            except OSError as error:
                raise WorkerLostError(f"no Dask scheduler at {self._target}: {error}") from error
            self._listen(self._connection.client)
        return self._connection.client

    # ------------------------------------------------------------------ places

    def look_again(self) -> None:
        """Something may have changed: ask at the next look."""
        self._looked = -LOOK_S

    def places(self) -> list[Place]:
        """The places there are now; asked of the scheduler once in a while."""
        if time.monotonic() - self._looked < LOOK_S:
            return self._places
        now = self._looked = time.monotonic()  # events of another thread reset the latter, now or meanwhile
        identity = self._identity()
        if identity is None:
            self._reconnect()
        workers = {} if identity is None else dict(identity["workers"])
        heard = {address: told for address, told in workers.items() if self._is_heard(address, told)}
        self._silent = workers.keys() - heard.keys()
        self._suspects = {address: beat for address, beat in self._suspects.items() if address in workers}
        alive = {address: told for address, told in heard.items() if not self._is_suspect(address, told)}
        for address in self._known.keys() - alive.keys():
            del self._known[address]
        most = None if self._target is None else self._options.num_workers
        self._places = places_of(alive, self._options.needs, self._devices.assign(alive))[:most]
        if self._places:
            self._lonely_since = None
        elif self._lonely_since is None:
            self._lonely_since = now
        return self._places

    def _identity(self) -> dict[str, Any] | None:
        """What the scheduler tells of itself; None if it is lost, or another has taken its place.

        A client finds its scheduler again by itself, but not what it subscribed to; meanwhile
        ``client.scheduler_info`` repeats what it told before.
        """
        client = self.client
        if client.status != "running" or client.scheduler is None:
            return None
        try:
            told: dict[str, Any] = client.sync(
                client.scheduler.identity, n_workers=-1, callback_timeout=ASK_S
            )
        except SILENT:
            return None
        if self._scheduler not in (None, told["id"]):
            return None
        self._scheduler = told["id"]
        return told

    def check_company(self) -> None:
        """Give up on a cluster that has had no place for a trial for too long.

        Raises:
            WorkerLostError: nobody came in time.
        """
        wait_s = self._options.wait_s
        if self._lonely_since is not None and time.monotonic() - self._lonely_since >= wait_s:
            self._lonely_since = None  # a next run waits anew
            raise WorkerLostError(
                f"the Dask cluster has had no worker for a trial in {wait_s:g} s (a trial needs "
                f"{self._options.needs or 'a worker of its own'}): start the scheduler and workers, and go "
                "on with resume=True"
            )

    def _is_heard(self, address: str, told: Any) -> bool:
        """False once a worker's last beat has been the same for too long (by this machine's clock)."""
        seen, now = float(told.get("last_seen", 0.0)), time.monotonic()
        last = self._beats.get(address)
        if last is None or last[0] != seen:
            self._beats[address] = (seen, now)
            return True
        timeout_s = self._options.heartbeat_timeout_s
        return timeout_s is None or now - last[1] < timeout_s

    def suspect(self, worker: str) -> None:
        """A trial was lost there: no place until it beats again, for the scheduler may not know yet."""
        self._suspects[worker] = None
        self.look_again()

    def _is_suspect(self, address: str, told: Any) -> bool:
        if address not in self._suspects:
            return False
        beat, seen = self._suspects[address], float(told.get("last_seen", 0.0))
        if beat is None or beat == seen:
            self._suspects[address] = seen
            return True
        del self._suspects[address]
        return False

    # ------------------------------------------------------------------ calls

    def call(self, worker: str, function: Callable[..., Any], *arguments: Any, nanny: bool = False) -> Any:
        """The function's result on a worker.

        Raises:
            WorkerLostError: it did not answer in time, or is gone.
        """
        client = self.client
        try:
            told = client.sync(
                client._run,  # ``client.run`` knows no timeout
                function,
                *arguments,
                workers=[worker],
                nanny=nanny,
                callback_timeout=CALL_S,
            )
        except Exception as error:  # whatever Dask raises about a worker that is gone
            self.look_again()
            raise WorkerLostError(f"{worker} does not answer: {error!r}") from error
        return next(iter(told.values()), None)

    def send(self, key: str, worker: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function on a worker without waiting; a failure comes as an event "unreachable".

        A worker that takes the message and hangs is nobody's business here: its silence tells.
        """
        client = self.client

        async def run() -> None:
            try:
                await client._run(function, *arguments, workers=[worker])
            except Exception as error:  # whatever Dask raises about a worker that is gone
                self.look_again()
                self.inbox.put({"kind": "unreachable", "key": key, "reason": f"does not answer: {error!r}"})

        try:
            client.loop.add_callback(run)
        except RuntimeError:  # the client was closed: the next look tells
            self.look_again()

    def give_function(self, worker: str, token: str, function: bytes) -> None:
        """Send a function once to each worker.

        Raises:
            WorkerLostError: the worker is gone.
        """
        if self._known.get(worker) != token:
            self.call(worker, keep_function, token, function)
            self._known[worker] = token

    def forget(self, worker: str) -> None:
        """Another process answers at the worker's address: it has no function."""
        self._known.pop(worker, None)

    def cancel(self, futures: list[Any]) -> None:
        """Let Dask forget tasks."""
        if self.client.status != "running":
            return
        try:
            self.client.cancel([future for future in futures if future is not None], force=True)
        except (*SILENT, WorkerLostError):
            pass  # nobody is there to run them either

    def end_silent(self, worker: str) -> None:
        """Kill a worker's process if it is there and gives no sign of life; its nanny does it."""
        if worker in self._silent:
            try:
                self.call(worker, kill_worker, nanny=True)
            except WorkerLostError:
                pass  # it has no nanny, or its host is gone

    def restart(self, workers: list[str]) -> None:
        """Kill worker processes, whatever they do; their nannies start new ones.

        One without a nanny is left to end by itself: nothing would bring it back.
        """
        killed = set()
        for worker in workers:
            try:
                self.call(worker, kill_worker, nanny=True)
            except WorkerLostError:
                continue
            killed.add(worker)
        until = time.monotonic() + GONE_S
        while killed and time.monotonic() < until:  # a job given to one that is about to end would be lost
            self.look_again()
            if not {place.worker for place in self.places()} & killed:
                return
            time.sleep(0.02)

    # ------------------------------------------------------------------ the connection

    def _listen(self, client: Any) -> None:
        client.subscribe_topic(self.topic, lambda event: self.inbox.put(dict(event[1])))
        client.subscribe_topic("all", self._on_cluster_event)

    def _on_cluster_event(self, event: Any) -> None:
        """Workers joined or left: look at once."""
        self.look_again()
        self.inbox.put({"kind": "look", "key": ""})

    def _reconnect(self) -> None:
        """The scheduler is lost: its workers' trials are, too. A new one at the same address will do."""
        again = None if self._connection is None else reconnect(self._connection)
        if again is not None:
            self._connection, self._scheduler = again, None
            self._known.clear()
            self._beats.clear()
            self._suspects.clear()
            self._listen(again.client)

    def close(self) -> None:
        """Close what the executor made, leave the user's own running."""
        if self._connection is None:
            return
        for topic in (self.topic, "all"):  # or the scheduler would tell a client that it is leaving
            try:
                self._connection.client.unsubscribe_topic(topic)
            except Exception:  # whatever Dask raises about a scheduler that is gone
                pass
        self._connection.close()
        self._connection = self._scheduler = None
        self._places = []
        self._known.clear()
        self._beats.clear()
        self._suspects.clear()
        self._lonely_since = None
        self.look_again()
