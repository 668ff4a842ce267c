"""The gate's decisions, hash-chained, and the head of their chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "gate_log",
        sa.Column("n", ID, autoincrement=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("n", name="pk_gate_log"),
    )
    op.create_table(
        "gate_log_head",
        sa.Column("id", sa.Integer, autoincrement=False),
        sa.Column("n", ID, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gate_log_head"),
        sa.CheckConstraint("id = 1", name="ck_gate_log_head_one"),
    )
