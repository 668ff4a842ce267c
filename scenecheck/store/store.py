"""Runs, results and references: begun, recorded, resumed, read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from scenecheck.errors import StoreError, UsageError
from scenecheck.records import Acceptance, History, Memory, Reference, Run
from scenecheck.store import gatelog
from scenecheck.store.engine import Database, connect
from scenecheck.store.owner import describe, is_gone, owner_name
from scenecheck.store.rows import (
    finding_rows,
    reference_row,
    result_row,
    spec_row,
    to_finding,
    to_reference,
    to_result,
    to_run,
)
from scenecheck.store.tables import findings, references, results, runs
from scenecheck.types import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from scenecheck.chain import Check, Head
    from scenecheck.records import Finding, Result, RunSpec
    from scenecheck.view import View

_T = TypeVar("_T")

LEASE_S = 60.0
"""An auditor silent for so long has lost its run. On its own machine a dead one is found at once."""
BEAT_S = 15.0
"""How often an auditor that records nothing says that it lives: three may be missed."""
_CHUNK = 500  # feeds named in one statement; SQLite takes 32,766 values, PostgreSQL 65,535

_NO_MOSAIC = [c for c in results.c if c.name not in {"cells", "heat"}] + [
    sa.null().label("cells"),
    sa.null().label("heat"),
]
_COUNT = sa.select(sa.func.count()).where(results.c.run == runs.c.id).scalar_subquery()
_RUNS = sa.select(runs, _COUNT.label("n_results")).order_by(runs.c.id.desc())
_CURRENT = sa.select(sa.func.max(references.c.id)).group_by(references.c.feed)


def open_store(url: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Store:
    """Open the store of a file or an address of PostgreSQL; make it, or bring its schema up to date.

    To be used by the process that opened it (no fork). ``clock`` gives aware times. Raises UsageError
    ``store-address``, ``store-unusable``, ``store-foreign``, ``store-newer``, or StoreError ``store-full``.
    """
    return Store(connect(url), clock)


class Store:
    """An open store; use it in ``with``. Every method is one transaction and raises StoreError when the
    disk or the server fails: then nothing of that call is kept, and all of every earlier one."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.engine.dispose()

    @property
    def name(self) -> str:
        """How the store is called in messages; without user and password."""
        return self._database.shown

    # --- the gate's decisions --------------------------------------------------------------------

    def log_decisions(self, records: Sequence[Mapping[str, object]]) -> Head:
        """Chain records to the gate's log; all are durable on return. Raises StoreError ``store-damaged``
        where the log does not end as it was left."""
        return gatelog.append(self._database, records)

    def verify_log(self, *, head: Head | None = None) -> Check:
        """Check the gate's whole log against its own head, and ``head`` where one was kept elsewhere."""
        return gatelog.check(self._database, head)

    # --- runs ------------------------------------------------------------------------------------

    def begin(self, spec: RunSpec) -> RunWriter:
        """Begin a run and hold it."""
        owner, now = owner_name(), self._clock()
        row = {**spec_row(spec), "started_at": now, "owner": owner, "lease_until": now + _lease()}
        with self._database.write() as connection:
            run = connection.execute(sa.insert(runs).values(row).returning(runs.c.id)).scalar_one()
        return RunWriter(self._database, self._clock, run=run, owner=owner)

    def resume(self, spec: RunSpec, *, run: int | None = None) -> RunWriter:
        """Take over an unfinished run, by default the latest, from an auditor that is gone or let go.

        Raises UsageError: ``no-such-run``; ``run-finished``; ``run-differs`` when inventory, model or
        options are not those it began with; ``run-busy`` while another auditor holds it.
        """
        owner, now = owner_name(), self._clock()
        wanted = runs.c.finished_at.is_(None) if run is None else runs.c.id == run
        query = sa.select(runs).where(wanted).order_by(runs.c.id.desc()).limit(1).with_for_update()
        with self._database.write() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                what = "holds no unfinished run" if run is None else f"holds no run {run}"
                raise UsageError("no-such-run", f"{self.name}: {what}")
            found = to_run(row, 0)
            if found.is_finished:
                raise UsageError("run-finished", f"run {found.id}: finished at {found.finished_at:%F %T}Z")
            ours, theirs = spec_row(spec), spec_row(found.spec)
            differing = sorted(k for k in ours if ours[k] != theirs[k])
            if differing:
                raise UsageError("run-differs", f"run {found.id}: began with another {', '.join(differing)}")
            if found.owner and found.lease_until and found.lease_until > now and not is_gone(found.owner):
                raise UsageError(
                    "run-busy",
                    f"run {found.id}: {describe(found.owner)} is at work on it "
                    f"(or stopped answering and loses it at {found.lease_until:%T}Z)",
                )
            held = {"owner": owner, "lease_until": now + _lease()}
            connection.execute(sa.update(runs).where(runs.c.id == found.id).values(held))
        return RunWriter(self._database, self._clock, run=found.id, owner=owner)

    def runs(self) -> list[Run]:
        """All runs, latest first."""
        return self._runs(_RUNS)

    def run(self, run: int | None = None) -> Run:
        """One run, by default the latest. Raises UsageError ``no-such-run``."""
        found = self._runs(_RUNS.limit(1) if run is None else _RUNS.where(runs.c.id == run))
        if not found:
            raise UsageError("no-such-run", f"{self.name}: holds no run{'' if run is None else f' {run}'}")
        return found[0]

    def _runs(self, query: sa.Select[Any]) -> list[Run]:
        with self._database.read() as connection:
            return [to_run(row, row["n_results"]) for row in connection.execute(query).mappings()]

    # --- reading ---------------------------------------------------------------------------------

    def table(self, run: int) -> list[Result]:
        """What a run found, by feed. Raises UsageError ``no-such-run``."""
        with self._database.read() as connection:
            if connection.execute(sa.select(runs.c.id).where(runs.c.id == run)).first() is None:
                raise UsageError("no-such-run", f"{self.name}: holds no run {run}")
            # Sorted here: databases collate differently.
            found = _results(connection, sa.select(results).where(results.c.run == run))
        return sorted(found, key=lambda r: r.feed)

    def history(self, feed: str) -> History:
        """All that was kept of a feed, oldest first. Raises UsageError ``no-such-feed``."""
        seen = sa.select(results).where(results.c.feed == feed).order_by(results.c.id)
        views = sa.select(references).where(references.c.feed == feed).order_by(references.c.id)
        with self._database.read() as connection:
            kept = tuple(to_reference(row) for row in connection.execute(views).mappings())
            history = History(tuple(_results(connection, seen)), kept)
        if not history.results and not history.references:
            raise UsageError("no-such-feed", f"{self.name}: knows no feed {feed!r}")
        return history

    def trails(self, feeds: Sequence[str], *, last: int = 30) -> dict[str, tuple[Result, ...]]:
        """The ``last`` results of many feeds, oldest first, without mosaics: for a report's overview."""
        newest = sa.func.row_number().over(partition_by=results.c.feed, order_by=results.c.id.desc())
        trails: dict[str, tuple[Result, ...]] = {}
        with self._database.read() as connection:
            for chunk in _chunks(feeds):
                trails.update(dict.fromkeys(chunk, ()))
                ranked = (
                    sa.select(results.c.id, newest.label("rank")).where(results.c.feed.in_(chunk)).subquery()
                )
                recent = sa.select(ranked.c.id).where(ranked.c.rank <= last)
                query = sa.select(*_NO_MOSAIC).where(results.c.id.in_(recent))
                found = _results(connection, query.order_by(results.c.feed, results.c.id))
                trails.update({feed: tuple(seen) for feed, seen in groupby(found, key=lambda r: r.feed)})
        return trails

    # --- references ------------------------------------------------------------------------------

    def reference(self, feed: str) -> Reference | None:
        """Where the feed's camera should look now."""
        with self._database.read() as connection:
            return _references(connection, (feed,)).get(feed)

    def acceptances(self, feeds: Sequence[str]) -> dict[str, Acceptance]:
        """Who accepted the view that each feed should show now, and why; without those nobody accepted."""
        found: dict[str, Acceptance] = {}
        columns = (references.c.feed, references.c.created_at, references.c.who, references.c.why)
        with self._database.read() as connection:
            for chunk in _chunks(feeds):
                current = _CURRENT.where(references.c.feed.in_(chunk))
                query = sa.select(*columns).where(references.c.id.in_(current), references.c.who.is_not(None))
                found.update({row.feed: Acceptance(*row[1:]) for row in connection.execute(query)})
        return found

    def accept(self, feed: str, *, who: str, why: str, view: View, label: Label = Label.STREET) -> Reference:
        """Record a view as right from now on, on a person's word. The references before it are kept.

        Raises UsageError ``bad-option`` without a name or a reason.
        """
        if not who.strip() or not why.strip():
            raise UsageError(
                "bad-option", f"accept {feed}: expected who accepts it and why, got an empty text"
            )
        accepted = Reference(feed, label, view, self._clock(), who=who.strip(), why=why.strip())
        with self._database.write() as connection:
            _lock_references(connection)
            connection.execute(sa.insert(references).values(reference_row(accepted)))
        return accepted


