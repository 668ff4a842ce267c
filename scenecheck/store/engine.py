"""Connections that lose nothing, errors in plain words, and the schema brought up to date."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import stamina
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, exc

from scenecheck.errors import StoreError, UsageError
from scenecheck.redact import redact
from scenecheck.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "scenecheck_schema"
"""Named after us: a PostgreSQL database may hold other programs that use alembic."""
WAIT_S = 30
"""Longest wait for another program's write (SQLite), for a lock or a statement (PostgreSQL)."""
CONNECT_S = 10
SILENCE_S = 120
"""After so long in one transaction a server is given up, whatever it does: a paused one says nothing."""
_MIGRATION_LOCK = 0x5CE11E  # of pg_advisory_xact_lock; any number, but always the same

log = logging.getLogger(__name__)
# Its notices of retries are for who asks for them, not for the terminal of who set up no logging.
logging.getLogger("stamina").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Database:
    """An engine and how its database is called in messages, without secrets."""

    engine: sa.Engine
    shown: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state. Raises StoreError."""
        with self._transaction({}) as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is durable when the block has ended. Raises StoreError; then nothing of it is."""
        with self._transaction({"is_write": True}) as connection:
            yield connection

    @contextlib.contextmanager
    def _transaction(self, options: dict[str, bool]) -> Iterator[sa.Connection]:
        with self.translated(), self.engine.connect() as connection:
            connection.execution_options(**options)
            bounded = _bounded(connection.connection.driver_connection)
            with bounded, connection.begin():
                yield connection

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the libraries' errors into ours: what, where, without statement and secrets."""
        try:
            yield
        except exc.DBAPIError as e:
            # Only the driver's words: SQLAlchemy's hold the statement.
            cause = redact(" ".join(str(e.orig).split()), self.secrets)
            raise StoreError(_code(e.orig), f"{self.shown}: {cause}") from None
        except exc.TimeoutError as e:
            raise StoreError(
                "store-failed", f"{self.shown}: no free connection: {type(e).__name__}"
            ) from None


def connect(url: str) -> Database:
    """The database of a path or URL, its schema made or brought up to date.

    Raises UsageError when it cannot be used (``store-address``, ``store-unusable``, ``store-newer``,
    ``store-foreign``) and StoreError when it failed underway (``store-full``).
    """
    address = _parse(url)
    shown = _shown(address)
    secrets = tuple(v for v in (address.password, *_query_secrets(address)) if isinstance(v, str) and v)
    try:
        engine = _sqlite(address) if address.get_backend_name() == "sqlite" else _postgres(address)
    except exc.ArgumentError:
        raise UsageError("store-address", f"{shown}: not an address of a database") from None
    except ModuleNotFoundError as e:
        if e.name != "psycopg":
            raise
        hint = "pip install 'scenecheck[postgres]'"
        raise UsageError("store-unusable", f"{shown}: the driver psycopg is not installed", hint) from None
    database = Database(engine, shown, secrets)
    try:
        with database.write() as connection:
            _migrate(connection, shown)
    except StoreError as e:
        engine.dispose()
        if e.code == "store-full":
            raise
        raise UsageError("store-unusable", e.message) from None
    except BaseException:
        engine.dispose()
        raise
    return database


# --- addresses -----------------------------------------------------------------------------------


def _parse(url: str) -> sa.URL:
    if "://" not in url:
        return sa.URL.create("sqlite", database=url)
    scheme = url.partition("://")[0]
    try:
        address = sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        # What cannot be taken apart may hold a password anywhere, so nothing of it is shown.
        raise UsageError("store-address", f"{scheme}://…: not an address of a database") from None
    if address.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        address = address.set(drivername="postgresql+psycopg")
    elif address.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise UsageError("store-address", f"{scheme}://…: stores are SQLite files or PostgreSQL")
    parts = (address.host, address.database if address.get_backend_name() == "postgresql" else "")
    if any("@" in (part or "") for part in parts):
        hint = "write '@' in a password as %40, or leave it to PGPASSWORD or a pgpass file"
        raise UsageError("store-address", f"{scheme}://…: more than one '@' in the address", hint)
    return address


def _query_secrets(address: sa.URL) -> list[str]:
    return [str(v) for k, v in address.query.items() if "pass" in k.lower() and k.lower() != "passfile"]


def _shown(address: sa.URL) -> str:
    if address.get_backend_name() == "sqlite":
        return address.database or ":memory:"
    # Of the query only what says where the server is: the rest may hold anything.
    where = {k: v for k, v in address.query.items() if k in {"host", "port"}}
    shown = sa.URL.create(
        "postgresql", host=address.host, port=address.port, database=address.database, query=where
    )
    return shown.render_as_string()


