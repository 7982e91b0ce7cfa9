"""How `DaskExecutor` comes to a cluster: its own, an address, a client, SSH hosts, a job queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autodl.errors import MissingDependencyError, OptionError
from autodl.threads import cpu_threads, thread_environment

Target = Any
"""None, an address, a ``distributed.Client``, or a cluster object such as ``SSHCluster``."""

RETRY_S = 2.0
"""How long one attempt to reach a lost scheduler again may take."""


@dataclass(slots=True)
class Connection:
    """A client, and what has to be closed with it.

    Attributes:
        client: a synchronous ``distributed.Client``.
        address: where it can be reached again after the scheduler was lost; None: not at all.
        owned: closed at the end, in this order.
        security: of the connection.
    """

    client: Any
    address: str | None
    owned: list[Any]
    security: Any = None

    def close(self) -> None:
        """Close what belongs to the executor; what the user gave stays open."""
        for thing in self.owned:
            thing.close()


def connect(target: Target, *, num_workers: int | None, security: Any, timeout_s: float) -> Connection:
    """Connect to a cluster.

    Raises:
        OptionError: the target is of no known kind.
        OSError: nobody answers at the address.
    """
    from distributed import Client  # noqa: PLC0415  # slow to import, needed by clusters only

    if isinstance(target, Client):
        if target.asynchronous:
            raise OptionError("DaskExecutor needs a synchronous client: Client(..., asynchronous=False)")
        return Connection(target, str(target.scheduler_info()["address"]), [], target.security)
    if isinstance(target, str):
        client = Client(target, security=security, timeout=timeout_s, set_as_default=False)
        return Connection(client, target, [client], security)
    if target is None:
        cluster = local_cluster(num_workers)
        client = Client(cluster, set_as_default=False)
        return Connection(client, None, [client, cluster])
    if callable(target):  # made when it is needed, closed with the executor
        cluster = target()
        client = Client(cluster, set_as_default=False)
        return Connection(client, None, [client, cluster])
    if hasattr(target, "scheduler_address"):
        client = Client(target, set_as_default=False)
        return Connection(client, None, [client])
    raise OptionError(
        f"DaskExecutor takes an address (tcp://host:8786), a distributed.Client or a cluster, got {target!r}"
    )


def reconnect(lost: Connection) -> Connection | None:
    """A connection to a scheduler that has come back at the same address; None: it has not yet."""
    from distributed import Client  # noqa: PLC0415  # Dask is loaded by now

    if lost.address is None:
        return None
    if any(lost.client is thing for thing in lost.owned):
        _close_lost(lost.client)
    try:
        client = Client(lost.address, security=lost.security, timeout=RETRY_S, set_as_default=False)
    except (OSError, TimeoutError):
        return None
    return Connection(client, lost.address, [client], lost.security)


def _close_lost(client: Any) -> None:
    try:
        client.close(timeout=0)
    except (OSError, TimeoutError, RuntimeError):
        pass  # there is nobody to say goodbye to


def local_cluster(num_workers: int | None) -> Any:
    """Worker processes on this machine, one thread each, as many as there are CPUs if not said."""
    import dask  # noqa: PLC0415  # slow to import, needed by clusters only
    from distributed import LocalCluster  # noqa: PLC0415

    count = cpu_threads() if num_workers is None else num_workers
    environment = thread_environment(cpu_threads(count))
    # A daemonic worker may have no children, and a DataLoader's workers are children.
    settings = {
        "distributed.worker.daemon": False,
        "distributed.nanny.pre-spawn-environ": environment,
    }
    with dask.config.set(settings):
        return LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,  # Dask would pause or kill a worker whose trial needs much memory
            dashboard_address="127.0.0.1:0",  # any port: 8787 may be taken by another cluster
            env=environment,
        )


def ssh_cluster(hosts: Sequence[str], options: dict[str, Any]) -> Callable[[], Any]:
    """Makes a ``distributed.SSHCluster``: the first host runs the scheduler, all others workers."""

    def make() -> Any:
        from distributed import SSHCluster  # noqa: PLC0415  # slow to import, needed by clusters only

        worker_options = {"nthreads": 1, **options.get("worker_options", {})}
        return SSHCluster(list(hosts), **{**options, "worker_options": worker_options})

    return make


def queue_cluster(kind: str, num_workers: int, options: dict[str, Any]) -> Callable[[], Any]:
    """Makes a cluster of dask-jobqueue and asks the queue for workers.

    Raises:
        MissingDependencyError: dask-jobqueue is not installed.
    """
    try:
        import dask_jobqueue  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependencyError(f"{kind} needs dask-jobqueue: pip install 'autodl[jobqueue]'") from error

    def make() -> Any:
        settings = {"cores": 1, "memory": "4GB", "processes": 1, **options}
        cluster = getattr(dask_jobqueue, kind)(**settings)
        cluster.scale(num_workers)
        return cluster

    return make