class RunWriter:
    """A run held by this auditor; use it in ``with``. Leaving lets go of it, so that it can be resumed.

    For one thread of one process: workers send it their results. Every write also proves that the run
    is still ours: one that lost its lease to another auditor can write nothing any more.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], *, run: int, owner: str) -> None:
        self.run = run
        self._database = database
        self._clock = clock
        self._owner: str | None = owner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._let_go()
        except StoreError:
            if kind is None:
                raise

    def pending(self, feeds: Iterable[str]) -> list[str]:
        """Those of ``feeds`` that have no result in this run yet, in their order."""
        with self._database.read() as connection:
            done = set(connection.scalars(sa.select(results.c.feed).where(results.c.run == self.run)))
        return [feed for feed in feeds if feed not in done]

    def memory(self, feeds: Sequence[str]) -> dict[str, Memory]:
        """What is known of each feed from other runs: the last result (without mosaic), the reference.

        A reference takes about 10 kB: ask for some hundred feeds at a time.
        """
        memory: dict[str, Memory] = {}
        with self._database.read() as connection:
            for chunk in _chunks(feeds):
                before = (results.c.run != self.run) & results.c.feed.in_(chunk)
                latest = sa.select(sa.func.max(results.c.id)).where(before).group_by(results.c.feed)
                query = sa.select(*_NO_MOSAIC).where(results.c.id.in_(latest))
                previous = {r.feed: r for r in _results(connection, query)}
                kept = _references(connection, chunk)
                memory.update({feed: Memory(previous.get(feed), kept.get(feed)) for feed in chunk})
        return memory

    def record(self, found: Sequence[Result], views: Iterable[Reference] = ()) -> frozenset[str]:
        """Commit results with their findings, and what they do to references. Returns the new feeds.

        When it returns, all of it survives `kill -9` and a power cut; when it raises, nothing of it was
        kept. Give whatever has arrived since the last call: one commit, and one wait for the disk, is
        shared by all of it, and nothing waits for more to come. A feed that has its result keeps it, so
        that calling again after an error is safe. A reference of the same ``created_at`` as a kept one
        is that one, proven or refined; a new one is only taken where the feed has none.

        Raises StoreError ``run-taken`` when another auditor took the run over.
        """
        once = {r.feed: r for r in reversed(found)}
        with self._database.write() as connection:
            self._hold(connection)
            if not once:
                return frozenset()
            insert = _insert(connection, results).on_conflict_do_nothing().returning(results.c.feed)
            rows = [result_row(self.run, r) for r in once.values()]
            new = frozenset(connection.scalars(insert, rows))
            lines = [row for feed in new for row in finding_rows(self.run, once[feed])]
            if lines:
                connection.execute(sa.insert(findings), lines)
            _keep(connection, [view for view in views if view.feed in new])
        return new

    def beat(self) -> None:
        """Say that this auditor lives: at least every ``BEAT_S`` seconds. Raises as `record` does."""
        self.record(())

    def finish(self) -> None:
        """Every feed has its result: end the run. Raises StoreError ``run-taken``."""
        self._let_go(finished_at=self._clock())

    def _let_go(self, **values: Any) -> None:
        if self._owner is None:
            return
        with self._database.write() as connection:
            held = (runs.c.id == self.run) & (runs.c.owner == self._owner)
            free = sa.update(runs).where(held).values(owner=None, lease_until=None, **values)
            if connection.execute(free).rowcount == 0 and values:
                raise self._taken()
        self._owner = None

    def _hold(self, connection: sa.Connection) -> None:
        held = (runs.c.id == self.run) & (runs.c.owner == self._owner)
        lease = sa.update(runs).where(held).values(lease_until=self._clock() + _lease())
        if self._owner is None or connection.execute(lease).rowcount == 0:
            raise self._taken()

    def _taken(self) -> StoreError:
        return StoreError("run-taken", f"run {self.run}: no longer held by this auditor")


def _chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK))


def _lease() -> timedelta:
    return timedelta(seconds=LEASE_S)


def _results(connection: sa.Connection, query: sa.Select[Any]) -> list[Result]:
    """The results of a query on ``results``, with their findings."""
    rows = connection.execute(query).mappings().all()
    keys = query.with_only_columns(results.c.run, results.c.feed).order_by(None).subquery()
    same = (findings.c.run == keys.c.run) & (findings.c.feed == keys.c.feed)
    lines = sa.select(findings).join(keys, same).order_by(findings.c.run, findings.c.feed, findings.c.kind)
    found: dict[tuple[int, str], list[Finding]] = {}
    for row in connection.execute(lines).mappings():
        found.setdefault((row["run"], row["feed"]), []).append(to_finding(row))
    return [to_result(row, found.get((row["run"], row["feed"]), [])) for row in rows]


def _references(connection: sa.Connection, feeds: Sequence[str]) -> dict[str, Reference]:
    query = sa.select(references).where(references.c.id.in_(_CURRENT.where(references.c.feed.in_(feeds))))
    return {row["feed"]: to_reference(row) for row in connection.execute(query).mappings()}


def _keep(connection: sa.Connection, views: Sequence[Reference]) -> None:
    """Write references that a run proposed, proved or refined; a person's word in between stands."""
    if not views:
        return
    _lock_references(connection)
    known = {
        row.feed
        for chunk in _chunks(views)
        for row in connection.execute(
            sa.select(references.c.feed).where(references.c.feed.in_([v.feed for v in chunk]))
        )
    }
    proposed = [reference_row(v) for v in views if v.feed not in known]
    if proposed:
        connection.execute(sa.insert(references), proposed)
    changed = [reference_row(v) for v in views if v.feed in known]
    if changed:
        same = (references.c.feed == sa.bindparam("of")) & (references.c.created_at == sa.bindparam("since"))
        names = ("view", "proven_at", "proven_run")
        update = sa.update(references).where(same).values({n: sa.bindparam(f"new_{n}") for n in names})
        connection.execute(
            update,
            [
                {"of": r["feed"], "since": r["created_at"], **{f"new_{n}": r[n] for n in names}}
                for r in changed
            ],
        )


def _lock_references(connection: sa.Connection) -> None:
    # SQLite has one writer. PostgreSQL has many: a proposal must not step over an acceptance.
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"LOCK TABLE {references.name} IN SHARE ROW EXCLUSIVE MODE"))


def _insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    is_postgresql = connection.dialect.name == "postgresql"
    return postgresql.insert(table) if is_postgresql else sqlite.insert(table)
