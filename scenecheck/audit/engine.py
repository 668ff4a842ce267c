"""Where workers live: here as processes of this machine. `scenecheck.audit.cluster` has them elsewhere."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scenecheck.audit.messages import Lost, Message
from scenecheck.audit.worker import serve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from scenecheck.audit.messages import ModelChoice, Task

END_S = 2.0
"""How long workers may take to end by themselves before they are killed."""


class Engine(Protocol):
    """Starts workers, carries tasks there and messages back. Workers are known by a number."""

    def start(self, worker: int) -> None:
        """Start a worker; it says Ready or Broken."""
        ...

    def send(self, worker: int, task: Task) -> None:
        """Give it a task; if it is gone, Lost is among its messages."""
        ...

    def messages(self, timeout_s: float) -> Iterable[tuple[int, Message]]:
        """What workers have said since, waiting at most ``timeout_s`` for the first."""
        ...

    def kill(self, worker: int) -> None:
        """End a worker at once, whatever it does; it says nothing any more."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


@dataclass(slots=True)
class _Local:
    """A worker process, our end of its pipe, and what waits to be sent to it."""

    process: SpawnProcess
    connection: Connection
    tasks: queue.SimpleQueue[Task | None] = field(default_factory=queue.SimpleQueue)


class LocalEngine:
    """Worker processes of this machine, spawned: nothing of the supervisor is inherited.

    Two threads per worker read and write its pipe. A worker that stands still in the middle of a message,
    or does not read, so never holds the supervisor.
    """

    def __init__(self, choice: ModelChoice, *, n_threads: int) -> None:
        self._choice, self._n_threads = choice, n_threads
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Local] = {}
        self._said: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()

    def start(self, worker: int) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve,
            args=(theirs, self._choice, self._n_threads),
            name=f"scenecheck worker {worker}",
            daemon=True,
        )
        process.start()
        # The only other end is the worker's: when it dies, reading ours says so.
        theirs.close()
        local = self._workers[worker] = _Local(process, ours)
        for target in (self._read, self._write):
            threading.Thread(target=target, args=(worker, local), daemon=True).start()

    def pids(self) -> dict[int, int]:
        """The processes of the workers."""
        return {n: local.process.pid for n, local in self._workers.items() if local.process.pid is not None}

    def send(self, worker: int, task: Task) -> None:
        self._workers[worker].tasks.put(task)

    def messages(self, timeout_s: float) -> Iterator[tuple[int, Message]]:
        with contextlib.suppress(queue.Empty):
            yield self._said.get(timeout=max(timeout_s, 0.001))
            while True:
                yield self._said.get_nowait()

    def kill(self, worker: int) -> None:
        local = self._workers.pop(worker)
        local.process.kill()
        self._bury(local)

    def close(self) -> None:
        workers, self._workers = self._workers, {}
        for local in workers.values():
            local.process.terminate()
        for local in workers.values():
            local.process.join(END_S)
            if local.process.exitcode is None:
                local.process.kill()
            self._bury(local)

    def _bury(self, local: _Local) -> None:
        local.process.join()
        local.tasks.put(None)

    def _read(self, worker: int, local: _Local) -> None:
        try:
            while True:
                self._said.put((worker, local.connection.recv()))
        except (EOFError, OSError):
            local.process.join(END_S)
            code = local.process.exitcode
            why = "hangs" if code is None else f"ended by signal {-code}" if code < 0 else f"ended ({code})"
            self._said.put((worker, Lost(why)))

    def _write(self, _: int, local: _Local) -> None:
        with contextlib.suppress(OSError):
            while (task := local.tasks.get()) is not None:
                local.connection.send(task)
