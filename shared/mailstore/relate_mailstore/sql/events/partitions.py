"""The partitions of `message_events` on PostgreSQL: one per day (UTC), made ahead, and dropped whole when old.

A row of a day without a partition lies in the default partition, so that an event is never refused; then no partition
of that day can be made, and its rows are deleted one by one.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select, text, true

from relate_mailstore.sql.schema.tables import EVENTS_PARTITION_PREFIX, EVENTS_REST, message_events

AHEAD_DAYS = 7  # made once a day: a database that is not maintained for a week still has its partitions
LOCK_MILLISECONDS = 500  # for the tables: deliveries wait behind us, so a backup that reads them is not waited for
DAY_SECONDS = 24 * 3600
LOCK_KEY = 0x52656C61744576  # of the advisory lock under which processes take turns

_LOCK = select(func.pg_advisory_xact_lock(LOCK_KEY))
_LIMIT_WAIT = select(func.set_config("lock_timeout", f"{LOCK_MILLISECONDS}ms", true()))
_NAMES = text("SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'message_events'::regclass")
_IN_REST = text(f"SELECT EXISTS (SELECT 1 FROM {EVENTS_REST} WHERE time >= :since AND time < :until)")  # noqa: S608 - a constant
_DELETE_FROM_REST = text(f"DELETE FROM {EVENTS_REST} WHERE time < :before")  # noqa: S608 - a constant


def missing_days(names: frozenset[str], now: float) -> list[datetime]:
    """The days from this time on, in seconds since the epoch, that have no partition."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = (today + timedelta(days=number) for number in range(AHEAD_DAYS + 1))
    return [day for day in days if _name(day) not in names]


def make_ahead(connection: Connection, now: float) -> int:
    """Make the partitions of today and the days after; how many. Raises DBAPIError while a backup reads the table."""
    _take_turn(connection)
    made = 0
    for day in missing_days(_names(connection), now):
        since, until = day.timestamp(), day.timestamp() + DAY_SECONDS
        if not connection.scalar(_IN_REST, {"since": since, "until": until}):
            connection.exec_driver_sql(
                f"CREATE TABLE {_name(day)} PARTITION OF {message_events.name} FOR VALUES FROM ({since}) TO ({until})"
            )
            made += 1
    return made


def drop_before(connection: Connection, before: float) -> int:
    """Drop the partitions that end before this time, in seconds since the epoch. Returns the number of events.

    Raises DBAPIError while a backup reads the table.
    """
    _take_turn(connection)
    removed = 0
    for name in sorted(_names(connection)):
        if (day := _day(name)) is not None and day.timestamp() + DAY_SECONDS <= before:
            removed += connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()  # noqa: S608 - see _day
            connection.exec_driver_sql(f"DROP TABLE {name}")
    return removed + connection.execute(_DELETE_FROM_REST, {"before": before}).rowcount


def _take_turn(connection: Connection) -> None:
    connection.execute(_LOCK)
    connection.execute(_LIMIT_WAIT)


def _names(connection: Connection) -> frozenset[str]:
    return frozenset(connection.scalars(_NAMES))


def _name(day: datetime) -> str:
    return f"{EVENTS_PARTITION_PREFIX}{day:%Y%m%d}"


def _day(name: str) -> datetime | None:
    """The day of a partition; None for any other name."""
    digits = name.removeprefix(EVENTS_PARTITION_PREFIX)
    if len(digits) != len("20260101") or not (digits.isascii() and digits.isdecimal()):
        return None
    return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC)
