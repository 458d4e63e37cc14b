"""The MTA-STS policies of other domains."""

from collections.abc import Sequence

from sqlalchemy import Connection, Double, Integer, bindparam, delete, insert, select

from relate_mailstore.queue_types import StsPolicy
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.schema.tables import sts_policies

_FIND = (
    select(sts_policies)
    .where(sts_policies.c.expires > bindparam("now", type_=Double()))
    .order_by(sts_policies.c.fetched.desc())
    .limit(bindparam("limit", type_=Integer()))
)
_REMOVE = delete(sts_policies).where(sts_policies.c.domain == bindparam("replaced"))
_TRIM = delete(sts_policies).where(sts_policies.c.expires <= bindparam("now", type_=Double()))
_ADD = insert(sts_policies)


async def find(database: Database, now: float, limit: int) -> Sequence[StsPolicy]:
    """See `QueueStore.sts_policies`."""
    rows = await database.fetch(_FIND, {"now": now, "limit": limit})
    return [StsPolicy(*row) for row in reversed(rows)]


def store(connection: Connection, policy: StsPolicy, now: float) -> None:
    """See `QueueStore.store_sts_policy`. Expired ones are removed."""
    run(connection, _REMOVE, {"replaced": policy.domain})
    run(connection, _TRIM, {"now": now})
    connection.execute(_ADD, policy._asdict())
