"""A whole audit: what is left to judge, judged, compared with what was known, and stored as it comes."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

from scenecheck.audit.schedule import fair_order
from scenecheck.audit.supervisor import OVERDUE_S, SILENT_S, Supervisor, host_of
from scenecheck.errors import UsageError
from scenecheck.findings import findings, next_reference
from scenecheck.records import RunSpec
from scenecheck.store import BEAT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scenecheck.audit.engine import Engine
    from scenecheck.audit.messages import ModelIdentity, Outcome
    from scenecheck.feeds import Inventory
    from scenecheck.records import Memory, Reference, Result
    from scenecheck.store import RunWriter, Store

CHUNK = 200
"""Feeds whose references (10 kB each) are read from the store at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once: worker processes, feeds in flight over all of them, feeds at one host (0: any)."""

    workers: int
    jobs: int
    per_host: int


@dataclass(frozen=True, slots=True)
class Audited:
    """How an audit went. Not finished: it was stopped, and can be resumed; then ``run`` may be None."""

    run: int | None
    model: ModelIdentity | None
    is_finished: bool
    seconds: float


class Progress(Protocol):
    """Whoever watches an audit."""

    def begin(self, run: int, model: ModelIdentity, *, total: int, done: int) -> None:
        """Judging begins with ``done`` of ``total`` feeds stored by an earlier attempt."""
        ...

    def stored(self, results: Sequence[Result], *, in_flight: int) -> None:
        """These results are stored now; called several times a second, also with none."""
        ...

    def standstill(self, text: str) -> None:
        """Nothing was stored for too long. Called from another thread."""
        ...


def audit(
    inventory: Inventory,
    store: Store,
    engine: Engine,
    *,
    limits: Limits,
    progress: Progress,
    resume: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Audited:
    """Judge every feed of an inventory that its run has no result of yet, and store each result at once.

    Stops within a second when ``is_stopped`` says so; what is stored stays. Raises UsageError when the run
    cannot be resumed, StoreError when the store fails, ModelError when the model does.
    """
    began_s = time.monotonic()
    digest = _sha256(inventory)
    supervisor = Supervisor(engine, workers=limits.workers, jobs=limits.jobs, per_host=limits.per_host)
    for _ in supervisor.start():
        if is_stopped():
            return Audited(None, None, is_finished=False, seconds=time.monotonic() - began_s)
    assert supervisor.model is not None
    spec = _spec(digest, supervisor.model)
    with store.resume(spec) if resume else store.begin(spec) as run:
        by_id = {feed.id: feed for feed in inventory.feeds}
        pending = run.pending(by_id)
        progress.begin(run.run, supervisor.model, total=len(by_id), done=len(by_id) - len(pending))
        order = fair_order((name, host_of(by_id[name])) for name in pending)
        longest_s = max((feed.deadline_s for feed in inventory.feeds), default=0.0)
        ledger = _Ledger(run, order)
        with Alarm(longest_s + OVERDUE_S + SILENT_S, progress.standstill) as alarm:
            for outcomes in supervisor.judge([by_id[name] for name in order], ledger.reference):
                stored = ledger.record(outcomes)
                held = supervisor.in_flight
                alarm.saw(len(stored), held)
                progress.stored(stored, in_flight=len(held))
                if is_stopped():
                    return _audited(run, supervisor, began_s, is_finished=False)
        run.finish()
        return _audited(run, supervisor, began_s, is_finished=True)


def _audited(run: RunWriter, supervisor: Supervisor, began_s: float, *, is_finished: bool) -> Audited:
    return Audited(run.run, supervisor.model, is_finished=is_finished, seconds=time.monotonic() - began_s)


class _Ledger:
    """What is known of the feeds in their order, and how it is kept up: one thread's RunWriter."""

    def __init__(self, run: RunWriter, order: Sequence[str]) -> None:
        self._run, self._order = run, order
        self._at = {name: i for i, name in enumerate(order)}
        self._known: dict[str, Memory] = {}
        self._stored: set[str] = set()
        self._wrote_s = time.monotonic()

    def reference(self, feed: str) -> Reference | None:
        return self._memory(feed).reference

    def record(self, outcomes: Sequence[Outcome]) -> list[Result]:
        """Store outcomes with their findings and references; say at times that this auditor lives."""
        now_s = time.monotonic()
        if not outcomes:
            if now_s - self._wrote_s > BEAT_S / 2:
                self._run.beat()
                self._wrote_s = now_s
            return []
        results, references = [], []
        for outcome in outcomes:
            memory, result = self._memory(outcome.result.feed), outcome.result
            reference = next_reference(result, outcome.view, memory, run=self._run.run)
            if reference is not None:
                references.append(reference)
            results.append(replace(result, findings=findings(result, memory)))
        self._run.record(results, references)
        self._wrote_s = now_s
        for result in results:
            self._stored.add(result.feed)
            self._known.pop(result.feed, None)
        return results

    def _memory(self, feed: str) -> Memory:
        if feed not in self._known:
            at = self._at[feed]
            missing = (
                n for n in self._order[at : at + CHUNK] if n not in self._known and n not in self._stored
            )
            self._known.update(self._run.memory(list(missing)))
        return self._known[feed]


class Alarm:
    """Says so when nothing was stored for ``after_s``, and again each time as long has passed.

    On a thread of its own: what stands still may be the store.
    """

    def __init__(self, after_s: float, say: Callable[[str], None]) -> None:
        self._after_s, self._say = after_s, say
        self._in_flight: list[str] = []
        self._has_stored = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="alarm", daemon=True)

    def saw(self, n_stored: int, in_flight: list[str]) -> None:
        """So many results were stored now, and these feeds are being judged."""
        self._has_stored |= n_stored > 0
        self._in_flight = in_flight

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _wait(self) -> None:
        n_silent = 0
        while not self._done.wait(self._after_s):
            n_silent = 0 if self._has_stored else n_silent + 1
            self._has_stored = False
            if n_silent:
                held = self._in_flight
                named = ", ".join(held[:5]) + (", …" if len(held) > 5 else "")
                self._say(
                    f"no progress for {n_silent * self._after_s:.0f} s; {len(held)} feeds in flight"
                    + (f" ({named})" if held else "")
                )


def _sha256(inventory: Inventory) -> str:
    try:
        return hashlib.sha256(inventory.path.read_bytes()).hexdigest()
    except OSError as e:
        raise UsageError(
            "bad-option", f"{inventory.path}: {e.strerror}", "give a file that can be read"
        ) from None


def _spec(inventory_sha256: str, model: ModelIdentity) -> RunSpec:
    return RunSpec(
        inventory_sha256=inventory_sha256,
        model_name=model.name,
        model_version=model.version,
        model_sha256=model.sha256,
        preprocess_version=model.preprocess_version,
        options={"provider": model.provider, "precision": model.precision},
    )
