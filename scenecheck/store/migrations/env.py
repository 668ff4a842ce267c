"""Alembic runs this with the connection, and inside the transaction, of `scenecheck.store.engine`."""

from __future__ import annotations

from alembic import context

from scenecheck.store.engine import VERSION_TABLE
from scenecheck.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite alters a table by copying it.
    render_as_batch=True,
)
context.run_migrations()
