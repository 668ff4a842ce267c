"""A worker: many feeds at once in one process, one thread each, one classifier for all."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import stamina.instrumentation

from scenecheck.audit.batch import SharedClassifier
from scenecheck.audit.judge import failed, judge_feed
from scenecheck.audit.messages import (
    Beat,
    Broken,
    Done,
    Message,
    ModelChoice,
    ModelIdentity,
    Ready,
    Sign,
    Task,
)
from scenecheck.errors import ModelError, ScenecheckError, StreamError, UsageError
from scenecheck.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

BEAT_S = 1.0
"""How often a worker shows that its interpreter runs: a library that holds it is found by the silence."""


class Worker:
    """Judges the tasks it is given, each on a thread, and says what happens to ``say``.

    ``say`` is called from many threads. What a task brings to light is always said: Done, or Broken when
    the model itself failed.
    """

    def __init__(self, choice: ModelChoice, say: Callable[[Message], None], *, n_threads: int) -> None:
        self._say = say
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="feed")
        cv2.setNumThreads(1)  # its pictures are too small to share; the feeds are what runs side by side
        # It would log every retry with what failed; the outcome says it once.
        stamina.instrumentation.set_on_retry_hooks([])
        self._classifier = SharedClassifier(
            choice.path,
            provider=choice.provider,
            threads=1 if choice.provider == "cpu" else None,
            precision=choice.precision,
        )

    @property
    def model(self) -> ModelIdentity:
        card, classifier = self._classifier.card, self._classifier
        return ModelIdentity(
            name=card.name,
            version=card.version,
            sha256=card.sha256,
            preprocess_version=card.input.preprocess_version,
            provider=classifier.provider,
            precision=classifier.precision,
            fallback=classifier.fallback,
        )

    def take(self, task: Task) -> None:
        """Begin with a feed; returns at once."""
        self._threads.submit(self._judge, task)

    def _judge(self, task: Task) -> None:
        feed = task.feed
        started_s = time.monotonic()
        try:
            outcome = judge_feed(
                feed,
                task.reference,
                self._classifier,
                on_frame=lambda: self._say(Sign(feed.id, self._classifier.lag_s)),
            )
        except ModelError as e:
            self._say(Broken(e))
            return
        except Exception as e:
            # A feed must get its line whatever happens; its text may hold the address as it was opened.
            said = redact(f"{feed.id}: {type(e).__name__} while judging", _secrets(task))
            error: ScenecheckError = StreamError("judging-failed", said)
            outcome = failed(feed, error, total_s=time.monotonic() - started_s)
        self._say(Done(outcome))


def _secrets(task: Task) -> tuple[str, ...]:
    with contextlib.suppress(UsageError):
        secret = task.feed.password()
        return (secret,) if secret else ()
    return ()


def serve(connection: Connection, choice: ModelChoice, n_threads: int) -> None:
    """The life of a local worker process: tasks come in by ``connection``, messages go out."""
    # Ctrl-C reaches the whole group; the supervisor alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _tell_the_system()
    lock = threading.Lock()

    def say(message: Message) -> None:
        try:
            with lock:
                connection.send(message)
        except OSError:  # nobody is left to hear it
            os._exit(1)

    try:
        worker = Worker(choice, say, n_threads=n_threads)
    except (ModelError, UsageError) as e:
        say(Broken(e))
        return
    say(Ready(worker.model))

    def beat() -> None:
        while True:
            time.sleep(BEAT_S)
            say(Beat())

    threading.Thread(target=beat, name="beat", daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while (task := connection.recv()) is not None:
            worker.take(task)
    # Readers may still stand in a library; waiting for them is what a worker must never do.
    os._exit(0)


def _tell_the_system() -> None:
    """Settings of this process that Linux and glibc take only by call.

    The kernel ends it with its supervisor, also when its interpreter is stuck; and its threads share two
    heaps: one for each of a hundred would keep what it once needed, some hundred megabytes.
    """
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415

    pr_set_pdeathsig, m_arena_max = 1, -8
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.prctl(pr_set_pdeathsig, signal.SIGKILL)
        libc.mallopt(m_arena_max, 2)
