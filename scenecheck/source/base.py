"""What all sources share: options, phases, and the thread whose every wait has an end.

Reading happens on a thread of its own. The caller waits for frames with a limit for the phase the
reader is in and one deadline over all; when either passes, the caller gets its error on time, whatever
the peer or the library below does, and the reader is told to stop at its next step.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from scenecheck.errors import ScenecheckError, SourceError, StreamError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from scenecheck.types import Frame

log = logging.getLogger(__name__)

Phase = Literal["resolve", "connect", "open", "first-frame", "stream"]

GRACE_S = 0.5
"""The reader's own time-outs know more about the cause; the caller waits this much longer for them."""

QUEUE_FRAMES = 4
"""Frames decoded ahead of the caller: enough to overlap with inference, small in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How to open a source and how long to wait, in seconds.

    ``connect_s`` bounds name resolution and connecting, ``open_s`` the dialogue until the stream
    plays, ``first_frame_s`` the wait for the first keyframe, ``read_s`` the silence between packets,
    ``deadline_s`` everything together. ``every_s`` is the least distance between two frames,
    ``frames`` how many a finite source is sampled at. ``allow_hosts`` names further hosts that a
    redirect or playlist may lead to; credentials are never sent there.
    """

    deadline_s: float = 15.0
    connect_s: float = 5.0
    open_s: float = 6.0
    first_frame_s: float = 10.0
    read_s: float = 5.0
    every_s: float = 0.5
    frames: int = 5
    transport: Literal["tcp", "udp"] = "tcp"
    tls_ca: Path | None = None
    insecure: bool = False
    allow_hosts: frozenset[str] = frozenset()


_TIMEOUTS: dict[Phase, tuple[type[SourceError], str, str]] = {
    "resolve": (UnreachableError, "host-unknown", "the host name was not resolved within {s:.0f} s"),
    "connect": (UnreachableError, "connect-timeout", "no connection within {s:.0f} s"),
    "open": (UnreachableError, "open-timeout", "connected, but the stream did not open within {s:.0f} s"),
    "first-frame": (StreamError, "first-frame-timeout", "no complete keyframe within {s:.0f} s of opening"),
    "stream": (StreamError, "stream-stalled", "nothing came for {s:.0f} s"),
}


def timeout_error(phase: Phase, name: str, limit_s: float) -> SourceError:
    """The error of a phase that outlasted its limit."""
    error, code, text = _TIMEOUTS[phase]
    return error(code, f"{name}: {text.format(s=limit_s)}")


class Stopped(Exception):  # noqa: N818  (a signal, not an error)
    """Raised inside the reader when the caller has gone; never seen outside."""


@dataclass(slots=True)
class Watch:
    """What the reader tells its caller (phase, signs of life), and the caller the reader (stop)."""

    options: SourceOptions
    clock: Callable[[], float] = time.monotonic
    phase: Phase = "resolve"
    since_s: float = field(init=False)
    started_s: float = field(init=False)
    opened_s: float | None = None
    n_damaged: int = 0
    read_s: float = field(init=False)
    on_stop: Callable[[], None] | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.started_s = self.since_s = self.clock()
        self.read_s = self.options.read_s

    def enter(self, phase: Phase) -> None:
        """Begin a phase; its limit counts from now. Raises Stopped when the caller has gone."""
        self.check()
        self.phase, self.since_s = phase, self.clock()
        if phase == "first-frame":
            self.opened_s = self.since_s

    def beat(self) -> None:
        """Report a packet: in the ``stream`` phase silence is what ends, not duration."""
        self.check()
        if self.phase == "stream":
            self.since_s = self.clock()

    def check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """Called by the owner: the reader ends at its next step; ``on_stop`` may wake it earlier."""
        self._stop.set()
        if self.on_stop is not None:
            with contextlib.suppress(Exception):  # whatever it is, it is being thrown away
                self.on_stop()

    def sleep(self, seconds: float) -> None:
        """Wait between two requests, but not beyond the owner's stop."""
        self._stop.wait(seconds)
        self.check()

    def limit_s(self, phase: Phase) -> float:
        options = self.options
        limits: dict[Phase, float] = {
            "resolve": options.connect_s,
            "connect": options.connect_s,
            "open": options.open_s,
            "first-frame": options.first_frame_s,
            "stream": self.read_s,
        }
        return limits[phase]

    def remaining_s(self) -> float:
        """Seconds until the deadline over all, never negative."""
        return max(0.0, self.started_s + self.options.deadline_s - self.clock())

    def phase_limit_s(self) -> float:
        """Seconds that a call of the current phase may take at most."""
        return max(0.05, min(self.limit_s(self.phase), self.remaining_s()))