# --- engines -------------------------------------------------------------------------------------


def _sqlite(address: sa.URL) -> sa.Engine:
    """A file on a local disk that survives `kill -9` and a power cut.

    WAL: readers (a report) do not stop the writer, and a commit is one appended record, whole or absent
    by its checksum. ``synchronous=FULL``: that record is on the disk (fsync) before the commit returns;
    with NORMAL, SQLite's usual companion of WAL, the last commits before a power cut may vanish though
    they were reported. Many results go into one commit, so this costs one fsync for all of them. WAL
    needs shared memory: a file on a network share is not supported, PostgreSQL is for that.
    """
    engine = sa.create_engine(address, connect_args={"timeout": WAIT_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        # sqlite3 would begin only before the first INSERT, and commit before a CREATE TABLE.
        connection.isolation_level = None
        _use_wal(connection)
        for pragma in ("synchronous = FULL", "fullfsync = ON", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A read that turns into a write fails at once if somebody wrote in between; IMMEDIATE waits.
        is_write = connection.get_execution_options().get("is_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")

    return engine


def _is_locked(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


@stamina.retry(on=_is_locked, attempts=None, timeout=WAIT_S, wait_initial=0.01, wait_max=0.5, wait_jitter=0.1)
def _use_wal(connection: Any) -> None:
    """Two that make a file at once: SQLite does not wait where a change of journal might be a deadlock."""
    connection.execute("PRAGMA journal_mode = WAL")


def _postgres(address: sa.URL) -> sa.Engine:
    """A server whose answers are durable and whose silence has an end.

    A connection is asked before each use whether it still stands, so that a server that was started
    again costs nothing; SQLAlchemy's own ``pool_pre_ping`` would wait for a paused one for ever.
    """
    engine = sa.create_engine(
        address,
        connect_args={"connect_timeout": CONNECT_S, "application_name": "scenecheck"},
        hide_parameters=True,
        pool_size=2,
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        with _bounded(connection):
            connection.execute(f"SET statement_timeout = '{WAIT_S}s'")
            connection.execute(f"SET lock_timeout = '{WAIT_S}s'")
            # A server may be set to answer before the disk has it; results must not be.
            connection.execute("SET synchronous_commit = on")
            connection.commit()

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Any, _record: object, _proxy: object) -> None:
        try:
            with _bounded(connection):
                connection.autocommit = True
                connection.execute("")
                connection.autocommit = False
        except (OSError, engine.dialect.loaded_dbapi.Error) as e:
            raise exc.DisconnectionError from e

    return engine


@contextlib.contextmanager
def _bounded(driver: Any) -> Iterator[None]:
    """Give a server up that stays silent: its own time-outs do not help when it stands still."""
    if not hasattr(driver, "fileno"):  # SQLite
        yield
        return
    with socket.socket(fileno=os.dup(driver.fileno())) as channel:
        timer = threading.Timer(SILENCE_S, _shut, (channel,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _shut(channel: socket.socket) -> None:
    with contextlib.suppress(OSError):
        channel.shutdown(socket.SHUT_RDWR)


# --- schema --------------------------------------------------------------------------------------


def _migrate(connection: sa.Connection, shown: str) -> None:
    """Bring the schema up to date within the caller's transaction: all of it or nothing."""
    if connection.dialect.name == "postgresql":
        # Two that open a new database at once: the second waits and then finds it made.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    config = Config()
    # ConfigParser reads % as the start of a reference.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()
    known = [revision.revision for revision in script.walk_revisions()]
    if current == known[0]:
        return
    if current is None:
        foreign = sorted(set(sa.inspect(connection).get_table_names()) & set(metadata.tables))
        if foreign:
            names = ", ".join(foreign)
            raise UsageError("store-foreign", f"{shown}: has tables that are not scenecheck's: {names}")
    elif current not in known:
        raise UsageError(
            "store-newer",
            f"{shown}: written by a newer scenecheck (schema {current}; this one knows up to {known[0]})",
        )
    log.info("%s: schema %s becomes %s", shown, current or "(none)", known[0])
    command.upgrade(config, "head")


# --- errors --------------------------------------------------------------------------------------


def _code(error: BaseException | None) -> str:
    """Our code of a driver's error: SQLite names it, PostgreSQL has an SQLSTATE."""
    name, state = getattr(error, "sqlite_errorname", ""), getattr(error, "sqlstate", None)
    if name == "SQLITE_FULL" or state == "53100":
        return "store-full"
    return "store-failed"
