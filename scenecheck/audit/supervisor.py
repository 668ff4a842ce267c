"""Keeps workers busy, watches over them and takes down what they find.

Every feed that is given to it comes out once, judged or with its error: a worker that dies or stands
still is replaced, and what it held is tried again in smaller company, so that one stream that crashes
the decoder takes nobody else's answer along.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scenecheck.audit.judge import failed
from scenecheck.audit.messages import Broken, Done, Lost, Message, ModelIdentity, Outcome, Ready, Sign, Task
from scenecheck.audit.schedule import Schedule
from scenecheck.errors import ModelError, StreamError
from scenecheck.redact import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scenecheck.audit.engine import Engine
    from scenecheck.feeds import Feed
    from scenecheck.records import Reference

log = logging.getLogger(__name__)

AWAKE_PER_WORKER = 24
"""Feeds of a worker that bring frames. A healthy one takes 1-2 s, nearly all of it waiting for keyframes, and
some 50-100 ms of a core: fewer would leave the core idle, more would only wait for each other."""
FIRST_S = 0.4
"""A feed that brought no frame by then waits for its camera, costs next to nothing and makes place for another."""
LAG_S = 0.2
"""A worker whose frames wait longer for their scores gets nothing new: its core has enough to do, and feeds
that only wait for it would stream on, take memory and miss their deadlines."""
QUIET_S = 1.5
"""So does one between two frames: cameras with long GOPs, or that stall."""
OVERDUE_S = 10.0
"""After its deadline a worker answers for a feed at once; one that by then has not, and brought nothing else
either for as long, stands still."""
LATE_S = 60.0
"""So does one that has not by then, whatever else it brings: on a busy machine answers only come late."""
SILENT_S = 30.0
"""A worker that says nothing for so long (it beats every second) is stuck in a library, or stopped."""
UNSURE_S = 5.0
"""A worker that says nothing for so long gets nothing new until it is heard again."""
START_S = 180.0
"""For loading and proving the model, on a machine that starts many workers at once."""
COMPANY = (None, 4, 1)
"""How many feeds may be in a worker together, by how often a feed has been lost with one; None: as usual."""
TICK_S = 0.2
MAX_STARTS = 3
"""Workers that end before they are ready, in a row, before starting more is given up."""


@dataclass(slots=True)
class _Held:
    """A feed in a worker: its deadline, and until when it counts as awake (monotonic seconds)."""

    feed: Feed
    ends_s: float
    awake_s: float


@dataclass(slots=True)
class _Worker:
    """A worker as the supervisor sees it: when it last said anything, and when it last brought something."""

    heard_s: float
    busy_s: float
    lag_s: float = 0.0
    is_ready: bool = False
    held: dict[str, _Held] = field(default_factory=dict)

    def n_awake(self, now_s: float) -> int:
        return sum(now_s < h.awake_s for h in self.held.values())


class Supervisor:
    """Judges feeds with an engine's workers.

    ``jobs`` limits feeds in flight over all workers, ``per_host`` those at one host (0: no limit).
    ``clock`` is monotonic.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        workers: int,
        jobs: int,
        per_host: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._clock = engine, clock
        self._n_workers, self._jobs, self._per_host = workers, jobs, per_host
        self._workers: dict[int, _Worker] = {}
        self._n_started = 0
        self._n_unready = 0
        self._outcomes: list[Outcome] = []
        self._lost: list[Feed] = []
        self.model: ModelIdentity | None = None

    @property
    def in_flight(self) -> list[str]:
        """The feeds that workers hold now."""
        return [feed for worker in self._workers.values() for feed in worker.held]

    def start(self) -> Iterator[None]:
        """Start the workers; yields while none is ready. Then `model` says what they judge with.

        Raises ModelError or UsageError when the model cannot be used.
        """
        for _ in range(self._n_workers):
            self._start_one()
        while self.model is None:
            self._listen()
            self._watch()
            yield

    def judge(
        self, feeds: Sequence[Feed], reference: Callable[[str], Reference | None]
    ) -> Iterator[list[Outcome]]:
        """The outcome of every feed, once each, as they come: several at a time, none at least every `TICK_S`.

        ``reference`` gives the view a feed had, when its turn comes. Raises ModelError when the model
        fails underway.
        """
        for company in COMPANY:
            yield from self._judge(feeds, reference, company=company)
            feeds, self._lost = self._lost, []
            if not feeds:
                return
        lost = (f"{feed.id}: the process that judged it ended each time" for feed in feeds)
        errors = [StreamError("judging-failed", text) for text in lost]
        yield [failed(feed, error) for feed, error in zip(feeds, errors, strict=True)]

    def _judge(
        self, feeds: Sequence[Feed], reference: Callable[[str], Reference | None], *, company: int | None
    ) -> Iterator[list[Outcome]]:
        """One pass over feeds; those that were lost with a worker are in ``_lost``."""
        by_id = {feed.id: feed for feed in feeds}
        schedule = Schedule([(feed.id, host_of(feed)) for feed in feeds], per_host=self._per_host)
        n_lost = len(self._lost)
        while schedule or self.in_flight:
            while (number := self._free_worker(company)) is not None and (
                name := schedule.take()
            ) is not None:
                self._give(number, by_id[name], reference(name))
            self._listen()
            self._watch()
            outcomes, self._outcomes = self._outcomes, []
            for outcome in outcomes:
                schedule.release(outcome.result.feed)
            for feed in self._lost[n_lost:]:
                schedule.release(feed.id)
            n_lost = len(self._lost)
            yield outcomes

    # --- workers ---------------------------------------------------------------------------------

    def _start_one(self) -> None:
        if self._n_unready >= MAX_STARTS * self._n_workers:
            if not any(worker.is_ready for worker in self._workers.values()):
                raise ModelError("worker-broken", "workers end before they are ready, again and again")
            log.warning("no more workers start; %d go on", len(self._workers))
            return
        self._n_started += 1
        self._n_unready += 1
        now_s = self._clock()
        self._workers[self._n_started] = _Worker(now_s, now_s)
        self._engine.start(self._n_started)

    def _free_worker(self, company: int | None) -> int | None:
        """The worker with the fewest feeds awake that may take one more; None when all are busy."""
        now_s = self._clock()
        if sum(len(w.held) for w in self._workers.values()) >= self._jobs:
            return None
        found, least = None, AWAKE_PER_WORKER if company is None else company
        most = -(-self._jobs // self._n_workers) if company is None else company
        for number, worker in self._workers.items():
            if not worker.is_ready or len(worker.held) >= most or now_s - worker.heard_s > UNSURE_S:
                continue
            n_awake = worker.n_awake(now_s)
            if worker.lag_s > LAG_S and n_awake:
                continue
            if n_awake < least:
                found, least = number, n_awake
        return found

    def _give(self, number: int, feed: Feed, reference: Reference | None) -> None:
        now_s = self._clock()
        self._workers[number].held[feed.id] = _Held(
            feed, now_s + feed.deadline_s + OVERDUE_S, now_s + FIRST_S
        )
        self._engine.send(number, Task(feed, reference))

    def _listen(self) -> None:
        for number, message in self._engine.messages(TICK_S):
            if number in self._workers:
                self._hear(number, message)

    def _hear(self, number: int, message: Message) -> None:
        worker = self._workers[number]
        worker.heard_s = self._clock()
        if isinstance(message, Done | Sign):
            worker.busy_s = worker.heard_s
        match message:
            case Done(outcome):
                if worker.held.pop(outcome.result.feed, None) is not None:
                    self._outcomes.append(outcome)
            case Sign(feed, lag_s):
                worker.lag_s = lag_s
                if feed in worker.held:
                    worker.held[feed].awake_s = worker.heard_s + QUIET_S
            case Ready(model):
                self._check(model)
                worker.is_ready, self._n_unready = True, 0
            case Broken(error):
                raise error
            case Lost(why):
                self._replace(number, why)

    def _check(self, model: ModelIdentity) -> None:
        if self.model is None:
            self.model = model
        elif model != self.model:
            raise ModelError("model-hash", "the model's files changed while the audit ran")

    def _watch(self) -> None:
        """Replace the workers that stand still."""
        now_s = self._clock()
        for number, worker in list(self._workers.items()):
            limit_s = SILENT_S if worker.is_ready else START_S
            if now_s - worker.heard_s > limit_s:
                why = f"said nothing for {limit_s:.0f} s"
            elif late := next((h for h in worker.held.values() if _stands_still(h, worker, now_s)), None):
                why = f"did not answer for feed {late.feed.id} in time"
            else:
                continue
            self._engine.kill(number)
            self._replace(number, why)

    def _replace(self, number: int, why: str) -> None:
        worker = self._workers.pop(number)
        self._lost += [held.feed for held in worker.held.values()]
        log.warning("a worker %s; replaced, %d feeds are judged again", why, len(worker.held))
        self._start_one()


def _stands_still(held: _Held, worker: _Worker, now_s: float) -> bool:
    return now_s > held.ends_s + (OVERDUE_S if now_s > worker.busy_s + OVERDUE_S else LATE_S)


def host_of(feed: Feed) -> str | None:
    """The host whose connections a feed counts for; None for a file."""
    return feed.source.host.lower() if isinstance(feed.source, Address) else None