class Reader(Protocol):
    """The narrow seam behind which every kind of source stands."""

    @property
    def name(self) -> str:
        """What the source is called, free of secrets."""
        ...

    def frames(self, watch: Watch) -> Iterator[Frame]:
        """Open, yield frames until the source ends, close. Raises SourceError."""
        ...


@dataclass(slots=True)
class _Failed:
    error: ScenecheckError


class _Ended:
    pass


class Source:
    """An opened source: iterate over its frames, inside ``with``.

    Iteration ends when a finite source ends; everything else is a SourceError, the deadline included
    (StreamError ``deadline``). Times are seconds since entering.
    """

    def __init__(
        self, reader: Reader, options: SourceOptions, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = reader.name
        self.first_frame_s: float | None = None
        self._reader, self._options, self._clock = reader, options, clock
        self._queue: queue.Queue[Frame | _Failed | _Ended] = queue.Queue(QUEUE_FRAMES)
        self._watch: Watch | None = None
        self._thread: threading.Thread | None = None
        self._last: _Failed | _Ended | None = None

    @property
    def open_s(self) -> float | None:
        """Seconds until the source was open, None before."""
        watch = self._watch
        return None if watch is None or watch.opened_s is None else watch.opened_s - watch.started_s

    @property
    def n_damaged(self) -> int:
        """Keyframes so far that were damaged beyond decoding."""
        return 0 if self._watch is None else self._watch.n_damaged

    def __enter__(self) -> Self:
        self._watch = Watch(self._options, self._clock)
        # A daemon: a reader stuck inside a library must not keep the program alive.
        self._thread = threading.Thread(target=self._read, name=f"source {self.name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Tell the reader to stop and give it a moment; closing another thread's stream is never safe."""
        if self._watch is not None:
            self._watch.stop()
        if self._thread is not None:
            self._thread.join(timeout=0.2)
            self._thread = None

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        item = self._last or self._wait()
        if not isinstance(item, _Failed | _Ended):
            if self.first_frame_s is None and self._watch is not None:
                self.first_frame_s = item.arrived_s - self._watch.started_s
            return item
        self._last = item  # asked again, it answers the same
        if isinstance(item, _Failed):
            raise item.error from item.error.__cause__
        raise StopIteration

    def _wait(self) -> Frame | _Failed | _Ended:
        watch = self._watch
        if watch is None or self._thread is None:
            raise RuntimeError("iterate over a source inside `with`")
        while True:
            phase, since_s, now_s = watch.phase, watch.since_s, self._clock()
            limit_s = watch.limit_s(phase)
            phase_left_s = since_s + limit_s + GRACE_S - now_s
            left_s = min(phase_left_s, watch.remaining_s())
            try:
                return self._queue.get(timeout=max(left_s, 0.001))
            except queue.Empty:
                if watch.remaining_s() <= 0.0:
                    # The phase it is in by now; it may have moved on while we waited.
                    raise self._deadline_error(watch.phase, watch.limit_s(watch.phase)) from None
                if (watch.phase, watch.since_s) == (phase, since_s) and phase_left_s <= left_s:
                    raise self._timeout(phase, limit_s) from None

    def _deadline_error(self, phase: Phase, limit_s: float) -> SourceError:
        deadline_s = self._options.deadline_s
        if phase == "stream":
            return StreamError("deadline", f"{self.name}: not enough frames within {deadline_s:.0f} s")
        return self._timeout(phase, min(deadline_s, limit_s))

    def _timeout(self, phase: Phase, limit_s: float) -> SourceError:
        if phase == "first-frame" and self.n_damaged:
            return StreamError(
                "codec-damaged",
                f"{self.name}: all {self.n_damaged} keyframes of {limit_s:.0f} s came damaged",
            )
        return timeout_error(phase, self.name, limit_s)

    def _read(self) -> None:
        watch = self._watch
        assert watch is not None
        try:
            for frame in self._reader.frames(watch):
                self._put(frame, watch)
                if watch.phase != "stream":
                    watch.enter("stream")
            self._put(_Ended(), watch)
        except Stopped:
            pass
        except ScenecheckError as e:
            self._offer(_Failed(e), watch)
        except Exception as e:
            log.exception("reading %s failed", self.name)
            error = StreamError("codec-damaged", f"{self.name}: {type(e).__name__} while reading")
            error.__cause__ = e
            self._offer(_Failed(error), watch)

    def _offer(self, item: _Failed, watch: Watch) -> None:
        with contextlib.suppress(Stopped):
            self._put(item, watch)

    def _put(self, item: Frame | _Failed | _Ended, watch: Watch) -> None:
        while True:
            watch.check()
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                watch.since_s = self._clock()  # the caller is busy, the peer is not to blame
            else:
                return
