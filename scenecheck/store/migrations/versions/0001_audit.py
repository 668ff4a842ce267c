"""Runs, results, findings and reference views."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("inventory_sha256", sa.Text, nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("model_sha256", sa.Text, nullable=False),
        sa.Column("preprocess_version", sa.Integer, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "results",
        sa.Column("id", ID),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("expect", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("label_alone", sa.Text, nullable=False),
        sa.Column("p_indoor", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("n_frames", sa.Integer, nullable=False),
        sa.Column("conditions", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("comparison", sa.JSON),
        sa.Column("open_s", sa.Float),
        sa.Column("first_frame_s", sa.Float),
        sa.Column("total_s", sa.Float, nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("cells", sa.LargeBinary),
        sa.Column("heat", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_results"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_results_runs"),
        sa.UniqueConstraint("run", "feed", name="uq_results_run_feed"),
        sa.CheckConstraint("label IN ('street', 'indoor', 'unknown')", name="ck_results_label"),
        sa.CheckConstraint("length(cells) <= 432 AND length(heat) <= 144", name="ck_results_no_picture"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_results_feed", "results", ["feed", "id", "run"])
    op.create_table(
        "findings",
        sa.Column("run", sa.Integer),
        sa.Column("feed", sa.Text),
        sa.Column("kind", sa.Text),
        sa.Column("since", TIME, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "feed", "kind", name="pk_findings"),
        sa.ForeignKeyConstraint(["run", "feed"], ["results.run", "results.feed"], name="fk_findings_results"),
    )
    op.create_table(
        "feed_references",
        sa.Column("id", ID),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("view", sa.LargeBinary, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_run", sa.Integer),
        sa.Column("proven_at", TIME),
        sa.Column("proven_run", sa.Integer),
        sa.Column("who", sa.Text),
        sa.Column("why", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_feed_references"),
        sa.ForeignKeyConstraint(["created_run"], ["runs.id"], name="fk_feed_references_runs"),
        sa.CheckConstraint("label IN ('street', 'indoor')", name="ck_feed_references_label"),
        sa.CheckConstraint("label = 'street' OR length(view) <= 308", name="ck_feed_references_coarse"),
        sa.UniqueConstraint("feed", "created_at", name="uq_feed_references_feed_created_at"),
        sa.CheckConstraint("(who IS NULL) = (why IS NULL)", name="ck_feed_references_who_why"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feed_references_feed", "feed_references", ["feed", "id"])
