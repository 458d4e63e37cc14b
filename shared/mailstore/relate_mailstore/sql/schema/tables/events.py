"""The event log."""

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Double, Index, Table, Text, TextClause, Uuid, and_, literal_column, text

from relate_mailstore.event_rules import HEADS_BY_ACCOUNT, HEADS_BY_MESSAGE_ID, HEADS_BY_RECIPIENT, HEADS_BY_SENDER
from relate_mailstore.event_types import EventName
from relate_mailstore.sql.schema.tables.metadata import metadata

EVENTS_PARTITION_PREFIX = "message_events_"  # then the day, as YYYYMMDD
EVENTS_REST = "message_events_rest"  # the default partition


def is_one_of(names: Iterable[EventName]) -> TextClause:
    """The condition of an index of the event log, which a query has to have in the same words."""
    literals = ", ".join(f"'{name}'" for name in names)
    return text(f"name IN ({literals})")


def _found_by(column: str, names: Iterable[EventName]) -> Index:
    """An index of the event log by a column, of the events with these names that have a value, the newest last."""
    where = and_(is_one_of(names), literal_column(column).is_not(None)) if column == "account_id" else is_one_of(names)
    return Index(f"ix_message_events_{column}", column, "time", postgresql_where=where, sqlite_where=where)


# What happened to messages, appended by the transactions that it tells of. On PostgreSQL partitioned by day. Without a
# key, and with two indexes of all rows, because each delivery adds several: both only ever grow at their end. Messages
# are found by indexes of few of their events.
message_events = Table(
    "message_events",
    metadata,
    Column("time", Double, nullable=False),  # seconds since the epoch
    Column("name", Text, nullable=False),  # `EventName`
    Column("account_id", BigInteger),
    Column("message_id", Uuid),
    Column("header_message_id", Text, nullable=False),
    Column("sender", Text, nullable=False),  # in clear or as a hash, like the recipient
    Column("recipient", Text, nullable=False),
    Column("client", Text, nullable=False),  # an IP address
    Column("service", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Column("trace_id", Text, nullable=False),
    Column("span_id", Text, nullable=False),
    Index("ix_message_events_message_id", "message_id"),
    Index("ix_message_events_time", "time"),
    # Of few rows: the messages about which other servers may report. Strangers decide how often it is read.
    Index(
        "ix_message_events_queued",
        "header_message_id",
        postgresql_where=text("name = 'queued'"),
        sqlite_where=text("name = 'queued'"),
    ),
    _found_by("header_message_id", HEADS_BY_MESSAGE_ID),
    _found_by("sender", HEADS_BY_SENDER),
    _found_by("recipient", HEADS_BY_RECIPIENT),
    _found_by("account_id", HEADS_BY_ACCOUNT),
    postgresql_partition_by="RANGE (time)",
)
