"""Where the workers of `JoblibExecutor` connect to, and what the driver waits on."""

from __future__ import annotations

import platform
import queue
import secrets
import selectors
import socket
import threading
import time
from multiprocessing.connection import Connection, Listener
from typing import Any


class Hub:
    """Where workers connect to, and what the driver waits on."""

    def __init__(self) -> None:
        self.authkey = secrets.token_bytes(32)
        where, family = self._place()
        self._listener = Listener(where, family=family, backlog=64, authkey=self.authkey)
        self.address: Any = self._listener.address
        self._new: queue.SimpleQueue[tuple[Connection[Any, Any], int, int, int]] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, name="autodl-accept", daemon=True)
        self._thread.start()

    def _place(self) -> tuple[Any, str]:
        """Where to listen, nothing of which stays behind if this process is killed."""
        if platform.system() == "Linux":  # a name outside the file system
            return f"\0autodl-{secrets.token_hex(12)}", "AF_UNIX"
        return ("127.0.0.1", 0), "AF_INET"

    def _accept(self) -> None:
        """In a thread of its own: the handshake waits for the worker."""
        while not self._closed.is_set():
            try:
                connection = self._listener.accept()
                slot, generation, pid = connection.recv()
            except Exception:  # a worker that died in the handshake, or a stranger: the next one, please
                if self._closed.is_set():
                    return
                time.sleep(0.01)
                continue
            self._new.put((connection, slot, generation, pid))
            self.wake()

    def _knock(self) -> None:
        """Let the thread's accept return."""
        family = socket.AF_INET if isinstance(self.address, tuple) else socket.AF_UNIX
        with socket.socket(family, socket.SOCK_STREAM) as visitor:
            visitor.settimeout(1.0)
            try:
                visitor.connect(self.address)
            except OSError:
                pass  # the thread is busy with the queue's first, and looks at the flag next

    def wake(self) -> None:
        """End the driver's `wait`."""
        try:
            self._wake_in.send(b"x")
        except OSError:
            pass  # closed, or full: then it is awake anyway

    def wait(self, timeout_s: float) -> set[Connection[Any, Any]]:
        """The connections that have something to read."""
        ready = set()
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._wake_out:
                try:
                    self._wake_out.recv(4096)
                except BlockingIOError:
                    pass
            else:
                ready.add(key.fileobj)
        return ready  # type: ignore[return-value]

    def new_connections(self) -> list[tuple[Connection[Any, Any], int, int, int]]:
        """Workers that have connected since the last call."""
        found = []
        while not self._new.empty():
            found.append(self._new.get())
        return found

    def watch(self, connection: Connection[Any, Any]) -> None:
        """Let `wait` look at a connection."""
        self._selector.register(connection, selectors.EVENT_READ)

    def unwatch(self, connection: Connection[Any, Any]) -> None:
        """Let `wait` no longer look at it."""
        self._selector.unregister(connection)

    def close(self) -> None:
        """Close all that is open, once the thread has ended.

        Closed under a thread that waits in accept, the socket's number would go to the next hub,
        and that thread would answer the next hub's workers.
        """
        self._closed.set()
        self._knock()
        self._thread.join(5.0)
        self._listener.close()
        for connection, *_ in self.new_connections():
            connection.close()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
