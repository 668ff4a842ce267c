"""Workers as actors of a Ray cluster: the same worker, told and heard by remote calls instead of a pipe."""

from __future__ import annotations

import logging
import queue
from typing import TYPE_CHECKING, Any

from scenecheck.audit.messages import Beat, Broken, Lost, Message, Ready, Task
from scenecheck.audit.worker import BEAT_S, Worker
from scenecheck.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenecheck.audit.messages import ModelChoice

log = logging.getLogger(__name__)


class _Actor:
    """A worker on some node. `poll` is asked again and again; its silence is the worker's."""

    def __init__(self, choice: ModelChoice, n_threads: int) -> None:
        self._said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._worker: Worker | None = None
        try:
            self._worker = Worker(choice, self._said.put, n_threads=n_threads)
            self._said.put(Ready(self._worker.model))
        except (ModelError, UsageError) as e:
            self._said.put(Broken(e))

    def take(self, task: Task) -> None:
        if self._worker is not None:
            self._worker.take(task)

    def poll(self) -> list[Message]:
        """What was said since; waits a moment for the first."""
        said: list[Message] = []
        try:
            said.append(self._said.get(timeout=BEAT_S))
            while True:
                said.append(self._said.get_nowait())
        except queue.Empty:
            return said or [Beat()]


class RayEngine:
    """Workers on the nodes of a cluster, one CPU each; ``address`` None starts a cluster on this machine.

    Passwords are read where they are used: the nodes need the environment variables and files that the
    inventory names, and the model's files. Raises UsageError ``no-ray``, ``ray-address``.
    """

    def __init__(self, choice: ModelChoice, *, n_threads: int, address: str | None = None) -> None:
        self._ray = connect(address)
        self._actor: Any = self._ray.remote(
            num_cpus=1, max_restarts=0, max_concurrency=2, scheduling_strategy="SPREAD"
        )(_Actor)
        self._choice, self._n_threads = choice, n_threads
        self._actors: dict[int, Any] = {}
        self._polls: dict[Any, int] = {}

    def start(self, worker: int) -> None:
        actor = self._actors[worker] = self._actor.remote(self._choice, self._n_threads)
        self._polls[actor.poll.remote()] = worker

    def send(self, worker: int, task: Task) -> None:
        # Fails only with the actor, which its poll tells.
        self._actors[worker].take.remote(task)

    def messages(self, timeout_s: float) -> Iterator[tuple[int, Message]]:
        refs = list(self._polls)
        ready, _ = self._ray.wait(refs, num_returns=1, timeout=timeout_s)
        more, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in dict.fromkeys([*ready, *more]):
            worker = self._polls.pop(ref, None)
            if worker is None or worker not in self._actors:
                continue
            try:
                said = self._ray.get(ref)
            except self._ray.exceptions.RayError as e:
                del self._actors[worker]
                yield worker, Lost(f"is gone ({type(e).__name__})")
                continue
            self._polls[self._actors[worker].poll.remote()] = worker
            yield from ((worker, message) for message in said)

    def kill(self, worker: int) -> None:
        self._ray.kill(self._actors.pop(worker), no_restart=True)
        self._polls = {ref: w for ref, w in self._polls.items() if w != worker}

    def close(self) -> None:
        for worker in list(self._actors):
            self.kill(worker)
        self._ray.shutdown()


def connect(address: str | None) -> Any:
    """Ray, connected; again is harmless. Raises UsageError ``no-ray``, ``ray-address``."""
    try:
        import ray  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError:
        raise UsageError("no-ray", "--engine ray: Ray is not installed") from None
    if not ray.is_initialized():
        more: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **more)
        except (OSError, RuntimeError, ValueError) as e:
            said = (str(e).strip() or type(e).__name__).splitlines()[0]
            raise UsageError("ray-address", f"--ray-address {address or '(own)'}: {said}") from None
    return ray


def cluster_cpus(address: str | None) -> int:
    """CPUs of the cluster. Raises as `connect`."""
    return max(1, int(connect(address).cluster_resources().get("CPU", 1)))
