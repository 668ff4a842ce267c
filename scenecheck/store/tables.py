"""The tables, as SQLAlchemy sees them. ``migrations/`` makes them; a test holds both against each other."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

NAMING = {"pk": "pk_%(table_name)s", "fk": "fk_%(table_name)s_%(referred_table_name)s"}
metadata = MetaData(naming_convention=NAMING)


class Moment(TypeDecorator[datetime]):
    """An aware time in UTC on every database: SQLite keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("store: expected an aware time, got a naive one")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def clean(text: str) -> str:
    """Text from anywhere as a database takes it: NUL and lone surrogates become U+FFFD."""
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Words(TypeDecorator[str]):
    """Text from anywhere, made clean."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else clean(value)


# SQLite counts rows by itself only in a column that is called INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("inventory_sha256", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("model_sha256", Text, nullable=False),
    Column("preprocess_version", Integer, nullable=False),
    Column("options", JSON, nullable=False),
    Column("owner", Text),
    Column("lease_until", Moment),
    sqlite_autoincrement=True,
)

results = Table(
    "results",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run", Integer, ForeignKey("runs.id"), nullable=False),
    Column("feed", Words, nullable=False),
    Column("expect", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("label_alone", Text, nullable=False),
    Column("p_indoor", Float),
    Column("reason", Words, nullable=False),
    Column("n_frames", Integer, nullable=False),
    Column("conditions", JSON, nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("comparison", JSON(none_as_null=True)),
    Column("open_s", Float),
    Column("first_frame_s", Float),
    Column("total_s", Float, nullable=False),
    Column("finished_at", Moment, nullable=False),
    Column("name", Words, nullable=False),
    Column("address", Words, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("cells", LargeBinary),
    Column("heat", LargeBinary),
    UniqueConstraint("run", "feed", name="uq_results_run_feed"),
    CheckConstraint("label IN ('street', 'indoor', 'unknown')", name="ck_results_label"),
    # The database itself refuses anything finer than a mosaic.
    CheckConstraint("length(cells) <= 432 AND length(heat) <= 144", name="ck_results_no_picture"),
    # The run too: the last result of another run is then found in the index alone.
    Index("ix_results_feed", "feed", "id", "run"),
    sqlite_autoincrement=True,
)

findings = Table(
    "findings",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("feed", Words, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("detail", Words, nullable=False),
    ForeignKeyConstraint(["run", "feed"], ["results.run", "results.feed"]),
)

references = Table(
    "feed_references",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("feed", Words, nullable=False),
    Column("label", Text, nullable=False),
    Column("view", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_run", Integer, ForeignKey("runs.id")),
    Column("proven_at", Moment),
    Column("proven_run", Integer),
    Column("who", Words),
    Column("why", Words),
    CheckConstraint("label IN ('street', 'indoor')", name="ck_feed_references_label"),
    # 308 bytes are a coarse view; only a street may have more.
    CheckConstraint("label = 'street' OR length(view) <= 308", name="ck_feed_references_coarse"),
    UniqueConstraint("feed", "created_at", name="uq_feed_references_feed_created_at"),
    CheckConstraint("(who IS NULL) = (why IS NULL)", name="ck_feed_references_who_why"),
    Index("ix_feed_references_feed", "feed", "id"),
    sqlite_autoincrement=True,
)

gate_log = Table(
    "gate_log",
    metadata,
    Column("n", _Id, primary_key=True, autoincrement=False),
    # Text, not JSON: the hash is over these very characters.
    Column("record", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

gate_log_head = Table(
    "gate_log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", _Id, nullable=False),
    Column("hash", Text, nullable=False),
    CheckConstraint("id = 1", name="ck_gate_log_head_one"),
)
