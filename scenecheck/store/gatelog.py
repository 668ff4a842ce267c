"""The gate's log: appended to and read, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from scenecheck.chain import Check, Head, Link, link, verify
from scenecheck.errors import StoreError
from scenecheck.store.tables import gate_log, gate_log_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scenecheck.store.engine import Database

_LAST = sa.select(gate_log.c.n, gate_log.c.hash).order_by(gate_log.c.n.desc()).limit(1)


def append(database: Database, records: Sequence[Mapping[str, object]]) -> Head:
    with database.write() as connection:
        # SQLite has one writer. PostgreSQL has many, and two must not continue the same link.
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"LOCK TABLE {gate_log.name} IN SHARE ROW EXCLUSIVE MODE"))
        head = _head(connection)
        last = connection.execute(_LAST).one_or_none()
        if head != (Head() if last is None else Head(last.n, last.hash)):
            raise StoreError("store-damaged", f"{database.shown}: the gate's log does not end as it was left")
        links: list[Link] = []
        was_empty = head == Head()
        for record in records:
            links.append(link(record, after=head))
            head = Head(links[-1].n, links[-1].hash)
        if links:
            rows = [{"n": a.n, "record": a.record, "hash": a.hash} for a in links]
            connection.execute(sa.insert(gate_log), rows)
            keep = sa.insert(gate_log_head).values(id=1) if was_empty else sa.update(gate_log_head)
            connection.execute(keep.values(n=head.n, hash=head.hash))
    return head


def check(database: Database, head: Head | None) -> Check:
    with database.read() as connection:
        # PostgreSQL would show each statement the log as it is by then.
        kept = _head(connection)
        query = sa.select(gate_log).where(gate_log.c.n <= kept.n).order_by(gate_log.c.n)
        rows = connection.execution_options(yield_per=1000).execute(query)
        found = verify((Link(r.n, r.record, r.hash) for r in rows), head=kept)
        if found.broken is not None or head is None:
            return found
        if head.n > kept.n:
            return Check(
                found.head, kept.n + 1, f"record {kept.n + 1} is missing: the chain once reached {head.n}"
            )
        at = connection.scalar(sa.select(gate_log.c.hash).where(gate_log.c.n == head.n))
        if head.n and at != head.hash:
            return Check(found.head, head.n, f"record {head.n} is not the one that the head names")
        return found


def _head(connection: sa.Connection) -> Head:
    row = connection.execute(sa.select(gate_log_head.c.n, gate_log_head.c.hash)).one_or_none()
    return Head() if row is None else Head(row.n, row.hash)
